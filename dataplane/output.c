/* SPDX-License-Identifier: Apache-2.0 */
// The last stage: a port's buffered frames go to its device, by this worker's own queue or, where
// the device has none for it, through the inbox of the worker that has one.
#include "dataplane/trace.h"

static void drop_rest(struct worker *w, uint16_t out, struct rte_mbuf **mbufs, unsigned n,
                      enum drop_reason reason)
{
    w->counters[out].drops[reason] += n;
    rte_pktmbuf_free_bulk(mbufs, n);
}

static void transmit(struct worker *w, const struct port *port, struct rte_mbuf **mbufs, unsigned n,
                     uint64_t bytes)
{
    struct port_counters *counters = &w->counters[port->no];
    unsigned sent = port_tx(port, (uint16_t)port->txq[w->index], mbufs, (uint16_t)n);

    for (unsigned i = sent; i < n; i++)
        bytes -= mbufs[i]->pkt_len;
    counters->tx_packets += sent;
    counters->tx_bytes += bytes;
    if (unlikely(sent < n))
        drop_rest(w, port->no, mbufs + sent, n - sent, DROP_tx_full);
}

static void hand_over(struct worker *w, const struct port *port, struct rte_mbuf **mbufs,
                      unsigned n)
{
    struct worker *owner = &dp.workers[port->owner];
    unsigned taken;

    for (unsigned i = 0; i < n; i++)
        mbufs[i]->hash.usr = (uint32_t)port->generation << 16 | port->no;
    taken = rte_ring_enqueue_burst(owner->inbox, (void **)mbufs, n, NULL);
    if (unlikely(taken < n))
        drop_rest(w, port->no, mbufs + taken, n - taken, DROP_handoff_full);
}

void tx_flush(struct worker *w, uint16_t out)
{
    struct tx_buffer *tx = &w->tx[out];
    const struct port *port = load_acquire(&dp.ports[out]);
    unsigned n = tx->n, bytes = tx->bytes;

    tx->n = 0;
    tx->bytes = 0;
    if (!n)
        return;
    if (unlikely(w->trace != NULL))
        trace_output(w, out, tx->mbuf, n);
    else if (unlikely(!port))
        drop_rest(w, out, tx->mbuf, n, DROP_port_gone);
    else if (likely(port->txq[w->index] >= 0))
        transmit(w, port, tx->mbuf, n, bytes);
    else
        hand_over(w, port, tx->mbuf, n);
}
