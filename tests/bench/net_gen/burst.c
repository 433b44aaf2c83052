/* SPDX-License-Identifier: Apache-2.0 */
// What net_gen does for each packet: as little as a NIC's driver.
#include <string.h>

#include <rte_cycles.h>
#include <rte_mbuf.h>
#include <rte_memcpy.h>
#include <rte_prefetch.h>

#include "tests/bench/net_gen/device.h"

// Frames of the list whose headers are fetched ahead: their memory is streamed through.
#define AHEAD 16

// New arguments: takes them over, here, as nobody else may touch the traffic that is being sent.
static void take_arguments(struct gen_rxq *q)
{
    struct gen_shared *shared = q->shared;
    uint32_t wanted = __atomic_load_n(&shared->wanted, __ATOMIC_ACQUIRE);
    const char *error = "";
    char args[sizeof shared->args];
    struct gen_traffic *traffic;

    memcpy(args, shared->args, sizeof args);
    args[sizeof args - 1] = 0;
    traffic = gen_traffic_new(args, &error);
    memset(shared->error, 0, sizeof shared->error);
    if (traffic) {
        gen_traffic_free(q->traffic);
        q->traffic = traffic;
        q->per_cycle = traffic->rate / (double)rte_get_tsc_hz();
        q->start = q->last_poll = rte_rdtsc();
        q->gone = 0;
        shared->stamped = traffic->rate > 0 && !traffic->data;
    } else {
        memcpy(shared->error, error, RTE_MIN(strlen(error), sizeof shared->error - 1));
    }
    __atomic_store_n(&shared->taken, wanted, __ATOMIC_RELEASE);
}

// Steps over k frames that nobody took in time.
static void miss(struct gen_rxq *q, uint64_t k)
{
    struct gen_traffic *t = q->traffic;
    uint64_t of[GEN_CLASSES] = {k, 0};

    if (t->attack_every) {
        of[GEN_ATTACK] = (t->since_attack + k) / t->attack_every;
        of[GEN_ORDINARY] -= of[GEN_ATTACK];
        t->since_attack = (uint32_t)((t->since_attack + k) % t->attack_every);
    }
    for (unsigned c = 0; c < GEN_CLASSES; c++) {
        struct gen_list *list = &t->list[c];

        if (list->n)
            list->at = (uint32_t)((list->at + of[c]) % list->n);
        q->shared->rx.missed[c] += of[c];
    }
    q->gone += k;
}

// How many of n frames have come by now.
static uint16_t due(struct gen_rxq *q, uint16_t n, uint64_t now)
{
    uint64_t waiting = (uint64_t)((double)(now - q->start) * q->per_cycle) - q->gone;
    uint64_t gap = (uint64_t)((double)(now - q->last_poll) * q->ns_per_cycle);

    q->shared->rx.gaps[gen_bin(gap)]++;
    q->last_poll = now;
    if (waiting > q->traffic->ring) {
        miss(q, waiting - q->traffic->ring);
        waiting = q->traffic->ring;
    }
    return (uint16_t)RTE_MIN(waiting, (uint64_t)n);
}

static inline const struct gen_frame *next_frame(struct gen_traffic *t, enum gen_class *class)
{
    struct gen_list *list = &t->list[GEN_ORDINARY];
    const struct gen_frame *f;

    *class = GEN_ORDINARY;
    if (t->attack_every && ++t->since_attack == t->attack_every) {
        t->since_attack = 0;
        list = &t->list[GEN_ATTACK];
        *class = GEN_ATTACK;
    }
    f = &list->frames[list->at];
    rte_prefetch_non_temporal(f + AHEAD);
    if (++list->at == list->n)
        list->at = 0;
    return f;
}

static inline void write_header(uint8_t *data, const struct gen_traffic *t,
                                const struct gen_frame *f)
{
    uint16_t ip_len = (uint16_t)(f->len - 14);
    rte_be16_t udp[4] = {f->sport, f->dport, 0, f->l4_sum};

    rte_mov64(data, t->header);
    if (t->ip6) {
        rte_be16_t payload = rte_cpu_to_be_16((uint16_t)(ip_len - 40));

        udp[2] = payload;
        memcpy(data + 18, &payload, 2);
        memcpy(data + 50, &f->dst, 4);
        memcpy(data + 54, udp, 8);
    } else {
        rte_be16_t total = rte_cpu_to_be_16(ip_len);

        udp[2] = rte_cpu_to_be_16((uint16_t)(ip_len - 20));
        memcpy(data + 16, &total, 2);
        memcpy(data + 24, &f->ip_sum, 2);
        memcpy(data + 30, &f->dst, 4);
        memcpy(data + 34, udp, 8);
    }
}

// As a NIC's: it has the ports and the addresses in it.
static inline uint32_t rss_hash(const struct gen_frame *f)
{
    uint64_t key;

    memcpy(&key, &f->dst, sizeof key); // and both ports
    return (uint32_t)(key * 0x9e3779b97f4a7c15 >> 32);
}

static inline void make_mbuf(struct gen_rxq *q, struct rte_mbuf *m, const struct gen_frame *f)
{
    const struct gen_traffic *t = q->traffic;
    uint8_t *data = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM;

    memcpy((void *)&m->rearm_data, &q->rearm, sizeof q->rearm);
    m->ol_flags = RTE_MBUF_F_RX_RSS_HASH;
    m->packet_type = 0;
    m->pkt_len = m->data_len = f->len;
    if (unlikely(t->data)) {
        const uint8_t *frame = t->data + f->dst * 64ull;

        rte_memcpy(data, frame, f->len);
        m->hash.rss = rss_hash(f) ^ frame[33] ^ (uint32_t)frame[35] << 8; // one frame, one flow
    } else {
        write_header(data, t, f);
        m->hash.rss = rss_hash(f);
    }
}

uint16_t gen_rx(void *queue, struct rte_mbuf **mbufs, uint16_t n)
{
    struct gen_rxq *q = queue;
    struct gen_shared *shared = q->shared;
    struct gen_traffic *t;
    uint64_t packets[GEN_CLASSES] = {0}, bytes = 0;
    double due_at = 0;

    if (!shared)
        return 0;
    if (unlikely(__atomic_load_n(&shared->wanted, __ATOMIC_RELAXED) != shared->taken))
        take_arguments(q);
    t = q->traffic;
    if (unlikely(!t))
        return 0;
    shared->rx.polls++;
    if (t->rate > 0) {
        n = due(q, n, rte_rdtsc());
        if (!n)
            return 0;
        due_at = (double)q->gone / q->per_cycle;
    }
    if (unlikely(rte_mempool_get_bulk(q->pool, (void **)mbufs, n))) {
        shared->rx.no_mbufs++;
        return 0;
    }
    for (unsigned i = 0; i < n; i++) {
        enum gen_class class;
        const struct gen_frame *f = next_frame(t, &class);

        make_mbuf(q, mbufs[i], f);
        if (shared->stamped) {
            uint64_t stamp = ((q->start + (uint64_t)due_at) & ~1ull) | class;

            memcpy((uint8_t *)mbufs[i]->buf_addr + RTE_PKTMBUF_HEADROOM + f->len - GEN_STAMP,
                   &stamp, GEN_STAMP);
            due_at += 1 / q->per_cycle;
        }
        packets[class]++;
        bytes += f->len;
    }
    q->gone += n;
    for (unsigned c = 0; c < GEN_CLASSES; c++)
        shared->rx.packets[c] += packets[c];
    shared->rx.bytes += bytes;
    return n;
}

uint16_t gen_tx(void *queue, struct rte_mbuf **mbufs, uint16_t n)
{
    struct gen_txq *q = queue;
    uint64_t packets[GEN_CLASSES] = {n, 0}, bytes = 0;

    if (q->shared->stamped) {
        uint64_t now = rte_rdtsc();

        for (unsigned i = 0; i < n; i++) {
            uint64_t stamp, ns;

            memcpy(&stamp,
                   rte_pktmbuf_mtod_offset(mbufs[i], uint8_t *, mbufs[i]->data_len - GEN_STAMP),
                   GEN_STAMP);
            packets[GEN_ATTACK] += stamp & 1;
            ns = (uint64_t)((double)(int64_t)(now - stamp) * q->ns_per_cycle);
            if (!(stamp & 1))
                q->count->latency[gen_bin(ns)]++;
        }
        packets[GEN_ORDINARY] -= packets[GEN_ATTACK];
    }
    for (unsigned i = 0; i < n; i++)
        bytes += mbufs[i]->pkt_len;
    for (unsigned c = 0; c < GEN_CLASSES; c++)
        q->count->packets[c] += packets[c];
    q->count->bytes += bytes;
    rte_pktmbuf_free_bulk(mbufs, n);
    return n;
}
