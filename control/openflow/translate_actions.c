/* SPDX-License-Identifier: Apache-2.0 */
// OpenFlow's actions as the rule model's. What the model does not have, or what would be done
// otherwise than OpenFlow says, is refused.
#include "control/openflow/internal.h"

#include "openvswitch/meta-flow.h"
#include "openvswitch/ofp-actions.h"
#include "util.h"

struct translation {
    const struct action_context *context;
    struct action *actions;
    uint8_t n;
    bool too_many;
    bool ends; // nothing may follow
    enum { TAG_UNKNOWN, TAG_NONE, TAGGED } tag;
};

static void add(struct translation *t, struct action action)
{
    if (t->n == RULE_ACTIONS_MAX)
        t->too_many = true;
    else
        t->actions[t->n++] = action;
}

static struct rte_ether_addr mac_of(const struct eth_addr *address)
{
    struct rte_ether_addr mac;

    memcpy(&mac, address, sizeof(mac));
    return mac;
}

static struct in6_addr mapped(ovs_be32 address)
{
    struct in6_addr ip = IN6ADDR_ANY_INIT;

    ip.s6_addr32[2] = htonl(0xffff);
    ip.s6_addr32[3] = address;
    return ip;
}

static void add_tci(struct translation *t, uint16_t value, uint16_t mask)
{
    add(t, (struct action){
               .type = ACTION_SET_VLAN,
               .tci = {.value = htons(value), .mask = htons(mask)},
           });
}

// A field of one register, or of several: the one with the lowest number holds the upper bits.
static void set_regs(struct translation *t, const struct ofpact_set_field *sf, unsigned first)
{
    const uint8_t *value = sf->value->b, *mask = ofpact_set_field_mask(sf)->b;

    for (unsigned i = 0; i < sf->field->n_bytes / 4; i++) {
        struct action set = {.type = ACTION_SET_REG, .index = first + i};

        memcpy(&set.reg.value, value + 4 * i, 4);
        memcpy(&set.reg.mask, mask + 4 * i, 4);
        set.reg.value &= set.reg.mask;
        if (set.reg.mask)
            add(t, set);
    }
}

// OpenFlow 1.0's actions tag a frame that has no tag: whether it has one must be known.
static enum ofperr set_tci(struct translation *t, uint16_t value, uint16_t mask, bool push)
{
    if (push && t->tag == TAG_UNKNOWN)
        return OFPERR_OFPBAC_MATCH_INCONSISTENT;
    if (push && t->tag == TAG_NONE) {
        add(t, (struct action){.type = ACTION_PUSH_VLAN, .l4 = htons(ETH_TYPE_VLAN_8021Q)});
        t->tag = TAGGED;
    }
    if (t->tag != TAG_NONE)
        add_tci(t, value, mask);
    return 0;
}

static enum ofperr packet_in(struct translation *t, uint16_t max_len, uint16_t controller,
                             enum ofp_packet_in_reason reason)
{
    // OpenFlow 1.3.5 section 7.4.1: of a table-miss entry the reason is no match.
    if (reason == OFPR_ACTION && t->context->table_miss)
        reason = OFPR_NO_MATCH;
    add(t, (struct action){
               .type = ACTION_PUNT,
               .max_len = max_len,
               .punt = {.controller = controller, .reason = reason},
           });
    return 0;
}

static enum ofperr output(struct translation *t, const struct ofpact_output *o)
{
    switch (o->port) {
    case OFPP_IN_PORT:
        add(t, (struct action){.type = ACTION_IN_PORT});
        return 0;
    case OFPP_ALL:
    case OFPP_FLOOD: // no port is left out of a flood: port_mod is refused
        add(t, (struct action){.type = ACTION_ALL});
        return 0;
    case OFPP_NORMAL:
        add(t, (struct action){.type = ACTION_NORMAL});
        return 0;
    case OFPP_CONTROLLER:
        return packet_in(t, o->max_len, 0,
                         t->context->place == IN_PACKET_OUT ? OFPR_PACKET_OUT
                         : t->context->place == IN_BUCKET   ? OFPR_GROUP
                                                            : OFPR_ACTION);
    case OFPP_TABLE: // of packet-outs only, says OpenFlow
        if (t->context->place != IN_PACKET_OUT)
            return OFPERR_OFPBAC_BAD_OUT_PORT;
        add(t, (struct action){.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_POLICY});
        t->ends = true;
        return 0;
    default:
        if (port_from_ofp(o->port) == PORT_NONE)
            return OFPERR_OFPBAC_BAD_OUT_PORT;
        add(t, (struct action){.type = ACTION_OUTPUT, .port = port_from_ofp(o->port)});
        return 0;
    }
}

static enum ofperr controller(struct translation *t, const struct ofpact_controller *c)
{
    if (c->pause || c->userdata_len || c->meter_id != NX_CTLR_NO_METER)
        return OFPERR_OFPBAC_BAD_ARGUMENT;
    return packet_in(t, c->max_len, c->controller_id, c->reason);
}

static enum ofperr go_to(struct translation *t, uint8_t table, enum ofperr refusal)
{
    bool later = t->context->place == IN_PACKET_OUT ||
                 (t->context->place == IN_RULE && table > t->context->table);

    if (!later || table >= POLICY_TABLES)
        return refusal;
    add(t, (struct action){.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_POLICY + table});
    t->ends = true;
    return 0;
}

static enum ofperr resubmit(struct translation *t, const struct ofpact_resubmit *r)
{
    if (r->in_port != OFPP_IN_PORT || r->with_ct_orig)
        return OFPERR_OFPBAC_BAD_ARGUMENT;
    return go_to(t, r->table_id, OFPERR_OFPBRC_BAD_TABLE_ID);
}

// A field with a value of 8 bits of an IP header's DSCP and ECN byte.
static void add_tos(struct translation *t, uint8_t value, uint8_t mask)
{
    add(t, (struct action){
               .type = ACTION_SET_IP_TOS,
               .byte = {.value = value & mask, .mask = mask},
           });
}

// Fields of which all bits are set, or it is refused.
static enum ofperr set_whole_field(struct translation *t, const struct ofpact_set_field *sf)
{
    const union mf_value *value = sf->value;

    if (!is_all_ones(ofpact_set_field_mask(sf), sf->field->n_bytes))
        return OFPERR_OFPBAC_BAD_SET_MASK;
    switch ((int)sf->field->id) {
    case MFF_ETH_SRC:
        add(t, (struct action){.type = ACTION_SET_ETH_SRC, .mac = mac_of(&value->mac)});
        return 0;
    case MFF_ETH_DST:
        add(t, (struct action){.type = ACTION_SET_ETH_DST, .mac = mac_of(&value->mac)});
        return 0;
    case MFF_IPV4_SRC:
    case MFF_ARP_SPA:
        add(t, (struct action){.type = ACTION_SET_IP_SRC, .ip = mapped(value->be32)});
        return 0;
    case MFF_IPV4_DST:
    case MFF_ARP_TPA:
        add(t, (struct action){.type = ACTION_SET_IP_DST, .ip = mapped(value->be32)});
        return 0;
    case MFF_IPV6_SRC:
        add(t, (struct action){.type = ACTION_SET_IP_SRC, .ip = value->ipv6});
        return 0;
    case MFF_IPV6_DST:
        add(t, (struct action){.type = ACTION_SET_IP_DST, .ip = value->ipv6});
        return 0;
    case MFF_TCP_SRC:
    case MFF_UDP_SRC:
    case MFF_SCTP_SRC:
        add(t, (struct action){.type = ACTION_SET_L4_SRC, .l4 = value->be16});
        return 0;
    case MFF_TCP_DST:
    case MFF_UDP_DST:
    case MFF_SCTP_DST:
        add(t, (struct action){.type = ACTION_SET_L4_DST, .l4 = value->be16});
        return 0;
    case MFF_ICMPV4_TYPE:
    case MFF_ICMPV6_TYPE:
        add(t, (struct action){.type = ACTION_SET_L4_SRC, .l4 = htons(value->u8)});
        return 0;
    case MFF_ICMPV4_CODE:
    case MFF_ICMPV6_CODE:
        add(t, (struct action){.type = ACTION_SET_L4_DST, .l4 = htons(value->u8)});
        return 0;
    case MFF_ARP_OP:
        add(t, (struct action){.type = ACTION_SET_ARP_OP,
                               .byte = {.value = (uint8_t)ntohs(value->be16), .mask = 0xff}});
        return ntohs(value->be16) > UINT8_MAX ? OFPERR_OFPBAC_BAD_SET_ARGUMENT : 0;
    case MFF_ARP_SHA:
        add(t, (struct action){.type = ACTION_SET_ARP_SHA, .mac = mac_of(&value->mac)});
        return 0;
    case MFF_ARP_THA:
        add(t, (struct action){.type = ACTION_SET_ARP_THA, .mac = mac_of(&value->mac)});
        return 0;
    default:
        return OFPERR_OFPBAC_BAD_SET_TYPE;
    }
}

static enum ofperr set_field(struct translation *t, const struct ofpact_set_field *sf)
{
    const union mf_value *value = sf->value, *mask = ofpact_set_field_mask(sf);

    switch ((int)sf->field->id) {
    case MFF_VLAN_VID:
    case MFF_DL_VLAN:
        // The bit that says that there is a tag is no part of it.
        return set_tci(t, ntohs(value->be16) & VLAN_VID_MASK, ntohs(mask->be16) & VLAN_VID_MASK,
                       false);
    case MFF_VLAN_PCP:
    case MFF_DL_VLAN_PCP:
        return set_tci(t, value->u8 << VLAN_PCP_SHIFT, (mask->u8 & 7) << VLAN_PCP_SHIFT, false);
    case MFF_IP_DSCP:
        add_tos(t, value->u8, mask->u8 & IP_DSCP_MASK);
        return 0;
    case MFF_IP_DSCP_SHIFTED:
        add_tos(t, value->u8 << 2, (mask->u8 << 2) & IP_DSCP_MASK);
        return 0;
    case MFF_IP_ECN:
        add_tos(t, value->u8, mask->u8 & IP_ECN_MASK);
        return 0;
    case MFF_METADATA:
        add(t, (struct action){
                   .type = ACTION_SET_METADATA,
                   .note = {.value = value->be64 & mask->be64, .mask = mask->be64},
               });
        return 0;
    case MFF_REG0:
    case MFF_REG1:
    case MFF_REG2:
    case MFF_REG3:
        set_regs(t, sf, sf->field->id - MFF_REG0);
        return 0;
    case MFF_XREG0:
    case MFF_XREG1:
        set_regs(t, sf, 2 * (sf->field->id - MFF_XREG0));
        return 0;
    case MFF_XXREG0:
        set_regs(t, sf, 0);
        return 0;
    default:
        return set_whole_field(t, sf);
    }
}

static enum ofperr dec_ttl(struct translation *t, const struct ofpact_cnt_ids *ids)
{
    // Whoever else is to be told of an expired TTL would not be.
    if (ids->n_controllers > 1 || (ids->n_controllers == 1 && ids->cnt_ids[0] != 0))
        return OFPERR_OFPBAC_BAD_ARGUMENT;
    add(t, (struct action){.type = ACTION_DEC_TTL});
    return 0;
}

static enum ofperr one(struct translation *t, const struct ofpact *a)
{
    switch ((int)a->type) {
    case OFPACT_OUTPUT:
        return output(t, ofpact_get_OUTPUT(a));
    case OFPACT_CONTROLLER:
        return controller(t, ofpact_get_CONTROLLER(a));
    case OFPACT_GROUP:
        add(t, (struct action){.type = ACTION_GROUP, .id = ofpact_get_GROUP(a)->group_id});
        return 0;
    case OFPACT_METER:
        add(t, (struct action){.type = ACTION_METER, .id = ofpact_get_METER(a)->meter_id});
        return 0;
    case OFPACT_SET_FIELD:
        return set_field(t, ofpact_get_SET_FIELD(a));
    case OFPACT_SET_VLAN_VID:
        return set_tci(t, ofpact_get_SET_VLAN_VID(a)->vlan_vid, VLAN_VID_MASK,
                       ofpact_get_SET_VLAN_VID(a)->push_vlan_if_needed);
    case OFPACT_SET_VLAN_PCP:
        return set_tci(t, ofpact_get_SET_VLAN_PCP(a)->vlan_pcp << VLAN_PCP_SHIFT, VLAN_PCP_MASK,
                       ofpact_get_SET_VLAN_PCP(a)->push_vlan_if_needed);
    case OFPACT_STRIP_VLAN:
        if (t->tag != TAG_NONE)
            add(t, (struct action){.type = ACTION_POP_VLAN});
        t->tag = t->tag == TAGGED ? TAG_UNKNOWN : t->tag; // there may be another tag below it
        return 0;
    case OFPACT_PUSH_VLAN:
        add(t, (struct action){
                   .type = ACTION_PUSH_VLAN,
                   .l4 = ofpact_get_PUSH_VLAN(a)->ethertype,
               });
        t->tag = TAGGED;
        return 0;
    case OFPACT_SET_ETH_SRC:
        add(t, (struct action){
                   .type = ACTION_SET_ETH_SRC,
                   .mac = mac_of(&ofpact_get_SET_ETH_SRC(a)->mac),
               });
        return 0;
    case OFPACT_SET_ETH_DST:
        add(t, (struct action){
                   .type = ACTION_SET_ETH_DST,
                   .mac = mac_of(&ofpact_get_SET_ETH_DST(a)->mac),
               });
        return 0;
    case OFPACT_SET_IPV4_SRC:
        add(t, (struct action){
                   .type = ACTION_SET_IP_SRC,
                   .ip = mapped(ofpact_get_SET_IPV4_SRC(a)->ipv4),
               });
        return 0;
    case OFPACT_SET_IPV4_DST:
        add(t, (struct action){
                   .type = ACTION_SET_IP_DST,
                   .ip = mapped(ofpact_get_SET_IPV4_DST(a)->ipv4),
               });
        return 0;
    case OFPACT_SET_IP_DSCP:
        add_tos(t, ofpact_get_SET_IP_DSCP(a)->dscp, IP_DSCP_MASK);
        return 0;
    case OFPACT_SET_IP_ECN:
        add_tos(t, ofpact_get_SET_IP_ECN(a)->ecn, IP_ECN_MASK);
        return 0;
    case OFPACT_SET_L4_SRC_PORT:
        add(t, (struct action){
                   .type = ACTION_SET_L4_SRC,
                   .l4 = htons(ofpact_get_SET_L4_SRC_PORT(a)->port),
               });
        return 0;
    case OFPACT_SET_L4_DST_PORT:
        add(t, (struct action){
                   .type = ACTION_SET_L4_DST,
                   .l4 = htons(ofpact_get_SET_L4_DST_PORT(a)->port),
               });
        return 0;
    case OFPACT_DEC_TTL:
        return dec_ttl(t, ofpact_get_DEC_TTL(a));
    case OFPACT_WRITE_METADATA:
        add(t, (struct action){
                   .type = ACTION_SET_METADATA,
                   .note = {.value = ofpact_get_WRITE_METADATA(a)->metadata,
                            .mask = ofpact_get_WRITE_METADATA(a)->mask},
               });
        return 0;
    case OFPACT_GOTO_TABLE:
        return go_to(t, ofpact_get_GOTO_TABLE(a)->table_id, OFPERR_OFPBIC_BAD_TABLE_ID);
    case OFPACT_RESUBMIT:
        return resubmit(t, ofpact_get_RESUBMIT(a));
    case OFPACT_NOTE: // means nothing
        return 0;
    case OFPACT_CLEAR_ACTIONS:
    case OFPACT_WRITE_ACTIONS:
        return OFPERR_OFPBIC_UNSUP_INST;
    case OFPACT_ENQUEUE:
    case OFPACT_SET_QUEUE:
        return OFPERR_OFPBAC_BAD_QUEUE;
    default:
        return OFPERR_OFPBAC_BAD_TYPE;
    }
}

static int tag_of(const struct match *match)
{
    ovs_be16 cfi = htons(VLAN_CFI);

    if (match == NULL || !(match->wc.masks.vlans[0].tci & cfi))
        return TAG_UNKNOWN;
    return match->flow.vlans[0].tci & cfi ? TAGGED : TAG_NONE;
}

enum ofperr translate_actions(const struct ofpact *ofpacts, size_t len,
                              const struct action_context *context,
                              struct action actions[RULE_ACTIONS_MAX], uint8_t *n)
{
    struct translation t = {.context = context, .actions = actions, .tag = tag_of(context->match)};
    const struct ofpact *a;

    OFPACT_FOR_EACH(a, ofpacts, len)
    {
        enum ofperr error =
            t.ends && a->type != OFPACT_NOTE ? OFPERR_OFPBAC_UNSUPPORTED_ORDER : one(&t, a);

        if (error)
            return error;
    }
    *n = t.n;
    return t.too_many ? OFPERR_OFPBAC_TOO_MANY : 0;
}
