/* SPDX-License-Identifier: Apache-2.0 */
// An rte_flow rule as the line that makes testpmd create it (testpmd user guide, "Flow rules
// management").
#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "offload/flow.h"

struct text {
    char *buf;
    size_t size;
    int len;     // may be more than size: what it would take
    bool effect; // rewriting by what it does, not by how it is said
};

__attribute__((format(printf, 2, 3))) static void say(struct text *text, const char *format, ...)
{
    size_t used = (size_t)text->len < text->size ? (size_t)text->len : text->size;
    va_list args;

    va_start(args, format);
    text->len += vsnprintf(text->size ? text->buf + used : NULL, text->size - used, format, args);
    va_end(args);
}

static void say_number(struct text *text, const char *name, uint32_t spec, uint32_t mask,
                       uint32_t full)
{
    if (mask == full)
        say(text, " %s is %u", name, spec & mask);
    else if (mask)
        say(text, " %s spec %u %s mask %u", name, spec & mask, name, mask);
}

static void say_be16(struct text *text, const char *name, rte_be16_t spec, rte_be16_t mask)
{
    say_number(text, name, rte_be_to_cpu_16(spec), rte_be_to_cpu_16(mask), UINT16_MAX);
}

static void say_mac(struct text *text, const char *name, const struct rte_ether_addr *spec,
                    const struct rte_ether_addr *mask)
{
    char of_spec[RTE_ETHER_ADDR_FMT_SIZE], of_mask[RTE_ETHER_ADDR_FMT_SIZE];

    rte_ether_format_addr(of_spec, sizeof(of_spec), spec);
    rte_ether_format_addr(of_mask, sizeof(of_mask), mask);
    if (rte_is_broadcast_ether_addr(mask))
        say(text, " %s is %s", name, of_spec);
    else if (!rte_is_zero_ether_addr(mask))
        say(text, " %s spec %s %s mask %s", name, of_spec, name, of_mask);
}

static void say_ip(struct text *text, int family, const char *name, const void *spec,
                   const void *mask)
{
    static const uint8_t ones[16] = {255, 255, 255, 255, 255, 255, 255, 255,
                                     255, 255, 255, 255, 255, 255, 255, 255};
    static const uint8_t zeros[16];
    size_t size = family == AF_INET ? 4 : 16;
    char of_spec[INET6_ADDRSTRLEN], of_mask[INET6_ADDRSTRLEN];

    inet_ntop(family, spec, of_spec, sizeof(of_spec));
    inet_ntop(family, mask, of_mask, sizeof(of_mask));
    if (!memcmp(mask, ones, size))
        say(text, " %s is %s", name, of_spec);
    else if (memcmp(mask, zeros, size))
        say(text, " %s spec %s %s mask %s", name, of_spec, name, of_mask);
}

// `last`: of the item, NULL if that is no range.
static void say_fragments(struct text *text, const struct rte_flow_item_ipv4 *spec,
                          const struct rte_flow_item_ipv4 *last,
                          const struct rte_flow_item_ipv4 *mask)
{
    rte_be16_t bits = mask->hdr.fragment_offset;

    if (last)
        say(text, " fragment_offset spec %u fragment_offset last %u fragment_offset mask %u",
            rte_be_to_cpu_16(spec->hdr.fragment_offset),
            rte_be_to_cpu_16(last->hdr.fragment_offset), rte_be_to_cpu_16(bits));
    else
        say_be16(text, "fragment_offset", spec->hdr.fragment_offset, bits);
}

static void say_ipv6(struct text *text, const struct rte_flow_item_ipv6 *spec,
                     const struct rte_flow_item_ipv6 *mask)
{
    uint32_t tc = rte_be_to_cpu_32(spec->hdr.vtc_flow),
             tc_mask = rte_be_to_cpu_32(mask->hdr.vtc_flow);

    say_ip(text, AF_INET6, "src", &spec->hdr.src_addr, &mask->hdr.src_addr);
    say_ip(text, AF_INET6, "dst", &spec->hdr.dst_addr, &mask->hdr.dst_addr);
    say_number(text, "tc", (tc & RTE_IPV6_HDR_TC_MASK) >> RTE_IPV6_HDR_TC_SHIFT,
               (tc_mask & RTE_IPV6_HDR_TC_MASK) >> RTE_IPV6_HDR_TC_SHIFT, UINT8_MAX);
    say_number(text, "proto", spec->hdr.proto, mask->hdr.proto, UINT8_MAX);
    say_number(text, "hop", spec->hdr.hop_limits, mask->hdr.hop_limits, UINT8_MAX);
    say_number(text, "has_frag_ext", spec->has_frag_ext, mask->has_frag_ext, 1);
}

static void say_item(struct text *text, const struct rte_flow_item *item,
                     const union flow_item *spec, const union flow_item *mask)
{
    enum rte_flow_item_type type = item->type;

    switch ((int)type) {
    case RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT:
        say(text, "represented_port");
        say_number(text, "ethdev_port_id", spec->ethdev.port_id, mask->ethdev.port_id, UINT16_MAX);
        break;
    case RTE_FLOW_ITEM_TYPE_ETH:
        say(text, "eth");
        say_mac(text, "dst", &spec->eth.hdr.dst_addr, &mask->eth.hdr.dst_addr);
        say_mac(text, "src", &spec->eth.hdr.src_addr, &mask->eth.hdr.src_addr);
        say_be16(text, "type", spec->eth.hdr.ether_type, mask->eth.hdr.ether_type);
        say_number(text, "has_vlan", spec->eth.has_vlan, mask->eth.has_vlan, 1);
        break;
    case RTE_FLOW_ITEM_TYPE_VLAN:
        say(text, "vlan");
        say_be16(text, "tci", spec->vlan.hdr.vlan_tci, mask->vlan.hdr.vlan_tci);
        say_be16(text, "inner_type", spec->vlan.hdr.eth_proto, mask->vlan.hdr.eth_proto);
        break;
    case RTE_FLOW_ITEM_TYPE_IPV4:
        say(text, "ipv4");
        say_ip(text, AF_INET, "src", &spec->ipv4.hdr.src_addr, &mask->ipv4.hdr.src_addr);
        say_ip(text, AF_INET, "dst", &spec->ipv4.hdr.dst_addr, &mask->ipv4.hdr.dst_addr);
        say_number(text, "tos", spec->ipv4.hdr.type_of_service, mask->ipv4.hdr.type_of_service,
                   UINT8_MAX);
        say_number(text, "proto", spec->ipv4.hdr.next_proto_id, mask->ipv4.hdr.next_proto_id,
                   UINT8_MAX);
        say_number(text, "ttl", spec->ipv4.hdr.time_to_live, mask->ipv4.hdr.time_to_live,
                   UINT8_MAX);
        say_fragments(text, &spec->ipv4, item->last, &mask->ipv4);
        break;
    case RTE_FLOW_ITEM_TYPE_IPV6:
        say(text, "ipv6");
        say_ipv6(text, &spec->ipv6, &mask->ipv6);
        break;
    case RTE_FLOW_ITEM_TYPE_TCP:
    case RTE_FLOW_ITEM_TYPE_UDP:
    case RTE_FLOW_ITEM_TYPE_SCTP:
        say(text, "%s",
            type == RTE_FLOW_ITEM_TYPE_TCP   ? "tcp"
            : type == RTE_FLOW_ITEM_TYPE_UDP ? "udp"
                                             : "sctp");
        say_be16(text, "src", spec->udp.hdr.src_port, mask->udp.hdr.src_port);
        say_be16(text, "dst", spec->udp.hdr.dst_port, mask->udp.hdr.dst_port);
        if (type == RTE_FLOW_ITEM_TYPE_TCP)
            say_number(text, "flags", spec->tcp.hdr.tcp_flags, mask->tcp.hdr.tcp_flags, UINT8_MAX);
        break;
    case RTE_FLOW_ITEM_TYPE_ICMP:
        say(text, "icmp");
        say_number(text, "type", spec->icmp.hdr.icmp_type, mask->icmp.hdr.icmp_type, UINT8_MAX);
        say_number(text, "code", spec->icmp.hdr.icmp_code, mask->icmp.hdr.icmp_code, UINT8_MAX);
        break;
    case RTE_FLOW_ITEM_TYPE_ICMP6:
        say(text, "icmp6");
        say_number(text, "type", spec->icmp6.type, mask->icmp6.type, UINT8_MAX);
        say_number(text, "code", spec->icmp6.code, mask->icmp6.code, UINT8_MAX);
        break;
    case RTE_FLOW_ITEM_TYPE_END:
        say(text, "end");
        break;
    }
}

// Fields that are rewritten, in both ways. What sets them begins with the value.
static const struct rewrite {
    enum rte_flow_action_type set;
    enum rte_flow_field_id modify;
    const char *set_name, *modify_name;
    enum { MAC, IPV4, IPV6, BYTE, BE16, NOTHING } value;
} rewrites[] = {
#define REWRITE(set, modify, set_name, modify_name, value)                                         \
    {                                                                                              \
        RTE_FLOW_ACTION_TYPE_##set, RTE_FLOW_FIELD_##modify, set_name, modify_name, value          \
    }
    REWRITE(SET_MAC_SRC, MAC_SRC, "set_mac_src mac_addr", "mac_src", MAC),
    REWRITE(SET_MAC_DST, MAC_DST, "set_mac_dst mac_addr", "mac_dst", MAC),
    REWRITE(SET_IPV4_SRC, IPV4_SRC, "set_ipv4_src ipv4_addr", "ipv4_src", IPV4),
    REWRITE(SET_IPV4_DST, IPV4_DST, "set_ipv4_dst ipv4_addr", "ipv4_dst", IPV4),
    REWRITE(SET_IPV6_SRC, IPV6_SRC, "set_ipv6_src ipv6_addr", "ipv6_src", IPV6),
    REWRITE(SET_IPV6_DST, IPV6_DST, "set_ipv6_dst ipv6_addr", "ipv6_dst", IPV6),
    REWRITE(SET_IPV4_DSCP, IPV4_DSCP, "set_ipv4_dscp dscp_value", "ipv4_dscp", BYTE),
    REWRITE(SET_IPV6_DSCP, IPV6_DSCP, "set_ipv6_dscp dscp_value", "ipv6_dscp", BYTE),
    REWRITE(SET_TP_SRC, TCP_PORT_SRC, "set_tp_src port", "tcp_port_src", BE16),
    REWRITE(SET_TP_SRC, UDP_PORT_SRC, "set_tp_src port", "udp_port_src", BE16),
    REWRITE(SET_TP_DST, TCP_PORT_DST, "set_tp_dst port", "tcp_port_dst", BE16),
    REWRITE(SET_TP_DST, UDP_PORT_DST, "set_tp_dst port", "udp_port_dst", BE16),
    REWRITE(DEC_TTL, IPV4_TTL, "dec_ttl", "ipv4_ttl", NOTHING),
    REWRITE(DEC_TTL, IPV6_HOPLIMIT, "dec_ttl", "ipv6_hoplimit", NOTHING),
#undef REWRITE
};

static void say_set(struct text *text, const struct rewrite *rewrite, const uint8_t *value)
{
    char mac[RTE_ETHER_ADDR_FMT_SIZE], ip[INET6_ADDRSTRLEN];

    say(text, "%s", rewrite->set_name);
    switch (rewrite->value) {
    case MAC:
        rte_ether_format_addr(mac, sizeof(mac), (const struct rte_ether_addr *)value);
        say(text, " %s", mac);
        break;
    case IPV4:
    case IPV6:
        inet_ntop(rewrite->value == IPV4 ? AF_INET : AF_INET6, value, ip, sizeof(ip));
        say(text, " %s", ip);
        break;
    case BYTE:
        say(text, " %u", value[0]);
        break;
    case BE16:
        say(text, " %u", value[0] << 8 | value[1]);
        break;
    case NOTHING:
        break;
    }
}

static void say_modify(struct text *text, const struct rewrite *rewrite,
                       const struct rte_flow_action_modify_field *modify)
{
    say(text, "modify_field op %s dst_type %s src_type value src_value ",
        modify->operation == RTE_FLOW_MODIFY_SET ? "set" : "sub", rewrite->modify_name);
    for (unsigned i = 0; i < (modify->width + 7) / 8; i++)
        say(text, "%02x", modify->src.value[i]);
    say(text, " width %u", modify->width);
}

static void say_rewrite(struct text *text, enum rte_flow_action_type type,
                        const union flow_action_conf *conf)
{
    bool modify = type == RTE_FLOW_ACTION_TYPE_MODIFY_FIELD;
    const struct rewrite *rewrite = rewrites;

    while (modify ? rewrite->modify != conf->modify.dst.field : rewrite->set != type)
        rewrite++;
    if (modify && !text->effect)
        say_modify(text, rewrite, &conf->modify);
    else
        say_set(text, rewrite, modify ? conf->modify.src.value : conf->mac.mac_addr);
}

static void say_action(struct text *text, enum rte_flow_action_type type,
                       const union flow_action_conf *conf)
{
    switch ((int)type) {
    case RTE_FLOW_ACTION_TYPE_COUNT:
        say(text, "count");
        break;
    case RTE_FLOW_ACTION_TYPE_OF_PUSH_VLAN:
        say(text, "of_push_vlan ethertype %u", rte_be_to_cpu_16(conf->push_vlan.ethertype));
        break;
    case RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_VID:
        say(text, "of_set_vlan_vid vlan_vid %u", rte_be_to_cpu_16(conf->vlan_vid.vlan_vid));
        break;
    case RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_PCP:
        say(text, "of_set_vlan_pcp vlan_pcp %u", conf->vlan_pcp.vlan_pcp);
        break;
    case RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT:
        say(text, "represented_port ethdev_port_id %u", conf->ethdev.port_id);
        break;
    case RTE_FLOW_ACTION_TYPE_JUMP:
        say(text, "jump group %u", conf->jump.group);
        break;
    case RTE_FLOW_ACTION_TYPE_DROP:
        say(text, "drop");
        break;
    case RTE_FLOW_ACTION_TYPE_END:
        say(text, "end");
        break;
    default:
        say_rewrite(text, type, conf);
    }
}

static int print(const struct flow *flow, char *buf, size_t size, bool effect)
{
    struct text text = {.buf = buf, .size = size, .effect = effect};

    say(&text, "flow create %u group %u priority %u transfer pattern", flow->ethdev,
        flow->attr.group, flow->attr.priority);
    for (unsigned i = 0; i < flow->n_items; i++) {
        say(&text, i ? " / " : " ");
        say_item(&text, &flow->items[i], &flow->spec[i], &flow->mask[i]);
    }
    say(&text, " actions");
    for (unsigned i = 0; i < flow->n_actions; i++) {
        say(&text, i ? " / " : " ");
        say_action(&text, flow->actions[i].type, &flow->conf[i]);
    }
    return text.len;
}

int flow_print(const struct flow *flow, char *buf, size_t size)
{
    return print(flow, buf, size, false);
}

int flow_print_effect(const struct flow *flow, char *buf, size_t size)
{
    return print(flow, buf, size, true);
}
