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
#define FLOW_PRIORITY_LAST 21843

// A rule's place among those of its table: of 65,536 priorities a NIC has room for some ten
// thousand. One by one where people put them (the lowest, around OpenFlow's default of 32,768, the
// highest), 64 at a time between. A higher priority never has a lower level.
#define FLOW_LEVELS 10096
unsigned flow_level(uint16_t priority);

#define FLOW_ITEMS_MAX   6                      // port, Ethernet, VLAN, IP, L4, end
#define FLOW_ACTIONS_MAX (RULE_ACTIONS_MAX + 4) // count, end; pushing a tag is three

// The two ways to say "set a field" and "decrement TTL". Older drivers know only the first, mlx5
// with hardware steering (dv_flow_en=2) only the second.
enum flow_rewrite {
    FLOW_REWRITE_SET,    // SET_MAC_SRC, SET_IPV4_DST, DEC_TTL, ...
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
    struct rte_flow_action_set_ipv6 ipv6; // the largest of SET_*, which all begin with the value
    struct rte_flow_action_modify_field modify;
    struct rte_flow_action_of_push_vlan push_vlan;
    struct rte_flow_action_of_set_vlan_vid vlan_vid;
    struct rte_flow_action_of_set_vlan_pcp vlan_pcp;
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
    union flow_item last;                                       // of the item that is a range
    struct rte_flow_action actions[FLOW_ACTIONS_MAX];
    union flow_action_conf conf[FLOW_ACTIONS_MAX]; // of actions[i]
    // It does not match IPv4 fragments, though the rule may: the NIC must leave those to software
    // before (flow_build_exception).
    bool narrowed;
    bool outputs; // to out_ethdev, which must be of the same e-switch
    uint16_t out_ethdev;
};

struct flow_way {
    enum flow_rewrite rewrite;
    bool policy;   // the operator has rules: what the guard lets pass goes to his table 0
    bool last;     // below all priorities of the table
    bool software; // only match as the rule does, and leave those packets to software
};

// flow->ethdev is that of in_port or of the output; if there is neither, it is the caller's to set.
// -ENOTSUP with a sentence if rte_flow cannot say the rule, or port_of's error.
int flow_build(const struct rule *rule, offload_port_fn *port_of, const struct flow_way *way,
               struct flow *flow, char **error);

// What software does with a packet although the NIC's rules would take it: exceptions. Each is a
// rule of group 0 that wins over all others and leaves such packets to software.
// `no` from 0; false: there is no such exception. *what: the packets, for people. Those of the
// second and the third kind, which are the same packets, are needed by narrowed flows only.
enum flow_exceptions {
    FLOW_EXCEPTIONS_ALWAYS,
    FLOW_EXCEPTIONS_FRAGMENTS,      // bit by bit
    FLOW_EXCEPTIONS_FRAGMENT_RANGE, // at once, for drivers that take an item's `last`
    FLOW_EXCEPTIONS_N,
};
bool flow_build_exception(enum flow_exceptions kind, unsigned no, uint16_t ethdev,
                          struct flow *flow, const char **what);
#define FLOW_EXCEPTIONS_MAX 24

// To build a flow by hand: begin, items and actions in their order, end. COUNT is there already.
void flow_begin(struct flow *flow, uint32_t group, uint32_t priority);
unsigned flow_add_item(struct flow *flow, enum rte_flow_item_type type); // index of its spec, mask
union flow_action_conf *flow_add_action(struct flow *flow, enum rte_flow_action_type type);
void flow_end(struct flow *flow);

// Writes `flow create PORT ... end` as testpmd reads it; returns what snprintf returns.
int flow_print(const struct flow *flow, char *buf, size_t size);
// The same, with rewriting always as set_* and dec_ttl.
int flow_print_effect(const struct flow *flow, char *buf, size_t size);
