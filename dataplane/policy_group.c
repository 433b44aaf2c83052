/* SPDX-License-Identifier: Apache-2.0 */
// The operator's groups: published by RCU, counted by each worker for itself.
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <rte_hash_crc.h>

#include "dataplane/policy_actions.h"

#define HEADS       1024 // a power of two
#define BUCKETS_MAX 255

#define LIVENESS_BUDGET 512   // buckets looked at for one packet
#define DEPTH_BUDGET    65536 // groups looked at for one change

static struct policy_group *groups[HEADS];

static struct policy_group **head_of(uint32_t id)
{
    return &groups[rte_hash_crc_4byte(id, 0) & (HEADS - 1)];
}

const struct policy_group *policy_group_find(uint32_t id)
{
    const struct policy_group *group = load_acquire(head_of(id));

    while (group && group->id != id)
        group = load_acquire(&group->next);
    return group;
}

// By addresses and protocol, and by ports where every packet of the flow has them; what has no
// addresses goes by its MACs.
static uint32_t flow_hash(const struct match_fields *f)
{
    uint64_t words[5] = {0};
    uint32_t hash = f->ip_proto;

    memcpy(words, &f->ip_src, 16);
    memcpy(words + 2, &f->ip_dst, 16);
    if (!(words[0] | words[1] | words[2] | words[3])) {
        memcpy(words, &f->eth_src, RTE_ETHER_ADDR_LEN);
        memcpy(words + 1, &f->eth_dst, RTE_ETHER_ADDR_LEN);
    }
    if (!f->ip_frag)
        words[4] = (uint64_t)f->l4_src << 16 | f->l4_dst;
    for (unsigned i = 0; i < RTE_DIM(words); i++)
        hash = rte_hash_crc_8byte(words[i], hash);
    return hash;
}

// One that watches nothing is live (as in OVS), a group is if one of its buckets is. `budget`
// bounds how many are looked at: groups can name groups.
static bool bucket_is_live(const struct dp_bucket *bucket, unsigned *budget)
{
    const struct policy_group *group;
    const struct port *port;

    if (!*budget)
        return false;
    --*budget;
    if (bucket->watch_port == PORT_NONE && bucket->watch_group == DP_GROUP_NONE)
        return true;
    if (bucket->watch_port != PORT_NONE) {
        port = load_acquire(&dp.ports[bucket->watch_port]);
        if (port && __atomic_load_n(&port->live, __ATOMIC_RELAXED))
            return true;
    }
    if (bucket->watch_group == DP_GROUP_NONE)
        return false;
    group = policy_group_find(bucket->watch_group);
    for (unsigned i = 0; group && i < group->n; i++)
        if (bucket_is_live(&group->buckets[i], budget))
            return true;
    return false;
}

unsigned policy_group_choose(const struct policy_group *group, const struct match_fields *fields,
                             unsigned *first)
{
    unsigned budget = LIVENESS_BUDGET;

    switch (group->type) {
    case DP_GROUP_SELECT:
        *first = group->n ? group->select[flow_hash(fields) & (POLICY_SELECT_SLOTS - 1)] : 0;
        return *first < group->n;
    case DP_GROUP_FAST_FAILOVER:
        *first = 0;
        while (*first < group->n && !bucket_is_live(&group->buckets[*first], &budget))
            ++*first;
        return *first < group->n;
    default: // all; indirect has one
        *first = 0;
        return group->n;
    }
}

void policy_group_count(const struct worker *w, const struct policy_group *group, unsigned counter,
                        uint32_t len)
{
    struct dp_rule_stats *stats = group->counters + w->index * group->counters_per_worker + counter;

    stats->packets++;
    stats->bytes += len;
}

// Highest random weight: each slot goes to the bucket with the best draw, and a draw depends on the
// slot, on what the bucket does and on its weight alone. So a change of one bucket moves only the
// flows that it had or gets.
static void fill_select(struct policy_group *group)
{
    uint32_t identity[BUCKETS_MAX];

    for (unsigned b = 0; b < group->n; b++) {
        struct rule rule = {.n_actions = group->buckets[b].n_actions};
        char text[1024] __rte_aligned(8); // as rte_hash_crc wants it

        memcpy(rule.actions, group->buckets[b].actions, sizeof rule.actions);
        rule_format_actions(&rule, text, sizeof text);
        identity[b] = rte_hash_crc(text, (uint32_t)strlen(text), 0);
        for (unsigned same = 0; same < b; same++)
            if (identity[same] == identity[b])
                identity[b]++;
    }
    for (unsigned slot = 0; slot < POLICY_SELECT_SLOTS; slot++) {
        double best = -INFINITY;

        group->select[slot] = BUCKETS_MAX;
        for (unsigned b = 0; b < group->n; b++) {
            uint64_t mixed = ((uint64_t)identity[b] << 32 | slot) * UINT64_C(0x9e3779b97f4a7c15);
            // In (0, 1).
            double draw =
                ((double)((mixed ^ mixed >> 29) * UINT64_C(0xbf58476d1ce4e5b9) >> 12) + 0.5) *
                0x1p-52;
            double score =
                group->buckets[b].weight ? log(draw) / group->buckets[b].weight : -INFINITY;

            if (score > best) {
                best = score;
                group->select[slot] = (uint8_t)b;
            }
        }
    }
}

// How many groups deep a packet gets by these buckets; more than POLICY_GROUP_DEPTH if `id` comes
// again or `budget` is used up.
static unsigned depth_below(uint32_t id, const struct dp_bucket *buckets, unsigned n,
                            unsigned depth, unsigned *budget)
{
    unsigned deepest = depth;

    for (unsigned b = 0; b < n; b++) {
        uint32_t named[RULE_ACTIONS_MAX + 1] = {buckets[b].watch_group};
        unsigned n_named = 1;

        for (unsigned i = 0; i < buckets[b].n_actions; i++)
            if (buckets[b].actions[i].type == ACTION_GROUP)
                named[n_named++] = buckets[b].actions[i].id;
        for (unsigned i = 0; i < n_named && deepest <= POLICY_GROUP_DEPTH; i++) {
            const struct policy_group *group = policy_group_find(named[i]);

            if (named[i] == id || !*budget)
                return POLICY_GROUP_DEPTH + 1;
            if (!group)
                continue;
            --*budget;
            deepest =
                RTE_MAX(deepest, depth_below(id, group->buckets, group->n, depth + 1, budget));
        }
    }
    return deepest;
}

int dp_group_check(uint32_t id, enum dp_group_type type, const struct dp_bucket *buckets,
                   unsigned n, char **error)
{
    unsigned budget = DEPTH_BUDGET;
    int ret = 0;

    if (id == DP_GROUP_NONE)
        return set_error(-EINVAL, error, "group %u: this number says that there is no group", id);
    if (n > BUCKETS_MAX)
        return set_error(-E2BIG, error, "group %u: %u buckets; at most %u are possible", id, n,
                         BUCKETS_MAX);
    if (type == DP_GROUP_INDIRECT && n != 1)
        return set_error(-EINVAL, error, "group %u: %u buckets; an indirect group has one", id, n);
    for (unsigned b = 0; b < n && !ret; b++) {
        if (buckets[b].watch_port > PORT_MAX)
            return set_error(-EINVAL, error,
                             "group %u: bucket %u watches port %u; ports are 1 to %u", id, b + 1,
                             buckets[b].watch_port, PORT_MAX);
        ret = policy_bucket_check(&buckets[b], b, error);
    }
    if (!ret && depth_below(id, buckets, n, 1, &budget) > POLICY_GROUP_DEPTH)
        return set_error(-ELOOP, error,
                         "group %u: its buckets lead back to it, or through more than %u groups",
                         id, POLICY_GROUP_DEPTH);
    return ret;
}

static void group_free(struct policy_group *group)
{
    if (!group)
        return;
    free(group->counters);
    free(group->select);
    free(group);
}

static struct policy_group *group_new(uint32_t id, enum dp_group_type type,
                                      const struct dp_bucket *buckets, unsigned n)
{
    struct policy_group *group = calloc(1, sizeof *group + n * sizeof *buckets);
    size_t row = RTE_ALIGN((1 + n) * sizeof *group->counters, RTE_CACHE_LINE_SIZE);
    size_t size = (dp.n_workers + 1) * row; // the last is dp_trace's

    if (!group)
        return NULL;
    group->id = id;
    group->type = type;
    group->n = n;
    if (n)
        memcpy(group->buckets, buckets, n * sizeof *buckets);
    group->counters_per_worker = row / sizeof *group->counters;
    group->counters = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
    group->select = type == DP_GROUP_SELECT ? malloc(POLICY_SELECT_SLOTS) : NULL;
    if (!group->counters || (type == DP_GROUP_SELECT && !group->select)) {
        group_free(group);
        return NULL;
    }
    memset(group->counters, 0, size);
    if (group->select)
        fill_select(group);
    return group;
}

// Puts `group` (NULL: nothing) in the place of the one that has its number.
static void replace(uint32_t id, struct policy_group *group)
{
    struct policy_group **at = head_of(id), *old;

    while (*at && (*at)->id != id)
        at = &(*at)->next;
    old = *at;
    if (group)
        group->next = old ? old->next : NULL;
    store_release(at, group ? group : old ? old->next : NULL);
    if (!old)
        return;
    rcu_wait();
    group_free(old);
}

int dp_group_set(uint32_t id, enum dp_group_type type, const struct dp_bucket *buckets, unsigned n,
                 char **error)
{
    struct policy_group *group;
    int ret = dp_group_check(id, type, buckets, n, error);

    if (ret)
        return ret;
    group = group_new(id, type, buckets, n);
    if (!group)
        return set_error(-ENOMEM, error, "group %u: no memory", id);
    replace(id, group);
    return 0;
}

void dp_group_del(uint32_t id)
{
    replace(id, NULL);
}

int dp_group_stats(uint32_t id, struct dp_rule_stats *stats, struct dp_rule_stats *buckets,
                   unsigned n)
{
    const struct policy_group *group = policy_group_find(id);

    if (!group)
        return -ENOENT;
    *stats = (struct dp_rule_stats){0};
    for (unsigned b = 0; b < n; b++)
        buckets[b] = *stats;
    for (unsigned i = 0; i < dp.n_workers; i++) {
        const struct dp_rule_stats *row = group->counters + i * group->counters_per_worker;

        stats->packets += row[0].packets;
        stats->bytes += row[0].bytes;
        for (unsigned b = 0; b < RTE_MIN(n, group->n); b++) {
            buckets[b].packets += row[1 + b].packets;
            buckets[b].bytes += row[1 + b].bytes;
        }
    }
    return 0;
}
