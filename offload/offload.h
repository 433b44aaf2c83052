/* SPDX-License-Identifier: Apache-2.0 */
// Puts rules into the NIC where its driver can, and knows of each rule whether it is there and if
// not, why. All functions are for the control thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/rule.h"

enum offload_mode { OFFLOAD_OFF, OFFLOAD_AUTO, OFFLOAD_REQUIRE };

// Tells for a port number of ours the DPDK port id to use in rte_flow items and actions and on
// which rules that come in by it are created. Negative errno: the port is none of a NIC with
// transfer rules (-ENODEV), with the reason why (a static string).
typedef int offload_port_fn(uint16_t port, uint16_t *ethdev, const char **why);

struct offload_rule; // opaque: one rule's life in the NIC

// mode off: no rule is tried, each says so. Call again only when all rules are removed.
void offload_init(enum offload_mode mode, offload_port_fn *port_of);
// Tries to put a rule into the NIC: builds it, validates, creates. Never fails for the caller: a
// rule that cannot be in the NIC is in software only, and says why. Takes a copy. The caller frees
// with offload_remove. NULL only if memory is short. May also take rules out of the NIC that this
// one overrides, if it cannot be there itself.
struct offload_rule *offload_add(const struct rule *rule);
// Takes the rule out of the NIC and frees it. NULL is fine. Rules that waited for this one to go
// are tried again.
void offload_remove(struct offload_rule *orule);

bool offload_in_nic(const struct offload_rule *orule);
// One plain sentence with the driver's error; "" if it is in the NIC. Valid until the next
// offload_add or offload_remove.
const char *offload_why_not(const struct offload_rule *orule);
// The rule as a testpmd command, `flow create 0 group 2 ... end`; also for rules that are not in
// the NIC. If it cannot be said in rte_flow, a line beginning with `# `. Returns what snprintf
// returns.
int offload_format_testpmd(const struct offload_rule *orule, char *buf, size_t size);
// What the NIC itself did by the rule since it is there. -ENOENT if it is not; else the driver's
// error.
int offload_stats(const struct offload_rule *orule, uint64_t *packets, uint64_t *bytes);
