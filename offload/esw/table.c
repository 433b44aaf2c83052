/* SPDX-License-Identifier: Apache-2.0 */
// Tuple space search: the rules of a group that have the same mask are one hash table, and a packet
// looks into those tables by their best priority.
#include "offload/esw/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_jhash.h>

#define GROUP_BUCKETS 64

// Keys are compared and hashed in words.
typedef uint64_t __attribute__((may_alias)) word;

struct tuple {
    LIST_ENTRY(tuple) next; // of its group, best priority first
    struct esw_key mask;
    uint32_t best;    // lowest priority number that a rule of it had since it was empty
    unsigned n, size; // rules; buckets, a power of two
    struct rte_flow **buckets;
};

struct group {
    LIST_ENTRY(group) next; // of its hash bucket
    uint32_t number;
    LIST_HEAD(, tuple) tuples;
};

struct esw_table {
    LIST_HEAD(, group) groups[GROUP_BUCKETS];
    uint64_t serial;
    unsigned n;
    enum esw_duplicates duplicates;
};

static uint32_t hash_key(const struct esw_key *key, const struct esw_key *mask)
{
    const word *k = (const word *)key, *m = (const word *)mask;
    uint64_t masked[ESW_KEY_WORDS];

    for (unsigned i = 0; i < ESW_KEY_WORDS; i++)
        masked[i] = k[i] & m[i];
    return rte_jhash(masked, sizeof(masked), 0);
}

static bool in_range(const struct esw_range *range, const struct esw_key *key)
{
    const uint8_t *field = (const uint8_t *)key + range->offset;
    unsigned value = (range->size == 1 ? field[0] : field[0] << 8 | field[1]) & range->mask;

    return range->first <= value && value <= range->last;
}

static bool matches(const struct rte_flow *flow, const struct esw_key *key)
{
    const word *k = (const word *)key;
    const word *spec = (const word *)&flow->program.key;
    const word *mask = (const word *)&flow->program.mask;

    for (unsigned i = 0; i < ESW_KEY_WORDS; i++) {
        if ((k[i] & mask[i]) != spec[i])
            return false;
    }
    for (unsigned i = 0; i < flow->program.n_ranges; i++) {
        if (!in_range(&flow->program.ranges[i], key))
            return false;
    }
    return true;
}

// Do they match the same packets? Of two whose mask is the same.
static bool match_alike(const struct esw_program *a, const struct esw_program *b)
{
    return !memcmp(&a->key, &b->key, sizeof(a->key)) &&
           !memcmp(a->ranges, b->ranges, sizeof(a->ranges));
}

// The one of two rules, both of which match, that wins.
static bool wins(const struct esw_table *table, const struct rte_flow *a, const struct rte_flow *b)
{
    if (a->program.priority != b->program.priority)
        return a->program.priority < b->program.priority;
    if (table->duplicates == ESW_DUPLICATES_NEWEST_WINS)
        return a->serial > b->serial;
    return a->serial < b->serial;
}

struct esw_table *esw_table_create(enum esw_duplicates duplicates)
{
    struct esw_table *table = calloc(1, sizeof(*table));

    if (table)
        table->duplicates = duplicates;
    return table;
}

unsigned esw_table_size(const struct esw_table *table)
{
    return table->n;
}

static struct group *find_group(const struct esw_table *table, uint32_t number)
{
    struct group *group;

    LIST_FOREACH(group, &table->groups[number % GROUP_BUCKETS], next)
    {
        if (group->number == number)
            return group;
    }
    return NULL;
}

static struct tuple *find_tuple(const struct group *group, const struct esw_key *mask)
{
    struct tuple *tuple;

    LIST_FOREACH(tuple, &group->tuples, next)
    {
        if (!memcmp(&tuple->mask, mask, sizeof(*mask)))
            return tuple;
    }
    return NULL;
}

static void insert_tuple(struct group *group, struct tuple *tuple)
{
    struct tuple *other, *last = NULL;

    LIST_FOREACH(other, &group->tuples, next)
    {
        if (other->best > tuple->best)
            break;
        last = other;
    }
    if (last)
        LIST_INSERT_AFTER(last, tuple, next);
    else
        LIST_INSERT_HEAD(&group->tuples, tuple, next);
}

static void grow(struct tuple *tuple)
{
    unsigned size = tuple->size * 4;
    struct rte_flow **buckets = calloc(size, sizeof(*buckets));

    if (!buckets)
        return; // it works, slower
    for (unsigned i = 0; i < tuple->size; i++) {
        struct rte_flow *flow = tuple->buckets[i];

        while (flow) {
            struct rte_flow *next = flow->chain;

            flow->chain = buckets[flow->hash & (size - 1)];
            buckets[flow->hash & (size - 1)] = flow;
            flow = next;
        }
    }
    free(tuple->buckets);
    tuple->buckets = buckets;
    tuple->size = size;
}

static struct group *make_group(struct esw_table *table, uint32_t number)
{
    struct group *group = calloc(1, sizeof(*group));

    if (group) {
        group->number = number;
        LIST_INSERT_HEAD(&table->groups[number % GROUP_BUCKETS], group, next);
    }
    return group;
}

static struct tuple *make_tuple(struct group *group, const struct esw_program *program)
{
    struct tuple *tuple = calloc(1, sizeof(*tuple));

    if (!tuple)
        return NULL;
    tuple->mask = program->mask;
    tuple->best = program->priority;
    tuple->size = 16;
    tuple->buckets = calloc(tuple->size, sizeof(*tuple->buckets));
    if (!tuple->buckets) {
        free(tuple);
        return NULL;
    }
    insert_tuple(group, tuple);
    return tuple;
}

static void free_if_empty(struct tuple *tuple, struct group *group)
{
    if (tuple && tuple->n == 0) {
        LIST_REMOVE(tuple, next);
        free(tuple->buckets);
        free(tuple);
    }
    if (LIST_EMPTY(&group->tuples)) {
        LIST_REMOVE(group, next);
        free(group);
    }
}

int esw_table_add(struct esw_table *table, struct rte_flow *flow)
{
    const struct esw_program *program = &flow->program;
    struct group *group = find_group(table, program->group);
    struct tuple *tuple;
    struct rte_flow **bucket, *other;

    if (!group)
        group = make_group(table, program->group);
    if (!group)
        return -ENOMEM;
    tuple = find_tuple(group, &program->mask);
    if (!tuple)
        tuple = make_tuple(group, program);
    if (!tuple) {
        free_if_empty(NULL, group);
        return -ENOMEM;
    }
    flow->hash = hash_key(&program->key, &program->mask);
    for (other = tuple->buckets[flow->hash & (tuple->size - 1)]; other; other = other->chain) {
        if (table->duplicates == ESW_DUPLICATES_REFUSED &&
            other->program.priority == program->priority && match_alike(&other->program, program))
            return -EEXIST;
    }
    if (tuple->n >= tuple->size)
        grow(tuple);
    bucket = &tuple->buckets[flow->hash & (tuple->size - 1)];
    flow->chain = *bucket;
    *bucket = flow;
    flow->serial = table->serial++;
    tuple->n++;
    table->n++;
    if (program->priority < tuple->best) {
        tuple->best = program->priority;
        LIST_REMOVE(tuple, next);
        insert_tuple(group, tuple);
    }
    return 0;
}

void esw_table_del(struct esw_table *table, struct rte_flow *flow)
{
    struct group *group = find_group(table, flow->program.group);
    struct tuple *tuple = find_tuple(group, &flow->program.mask);
    struct rte_flow **link = &tuple->buckets[flow->hash & (tuple->size - 1)];

    while (*link != flow)
        link = &(*link)->chain;
    *link = flow->chain;
    tuple->n--;
    table->n--;
    free_if_empty(tuple, group);
}

struct rte_flow *esw_table_find(const struct esw_table *table, uint32_t number,
                                const struct esw_key *key)
{
    const struct group *group = find_group(table, number);
    struct rte_flow *best = NULL, *flow;
    const struct tuple *tuple;

    if (!group)
        return NULL;
    LIST_FOREACH(tuple, &group->tuples, next)
    {
        uint32_t hash;

        if (best && best->program.priority < tuple->best)
            break;
        hash = hash_key(key, &tuple->mask);
        for (flow = tuple->buckets[hash & (tuple->size - 1)]; flow; flow = flow->chain) {
            if (flow->hash != hash || !matches(flow, key))
                continue;
            if (!best || wins(table, flow, best))
                best = flow;
        }
    }
    return best;
}

void esw_table_free(struct esw_table *table)
{
    for (unsigned i = 0; i < GROUP_BUCKETS; i++) {
        struct group *group;

        while ((group = LIST_FIRST(&table->groups[i]))) {
            struct tuple *tuple;

            while ((tuple = LIST_FIRST(&group->tuples))) {
                LIST_REMOVE(tuple, next);
                free(tuple->buckets);
                free(tuple);
            }
            LIST_REMOVE(group, next);
            free(group);
        }
    }
    free(table);
}
