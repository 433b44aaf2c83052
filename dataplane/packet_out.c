/* SPDX-License-Identifier: Apache-2.0 */
// Packet-outs: frames of a controller, with actions. The control thread hands them to a worker, so
// that only workers run the stages.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/policy_actions.h"

// In a buffer of its own; the frame is in another.
struct packet_out {
    struct rte_mbuf *frame;
    uint16_t in_port, generation;
    uint8_t n;
    struct action actions[RULE_ACTIONS_MAX];
};

// Where a controller's own frames come in. It takes any MAC and is no way out.
static struct port controller_port = {.no = PORT_NONE};

// A message that owns its frame. NULL: no buffers.
static struct rte_mbuf *message_new(const struct port *in, const struct action *actions, unsigned n,
                                    const void *frame, size_t len)
{
    struct rte_mbuf *message = rte_pktmbuf_alloc(dp.pool);
    struct packet_out *out;

    if (!message)
        return NULL;
    out = (struct packet_out *)rte_pktmbuf_append(message, sizeof *out);
    if (frame_mbuf(frame, len, &out->frame)) {
        rte_pktmbuf_free(message);
        return NULL;
    }
    out->in_port = in->no;
    out->generation = in->generation;
    out->n = (uint8_t)n;
    memcpy(out->actions, actions, n * sizeof *actions);
    message->hash.usr = PORT_NONE; // where an injected frame has its port
    return message;
}

int dp_packet_out(uint16_t in_port, const struct action *actions, unsigned n, const void *frame,
                  size_t len)
{
    const struct port *in = &controller_port;
    struct rte_mbuf *message;
    struct worker *w;
    char *error = NULL;

    if (in_port != PORT_NONE)
        in = in_port <= PORT_MAX ? dp.ports[in_port] : NULL;
    if (!in)
        return -ENODEV;
    if (policy_packet_out_check(actions, n, &error)) {
        free(error);
        return -EINVAL;
    }
    if (len > RTE_ETHER_HDR_LEN + POLICY_VLANS_MAX * RTE_VLAN_HLEN + (size_t)dp.config.mtu)
        return -EMSGSIZE;
    message = message_new(in, actions, n, frame, len);
    if (!message)
        return -ENOBUFS;
    w = &dp.workers[in->owner];
    if (rte_ring_enqueue(w->injected, message)) {
        rte_pktmbuf_free(rte_pktmbuf_mtod(message, struct packet_out *)->frame);
        rte_pktmbuf_free(message);
        return -ENOBUFS;
    }
    dp.originated[in_port]++;
    worker_wake(w);
    return 0;
}

static void execute(struct worker *w, struct port *in, const struct packet_out *out)
{
    struct packet packet = {.mbuf = out->frame};
    struct policy_packet pp = {.packet = &packet};
    enum drop_reason reason = policy_key_init(&pp, in->no);
    enum policy_verdict verdict;

    if (reason != DROP_N) {
        drop(w, in, packet.mbuf, reason);
        return;
    }
    w->policy_version = load_acquire(&policy.version);
    verdict = policy_execute(w, in, &pp, out->actions, out->n);
    if (verdict == POLICY_GOTO)
        verdict = policy_run(w, in, &pp);
    if (verdict == POLICY_NORMAL)
        policy_bypass(w, in, packet.mbuf);
}

void packet_out_receive(struct worker *w, struct rte_mbuf *message)
{
    const struct packet_out *out = rte_pktmbuf_mtod(message, const struct packet_out *);
    struct port *in =
        out->in_port == PORT_NONE ? &controller_port : load_acquire(&dp.ports[out->in_port]);

    if (in && in->generation == out->generation) {
        execute(w, in, out);
    } else {
        w->counters[out->in_port].drops[DROP_port_gone]++;
        rte_pktmbuf_free(out->frame);
    }
    rte_pktmbuf_free(message);
}
