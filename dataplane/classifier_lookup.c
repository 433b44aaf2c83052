/* SPDX-License-Identifier: Apache-2.0 */
// Looks packets up in hash tables, one for each mask, on workers: in each table, the one with the
// best rule first, until no table that is left can have a better one than was found; or, if they
// are many, in those that a sieve lets pass.
#include <rte_prefetch.h>

#include "dataplane/classifier_hash.h"
#include "dataplane/classifier_sieve.h"

// The first slot at or after `at` that may hold the hash; SLOT_EMPTY: none does.
static inline uint64_t probe(const struct slots *slots, uint32_t hash, uint32_t *at)
{
    uint64_t slot;

    for (;; (*at)++) {
        slot = load_acquire(&slots->slot[*at & slots->mask]);
        if (slot == SLOT_EMPTY || (slot > SLOT_DELETED && slot >> 48 == hash >> 16))
            return slot;
    }
}

// The best rule of a chain that the version sees.
static inline struct cls_rule *chain_visible(const struct mask_set *set, struct cls_rule *rule,
                                             uint64_t version)
{
    while (rule && unlikely(!rule_visible(rule, version)))
        rule = load_acquire(next_of(set, rule));
    return rule;
}

static inline bool key_matches(const struct mask_table *table, bool odd,
                               const struct match_key *key, const struct cls_rule *rule)
{
    const uint64_t *k = (const uint64_t *)key, *m = (const uint64_t *)&table->mask,
                   *spec = (const uint64_t *)&rule->spec;
    uint64_t differ = 0;

    if (likely(table->few && !odd))
        for (unsigned i = 0; i < FEW; i++)
            differ |= (k[table->at_long[i]] ^ spec[table->at_long[i]]) & table->long_mask[i];
    else
        for (unsigned i = 0; i < KEY_LONGS; i++)
            differ |= (k[i] & m[i]) ^ spec[i];
    return !differ;
}

// What is to be looked up: a key in a table.
struct query {
    const struct mask_table *table;
    const struct slots *slots;
    uint32_t hash, at;
    uint64_t slot;
    uint8_t key;
};
#define QUERIES_MAX 128

struct queries {
    const struct mask_set *set;
    const struct match_key *const *keys;
    struct cls_rule **hits;
    uint64_t version;
    bool odd; // the keys' class
    unsigned n;
    struct query query[QUERIES_MAX];
};

// What a rule must have more than, its order + 1, to better the hit so far.
static inline uint64_t to_better(const struct cls_rule *hit)
{
    return hit ? hit->order + 1 : 0;
}

static inline void queries_init(struct queries *q, const struct mask_set *set, enum key_class class,
                                uint64_t version, const struct match_key *const keys[],
                                struct cls_rule *hits[])
{
    q->set = set;
    q->keys = keys;
    q->hits = hits;
    q->version = version;
    q->odd = class == KEY_ODD;
    q->n = 0;
}

static inline void query_add(struct queries *q, const struct mask_table *table, unsigned key)
{
    struct query *query = &q->query[q->n++];

    query->table = table;
    query->key = (uint8_t)key;
}

// Each step for all of them, so that what one waits for is fetched while others go on.
static void queries_run(struct queries *q)
{
    uint8_t found[QUERIES_MAX];
    unsigned n = 0;

    for (unsigned j = 0; j < q->n; j++) {
        struct query *query = &q->query[j];

        query->slots = load_acquire(&query->table->slots);
        query->hash = query->at = hash_key(query->table, q->keys[query->key]);
        rte_prefetch0(&query->slots->slot[query->hash & query->slots->mask]);
    }
    for (unsigned j = 0; j < q->n; j++) {
        struct query *query = &q->query[j];

        query->slot = probe(query->slots, query->hash, &query->at);
        rte_prefetch0(slot_rule(query->slot));
        rte_prefetch0(RTE_PTR_ADD(slot_rule(query->slot), RTE_CACHE_LINE_SIZE));
        // No branch: whether there is a rule is anyone's guess.
        found[n] = (uint8_t)j;
        n += query->slot != SLOT_EMPTY;
    }
    for (unsigned j = 0; j < n; j++) {
        struct query *query = &q->query[found[j]];
        struct cls_rule *rule = slot_rule(query->slot);

        while (rule && unlikely(!key_matches(query->table, q->odd, q->keys[query->key], rule))) {
            query->at++;
            rule = slot_rule(probe(query->slots, query->hash, &query->at));
        }
        rule = chain_visible(q->set, rule, q->version);
        if (rule && rule->order + 1 > to_better(q->hits[query->key]))
            q->hits[query->key] = rule;
    }
    q->n = 0;
}

// Keys whose hit so far may be bettered, in one table.
static void query_table(struct queries *q, const struct mask_table *table, uint64_t bound,
                        unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (to_better(q->hits[i]) < bound)
            query_add(q, table, i);
    queries_run(q);
}

// In all tables of the list, until none that is left has a better rule.
static void query_list(struct queries *q, const struct mask_list *list, unsigned n)
{
    uint32_t n_tables = load_acquire(&list->n);

    for (uint32_t t = 0; t < n_tables; t++) {
        uint64_t worst = UINT64_MAX;

        for (unsigned i = 0; i < n; i++)
            worst = RTE_MIN(worst, to_better(q->hits[i]));
        if (worst >= __atomic_load_n(&list->entry[t].bounds, __ATOMIC_RELAXED))
            return;
        query_table(q, list->entry[t].table,
                    __atomic_load_n(&list->entry[t].bound, __ATOMIC_ACQUIRE), n);
    }
}

// The tables of one of the sieve's parts that are worth a look.
static inline void query_part(struct queries *q, const struct sieve *sieve, uint32_t part,
                              unsigned key)
{
    sieve_bits tables = sieve_tables(sieve, q->keys[key], part);

    for (unsigned words = sieve_words(tables); words; words &= words - 1) {
        unsigned w = (unsigned)__builtin_ctz(words);

        for (uint64_t bits = tables[w]; bits; bits &= bits - 1) {
            const struct mask_table *table = load_acquire(
                &sieve->table[part * SIEVE_BITS + w * 64 + (unsigned)__builtin_ctzll(bits)]);

            if (unlikely(!table))
                continue;
            query_add(q, table, key);
            rte_prefetch0(table);
            rte_prefetch0(RTE_PTR_ADD(table, RTE_CACHE_LINE_SIZE));
            if (unlikely(q->n == QUERIES_MAX))
                queries_run(q);
        }
    }
}

static void query_sieved(struct queries *q, const struct sieve *sieve, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        for (uint32_t part = 0; part < sieve->stride / (SIEVE_BITS / 64); part++)
            query_part(q, sieve, part, i);
    queries_run(q);
}

// Of these tables, the one that may have the best rule, if that is more than `most`; or NULL. Takes
// it out, or all.
static inline const struct mask_table *take_best(const struct sieve *sieve, uint64_t *tables,
                                                 uint64_t most)
{
    const struct mask_table *best = NULL;
    uint64_t taken = 0;

    for (uint64_t bits = *tables, bit; bits; bits ^= bit) {
        const struct mask_table *table =
            load_acquire(&sieve->table[(unsigned)__builtin_ctzll(bits)]);
        uint64_t bound = table ? __atomic_load_n(&table->bound, __ATOMIC_RELAXED) : 0;

        bit = bits & -bits;
        if (bound > most) {
            most = bound;
            best = table;
            taken = bit;
        }
    }
    *tables = best ? *tables & ~taken : 0;
    return best;
}

// By a fine sieve: for each key in one table after another, the one that may have the best rule
// first, until no table that is left can have a better one than was found. Where the longest prefix
// wins, that is soon.
static void query_fine(struct queries *q, const struct sieve *sieve, unsigned n)
{
    uint64_t tables[CLS_BURST];
    uint8_t left[CLS_BURST];

    for (unsigned i = 0; i < n; i++) {
        tables[i] = sieve_few(sieve, q->keys[i]);
        left[i] = (uint8_t)i;
    }
    while (n) {
        unsigned more = 0;

        for (unsigned j = 0; j < n; j++) {
            unsigned i = left[j];
            const struct mask_table *table = take_best(sieve, &tables[i], to_better(q->hits[i]));

            if (!table)
                continue;
            query_add(q, table, i);
            left[more] = (uint8_t)i;
            more += tables[i] != 0;
        }
        queries_run(q);
        n = more;
    }
}

void mask_table_lookup(const struct mask_set *set, const struct mask_table *table,
                       enum key_class class, uint64_t version, const struct match_key *const keys[],
                       unsigned n, struct cls_rule *hits[])
{
    struct queries q;

    queries_init(&q, set, class, version, keys, hits);
    query_table(&q, table, __atomic_load_n(&table->bound, __ATOMIC_RELAXED), n);
}

void mask_set_lookup(const struct mask_set *set, enum key_class class, uint64_t version,
                     const struct match_key *const keys[], unsigned n, struct cls_rule *hits[])
{
    const struct mask_list *list = load_acquire(&set->list[class]);
    const struct sieve *sieve = load_acquire(&set->sieve[class]);
    struct queries q;

    if (!list || !load_acquire(&list->n))
        return;
    queries_init(&q, set, class, version, keys, hits);
    if (sieve && sieve_is_fine(sieve))
        query_fine(&q, sieve, n);
    else if (sieve)
        query_sieved(&q, sieve, n);
    else
        query_list(&q, list, n);
}
