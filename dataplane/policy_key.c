/* SPDX-License-Identifier: Apache-2.0 */
// What the operator's rules can match of a packet: its key. Fields that it does not have are 0.
#include <string.h>

#include <rte_arp.h>

#include "dataplane/headers.h"
#include "dataplane/policy.h"

static inline void fill_ethernet(struct policy_packet *pp, const uint8_t *frame, uint16_t in_port)
{
    struct match_fields *f = &pp->key.fields;

    // Destination and source, one behind the other as in the frame.
    memcpy(&f->eth_dst, frame, 2 * RTE_ETHER_ADDR_LEN);
    pp->key.in_port = rte_cpu_to_be_16(in_port);
    pp->l4 = 0;
    pp->table = 0;
}

// The transport header, which is there whole.
static inline void fill_l4(struct policy_packet *pp, const uint8_t *l4, uint8_t proto, uint8_t icmp)
{
    struct match_fields *f = &pp->key.fields;

    if (likely(proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP)) {
        memcpy(&f->l4_src, l4, 2 * sizeof f->l4_src);
        if (proto == IPPROTO_TCP) {
            memcpy(&f->tcp_flags, l4 + 12, sizeof f->tcp_flags);
            f->tcp_flags &= RTE_BE16(0x0fff);
        }
    } else if (proto == icmp) {
        f->l4_src = rte_cpu_to_be_16(l4[0]);
        f->l4_dst = rte_cpu_to_be_16(l4[1]);
    } else {
        return;
    }
    pp->l4 = (uint16_t)(l4 - rte_pktmbuf_mtod(pp->packet->mbuf, const uint8_t *));
}

static inline void fill4(struct policy_packet *pp, const struct rte_ipv4_hdr *ip)
{
    struct match_fields *f = &pp->key.fields;

    pp->ip = true;
    f->ip_src.s6_addr32[2] = f->ip_dst.s6_addr32[2] = RTE_BE32(0xffff);
    f->ip_src.s6_addr32[3] = ip->src_addr;
    f->ip_dst.s6_addr32[3] = ip->dst_addr;
    f->ip_proto = ip->next_proto_id;
    f->ip_tos = ip->type_of_service;
    if (unlikely(ipv4_is_fragment(ip)))
        f->ip_frag = ipv4_is_later_fragment(ip) ? IP_FRAG_ANY | IP_FRAG_LATER : IP_FRAG_ANY;
    if (likely(!(f->ip_frag & IP_FRAG_LATER)))
        fill_l4(pp, ipv4_l4(ip), ip->next_proto_id, IPPROTO_ICMP);
}

void policy_key4(struct policy_packet *pp, uint16_t in_port)
{
    const struct rte_ipv4_hdr *ip = ip4(pp->packet->mbuf);

    memset(&pp->key, 0, sizeof pp->key);
    fill_ethernet(pp, (const uint8_t *)ip - RTE_ETHER_HDR_LEN, in_port);
    pp->key.fields.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    pp->eth_set = false;
    pp->vlans = 0;
    pp->l3 = RTE_ETHER_HDR_LEN;
    fill4(pp, ip);
}

// Behind the extension headers (RFC 8200 section 4).
static enum drop_reason fill6_chain(struct policy_packet *pp, const uint8_t *base, uint8_t proto)
{
    struct match_fields *f = &pp->key.fields;
    unsigned at = sizeof(struct rte_ipv6_hdr), l3_len = pp->packet->l3_len;

    for (unsigned i = 0; i < 8; i++) {
        switch (proto) {
        case IPPROTO_HOPOPTS:
        case IPPROTO_ROUTING:
        case IPPROTO_DSTOPTS:
            if (at + 8 > l3_len)
                return DROP_ipv6_header;
            proto = base[at];
            at += 8 + base[at + 1] * 8u;
            break;
        case IPPROTO_AH: // RFC 4302 section 2.2: its length is in units of 4 bytes
            if (at + 8 > l3_len)
                return DROP_ipv6_header;
            proto = base[at];
            at += 8 + base[at + 1] * 4u;
            break;
        case IPPROTO_FRAGMENT:
            if (at + 8 > l3_len)
                return DROP_ipv6_header;
            // An atomic fragment (RFC 6946) is none: offset, reserved bits, "more" are 0.
            if (base[at + 2] | base[at + 3])
                f->ip_frag |= IP_FRAG_ANY;
            if ((base[at + 2] << 8 | base[at + 3]) & 0xfff8) {
                f->ip_frag |= IP_FRAG_LATER;
                f->ip_proto = IPPROTO_FRAGMENT; // what follows is in the first one
                return DROP_N;
            }
            proto = base[at];
            at += 8;
            break;
        default:
            f->ip_proto = proto;
            if (at > l3_len)
                return DROP_ipv6_header;
            if (l3_len - at < l4_min[proto])
                return DROP_l4_header;
            fill_l4(pp, base + at, proto, IPPROTO_ICMPV6);
            return DROP_N;
        }
    }
    return DROP_ipv6_header;
}

static inline enum drop_reason fill6(struct policy_packet *pp, const struct rte_ipv6_hdr *ip)
{
    struct match_fields *f = &pp->key.fields;
    uint8_t proto = ip->proto;

    pp->ip = true;
    memcpy(&f->ip_src, &ip->src_addr, sizeof f->ip_src);
    memcpy(&f->ip_dst, &ip->dst_addr, sizeof f->ip_dst);
    f->ip_tos = (uint8_t)(rte_be_to_cpu_32(ip->vtc_flow) >> 20);
    // Most have no extension headers; parse has seen these headers whole.
    if (likely(proto == IPPROTO_TCP || proto == IPPROTO_UDP)) {
        f->ip_proto = proto;
        fill_l4(pp, (const uint8_t *)(ip + 1), proto, IPPROTO_ICMPV6);
        return DROP_N;
    }
    return fill6_chain(pp, (const uint8_t *)ip, proto);
}

enum drop_reason policy_key6(struct policy_packet *pp, uint16_t in_port)
{
    const struct rte_ipv6_hdr *ip = ip6(pp->packet->mbuf);

    memset(&pp->key, 0, sizeof pp->key);
    fill_ethernet(pp, (const uint8_t *)ip - RTE_ETHER_HDR_LEN, in_port);
    pp->key.fields.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
    pp->eth_set = false;
    pp->vlans = 0;
    pp->l3 = RTE_ETHER_HDR_LEN;
    return fill6(pp, ip);
}

static enum drop_reason fill_arp(struct policy_packet *pp, const struct rte_arp_hdr *arp,
                                 unsigned avail)
{
    struct match_fields *f = &pp->key.fields;

    if (!arp_is_sound(arp, avail))
        return DROP_arp_malformed;
    f->ip_src.s6_addr32[2] = f->ip_dst.s6_addr32[2] = RTE_BE32(0xffff);
    f->ip_src.s6_addr32[3] = arp->arp_data.arp_sip;
    f->ip_dst.s6_addr32[3] = arp->arp_data.arp_tip;
    if (rte_be_to_cpu_16(arp->arp_opcode) <= 0xff) // a rule cannot say more
        f->ip_proto = (uint8_t)rte_be_to_cpu_16(arp->arp_opcode);
    f->arp_sha = arp->arp_data.arp_sha;
    f->arp_tha = arp->arp_data.arp_tha;
    return DROP_N;
}

enum drop_reason policy_key_init(struct policy_packet *pp, uint16_t in_port)
{
    const struct rte_mbuf *m = pp->packet->mbuf;
    const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
    struct match_fields *f = &pp->key.fields, notes = *f;
    const struct rte_vlan_hdr *vlan;
    enum drop_reason reason;
    rte_be16_t type;

    memset(&pp->key, 0, sizeof pp->key);
    f->metadata = notes.metadata;
    memcpy(f->reg, notes.reg, sizeof f->reg);
    pp->ip = false;
    pp->vlans = 0;
    pp->l3 = RTE_ETHER_HDR_LEN;
    if (m->data_len < pp->l3)
        return DROP_runt;
    fill_ethernet(pp, frame, in_port);
    type = f->eth_type = ((const struct rte_ether_hdr *)frame)->ether_type;
    while (ether_is_vlan(type) && pp->vlans < 2) {
        vlan = (const struct rte_vlan_hdr *)(frame + pp->l3);
        pp->l3 += sizeof *vlan;
        if (m->data_len < pp->l3)
            return DROP_runt;
        type = vlan->eth_proto;
        if (!pp->vlans++) {
            f->vlan_tci = vlan->vlan_tci | RTE_BE16(VLAN_PRESENT);
            f->eth_type = type;
        }
    }
    if (pp->vlans > 1) // a rule can say nothing of what is behind the second tag
        return DROP_N;
    if (type == RTE_BE16(RTE_ETHER_TYPE_ARP))
        return fill_arp(pp, (const struct rte_arp_hdr *)(frame + pp->l3),
                        (unsigned)m->data_len - pp->l3);
    if (type != RTE_BE16(RTE_ETHER_TYPE_IPV4) && type != RTE_BE16(RTE_ETHER_TYPE_IPV6))
        return DROP_N;
    reason = parse_ip(m, pp->l3, type, pp->packet);
    if (reason != DROP_N)
        return reason;
    if (type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
        return fill6(pp, (const struct rte_ipv6_hdr *)(frame + pp->l3));
    fill4(pp, (const struct rte_ipv4_hdr *)(frame + pp->l3));
    return DROP_N;
}
