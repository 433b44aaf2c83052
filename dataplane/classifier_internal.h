/* SPDX-License-Identifier: Apache-2.0 */
// What the classifier's files share. Nothing else includes it.
#pragma once

#include <rte_branch_prediction.h>
#include <rte_common.h>

#include "dataplane/classifier.h"
#include "dataplane/internal.h"
#include "dataplane/memory.h"

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

// classifier_hash.c: a set of rules in hash tables, one for each mask; mask_*_lookup:
// classifier_lookup.c.
#define MASK_BUCKETS 256
struct mask_table;
struct mask_list;
struct sieve;
struct mask_set {
    struct memory *memory;
    size_t next_offset; // in cls_rule: the chain of rules with the same spec and mask
    struct mask_list *list[KEY_CLASSES]; // tables to search for packets of a class, best first
    struct mask_table *bucket[MASK_BUCKETS];
    struct sieve *sieve[KEY_CLASSES]; // which of them; NULL: look into all, they are few
    uint32_t n_rules, n_masks;
    uint32_t n_removed; // since the sieves were made; they let pass what was removed
    bool sieve_blind;   // a sieve could tell more than it does
    bool untidy;        // mask_set_tidy has something to do
};

void mask_set_init(struct mask_set *set, struct memory *memory, size_t next_offset);
// Empties it, which nobody may be looking at any more.
void mask_set_fini(struct mask_set *set);
// -ENOSPC, and it is as it was. Sets rule->hash, and *table to the table that holds it (which goes
// when it is empty and not pinned).
int mask_set_insert(struct mask_set *set, struct cls_rule *rule, struct mask_table **table);
void mask_set_remove(struct mask_set *set, struct cls_rule *rule);
// Sorts tables by the order of their best rule, drops empty ones. The control thread, now and then.
void mask_set_tidy(struct mask_set *set);
// Improves hits[i], a rule or NULL, to a visible rule of a higher order if there is one that
// matches keys[i]. All keys are of the class.
void mask_set_lookup(const struct mask_set *set, enum key_class class, uint64_t version,
                     const struct match_key *const keys[], unsigned n, struct cls_rule *hits[]);

// Finds up to DIRECT_MAX tables of at least DIRECT_MIN rules for packets of a class: those that are
// worth a lookup of their own. Returns how many.
#define DIRECT_MAX 2
#define DIRECT_MIN 4096
unsigned mask_set_largest(const struct mask_set *set, enum key_class class,
                          struct mask_table *tables[DIRECT_MAX]);
// A table that is pinned stays while it is empty.
void mask_table_pin(struct mask_table *table, int pins);
bool mask_table_has(const struct mask_table *table, enum key_class class);
// Like mask_set_lookup, in one table.
void mask_table_lookup(const struct mask_set *set, const struct mask_table *table,
                       enum key_class class, uint64_t version, const struct match_key *const keys[],
                       unsigned n, struct cls_rule *hits[]);

// The cycles a packet from which on hash tables are compiled into an acl, and the rules up to which
// that is vectors and stays so. For tests.
extern unsigned cls_acl_worth, cls_vectors_rules;

// classifier_acl.c: rules compiled, to vectors of our own or by rte_acl to tries.
#define ACL_CLASSES 3 // KEY_IPV4, KEY_IPV6, KEY_OTHER

// A rule as it was when a build began.
struct acl_source {
    struct match_key spec, mask;
    uint64_t order;
    unsigned class;
};

struct acl {
    // Of one of the two; NULL: no rule is for packets of the class.
    struct vectors *vectors[ACL_CLASSES];
    struct rte_acl_ctx *tries[ACL_CLASSES];
    bool is_tries;
    bool compiled[ACL_CLASSES]; // false: few masks, the hash tables are cheaper
    uint64_t serial;            // rules up to this one are in it
    unsigned generation;
    uint32_t n_rules, n_dead; // n_dead: of them removed since
    size_t bytes;
    // Tables whose rules are not in it, as a lookup in each costs less and they can change in
    // place.
    struct mask_table *direct[DIRECT_MAX * ACL_CLASSES];
    unsigned n_direct;
    struct cls_rule *rule[]; // by number; NULL: removed since
};

// Compiles the sources for the classes that acl->compiled says, and takes those back that are not
// worth it; source i is rule number i. Takes up to max_bytes: vectors of the C library's memory,
// tries of DPDK's heap. Slow: vectors take milliseconds, tries up to minutes. -ENOSPC: it would be
// larger; -ENOMEM: the memory or rte_acl's limits do not do; -ENOTSUP: no class is worth it.
int acl_build(struct acl *acl, const struct acl_source *sources, uint32_t n, size_t max_bytes);
size_t acl_vectors_size(const struct acl *acl);
// Frees what is compiled, may take milliseconds, and acl.
void acl_free(struct acl *acl);
// For each key, all of one compiled class, the number of the best rule + 1, or 0.
void acl_lookup(const struct acl *acl, enum key_class class, const struct match_key *const keys[],
                unsigned n, uint32_t numbers[]);

// classifier_vectors.c: for n sources by their numbers, the best first, and the bytes of a key that
// they look at, at least one. Frees like malloc. NULL: it would be larger than max_bytes, or there
// is no memory.
struct vectors *vectors_new(const struct acl_source *sources, const uint32_t numbers[], uint32_t n,
                            const bool used[sizeof(struct match_key)], size_t max_bytes);
size_t vectors_size(const struct vectors *vectors);
// Like acl_lookup.
void vectors_lookup(const struct vectors *vectors, const struct match_key *const keys[], unsigned n,
                    uint32_t numbers[]);

// classifier_build.c: for all classifiers a thread that builds vectors, one after another, and one
// for tries.
struct acl_job {
    struct acl_job *next;
    struct acl *acl;
    struct acl_source *sources; // [acl->n_rules]
    size_t max_bytes;
    bool is_tries; // the acl
    int result;
    uint64_t us; // how long it took
    bool done;
    bool abandoned; // nobody waits for it: the thread frees it
};
// Hands a job to its thread, which is started at the first. -EAGAIN: there can be none.
int acl_job_start(struct acl_job *job);
bool acl_job_done(const struct acl_job *job);
// Frees a job that is not wanted any more, started or done, with its acl.
void acl_job_abandon(struct acl_job *job);
// Frees an acl there: that may take milliseconds.
void acl_free_later(struct acl *acl);
