/* SPDX-License-Identifier: Apache-2.0 */
// A rule -> one rte_flow transfer rule.
#include "offload/flow_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const struct in6_addr ipv4_mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

int flow_refuse(char **error, const char *sentence)
{
    *error = strdup(sentence);
    return *error ? -ENOTSUP : -ENOMEM;
}

// Spec and mask of a new item; both are zero.
unsigned flow_add_item(struct flow *flow, enum rte_flow_item_type type)
{
    unsigned i = flow->n_items++;

    flow->items[i] = (struct rte_flow_item){
        .type = type,
        .spec = &flow->spec[i],
        .mask = &flow->mask[i],
    };
    return i;
}

union flow_action_conf *flow_add_action(struct flow *flow, enum rte_flow_action_type type)
{
    unsigned i = flow->n_actions++;

    flow->actions[i] = (struct rte_flow_action){.type = type, .conf = &flow->conf[i]};
    return &flow->conf[i];
}

void flow_begin(struct flow *flow, uint32_t group, uint32_t priority)
{
    memset(flow, 0, sizeof(*flow));
    flow->attr = (struct rte_flow_attr){.group = group, .priority = priority, .transfer = 1};
    // First, as mlx5 wants it before what changes the packet.
    flow_add_action(flow, RTE_FLOW_ACTION_TYPE_COUNT);
}

// Drivers read neither spec nor conf of the ends.
void flow_end(struct flow *flow)
{
    flow->items[flow->n_items++] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_END};
    flow->actions[flow->n_actions++] = (struct rte_flow_action){.type = RTE_FLOW_ACTION_TYPE_END};
}

static bool is_zero(const void *data, size_t size)
{
    const uint8_t *byte = data;

    for (size_t i = 0; i < size; i++) {
        if (byte[i])
            return false;
    }
    return true;
}

// Is the address one of IPv4, of IPv6, or may it be either? Sets *family in the first two cases.
static void address_family(const struct in6_addr *spec, const struct in6_addr *mask,
                           enum flow_family *family)
{
    bool all = true;

    for (int i = 0; i < 12; i++) {
        if ((spec->s6_addr[i] ^ ipv4_mapped.s6_addr[i]) & mask->s6_addr[i]) {
            *family = FLOW_FAMILY_IPV6;
            return;
        }
        all = all && mask->s6_addr[i] == 0xff;
    }
    if (all)
        *family = FLOW_FAMILY_IPV4;
}

// Piecewise linear: where each piece begins, and how many priorities share a level in it.
unsigned flow_level(uint16_t priority)
{
    static const struct {
        uint32_t begin, step;
    } pieces[] = {{0, 1}, {4096, 64}, {30720, 1}, {34816, 64}, {64512, 1}, {65536, 1}};
    unsigned level = 0, i;

    for (i = 0; priority >= pieces[i + 1].begin; i++)
        level += (pieces[i + 1].begin - pieces[i].begin) / pieces[i].step;
    return level + (priority - pieces[i].begin) / pieces[i].step;
}

static int find_family(const struct match *match, enum flow_family *family, char **error)
{
    const struct match_fields *spec = &match->spec, *mask = &match->mask;
    bool any_ip = !is_zero(&mask->ip_src, sizeof(mask->ip_src)) ||
                  !is_zero(&mask->ip_dst, sizeof(mask->ip_dst)) || mask->ip_proto || mask->ip_tos ||
                  mask->l4_src || mask->l4_dst || mask->tcp_flags || mask->ip_frag;
    enum flow_family of_type = FLOW_FAMILY_NONE, of_src = FLOW_FAMILY_NONE,
                     of_dst = FLOW_FAMILY_NONE;

    if (mask->eth_type == RTE_BE16(0xffff) && spec->eth_type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
        of_type = FLOW_FAMILY_IPV4;
    else if (mask->eth_type == RTE_BE16(0xffff) && spec->eth_type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
        of_type = FLOW_FAMILY_IPV6;
    else if (mask->eth_type && any_ip)
        return flow_refuse(error, "it matches IP fields of an EtherType that is not IP");
    *family = of_type;
    if (!any_ip)
        return 0;

    address_family(&spec->ip_src, &mask->ip_src, &of_src);
    address_family(&spec->ip_dst, &mask->ip_dst, &of_dst);
    if (*family == FLOW_FAMILY_NONE)
        *family = of_src;
    if (*family == FLOW_FAMILY_NONE)
        *family = of_dst;
    if (*family == FLOW_FAMILY_NONE)
        return flow_refuse(error, "it matches IPv4 and IPv6 alike, which no single NIC rule does");
    if ((of_src != FLOW_FAMILY_NONE && of_src != *family) ||
        (of_dst != FLOW_FAMILY_NONE && of_dst != *family))
        return flow_refuse(error, "it matches IPv4 and IPv6 at once, which no packet is");
    return 0;
}

// What packets in a NIC's later groups never are or have.
static int check_fields(const struct match *match, char **error)
{
    const struct match_fields *spec = &match->spec, *mask = &match->mask;

    if (mask->metadata || !is_zero(mask->reg, sizeof(mask->reg)))
        return flow_refuse(error, "it matches metadata or registers, which NIC rules do not have");
    if (!rte_is_zero_ether_addr(&mask->arp_sha) || !rte_is_zero_ether_addr(&mask->arp_tha))
        return flow_refuse(error, "it matches ARP, which is software's");
    // Of fragments it can be said only that there are none.
    if (spec->ip_frag || mask->ip_frag == IP_FRAG_LATER)
        return flow_refuse(error, "it matches fragments, which are software's");
    return 0;
}

// Ethernet, and a VLAN tag if the rule asks for one. A rule that does not is for untagged frames:
// software takes no others where no VLAN is configured.
static int add_ethernet(const struct match *match, enum flow_family family, struct flow *flow,
                        char **error)
{
    const struct match_fields *spec = &match->spec, *mask = &match->mask;
    unsigned i = flow_add_item(flow, RTE_FLOW_ITEM_TYPE_ETH);
    struct rte_flow_item_eth *eth = &flow->spec[i].eth, *eth_mask = &flow->mask[i].eth;

    eth->hdr.dst_addr = spec->eth_dst;
    eth_mask->hdr.dst_addr = mask->eth_dst;
    eth->hdr.src_addr = spec->eth_src;
    eth_mask->hdr.src_addr = mask->eth_src;
    eth_mask->has_vlan = 1;
    if (!mask->vlan_tci) {
        // The item of IPv4 or IPv6 that follows implies the EtherType.
        if (family == FLOW_FAMILY_NONE) {
            eth->hdr.ether_type = spec->eth_type;
            eth_mask->hdr.ether_type = mask->eth_type;
        }
        return 0;
    }
    if (!spec->vlan_tci)
        return flow_refuse(error, "it matches untagged and VLAN 0 frames alike");
    eth->has_vlan = 1;
    i = flow_add_item(flow, RTE_FLOW_ITEM_TYPE_VLAN);
    flow->spec[i].vlan.hdr.vlan_tci = spec->vlan_tci;
    flow->mask[i].vlan.hdr.vlan_tci = mask->vlan_tci;
    if (family == FLOW_FAMILY_NONE) {
        flow->spec[i].vlan.hdr.eth_proto = spec->eth_type;
        flow->mask[i].vlan.hdr.eth_proto = mask->eth_type;
    }
    return 0;
}

static bool has_l4(const struct match *match)
{
    return match->mask.l4_src || match->mask.l4_dst || match->mask.tcp_flags;
}

// `l4`: an item of the next layer follows. `whole`: not for fragments.
static void add_ip(const struct match *match, enum flow_family family, bool l4, bool whole,
                   struct flow *flow)
{
    const struct match_fields *field[2] = {&match->spec, &match->mask};

    if (family == FLOW_FAMILY_IPV4) {
        unsigned i = flow_add_item(flow, RTE_FLOW_ITEM_TYPE_IPV4);
        struct rte_ipv4_hdr *header[2] = {&flow->spec[i].ipv4.hdr, &flow->mask[i].ipv4.hdr};

        for (int n = 0; n < 2; n++) {
            header[n]->src_addr = ip_v4(&field[n]->ip_src);
            header[n]->dst_addr = ip_v4(&field[n]->ip_dst);
            header[n]->type_of_service = field[n]->ip_tos;
            if (!l4)
                header[n]->next_proto_id = field[n]->ip_proto;
        }
        // Later fragments have no ports, nor the checksum that addresses are in; and NICs differ in
        // what they take for those of the first.
        if (whole || match->mask.ip_frag)
            header[1]->fragment_offset = RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK);
        flow->narrowed = whole && !match->mask.ip_frag;
    } else {
        unsigned i = flow_add_item(flow, RTE_FLOW_ITEM_TYPE_IPV6);
        struct rte_ipv6_hdr *header[2] = {&flow->spec[i].ipv6.hdr, &flow->mask[i].ipv6.hdr};

        for (int n = 0; n < 2; n++) {
            memcpy(&header[n]->src_addr, &field[n]->ip_src, 16);
            memcpy(&header[n]->dst_addr, &field[n]->ip_dst, 16);
            header[n]->vtc_flow =
                rte_cpu_to_be_32((uint32_t)field[n]->ip_tos << RTE_IPV6_HDR_TC_SHIFT);
            if (!l4)
                header[n]->proto = field[n]->ip_proto;
        }
        // Fragments, and what has other extension headers, the exceptions leave to software.
    }
}

static int add_l4(const struct match *match, enum flow_family family, struct flow *flow,
                  char **error)
{
    const struct match_fields *spec = &match->spec, *mask = &match->mask;
    enum rte_flow_item_type type = RTE_FLOW_ITEM_TYPE_VOID;
    unsigned i;

    if (mask->ip_proto == 0xff) {
        switch (spec->ip_proto) {
        case IPPROTO_TCP:
            type = RTE_FLOW_ITEM_TYPE_TCP;
            break;
        case IPPROTO_UDP:
            type = RTE_FLOW_ITEM_TYPE_UDP;
            break;
        case IPPROTO_SCTP:
            type = RTE_FLOW_ITEM_TYPE_SCTP;
            break;
        case IPPROTO_ICMP:
            if (family == FLOW_FAMILY_IPV4)
                type = RTE_FLOW_ITEM_TYPE_ICMP;
            break;
        case IPPROTO_ICMPV6:
            if (family == FLOW_FAMILY_IPV6)
                type = RTE_FLOW_ITEM_TYPE_ICMP6;
            break;
        }
    }
    if (type == RTE_FLOW_ITEM_TYPE_VOID)
        return flow_refuse(error,
                           "it matches ports of a protocol that is not TCP, UDP, SCTP or ICMP");

    i = flow_add_item(flow, type);
    if (type == RTE_FLOW_ITEM_TYPE_ICMP) {
        flow->spec[i].icmp.hdr.icmp_type = rte_be_to_cpu_16(spec->l4_src);
        flow->mask[i].icmp.hdr.icmp_type = rte_be_to_cpu_16(mask->l4_src);
        flow->spec[i].icmp.hdr.icmp_code = rte_be_to_cpu_16(spec->l4_dst);
        flow->mask[i].icmp.hdr.icmp_code = rte_be_to_cpu_16(mask->l4_dst);
    } else if (type == RTE_FLOW_ITEM_TYPE_ICMP6) {
        flow->spec[i].icmp6.type = rte_be_to_cpu_16(spec->l4_src);
        flow->mask[i].icmp6.type = rte_be_to_cpu_16(mask->l4_src);
        flow->spec[i].icmp6.code = rte_be_to_cpu_16(spec->l4_dst);
        flow->mask[i].icmp6.code = rte_be_to_cpu_16(mask->l4_dst);
    } else {
        // TCP (RFC 9293), UDP (RFC 768) and SCTP (RFC 9260) begin alike: source port, destination
        // port. So do their items.
        flow->spec[i].udp.hdr.src_port = spec->l4_src;
        flow->mask[i].udp.hdr.src_port = mask->l4_src;
        flow->spec[i].udp.hdr.dst_port = spec->l4_dst;
        flow->mask[i].udp.hdr.dst_port = mask->l4_dst;
    }
    if (mask->tcp_flags && (type != RTE_FLOW_ITEM_TYPE_TCP || mask->tcp_flags & RTE_BE16(0xff00)))
        return flow_refuse(error, "it matches TCP flags that are not CWR to FIN");
    if (mask->tcp_flags) {
        flow->spec[i].tcp.hdr.tcp_flags = (uint8_t)rte_be_to_cpu_16(spec->tcp_flags);
        flow->mask[i].tcp.hdr.tcp_flags = (uint8_t)rte_be_to_cpu_16(mask->tcp_flags);
    }
    return 0;
}

int flow_find_port(offload_port_fn *port_of, uint16_t no, struct offload_port *port, char **error)
{
    int r;

    *port = (struct offload_port){.why = "no such port"};
    r = port_of(no, port);
    if (r < 0 && asprintf(error, "port %u: %s", no, port->why) < 0) {
        *error = NULL;
        return -ENOMEM;
    }
    return r;
}

int flow_build(const struct rule *rule, offload_port_fn *port_of, const struct flow_way *way,
               struct flow *flow, char **error)
{
    const struct match *match = &rule->match;
    struct offload_port port;
    enum flow_family family = FLOW_FAMILY_NONE;
    // NICs know only of what a rule matches that it has the header that is to be changed.
    bool l4 = has_l4(match) || (!way->software && flow_sets_port(rule));
    bool whole = l4 || (!way->software && flow_sets_address(rule));
    int r;

    *error = NULL;
    if (rule->n_actions > RULE_ACTIONS_MAX)
        return -EINVAL;
    // What is left to software comes before what it stands for, so that one can take the other's
    // place without a gap.
    flow_begin(flow, rule->table,
               way->last ? FLOW_PRIORITY_LAST
                         : FLOW_PRIORITY_LAST - 1 - 2 * flow_level(rule->priority) - way->software);
    if (match->in_port != PORT_NONE) {
        unsigned i = flow_add_item(flow, RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT);

        r = flow_find_port(port_of, match->in_port, &port, error);
        if (r < 0)
            return r;
        flow->ethdev = port.ethdev;
        flow->spec[i].ethdev.port_id = flow->ethdev;
        flow->mask[i].ethdev.port_id = UINT16_MAX;
    }
    r = check_fields(match, error);
    if (r == 0)
        r = find_family(match, &family, error);
    if (r == 0)
        r = add_ethernet(match, family, flow, error);
    if (r == 0 && family != FLOW_FAMILY_NONE)
        add_ip(match, family, l4, whole, flow);
    if (r == 0 && l4)
        r = add_l4(match, family, flow, error);
    if (r == 0 && way->software)
        flow_add_action(flow, RTE_FLOW_ACTION_TYPE_JUMP)->jump.group = FLOW_GROUP_SOFTWARE;
    else if (r == 0)
        r = flow_add_actions(rule, port_of, family, way, flow, error);
    if (r < 0)
        return r;
    // Without a port of its own it is for all ports of the e-switch that it sends to.
    if (match->in_port == PORT_NONE)
        flow->ethdev = flow->out_ethdev;
    flow_end(flow);
    return 0;
}
