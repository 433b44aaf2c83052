/* SPDX-License-Identifier: Apache-2.0 */
// Which rules go into the NIC. The driver is one of the test's own, in place of rte_flow's
// functions (see meson.build): it remembers what was created and refuses what it is told to.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_flow.h>

#include "offload/flow.h"
#include "offload/offload.h"
#include "tests/unit/offload_rate.h"

// Ports of the NICs: ethdevs 0 to 9 are of the first, its proxy is 0; 10 to 19 of the second,
// its proxy is 10. A port's number is its ethdev's plus 1.
#define EXCEPTIONS 20

static struct fake_driver {
    unsigned n;            // rules in it
    unsigned n_calls;      // of create and destroy
    unsigned n_exceptions; // rules in it that leave packets to software
    unsigned room;         // for rules that are no exceptions; 0: enough
    bool refuses_ranges;
    enum rte_flow_action_type refused_action;
    int refused_priority; // rte_flow's; -1: none
    bool no_proxy;
    uint32_t jump; // the last rule's, if it was none to software
    unsigned n_jumps_to_policy;
} driver;

struct rte_flow {
    bool exception;
};

int __wrap_rte_flow_validate(uint16_t, const struct rte_flow_attr *, const struct rte_flow_item[],
                             const struct rte_flow_action[], struct rte_flow_error *);
struct rte_flow *__wrap_rte_flow_create(uint16_t, const struct rte_flow_attr *,
                                        const struct rte_flow_item[],
                                        const struct rte_flow_action[], struct rte_flow_error *);
int __wrap_rte_flow_destroy(uint16_t, struct rte_flow *, struct rte_flow_error *);
int __wrap_rte_flow_pick_transfer_proxy(uint16_t, uint16_t *, struct rte_flow_error *);
int __wrap_rte_flow_query(uint16_t, struct rte_flow *, const struct rte_flow_action *, void *,
                          struct rte_flow_error *);
int __wrap_rte_eth_dev_info_get(uint16_t, struct rte_eth_dev_info *);

int __wrap_rte_flow_validate(uint16_t port, const struct rte_flow_attr *attr,
                             const struct rte_flow_item pattern[],
                             const struct rte_flow_action actions[], struct rte_flow_error *error)
{
    assert_int_equal(port % 10, 0);
    assert_true(attr->transfer);
    for (; pattern->type != RTE_FLOW_ITEM_TYPE_END; pattern++) {
        if (driver.refuses_ranges && pattern->last)
            return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_LAST, pattern,
                                      "no ranges");
    }
    for (; actions->type != RTE_FLOW_ACTION_TYPE_END; actions++) {
        if (driver.refused_action && actions->type == driver.refused_action)
            return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, actions,
                                      "action not to be had");
    }
    if ((int)attr->priority == driver.refused_priority ||
        (driver.room && attr->priority > 0 && driver.n - driver.n_exceptions >= driver.room))
        return rte_flow_error_set(error, ENOSPC, RTE_FLOW_ERROR_TYPE_HANDLE, NULL, "full");
    return 0;
}

struct rte_flow *__wrap_rte_flow_create(uint16_t port, const struct rte_flow_attr *attr,
                                        const struct rte_flow_item pattern[],
                                        const struct rte_flow_action actions[],
                                        struct rte_flow_error *error)
{
    struct rte_flow *flow;

    driver.n_calls++;
    if (__wrap_rte_flow_validate(port, attr, pattern, actions, error))
        return NULL;
    flow = calloc(1, sizeof(*flow));
    assert_non_null(flow);
    flow->exception = attr->priority == 0;
    for (; actions->type != RTE_FLOW_ACTION_TYPE_END; actions++) {
        const struct rte_flow_action_jump *jump = actions->conf;

        if (actions->type != RTE_FLOW_ACTION_TYPE_JUMP || jump->group == FLOW_GROUP_SOFTWARE)
            continue;
        driver.jump = jump->group;
        driver.n_jumps_to_policy += jump->group == RULE_TABLE_POLICY;
    }
    driver.n++;
    driver.n_exceptions += flow->exception;
    return flow;
}

int __wrap_rte_flow_destroy(uint16_t port, struct rte_flow *flow, struct rte_flow_error *error)
{
    (void)error;
    assert_int_equal(port % 10, 0);
    driver.n_calls++;
    driver.n--;
    driver.n_exceptions -= flow->exception;
    free(flow);
    return 0;
}

int __wrap_rte_flow_pick_transfer_proxy(uint16_t port, uint16_t *proxy,
                                        struct rte_flow_error *error)
{
    if (driver.no_proxy)
        return rte_flow_error_set(error, ENOSYS, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL, "no");
    *proxy = port / 10 * 10;
    return 0;
}

int __wrap_rte_flow_query(uint16_t port, struct rte_flow *flow,
                          const struct rte_flow_action *action, void *data,
                          struct rte_flow_error *error)
{
    struct rte_flow_query_count *count = data;

    (void)port, (void)flow, (void)error;
    assert_int_equal(action->type, RTE_FLOW_ACTION_TYPE_COUNT);
    count->hits_set = count->bytes_set = 1;
    count->hits = 7;
    count->bytes = 700;
    return 0;
}

int __wrap_rte_eth_dev_info_get(uint16_t port, struct rte_eth_dev_info *info)
{
    memset(info, 0, sizeof(*info));
    info->driver_name = "net_fake";
    info->switch_info.domain_id = port / 10;
    return 0;
}

static int port_of(uint16_t port, struct offload_port *info)
{
    if (port > 20) {
        info->why = "a veth pair is no NIC";
        return -ENODEV;
    }
    info->ethdev = port - 1;
    return 0;
}

static int setup(void **state)
{
    (void)state;
    driver = (struct fake_driver){.refused_priority = -1};
    offload_init(OFFLOAD_AUTO, port_of);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    offload_init(OFFLOAD_OFF, port_of);
    return driver.n == 0 ? 0 : -1; // a rule was left in the NIC
}

// ip_dst = 10.0.0.host/len -> to that port
static struct rule pod(uint16_t priority, uint8_t host, unsigned len, uint16_t port)
{
    struct rule rule = {.table = RULE_TABLE_FORWARD, .priority = priority, .n_actions = 2};

    for (unsigned i = 0; i < 96 + len; i++)
        rule.match.mask.ip_dst.s6_addr[i / 8] |= 0x80 >> (i % 8);
    rule.match.spec.ip_dst.s6_addr32[2] = htonl(0xffff);
    rule.match.spec.ip_dst.s6_addr32[3] =
        htonl(0x0a000000 | host) & rule.match.mask.ip_dst.s6_addr32[3];
    rule.actions[0] = (struct action){.type = ACTION_DEC_TTL};
    rule.actions[1] = (struct action){.type = ACTION_OUTPUT, .port = port};
    return rule;
}

static struct offload_rule *add(struct rule rule)
{
    struct offload_rule *orule = offload_add(&rule);

    assert_non_null(orule);
    return orule;
}

static void assert_why(const struct offload_rule *orule, const char *part)
{
    assert_false(offload_in_nic(orule));
    if (!strstr(offload_why_not(orule), part))
        fail_msg("\"%s\" is not in \"%s\"", part, offload_why_not(orule));
}

static void test_in_and_out(void **state)
{
    struct offload_rule *orule = add(pod(100, 5, 32, 3));
    struct offload_counts counts;
    char line[512];

    (void)state;
    assert_true(offload_in_nic(orule));
    assert_string_equal(offload_why_not(orule), "");
    assert_int_equal(driver.n, 1 + EXCEPTIONS);
    assert_int_equal(driver.n_exceptions, EXCEPTIONS);
    assert_true(offload_format_testpmd(orule, line, sizeof(line)) > 0);
    assert_memory_equal(line, "flow create 0 group 9 ", 22);
    offload_stats(orule, &counts);
    assert_int_equal(counts.packets, 7);
    assert_int_equal(counts.bytes, 700);
    offload_remove(orule);
    offload_remove(NULL);
    assert_int_equal(driver.n, 0);
}

static void test_exceptions_are_shared(void **state)
{
    struct offload_rule *a = add(pod(100, 5, 32, 3)), *b = add(pod(100, 6, 32, 4));
    struct offload_rule *other_nic = add(pod(100, 7, 32, 13));

    (void)state;
    assert_int_equal(driver.n_exceptions, 2 * EXCEPTIONS); // once in each NIC
    offload_remove(a);
    assert_int_equal(driver.n_exceptions, 2 * EXCEPTIONS);
    offload_remove(b);
    assert_int_equal(driver.n - driver.n_exceptions,
                     2); // the third in its NIC, and its place in the first
    offload_remove(other_nic);
    assert_int_equal(driver.n_exceptions, 0);
}

static void test_nothing_without_exceptions(void **state)
{
    struct offload_rule *orule;

    (void)state;
    driver.refused_action = RTE_FLOW_ACTION_TYPE_JUMP;
    orule = add(pod(100, 5, 32, 3));
    assert_why(orule, "net_fake cannot leave frames to group addresses to software: action not");
    assert_int_equal(driver.n, 0);
    offload_remove(orule);
}

static void test_off(void **state)
{
    struct offload_rule *orule;
    struct offload_counts counts;
    char line[512];

    (void)state;
    offload_init(OFFLOAD_OFF, port_of);
    orule = add(pod(100, 5, 32, 3));
    assert_why(orule, "offload is off in the node file");
    assert_int_equal(driver.n_calls, 0);
    offload_format_testpmd(orule, line, sizeof(line));
    assert_memory_equal(line, "flow create 0 ", 14);
    offload_stats(orule, &counts);
    assert_int_equal(counts.packets, 0);
    offload_remove(orule);
}

static void test_port_of_no_nic(void **state)
{
    struct offload_rule *orule = add(pod(100, 5, 32, 99));
    char line[512];

    (void)state;
    assert_why(orule, "port 99: a veth pair is no NIC");
    offload_format_testpmd(orule, line, sizeof(line));
    assert_string_equal(line, "# port 99: a veth pair is no NIC");
    offload_remove(orule);
}

static void test_driver_without_rte_flow(void **state)
{
    struct offload_rule *orule;

    (void)state;
    driver.no_proxy = true;
    orule = add(pod(100, 5, 32, 3));
    assert_why(orule, "net_fake has no rte_flow");
    offload_remove(orule);
}

static void test_two_nics(void **state)
{
    struct rule rule = pod(100, 5, 32, 13);
    struct offload_rule *orule;

    (void)state;
    rule.match.in_port = 3;
    orule = add(rule);
    assert_why(orule, "not of the NIC that the packet comes in by");
    offload_remove(orule);
}

static void test_other_way_to_say_it(void **state)
{
    struct offload_rule *a, *b;
    unsigned calls;
    char line[512];

    (void)state;
    driver.refused_action = RTE_FLOW_ACTION_TYPE_DEC_TTL;
    a = add(pod(100, 5, 32, 3));
    assert_true(offload_in_nic(a));
    offload_format_testpmd(a, line, sizeof(line));
    assert_non_null(strstr(line, "modify_field op sub dst_type ipv4_ttl"));
    // It is remembered: one call is enough.
    calls = driver.n_calls;
    b = add(pod(100, 6, 32, 3));
    assert_true(offload_in_nic(b));
    assert_int_equal(driver.n_calls, calls + 1);
    offload_remove(a);
    offload_remove(b);
}

// The rule's place holder leaves its packets to software, so that those below it may be there.
static void test_higher_rule_in_software(void **state)
{
    struct offload_rule *wide, *beside, *low, *high;

    (void)state;
    low = add(pod(10, 0, 24, 3));
    wide = add(pod(20, 4, 30, 3));
    beside = add(pod(20, 9, 32, 3));
    assert_true(offload_in_nic(low) && offload_in_nic(wide) && offload_in_nic(beside));
    high = add(pod(100, 5, 32, 99));
    assert_why(high, "port 99: a veth pair is no NIC");
    assert_int_equal(driver.n, 4 + EXCEPTIONS);
    assert_true(offload_in_nic(low) && offload_in_nic(wide) && offload_in_nic(beside));
    offload_remove(high);
    assert_int_equal(driver.n, 3 + EXCEPTIONS);
    offload_remove(low);
    offload_remove(beside);
    offload_remove(wide);
}

// Whatever the NIC does not even match keeps the rules below it out, but those that have place
// holders are not in the way of others.
static struct rule unsayable(uint16_t priority, uint8_t host, unsigned len)
{
    struct rule rule = pod(priority, host, len, 3);

    rule.match.mask.metadata = rule.match.spec.metadata = 1;
    return rule;
}

static void test_higher_rule_missing(void **state)
{
    struct offload_rule *wide, *beside, *low, *high;

    (void)state;
    low = add(pod(10, 0, 24, 3));
    wide = add(pod(20, 4, 30, 3));
    beside = add(pod(20, 9, 32, 3));
    high = add(unsayable(100, 5, 32));
    assert_why(high, "metadata");
    assert_why(wide, "of higher priority");
    assert_why(low, "of higher priority");
    assert_true(offload_in_nic(beside));
    assert_int_equal(driver.n, 3 + EXCEPTIONS);

    offload_remove(high);
    assert_true(offload_in_nic(low) && offload_in_nic(wide) && offload_in_nic(beside));
    assert_int_equal(driver.n, 3 + EXCEPTIONS);
    offload_remove(low);
    offload_remove(beside);
    offload_remove(wide);
}

// Without room for a place holder, what is below goes, too.
static void test_full(void **state)
{
    struct offload_rule *low, *high;

    (void)state;
    driver.room = 1;
    low = add(pod(10, 5, 32, 3));
    assert_true(offload_in_nic(low));
    high = add(pod(50, 5, 32, 3));
    assert_false(offload_in_nic(low)); // its room is the other's
    assert_true(offload_in_nic(high));
    offload_remove(high);
    assert_true(offload_in_nic(low));
    offload_remove(low);
}

// Room comes when a rule goes.
static void test_waits_for_room(void **state)
{
    struct offload_rule *rules[3];
    struct rule other_table = pod(100, 2, 32, 3);

    (void)state;
    driver.room = 2;
    rules[0] = add(pod(100, 0, 32, 3));
    rules[1] = add(pod(100, 1, 32, 3));
    other_table.table = RULE_TABLE_UPLINKS;
    rules[2] = add(other_table);
    assert_true(offload_in_nic(rules[0]) && offload_in_nic(rules[1]));
    assert_why(rules[2], "No space left on device");
    offload_remove(rules[0]);
    assert_true(offload_in_nic(rules[2]));
    offload_remove(rules[1]);
    offload_remove(rules[2]);
}

static void test_same_priority(void **state)
{
    struct offload_rule *a = add(pod(10, 5, 32, 3)), *b;

    (void)state;
    assert_true(offload_in_nic(a));
    b = add(pod(10, 5, 31, 4));
    assert_why(a, "another rule of its priority");
    assert_why(b, "another rule of its priority");
    offload_remove(b);
    assert_true(offload_in_nic(a));
    offload_remove(a);
}

static struct rule dns(uint16_t priority)
{
    struct rule rule = pod(priority, 5, 32, 3);

    rule.match.spec.ip_proto = rule.match.mask.ip_proto = 0xff;
    rule.match.spec.ip_proto = IPPROTO_UDP;
    rule.match.spec.l4_dst = htons(53);
    rule.match.mask.l4_dst = 0xffff;
    return rule;
}

// Of fragments such a rule in the NIC knows nothing: they are software's from then on.
static void expect_fragments(unsigned n)
{
    struct offload_rule *high, *low = add(pod(10, 0, 24, 3));

    assert_int_equal(driver.n_exceptions, EXCEPTIONS);
    high = add(dns(100));
    assert_true(offload_in_nic(high) && offload_in_nic(low));
    assert_int_equal(driver.n_exceptions, EXCEPTIONS + n);
    offload_remove(high);
    high = add(dns(200)); // they are there
    assert_int_equal(driver.n_exceptions, EXCEPTIONS + n);
    offload_remove(high);
    offload_remove(low);
    assert_int_equal(driver.n, 0);
}

static void test_narrowed_rule(void **state)
{
    (void)state;
    expect_fragments(1);
    driver.refuses_ranges = true;
    expect_fragments(14);
}

// The first of the operator's rules: the guard goes on to his table, and what he has no rule for
// from there to the forward table. The last one goes: as before.
static void test_policy_on_and_off(void **state)
{
    struct rule guard = {.table = RULE_TABLE_GUARD, .priority = 100, .n_actions = 1};
    struct rule drop = dns(32768);
    struct offload_rule *oguard, *odrop;
    unsigned calls;

    (void)state;
    guard.match.in_port = 3;
    guard.actions[0] = (struct action){.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_FORWARD};
    oguard = add(guard);
    assert_int_equal(driver.jump, RULE_TABLE_FORWARD);
    drop.table = RULE_TABLE_POLICY;
    drop.n_actions = 0;
    odrop = add(drop);
    assert_true(offload_in_nic(oguard) && offload_in_nic(odrop));
    assert_int_equal(driver.n - driver.n_exceptions, 3); // and the miss
    assert_int_equal(driver.n_jumps_to_policy, 1);
    calls = driver.n_calls;
    offload_policy_miss(false);
    assert_int_equal(driver.n - driver.n_exceptions, 2);
    offload_policy_miss(true);
    assert_int_equal(driver.n - driver.n_exceptions, 3);
    assert_int_equal(driver.n_calls, calls + 2);
    offload_remove(odrop);
    assert_true(offload_in_nic(oguard));
    assert_int_equal(driver.n - driver.n_exceptions, 1);
    assert_int_equal(driver.jump, RULE_TABLE_FORWARD);
    offload_remove(oguard);
}

// A rule for any port does its work in the NIC that it sends to; in another it leaves that to
// software, and the rules below it must not do it.
static void test_any_port_and_two_nics(void **state)
{
    struct rule rule = pod(10, 0, 24, 13);
    struct offload_rule *high = add(pod(100, 5, 32, 3)), *low;

    (void)state;
    low = add(rule);
    assert_true(offload_in_nic(high));
    assert_true(offload_in_nic(low));
    assert_int_equal(driver.n, 4 + 2 * EXCEPTIONS);
    offload_remove(high);
    assert_true(offload_in_nic(low));
    offload_remove(low);
}

static void test_tables_do_not_touch(void **state)
{
    struct rule rule = pod(100, 5, 32, 99);
    struct offload_rule *other_table, *low;

    (void)state;
    rule.table = RULE_TABLE_POLICY;
    other_table = add(rule);
    low = add(pod(10, 5, 32, 3));
    assert_true(offload_in_nic(low));
    offload_remove(other_table);
    offload_remove(low);
}

static struct rule guard(uint16_t port, uint32_t address)
{
    struct rule rule = {.table = RULE_TABLE_GUARD, .priority = 100, .n_actions = 1};

    rule.match.in_port = port;
    rule.match.spec.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    rule.match.mask.eth_type = 0xffff;
    memset(&rule.match.mask.ip_src, 0xff, 16);
    rule.match.spec.ip_src.s6_addr32[2] = htonl(0xffff);
    rule.match.spec.ip_src.s6_addr32[3] = htonl(address);
    rule.actions[0] = (struct action){.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_FORWARD};
    return rule;
}

static struct rule to_pod(uint16_t port, uint32_t address)
{
    struct rule rule = pod(100, 0, 32, port);

    rule.match.spec.ip_dst.s6_addr32[3] = htonl(address);
    return rule;
}

// The default of all, below the pods.
static struct rule to_uplinks(void)
{
    struct rule rule = {.table = RULE_TABLE_FORWARD, .n_actions = 1};

    rule.match.spec.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    rule.match.mask.eth_type = 0xffff;
    rule.actions[0] = (struct action){.type = ACTION_UPLINKS};
    return rule;
}

// 506 pods: two calls of the driver for each address, in and out, whatever is there already.
static void test_calls_are_constant(void **state)
{
    struct offload_rule *first = add(guard(1, 1)), *below = add(to_uplinks()), *rules[506][2];
    unsigned calls = driver.n_calls;

    (void)state;
    assert_int_equal(calls, 2 + EXCEPTIONS);
    for (unsigned i = 0; i < 506; i++) {
        rules[i][0] = add(guard(3, 0x0a010a00 + i));
        rules[i][1] = add(to_pod(3, 0x0a010a00 + i));
        assert_true(offload_in_nic(rules[i][0]) && offload_in_nic(rules[i][1]));
    }
    assert_int_equal(driver.n_calls - calls, 506 * 2);
    calls = driver.n_calls;
    for (unsigned i = 0; i < 506; i++) {
        offload_remove(rules[i][1]);
        offload_remove(rules[i][0]);
    }
    assert_int_equal(driver.n_calls - calls, 506 * 2);
    assert_true(offload_in_nic(below));
    offload_remove(below);
    offload_remove(first);
}

static void test_rate(void **state)
{
    struct offload_rule **rules = calloc(MANY, sizeof(void *)), *below = add(to_uplinks());
    double begin = cpu_seconds(), added;

    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        rules[i] = add(to_pod(3, 0x0a000000 + i));
    added = cpu_seconds() - begin;
    assert_int_equal(driver.n - driver.n_exceptions, MANY + 1);
    for (unsigned i = 0; i < MANY; i++)
        offload_remove(rules[i]);
    print_message("%.0f rules a second planned and put into a driver that takes all\n",
                  MANY / added);
    assert_true(MANY / added > RATE_MIN);
    offload_remove(below);
    free(rules);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_in_and_out),
        TEST(test_exceptions_are_shared),
        TEST(test_nothing_without_exceptions),
        TEST(test_off),
        TEST(test_port_of_no_nic),
        TEST(test_driver_without_rte_flow),
        TEST(test_two_nics),
        TEST(test_other_way_to_say_it),
        TEST(test_higher_rule_missing),
        TEST(test_higher_rule_in_software),
        TEST(test_policy_on_and_off),
        TEST(test_calls_are_constant),
        TEST(test_rate),
        TEST(test_full),
        TEST(test_waits_for_room),
        TEST(test_same_priority),
        TEST(test_narrowed_rule),
        TEST(test_any_port_and_two_nics),
        TEST(test_tables_do_not_touch),
    };

    return cmocka_run_group_tests_name("offload", tests, NULL, NULL);
}
