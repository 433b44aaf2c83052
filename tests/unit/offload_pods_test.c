/* SPDX-License-Identifier: Apache-2.0 */
// Which pods are in a NIC that has no room for all, with net_esw's rule memory made small.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "offload/offload.h"
#include "tests/unit/esw_control.h"
#include "tests/unit/esw_rig.h"
#include "tests/unit/random.h"

#define PODS   40
#define SUBNET 0x0a000000

static struct offload_rule *guard[PODS], *forward[PODS], *to_world;
static unsigned arrival[PODS], n_arrived, room;

static int port_of(uint16_t port, struct offload_port *info)
{
    info->ethdev = ethdev[port - 1];
    return 0;
}

static void mapped(struct in6_addr *address, uint32_t v4)
{
    memset(address, 0, sizeof(*address));
    address->s6_addr32[2] = htonl(0xffff);
    address->s6_addr32[3] = htonl(v4);
}

// What `attach` gives the engine: all that comes from the pod's address, all that goes to it.
static void attach(unsigned pod)
{
    struct rule from = {.table = RULE_TABLE_GUARD, .cookie = pod + 1, .n_actions = 1};
    struct rule to = {.table = RULE_TABLE_FORWARD, .cookie = pod + 1, .n_actions = 2};

    from.priority = to.priority = 100;
    from.match.in_port = VF1 + 1;
    mapped(&from.match.spec.ip_src, SUBNET + pod);
    memset(&from.match.mask.ip_src, 0xff, 16);
    from.actions[0] = (struct action){.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_FORWARD};
    mapped(&to.match.spec.ip_dst, SUBNET + pod);
    memset(&to.match.mask.ip_dst, 0xff, 16);
    to.actions[0] = (struct action){.type = ACTION_SET_ETH_DST, .mac = mac_b};
    to.actions[1] = (struct action){.type = ACTION_OUTPUT, .port = VF1 + 1};
    guard[pod] = offload_add(&from);
    forward[pod] = offload_add(&to);
    assert_true(guard[pod] && forward[pod]);
    arrival[pod] = n_arrived++;
}

static void detach(unsigned pod)
{
    offload_remove(guard[pod]);
    offload_remove(forward[pod]);
    guard[pod] = forward[pod] = NULL;
}

static unsigned installed(void)
{
    unsigned n;

    assert_int_equal(sscanf(strstr(control("status"), "rules "), "rules %u", &n), 1);
    return n;
}

// Room for the range's default rule and for so many more.
static void set_room(unsigned rules)
{
    char words[32];

    assert_true(offload_in_nic(to_world));
    room = rules;
    snprintf(words, sizeof(words), "rules=%u", installed() + rules);
    assert_string_equal(control(words), "ok\n");
}

static int setup(void **state)
{
    struct rule rule = {.table = RULE_TABLE_FORWARD, .n_actions = 1};

    (void)state;
    control("rules=0");
    n_arrived = 0;
    offload_init(OFFLOAD_AUTO, port_of);
    mapped(&rule.match.spec.ip_src, SUBNET);
    memset(&rule.match.mask.ip_src, 0xff, 15);
    rule.match.in_port = VF1 + 1;
    rule.actions[0] = (struct action){.type = ACTION_UPLINKS};
    to_world = offload_add(&rule);
    return to_world ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    for (unsigned pod = 0; pod < PODS; pod++)
        detach(pod);
    offload_remove(to_world);
    return installed() == 0 ? 0 : -1;
}

static bool is_in(unsigned pod)
{
    assert_int_equal(offload_in_nic(guard[pod]), offload_in_nic(forward[pod]));
    return offload_in_nic(guard[pod]);
}

// Each pod takes one rule for what goes to it, be it a place holder, and one more if it is in.
static void expect_in(unsigned first, unsigned n, unsigned of)
{
    struct offload_status status;

    for (unsigned pod = first; pod < first + of; pod++)
        assert_int_equal(is_in(pod), pod < first + n);
    assert_true(offload_in_nic(to_world));
    offload_status(&status);
    assert_int_equal(status.pods, of);
    assert_int_equal(status.pods_out, of - n);
}

static void test_whole_pods(void **state)
{
    (void)state;
    set_room(8 + 3);
    for (unsigned pod = 0; pod < 8; pod++)
        attach(pod);
    expect_in(0, 3, 8);
    assert_non_null(strstr(offload_why_not(guard[5]), "no room for all rules of this pod"));
    assert_string_equal(offload_why_not(guard[5]), offload_why_not(forward[5]));
    // Its two rules are another's guard and, as there is a place holder less, one more's.
    detach(1);
    detach(0);
    expect_in(2, 5, 6);
    detach(7);
    expect_in(2, 5, 5);
}

// The last to come goes in first where the operator wants it to.
static void test_preferred(void **state)
{
    struct offload_prefix prefer[2] = {{.length = 128}, {.length = 127}};

    (void)state;
    mapped(&prefer[0].subnet, SUBNET + 7);
    mapped(&prefer[1].subnet, SUBNET + 4);
    offload_prefer(prefer, 2);
    set_room(8 + 4);
    for (unsigned pod = 0; pod < 8; pod++)
        attach(pod);
    assert_true(is_in(7) && is_in(4) && is_in(5) && is_in(0));
    assert_false(is_in(1) || is_in(2) || is_in(3) || is_in(6));
    detach(7);
    assert_true(is_in(1) && is_in(2) && !is_in(3)); // who came first
}

// Who waits is not overtaken by who comes later and needs less.
static void test_no_overtaking(void **state)
{
    struct rule second = {.table = RULE_TABLE_FORWARD, .cookie = 2, .n_actions = 1};
    struct offload_rule *more[2];

    (void)state;
    set_room(2 + 4);
    attach(0);
    attach(1);
    second.priority = 100;
    memset(&second.match.mask.ip_dst, 0xff, 16);
    second.actions[0] = (struct action){.type = ACTION_OUTPUT, .port = VF1 + 1};
    for (unsigned i = 0; i < 2; i++) {
        mapped(&second.match.spec.ip_dst, 0x0b000000 + i);
        more[i] = offload_add(&second);
    }
    attach(2);
    assert_true(is_in(0));
    assert_false(is_in(1) || is_in(2));
    offload_remove(more[0]);
    offload_remove(more[1]);
    assert_true(is_in(1) && is_in(2));
}

// Without room for all place holders the default rule goes, and comes back; nothing is half in.
static void test_hardly_any_room(void **state)
{
    (void)state;
    set_room(4);
    for (unsigned pod = 0; pod < 8; pod++)
        attach(pod);
    assert_false(offload_in_nic(to_world));
    for (unsigned pod = 0; pod < 8; pod++)
        is_in(pod);
    for (unsigned pod = 7; pod > 2; pod--)
        detach(pod);
    expect_in(0, 1, 3);
}

// All come back into a NIC that was reset as they were, in their order.
static void test_reset(void **state)
{
    struct offload_status status;

    (void)state;
    set_room(10 + 4);
    for (unsigned pod = 0; pod < 10; pod++)
        attach(pod);
    expect_in(0, 4, 10);
    assert_int_equal(offload_start(), 0);
    assert_string_equal(control("reset"), "ok\n");
    do {
        usleep(1000);
        offload_status(&status);
    } while (!status.resets);
    assert_int_equal(offload_settle(true, 30000), 0);
    offload_stop();
    expect_in(0, 4, 10);
}

// Whatever comes and goes, as many pods as have room are in, whole, and none that came later.
static void test_random(void **state)
{
    unsigned n = 0, n_in, last_in, first_out;

    (void)state;
    set_room(PODS + 12);
    for (unsigned step = 0; step < 1500; step++) {
        unsigned pod = random_below(PODS);

        if (guard[pod])
            detach(pod), n--;
        else
            attach(pod), n++;
        n_in = last_in = 0;
        first_out = UINT32_MAX;
        for (pod = 0; pod < PODS; pod++) {
            if (!guard[pod])
                continue;
            if (is_in(pod)) {
                n_in++;
                last_in = RTE_MAX(last_in, arrival[pod]);
            } else {
                first_out = RTE_MIN(first_out, arrival[pod]);
            }
        }
        assert_int_equal(n_in, RTE_MIN(n, room - n));
        assert_true(!n_in || last_in < first_out);
        assert_true(offload_in_nic(to_world));
    }
}

// One argument: net_esw's mode.
int main(int argc, char *argv[])
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_whole_pods),      TEST(test_preferred), TEST(test_no_overtaking),
        TEST(test_hardly_any_room), TEST(test_reset),     TEST(test_random),
    };
    bool by_templates = argc > 1 && !strcmp(argv[1], "mlx5-hws");
    char arguments[160];
    int failed;

    if (!rig_begin("offload_pods_test"))
        return 0;
    // Counters that lag would have to be waited for.
    snprintf(arguments, sizeof(arguments), ",mode=%s,counter_lag_ms=0%s",
             argc > 1 ? argv[1] : "ideal", control_argument("offload_pods_test"));
    random_begin();
    if (by_templates ? rig_open_for_templates(arguments) : rig_open_started(arguments))
        return 1;
    failed = cmocka_run_group_tests_name("offload_pods", tests, NULL, NULL);
    offload_init(OFFLOAD_OFF, port_of);
    return failed || rig_close();
}
