/* SPDX-License-Identifier: Apache-2.0 */
// The dataplane as the daemon runs it, with the rules of many pods that all lead to one sink, as in
// the peers' runs. (An attachment has a device of its own and at most 8 addresses, so the daemon
// itself cannot be brought there.) And the operator's rules as the daemon would give them to it, so
// that changes to them can be timed without OpenFlow.
//
// usage: one_sink KEY=VALUE...
//   cpu=N pods=N ip=4|6 mbufs=N memory=MIB source=DEVARGS sink=DEVARGS
//   policy=FILE   the operator's rules, as tests/bench/rules.py writes them
//
// Each line on standard input is a request, answered by a line of JSON; ends with its input.
//   ready                 {"hugepages": BOOL}
//   memory                what pods took: {"pods": N, "tables": BYTES, "rules": BYTES}
//   policy                what the operator's table is now: see updates.h
//   update RATE SECONDS   changes the operator's rules, in turn: see updates.h
#include <arpa/inet.h>
#include <err.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>
#include <rte_malloc.h>

#include "dataplane/dataplane.h"
#include "tests/bench/updates.h"

#define SENDER 1
#define SINK   2

// All as tests/bench/frames.py has it.
static const uint8_t router_mac[6] = {0x02, 0x00, 0x5e, 0x00, 0x53, 0x01};
static const uint8_t sender_mac[6] = {0x02, 0x00, 0x00, 0x01, 0x00, 0x01};

struct arguments {
    unsigned cpu, pods, ip, mbufs, memory;
    const char *source, *sink, *policy;
};

// Memory in use: DPDK's, where the tables are, and the C library's.
struct memory {
    uint64_t dpdk, libc;
};

static struct memory memory_used(void)
{
    struct rte_malloc_socket_stats stats = {0};
    struct mallinfo2 info = mallinfo2();

    rte_malloc_get_socket_stats((int)rte_socket_id(), &stats);
    return (struct memory){stats.heap_allocsz_bytes, info.uordblks + info.hblkhd};
}

static struct in6_addr ipv4(uint32_t address)
{
    struct in6_addr ip = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    ip.s6_addr32[3] = htonl(address);
    return ip;
}

static struct in6_addr pod_address(unsigned pod, unsigned ip)
{
    struct in6_addr ip6 = {.s6_addr = {0xfd, [7] = 0x10, [11] = 1}};

    if (ip == 4)
        return ipv4((10u << 24 | 1 << 16 | 10 << 8) + (pod / 253) * 256 + 2 + pod % 253);
    ip6.s6_addr32[3] = htonl(pod + 2);
    return ip6;
}

static struct in6_addr sender_address(unsigned ip)
{
    if (ip == 4)
        return ipv4(10u << 24 | 200 << 16 | 10);
    return (struct in6_addr){.s6_addr = {0xfd, [2] = 0x02, [15] = 0x10}};
}

static void check(int ret, char *error)
{
    if (ret < 0)
        errx(1, "%s", error ? error : strerror(-ret));
}

static void add_port(uint16_t no, const char *name, const char *devargs, const uint8_t mac[6])
{
    struct dp_port_params params = {.no = no, .kind = DP_PORT_POD, .mtu = 1500};
    char *error = NULL;

    snprintf(params.name, sizeof params.name, "%s", name);
    snprintf(params.devargs, sizeof params.devargs, "%s", devargs);
    memcpy(&params.mac, mac, 6);
    check(dp_port_add(&params, &error), error);
}

static void add_rule(struct rule *rule, unsigned ip)
{
    char *error = NULL;
    uint32_t slot;

    rule->match.spec.eth_type =
        ip == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
    rule->match.mask.eth_type = 0xffff;
    check(dp_rule_add(rule, &slot, &error), error);
}

static void add_guard(unsigned ip)
{
    struct rule rule = {.table = RULE_TABLE_GUARD, .match.in_port = SENDER};

    memcpy(&rule.match.spec.eth_src, sender_mac, 6);
    memset(&rule.match.mask.eth_src, 0xff, 6);
    rule.match.spec.ip_src = sender_address(ip);
    memset(&rule.match.mask.ip_src, 0xff, 16);
    rule_add_action(&rule, (struct action){ACTION_GOTO_TABLE, .table = RULE_TABLE_FORWARD});
    add_rule(&rule, ip);
}

static void add_pod(unsigned pod, unsigned ip)
{
    struct rule rule = {.table = RULE_TABLE_FORWARD, .match.spec.ip_dst = pod_address(pod, ip)};
    struct action src = {ACTION_SET_ETH_SRC};
    struct action dst = {ACTION_SET_ETH_DST};

    memset(&rule.match.mask.ip_dst, 0xff, 16);
    memcpy(&src.mac, router_mac, 6);
    dst.mac = (struct rte_ether_addr){{0x02, 0, 0, 2, (uint8_t)(pod >> 8), (uint8_t)pod}};
    rule_add_action(&rule, src);
    rule_add_action(&rule, dst);
    rule_add_action(&rule, (struct action){ACTION_DEC_TTL});
    rule_add_action(&rule, (struct action){ACTION_OUTPUT, .port = SINK});
    add_rule(&rule, ip);
}

static void parse_arguments(int argc, char **argv, struct arguments *a)
{
    const struct {
        const char *key;
        unsigned *number;
        const char **text;
    } keys[] = {
        {"cpu", &a->cpu, NULL},     {"pods", &a->pods, NULL},     {"ip", &a->ip, NULL},
        {"mbufs", &a->mbufs, NULL}, {"memory", &a->memory, NULL}, {"source", NULL, &a->source},
        {"sink", NULL, &a->sink},   {"policy", NULL, &a->policy},
    };

    for (int i = 1; i < argc; i++) {
        char *value = strchr(argv[i], '=');
        size_t k = 0, len = value ? (size_t)(value - argv[i]) : 0;

        while (k < RTE_DIM(keys) &&
               (strlen(keys[k].key) != len || memcmp(keys[k].key, argv[i], len)))
            k++;
        if (!value || k == RTE_DIM(keys))
            errx(2, "%s: no such argument", argv[i]);
        if (keys[k].number)
            *keys[k].number = (unsigned)strtoul(value + 1, NULL, 10);
        else
            *keys[k].text = value + 1;
    }
    if (!a->source || !a->sink)
        errx(2, "source and sink are missing");
}

static void start(const struct arguments *a, bool *hugepages, struct memory *pods)
{
    struct memory before;
    struct dp_config config = {
        .n_workers = 1,
        .worker_cpus[0] = a->cpu,
        .idle = DP_IDLE_POLL,
        .mtu = 1500,
        .icmp_errors_per_s = 100,
        .mbufs = a->mbufs,
        .memory_mb = a->memory,
    };
    struct dp_gateway ranges[2] = {
        {ipv4(10u << 24 | 200 << 16 | 1), ipv4(10u << 24 | 200 << 16), 120},
        {sender_address(6), sender_address(6), 64},
    };
    char *error = NULL;

    ranges[1].address.s6_addr[15] = 1;
    ranges[1].subnet.s6_addr[15] = 0;
    memcpy(&config.router_mac, router_mac, 6);
    check(dp_init(&config, hugepages, &error), error);
    check(dp_gateways_set(ranges, 2), NULL);
    add_port(SINK, "sink", a->sink, (const uint8_t[6]){0x02, [5] = SINK});
    before = memory_used();
    for (unsigned pod = 0; pod < a->pods; pod++)
        add_pod(pod, a->ip);
    *pods = memory_used();
    pods->dpdk -= before.dpdk;
    pods->libc -= before.libc;
    if (a->policy)
        check(policy_load(a->policy, &error), error);
    add_port(SENDER, "sender", a->source, sender_mac);
    add_guard(a->ip);
}

static void answer(const char *line, bool hugepages, unsigned pods, const struct memory *memory)
{
    unsigned rate, seconds;

    if (!strcmp(line, "ready\n"))
        printf("{\"hugepages\": %s}\n", hugepages ? "true" : "false");
    else if (!strcmp(line, "memory\n"))
        printf("{\"pods\": %u, \"tables\": %" PRIu64 ", \"rules\": %" PRIu64 "}\n", pods,
               memory->dpdk, memory->libc);
    else if (!strcmp(line, "policy\n"))
        policy_print();
    else if (sscanf(line, "update %u %u", &rate, &seconds) == 2)
        policy_update(rate, seconds);
    else
        printf("{\"error\": \"no such request\"}\n");
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct arguments arguments = {.ip = 4, .mbufs = 16384, .memory = 1024};
    struct pollfd input = {.fd = 0, .events = POLLIN};
    struct memory memory;
    bool hugepages;
    char line[64];

    parse_arguments(argc, argv, &arguments);
    setvbuf(stdin, NULL, _IONBF, 0);
    start(&arguments, &hugepages, &memory);
    for (;;) {
        // As the daemon's loop does; without the operator's tables there is nothing to see to.
        if (poll(&input, 1, policy_poll() ? 1 : 100) <= 0)
            continue;
        if (!fgets(line, sizeof line, stdin))
            break;
        answer(line, hugepages, arguments.pods, &memory);
    }
    dp_fini();
}
