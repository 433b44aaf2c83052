/* SPDX-License-Identifier: Apache-2.0 */
// What becomes of frames by the actions of the operator's rules: outputs and copies, NORMAL,
// tables, packet-ins and packet-outs, and which lists of actions are refused. After each test the
// sum rule must hold (node_settle).
#include "tests/unit/policy_fixture.h"

#include <rte_mempool.h>

static const char A4[] = "10.1.10.5", B4[] = "10.1.11.6", WORLD4[] = "192.0.2.7";

static struct frame from_a(const char *to, unsigned payload)
{
    struct frame f;

    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, to, payload);
    return f;
}

static void assert_same(const struct frame *a, const struct frame *b)
{
    assert_int_equal(a->len, b->len);
    assert_memory_equal(a->bytes, b->bytes, a->len);
}

static void send_frame(uint16_t port, const struct frame *f)
{
    frame_send(port, f);
    node_settle();
}

// Each output sees the frame as it was then.
static void copies_for_all_but_the_last(void **state)
{
    struct frame sent = from_a(WORLD4, 50), got;
    struct dp_totals before, after;

    (void)state;
    INSTALL(PORT_OUT(UPLINK0), {.type = ACTION_SET_L4_DST, .l4 = RTE_BE16(7)}, PORT_OUT(UPLINK1),
            {.type = ACTION_SET_L4_DST, .l4 = RTE_BE16(8)}, PORT_OUT(POD_B),
            {.type = ACTION_SET_L4_DST, .l4 = RTE_BE16(9)});
    dp_totals(&before);
    send_frame(POD_A, &sent);
    dp_totals(&after);
    assert_true(frame_recv(UPLINK0, &got));
    assert_same(&got, &sent);
    assert_true(frame_recv(UPLINK1, &got));
    assert_int_equal(got.v4.udp.dst_port, RTE_BE16(7));
    assert_true(frame_recv(POD_B, &got));
    assert_int_equal(got.v4.udp.dst_port, RTE_BE16(8));
    assert_int_equal(after.originated - before.originated, 2);
    assert_nothing_left();
}

static void goes_back_only_by_in_port(void **state)
{
    struct frame sent = from_a(WORLD4, 50), got;

    (void)state;
    INSTALL(PORT_OUT(POD_A));
    assert_dropped(POD_A, &sent, DROP_policy_in_port);
    INSTALL({.type = ACTION_SET_IP_TOS, .byte = {0, 0xff}}, PORT_OUT(POD_A));
    assert_dropped(POD_A, &sent, DROP_policy_in_port);
    INSTALL({.type = ACTION_IN_PORT});
    send_frame(POD_A, &sent);
    assert_true(frame_recv(POD_A, &got));
    assert_same(&got, &sent);
    assert_nothing_left();
}

static void floods_all_but_the_port_it_came_by(void **state)
{
    struct frame sent = from_a(WORLD4, 50), got;

    (void)state;
    INSTALL({.type = ACTION_ALL});
    send_frame(POD_A, &sent);
    for (uint16_t port = 1; port <= NODE_PORTS; port++) {
        assert_int_equal(frame_recv(port, &got), port != POD_A);
        if (port != POD_A)
            assert_same(&got, &sent);
    }
    assert_nothing_left();
}

static void what_is_never_sent_is_dropped(void **state)
{
    struct frame sent = from_a(B4, 50);

    (void)state;
    INSTALL({.type = ACTION_SET_IP_TOS, .byte = {0, 0xff}});
    assert_dropped(POD_A, &sent, DROP_policy);
    INSTALL({.type = ACTION_DROP});
    assert_dropped(POD_A, &sent, DROP_policy);
    INSTALL({.type = ACTION_GROUP, .id = 77});
    assert_dropped(POD_A, &sent, DROP_policy_group);
    INSTALL({.type = ACTION_SET_IP_TOS, .byte = {0, 0xff}}, PORT_OUT(1000));
    frame_send(POD_A, &sent);
    node_settle(); // port_gone at port 1000, which the sum rule knows
    assert_nothing_left();
}

static void too_big_for_the_way_out(void **state)
{
    struct frame sent = from_a(WORLD4, 1400 - 28 + 1), got;

    (void)state;
    INSTALL({.type = ACTION_SET_IP_TOS, .byte = {0, 0xff}}, PORT_OUT(POD_B));
    assert_dropped(POD_A, &sent, DROP_too_big);
    // A tag is no part of what an MTU says.
    INSTALL({.type = ACTION_PUSH_VLAN, .l4 = RTE_BE16(0x8100)}, PORT_OUT(POD_B));
    sent = from_a(WORLD4, 1400 - 28);
    send_frame(POD_A, &sent);
    assert_true(frame_recv(POD_B, &got));
    assert_int_equal(got.len, sent.len + 4);
    assert_nothing_left();
}

static void forwards_what_rules_have_changed(void **state)
{
    struct frame sent = from_a(WORLD4, 50), got;

    (void)state;
    INSTALL({.type = ACTION_SET_IP_DST, .ip = ip(B4)}, {.type = ACTION_NORMAL});
    send_frame(POD_A, &sent);
    assert_true(frame_recv(POD_B, &got));
    assert_int_equal(got.v4.ip.time_to_live, 63);
    assert_int_equal(got.v4.ip.dst_addr, ip(B4).s6_addr32[3]);
    assert_int_equal(rte_ipv4_udptcp_cksum_verify(&got.v4.ip, &got.v4.udp), 0);
    // Before or behind other uses.
    for (unsigned first = 0; first < 2; first++) {
        if (first)
            INSTALL({.type = ACTION_NORMAL}, {.type = ACTION_SET_L4_DST, .l4 = RTE_BE16(7)},
                    PORT_OUT(UPLINK1));
        else
            INSTALL(PORT_OUT(UPLINK1), {.type = ACTION_SET_L4_DST, .l4 = RTE_BE16(7)},
                    {.type = ACTION_NORMAL});
        sent = from_a(B4, 50);
        send_frame(POD_A, &sent);
        assert_true(frame_recv(POD_B, &got));
        assert_int_equal(got.v4.udp.dst_port, first ? RTE_BE16(5000) : RTE_BE16(7));
        assert_int_equal(got.v4.ip.time_to_live, 63);
        assert_true(frame_recv(UPLINK1, &got));
        assert_int_equal(got.v4.udp.dst_port, first ? RTE_BE16(7) : RTE_BE16(5000));
        assert_int_equal(got.v4.ip.time_to_live, 64);
    }
    INSTALL({.type = ACTION_PUSH_VLAN, .l4 = RTE_BE16(0x8100)}, {.type = ACTION_NORMAL});
    assert_dropped(POD_A, &sent, DROP_policy_vlan);
    assert_nothing_left();
}

// The same for what is no IP: the answer is made of what NORMAL was given.
static void answers_arp_and_mirrors_it(void **state)
{
    struct frame sent, got;

    (void)state;
    INSTALL({.type = ACTION_NORMAL}, PORT_OUT(UPLINK1));
    frame_arp(&sent, RTE_ARP_OP_REQUEST, &POD_A_MAC, A4, "10.1.10.1");
    send_frame(POD_A, &sent);
    assert_true(frame_recv(UPLINK1, &got));
    assert_same(&got, &sent);
    assert_true(frame_recv(POD_A, &got));
    assert_int_equal(got.arp.arp.arp_opcode, RTE_BE16(RTE_ARP_OP_REPLY));
    assert_memory_equal(&got.arp.arp.arp_data.arp_sha, &ROUTER_MAC, 6);
    assert_nothing_left();
}

// Later tables see what earlier ones have set.
static void later_tables_match_the_changes(void **state)
{
    const struct action sets[] = {
        {.type = ACTION_SET_IP_DST, .ip = ip("198.51.100.4")},
        {.type = ACTION_SET_L4_SRC, .l4 = RTE_BE16(1234)},
        {.type = ACTION_SET_IP_TOS, .byte = {0x48, 0xfc}},
        {.type = ACTION_SET_METADATA, .note = {RTE_BE64(0x500), RTE_BE64(0xf00)}},
        {.type = ACTION_SET_REG, .index = 2, .reg = {RTE_BE32(5), RTE_BE32(0xff)}},
        {.type = ACTION_SET_ETH_DST, .mac = GATEWAY_MAC},
        {.type = ACTION_PUSH_VLAN, .l4 = RTE_BE16(0x8100)},
    };
    struct frame sent = from_a(WORLD4, 50), got;

    (void)state;
    for (unsigned i = 0; i < RTE_DIM(sets); i++) {
        const struct action to1[] = {sets[i], {.type = ACTION_GOTO_TABLE, .table = TABLE(1)}};
        const struct action out = PORT_OUT(POD_B);
        struct rule rules[2] = {any_rule(0, 1, to1, 2), any_rule(1, 1, &out, 1)};
        struct match_fields *spec = &rules[1].match.spec, *mask = &rules[1].match.mask;

        switch (sets[i].type) {
        case ACTION_SET_IP_DST:
            spec->ip_dst = sets[i].ip;
            memset(&mask->ip_dst, 0xff, 16);
            break;
        case ACTION_SET_L4_SRC:
            spec->l4_src = sets[i].l4;
            mask->l4_src = 0xffff;
            break;
        case ACTION_SET_IP_TOS:
            spec->ip_tos = 0x48;
            mask->ip_tos = 0xfc;
            break;
        case ACTION_SET_METADATA:
            spec->metadata = sets[i].note.value;
            mask->metadata = UINT64_MAX;
            break;
        case ACTION_SET_REG:
            spec->reg[2] = sets[i].reg.value;
            mask->reg[2] = UINT32_MAX;
            break;
        case ACTION_SET_ETH_DST:
            spec->eth_dst = sets[i].mac;
            memset(&mask->eth_dst, 0xff, 6);
            break;
        default:
            spec->vlan_tci = mask->vlan_tci = RTE_BE16(VLAN_PRESENT);
        }
        install(rules, 2);
        send_frame(POD_A, &sent);
        if (!frame_recv(POD_B, &got))
            fail_msg("table 1 did not see change %u", i);
        // And without the change there is none.
        rules[0] = any_rule(0, 1, to1 + 1, 1);
        install(rules, 2);
        assert_dropped(POD_A, &sent, DROP_policy_miss);
    }
}

static void expiry_is_answered(void **state)
{
    struct frame sent = from_a(WORLD4, 50), got;
    uint64_t before = node_drops(POD_A, DROP_ttl_expired);

    (void)state;
    // As a router's rule would; the answer goes by the MACs that the packet came with.
    INSTALL({.type = ACTION_SET_ETH_SRC, .mac = NODE_MAC},
            {.type = ACTION_SET_ETH_DST, .mac = GATEWAY_MAC}, {.type = ACTION_DEC_TTL},
            PORT_OUT(UPLINK0));
    sent.v4.ip.time_to_live = 1;
    frame_sum4(&sent);
    send_frame(POD_A, &sent);
    assert_int_equal(node_drops(POD_A, DROP_ttl_expired), before + 1);
    assert_true(frame_recv(POD_A, &got));
    assert_memory_equal(&got.eth.dst_addr, &POD_A_MAC, 6);
    assert_memory_equal(&got.eth.src_addr, &ROUTER_MAC, 6);
    assert_int_equal(got.v4.icmp.type, ICMP_TIME_EXCEEDED);
    assert_int_equal(got.v4.ip.src_addr, ip("10.1.10.1").s6_addr32[3]);
    sent.v4.ip.time_to_live = 2;
    frame_sum4(&sent);
    send_frame(POD_A, &sent);
    assert_true(frame_recv(UPLINK0, &got));
    assert_int_equal(got.v4.ip.time_to_live, 1);
    assert_nothing_left();
}

static void punts_and_goes_on(void **state)
{
    struct frame sent = from_a(WORLD4, 200), got;
    struct dp_packet_in in;

    (void)state;
    INSTALL({.type = ACTION_PUNT, .max_len = 64, .punt = {.controller = 3, .reason = 1}},
            PORT_OUT(UPLINK0));
    send_frame(POD_A, &sent);
    assert_true(dp_packet_in_recv(&in));
    assert_int_equal(in.in_port, POD_A);
    assert_int_equal(in.len, sent.len);
    assert_int_equal(in.data_len, 64);
    assert_memory_equal(in.data, sent.bytes, 64);
    assert_int_equal(in.controller, 3);
    assert_true(frame_recv(UPLINK0, &got));
    INSTALL({.type = ACTION_SET_L4_DST, .l4 = RTE_BE16(7)}, {.type = ACTION_PUNT, .max_len = 2000});
    send_frame(POD_A, &sent);
    assert_true(dp_packet_in_recv(&in));
    assert_int_equal(in.data_len, sent.len);
    assert_int_equal(in.data[37], 7);
    assert_false(dp_packet_in_recv(&in));
    assert_nothing_left();
}

// Without buffers the copies are lost, by name; the frame itself goes out.
static void copies_need_buffers(void **state)
{
    struct rte_mempool *pool = rte_mempool_lookup("mbufs");
    static struct rte_mbuf *taken[16384];
    struct frame sent = from_a(WORLD4, 50), got;
    unsigned n = 0, through = 0;

    (void)state;
    INSTALL(PORT_OUT(UPLINK0), PORT_OUT(POD_B));
    while (n < RTE_DIM(taken) && (taken[n] = rte_pktmbuf_alloc(pool)))
        n++;
    // Workers have some in their caches.
    for (unsigned i = 0; i < 2000; i++) {
        send_frame(POD_A, &sent);
        assert_true(frame_recv(POD_B, &got));
        through += frame_recv(UPLINK0, &got);
        while (n < RTE_DIM(taken) && (taken[n] = rte_pktmbuf_alloc(pool)))
            n++;
        if (node_drops(POD_A, DROP_policy_no_copy))
            break;
    }
    assert_true(node_drops(POD_A, DROP_policy_no_copy) > 0);
    while (n)
        rte_pktmbuf_free(taken[--n]);
    send_frame(POD_A, &sent);
    assert_true(frame_recv(UPLINK0, &got));
    assert_true(frame_recv(POD_B, &got));
    assert_nothing_left();
}

// A packet-out has no receive count: it is originated.
static void packet_out(uint16_t in_port, struct action action, const struct frame *f)
{
    struct dp_totals before, after;

    dp_totals(&before);
    assert_int_equal(dp_packet_out(in_port, &action, 1, f->bytes, f->len), 0);
    node_settle();
    dp_totals(&after);
    assert_int_equal(after.rx, before.rx);
    assert_true(after.originated > before.originated);
}

static void sends_packet_outs(void **state)
{
    const struct action drop = {.type = ACTION_DROP}, out = PORT_OUT(POD_B);
    const struct action to0 = {.type = ACTION_GOTO_TABLE, .table = TABLE(0)};
    const struct action to_pod_a = PORT_OUT(POD_A), normal = {.type = ACTION_NORMAL};
    struct rule rule = any_rule(0, 1, &drop, 1);
    struct frame sent = from_a(B4, 50), got;
    uint64_t drops;

    (void)state;
    install(&rule, 1);
    packet_out(PORT_NONE, out, &sent); // the tables are not asked
    assert_true(frame_recv(POD_B, &got));
    assert_same(&got, &sent);
    packet_out(POD_A, normal, &sent);
    assert_true(frame_recv(POD_B, &got));
    assert_int_equal(got.v4.ip.time_to_live, 63);
    packet_out(PORT_NONE, normal, &sent);
    assert_true(frame_recv(POD_B, &got));
    assert_int_equal(got.v4.ip.time_to_live, 63);
    // As if it had come in by that port.
    drops = node_drops(POD_A, DROP_policy_in_port);
    packet_out(POD_A, to_pod_a, &sent);
    assert_int_equal(node_drops(POD_A, DROP_policy_in_port), drops + 1);
    drops = node_drops(POD_A, DROP_policy);
    packet_out(POD_A, to0, &sent);
    assert_int_equal(node_drops(POD_A, DROP_policy), drops + 1);
    rule = any_rule(0, 1, &out, 1);
    rule.match.in_port = POD_A;
    install(&rule, 1);
    packet_out(POD_A, to0, &sent);
    assert_true(frame_recv(POD_B, &got));
    assert_same(&got, &sent);
    // A pod's packet, wherever from, is a pod's: only from itself.
    frame_udp4(&sent, &POD_A_MAC, &ROUTER_MAC, "10.1.10.99", B4, 50);
    drops = node_drops(POD_A, DROP_guard_ip_src);
    packet_out(POD_A, normal, &sent);
    assert_int_equal(node_drops(POD_A, DROP_guard_ip_src), drops + 1);
    sent.len = 10;
    drops = node_drops(POD_A, DROP_runt);
    packet_out(POD_A, out, &sent);
    assert_int_equal(node_drops(POD_A, DROP_runt), drops + 1);
    assert_int_equal(dp_packet_out(99, &out, 1, sent.bytes, sent.len), -ENODEV);
    assert_nothing_left();
}

static void refuses_what_contradicts_itself(void **state)
{
    const struct action out = PORT_OUT(1), normal = {.type = ACTION_NORMAL};
    const struct action drop = {.type = ACTION_DROP}, meter = {.type = ACTION_METER, .id = 1};
    const struct action to1 = {.type = ACTION_GOTO_TABLE, .table = TABLE(1)};
    const struct action to0 = {.type = ACTION_GOTO_TABLE, .table = TABLE(0)};
    const struct action forward = {.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_FORWARD};
    const struct action pop = {.type = ACTION_POP_VLAN};
    const struct action push = {.type = ACTION_PUSH_VLAN, .l4 = RTE_BE16(0x8100)};
    const struct action push_ip = {.type = ACTION_PUSH_VLAN, .l4 = RTE_BE16(0x0800)};
    const struct action vid = {.type = ACTION_SET_VLAN, .tci = {RTE_BE16(5), RTE_BE16(0xfff)}};
    const struct action present = {.type = ACTION_SET_VLAN,
                                   .tci = {RTE_BE16(0x1000), RTE_BE16(0x1000)}};
    const struct action ip6 = {.type = ACTION_SET_IP_DST, .ip = ip("fd00::1")};
    const struct action reg9 = {.type = ACTION_SET_REG, .index = 9};
    const struct action uplinks = {.type = ACTION_UPLINKS}, port0 = PORT_OUT(0);
    const struct action port5000 = PORT_OUT(5000);
    const struct {
        bool taken;
        unsigned n;
        struct action actions[4];
    } lists[] = {
        {true, 0, {{0}}},
        {false, 2, {out, drop}},
        {false, 2, {drop, out}},
        {true, 2, {meter, out}},
        {false, 2, {out, meter}},
        {true, 2, {out, to1}},
        {false, 2, {to1, out}},
        {false, 1, {to0}},
        {false, 1, {forward}},
        {true, 2, {normal, out}},
        {false, 2, {normal, normal}},
        {false, 2, {normal, to1}},
        {false, 2, {pop, out}},
        {true, 3, {push, pop, out}},
        {false, 4, {push, pop, pop, out}},
        {true, 3, {push, vid, out}},
        {false, 2, {vid, out}},
        {false, 3, {push, present, out}},
        {false, 4, {push, push, push, out}},
        {false, 2, {push_ip, out}},
        {false, 2, {ip6, out}},
        {false, 2, {reg9, out}},
        {false, 1, {uplinks}},
        {false, 1, {port0}},
        {false, 1, {port5000}},
    };

    (void)state;
    install(NULL, 0);
    for (unsigned i = 0; i < RTE_DIM(lists); i++) {
        struct rule rule = any_rule(0, 1, lists[i].actions, lists[i].n);
        bool taken = lists[i].taken;
        char *error = NULL;
        uint32_t slot;
        int ret;

        // IPv4, untagged.
        rule.match.spec.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
        rule.match.mask.eth_type = 0xffff;
        rule.match.mask.vlan_tci = RTE_BE16(VLAN_PRESENT);
        ret = dp_policy_add(&rule, &slot, &error);
        if (ret != (taken ? 0 : -EINVAL))
            fail_msg("list %u: %d %s", i, ret, error ? error : "");
        assert_int_equal(error == NULL, taken);
        free(error);
        if (taken)
            dp_policy_del(slot);
    }
    dp_policy_commit(true);
}

static int no_rules(void **state)
{
    (void)state;
    install(NULL, 0);
    return 0;
}

#define TEST(f) cmocka_unit_test_teardown(f, no_rules)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(copies_for_all_but_the_last),
        TEST(goes_back_only_by_in_port),
        TEST(floods_all_but_the_port_it_came_by),
        TEST(what_is_never_sent_is_dropped),
        TEST(too_big_for_the_way_out),
        TEST(forwards_what_rules_have_changed),
        TEST(answers_arp_and_mirrors_it),
        TEST(later_tables_match_the_changes),
        TEST(expiry_is_answered),
        TEST(punts_and_goes_on),
        TEST(copies_need_buffers),
        TEST(sends_packet_outs),
        TEST(refuses_what_contradicts_itself),
    };

    return cmocka_run_group_tests_name("policy_actions", tests, node_setup, node_teardown);
}
