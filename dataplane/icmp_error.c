/* SPDX-License-Identifier: Apache-2.0 */
// ICMP errors as a router sends them: RFC 792, RFC 1812 section 4.3, RFC 4443. To a pod they come
// from its gateway's address, towards an uplink from the node's own (router: icmp_source).
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>

#include "dataplane/headers.h"
#include "dataplane/internal.h"

// RFC 1812 section 4.3.2.3: as much of the packet as fits into 576 bytes. RFC 4443 section 2.4 c:
// into 1280.
#define ERROR4_MAX 576
#define ERROR6_MAX 1280

struct error4 {
    struct rte_ether_hdr eth;
    struct rte_ipv4_hdr ip;
    struct icmphdr icmp;
} __rte_packed __rte_aligned(2);

struct error6 {
    struct rte_ether_hdr eth;
    struct rte_ipv6_hdr ip;
    struct icmp6_hdr icmp;
} __rte_packed __rte_aligned(2);

// RFC 1812 section 4.3.2.7: never about an ICMP error, a later fragment, or a packet without one
// sender or for a group.
static bool may_answer4(const struct rte_ipv4_hdr *ip)
{
    uint8_t type;

    if (ipv4_is_later_fragment(ip) || ipv4_class(ip->src_addr) != IPV4_UNICAST ||
        ipv4_class(ip->dst_addr) == IPV4_MULTICAST)
        return false;
    if (ip->next_proto_id != IPPROTO_ICMP)
        return true;
    type = *(const uint8_t *)ipv4_l4(ip);
    return type == ICMP_ECHO || type == ICMP_ECHOREPLY || type == ICMP_TIMESTAMP ||
           type == ICMP_TIMESTAMPREPLY;
}

// RFC 4443 section 2.4 e. Packet too big is sent about multicast as well, but none gets so far.
static bool may_answer6(const struct rte_ipv6_hdr *ip, unsigned l3_len)
{
    struct in6_addr src = load_ip6(&ip->src_addr);
    uint8_t proto;
    int at = ipv6_upper(ip, l3_len, &proto);

    if (!ipv6_may_be_source(&src) || ip->dst_addr[0] == 0xff || at < 0)
        return false;
    return proto != IPPROTO_ICMPV6 || ((unsigned)at < l3_len && (((const uint8_t *)ip)[at] & 0x80));
}

static bool source4(const struct port *port, rte_be32_t to, rte_be32_t *source)
{
    const struct guard4 *pod = guard_find4(load_acquire(&port->guard), to);

    *source = ip_v4(pod ? &dp.gateways[pod->gateway].address : &dp.config.icmp_source4);
    return *source;
}

static bool source6(const struct port *port, const struct in6_addr *to, struct in6_addr *source)
{
    const struct guard6 *pod = guard_find6(load_acquire(&port->guard), to);

    *source = pod ? dp.gateways[pod->gateway].address : dp.config.icmp_source6;
    return !IN6_IS_ADDR_UNSPECIFIED(source);
}

static void send_back(struct worker *w, const struct port *port, struct rte_mbuf *error,
                      const struct rte_ether_hdr *eth, rte_be16_t type)
{
    struct rte_ether_hdr *to = rte_pktmbuf_mtod(error, struct rte_ether_hdr *);

    to->dst_addr = eth->src_addr;
    to->src_addr = eth->dst_addr;
    to->ether_type = type;
    w->counters[port->no].originated++;
    output(w, port->no, error);
}

void icmp4_error(struct worker *w, struct port *port, const struct rte_mbuf *m, uint8_t type,
                 uint8_t code, uint16_t mtu)
{
    const struct rte_ipv4_hdr *about = ip4(m);
    unsigned quoted = RTE_MIN(rte_be_to_cpu_16(about->total_length),
                              ERROR4_MAX - sizeof(struct rte_ipv4_hdr) - sizeof(struct icmphdr));
    struct rte_mbuf *error;
    struct error4 *e;
    rte_be32_t source;

    if (!may_answer4(about) || !source4(port, about->src_addr, &source) ||
        !rate_take(&w->icmp_rate[port->no], dp.config.icmp_errors_per_s))
        return;
    error = rte_pktmbuf_alloc(dp.pool);
    if (!error)
        return;
    e = (struct error4 *)rte_pktmbuf_append(error, (uint16_t)(sizeof *e + quoted));
    memset(e, 0, sizeof *e);
    e->ip.version_ihl = RTE_IPV4_VHL_DEF;
    e->ip.type_of_service = 0xc0; // RFC 1812 section 4.3.2.5: internetwork control
    e->ip.total_length = rte_cpu_to_be_16((uint16_t)(sizeof e->ip + sizeof e->icmp + quoted));
    e->ip.time_to_live = 64;
    e->ip.next_proto_id = IPPROTO_ICMP;
    e->ip.src_addr = source;
    e->ip.dst_addr = about->src_addr;
    e->ip.hdr_checksum = rte_ipv4_cksum(&e->ip);
    e->icmp.type = type;
    e->icmp.code = code;
    e->icmp.un.frag.mtu = rte_cpu_to_be_16(mtu); // RFC 1191 section 4
    memcpy(e + 1, about, quoted);
    e->icmp.checksum = (uint16_t)~rte_raw_cksum(&e->icmp, sizeof e->icmp + quoted);
    send_back(w, port, error, rte_pktmbuf_mtod(m, const struct rte_ether_hdr *),
              RTE_BE16(RTE_ETHER_TYPE_IPV4));
}

void icmp6_error(struct worker *w, struct port *port, const struct rte_mbuf *m, uint8_t type,
                 uint8_t code, uint32_t param)
{
    const struct rte_ipv6_hdr *about = ip6(m);
    unsigned l3_len = sizeof *about + rte_be_to_cpu_16(about->payload_len);
    unsigned quoted =
        RTE_MIN(l3_len, ERROR6_MAX - sizeof(struct rte_ipv6_hdr) - sizeof(struct icmp6_hdr));
    struct rte_mbuf *error;
    struct in6_addr to = load_ip6(&about->src_addr), source;
    struct error6 *e;

    if (!may_answer6(about, l3_len) || !source6(port, &to, &source) ||
        !rate_take(&w->icmp_rate[port->no], dp.config.icmp_errors_per_s))
        return;
    error = rte_pktmbuf_alloc(dp.pool);
    if (!error)
        return;
    e = (struct error6 *)rte_pktmbuf_append(error, (uint16_t)(sizeof *e + quoted));
    memset(e, 0, sizeof *e);
    e->ip.vtc_flow = RTE_BE32(6u << 28);
    e->ip.payload_len = rte_cpu_to_be_16((uint16_t)(sizeof e->icmp + quoted));
    e->ip.proto = IPPROTO_ICMPV6;
    e->ip.hop_limits = 64;
    memcpy(&e->ip.src_addr, &source, sizeof source);
    memcpy(&e->ip.dst_addr, &about->src_addr, sizeof about->src_addr);
    e->icmp.icmp6_type = type;
    e->icmp.icmp6_code = code;
    e->icmp.icmp6_mtu = rte_cpu_to_be_32(param);
    memcpy(e + 1, about, quoted);
    e->icmp.icmp6_cksum = rte_ipv6_udptcp_cksum(&e->ip, &e->icmp);
    send_back(w, port, error, rte_pktmbuf_mtod(m, const struct rte_ether_hdr *),
              RTE_BE16(RTE_ETHER_TYPE_IPV6));
}
