/* SPDX-License-Identifier: Apache-2.0 */
// One table of rules with priorities, compiled: which rule a packet matches. Knows keys, masks,
// orders and versions, and nothing of actions.
//
// Structures, each the cheapest that the rules allow: exact (all rules share few masks: hash
// tables, changed in place), acl (the rest: vectors of bits and, where rules are thousands,
// rte_acl, built by a thread of its own beside the live one and swapped, with hash tables by mask
// for what changed since). What a lookup costs depends on the rules, never on what was looked up
// before.
//
// Threads: insert, remove, poll and the statistics are for the control thread; lookup is for
// workers, lock-free and without waiting. Removed rules may be read by workers until a grace period
// (rcu_wait) is over.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/rule.h"

// What is classified: a packet's headers and the port it came in by. Compared as 32-bit words.
struct match_key {
    struct match_fields fields;
    rte_be16_t in_port;
    uint16_t zero[3];
};
#define MATCH_KEY_WORDS (sizeof(struct match_key) / 4)

// A rule as the classifier sees it; embedded in its owner's, best at the start of a cache line. The
// owner fills in the first part, may change the versions at any time (by aligned atomic stores) and
// nothing else while the rule is in a classifier. A packet of version v sees the rule if
// add_version <= v < remove_version.
struct cls_rule {
    uint64_t order;                       // unique; of those that match, the highest wins; not ~0
    uint64_t add_version, remove_version; // UINT64_MAX: not (yet)
    struct cls_rule *next;                // the classifier's own; here for the cache line
    struct match_key spec, mask;          // spec has no bit outside mask

    // The classifier's own.
    struct cls_rule *next_changed[2];
    struct mask_table *table;
    uint64_t serial;
    uint32_t hash;
    uint32_t at;
    uint32_t number[2];
};

struct budget;
struct classifier;

// `budget` bounds the memory of what it and others compile, and outlives it. NULL: no memory.
struct classifier *cls_new(const char *name, struct budget *budget);
// No worker may be in a lookup any more.
void cls_free(struct classifier *cls);

// -ENOSPC with a sentence that has the numbers: the budget does not hold one more.
int cls_insert(struct classifier *cls, struct cls_rule *rule, char **error);
// Takes a rule out that no packet sees any more (its remove_version is over for every worker). The
// caller frees it after another grace period.
void cls_remove(struct classifier *cls, struct cls_rule *rule);
// Finishes builds in the background, starts new ones, frees memory. Call it each turn of the
// control loop, and again within 20 ms while it returns true; it takes about a millisecond at most.
bool cls_poll(struct classifier *cls);
// The process is about to end: no build begins any more. False: one is under way, and DPDK's memory
// has to stay mapped to the end.
bool cls_stop(void);

#define CLS_BURST 64
// For each key the matching rule of the highest order that version sees, or NULL. n <= CLS_BURST.
void cls_lookup(const struct classifier *cls, uint64_t version,
                const struct match_key *const keys[], unsigned n, struct cls_rule *hits[]);

struct classifier_stats {
    const char *structure; // "empty", "exact", "hash" (by many masks), "vectors", "acl"
    uint32_t rules, masks;
    uint32_t delta; // rules that are not yet in what is compiled, and rules removed that still are
    uint64_t bytes;
    bool compiling; // in the background
    uint64_t builds, build_us_last;
    uint64_t refused_bytes; // the last build would have taken more; 0: there was room
};
void cls_stats(const struct classifier *cls, struct classifier_stats *stats);
