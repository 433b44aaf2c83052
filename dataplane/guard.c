/* SPDX-License-Identifier: Apache-2.0 */
// The second stage, for pod and host ports: a pod can only be itself. Its MAC was checked by parse
// (l2_expect).
#include "dataplane/headers.h"
#include "dataplane/internal.h"

const struct guard4 *guard_find4(const struct guard *guard, rte_be32_t address)
{
    for (unsigned i = 0; guard && i < guard->n4; i++)
        if (guard->v4[i].address == address)
            return &guard->v4[i];
    return NULL;
}

const struct guard6 *guard_find6(const struct guard *guard, const struct in6_addr *address)
{
    for (unsigned i = 0; guard && i < guard->n6; i++)
        if (IN6_ARE_ADDR_EQUAL(&guard->v6[i].address, address))
            return &guard->v6[i];
    return NULL;
}

// Which address behind the first it is; n4 if it is none.
static __rte_noinline unsigned find_other(const struct guard *guard, rte_be32_t address)
{
    unsigned i = 1;

    while (i < guard->n4 && guard->v4[i].address != address)
        i++;
    return i;
}

static void guard4_none(struct worker *w, struct burst *b)
{
    for (unsigned i = 0; i < b->n4; i++)
        drop(w, b->port, b->v4[i].mbuf, DROP_guard_ip_src);
    b->n4 = 0;
}

void guard4(struct worker *w, struct burst *b)
{
    const struct guard *guard = load_acquire(&b->port->guard);
    // Most pods have one address: the others' packets are counted apart, and the first's are the
    // rest. A sum in memory would have to wait for that of the packet before.
    struct dp_rule_stats others[GUARD_MAX] = {0};
    uint64_t bytes = 0, packets;
    uint16_t kept = 0;

    if (unlikely(!guard || !guard->n4)) {
        guard4_none(w, b);
        return;
    }
    for (unsigned i = 0; i < b->n4; i++) {
        struct packet *p = &b->v4[i];
        const struct rte_ipv4_hdr *ip = p->ip;
        unsigned own =
            likely(ip->src_addr == guard->v4[0].address) ? 0 : find_other(guard, ip->src_addr);

        if (unlikely(own == guard->n4)) {
            drop(w, b->port, p->mbuf, DROP_guard_ip_src);
        } else if (unlikely(ipv4_is_control(ip))) {
            drop(w, b->port, p->mbuf, DROP_guard_control);
        } else {
            bytes += p->mbuf->pkt_len;
            if (unlikely(own)) {
                others[own].packets++;
                others[own].bytes += p->mbuf->pkt_len;
            }
            p->gateway = guard->v4[own].gateway;
            // A packet just written in parts is slow to copy whole.
            if (unlikely(kept != i))
                b->v4[kept] = *p;
            kept++;
        }
    }
    b->n4 = kept;
    packets = kept;
    for (unsigned i = 1; i < guard->n4; i++) {
        packets -= others[i].packets;
        bytes -= others[i].bytes;
        w->rules[guard->v4[i].slot].packets += others[i].packets;
        w->rules[guard->v4[i].slot].bytes += others[i].bytes;
    }
    w->rules[guard->v4[0].slot].packets += packets;
    w->rules[guard->v4[0].slot].bytes += bytes;
}

void guard6(struct worker *w, struct burst *b)
{
    const struct guard *guard = load_acquire(&b->port->guard);
    uint16_t kept = 0;

    for (unsigned i = 0; i < b->n6; i++) {
        struct packet *p = &b->v6[i];
        const struct rte_ipv6_hdr *ip = p->ip;
        struct in6_addr src = load_ip6(&ip->src_addr);
        const struct guard6 *own = guard_find6(guard, &src);

        if (unlikely(!own)) {
            drop(w, b->port, p->mbuf,
                 ipv6_is_link_local(&src) ? DROP_link_local : DROP_guard_ip_src);
        } else if (unlikely(ip->proto != IPPROTO_TCP && ipv6_is_control(ip, p->l3_len))) {
            drop(w, b->port, p->mbuf, DROP_guard_control);
        } else {
            w->rules[own->slot].packets++;
            w->rules[own->slot].bytes += p->mbuf->pkt_len;
            p->gateway = own->gateway;
            if (unlikely(kept != i))
                b->v6[kept] = *p;
            kept++;
        }
    }
    b->n6 = kept;
}
