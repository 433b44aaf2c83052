/* SPDX-License-Identifier: Apache-2.0 */
// All rules that may go into NICs, found by what they match: the rules of a table that have the
// same priority level and the same mask are one tuple, with a hash table over their values. So the
// rules that overlap with one are found without looking at all. Used by one thread at a time.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "dataplane/rule.h"

#define PLAN_LEVEL_LAST (-1) // below all priorities

// in_port and struct match_fields.
#define PLAN_WORDS (1 + sizeof(struct match_fields) / sizeof(uint64_t))
struct plan_key {
    uint64_t word[PLAN_WORDS];
};

struct plan_tuple;

// A rule's place in the plan.
struct plan_node {
    enum rule_table table;
    int level; // the higher one wins, see flow_level()
    struct plan_key spec;
    struct plan_tuple *tuple;
    TAILQ_ENTRY(plan_node) next; // of the tuple, in the order of adding
    struct plan_node *chain;
    uint32_t hash;
};

// -ENOMEM.
int plan_add(struct plan_node *node, const struct match *match, enum rule_table table, int level);
void plan_remove(struct plan_node *node);
unsigned plan_count(enum rule_table table);

enum plan_side { PLAN_HIGHER, PLAN_SAME, PLAN_LOWER };
// Calls `visit` for each rule of the node's table on that side of its level that matches some of
// its packets, but the node itself; highest first. `visit` may not add or remove rules; false ends
// it. False: it was ended.
typedef bool plan_visit(struct plan_node *other, void *arg);
bool plan_overlaps(const struct plan_node *node, enum plan_side side, plan_visit *visit, void *arg);
// All rules of a table, highest first.
bool plan_each(enum rule_table table, plan_visit *visit, void *arg);
