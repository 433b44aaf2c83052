/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/policy_key_reference.h"

// Both have a struct match.
#define match ovs_match
#include <config.h>

#include <dp-packet.h>
#include <flow.h>
#include <packets.h>

static struct in6_addr mapped(ovs_be32 address)
{
    struct in6_addr ip = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    ip.s6_addr32[3] = address;
    return ip;
}

static void l3_fields(const struct flow *flow, struct match_fields *fields,
                      struct match_fields *known)
{
    fields->ip_proto = flow->nw_proto;
    fields->ip_tos = flow->nw_tos;
    fields->ip_frag = flow->nw_frag;
    fields->l4_src = flow->tp_src;
    fields->l4_dst = flow->tp_dst;
    fields->tcp_flags = flow->tcp_flags;
    // The other family's ICMP, and IGMP's type and code: no rule can ask for them.
    if (flow->nw_proto == IPPROTO_IGMP ||
        flow->nw_proto == (flow->dl_type == htons(ETH_TYPE_IP) ? IPPROTO_ICMPV6 : IPPROTO_ICMP))
        known->l4_src = known->l4_dst = 0;
}

void reference_extract(const void *frame, size_t len, struct match_fields *fields,
                       struct match_fields *known)
{
    struct dp_packet packet;
    struct flow flow;

    flow_limit_vlans(1);
    dp_packet_use_const(&packet, frame, len);
    flow_extract(&packet, &flow);
    memset(fields, 0, sizeof *fields);
    memset(known, 0xff, sizeof *known);
    memcpy(&fields->eth_dst, &flow.dl_dst, sizeof fields->eth_dst);
    memcpy(&fields->eth_src, &flow.dl_src, sizeof fields->eth_src);
    fields->eth_type = flow.dl_type;
    fields->vlan_tci = flow.vlans[0].tci;
    switch (ntohs(flow.dl_type)) {
    case ETH_TYPE_IP:
        fields->ip_src = mapped(flow.nw_src);
        fields->ip_dst = mapped(flow.nw_dst);
        l3_fields(&flow, fields, known);
        break;
    case ETH_TYPE_IPV6:
        fields->ip_src = flow.ipv6_src;
        fields->ip_dst = flow.ipv6_dst;
        l3_fields(&flow, fields, known);
        break;
    case ETH_TYPE_ARP:
        fields->ip_src = mapped(flow.nw_src);
        fields->ip_dst = mapped(flow.nw_dst);
        fields->ip_proto = flow.nw_proto;
        memcpy(&fields->arp_sha, &flow.arp_sha, sizeof fields->arp_sha);
        memcpy(&fields->arp_tha, &flow.arp_tha, sizeof fields->arp_tha);
        break;
    }
}
