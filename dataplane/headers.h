/* SPDX-License-Identifier: Apache-2.0 */
// Small questions about packet headers, for the stages of the packet path. Headers are in network
// byte order and may be unaligned; the caller has checked that they are all there.
#pragma once

#include <netinet/in.h>
#include <string.h>

#include <rte_arp.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_udp.h>

// Does a VLAN tag follow (IEEE 802.1Q, 802.1ad)?
static inline bool ether_is_vlan(rte_be16_t type)
{
    return type == RTE_BE16(RTE_ETHER_TYPE_VLAN) || type == RTE_BE16(RTE_ETHER_TYPE_QINQ);
}

// Is it ARP for IPv4 on Ethernet (RFC 826), of which there are `avail` bytes?
static inline bool arp_is_sound(const struct rte_arp_hdr *arp, unsigned avail)
{
    return avail >= sizeof *arp && arp->arp_hardware == RTE_BE16(RTE_ARP_HRD_ETHER) &&
           arp->arp_protocol == RTE_BE16(RTE_ETHER_TYPE_IPV4) &&
           arp->arp_hlen == RTE_ETHER_ADDR_LEN && arp->arp_plen == sizeof(rte_be32_t);
}

static inline struct rte_ipv4_hdr *ip4(const struct rte_mbuf *m)
{
    return rte_pktmbuf_mtod_offset(m, struct rte_ipv4_hdr *, RTE_ETHER_HDR_LEN);
}

static inline struct rte_ipv6_hdr *ip6(const struct rte_mbuf *m)
{
    return rte_pktmbuf_mtod_offset(m, struct rte_ipv6_hdr *, RTE_ETHER_HDR_LEN);
}

// An IPv6 address out of a header, where it may be unaligned.
static inline struct in6_addr load_ip6(const void *at)
{
    struct in6_addr ip;

    memcpy(&ip, at, sizeof ip);
    return ip;
}

enum ipv4_class {
    IPV4_UNICAST,
    IPV4_MARTIAN,    // 0/8, 127/8, 240/4 (RFC 1812 section 5.3.7, RFC 6890)
    IPV4_MULTICAST,  // 224/4 and 255.255.255.255
    IPV4_LINK_LOCAL, // 169.254/16 (RFC 3927 section 7)
};

static inline enum ipv4_class ipv4_class(rte_be32_t address)
{
    uint32_t a = rte_be_to_cpu_32(address);
    uint32_t first = a >> 24;

    if (first - 1 < 126 && first != 127)
        return IPV4_UNICAST;
    if (first >= 128 && first < 224)
        return (a >> 16) == 0xa9fe ? IPV4_LINK_LOCAL : IPV4_UNICAST;
    if (first >= 224 && (first < 240 || a == 0xffffffff))
        return IPV4_MULTICAST;
    return IPV4_MARTIAN;
}

static inline bool ipv4_is_later_fragment(const struct rte_ipv4_hdr *ip)
{
    return ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_OFFSET_MASK);
}

static inline bool ipv4_is_fragment(const struct rte_ipv4_hdr *ip)
{
    return ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_OFFSET_MASK | RTE_IPV4_HDR_MF_FLAG);
}

static inline const void *ipv4_l4(const struct rte_ipv4_hdr *ip)
{
    return (const uint8_t *)ip + (ip->version_ihl & 15) * 4;
}

static inline bool ipv6_is_link_local(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_LINKLOCAL(ip);
}

// RFC 4291 sections 2.5.2, 2.5.3, 2.7, and IPv4-mapped ones, which are none on a wire (RFC 6890).
static inline bool ipv6_is_martian(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_UNSPECIFIED(ip) || IN6_IS_ADDR_LOOPBACK(ip) || IN6_IS_ADDR_V4MAPPED(ip);
}

static inline bool ipv6_may_be_source(const struct in6_addr *ip)
{
    return !IN6_IS_ADDR_MULTICAST(ip) && !ipv6_is_martian(ip);
}

// Neighbour discovery: ICMPv6 types 133 to 137 (RFC 4861 section 4). The caller has checked 4 bytes
// of payload.
static inline bool ip6_is_nd(const struct rte_ipv6_hdr *ip)
{
    return ip->proto == IPPROTO_ICMPV6 && (uint8_t)(*(const uint8_t *)(ip + 1) - 133) <= 4;
}

// BFD (RFC 5881 section 4, RFC 5883 section 5, RFC 7130 section 2.2) and what only DHCP servers
// send (RFC 2131 section 4.1, RFC 8415 section 7.2).
static inline bool udp_is_control(const struct rte_udp_hdr *udp, uint16_t dhcp_server)
{
    // Where BFD's ports have the same bits, as few others do.
    const rte_be16_t same = RTE_BE16((uint16_t) ~((3784 ^ 3785) | (3784 ^ 4784) | (3784 ^ 6784)));
    rte_be16_t dst = udp->dst_port;

    if (unlikely(udp->src_port == rte_cpu_to_be_16(dhcp_server)))
        return true;
    return unlikely(!((dst ^ RTE_BE16(3784)) & same)) &&
           (dst == RTE_BE16(3784) || dst == RTE_BE16(3785) || dst == RTE_BE16(4784) ||
            dst == RTE_BE16(6784));
}

static inline bool ipv4_is_control(const struct rte_ipv4_hdr *ip)
{
    return ip->next_proto_id == IPPROTO_UDP && !ipv4_is_later_fragment(ip) &&
           udp_is_control(ipv4_l4(ip), 67);
}

// Where there is no upper-layer header to be found.
#define IPV6_LATER_FRAGMENT (-1) // it was in the first
#define IPV6_CUT_SHORT      (-2) // the chain is, or it is longer than 8

// Finds the upper-layer header behind the extension headers (RFC 8200 section 4). Returns its
// offset from the IPv6 header and its protocol, or one of the above.
static inline int ipv6_upper(const struct rte_ipv6_hdr *ip, unsigned l3_len, uint8_t *proto)
{
    const uint8_t *base = (const uint8_t *)ip;
    unsigned at = sizeof *ip;

    *proto = ip->proto;
    for (unsigned i = 0; i < 8; i++) {
        switch (*proto) {
        case IPPROTO_HOPOPTS:
        case IPPROTO_ROUTING:
        case IPPROTO_DSTOPTS:
            if (at + 8 > l3_len)
                return IPV6_CUT_SHORT;
            *proto = base[at];
            at += 8 + base[at + 1] * 8u;
            break;
        case IPPROTO_FRAGMENT:
            if (at + 8 > l3_len)
                return IPV6_CUT_SHORT;
            if ((base[at + 2] << 8 | base[at + 3]) & 0xfff8)
                return IPV6_LATER_FRAGMENT;
            *proto = base[at];
            at += 8;
            break;
        default:
            return at <= l3_len ? (int)at : IPV6_CUT_SHORT;
        }
    }
    return IPV6_CUT_SHORT;
}

// A control protocol, or what may be one and cannot be told: all headers must be in the first
// fragment (RFC 7112 section 5).
static inline bool ipv6_is_control(const struct rte_ipv6_hdr *ip, unsigned l3_len)
{
    uint8_t proto;
    int at = ipv6_upper(ip, l3_len, &proto);

    if (at < 0)
        return at == IPV6_CUT_SHORT;
    if (proto == IPPROTO_UDP)
        return (unsigned)at + sizeof(struct rte_udp_hdr) > l3_len ||
               udp_is_control((const void *)((const uint8_t *)ip + at), 547);
    // A router advertisement or redirect, behind whatever extension headers.
    return proto == IPPROTO_ICMPV6 && ((unsigned)at == l3_len || ((const uint8_t *)ip)[at] == 134 ||
                                       ((const uint8_t *)ip)[at] == 137);
}
