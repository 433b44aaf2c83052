/* SPDX-License-Identifier: Apache-2.0 */
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_eal.h>

#include "tests/unit/esw_rig.h"

struct rte_mempool *pool;
uint16_t ethdev[SIDES];
unsigned n_events; // atomic

const struct rte_ether_addr mac_a = {{0x02, 0, 0, 0, 0, 0x0a}};
const struct rte_ether_addr mac_b = {{0x02, 0, 0, 0, 0, 0x0b}};
const struct rte_ether_addr mac_c = {{0x02, 0, 0, 0, 0, 0x0c}};

struct frame udp(uint32_t src, uint32_t dst, uint8_t ttl, uint16_t port)
{
    struct frame frame = {
        .eth = {.dst_addr = mac_b, .src_addr = mac_a, .ether_type = RTE_BE16(0x0800)},
        .ip = {.version_ihl = 0x45,
               .total_length = rte_cpu_to_be_16(sizeof(frame) - sizeof(frame.eth)),
               .time_to_live = ttl,
               .next_proto_id = IPPROTO_UDP,
               .src_addr = rte_cpu_to_be_32(src),
               .dst_addr = rte_cpu_to_be_32(dst)},
        .udp = {.src_port = RTE_BE16(1000),
                .dst_port = rte_cpu_to_be_16(port),
                .dgram_len = RTE_BE16(18)},
    };

    frame.ip.hdr_checksum = rte_ipv4_cksum(&frame.ip);
    return frame;
}

bool rig_begin(const char *program)
{
    char *eal[] = {(char *)(uintptr_t)program,
                   "--no-huge",
                   "--no-pci",
                   "--no-shconf",
                   "--no-telemetry",
                   "-m",
                   "256",
                   "-l",
                   "0",
                   "--log-level=*:error"};

    if (rte_eal_init(RTE_DIM(eal), eal) >= 0)
        return true;
    puts("1..0 # SKIP DPDK does not start here");
    return false;
}

uint16_t rig_find(const char *devargs)
{
    struct rte_dev_iterator iterator;
    uint16_t id, found = RTE_MAX_ETHPORTS;

    RTE_ETH_FOREACH_MATCHING_DEV(id, devargs, &iterator)
    {
        found = RTE_MIN(found, id); // "net_esw0" alone matches its representors too
    }
    return found;
}

int rig_open(const char *arguments)
{
    char devargs[256];

    snprintf(devargs, sizeof(devargs), "net_esw0,wire0=ring,vfs=4,vf=ring,representor=vf[0-2]%s",
             arguments);
    pool = rte_pktmbuf_pool_create("test", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    if (!pool || rte_dev_probe(devargs))
        return -1;
    ethdev[WIRE] = rig_find("net_esw0");
    for (int vf = 0; vf < N_VFS; vf++) {
        snprintf(devargs, sizeof(devargs), "net_esw0,representor=vf%d", vf);
        ethdev[VF0 + vf] = rig_find(devargs);
    }
    ethdev[WIRE1] = RTE_MAX_ETHPORTS;
    if (strstr(arguments, "wire1")) {
        rte_dev_probe("net_esw0,representor=pf1"); // DPDK knows no second probe: it says no
        ethdev[WIRE1] = rig_find("net_esw0,representor=pf1");
    }
    return 0;
}

int rig_open_started(const char *arguments)
{
    if (rig_open(arguments))
        return -1;
    for (enum side side = WIRE; side < SIDES; side++) {
        if (ethdev[side] != RTE_MAX_ETHPORTS && rig_start(ethdev[side]))
            return -1;
    }
    return 0;
}

int rig_close(void)
{
    unsigned left;

    if (rte_eal_hotplug_remove("vdev", "net_esw0"))
        return -1;
    left = rte_mempool_avail_count(pool);
    rte_mempool_free(pool);
    return left == 1023 ? 0 : -1;
}

int rig_teardown(void **state)
{
    (void)state;
    return rig_close();
}

int rig_configure(uint16_t id)
{
    struct rte_eth_conf conf = {.intr_conf = {.lsc = 1, .rmv = 1}};
    int ret = rte_eth_dev_configure(id, 1, 1, &conf);

    if (ret == 0)
        ret = rte_eth_rx_queue_setup(id, 0, 64, SOCKET_ID_ANY, NULL, pool);
    if (ret == 0)
        ret = rte_eth_tx_queue_setup(id, 0, 64, SOCKET_ID_ANY, NULL);
    return ret;
}

int rig_start(uint16_t id)
{
    int ret = rig_configure(id);

    return ret ? ret : rte_eth_dev_start(id);
}

int rig_open_for_templates(const char *arguments)
{
    const struct rte_flow_queue_attr size = {.size = 64}, *sizes[] = {&size};
    const struct rte_flow_port_attr attr = {.nb_counters = 65536};
    struct rte_flow_error error;

    if (rig_open(arguments))
        return -1;
    for (enum side side = WIRE; side < SIDES; side++) {
        if (ethdev[side] == RTE_MAX_ETHPORTS)
            continue;
        if (rig_configure(ethdev[side]) ||
            rte_flow_configure(ethdev[side], &attr, 1, sizes, &error) ||
            rte_eth_dev_start(ethdev[side]))
            return -1;
    }
    return 0;
}

int count_event(uint16_t id, enum rte_eth_event_type type, void *arg, void *result)
{
    (void)id, (void)type, (void)arg, (void)result;
    __atomic_fetch_add(&n_events, 1, __ATOMIC_RELAXED);
    return 0;
}

void expect_events(unsigned n)
{
    for (int tries = 0; tries < 60000; tries++, usleep(1000)) {
        if (__atomic_load_n(&n_events, __ATOMIC_RELAXED) == n)
            return;
    }
    assert_int_equal(n_events, n);
}

static struct rte_ring *find_ring(enum side side, const char *direction)
{
    char name[32];

    if (side == WIRE || side == WIRE1)
        snprintf(name, sizeof(name), "net_esw0_wire%d_%s", side == WIRE1, direction);
    else
        snprintf(name, sizeof(name), "net_esw0_vf%d_%s", side - VF0, direction);
    return rte_ring_lookup(name);
}

struct rte_ring *ring(enum side side, const char *direction)
{
    struct rte_ring *found = find_ring(side, direction);

    assert_non_null(found);
    return found;
}

static struct rte_mbuf *to_mbuf(const void *data, size_t length)
{
    struct rte_mbuf *mbuf = rte_pktmbuf_alloc(pool);

    assert_non_null(mbuf);
    memcpy(rte_pktmbuf_append(mbuf, (uint16_t)length), data, length);
    return mbuf;
}

void inject(enum side side, const void *data, size_t length)
{
    assert_int_equal(rte_ring_enqueue(ring(side, "in"), to_mbuf(data, length)), 0);
}

void app_sends(enum side side, const void *data, size_t length)
{
    struct rte_mbuf *mbuf = to_mbuf(data, length);

    assert_int_equal(rte_eth_tx_burst(ethdev[side], 0, &mbuf, 1), 1);
}

int outcome(bool *to_app, void *data, size_t *length)
{
    struct rte_mbuf *mbuf = NULL;

    for (int tries = 0; tries < 10000; tries++, usleep(100)) {
        for (enum side side = WIRE; side < SIDES; side++) {
            struct rte_ring *out = find_ring(side, "out");

            *to_app = false;
            if (!out || rte_ring_dequeue(out, (void **)&mbuf)) {
                *to_app = true;
                if (ethdev[side] == RTE_MAX_ETHPORTS ||
                    rte_eth_rx_burst(ethdev[side], 0, &mbuf, 1) == 0)
                    continue;
            }
            *length = mbuf->pkt_len;
            memcpy(data, rte_pktmbuf_mtod(mbuf, void *), mbuf->pkt_len);
            if (*to_app)
                assert_int_equal(mbuf->port, ethdev[side]);
            rte_pktmbuf_free(mbuf);
            return (int)side;
        }
    }
    return -1;
}

void expect(enum side side, bool expected_to_app, struct frame *frame)
{
    uint8_t data[2048];
    size_t length;
    bool to_app;

    assert_int_equal(outcome(&to_app, data, &length), side);
    assert_int_equal(to_app, expected_to_app);
    assert_int_equal(length, sizeof(*frame));
    memcpy(frame, data, sizeof(*frame));
}

void expect_same(enum side side, bool to_app, const struct frame *sent)
{
    struct frame got;

    expect(side, to_app, &got);
    assert_memory_equal(&got, sent, sizeof(got));
}
