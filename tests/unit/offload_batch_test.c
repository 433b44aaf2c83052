/* SPDX-License-Identifier: Apache-2.0 */
// Rules by templates go to the NIC many at a time. The driver is one of the test's own, in place of
// rte_flow's functions (see meson.build): it takes rules by templates only, does what is in its
// queue in any order, and only when it is pulled.
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
#include <sys/queue.h>

#include <rte_ethdev.h>
#include <rte_flow.h>

#include "offload/engine.h"
#include "tests/unit/offload_rate.h"

#define EXCEPTIONS 20
#define QUEUE_SIZE 64

struct rte_flow {
    LIST_ENTRY(rte_flow) next;
    bool there;
    uint32_t group, priority;
};
static LIST_HEAD(flow_list, rte_flow) flows;

struct rte_flow_template_table {
    LIST_ENTRY(rte_flow_template_table) next;
    struct rte_flow_attr attr;
};
static LIST_HEAD(table_list, rte_flow_template_table) tables;

static struct fake_driver {
    unsigned n, room;           // rules in it; how many may be, exceptions too
    unsigned n_pushes, n_pulls; // pulls that gave something
    bool slow;                  // does one operation for a pull
    bool high_first_done;       // when a rule of lower priority was begun
    struct {
        struct rte_flow *flow;
        bool create, pushed;
        void *user_data;
    } queue[QUEUE_SIZE];
    unsigned n_queue;
} driver;

static struct rte_flow *watched; // the rule that has to be there before those below it
static uint32_t watched_priority;

#define WRAP(type, name, parameters)                                                               \
    type __wrap_##name parameters;                                                                 \
    type __wrap_##name parameters

WRAP(int, rte_flow_pick_transfer_proxy,
     (uint16_t port, uint16_t *proxy, struct rte_flow_error *error))
{
    (void)port, (void)error;
    *proxy = 0;
    return 0;
}

WRAP(int, rte_eth_dev_info_get, (uint16_t port, struct rte_eth_dev_info *info))
{
    (void)port;
    memset(info, 0, sizeof(*info));
    info->driver_name = "net_fake";
    return 0;
}

WRAP(int, rte_flow_info_get,
     (uint16_t port, struct rte_flow_port_info *info, struct rte_flow_queue_info *queue,
      struct rte_flow_error *error))
{
    (void)port, (void)error;
    *info = (struct rte_flow_port_info){.max_nb_queues = 1};
    *queue = (struct rte_flow_queue_info){.max_size = QUEUE_SIZE};
    return 0;
}

WRAP(struct rte_flow *, rte_flow_create,
     (uint16_t port, const struct rte_flow_attr *attr, const struct rte_flow_item items[],
      const struct rte_flow_action actions[], struct rte_flow_error *error))
{
    (void)port, (void)attr, (void)items, (void)actions;
    rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL, "by templates");
    return NULL;
}

WRAP(int, rte_flow_query,
     (uint16_t port, struct rte_flow *flow, const struct rte_flow_action *action, void *data,
      struct rte_flow_error *error))
{
    (void)port, (void)action, (void)error;
    assert_true(flow->there);
    ((struct rte_flow_query_count *)data)->hits_set = 0;
    return 0;
}

WRAP(struct rte_flow_pattern_template *, rte_flow_pattern_template_create,
     (uint16_t port, const struct rte_flow_pattern_template_attr *attr,
      const struct rte_flow_item items[], struct rte_flow_error *error))
{
    (void)port, (void)attr, (void)items, (void)error;
    return (void *)&driver;
}

WRAP(int, rte_flow_pattern_template_destroy,
     (uint16_t port, struct rte_flow_pattern_template *pattern, struct rte_flow_error *error))
{
    (void)port, (void)pattern, (void)error;
    return 0;
}

WRAP(struct rte_flow_actions_template *, rte_flow_actions_template_create,
     (uint16_t port, const struct rte_flow_actions_template_attr *attr,
      const struct rte_flow_action actions[], const struct rte_flow_action masks[],
      struct rte_flow_error *error))
{
    (void)port, (void)attr, (void)actions, (void)masks, (void)error;
    return (void *)&driver;
}

WRAP(int, rte_flow_actions_template_destroy,
     (uint16_t port, struct rte_flow_actions_template *actions, struct rte_flow_error *error))
{
    (void)port, (void)actions, (void)error;
    return 0;
}

WRAP(struct rte_flow_template_table *, rte_flow_template_table_create,
     (uint16_t port, const struct rte_flow_template_table_attr *attr,
      struct rte_flow_pattern_template *patterns[], uint8_t n_patterns,
      struct rte_flow_actions_template *actions[], uint8_t n_actions, struct rte_flow_error *error))
{
    struct rte_flow_template_table *table = calloc(1, sizeof(*table));

    (void)port, (void)patterns, (void)n_patterns, (void)actions, (void)n_actions, (void)error;
    assert_non_null(table);
    table->attr = attr->flow_attr;
    LIST_INSERT_HEAD(&tables, table, next);
    return table;
}

WRAP(int, rte_flow_template_table_destroy,
     (uint16_t port, struct rte_flow_template_table *table, struct rte_flow_error *error))
{
    (void)port, (void)error;
    LIST_REMOVE(table, next);
    free(table);
    return 0;
}

static int enqueue(struct rte_flow *flow, bool create, const struct rte_flow_op_attr *attr,
                   void *user_data, struct rte_flow_error *error)
{
    if (driver.n_queue == QUEUE_SIZE)
        return rte_flow_error_set(error, ENOMEM, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL, "full");
    driver.queue[driver.n_queue].flow = flow;
    driver.queue[driver.n_queue].create = create;
    driver.queue[driver.n_queue].pushed = !attr->postpone;
    driver.queue[driver.n_queue++].user_data = user_data;
    driver.n_pushes += !attr->postpone;
    return 0;
}

WRAP(struct rte_flow *, rte_flow_async_create,
     (uint16_t port, uint32_t queue, const struct rte_flow_op_attr *attr,
      struct rte_flow_template_table *table, const struct rte_flow_item items[], uint8_t pattern,
      const struct rte_flow_action actions[], uint8_t of_actions, void *user_data,
      struct rte_flow_error *error))
{
    struct rte_flow *flow = calloc(1, sizeof(*flow));

    (void)port, (void)queue, (void)items, (void)pattern, (void)actions, (void)of_actions;
    assert_non_null(flow);
    flow->group = table->attr.group;
    flow->priority = table->attr.priority;
    if (enqueue(flow, true, attr, user_data, error)) {
        free(flow);
        return NULL;
    }
    LIST_INSERT_HEAD(&flows, flow, next);
    if (flow->group == RULE_TABLE_FORWARD && watched_priority && !watched)
        watched = flow->priority == watched_priority ? flow : NULL;
    else if (watched && flow->group == RULE_TABLE_FORWARD)
        driver.high_first_done = watched->there;
    return flow;
}

WRAP(int, rte_flow_async_destroy,
     (uint16_t port, uint32_t queue, const struct rte_flow_op_attr *attr, struct rte_flow *flow,
      void *user_data, struct rte_flow_error *error))
{
    (void)port, (void)queue;
    assert_true(flow->there);
    return enqueue(flow, false, attr, user_data, error);
}

WRAP(int, rte_flow_push, (uint16_t port, uint32_t queue, struct rte_flow_error *error))
{
    (void)port, (void)queue, (void)error;
    for (unsigned i = 0; i < driver.n_queue; i++)
        driver.queue[i].pushed = true;
    driver.n_pushes++;
    return 0;
}

// The last first.
WRAP(int, rte_flow_pull,
     (uint16_t port, uint32_t queue, struct rte_flow_op_result results[], uint16_t n,
      struct rte_flow_error *error))
{
    int done = 0;

    (void)port, (void)queue, (void)error;
    for (unsigned i = driver.n_queue; i-- > 0 && done < (driver.slow ? 1 : n);) {
        struct rte_flow *flow = driver.queue[i].flow;
        bool create = driver.queue[i].create;

        if (!driver.queue[i].pushed)
            continue;
        results[done].user_data = driver.queue[i].user_data;
        results[done++].status = create && driver.room && driver.n >= driver.room
                                     ? RTE_FLOW_OP_ERROR
                                     : RTE_FLOW_OP_SUCCESS;
        flow->there = create && results[done - 1].status == RTE_FLOW_OP_SUCCESS;
        driver.n += (unsigned)(flow->there - !create);
        if (!flow->there) {
            LIST_REMOVE(flow, next);
            free(flow);
        }
        driver.queue[i] = driver.queue[--driver.n_queue];
    }
    driver.n_pulls += done > 0;
    return done;
}

static int port_of(uint16_t port, struct offload_port *info)
{
    info->ethdev = port - 1;
    return 0;
}

static int setup(void **state)
{
    (void)state;
    memset(&driver, 0, sizeof(driver));
    watched = NULL;
    watched_priority = 0;
    offload_init(OFFLOAD_AUTO, port_of);
    engine.threaded = true; // this one is the engine's
    return 0;
}

static void work(void)
{
    while (engine_turn())
        ;
}

static int teardown(void **state)
{
    (void)state;
    work();
    engine.threaded = false;
    offload_init(OFFLOAD_OFF, port_of);
    return driver.n == 0 && driver.n_queue == 0 ? 0 : -1;
}

// ip_dst = 10.x.x.x/len -> to that port
static struct offload_rule *add(uint16_t priority, uint32_t address, unsigned len, uint16_t port)
{
    struct rule rule = {.table = RULE_TABLE_FORWARD, .priority = priority, .n_actions = 2};
    struct offload_rule *orule;

    for (unsigned i = 0; i < 96 + len; i++)
        rule.match.mask.ip_dst.s6_addr[i / 8] |= 0x80 >> (i % 8);
    rule.match.spec.ip_dst.s6_addr32[2] = htonl(0xffff);
    rule.match.spec.ip_dst.s6_addr32[3] =
        htonl(0x0a000000 | address) & rule.match.mask.ip_dst.s6_addr32[3];
    rule.actions[0] = (struct action){.type = ACTION_DEC_TTL};
    rule.actions[1] = (struct action){.type = ACTION_OUTPUT, .port = port};
    orule = offload_add(&rule);
    assert_non_null(orule);
    return orule;
}

#define N 1000

static void remove_all(struct offload_rule *rules[], unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        offload_remove(rules[i]);
    work();
}

static void test_many_by_one_push(void **state)
{
    struct offload_rule *rules[N];
    unsigned pushes;

    (void)state;
    for (unsigned i = 0; i < N; i++)
        rules[i] = add(10, i, 32, 2);
    work();
    assert_int_equal(driver.n, N + EXCEPTIONS);
    for (unsigned i = 0; i < N; i++)
        assert_true(offload_in_nic(rules[i]));
    pushes = driver.n_pushes - EXCEPTIONS;
    assert_true(pushes >= 1 && pushes <= N / 8);
    driver.n_pushes = 0;
    remove_all(rules, N);
    assert_int_equal(driver.n, 0);
    assert_true(driver.n_pushes <= N / 8 + EXCEPTIONS);
}

// A rule is told to be in the NIC when it is.
static void test_in_nic_when_done(void **state)
{
    struct offload_rule *rules[2];

    (void)state;
    rules[0] = add(10, 1, 32, 2);
    rules[1] = add(10, 2, 32, 2);
    assert_true(engine_turn());
    assert_true(engine_turn());
    assert_int_equal(driver.n_queue, 2);
    assert_false(offload_in_nic(rules[0]));
    assert_string_equal(offload_why_not(rules[0]), "it is about to be put into the NIC");
    work();
    assert_true(offload_in_nic(rules[0]) && offload_in_nic(rules[1]));
    remove_all(rules, 2);
}

// A queue may be done in any order: what needs another rule above it waits for that.
static void test_waits_for_those_above(void **state)
{
    struct offload_rule *rules[3];

    (void)state;
    watched_priority = FLOW_PRIORITY_LAST - 1 - 2 * 20;
    rules[0] = add(20, 1, 32, 2);
    rules[1] = add(10, 0, 24, 3);
    work();
    assert_non_null(watched);
    assert_true(driver.high_first_done);
    // Those that do not overlap go together.
    watched = NULL;
    watched_priority = FLOW_PRIORITY_LAST - 1 - 2 * 30;
    rules[2] = add(30, 0x10001, 32, 2);
    work();
    assert_true(offload_in_nic(rules[0]) && offload_in_nic(rules[1]) && offload_in_nic(rules[2]));
    remove_all(rules, 3);
}

// What is refused when all are under way is out, says so, and holds those below it back.
static void test_full(void **state)
{
    struct offload_rule *rules[N], *below;
    unsigned in = 0;

    (void)state;
    driver.room = EXCEPTIONS + N / 2;
    for (unsigned i = 0; i < N; i++)
        rules[i] = add(20, i, 32, 2);
    below = add(10, 0, 16, 3);
    work();
    assert_int_equal(driver.n, driver.room);
    for (unsigned i = 0; i < N; i++) {
        in += offload_in_nic(rules[i]);
        if (!offload_in_nic(rules[i]))
            assert_non_null(strstr(offload_why_not(rules[i]), "could not be put in"));
    }
    assert_int_equal(in, N / 2);
    assert_false(offload_in_nic(below));
    driver.room = 0;
    for (unsigned i = 0; i < N / 2; i++)
        offload_remove(rules[i]);
    work();
    for (unsigned i = N / 2; i < N; i++)
        assert_true(offload_in_nic(rules[i]));
    assert_true(offload_in_nic(below));
    offload_remove(below);
    remove_all(&rules[N / 2], N / 2);
}

// Rules that are taken back before the NIC has them.
static void test_removed_under_way(void **state)
{
    struct offload_rule *rules[20];

    (void)state;
    driver.slow = true;
    for (unsigned i = 0; i < RTE_DIM(rules); i++)
        rules[i] = add(10, i, 32, 2);
    for (unsigned i = 0; i < RTE_DIM(rules) / 2; i++)
        assert_true(engine_turn());
    assert_true(driver.n_queue > 0);
    for (unsigned i = 0; i < RTE_DIM(rules); i++)
        offload_remove(rules[i]);
    work();
    assert_int_equal(driver.n, 0);
}

// What it had is gone with it.
static void unplug(void)
{
    struct rte_flow_template_table *table;
    struct rte_flow *flow;

    while ((flow = LIST_FIRST(&flows))) {
        LIST_REMOVE(flow, next);
        free(flow);
    }
    while ((table = LIST_FIRST(&tables))) {
        LIST_REMOVE(table, next);
        free(table);
    }
    driver.n = driver.n_queue = 0;
}

// A device that is gone does not answer any more.
static void test_gone_under_way(void **state)
{
    struct offload_rule *rules[2];

    (void)state;
    rules[0] = add(10, 1, 32, 2);
    rules[1] = add(10, 2, 32, 2);
    for (unsigned i = 0; i < 2; i++)
        assert_true(engine_turn());
    assert_int_equal(driver.n_queue, 2);
    engine.nics[0].gone = engine.nics[0].was_reset = true;
    work();
    assert_false(offload_in_nic(rules[0]));
    assert_string_equal(offload_why_not(rules[1]), "the NIC is gone");
    remove_all(rules, 2);
    unplug();
}

static void test_rate(void **state)
{
    struct offload_rule **rules = calloc(MANY, sizeof(void *)), *below = add(1, 0, 8, 3);
    double begin, took;

    (void)state;
    for (unsigned i = 0; i < MANY; i++)
        rules[i] = add(10, i, 32, 2);
    begin = cpu_seconds();
    work();
    took = cpu_seconds() - begin;
    assert_int_equal(driver.n, MANY + 1 + EXCEPTIONS);
    print_message("%.0f rules a second planned and put into a driver that takes all, by templates, "
                  "%u at a push\n",
                  MANY / took, MANY / driver.n_pushes);
    assert_true(MANY / took > RATE_MIN);
    remove_all(rules, MANY);
    offload_remove(below);
    free(rules);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_many_by_one_push),
        TEST(test_in_nic_when_done),
        TEST(test_waits_for_those_above),
        TEST(test_full),
        TEST(test_removed_under_way),
        TEST(test_gone_under_way),
        TEST(test_rate),
    };

    return cmocka_run_group_tests_name("offload_batch", tests, NULL, NULL);
}
