/* SPDX-License-Identifier: Apache-2.0 */
// Bursts of any frames into an uplink and a pod, also with any rules, groups and meters of the
// operator's: no crash, the sum rule holds, no buffer is lost, and as long as there are no such
// rules nothing leaves that claims to be somebody else. No thread runs: a worker's iteration is a
// function call here, so that an input does the same every time.
//
// An input is frames, each after three bytes: flags (below) and the frame's length. With the flag
// RULES what follows is no frame but rules, see policy_input.h.
#include "dataplane/worker.c" // its stages are static

#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/policy_input.h"
#include "tests/unit/may_leave.h"

// Flags. What hardly any mutated frame would have by chance is put right.
enum {
    FROM_POD = 1 << 0,
    RIGHT_MACS = 1 << 1,
    RIGHT_IPV4_SUM = 1 << 2,
    RIGHT_ICMPV6_SUM = 1 << 3,
    RIGHT_LENGTH = 1 << 4, // that IP says
    RULES = 1 << 5,
    TRACE = 1 << 6,   // the frame, before it comes in
    CHAINED = 1 << 7, // another buffer comes behind it
};

#define TRACES_MAX 2 // of an input: each takes as long as many frames

static struct rte_mempool *frames;
static unsigned n_traces;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    // The worker's thread ends as soon as it starts, and its part is played here.
    dp.stop = true;
    __lsan_disable(); // it does not see what DPDK's memory points to
    node_start(1);
    __lsan_enable();
    rte_eal_mp_wait_lcore();
    frames = rte_pktmbuf_pool_create("frames", 1023, 0, 0, FRAME_SIZE + RTE_PKTMBUF_HEADROOM,
                                     SOCKET_ID_ANY);
    check(frames, "memory");
    return 0;
}

static void put_right(struct frame *f, uint8_t flags)
{
    bool v4 = f->eth.ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4) && f->len >= 34;
    bool v6 = f->eth.ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV6) && f->len >= 58;

    if (flags & RIGHT_MACS && f->len >= 14) {
        f->eth.src_addr = flags & FROM_POD ? POD_A_MAC : GATEWAY_MAC;
        if (!(f->eth.dst_addr.addr_bytes[0] & 1))
            f->eth.dst_addr = flags & FROM_POD ? ROUTER_MAC : NODE_MAC;
    }
    if (flags & RIGHT_LENGTH && v4)
        f->v4.ip.total_length = rte_cpu_to_be_16((uint16_t)(f->len - 14));
    if (flags & RIGHT_LENGTH && v6)
        f->v6.ip.payload_len = rte_cpu_to_be_16((uint16_t)(f->len - 54));
    if (flags & RIGHT_IPV4_SUM && v4 && 14 + rte_ipv4_hdr_len(&f->v4.ip) <= f->len) {
        f->v4.ip.hdr_checksum = 0;
        f->v4.ip.hdr_checksum = (uint16_t)~rte_raw_cksum(&f->v4.ip, rte_ipv4_hdr_len(&f->v4.ip));
    }
    if (flags & RIGHT_ICMPV6_SUM && v6 && f->v6.ip.proto == IPPROTO_ICMPV6 &&
        rte_be_to_cpu_16(f->v6.ip.payload_len) <= f->len - 54) {
        f->v6.icmp.icmp6_cksum = 0;
        f->v6.icmp.icmp6_cksum = rte_ipv6_udptcp_cksum(&f->v6.ip, &f->v6.icmp);
    }
}

static struct rte_mbuf *exact_mbuf(const struct frame *f)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(frames);
    // The answer to a solicitation is written over it, and may be 8 bytes longer.
    unsigned more = f->len >= 78 && f->len < 86 ? 86 - (unsigned)f->len : 0;

    check(m, "no mbuf is lost");
    ASAN_UNPOISON_MEMORY_REGION(m->buf_addr, m->buf_len);
    memcpy(rte_pktmbuf_append(m, (uint16_t)f->len), f->bytes, f->len);
    // Nothing may look behind the frame.
    ASAN_POISON_MEMORY_REGION(rte_pktmbuf_mtod(m, char *) + f->len + more,
                              rte_pktmbuf_tailroom(m) - more);
    return m;
}

static struct rte_mbuf *mbuf_of(const struct frame *f, uint8_t flags)
{
    struct rte_mbuf *m = exact_mbuf(f);

    if (flags & CHAINED)
        rte_pktmbuf_chain(m, exact_mbuf(f));
    return m;
}

// The control thread does what the input says before the frames that follow.
static void control(uint8_t flags, uint16_t port, const struct frame *f)
{
    char *text = NULL;

    if (flags & RULES)
        policy_input_read(f->bytes, f->len);
    else if (flags & TRACE && n_traces++ < TRACES_MAX)
        check(!dp_trace(port, f->bytes, f->len, &text), "a frame can be traced");
    free(text);
}

// Reads frames of an input until its port changes; returns how many.
static uint16_t read_burst(const uint8_t **data, size_t *size, struct rte_mbuf *mbufs[BURST],
                           uint16_t *port)
{
    uint16_t n = 0;

    while (*size > 3 && n < BURST) {
        uint8_t flags = **data;
        struct frame f = {.len = (size_t)((*data)[1] << 8 | (*data)[2])};

        if (n && (flags & (RULES | TRACE) || *port != (flags & FROM_POD ? POD_A : UPLINK0)))
            break;
        *port = flags & FROM_POD ? POD_A : UPLINK0;
        f.len = RTE_MIN(f.len, *size - 3);
        f.len = f.len < 1 ? 1 : RTE_MIN(f.len, 1514u);
        memcpy(f.bytes, *data + 3, f.len);
        *data += 3 + f.len;
        *size -= 3 + f.len;
        put_right(&f, flags & RULES ? 0 : flags);
        control(flags, *port, &f);
        if (!(flags & RULES))
            mbufs[n++] = mbuf_of(&f, flags);
    }
    return n;
}

// Of the ports there are: dp_totals looks at all that there could be, which takes too long here.
static void check_sum_rule(void)
{
    uint64_t in = 0, out = 0;

    for (uint16_t port = 1; port <= NODE_PORTS; port++) {
        struct dp_port_stats stats;

        check(dp_port_stats(port, &stats) == 0, "the port has counters");
        in += stats.rx_packets + stats.originated;
        out += stats.tx_packets;
        for (unsigned i = 0; i < DROP_N; i++)
            out += stats.drops[i];
    }
    // Rules may name ports that are not there.
    for (uint16_t port = NODE_PORTS + 1; port <= PORT_MAX; port++)
        out += dp.workers[0].counters[port].drops[DROP_port_gone];
    check(in == out, "the sum rule");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct worker *w = &dp.workers[0];
    struct rte_mbuf *mbufs[BURST];
    struct dp_punt punt;
    struct frame f;
    uint16_t port, n;

    n_traces = 0;
    // Full buckets, so that what is limited by time is not.
    memset(w->icmp_rate, 0, (NODE_PORTS + 1) * sizeof *w->icmp_rate);
    memset(w->punt_rate, 0, (NODE_PORTS + 1) * sizeof *w->punt_rate);
    memset(w->packet_in_rate, 0, (NODE_PORTS + 1) * sizeof *w->packet_in_rate);
    while ((n = read_burst(&data, &size, mbufs, &port)) > 0) {
        input(w, dp.ports[port], mbufs, n);
        receive_inbox(w);
        flush(w);
    }
    while (dp_punt_recv(&punt, 1))
        check(punt.port == UPLINK0, "only uplinks' answers are punted");
    for (port = 1; port <= NODE_PORTS; port++)
        while (frame_recv(port, &f))
            check(policy_input_any() || frame_may_leave(port, &f),
                  "nobody claims to be somebody else");
    check_sum_rule();
    policy_input_end();
    check(rte_mempool_full(frames) && rte_mempool_full(dp.pool), "no mbuf is lost");
    return 0;
}
