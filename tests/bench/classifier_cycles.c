/* SPDX-License-Identifier: Apache-2.0 */
// What a classifier costs: cycles a lookup, in bursts of 32 of 4,096 packets that match random
// rules, by hash tables alone, by what it is compiled to first, with packets of random ports too,
// which mostly match nothing, and at last; times of changes and builds. Of many rounds the fastest
// tenth's slowest: what else runs on the machine only adds.
//
// usage: classifier_cycles [CPU [KIND [RULES]]]
#include <arpa/inet.h>
#include <err.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>

#include "dataplane/classifier.h"
#include "dataplane/memory.h"
#include "tests/unit/eal.h"

enum { PACKETS = 4096, LOT = 32, ROUNDS = 201, RULES_LIMIT = 100000 };

static struct cls_rule *rules;
static struct match_key keys[PACKETS], strange[PACKETS];

static uint64_t random_state = 88172645463325252;

static uint32_t random_u32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

static void set_prefix(struct in6_addr *spec, struct in6_addr *mask, uint32_t address, unsigned len)
{
    uint32_t bits = len ? ~0u << (32 - len) : 0;

    if (!len)
        return;
    memset(mask, 0xff, 12);
    mask->s6_addr32[3] = htonl(bits);
    spec->s6_addr16[5] = 0xffff;
    spec->s6_addr32[3] = htonl(address & bits);
}

static void set_port(rte_be16_t *spec, rte_be16_t *mask, uint16_t port)
{
    *spec = htons(port);
    *mask = 0xffff;
}

static struct cls_rule new_rule(unsigned i)
{
    struct cls_rule rule = {.remove_version = UINT64_MAX};

    rule.spec.fields.eth_type = htons(RTE_ETHER_TYPE_IPV4);
    rule.mask.fields.eth_type = 0xffff;
    rule.order = (uint64_t)(random_u32() % 1000) << 32 | i;
    return rule;
}

// One mask: a pod's address and a port.
static struct cls_rule exact_rule(unsigned i)
{
    struct cls_rule rule = new_rule(i);

    set_prefix(&rule.spec.fields.ip_dst, &rule.mask.fields.ip_dst, 10u << 24 | i, 32);
    set_port(&rule.spec.fields.l4_dst, &rule.mask.fields.l4_dst, (uint16_t)random_u32());
    return rule;
}

// Longest prefix wins.
static struct cls_rule prefix_rule(unsigned i)
{
    struct cls_rule rule = new_rule(i);
    unsigned len = 8 + random_u32() % 25;

    set_prefix(&rule.spec.fields.ip_dst, &rule.mask.fields.ip_dst, random_u32(), len);
    rule.order = (uint64_t)len << 32 | i;
    return rule;
}

// The benchmark's prefixes (rules.py): all in one network.
static struct cls_rule nested_rule(unsigned i)
{
    struct cls_rule rule = new_rule(i);
    unsigned len = 16 + i % 17;

    set_prefix(&rule.spec.fields.ip_dst, &rule.mask.fields.ip_dst,
               0xac100000 + random_u32() % (1 << 20), len);
    rule.spec.fields.ip_proto = IPPROTO_UDP;
    rule.mask.fields.ip_proto = 0xff;
    rule.order = (uint64_t)len << 32 | i;
    return rule;
}

// The other side, and of one protocol.
static struct cls_rule source_rule(unsigned i)
{
    struct cls_rule rule = prefix_rule(i);

    rule.spec.fields.ip_src = rule.spec.fields.ip_dst;
    rule.mask.fields.ip_src = rule.mask.fields.ip_dst;
    rule.spec.fields.ip_dst = rule.mask.fields.ip_dst = (struct in6_addr){0};
    rule.spec.fields.ip_proto = IPPROTO_TCP;
    rule.mask.fields.ip_proto = 0xff;
    return rule;
}

// Any prefix may win.
static struct cls_rule unordered_rule(unsigned i)
{
    struct cls_rule rule = prefix_rule(i);

    rule.order = (uint64_t)(random_u32() % 1000) << 32 | i;
    return rule;
}

// Of 2000::/3, longest prefix wins.
static struct cls_rule prefix6_rule(unsigned i)
{
    struct cls_rule rule = new_rule(i);
    unsigned len = random_u32() % 8 ? 32 + random_u32() % 33 : 128;

    rule.spec.fields.eth_type = htons(RTE_ETHER_TYPE_IPV6);
    for (unsigned b = 0; b < len; b++)
        rule.mask.fields.ip_dst.s6_addr[b / 8] |= (uint8_t)(0x80 >> b % 8);
    for (unsigned w = 0; w < 4; w++)
        rule.spec.fields.ip_dst.s6_addr32[w] =
            (w ? random_u32() : htonl(0x20000000 | random_u32() % 0x20000)) &
            rule.mask.fields.ip_dst.s6_addr32[w];
    rule.order = (uint64_t)len << 32 | i;
    return rule;
}

// A node's: to and from pods, services by port.
static struct cls_rule node_rule(unsigned i)
{
    static const uint8_t lengths[] = {8, 16, 20, 24, 24, 28, 32, 32};
    struct cls_rule rule = new_rule(i);
    struct match_fields *spec = &rule.spec.fields, *mask = &rule.mask.fields;
    uint32_t pod = 0x0a010a00 + random_u32() % 512;

    set_prefix(&spec->ip_dst, &mask->ip_dst, pod, random_u32() % 4 ? 32 : 24);
    set_prefix(&spec->ip_src, &mask->ip_src, random_u32(), lengths[random_u32() % 8]);
    spec->ip_proto = random_u32() % 4 ? IPPROTO_TCP : IPPROTO_UDP;
    mask->ip_proto = 0xff;
    if (random_u32() % 4)
        set_port(&spec->l4_dst, &mask->l4_dst, (uint16_t)(random_u32() % 10000));
    return rule;
}

// Prefixes of all lengths on both sides, ports or any.
static struct cls_rule random_rule(unsigned i)
{
    struct cls_rule rule = new_rule(i);
    struct match_fields *spec = &rule.spec.fields, *mask = &rule.mask.fields;

    set_prefix(&spec->ip_src, &mask->ip_src, random_u32(),
               random_u32() % 3 ? 8 + random_u32() % 25 : 0);
    set_prefix(&spec->ip_dst, &mask->ip_dst, random_u32(), 8 + random_u32() % 25);
    spec->ip_proto = random_u32() % 2 ? IPPROTO_TCP : IPPROTO_UDP;
    mask->ip_proto = 0xff;
    if (random_u32() % 2)
        set_port(&spec->l4_dst, &mask->l4_dst, (uint16_t)random_u32());
    if (!(random_u32() % 8))
        set_port(&spec->l4_src, &mask->l4_src, (uint16_t)random_u32());
    return rule;
}

static void set_masked(rte_be16_t *spec, rte_be16_t *mask, uint32_t port, uint16_t bits)
{
    *spec = htons((uint16_t)port & bits);
    *mask = htons(bits);
}

// The benchmark's five-tuples (rules.py): one sender's, to 506 pods.
static struct cls_rule policy_rule(unsigned i)
{
    static const uint8_t dst_lengths[] = {32, 32, 32, 30, 28, 24},
                         src_lengths[] = {32, 32, 24, 16, 8};
    static const uint16_t sport_bits[] = {0, 0, 0x8000, 0xc000, 0xf000},
                          dport_bits[] = {0xffff, 0xffff, 0xfff0, 0xff00};
    struct cls_rule rule = new_rule(i);
    struct match_fields *spec = &rule.spec.fields, *mask = &rule.mask.fields;

    set_prefix(&spec->ip_dst, &mask->ip_dst, 0x0a010a00 + random_u32() % 506,
               dst_lengths[random_u32() % 6]);
    set_prefix(&spec->ip_src, &mask->ip_src, 0xc0000201, src_lengths[random_u32() % 5]);
    spec->ip_proto = i % 4 ? IPPROTO_UDP : IPPROTO_TCP;
    mask->ip_proto = 0xff;
    set_masked(&spec->l4_src, &mask->l4_src, 32768 + random_u32() % 32768,
               sport_bits[random_u32() % 5]);
    set_masked(&spec->l4_dst, &mask->l4_dst,
               i % 2 ? 512 + random_u32() % 512 : 1024 + random_u32() % 64512,
               dport_bits[random_u32() % 4]);
    return rule;
}

static void make_keys(unsigned n)
{
    for (unsigned k = 0; k < PACKETS; k++) {
        const struct cls_rule *rule = &rules[random_u32() % n];
        struct match_key key = {.fields = {.eth_type = htons(RTE_ETHER_TYPE_IPV4),
                                           .ip_src.s6_addr16[5] = 0xffff,
                                           .ip_dst.s6_addr16[5] = 0xffff,
                                           .ip_proto = IPPROTO_UDP}};

        key.fields.ip_src.s6_addr32[3] = random_u32();
        key.fields.ip_dst.s6_addr32[3] = random_u32();
        key.fields.l4_src = (uint16_t)random_u32();
        key.fields.l4_dst = (uint16_t)random_u32();
        for (unsigned w = 0; w < MATCH_KEY_WORDS; w++)
            ((uint32_t *)&keys[k])[w] =
                (((uint32_t *)&key)[w] & ~((const uint32_t *)&rule->mask)[w]) |
                ((const uint32_t *)&rule->spec)[w];
        strange[k] = keys[k];
        strange[k].fields.l4_src = (uint16_t)random_u32();
        strange[k].fields.l4_dst = (uint16_t)random_u32();
    }
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double cycles_of(const struct classifier *cls, const struct match_key *packets,
                        unsigned *missed)
{
    static double rounds[ROUNDS];

    for (unsigned r = 0; r < ROUNDS; r++) {
        uint64_t start = rte_rdtsc();

        for (unsigned k = 0; k < PACKETS; k += LOT) {
            const struct match_key *at[LOT];
            struct cls_rule *hits[LOT];

            for (unsigned i = 0; i < LOT; i++)
                at[i] = &packets[k + i];
            cls_lookup(cls, 0, at, LOT, hits);
            for (unsigned i = 0; i < LOT; i++)
                *missed += !hits[i];
        }
        rounds[r] = (double)(rte_rdtsc() - start) / PACKETS;
    }
    qsort(rounds, ROUNDS, sizeof rounds[0], by_value);
    return rounds[ROUNDS / 10];
}

static double cycles(const struct classifier *cls)
{
    unsigned missed = 0;
    double taken = cycles_of(cls, keys, &missed);

    if (missed)
        errx(1, "%u lookups found nothing", missed);
    return taken;
}

// Some of these match.
static double strange_cycles(const struct classifier *cls)
{
    unsigned missed = 0;

    return cycles_of(cls, strange, &missed);
}

static double since_us(uint64_t start)
{
    return (double)(rte_rdtsc() - start) * 1e6 / (double)rte_get_tsc_hz();
}

static void insert_all(struct classifier *cls, unsigned n)
{
    char *error;

    for (unsigned i = 0; i < n; i++)
        if (cls_insert(cls, &rules[i], &error))
            errx(1, "%s", error);
}

// Polls until there were so many builds, or there is nothing left to do. Returns the longest time
// that a poll took.
static double until(struct classifier *cls, uint64_t builds, struct classifier_stats *stats)
{
    double longest_us = 0;
    bool busy = true;

    for (;;) {
        cls_stats(cls, stats);
        if (!busy || stats->builds >= builds)
            return longest_us;
        uint64_t start = rte_rdtsc();

        busy = cls_poll(cls);
        longest_us = RTE_MAX(longest_us, since_us(start));
        nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
}

static void measure(const char *kind, struct cls_rule make(unsigned), unsigned n)
{
    struct budget budget = {.max = (size_t)1 << 30};
    struct classifier *cls = cls_new(kind, &budget);
    struct classifier_stats stats;
    uint64_t start;
    double change_us, hash, first, first_strange, first_ms, poll_us;

    for (unsigned i = 0; i < n; i++)
        rules[i] = make(i);
    insert_all(cls, n);
    make_keys(n);
    cls_poll(cls);
    hash = cycles(cls);
    // All of them anew, in place; what that leaves behind is tidied once.
    start = rte_rdtsc();
    for (unsigned i = 0; i < n; i++)
        cls_remove(cls, &rules[i]);
    insert_all(cls, n);
    change_us = since_us(start) / (2 * n);
    nanosleep(&(struct timespec){.tv_nsec = 30000000}, NULL);
    poll_us = until(cls, 1, &stats);
    first = cycles(cls);
    first_strange = strange_cycles(cls);
    first_ms = (double)stats.build_us_last / 1000;
    poll_us = RTE_MAX(poll_us, until(cls, UINT64_MAX, &stats));
    printf("%-10s %6u %6u %8.1f %8.1f %8.1f %8.1f %8.1f %-8s %8.1f %8.1f %9.2f %7.0f %10.0f\n",
           kind, n, stats.masks, hash, first, first_strange, cycles(cls), strange_cycles(cls),
           stats.structure, first_ms, (double)stats.build_us_last / 1000, change_us, poll_us,
           (double)stats.bytes / n);
    for (unsigned i = 0; i < n; i++)
        cls_remove(cls, &rules[i]);
    cls_free(cls);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        struct cls_rule (*make)(unsigned);
        unsigned limit;
    } kinds[] = {{"exact", exact_rule, RULES_LIMIT},
                 {"prefix", prefix_rule, RULES_LIMIT},
                 {"nested", nested_rule, RULES_LIMIT},
                 {"source", source_rule, RULES_LIMIT},
                 {"unordered", unordered_rule, RULES_LIMIT},
                 {"prefix6", prefix6_rule, RULES_LIMIT},
                 {"node", node_rule, 10000},
                 {"policy", policy_rule, 10000},
                 {"random", random_rule, 10000}};
    unsigned most = argc > 3 ? (unsigned)atoi(argv[3]) : RULES_LIMIT;
    cpu_set_t cpus;

    if (eal_start(1024) < 0)
        errx(1, "DPDK does not start");
    if (argc > 1) {
        CPU_ZERO(&cpus);
        CPU_SET(atoi(argv[1]), &cpus);
        sched_setaffinity(0, sizeof cpus, &cpus);
    }
    rules = aligned_alloc(64, RULES_LIMIT * sizeof *rules);
    printf("%-10s %6s %6s %8s %8s %8s %8s %8s %-8s %8s %8s %9s %7s %10s\n", "rules", "n", "masks",
           "hash", "first", "strange", "last", "strange", "as", "first ms", "last ms", "change us",
           "poll us", "bytes/rule");
    for (unsigned k = 0; k < RTE_DIM(kinds); k++)
        for (unsigned n = 10; n <= RTE_MIN(kinds[k].limit, most); n *= 10)
            if (argc < 3 || !strcmp(argv[2], kinds[k].name))
                measure(kinds[k].name, kinds[k].make, n);
    return 0;
}
