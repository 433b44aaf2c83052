/* SPDX-License-Identifier: Apache-2.0 */
// OpenFlow's flows as rules: what ovs-ofctl would send, and what the dataplane gets.
#include "control/openflow/internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "openvswitch/ofp-errors.h"
#include "openvswitch/ofp-flow.h"

struct translated {
    enum ofperr error;
    struct sluice_match match;
    struct action actions[RULE_ACTIONS_MAX];
    uint8_t n;
};

static struct translated translate(const char *flow)
{
    struct translated out = {0};
    enum ofputil_protocol protocols;
    struct ofputil_flow_mod mod;
    struct match match;
    char *error = parse_ofp_str(&mod, OFPFC_ADD, flow, NULL, NULL, &protocols);

    if (error)
        fail_msg("%s: %s", flow, error);
    minimatch_expand(&mod.match, &match);
    struct action_context context = {
        .place = IN_RULE,
        .table = mod.table_id == OFPTT_ALL ? 0 : mod.table_id,
        .match = &match,
    };
    out.error = translate_match(&match, &out.match);
    if (!out.error)
        out.error = translate_actions(mod.ofpacts, mod.ofpacts_len, &context, out.actions, &out.n);
    minimatch_destroy(&mod.match);
    free(mod.ofpacts);
    return out;
}

static struct translated accepted(const char *flow)
{
    struct translated out = translate(flow);

    if (out.error)
        fail_msg("%s: refused with %s", flow, ofperr_to_string(out.error));
    return out;
}

static void assert_refused(const char *flow, enum ofperr error)
{
    struct translated out = translate(flow);

    if (out.error != error)
        fail_msg("%s: %s and not %s", flow, out.error ? ofperr_to_string(out.error) : "taken",
                 ofperr_to_string(error));
}

static void a_match_is_copied_field_by_field(void **state)
{
    struct translated t =
        accepted("in_port=LOCAL,tcp,dl_src=02:00:00:00:00:01,nw_src=10.1.10.0/24,nw_dst=10.1.10.5,"
                 "tp_dst=0x10/0xfff0,nw_tos=40,tcp_flags=+syn-ack,metadata=0x5/0xff,reg2=7,"
                 "dl_vlan=9,actions=drop");
    const struct match_fields *spec = &t.match.spec, *mask = &t.match.mask;

    (void)state;
    assert_int_equal(t.match.in_port, 1023);
    assert_int_equal(spec->eth_type, htons(0x0800));
    assert_int_equal(spec->eth_src.addr_bytes[5], 1);
    assert_int_equal(mask->eth_src.addr_bytes[0], 0xff);
    assert_true(IN6_IS_ADDR_V4MAPPED(&spec->ip_src));
    assert_int_equal(spec->ip_src.s6_addr32[3], htonl(0x0a010a00));
    assert_int_equal(mask->ip_src.s6_addr32[0], UINT32_MAX);
    assert_int_equal(mask->ip_src.s6_addr32[3], htonl(0xffffff00));
    assert_int_equal(mask->ip_dst.s6_addr32[3], UINT32_MAX);
    assert_int_equal(spec->ip_proto, 6);
    assert_int_equal(spec->ip_tos, 40);
    assert_int_equal(mask->ip_tos, 0xfc);
    assert_int_equal(spec->l4_dst, htons(0x10));
    assert_int_equal(mask->l4_dst, htons(0xfff0));
    assert_int_equal(spec->tcp_flags, htons(0x002));
    assert_int_equal(mask->tcp_flags, htons(0x012));
    assert_int_equal(spec->metadata, htonll(5));
    assert_int_equal(mask->metadata, htonll(0xff));
    assert_int_equal(spec->reg[2], htonl(7));
    assert_int_equal(mask->reg[1], 0);
    assert_int_equal(spec->vlan_tci, htons(VLAN_PRESENT | 9));
    assert_int_equal(mask->vlan_tci, htons(0x1fff));
    assert_int_equal(t.n, 0);
}

static void what_is_not_matched_has_no_mask(void **state)
{
    static const struct match_fields none;
    struct translated t = accepted("actions=drop");

    (void)state;
    assert_int_equal(t.match.in_port, PORT_NONE);
    assert_memory_equal(&t.match.mask, &none, sizeof(none));
    t = accepted("ipv6,ipv6_dst=fd00::/8,actions=drop");
    assert_int_equal(t.match.mask.ip_dst.s6_addr[0], 0xff);
    assert_int_equal(t.match.mask.ip_dst.s6_addr[1], 0);
    t = accepted("arp,arp_tpa=10.1.10.1,arp_op=1,arp_sha=02:00:00:00:00:01,actions=drop");
    assert_int_equal(t.match.spec.ip_proto, 1);
    assert_int_equal(t.match.spec.ip_dst.s6_addr32[3], htonl(0x0a010a01));
    assert_int_equal(t.match.spec.arp_sha.addr_bytes[0], 2);
    t = accepted("icmp6,icmpv6_type=128,icmpv6_code=1,actions=drop");
    assert_int_equal(t.match.spec.l4_src, htons(128));
    assert_int_equal(t.match.spec.l4_dst, htons(1));
    t = accepted("ip,nw_frag=later,actions=drop");
    assert_int_equal(t.match.spec.ip_frag, IP_FRAG_ANY | IP_FRAG_LATER);
}

static void other_matches_are_refused(void **state)
{
    (void)state;
    assert_refused("ip,nw_ttl=3,actions=drop", OFPERR_OFPBMC_BAD_FIELD);
    assert_refused("reg4=0,actions=drop", OFPERR_OFPBMC_BAD_FIELD);
    assert_refused("tun_id=1,actions=drop", OFPERR_OFPBMC_BAD_FIELD);
    assert_refused("ct_mark=1,actions=drop", OFPERR_OFPBMC_BAD_FIELD);
    assert_refused("mpls,mpls_label=1,actions=drop", OFPERR_OFPBMC_BAD_FIELD);
    assert_refused("ipv6,ipv6_label=1,actions=drop", OFPERR_OFPBMC_BAD_FIELD);
    assert_refused("icmp6,icmpv6_type=136,nd_tll=02:00:00:00:00:01,actions=drop",
                   OFPERR_OFPBMC_BAD_FIELD);
    assert_refused("pkt_mark=1,actions=drop", OFPERR_OFPBMC_BAD_FIELD);
    assert_refused("in_port=1023,actions=drop", OFPERR_OFPBMC_BAD_VALUE);
    assert_refused("in_port=controller,actions=drop", OFPERR_OFPBMC_BAD_VALUE);
    assert_refused("vlan_tci=0x3000/0x3000,actions=drop", OFPERR_OFPBMC_BAD_MASK);
}

static void assert_actions(const char *flow, const enum action_type *types, unsigned n)
{
    struct translated t = accepted(flow);

    assert_int_equal(t.n, n);
    for (unsigned i = 0; i < n; i++)
        assert_int_equal(t.actions[i].type, types[i]);
}
#define ASSERT_ACTIONS(flow, ...)                                                                  \
    assert_actions(flow, (const enum action_type[]){__VA_ARGS__},                                  \
                   sizeof((const enum action_type[]){__VA_ARGS__}) / sizeof(enum action_type))

static void outputs_keep_their_order(void **state)
{
    struct translated t = accepted("actions=output:3,output:LOCAL,in_port,all,normal");

    (void)state;
    assert_int_equal(t.n, 5);
    assert_int_equal(t.actions[0].port, 3);
    assert_int_equal(t.actions[1].port, 1023);
    ASSERT_ACTIONS("actions=output:3,in_port,flood,normal", ACTION_OUTPUT, ACTION_IN_PORT,
                   ACTION_ALL, ACTION_NORMAL);
    t = accepted("actions=controller(max_len=99,reason=invalid_ttl,id=7)");
    assert_int_equal(t.actions[0].type, ACTION_PUNT);
    assert_int_equal(t.actions[0].max_len, 99);
    assert_int_equal(t.actions[0].punt.controller, 7);
    assert_int_equal(t.actions[0].punt.reason, OFPR_INVALID_TTL);
    assert_refused("actions=output:1023", OFPERR_OFPBAC_BAD_OUT_PORT);
    assert_refused("actions=controller(pause)", OFPERR_OFPBAC_BAD_ARGUMENT);
}

static void fields_are_set(void **state)
{
    struct translated t = accepted("tcp,actions=mod_nw_src:10.0.0.1,mod_tp_dst:99,mod_nw_tos:40,"
                                   "mod_dl_dst:02:00:00:00:00:09,dec_ttl,normal");

    (void)state;
    assert_int_equal(t.actions[0].type, ACTION_SET_IP_SRC);
    assert_int_equal(t.actions[0].ip.s6_addr32[3], htonl(0x0a000001));
    assert_true(IN6_IS_ADDR_V4MAPPED(&t.actions[0].ip));
    assert_int_equal(t.actions[1].type, ACTION_SET_L4_DST);
    assert_int_equal(t.actions[1].l4, htons(99));
    assert_int_equal(t.actions[2].byte.value, 40);
    assert_int_equal(t.actions[2].byte.mask, 0xfc);
    assert_int_equal(t.actions[3].mac.addr_bytes[5], 9);
    assert_int_equal(t.actions[4].type, ACTION_DEC_TTL);
    t = accepted("actions=set_field:0x12/0xff->metadata,set_field:0x100000002->xreg1");
    assert_int_equal(t.actions[0].note.mask, htonll(0xff));
    assert_int_equal(t.actions[1].index, 2);
    assert_int_equal(t.actions[1].reg.value, htonl(1));
    assert_int_equal(t.actions[2].index, 3);
    assert_int_equal(t.actions[2].reg.value, htonl(2));
    assert_refused("ip,actions=set_field:10.0.0.0/255.0.0.0->ip_src", OFPERR_OFPBAC_BAD_SET_MASK);
    assert_refused("ip,actions=mod_nw_ttl:3", OFPERR_OFPBAC_BAD_TYPE);
    assert_refused("actions=set_field:1->reg4", OFPERR_OFPBAC_BAD_SET_TYPE);
}

// OpenFlow 1.0's actions tag a frame that has no tag; which it is must be known.
static void tags_are_pushed_where_there_is_none(void **state)
{
    (void)state;
    ASSERT_ACTIONS("vlan_tci=0,actions=mod_vlan_vid:5,normal", ACTION_PUSH_VLAN, ACTION_SET_VLAN,
                   ACTION_NORMAL);
    ASSERT_ACTIONS("dl_vlan=3,actions=mod_vlan_vid:5,strip_vlan,normal", ACTION_SET_VLAN,
                   ACTION_POP_VLAN, ACTION_NORMAL);
    ASSERT_ACTIONS("vlan_tci=0,actions=strip_vlan,normal", ACTION_NORMAL);
    ASSERT_ACTIONS("actions=push_vlan:0x8100,set_field:4101->vlan_vid,output:3", ACTION_PUSH_VLAN,
                   ACTION_SET_VLAN, ACTION_OUTPUT);
    assert_refused("actions=mod_vlan_vid:5", OFPERR_OFPBAC_MATCH_INCONSISTENT);
}

static void tables_only_go_forward(void **state)
{
    struct translated t = accepted("table=2,actions=output:3,resubmit(,7)");

    (void)state;
    assert_int_equal(t.actions[1].type, ACTION_GOTO_TABLE);
    assert_int_equal(t.actions[1].table, RULE_TABLE_POLICY + 7);
    ASSERT_ACTIONS("table=2,actions=write_metadata:1,goto_table:3", ACTION_SET_METADATA,
                   ACTION_GOTO_TABLE);
    assert_refused("table=2,actions=resubmit(,2)", OFPERR_OFPBRC_BAD_TABLE_ID);
    assert_refused("table=2,actions=resubmit(,8)", OFPERR_OFPBRC_BAD_TABLE_ID);
    assert_refused("table=2,actions=resubmit(3,7)", OFPERR_OFPBAC_BAD_ARGUMENT);
    assert_refused("table=2,actions=resubmit(,3),output:1", OFPERR_OFPBAC_UNSUPPORTED_ORDER);
    assert_refused("actions=write_actions(output:1)", OFPERR_OFPBIC_UNSUP_INST);
    assert_refused("actions=clear_actions", OFPERR_OFPBIC_UNSUP_INST);
    assert_refused("actions=learn(table=1)", OFPERR_OFPBAC_BAD_TYPE);
    assert_refused("actions=enqueue:1:1", OFPERR_OFPBAC_BAD_QUEUE);
}

static void sixteen_actions_are_the_most(void **state)
{
    char flow[256] = "actions=output:1";

    (void)state;
    for (int i = 1; i < RULE_ACTIONS_MAX; i++)
        strcat(flow, ",output:1");
    assert_int_equal(accepted(flow).n, RULE_ACTIONS_MAX);
    strcat(flow, ",output:1");
    assert_refused(flow, OFPERR_OFPBAC_TOO_MANY);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_match_is_copied_field_by_field),
        cmocka_unit_test(what_is_not_matched_has_no_mask),
        cmocka_unit_test(other_matches_are_refused),
        cmocka_unit_test(outputs_keep_their_order),
        cmocka_unit_test(fields_are_set),
        cmocka_unit_test(tags_are_pushed_where_there_is_none),
        cmocka_unit_test(tables_only_go_forward),
        cmocka_unit_test(sixteen_actions_are_the_most),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
