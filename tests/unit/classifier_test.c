/* SPDX-License-Identifier: Apache-2.0 */
// The classifier against a plain list of rules: random additions, removals and commits, and what a
// packet of any version that is still in use matches.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "dataplane/classifier_internal.h"
#include "tests/unit/eal.h"
#include "tests/unit/random.h"

#define RULES 400
#define LARGE 6000

static struct in6_addr mapped(uint32_t address)
{
    return (struct in6_addr){
        .s6_addr32 = {0, 0, RTE_BE32(0xffff), rte_cpu_to_be_32(address)},
    };
}

static struct match_key packet(uint32_t src, uint32_t dst, uint16_t port)
{
    return (struct match_key){
        .fields = {.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4),
                   .ip_src = mapped(src),
                   .ip_dst = mapped(dst),
                   .ip_proto = IPPROTO_TCP,
                   .l4_dst = rte_cpu_to_be_16(port)},
        .in_port = RTE_BE16(3),
    };
}

static void match_ip(struct in6_addr *spec, struct in6_addr *mask, uint32_t address, unsigned len)
{
    uint32_t bits = len ? ~0u << (32 - len) : 0;

    *spec = mapped(address & bits);
    memset(mask, 0xff, 12);
    mask->s6_addr32[3] = rte_cpu_to_be_32(bits);
}

// Few values, so that rules overlap and packets hit.
static void random_rule(struct cls_rule *rule, uint64_t order)
{
    *rule =
        (struct cls_rule){.order = order, .add_version = UINT64_MAX, .remove_version = UINT64_MAX};
    if (random_below(8)) {
        rule->spec.fields.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
        rule->mask.fields.eth_type = 0xffff;
        if (random_below(2))
            match_ip(&rule->spec.fields.ip_src, &rule->mask.fields.ip_src, random_below(8),
                     32 - random_below(4));
        if (random_below(2))
            match_ip(&rule->spec.fields.ip_dst, &rule->mask.fields.ip_dst, random_below(8),
                     32 - random_below(4));
        if (random_below(2)) {
            rule->spec.fields.l4_dst = rte_cpu_to_be_16((uint16_t)random_below(4));
            rule->mask.fields.l4_dst = 0xffff;
        }
    }
    if (!random_below(4)) {
        rule->spec.in_port = rte_cpu_to_be_16((uint16_t)(2 + random_below(3)));
        rule->mask.in_port = 0xffff;
    }
}

static bool matches(const struct cls_rule *rule, const struct match_key *key)
{
    const uint8_t *k = (const uint8_t *)key, *spec = (const uint8_t *)&rule->spec,
                  *mask = (const uint8_t *)&rule->mask;

    for (size_t i = 0; i < sizeof *key; i++)
        if ((k[i] & mask[i]) != spec[i])
            return false;
    return true;
}

static struct cls_rule *expected(struct cls_rule *rules[], unsigned n, uint64_t version,
                                 const struct match_key *key)
{
    struct cls_rule *best = NULL;

    for (unsigned i = 0; i < n; i++)
        if (rules[i] && rules[i]->add_version <= version && version < rules[i]->remove_version &&
            (!best || rules[i]->order > best->order) && matches(rules[i], key))
            best = rules[i];
    return best;
}

static struct classifier *new_classifier(void)
{
    static struct budget budget = {.max = 64 << 20};
    struct classifier *cls = cls_new("t", &budget);

    assert_non_null(cls);
    return cls;
}

static void insert(struct classifier *cls, struct cls_rule *rule)
{
    char *error = NULL;

    if (cls_insert(cls, rule, &error))
        fail_msg("%s", error);
}

// What one version sees while the rules of the next come and go.
static void finds_what_a_list_finds(void **state)
{
    static struct cls_rule *rules[RULES];
    struct classifier *cls = new_classifier();
    uint64_t version = 1, order[2 * RULES], n_orders = 0, hits = 0;

    (void)state;
    for (unsigned i = 0; i < 2 * RULES; i++)
        order[i] = i;
    for (unsigned step = 0; step < 3000; step++) {
        unsigned changes = random_below(step % 700 < 30 ? 200 : 8);

        // The next version: some added, some marked as removed.
        for (unsigned c = 0; c < changes; c++) {
            unsigned i = random_below(RULES);

            if (!rules[i]) {
                unsigned pick = random_below((uint32_t)(2 * RULES - n_orders));
                uint64_t o = order[pick];

                order[pick] = order[2 * RULES - 1 - n_orders];
                order[2 * RULES - 1 - n_orders++] = o;
                rules[i] = aligned_alloc(64, RTE_ALIGN(sizeof *rules[i], 64));
                random_rule(rules[i], o);
                insert(cls, rules[i]);
                rules[i]->add_version = version + 1;
            } else if (rules[i]->add_version <= version && rules[i]->remove_version == UINT64_MAX)
                rules[i]->remove_version = version + 1;
        }
        for (unsigned round = 0; round < 4; round++) {
            struct match_key keys[CLS_BURST];
            const struct match_key *at[CLS_BURST];
            struct cls_rule *found[CLS_BURST];
            unsigned n = 1 + random_below(CLS_BURST);
            uint64_t v = version + random_below(2);

            for (unsigned k = 0; k < n; k++) {
                keys[k] = packet(random_below(8), random_below(8), (uint16_t)random_below(4));
                if (!random_below(8))
                    keys[k].fields.eth_type = RTE_BE16(0x9000);
                // The EtherType says IPv4, the addresses do not.
                if (!random_below(8))
                    memset(&keys[k].fields.ip_src, (int)random_below(2), 16);
                at[k] = &keys[k];
            }
            cls_lookup(cls, v, at, n, found);
            for (unsigned k = 0; k < n; k++) {
                assert_ptr_equal(found[k], expected(rules, RULES, v, &keys[k]));
                hits += found[k] != NULL;
            }
        }
        version++;
        for (unsigned i = 0; i < RULES; i++)
            if (rules[i] && rules[i]->remove_version <= version) {
                cls_remove(cls, rules[i]);
                order[2 * RULES - n_orders--] = rules[i]->order;
                free(rules[i]);
                rules[i] = NULL;
            }
        if (!random_below(3))
            cls_poll(cls);
    }
    assert_true(hits > 50000);
    for (unsigned i = 0; i < RULES; i++)
        if (rules[i]) {
            cls_remove(cls, rules[i]);
            free(rules[i]);
        }
    cls_free(cls);
}

// Packets about which the first `n` rules and those of random_rule differ.
static void check_all(struct classifier *cls, struct cls_rule *rules[], unsigned n)
{
    for (unsigned round = 0; round < 20; round++) {
        struct match_key keys[CLS_BURST];
        const struct match_key *at[CLS_BURST];
        struct cls_rule *found[CLS_BURST];

        for (unsigned k = 0; k < CLS_BURST; k++) {
            keys[k] =
                packet(random_below(8), random_below(k % 2 ? 8 : LARGE), (uint16_t)random_below(4));
            at[k] = &keys[k];
        }
        cls_lookup(cls, 0, at, CLS_BURST, found);
        for (unsigned k = 0; k < CLS_BURST; k++)
            assert_ptr_equal(found[k], expected(rules, n, 0, &keys[k]));
    }
}

// A table that is mostly of one mask: its rules come and go without a build.
static void keeps_a_large_mask_out_of_the_acl(void **state)
{
    static struct cls_rule *rules[LARGE + 200];
    struct classifier *cls = new_classifier();
    struct classifier_stats stats;
    unsigned n = 0;

    (void)state;
    cls_acl_worth = 0;
    for (; n < RTE_DIM(rules); n++) {
        rules[n] = aligned_alloc(64, RTE_ALIGN(sizeof *rules[n], 64));
        random_rule(rules[n], (uint64_t)random_below(1000) << 32 | n);
        if (n < LARGE) {
            memset(&rules[n]->mask, 0, sizeof rules[n]->mask);
            memset(&rules[n]->spec, 0, sizeof rules[n]->spec);
            rules[n]->spec.fields.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
            rules[n]->mask.fields.eth_type = 0xffff;
            match_ip(&rules[n]->spec.fields.ip_dst, &rules[n]->mask.fields.ip_dst, n, 32);
        }
        rules[n]->add_version = 0;
        insert(cls, rules[n]);
    }
    do {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        cls_poll(cls);
        cls_stats(cls, &stats);
    } while (!stats.builds);
    assert_string_equal(stats.structure, "vectors");
    check_all(cls, rules, n);
    for (unsigned i = 0; i < LARGE; i += 3)
        cls_remove(cls, rules[i]);
    for (unsigned i = 0; i < LARGE; i += 6) {
        rules[i]->order = (uint64_t)random_below(1000) << 32 | i;
        insert(cls, rules[i]);
    }
    for (unsigned i = 3; i < LARGE; i += 6) {
        free(rules[i]);
        rules[i] = NULL;
    }
    cls_stats(cls, &stats);
    assert_int_equal(stats.delta, 0);
    check_all(cls, rules, n);
    for (unsigned i = 0; i < n; i++)
        if (rules[i]) {
            cls_remove(cls, rules[i]);
            free(rules[i]);
        }
    cls_free(cls);
}

// Prefixes of one network, the longest first: they come and go in place.
static void changes_prefixes_without_a_build(void **state)
{
    static struct cls_rule rules[3000], *all[RTE_DIM(rules)];
    struct classifier *cls = new_classifier();
    struct classifier_stats stats;
    unsigned n = RTE_DIM(rules);

    (void)state;
    cls_acl_worth = 80;
    for (unsigned i = 0; i < n; i++) {
        unsigned len = 16 + i % 17;

        rules[i].order = (uint64_t)len << 32 | i;
        rules[i].remove_version = UINT64_MAX;
        rules[i].spec.fields.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
        rules[i].mask.fields.eth_type = 0xffff;
        match_ip(&rules[i].spec.fields.ip_dst, &rules[i].mask.fields.ip_dst,
                 172u << 24 | 16u << 16 | random_below(1 << 20), len);
        rules[i].spec.fields.ip_src = mapped(0);
        memset(&rules[i].mask.fields.ip_src, 0xff, 12);
        insert(cls, &rules[i]);
        all[i] = &rules[i];
    }
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < 400; i++)
            if (cls_poll(cls))
                nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        for (unsigned i = 0; i < 2 * CLS_BURST; i++) {
            struct match_key key = packet(1, 172u << 24 | 16u << 16 | random_below(1 << 20), 0);
            const struct match_key *at = &key;
            struct cls_rule *hit;

            cls_lookup(cls, 0, &at, 1, &hit);
            assert_ptr_equal(hit, expected(all, n, 0, &key));
        }
        for (unsigned i = round; i < n; i += 2) {
            cls_remove(cls, &rules[i]);
            rules[i].order = rules[i].order >> 32 << 32 | (n * (round + 1) + i);
            insert(cls, &rules[i]);
        }
    }
    cls_stats(cls, &stats);
    assert_string_equal(stats.structure, "hash");
    assert_int_equal(stats.builds, 0);
    assert_false(stats.compiling);
    for (unsigned i = 0; i < n; i++)
        cls_remove(cls, &rules[i]);
    cls_free(cls);
}

// Rules for all IPv4 packets and for any are left beside many of IPv6, behind which a sieve was: it
// has nothing to go by any more.
static void lives_on_without_anything_to_sieve(void **state)
{
    static struct cls_rule rules[320], *all[RTE_DIM(rules)];
    struct classifier *cls = new_classifier();
    unsigned n = RTE_DIM(rules), n_left = 122;

    (void)state;
    for (unsigned i = 0; i < n; i++) {
        struct match_fields *spec = &rules[i].spec.fields, *mask = &rules[i].mask.fields;

        rules[i].order = i;
        rules[i].remove_version = UINT64_MAX;
        all[i] = &rules[i];
        if (i) {
            spec->eth_type = i < 2 || i >= n_left ? RTE_BE16(RTE_ETHER_TYPE_IPV4)
                                                  : RTE_BE16(RTE_ETHER_TYPE_IPV6);
            mask->eth_type = 0xffff;
        }
        if (i >= n_left) {
            match_ip(&spec->ip_dst, &mask->ip_dst, i << 2, 30 + i % 3);
        } else if (i >= 2) {
            spec->ip_dst.s6_addr32[3] = rte_cpu_to_be_32(i);
            memset(&mask->ip_dst, 0xff, sizeof mask->ip_dst);
        }
        insert(cls, &rules[i]);
    }
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 1000 && cls_poll(cls); i++)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        check_all(cls, all, n);
        for (; n > n_left; n--)
            cls_remove(cls, all[n - 1]);
    }
    while (n)
        cls_remove(cls, all[--n]);
    cls_free(cls);
}

static void says_what_it_is(void **state)
{
    struct classifier *cls = new_classifier();
    struct cls_rule rules[3] = {0};
    struct classifier_stats stats;

    (void)state;
    cls_stats(cls, &stats);
    assert_string_equal(stats.structure, "empty");
    for (unsigned i = 0; i < 3; i++) {
        rules[i].order = i;
        rules[i].mask.in_port = (rte_be16_t)i;
        insert(cls, &rules[i]);
        cls_stats(cls, &stats);
        assert_int_equal(stats.rules, i + 1);
        assert_int_equal(stats.masks, i + 1);
        assert_string_equal(stats.structure, i < 2 ? "exact" : "hash");
    }
    for (unsigned i = 0; i < 3; i++)
        cls_remove(cls, &rules[i]);
    cls_poll(cls);
    cls_stats(cls, &stats);
    assert_string_equal(stats.structure, "empty");
    assert_int_equal(stats.masks, 0);
    cls_free(cls);
}

static void keeps_to_its_budget(void **state)
{
    struct budget budget = {.max = 100 << 10};
    struct classifier *cls = cls_new("policy3", &budget);
    static struct cls_rule rules[20000];
    struct classifier_stats stats;
    char *error = NULL;
    unsigned n;

    (void)state;
    for (n = 0; n < RTE_DIM(rules) && !error; n++) {
        rules[n].order = n;
        match_ip(&rules[n].spec.fields.ip_dst, &rules[n].mask.fields.ip_dst, n, 32);
        rules[n].remove_version = UINT64_MAX;
        if (cls_insert(cls, &rules[n], &error))
            break;
        cls_poll(cls);
    }
    assert_true(n > 1000 && n < 10000);
    assert_non_null(error);
    print_message("# %s\n", error);
    assert_non_null(strstr(error, "policy3"));
    assert_non_null(strstr(error, "100 KiB"));
    free(error);
    cls_stats(cls, &stats);
    assert_int_equal(stats.rules, n);
    assert_true(stats.bytes <= 100 << 10);
    // The others still work.
    for (unsigned i = 0; i < n; i++) {
        struct match_key key = packet(0, i, 0);
        const struct match_key *at = &key;
        struct cls_rule *hit;

        cls_lookup(cls, 0, &at, 1, &hit);
        assert_ptr_equal(hit, &rules[i]);
        cls_remove(cls, &rules[i]);
        cls_lookup(cls, 0, &at, 1, &hit);
        assert_null(hit);
    }
    cls_free(cls);
}

// What one has taken the other cannot have.
static void shares_its_budget(void **state)
{
    struct budget budget = {.max = 100 << 10};
    struct classifier *cls[2] = {cls_new("a", &budget), cls_new("b", &budget)};
    static struct cls_rule rules[20000];
    struct cls_rule other = {.remove_version = UINT64_MAX};
    char *error = NULL;
    unsigned n = 0;

    (void)state;
    memset(rules, 0, sizeof rules);
    for (;; n++) {
        rules[n].order = n;
        match_ip(&rules[n].spec.fields.ip_dst, &rules[n].mask.fields.ip_dst, n, 32);
        rules[n].remove_version = UINT64_MAX;
        if (cls_insert(cls[0], &rules[n], &error))
            break;
    }
    free(error);
    while (budget.used < budget.max)
        budget.used += RTE_CACHE_LINE_SIZE; // to the last
    assert_int_equal(cls_insert(cls[1], &other, &error), -ENOSPC);
    free(error);
    while (n)
        cls_remove(cls[0], &rules[--n]);
    cls_free(cls[0]);
    insert(cls[1], &other);
    cls_remove(cls[1], &other);
    cls_free(cls[1]);
}

static void until_structure(struct classifier *cls, const char *structure)
{
    struct classifier_stats stats;
    unsigned turns = 0;

    do {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        cls_poll(cls);
        cls_stats(cls, &stats);
        assert_true(++turns < 60000);
    } while (strcmp(stats.structure, structure) != 0);
}

// Many rules are vectors at first and then tries; if many change, vectors again.
static void compiles_in_two_steps(void **state)
{
    static struct cls_rule rules[2600], *all[RTE_DIM(rules)];
    struct classifier *cls = new_classifier();
    struct classifier_stats stats;
    unsigned n = 1500;

    (void)state;
    cls_acl_worth = 0;
    for (unsigned i = 0; i < RTE_DIM(rules); i++) {
        random_rule(&rules[i], (uint64_t)random_below(1000) << 32 | i);
        rules[i].add_version = 0;
        if (i < n)
            insert(cls, &rules[i]);
        all[i] = &rules[i];
    }
    until_structure(cls, "vectors");
    check_all(cls, all, n);
    until_structure(cls, "acl");
    check_all(cls, all, n);
    cls_stats(cls, &stats);
    assert_int_equal(stats.builds, 2);
    assert_int_equal(stats.delta, 0);
    for (; n < RTE_DIM(rules); n++)
        insert(cls, &rules[n]);
    check_all(cls, all, n);
    until_structure(cls, "vectors");
    check_all(cls, all, n);
    // While tries are built, which are given up for it.
    do {
        cls_poll(cls);
        cls_stats(cls, &stats);
    } while (!stats.compiling);
    for (; n > 1200; n--)
        cls_remove(cls, &rules[n - 1]);
    do {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        cls_poll(cls);
        cls_stats(cls, &stats);
    } while (stats.delta);
    check_all(cls, all, n);
    until_structure(cls, "acl");
    check_all(cls, all, n);
    for (; n > 600; n--)
        cls_remove(cls, &rules[n - 1]);
    until_structure(cls, "vectors");
    check_all(cls, all, n);
    // So few stay vectors.
    while (cls_poll(cls))
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    cls_stats(cls, &stats);
    assert_string_equal(stats.structure, "vectors");
    while (n)
        cls_remove(cls, &rules[--n]);
    cls_free(cls);
}

// What vectors have no room for stays in hash tables.
static void refuses_vectors(void **state)
{
    static struct cls_rule rules[300], *all[RTE_DIM(rules)];
    struct budget budget = {.max = 512 << 10}; // a sieve and vectors take 16 KiB a byte each
    struct classifier *cls = cls_new("t", &budget);
    struct classifier_stats stats;
    unsigned turns = 0;

    (void)state;
    cls_acl_worth = 0;
    for (unsigned i = 0; i < RTE_DIM(rules); i++) {
        random_rule(&rules[i], i);
        rules[i].add_version = 0;
        insert(cls, &rules[i]);
        all[i] = &rules[i];
    }
    do {
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        cls_poll(cls);
        cls_stats(cls, &stats);
        assert_true(++turns < 60000);
    } while (!stats.refused_bytes || stats.compiling);
    assert_string_equal(stats.structure, "hash");
    assert_true(stats.refused_bytes < budget.max);
    check_all(cls, all, RTE_DIM(rules));
    for (unsigned i = 0; i < RTE_DIM(rules); i++)
        cls_remove(cls, &rules[i]);
    cls_free(cls);
    assert_int_equal(budget.used, 0);
}

// Rules that rte_acl would take too much memory for stay vectors.
static void refuses_tries(void **state)
{
    static struct cls_rule rules[300];
    struct budget budget = {.max = 2 << 20}; // 8 MiB for a build: about 120 rules
    struct classifier *cls = cls_new("t", &budget);
    struct classifier_stats stats;
    unsigned few = cls_vectors_rules;

    (void)state;
    cls_acl_worth = 0;
    cls_vectors_rules = 0;
    for (unsigned i = 0; i < RTE_DIM(rules); i++) {
        random_rule(&rules[i], i);
        insert(cls, &rules[i]);
    }
    do {
        nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
        cls_poll(cls);
        cls_stats(cls, &stats);
    } while (!stats.refused_bytes || stats.compiling);
    assert_string_equal(stats.structure, "vectors");
    assert_int_equal(stats.refused_bytes, 8 << 20);
    for (unsigned i = 60; i < RTE_DIM(rules); i++)
        cls_remove(cls, &rules[i]);
    // It tries again, a second later.
    until_structure(cls, "acl");
    cls_stats(cls, &stats);
    assert_int_equal(stats.refused_bytes, 0);
    for (unsigned i = 0; i < 60; i++)
        cls_remove(cls, &rules[i]);
    cls_free(cls);
    cls_vectors_rules = few;
    assert_int_equal(budget.used, 0);
}

static int setup(void **state)
{
    (void)state;
    return eal_start(512) < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_what_a_list_finds),
        cmocka_unit_test(keeps_a_large_mask_out_of_the_acl),
        cmocka_unit_test(changes_prefixes_without_a_build),
        cmocka_unit_test(lives_on_without_anything_to_sieve),
        cmocka_unit_test(says_what_it_is),
        cmocka_unit_test(keeps_to_its_budget),
        cmocka_unit_test(shares_its_budget),
        cmocka_unit_test(compiles_in_two_steps),
        cmocka_unit_test(refuses_vectors),
        cmocka_unit_test(refuses_tries),
    };

    random_begin();
    return cmocka_run_group_tests(tests, setup, NULL);
}
