/* SPDX-License-Identifier: Apache-2.0 */
// The actions of a rule.
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "offload/esw/parse.h"

static const struct action_kind {
    enum rte_flow_action_type type;
    size_t conf; // bytes
    bool optional;
} action_kinds[] = {
#define BARE(TYPE)                                                                                 \
    {                                                                                              \
        RTE_FLOW_ACTION_TYPE_##TYPE, 0, true                                                       \
    }
#define KIND(TYPE, conf)                                                                           \
    {                                                                                              \
        RTE_FLOW_ACTION_TYPE_##TYPE, sizeof(struct rte_flow_action_##conf), false                  \
    }
    BARE(END),
    BARE(VOID),
    {RTE_FLOW_ACTION_TYPE_COUNT, sizeof(struct rte_flow_action_count), true},
    KIND(AGE, age),
    KIND(SET_MAC_SRC, set_mac),
    KIND(SET_MAC_DST, set_mac),
    BARE(DEC_TTL),
    KIND(SET_TTL, set_ttl),
    KIND(SET_IPV4_SRC, set_ipv4),
    KIND(SET_IPV4_DST, set_ipv4),
    KIND(SET_IPV6_SRC, set_ipv6),
    KIND(SET_IPV6_DST, set_ipv6),
    KIND(SET_IPV4_DSCP, set_dscp),
    KIND(SET_IPV6_DSCP, set_dscp),
    KIND(SET_TP_SRC, set_tp),
    KIND(SET_TP_DST, set_tp),
    KIND(MODIFY_FIELD, modify_field),
    KIND(OF_PUSH_VLAN, of_push_vlan),
    KIND(OF_SET_VLAN_VID, of_set_vlan_vid),
    KIND(OF_SET_VLAN_PCP, of_set_vlan_pcp),
    BARE(OF_POP_VLAN),
    KIND(METER, meter),
    KIND(JUMP, jump),
    BARE(DROP),
    KIND(REPRESENTED_PORT, ethdev),
    KIND(PORT_REPRESENTOR, ethdev),
    KIND(PORT_ID, port_id), // deprecated, OVS 3.1 uses it
#undef BARE
#undef KIND
};

static const struct action_kind *kind_of(enum rte_flow_action_type type)
{
    for (unsigned i = 0; i < RTE_DIM(action_kinds); i++) {
        if (action_kinds[i].type == type)
            return &action_kinds[i];
    }
    return NULL;
}

bool esw_action_known(enum rte_flow_action_type type)
{
    return kind_of(type);
}

size_t esw_action_conf_size(enum rte_flow_action_type type)
{
    const struct action_kind *kind = kind_of(type);

    return kind ? kind->conf : 0;
}

static int refuse(struct rte_flow_error *error, int err, const struct rte_flow_action *action,
                  const char *message)
{
    return rte_flow_error_set(error, err, RTE_FLOW_ERROR_TYPE_ACTION, action, message);
}

// DSCP is given as the number that it is (RFC 2474 section 3), not as it stands in the octet.
static void set_dscp(struct esw_op *op, uint8_t only_l3, uint8_t dscp)
{
    *op = (struct esw_op){.type = ESW_OP_SET_TOS, .only_l3 = only_l3};
    op->byte.value = (uint8_t)(dscp << 2);
    op->byte.mask = 0xfc;
}

// The fields that MODIFY_FIELD can change, whole.
static const struct field {
    enum rte_flow_field_id field;
    unsigned bits;
    enum esw_op_type op;
    uint8_t only_l3, only_l4;
} fields[] = {
    {RTE_FLOW_FIELD_MAC_SRC, 48, ESW_OP_SET_ETH_SRC, 0, 0},
    {RTE_FLOW_FIELD_MAC_DST, 48, ESW_OP_SET_ETH_DST, 0, 0},
    {RTE_FLOW_FIELD_VLAN_ID, 12, ESW_OP_SET_VLAN_VID, 0, 0},
    {RTE_FLOW_FIELD_IPV4_SRC, 32, ESW_OP_SET_IP_SRC, 4, 0},
    {RTE_FLOW_FIELD_IPV4_DST, 32, ESW_OP_SET_IP_DST, 4, 0},
    {RTE_FLOW_FIELD_IPV6_SRC, 128, ESW_OP_SET_IP_SRC, 6, 0},
    {RTE_FLOW_FIELD_IPV6_DST, 128, ESW_OP_SET_IP_DST, 6, 0},
    {RTE_FLOW_FIELD_IPV4_TTL, 8, ESW_OP_SET_TTL, 0, 0},
    {RTE_FLOW_FIELD_IPV6_HOPLIMIT, 8, ESW_OP_SET_TTL, 0, 0},
    {RTE_FLOW_FIELD_IPV4_DSCP, 6, ESW_OP_SET_TOS, 4, 0},
    {RTE_FLOW_FIELD_IPV6_DSCP, 6, ESW_OP_SET_TOS, 6, 0},
    {RTE_FLOW_FIELD_TCP_PORT_SRC, 16, ESW_OP_SET_L4_SRC, 0, IPPROTO_TCP},
    {RTE_FLOW_FIELD_TCP_PORT_DST, 16, ESW_OP_SET_L4_DST, 0, IPPROTO_TCP},
    {RTE_FLOW_FIELD_UDP_PORT_SRC, 16, ESW_OP_SET_L4_SRC, 0, IPPROTO_UDP},
    {RTE_FLOW_FIELD_UDP_PORT_DST, 16, ESW_OP_SET_L4_DST, 0, IPPROTO_UDP},
};

static const struct field *find_field(const struct rte_flow_action_modify_field *modify)
{
    for (unsigned i = 0; i < RTE_DIM(fields); i++) {
        if (fields[i].field == modify->dst.field && fields[i].bits == modify->width)
            return &fields[i];
    }
    return NULL;
}

// MODIFY_FIELD with an immediate value.
static int parse_modify(const struct rte_flow_action *action, struct esw_op *op,
                        struct rte_flow_error *error)
{
    const struct rte_flow_action_modify_field *modify = action->conf;
    const struct field *field = find_field(modify);
    const uint8_t *value;

    if (modify->src.field == RTE_FLOW_FIELD_VALUE)
        value = modify->src.value;
    else if (modify->src.field == RTE_FLOW_FIELD_POINTER)
        value = modify->src.pvalue;
    else
        return refuse(error, ENOTSUP, action, "modify_field: the source must be a value");
    if (!field || modify->dst.level > 0 || modify->dst.offset > 0)
        return refuse(error, ENOTSUP, action, "modify_field: not this field, or not a part of it");
    *op = (struct esw_op){.type = field->op, .only_l3 = field->only_l3, .only_l4 = field->only_l4};
    if (field->op == ESW_OP_SET_TTL) {
        op->number = modify->operation == RTE_FLOW_MODIFY_SUB ? (uint8_t)-value[0] : value[0];
        if (modify->operation != RTE_FLOW_MODIFY_SET)
            op->type = ESW_OP_ADD_TTL;
        return 0;
    }
    if (modify->operation != RTE_FLOW_MODIFY_SET)
        return refuse(error, ENOTSUP, action, "modify_field: this field can only be set");
    if (field->op == ESW_OP_SET_TOS)
        set_dscp(op, field->only_l3, value[0]);
    else // as it stands in the packet
        memcpy(&op->mac, value, (field->bits + 7) / 8);
    return 0;
}

static int parse_out(const struct esw_port *port, const struct rte_flow_action *action,
                     uint16_t port_id, struct esw_op *op, struct rte_flow_error *error)
{
    const struct esw_port *out = esw_port_of_ethdev(port->esw, port_id);

    if (!out)
        return rte_flow_error_set(error, ENODEV, RTE_FLOW_ERROR_TYPE_ACTION_CONF, action,
                                  "the action's port is none of this e-switch");
    op->type = action->type == RTE_FLOW_ACTION_TYPE_PORT_REPRESENTOR ? ESW_OP_TO_APP
                                                                     : ESW_OP_TO_WIRE_OR_VF;
    op->port = out->index;
    return 0;
}

// The actions that set a field, one of two by their type. They begin alike: with the value.
static void set_field(const struct rte_flow_action *action, bool src, uint8_t only_l3, size_t size,
                      enum esw_op_type src_op, struct esw_op *op)
{
    *op = (struct esw_op){.type = src ? src_op : src_op + 1, .only_l3 = only_l3};
    memcpy(&op->mac, action->conf, size);
}

// Fills in op for an action that does something to packets.
static int parse_op(const struct esw_port *port, const struct rte_flow_action *action,
                    struct esw_op *op, struct rte_flow_error *error)
{
    const void *conf = action->conf;

    switch (action->type) {
    case RTE_FLOW_ACTION_TYPE_SET_MAC_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_MAC_DST:
        set_field(action, action->type == RTE_FLOW_ACTION_TYPE_SET_MAC_SRC, 0, RTE_ETHER_ADDR_LEN,
                  ESW_OP_SET_ETH_SRC, op);
        return 0;
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_DST:
        set_field(action, action->type == RTE_FLOW_ACTION_TYPE_SET_IPV4_SRC, 4, 4,
                  ESW_OP_SET_IP_SRC, op);
        return 0;
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_DST:
        set_field(action, action->type == RTE_FLOW_ACTION_TYPE_SET_IPV6_SRC, 6, 16,
                  ESW_OP_SET_IP_SRC, op);
        return 0;
    case RTE_FLOW_ACTION_TYPE_SET_TP_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_TP_DST:
        set_field(action, action->type == RTE_FLOW_ACTION_TYPE_SET_TP_SRC, 0, 2, ESW_OP_SET_L4_SRC,
                  op);
        return 0;
    case RTE_FLOW_ACTION_TYPE_SET_IPV4_DSCP:
    case RTE_FLOW_ACTION_TYPE_SET_IPV6_DSCP:
        set_dscp(op, action->type == RTE_FLOW_ACTION_TYPE_SET_IPV4_DSCP ? 4 : 6,
                 ((const struct rte_flow_action_set_dscp *)conf)->dscp);
        return 0;
    case RTE_FLOW_ACTION_TYPE_DEC_TTL:
        op->type = ESW_OP_ADD_TTL;
        op->number = UINT8_MAX;
        return 0;
    case RTE_FLOW_ACTION_TYPE_SET_TTL:
        op->type = ESW_OP_SET_TTL;
        op->number = ((const struct rte_flow_action_set_ttl *)conf)->ttl_value;
        return 0;
    case RTE_FLOW_ACTION_TYPE_MODIFY_FIELD:
        return parse_modify(action, op, error);
    case RTE_FLOW_ACTION_TYPE_OF_PUSH_VLAN:
        op->type = ESW_OP_PUSH_VLAN;
        op->tpid = ((const struct rte_flow_action_of_push_vlan *)conf)->ethertype;
        return 0;
    case RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_VID:
        op->type = ESW_OP_SET_VLAN_VID;
        op->tci = ((const struct rte_flow_action_of_set_vlan_vid *)conf)->vlan_vid;
        return 0;
    case RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_PCP:
        op->type = ESW_OP_SET_VLAN_PCP;
        op->tci = rte_cpu_to_be_16(
            (uint16_t)(((const struct rte_flow_action_of_set_vlan_pcp *)conf)->vlan_pcp << 13));
        return 0;
    case RTE_FLOW_ACTION_TYPE_OF_POP_VLAN:
        op->type = ESW_OP_POP_VLAN;
        return 0;
    case RTE_FLOW_ACTION_TYPE_METER:
        op->type = ESW_OP_METER;
        op->number = ((const struct rte_flow_action_meter *)conf)->mtr_id;
        if (!esw_meter_find(&port->meters, op->number))
            return refuse(error, ENOENT, action, "this port has no such meter");
        return 0;
    case RTE_FLOW_ACTION_TYPE_JUMP:
        op->type = ESW_OP_JUMP;
        op->number = ((const struct rte_flow_action_jump *)conf)->group;
        return 0;
    case RTE_FLOW_ACTION_TYPE_DROP:
        op->type = ESW_OP_DROP;
        return 0;
    case RTE_FLOW_ACTION_TYPE_PORT_ID: {
        const struct rte_flow_action_port_id *id = conf;

        return parse_out(port, action, id->original ? port->port_id : (uint16_t)id->id, op, error);
    }
    default: // REPRESENTED_PORT, PORT_REPRESENTOR
        return parse_out(port, action, ((const struct rte_flow_action_ethdev *)conf)->port_id, op,
                         error);
    }
}

static bool ends(enum esw_op_type type)
{
    return type == ESW_OP_JUMP || type == ESW_OP_DROP;
}

int esw_parse_actions(const struct esw_port *port, const struct rte_flow_action actions[],
                      struct esw_program *program, struct rte_flow_error *error)
{
    const struct rte_flow_action *action;
    bool fate = false, ended = false;

    for (action = actions; action->type != RTE_FLOW_ACTION_TYPE_END; action++) {
        const struct action_kind *kind = kind_of(action->type);
        struct esw_op op = {0};
        int ret;

        if (action->type == RTE_FLOW_ACTION_TYPE_VOID)
            continue;
        if (action->type == RTE_FLOW_ACTION_TYPE_INDIRECT) {
            ret = esw_indirect_use(port, action, program, error);
            if (ret)
                return ret;
            continue;
        }
        if (!kind)
            return refuse(error, ENOTSUP, action, "net_esw does not have this action");
        if (ended)
            return refuse(error, EINVAL, action, "nothing may follow jump or drop");
        if (!kind->optional && !action->conf)
            return refuse(error, EINVAL, action, "the action lacks its configuration");
        if (action->type == RTE_FLOW_ACTION_TYPE_COUNT) {
            program->count = true;
            continue;
        }
        if (action->type == RTE_FLOW_ACTION_TYPE_AGE) {
            const struct rte_flow_action_age *age = action->conf;

            if (program->age)
                return refuse(error, EINVAL, action, "one age only");
            program->age = true;
            program->age_timeout = age->timeout;
            program->age_context = age->context;
            continue;
        }
        ret = parse_op(port, action, &op, error);
        if (ret)
            return ret;
        if (op.type == ESW_OP_METER && program->meter)
            return refuse(error, ENOTSUP, action, "one meter only");
        if (op.type == ESW_OP_METER)
            program->meter = esw_meter_find(&port->meters, op.number);
        if (op.type == ESW_OP_JUMP && op.number == program->group)
            return refuse(error, EINVAL, action, "a rule cannot jump to its own group");
        if ((op.type == ESW_OP_SET_L4_SRC || op.type == ESW_OP_SET_L4_DST) && program->key.l4 &&
            program->key.l4 != IPPROTO_TCP && program->key.l4 != IPPROTO_UDP)
            return refuse(error, EINVAL, action, "ports of TCP and UDP only");
        if (program->n_ops == ESW_OPS_MAX)
            return refuse(error, ENOTSUP, action, "too many actions");
        program->ops[program->n_ops++] = op;
        ended = ends(op.type);
        fate = fate || ended || op.type == ESW_OP_TO_APP || op.type == ESW_OP_TO_WIRE_OR_VF;
    }
    if (!fate)
        return refuse(error, EINVAL, action, "the actions do not say where packets go");
    return 0;
}
