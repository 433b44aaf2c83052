/* SPDX-License-Identifier: Apache-2.0 */
// Traffic makes the engine call no driver to put rules in or take them out. What it does call all
// the time, traffic or not, is what looks at the rules: rte_flow_query and rte_flow_dev_dump.
//
//   SLUICE_PACKETS=10000000 offload_calls_test [net_esw's mode]
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_flow.h>

#include "offload/offload.h"
#include "tests/unit/esw_control.h"
#include "tests/unit/esw_rig.h"

#define FLOWS "1000000"

static unsigned n_programmed, n_looks; // atomic

// `count` each time that `name` is called; see meson.build.
#define COUNTED(count, type, name, parameters, arguments)                                          \
    type __real_##name parameters;                                                                 \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters                                                                  \
    {                                                                                              \
        __atomic_fetch_add(&(count), 1, __ATOMIC_RELAXED);                                         \
        return __real_##name arguments;                                                            \
    }

COUNTED(n_programmed, struct rte_flow *, rte_flow_create,
        (uint16_t port, const struct rte_flow_attr *attr, const struct rte_flow_item items[],
         const struct rte_flow_action actions[], struct rte_flow_error *error),
        (port, attr, items, actions, error))
COUNTED(n_programmed, int, rte_flow_destroy,
        (uint16_t port, struct rte_flow *flow, struct rte_flow_error *error), (port, flow, error))
COUNTED(n_programmed, int, rte_flow_flush, (uint16_t port, struct rte_flow_error *error),
        (port, error))
COUNTED(n_programmed, struct rte_flow *, rte_flow_async_create,
        (uint16_t port, uint32_t queue, const struct rte_flow_op_attr *attr,
         struct rte_flow_template_table *table, const struct rte_flow_item items[], uint8_t pattern,
         const struct rte_flow_action actions[], uint8_t of_actions, void *data,
         struct rte_flow_error *error),
        (port, queue, attr, table, items, pattern, actions, of_actions, data, error))
COUNTED(n_programmed, int, rte_flow_async_destroy,
        (uint16_t port, uint32_t queue, const struct rte_flow_op_attr *attr, struct rte_flow *flow,
         void *data, struct rte_flow_error *error),
        (port, queue, attr, flow, data, error))
COUNTED(n_programmed, int, rte_flow_pull,
        (uint16_t port, uint32_t queue, struct rte_flow_op_result results[], uint16_t n,
         struct rte_flow_error *error),
        (port, queue, results, n, error))
COUNTED(n_programmed, struct rte_flow_template_table *, rte_flow_template_table_create,
        (uint16_t port, const struct rte_flow_template_table_attr *attr,
         struct rte_flow_pattern_template *patterns[], uint8_t n_patterns,
         struct rte_flow_actions_template *actions[], uint8_t n_actions,
         struct rte_flow_error *error),
        (port, attr, patterns, n_patterns, actions, n_actions, error))
COUNTED(n_looks, int, rte_flow_query,
        (uint16_t port, struct rte_flow *flow, const struct rte_flow_action *action, void *data,
         struct rte_flow_error *error),
        (port, flow, action, data, error))
COUNTED(n_looks, int, rte_flow_dev_dump,
        (uint16_t port, struct rte_flow *flow, FILE *file, struct rte_flow_error *error),
        (port, flow, file, error))

static int port_of(uint16_t port, struct offload_port *info)
{
    info->ethdev = ethdev[port - 1];
    return 0;
}

// What comes by the wire goes on; what is to the first half of the flows' addresses goes to a VF,
// the other half to software.
static void add_rules(struct offload_rule *rules[2])
{
    struct rule guard = {.table = RULE_TABLE_GUARD, .n_actions = 1};
    struct rule forward = {.table = RULE_TABLE_FORWARD, .n_actions = 2};

    guard.match.in_port = WIRE + 1;
    guard.actions[0] = (struct action){.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_FORWARD};
    forward.match.spec.ip_dst.s6_addr32[2] = htonl(0xffff);
    forward.match.spec.ip_dst.s6_addr32[3] = htonl(0xc6130000); // 198.19.0.0/17
    memset(&forward.match.mask.ip_dst, 0xff, 14);
    forward.match.mask.ip_dst.s6_addr[14] = 0x80;
    forward.actions[0] = (struct action){.type = ACTION_SET_ETH_DST, .mac = mac_b};
    forward.actions[1] = (struct action){.type = ACTION_OUTPUT, .port = VF1 + 1};
    rules[0] = offload_add(&guard);
    rules[1] = offload_add(&forward);
    assert_true(offload_in_nic(rules[0]) && offload_in_nic(rules[1]));
}

static void test_traffic_makes_no_calls(void **state)
{
    const char *wanted = getenv("SLUICE_PACKETS");
    uint64_t n = wanted ? strtoull(wanted, NULL, 10) : 300000;
    struct offload_counts before, counts, forwarded;
    struct offload_rule *rules[2];
    struct offload_status status, at_the_end;

    (void)state;
    offload_init(OFFLOAD_AUTO, port_of);
    add_rules(rules);
    assert_int_equal(offload_start(), 0);
    offload_status(&status);
    n_programmed = n_looks = 0;
    offload_stats(rules[0], &before);
    do {
        usleep(10000);
        offload_stats(rules[0], &counts);
    } while (counts.packets - before.packets < n);
    offload_stop();
    offload_stats(rules[1], &forwarded);
    offload_status(&at_the_end);
    print_message("%lu packets of " FLOWS " flows, %lu of them forwarded by the NIC: %u calls that "
                  "change rules, %u that look at them\n",
                  counts.packets - before.packets, forwarded.packets, n_programmed, n_looks);
    assert_int_equal(n_programmed, 0);
    assert_true(n_looks > 0);
    assert_true(forwarded.packets > 0 && forwarded.packets < counts.packets);
    assert_int_equal(at_the_end.created, status.created);
    assert_int_equal(at_the_end.destroyed, status.destroyed);
    assert_int_equal(at_the_end.refused, status.refused);
    for (unsigned i = 0; i < 2; i++)
        offload_remove(rules[i]);
    assert_true(n_programmed > 0); // they are counted
}

int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_traffic_makes_no_calls)};
    bool by_templates = argc > 1 && !strcmp(argv[1], "mlx5-hws");
    char arguments[200];
    int failed;

    if (!rig_begin("offload_calls_test"))
        return 0;
    snprintf(arguments, sizeof(arguments), ",wire0=gen:" FLOWS ",mode=%s,counter_lag_ms=0%s",
             argc > 1 ? argv[1] : "ideal", control_argument("offload_calls_test"));
    if (by_templates ? rig_open_for_templates(arguments) : rig_open_started(arguments))
        return 1;
    failed = cmocka_run_group_tests_name("offload_calls", tests, NULL, NULL);
    offload_init(OFFLOAD_OFF, port_of);
    return failed || rig_close();
}
