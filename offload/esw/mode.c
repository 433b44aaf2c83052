/* SPDX-License-Identifier: Apache-2.0 */
// What mlx5's two engines refuse and how they behave, as far as a program can see it.
#include "offload/esw/mode.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include <rte_cycles.h>
#include <rte_ip.h>

#include "offload/esw/esw.h"

static const char *const names[] = {
    [ESW_MODE_IDEAL] = "ideal",
    [ESW_MODE_MLX5_SWS] = "mlx5-sws",
    [ESW_MODE_MLX5_HWS] = "mlx5-hws",
};

int esw_mode_parse(const char *value, enum esw_mode *mode)
{
    for (unsigned i = 0; i < RTE_DIM(names); i++) {
        if (!strcmp(names[i], value)) {
            *mode = (enum esw_mode)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *esw_mode_name(enum esw_mode mode)
{
    return names[mode];
}

static int refuse(struct rte_flow_error *error, int err, enum rte_flow_error_type type,
                  const void *cause, const char *message)
{
    return rte_flow_error_set(error, err, type, cause, message);
}

static int refuse_action(struct rte_flow_error *error, int err,
                         const struct rte_flow_action *action, const char *message)
{
    return refuse(error, err, RTE_FLOW_ERROR_TYPE_ACTION, action, message);
}

// Guide, "Limitations", "HW steering": the proxy port is started first, else -EAGAIN. The source
// has more (mlx5_hw_representor_port_allowed_start): not if the proxy was never configured for
// rules; and once it is, representors have to be configured too, as repr_matching_en is 1 by
// default.
int esw_mode_check_start(const struct esw_port *port)
{
    const struct esw_port *proxy = &port->esw->ports[0];

    if (port->esw->mode != ESW_MODE_MLX5_HWS || port == proxy || !proxy->async.n_queues)
        return 0;
    if (!proxy->ethdev || !proxy->ethdev->data->dev_started) {
        ESW_LOG(ERR, "port %u: the proxy port must be started first\n", port->port_id);
        return -EAGAIN;
    }
    if (!port->async.n_queues) {
        ESW_LOG(ERR, "port %u: rte_flow_configure() first, as for the proxy port\n", port->port_id);
        return -EINVAL;
    }
    return 0;
}

// The same place: the proxy port is stopped last, else -EBUSY.
int esw_mode_check_stop(const struct esw_port *port)
{
    const struct esw *esw = port->esw;

    if (esw->mode != ESW_MODE_MLX5_HWS || port->index != 0 || !port->async.n_queues)
        return 0;
    for (unsigned i = 1; i < esw->n_wires + esw->n_vfs; i++) {
        if (esw->ports[i].ethdev && esw->ports[i].ethdev->data->dev_started) {
            ESW_LOG(ERR, "port %u: representors must be stopped first\n", port->port_id);
            return -EBUSY;
        }
    }
    return 0;
}

int esw_mode_check_sync(const struct esw_port *port, bool create, struct rte_flow_error *error)
{
    // Guide: "Async queue-based rte_flow_async APIs supported only"; mlx5_flow_create. (Of
    // rte_flow_validate() the hardware engine has none: there 22.11 calls a NULL pointer.)
    if (port->esw->mode == ESW_MODE_MLX5_HWS)
        return refuse(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL,
                      "rules are made by templates only");
    // mlx5_flow_create
    if (port->esw->mode == ESW_MODE_MLX5_SWS && create && !port->ethdev->data->dev_started)
        return refuse(error, ENODEV, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL,
                      "the port is not started");
    return 0;
}

static bool is_fate(enum rte_flow_action_type type)
{
    return type == RTE_FLOW_ACTION_TYPE_JUMP || type == RTE_FLOW_ACTION_TYPE_DROP ||
           type == RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT ||
           type == RTE_FLOW_ACTION_TYPE_PORT_REPRESENTOR || type == RTE_FLOW_ACTION_TYPE_PORT_ID;
}

// Which headers a pattern has.
struct layers {
    bool eth, vlan, ipv4, ipv6, l4;
};

// flow_dv_validate_item_ipv4: no fragment, or all of them by the range from 1 to more fragments and
// the largest offset.
static int check_sws_fragments(const struct rte_flow_item *item, struct rte_flow_error *error)
{
    const rte_be16_t all = RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK);
    const struct rte_flow_item_ipv4 *spec = item->spec, *last = item->last, *mask = item->mask;

    if (!spec || !mask || !(spec->hdr.fragment_offset & mask->hdr.fragment_offset))
        return 0;
    if ((mask->hdr.fragment_offset & all) != all)
        return refuse(error, EINVAL, RTE_FLOW_ERROR_TYPE_ITEM_MASK, item,
                      "must use full mask for fragment_offset");
    if (!last)
        return refuse(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM, item,
                      "specified value not supported");
    if ((spec->hdr.fragment_offset & mask->hdr.fragment_offset) != RTE_BE16(1) ||
        (last->hdr.fragment_offset & mask->hdr.fragment_offset) != all)
        return refuse(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_LAST, last,
                      "specified range not supported");
    return 0;
}

// mlx5_flow_validate_item_ipv6
static bool is_extension_header(uint8_t proto)
{
    return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_FRAGMENT ||
           proto == IPPROTO_ESP || proto == IPPROTO_AH || proto == IPPROTO_DSTOPTS;
}

static int check_sws_items(const struct rte_flow_item *item, struct layers *layers,
                           struct rte_flow_error *error)
{
    for (; item->type != RTE_FLOW_ITEM_TYPE_END; item++) {
        const struct rte_flow_item_ipv6 *spec = item->spec, *mask = item->mask;
        int ret = 0;

        layers->eth |= item->type == RTE_FLOW_ITEM_TYPE_ETH;
        layers->vlan |= item->type == RTE_FLOW_ITEM_TYPE_VLAN;
        layers->ipv4 |= item->type == RTE_FLOW_ITEM_TYPE_IPV4;
        layers->ipv6 |= item->type == RTE_FLOW_ITEM_TYPE_IPV6;
        layers->l4 |= item->type == RTE_FLOW_ITEM_TYPE_TCP || item->type == RTE_FLOW_ITEM_TYPE_UDP;
        // flow_dv_validate() has no case for it; nor has the guide's table of items.
        if (item->type == RTE_FLOW_ITEM_TYPE_SCTP)
            return refuse(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM, item, "SCTP is not matched");
        if (item->type == RTE_FLOW_ITEM_TYPE_IPV4)
            ret = check_sws_fragments(item, error);
        else if (item->type == RTE_FLOW_ITEM_TYPE_IPV6 && spec && mask &&
                 mask->hdr.proto == UINT8_MAX && is_extension_header(spec->hdr.proto))
            ret = refuse(error, EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, item,
                         "IPv6 proto (next header) should not be set as extension header");
        if (ret)
            return ret;
    }
    return 0;
}

// flow_dv_validate_action_modify_mac, _ttl, _ipv4, _ipv6, _tp, _pop_vlan: the pattern has to have
// the header. NULL: it has.
static const char *missing_item(enum rte_flow_action_type type, const struct layers *layers)
{
    switch (type) {
    case RTE_FLOW_ACTION_TYPE_SET_MAC_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_MAC_DST:
        return layers->eth ? NULL : "no item of Ethernet";
    case RTE_FLOW_ACTION_TYPE_DEC_TTL:
    case RTE_FLOW_ACTION_TYPE_SET_TTL:
        return layers->ipv4 || layers->ipv6 ? NULL : "no item of IPv4 or IPv6";
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_DST:
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_DSCP:
        return layers->ipv4 ? NULL : "no item of IPv4";
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_DST:
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_DSCP:
        return layers->ipv6 ? NULL : "no item of IPv6";
    case RTE_FLOW_ACTION_TYPE_SET_TP_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_TP_DST:
        return layers->l4 ? NULL : "no item of TCP or UDP";
    case RTE_FLOW_ACTION_TYPE_OF_POP_VLAN:
        return layers->vlan ? NULL : "no item of a VLAN tag";
    default:
        return NULL;
    }
}

int esw_mode_check_rule(const struct esw_port *port, const struct rte_flow_item pattern[],
                        const struct rte_flow_action actions[], struct rte_flow_error *error)
{
    struct layers layers = {0};
    unsigned fates = 0;
    int ret;

    if (port->esw->mode != ESW_MODE_MLX5_SWS)
        return 0;
    ret = check_sws_items(pattern, &layers, error);
    for (; ret == 0 && actions->type != RTE_FLOW_ACTION_TYPE_END; actions++) {
        const char *missing = missing_item(actions->type, &layers);

        fates += is_fate(actions->type);
        if (fates > 1) // flow_dv_validate, MLX5_FLOW_FATE_ESWITCH_ACTIONS
            ret = refuse_action(error, EINVAL, actions, "one destination only");
        else if (missing)
            ret = refuse_action(
                error, actions->type == RTE_FLOW_ACTION_TYPE_OF_POP_VLAN ? ENOTSUP : EINVAL,
                actions, missing);
    }
    return ret;
}

// Guide of 23.11, "Multiport E-Switch": what comes from a physical port is not sent to one.
int esw_mode_check_program(const struct esw *esw, const struct rte_flow *flow,
                           struct rte_flow_error *error)
{
    const struct esw_program *program = &flow->program;

    if (esw->mode == ESW_MODE_IDEAL || !program->mask.in_port ||
        program->key.in_port > esw->n_wires)
        return 0;
    for (unsigned i = 0; i < program->n_ops; i++) {
        if (program->ops[i].type == ESW_OP_TO_WIRE_OR_VF && program->ops[i].port < esw->n_wires)
            return refuse(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, NULL,
                          "wire to wire is not possible");
    }
    return 0;
}

int esw_mode_check_configure(const struct esw_port *port, uint16_t n_queues,
                             const struct rte_flow_queue_attr *queues[], bool same,
                             struct rte_flow_error *error)
{
    if (port->esw->mode != ESW_MODE_MLX5_HWS)
        return 0;
    // flow_hw_validate_attributes
    for (unsigned i = 1; i < n_queues; i++) {
        if (queues[i]->size != queues[0]->size)
            return refuse(error, EINVAL, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL,
                          "all queues must have one size");
    }
    // Guide of 25.11, "Flow rules with HW steering": another configuration is rejected. (In 22.11
    // all templates and tables would silently go with it.)
    if (port->async.n_queues && !same)
        return refuse(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL,
                      "it is configured already, otherwise");
    return 0;
}

int esw_mode_check_template(const struct esw_port *port, bool transfer,
                            struct rte_flow_error *error)
{
    if (port->esw->mode == ESW_MODE_MLX5_SWS)
        return refuse(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL,
                      "no templates in this mode");
    if (!transfer)
        return refuse(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ATTR_TRANSFER, NULL,
                      "net_esw takes transfer rules only");
    // flow_hw_pattern_validate, mlx5_flow_hw_actions_validate
    if (port->esw->mode == ESW_MODE_MLX5_HWS && port->index != 0)
        return refuse(error, EINVAL, RTE_FLOW_ERROR_TYPE_ATTR_TRANSFER, NULL,
                      "transfer rules are for the proxy port only");
    return 0;
}

static bool has_bits(const void *mask, size_t size)
{
    const uint8_t *byte = mask;

    for (size_t i = 0; i < size; i++) {
        if (byte[i])
            return true;
    }
    return false;
}

int esw_mode_check_pattern(const struct esw_port *port, const struct rte_flow_item *item,
                           struct rte_flow_error *error)
{
    bool ipv6_pair = false;

    if (port->esw->mode != ESW_MODE_MLX5_HWS)
        return 0;
    for (; item->type != RTE_FLOW_ITEM_TYPE_END; item++) {
        const struct rte_flow_item_ipv6 *ipv6 = item->mask;
        const struct rte_flow_item_udp *l4 = item->mask;

        switch (item->type) {
        case RTE_FLOW_ITEM_TYPE_SCTP: // flow_hw_pattern_validate knows neither
        case RTE_FLOW_ITEM_TYPE_PORT_REPRESENTOR:
            return refuse(error, EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, item, "unsupported item");
        case RTE_FLOW_ITEM_TYPE_IPV6:
            ipv6_pair =
                ipv6 && has_bits(&ipv6->hdr.src_addr, 16) && has_bits(&ipv6->hdr.dst_addr, 16);
            break;
        case RTE_FLOW_ITEM_TYPE_TCP: // both begin with the ports
        case RTE_FLOW_ITEM_TYPE_UDP:
            // Guide: "IPv6 5-tuple matching is not supported"
            if (ipv6_pair && l4 && l4->hdr.src_port && l4->hdr.dst_port)
                return refuse(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM, item,
                              "IPv6 5-tuples are not matched");
            break;
        default:
            break;
        }
    }
    return 0;
}

// flow_hw_validate_action_modify_field: what is no value must be fixed by the template's masks.
static int check_modify(const struct rte_flow_action *action, const struct rte_flow_action *mask,
                        struct rte_flow_error *error)
{
    const struct rte_flow_action_modify_field *conf = action->conf, *fixed = mask->conf;

    if (!conf || !fixed || fixed->operation != conf->operation ||
        fixed->dst.field != conf->dst.field || fixed->src.field != conf->src.field)
        return refuse_action(error, EINVAL, action,
                             "operation and fields must be the same in the mask");
    if (fixed->dst.level != UINT32_MAX || fixed->dst.offset != UINT32_MAX ||
        fixed->width != UINT32_MAX)
        return refuse_action(error, EINVAL, action, "level, offset and width must be fully masked");
    return 0;
}

int esw_mode_check_actions(const struct esw_port *port, const struct rte_flow_action actions[],
                           const struct rte_flow_action masks[], struct rte_flow_error *error)
{
    if (port->esw->mode != ESW_MODE_MLX5_HWS)
        return 0;
    for (; actions->type != RTE_FLOW_ACTION_TYPE_END; actions++, masks++) {
        int ret = 0;

        switch (actions->type) {
        case RTE_FLOW_ACTION_TYPE_VOID:
        case RTE_FLOW_ACTION_TYPE_AGE:
        case RTE_FLOW_ACTION_TYPE_DROP:
        case RTE_FLOW_ACTION_TYPE_JUMP:
        case RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT:
        case RTE_FLOW_ACTION_TYPE_OF_POP_VLAN:
        case RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_VID:
            break;
        case RTE_FLOW_ACTION_TYPE_COUNT: // flow_hw_validate_action_count
            if (!port->async.attr.nb_counters)
                return refuse_action(error, EINVAL, actions, "no counters were configured");
            break;
        case RTE_FLOW_ACTION_TYPE_MODIFY_FIELD:
            ret = check_modify(actions, masks, error);
            break;
        case RTE_FLOW_ACTION_TYPE_OF_PUSH_VLAN: // flow_hw_validate_action_push_vlan
            if (actions[1].type != RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_VID)
                return refuse_action(error, EINVAL, actions, "of_set_vlan_vid must follow");
            if (actions[2].type == RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_PCP)
                actions++, masks++;
            actions++, masks++;
            break;
        default: // mlx5_flow_hw_actions_validate: SET_*, DEC_TTL, PORT_ID and others
            return refuse_action(error, ENOTSUP, actions, "not in templates; see modify_field");
        }
        if (ret)
            return ret;
    }
    return 0;
}

// action_order_arr of hws/mlx5dr_action.c
static int rank_of(enum rte_flow_action_type type)
{
    switch (type) {
    case RTE_FLOW_ACTION_TYPE_OF_POP_VLAN:
        return 1;
    case RTE_FLOW_ACTION_TYPE_COUNT:
    case RTE_FLOW_ACTION_TYPE_AGE: // the driver makes it of a counter
        return 2;
    case RTE_FLOW_ACTION_TYPE_OF_PUSH_VLAN:
    case RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_VID:
    case RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_PCP:
        return 3;
    case RTE_FLOW_ACTION_TYPE_MODIFY_FIELD: // those in a row are one action
        return 4;
    default:
        return is_fate(type) ? 5 : 0;
    }
}

int esw_mode_check_order(const struct esw *esw, const struct rte_flow_action actions[],
                         struct rte_flow_error *error)
{
    int last = 0;

    if (esw->mode != ESW_MODE_MLX5_HWS)
        return 0;
    for (; actions->type != RTE_FLOW_ACTION_TYPE_END; actions++) {
        int rank = rank_of(actions->type);

        if (rank && (rank < last || (rank == 5 && last == 5)))
            return refuse_action(error, EINVAL, actions, "the actions are in a wrong order");
        last = rank ? rank : last;
    }
    return 0;
}

// flow_hw_async_flow_create: ENOMEM where the interface's documents leave it open.
int esw_mode_queue_full(const struct esw *esw)
{
    return esw->mode == ESW_MODE_MLX5_HWS ? ENOMEM : EAGAIN;
}

// Guide, "Notes for flow counters", "HW steering flow engine": a counter is only free again after
// the counter thread's next turn (EAGAIN until then); if all are in use: ENOENT.
int esw_mode_take_counter(struct esw_port *port, const struct rte_flow *flow,
                          struct rte_flow_error *error)
{
    struct esw_async *async = &port->async;
    uint64_t cycle = esw_count_cycle(port->esw);

    if (port->esw->mode != ESW_MODE_MLX5_HWS || !flow->program.count)
        return 0;
    if (cycle != async->counters_cycle)
        async->counters_waiting = 0;
    async->counters_cycle = cycle;
    if (async->counters_used + async->counters_waiting >= async->attr.nb_counters)
        return refuse(error, async->counters_waiting ? EAGAIN : ENOENT,
                      RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL, "no counter is free");
    async->counters_used++;
    return 0;
}

void esw_mode_give_counter(struct esw *esw, const struct rte_flow *flow)
{
    struct esw_async *async = &esw->ports[flow->owner].async;
    uint64_t cycle = esw_count_cycle(esw);

    if (esw->mode != ESW_MODE_MLX5_HWS || !flow->program.count)
        return;
    if (cycle != async->counters_cycle)
        async->counters_waiting = 0;
    async->counters_cycle = cycle;
    async->counters_used--;
    async->counters_waiting++;
}

// Guide of 25.11, limitations of synchronous rules with HW steering: a spec has to be ANDed with
// its mask by the program. The asynchronous interface gives the mask with the template, and takes
// the spec as it is as well.
bool esw_mode_spec_as_given(const struct esw *esw)
{
    return esw->mode == ESW_MODE_MLX5_HWS;
}

// mlx5_flow_item_acceptable: items have no ranges, but that of IPv4 may (MLX5_ITEM_RANGE_ACCEPTED),
// of which only fragment_offset is looked at, by flow_dv_validate_item_ipv4.
int esw_mode_check_last(const struct esw *esw, const struct rte_flow_item *item, const void *spec,
                        const void *last, size_t size, struct rte_flow_error *error)
{
    if (esw->mode != ESW_MODE_MLX5_SWS || !item->last || item->type == RTE_FLOW_ITEM_TYPE_IPV4 ||
        !memcmp(spec, last, size))
        return 0;
    return refuse(error, EINVAL, RTE_FLOW_ERROR_TYPE_ITEM, item, "range is not valid");
}

// The same place. Hardware steering does not come here with one: neither flow_hw_pattern_validate
// nor mlx5dr_definer.c reads it.
bool esw_mode_ignores_last(const struct esw *esw)
{
    return esw->mode == ESW_MODE_MLX5_SWS;
}

// flow_dv_translate_item_ipv4: the NIC has one bit for all fragments.
// mlx5dr_definer_conv_item_ipv4: where the mask is of the flag and all of the offset, that bit is
// taken.
bool esw_mode_asks_if_fragment(const struct esw *esw, rte_be16_t mask)
{
    return (esw->mode == ESW_MODE_MLX5_SWS && mask) ||
           (esw->mode == ESW_MODE_MLX5_HWS &&
            mask == RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK));
}

// mlx5_dev_stop flushes them; RTE_ETH_DEV_CAPA_FLOW_RULE_KEEP is not advertised.
bool esw_mode_stop_ends_rules(const struct esw *esw)
{
    return esw->mode != ESW_MODE_IDEAL;
}
