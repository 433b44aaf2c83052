/* SPDX-License-Identifier: Apache-2.0 */
// IPv4 destination -> what becomes of the packet, exact match. An open-addressed table of 32-byte
// slots that hold key and result together: one cache line a lookup, where rte_hash touches three
// (docs/decisions.md).
//
// One writer, the control thread; readers are workers between two quiescent states. A slot's key is
// written last, and a slot is used again only after no reader can have seen its last user.
#pragma once

#include <rte_hash_crc.h>
#include <rte_prefetch.h>

#include "dataplane/internal.h"

// A slot's key: an address and EXACT4_KEY, or one of these, which no address equals: a packet may
// be for 0.0.0.0 or 255.255.255.255 as well.
#define EXACT4_EMPTY   0
#define EXACT4_DELETED 1
#define EXACT4_KEY     (UINT64_C(1) << 32)

struct exact4_slot {
    uint64_t key;
    struct fwd_entry entry;
    uint32_t unused;
};
_Static_assert(sizeof(struct exact4_slot) == 32, "two slots to a cache line");

struct exact4 {
    uint32_t mask;    // number of slots - 1
    uint32_t n;       // keys in it
    uint32_t n_taken; // slots that are not EXACT4_EMPTY
    struct exact4_slot slots[] __rte_cache_aligned;
};

// For at least `n` keys. NULL: no memory. Free with rte_free.
struct exact4 *exact4_new(uint32_t n);
// Puts a key, which must not be there, into the table; replaces *table by a larger one where it has
// become too full (and frees the old one when no worker reads it). -ENOMEM, and the table is as it
// was.
int exact4_add(struct exact4 **table, rte_be32_t key, const struct fwd_entry *entry);
// False if the key is not there. Returns when no worker uses the entry any more.
bool exact4_del(struct exact4 *table, rte_be32_t key);

static inline uint32_t exact4_hash(rte_be32_t key)
{
    return rte_hash_crc_4byte(key, 0);
}

// The slot where a search for a key begins: to be fetched before it does.
static inline struct exact4_slot *exact4_first(struct exact4 *table, rte_be32_t key)
{
    return &table->slots[exact4_hash(key) & table->mask];
}

static inline struct exact4_slot *exact4_slot_of(struct fwd_entry *entry)
{
    return RTE_PTR_SUB(entry, offsetof(struct exact4_slot, entry));
}

// The key's entry, NULL if it is not there. `slot` is exact4_first(table, key).
static inline struct fwd_entry *exact4_find_from(struct exact4 *table, struct exact4_slot *slot,
                                                 rte_be32_t key)
{
    for (;;) {
        uint64_t found = load_acquire(&slot->key);

        if (likely(found == (EXACT4_KEY | key)))
            return &slot->entry;
        if (likely(found == EXACT4_EMPTY))
            return NULL;
        slot = slot == &table->slots[table->mask] ? table->slots : slot + 1;
    }
}

static inline struct fwd_entry *exact4_find(struct exact4 *table, rte_be32_t key)
{
    return exact4_find_from(table, exact4_first(table, key), key);
}
