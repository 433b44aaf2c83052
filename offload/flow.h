/* SPDX-License-Identifier: Apache-2.0 */
// One rule as one transfer rule of rte_flow: attributes, pattern and actions, with the memory that
// they point to. Nothing here calls a driver.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_flow.h>

#include "dataplane/rule.h"
#include "offload/offload.h"

// No rule is ever put into this group: a jump there misses, and what misses goes to the port's
// representor (the uplink's own ethdev), that is, to software.
#define FLOW_GROUP_SOFTWARE RULE_TABLE_N

// In rte_flow the lower number wins, in a rule the higher. 21,843 is the highest that mlx5 takes
// in a group that is not the root; 0 is kept for the rules that no other may override.
#define FLOW_PRIORITY_LAST     21843
#define FLOW_RULE_PRIORITY_MAX (FLOW_PRIORITY_LAST - 1)

#define FLOW_ITEMS_MAX   6                      // port, Ethernet, VLAN, IP, L4, end
#define FLOW_ACTIONS_MAX (RULE_ACTIONS_MAX + 2) // count before, end after

// The two ways to say "set a MAC" and "decrement TTL". Older drivers know only the first, mlx5 with
// hardware steering (dv_flow_en=2) only the second.
enum flow_rewrite {
    FLOW_REWRITE_SET,    // SET_MAC_SRC, SET_MAC_DST, DEC_TTL
    FLOW_REWRITE_MODIFY, // MODIFY_FIELD
};

union flow_item {
    struct rte_flow_item_ethdev ethdev;
    struct rte_flow_item_eth eth;
    struct rte_flow_item_vlan vlan;
    struct rte_flow_item_ipv4 ipv4;
    struct rte_flow_item_ipv6 ipv6;
    struct rte_flow_item_tcp tcp;
    struct rte_flow_item_udp udp;
    struct rte_flow_item_sctp sctp;
    struct rte_flow_item_icmp icmp;
    struct rte_flow_item_icmp6 icmp6;
};

union flow_action_conf {
    struct rte_flow_action_count count;
    struct rte_flow_action_set_mac mac;
    struct rte_flow_action_modify_field modify;
    struct rte_flow_action_ethdev ethdev;
    struct rte_flow_action_jump jump;
};

// Points into itself: not to be copied or moved once built.
struct flow {
    uint16_t ethdev; // a port of the e-switch that the rule is for
    struct rte_flow_attr attr;
    unsigned n_items, n_actions; // with their ends
    struct rte_flow_item items[FLOW_ITEMS_MAX];
    union flow_item spec[FLOW_ITEMS_MAX], mask[FLOW_ITEMS_MAX]; // of items[i]
    struct rte_flow_action actions[FLOW_ACTIONS_MAX];
    union flow_action_conf conf[FLOW_ACTIONS_MAX]; // of actions[i]
    // In the NIC it matches only a part of what the rule matches: no fragments, no IPv6 extension
    // headers. The rest is software's, so no rule that it covers may be in the NIC.
    bool narrowed;
    bool outputs; // to out_ethdev, which must be of the same e-switch
    uint16_t out_ethdev;
};

// -ENOTSUP with a sentence if rte_flow cannot say the rule, or port_of's error.
int flow_build(const struct rule *rule, offload_port_fn *port_of, enum flow_rewrite rewrite,
               struct flow *flow, char **error);

// What software does with a packet although the NIC's rules would take it: exceptions. Each is a
// rule of group 0 that wins over all others and leaves such packets to software.
// `no` from 0; false: there is no such exception. *what: the packets, for people.
bool flow_build_exception(unsigned no, uint16_t ethdev, struct flow *flow, const char **what);
#define FLOW_EXCEPTIONS_MAX 24

// To build a flow by hand: begin, items and actions in their order, end. COUNT is there already.
void flow_begin(struct flow *flow, uint32_t group, uint32_t priority);
unsigned flow_add_item(struct flow *flow, enum rte_flow_item_type type); // index of its spec, mask
union flow_action_conf *flow_add_action(struct flow *flow, enum rte_flow_action_type type);
void flow_end(struct flow *flow);

// Writes `flow create PORT ... end` as testpmd reads it; returns what snprintf returns.
int flow_print(const struct flow *flow, char *buf, size_t size);
