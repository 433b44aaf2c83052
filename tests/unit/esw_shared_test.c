/* SPDX-License-Identifier: Apache-2.0 */
// What rules of net_esw share: indirect actions, meters.
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
#include <unistd.h>

#include <rte_flow.h>
#include <rte_mtr.h>

#include "tests/unit/esw_rig.h"

#define A 0x0a000002
#define B 0x0a000003

static const struct rte_flow_indir_action_conf transfer = {.transfer = 1};

static int setup(void **state)
{
    (void)state;
    return rig_open_started("");
}

// "IPv4 to this address: the actions, to VF 1"; NULL, with rte_errno, if it is refused.
static struct rte_flow *create(uint32_t dst, const struct rte_flow_action *first,
                               const struct rte_flow_action *second)
{
    const struct rte_flow_attr attr = {.transfer = 1};
    const struct rte_flow_item_ipv4 spec = {.hdr.dst_addr = rte_cpu_to_be_32(dst)};
    const struct rte_flow_item_ipv4 mask = {.hdr.dst_addr = UINT32_MAX};
    const struct rte_flow_item items[] = {
        {.type = RTE_FLOW_ITEM_TYPE_ETH},
        {.type = RTE_FLOW_ITEM_TYPE_IPV4, .spec = &spec, .mask = &mask},
        {.type = RTE_FLOW_ITEM_TYPE_END}};
    const struct rte_flow_action_ethdev to = {.port_id = ethdev[VF1]};
    const struct rte_flow_action nothing = {.type = RTE_FLOW_ACTION_TYPE_VOID};
    const struct rte_flow_action actions[] = {*first,
                                              second ? *second : nothing,
                                              {RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT, &to},
                                              {RTE_FLOW_ACTION_TYPE_END, NULL}};
    struct rte_flow_error error;

    return rte_flow_create(ethdev[WIRE], &attr, items, actions, &error);
}

static void destroy(struct rte_flow *flow)
{
    struct rte_flow_error error;

    assert_int_equal(rte_flow_destroy(ethdev[WIRE], flow, &error), 0);
}

static struct rte_flow_action_handle *make(enum rte_flow_action_type type, const void *conf)
{
    const struct rte_flow_action action = {type, conf};
    struct rte_flow_error error;

    return rte_flow_action_handle_create(ethdev[WIRE], &transfer, &action, &error);
}

static int unmake(struct rte_flow_action_handle *handle)
{
    struct rte_flow_error error;

    return rte_flow_action_handle_destroy(ethdev[WIRE], handle, &error);
}

static void vf_sends(uint32_t dst)
{
    struct frame frame = udp(1, dst, 64, 53);

    inject(VF0, &frame, sizeof(frame));
}

static void passes(uint32_t dst)
{
    struct frame got;

    vf_sends(dst);
    expect(VF1, false, &got);
}

static uint64_t hits_of(struct rte_flow_action_handle *handle, bool reset)
{
    struct rte_flow_query_count count = {.reset = reset};
    struct rte_flow_error error;

    assert_int_equal(rte_flow_action_handle_query(ethdev[WIRE], handle, &count, &error), 0);
    assert_true(count.hits_set && count.bytes_set);
    assert_int_equal(count.bytes, count.hits * sizeof(struct frame));
    return count.hits;
}

static void test_rules_share_a_counter(void **state)
{
    const struct rte_flow_action count[] = {{RTE_FLOW_ACTION_TYPE_COUNT, NULL},
                                            {RTE_FLOW_ACTION_TYPE_END, NULL}};
    struct rte_flow_action_handle *handle = make(RTE_FLOW_ACTION_TYPE_COUNT, NULL);
    const struct rte_flow_action shared = {RTE_FLOW_ACTION_TYPE_INDIRECT, handle};
    struct rte_flow_query_count of_rule = {0};
    struct rte_flow_error error;
    struct rte_flow *a, *b;

    (void)state;
    assert_non_null(handle);
    a = create(A, &shared, NULL);
    b = create(B, &shared, NULL);
    assert_true(a && b);
    passes(A);
    passes(B);
    passes(B);
    assert_int_equal(hits_of(handle, true), 3);
    assert_int_equal(hits_of(handle, false), 0);
    passes(A);
    assert_int_equal(rte_flow_query(ethdev[WIRE], b, count, &of_rule, &error), 0);
    assert_int_equal(of_rule.hits, 1); // the shared one
    destroy(a);
    assert_int_equal(unmake(handle), -EBUSY);
    destroy(b);
    assert_int_equal(hits_of(handle, false), 1);
    assert_int_equal(unmake(handle), 0);
}

static void test_rules_share_an_age(void **state)
{
    const struct rte_flow_action_age age = {.timeout = 1};
    struct rte_flow_action_handle *handle = make(RTE_FLOW_ACTION_TYPE_AGE, &age);
    const struct rte_flow_action shared = {RTE_FLOW_ACTION_TYPE_INDIRECT, handle};
    struct rte_flow_update_age update = {.timeout_valid = 1, .timeout = 1000, .touch = 1};
    struct rte_flow_query_age query;
    struct rte_flow_error error;
    struct rte_flow *a, *b;
    void *contexts[2];

    (void)state;
    assert_non_null(handle);
    a = create(A, &shared, NULL);
    b = create(B, &shared, NULL);
    assert_true(a && b);
    while (rte_flow_get_aged_flows(ethdev[WIRE], NULL, 0, &error) == 0)
        usleep(1000);
    assert_int_equal(rte_flow_get_aged_flows(ethdev[WIRE], NULL, 0, &error), 1);
    assert_int_equal(rte_flow_get_aged_flows(ethdev[WIRE], contexts, 2, &error), 1);
    assert_ptr_equal(contexts[0], handle);
    assert_int_equal(rte_flow_get_aged_flows(ethdev[WIRE], contexts, 2, &error), 0); // told
    assert_int_equal(rte_flow_action_handle_query(ethdev[WIRE], handle, &query, &error), 0);
    assert_true(query.aged);
    assert_int_equal(rte_flow_action_handle_update(ethdev[WIRE], handle, &update, &error), 0);
    assert_int_equal(rte_flow_action_handle_query(ethdev[WIRE], handle, &query, &error), 0);
    assert_false(query.aged);
    update = (struct rte_flow_update_age){.timeout_valid = 1, .timeout = 0}; // no age any more
    assert_int_equal(rte_flow_action_handle_update(ethdev[WIRE], handle, &update, &error), 0);
    assert_int_equal(rte_flow_get_aged_flows(ethdev[WIRE], contexts, 2, &error), 0);
    destroy(a);
    destroy(b);
    assert_int_equal(unmake(handle), 0);
}

static void test_indirect_refusals(void **state)
{
    const struct rte_flow_indir_action_conf ingress = {.ingress = 1};
    const struct rte_flow_action count = {RTE_FLOW_ACTION_TYPE_COUNT, NULL};
    struct rte_flow_action_handle *handle = make(RTE_FLOW_ACTION_TYPE_COUNT, NULL);
    const struct rte_flow_action shared = {RTE_FLOW_ACTION_TYPE_INDIRECT, handle};
    const struct rte_flow_action unknown = {RTE_FLOW_ACTION_TYPE_INDIRECT, &pool};
    struct rte_flow_update_age update = {.touch = 1};
    struct rte_flow_error error;

    (void)state;
    assert_null(make(RTE_FLOW_ACTION_TYPE_DROP, NULL));
    assert_int_equal(rte_errno, ENOTSUP);
    assert_null(rte_flow_action_handle_create(ethdev[WIRE], &ingress, &count, &error));
    assert_int_equal(rte_errno, ENOTSUP);
    assert_null(create(A, &unknown, NULL));
    assert_int_equal(rte_errno, EINVAL);
    assert_null(create(A, &shared, &shared));
    assert_int_equal(rte_errno, EINVAL);
    assert_int_equal(rte_flow_action_handle_update(ethdev[WIRE], handle, &update, &error),
                     -ENOTSUP);
    // One that is still there goes with the device.
}

// --- meters ---

static struct rte_mtr_error mtr_error;

static int add_profile(uint32_t id, uint64_t cir, uint64_t cbs, uint64_t ebs, bool packets)
{
    struct rte_mtr_meter_profile profile = {.alg = RTE_MTR_SRTCM_RFC2697,
                                            .srtcm_rfc2697 = {.cir = cir, .cbs = cbs, .ebs = ebs},
                                            .packet_mode = packets};

    return rte_mtr_meter_profile_add(ethdev[WIRE], id, &profile, &mtr_error);
}

// What is red is dropped, what is yellow if it is said.
static int add_policy(uint32_t id, bool drop_yellow)
{
    static const struct rte_flow_action pass[] = {{RTE_FLOW_ACTION_TYPE_END, NULL}};
    static const struct rte_flow_action drop[] = {{RTE_FLOW_ACTION_TYPE_DROP, NULL},
                                                  {RTE_FLOW_ACTION_TYPE_END, NULL}};
    struct rte_mtr_meter_policy_params policy = {
        .actions = {pass, drop_yellow ? drop : pass, drop}};

    return rte_mtr_meter_policy_add(ethdev[WIRE], id, &policy, &mtr_error);
}

static int add_meter(uint32_t id, uint32_t profile, uint32_t policy)
{
    struct rte_mtr_params params = {.meter_profile_id = profile,
                                    .meter_policy_id = policy,
                                    .meter_enable = 1,
                                    .stats_mask = UINT64_MAX};

    return rte_mtr_create(ethdev[WIRE], id, &params, 1, &mtr_error);
}

static struct rte_mtr_stats stats_of(uint32_t id, bool clear)
{
    struct rte_mtr_stats stats;
    uint64_t mask;

    assert_int_equal(rte_mtr_stats_read(ethdev[WIRE], id, &stats, &mask, clear, &mtr_error), 0);
    assert_true(mask & RTE_MTR_STATS_N_PKTS_DROPPED);
    return stats;
}

static void is_dropped(uint32_t dst, uint32_t meter)
{
    uint64_t before = stats_of(meter, false).n_pkts_dropped;
    struct frame got;
    bool to_app;
    size_t length = sizeof(got);

    vf_sends(dst);
    for (unsigned i = 0; i < 10000 && stats_of(meter, false).n_pkts_dropped == before; i++)
        usleep(1000);
    assert_int_equal(stats_of(meter, false).n_pkts_dropped, before + 1);
    assert_int_equal(outcome(&to_app, &got, &length), -1);
}

// Two rules have one meter of three packets, and then one in an hour.
static void test_rules_share_a_meter(void **state)
{
    const struct rte_flow_action_meter id = {.mtr_id = 7};
    const struct rte_flow_action meter = {RTE_FLOW_ACTION_TYPE_METER, &id};
    const struct rte_flow_action count = {RTE_FLOW_ACTION_TYPE_COUNT, NULL};
    struct rte_mtr_stats stats;
    struct rte_flow *a, *b;

    (void)state;
    assert_null(create(A, &count, &meter));
    assert_int_equal(rte_errno, ENOENT);
    assert_int_equal(add_profile(1, 1, 200, 100, false), 0); // a byte a second
    assert_int_equal(add_policy(2, false), 0);
    assert_int_equal(add_meter(7, 1, 2), 0);
    a = create(A, &count, &meter);
    b = create(B, &meter, NULL);
    assert_true(a && b);
    // Frames have 52 bytes.
    passes(A);
    passes(B);
    passes(B);
    passes(A); // from the excess burst
    is_dropped(A, 7);
    is_dropped(B, 7);
    stats = stats_of(7, true);
    assert_int_equal(stats.n_pkts[RTE_COLOR_GREEN], 3);
    assert_int_equal(stats.n_pkts[RTE_COLOR_YELLOW], 1);
    assert_int_equal(stats.n_pkts_dropped, 2);
    assert_int_equal(stats.n_bytes_dropped, 2 * sizeof(struct frame));
    assert_int_equal(stats_of(7, false).n_pkts_dropped, 0);
    assert_int_equal(rte_mtr_meter_disable(ethdev[WIRE], 7, &mtr_error), 0);
    passes(A);
    assert_int_equal(rte_mtr_destroy(ethdev[WIRE], 7, &mtr_error), -EBUSY);
    destroy(a);
    destroy(b);
    assert_int_equal(rte_mtr_meter_profile_delete(ethdev[WIRE], 1, &mtr_error), -EBUSY);
    assert_int_equal(rte_mtr_meter_policy_delete(ethdev[WIRE], 2, &mtr_error), -EBUSY);
    assert_int_equal(rte_mtr_destroy(ethdev[WIRE], 7, &mtr_error), 0);
    assert_int_equal(rte_mtr_meter_profile_delete(ethdev[WIRE], 1, &mtr_error), 0);
    assert_int_equal(rte_mtr_meter_policy_delete(ethdev[WIRE], 2, &mtr_error), 0);
    assert_int_equal(rte_mtr_destroy(ethdev[WIRE], 7, &mtr_error), -ENOENT);
}

// Packets in place of bytes; what was used up comes back.
static void test_meter_of_packets(void **state)
{
    const struct rte_flow_action_meter id = {.mtr_id = 1};
    const struct rte_flow_action meter = {RTE_FLOW_ACTION_TYPE_METER, &id};

    (void)state;
    assert_int_equal(add_profile(1, 1, 1, 1, true), 0);
    assert_int_equal(add_profile(2, 1000000, 1, 0, true), 0);
    assert_int_equal(add_policy(1, true), 0);
    assert_int_equal(add_meter(1, 1, 1), 0);
    assert_non_null(create(A, &meter, NULL));
    passes(A);
    is_dropped(A, 1); // yellow
    assert_int_equal(rte_mtr_meter_profile_update(ethdev[WIRE], 1, 2, &mtr_error), 0);
    for (unsigned i = 0; i < 20; i++)
        passes(A);
    // All of it goes with the device.
}

static void test_two_rates(void **state)
{
    const struct rte_flow_action_meter id = {.mtr_id = 1};
    const struct rte_flow_action meter = {RTE_FLOW_ACTION_TYPE_METER, &id};
    struct rte_mtr_meter_profile profile = {
        .alg = RTE_MTR_TRTCM_RFC2698,
        .trtcm_rfc2698 = {.cir = 1, .pir = 1, .cbs = 52, .pbs = 110},
    };

    (void)state;
    assert_int_equal(rte_mtr_meter_profile_add(ethdev[WIRE], 1, &profile, &mtr_error), 0);
    assert_int_equal(add_policy(1, false), 0);
    assert_int_equal(add_meter(1, 1, 1), 0);
    assert_non_null(create(A, &meter, NULL));
    passes(A);
    passes(A);
    assert_int_equal(stats_of(1, false).n_pkts[RTE_COLOR_GREEN], 1);
    assert_int_equal(stats_of(1, false).n_pkts[RTE_COLOR_YELLOW], 1);
    is_dropped(A, 1);
}

static void test_meter_refusals(void **state)
{
    static const struct rte_flow_action jump[] = {{RTE_FLOW_ACTION_TYPE_JUMP, NULL},
                                                  {RTE_FLOW_ACTION_TYPE_END, NULL}};
    struct rte_mtr_meter_policy_params policy = {.actions = {jump, jump, jump}};
    struct rte_mtr_meter_profile profile = {.alg = RTE_MTR_TRTCM_RFC4115};
    struct rte_mtr_params aware = {.use_prev_mtr_color = 1};
    struct rte_mtr_capabilities capabilities;

    (void)state;
    assert_int_equal(rte_mtr_capabilities_get(ethdev[WIRE], &capabilities, &mtr_error), 0);
    assert_true(capabilities.meter_srtcm_rfc2697_n_max > 0);
    assert_int_equal(capabilities.meter_trtcm_rfc4115_n_max, 0);
    assert_int_equal(rte_mtr_meter_profile_add(ethdev[WIRE], 1, &profile, &mtr_error), -ENOTSUP);
    assert_int_equal(add_profile(1, 1, 0, 0, false), -EINVAL);
    assert_int_equal(add_profile(1, 1, 1, 0, false), 0);
    assert_int_equal(add_profile(1, 1, 1, 0, false), -EEXIST);
    assert_int_equal(rte_mtr_meter_policy_add(ethdev[WIRE], 1, &policy, &mtr_error), -ENOTSUP);
    assert_int_equal(add_policy(1, false), 0);
    assert_int_equal(add_policy(1, false), -EEXIST);
    assert_int_equal(add_meter(1, 9, 1), -ENOENT);
    assert_int_equal(add_meter(1, 1, 9), -ENOENT);
    assert_int_equal(rte_mtr_create(ethdev[WIRE], 1, &aware, 1, &mtr_error), -ENOTSUP);
    assert_int_equal(add_meter(1, 1, 1), 0);
    assert_int_equal(add_meter(1, 1, 1), -EEXIST);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_rules_share_a_counter), TEST(test_rules_share_an_age),
        TEST(test_indirect_refusals),     TEST(test_rules_share_a_meter),
        TEST(test_meter_of_packets),      TEST(test_two_rates),
        TEST(test_meter_refusals),
    };

    int failed;

    if (!rig_begin("esw_shared_test"))
        return 0;
    failed = cmocka_run_group_tests_name("esw_shared", tests, NULL, NULL);
    rte_eal_cleanup();
    return failed;
}
