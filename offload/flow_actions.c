/* SPDX-License-Identifier: Apache-2.0 */
// What a rule does to packets -> rte_flow's actions.
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "offload/flow_internal.h"

// The fields that NICs set, and the two ways to say it.
static const struct field {
    enum action_type action;
    enum flow_family family; // of packets of this family; NONE: of all
    uint8_t proto;           // of packets of this protocol; 0: of all
    enum rte_flow_action_type set;
    enum rte_flow_field_id modify;
    unsigned bits;
} fields[] = {
#define FIELD(action, family, proto, set, modify, bits)                                            \
    {                                                                                              \
        ACTION_SET_##action, FLOW_FAMILY_##family, proto, RTE_FLOW_ACTION_TYPE_SET_##set,          \
            RTE_FLOW_FIELD_##modify, bits                                                          \
    }
    FIELD(ETH_SRC, NONE, 0, MAC_SRC, MAC_SRC, 48),
    FIELD(ETH_DST, NONE, 0, MAC_DST, MAC_DST, 48),
    FIELD(IP_SRC, IPV4, 0, IPV4_SRC, IPV4_SRC, 32),
    FIELD(IP_SRC, IPV6, 0, IPV6_SRC, IPV6_SRC, 128),
    FIELD(IP_DST, IPV4, 0, IPV4_DST, IPV4_DST, 32),
    FIELD(IP_DST, IPV6, 0, IPV6_DST, IPV6_DST, 128),
    FIELD(IP_TOS, IPV4, 0, IPV4_DSCP, IPV4_DSCP, 6),
    FIELD(IP_TOS, IPV6, 0, IPV6_DSCP, IPV6_DSCP, 6),
    FIELD(L4_SRC, NONE, IPPROTO_TCP, TP_SRC, TCP_PORT_SRC, 16),
    FIELD(L4_SRC, NONE, IPPROTO_UDP, TP_SRC, UDP_PORT_SRC, 16),
    FIELD(L4_DST, NONE, IPPROTO_TCP, TP_DST, TCP_PORT_DST, 16),
    FIELD(L4_DST, NONE, IPPROTO_UDP, TP_DST, UDP_PORT_DST, 16),
#undef FIELD
};

#define DSCP_MASK 0xfc // RFC 2474 section 3

static bool has_action(const struct rule *rule, enum action_type a, enum action_type b)
{
    for (unsigned i = 0; i < rule->n_actions; i++) {
        if (rule->actions[i].type == a || rule->actions[i].type == b)
            return true;
    }
    return false;
}

bool flow_sets_address(const struct rule *rule)
{
    return has_action(rule, ACTION_SET_IP_SRC, ACTION_SET_IP_DST);
}

// The protocol of all packets that match; 0: not known.
static uint8_t proto_of(const struct rule *rule)
{
    return rule->match.mask.ip_proto == 0xff ? rule->match.spec.ip_proto : 0;
}

bool flow_sets_port(const struct rule *rule)
{
    uint8_t proto = proto_of(rule);

    return (proto == IPPROTO_TCP || proto == IPPROTO_UDP) &&
           has_action(rule, ACTION_SET_L4_SRC, ACTION_SET_L4_DST);
}

static void modify(struct flow *flow, enum rte_flow_modify_op op, enum rte_flow_field_id field,
                   const void *value, unsigned bits)
{
    struct rte_flow_action_modify_field *modify =
        &flow_add_action(flow, RTE_FLOW_ACTION_TYPE_MODIFY_FIELD)->modify;

    modify->operation = op;
    modify->dst.field = field;
    modify->src.field = RTE_FLOW_FIELD_VALUE;
    memcpy(modify->src.value, value, (bits + 7) / 8);
    modify->width = bits;
}

// mlx5's firmware keeps the checksums of TCP and UDP right, and ICMP's has no addresses in it (RFC
// 792); the kernel's driver refuses to set addresses of anything else.
static int check_address(const struct rule *rule, const struct in6_addr *ip,
                         enum flow_family family, char **error)
{
    uint8_t proto = proto_of(rule);

    if (family != (ip_is_v4(ip) ? FLOW_FAMILY_IPV4 : FLOW_FAMILY_IPV6))
        return flow_refuse(error, "it sets an address and does not match IPv4 or IPv6 as that is");
    if (proto != IPPROTO_TCP && proto != IPPROTO_UDP &&
        !(proto == IPPROTO_ICMP && family == FLOW_FAMILY_IPV4))
        return flow_refuse(error, "it sets an address and does not match TCP, UDP or ICMP of IPv4: "
                                  "NICs keep no other checksums right");
    return 0;
}

static int set_field(const struct rule *rule, const struct action *action, enum flow_family family,
                     enum flow_rewrite rewrite, struct flow *flow, char **error)
{
    const struct field *field = fields, *end = fields + RTE_DIM(fields);
    uint8_t dscp = action->byte.value >> 2;
    const void *value = &action->mac; // as are all the others, but
    int r;

    if (action->type == ACTION_SET_IP_SRC || action->type == ACTION_SET_IP_DST) {
        r = check_address(rule, &action->ip, family, error);
        if (r < 0)
            return r;
        value = ip_is_v4(&action->ip) ? &action->ip.s6_addr32[3] : action->ip.s6_addr32;
    } else if (action->type == ACTION_SET_IP_TOS) {
        if (action->byte.mask != DSCP_MASK)
            return flow_refuse(error, "it sets ECN, or a part of DSCP, and NICs set DSCP whole");
        value = &dscp;
    }
    while (field < end && (field->action != action->type ||
                           (field->family != FLOW_FAMILY_NONE && field->family != family) ||
                           (field->proto && field->proto != proto_of(rule))))
        field++;
    if (field == end)
        return flow_refuse(error, action->type == ACTION_SET_IP_TOS
                                      ? "it sets DSCP and does not match IPv4 or IPv6"
                                      : "it sets ports and does not match TCP or UDP: NICs keep no "
                                        "other checksums right");
    if (rewrite == FLOW_REWRITE_SET)
        memcpy(flow_add_action(flow, field->set), value, (field->bits + 7) / 8);
    else
        modify(flow, RTE_FLOW_MODIFY_SET, field->modify, value, field->bits);
    return 0;
}

static int dec_ttl(struct flow *flow, enum flow_rewrite rewrite, enum flow_family family,
                   char **error)
{
    unsigned i = flow->n_actions;

    if (family == FLOW_FAMILY_NONE)
        return flow_refuse(error, "it decrements the TTL and does not match IPv4 or IPv6");
    if (rewrite == FLOW_REWRITE_SET) {
        flow_add_action(flow, RTE_FLOW_ACTION_TYPE_DEC_TTL);
        flow->actions[i].conf = NULL; // it has none
    } else {
        modify(flow, RTE_FLOW_MODIFY_SUB,
               family == FLOW_FAMILY_IPV4 ? RTE_FLOW_FIELD_IPV4_TTL : RTE_FLOW_FIELD_IPV6_HOPLIMIT,
               &(uint8_t){1}, 8);
    }
    return 0;
}

// All VLAN actions come to one tag or none, as the frames that rules in the NIC see have none: of
// these there is nothing to pop or to set. mlx5 wants it before other changes.
static int add_tag(const struct rule *rule, struct flow *flow, char **error)
{
    rte_be16_t tpid = 0, tci = 0;

    for (unsigned i = 0; i < rule->n_actions; i++) {
        const struct action *action = &rule->actions[i];

        if (action->type != ACTION_PUSH_VLAN && action->type != ACTION_POP_VLAN &&
            action->type != ACTION_SET_VLAN)
            continue;
        if (rule->match.mask.vlan_tci && rule->match.spec.vlan_tci)
            return flow_refuse(error, "it changes tags of tagged frames, which are software's");
        if (action->type == ACTION_PUSH_VLAN && tpid)
            return flow_refuse(error, "it pushes two VLAN tags");
        if (action->type == ACTION_SET_VLAN && tpid)
            tci = (tci & ~action->tci.mask) | (action->tci.value & action->tci.mask);
        else if (action->type != ACTION_SET_VLAN)
            tci = 0;
        if (action->type != ACTION_SET_VLAN)
            tpid = action->type == ACTION_PUSH_VLAN ? action->l4 : 0;
    }
    if (!tpid)
        return 0;
    flow_add_action(flow, RTE_FLOW_ACTION_TYPE_OF_PUSH_VLAN)->push_vlan.ethertype = tpid;
    flow_add_action(flow, RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_VID)->vlan_vid.vlan_vid =
        tci & RTE_BE16(0x0fff);
    flow_add_action(flow, RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_PCP)->vlan_pcp.vlan_pcp =
        (uint8_t)(rte_be_to_cpu_16(tci) >> 13);
    return 0;
}

static int add_output(const struct rule *rule, const struct action *action,
                      offload_port_fn *port_of, struct flow *flow, char **error)
{
    uint16_t no = action->type == ACTION_OUTPUT ? action->port : rule->match.in_port;
    struct offload_port port;
    int r;

    if (action->type == ACTION_IN_PORT && rule->match.in_port == PORT_NONE)
        return flow_refuse(error, "it sends packets back, and does not say by which port");
    // In OpenFlow, what a port sent does not go back there, unless IN_PORT says so.
    if (rule_table_is_policy(rule->table) && action->type == ACTION_OUTPUT &&
        (rule->match.in_port == PORT_NONE || rule->match.in_port == no))
        return flow_refuse(error, "it may send packets to the port that they came in by, which "
                                  "software prevents");
    r = flow_find_port(port_of, no, &port, error);
    if (r < 0)
        return r;
    if (port.no_output)
        return flow_refuse(error, port.no_output);
    flow->out_ethdev = port.ethdev;
    flow->outputs = true;
    flow_add_action(flow, RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT)->ethdev.port_id = port.ethdev;
    return 0;
}

static void add_drop(struct flow *flow)
{
    unsigned n = flow->n_actions;

    flow_add_action(flow, RTE_FLOW_ACTION_TYPE_DROP);
    flow->actions[n].conf = NULL; // it has none
}

static uint32_t jump_group(const struct rule *rule, const struct action *action, bool policy)
{
    if (action->type == ACTION_UPLINKS)
        return RULE_TABLE_UPLINKS;
    if (rule->table == RULE_TABLE_GUARD && policy)
        return RULE_TABLE_POLICY;
    return action->type == ACTION_NORMAL ? RULE_TABLE_FORWARD : action->table;
}

int flow_add_actions(const struct rule *rule, offload_port_fn *port_of, enum flow_family family,
                     const struct flow_way *way, struct flow *flow, char **error)
{
    bool modified, final = false;
    int r = add_tag(rule, flow, error);

    modified = flow->n_actions > 1; // COUNT
    for (unsigned i = 0; i < rule->n_actions && r == 0; i++) {
        const struct action *action = &rule->actions[i];

        if (final)
            return flow_refuse(error, "it goes on after an action that ends a NIC rule");
        switch (action->type) {
        case ACTION_SET_ETH_SRC:
        case ACTION_SET_ETH_DST:
        case ACTION_SET_IP_SRC:
        case ACTION_SET_IP_DST:
        case ACTION_SET_IP_TOS:
        case ACTION_SET_L4_SRC:
        case ACTION_SET_L4_DST:
            r = set_field(rule, action, family, way->rewrite, flow, error);
            modified = true;
            break;
        case ACTION_DEC_TTL:
            r = dec_ttl(flow, way->rewrite, family, error);
            modified = true;
            break;
        case ACTION_PUSH_VLAN: // see add_tag
        case ACTION_POP_VLAN:
        case ACTION_SET_VLAN:
            break;
        case ACTION_GOTO_TABLE:
        case ACTION_NORMAL:
        case ACTION_UPLINKS:
            // The next group may not know what to do with the packet; software must then get it as
            // it was.
            if (modified)
                return flow_refuse(error, "it changes the packet and then goes on to another "
                                          "table");
            flow_add_action(flow, RTE_FLOW_ACTION_TYPE_JUMP)->jump.group =
                jump_group(rule, action, way->policy);
            final = true;
            break;
        case ACTION_OUTPUT:
        case ACTION_IN_PORT:
            r = add_output(rule, action, port_of, flow, error);
            final = true;
            break;
        case ACTION_DROP:
            add_drop(flow);
            final = true;
            break;
        case ACTION_PUNT:
            return flow_refuse(error, "it hands packets to the daemon");
        case ACTION_METER:
            return flow_refuse(error, "it has a meter: of its packets some are always software's, "
                                      "and two meters would let twice the rate pass");
        default:
            return flow_refuse(error, "rules with this action stay in software");
        }
    }
    if (r < 0)
        return r;
    // An operator's rule without an output drops (OpenFlow 1.5.1 section 5.8).
    if (!final && !rule_table_is_policy(rule->table))
        return flow_refuse(error, "it does not say where the packet goes");
    if (!final)
        add_drop(flow);
    return 0;
}
