/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/node.h"

#include <arpa/inet.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <setjmp.h>

#include <cmocka.h>
#include <rte_eth_ring.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#define DEPTH 4096

const struct rte_ether_addr ROUTER_MAC = {{0x02, 0, 0x5e, 0, 0x53, 0x01}};
const struct rte_ether_addr NODE_MAC = {{0x02, 0, 0, 0, 0, 0x01}};
const struct rte_ether_addr GATEWAY_MAC = {{0x02, 0, 0x5e, 0, 0x01, 0x01}};
const struct rte_ether_addr POD_A_MAC = {{0x02, 0, 0, 0, 0, 0x0a}};
const struct rte_ether_addr POD_B_MAC = {{0x02, 0, 0, 0, 0, 0x0b}};

static struct rte_ring *to[NODE_PORTS + 1], *from[NODE_PORTS + 1];
static struct rte_mempool *pool;
static uint64_t n_sent;

struct in6_addr ip(const char *text)
{
    struct in6_addr address = IN6ADDR_ANY_INIT;

    if (inet_pton(AF_INET, text, &address.s6_addr32[3]) == 1)
        address.s6_addr32[2] = htonl(0xffff);
    else
        assert_int_equal(inet_pton(AF_INET6, text, &address), 1);
    return address;
}

static void check(int ret, char *error)
{
    if (ret)
        fail_msg("%s", error ? error : strerror(-ret));
}

static void add_port(uint16_t no, enum dp_port_kind kind, const struct rte_ether_addr *mac,
                     uint16_t mtu)
{
    struct dp_port_params params = {.no = no, .kind = kind, .mac = *mac, .mtu = mtu};
    char *error = NULL, name[32];

    snprintf(name, sizeof name, "to%u", no);
    to[no] = rte_ring_create(name, DEPTH, SOCKET_ID_ANY, RING_F_SP_ENQ);
    snprintf(name, sizeof name, "from%u", no);
    from[no] = rte_ring_create(name, DEPTH, SOCKET_ID_ANY, RING_F_SC_DEQ);
    assert_non_null(to[no]);
    assert_non_null(from[no]);
    snprintf(name, sizeof name, "port%u", no);
    assert_true(rte_eth_from_rings(name, &to[no], 1, &from[no], 1, 0) >= 0);
    snprintf(params.name, sizeof params.name, "%s", name);
    snprintf(params.devargs, sizeof params.devargs, "net_ring_%s", name);
    check(dp_port_add(&params, &error), error);
}

static void add_rule(const struct rule *rule)
{
    char *error = NULL;
    uint32_t slot;

    check(dp_rule_add(rule, &slot, &error), error);
}

static void add_pod(uint16_t port, const struct rte_ether_addr *mac, const char *address)
{
    struct rule guard = {.table = RULE_TABLE_GUARD, .match = {.in_port = port}};
    struct rule forward = {.table = RULE_TABLE_FORWARD, .priority = 100};

    guard.match.spec.eth_src = *mac;
    memset(&guard.match.mask.eth_src, 0xff, sizeof guard.match.mask.eth_src);
    guard.match.spec.ip_src = ip(address);
    memset(&guard.match.mask.ip_src, 0xff, sizeof guard.match.mask.ip_src);
    rule_add_action(&guard,
                    (struct action){.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_FORWARD});
    add_rule(&guard);
    forward.match.spec.ip_dst = ip(address);
    memset(&forward.match.mask.ip_dst, 0xff, sizeof forward.match.mask.ip_dst);
    rule_add_action(&forward, (struct action){.type = ACTION_SET_ETH_SRC, .mac = ROUTER_MAC});
    rule_add_action(&forward, (struct action){.type = ACTION_SET_ETH_DST, .mac = *mac});
    rule_add_action(&forward, (struct action){.type = ACTION_DEC_TTL});
    rule_add_action(&forward, (struct action){.type = ACTION_OUTPUT, .port = port});
    add_rule(&forward);
}

static void add_range(struct dp_gateway *gateway, const char *subnet, uint8_t prefix_len,
                      const char *address)
{
    gateway->subnet = ip(subnet);
    gateway->prefix_len = prefix_len;
    gateway->address = ip(address);
}

void node_members(void)
{
    static struct dp_member_map map;

    map.src_mac = NODE_MAC;
    for (unsigned g = 0; g < 4; g++) {
        map.gateway[g].valid = true;
        for (unsigned b = 0; b < DP_BUCKETS; b++) {
            map.gateway[g].bucket[b].port = b % 2 ? UPLINK1 : UPLINK0;
            map.gateway[g].bucket[b].gateway_mac = GATEWAY_MAC;
        }
    }
    check(dp_member_map_set(&map), NULL);
}

void node_start(unsigned workers)
{
    struct dp_config config = {.n_workers = workers,
                               .max_sleep_us = 200,
                               .memory_mb = 512,
                               .mtu = 1500,
                               .mbufs = 16383,
                               .router_mac = ROUTER_MAC,
                               .icmp_source4 = ip("10.1.0.9"),
                               .icmp_source6 = ip("fd00:0::9"),
                               .icmp_errors_per_s = 1000000};
    struct dp_gateway gateways[4];
    cpu_set_t allowed;
    bool hugepages;
    char *error = NULL;

    sched_getaffinity(0, sizeof allowed, &allowed);
    for (unsigned i = 0, cpu = CPU_SETSIZE - 1; i < workers; i++, cpu--) {
        while (!CPU_ISSET(cpu, &allowed))
            assert_true(cpu-- > 0);
        config.worker_cpus[i] = cpu;
    }
    check(dp_init(&config, &hugepages, &error), error);
    add_range(&gateways[0], "10.1.10.0", 120, "10.1.10.1");
    add_range(&gateways[1], "10.1.11.0", 120, "10.1.11.1");
    add_range(&gateways[2], "fd00:10::", 64, "fd00:10::1");
    add_range(&gateways[3], "fd00:11::", 64, "fd00:11::1");
    check(dp_gateways_set(gateways, 4), NULL);
    pool = rte_pktmbuf_pool_create("test", 8191, 0, 0, 2048 + RTE_PKTMBUF_HEADROOM, SOCKET_ID_ANY);
    assert_non_null(pool);
    add_port(UPLINK0, DP_PORT_UPLINK, &NODE_MAC, 1500);
    add_port(UPLINK1, DP_PORT_UPLINK, &NODE_MAC, 1500);
    add_port(POD_A, DP_PORT_POD, &POD_A_MAC, 1500);
    add_port(POD_B, DP_PORT_POD, &POD_B_MAC, 1400);
    add_pod(POD_A, &POD_A_MAC, "10.1.10.5");
    add_pod(POD_A, &POD_A_MAC, "fd00:10::5");
    add_pod(POD_B, &POD_B_MAC, "10.1.11.6");
    add_pod(POD_B, &POD_B_MAC, "fd00:11::6");
    node_members();
}

void node_stop(void)
{
    dp_fini();
}

int node_setup(void **state)
{
    const char *workers = getenv("SLUICE_WORKERS");

    (void)state;
    node_start(workers ? (unsigned)atoi(workers) : 1);
    return 0;
}

int node_teardown(void **state)
{
    (void)state;
    node_stop();
    return 0;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
}

static struct rte_mbuf *mbuf_of(const void *bytes, size_t len)
{
    struct rte_mbuf *m;

    while (!(m = rte_pktmbuf_alloc(pool)))
        nap();
    memcpy(rte_pktmbuf_append(m, (uint16_t)len), bytes, len);
    return m;
}

static void arrive(uint16_t port, struct rte_mbuf *m)
{
    while (rte_ring_enqueue(to[port], m))
        nap();
    n_sent++;
}

void node_send(uint16_t port, const void *frame, size_t len)
{
    arrive(port, mbuf_of(frame, len));
}

void node_send_in_parts(uint16_t port, const void *frame, size_t len, size_t first)
{
    struct rte_mbuf *m = mbuf_of(frame, first);

    assert_int_equal(rte_pktmbuf_chain(m, mbuf_of((const char *)frame + first, len - first)), 0);
    arrive(port, m);
}

void node_settle(void)
{
    struct dp_totals totals;
    uint64_t done;

    for (unsigned i = 0; i < 500000; i++) {
        dp_totals(&totals);
        done = totals.tx + totals.in_flight;
        for (unsigned j = 0; j < DROP_N; j++)
            done += totals.drops[j];
        if (totals.rx == n_sent && !totals.in_flight && done == totals.rx + totals.originated)
            return;
        nap();
    }
    fail_msg("not settled: sent %lu, rx %lu + originated %lu != %lu", n_sent, totals.rx,
             totals.originated, done);
}

size_t node_recv(uint16_t port, void *frame, size_t size)
{
    struct rte_mbuf *m;
    size_t len;

    if (rte_ring_dequeue(from[port], (void **)&m))
        return 0;
    len = m->data_len;
    assert_int_equal(m->pkt_len, len);
    assert_true(len <= size);
    memcpy(frame, rte_pktmbuf_mtod(m, void *), len);
    rte_pktmbuf_free(m);
    return len;
}

uint64_t node_drops(uint16_t port, enum drop_reason reason)
{
    struct dp_port_stats stats;

    check(dp_port_stats(port, &stats), NULL);
    return stats.drops[reason];
}
