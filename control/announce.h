/* SPDX-License-Identifier: Apache-2.0 */
// Tells the ToRs where the pods are: each address is announced on each uplink, repeated, because a
// ToR that has not heard a pod sends it nothing; and paced, because a ToR that hears five hundred
// pods at once drops some. Decides when what is to be sent; the caller sends.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

// Announcements sent in one millisecond at most.
#define ANNOUNCE_PER_MS 10

// Sends one. False: not now (no buffers), try again.
typedef bool announce_send_fn(unsigned uplink, unsigned range, const struct in6_addr *address);

// Every announcement is sent `count` times, `interval_ms` apart.
void announce_init(unsigned count, unsigned interval_ms, announce_send_fn *send);
void announce_fini(void);
// From now on; begins anew if the address is being announced there already.
void announce_add(unsigned uplink, unsigned range, const struct in6_addr *address,
                  long long now_ms);
// No more of this address, on any uplink.
void announce_cancel(const struct in6_addr *address);
// Sends what is due. Returns when to be called again, LLONG_MAX if there is nothing left.
long long announce_run(long long now_ms);
