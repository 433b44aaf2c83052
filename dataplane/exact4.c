/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/exact4.h"

#include <errno.h>

#include <rte_malloc.h>

struct exact4 *exact4_new(uint32_t n)
{
    // At most half full, so a search ends after two slots on average.
    uint32_t size = rte_align32pow2(RTE_MAX(2 * n, 64u));
    struct exact4 *table =
        rte_zmalloc("exact4", sizeof *table + size * sizeof table->slots[0], RTE_CACHE_LINE_SIZE);

    if (table)
        table->mask = size - 1;
    return table;
}

static void put(struct exact4 *table, rte_be32_t key, const struct fwd_entry *entry)
{
    uint32_t at = exact4_hash(key) & table->mask;

    while (table->slots[at].key & EXACT4_KEY)
        at = (at + 1) & table->mask;
    table->n++;
    table->n_taken += table->slots[at].key == EXACT4_EMPTY;
    table->slots[at].entry = *entry;
    store_release(&table->slots[at].key, EXACT4_KEY | key);
}

int exact4_add(struct exact4 **published, rte_be32_t key, const struct fwd_entry *entry)
{
    struct exact4 *table = *published, *larger;

    if (2 * (table->n_taken + 1) > table->mask + 1) {
        // Twice as many as there are keys: deleted slots are left behind.
        larger = exact4_new(2 * (table->n + 1));
        if (!larger)
            return -ENOMEM;
        for (uint32_t at = 0; at <= table->mask; at++)
            if (table->slots[at].key & EXACT4_KEY)
                put(larger, (rte_be32_t)table->slots[at].key, &table->slots[at].entry);
        store_release(published, larger);
        rcu_wait();
        rte_free(table);
        table = larger;
    }
    put(table, key, entry);
    return 0;
}

bool exact4_del(struct exact4 *table, rte_be32_t key)
{
    struct fwd_entry *entry = exact4_find(table, key);
    struct exact4_slot *slot;
    uint32_t at;

    if (!entry)
        return false;
    slot = exact4_slot_of(entry);
    at = (uint32_t)(slot - table->slots);
    store_release(&slot->key, EXACT4_DELETED);
    rcu_wait();
    table->n--;
    // Deleted slots at the end of a run are as good as empty: nobody's search goes past them.
    while (table->slots[at].key == EXACT4_DELETED &&
           table->slots[(at + 1) & table->mask].key == EXACT4_EMPTY) {
        store_release(&table->slots[at].key, EXACT4_EMPTY);
        table->n_taken--;
        at = (at - 1) & table->mask;
    }
    return true;
}
