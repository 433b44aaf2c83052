/* SPDX-License-Identifier: Apache-2.0 */
// The manners that net_esw takes on from mlx5, one test for each; what they are taken from says
// offload/esw/mode.c.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <rte_eal.h>

#include "tests/unit/esw_templates.h"

#define COUNTERS 4

static int configure(uint16_t id, uint32_t counters)
{
    const struct rte_flow_queue_attr size = {.size = 16}, *sizes[] = {&size};
    const struct rte_flow_port_attr attr = {.nb_counters = counters};
    struct rte_flow_error error;
    int ret = rig_configure(id);

    return ret ? ret : rte_flow_configure(id, &attr, 1, sizes, &error);
}

static int start_all(void)
{
    for (enum side side = WIRE; side < SIDES; side++) {
        if (ethdev[side] != RTE_MAX_ETHPORTS && rte_eth_dev_start(ethdev[side]))
            return -1;
    }
    return 0;
}

static int setup_sws(void **state)
{
    (void)state;
    if (rig_open(",wire1=ring,mode=mlx5-sws"))
        return -1;
    for (enum side side = WIRE; side < SIDES; side++) {
        if (ethdev[side] != RTE_MAX_ETHPORTS && rig_configure(ethdev[side]))
            return -1;
    }
    return start_all();
}

// Configured, not started.
static int setup_hws(void **state)
{
    (void)state;
    if (rig_open(",wire1=ring,mode=mlx5-hws"))
        return -1;
    for (enum side side = WIRE; side < SIDES; side++) {
        if (ethdev[side] != RTE_MAX_ETHPORTS && configure(ethdev[side], COUNTERS))
            return -1;
    }
    return 0;
}

static int setup_hws_started(void **state)
{
    return setup_hws(state) || start_all() ? -1 : 0;
}

static const struct rte_flow_attr transfer = {.transfer = 1};

// Without templates, as the test's rule is.
static struct rte_flow *create(struct templated *t, enum side on)
{
    struct rte_flow_error error;

    return rte_flow_create(ethdev[on], &transfer, t->items, t->actions, &error);
}

static int validate(struct templated *t)
{
    struct rte_flow_error error;

    return rte_flow_validate(ethdev[WIRE], &transfer, t->items, t->actions, &error);
}

static void vf_sends(enum side side, uint32_t dst)
{
    struct frame frame = udp(1, dst, 64, 53);

    inject(side, &frame, sizeof(frame));
}

static uint64_t hits_of(struct rte_flow *flow)
{
    const struct rte_flow_action count[] = {{RTE_FLOW_ACTION_TYPE_COUNT, NULL},
                                            {RTE_FLOW_ACTION_TYPE_END, NULL}};
    struct rte_flow_query_count counted = {0};
    struct rte_flow_error error;

    assert_int_equal(rte_flow_query(ethdev[WIRE], flow, count, &counted, &error), 0);
    return counted.hits;
}

static void expect_late_counter(struct rte_flow *flow)
{
    struct frame got;
    unsigned sent = 0;

    // A packet is not shown at once, unless the turn changes right then.
    do {
        assert_true(sent < 20);
        vf_sends(VF0, 0x0a000002);
        expect(VF1, false, &got);
        sent++;
    } while (hits_of(flow) == sent);
    for (int tries = 0; hits_of(flow) < sent && tries < 30000; tries++)
        usleep(1000);
    assert_int_equal(hits_of(flow), sent);
}

// --- software steering ---

static void test_sws_needs_a_started_port(void **state)
{
    struct templated t;

    (void)state;
    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    assert_int_equal(rte_eth_dev_stop(ethdev[WIRE]), 0);
    assert_null(create(&t, WIRE));
    assert_int_equal(rte_errno, ENODEV);
}

static void test_sws_has_no_templates(void **state)
{
    struct rte_flow_port_info port_info;
    struct rte_flow_error error;

    (void)state;
    assert_int_equal(rte_flow_info_get(ethdev[WIRE], &port_info, NULL, &error), -ENOTSUP);
    rte_eth_dev_stop(ethdev[WIRE]);
    assert_int_equal(configure(ethdev[WIRE], 1), -ENOTSUP);
}

static void test_sws_oldest_of_duplicates_wins(void **state)
{
    struct rte_flow_error error;
    struct rte_flow *old, *new;
    struct templated t;
    struct frame got;

    (void)state;
    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    old = create(&t, WIRE);
    t.to.port_id = ethdev[VF2];
    new = create(&t, WIRE);
    assert_true(old && new);
    vf_sends(VF0, 0x0a000002);
    expect(VF1, false, &got);
    assert_int_equal(rte_flow_destroy(ethdev[WIRE], old, &error), 0);
    vf_sends(VF0, 0x0a000002);
    expect(VF2, false, &got);
}

static void test_sws_counters_are_late(void **state)
{
    struct templated t;

    (void)state;
    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    expect_late_counter(create(&t, WIRE));
}

static void test_sws_rules_end_with_stop(void **state)
{
    struct templated t;
    struct frame got;

    (void)state;
    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    assert_non_null(create(&t, WIRE));
    assert_int_equal(rte_eth_dev_stop(ethdev[WIRE]), 0);
    assert_int_equal(rte_eth_dev_start(ethdev[WIRE]), 0);
    vf_sends(VF0, 0x0a000002);
    expect(VF0, true, &got);
}

static void test_sws_refusals(void **state)
{
    const struct rte_flow_action dec_ttl = {RTE_FLOW_ACTION_TYPE_DEC_TTL, NULL};
    const struct rte_flow_action pop = {RTE_FLOW_ACTION_TYPE_OF_POP_VLAN, NULL};
    struct templated t;

    (void)state;
    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    assert_int_equal(validate(&t), 0);
    t.actions[1] = t.actions[2]; // two outputs
    assert_int_equal(validate(&t), -EINVAL);
    t.actions[1] = pop; // of no tag
    assert_int_equal(validate(&t), -ENOTSUP);
    t.actions[1] = dec_ttl;
    assert_int_equal(validate(&t), 0);
    t.items[1].type = RTE_FLOW_ITEM_TYPE_VOID; // of no IP
    assert_int_equal(validate(&t), -EINVAL);

    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    t.ip_mask.hdr.fragment_offset = RTE_BE16(RTE_IPV4_HDR_MF_FLAG | RTE_IPV4_HDR_OFFSET_MASK);
    assert_int_equal(validate(&t), 0);
    t.ip.hdr.fragment_offset = RTE_BE16(RTE_IPV4_HDR_MF_FLAG);
    assert_int_equal(validate(&t), -ENOTSUP);
    t.items[1] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_SCTP};
    assert_int_equal(validate(&t), -ENOTSUP);
}

// Only fields of headers that the pattern has.
static void test_sws_sets_what_is_matched(void **state)
{
    static const struct {
        enum rte_flow_action_type type;
        int of_eth, of_ipv4, of_udp4;
    } cases[] = {
        {RTE_FLOW_ACTION_TYPE_SET_IPV4_DST, -EINVAL, 0, 0},
        {RTE_FLOW_ACTION_TYPE_SET_IPV4_DSCP, -EINVAL, 0, 0},
        {RTE_FLOW_ACTION_TYPE_SET_IPV6_SRC, -EINVAL, -EINVAL, -EINVAL},
        {RTE_FLOW_ACTION_TYPE_SET_IPV6_DSCP, -EINVAL, -EINVAL, -EINVAL},
        {RTE_FLOW_ACTION_TYPE_SET_TP_DST, -EINVAL, -EINVAL, 0},
    };
    const uint8_t value[16] = {0};
    const struct rte_flow_action_ethdev to = {.port_id = ethdev[VF1]};

    (void)state;
    for (unsigned i = 0; i < RTE_DIM(cases); i++) {
        const struct rte_flow_action actions[] = {{cases[i].type, value},
                                                  {RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT, &to},
                                                  {RTE_FLOW_ACTION_TYPE_END, NULL}};
        const int expected[] = {cases[i].of_eth, cases[i].of_ipv4, cases[i].of_udp4};

        for (unsigned n = 0; n < RTE_DIM(expected); n++) {
            struct rte_flow_item items[] = {{.type = RTE_FLOW_ITEM_TYPE_ETH},
                                            {.type = RTE_FLOW_ITEM_TYPE_IPV4},
                                            {.type = RTE_FLOW_ITEM_TYPE_UDP},
                                            {.type = RTE_FLOW_ITEM_TYPE_END}};
            struct rte_flow_error error;

            items[n + 1].type = RTE_FLOW_ITEM_TYPE_END;
            assert_int_equal(rte_flow_validate(ethdev[WIRE], &transfer, items, actions, &error),
                             expected[n]);
        }
    }
}

static void test_isolate_before_start(void **state)
{
    struct rte_flow_error error;

    (void)state;
    assert_int_equal(rte_flow_isolate(ethdev[VF0], 1, &error), -EBUSY);
    assert_int_equal(rte_eth_dev_stop(ethdev[VF0]), 0);
    assert_int_equal(rte_flow_isolate(ethdev[VF0], 1, &error), 0);
}

static void test_no_wire_to_wire(void **state)
{
    struct rte_flow_item_ethdev in = {.port_id = ethdev[WIRE]};
    struct templated t;

    (void)state;
    templated_fill(&t, 0x0a000002, ethdev[WIRE1]);
    t.items[0] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT, .spec = &in};
    t.actions[1].type = RTE_FLOW_ACTION_TYPE_VOID;
    assert_int_equal(validate(&t), -ENOTSUP);
    in.port_id = ethdev[VF0];
    assert_int_equal(validate(&t), 0);
}

// --- hardware steering ---

static void test_hws_order_of_ports(void **state)
{
    (void)state;
    assert_int_equal(rte_eth_dev_start(ethdev[VF0]), -EAGAIN);
    assert_int_equal(rte_eth_dev_start(ethdev[WIRE]), 0);
    assert_int_equal(rte_eth_dev_start(ethdev[VF0]), 0);
    assert_int_equal(rte_eth_dev_stop(ethdev[WIRE]), -EBUSY);
    assert_int_equal(rte_eth_dev_stop(ethdev[VF0]), 0);
    assert_int_equal(rte_eth_dev_stop(ethdev[WIRE]), 0);
}

static void test_hws_representors_are_configured_too(void **state)
{
    (void)state;
    assert_int_equal(rig_open(",mode=mlx5-hws"), 0);
    assert_int_equal(configure(ethdev[WIRE], 1), 0);
    assert_int_equal(rte_eth_dev_start(ethdev[WIRE]), 0);
    assert_int_equal(rig_start(ethdev[VF0]), -EINVAL);
    assert_int_equal(configure(ethdev[VF0], 1), 0);
    assert_int_equal(rte_eth_dev_start(ethdev[VF0]), 0);
}

static void test_hws_configured_once(void **state)
{
    const struct rte_flow_queue_attr sizes[] = {{16}, {32}}, *pointers[] = {&sizes[0], &sizes[1]};
    const struct rte_flow_port_attr attr = {.nb_counters = COUNTERS};
    struct rte_flow_error error;

    (void)state;
    assert_int_equal(configure(ethdev[WIRE], COUNTERS), 0);
    assert_int_equal(configure(ethdev[WIRE], COUNTERS + 1), -ENOTSUP);
    assert_int_equal(rte_flow_configure(ethdev[WIRE], &attr, 2, pointers, &error), -EINVAL);
}

static void test_hws_has_templates_only(void **state)
{
    struct templated t;

    (void)state;
    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    assert_null(create(&t, WIRE));
    assert_int_equal(rte_errno, ENOTSUP);
    assert_int_equal(validate(&t), -ENOTSUP);
}

static void test_hws_on_the_proxy_only(void **state)
{
    struct templated t;

    (void)state;
    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    assert_false(templated_make(&t, ethdev[VF0], 4));
    assert_int_equal(rte_errno, EINVAL);
}

static void test_hws_newest_of_duplicates_wins(void **state)
{
    struct rte_flow *new;
    struct templated t;
    struct frame got;

    (void)state;
    templated_open(&t, 0x0a000002, VF1, 4);
    templated_install(&t, ethdev[WIRE]);
    t.to.port_id = ethdev[VF2];
    new = templated_install(&t, ethdev[WIRE]);
    vf_sends(VF0, 0x0a000002);
    expect(VF2, false, &got);
    templated_destroy(ethdev[WIRE], new);
    vf_sends(VF0, 0x0a000002);
    expect(VF1, false, &got);
}

// A spec with a bit outside the mask: the rule is there and never hits.
static void test_hws_spec_outside_mask_never_hits(void **state)
{
    struct templated t;
    struct frame got;

    (void)state;
    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    t.ip_mask.hdr.dst_addr = RTE_BE32(0xffffff00);
    assert_true(templated_make(&t, ethdev[WIRE], 4));
    templated_install(&t, ethdev[WIRE]);
    vf_sends(VF0, 0x0a000002);
    expect(VF0, true, &got);
    t.ip.hdr.dst_addr = RTE_BE32(0x0a000000);
    templated_install(&t, ethdev[WIRE]);
    vf_sends(VF0, 0x0a000002);
    expect(VF1, false, &got);
}

static void test_hws_counters(void **state)
{
    struct rte_flow *flows[COUNTERS];
    struct rte_flow_error error;
    struct templated t;
    int tries;

    (void)state;
    templated_open(&t, 1, VF1, 10);
    for (unsigned i = 0; i < COUNTERS; i++) {
        t.ip.hdr.dst_addr = rte_cpu_to_be_32(0x0a000002 + i);
        flows[i] = templated_install(&t, ethdev[WIRE]);
    }
    t.ip.hdr.dst_addr = RTE_BE32(1);
    assert_null(templated_create(&t, ethdev[WIRE], false, NULL, &error));
    assert_int_equal(rte_errno, ENOENT); // all in use
    expect_late_counter(flows[0]);
    // One that is given back can be had with the next turn of 500 ms. (Unless that came just now,
    // some may be given back.)
    for (unsigned i = COUNTERS - 1; i > 0; i--) {
        templated_destroy(ethdev[WIRE], flows[i]);
        flows[i] = templated_create(&t, ethdev[WIRE], false, NULL, &error);
        if (!flows[i])
            break;
        templated_pull(ethdev[WIRE]);
    }
    assert_int_equal(rte_errno, EAGAIN);
    for (tries = 0; tries < 30000; tries++, usleep(1000)) {
        if (templated_create(&t, ethdev[WIRE], false, NULL, &error))
            break;
        assert_int_equal(rte_errno, EAGAIN);
    }
    assert_in_range(tries, 0, 29999);
}

static void test_hws_needs_counters_configured(void **state)
{
    struct templated t;

    (void)state;
    assert_int_equal(rig_open(",mode=mlx5-hws"), 0);
    assert_int_equal(configure(ethdev[WIRE], 0), 0);
    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    assert_false(templated_make(&t, ethdev[WIRE], 10));
    assert_int_equal(rte_errno, EINVAL);
}

static void test_hws_full_queue(void **state)
{
    struct rte_flow_error error;
    struct templated t;

    (void)state;
    templated_fill(&t, 1, ethdev[VF1]);
    t.actions[0].type = t.masks[0].type = RTE_FLOW_ACTION_TYPE_VOID;
    assert_true(templated_make(&t, ethdev[WIRE], 100));
    for (unsigned i = 0; i < 16; i++)
        assert_non_null(templated_create(&t, ethdev[WIRE], false, NULL, &error));
    assert_null(templated_create(&t, ethdev[WIRE], false, NULL, &error));
    assert_int_equal(rte_errno, ENOMEM);
}

static void test_hws_rules_end_with_stop(void **state)
{
    struct templated t;
    struct frame got;

    (void)state;
    templated_open(&t, 0x0a000002, VF1, 4);
    templated_install(&t, ethdev[WIRE]);
    for (enum side side = VF0; side < SIDES; side++) {
        if (ethdev[side] != RTE_MAX_ETHPORTS)
            assert_int_equal(rte_eth_dev_stop(ethdev[side]), 0);
    }
    assert_int_equal(rte_eth_dev_stop(ethdev[WIRE]), 0);
    assert_int_equal(start_all(), 0);
    vf_sends(VF0, 0x0a000002);
    expect(VF0, true, &got);
}

// What is no template's of mlx5, each with the error that it gives.
static void expect_refused(struct templated *t, int err)
{
    assert_false(templated_make(t, ethdev[WIRE], 4));
    assert_int_equal(rte_errno, err);
    templated_free(t, ethdev[WIRE]);
}

static void test_hws_actions(void **state)
{
    const struct rte_flow_action_set_mac mac = {.mac_addr = {2}};
    const struct rte_flow_action_port_id id = {.id = ethdev[VF1]};
    const struct rte_flow_action_of_push_vlan push = {.ethertype = RTE_BE16(0x8100)};
    struct rte_flow_action swap;
    struct templated t;

    (void)state;
    templated_fill(&t, 1, ethdev[VF1]);
    t.actions[1] = t.masks[1] = (struct rte_flow_action){RTE_FLOW_ACTION_TYPE_SET_MAC_DST, &mac};
    expect_refused(&t, ENOTSUP);
    t.actions[1] = t.masks[1] = (struct rte_flow_action){RTE_FLOW_ACTION_TYPE_DEC_TTL, NULL};
    expect_refused(&t, ENOTSUP);
    templated_fill(&t, 1, ethdev[VF1]);
    t.actions[2] = t.masks[2] = (struct rte_flow_action){RTE_FLOW_ACTION_TYPE_PORT_ID, &id};
    expect_refused(&t, ENOTSUP);

    templated_fill(&t, 1, ethdev[VF1]);
    t.mac_mask.width = 48;
    expect_refused(&t, EINVAL);
    templated_fill(&t, 1, ethdev[VF1]);
    t.actions[0] = t.masks[0] = (struct rte_flow_action){RTE_FLOW_ACTION_TYPE_OF_PUSH_VLAN, &push};
    expect_refused(&t, EINVAL); // no VLAN id

    // Count before what changes the packet.
    templated_fill(&t, 1, ethdev[VF1]);
    swap = t.actions[0], t.actions[0] = t.actions[1], t.actions[1] = swap;
    swap = t.masks[0], t.masks[0] = t.masks[1], t.masks[1] = swap;
    expect_refused(&t, EINVAL);
}

static void test_hws_items(void **state)
{
    struct rte_flow_item_ipv6 ipv6 = {0};
    struct rte_flow_item_udp ports = {.hdr = {.src_port = 0xffff, .dst_port = 0xffff}};
    struct templated t;

    (void)state;
    templated_fill(&t, 1, ethdev[VF1]);
    t.items[0].type = RTE_FLOW_ITEM_TYPE_VOID;
    t.items[1] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_SCTP};
    expect_refused(&t, EINVAL);

    memset(&ipv6.hdr.src_addr, 0xff, 16);
    t.items[0] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_IPV6, .mask = &ipv6};
    t.items[1] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_UDP, .mask = &ports};
    assert_true(templated_make(&t, ethdev[WIRE], 4));
    templated_free(&t, ethdev[WIRE]);
    memset(&ipv6.hdr.dst_addr, 0xff, 16);
    expect_refused(&t, ENOTSUP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define SWS(name) cmocka_unit_test_setup_teardown(name, setup_sws, rig_teardown)
#define HWS(name) cmocka_unit_test_setup_teardown(name, setup_hws_started, rig_teardown)
        SWS(test_sws_needs_a_started_port),
        SWS(test_sws_has_no_templates),
        SWS(test_sws_oldest_of_duplicates_wins),
        SWS(test_sws_counters_are_late),
        SWS(test_sws_rules_end_with_stop),
        SWS(test_sws_refusals),
        SWS(test_sws_sets_what_is_matched),
        SWS(test_isolate_before_start),
        SWS(test_no_wire_to_wire),
        cmocka_unit_test_setup_teardown(test_hws_order_of_ports, setup_hws, rig_teardown),
        cmocka_unit_test_teardown(test_hws_representors_are_configured_too, rig_teardown),
        cmocka_unit_test_setup_teardown(test_hws_configured_once, setup_hws, rig_teardown),
        HWS(test_hws_has_templates_only),
        HWS(test_hws_on_the_proxy_only),
        HWS(test_hws_newest_of_duplicates_wins),
        HWS(test_hws_spec_outside_mask_never_hits),
        HWS(test_hws_counters),
        cmocka_unit_test_teardown(test_hws_needs_counters_configured, rig_teardown),
        HWS(test_hws_full_queue),
        HWS(test_hws_rules_end_with_stop),
        HWS(test_hws_actions),
        HWS(test_hws_items),
#undef SWS
#undef HWS
    };
    int failed;

    if (!rig_begin("esw_mode_test"))
        return 0;
    failed = cmocka_run_group_tests_name("esw_mode", tests, NULL, NULL);
    rte_eal_cleanup();
    return failed;
}
