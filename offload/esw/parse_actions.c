/* SPDX-License-Identifier: Apache-2.0 */
// The actions of a rule.
#include <errno.h>
#include <string.h>

#include "offload/esw/parse.h"

static int refuse(struct rte_flow_error *error, int err, const struct rte_flow_action *action,
                  const char *message)
{
    return rte_flow_error_set(error, err, RTE_FLOW_ERROR_TYPE_ACTION, action, message);
}

// MODIFY_FIELD with an immediate value, for what Sluice's rules need.
static int parse_modify(const struct rte_flow_action *action, struct esw_op *op,
                        struct rte_flow_error *error)
{
    const struct rte_flow_action_modify_field *modify = action->conf;
    const uint8_t *value;
    bool mac, ttl;

    if (modify->src.field == RTE_FLOW_FIELD_VALUE)
        value = modify->src.value;
    else if (modify->src.field == RTE_FLOW_FIELD_POINTER)
        value = modify->src.pvalue;
    else
        return refuse(error, ENOTSUP, action, "modify_field: the source must be a value");
    if (modify->dst.level > 0 || modify->dst.offset > 0)
        return refuse(error, ENOTSUP, action, "modify_field: whole outermost fields only");

    mac =
        modify->dst.field == RTE_FLOW_FIELD_MAC_SRC || modify->dst.field == RTE_FLOW_FIELD_MAC_DST;
    ttl = modify->dst.field == RTE_FLOW_FIELD_IPV4_TTL ||
          modify->dst.field == RTE_FLOW_FIELD_IPV6_HOPLIMIT;
    if (mac && modify->operation == RTE_FLOW_MODIFY_SET && modify->width == 48) {
        op->type =
            modify->dst.field == RTE_FLOW_FIELD_MAC_SRC ? ESW_OP_SET_ETH_SRC : ESW_OP_SET_ETH_DST;
        memcpy(&op->mac, value, sizeof(op->mac));
        return 0;
    }
    if (ttl && modify->width == 8) {
        op->type = modify->operation == RTE_FLOW_MODIFY_SET ? ESW_OP_SET_TTL : ESW_OP_ADD_TTL;
        op->number = modify->operation == RTE_FLOW_MODIFY_SUB ? (uint8_t)-value[0] : value[0];
        return 0;
    }
    return refuse(error, ENOTSUP, action, "modify_field: MACs and TTL only");
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

// Fills in op for an action that does something to packets.
static int parse_op(const struct esw_port *port, const struct rte_flow_action *action,
                    struct esw_op *op, struct rte_flow_error *error)
{
    switch (action->type) {
    case RTE_FLOW_ACTION_TYPE_SET_MAC_SRC:
    case RTE_FLOW_ACTION_TYPE_SET_MAC_DST:
        op->type = action->type == RTE_FLOW_ACTION_TYPE_SET_MAC_SRC ? ESW_OP_SET_ETH_SRC
                                                                    : ESW_OP_SET_ETH_DST;
        memcpy(&op->mac, ((const struct rte_flow_action_set_mac *)action->conf)->mac_addr,
               sizeof(op->mac));
        return 0;
    case RTE_FLOW_ACTION_TYPE_DEC_TTL:
        op->type = ESW_OP_ADD_TTL;
        op->number = UINT8_MAX;
        return 0;
    case RTE_FLOW_ACTION_TYPE_SET_TTL:
        op->type = ESW_OP_SET_TTL;
        op->number = ((const struct rte_flow_action_set_ttl *)action->conf)->ttl_value;
        return 0;
    case RTE_FLOW_ACTION_TYPE_MODIFY_FIELD:
        return parse_modify(action, op, error);
    case RTE_FLOW_ACTION_TYPE_OF_PUSH_VLAN:
        op->type = ESW_OP_PUSH_VLAN;
        op->tpid = ((const struct rte_flow_action_of_push_vlan *)action->conf)->ethertype;
        return 0;
    case RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_VID:
        op->type = ESW_OP_SET_VLAN_VID;
        op->tci = ((const struct rte_flow_action_of_set_vlan_vid *)action->conf)->vlan_vid;
        return 0;
    case RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_PCP:
        op->type = ESW_OP_SET_VLAN_PCP;
        op->tci = rte_cpu_to_be_16(
            (uint16_t)(((const struct rte_flow_action_of_set_vlan_pcp *)action->conf)->vlan_pcp
                       << 13));
        return 0;
    case RTE_FLOW_ACTION_TYPE_OF_POP_VLAN:
        op->type = ESW_OP_POP_VLAN;
        return 0;
    case RTE_FLOW_ACTION_TYPE_JUMP:
        op->type = ESW_OP_JUMP;
        op->number = ((const struct rte_flow_action_jump *)action->conf)->group;
        return 0;
    case RTE_FLOW_ACTION_TYPE_DROP:
        op->type = ESW_OP_DROP;
        return 0;
    case RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT:
    case RTE_FLOW_ACTION_TYPE_PORT_REPRESENTOR:
        return parse_out(port, action,
                         ((const struct rte_flow_action_ethdev *)action->conf)->port_id, op, error);
    case RTE_FLOW_ACTION_TYPE_PORT_ID: { // deprecated, OVS 3.1 uses it
        const struct rte_flow_action_port_id *conf = action->conf;

        return parse_out(port, action, conf->original ? port->port_id : (uint16_t)conf->id, op,
                         error);
    }
    default:
        return refuse(error, ENOTSUP, action, "net_esw does not have this action");
    }
}

static bool needs_conf(enum rte_flow_action_type type)
{
    return type != RTE_FLOW_ACTION_TYPE_COUNT && type != RTE_FLOW_ACTION_TYPE_DEC_TTL &&
           type != RTE_FLOW_ACTION_TYPE_OF_POP_VLAN && type != RTE_FLOW_ACTION_TYPE_DROP;
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
        struct esw_op op = {0};
        int ret;

        if (action->type == RTE_FLOW_ACTION_TYPE_VOID)
            continue;
        if (ended)
            return refuse(error, EINVAL, action, "nothing may follow jump or drop");
        if (needs_conf(action->type) && !action->conf)
            return refuse(error, EINVAL, action, "the action lacks its configuration");
        if (action->type == RTE_FLOW_ACTION_TYPE_COUNT) {
            program->count = true;
            continue;
        }
        if (action->type == RTE_FLOW_ACTION_TYPE_AGE) {
            const struct rte_flow_action_age *age = action->conf;

            program->age = true;
            program->age_timeout = age->timeout;
            program->age_context = age->context;
            continue;
        }
        ret = parse_op(port, action, &op, error);
        if (ret)
            return ret;
        if (op.type == ESW_OP_JUMP && op.number == program->group)
            return refuse(error, EINVAL, action, "a rule cannot jump to its own group");
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
