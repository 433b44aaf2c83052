/* SPDX-License-Identifier: Apache-2.0 */
// The control thread's own ARP and ND frames: those it sends, and the answers it reads. Ethernet
// frames without FCS. Addresses are IPv4-mapped where they are IPv4 ones; both addresses of a frame
// are of one family.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ether.h>

#define FRAME_SIZE 128

// Who has `target`? An ARP request (RFC 826) or a neighbour solicitation (RFC 4861 section 4.3) to
// all, from `sender`. sender NULL: an ARP probe (RFC 5227 section 2.1.1), or a solicitation from
// the link-local address that belongs to the MAC. Returns the frame's length.
size_t frame_solicit(uint8_t frame[FRAME_SIZE], const struct rte_ether_addr *mac,
                     const struct in6_addr *sender, const struct in6_addr *target);
// `address` is at `mac`: an ARP announcement (RFC 5227 section 3) or an unsolicited neighbour
// advertisement with the override flag (RFC 4861 section 7.2.6). Returns the frame's length.
size_t frame_announce(uint8_t frame[FRAME_SIZE], const struct rte_ether_addr *mac,
                      const struct in6_addr *address);

// What an ARP reply or a neighbour advertisement says.
struct neighbour_answer {
    struct in6_addr address;
    struct rte_ether_addr mac;
    bool solicited; // it was sent to us alone
};
// False if the frame is none, is cut short, or gives no usable MAC.
bool frame_read_answer(const void *data, size_t len, struct neighbour_answer *answer);
