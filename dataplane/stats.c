/* SPDX-License-Identifier: Apache-2.0 */
// Sums of what the workers counted.
#include <errno.h>
#include <string.h>

#include "dataplane/internal.h"

static uint64_t read_counter(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

// A port's counters over all workers.
static void sum_port(uint16_t no, struct port_counters *sum)
{
    uint64_t *to = (uint64_t *)sum;

    memset(sum, 0, sizeof *sum);
    for (unsigned i = 0; i < dp.n_workers; i++) {
        const uint64_t *from = (const uint64_t *)&dp.workers[i].counters[no];

        for (unsigned j = 0; j < sizeof *sum / sizeof *to; j++)
            to[j] += read_counter(&from[j]);
    }
    sum->originated += dp.originated[no];
}

// A number is about to be used for another port: what it counted goes into the totals.
void stats_retire(uint16_t no)
{
    struct port_counters sum;
    const uint64_t *from = (const uint64_t *)&sum;
    uint64_t *to = (uint64_t *)&dp.retired;

    sum_port(no, &sum);
    for (unsigned j = 0; j < sizeof sum / sizeof *to; j++)
        to[j] += from[j];
    for (unsigned i = 0; i < dp.n_workers; i++)
        memset(&dp.workers[i].counters[no], 0, sizeof dp.workers[i].counters[no]);
    dp.originated[no] = 0;
}

int dp_port_stats(uint16_t no, struct dp_port_stats *stats)
{
    const struct port *port = no <= PORT_MAX ? dp.ports[no] : NULL;
    struct port_counters sum;
    struct rte_eth_stats eth;

    if (!port)
        return -ENODEV;
    sum_port(no, &sum);
    *stats = (struct dp_port_stats){.rx_packets = sum.rx_packets,
                                    .rx_bytes = sum.rx_bytes,
                                    .tx_packets = sum.tx_packets,
                                    .tx_bytes = sum.tx_bytes,
                                    .originated = sum.originated};
    memcpy(stats->drops, sum.drops, sizeof stats->drops);
    if (port->xdp)
        stats->rx_missed = xdp_missed(port->xdp);
    else if (!rte_eth_stats_get(port->ethdev, &eth))
        stats->rx_missed = eth.imissed + eth.rx_nombuf;
    return 0;
}

void dp_totals(struct dp_totals *totals)
{
    *totals = (struct dp_totals){.rx = dp.retired.rx_packets,
                                 .tx = dp.retired.tx_packets,
                                 .originated = dp.retired.originated};
    memcpy(totals->drops, dp.retired.drops, sizeof totals->drops);
    for (unsigned no = 0; no <= PORT_MAX; no++) {
        struct port_counters sum;

        sum_port((uint16_t)no, &sum);
        totals->rx += sum.rx_packets;
        totals->tx += sum.tx_packets;
        totals->originated += sum.originated;
        for (unsigned j = 0; j < DROP_N; j++)
            totals->drops[j] += sum.drops[j];
    }
    for (unsigned i = 0; i < dp.n_workers; i++)
        totals->in_flight +=
            rte_ring_count(dp.workers[i].inbox) + rte_ring_count(dp.workers[i].injected);
}

unsigned dp_n_workers(void)
{
    return dp.n_workers;
}

void dp_worker_stats(unsigned worker, struct dp_worker_stats *stats)
{
    *stats = dp.workers[worker].stats;
    stats->cpu = dp.workers[worker].cpu;
}

uint64_t dp_tsc_hz(void)
{
    return dp.tsc_hz;
}

void dp_memory(struct dp_memory *memory)
{
    memory->mbufs = dp.pool->size;
    memory->mbufs_free = rte_mempool_avail_count(dp.pool);
    forward_table_memory(memory);
}
