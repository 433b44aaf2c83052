/* SPDX-License-Identifier: Apache-2.0 */
// The dataplane as the daemon runs it, with the rules of many pods that all lead to one sink, as in
// the peers' runs. An attachment has a device of its own and at most 8 addresses, so the daemon
// itself cannot be brought there.
//
// usage: one_sink CPU PODS BUFFERS MEMORY_MB SENDER_DEVARGS SINK_DEVARGS
// For each line on standard input it prints `RECEIVED FORWARDED HUGEPAGES`: packets so far, 1 or 0.
// Ends with its input.
#include <arpa/inet.h>
#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/dataplane.h"

#define SENDER 1
#define SINK   2

static const uint8_t router_mac[6] = {0x02, 0x00, 0x5e, 0x00, 0x53, 0x01};
static const uint8_t sender_mac[6] = {0x02, 0x00, 0x00, 0x01, 0x00, 0x01};

// All as tests/bench/frames.py has it.
static struct in6_addr ipv4(uint32_t address)
{
    struct in6_addr ip = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    ip.s6_addr32[3] = htonl(address);
    return ip;
}

static struct in6_addr pod_address(unsigned pod)
{
    return ipv4((10u << 24 | 1 << 16 | 10 << 8) + (pod / 253) * 256 + 2 + pod % 253);
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

static void add_rule(struct rule *rule)
{
    char *error = NULL;
    uint32_t slot;

    rule->match.spec.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    rule->match.mask.eth_type = 0xffff;
    check(dp_rule_add(rule, &slot, &error), error);
}

static void add_guard(struct in6_addr address)
{
    struct rule rule = {.table = RULE_TABLE_GUARD, .match.in_port = SENDER};

    memcpy(&rule.match.spec.eth_src, sender_mac, 6);
    memset(&rule.match.mask.eth_src, 0xff, 6);
    rule.match.spec.ip_src = address;
    memset(&rule.match.mask.ip_src, 0xff, 16);
    rule_add_action(&rule, (struct action){ACTION_GOTO_TABLE, .table = RULE_TABLE_FORWARD});
    add_rule(&rule);
}

static void add_pod(unsigned pod)
{
    struct rule rule = {.table = RULE_TABLE_FORWARD, .match.spec.ip_dst = pod_address(pod)};
    struct action src = {ACTION_SET_ETH_SRC};
    struct action dst = {ACTION_SET_ETH_DST};

    memset(&rule.match.mask.ip_dst, 0xff, 16);
    memcpy(&src.mac, router_mac, 6);
    dst.mac = (struct rte_ether_addr){{0x02, 0, 0, 2, (uint8_t)(pod >> 8), (uint8_t)pod}};
    rule_add_action(&rule, src);
    rule_add_action(&rule, dst);
    rule_add_action(&rule, (struct action){ACTION_DEC_TTL});
    rule_add_action(&rule, (struct action){ACTION_OUTPUT, .port = SINK});
    add_rule(&rule);
}

int main(int argc, char **argv)
{
    struct dp_config config = {
        .n_workers = 1,
        .idle = DP_IDLE_POLL,
        .mtu = 1500,
        .icmp_errors_per_s = 100,
    };
    struct dp_gateway range = {
        .address = ipv4(10u << 24 | 200 << 16 | 1),
        .subnet = ipv4(10u << 24 | 200 << 16),
        .prefix_len = 120,
    };
    bool hugepages;
    char *error = NULL, line[16];

    if (argc != 7)
        errx(2, "usage: one_sink CPU PODS BUFFERS MEMORY_MB SENDER_DEVARGS SINK_DEVARGS");
    config.worker_cpus[0] = (unsigned)atoi(argv[1]);
    config.mbufs = (unsigned)atoi(argv[3]);
    config.memory_mb = (unsigned)atoi(argv[4]);
    memcpy(&config.router_mac, router_mac, 6);
    check(dp_init(&config, &hugepages, &error), error);
    check(dp_gateways_set(&range, 1), NULL);
    add_port(SINK, "sink", argv[6], (const uint8_t[6]){0x02, [5] = SINK});
    for (unsigned pod = 0; pod < (unsigned)atoi(argv[2]); pod++)
        add_pod(pod);
    add_port(SENDER, "sender", argv[5], sender_mac);
    add_guard(ipv4(10u << 24 | 200 << 16 | 10));

    while (fgets(line, sizeof line, stdin)) {
        struct dp_port_stats from, to;

        check(dp_port_stats(SENDER, &from), NULL);
        check(dp_port_stats(SINK, &to), NULL);
        printf("%" PRIu64 " %" PRIu64 " %d\n", from.rx_packets, to.tx_packets, hugepages);
        fflush(stdout);
    }
    dp_fini();
}
