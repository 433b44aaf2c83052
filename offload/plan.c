/* SPDX-License-Identifier: Apache-2.0 */
#include "offload/plan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_hash_crc.h>

#define BUCKETS_MIN 8

struct plan_tuple {
    TAILQ_ENTRY(plan_tuple) next; // of the table, highest level first
    int level;
    struct plan_key mask;
    TAILQ_HEAD(node_list, plan_node) nodes;
    unsigned n, size; // nodes; buckets, a power of two
    struct plan_node **buckets;
};

static TAILQ_HEAD(tuple_list, plan_tuple) tables[RULE_TABLE_N];
static unsigned counts[RULE_TABLE_N];

static_assert(sizeof(struct match_fields) % sizeof(uint64_t) == 0, "match_fields is whole words");

__attribute__((constructor)) static void init(void)
{
    for (unsigned i = 0; i < RULE_TABLE_N; i++)
        TAILQ_INIT(&tables[i]);
}

static struct plan_key make_key(uint16_t in_port, const struct match_fields *fields)
{
    struct plan_key key = {.word[0] = in_port};

    memcpy(&key.word[1], fields, sizeof(*fields));
    return key;
}

static uint32_t hash_masked(const struct plan_key *key, const struct plan_key *mask)
{
    uint32_t hash = 0;

    for (unsigned i = 0; i < PLAN_WORDS; i++)
        hash = rte_hash_crc_8byte(key->word[i] & mask->word[i], hash);
    return hash;
}

static struct plan_tuple *find_tuple(enum rule_table table, int level, const struct plan_key *mask)
{
    struct plan_tuple *tuple;

    TAILQ_FOREACH(tuple, &tables[table], next)
    {
        if (tuple->level < level)
            break;
        if (tuple->level == level && !memcmp(&tuple->mask, mask, sizeof(*mask)))
            return tuple;
    }
    return NULL;
}

static struct plan_tuple *make_tuple(enum rule_table table, int level, const struct plan_key *mask)
{
    struct plan_tuple *tuple = calloc(1, sizeof(*tuple)), *other;

    if (!tuple)
        return NULL;
    tuple->buckets = calloc(BUCKETS_MIN, sizeof(*tuple->buckets));
    if (!tuple->buckets) {
        free(tuple);
        return NULL;
    }
    tuple->size = BUCKETS_MIN;
    tuple->level = level;
    tuple->mask = *mask;
    TAILQ_INIT(&tuple->nodes);
    TAILQ_FOREACH(other, &tables[table], next)
    {
        if (other->level < level)
            break;
    }
    if (other)
        TAILQ_INSERT_BEFORE(other, tuple, next);
    else
        TAILQ_INSERT_TAIL(&tables[table], tuple, next);
    return tuple;
}

static void chain(struct plan_tuple *tuple, struct plan_node *node)
{
    struct plan_node **bucket = &tuple->buckets[node->hash & (tuple->size - 1)];

    node->chain = *bucket;
    *bucket = node;
}

static void grow(struct plan_tuple *tuple)
{
    struct plan_node **buckets = calloc(tuple->size * 4, sizeof(*buckets)), *node;

    if (!buckets)
        return; // it works, slower
    free(tuple->buckets);
    tuple->buckets = buckets;
    tuple->size *= 4;
    TAILQ_FOREACH(node, &tuple->nodes, next)
    chain(tuple, node);
}

int plan_add(struct plan_node *node, const struct match *match, enum rule_table table, int level)
{
    struct plan_key mask = make_key(match->in_port == PORT_NONE ? 0 : UINT16_MAX, &match->mask);
    struct plan_tuple *tuple = find_tuple(table, level, &mask);

    if (!tuple)
        tuple = make_tuple(table, level, &mask);
    if (!tuple)
        return -ENOMEM;
    node->table = table;
    node->level = level;
    node->spec = make_key(match->in_port, &match->spec);
    node->tuple = tuple;
    node->hash = hash_masked(&node->spec, &mask);
    if (tuple->n >= tuple->size)
        grow(tuple);
    TAILQ_INSERT_TAIL(&tuple->nodes, node, next);
    chain(tuple, node);
    tuple->n++;
    counts[table]++;
    return 0;
}

void plan_remove(struct plan_node *node)
{
    struct plan_tuple *tuple = node->tuple;
    struct plan_node **link = &tuple->buckets[node->hash & (tuple->size - 1)];

    while (*link != node)
        link = &(*link)->chain;
    *link = node->chain;
    TAILQ_REMOVE(&tuple->nodes, node, next);
    counts[node->table]--;
    if (--tuple->n)
        return;
    TAILQ_REMOVE(&tables[node->table], tuple, next);
    free(tuple->buckets);
    free(tuple);
}

unsigned plan_count(enum rule_table table)
{
    return counts[table];
}

static bool differ(const struct plan_key *a, const struct plan_key *b, const struct plan_key *mask)
{
    for (unsigned i = 0; i < PLAN_WORDS; i++) {
        if ((a->word[i] ^ b->word[i]) & mask->word[i])
            return true;
    }
    return false;
}

// The rules of a tuple that match some of the node's packets: those that agree with it in all bits
// that both look at.
static bool visit_tuple(const struct plan_node *node, struct plan_tuple *tuple, plan_visit *visit,
                        void *arg)
{
    struct plan_node *other, *next;
    struct plan_key common;

    for (unsigned i = 0; i < PLAN_WORDS; i++)
        common.word[i] = node->tuple->mask.word[i] & tuple->mask.word[i];
    // It looks at no bit that the node does not: one lookup.
    if (!memcmp(&common, &tuple->mask, sizeof(common))) {
        uint32_t hash = hash_masked(&node->spec, &common);

        for (other = tuple->buckets[hash & (tuple->size - 1)]; other; other = next) {
            next = other->chain;
            if (other != node && other->hash == hash &&
                !differ(&node->spec, &other->spec, &common) && !visit(other, arg))
                return false;
        }
        return true;
    }
    TAILQ_FOREACH(other, &tuple->nodes, next)
    {
        if (other != node && !differ(&node->spec, &other->spec, &common) && !visit(other, arg))
            return false;
    }
    return true;
}

bool plan_overlaps(const struct plan_node *node, enum plan_side side, plan_visit *visit, void *arg)
{
    struct plan_tuple *tuple;

    TAILQ_FOREACH(tuple, &tables[node->table], next)
    {
        enum plan_side where = tuple->level > node->level   ? PLAN_HIGHER
                               : tuple->level < node->level ? PLAN_LOWER
                                                            : PLAN_SAME;

        if (where > side)
            break;
        if (where == side && !visit_tuple(node, tuple, visit, arg))
            return false;
    }
    return true;
}

bool plan_each(enum rule_table table, plan_visit *visit, void *arg)
{
    struct plan_tuple *tuple;
    struct plan_node *node;

    TAILQ_FOREACH(tuple, &tables[table], next)
    {
        TAILQ_FOREACH(node, &tuple->nodes, next)
        {
            if (!visit(node, arg))
                return false;
        }
    }
    return true;
}
