/* SPDX-License-Identifier: Apache-2.0 */
// Does what an operator's rule says. Each use of the frame but the last gets a copy, which counts
// as originated.
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "dataplane/policy_actions.h"
#include "dataplane/trace.h"

// Of one packet. Beyond, groups that name groups are the operator's mistake, and must not cost the
// others' packets.
#define COPIES_MAX 2048

// One packet's way through a rule.
struct run {
    struct worker *w;
    struct port *in;
    unsigned copies;
    unsigned depth;              // of groups
    struct rte_mbuf *normal;     // what is to go on to the forward stage, NULL: nothing
    struct policy_packet *as_of; // how the packet was then
};

static void run_actions(struct run *r, struct policy_packet *pp, const struct action *actions,
                        unsigned n);

bool policy_action_uses_frame(enum action_type type)
{
    switch (type) {
    case ACTION_OUTPUT:
    case ACTION_GOTO_TABLE:
    case ACTION_NORMAL:
    case ACTION_IN_PORT:
    case ACTION_ALL:
    case ACTION_GROUP:
    case ACTION_PUNT:
        return true;
    default:
        return false;
    }
}

static void drop_frame(struct run *r, struct policy_packet *pp, enum drop_reason reason)
{
    drop(r->w, r->in, pp->packet->mbuf, reason);
    pp->packet->mbuf = NULL;
}

// The frame for one use: itself, or a copy if it is used again. NULL: there are no buffers.
static struct rte_mbuf *frame_for_use(struct run *r, struct policy_packet *pp, bool more)
{
    struct port_counters *counters = &r->w->counters[r->in->no];
    struct rte_mbuf *m = pp->packet->mbuf;

    if (!more) {
        pp->packet->mbuf = NULL;
        return m;
    }
    counters->originated++;
    m = r->copies++ < COPIES_MAX ? rte_pktmbuf_copy(m, dp.pool, 0, UINT32_MAX) : NULL;
    if (!m)
        counters->drops[DROP_policy_no_copy]++;
    return m;
}

static void output_to(struct run *r, struct policy_packet *pp, uint16_t port, bool in_port,
                      bool more)
{
    struct rte_mbuf *m = frame_for_use(r, pp, more);

    if (m)
        policy_output(r->w, r->in, m, port, pp->vlans, in_port);
}

// All uplinks and pods. Not the host: a flood is not for it.
static void output_to_all(struct run *r, struct policy_packet *pp, bool more)
{
    uint16_t last = PORT_NONE;

    for (uint16_t no = 1; no <= PORT_MAX; no++) {
        const struct port *port = load_acquire(&dp.ports[no]);

        if (!port || port == r->in || port->info.params.kind == DP_PORT_HOST)
            continue;
        if (last)
            output_to(r, pp, last, false, true);
        last = no;
    }
    if (last)
        output_to(r, pp, last, false, more);
}

// The frame waits until all else is done.
static void to_normal(struct run *r, struct policy_packet *pp, bool more)
{
    struct rte_mbuf *m = frame_for_use(r, pp, more);

    if (!m)
        return;
    // Checked where it can be; groups can still do it.
    if (r->normal) {
        drop(r->w, r->in, m, DROP_policy);
        return;
    }
    r->normal = m;
    *r->as_of = *pp;
}

static void ttl_expired(struct run *r, struct policy_packet *pp)
{
    struct rte_mbuf *m = pp->packet->mbuf;
    struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);

    // The answer goes back by the MACs that it came with, whatever rules have made of them.
    if (pp->eth_set) {
        eth->src_addr = pp->came_from;
        eth->dst_addr = pp->came_to;
    }
    // RFC 1812 section 4.3.2.7: there is none about what was sent to a group of the link.
    if (pp->ip && !pp->vlans && r->in->no != PORT_NONE &&
        !rte_is_multicast_ether_addr(&eth->dst_addr)) {
        if (pp->key.fields.eth_type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
            icmp4_error(r->w, r->in, m, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
        else
            icmp6_error(r->w, r->in, m, ICMP6_TIME_EXCEEDED, ICMP6_TIME_EXCEED_TRANSIT, 0);
    }
    drop_frame(r, pp, DROP_ttl_expired);
}

// A bucket changes and uses up a packet of its own.
static void run_bucket(struct run *r, const struct policy_packet *pp,
                       const struct policy_group *group, unsigned bucket, struct rte_mbuf *m)
{
    struct packet packet = *pp->packet;
    struct policy_packet own = *pp;

    packet.mbuf = m;
    own.packet = &packet;
    policy_group_count(r->w, group, 1 + bucket, m->pkt_len);
    run_actions(r, &own, group->buckets[bucket].actions, group->buckets[bucket].n_actions);
}

static void run_group(struct run *r, struct policy_packet *pp, uint32_t id, bool more)
{
    const struct policy_group *group = policy_group_find(id);
    struct rte_mbuf *m;
    unsigned first = 0, n = 0;

    if (group && r->depth < POLICY_GROUP_DEPTH)
        n = policy_group_choose(group, &pp->key.fields, &first);
    if (n)
        policy_group_count(r->w, group, 0, pp->packet->mbuf->pkt_len);
    r->depth++;
    for (unsigned i = 0; i < n; i++) {
        if (unlikely(r->w->trace != NULL))
            trace_note(r->w, "group %u: bucket %u of %u", id, first + i + 1, group->n);
        m = frame_for_use(r, pp, more || i + 1 < n);
        if (m)
            run_bucket(r, pp, group, first + i, m);
    }
    r->depth--;
    if (n)
        return;
    if (unlikely(r->w->trace != NULL))
        trace_note(r->w, "group %u: no live bucket", id);
    m = frame_for_use(r, pp, more);
    if (m)
        drop(r->w, r->in, m, DROP_policy_group);
}

static void run_actions(struct run *r, struct policy_packet *pp, const struct action *actions,
                        unsigned n)
{
    struct worker *w = r->w;
    unsigned uses = 0;

    for (unsigned i = 0; i < n; i++)
        uses += policy_action_uses_frame(actions[i].type);
    for (unsigned i = 0; i < n && pp->packet->mbuf; i++) {
        const struct action *a = &actions[i];
        enum drop_reason reason;

        uses -= policy_action_uses_frame(a->type);
        switch (a->type) {
        case ACTION_OUTPUT:
            output_to(r, pp, a->port, false, uses);
            break;
        case ACTION_IN_PORT:
            output_to(r, pp, r->in->no, true, uses);
            break;
        case ACTION_ALL:
            output_to_all(r, pp, uses);
            break;
        case ACTION_NORMAL:
            to_normal(r, pp, uses);
            break;
        case ACTION_GROUP:
            run_group(r, pp, a->id, uses);
            break;
        case ACTION_GOTO_TABLE: // the last, and not in a group: the frame stays
            pp->table = (uint8_t)(a->table - RULE_TABLE_POLICY);
            return;
        case ACTION_PUNT:
            policy_packet_in(w, r->in, pp, a, !uses);
            if (!uses)
                pp->packet->mbuf = NULL;
            break;
        case ACTION_METER:
            if (!policy_meter_take(w, a->id, pp->packet->mbuf->pkt_len)) {
                drop_frame(r, pp, DROP_policy_meter);
                return;
            }
            break;
        default:
            reason = policy_change(pp, a);
            if (reason == DROP_ttl_expired)
                ttl_expired(r, pp);
            else if (reason != DROP_N)
                drop_frame(r, pp, reason);
        }
    }
    if (pp->packet->mbuf)
        drop_frame(r, pp, DROP_policy);
}

enum policy_verdict policy_execute(struct worker *w, struct port *in, struct policy_packet *pp,
                                   const struct action *actions, unsigned n)
{
    struct packet *packet = pp->packet;
    struct policy_packet as_of;
    struct run r = {.w = w, .in = in, .as_of = &as_of};

    run_actions(&r, pp, actions, n);
    if (packet->mbuf) {
        // A group has sent a copy to the forward stage: a packet goes one way.
        if (r.normal)
            drop(w, in, r.normal, DROP_policy);
        return POLICY_GOTO;
    }
    if (!r.normal)
        return POLICY_DONE;
    *pp = as_of;
    pp->packet = packet;
    packet->mbuf = r.normal;
    return POLICY_NORMAL;
}
