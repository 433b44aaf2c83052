/* SPDX-License-Identifier: Apache-2.0 */
// The rules that the daemon itself makes, for attachments and for ranges. Each goes to the software
// tables first and then to the NIC.
#pragma once

#include "config/config.h"
#include "dataplane/rule.h"
#include "offload/offload.h"

struct held_rule {
    struct held_rule *next, *prev;
    struct rule rule;
    uint64_t sequence; // order of adding
    uint32_t slot;     // for dp_rule_stats
    bool nic_only;     // software does so without a rule
    bool policy;       // the operator's: its slot is for dp_policy_stats
    struct offload_rule *offload;
};

// By the node's `offload`, `offload_prefer` and `mtu`. offload: require makes rules_add fail for a
// rule that cannot be in the NIC.
void rules_init(const struct config *config);
// Takes all rules out of the NIC and forgets them. The software's go with dp_fini, all at once.
void rules_fini(void);
// -ENOTSUP: `offload: require` and the NIC does not take it. Else what dp_rule_add says.
int rules_add(const struct rule *rule, struct held_rule **held, char **error);
// A rule that tells the NIC what software does anyway.
struct held_rule *rules_add_nic(const struct rule *rule);
// A rule of the operator's tables, which dp_policy_add has put into software.
struct held_rule *rules_add_policy(const struct rule *rule, uint32_t slot);
// NULL is fine. Those of the two kinds above are the caller's to take out of software.
void rules_remove(struct held_rule *held);
// Before a port is closed: waits until the NIC has no rule any more of those that were removed, or
// until it has taken too long.
void rules_settle(void);

// All of them, or those that neither are nic_only nor the operator's, ordered by table, priority
// (highest first) and age. The caller frees the array, not the rules.
struct held_rule **rules_sorted(bool all, size_t *n);
size_t rules_count(enum rule_table table);
// "yes": the rule is in the NIC, or "no: " and why; valid until the next call.
const char *rules_nic(const struct rule *rule);

// What pod port `port` with this MAC may send from this address.
struct rule rule_guard(uint16_t port, const uint8_t mac[6], const struct in6_addr *address,
                       const uint8_t router_mac[6]);
// What is for this address goes to that port.
struct rule rule_forward(uint16_t port, const uint8_t mac[6], const struct in6_addr *address,
                         const uint8_t router_mac[6]);
// What comes from this range and is for no pod goes to the uplinks.
struct rule rule_default(uint16_t range, const struct in6_addr *subnet, uint8_t prefix_len);
