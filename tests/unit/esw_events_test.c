/* SPDX-License-Identifier: Apache-2.0 */
// What befalls net_esw without the program's doing: unplugged and plugged again, closed while it
// tells of events, rules that go, change, or come of themselves.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>

#include "tests/unit/esw_control.h"
#include "tests/unit/esw_templates.h"

static struct rte_flow *create(uint32_t dst)
{
    const struct rte_flow_attr attr = {.transfer = 1, .priority = 1};
    struct rte_flow_error error;
    struct templated t;

    templated_fill(&t, dst, ethdev[VF1]);
    return rte_flow_create(ethdev[WIRE], &attr, t.items, t.actions, &error);
}

static void destroy(struct rte_flow *flow)
{
    struct rte_flow_error error;

    assert_int_equal(rte_flow_destroy(ethdev[WIRE], flow, &error), 0);
}

// Plugged again, the device is as after a reset.
static void test_unplug_and_plug(void **state)
{
    struct frame frame = udp(1, 0x0a000002, 64, 53);
    struct rte_flow *flow = create(0x0a000002);

    (void)state;
    n_events = 0;
    rte_eth_dev_callback_register(ethdev[WIRE], RTE_ETH_EVENT_INTR_RESET, count_event, NULL);
    control("unplug");
    assert_null(create(1));
    control("plug");
    expect_events(1);
    rte_eth_dev_callback_unregister(ethdev[WIRE], RTE_ETH_EVENT_INTR_RESET, count_event, NULL);
    assert_int_equal(rte_eth_dev_is_removed(ethdev[WIRE]), 0);
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF0, true, &frame);
    destroy(flow);
    destroy(create(0x0a000002));
}

// Rules that were there go, change, or come of themselves; the dump tells.
static unsigned count_dumped(struct rte_flow *one, const char *what)
{
    struct rte_flow_error error;
    char dumped[4096] = "";
    FILE *file = fmemopen(dumped, sizeof(dumped) - 1, "w");
    unsigned n = 0;

    assert_int_equal(rte_flow_dev_dump(ethdev[WIRE], one, file, &error), 0);
    fclose(file);
    for (const char *at = dumped; (at = strstr(at, what)); at++)
        n++;
    return n;
}

static void test_rules_change_of_themselves(void **state)
{
    struct frame frame = udp(1, 0x0a000002, 64, 53);
    struct rte_flow *flows[8];
    struct rte_flow_error error;

    (void)state;
    assert_string_equal(control("extra=1"), "error: extra: no such value\n"); // nothing to copy
    assert_string_equal(control("lose=0"), "error: lose: no such value\n");
    for (unsigned i = 0; i < 8; i++)
        flows[i] = create(0x0a000002 + i);
    assert_string_equal(control("lose=3"), "ok\n");
    assert_int_equal(count_dumped(NULL, "flow create"), 5);
    for (unsigned i = 0; i < 8; i++)
        destroy(flows[i]);

    flows[0] = create(0x0a000002);
    assert_string_equal(control("alter=1"), "ok\n");
    assert_int_equal(count_dumped(flows[0], "flow create"), 1);
    assert_int_equal(count_dumped(flows[0], "ethdev_port_id 2"), 0); // VF1, where it was to go
    destroy(flows[0]);

    flows[0] = create(0x0a000002);
    assert_string_equal(control("extra=1"), "ok\n");
    assert_int_equal(count_dumped(NULL, "flow create"), 2);
    inject(VF0, &frame, sizeof(frame));
    frame = udp(1, 3, 64, 53);
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF0, true, &frame); // and nothing else
    destroy(flows[0]);
    assert_int_equal(count_dumped(NULL, "drop"), 1);
    assert_int_equal(rte_flow_flush(ethdev[WIRE], &error), 0);
    assert_int_equal(count_dumped(NULL, "flow create"), 0);
}

// A VF without carrier: its representor says so, and nothing goes either way.
static void test_vf_link(void **state)
{
    struct frame frame = udp(1, 2, 64, 53);
    struct rte_eth_link link;

    (void)state;
    n_events = 0;
    rte_eth_dev_callback_register(ethdev[VF1], RTE_ETH_EVENT_INTR_LSC, count_event, NULL);
    control("links_down=8");
    expect_events(1);
    rte_eth_link_get_nowait(ethdev[VF1], &link);
    assert_int_equal(link.link_status, RTE_ETH_LINK_DOWN);
    rte_eth_link_get_nowait(ethdev[VF0], &link);
    assert_int_equal(link.link_status, RTE_ETH_LINK_UP);
    inject(VF1, &frame, sizeof(frame));
    app_sends(VF1, &frame, sizeof(frame));
    control("links_down=0");
    expect_events(2);
    frame = udp(1, 3, 64, 53);
    inject(VF1, &frame, sizeof(frame));
    expect_same(VF1, true, &frame); // and nothing else
}

// The program closes an ethdev from the callback that tells it of a removal.
static int close_it(uint16_t id, enum rte_eth_event_type type, void *arg, void *result)
{
    (void)type, (void)arg, (void)result;
    rte_eth_dev_stop(id);
    rte_eth_dev_close(id);
    __atomic_fetch_add(&n_events, 1, __ATOMIC_RELAXED);
    return 0;
}

static void test_close_in_callback(void **state)
{
    (void)state;
    n_events = 0;
    rte_eth_dev_callback_register(ethdev[VF2], RTE_ETH_EVENT_INTR_RMV, close_it, NULL);
    control("unplug");
    expect_events(1);
    assert_false(rte_eth_dev_is_valid_port(ethdev[VF2]));
    control("plug");
}

// A callback that takes its time does not see its ethdev closed.
static bool closing;

static int look_later(uint16_t id, enum rte_eth_event_type type, void *arg, void *result)
{
    (void)type, (void)arg, (void)result;
    __atomic_fetch_add(&n_events, 1, __ATOMIC_RELAXED);
    while (!__atomic_load_n(&closing, __ATOMIC_RELAXED))
        usleep(1000);
    usleep(200000);
    if (rte_eth_dev_is_valid_port(id))
        __atomic_fetch_add(&n_events, 1, __ATOMIC_RELAXED);
    return 0;
}

static void test_close_waits_for_callback(void **state)
{
    (void)state;
    n_events = 0;
    rte_eth_dev_callback_register(ethdev[VF1], RTE_ETH_EVENT_INTR_RESET, look_later, NULL);
    closing = false;
    control_send("reset");
    expect_events(1);
    __atomic_store_n(&closing, true, __ATOMIC_RELAXED);
    rte_eth_dev_stop(ethdev[VF1]);
    assert_int_equal(rte_eth_dev_close(ethdev[VF1]), 0);
    expect_events(2);
}

static int setup(void **state)
{
    (void)state;
    return rig_open_started(control_argument("esw_events_test"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
        TEST(test_unplug_and_plug),   TEST(test_rules_change_of_themselves), TEST(test_vf_link),
        TEST(test_close_in_callback), TEST(test_close_waits_for_callback),
#undef TEST
    };
    int failed;

    if (!rig_begin("esw_events_test"))
        return 0;
    failed = cmocka_run_group_tests_name("esw_events", tests, NULL, NULL);
    rte_eal_cleanup();
    return failed;
}
