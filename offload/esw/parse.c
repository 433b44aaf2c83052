/* SPDX-License-Identifier: Apache-2.0 */
// Attributes and pattern of a rule.
#include "offload/esw/parse.h"

#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

union item {
    struct rte_flow_item_ethdev ethdev;
    struct rte_flow_item_eth eth;
    struct rte_flow_item_vlan vlan;
    struct rte_flow_item_ipv4 ipv4;
    struct rte_flow_item_ipv6 ipv6;
    struct rte_flow_item_tcp tcp;
    struct rte_flow_item_udp udp;
    struct rte_flow_item_sctp sctp;
    struct rte_flow_item_icmp icmp;
    struct rte_flow_item_icmp6 icmp6;
};

struct context {
    const struct esw_port *port;
    struct esw_program *program;
    bool has_port; // an item said where packets come from
    // Of the item at hand, spec and last ANDed with mask: OVS gives specs with more bits. (Where
    // the mode has it so, they are left in the spec, and no packet ever has them.)
    union item spec, last, mask;
    const char *no_range; // why a field's range is not possible, or NULL
};

// One value of a field, or more? rte_flow.h has it so: a last of 0 says nothing.
static bool is_range(const uint8_t *spec, const uint8_t *last, size_t size)
{
    uint8_t any = 0;

    for (size_t i = 0; i < size; i++)
        any |= last[i];
    return any && memcmp(spec, last, size) != 0;
}

static uint16_t number(const uint8_t *field, size_t size)
{
    return (uint16_t)(size == 1 ? field[0] : field[0] << 8 | field[1]);
}

static void add_range(struct context *context, const struct esw_range *range)
{
    if (range->last < range->first)
        context->no_range = "net_esw does not match a range whose last is below its spec";
    else if (context->program->n_ranges == ESW_RANGES_MAX)
        context->no_range = "net_esw matches no more than four ranges";
    else
        context->program->ranges[context->program->n_ranges++] = *range;
}

// Moves a field of the item into the key; what is left in the mask at the end is unknown to us.
// `no_range`: said of ranges of a field that is no number.
static void take(struct context *context, size_t item_offset, size_t key_offset, size_t size,
                 const char *no_range)
{
    uint8_t *spec = (uint8_t *)&context->spec + item_offset;
    uint8_t *last = (uint8_t *)&context->last + item_offset;
    uint8_t *mask = (uint8_t *)&context->mask + item_offset;

    if (!is_range(spec, last, size)) {
        memcpy((uint8_t *)&context->program->key + key_offset, spec, size);
        memcpy((uint8_t *)&context->program->mask + key_offset, mask, size);
    } else if (size > sizeof(uint16_t)) {
        context->no_range = no_range;
    } else {
        add_range(context, &(struct esw_range){.offset = (uint16_t)key_offset,
                                               .size = (uint16_t)size,
                                               .first = number(spec, size),
                                               .last = number(last, size),
                                               .mask = number(mask, size)});
    }
    memset(mask, 0, size);
}

#define NO_RANGE(item_field) "net_esw does not match ranges of " #item_field

#define TAKE(context, item_field, key_field)                                                       \
    do {                                                                                           \
        static_assert(sizeof((context)->spec.item_field) <=                                        \
                          sizeof((context)->program->key.key_field),                               \
                      "the key has room");                                                         \
        take(context, offsetof(union item, item_field), offsetof(struct esw_key, key_field),       \
             sizeof((context)->spec.item_field), NO_RANGE(item_field));                            \
    } while (0)

// For fields that are taken otherwise.
#define REFUSE_RANGE(context, item_field)                                                          \
    do {                                                                                           \
        if ((context)->last.item_field &&                                                          \
            (context)->last.item_field != (context)->spec.item_field)                              \
            (context)->no_range = NO_RANGE(item_field);                                            \
    } while (0)

static void require(struct context *context, size_t offset, uint8_t value)
{
    ((uint8_t *)&context->program->key)[offset] = value;
    ((uint8_t *)&context->program->mask)[offset] = 0xff;
}

#define REQUIRE(context, key_field, value)                                                         \
    require(context, offsetof(struct esw_key, key_field), value)

static int take_port(struct context *context, bool from_app)
{
    const struct esw_port *in;

    REFUSE_RANGE(context, ethdev.port_id);
    context->has_port = true;
    context->program->key.from_app = from_app;
    context->program->from_app = from_app;
    if (!context->mask.ethdev.port_id) // any port
        return 0;
    if (context->mask.ethdev.port_id != UINT16_MAX)
        return -ENOTSUP;
    in = esw_port_of_ethdev(context->port->esw, context->spec.ethdev.port_id);
    if (!in)
        return -ENODEV;
    context->program->key.in_port = in->index + 1;
    context->program->mask.in_port = UINT16_MAX;
    context->mask.ethdev.port_id = 0;
    return 0;
}

static void take_eth(struct context *context)
{
    TAKE(context, eth.hdr.dst_addr, eth_dst);
    TAKE(context, eth.hdr.src_addr, eth_src);
    TAKE(context, eth.hdr.ether_type, eth_type);
    REFUSE_RANGE(context, eth.has_vlan);
    if (context->mask.eth.has_vlan)
        REQUIRE(context, has_vlan, (uint8_t)context->spec.eth.has_vlan);
    context->mask.eth.has_vlan = 0;
}

static void take_vlan(struct context *context)
{
    REQUIRE(context, has_vlan, 1);
    TAKE(context, vlan.hdr.vlan_tci, vlan_tci);
    TAKE(context, vlan.hdr.eth_proto, inner_type);
    // mlx5's default mask has it; with more tags than two nothing is IP here anyway.
    context->mask.vlan.has_more_vlan = 0;
}

#define FRAGMENT RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK)

static void take_ipv4(struct context *context)
{
    REQUIRE(context, l3, 4);
    TAKE(context, ipv4.hdr.src_addr, ip_src);
    TAKE(context, ipv4.hdr.dst_addr, ip_dst);
    TAKE(context, ipv4.hdr.next_proto_id, ip_proto);
    TAKE(context, ipv4.hdr.type_of_service, ip_tos);
    TAKE(context, ipv4.hdr.time_to_live, ip_ttl);
    if (esw_mode_asks_if_fragment(context->port->esw, context->mask.ipv4.hdr.fragment_offset)) {
        bool is = context->spec.ipv4.hdr.fragment_offset != 0;

        context->spec.ipv4.hdr.fragment_offset = is ? RTE_BE16(1) : 0;
        context->last.ipv4.hdr.fragment_offset = is ? FRAGMENT : 0;
        context->mask.ipv4.hdr.fragment_offset = FRAGMENT;
    }
    TAKE(context, ipv4.hdr.fragment_offset, fragment_offset);
}

static void take_ipv6(struct context *context)
{
    struct esw_key *key = &context->program->key, *mask = &context->program->mask;

    REQUIRE(context, l3, 6);
    TAKE(context, ipv6.hdr.src_addr, ip_src);
    TAKE(context, ipv6.hdr.dst_addr, ip_dst);
    TAKE(context, ipv6.hdr.proto, ip_proto);
    TAKE(context, ipv6.hdr.hop_limits, ip_ttl);
    REFUSE_RANGE(context, ipv6.hdr.vtc_flow);
    REFUSE_RANGE(context, ipv6.has_frag_ext);
    key->ip_tos = (rte_be_to_cpu_32(context->spec.ipv6.hdr.vtc_flow) & RTE_IPV6_HDR_TC_MASK) >>
                  RTE_IPV6_HDR_TC_SHIFT;
    mask->ip_tos = (rte_be_to_cpu_32(context->mask.ipv6.hdr.vtc_flow) & RTE_IPV6_HDR_TC_MASK) >>
                   RTE_IPV6_HDR_TC_SHIFT;
    context->mask.ipv6.hdr.vtc_flow &= ~RTE_BE32(RTE_IPV6_HDR_TC_MASK);
    if (context->mask.ipv6.has_frag_ext)
        REQUIRE(context, has_frag_ext, (uint8_t)context->spec.ipv6.has_frag_ext);
    context->mask.ipv6.has_frag_ext = 0;
}

// An item of a protocol above IP, like one of mlx5, hits packets with the whole of that header.
static void take_l4(struct context *context, uint8_t proto)
{
    REQUIRE(context, l4, proto);
    switch (proto) {
    case IPPROTO_TCP:
        TAKE(context, tcp.hdr.src_port, l4_src);
        TAKE(context, tcp.hdr.dst_port, l4_dst);
        TAKE(context, tcp.hdr.tcp_flags, tcp_flags);
        break;
    case IPPROTO_UDP:
        TAKE(context, udp.hdr.src_port, l4_src);
        TAKE(context, udp.hdr.dst_port, l4_dst);
        break;
    case IPPROTO_SCTP:
        TAKE(context, sctp.hdr.src_port, l4_src);
        TAKE(context, sctp.hdr.dst_port, l4_dst);
        break;
    case IPPROTO_ICMP:
        TAKE(context, icmp.hdr.icmp_type, icmp_type);
        TAKE(context, icmp.hdr.icmp_code, icmp_code);
        break;
    case IPPROTO_ICMPV6:
        TAKE(context, icmp6.type, icmp_type);
        TAKE(context, icmp6.code, icmp_code);
        break;
    }
}

enum layer { LAYER_PORT = 1, LAYER_ETH, LAYER_VLAN, LAYER_IP, LAYER_L4 };

static const struct item_kind {
    enum rte_flow_item_type type;
    enum layer layer;
    size_t size;
    const void *mask; // where the rule gives none
    uint8_t proto;    // LAYER_L4
} item_kinds[] = {
#define KIND(layer, TYPE, name, proto)                                                             \
    {                                                                                              \
        RTE_FLOW_ITEM_TYPE_##TYPE, layer, sizeof(struct rte_flow_item_##name),                     \
            &rte_flow_item_##name##_mask, proto                                                    \
    }
    KIND(LAYER_PORT, REPRESENTED_PORT, ethdev, 0),
    KIND(LAYER_PORT, PORT_REPRESENTOR, ethdev, 0),
    KIND(LAYER_ETH, ETH, eth, 0),
    KIND(LAYER_VLAN, VLAN, vlan, 0),
    KIND(LAYER_IP, IPV4, ipv4, 0),
    KIND(LAYER_IP, IPV6, ipv6, 0),
    KIND(LAYER_L4, TCP, tcp, IPPROTO_TCP),
    KIND(LAYER_L4, UDP, udp, IPPROTO_UDP),
    KIND(LAYER_L4, SCTP, sctp, IPPROTO_SCTP),
    KIND(LAYER_L4, ICMP, icmp, IPPROTO_ICMP),
    KIND(LAYER_L4, ICMP6, icmp6, IPPROTO_ICMPV6),
#undef KIND
};

static const struct item_kind *kind_of(enum rte_flow_item_type type)
{
    for (unsigned i = 0; i < RTE_DIM(item_kinds); i++) {
        if (item_kinds[i].type == type)
            return &item_kinds[i];
    }
    return NULL;
}

static void load_item(struct context *context, const struct rte_flow_item *item,
                      const struct item_kind *kind)
{
    uint8_t *spec = (uint8_t *)&context->spec, *last = (uint8_t *)&context->last,
            *mask = (uint8_t *)&context->mask;

    memset(&context->spec, 0, sizeof(context->spec));
    memset(&context->last, 0, sizeof(context->last));
    memset(&context->mask, 0, sizeof(context->mask));
    if (!item->spec) // any packet that has the header
        return;
    memcpy(spec, item->spec, kind->size);
    memcpy(mask, item->mask ? item->mask : kind->mask, kind->size);
    for (size_t i = 0; i < kind->size && !esw_mode_spec_as_given(context->port->esw); i++)
        spec[i] &= mask[i];
    if (!item->last)
        return;
    for (size_t i = 0; i < kind->size; i++)
        last[i] = ((const uint8_t *)item->last)[i] & mask[i];
}

static bool mask_used_up(const struct context *context, const struct item_kind *kind)
{
    const uint8_t *mask = (const uint8_t *)&context->mask;

    for (size_t i = 0; i < kind->size; i++) {
        if (mask[i])
            return false;
    }
    return true;
}

static int parse_item(struct context *context, const struct rte_flow_item *item, enum layer *layer,
                      struct rte_flow_error *error)
{
    const struct item_kind *kind = kind_of(item->type);
    int ret = 0;

    if (!kind)
        return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM, item,
                                  "net_esw does not match this item");
    if (item->last && !item->spec)
        return rte_flow_error_set(error, EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_LAST, item,
                                  "last without spec");
    if (kind->layer <= *layer)
        return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM, item,
                                  "items must be port, eth, vlan, ip, l4, one of each at most");
    *layer = kind->layer;
    load_item(context, item, kind);
    ret = esw_mode_check_last(context->port->esw, item, &context->spec, &context->last, kind->size,
                              error);
    if (ret)
        return ret;
    if (esw_mode_ignores_last(context->port->esw))
        memset(&context->last, 0, sizeof(context->last));
    switch (kind->layer) {
    case LAYER_PORT:
        ret = take_port(context, item->type == RTE_FLOW_ITEM_TYPE_PORT_REPRESENTOR);
        break;
    case LAYER_ETH:
        take_eth(context);
        break;
    case LAYER_VLAN:
        take_vlan(context);
        break;
    case LAYER_IP:
        if (item->type == RTE_FLOW_ITEM_TYPE_IPV4)
            take_ipv4(context);
        else
            take_ipv6(context);
        break;
    case LAYER_L4:
        take_l4(context, kind->proto);
        break;
    }
    if (ret)
        return rte_flow_error_set(error, -ret, RTE_FLOW_ERROR_TYPE_ITEM_SPEC, item,
                                  "the item's port is none of this e-switch");
    if (context->no_range)
        return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_LAST, item,
                                  context->no_range);
    if (!mask_used_up(context, kind))
        return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_MASK, item,
                                  "net_esw does not match all of the item's masked fields");
    return 0;
}

int esw_parse(const struct esw_port *port, const struct rte_flow_attr *attr,
              const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
              struct esw_program *program, struct rte_flow_error *error)
{
    struct context context = {.port = port, .program = program};
    const struct rte_flow_item *item;
    enum layer layer = 0;

    memset(program, 0, sizeof(*program));
    if (!attr->transfer)
        return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ATTR_TRANSFER, NULL,
                                  "net_esw takes transfer rules only");
    program->group = attr->group;
    program->priority = attr->priority;
    // Like a real e-switch, rules see what comes from wires and VFs; the program's own packets
    // only where they ask for them, and after a jump from there.
    program->mask.from_app = 0xff;
    for (item = pattern; item->type != RTE_FLOW_ITEM_TYPE_END; item++) {
        int ret;

        if (item->type == RTE_FLOW_ITEM_TYPE_VOID)
            continue;
        ret = parse_item(&context, item, &layer, error);
        if (ret)
            return ret;
    }
    // A rule made on a representor without a port of its own is for that representor's VF (OVS
    // makes such); on the proxy it is for all ports.
    if (!program->mask.in_port && port->index != 0) {
        program->key.in_port = port->index + 1;
        program->mask.in_port = UINT16_MAX;
    } else if (!context.has_port && attr->group > 0) {
        program->mask.from_app = 0;
    }
    return esw_parse_actions(port, actions, program, error);
}
