/* SPDX-License-Identifier: Apache-2.0 */
// IPv6 neighbour discovery (RFC 4861), as arp.c for IPv4: pods' solicitations for their gateway and
// ToRs' for attached pods are answered, ToRs' advertisements handed to the control thread, the rest
// dropped by name.
#include <netinet/icmp6.h>

#include "dataplane/headers.h"
#include "dataplane/policy.h"

// Advertisement with one link-layer address option.
struct advert {
    struct rte_ether_hdr eth;
    struct rte_ipv6_hdr ip;
    struct nd_neighbor_advert na;
    struct {
        uint8_t type, len, mac[RTE_ETHER_ADDR_LEN];
    } option;
} __rte_packed __rte_aligned(2);

// RFC 4861 section 7.1: hop limit, code, checksum, length, options. Finds the source (or target)
// link-layer address.
static bool is_sound(const struct rte_ipv6_hdr *ip, unsigned l3_len, const uint8_t **lladdr)
{
    const uint8_t *base = (const uint8_t *)(ip + 1); // type, code, checksum, ...
    unsigned at, len = l3_len - sizeof *ip;

    *lladdr = NULL;
    switch (base[0]) {
    case ND_ROUTER_SOLICIT:
        at = 8;
        break;
    case ND_ROUTER_ADVERT:
        at = 16;
        break;
    default:
        at = base[0] == ND_REDIRECT ? 40 : 24;
    }
    if (ip->hop_limits != 255 || base[1] || len < at || rte_ipv6_udptcp_cksum_verify(ip, base))
        return false;
    while (at < len) {
        if (at + 2 > len || !base[at + 1] || at + base[at + 1] * 8u > len)
            return false;
        if (base[at] == ND_OPT_SOURCE_LINKADDR || base[at] == ND_OPT_TARGET_LINKADDR) {
            // Two that differ: who reads it may take either.
            if (*lladdr && memcmp(*lladdr, base + at + 2, RTE_ETHER_ADDR_LEN))
                return false;
            *lladdr = base + at + 2;
        }
        at += base[at + 1] * 8u;
    }
    return true;
}

// What a solicitation or advertisement is about (RFC 4861 sections 4.3 and 4.4).
static struct in6_addr target_of(const struct rte_ipv6_hdr *ip)
{
    return load_ip6((const uint8_t *)(ip + 1) + offsetof(struct nd_neighbor_solicit, nd_ns_target));
}

// Writes the advertisement that answers a solicitation over it. `flags` besides S and O.
static void answer(struct worker *w, const struct port *port, struct rte_mbuf *m,
                   const uint8_t mac[6], uint32_t flags)
{
    struct in6_addr source = load_ip6(&ip6(m)->src_addr), target = target_of(ip6(m));
    struct rte_ether_addr sender = rte_pktmbuf_mtod(m, struct rte_ether_hdr *)->src_addr;
    static const struct in6_addr all_nodes = {{{0xff, 2, [15] = 1}}};
    static const struct rte_ether_addr all_nodes_mac = {{0x33, 0x33, 0, 0, 0, 1}};
    struct advert *a;

    rte_pktmbuf_reset(m);
    a = (struct advert *)rte_pktmbuf_append(m, sizeof *a);
    memset(a, 0, sizeof *a);
    // RFC 4861 section 7.2.4: to the asker, or to all nodes if it has no address yet.
    if (IN6_IS_ADDR_UNSPECIFIED(&source)) {
        memcpy(&a->ip.dst_addr, &all_nodes, sizeof all_nodes);
        a->eth.dst_addr = all_nodes_mac;
    } else {
        memcpy(&a->ip.dst_addr, &source, sizeof source);
        a->eth.dst_addr = sender;
        flags |= ND_NA_FLAG_SOLICITED;
    }
    memcpy(&a->eth.src_addr, mac, RTE_ETHER_ADDR_LEN);
    a->eth.ether_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
    a->ip.vtc_flow = RTE_BE32(6u << 28);
    a->ip.payload_len = RTE_BE16(sizeof a->na + sizeof a->option);
    a->ip.proto = IPPROTO_ICMPV6;
    a->ip.hop_limits = 255;
    memcpy(&a->ip.src_addr, &target, sizeof target);
    a->na.nd_na_type = ND_NEIGHBOR_ADVERT;
    a->na.nd_na_flags_reserved = flags | ND_NA_FLAG_OVERRIDE;
    a->na.nd_na_target = target;
    a->option.type = ND_OPT_TARGET_LINKADDR;
    a->option.len = 1;
    memcpy(a->option.mac, mac, RTE_ETHER_ADDR_LEN);
    a->na.nd_na_cksum = rte_ipv6_udptcp_cksum(&a->ip, &a->na);
    output(w, port->no, m);
}

// Is the target a gateway of one of the port's ranges?
static bool is_own_gateway(const struct guard *guard, const struct in6_addr *target)
{
    for (unsigned i = 0; guard && i < guard->n6; i++)
        if (IN6_ARE_ADDR_EQUAL(&dp.gateways[guard->v6[i].gateway].address, target))
            return true;
    return false;
}

// Is the address link-local, or one of the port's own?
static bool may_claim(const struct guard *guard, const struct in6_addr *address)
{
    return ipv6_is_link_local(address) || guard_find6(guard, address);
}

// What may be claimed: its own MAC, one of its addresses. The answer goes back to this port alone,
// so a link-local address claims nothing.
static bool is_itself(const struct port *port, const struct rte_mbuf *m, const uint8_t *lladdr)
{
    const struct guard *guard = load_acquire(&port->guard);
    struct in6_addr source = load_ip6(&ip6(m)->src_addr), target;
    bool none = IN6_IS_ADDR_UNSPECIFIED(&source);

    if ((lladdr && memcmp(lladdr, &port->info.params.mac, RTE_ETHER_ADDR_LEN)) ||
        (!none && !may_claim(guard, &source)))
        return false;
    switch (*(const uint8_t *)(ip6(m) + 1)) {
    case ND_NEIGHBOR_SOLICIT:
        target = target_of(ip6(m));
        // RFC 4862 section 5.4.2: a source of :: asks whether somebody else has the address.
        return !none || may_claim(guard, &target);
    case ND_NEIGHBOR_ADVERT: // of its own address
        target = target_of(ip6(m));
        return may_claim(guard, &target);
    default:
        return true;
    }
}

static void from_pod(struct worker *w, struct port *port, struct rte_mbuf *m, const uint8_t *lladdr)
{
    uint8_t type = *(const uint8_t *)(ip6(m) + 1);
    struct in6_addr source, target;

    if (!is_itself(port, m, lladdr)) {
        drop(w, port, m, DROP_guard_nd);
        return;
    }
    if (!policy_admits(w, port, &m))
        return;
    source = load_ip6(&ip6(m)->src_addr);
    if (type == ND_ROUTER_SOLICIT) {
        drop(w, port, m, DROP_router_solicitation);
        return;
    }
    if (type == ND_NEIGHBOR_SOLICIT && IN6_IS_ADDR_UNSPECIFIED(&source)) {
        drop(w, port, m, DROP_nd_dad);
        return;
    }
    target = target_of(ip6(m));
    if (type == ND_NEIGHBOR_SOLICIT && is_own_gateway(load_acquire(&port->guard), &target))
        answer(w, port, m, dp.config.router_mac.addr_bytes, ND_NA_FLAG_ROUTER);
    else
        drop(w, port, m, DROP_nd_not_for_us);
}

static bool is_gateway(const struct in6_addr *address)
{
    for (unsigned i = 0; i < dp.n_gateways; i++)
        if (IN6_ARE_ADDR_EQUAL(&dp.gateways[i].address, address))
            return true;
    return false;
}

static void from_uplink(struct worker *w, struct port *port, struct rte_mbuf *m)
{
    uint8_t type = *(const uint8_t *)(ip6(m) + 1);
    struct in6_addr target = IN6ADDR_ANY_INIT;

    if (type == ND_NEIGHBOR_SOLICIT || type == ND_NEIGHBOR_ADVERT)
        target = target_of(ip6(m));
    if (type == ND_NEIGHBOR_ADVERT && is_gateway(&target)) // the daemon asked for it itself
        punt(w, port, m);
    else if (!policy_admits(w, port, &m))
        return;
    else if (type == ND_NEIGHBOR_SOLICIT && forward_has6(&target))
        answer(w, port, m, port_mac(port), 0);
    else
        drop(w, port, m, DROP_nd_not_for_us);
}

void nd_input(struct worker *w, struct port *port, struct rte_mbuf *m)
{
    const struct rte_ipv6_hdr *ip = ip6(m);
    unsigned avail = m->data_len - RTE_ETHER_HDR_LEN;
    unsigned l3_len = sizeof *ip + rte_be_to_cpu_16(ip->payload_len);
    struct in6_addr source = load_ip6(&ip->src_addr);
    uint8_t type = *(const uint8_t *)(ip + 1);
    const uint8_t *lladdr;

    if (rte_be_to_cpu_32(ip->vtc_flow) >> 28 != 6)
        drop(w, port, m, DROP_ipv6_header);
    else if (port->guarded && (type == ND_ROUTER_ADVERT || type == ND_REDIRECT))
        drop(w, port, m, DROP_guard_control); // whatever else may be wrong with it
    else if (l3_len > avail || l3_len < sizeof *ip + 8 || !is_sound(ip, l3_len, &lladdr))
        drop(w, port, m, DROP_nd_malformed);
    else if (!IN6_IS_ADDR_UNSPECIFIED(&source) && !ipv6_may_be_source(&source))
        drop(w, port, m, DROP_martian);
    else if (port->guarded)
        from_pod(w, port, m, lladdr);
    else
        from_uplink(w, port, m);
}
