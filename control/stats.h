/* SPDX-License-Identifier: Apache-2.0 */
// The answers of the reading methods, as docs/control-socket.md has them.
#pragma once

#include <stdbool.h>

#include "config/config.h"
#include "dataplane/dataplane.h"

struct json;

void stats_init(const struct config *config, bool hugepages);

struct json *stats_status(void);
struct json *stats_ports(void);
struct json *stats_pods(void);
struct json *stats_rules(void);
struct json *stats_counters(void); // the method `stats`
struct json *stats_workers(void);
struct json *stats_offload(void);
// `off`, `auto`, `require`
const char *stats_offload_mode(void);

// stats_openflow.c: of the status. What is wrong is added to `problems`.
struct json *stats_openflow(struct json *problems);
// Rules in all of the operator's tables.
uint64_t stats_policy_rules(void);

// What software did by a rule that is not for NICs only.
struct held_rule;
void stats_rule(const struct held_rule *held, struct dp_rule_stats *stats);

const char *stats_driver_name(enum dp_driver driver);
