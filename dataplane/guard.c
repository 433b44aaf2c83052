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

void guard4(struct worker *w, struct burst *b)
{
    const struct guard *guard = load_acquire(&b->port->guard);
    unsigned n = guard ? guard->n4 : 0;
    struct dp_rule_stats passed[GUARD_MAX] = {0};
    uint16_t kept = 0;

    for (unsigned i = 0; i < b->n4; i++) {
        struct packet *p = &b->v4[i];
        const struct rte_ipv4_hdr *ip = ip4(p->mbuf);
        unsigned own = 0;

        while (own < n && guard->v4[own].address != ip->src_addr)
            own++;
        if (unlikely(own == n)) {
            drop(w, b->port, p->mbuf, DROP_guard_ip_src);
        } else if (unlikely(ipv4_is_control(ip))) {
            drop(w, b->port, p->mbuf, DROP_guard_control);
        } else {
            passed[own].packets++;
            passed[own].bytes += p->mbuf->pkt_len;
            p->gateway = guard->v4[own].gateway;
            // A packet just written in parts is slow to copy whole.
            if (unlikely(kept != i))
                b->v4[kept] = *p;
            kept++;
        }
    }
    b->n4 = kept;
    for (unsigned i = 0; i < n; i++) {
        w->rules[guard->v4[i].slot].packets += passed[i].packets;
        w->rules[guard->v4[i].slot].bytes += passed[i].bytes;
    }
}

void guard6(struct worker *w, struct burst *b)
{
    const struct guard *guard = load_acquire(&b->port->guard);
    uint16_t kept = 0;

    for (unsigned i = 0; i < b->n6; i++) {
        struct packet *p = &b->v6[i];
        const struct rte_ipv6_hdr *ip = ip6(p->mbuf);
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
