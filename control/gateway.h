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
    long long changed_ms; // when
    bool waiting;         // the last probe has no answer yet
    unsigned misses;
};

// A probe goes out now; the one before, if it has no answer by now, is missed. True if the gateway
// stopped answering by this.
bool gateway_probed(struct gateway *gateway, unsigned probe_misses);
// A MAC that was learned is kept for so long: who floods a ToR's segment with answers of changing
// MACs would else have the rules for the uplinks made anew, in the NIC as well, by each of them.
#define GATEWAY_HOLD_MS 500
// Its ARP reply or neighbour advertisement came. An unsolicited one tells the MAC, but not that the
// gateway hears us. True if what is known changed.
bool gateway_answered(struct gateway *gateway, const struct rte_ether_addr *mac, bool solicited,
                      long long now_ms);
// The uplink lost its carrier or was closed. The MAC is kept.
void gateway_cut_off(struct gateway *gateway);
