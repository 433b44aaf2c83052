/* SPDX-License-Identifier: Apache-2.0 */
// What is known of one range's gateway on one uplink: does it answer, and with which MAC. Fed with
// probes sent and answers received; it sends nothing itself.
#pragma once

#include <stdbool.h>

#include <rte_ether.h>

struct gateway {
    bool answers;
    bool known; // mac was learned
    struct rte_ether_addr mac;
    bool waiting; // the last probe has no answer yet
    unsigned misses;
};

// A probe goes out now; the one before, if it has no answer by now, is missed. True if the gateway
// stopped answering by this.
bool gateway_probed(struct gateway *gateway, unsigned probe_misses);
// Its ARP reply or neighbour advertisement came. An unsolicited one tells the MAC, but not that the
// gateway hears us. True if what is known changed.
bool gateway_answered(struct gateway *gateway, const struct rte_ether_addr *mac, bool solicited);
// The uplink lost its carrier or was closed. The MAC is kept.
void gateway_cut_off(struct gateway *gateway);
