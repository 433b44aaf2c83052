/* SPDX-License-Identifier: Apache-2.0 */
// Between the workers and the control thread: frames up (punt) and down (inject).
#include <errno.h>
#include <string.h>

#include "dataplane/internal.h"

#define PUNTS_PER_S 1000 // of each port

void punt(struct worker *w, struct port *port, struct rte_mbuf *m)
{
    if (!rate_take(&w->punt_rate[port->no], PUNTS_PER_S)) {
        drop(w, port, m, DROP_punt_rate);
        return;
    }
    m->hash.usr = port->no;
    if (rte_ring_enqueue(dp.punt, m))
        drop(w, port, m, DROP_punt_full);
    else
        w->counters[port->no].drops[DROP_punted]++;
}

unsigned dp_punt_recv(struct dp_punt *punts, unsigned n)
{
    unsigned got;

    for (got = 0; got < n; got++) {
        struct rte_mbuf *m;

        if (rte_ring_dequeue(dp.punt, (void **)&m))
            break;
        punts[got].port = (uint16_t)m->hash.usr;
        punts[got].len = RTE_MIN(m->data_len, (uint16_t)sizeof punts[got].data);
        memcpy(punts[got].data, rte_pktmbuf_mtod(m, void *), punts[got].len);
        rte_pktmbuf_free(m);
    }
    return got;
}

int dp_inject(uint16_t no, const void *frame, size_t len)
{
    struct port *port = no <= PORT_MAX ? dp.ports[no] : NULL;
    struct rte_mbuf *m;
    char *data;

    if (!port)
        return -ENODEV;
    m = rte_pktmbuf_alloc(dp.pool);
    if (!m)
        return -ENOBUFS;
    data = len <= UINT16_MAX ? rte_pktmbuf_append(m, (uint16_t)len) : NULL;
    if (!data) {
        rte_pktmbuf_free(m);
        return -EMSGSIZE;
    }
    memcpy(data, frame, len);
    m->hash.usr = (uint32_t)port->generation << 16 | no;
    if (rte_ring_enqueue(dp.workers[port->owner].injected, m)) {
        rte_pktmbuf_free(m);
        return -ENOBUFS;
    }
    dp.originated[no]++;
    worker_wake(&dp.workers[port->owner]);
    return 0;
}
