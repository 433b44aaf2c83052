/* SPDX-License-Identifier: Apache-2.0 */
// Random rules and packets: the classifier and libopenvswitch's say the same, for the version that
// is in force and for the next, while rules come and go and acls are built and swapped.
//
// SLUICE_RULE_SETS: how many (default 150). SLUICE_PACKETS: for each of them, about (default
// 2,000). SLUICE_SEED: of the random numbers (default: of the time; printed).
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>
#include <rte_common.h>

#include "dataplane/classifier_internal.h"
#include "tests/unit/classifier_reference.h"
#include "tests/unit/eal.h"
#include "tests/unit/random.h"

#define RULES_MAX_OF_SET 4000
#define WORTH            80
#define MANY             1024 // rules, which vectors look up otherwise than few
#define STYLES           5
#define STYLE_PREFIXES   4 // of one address

struct rule_pair {
    struct cls_rule rule; // first, as the classifier's hits point to it
    struct reference_rule *reference;
};

// One set of rules in both classifiers.
struct pair {
    struct budget budget;
    struct classifier *cls;
    struct reference *reference;
    struct rule_pair *rules[RULES_MAX_OF_SET];
    unsigned n;
    uint64_t version;
    unsigned style; // what kind of rules
    bool longest_wins;
};

static struct {
    uint64_t packets, hits, vectors, many, tries, changed, dead, prefixes;
} seen;

static void random_bytes(void *p, size_t n)
{
    for (uint8_t *byte = p; n--; byte++)
        *byte = (uint8_t)random_below(256);
}

// Half of the time all bits, else any, or few.
static void random_mask(void *p, size_t n)
{
    switch (random_below(4)) {
    case 0:
        random_bytes(p, n);
        break;
    case 1:
        memset(p, 0, n);
        ((uint8_t *)p)[random_below((uint32_t)n)] = (uint8_t)(1 << random_below(8));
        break;
    default:
        memset(p, 0xff, n);
    }
}

static void random_prefix(struct in6_addr *mask, bool v4)
{
    static const uint8_t lengths[] = {0, 8, 16, 24, 32};
    unsigned len = v4 ? 96 + (random_below(2) ? random_below(33) : lengths[random_below(5)])
                      : (random_below(2) ? random_below(129) : 8 * random_below(17));

    memset(mask, 0, sizeof *mask);
    if (v4 && len == 96)
        return;
    memset(mask, 0xff, len / 8);
    if (len % 8)
        mask->s6_addr[len / 8] = (uint8_t)(0xff << (8 - len % 8));
}

static struct in6_addr random_address(bool v4)
{
    struct in6_addr address = IN6ADDR_ANY_INIT;

    if (v4) {
        address.s6_addr16[5] = 0xffff;
        // Near each other, so that prefixes nest.
        address.s6_addr32[3] = rte_cpu_to_be_32(10u << 24 | random_below(4) << 16 |
                                                random_below(4) << 8 | random_below(16));
    } else {
        address.s6_addr16[0] = RTE_BE16(0xfd00);
        address.s6_addr[7] = (uint8_t)random_below(4);
        address.s6_addr[15] = (uint8_t)random_below(16);
    }
    return address;
}

// Bits of some fields of a packet of this EtherType, as OpenFlow's prerequisites allow them.
static void random_fields(struct match_key *mask, rte_be16_t eth_type, unsigned style)
{
    struct match_fields *m = &mask->fields;
    bool any = style == 0, l4;

    // The fields of five tuples in most sets, all in the others.
    if (any && !random_below(3))
        random_mask(&mask->in_port, 2);
    if (any && !random_below(6))
        random_mask(&m->eth_dst, 6);
    if (any && !random_below(6))
        random_mask(&m->eth_src, 6);
    if ((any || style == 1) && !random_below(3))
        m->vlan_tci = random_below(2) ? RTE_BE16(0x1fff) : (rte_be16_t)random_below(0x10000);
    if (any && !random_below(8))
        random_mask(&m->metadata, 8);
    if (any && !random_below(8))
        random_mask(&m->reg[random_below(RULE_REGS)], 4);
    if (!eth_type)
        return;
    m->eth_type = 0xffff;
    if (style == STYLE_PREFIXES) {
        random_prefix(&m->ip_dst, eth_type != RTE_BE16(RTE_ETHER_TYPE_IPV6));
        return;
    }
    if (eth_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) && eth_type != RTE_BE16(RTE_ETHER_TYPE_IPV6) &&
        eth_type != RTE_BE16(RTE_ETHER_TYPE_ARP))
        return;
    if (random_below(3))
        random_prefix(&m->ip_src, eth_type != RTE_BE16(RTE_ETHER_TYPE_IPV6));
    if (random_below(3))
        random_prefix(&m->ip_dst, eth_type != RTE_BE16(RTE_ETHER_TYPE_IPV6));
    if (random_below(3))
        m->ip_proto = 0xff;
    if (eth_type == RTE_BE16(RTE_ETHER_TYPE_ARP)) {
        if (!random_below(3))
            random_mask(&m->arp_sha, 6);
        if (!random_below(3))
            random_mask(&m->arp_tha, 6);
        return;
    }
    if (any && !random_below(4))
        m->ip_tos = 0xfc;
    if (!random_below(6))
        m->ip_frag = (uint8_t)(1 + random_below(3));
    l4 = m->ip_proto;
    if (l4 && !random_below(3))
        random_mask(&m->l4_src, 2);
    if (l4 && random_below(2))
        random_mask(&m->l4_dst, 2);
    if (l4 && any && !random_below(6))
        random_mask(&m->tcp_flags, 2);
}

static struct match_key random_packet(unsigned style)
{
    static const rte_be16_t types[] = {RTE_BE16(RTE_ETHER_TYPE_IPV4), RTE_BE16(RTE_ETHER_TYPE_IPV6),
                                       RTE_BE16(RTE_ETHER_TYPE_ARP), RTE_BE16(0x88cc)};
    struct match_key key = {.in_port = rte_cpu_to_be_16((uint16_t)(1 + random_below(4)))};
    struct match_fields *f = &key.fields;
    bool v6;

    f->eth_type = types[style == 2 || random_below(3) ? 0 : random_below(4)];
    f->eth_dst.addr_bytes[5] = (uint8_t)random_below(4);
    f->eth_src.addr_bytes[5] = (uint8_t)random_below(4);
    f->metadata = random_below(4);
    f->reg[0] = random_below(4);
    if (!random_below(3))
        f->vlan_tci = rte_cpu_to_be_16((uint16_t)(VLAN_PRESENT | random_below(4)));
    v6 = f->eth_type == RTE_BE16(RTE_ETHER_TYPE_IPV6);
    if (f->eth_type == RTE_BE16(0x88cc))
        return key;
    f->ip_src = random_address(!v6);
    f->ip_dst = random_address(!v6);
    f->ip_proto = (uint8_t)random_below(4);
    if (f->eth_type == RTE_BE16(RTE_ETHER_TYPE_ARP)) {
        f->arp_sha.addr_bytes[0] = (uint8_t)random_below(4);
        return key;
    }
    f->ip_tos = (uint8_t)(random_below(3) << 2);
    f->ip_frag = (uint8_t)(random_below(8) ? 0 : IP_FRAG_ANY | random_below(2) * IP_FRAG_LATER);
    if (f->ip_frag & IP_FRAG_LATER)
        return key;
    f->l4_src = rte_cpu_to_be_16((uint16_t)random_below(4));
    f->l4_dst = rte_cpu_to_be_16((uint16_t)random_below(4));
    f->tcp_flags = rte_cpu_to_be_16((uint16_t)random_below(8));
    return key;
}

static void make_rule(struct cls_rule *rule, unsigned style)
{
    struct match_key packet = random_packet(style);
    const uint32_t *words = (const uint32_t *)&packet;
    uint32_t *spec = (uint32_t *)&rule->spec, *mask = (uint32_t *)&rule->mask;

    random_fields(&rule->mask, style != 2 && !random_below(6) ? 0 : packet.fields.eth_type, style);
    for (unsigned w = 0; w < MATCH_KEY_WORDS; w++)
        spec[w] = words[w] & mask[w];
}

// A packet that a rule was made for, mostly.
static struct match_key make_packet(const struct pair *pair)
{
    struct match_key key = random_packet(pair->style);

    if (pair->n && random_below(4)) {
        const struct cls_rule *rule = &pair->rules[random_below(pair->n)]->rule;
        rte_be16_t eth_type = rule->spec.fields.eth_type;

        // Other bits of a packet of the same kind.
        for (unsigned i = 0; i < 20 && eth_type && key.fields.eth_type != eth_type; i++)
            key = random_packet(pair->style);
        if (!eth_type || key.fields.eth_type == eth_type)
            for (unsigned w = 0; w < MATCH_KEY_WORDS; w++)
                ((uint32_t *)&key)[w] = (((uint32_t *)&key)[w] & ~((uint32_t *)&rule->mask)[w]) |
                                        ((uint32_t *)&rule->spec)[w];
    }
    if (!random_below(4)) {
        // One bit of a field of any packet's.
        uint8_t *field[] = {&key.fields.ip_src.s6_addr[12], &key.fields.ip_dst.s6_addr[12],
                            &key.fields.ip_proto, (uint8_t *)&key.fields.l4_dst};

        if (key.fields.eth_type == RTE_BE16(RTE_ETHER_TYPE_IPV4) ||
            key.fields.eth_type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
            *field[random_below(4)] ^= (uint8_t)(1 << random_below(8));
    }
    return key;
}

// Of all bits of a mask.
static unsigned bits_of(const struct match_key *mask)
{
    unsigned n = 0;

    for (unsigned w = 0; w < MATCH_KEY_WORDS; w++)
        n += (unsigned)__builtin_popcount(((const uint32_t *)mask)[w]);
    return n;
}

static int taken(const struct pair *pair, uint64_t order)
{
    for (unsigned i = 0; i < pair->n; i++)
        if (pair->rules[i]->rule.order == order)
            return true;
    return false;
}

// In force from the next version on.
static void add_rule(struct pair *pair)
{
    struct rule_pair *added = aligned_alloc(64, RTE_ALIGN(sizeof *added, 64));
    char *error = NULL;

    memset(added, 0, sizeof *added);
    make_rule(&added->rule, pair->style);
    do
        added->rule.order = pair->longest_wins
                                ? bits_of(&added->rule.mask) << 20 | random_below(1 << 20)
                                : random_below(INT32_MAX);
    while (taken(pair, added->rule.order));
    added->rule.add_version = added->rule.remove_version = UINT64_MAX;
    if (cls_insert(pair->cls, &added->rule, &error))
        fail_msg("%s", error);
    added->rule.add_version = pair->version + 1;
    added->reference = reference_insert(pair->reference, &added->rule.spec, &added->rule.mask,
                                        (int)added->rule.order, pair->version + 1);
    pair->rules[pair->n++] = added;
}

static void hide_rule(struct pair *pair, unsigned i)
{
    struct rule_pair *rule = pair->rules[i];

    if (rule->rule.remove_version != UINT64_MAX)
        return;
    rule->rule.remove_version = pair->version + 1;
    reference_hide(rule->reference, pair->version + 1);
}

static void next_version(struct pair *pair)
{
    pair->version++;
    for (unsigned i = 0; i < pair->n; i++) {
        struct rule_pair *rule = pair->rules[i];

        if (rule->rule.remove_version > pair->version)
            continue;
        cls_remove(pair->cls, &rule->rule);
        reference_remove(pair->reference, rule->reference);
        free(rule);
        pair->rules[i--] = pair->rules[--pair->n];
    }
}

// Whether all of the packets match the same in both. What they matched is put into `orders`.
static bool same(const struct pair *pair, uint64_t version, const struct match_key keys[],
                 unsigned n, int64_t orders[])
{
    const struct match_key *at[CLS_BURST] = {0};
    struct cls_rule *hits[CLS_BURST];
    bool equal = true;

    for (unsigned i = 0; i < n; i++)
        at[i] = &keys[i];
    cls_lookup(pair->cls, version, at, n, hits);
    for (unsigned i = 0; i < n; i++) {
        orders[i] = hits[i] ? (int64_t)hits[i]->order : -1;
        equal &= orders[i] == reference_lookup(pair->reference, version, &keys[i]);
        seen.hits += hits[i] != NULL;
    }
    seen.packets += n;
    return equal;
}

static bool is_compiled(const struct classifier_stats *stats)
{
    return !strcmp(stats->structure, "vectors") || !strcmp(stats->structure, "acl");
}

static void check(const struct pair *pair, unsigned packets)
{
    struct match_key keys[CLS_BURST];
    struct classifier_stats stats;
    int64_t orders[CLS_BURST];
    unsigned n;

    cls_stats(pair->cls, &stats);
    for (; packets; packets -= n) {
        n = RTE_MIN(1 + random_below(CLS_BURST), packets);
        for (unsigned i = 0; i < n; i++)
            keys[i] = make_packet(pair);
        assert_true(same(pair, pair->version, keys, n, orders));
        seen.changed += is_compiled(&stats) && stats.delta ? n : 0;
        seen.vectors += !strcmp(stats.structure, "vectors") ? n : 0;
        seen.many += !strcmp(stats.structure, "vectors") && stats.rules > MANY ? n : 0;
        seen.tries += !strcmp(stats.structure, "acl") ? n : 0;
        // By a fine sieve.
        if (!strcmp(stats.structure, "hash") && pair->style == STYLE_PREFIXES && stats.rules >= 100)
            seen.prefixes += n;
    }
}

// Until there is nothing more to build, or what is left is refused: it would be tried again.
static void until_built(struct pair *pair)
{
    struct classifier_stats stats = {0};

    for (unsigned i = 0; i < 60000 && cls_poll(pair->cls); i++) {
        cls_stats(pair->cls, &stats);
        if (stats.refused_bytes && !stats.compiling)
            break;
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
}

// Packets that matched a rule of the acl which is removed now: what is behind it is found.
static void check_behind(struct pair *pair)
{
    struct match_key keys[CLS_BURST];
    int64_t before[CLS_BURST], after[CLS_BURST];
    struct classifier_stats stats;

    for (unsigned i = 0; i < CLS_BURST; i++)
        keys[i] = make_packet(pair);
    assert_true(same(pair, pair->version, keys, CLS_BURST, before));
    for (unsigned i = 0; i < CLS_BURST; i++)
        for (unsigned r = 0; r < pair->n && before[i] >= 0 && i % 2; r++)
            if ((int64_t)pair->rules[r]->rule.order == before[i])
                hide_rule(pair, r);
    // Still there, for those that look at the version before.
    assert_true(same(pair, pair->version, keys, CLS_BURST, after));
    assert_memory_equal(before, after, sizeof before);
    assert_true(same(pair, pair->version + 1, keys, CLS_BURST, after));
    next_version(pair);
    assert_true(same(pair, pair->version, keys, CLS_BURST, after));
    cls_stats(pair->cls, &stats);
    for (unsigned i = 0; i < CLS_BURST; i++)
        seen.dead += stats.delta && is_compiled(&stats) && before[i] != after[i];
}

static struct pair *pair_new(void)
{
    struct pair *pair = calloc(1, sizeof *pair);

    pair->budget.max = 64 << 20;
    pair->cls = cls_new("t", &pair->budget);
    pair->reference = reference_new();
    pair->style = random_below(STYLES);
    pair->longest_wins = pair->style == STYLE_PREFIXES && random_below(2);
    return pair;
}

static void pair_free(struct pair *pair)
{
    for (unsigned i = 0; i < pair->n; i++)
        hide_rule(pair, i);
    next_version(pair);
    assert_int_equal(pair->n, 0);
    reference_free(pair->reference);
    cls_free(pair->cls);
    free(pair);
}

static void check_set(unsigned packets)
{
    static const unsigned sizes[] = {4, 20, 100, 100, 500};
    struct pair *pair = pair_new();
    // rte_acl takes long to give up when rules of all fields are many.
    unsigned n = 1 + random_below(pair->style ? sizes[random_below(RTE_DIM(sizes))] : 60);
    bool build = random_below(pair->style == STYLE_PREFIXES ? 2 : 4);

    if (pair->style == STYLE_PREFIXES)
        n += 150; // enough for a fine sieve
    // Tries of very many take long.
    cls_vectors_rules = random_below(2) ? MANY : 0;
    if (pair->style && build && !random_below(8)) {
        n += MANY;
        cls_vectors_rules = RULES_MAX_OF_SET;
    }
    // However little there is to win.
    cls_acl_worth = build ? 0 : WORTH;

    for (unsigned i = 0; i < n; i++)
        add_rule(pair);
    check(pair, packets / 8); // of which none is in force
    next_version(pair);
    cls_poll(pair->cls);
    if (build)
        until_built(pair);
    check(pair, packets / 4);
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = random_below(1 + n / 4); i-- > 0;)
            add_rule(pair);
        for (unsigned i = random_below(1 + pair->n / 4); i-- > 0;)
            hide_rule(pair, random_below(pair->n));
        check(pair, packets / 16);
        next_version(pair);
        check(pair, packets / 16);
        check_behind(pair);
        cls_poll(pair->cls);
        if (round == 2 && build)
            until_built(pair);
    }
    check(pair, packets / 8);
    pair_free(pair);
}

static unsigned from_environment(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void agrees_with_libopenvswitch(void **state)
{
    unsigned sets = from_environment("SLUICE_RULE_SETS", 150);
    unsigned packets = from_environment("SLUICE_PACKETS", 2000);

    (void)state;
    for (unsigned i = 0; i < sets; i++)
        check_set(packets);
    print_message("# %u rule sets, %lu packets, %lu hits; %lu with vectors, %lu of them of many "
                  "rules, %lu with tries; %lu of all these with changes, %lu behind a removed "
                  "rule; %lu with many prefixes\n",
                  sets, seen.packets, seen.hits, seen.vectors, seen.many, seen.tries, seen.changed,
                  seen.dead, seen.prefixes);
    assert_true(seen.hits > seen.packets / 4);
    assert_true(seen.vectors > seen.packets / 20);
    assert_true(seen.many > 0);
    assert_true(seen.tries > seen.packets / 40);
    assert_true(seen.changed > seen.packets / 20);
    assert_true(seen.dead > sets);
    assert_true(seen.prefixes > 0);
}

// The comparison is one: it sees that a rule has one bit wrong, or is not found.
static void sees_a_difference(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 50; round++) {
        struct pair *pair = pair_new();
        struct match_key key;
        int64_t order;
        struct cls_rule *planted = NULL;
        uint32_t bit, *spec, *mask;
        char *error;

        for (unsigned i = 0; i < 20; i++)
            add_rule(pair);
        next_version(pair);
        do {
            key = make_packet(pair);
            assert_true(same(pair, pair->version, &key, 1, &order));
            for (unsigned i = 0; i < pair->n; i++)
                if ((int64_t)pair->rules[i]->rule.order == order)
                    planted = &pair->rules[i]->rule;
        } while (!planted);
        spec = (uint32_t *)&planted->spec;
        mask = (uint32_t *)&planted->mask;
        cls_remove(pair->cls, planted);
        assert_false(same(pair, pair->version, &key, 1, &order));
        for (unsigned w = 0; w < MATCH_KEY_WORDS; w++) {
            bit = mask[w] & -mask[w];
            spec[w] ^= bit;
            assert_int_equal(cls_insert(pair->cls, planted, &error), 0);
            assert_int_equal(same(pair, pair->version, &key, 1, &order), !bit);
            cls_remove(pair->cls, planted);
            spec[w] ^= bit;
        }
        assert_int_equal(cls_insert(pair->cls, planted, &error), 0);
        assert_true(same(pair, pair->version, &key, 1, &order));
        pair_free(pair);
    }
}

static int setup(void **state)
{
    (void)state;
    return eal_start(512) < 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sees_a_difference),
        cmocka_unit_test(agrees_with_libopenvswitch),
    };

    random_begin();
    return cmocka_run_group_tests(tests, setup, NULL);
}
