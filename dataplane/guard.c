/* SPDX-License-Identifier: Apache-2.0 */
// The second stage, for pod and host ports: a pod can only be itself. Parse has checked its MAC
// (l2_expect), and what its plain IPv4 packets may be.
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

bool guard4(struct worker *w, const struct port *port, struct packet *p)
{
    const struct rte_ipv4_hdr *ip = p->ip;
    const struct guard4 *own = guard_find4(load_acquire(&port->guard), ip->src_addr);

    if (unlikely(!own)) {
        drop(w, port, p->mbuf, DROP_guard_ip_src);
        return false;
    }
    if (unlikely(ipv4_is_control(ip))) {
        drop(w, port, p->mbuf, DROP_guard_control);
        return false;
    }
    w->rules[own->slot].packets++;
    w->rules[own->slot].bytes += p->mbuf->pkt_len;
    p->gateway = own->gateway;
    return true;
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
