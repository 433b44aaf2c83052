/* SPDX-License-Identifier: Apache-2.0 */
// A reader that never stops while rules come and go and acls are built and swapped. Every version
// replaces one rule: for each version and each key it is known which rule must be found.
//
// SLUICE_SECONDS: how long at least (default 4). SLUICE_SEED: of the random numbers (default: of
// the time; printed).
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <rte_cycles.h>
#include <rte_malloc.h>

#include "dataplane/classifier_internal.h"
#include "tests/unit/eal.h"
#include "tests/unit/random.h"

#define GROUPS   200   // of packets; at any time one rule in force is for each
#define NOISE    300   // rules of lower orders that come and go
#define BUILDS   4     // at least, however long that takes
#define VERSIONS 1000  // more than these
#define LOOKUPS  10000 // more than these

struct test_rule {
    struct cls_rule rule;
    unsigned group;
};

static struct classifier *cls;
static struct match_key keys[GROUPS];
static uint64_t version; // published
static bool stop;
static struct {
    uint64_t lookups, versions;
    char fault[200];
} reader;

static void make_key(struct match_key *key, unsigned group)
{
    key->fields.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    key->fields.ip_src.s6_addr16[5] = key->fields.ip_dst.s6_addr16[5] = 0xffff;
    key->fields.ip_src.s6_addr32[3] = rte_cpu_to_be_32(10u << 24 | group);
    key->fields.ip_dst.s6_addr32[3] = rte_cpu_to_be_32(group << 16 | 0x1234);
    key->fields.ip_proto = IPPROTO_TCP;
    key->fields.l4_dst = rte_cpu_to_be_16((uint16_t)(80 + group));
}

// Rules that match the key of the group and no other, by masks that differ.
static struct test_rule *new_rule(unsigned group, uint64_t order)
{
    struct test_rule *new = aligned_alloc(64, RTE_ALIGN(sizeof *new, 64));
    struct match_fields *mask = &new->rule.mask.fields;

    memset(new, 0, sizeof *new);
    new->group = group;
    new->rule.order = order;
    new->rule.add_version = new->rule.remove_version = UINT64_MAX;
    mask->eth_type = 0xffff;
    memset(&mask->ip_src, 0xff, sizeof mask->ip_src);
    if (random_below(2)) {
        memset(&mask->ip_dst, 0xff, 12);
        mask->ip_dst.s6_addr32[3] = rte_cpu_to_be_32(~0u << random_below(16));
    }
    mask->ip_proto = random_below(2) ? 0xff : 0;
    mask->l4_dst = random_below(2) ? 0xffff : 0;
    for (unsigned w = 0; w < MATCH_KEY_WORDS; w++)
        ((uint32_t *)&new->rule.spec)[w] =
            ((uint32_t *)&keys[group])[w] & ((uint32_t *)&new->rule.mask)[w];
    return new;
}

// The version that the rule which is in force for a group came with: one in GROUPS replaces it.
static uint64_t came_with(uint64_t at, unsigned group)
{
    return at - (at - group) % GROUPS;
}

static void *read_on(void *arg)
{
    (void)arg;
    rte_rcu_qsbr_thread_register(dp.rcu, 0);
    rte_rcu_qsbr_thread_online(dp.rcu, 0);
    while (!load_acquire(&stop)) {
        uint64_t v = load_acquire(&version);
        const struct match_key *at[CLS_BURST];
        struct cls_rule *hits[CLS_BURST];
        unsigned first = (unsigned)(reader.lookups % GROUPS);

        for (unsigned i = 0; i < CLS_BURST; i++)
            at[i] = &keys[(first + i) % GROUPS];
        cls_lookup(cls, v, at, CLS_BURST, hits);
        for (unsigned i = 0; i < CLS_BURST && !reader.fault[0]; i++) {
            unsigned group = (first + i) % GROUPS;
            const struct test_rule *hit = (const struct test_rule *)hits[i];

            if (!hit)
                snprintf(reader.fault, sizeof reader.fault, "version %lu: none for %u", v, group);
            else if (hit->group != group || hit->rule.add_version != came_with(v, group))
                snprintf(reader.fault, sizeof reader.fault,
                         "version %lu: for %u one of %u that came with %lu", v, group, hit->group,
                         hit->rule.add_version);
        }
        reader.lookups += CLS_BURST;
        rte_rcu_qsbr_quiescent(dp.rcu, 0);
    }
    rte_rcu_qsbr_thread_offline(dp.rcu, 0);
    rte_rcu_qsbr_thread_unregister(dp.rcu, 0);
    return NULL;
}

static void insert(struct test_rule *rule)
{
    char *error = NULL;

    if (cls_insert(cls, &rule->rule, &error))
        fail_msg("%s", error);
}

static void commit(void)
{
    store_release(&version, version + 1);
}

// Takes rules out that the version before this one was the last to see, and frees them.
static void retire(struct test_rule *rules[], unsigned n)
{
    rcu_wait();
    for (unsigned i = 0; i < n; i++)
        cls_remove(cls, &rules[i]->rule);
    rcu_wait();
    for (unsigned i = 0; i < n; i++)
        free(rules[i]);
}

static struct test_rule *in_force[GROUPS], *noise[NOISE];
static uint64_t serial;

// Replaces the rule of the next version's group, and some noise. The rule that goes may have been
// of a higher order.
static unsigned next_version(struct test_rule *gone[])
{
    uint64_t next = version + 1;
    unsigned group = (unsigned)(next % GROUPS), n = 0;
    struct test_rule *new = new_rule(group, (uint64_t)(1000 + random_below(1000)) << 32 | ++serial);

    insert(new);
    __atomic_store_n(&new->rule.add_version, next, __ATOMIC_RELAXED);
    if (in_force[group]) {
        __atomic_store_n(&in_force[group]->rule.remove_version, next, __ATOMIC_RELAXED);
        gone[n++] = in_force[group];
    }
    in_force[group] = new;
    for (unsigned i = random_below(4); i-- > 0;) {
        struct test_rule **at = &noise[random_below(NOISE)];

        if (*at && (*at)->rule.add_version == next)
            continue;
        if (*at) {
            __atomic_store_n(&(*at)->rule.remove_version, next, __ATOMIC_RELAXED);
            gone[n++] = *at;
        }
        *at = new_rule(random_below(GROUPS), (uint64_t)random_below(1000) << 32 | ++serial);
        insert(*at);
        __atomic_store_n(&(*at)->rule.add_version, next, __ATOMIC_RELAXED);
    }
    commit();
    return n;
}

static void finds_the_rule_of_its_version(void **state)
{
    const char *seconds = getenv("SLUICE_SECONDS");
    double end = seconds ? atof(seconds) : 4;
    struct classifier_stats stats;
    static struct budget budget = {.max = 64 << 20};
    struct test_rule *gone[64 * 8];
    unsigned n = 0;
    uint64_t start;
    bool enough;
    double took;
    pthread_t thread;

    (void)state;
    cls_acl_worth = 0;
    cls = cls_new("t", &budget);
    for (unsigned i = 0; i < GROUPS; i++)
        make_key(&keys[i], i);
    // Until each group has a rule there is nothing to expect.
    for (unsigned i = 0; i < GROUPS; i++)
        retire(gone, next_version(gone));
    assert_int_equal(pthread_create(&thread, NULL, read_on, NULL), 0);
    start = rte_rdtsc();
    do {
        n += next_version(gone + n);
        if (n > 64 * 4 || !random_below(16)) {
            retire(gone, n);
            n = 0;
        }
        cls_poll(cls);
        // Builds begin when it is quiet, too.
        if (!random_below(500)) {
            nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
            cls_vectors_rules = random_below(2) ? UINT32_MAX : 0;
        }
        cls_stats(cls, &stats);
        took = (double)(rte_rdtsc() - start) / (double)dp.tsc_hz;
        enough = stats.builds >= BUILDS && version > VERSIONS &&
                 __atomic_load_n(&reader.lookups, __ATOMIC_RELAXED) > LOOKUPS;
    } while ((took < end || (!enough && took < 90)) && !reader.fault[0]);
    retire(gone, n);
    store_release(&stop, true);
    pthread_join(thread, NULL);
    cls_stats(cls, &stats);
    print_message("# %lu lookups, %lu versions, %lu builds\n", reader.lookups, version,
                  stats.builds);
    if (reader.fault[0])
        fail_msg("%s", reader.fault);
    assert_true(enough);
    for (unsigned i = 0; i < GROUPS; i++) {
        cls_remove(cls, &in_force[i]->rule);
        free(in_force[i]);
    }
    for (unsigned i = 0; i < NOISE; i++)
        if (noise[i]) {
            cls_remove(cls, &noise[i]->rule);
            free(noise[i]);
        }
    cls_free(cls);
}

static int setup(void **state)
{
    (void)state;
    if (eal_start(512) < 0)
        return -1;
    dp.tsc_hz = rte_get_tsc_hz();
    dp.rcu = rte_zmalloc("rcu", rte_rcu_qsbr_get_memsize(1), RTE_CACHE_LINE_SIZE);
    return !dp.rcu || rte_rcu_qsbr_init(dp.rcu, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_rule_of_its_version),
    };

    random_begin();
    return cmocka_run_group_tests(tests, setup, NULL);
}
