/* SPDX-License-Identifier: Apache-2.0 */
// One table's rules: in which structures they are, when an acl is built, and which of them a lookup
// asks.
//
// Every rule is in `all`, hash tables by mask, which alone answer every lookup right and change in
// place. An acl is only faster, for those classes of packets for which it is: it knows the rules as
// they were when its build began. What came since is in `changed`, which is asked besides; where it
// names a rule that has gone, or that the packet's version does not see, `all` is asked instead.
// Masks with very many rules stay out of it ("direct": a hash lookup each), so that they change
// without a build.
//
// An acl's life: planned and copied by the control thread (build_start), built by another
// (classifier_build.c), published (build_finish), replaced by the next one, freed when no worker
// reads it any more (acl_collect). Rules that change meanwhile are noted for the published one and
// for the one being built, by generation.
#include "dataplane/classifier.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dataplane/classifier_internal.h"
#include "dataplane/classifier_sieve.h"

// Up to so many masks a table is called exact: a few hash lookups cost less than anything else.
#define EXACT_MASKS 2
// Rules whose own packets are looked up to estimate what hash tables cost, and that cost: what is
// there for every packet, for each vector of the sieve, for each table that it lets pass.
#define SAMPLES     64
#define COST_ALL    25
#define COST_VECTOR 3
#define COST_TABLE  25

// The machine's memory that a build takes while it lasts, of the benchmark's five-tuples; others
// take a quarter of it. That may be so many times the budget, as there is one build at a time.
#define BUILD_BYTES_PER_RULE ((size_t)66 << 10)
#define BUILD_BUDGETS        4

// A build begins when there was no change for a while, or the first is some time ago; and builds of
// a kind take half of the time at most.
#define QUIET_US 5000
#define WAIT_US  200000
// After tries that were given up no others are begun for this long.
#define ABANDONED_US 1000000
// Hash tables are sorted again, and emptied ones freed, that often at most.
#define TIDY_US 20000

// With so few rules, twice 512, vectors cost less than tries whatever the packet: they stay. With
// more they are there in milliseconds, and tries, which may take seconds, follow if not more than
// one in so many rules changed since.
#define FEW_CHANGED 32

unsigned cls_acl_worth = 80;
unsigned cls_vectors_rules = 1024;

struct classifier {
    char *name;
    struct memory memory;
    struct mask_set all; // every rule

    // What lookups use beside `all`: published, NULL if there is none. Rules that came after it are
    // in `changed`, by the acl's generation.
    struct acl *acl;
    struct mask_set changed[2];

    // The control thread's.
    struct cls_rule **rules; // [max]
    uint32_t max;
    uint64_t serial;
    struct acl_job *job; // the next acl being built, of the other generation
    struct acl *old;     // the last acl, until no worker uses it
    uint64_t old_token;  // ... when that is
    size_t acl_bytes;
    bool tries_due;                           // vectors are in force that tries are to follow
    uint64_t first_change_us, last_change_us; // 0: none since the last build began
    uint64_t next_vectors_us, next_tries_us, next_tidy_us; // not before
    uint64_t builds, build_us_last;
    uint64_t refused_bytes;
};

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static bool acl_direct(const struct acl *acl, const struct mask_table *table)
{
    for (unsigned i = 0; i < acl->n_direct; i++)
        if (acl->direct[i] == table)
            return true;
    return false;
}

struct classifier *cls_new(const char *name, struct budget *budget)
{
    struct classifier *cls = calloc(1, sizeof *cls);

    if (!cls || !(cls->name = strdup(name))) {
        free(cls);
        return NULL;
    }
    memory_init(&cls->memory, budget);
    mask_set_init(&cls->all, &cls->memory, offsetof(struct cls_rule, next));
    for (unsigned g = 0; g < 2; g++)
        mask_set_init(&cls->changed[g], &cls->memory,
                      offsetof(struct cls_rule, next_changed) + g * sizeof(struct cls_rule *));
    return cls;
}

static struct mask_set *changed_since(struct classifier *cls, const struct acl *acl)
{
    return &cls->changed[acl->generation % 2];
}

static void unpin(struct classifier *cls, struct acl *acl)
{
    for (unsigned i = 0; i < acl->n_direct; i++)
        mask_table_pin(acl->direct[i], -1);
    cls->all.untidy = true;
}

static void build_abandon(struct classifier *cls)
{
    if (!cls->job)
        return;
    mask_set_fini(changed_since(cls, cls->job->acl));
    unpin(cls, cls->job->acl);
    acl_job_abandon(cls->job);
    cls->job = NULL;
}

// Publishes another acl, or none. The last one has to wait for its readers.
static void acl_publish(struct classifier *cls, struct acl *acl)
{
    cls->old = cls->acl;
    store_release(&cls->acl, acl);
    cls->old_token = dp.rcu ? rte_rcu_qsbr_start(dp.rcu) : 0;
}

static bool acl_collect(struct classifier *cls, bool all)
{
    struct acl *old = cls->old;

    if (!old || (dp.rcu && !all && !rte_rcu_qsbr_check(dp.rcu, cls->old_token, false)))
        return !old;
    mask_set_fini(changed_since(cls, old));
    unpin(cls, old);
    cls->acl_bytes -= old->bytes;
    cls->memory.budget->used -= old->bytes;
    acl_free_later(old);
    cls->old = NULL;
    return true;
}

void cls_free(struct classifier *cls)
{
    if (!cls)
        return;
    build_abandon(cls);
    acl_collect(cls, true);
    if (cls->acl) {
        acl_publish(cls, NULL);
        acl_collect(cls, true);
    }
    mask_set_fini(&cls->all);
    memory_free(&cls->memory, cls->rules, cls->max * sizeof cls->rules[0]);
    memory_collect(&cls->memory, true);
    free(cls->name);
    free(cls);
}

static int rules_reserve(struct classifier *cls)
{
    uint32_t max = cls->max ? 2 * cls->max : 64;
    struct cls_rule **larger;

    if (cls->all.n_rules < cls->max)
        return 0;
    larger = memory_alloc(&cls->memory, max * sizeof *larger);
    if (!larger)
        return -ENOSPC;
    if (cls->rules)
        memcpy(larger, cls->rules, cls->all.n_rules * sizeof *larger);
    memory_free(&cls->memory, cls->rules, cls->max * sizeof *larger);
    cls->rules = larger;
    cls->max = max;
    return 0;
}

// Frees what a table only gets faster by, and returns whether there was anything.
static bool acl_give_up(struct classifier *cls)
{
    bool any = cls->job || cls->acl || cls->old || cls->memory.first;

    build_abandon(cls);
    // The last one has to be gone before another can go.
    for (unsigned i = 0; i < 2 && any; i++) {
        if (dp.rcu)
            rcu_wait();
        acl_collect(cls, false);
        memory_collect(&cls->memory, false);
        if (cls->acl)
            acl_publish(cls, NULL);
    }
    return any;
}

static void note_change(struct classifier *cls)
{
    cls->last_change_us = now_us();
    if (!cls->first_change_us)
        cls->first_change_us = cls->last_change_us;
}

static int insert_changed(struct classifier *cls, struct acl *acl, struct cls_rule *rule)
{
    struct mask_table *table;

    return !acl || acl_direct(acl, rule->table)
               ? 0
               : mask_set_insert(changed_since(cls, acl), rule, &table);
}

int cls_insert(struct classifier *cls, struct cls_rule *rule, char **error)
{
    do {
        if (rules_reserve(cls) || mask_set_insert(&cls->all, rule, &rule->table))
            continue;
        rule->at = cls->all.n_rules - 1;
        cls->rules[rule->at] = rule;
        rule->serial = ++cls->serial;
        note_change(cls);
        if (insert_changed(cls, cls->job ? cls->job->acl : NULL, rule))
            build_abandon(cls);
        if (!insert_changed(cls, cls->acl, rule))
            return 0;
        // The acl would not be complete: it goes, for the hash tables are.
        acl_give_up(cls);
        return 0;
    } while (acl_give_up(cls));
    return set_error(
        -ENOSPC, error,
        "%s: its %u rules with %u masks take %zu KiB, all tables %zu of %zu KiB, which "
        "do not hold one more; raise openflow: memory",
        cls->name, cls->all.n_rules, cls->all.n_masks, cls->memory.bytes / 1024,
        cls->memory.budget->used / 1024, cls->memory.budget->max / 1024);
}

// Takes a rule out of an acl, and of what changed since.
static void remove_from(struct classifier *cls, struct acl *acl, struct cls_rule *rule)
{
    if (!acl || acl_direct(acl, rule->table))
        return;
    if (rule->serial > acl->serial)
        mask_set_remove(changed_since(cls, acl), rule);
    else {
        store_release(&acl->rule[rule->number[acl->generation % 2]], NULL);
        acl->n_dead++;
    }
}

void cls_remove(struct classifier *cls, struct cls_rule *rule)
{
    struct cls_rule *last = cls->rules[cls->all.n_rules - 1];

    remove_from(cls, cls->acl, rule);
    remove_from(cls, cls->job ? cls->job->acl : NULL, rule);
    mask_set_remove(&cls->all, rule);
    cls->rules[rule->at] = last;
    last->at = rule->at;
    note_change(cls);
}

// The order of the best rule for a packet of this one's.
static uint64_t best_order(const struct classifier *cls, enum key_class class,
                           const struct cls_rule *rule)
{
    const struct match_key *key = &rule->spec;
    struct cls_rule *hit = NULL;

    mask_set_lookup(&cls->all, class, UINT64_MAX - 1, &key, 1, &hit);
    return hit ? hit->order : rule->order;
}

// Whether an acl would cost packets of the class less than the hash tables do but for `n_direct` of
// them. One that is there stays a little longer. Where rules are many a build is slow, and has to
// win more.
static bool acl_worth(const struct classifier *cls, enum key_class class, unsigned n_direct)
{
    bool is = cls->acl && cls->acl->compiled[class];
    uint32_t step = cls->all.n_rules / SAMPLES + 1;
    uint64_t tables = 0, samples = 0, cost, worth = cls_acl_worth;

    if (!cls->all.sieve[class])
        return false;
    for (uint32_t i = 0; i < cls->all.n_rules; i += step)
        if (mask_table_has(cls->rules[i]->table, class)) {
            tables += sieve_count(cls->all.sieve[class], &cls->rules[i]->spec,
                                  best_order(cls, class, cls->rules[i]));
            samples++;
        }
    if (!samples)
        return false;
    tables = tables * COST_TABLE / samples;
    cost = COST_ALL + COST_VECTOR * sieve_vectors(cls->all.sieve[class]) + tables -
           RTE_MIN(tables, (uint64_t)n_direct * COST_TABLE);
    if (sieve_is_fine(cls->all.sieve[class]))
        worth += worth / 4;
    return cost > (is ? worth * 9 / 10 : worth);
}

// What an acl would be made of now.
static struct acl *acl_plan(struct classifier *cls)
{
    struct acl *acl = calloc(1, sizeof *acl + cls->all.n_rules * sizeof acl->rule[0]);
    struct mask_table *largest[DIRECT_MAX];

    if (!acl)
        return NULL;
    for (unsigned c = 0; c < ACL_CLASSES; c++) {
        unsigned n = mask_set_largest(&cls->all, c, largest);

        acl->compiled[c] = acl_worth(cls, c, n);
        for (unsigned i = 0; i < n && acl->compiled[c]; i++)
            if (!acl_direct(acl, largest[i]))
                acl->direct[acl->n_direct++] = largest[i];
    }
    acl->serial = cls->serial;
    acl->generation = cls->acl ? cls->acl->generation + 1 : 0;
    return acl;
}

// Copies the rules of an acl for the thread that builds it.
static void acl_copy(struct classifier *cls, struct acl *acl, struct acl_source *sources)
{
    for (uint32_t i = 0; i < cls->all.n_rules; i++) {
        struct cls_rule *rule = cls->rules[i];

        if (acl_direct(acl, rule->table))
            continue;
        acl->rule[acl->n_rules] = rule;
        rule->number[acl->generation % 2] = acl->n_rules;
        sources[acl->n_rules++] = (struct acl_source){.spec = rule->spec,
                                                      .mask = rule->mask,
                                                      .order = rule->order,
                                                      .class = rule_class(rule)};
    }
}

static void build_not_within(struct classifier *cls, const struct acl *acl, uint64_t us)
{
    *(acl->is_tries ? &cls->next_tries_us : &cls->next_vectors_us) = now_us() + us;
}

// A build that took so long was for nothing; it would not be better soon.
static void build_refused(struct classifier *cls, const struct acl *acl, uint64_t us, size_t bytes)
{
    build_not_within(cls, acl, 11 * us + 1000000);
    cls->refused_bytes = bytes;
}

// Rules that the published acl does not know, or that it has and that are gone.
static uint32_t acl_delta(const struct classifier *cls)
{
    return cls->acl ? cls->changed[cls->acl->generation % 2].n_rules + cls->acl->n_dead : 0;
}

// Whether rules are compiled to tries next, or to vectors.
static bool tries_next(const struct classifier *cls, uint32_t n_rules)
{
    return cls->acl && n_rules > cls_vectors_rules && acl_delta(cls) <= n_rules / FEW_CHANGED;
}

static void build_start(struct classifier *cls)
{
    const struct budget *budget = cls->memory.budget;
    struct acl_job *job = calloc(1, sizeof *job);
    struct acl *acl = job ? acl_plan(cls) : NULL;
    size_t left;
    bool refused;

    if (!acl || !(job->sources = malloc((cls->all.n_rules + 1) * sizeof job->sources[0]))) {
        free(acl);
        free(job);
        return;
    }
    for (unsigned i = 0; i < acl->n_direct; i++)
        mask_table_pin(acl->direct[i], 1);
    acl_copy(cls, acl, job->sources);
    job->acl = acl;
    acl->is_tries = job->is_tries = tries_next(cls, acl->n_rules);
    cls->first_change_us = cls->last_change_us = 0;
    cls->tries_due = false;
    // Beside the acl that it replaces; half of what there is without that is for others.
    left = budget->max - RTE_MIN(budget->used, budget->max);
    job->max_bytes = RTE_MIN(left, (left + cls->acl_bytes) / 2);
    refused = acl->is_tries && acl->n_rules * BUILD_BYTES_PER_RULE > BUILD_BUDGETS * budget->max;
    if (refused)
        build_refused(cls, acl, 0, BUILD_BUDGETS * budget->max);
    if (refused || acl_job_start(job)) {
        unpin(cls, acl);
        acl_free(acl);
        free(job->sources);
        free(job);
        return;
    }
    cls->job = job;
}

static void build_finish(struct classifier *cls)
{
    struct budget *budget = cls->memory.budget;
    struct acl_job *job = cls->job;

    cls->build_us_last = job->us;
    cls->builds++;
    build_not_within(cls, job->acl, job->us);
    if (!job->result && budget->used + job->acl->bytes > budget->max)
        job->result = -ENOSPC;
    if (job->result) {
        build_refused(cls, job->acl, job->us, job->result == -ENOTSUP ? 0 : job->max_bytes);
        // No acl is right if an old one is ever less so.
        build_abandon(cls);
        return;
    }
    if (job->acl->is_tries || job->acl->n_rules <= cls_vectors_rules)
        cls->refused_bytes = 0;
    else
        cls->tries_due = true;
    acl_publish(cls, job->acl);
    cls->acl_bytes += job->acl->bytes;
    budget->used += job->acl->bytes;
    job->acl = NULL;
    acl_job_abandon(job);
    cls->job = NULL;
}

static bool acl_wanted(const struct classifier *cls)
{
    struct mask_table *largest[DIRECT_MAX];

    for (unsigned c = 0; c < ACL_CLASSES; c++)
        if (acl_worth(cls, c, mask_set_largest(&cls->all, c, largest)))
            return true;
    return false;
}

// Returns whether something is left to tidy. The set of an old acl is left alone: it may still hold
// rules that are gone.
static bool tidy(struct classifier *cls, uint64_t now)
{
    struct mask_set *set[] = {&cls->all, cls->acl ? changed_since(cls, cls->acl) : &cls->all,
                              cls->job ? changed_since(cls, cls->job->acl) : &cls->all};
    bool untidy = set[0]->untidy || set[1]->untidy || set[2]->untidy;

    if (!untidy || now < cls->next_tidy_us)
        return untidy;
    cls->next_tidy_us = now + TIDY_US;
    for (unsigned i = 0; i < RTE_DIM(set); i++)
        if (set[i]->untidy)
            mask_set_tidy(set[i]);
    return false;
}

bool cls_poll(struct classifier *cls)
{
    uint64_t now = now_us();
    bool untidy = tidy(cls, now);

    memory_collect(&cls->memory, false);
    if (!acl_collect(cls, false))
        return true;
    if (cls->job) {
        if (acl_job_done(cls->job)) {
            build_finish(cls);
        } else if (cls->job->is_tries && !tries_next(cls, cls->job->acl->n_rules)) {
            // They would be old when they are there. Vectors are sooner.
            build_not_within(cls, cls->job->acl, ABANDONED_US);
            build_abandon(cls);
        }
        return true;
    }
    if (!cls->first_change_us && !cls->tries_due)
        return untidy || cls->memory.first;
    if (now < (tries_next(cls, cls->all.n_rules) ? cls->next_tries_us : cls->next_vectors_us) ||
        (now - cls->last_change_us < QUIET_US && now - cls->first_change_us < WAIT_US))
        return true;
    if (acl_wanted(cls)) {
        build_start(cls);
    } else {
        if (cls->acl)
            acl_publish(cls, NULL);
        cls->first_change_us = cls->last_change_us = cls->refused_bytes = 0;
        cls->tries_due = false;
    }
    return true;
}

// Asks the acl, and the hash tables where it does not know.
static void acl_class_lookup(const struct classifier *cls, const struct acl *acl,
                             enum key_class class, uint64_t version,
                             const struct match_key *const keys[], unsigned n,
                             struct cls_rule *hits[])
{
    const struct mask_set *changed = &cls->changed[acl->generation % 2];
    const struct match_key *other_keys[CLS_BURST];
    struct cls_rule *other_hits[CLS_BURST];
    uint32_t number[CLS_BURST];
    uint8_t other[CLS_BURST];
    unsigned m = 0;

    acl_lookup(acl, class, keys, n, number);
    for (unsigned i = 0; i < n; i++) {
        hits[i] = number[i] ? load_acquire(&acl->rule[number[i] - 1]) : NULL;
        rte_prefetch0(hits[i]);
    }
    for (unsigned i = 0; i < n; i++)
        // A rule that is not yet or no longer in force hides those behind it.
        if (number[i] && unlikely(!hits[i] || !rule_visible(hits[i], version))) {
            hits[i] = NULL;
            other[m] = (uint8_t)i;
            other_keys[m] = keys[i];
            other_hits[m++] = NULL;
        }
    if (unlikely(m))
        mask_set_lookup(&cls->all, class, version, other_keys, m, other_hits);
    for (unsigned j = 0; j < m; j++)
        hits[other[j]] = other_hits[j];
    for (unsigned i = 0; i < acl->n_direct; i++)
        if (mask_table_has(acl->direct[i], class))
            mask_table_lookup(&cls->all, acl->direct[i], class, version, keys, n, hits);
    mask_set_lookup(changed, class, version, keys, n, hits);
}

static void class_lookup(const struct classifier *cls, enum key_class class, uint64_t version,
                         const struct match_key *const keys[], unsigned n, struct cls_rule *hits[])
{
    const struct acl *acl = load_acquire(&cls->acl);

    if (acl && class < ACL_CLASSES && acl->compiled[class]) {
        acl_class_lookup(cls, acl, class, version, keys, n, hits);
        return;
    }
    memset(hits, 0, n * sizeof hits[0]);
    mask_set_lookup(&cls->all, class, version, keys, n, hits);
}

void cls_lookup(const struct classifier *cls, uint64_t version,
                const struct match_key *const keys[], unsigned n, struct cls_rule *hits[])
{
    const struct match_key *some_keys[CLS_BURST];
    struct cls_rule *some_hits[CLS_BURST];
    enum key_class class[CLS_BURST];
    uint8_t of[CLS_BURST];
    unsigned classes = 0, m;

    for (unsigned i = 0; i < n; i++) {
        class[i] = key_class(keys[i]);
        classes |= 1u << class[i];
    }
    if (n && classes == 1u << class[0]) {
        class_lookup(cls, class[0], version, keys, n, hits);
        return;
    }
    for (unsigned c = 0; c < KEY_CLASSES; c++) {
        m = 0;
        for (unsigned i = 0; i < n; i++)
            if (class[i] == c) {
                of[m] = (uint8_t)i;
                some_keys[m++] = keys[i];
            }
        if (!m)
            continue;
        class_lookup(cls, c, version, some_keys, m, some_hits);
        for (unsigned j = 0; j < m; j++)
            hits[of[j]] = some_hits[j];
    }
}

void cls_stats(const struct classifier *cls, struct classifier_stats *stats)
{
    const struct acl *acl = cls->acl;

    *stats = (struct classifier_stats){
        .structure = !cls->all.n_rules                 ? "empty"
                     : acl                             ? acl->is_tries ? "acl" : "vectors"
                     : cls->all.n_masks <= EXACT_MASKS ? "exact"
                                                       : "hash",
        .rules = cls->all.n_rules,
        .masks = cls->all.n_masks,
        .delta = acl_delta(cls),
        .bytes = cls->memory.bytes + cls->acl_bytes,
        .compiling = cls->job != NULL,
        .refused_bytes = cls->refused_bytes,
        .builds = cls->builds,
        .build_us_last = cls->build_us_last,
    };
}
