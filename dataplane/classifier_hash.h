/* SPDX-License-Identifier: Apache-2.0 */
// The hash tables of a struct mask_set: classifier_hash.c changes them, classifier_lookup.c reads.
//
// A slot of a table holds the first of the rules that have the same spec and mask, the others
// follow it by order. A slot that once was taken is never passed over as empty while a rule behind
// it is there; arrays that become too small are replaced, and freed after a grace period.
#pragma once

#include <rte_hash_crc.h>

#include "dataplane/classifier_internal.h"

// A slot: a rule's address, and above it 16 bits of its hash.
#define SLOT_EMPTY   UINT64_C(0)
#define SLOT_DELETED UINT64_C(1)
#define SLOT_RULE    ((UINT64_C(1) << 48) - 1)

struct slots {
    uint32_t mask; // number of slots - 1
    uint64_t slot[];
};
#define SLOTS_MIN     8
#define SLOTS_SIZE(n) (sizeof(struct slots) + (n) * sizeof(uint64_t))

// Most masks look at a few of a key's 64-bit longs only. Their number is fixed, as loops whose
// length depends on the table cost more by mispredicted branches than by what they do.
#define FEW       4
#define KEY_LONGS (sizeof(struct match_key) / 8)
_Static_assert(KEY_LONGS == 13, "hash_key hashes 13 longs");

struct mask_table {
    struct slots *slots;
    uint64_t bound; // no rule's order + 1 is higher
    // What packets of the rules' class have to be compared in, if that is in so few longs.
    bool few;
    uint8_t at_long[FEW];
    uint64_t long_mask[FEW];
    struct match_key mask;

    // For the control thread.
    struct mask_table *next; // in the bucket
    unsigned class;
    uint32_t n, n_taken; // keys; slots that are not SLOT_EMPTY
    bool stale;          // the bound may be too high
    int pins;
    uint32_t at[KEY_CLASSES];     // where in the lists
    uint32_t number[KEY_CLASSES]; // in the sieves
};

struct mask_list {
    uint32_t n, max;
    struct {
        struct mask_table *table;
        uint64_t bound;  // of the table
        uint64_t bounds; // of this table and all that follow
    } entry[];
};
#define LIST_SIZE(n) (sizeof(struct mask_list) + (n) * sizeof(((struct mask_list *)0)->entry[0]))

static inline struct cls_rule **next_of(const struct mask_set *set, struct cls_rule *rule)
{
    return RTE_PTR_ADD(rule, set->next_offset);
}

static inline struct cls_rule *slot_rule(uint64_t slot)
{
    return (struct cls_rule *)(uintptr_t)(slot & SLOT_RULE & ~SLOT_DELETED);
}

static inline uint32_t hash_key(const struct mask_table *table, const struct match_key *key)
{
    const uint64_t *k = (const uint64_t *)key, *m = (const uint64_t *)&table->mask;
    uint32_t a = 0, b = 0;

    // Two chains, as each step of a CRC has to wait for the one before.
    if (likely(table->few)) {
        for (unsigned i = 0; i < FEW; i += 2) {
            a = rte_hash_crc_8byte(k[table->at_long[i]] & table->long_mask[i], a);
            b = rte_hash_crc_8byte(k[table->at_long[i + 1]] & table->long_mask[i + 1], b);
        }
    } else {
        for (unsigned i = 0; i < KEY_LONGS - 1; i += 2) {
            a = rte_hash_crc_8byte(k[i] & m[i], a);
            b = rte_hash_crc_8byte(k[i + 1] & m[i + 1], b);
        }
        a = rte_hash_crc_8byte(k[KEY_LONGS - 1] & m[KEY_LONGS - 1], a);
    }
    // The high half of the products: CRC is linear, and its low bits tell nothing of the high ones.
    return (uint32_t)((a * UINT64_C(0x9e3779b97f4a7c15) + b * UINT64_C(0xbf58476d1ce4e5b9)) >> 32);
}
