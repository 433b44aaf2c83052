/* SPDX-License-Identifier: Apache-2.0 */
// The operator's rules: adding and removing them, and the versions that make a change of many rules
// visible to packets at one instant.
//
// A version is a number that each commit raises. Rules and their actions say from which version on
// and before which one they are valid; a worker reads the version once for each burst. So a commit
// stamps what it changes with the next version, which no worker uses yet, and then publishes that
// by one store.
//
// What a commit removed is used by workers until a grace period later. Then it is taken from the
// classifier, whose readers may still come across it, and after another grace period freed.
#include "dataplane/policy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_malloc.h>

#include "dataplane/memory.h"

#define POLICY_MEMORY_MB 256
#define POLL_WORK        1024 // rules of which a poll sees to

struct policy policy;

TAILQ_HEAD(rule_list, policy_rule);

static struct {
    struct policy_rule *rules[POLICY_RULES_MAX]; // by slot
    uint32_t free_slots[POLICY_RULES_MAX];       // the first POLICY_RULES_MAX - n_rules are free
    uint32_t n_rules;
    uint32_t n_visible; // to packets of `version`
    uint64_t version, sequence;
    struct budget budget;
    size_t bytes[POLICY_TABLES]; // of it, of rules and their actions
    struct rule_list changed;    // since the last commit

    // What was removed, on its way out: no grace period begun; waiting for one; out of the
    // classifier and waiting for another.
    struct rule_list removed, leaving, gone;
    struct policy_actions *old_actions, *leaving_actions;
    enum { IDLE, LEAVING, GONE } state;
    uint64_t token; // of the grace period that `state` waits for
} own;

// Bytes that a table's rules and actions take, more or less.
static void count_bytes(unsigned table, ptrdiff_t bytes)
{
    own.bytes[table] += (size_t)bytes;
    own.budget.used += (size_t)bytes;
}

int policy_init(char **error)
{
    char name[RTE_RING_NAMESIZE];

    memset(&own, 0, sizeof own);
    memset(&policy, 0, sizeof policy);
    own.budget.max =
        (size_t)(dp.config.policy_memory_mb ? dp.config.policy_memory_mb : POLICY_MEMORY_MB) << 20;
    TAILQ_INIT(&own.changed);
    TAILQ_INIT(&own.removed);
    TAILQ_INIT(&own.leaving);
    TAILQ_INIT(&own.gone);
    for (uint32_t i = 0; i < POLICY_RULES_MAX; i++)
        own.free_slots[i] = POLICY_RULES_MAX - 1 - i;
    for (unsigned i = 0; i < POLICY_TABLES; i++) {
        snprintf(name, sizeof name, "policy%u", i);
        policy.classifier[i] = cls_new(name, &own.budget);
        if (!policy.classifier[i])
            return set_error(-ENOMEM, error, "no memory for the operator's tables");
    }
    return 0;
}

// What a rule's actions come to.
static void find_shape(struct policy_actions *actions)
{
    const struct action *first = actions->actions;

    actions->shape = POLICY_ACTIONS;
    if (!actions->n || first->type == ACTION_DROP)
        actions->shape = POLICY_DROPS;
    if (actions->n != 1)
        return;
    if (first->type == ACTION_NORMAL) {
        actions->shape = POLICY_NORMALS;
    } else if (first->type == ACTION_GOTO_TABLE) {
        actions->shape = POLICY_GOES_TO;
        actions->table = (uint8_t)(first->table - RULE_TABLE_POLICY);
    } else if (first->type == ACTION_OUTPUT) {
        actions->shape = POLICY_OUTPUTS;
        actions->port = first->port;
    }
}

static size_t actions_size(unsigned n)
{
    return sizeof(struct policy_actions) + n * sizeof(struct action);
}

static struct policy_actions *actions_new(const struct rule *rule, uint64_t version)
{
    struct policy_actions *actions = calloc(1, actions_size(rule->n_actions));

    if (!actions)
        return NULL;
    actions->version = version;
    actions->cookie = rule->cookie;
    actions->n = rule->n_actions;
    memcpy(actions->actions, rule->actions, rule->n_actions * sizeof rule->actions[0]);
    find_shape(actions);
    actions->of = (uint8_t)(rule->table - RULE_TABLE_POLICY);
    count_bytes(actions->of, (ptrdiff_t)actions_size(actions->n));
    return actions;
}

static void actions_free(struct policy_actions *actions)
{
    count_bytes(actions->of, -(ptrdiff_t)actions_size(actions->n));
    free(actions);
}

// Those may still be read by workers.
static void actions_retire(struct policy_actions *actions)
{
    actions->next = own.old_actions;
    own.old_actions = actions;
}

static void rule_free(struct policy_rule *rule)
{
    for (unsigned i = 0; i < dp.n_workers; i++)
        memset(&dp.workers[i].policy_rules[rule->slot], 0, sizeof dp.workers[i].policy_rules[0]);
    own.rules[rule->slot] = NULL;
    own.n_rules--;
    own.free_slots[POLICY_RULES_MAX - own.n_rules - 1] = rule->slot;
    count_bytes(rule->table, -(ptrdiff_t)sizeof *rule);
    actions_free(rule->actions);
    free(rule);
}

static void n_rules_add(unsigned table, int n)
{
    __atomic_store_n(&policy.n_rules[table], policy.n_rules[table] + (uint32_t)n, __ATOMIC_RELAXED);
}

static void begin_grace(int state)
{
    own.state = state;
    own.token = rte_rcu_qsbr_start(dp.rcu);
}

// Takes up to `work` rules of those removed a step further on their way out. True: there is more.
static bool reclaim(unsigned work)
{
    struct policy_actions *actions;
    struct policy_rule *rule;

    if (own.state == IDLE) {
        if (TAILQ_EMPTY(&own.removed) && !own.old_actions)
            return false;
        TAILQ_CONCAT(&own.leaving, &own.removed, entry);
        own.leaving_actions = own.old_actions;
        own.old_actions = NULL;
        begin_grace(LEAVING);
    }
    if (!rte_rcu_qsbr_check(dp.rcu, own.token, false))
        return true;
    if (own.state == LEAVING) {
        for (; (actions = own.leaving_actions) && work; work--) {
            own.leaving_actions = actions->next;
            actions_free(actions);
        }
        for (; (rule = TAILQ_FIRST(&own.leaving)) && work; work--) {
            TAILQ_REMOVE(&own.leaving, rule, entry);
            cls_remove(policy.classifier[rule->table], &rule->cls);
            n_rules_add(rule->table, -1);
            TAILQ_INSERT_TAIL(&own.gone, rule, entry);
        }
        if (!own.leaving_actions && TAILQ_EMPTY(&own.leaving))
            begin_grace(GONE);
        return true;
    }
    for (; (rule = TAILQ_FIRST(&own.gone)) && work; work--) {
        TAILQ_REMOVE(&own.gone, rule, entry);
        rule_free(rule);
    }
    if (TAILQ_EMPTY(&own.gone))
        own.state = IDLE;
    return own.state != IDLE || !TAILQ_EMPTY(&own.removed) || own.old_actions;
}

// Waits until all that was removed is freed, where its room is wanted.
static void reclaim_all(void)
{
    while (reclaim(UINT_MAX))
        rcu_wait();
}

static struct match_key key_of(uint16_t in_port, const struct match_fields *fields)
{
    return (struct match_key){.fields = *fields, .in_port = rte_cpu_to_be_16(in_port)};
}

// A rule that is in no table yet.
static struct policy_rule *rule_new(const struct rule *params)
{
    struct policy_rule *rule = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof *rule);

    if (!rule)
        return NULL;
    memset(rule, 0, sizeof *rule);
    rule->actions = actions_new(params, 0);
    if (!rule->actions) {
        free(rule);
        return NULL;
    }
    rule->table = (uint8_t)(params->table - RULE_TABLE_POLICY);
    rule->priority = params->priority;
    rule->cls.spec = key_of(params->match.in_port, &params->match.spec);
    rule->cls.mask = key_of(params->match.in_port ? 0xffff : 0, &params->match.mask);
    // Of the same priority, the older one wins.
    rule->cls.order = (uint64_t)params->priority << 48 | (~++own.sequence & 0xffffffffffff);
    rule->cls.add_version = rule->cls.remove_version = UINT64_MAX;
    rule->slot = own.free_slots[POLICY_RULES_MAX - own.n_rules - 1];
    own.rules[rule->slot] = rule;
    own.n_rules++;
    count_bytes(rule->table, sizeof *rule);
    return rule;
}

// Room for one rule more?
static int check_room(char **error)
{
    if (own.n_rules == POLICY_RULES_MAX || own.budget.used > own.budget.max)
        reclaim_all();
    if (own.n_rules == POLICY_RULES_MAX)
        return set_error(-ENOSPC, error, "no room: the operator's tables hold %u rules, the most",
                         own.n_rules);
    if (own.budget.used > own.budget.max)
        return set_error(-ENOSPC, error,
                         "no room: the operator's tables hold %u rules in %zu MiB, the most they "
                         "may take",
                         own.n_rules, own.budget.max >> 20);
    return 0;
}

static void change(struct policy_rule *rule)
{
    if (!rule->changed)
        TAILQ_INSERT_TAIL(&own.changed, rule, entry);
    rule->changed = true;
}

int dp_policy_add(const struct rule *params, uint32_t *slot, char **error)
{
    struct policy_rule *rule;
    int ret;

    if (!rule_table_is_policy(params->table))
        return set_error(-EINVAL, error, "%s is no table of the operator's",
                         rule_table_name(params->table));
    ret = policy_actions_check(params, error);
    if (!ret)
        ret = check_room(error);
    if (ret)
        return ret;
    rule = rule_new(params);
    if (!rule)
        return set_error(-ENOMEM, error, "no memory for the rule");
    ret = cls_insert(policy.classifier[rule->table], &rule->cls, error);
    if (ret == -ENOSPC && reclaim(0)) {
        free(*error);
        *error = NULL;
        reclaim_all();
        ret = cls_insert(policy.classifier[rule->table], &rule->cls, error);
    }
    if (ret) {
        rule_free(rule);
        return ret;
    }
    n_rules_add(rule->table, 1);
    rule->added = true;
    change(rule);
    *slot = rule->slot;
    return 0;
}

void dp_policy_del(uint32_t slot)
{
    struct policy_rule *rule = own.rules[slot];

    if (rule->added) { // no packet has seen it
        if (rule->actions->older)
            actions_retire(rule->actions->older);
        rule->actions->older = NULL;
        if (rule->changed)
            TAILQ_REMOVE(&own.changed, rule, entry);
        TAILQ_INSERT_TAIL(&own.removed, rule, entry);
        return;
    }
    rule->deleted = true;
    change(rule);
}

void dp_policy_hold(uint32_t slot)
{
    TAILQ_REMOVE(&own.changed, own.rules[slot], entry);
    own.rules[slot]->changed = false;
}

void dp_policy_include(uint32_t slot)
{
    change(own.rules[slot]);
}

int dp_policy_modify(uint32_t slot, const struct rule *params, char **error)
{
    struct policy_rule *rule = own.rules[slot];
    struct policy_actions *old = rule->actions, *actions;
    int ret = policy_actions_check(params, error);

    if (ret)
        return ret;
    actions = actions_new(params, UINT64_MAX);
    if (!actions)
        return set_error(-ENOMEM, error, "no memory for the rule's actions");
    // Instead of what an earlier modification of this change said.
    actions->older = old->version == UINT64_MAX ? old->older : old;
    store_release(&rule->actions, actions);
    if (old->version == UINT64_MAX)
        actions_retire(old);
    change(rule);
    return 0;
}

// Where there is nothing to find, the workers need not look.
static void publish(void)
{
    store_release(&policy.version, own.n_visible || policy.miss_drops ? own.version : 0);
}

void dp_policy_commit(bool wait)
{
    uint64_t version = own.version + 1;
    struct policy_rule *rule;

    while ((rule = TAILQ_FIRST(&own.changed))) {
        TAILQ_REMOVE(&own.changed, rule, entry);
        rule->changed = false;
        if (rule->actions->version == UINT64_MAX) {
            store_release(&rule->actions->version, version);
            if (rule->actions->older)
                actions_retire(rule->actions->older);
        }
        if (rule->added) {
            rule->added = false;
            store_release(&rule->cls.add_version, version);
            own.n_visible++;
        }
        if (rule->deleted) {
            store_release(&rule->cls.remove_version, version);
            own.n_visible--;
            TAILQ_INSERT_TAIL(&own.removed, rule, entry);
        }
    }
    own.version = version;
    publish();
    if (wait)
        rcu_wait();
    reclaim(POLL_WORK);
}

void dp_policy_miss(bool normal)
{
    __atomic_store_n(&policy.miss_drops, !normal, __ATOMIC_RELAXED);
    publish();
    rcu_wait();
}

bool dp_policy_poll(void)
{
    bool busy = false;

    for (unsigned i = 0; i < POLICY_TABLES; i++)
        busy |= cls_poll(policy.classifier[i]);
    return reclaim(POLL_WORK) || busy;
}

void policy_rule_describe(const struct policy_rule *rule, uint64_t version, struct rule *described)
{
    const struct policy_actions *actions = policy_actions_at(rule, version);

    *described = (struct rule){
        .table = RULE_TABLE_POLICY + rule->table,
        .priority = rule->priority,
        .cookie = actions->cookie,
        .match = {.in_port = rte_be_to_cpu_16(rule->cls.spec.in_port),
                  .spec = rule->cls.spec.fields,
                  .mask = rule->cls.mask.fields},
        .n_actions = actions->n,
        .slot = rule->slot,
    };
    memcpy(described->actions, actions->actions, actions->n * sizeof described->actions[0]);
}

// TSC to microseconds of CLOCK_MONOTONIC.
static uint64_t tsc_to_us(uint64_t tsc)
{
    struct timespec now;
    uint64_t tsc_now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    tsc_now = RTE_MAX(rte_rdtsc(), tsc);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000 -
           (uint64_t)((double)(tsc_now - tsc) * 1e6 / (double)dp.tsc_hz);
}

void dp_policy_stats(uint32_t slot, struct dp_policy_stats *stats)
{
    uint64_t used = 0;

    *stats = (struct dp_policy_stats){0};
    for (unsigned i = 0; i < dp.n_workers; i++) {
        const struct policy_counters *counters = &dp.workers[i].policy_rules[slot];

        stats->packets += __atomic_load_n(&counters->packets, __ATOMIC_RELAXED);
        stats->bytes += __atomic_load_n(&counters->bytes, __ATOMIC_RELAXED);
        used = RTE_MAX(used, __atomic_load_n(&counters->used, __ATOMIC_RELAXED));
    }
    if (used)
        stats->used_us = tsc_to_us(used);
}

void dp_policy_table_stats(unsigned table, struct dp_policy_table_stats *stats)
{
    struct classifier_stats cls;

    cls_stats(policy.classifier[table], &cls);
    *stats = (struct dp_policy_table_stats){
        .rules = cls.rules,
        .bytes = own.bytes[table] + cls.bytes,
        .structure = cls.structure,
        .delta = cls.delta,
        .compiling = cls.compiling,
        .refused_bytes = cls.refused_bytes,
        .builds = cls.builds,
        .build_us_last = cls.build_us_last,
    };
    for (unsigned i = 0; i < dp.n_workers; i++) {
        const struct policy_table_counters *counters = &dp.workers[i].policy_tables[table];

        stats->lookups += __atomic_load_n(&counters->lookups, __ATOMIC_RELAXED);
        stats->matches += __atomic_load_n(&counters->matches, __ATOMIC_RELAXED);
    }
}

void policy_fini(void)
{
    struct policy_actions *actions, *next;

    for (uint32_t slot = 0; slot < POLICY_RULES_MAX; slot++) {
        if (!own.rules[slot])
            continue;
        actions = own.rules[slot]->actions;
        // A committed one's is among the old actions.
        if (actions->version == UINT64_MAX && actions->older)
            actions_free(actions->older);
        rule_free(own.rules[slot]);
    }
    for (actions = own.old_actions; actions; actions = next) {
        next = actions->next;
        actions_free(actions);
    }
    for (actions = own.leaving_actions; actions; actions = next) {
        next = actions->next;
        actions_free(actions);
    }
    for (unsigned i = 0; i < POLICY_TABLES; i++)
        if (policy.classifier[i])
            cls_free(policy.classifier[i]);
}
