/* SPDX-License-Identifier: Apache-2.0 */
// A frame -> its key.
#include "offload/esw/packet.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_sctp.h>
#include <rte_tcp.h>
#include <rte_udp.h>

// false: the header is cut short.
static bool parse_l4(const uint8_t *data, uint32_t length, uint8_t proto, struct esw_key *key)
{
    switch (proto) {
    case IPPROTO_TCP: {
        const struct rte_tcp_hdr *tcp = (const void *)data;

        if (length < sizeof(*tcp))
            return false;
        key->l4_src = tcp->src_port;
        key->l4_dst = tcp->dst_port;
        key->tcp_flags = tcp->tcp_flags;
        break;
    }
    case IPPROTO_UDP:
    case IPPROTO_SCTP: {
        const struct rte_udp_hdr *udp = (const void *)data; // SCTP's begins alike (RFC 9260)

        if (length < (proto == IPPROTO_UDP ? sizeof(*udp) : sizeof(struct rte_sctp_hdr)))
            return false;
        key->l4_src = udp->src_port;
        key->l4_dst = udp->dst_port;
        break;
    }
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6: {
        const struct rte_icmp_hdr *icmp = (const void *)data; // ICMPv6's begins alike (RFC 4443)

        if (length < (proto == IPPROTO_ICMP ? sizeof(*icmp) : 4))
            return false;
        key->icmp_type = icmp->icmp_type;
        key->icmp_code = icmp->icmp_code;
        break;
    }
    default:
        return true;
    }
    key->l4 = proto;
    return true;
}

// A header that RFC 1812 section 5.2.2 does not let pass, its checksum included, is none, nor is
// one before a header of the next layer that is cut short: no rule for IPv4 hits such a packet, and
// software says what is wrong with it.
static bool parse_ipv4(const uint8_t *data, uint32_t length, struct esw_key *key, uint32_t *l4)
{
    const struct rte_ipv4_hdr *ip = (const void *)data;
    uint32_t header, total;

    if (length < sizeof(*ip) || ip->version_ihl >> 4 != 4)
        return false;
    header = (ip->version_ihl & 0xf) * 4u;
    total = rte_be_to_cpu_16(ip->total_length);
    if (header < sizeof(*ip) || total < header || total > length)
        return false;
    if (rte_raw_cksum(ip, header) != 0xffff)
        return false;
    memcpy(key->ip_src, &ip->src_addr, 4);
    memcpy(key->ip_dst, &ip->dst_addr, 4);
    key->ip_proto = ip->next_proto_id;
    key->ip_tos = ip->type_of_service;
    key->ip_ttl = ip->time_to_live;
    key->fragment_offset = ip->fragment_offset;
    if (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_OFFSET_MASK))
        return true;
    *l4 = header;
    return parse_l4(data + header, total - header, ip->next_proto_id, key);
}

static bool parse_ipv6(const uint8_t *data, uint32_t length, struct esw_key *key, uint32_t *l4)
{
    const struct rte_ipv6_hdr *ip = (const void *)data;
    uint32_t at = sizeof(*ip), end;
    uint8_t next;

    if (length < sizeof(*ip) || data[0] >> 4 != 6)
        return false;
    end = at + rte_be_to_cpu_16(ip->payload_len);
    if (end > length)
        return false;
    memcpy(key->ip_src, &ip->src_addr, 16);
    memcpy(key->ip_dst, &ip->dst_addr, 16);
    key->ip_proto = next = ip->proto;
    key->ip_tos = (rte_be_to_cpu_32(ip->vtc_flow) & RTE_IPV6_HDR_TC_MASK) >> RTE_IPV6_HDR_TC_SHIFT;
    key->ip_ttl = ip->hop_limits;
    // Extension headers (RFC 8200 section 4), as many as a NIC's parser would follow.
    for (int i = 0; i < 4; i++) {
        switch (next) {
        case IPPROTO_HOPOPTS:
        case IPPROTO_ROUTING:
        case IPPROTO_DSTOPTS:
            if (at + 8 > end)
                return false;
            next = data[at];
            at += (data[at + 1] + 1u) * 8;
            break;
        case IPPROTO_FRAGMENT:
            key->has_frag_ext = 1;
            if (at + 8 > end || ((data[at + 2] << 8 | data[at + 3]) & 0xfff8))
                return true; // cut short, or not the first fragment
            next = data[at];
            at += 8;
            break;
        default:
            *l4 = at;
            return parse_l4(data + at, end - at, next, key);
        }
        if (at > end)
            return false;
    }
    return true;
}

void esw_packet_parse(const uint8_t *frame, uint32_t length, struct esw_key *key,
                      struct esw_headers *headers)
{
    const struct rte_ether_hdr *eth = (const void *)frame;
    uint32_t at = sizeof(*eth), l4 = 0;
    rte_be16_t type;

    memset(key, 0, sizeof(*key));
    memset(headers, 0, sizeof(*headers));
    if (length < sizeof(*eth))
        return;
    key->eth_dst = eth->dst_addr;
    key->eth_src = eth->src_addr;
    key->eth_type = type = eth->ether_type;
    for (int tags = 0; tags < 2; tags++) {
        const struct rte_vlan_hdr *vlan = (const void *)(frame + at);

        if (type != RTE_BE16(RTE_ETHER_TYPE_VLAN) && type != RTE_BE16(RTE_ETHER_TYPE_QINQ))
            break;
        if (length < at + sizeof(*vlan))
            return;
        if (!key->has_vlan) {
            key->has_vlan = 1;
            key->vlan_tci = vlan->vlan_tci;
            key->inner_type = vlan->eth_proto;
        }
        type = vlan->eth_proto;
        at += sizeof(*vlan);
    }
    if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4) && parse_ipv4(frame + at, length - at, key, &l4))
        key->l3 = 4;
    else if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6) && parse_ipv6(frame + at, length - at, key, &l4))
        key->l3 = 6;
    if (key->l3) {
        headers->l3 = (uint16_t)at;
        headers->l4 = l4 ? (uint16_t)(at + l4) : 0;
    }
}
