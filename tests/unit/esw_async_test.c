/* SPDX-License-Identifier: Apache-2.0 */
// net_esw's asynchronous rules: templates, tables, queues and what goes wrong with them.
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

#include <rte_cycles.h>
#include <rte_eal.h>

#include "tests/unit/esw_control.h"
#include "tests/unit/esw_templates.h"

#define QUEUE_SIZE 4

static int setup(void **state)
{
    const struct rte_flow_queue_attr size = {.size = QUEUE_SIZE}, *sizes[] = {&size, &size};
    const struct rte_flow_port_attr attr = {0};
    struct rte_flow_error error;

    (void)state;
    if (rig_open(control_argument("esw_async_test")) || rig_configure(ethdev[WIRE]) ||
        rte_flow_configure(ethdev[WIRE], &attr, 2, sizes, &error) ||
        rte_eth_dev_start(ethdev[WIRE]))
        return -1;
    for (enum side side = VF0; side <= VF2; side++) {
        if (rig_start(ethdev[side]))
            return -1;
    }
    return 0;
}

static void expect_forwarded(enum side to)
{
    struct frame frame = udp(1, 0x0a000002, 64, 53), expected = frame;

    expected.eth.dst_addr = mac_c;
    inject(VF0, &frame, sizeof(frame));
    expect_same(to, false, &expected);
}

static void expect_software(void)
{
    struct frame frame = udp(1, 0x0a000002, 64, 53);

    inject(VF0, &frame, sizeof(frame));
    expect_same(VF0, true, &frame);
}

static void test_configure(void **state)
{
    const struct rte_flow_queue_attr none = {.size = 0}, some = {.size = 8}, *sizes[1];
    const struct rte_flow_port_attr attr = {0};
    struct rte_flow_port_info port_info;
    struct rte_flow_queue_info queue_info;
    struct rte_flow_error error;

    (void)state;
    assert_int_equal(rte_flow_info_get(ethdev[WIRE], &port_info, &queue_info, &error), 0);
    assert_int_equal(port_info.max_nb_queues, 16);
    assert_int_equal(queue_info.max_size, 65536);
    assert_int_equal(rte_flow_configure(ethdev[WIRE], &attr, 1, sizes, &error), -EINVAL); // started
    rte_eth_dev_stop(ethdev[VF0]);
    sizes[0] = &none;
    assert_int_equal(rte_flow_configure(ethdev[VF0], &attr, 1, sizes, &error), -EINVAL);
    assert_int_equal(rte_flow_configure(ethdev[VF0], &attr, 0, sizes, &error), -EINVAL);
    assert_int_equal(rte_flow_configure(ethdev[VF0], &attr, 17, sizes, &error), -EINVAL);
    sizes[0] = &some;
    assert_int_equal(rte_flow_configure(ethdev[VF0], &attr, 1, sizes, &error), 0);
}

static void test_rule(void **state)
{
    const struct rte_flow_action count[] = {{RTE_FLOW_ACTION_TYPE_COUNT, NULL},
                                            {RTE_FLOW_ACTION_TYPE_END, NULL}};
    struct rte_flow_query_count counted = {0};
    struct rte_flow_op_result result;
    struct rte_flow_error error;
    struct rte_flow *flow;
    struct templated t;
    int mark;

    (void)state;
    templated_open(&t, 0x0a000002, VF1, 10);
    flow = templated_create(&t, ethdev[WIRE], false, &mark, &error);
    assert_non_null(flow);
    result = templated_pull(ethdev[WIRE]);
    assert_int_equal(result.status, RTE_FLOW_OP_SUCCESS);
    assert_ptr_equal(result.user_data, &mark);
    expect_forwarded(VF1);
    assert_int_equal(rte_flow_query(ethdev[WIRE], flow, count, &counted, &error), 0);
    assert_int_equal(counted.hits, 1);

    // What is in use stays.
    assert_int_equal(rte_flow_template_table_destroy(ethdev[WIRE], t.table, &error), -EBUSY);
    assert_int_equal(rte_flow_pattern_template_destroy(ethdev[WIRE], t.pattern, &error), -EBUSY);
    assert_int_equal(rte_flow_actions_template_destroy(ethdev[WIRE], t.template, &error), -EBUSY);
    templated_destroy(ethdev[WIRE], flow);
    expect_software();
    templated_free(&t, ethdev[WIRE]);
}

// What a template's mask has is the template's, whatever the rule says; what it has not is the
// rule's.
static void test_constants(void **state)
{
    struct rte_flow_error error;
    struct rte_flow *flow;
    struct templated t;

    (void)state;
    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    t.to_mask.port_id = UINT16_MAX;
    assert_true(templated_make(&t, ethdev[WIRE], 10));
    t.to.port_id = ethdev[VF2]; // not the template's
    flow = templated_install(&t, ethdev[WIRE]);
    expect_forwarded(VF1);
    templated_destroy(ethdev[WIRE], flow);
    templated_free(&t, ethdev[WIRE]);

    templated_open(&t, 0x0a000002, VF1, 10);
    t.to.port_id = ethdev[VF2];
    flow = templated_install(&t, ethdev[WIRE]);
    expect_forwarded(VF2);
    templated_destroy(ethdev[WIRE], flow);

    t.items[1].type = RTE_FLOW_ITEM_TYPE_IPV6;
    assert_null(templated_create(&t, ethdev[WIRE], false, NULL, &error));
    assert_int_equal(rte_errno, EINVAL);
    t.items[1].type = RTE_FLOW_ITEM_TYPE_IPV4;
    t.actions[2].type = RTE_FLOW_ACTION_TYPE_DROP;
    assert_null(templated_create(&t, ethdev[WIRE], false, NULL, &error));
    assert_int_equal(rte_errno, EINVAL);
    templated_free(&t, ethdev[WIRE]);
}

static void test_postpone(void **state)
{
    struct rte_flow_op_result result;
    struct rte_flow_error error;
    struct rte_flow *flow;
    struct templated t;

    (void)state;
    templated_open(&t, 0x0a000002, VF1, 10);
    flow = templated_create(&t, ethdev[WIRE], true, NULL, &error);
    assert_non_null(flow);
    expect_software();
    assert_int_equal(rte_flow_pull(ethdev[WIRE], 0, &result, 1, &error), 0);
    assert_int_equal(rte_flow_push(ethdev[WIRE], 0, &error), 0);
    expect_forwarded(VF1); // the NIC does not wait for the pull
    assert_int_equal(rte_flow_pull(ethdev[WIRE], 0, &result, 1, &error), 1);
    templated_destroy(ethdev[WIRE], flow);
    templated_free(&t, ethdev[WIRE]);
}

// Results that nobody pulls take up room; so do operations that are stuck.
static void test_full_queue(void **state)
{
    struct rte_flow_op_result results[QUEUE_SIZE];
    struct rte_flow *flows[QUEUE_SIZE + 1];
    struct rte_flow_error error;
    struct templated t;

    (void)state;
    control("queue_stuck=1");
    templated_open(&t, 1, VF1, 10);
    for (unsigned i = 0; i < QUEUE_SIZE; i++) {
        t.ip.hdr.dst_addr = rte_cpu_to_be_32(0x0a000002 + i);
        flows[i] = templated_create(&t, ethdev[WIRE], false, &flows[i], &error);
        assert_non_null(flows[i]);
    }
    assert_null(templated_create(&t, ethdev[WIRE], false, NULL, &error));
    assert_int_equal(rte_errno, EAGAIN);
    assert_int_equal(rte_flow_async_destroy(ethdev[WIRE], 0, &(struct rte_flow_op_attr){0},
                                            flows[0], NULL, &error),
                     -EAGAIN);
    assert_int_equal(rte_flow_push(ethdev[WIRE], 0, &error), 0);
    assert_int_equal(rte_flow_pull(ethdev[WIRE], 0, results, QUEUE_SIZE, &error), 0);
    expect_software();

    control("queue_stuck=0");
    expect_forwarded(VF1);
    assert_null(templated_create(&t, ethdev[WIRE], false, NULL, &error));
    assert_int_equal(rte_flow_pull(ethdev[WIRE], 0, results, QUEUE_SIZE, &error), QUEUE_SIZE);
    for (unsigned i = 0; i < QUEUE_SIZE; i++) {
        assert_int_equal(results[i].status, RTE_FLOW_OP_SUCCESS);
        assert_ptr_equal(results[i].user_data, &flows[i]); // in order
        templated_destroy(ethdev[WIRE], flows[i]);
    }
    templated_free(&t, ethdev[WIRE]);
}

// A slow NIC: the program does not wait, rules come one after the other.
static void test_slow_queue(void **state)
{
    uint64_t begin, latency = rte_get_tsc_hz() / 2, waited = latency;
    struct rte_flow *flows[3];
    struct rte_flow_error error;
    struct templated t;

    (void)state;
    templated_open(&t, 1, VF1, 30);
    control("latency_us=500000");
    // On a busy machine it may have to wait for a CPU, but not each time.
    for (unsigned tries = 0; waited >= latency && tries < 5; tries++) {
        begin = rte_rdtsc();
        for (unsigned i = 0; i < 3; i++) {
            t.ip.hdr.dst_addr = rte_cpu_to_be_32(1 + i);
            flows[i] = templated_create(&t, ethdev[WIRE], false, NULL, &error);
        }
        waited = rte_rdtsc() - begin;
        for (unsigned i = 0; i < 3; i++) {
            templated_pull(ethdev[WIRE]);
            assert_true(rte_rdtsc() - begin >= latency * (i + 1));
        }
        for (unsigned i = 0; i < 3; i++)
            templated_destroy(ethdev[WIRE], flows[i]);
    }
    assert_true(waited < latency);
    control("latency_us=0");
    templated_free(&t, ethdev[WIRE]);
}

// A rule that the NIC refuses is told of with its result; its handle is gone by then, also for a
// destroy that waits behind.
static void test_refused(void **state)
{
    const struct rte_flow_op_attr attr = {0};
    struct rte_flow_error error;
    struct rte_flow *flow;
    struct templated t;

    (void)state;
    templated_open(&t, 0x0a000002, VF1, 1);
    control("refuse_every=1 queue_stuck=1");
    flow = templated_create(&t, ethdev[WIRE], false, NULL, &error);
    assert_non_null(flow);
    assert_int_equal(rte_flow_async_destroy(ethdev[WIRE], 0, &attr, flow, NULL, &error), 0);
    control("queue_stuck=0");
    assert_int_equal(templated_pull(ethdev[WIRE]).status, RTE_FLOW_OP_ERROR);
    assert_int_equal(templated_pull(ethdev[WIRE]).status, RTE_FLOW_OP_SUCCESS);
    expect_software();
    control("refuse_every=0");

    // It took no room of the table.
    flow = templated_install(&t, ethdev[WIRE]);
    assert_null(templated_create(&t, ethdev[WIRE], false, NULL, &error));
    assert_int_equal(rte_errno, ENOMEM);
    templated_destroy(ethdev[WIRE], flow);
    templated_free(&t, ethdev[WIRE]);
}

static void test_same_rule_twice(void **state)
{
    struct rte_flow_error error;
    struct rte_flow *flow;
    struct templated t;

    (void)state;
    templated_open(&t, 0x0a000002, VF1, 10);
    flow = templated_install(&t, ethdev[WIRE]);
    assert_non_null(templated_create(&t, ethdev[WIRE], false, NULL, &error));
    assert_int_equal(templated_pull(ethdev[WIRE]).status, RTE_FLOW_OP_ERROR);
    templated_destroy(ethdev[WIRE], flow);
    templated_free(&t, ethdev[WIRE]);
}

static void test_unsupported(void **state)
{
    const struct rte_flow_pattern_template_attr ingress = {.ingress = 1};
    struct rte_flow_error error;
    struct templated t;

    (void)state;
    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    assert_null(rte_flow_pattern_template_create(ethdev[WIRE], &ingress, t.items, &error));
    t.ip_mask.hdr.packet_id = 1;
    assert_false(templated_make(&t, ethdev[WIRE], 10));
    assert_int_equal(rte_errno, ENOTSUP);

    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    t.masks[0].type = RTE_FLOW_ACTION_TYPE_AGE; // not the action
    assert_false(templated_make(&t, ethdev[WIRE], 10));
    assert_int_equal(rte_errno, ENOTSUP);
    templated_free(&t, ethdev[WIRE]);

    control("without=ipv4");
    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    assert_false(templated_make(&t, ethdev[WIRE], 10));
    control("without=modify_field");
    assert_false(templated_make(&t, ethdev[WIRE], 10));
    assert_non_null(t.pattern);
    templated_free(&t, ethdev[WIRE]);
    control("without=");
}

// Rules go with the flush of their port, with a stop if they are under way.
static void test_flush_and_stop(void **state)
{
    struct rte_flow_op_result result;
    struct rte_flow_error error;
    struct templated t;

    (void)state;
    templated_open(&t, 0x0a000002, VF1, 10);
    assert_non_null(templated_create(&t, ethdev[WIRE], false, NULL, &error));
    assert_int_equal(rte_flow_flush(ethdev[WIRE], &error), 0);
    assert_int_equal(templated_pull(ethdev[WIRE]).status, RTE_FLOW_OP_SUCCESS);
    expect_software();

    assert_non_null(templated_create(&t, ethdev[WIRE], true, NULL, &error));
    assert_int_equal(rte_eth_dev_stop(ethdev[WIRE]), 0);
    assert_int_equal(rte_eth_dev_start(ethdev[WIRE]), 0);
    assert_int_equal(rte_flow_pull(ethdev[WIRE], 0, &result, 1, &error), 1);
    assert_int_equal(result.status, RTE_FLOW_OP_ERROR);
    expect_software();
    templated_free(&t, ethdev[WIRE]);
}

static void test_aged(void **state)
{
    const struct rte_flow_action_age age = {.timeout = 1, .context = &pool};
    const struct rte_flow_op_attr attr = {0};
    void *contexts[2];
    struct rte_flow_error error;
    uint64_t begin = rte_rdtsc();
    struct rte_flow *flow;
    struct templated t;
    int n;

    (void)state;
    templated_fill(&t, 0x0a000002, ethdev[VF1]);
    t.actions[0] = (struct rte_flow_action){RTE_FLOW_ACTION_TYPE_AGE, &age};
    t.masks[0] = (struct rte_flow_action){RTE_FLOW_ACTION_TYPE_AGE, NULL};
    assert_true(templated_make(&t, ethdev[WIRE], 10));
    flow = rte_flow_async_create(ethdev[WIRE], 1, &attr, t.table, t.items, 0, t.actions, 0, NULL,
                                 &error);
    assert_non_null(flow);
    while (!(n = rte_flow_get_q_aged_flows(ethdev[WIRE], 1, contexts, 2, &error)))
        usleep(1000);
    assert_int_equal(n, 1);
    assert_true(rte_rdtsc() - begin >= rte_get_tsc_hz()); // not before its time
    assert_int_equal(rte_flow_get_q_aged_flows(ethdev[WIRE], 0, contexts, 2, &error), 0);
    assert_ptr_equal(contexts[0], &pool);
    assert_int_equal(rte_flow_flush(ethdev[WIRE], &error), 0);
    templated_free(&t, ethdev[WIRE]);
}

// After a reset the handles are still there, the rules are not.
static void test_reset_and_unplug(void **state)
{
    struct rte_flow_error error;
    struct rte_flow *flow;
    struct templated t;

    (void)state;
    templated_open(&t, 0x0a000002, VF1, 10);
    flow = templated_install(&t, ethdev[WIRE]);
    control("reset");
    expect_software();
    templated_destroy(ethdev[WIRE], flow);
    templated_install(&t, ethdev[WIRE]);
    expect_forwarded(VF1);
    control("unplug");
    assert_null(templated_create(&t, ethdev[WIRE], false, NULL, &error));
    assert_int_equal(rte_errno, EIO); // what rte_flow says of devices that are gone
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
        TEST(test_configure),   TEST(test_rule),
        TEST(test_constants),   TEST(test_postpone),
        TEST(test_full_queue),  TEST(test_slow_queue),
        TEST(test_refused),     TEST(test_same_rule_twice),
        TEST(test_unsupported), TEST(test_flush_and_stop),
        TEST(test_aged),        TEST(test_reset_and_unplug),
#undef TEST
    };
    int failed;

    if (!rig_begin("esw_async_test"))
        return 0;
    failed = cmocka_run_group_tests_name("esw_async", tests, NULL, NULL);
    rte_eal_cleanup();
    return failed;
}
