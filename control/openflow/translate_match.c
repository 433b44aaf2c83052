/* SPDX-License-Identifier: Apache-2.0 */
// OpenFlow's match as the rule model's. What the model does not have is refused.
#include "control/openflow/internal.h"

#include <netinet/icmp6.h>

#include "flow.h"
#include "packets.h"
#include "util.h"

// Copies the bits of a field that the match cares for, and clears them in `left`, where what nobody
// took remains.
#define TAKE(flow_field, out_field)                                                                \
    do {                                                                                           \
        BUILD_ASSERT(sizeof(left.flow_field) == sizeof(out->mask.out_field));                      \
        memcpy(&out->spec.out_field, &flow->flow_field, sizeof(out->spec.out_field));              \
        memcpy(&out->mask.out_field, &left.flow_field, sizeof(out->mask.out_field));               \
        memset(&left.flow_field, 0, sizeof(left.flow_field));                                      \
    } while (0)

static enum ofperr take_in_port(const struct match *match, uint16_t *in_port)
{
    ofp_port_t mask = match->wc.masks.in_port.ofp_port;

    *in_port = PORT_NONE;
    if (mask == 0)
        return 0;
    if (mask != u16_to_ofp(UINT16_MAX))
        return OFPERR_OFPBMC_BAD_MASK;
    *in_port = port_from_ofp(match->flow.in_port.ofp_port);
    return *in_port == PORT_NONE ? OFPERR_OFPBMC_BAD_VALUE : 0;
}

// An IPv4 address is matched as an IPv4-mapped one.
static void take_ipv4(ovs_be32 value, ovs_be32 *mask, struct in6_addr *spec_out,
                      struct in6_addr *mask_out)
{
    if (*mask == 0)
        return;
    memset(mask_out, 0xff, sizeof(*mask_out));
    mask_out->s6_addr32[3] = *mask;
    spec_out->s6_addr32[2] = htonl(0xffff);
    spec_out->s6_addr32[3] = value & *mask;
    *mask = 0;
}

static bool has_ports(uint8_t ip_proto)
{
    return ip_proto == IPPROTO_TCP || ip_proto == IPPROTO_UDP || ip_proto == IPPROTO_SCTP ||
           ip_proto == IPPROTO_ICMP || ip_proto == IPPROTO_ICMPV6;
}

// Fields of OVS's that mean other things with other protocols.
static bool means_something_else(const struct flow *flow, const struct flow *masks)
{
    bool arp = flow->dl_type == htons(ETH_TYPE_ARP);

    return (!arp && (!eth_addr_is_zero(masks->arp_sha) || !eth_addr_is_zero(masks->arp_tha))) ||
           (masks->tcp_flags && flow->nw_proto != IPPROTO_TCP) ||
           ((masks->tp_src || masks->tp_dst) && !has_ports(flow->nw_proto));
}

enum ofperr translate_match(const struct match *match, struct sluice_match *out)
{
    const struct flow *flow = &match->flow;
    struct flow left = match->wc.masks;
    enum ofperr error;

    memset(out, 0, sizeof(*out));
    error = take_in_port(match, &out->in_port);
    if (error)
        return error;
    left.in_port.ofp_port = 0;
    if (left.packet_type && flow->packet_type != htonl(PT_ETH))
        return OFPERR_OFPBMC_BAD_VALUE;
    left.packet_type = 0;
    if (left.dl_type && (left.dl_type != OVS_BE16_MAX || flow->dl_type == htons(FLOW_DL_TYPE_NONE)))
        return OFPERR_OFPBMC_BAD_VALUE;
    // Of the tag's fields, only whole priorities can be said in every OpenFlow version.
    if (left.vlans[0].tci & htons(VLAN_PCP_MASK) &&
        (left.vlans[0].tci & htons(VLAN_PCP_MASK)) != htons(VLAN_PCP_MASK))
        return OFPERR_OFPBMC_BAD_MASK;
    if (means_something_else(flow, &left))
        return OFPERR_OFPBMC_BAD_FIELD;

    TAKE(metadata, metadata);
    for (unsigned i = 0; i < RULE_REGS; i++) {
        out->spec.reg[i] = htonl(flow->regs[i]);
        out->mask.reg[i] = htonl(left.regs[i]);
        left.regs[i] = 0;
    }
    TAKE(dl_dst, eth_dst);
    TAKE(dl_src, eth_src);
    TAKE(dl_type, eth_type);
    TAKE(vlans[0].tci, vlan_tci);
    TAKE(ipv6_src, ip_src);
    TAKE(ipv6_dst, ip_dst);
    take_ipv4(flow->nw_src, &left.nw_src, &out->spec.ip_src, &out->mask.ip_src);
    take_ipv4(flow->nw_dst, &left.nw_dst, &out->spec.ip_dst, &out->mask.ip_dst);
    TAKE(nw_proto, ip_proto);
    TAKE(nw_tos, ip_tos);
    TAKE(nw_frag, ip_frag);
    TAKE(tp_src, l4_src);
    TAKE(tp_dst, l4_dst);
    TAKE(tcp_flags, tcp_flags);
    TAKE(arp_sha, arp_sha);
    TAKE(arp_tha, arp_tha);

    const uint8_t *mask = (const uint8_t *)&out->mask;
    uint8_t *spec = (uint8_t *)&out->spec;
    for (size_t i = 0; i < sizeof(out->spec); i++)
        spec[i] &= mask[i];
    return is_all_zeros(&left, sizeof(left)) ? 0 : OFPERR_OFPBMC_BAD_FIELD;
}
