/* SPDX-License-Identifier: Apache-2.0 */
// A port's device goes while workers poll it: what becomes of packets to it, when it may be closed
// and opened anew.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_dev.h>

#include "tests/unit/frame.h"
#include "tests/unit/node.h"

#define PORT 9

static const struct dp_port_params params = {.no = PORT,
                                             .kind = DP_PORT_UPLINK,
                                             .name = "nine",
                                             .devargs = "net_null9,no-rx=1",
                                             .mtu = 1500};
static unsigned asked;

static bool may(uint16_t ethdev)
{
    (void)ethdev;
    asked++;
    return true;
}

static bool may_not(uint16_t ethdev)
{
    (void)ethdev;
    asked++;
    return false;
}

static int open_port(void)
{
    char *error = NULL;
    int ret = dp_port_add(&params, &error);

    free(error);
    return ret;
}

static void close_port(uint16_t no)
{
    char *error = NULL;

    assert_int_equal(dp_port_del(no, &error), 0);
}

// A bus tells of a device by its name.
static void test_bus_tells(void **state)
{
    (void)state;
    assert_int_equal(open_port(), 0);
    assert_false(dp_any_gone());
    rte_dev_event_callback_process("net_null8", RTE_DEV_EVENT_REMOVE);
    assert_false(dp_any_gone());
    rte_dev_event_callback_process("net_null9", RTE_DEV_EVENT_ADD);
    assert_false(dp_any_gone());
    rte_dev_event_callback_process("net_null9", RTE_DEV_EVENT_REMOVE);
    assert_false(dp_port_gone(PORT)); // as long as nobody has asked
    assert_true(dp_any_gone());
    assert_false(dp_any_gone());
    assert_true(dp_port_gone(PORT));
    assert_false(dp_port_gone(UPLINK0));
}

// It is there until its port is deleted and everybody has let go of it; then it can be opened anew.
static void test_closed_when_let_go(void **state)
{
    (void)state;
    assert_true(dp_port_gone(PORT));
    assert_int_equal(dp_close_gone(may), 0);
    assert_int_equal(asked, 0);
    close_port(PORT);
    assert_false(dp_port_gone(PORT));
    assert_null(dp_port_get(PORT));
    assert_int_equal(open_port(), -EBUSY);
    assert_int_equal(dp_close_gone(may_not), 1);
    assert_int_equal(asked, 1);
    assert_int_equal(open_port(), -EBUSY);
    assert_int_equal(dp_close_gone(may), 0);
    assert_int_equal(open_port(), 0);
    assert_false(dp_any_gone());
    assert_false(dp_port_gone(PORT));
}

// One that does not answer is given up without being told of.
static void test_given_up(void **state)
{
    (void)state;
    dp_port_give_up(PORT);
    assert_true(dp_port_gone(PORT));
    close_port(PORT);
    assert_int_equal(dp_close_gone(may), 0);
    assert_int_equal(open_port(), 0);
    assert_false(dp_port_gone(PORT));
}

// The forward rule stays, and its packets have a name.
static void test_packets_are_dropped(void **state)
{
    uint64_t before;
    struct dp_totals totals;
    struct frame frame;

    (void)state;
    dp_totals(&totals);
    before = totals.drops[DROP_port_gone];
    frame_udp4(&frame, &POD_A_MAC, &ROUTER_MAC, "10.1.10.5", "10.1.11.6", 64);
    dp_port_give_up(POD_B);
    close_port(POD_B);
    node_send(POD_A, frame.bytes, frame.len);
    node_settle();
    dp_totals(&totals);
    assert_int_equal(totals.drops[DROP_port_gone], before + 1);
}

// What is still to be closed at the end is.
static void test_left_open(void **state)
{
    (void)state;
    dp_port_give_up(PORT);
    close_port(PORT);
    assert_int_equal(dp_close_gone(may_not), 2); // and pod B's
}

static void test_same_device(void **state)
{
    (void)state;
    assert_true(dp_same_device("net_esw0,wire0=up0", "net_esw0,representor=vf[1]"));
    assert_true(dp_same_device("0000:03:00.0", "0000:03:00.0,representor=vf1"));
    assert_false(dp_same_device("net_esw0,wire0=up0", "net_esw01"));
    assert_false(dp_same_device("", ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bus_tells), cmocka_unit_test(test_closed_when_let_go),
        cmocka_unit_test(test_given_up),  cmocka_unit_test(test_packets_are_dropped),
        cmocka_unit_test(test_left_open), cmocka_unit_test(test_same_device),
    };

    return cmocka_run_group_tests_name("unplug", tests, node_setup, node_teardown);
}
