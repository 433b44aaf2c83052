/* SPDX-License-Identifier: Apache-2.0 */
// net_esw with rings for its wire and VFs: where frames go, by which rule, and how they look then.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_flow.h>

#include "offload/flow.h"
#include "tests/unit/esw_control.h"
#include "tests/unit/esw_rig.h"

// Dropped: a frame sent after it on the same side, which no rule drops, comes alone.
static void expect_dropped(enum side side, struct frame fence)
{
    struct frame got;

    inject(side, &fence, sizeof(fence));
    expect(side, true, &got);
    assert_memory_equal(&got, &fence, sizeof(got));
}

// Rules as Sluice makes them; the port number is the side's plus 1.
static int port_of(uint16_t port, struct offload_port *info)
{
    info->ethdev = ethdev[port - 1];
    return 0;
}

static void match_dst(struct rule *rule, uint32_t dst)
{
    rule->match.spec.ip_dst.s6_addr32[2] = htonl(0xffff);
    rule->match.spec.ip_dst.s6_addr32[3] = htonl(dst);
    memset(&rule->match.mask.ip_dst, 0xff, 16);
}

static struct rte_flow *create(const struct rule *rule, enum flow_rewrite rewrite)
{
    struct rte_flow_error error = {.message = "?"};
    const struct flow_way way = {.rewrite = rewrite};
    struct rte_flow *handle;
    struct flow flow;
    char *sentence;

    assert_int_equal(flow_build(rule, port_of, &way, &flow, &sentence), 0);
    handle = rte_flow_create(ethdev[WIRE], &flow.attr, flow.items, flow.actions, &error);
    if (!handle)
        fail_msg("%s", error.message);
    return handle;
}

static void destroy(struct rte_flow *flow)
{
    struct rte_flow_error error;

    assert_int_equal(rte_flow_destroy(ethdev[WIRE], flow, &error), 0);
}

static struct rte_flow_query_count query(struct rte_flow *flow, bool reset)
{
    const struct rte_flow_action action[] = {{RTE_FLOW_ACTION_TYPE_COUNT, NULL},
                                             {RTE_FLOW_ACTION_TYPE_END, NULL}};
    struct rte_flow_query_count count = {.reset = reset};
    struct rte_flow_error error;

    assert_int_equal(rte_flow_query(ethdev[WIRE], flow, action, &count, &error), 0);
    assert_true(count.hits_set && count.bytes_set);
    return count;
}

static void test_without_rules(void **state)
{
    struct frame frame = udp(0x0a000001, 0x0a000002, 64, 53);

    (void)state;
    for (enum side side = WIRE; side <= VF2; side++) {
        inject(side, &frame, sizeof(frame));
        expect_same(side, true, &frame);
        app_sends(side, &frame, sizeof(frame));
        expect_same(side, false, &frame);
    }
}

static struct rule forward(uint32_t dst, enum side to)
{
    struct rule rule = {.table = 0, .priority = 10, .n_actions = 4};

    match_dst(&rule, dst);
    rule.actions[0] = (struct action){.type = ACTION_SET_ETH_SRC, .mac = mac_b};
    rule.actions[1] = (struct action){.type = ACTION_SET_ETH_DST, .mac = mac_c};
    rule.actions[2] = (struct action){.type = ACTION_DEC_TTL};
    rule.actions[3] = (struct action){.type = ACTION_OUTPUT, .port = to + 1};
    return rule;
}

static void forwards_by(enum flow_rewrite rewrite)
{
    struct rule rule = forward(0x0a000002, VF1);
    struct rte_flow *flow = create(&rule, rewrite);
    struct frame frame = udp(0x0a000001, 0x0a000002, 64, 53), other, got, expected = frame;
    struct rte_flow_query_count count;

    expected.eth.src_addr = mac_b;
    expected.eth.dst_addr = mac_c;
    expected.ip.time_to_live = 63;
    expected.ip.hdr_checksum = 0;
    expected.ip.hdr_checksum = rte_ipv4_cksum(&expected.ip);
    for (enum side side = WIRE; side <= VF0; side++) {
        inject(side, &frame, sizeof(frame));
        expect_same(VF1, false, &expected);
    }
    // To another address: software's.
    other = udp(0x0a000001, 0x0a000003, 64, 53);
    inject(VF0, &other, sizeof(other));
    expect_same(VF0, true, &other);
    // What the program sends goes by no rule.
    app_sends(VF0, &frame, sizeof(frame));
    expect_same(VF0, false, &frame);

    count = query(flow, false);
    assert_int_equal(count.hits, 2);
    assert_int_equal(count.bytes, 2 * sizeof(frame));
    query(flow, true);
    assert_int_equal(query(flow, false).hits, 0);

    destroy(flow);
    inject(VF0, &frame, sizeof(frame));
    expect(VF0, true, &got);
}

static void test_forward_set(void **state)
{
    (void)state;
    forwards_by(FLOW_REWRITE_SET);
}

static void test_forward_modify(void **state)
{
    (void)state;
    forwards_by(FLOW_REWRITE_MODIFY);
}

// Every TTL: the checksum is right, 0 becomes 255 as in NICs.
static void test_ttl_checksums(void **state)
{
    struct rule rule = forward(0x0a000002, VF1);
    struct rte_flow *flow = create(&rule, FLOW_REWRITE_SET);

    (void)state;
    for (unsigned ttl = 0; ttl <= 255; ttl++) {
        struct frame frame = udp(0x0a000001 + ttl * 7919, 0x0a000002, (uint8_t)ttl, 53), got;

        inject(VF0, &frame, sizeof(frame));
        expect(VF1, false, &got);
        assert_int_equal(got.ip.time_to_live, (uint8_t)(ttl - 1));
        assert_int_equal(rte_raw_cksum(&got.ip, sizeof(got.ip)), 0xffff);
    }
    destroy(flow);
}

// The exceptions win over every rule, for their packets alone.
static void test_exceptions_go_to_software(void **state)
{
    struct rule rule = forward(0x0a000002, VF1);
    struct rte_flow *flow = create(&rule, FLOW_REWRITE_SET), *exceptions[FLOW_EXCEPTIONS_MAX];
    struct frame frame = udp(1, 0x0a000002, 1, 53), got;
    struct rte_flow_error error;
    struct flow built;
    const char *what;
    unsigned n;

    (void)state;
    for (n = 0; flow_build_exception(FLOW_EXCEPTIONS_ALWAYS, n, ethdev[WIRE], &built, &what); n++) {
        exceptions[n] =
            rte_flow_create(ethdev[WIRE], &built.attr, built.items, built.actions, &error);
        assert_non_null(exceptions[n]);
    }
    inject(VF0, &frame, sizeof(frame)); // TTL 1
    expect_same(VF0, true, &frame);
    for (uint16_t port = 3783; port <= 3786; port++) { // BFD: 3784, 3785
        frame = udp(1, 0x0a000002, 2, port);
        inject(VF0, &frame, sizeof(frame));
        if (port == 3784 || port == 3785)
            expect_same(VF0, true, &frame);
        else
            expect(VF1, false, &got);
    }
    frame = udp(1, 0x0a000002, 64, 53);
    frame.udp.src_port = RTE_BE16(67);
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF0, true, &frame);
    frame = udp(1, 0x0a000002, 64, 53);
    frame.eth.dst_addr.addr_bytes[0] |= 1;
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF0, true, &frame);
    while (n)
        destroy(exceptions[--n]);
    destroy(flow);
}

// Guard in group 0 jumps to the forward rule in group 2; what that one does not know comes to
// software as it was.
static void test_groups(void **state)
{
    struct rule guard = {.table = RULE_TABLE_GUARD, .priority = 5, .n_actions = 1};
    struct rule rule = forward(0x0a000002, VF1);
    struct rte_flow *guard_flow, *flow;
    struct frame frame = udp(0x0a000001, 0x0a000002, 64, 53), got;

    (void)state;
    guard.match.in_port = VF0 + 1;
    guard.match.spec.eth_src = mac_a;
    memset(&guard.match.mask.eth_src, 0xff, 6);
    guard.actions[0] = (struct action){.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_FORWARD};
    rule.table = RULE_TABLE_FORWARD;
    guard_flow = create(&guard, FLOW_REWRITE_SET);
    flow = create(&rule, FLOW_REWRITE_SET);

    inject(VF0, &frame, sizeof(frame));
    expect(VF1, false, &got);
    inject(VF2, &frame, sizeof(frame)); // not let in by a guard
    expect_same(VF2, true, &frame);
    frame.eth.src_addr = mac_c; // another's MAC
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF0, true, &frame);
    frame = udp(0x0a000001, 0x0a000009, 64, 53); // misses group 2
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF0, true, &frame);
    assert_int_equal(query(guard_flow, false).hits, 2);
    assert_int_equal(query(flow, false).hits, 1);
    destroy(flow);
    destroy(guard_flow);
}

// The higher rule priority wins whichever was created first, also over a more exact match.
static void test_priority(void **state)
{
    struct rule low = forward(0x0a000002, VF1), high = forward(0x0a000002, VF2);
    struct frame frame = udp(0x0a000001, 0x0a000002, 64, 53), got;

    (void)state;
    memset(&high.match.mask.ip_dst.s6_addr[15], 0, 1);
    high.match.spec.ip_dst.s6_addr[15] = 0;
    high.priority = 20;
    for (int order = 0; order < 2; order++) {
        struct rte_flow *first = create(order ? &high : &low, FLOW_REWRITE_SET);
        struct rte_flow *second = create(order ? &low : &high, FLOW_REWRITE_SET);

        inject(VF0, &frame, sizeof(frame));
        expect(VF2, false, &got);
        destroy(order ? first : second); // the high one
        inject(VF0, &frame, sizeof(frame));
        expect(VF1, false, &got);
        destroy(order ? second : first);
    }
}

static void test_drop(void **state)
{
    struct rule rule = {.table = 0, .n_actions = 1, .actions[0].type = ACTION_DROP};
    struct rte_flow *flow;
    struct frame frame = udp(1, 0x0a000002, 64, 53);

    (void)state;
    rule.match.in_port = VF0 + 1;
    match_dst(&rule, 0x0a000002);
    flow = create(&rule, FLOW_REWRITE_SET);
    inject(VF0, &frame, sizeof(frame));
    expect_dropped(VF0, udp(1, 0x0a000003, 64, 53));
    destroy(flow);
}

// An L4 rule hits its port, unfragmented.
static void test_l4(void **state)
{
    struct rule rule = {.table = 0, .n_actions = 1, .actions[0] = {ACTION_OUTPUT, .port = VF1 + 1}};
    struct rte_flow *flow;
    struct frame frame = udp(1, 2, 64, 80);

    (void)state;
    rule.match.spec.eth_type = RTE_BE16(0x0800);
    rule.match.mask.eth_type = 0xffff;
    rule.match.spec.ip_proto = IPPROTO_UDP;
    rule.match.mask.ip_proto = 0xff;
    rule.match.spec.l4_dst = RTE_BE16(80);
    rule.match.mask.l4_dst = 0xffff;
    flow = create(&rule, FLOW_REWRITE_SET);
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF1, false, &frame);
    frame = udp(1, 2, 64, 81);
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF0, true, &frame);
    frame = udp(1, 2, 64, 80);
    frame.ip.fragment_offset = RTE_BE16(RTE_IPV4_HDR_MF_FLAG);
    frame.ip.hdr_checksum = 0;
    frame.ip.hdr_checksum = rte_ipv4_cksum(&frame.ip);
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF0, true, &frame);
    destroy(flow);
}

static void test_wrong_checksum_is_softwares(void **state)
{
    struct rule rule = forward(0x0a000002, VF1);
    struct rte_flow *flow = create(&rule, FLOW_REWRITE_SET);
    struct frame frame = udp(1, 0x0a000002, 64, 53);

    (void)state;
    frame.ip.hdr_checksum ^= 1;
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF0, true, &frame);
    destroy(flow);
}

static void test_refusals(void **state)
{
    const struct rte_flow_item eth[] = {{.type = RTE_FLOW_ITEM_TYPE_ETH},
                                        {.type = RTE_FLOW_ITEM_TYPE_END}};
    const struct rte_flow_action drop[] = {{RTE_FLOW_ACTION_TYPE_DROP, NULL},
                                           {RTE_FLOW_ACTION_TYPE_END, NULL}};
    const struct rte_flow_action nothing[] = {{RTE_FLOW_ACTION_TYPE_END, NULL}};
    struct rte_flow_attr attr = {.ingress = 1};
    struct rte_flow_error error;
    struct rte_flow *flow;

    (void)state;
    assert_int_equal(rte_flow_validate(ethdev[WIRE], &attr, eth, drop, &error), -ENOTSUP);
    assert_int_equal(error.type, RTE_FLOW_ERROR_TYPE_ATTR_TRANSFER);
    attr = (struct rte_flow_attr){.transfer = 1};
    assert_int_equal(rte_flow_validate(ethdev[WIRE], &attr, eth, nothing, &error), -EINVAL);
    flow = rte_flow_create(ethdev[WIRE], &attr, eth, drop, &error);
    assert_non_null(flow);
    assert_null(rte_flow_create(ethdev[WIRE], &attr, eth, drop, &error));
    assert_int_equal(rte_errno, EEXIST);
    attr.priority = 1;
    assert_non_null(rte_flow_create(ethdev[WIRE], &attr, eth, drop, &error));
    assert_int_equal(rte_flow_flush(ethdev[WIRE], &error), 0);
}

// As OVS makes them: on the VF's representor, without a port item.
static void test_rule_on_representor(void **state)
{
    const struct rte_flow_item eth[] = {{.type = RTE_FLOW_ITEM_TYPE_ETH},
                                        {.type = RTE_FLOW_ITEM_TYPE_END}};
    const struct rte_flow_action_port_id to = {.id = ethdev[VF2]};
    const struct rte_flow_action actions[] = {{RTE_FLOW_ACTION_TYPE_COUNT, NULL},
                                              {RTE_FLOW_ACTION_TYPE_PORT_ID, &to},
                                              {RTE_FLOW_ACTION_TYPE_END, NULL}};
    const struct rte_flow_attr attr = {.transfer = 1};
    struct frame frame = udp(1, 2, 64, 53);
    struct rte_flow_error error;
    struct rte_flow *flow = rte_flow_create(ethdev[VF0], &attr, eth, actions, &error);
    uint16_t proxy;

    (void)state;
    assert_non_null(flow);
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF2, false, &frame);
    inject(VF1, &frame, sizeof(frame));
    expect_same(VF1, true, &frame);
    assert_int_equal(rte_flow_destroy(ethdev[VF0], flow, &error), 0);
    assert_int_equal(rte_flow_pick_transfer_proxy(ethdev[VF1], &proxy, &error), 0);
    assert_int_equal(proxy, ethdev[WIRE]);
}

// A representor more, later; again after it was closed.
static void test_hotplug(void **state)
{
    struct frame frame = udp(1, 2, 64, 53);
    struct rte_eth_dev_info info;

    (void)state;
    for (int times = 0; times < 2; times++) {
        assert_int_equal(rig_find("net_esw0,representor=vf[3]"), RTE_MAX_ETHPORTS);
        assert_int_equal(rte_dev_probe("net_esw0,representor=vf[3]"), 0);
        ethdev[VF3] = rig_find("net_esw0,representor=vf[3]");
        assert_int_not_equal(ethdev[VF3], RTE_MAX_ETHPORTS);
        assert_int_equal(rte_eth_dev_info_get(ethdev[VF3], &info), 0);
        assert_string_equal(info.driver_name, "net_esw");
        assert_int_equal(rig_start(ethdev[VF3]), 0);
        inject(VF3, &frame, sizeof(frame));
        expect_same(VF3, true, &frame);
        rte_eth_dev_stop(ethdev[VF3]);
        assert_int_equal(rte_eth_dev_close(ethdev[VF3]), 0);
        ethdev[VF3] = RTE_MAX_ETHPORTS;
    }
}

// EAL would take a representor's name for a second e-switch.
static void test_names(void **state)
{
    (void)state;
    assert_int_not_equal(rte_eal_hotplug_add("vdev", "net_esw0_representor_vf1", ""), 0);
    assert_int_not_equal(rte_eal_hotplug_add("vdev", "net_esw01", ""), 0);
    assert_int_not_equal(rte_eal_hotplug_add("vdev", "net_esw1", "vfs=9999"), 0);
    assert_int_not_equal(rte_eal_hotplug_add("vdev", "net_esw1", "nonsense=1"), 0);
    assert_int_equal(rte_eal_hotplug_add("vdev", "net_esw1", ""), 0);
    assert_int_equal(rte_eal_hotplug_remove("vdev", "net_esw1"), 0);
}

static void test_xstats_tell_the_way(void **state)
{
    const char *names[] = {"esw_hw_out_packets", "esw_to_app_packets"};
    struct rule rule = forward(0x0a000002, VF1);
    struct rte_flow *flow = create(&rule, FLOW_REWRITE_SET);
    struct frame frame = udp(1, 0x0a000002, 64, 53), got;
    uint64_t id, before[2], after[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rte_eth_xstats_get_id_by_name(ethdev[VF1], names[i], &id), 0);
        assert_int_equal(rte_eth_xstats_get_by_id(ethdev[VF1], &id, &before[i], 1), 1);
    }
    inject(VF0, &frame, sizeof(frame));
    expect(VF1, false, &got);
    inject(VF1, &(struct frame){.eth = frame.eth}, sizeof(frame));
    expect(VF1, true, &got);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rte_eth_xstats_get_id_by_name(ethdev[VF1], names[i], &id), 0);
        assert_int_equal(rte_eth_xstats_get_by_id(ethdev[VF1], &id, &after[i], 1), 1);
        assert_int_equal(after[i] - before[i], 1);
    }
    destroy(flow);
}

// The e-switch says its rules as Sluice does.
static void expect_dump(struct rte_flow *flow, const struct flow *built)
{
    struct rte_flow_error error;
    char dumped[1024] = "", expected[1024];
    FILE *file = fmemopen(dumped, sizeof(dumped) - 1, "w");

    assert_int_equal(rte_flow_dev_dump(ethdev[WIRE], flow, file, &error), 0);
    fclose(file);
    assert_true(flow_print(built, expected, sizeof(expected)) < (int)sizeof(expected) - 32);
    strcat(expected, " # packets 0 bytes 0\n");
    assert_string_equal(dumped, expected);
}

static void test_dump(void **state)
{
    struct rule rule = forward(0x0a000002, VF1);
    struct rte_flow_error error;
    struct rte_flow *flow;
    struct flow built;
    const char *what;
    char *sentence;

    (void)state;
    rule.match.in_port = VF0 + 1;
    rule.match.spec.eth_src = mac_a;
    memset(&rule.match.mask.eth_src, 0xff, 6);
    rule.match.mask.ip_src = rule.match.mask.ip_dst;
    rule.match.spec.ip_src = rule.match.spec.ip_dst;
    rule.match.mask.ip_src.s6_addr[15] = rule.match.spec.ip_src.s6_addr[15] = 0;
    assert_int_equal(flow_build(&rule, port_of, &(struct flow_way){0}, &built, &sentence), 0);
    built.ethdev = ethdev[WIRE]; // the proxy
    flow = rte_flow_create(ethdev[WIRE], &built.attr, built.items, built.actions, &error);
    assert_non_null(flow);
    expect_dump(flow, &built);
    destroy(flow);
    for (unsigned n = 0;
         flow_build_exception(FLOW_EXCEPTIONS_ALWAYS, n, ethdev[WIRE], &built, &what); n++) {
        flow = rte_flow_create(ethdev[WIRE], &built.attr, built.items, built.actions, &error);
        assert_non_null(flow);
        expect_dump(flow, &built);
        destroy(flow);
    }
}

static struct rte_flow *try_create(uint32_t dst, struct rte_flow_error *error)
{
    struct rule rule = forward(dst, VF1);
    struct flow flow;
    char *sentence;

    assert_int_equal(flow_build(&rule, port_of, &(struct flow_way){0}, &flow, &sentence), 0);
    return rte_flow_create(ethdev[WIRE], &flow.attr, flow.items, flow.actions, error);
}

static void test_control_socket(void **state)
{
    (void)state;
    assert_string_equal(control("rules=5 refuse_every=0 rules=0"), "ok\n");
    assert_string_equal(control("nonsense=1"), "error: nonsense: no such name\n");
    assert_string_equal(control("rules=-1"), "error: rules: no such value\n");
    assert_string_equal(control("without=count+teleport"), "error: without: no such value\n");
    assert_string_equal(control("links_down=x"), "error: links_down: no such value\n");
    assert_non_null(strstr(control("status"), "rules 0 "));
}

static void test_full(void **state)
{
    struct rte_flow_error error;
    struct rte_flow *flows[2];

    (void)state;
    control("rules=2");
    flows[0] = try_create(1, &error);
    flows[1] = try_create(2, &error);
    assert_true(flows[0] && flows[1]);
    assert_null(try_create(3, &error));
    assert_int_equal(rte_errno, ENOSPC);
    destroy(flows[0]);
    flows[0] = try_create(3, &error);
    assert_non_null(flows[0]);
    destroy(flows[0]);
    destroy(flows[1]);
    control("rules=0");
}

static void test_refusals_on_demand(void **state)
{
    struct rte_flow *flows[9];
    struct rte_flow_error error;
    unsigned refused = 0;

    (void)state;
    control("refuse_every=3");
    for (unsigned i = 0; i < 9; i++) {
        flows[i] = try_create(i + 1, &error);
        assert_int_equal(flows[i] == NULL, i % 3 == 2);
    }
    for (unsigned i = 0; i < 9; i++) {
        if (flows[i])
            destroy(flows[i]);
    }
    // The same seed, the same refusals.
    for (int times = 0; times < 2; times++) {
        unsigned mask = 0;

        control("refuse_every=0 refuse_permille=500 seed=7");
        for (unsigned i = 0; i < 9; i++) {
            flows[i] = try_create(i + 1, &error);
            mask |= !flows[i] << i;
            if (flows[i])
                destroy(flows[i]);
        }
        if (times)
            assert_int_equal(mask, refused);
        refused = mask;
    }
    assert_int_not_equal(refused, 0);
    assert_int_not_equal(refused, 0x1ff);
    control("refuse_permille=0");
}

static void test_without(void **state)
{
    struct rte_flow_error error;

    (void)state;
    control("without=ipv6+dec_ttl");
    assert_null(try_create(1, &error));
    assert_int_equal(rte_errno, ENOTSUP);
    assert_int_equal(error.type, RTE_FLOW_ERROR_TYPE_ACTION);
    control("without=ipv4");
    assert_null(try_create(1, &error));
    assert_int_equal(error.type, RTE_FLOW_ERROR_TYPE_ITEM);
    control("without=ipv6");
    destroy(try_create(1, &error));
    control("without=");
}

// Create says yes, and the packets come to software; the handle can be destroyed as ever.
static void test_lost_rules(void **state)
{
    struct frame frame = udp(1, 0x0a000002, 64, 53);
    struct rte_flow_error error;
    struct rte_flow *flow;

    (void)state;
    control("lose_permille=1000");
    flow = try_create(0x0a000002, &error);
    assert_non_null(flow);
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF0, true, &frame);
    assert_int_equal(query(flow, false).hits, 0);
    destroy(flow);
    control("lose_permille=0");
}

static void test_altered_rules(void **state)
{
    struct frame frame = udp(1, 0x0a000002, 64, 53);
    struct rte_flow_error error;
    struct rte_flow *flow;
    uint8_t data[2048];
    size_t length;
    bool to_app;
    int side;

    (void)state;
    control("alter_permille=1000");
    flow = try_create(0x0a000002, &error);
    inject(VF0, &frame, sizeof(frame));
    side = outcome(&to_app, data, &length);
    assert_int_not_equal(side, -1);
    assert_false(to_app);
    assert_int_not_equal(side, VF1);
    destroy(flow);
    control("alter_permille=0");
}

static void test_stuck_counters(void **state)
{
    struct frame frame = udp(1, 0x0a000002, 64, 53), got;
    struct rte_flow_error error;
    struct rte_flow *flow = try_create(0x0a000002, &error);

    (void)state;
    control("counters_stuck=1");
    inject(VF0, &frame, sizeof(frame));
    expect(VF1, false, &got);
    assert_int_equal(query(flow, false).hits, 0);
    control("counters_stuck=0");
    inject(VF0, &frame, sizeof(frame));
    expect(VF1, false, &got);
    assert_int_equal(query(flow, false).hits, 1);
    destroy(flow);
}

static void test_reset(void **state)
{
    struct frame frame = udp(1, 0x0a000002, 64, 53);
    struct rte_flow_error error;
    struct rte_flow *flow = try_create(0x0a000002, &error);

    (void)state;
    n_events = 0;
    rte_eth_dev_callback_register(ethdev[WIRE], RTE_ETH_EVENT_INTR_RESET, count_event, NULL);
    control("reset");
    expect_events(1);
    rte_eth_dev_callback_unregister(ethdev[WIRE], RTE_ETH_EVENT_INTR_RESET, count_event, NULL);
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF0, true, &frame);
    destroy(flow); // it is gone already
    destroy(try_create(0x0a000002, &error));
}

static void test_link_loss(void **state)
{
    struct frame frame = udp(1, 2, 64, 53);
    struct rte_eth_link link;

    (void)state;
    n_events = 0;
    rte_eth_dev_callback_register(ethdev[WIRE], RTE_ETH_EVENT_INTR_LSC, count_event, NULL);
    control("links_down=1");
    expect_events(1);
    rte_eth_link_get_nowait(ethdev[WIRE], &link);
    assert_int_equal(link.link_status, RTE_ETH_LINK_DOWN);
    inject(WIRE, &frame, sizeof(frame)); // vanishes
    control("links_down=0");
    expect_events(2);
    rte_eth_link_get_nowait(ethdev[WIRE], &link);
    assert_int_equal(link.link_status, RTE_ETH_LINK_UP);
    rte_eth_dev_callback_unregister(ethdev[WIRE], RTE_ETH_EVENT_INTR_LSC, count_event, NULL);
    frame = udp(1, 3, 64, 53);
    inject(WIRE, &frame, sizeof(frame));
    expect_same(WIRE, true, &frame);
}

// The last test, as nothing works after it.
static void test_unplug(void **state)
{
    struct frame frame = udp(1, 2, 64, 53);
    struct rte_flow_error error;
    struct rte_mbuf *mbuf;

    (void)state;
    n_events = 0;
    rte_eth_dev_callback_register(ethdev[VF0], RTE_ETH_EVENT_INTR_RMV, count_event, NULL);
    control("unplug");
    expect_events(1);
    assert_null(try_create(1, &error));
    assert_int_equal(rte_errno, EIO); // what rte_flow says of devices that are gone
    assert_int_equal(rte_eth_dev_is_removed(ethdev[VF0]), 1);
    inject(VF0, &frame, sizeof(frame));
    app_sends(VF1, &frame, sizeof(frame));
    usleep(10000);
    assert_int_equal(rte_eth_rx_burst(ethdev[VF0], 0, &mbuf, 1), 0);
    assert_int_equal(rte_ring_count(ring(VF1, "out")), 0);
}

static int setup(void **state)
{
    (void)state;
    return rig_open_started(control_argument("esw_test"));
}

// Nothing is left: every buffer came back.
static int teardown(void **state)
{
    (void)state;
    return rig_close() == 0 && access(control_path, F_OK) ? 0 : -1;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_rules),
        cmocka_unit_test(test_forward_set),
        cmocka_unit_test(test_forward_modify),
        cmocka_unit_test(test_ttl_checksums),
        cmocka_unit_test(test_exceptions_go_to_software),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_priority),
        cmocka_unit_test(test_drop),
        cmocka_unit_test(test_l4),
        cmocka_unit_test(test_wrong_checksum_is_softwares),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_rule_on_representor),
        cmocka_unit_test(test_hotplug),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_xstats_tell_the_way),
        cmocka_unit_test(test_dump),
        cmocka_unit_test(test_control_socket),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_refusals_on_demand),
        cmocka_unit_test(test_without),
        cmocka_unit_test(test_lost_rules),
        cmocka_unit_test(test_altered_rules),
        cmocka_unit_test(test_stuck_counters),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_link_loss),
        cmocka_unit_test(test_unplug),
    };
    int failed;

    if (!rig_begin("esw_test"))
        return 0;
    failed = cmocka_run_group_tests_name("esw", tests, setup, teardown);
    rte_eal_cleanup();
    return failed;
}
