/* SPDX-License-Identifier: Apache-2.0 */
// The second stage, for pod and host ports: a pod can only be itself. Its MAC was checked by parse
// (l2_expect).
#include "dataplane/headers.h"
#include "dataplane/internal.h"

int guard_find4(const struct guard *guard, rte_be32_t address)
{
    for (unsigned i = 0; guard && i < guard->n4; i++)
        if (guard->v4[i].address == address)
            return guard->v4[i].gateway;
    return -1;
}

int guard_find6(const struct guard *guard, const struct in6_addr *address)
{
    for (unsigned i = 0; guard && i < guard->n6; i++)
        if (IN6_ARE_ADDR_EQUAL(&guard->v6[i].address, address))
            return guard->v6[i].gateway;
    return -1;
}

void guard4(struct worker *w, struct burst *b)
{
    const struct guard *guard = load_acquire(&b->port->guard);
    uint16_t kept = 0;

    for (unsigned i = 0; i < b->n4; i++) {
        struct packet *p = &b->v4[i];
        const struct rte_ipv4_hdr *ip = ip4(p->mbuf);
        int gateway;

        if (likely(guard && guard->n4 && ip->src_addr == guard->v4[0].address))
            gateway = guard->v4[0].gateway;
        else
            gateway = guard_find4(guard, ip->src_addr);
        if (unlikely(gateway < 0)) {
            drop(w, b->port, p->mbuf, DROP_guard_ip_src);
        } else if (unlikely(ipv4_is_control(ip))) {
            drop(w, b->port, p->mbuf, DROP_guard_control);
        } else {
            p->gateway = (uint16_t)gateway;
            b->v4[kept++] = *p;
        }
    }
    b->n4 = kept;
}

void guard6(struct worker *w, struct burst *b)
{
    const struct guard *guard = load_acquire(&b->port->guard);
    uint16_t kept = 0;

    for (unsigned i = 0; i < b->n6; i++) {
        struct packet *p = &b->v6[i];
        const struct rte_ipv6_hdr *ip = ip6(p->mbuf);
        int gateway = guard_find6(guard, ip6_src(ip));

        if (unlikely(gateway < 0)) {
            drop(w, b->port, p->mbuf,
                 ipv6_is_link_local(ip6_src(ip)) ? DROP_link_local : DROP_guard_ip_src);
        } else if (unlikely(ip->proto != IPPROTO_TCP && ipv6_is_control(ip, p->l3_len))) {
            drop(w, b->port, p->mbuf, DROP_guard_control);
        } else {
            p->gateway = (uint16_t)gateway;
            b->v6[kept++] = *p;
        }
    }
    b->n6 = kept;
}
