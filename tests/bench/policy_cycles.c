/* SPDX-License-Identifier: Apache-2.0 */
// What the policy stage costs: cycles a packet of the whole stage, of classification alone, and the
// difference, which is keys and bookkeeping. Packets of 1,000 flows in bursts of 32 that match
// random ones of N five-tuple rules, all NORMAL, after the last of which comes the next round.
// Medians of the rounds.
//
// usage: policy_cycles [CPU]
#include <arpa/inet.h>
#include <err.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/headers.h"
#include "dataplane/policy.h"

enum { FLOWS = 1024, LOT = 32, ROUNDS = 401, MEDIAN = ROUNDS / 2 };

static struct burst bursts[FLOWS / LOT];
static struct policy_packet packets[FLOWS];
static uint32_t slots[10000];

static void check(int ret, char *error)
{
    if (ret < 0)
        errx(1, "%s", error ? error : strerror(-ret));
}

static struct in6_addr ipv4(uint32_t address)
{
    struct in6_addr ip = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    ip.s6_addr32[3] = htonl(address);
    return ip;
}

// Bits of a prefix of an IPv4-mapped address.
static struct in6_addr prefix(unsigned length)
{
    struct in6_addr mask = ipv4(length ? ~0u << (32 - length) : 0);

    memset(&mask, 0xff, 12);
    return mask;
}

// TCP or UDP between two networks, /16 to /32, to a port or to any, from any.
static struct rule five_tuple(void)
{
    unsigned src = 16 + (unsigned)rand() % 17, dst = 16 + (unsigned)rand() % 17;
    struct rule rule = {.table = RULE_TABLE_POLICY, .priority = (uint16_t)(rand() % 1000)};
    struct match_fields *spec = &rule.match.spec, *mask = &rule.match.mask;

    spec->eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    mask->eth_type = 0xffff;
    spec->ip_src = ipv4((10u << 24 | ((unsigned)rand() & 0xffffff)) & ~0u << (32 - src));
    mask->ip_src = prefix(src);
    spec->ip_dst = ipv4((10u << 24 | ((unsigned)rand() & 0xffffff)) & ~0u << (32 - dst));
    mask->ip_dst = prefix(dst);
    spec->ip_proto = rand() % 2 ? IPPROTO_TCP : IPPROTO_UDP;
    mask->ip_proto = 0xff;
    if (rand() % 4) {
        spec->l4_dst = (rte_be16_t)rand();
        mask->l4_dst = 0xffff;
    }
    rule_add_action(&rule, (struct action){.type = ACTION_NORMAL});
    return rule;
}

// A packet that the rule matches, unless another one with a higher priority does.
static struct rte_mbuf *packet_of(struct rte_mempool *pool, const struct rule *rule)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(pool);
    struct rte_ether_hdr *eth = (struct rte_ether_hdr *)rte_pktmbuf_append(m, 60);
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(eth + 1);
    struct rte_udp_hdr *udp = (struct rte_udp_hdr *)(ip + 1);
    const struct match_fields *spec = &rule->match.spec, *mask = &rule->match.mask;
    rte_be32_t noise = (rte_be32_t)rand();

    memset(eth, 0, 60);
    eth->ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    ip->version_ihl = RTE_IPV4_VHL_DEF;
    ip->total_length = RTE_BE16(46);
    ip->time_to_live = 64;
    ip->next_proto_id = spec->ip_proto;
    ip->src_addr = ip_v4(&spec->ip_src) | (noise & ~ip_v4(&mask->ip_src));
    ip->dst_addr = ip_v4(&spec->ip_dst) | (noise & ~ip_v4(&mask->ip_dst));
    udp->src_port = (rte_be16_t)noise;
    udp->dst_port = spec->l4_dst;
    return m;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static double median_cycles(uint64_t times[])
{
    qsort(times, ROUNDS, sizeof *times, compare);
    return (double)times[MEDIAN] / FLOWS;
}

// As in the daemon, the stages before have just read the headers.
static void read_headers(const struct burst *b)
{
    for (unsigned i = 0; i < b->n4; i++)
        *(volatile uint8_t *)rte_pktmbuf_mtod(b->v4[i].mbuf, void *);
}

static uint64_t run_stage(struct worker *w)
{
    uint64_t cycles = 0, start;

    for (unsigned i = 0; i < RTE_DIM(bursts); i++) {
        struct burst *b = &bursts[i];

        read_headers(b);
        start = rte_rdtsc();
        policy_input(w, b);
        cycles += rte_rdtsc() - start;
        if (b->n4 != LOT)
            errx(1, "a packet did not go on");
    }
    return cycles;
}

static uint64_t run_lookups(uint64_t version)
{
    const struct match_key *keys[LOT];
    struct cls_rule *hits[LOT];
    uint64_t cycles = 0, start;

    for (unsigned i = 0; i < FLOWS; i += LOT) {
        for (unsigned j = 0; j < LOT; j++)
            keys[j] = &packets[i + j].key;
        start = rte_rdtsc();
        cls_lookup(policy.classifier[0], version, keys, LOT, hits);
        cycles += rte_rdtsc() - start;
    }
    return cycles;
}

static void measure(struct worker *w, struct port *port, unsigned n_rules)
{
    static uint64_t stage[ROUNDS], lookups[ROUNDS];
    struct rule *rules = calloc(n_rules, sizeof *rules);
    struct dp_policy_table_stats stats;
    double whole, part;
    char *error = NULL;

    for (unsigned i = 0; i < n_rules; i++) {
        rules[i] = five_tuple();
        check(dp_policy_add(&rules[i], &slots[i], &error), error);
    }
    dp_policy_commit(true);
    // Many masks may be compiled, which takes up to ten seconds.
    for (unsigned ms = 0; ms < 60000 && dp_policy_poll(); ms++)
        usleep(1000);
    dp_policy_table_stats(0, &stats);
    w->policy_version = policy.version;
    for (unsigned i = 0; i < FLOWS; i++) {
        struct burst *b = &bursts[i / LOT];

        b->port = port;
        b->n4 = LOT;
        b->n6 = 0;
        b->v4[i % LOT].mbuf = packet_of(dp.pool, &rules[(unsigned)rand() % n_rules]);
        b->v4[i % LOT].l3_len = 46;
        packets[i].packet = &b->v4[i % LOT];
        policy_key4(&packets[i], port->no);
    }
    for (unsigned round = 0; round < ROUNDS; round++) {
        stage[round] = run_stage(w);
        lookups[round] = run_lookups(policy.version);
    }
    whole = median_cycles(stage);
    part = median_cycles(lookups);
    printf("%6u rules, %-6s %6.1f cycles a packet: %.1f to find the rule, %.1f for the rest\n",
           n_rules, stats.structure, whole, part, whole - part);
    for (unsigned i = 0; i < FLOWS; i++)
        rte_pktmbuf_free(bursts[i / LOT].v4[i % LOT].mbuf);
    for (unsigned i = 0; i < n_rules; i++)
        dp_policy_del(slots[i]);
    dp_policy_commit(true);
    while (dp_policy_poll())
        usleep(100);
    free(rules);
}

int main(int argc, char **argv)
{
    struct dp_config config = {
        .n_workers = 1, .mtu = 1500, .mbufs = 8191, .memory_mb = 512, .max_sleep_us = 100000};
    static struct port port = {.no = 1};
    cpu_set_t cpus;
    bool hugepages;
    char *error = NULL;

    check(dp_init(&config, &hugepages, &error), error);
    CPU_ZERO(&cpus);
    CPU_SET(argc > 1 ? atoi(argv[1]) : 1, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
    for (unsigned n = 1; n <= RTE_DIM(slots); n *= 10)
        measure(&dp.workers[0], &port, n);
    dp_fini();
}
