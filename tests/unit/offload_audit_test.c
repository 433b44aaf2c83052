/* SPDX-License-Identifier: Apache-2.0 */
// What goes wrong in the NIC is found and repaired: net_esw loses, alters and invents rules, is
// reset, unplugged and plugged in again.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_flow.h>

#include "offload/engine.h"
#include "tests/unit/esw_control.h"
#include "tests/unit/esw_rig.h"

#define N_RULES 200

static struct offload_rule *rules[20000];
static const char *nic_mode = "ideal";

static int open_rig(void)
{
    char arguments[160];

    // Counters that lag would have to be waited for.
    snprintf(arguments, sizeof(arguments), ",mode=%s,counter_lag_ms=0%s", nic_mode,
             control_argument("offload_audit_test"));
    return !strcmp(nic_mode, "mlx5-hws") ? rig_open_for_templates(arguments)
                                         : rig_open_started(arguments);
}

static int port_of(uint16_t port, struct offload_port *info)
{
    info->ethdev = ethdev[port - 1];
    return 0;
}

static struct offload_rule *add(uint32_t address)
{
    struct rule rule = {.table = RULE_TABLE_FORWARD, .priority = 100, .n_actions = 3};
    struct offload_rule *orule;

    memset(&rule.match.mask.ip_dst, 0xff, 16);
    rule.match.spec.ip_dst.s6_addr32[2] = htonl(0xffff);
    rule.match.spec.ip_dst.s6_addr32[3] = htonl(address);
    rule.actions[0] = (struct action){.type = ACTION_SET_ETH_DST, .mac = mac_b};
    rule.actions[1] = (struct action){.type = ACTION_DEC_TTL};
    rule.actions[2] = (struct action){.type = ACTION_OUTPUT, .port = VF1 + 1};
    orule = offload_add(&rule);
    assert_non_null(orule);
    assert_true(offload_in_nic(orule));
    return orule;
}

static int begin(void **state)
{
    (void)state;
    offload_init(OFFLOAD_AUTO, port_of);
    for (unsigned i = 0; i < N_RULES; i++)
        rules[i] = add(0x0a000000 + i);
    return 0;
}

static unsigned installed(void)
{
    const char *line = strstr(control("status"), "rules ");
    unsigned n;

    assert_int_equal(sscanf(line, "rules %u", &n), 1);
    return n;
}

static unsigned expected(void)
{
    unsigned n = N_RULES;

    for (unsigned i = 0; i < FLOW_EXCEPTIONS_MAX; i++)
        n += engine.nics[0].exceptions[FLOW_EXCEPTIONS_ALWAYS][i].flow != NULL;
    return n;
}

// A look at all, at once.
static void audit(void)
{
    engine.nics[0].next_dump = 0;
    audit_turn();
    while (engine_turn())
        ;
}

static void assert_all_in_nic(void)
{
    assert_int_equal(installed(), expected());
    for (unsigned i = 0; i < N_RULES; i++)
        assert_true(offload_in_nic(rules[i]));
}

static int end(void **state)
{
    struct offload_status before, after;

    (void)state;
    // What is right stays.
    offload_status(&before);
    audit();
    audit();
    offload_status(&after);
    assert_int_equal(after.created, before.created);
    assert_int_equal(after.destroyed, before.destroyed);
    for (unsigned i = 0; i < N_RULES; i++)
        offload_remove(rules[i]);
    return installed() == 0 ? 0 : -1;
}

static void test_lost(void **state)
{
    struct offload_status status;

    (void)state;
    assert_string_equal(control("lose=3"), "ok\n");
    assert_int_equal(installed(), expected() - 3);
    audit();
    assert_all_in_nic();
    offload_status(&status);
    // Without an exception, all is programmed again.
    assert_true(status.lost >= 1 && status.lost <= 3);
    assert_non_null(strstr(status.last_event, "net_esw: "));
}

static void test_altered(void **state)
{
    struct offload_status status;

    (void)state;
    assert_string_equal(control("alter=3"), "ok\n");
    audit();
    assert_all_in_nic();
    offload_status(&status);
    assert_true(status.altered + status.lost >= 1);
    audit();
    offload_status(&status);
    assert_true(status.altered + status.lost <= 4);
}

// Only a flush removes what we have no handle of.
static void test_extra(void **state)
{
    struct offload_status status;

    (void)state;
    assert_string_equal(control("extra=1"), "ok\n");
    assert_int_equal(installed(), expected() + 1);
    audit();
    audit();
    assert_all_in_nic();
    offload_status(&status);
    assert_int_equal(status.extra, 1);
}

static void wait_for_event(void)
{
    while (!__atomic_load_n(&engine.nics[0].was_reset, __ATOMIC_ACQUIRE))
        usleep(1000);
}

static void test_reset(void **state)
{
    struct offload_status status;

    (void)state;
    assert_string_equal(control("reset"), "ok\n");
    assert_int_equal(installed(), 0);
    wait_for_event();
    while (engine_turn())
        ;
    assert_all_in_nic();
    offload_status(&status);
    assert_int_equal(status.resets, 1);
}

static void test_unplug(void **state)
{
    (void)state;
    assert_string_equal(control("unplug"), "ok\n");
    wait_for_event();
    while (engine_turn())
        ;
    assert_false(offload_in_nic(rules[0]));
    assert_string_equal(offload_why_not(rules[0]), "the NIC is gone");
    assert_string_equal(control("plug"), "ok\n");
    wait_for_event();
    while (engine_turn())
        ;
    assert_all_in_nic();
}

// A device that was unplugged is closed, and another one when it comes back; more often than there
// may be NICs.
static void test_plugged_in_anew(void **state)
{
    struct offload_status status;
    struct offload_rule *trigger;
    struct rule meanwhile = rules[0]->rule;

    (void)state;
    meanwhile.match.spec.ip_dst.s6_addr32[3]++;
    for (unsigned i = 0; i <= NICS_MAX; i++) {
        assert_string_equal(control("unplug"), "ok\n");
        wait_for_event();
        while (engine_turn())
            ;
        assert_string_equal(offload_why_not(rules[0]), NIC_GONE);
        if (i % 2) { // what is still there of it is not taken for another one
            trigger = offload_add(&meanwhile);
            assert_string_equal(offload_why_not(trigger), NIC_GONE);
            offload_remove(trigger);
            assert_int_equal(engine.n_nics, 1);
        }
        assert_true(offload_let_go(ethdev[WIRE]));
        assert_non_null(strstr(offload_why_not(rules[0]), i % 2 ? NIC_GONE : "its device is gone"));
        assert_int_equal(rig_close(), 0);
        assert_int_equal(open_rig(), 0);
        trigger = add(0x0b000000); // names the port again
        assert_int_equal(installed(), expected() + 1);
        offload_remove(trigger);
        assert_all_in_nic();
    }
    assert_int_equal(engine.n_nics, 1);
    offload_status(&status);
    assert_int_equal(status.gone, NICS_MAX + 1);
}

// What a rule had counted before it was lost stays counted.
static void test_counts_add_up(void **state)
{
    struct frame frame = udp(0x0a090909, 0x0a000000, 64, 53), got;
    struct rule to_forward = {.table = RULE_TABLE_GUARD, .n_actions = 1};
    struct offload_rule *guard;
    struct offload_counts counts;
    bool to_app;
    size_t length;

    (void)state;
    to_forward.match.in_port = VF0 + 1;
    to_forward.actions[0] = (struct action){.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_FORWARD};
    guard = offload_add(&to_forward);
    for (unsigned i = 0; i < 3; i++) {
        inject(VF0, &frame, sizeof(frame));
        assert_int_equal(outcome(&to_app, &got, &length), VF1);
        assert_false(to_app);
    }
    offload_stats(rules[0], &counts);
    assert_int_equal(counts.packets, 3);
    assert_true(counts.used_us > 0);
    assert_string_equal(control("reset"), "ok\n");
    wait_for_event();
    while (engine_turn())
        ;
    inject(VF0, &frame, sizeof(frame));
    assert_int_equal(outcome(&to_app, &got, &length), VF1);
    offload_stats(rules[0], &counts);
    assert_int_equal(counts.packets, 4);
    assert_int_equal(counts.bytes, 4 * sizeof(frame));
    offload_remove(guard);
}

static uint64_t cpu_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

// What it costs here to print as many rules as the NIC has: the measure for looks at them, on
// whatever machine and however this was built.
static uint64_t print_us(void)
{
    char *why, line[1024];
    struct flow flow;
    uint64_t begin;

    assert_int_equal(engine_build(rules[0], 0, PLACE_FULL, &flow, &why), 0);
    begin = cpu_us();
    for (unsigned i = 0; i < RTE_DIM(rules); i++)
        assert_true(flow_print_effect(&flow, line, sizeof(line)) > 0);
    return cpu_us() - begin;
}

static unsigned ms_since(uint64_t begin)
{
    return (unsigned)((engine_now() - begin) / 1000000);
}

// How long until the engine's thread finds a fault.
static unsigned find_ms(void)
{
    struct offload_status before, after;
    uint64_t begin = engine_now();
    unsigned ms;

    offload_status(&before);
    assert_string_equal(control("alter=1"), "ok\n");
    do {
        usleep(1000);
        offload_status(&after);
        ms = ms_since(begin);
        assert_true(ms < 60000);
    } while (after.altered + after.lost == before.altered + before.lost);
    assert_int_equal(offload_settle(true, 60000), 0);
    return ms;
}

// 20,000 rules: what of a CPU the looks take, and how soon they find what is wrong. However slow
// this machine is, a dump leaves 27 times its own time to others; and it costs less than it would
// to print what it ought to be, which leaves room for a machine that is loaded.
static void test_share_of_a_cpu(void **state)
{
    enum { N = 8, LAST = 4 }; // looks; those that the next one is taken to cost as
    struct offload_status before, after;
    uint64_t now, wait, dumped = UINT64_MAX, printed = UINT64_MAX;

    (void)state;
    for (unsigned i = N_RULES; i < RTE_DIM(rules); i++)
        rules[i] = add(0x0a000000 + i);
    audit(); // makes out what the lines should be
    for (unsigned i = 0; i < N; i++) {
        offload_status(&before);
        engine.nics[0].next_dump = 0;
        now = engine_now();
        audit_turn();
        wait = engine.nics[0].next_dump - now;
        offload_status(&after);
        if (i >= N - LAST)
            dumped = RTE_MIN(dumped, after.audit_us - before.audit_us);
        printed = RTE_MIN(printed, print_us());
    }
    // What the last turn had of a round of queries is no part of the next one.
    for (int i = 0; i < 2; i++) {
        offload_status(&before);
        do {
            engine.nics[0].next_dump = UINT64_MAX;
            audit_turn();
            offload_status(&after);
        } while (after.audits == before.audits);
    }
    print_message("a look at 20,000 rules: %lu us of CPU for a dump, one each %lu ms, and %lu for "
                  "queries, each second; to print them takes %lu\n",
                  dumped, wait / 1000000, after.audit_us - before.audit_us, printed);
    assert_true(dumped * 1000 * 20 < wait);
    assert_true(dumped < printed);

    engine.nics[0].next_dump = 0;
    assert_int_equal(offload_start(), 0);
    print_message("of 20,000 rules, an altered one is found in");
    for (unsigned i = 0; i < 5; i++)
        print_message(" %u", find_ms());
    print_message(" ms\n");
    offload_stop();
    for (unsigned i = N_RULES; i < RTE_DIM(rules); i++)
        offload_remove(rules[i]);
}

// The thread does all that by itself, in time.
static void test_thread(void **state)
{
    struct offload_status status;
    unsigned waited = 0;

    (void)state;
    assert_int_equal(offload_start(), 0);
    assert_string_equal(control("lose=5"), "ok\n");
    assert_string_equal(control("alter=5"), "ok\n");
    do {
        usleep(20000);
        offload_status(&status);
    } while ((installed() != expected() || status.altered + status.lost < 2) && ++waited < 3000);
    print_message("faults found and repaired within %u ms\n", waited * 20);
    assert_true(waited < 3000);
    offload_stop();
    audit(); // what was altered last, perhaps
    assert_all_in_nic();
}

// Whoever hands rules over does not wait for a slow NIC; who waits for rules to leave it does so
// once, and no longer than he said.
static void test_slow(void **state)
{
    struct offload_rule *slow[20];
    uint64_t begin;

    (void)state;
    assert_int_equal(offload_start(), 0);
    assert_string_equal(control("latency_us=500000"), "ok\n");
    begin = engine_now();
    for (unsigned i = 0; i < RTE_DIM(slow); i++) {
        struct rule rule = rules[i]->rule;

        rule.priority++;
        slow[i] = offload_add(&rule);
        assert_non_null(slow[i]);
    }
    assert_true(ms_since(begin) < 10000); // the NIC needs as long
    assert_false(offload_in_nic(slow[19]));
    assert_string_equal(offload_why_not(slow[19]), "it is about to be put into the NIC");
    for (unsigned i = 0; i < RTE_DIM(slow); i++)
        offload_remove(slow[i]);
    begin = engine_now();
    if (offload_settle(false, 50) == -ETIMEDOUT)
        assert_int_equal(offload_settle(false, 20000), -ETIMEDOUT); // at once
    assert_true(ms_since(begin) < 20000);
    assert_string_equal(control("latency_us=0"), "ok\n");
    assert_int_equal(offload_settle(true, 60000), 0);
    offload_stop();
    assert_all_in_nic();
}

// A queue that answers nothing is told of and waited for; software goes on, and so does whoever
// hands rules over. Plain calls have no queue.
static void test_stall(void **state)
{
    bool queues = !strcmp(nic_mode, "mlx5-hws");
    struct offload_status status = {0};
    struct offload_rule *orule;
    struct rule rule = rules[0]->rule;

    (void)state;
    assert_int_equal(offload_start(), 0);
    assert_string_equal(control("queue_stuck=1"), "ok\n");
    rule.priority++;
    orule = offload_add(&rule);
    assert_non_null(orule);
    while (queues && !status.stalls) {
        usleep(1000);
        offload_status(&status);
    }
    if (queues) {
        assert_non_null(strstr(status.last_event, "does not answer"));
        assert_false(offload_in_nic(orule));
        assert_string_equal(control("queue_stuck=0"), "ok\n");
    }
    assert_int_equal(offload_settle(true, 60000), 0);
    assert_true(offload_in_nic(orule));
    offload_status(&status);
    assert_int_equal(status.stalls, queues);
    assert_string_equal(control("queue_stuck=0"), "ok\n");
    offload_remove(orule);
    assert_int_equal(offload_settle(true, 60000), 0);
    offload_stop();
    assert_all_in_nic();
}

// A queue that answers nothing at all ends the NIC's use, until it is opened anew.
static void test_given_up(void **state)
{
    struct offload_rule *orule;
    struct rule rule = rules[0]->rule;
    unsigned waited = 0;

    (void)state;
    if (strcmp(nic_mode, "mlx5-hws") != 0) // the others have no queue
        return;
    assert_int_equal(offload_start(), 0);
    assert_string_equal(control("queue_stuck=1"), "ok\n");
    rule.priority++;
    orule = offload_add(&rule);
    while (!offload_port_stuck(VF1 + 1) && ++waited < 12000)
        usleep(10000);
    assert_true(offload_port_stuck(VF1 + 1));
    assert_int_equal(offload_settle(true, 60000), 0); // it is waited for no more
    for (unsigned i = 0; i < N_RULES; i++) {
        assert_false(offload_in_nic(rules[i]));
        assert_string_equal(offload_why_not(rules[i]), NIC_STUCK);
    }
    offload_remove(orule);
    orule = offload_add(&rule);
    assert_int_equal(offload_settle(true, 60000), 0);
    assert_string_equal(offload_why_not(orule), NIC_STUCK);
    while (!offload_let_go(ethdev[WIRE]))
        usleep(1000);
    assert_false(offload_port_stuck(VF1 + 1));
    assert_int_equal(rig_close(), 0);
    assert_int_equal(open_rig(), 0);
    offload_remove(orule);
    orule = offload_add(&rule); // names the port again
    assert_int_equal(offload_settle(true, 60000), 0);
    assert_true(offload_in_nic(orule));
    offload_remove(orule);
    assert_int_equal(offload_settle(true, 60000), 0);
    offload_stop();
    assert_all_in_nic();
}

// One argument: net_esw's mode.
int main(int argc, char *argv[])
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(test_lost),          TEST(test_altered), TEST(test_extra),
        TEST(test_reset),         TEST(test_unplug),  TEST(test_plugged_in_anew),
        TEST(test_counts_add_up), TEST(test_slow),    TEST(test_stall),
        TEST(test_given_up),      TEST(test_thread),  TEST(test_share_of_a_cpu),
    };
    int failed;

    if (argc > 1)
        nic_mode = argv[1];
    if (!rig_begin("offload_audit_test"))
        return 0;
    if (open_rig())
        return 1;
    failed = cmocka_run_group_tests_name("offload_audit", tests, NULL, NULL);
    offload_init(OFFLOAD_OFF, port_of);
    return failed || rig_close();
}
