/* SPDX-License-Identifier: Apache-2.0 */
// Between the workers and the control thread: frames up (punt, packet-in) and down (inject).
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>

#include "dataplane/trace.h"

#define PUNTS_PER_S 1000 // of each port; and as many packet-ins

// A system call of a worker's, but only for the first frame that a sleeping control thread gets.
static int hand_over(struct rte_ring *ring, struct rte_mbuf *m)
{
    int ret = rte_ring_enqueue(ring, m);

    rte_smp_mb(); // the frame is there before we look, see dp_punt_wait
    if (!ret && load_acquire(&dp.punt_awaited) &&
        __atomic_exchange_n(&dp.punt_awaited, false, __ATOMIC_ACQ_REL))
        eventfd_write(dp.punt_fd, 1);
    return ret;
}

int dp_punt_wait(void)
{
    eventfd_t ignored;

    eventfd_read(dp.punt_fd, &ignored);
    store_release(&dp.punt_awaited, true);
    rte_smp_mb(); // a worker that does not see it has put its frame there
    return rte_ring_empty(dp.punt) && rte_ring_empty(dp.packet_ins) ? dp.punt_fd : -1;
}

void punt(struct worker *w, struct port *port, struct rte_mbuf *m)
{
    if (unlikely(w->trace != NULL)) {
        drop(w, port, m, DROP_punted);
        return;
    }
    if (!rate_take(&w->punt_rate[port->no], PUNTS_PER_S)) {
        drop(w, port, m, DROP_punt_rate);
        return;
    }
    m->hash.usr = port->no;
    if (hand_over(dp.punt, m))
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

// What the control thread gets of a packet-in: all of struct dp_packet_in that is used. NULL: no
// buffers.
static struct rte_mbuf *packet_in_message(const struct policy_packet *pp,
                                          const struct action *action)
{
    const struct match_fields *fields = &pp->key.fields;
    const struct rte_mbuf *frame = pp->packet->mbuf;
    struct rte_mbuf *m = rte_pktmbuf_alloc(dp.pool);
    struct dp_packet_in *in;

    if (!m)
        return NULL;
    m->data_off = 0; // the headroom is wanted, too
    in = rte_pktmbuf_mtod(m, struct dp_packet_in *);
    in->in_port = rte_be_to_cpu_16(pp->key.in_port);
    in->len = frame->data_len;
    in->data_len = RTE_MIN(action->max_len, (uint16_t)DP_PACKET_IN_MAX);
    in->data_len = RTE_MIN(in->data_len, in->len);
    in->controller = action->punt.controller;
    in->reason = action->punt.reason;
    in->table = pp->table;
    in->cookie = pp->cookie;
    in->metadata = fields->metadata;
    memcpy(in->reg, fields->reg, sizeof in->reg);
    memcpy(in->data, rte_pktmbuf_mtod(frame, void *), in->data_len);
    return m;
}

static enum drop_reason packet_in(struct worker *w, const struct port *in,
                                  const struct policy_packet *pp, const struct action *action)
{
    struct rte_mbuf *m;

    if (unlikely(w->trace != NULL)) {
        trace_note(w, "packet-in: controller %u, reason %u, at most %u bytes",
                   action->punt.controller, action->punt.reason, action->max_len);
        return DROP_punted;
    }
    if (!rate_take(&w->packet_in_rate[in->no], PUNTS_PER_S))
        return DROP_punt_rate;
    m = packet_in_message(pp, action);
    if (!m)
        return DROP_policy_no_copy;
    if (!hand_over(dp.packet_ins, m))
        return DROP_punted;
    rte_pktmbuf_free(m);
    return DROP_punt_full;
}

void policy_packet_in(struct worker *w, struct port *in, const struct policy_packet *pp,
                      const struct action *action, bool take)
{
    enum drop_reason reason = packet_in(w, in, pp, action);

    if (take) {
        drop(w, in, pp->packet->mbuf, reason);
    } else {
        w->counters[in->no].originated++;
        w->counters[in->no].drops[reason]++;
    }
}

bool dp_packet_in_recv(struct dp_packet_in *in)
{
    const struct dp_packet_in *message;
    struct rte_mbuf *m;

    if (rte_ring_dequeue(dp.packet_ins, (void **)&m))
        return false;
    message = rte_pktmbuf_mtod(m, const struct dp_packet_in *);
    memcpy(in, message, offsetof(struct dp_packet_in, data) + message->data_len);
    rte_pktmbuf_free(m);
    return true;
}

int frame_mbuf(const void *frame, size_t len, struct rte_mbuf **mbuf)
{
    struct rte_mbuf *m = rte_pktmbuf_alloc(dp.pool);
    char *data;

    if (!m)
        return -ENOBUFS;
    data = len <= UINT16_MAX ? rte_pktmbuf_append(m, (uint16_t)len) : NULL;
    if (!data) {
        rte_pktmbuf_free(m);
        return -EMSGSIZE;
    }
    memcpy(data, frame, len);
    *mbuf = m;
    return 0;
}

int dp_inject(uint16_t no, const void *frame, size_t len)
{
    struct port *port = no <= PORT_MAX ? dp.ports[no] : NULL;
    struct rte_mbuf *m;
    int ret;

    if (!port)
        return -ENODEV;
    ret = frame_mbuf(frame, len, &m);
    if (ret)
        return ret;
    m->hash.usr = (uint32_t)port->generation << 16 | no;
    if (rte_ring_enqueue(dp.workers[port->owner].injected, m)) {
        rte_pktmbuf_free(m);
        return -ENOBUFS;
    }
    dp.originated[no]++;
    worker_wake(&dp.workers[port->owner]);
    return 0;
}
