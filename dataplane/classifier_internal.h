/* SPDX-License-Identifier: Apache-2.0 */
// What the classifier's files share. Nothing else includes it.
#pragma once

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "dataplane/classifier.h"
#include "dataplane/internal.h"

// Packets are classified by what they are first. Rules for IPv4 are looked at for IPv4 packets
// only, and need not compare what all those have in common: the EtherType and the prefix of
// IPv4-mapped addresses.
enum key_class {
    KEY_IPV4,
    KEY_IPV6,
    KEY_OTHER,
    KEY_ODD, // EtherType IPv4, addresses that are not IPv4-mapped: everything is compared
    KEY_CLASSES
};

// A rule's class: one of the first three, or RULE_ANY, which is for packets of every class.
#define RULE_ANY KEY_CLASSES

enum key_class key_class(const struct match_key *key);
unsigned rule_class(const struct cls_rule *rule);
// Whether all packets of a class have in a word of the key what this mask asks for.
bool word_implied(unsigned class, unsigned word, uint32_t mask);

static inline const uint32_t *key_words(const struct match_key *key)
{
    return (const uint32_t *)key;
}

static inline bool rule_visible(const struct cls_rule *rule, uint64_t version)
{
    return __atomic_load_n(&rule->add_version, __ATOMIC_RELAXED) <= version &&
           version < __atomic_load_n(&rule->remove_version, __ATOMIC_RELAXED);
}

// Memory that readers may still look at: freed when they cannot any more.
struct garbage {
    struct garbage *next;
    uint64_t token; // of rte_rcu_qsbr_start
    void (*free)(void *);
    void *p;
    size_t size;
};

struct memory {
    size_t budget, bytes;
    struct garbage *first, **last; // oldest first
};

void memory_init(struct memory *memory, size_t budget);
// Zeroed, at the start of a cache line; NULL if the budget or the machine has no more.
void *memory_alloc(struct memory *memory, size_t size);
void memory_free(struct memory *memory, void *p, size_t size);
// Frees p, which no reader will find any more, once none can hold it: by `release`, or free.
void memory_retire(struct memory *memory, void *p, size_t size, void (*release)(void *));
// Frees what no reader can hold any more; all: whether they can or not.
void memory_collect(struct memory *memory, bool all);

// classifier_hash.c: a set of rules in hash tables, one for each mask.
#define MASK_BUCKETS 256
struct mask_table;
struct mask_list;
struct mask_set {
    struct memory *memory;
    size_t next_offset; // in cls_rule: the chain of rules with the same spec and mask
    struct mask_list *list[KEY_CLASSES]; // tables to search for packets of a class, best first
    struct mask_table *bucket[MASK_BUCKETS];
    uint32_t n_rules, n_masks;
    bool untidy; // mask_set_tidy has something to do
};

void mask_set_init(struct mask_set *set, struct memory *memory, size_t next_offset);
// Nobody may be looking at it any more.
void mask_set_fini(struct mask_set *set);
// -ENOSPC, and it is as it was. Sets rule->hash.
int mask_set_insert(struct mask_set *set, struct cls_rule *rule);
void mask_set_remove(struct mask_set *set, struct cls_rule *rule);
// Sorts tables by the order of their best rule, drops empty ones. The control thread, now and then.
void mask_set_tidy(struct mask_set *set);
// How many tables packets of a class have to be looked up in.
unsigned mask_set_tables(const struct mask_set *set, enum key_class class);
// Improves hits[i], a rule or NULL, to a visible rule of a higher order if there is one that
// matches keys[i]. All keys are of the class.
void mask_set_lookup(const struct mask_set *set, enum key_class class, uint64_t version,
                     const struct match_key *const keys[], unsigned n, struct cls_rule *hits[]);
