/* SPDX-License-Identifier: Apache-2.0 */
// Rules in hash tables, one for each mask: the control thread's side. Readers go on meanwhile.
#include "dataplane/classifier_hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/classifier_sieve.h"

// With more tables than this a sieve costs less than looking into all of them.
#define SIEVE_TABLES 2
// From so many rules on a sieve is a fine one if it can: it takes 512 KiB for each two bytes.
#define FINE_RULES 100

static bool in_list(unsigned class, enum key_class list)
{
    return class == RULE_ANY || class == (unsigned)list || (class == KEY_IPV4 && list == KEY_ODD);
}

static uint64_t slot_of(const struct cls_rule *rule)
{
    return (uint64_t)(uintptr_t)rule | (uint64_t)(rule->hash >> 16) << 48;
}

static unsigned bucket_of(const struct match_key *mask, unsigned class)
{
    return rte_hash_crc(mask, sizeof *mask, class) % MASK_BUCKETS;
}

static struct mask_table *table_find(const struct mask_set *set, const struct match_key *mask,
                                     unsigned class)
{
    struct mask_table *table = set->bucket[bucket_of(mask, class)];

    while (table && (table->class != class || memcmp(&table->mask, mask, sizeof *mask)))
        table = table->next;
    return table;
}

// Raises the bound of a table to an order, in a list.
static void list_raise(struct mask_list *list, uint32_t at, uint64_t bound)
{
    // First those before it: a reader that stops too late loses nothing.
    for (uint32_t i = at + 1; i-- > 0 && list->entry[i].bounds < bound;)
        __atomic_store_n(&list->entry[i].bounds, bound, __ATOMIC_RELAXED);
    if (list->entry[at].bound < bound)
        __atomic_store_n(&list->entry[at].bound, bound, __ATOMIC_RELEASE);
}

static int list_reserve(struct mask_set *set, enum key_class class)
{
    struct mask_list *list = set->list[class], *larger;
    uint32_t n = list ? list->n : 0, max = n ? 2 * n : 4;

    if (list && n < list->max)
        return 0;
    larger = memory_alloc(set->memory, LIST_SIZE(max));
    if (!larger)
        return -ENOSPC;
    if (list)
        memcpy(larger, list, LIST_SIZE(n));
    larger->max = max;
    store_release(&set->list[class], larger);
    if (list)
        memory_retire(set->memory, list, LIST_SIZE(list->max), NULL);
    return 0;
}

static void list_append(struct mask_set *set, enum key_class class, struct mask_table *table)
{
    struct mask_list *list = set->list[class];

    table->at[class] = list->n;
    list->entry[list->n].table = table;
    list->entry[list->n].bound = list->entry[list->n].bounds = 0;
    store_release(&list->n, list->n + 1);
}

static struct slots *slots_new(struct mask_set *set, uint32_t n)
{
    struct slots *slots = memory_alloc(set->memory, SLOTS_SIZE(n));

    if (slots)
        slots->mask = n - 1;
    return slots;
}

static void slots_free(struct memory *memory, struct slots *slots)
{
    memory_free(memory, slots, SLOTS_SIZE(slots->mask + 1));
}

static void table_longs(struct mask_table *table)
{
    const uint32_t *words = key_words(&table->mask);
    const uint64_t *longs = (const uint64_t *)&table->mask;
    unsigned n = 0;

    for (unsigned i = 0; i < KEY_LONGS; i++) {
        if ((!words[2 * i] || word_implied(table->class, 2 * i, words[2 * i])) &&
            (!words[2 * i + 1] || word_implied(table->class, 2 * i + 1, words[2 * i + 1])))
            continue;
        if (n < FEW) {
            table->at_long[n] = (uint8_t)i;
            table->long_mask[n] = longs[i];
        }
        n++;
    }
    table->few = n <= FEW;
}

// The bytes that tables of the list look at, but for those that all packets of the class share.
static void list_bytes(const struct mask_list *list, enum key_class class,
                       bool used[sizeof(struct match_key)])
{
    memset(used, 0, sizeof(struct match_key));
    for (uint32_t i = 0; i < list->n; i++) {
        const uint32_t *mask = key_words(&list->entry[i].table->mask);

        for (unsigned b = 0; b < sizeof(struct match_key); b++)
            if (((const uint8_t *)mask)[b] && !word_implied(class, b / 4, mask[b / 4]))
                used[b] = true;
    }
}

static void sieve_publish(struct mask_set *set, enum key_class class, struct sieve *sieve)
{
    struct sieve *old = set->sieve[class];

    store_release(&set->sieve[class], sieve);
    if (old)
        memory_retire(set->memory, old, old->size, NULL);
}

static bool fine_wanted(const struct mask_set *set, const struct mask_list *list)
{
    return set->n_rules >= FINE_RULES && list->n <= 64;
}

// Makes a sieve of all tables for packets of the class; without memory, or where all look at the
// same, there is none.
static void sieve_make(struct mask_set *set, enum key_class class)
{
    const struct mask_list *list = set->list[class];
    bool fine = fine_wanted(set, list), used[sizeof(struct match_key)];
    struct sieve *sieve;

    list_bytes(list, class, used);
    sieve = fine ? sieve_new(set->memory, used, list->n, true) : NULL;
    if (!sieve)
        sieve = sieve_new(set->memory, used, list->n + list->n / 4 + 1, false);
    for (uint32_t i = 0; i < list->n && sieve; i++) {
        struct mask_table *table = list->entry[i].table;

        table->number[class] = i;
        sieve_add_table(sieve, i, table, &table->mask);
        for (uint32_t s = 0; s <= table->slots->mask; s++)
            if (table->slots->slot[s] > SLOT_DELETED)
                sieve_add_spec(sieve, i, &table->mask, &slot_rule(table->slots->slot[s])->spec);
    }
    sieve_publish(set, class, sieve);
}

// Adds the table, which is in the list, to the class's sieve.
static void sieve_admit(struct mask_set *set, enum key_class class, struct mask_table *table)
{
    struct sieve *sieve = set->sieve[class];
    uint32_t number = 0;

    if (!sieve) {
        if (class != KEY_ODD && set->list[class]->n > SIEVE_TABLES)
            sieve_make(set, class);
        return;
    }
    while (number < sieve_max(sieve) && sieve->table[number])
        number++;
    if (number == sieve_max(sieve)) {
        sieve_make(set, class);
        return;
    }
    table->number[class] = number;
    sieve_add_table(sieve, number, table, &table->mask);
    for (unsigned b = 0; b < sizeof(struct match_key); b++)
        if (((uint8_t *)&table->mask)[b] && !sieve_sees(sieve, b) &&
            !word_implied(class, b / 4, key_words(&table->mask)[b / 4]))
            set->sieve_blind = set->untidy = true;
}

static struct mask_table *table_new(struct mask_set *set, const struct match_key *mask,
                                    unsigned class)
{
    struct mask_table *table, **bucket = &set->bucket[bucket_of(mask, class)];

    for (unsigned c = 0; c < KEY_CLASSES; c++)
        if (in_list(class, c) && list_reserve(set, c))
            return NULL;
    table = memory_alloc(set->memory, sizeof *table);
    if (!table)
        return NULL;
    table->slots = slots_new(set, SLOTS_MIN);
    if (!table->slots) {
        memory_free(set->memory, table, sizeof *table);
        return NULL;
    }
    table->mask = *mask;
    table->class = class;
    table_longs(table);
    table->next = *bucket;
    *bucket = table;
    set->n_masks++;
    set->untidy = true;
    for (unsigned c = 0; c < KEY_CLASSES; c++)
        if (in_list(class, c)) {
            list_append(set, c, table);
            sieve_admit(set, c, table);
        }
    return table;
}

// The slot with the rule's spec; if there is none, where it would be put: the first that is free.
static uint64_t *slot_find(const struct mask_table *table, const struct cls_rule *rule)
{
    struct slots *slots = table->slots;
    uint64_t *spare = NULL;

    for (uint32_t at = rule->hash & slots->mask;; at = (at + 1) & slots->mask) {
        uint64_t *slot = &slots->slot[at];

        if (*slot == SLOT_EMPTY)
            return spare ? spare : slot;
        if (*slot == SLOT_DELETED) {
            if (!spare)
                spare = slot;
        } else if (slot_rule(*slot)->hash == rule->hash &&
                   !memcmp(&slot_rule(*slot)->spec, &rule->spec, sizeof rule->spec))
            return slot;
    }
}

// Twice as many slots as keys, at least: a search ends after two on average.
static int table_grow(struct mask_set *set, struct mask_table *table)
{
    struct slots *old = table->slots, *slots;

    if (2 * (table->n_taken + 1) <= old->mask + 1)
        return 0;
    slots = slots_new(set, rte_align32pow2(RTE_MAX(4 * (table->n + 1), (uint32_t)SLOTS_MIN)));
    if (!slots)
        return -ENOSPC;
    for (uint32_t i = 0; i <= old->mask; i++)
        if (old->slot[i] > SLOT_DELETED) {
            uint32_t at = slot_rule(old->slot[i])->hash & slots->mask;

            while (slots->slot[at])
                at = (at + 1) & slots->mask;
            slots->slot[at] = old->slot[i];
        }
    table->n_taken = table->n;
    store_release(&table->slots, slots);
    memory_retire(set->memory, old, SLOTS_SIZE(old->mask + 1), NULL);
    return 0;
}

int mask_set_insert(struct mask_set *set, struct cls_rule *rule, struct mask_table **in)
{
    unsigned class = rule_class(rule);
    struct mask_table *table = table_find(set, &rule->mask, class);
    struct cls_rule *before = NULL, *after;
    uint64_t *slot, bound = rule->order + 1;

    if (!table)
        table = table_new(set, &rule->mask, class);
    if (!table || table_grow(set, table)) {
        set->untidy = true; // a table may have been made for nothing
        return -ENOSPC;
    }
    rule->hash = hash_key(table, &rule->spec);
    for (unsigned c = 0; c < KEY_CLASSES; c++)
        if (in_list(class, c)) {
            set->untidy |= table->at[c] && set->list[c]->entry[table->at[c] - 1].bound < bound;
            list_raise(set->list[c], table->at[c], bound);
            if (set->sieve[c])
                sieve_add_spec(set->sieve[c], table->number[c], &table->mask, &rule->spec);
        }
    if (table->bound < bound)
        __atomic_store_n(&table->bound, bound, __ATOMIC_RELAXED);
    slot = slot_find(table, rule);
    if (*slot <= SLOT_DELETED) {
        table->n++;
        table->n_taken += *slot == SLOT_EMPTY;
        after = NULL;
    } else {
        for (after = slot_rule(*slot); after && after->order > rule->order;
             after = *next_of(set, after))
            before = after;
    }
    store_release(next_of(set, rule), after);
    if (before)
        store_release(next_of(set, before), rule);
    else
        store_release(slot, slot_of(rule));
    if (++set->n_rules == FINE_RULES)
        for (unsigned c = 0; c < KEY_ODD; c++)
            if (set->sieve[c] && !sieve_is_fine(set->sieve[c]) && fine_wanted(set, set->list[c]))
                set->sieve_blind = set->untidy = true;
    *in = table;
    return 0;
}

void mask_set_remove(struct mask_set *set, struct cls_rule *rule)
{
    struct mask_table *table = table_find(set, &rule->mask, rule_class(rule));
    struct slots *slots = table->slots;
    uint64_t *slot = slot_find(table, rule);
    struct cls_rule *first = slot_rule(*slot), *before = NULL;
    struct cls_rule *after = *next_of(set, rule);
    uint32_t at = (uint32_t)(slot - slots->slot);

    for (struct cls_rule *r = first; r != rule; r = *next_of(set, r))
        before = r;
    // The rule's own `next` stays, for who stands on it.
    if (before)
        store_release(next_of(set, before), after);
    else if (after)
        store_release(slot, slot_of(after));
    else {
        store_release(slot, SLOT_DELETED);
        table->n--;
        // Deleted slots at the end of a run are as good as empty: nobody's search goes past them.
        while (slots->slot[at] == SLOT_DELETED &&
               slots->slot[(at + 1) & slots->mask] == SLOT_EMPTY) {
            store_release(&slots->slot[at], SLOT_EMPTY);
            table->n_taken--;
            at = (at - 1) & slots->mask;
        }
    }
    if (table->bound == rule->order + 1 || !table->n)
        table->stale = set->untidy = true;
    set->n_rules--;
    set->untidy |= ++set->n_removed > set->n_rules;
}

static uint64_t table_bound(const struct mask_table *table)
{
    uint64_t bound = 0;

    for (uint32_t i = 0; i <= table->slots->mask; i++)
        if (table->slots->slot[i] > SLOT_DELETED)
            bound = RTE_MAX(bound, slot_rule(table->slots->slot[i])->order + 1);
    return bound;
}

static void table_retire(struct mask_set *set, struct mask_table *table)
{
    struct mask_table **from = &set->bucket[bucket_of(&table->mask, table->class)];

    while (*from != table)
        from = &(*from)->next;
    *from = table->next;
    set->n_masks--;
    for (unsigned c = 0; c < KEY_CLASSES; c++)
        if (in_list(table->class, c) && set->sieve[c])
            sieve_del_table(set->sieve[c], table->number[c]);
    memory_retire(set->memory, table->slots, SLOTS_SIZE(table->slots->mask + 1), NULL);
    memory_retire(set->memory, table, sizeof *table, NULL);
}

static bool table_unused(const struct mask_table *table)
{
    return !table->n && !table->pins;
}

static int by_bound(const void *a, const void *b)
{
    const struct mask_table *x = *(struct mask_table *const *)a,
                            *y = *(struct mask_table *const *)b;

    if (table_unused(x) != table_unused(y))
        return table_unused(x) ? 1 : -1;
    return (x->bound < y->bound) - (x->bound > y->bound);
}

// A list of these tables, which are sorted, as far as they are for packets of the class.
static struct mask_list *list_new(struct mask_set *set, enum key_class class,
                                  struct mask_table *const tables[], uint32_t n)
{
    struct mask_list *list = memory_alloc(set->memory, LIST_SIZE(n));

    if (!list)
        return NULL;
    list->max = n;
    for (uint32_t i = 0; i < n; i++)
        if (in_list(tables[i]->class, class)) {
            list->entry[list->n].table = tables[i];
            list->entry[list->n].bound = list->entry[list->n].bounds = tables[i]->bound;
            list->n++;
        }
    return list;
}

static void tidy_sieves(struct mask_set *set)
{
    bool again = set->sieve_blind || set->n_removed > set->n_rules;

    for (unsigned c = 0; c < KEY_ODD; c++)
        if (set->list[c]->n < SIEVE_TABLES && set->sieve[c])
            sieve_publish(set, c, NULL);
        else if (set->sieve[c] ? again : set->list[c]->n > SIEVE_TABLES)
            sieve_make(set, c);
    if (again)
        set->n_removed = 0;
    set->sieve_blind = false;
}

void mask_set_tidy(struct mask_set *set)
{
    struct mask_table **tables = calloc(set->n_masks + 1, sizeof *tables);
    struct mask_list *list[KEY_CLASSES] = {0}, *old;
    uint32_t n = 0, n_unused = 0;

    if (!tables || !set->untidy)
        goto out;
    for (unsigned b = 0; b < MASK_BUCKETS; b++)
        for (struct mask_table *table = set->bucket[b]; table; table = table->next) {
            if (table->stale)
                __atomic_store_n(&table->bound, table_bound(table), __ATOMIC_RELAXED);
            table->stale = false;
            tables[n++] = table;
            n_unused += table_unused(table);
        }
    // Unused tables come last.
    qsort(tables, n, sizeof *tables, by_bound);
    for (unsigned c = 0; c < KEY_CLASSES; c++)
        if (!(list[c] = list_new(set, c, tables, n - n_unused))) {
            for (unsigned d = 0; d < c; d++)
                memory_free(set->memory, list[d], LIST_SIZE(list[d]->max));
            goto out; // another time
        }
    for (unsigned c = 0; c < KEY_CLASSES; c++) {
        for (uint32_t i = 0; i < list[c]->n; i++)
            list[c]->entry[i].table->at[c] = i;
        old = set->list[c];
        store_release(&set->list[c], list[c]);
        if (old)
            memory_retire(set->memory, old, LIST_SIZE(old->max), NULL);
    }
    while (n_unused--)
        table_retire(set, tables[--n]);
    tidy_sieves(set);
    set->untidy = false;
out:
    free(tables);
}

void mask_set_init(struct mask_set *set, struct memory *memory, size_t next_offset)
{
    *set = (struct mask_set){.memory = memory, .next_offset = next_offset};
}

void mask_set_fini(struct mask_set *set)
{
    struct mask_table *table;

    for (unsigned b = 0; b < MASK_BUCKETS; b++)
        while ((table = set->bucket[b])) {
            set->bucket[b] = table->next;
            slots_free(set->memory, table->slots);
            memory_free(set->memory, table, sizeof *table);
        }
    for (unsigned c = 0; c < KEY_CLASSES; c++) {
        if (set->list[c])
            memory_free(set->memory, set->list[c], LIST_SIZE(set->list[c]->max));
        if (set->sieve[c])
            memory_free(set->memory, set->sieve[c], set->sieve[c]->size);
    }
    mask_set_init(set, set->memory, set->next_offset);
}

unsigned mask_set_largest(const struct mask_set *set, enum key_class class,
                          struct mask_table *tables[DIRECT_MAX])
{
    const struct mask_list *list = set->list[class];
    unsigned n = 0, to;

    for (uint32_t i = 0; list && i < list->n; i++) {
        struct mask_table *table = list->entry[i].table;

        if (table->n < DIRECT_MIN)
            continue;
        for (to = n; to && tables[to - 1]->n < table->n; to--)
            if (to < DIRECT_MAX)
                tables[to] = tables[to - 1];
        if (to < DIRECT_MAX)
            tables[to] = table;
        n = RTE_MIN(n + 1, (unsigned)DIRECT_MAX);
    }
    return n;
}

void mask_table_pin(struct mask_table *table, int pins)
{
    table->pins += pins;
}

bool mask_table_has(const struct mask_table *table, enum key_class class)
{
    return in_list(table->class, class);
}
