/* SPDX-License-Identifier: Apache-2.0 */
// The operator's groups: which buckets packets take, what they count, which are refused.
#include "tests/unit/policy_fixture.h"

#include <errno.h>
#include <math.h>

#define FLOWS 2000

static const char A4[] = "10.1.10.5", WORLD4[] = "192.0.2.7";

static struct dp_bucket bucket_to(uint16_t port, uint16_t weight)
{
    return (struct dp_bucket){.weight = weight,
                              .watch_group = DP_GROUP_NONE,
                              .n_actions = 1,
                              .actions = {PORT_OUT(port)}};
}

static struct dp_bucket bucket_of_group(uint32_t id)
{
    return (struct dp_bucket){.watch_group = DP_GROUP_NONE,
                              .n_actions = 1,
                              .actions = {{.type = ACTION_GROUP, .id = id}}};
}

static void set(uint32_t id, enum dp_group_type type, const struct dp_bucket *buckets, unsigned n)
{
    char *error = NULL;

    if (dp_group_set(id, type, buckets, n, &error))
        fail_msg("%s", error);
}

static void refused(int code, uint32_t id, enum dp_group_type type, const struct dp_bucket *buckets,
                    unsigned n)
{
    char *error = NULL;

    assert_int_equal(dp_group_set(id, type, buckets, n, &error), code);
    assert_non_null(error);
    free(error);
}

static struct frame flow(unsigned i)
{
    struct frame f;

    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, WORLD4, 20);
    f.v4.udp.src_port = rte_cpu_to_be_16((uint16_t)(1000 + i));
    f.v4.udp.dst_port = rte_cpu_to_be_16((uint16_t)(i * 7));
    f.v4.udp.dgram_cksum = 0;
    return f;
}

// The port that a flow's frame leaves by; 0: none.
static uint16_t way_of(unsigned i)
{
    struct frame f = flow(i), got;
    uint16_t way = 0;

    frame_send(POD_A, &f);
    node_settle();
    for (uint16_t port = 1; port <= NODE_PORTS; port++) {
        if (!frame_recv(port, &got))
            continue;
        assert_int_equal(way, 0);
        way = port;
    }
    return way;
}

// The same for flows 0 to FLOWS - 1.
static void ways_of_all(uint16_t ways[FLOWS])
{
    struct frame f;

    memset(ways, 0, FLOWS * sizeof ways[0]);
    for (unsigned i = 0; i < FLOWS; i++) {
        f = flow(i);
        frame_send(POD_A, &f);
    }
    node_settle();
    for (uint16_t port = 1; port <= NODE_PORTS; port++) {
        while (frame_recv(port, &f)) {
            unsigned i = rte_be_to_cpu_16(f.v4.udp.src_port) - 1000u;

            assert_int_equal(ways[i], 0);
            ways[i] = port;
        }
    }
}

static void all_buckets_have_a_packet_each(void **state)
{
    struct dp_bucket buckets[] = {bucket_to(UPLINK0, 0), bucket_to(POD_B, 0),
                                  bucket_to(UPLINK1, 0)};
    struct dp_rule_stats group, counted[3];
    struct frame sent = flow(1), got;

    (void)state;
    // What one bucket changes the others do not see.
    buckets[0].actions[1] = buckets[0].actions[0];
    buckets[0].actions[0] = (struct action){.type = ACTION_SET_L4_DST, .l4 = RTE_BE16(9)};
    buckets[0].n_actions = 2;
    set(1, DP_GROUP_ALL, buckets, 3);
    INSTALL({.type = ACTION_GROUP, .id = 1});
    frame_send(POD_A, &sent);
    node_settle();
    assert_true(frame_recv(UPLINK0, &got));
    assert_int_equal(got.v4.udp.dst_port, RTE_BE16(9));
    assert_true(frame_recv(POD_B, &got));
    assert_memory_equal(got.bytes, sent.bytes, sent.len);
    assert_true(frame_recv(UPLINK1, &got));
    assert_memory_equal(got.bytes, sent.bytes, sent.len);
    assert_int_equal(dp_group_stats(1, &group, counted, 3), 0);
    assert_int_equal(group.packets, 1);
    assert_int_equal(group.bytes, sent.len);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(counted[i].packets, 1);
    assert_nothing_left();
    // Nor do the actions behind the group.
    INSTALL({.type = ACTION_GROUP, .id = 1}, {.type = ACTION_IN_PORT});
    frame_send(POD_A, &sent);
    node_settle();
    assert_true(frame_recv(POD_A, &got));
    assert_memory_equal(got.bytes, sent.bytes, sent.len);
    for (uint16_t port = 1; port <= NODE_PORTS; port++)
        assert_int_equal(frame_recv(port, &got), port != POD_A);
    dp_group_del(1);
    assert_int_equal(dp_group_stats(1, &group, counted, 3), -ENOENT);
}

static void forwards_from_a_bucket(void **state)
{
    struct dp_bucket buckets[] = {bucket_to(UPLINK1, 0), bucket_to(POD_B, 0)};
    struct frame sent, got;

    (void)state;
    buckets[0].actions[0] = (struct action){.type = ACTION_NORMAL};
    set(1, DP_GROUP_ALL, buckets, 2);
    INSTALL({.type = ACTION_GROUP, .id = 1});
    frame_arp(&sent, RTE_ARP_OP_REQUEST, &POD_A_MAC, A4, "10.1.10.1");
    frame_send(POD_A, &sent);
    node_settle();
    assert_true(frame_recv(POD_B, &got));
    assert_memory_equal(got.bytes, sent.bytes, sent.len);
    assert_true(frame_recv(POD_A, &got)); // the answer
    assert_nothing_left();
    dp_group_del(1);
}

static void selects_by_weight(void **state)
{
    const struct dp_bucket buckets[] = {bucket_to(UPLINK0, 100), bucket_to(POD_B, 300),
                                        bucket_to(UPLINK1, 0)};
    struct dp_rule_stats group, counted[3];
    unsigned by[NODE_PORTS + 1] = {0};
    uint16_t ways[FLOWS];

    (void)state;
    set(1, DP_GROUP_SELECT, buckets, 3);
    INSTALL({.type = ACTION_GROUP, .id = 1});
    ways_of_all(ways);
    for (unsigned i = 0; i < FLOWS; i++)
        by[ways[i]]++;
    assert_int_equal(by[UPLINK0] + by[POD_B], FLOWS);
    // A quarter, give or take five times the standard deviation of as many draws.
    assert_true(fabs(by[UPLINK0] - FLOWS / 4.0) < 5 * sqrt(FLOWS * 3 / 16.0));
    dp_group_stats(1, &group, counted, 3);
    assert_int_equal(group.packets, FLOWS);
    assert_int_equal(counted[0].packets, by[UPLINK0]);
    assert_int_equal(counted[1].packets, by[POD_B]);
    assert_int_equal(counted[2].packets, 0);
    dp_group_del(1);
}

// A bucket more or less moves only the flows that it gets or had; a flow stays with its bucket.
static void a_change_moves_only_its_own_flows(void **state)
{
    const struct dp_bucket buckets[] = {bucket_to(UPLINK0, 1), bucket_to(POD_B, 1),
                                        bucket_to(UPLINK1, 1)};
    uint16_t before[FLOWS], after[FLOWS];
    unsigned moved = 0;

    (void)state;
    set(1, DP_GROUP_SELECT, buckets, 3);
    INSTALL({.type = ACTION_GROUP, .id = 1});
    ways_of_all(before);
    set(1, DP_GROUP_SELECT, buckets + 1, 2);
    ways_of_all(after);
    for (unsigned i = 0; i < FLOWS; i++) {
        moved += after[i] != before[i];
        if (before[i] != UPLINK0)
            assert_int_equal(after[i], before[i]);
    }
    assert_true(moved > FLOWS / 5);
    set(1, DP_GROUP_SELECT, buckets, 3);
    ways_of_all(after);
    assert_memory_equal(after, before, sizeof after);
    dp_group_del(1);
}

// Fragments of a packet go one way, though only the first has ports.
static void fragments_stay_together(void **state)
{
    const struct dp_bucket buckets[] = {bucket_to(UPLINK0, 1), bucket_to(POD_B, 1)};

    (void)state;
    set(1, DP_GROUP_SELECT, buckets, 2);
    INSTALL({.type = ACTION_GROUP, .id = 1});
    for (unsigned i = 0; i < 50; i++) {
        uint16_t ways[2] = {0};

        for (unsigned later = 0; later < 2; later++) {
            struct frame f = flow(i), got;

            f.v4.ip.dst_addr |= rte_cpu_to_be_32(i << 4); // more than one flow without ports
            f.v4.ip.fragment_offset = later ? RTE_BE16(100) : RTE_BE16(RTE_IPV4_HDR_MF_FLAG);
            frame_sum4(&f);
            frame_send(POD_A, &f);
            node_settle();
            for (uint16_t port = 1; port <= NODE_PORTS; port++)
                if (frame_recv(port, &got))
                    ways[later] = port;
        }
        assert_true(ways[0] != 0);
        assert_int_equal(ways[0], ways[1]);
    }
    dp_group_del(1);
}

static void fails_over_to_the_first_live(void **state)
{
    struct dp_bucket buckets[] = {bucket_to(UPLINK0, 0), bucket_to(UPLINK1, 0)};
    struct dp_bucket chain[] = {bucket_to(POD_B, 0), bucket_of_group(1)};
    struct frame f = flow(1);

    (void)state;
    buckets[0].watch_port = UPLINK0;
    buckets[1].watch_port = UPLINK1;
    set(1, DP_GROUP_FAST_FAILOVER, buckets, 2);
    INSTALL({.type = ACTION_GROUP, .id = 1});
    assert_int_equal(way_of(1), UPLINK0);
    dp_port_set_live(UPLINK0, false);
    assert_int_equal(way_of(1), UPLINK1);
    dp_port_set_live(UPLINK1, false);
    assert_dropped(POD_A, &f, DROP_policy_group);
    dp_port_set_live(UPLINK0, true);
    assert_int_equal(way_of(1), UPLINK0);
    // A group is live while one of its buckets is; a port that is not there is not live.
    chain[0].watch_port = 900;
    chain[1].watch_group = 1;
    set(2, DP_GROUP_FAST_FAILOVER, chain, 2);
    INSTALL({.type = ACTION_GROUP, .id = 2});
    assert_int_equal(way_of(1), UPLINK0);
    dp_port_set_live(UPLINK0, false);
    assert_dropped(POD_A, &f, DROP_policy_group);
    chain[0].watch_port = POD_B;
    set(2, DP_GROUP_FAST_FAILOVER, chain, 2);
    assert_int_equal(way_of(1), POD_B);
    dp_port_set_live(UPLINK0, true);
    dp_port_set_live(UPLINK1, true);
    dp_group_del(2);
    dp_group_del(1);
}

static void groups_that_go_drop(void **state)
{
    const struct dp_bucket bucket = bucket_to(POD_B, 0), chain = bucket_of_group(2);
    struct frame f = flow(1);

    (void)state;
    set(1, DP_GROUP_INDIRECT, &chain, 1);
    INSTALL({.type = ACTION_GROUP, .id = 1});
    assert_dropped(POD_A, &f, DROP_policy_group);
    set(2, DP_GROUP_INDIRECT, &bucket, 1);
    assert_int_equal(way_of(1), POD_B);
    set(2, DP_GROUP_ALL, NULL, 0);
    assert_dropped(POD_A, &f, DROP_policy_group);
    dp_group_del(2);
    assert_dropped(POD_A, &f, DROP_policy_group);
    dp_group_del(1);
    assert_dropped(POD_A, &f, DROP_policy_group);
}

static void loops_and_depths_are_refused(void **state)
{
    struct dp_bucket bucket = bucket_to(POD_B, 0);

    (void)state;
    refused(-EINVAL, 1, DP_GROUP_INDIRECT, NULL, 0);
    bucket.actions[0] = (struct action){.type = ACTION_GOTO_TABLE, .table = TABLE(3)};
    refused(-EINVAL, 1, DP_GROUP_ALL, &bucket, 1);
    bucket = bucket_of_group(1);
    refused(-ELOOP, 1, DP_GROUP_ALL, &bucket, 1);
    // 1 -> 2 -> 3, none there yet; then 3 -> 1.
    for (uint32_t id = 1; id <= 2; id++) {
        bucket = bucket_of_group(id + 1);
        set(id, DP_GROUP_INDIRECT, &bucket, 1);
    }
    bucket = bucket_of_group(1);
    refused(-ELOOP, 3, DP_GROUP_INDIRECT, &bucket, 1);
    bucket = bucket_to(POD_B, 0);
    bucket.watch_group = 1;
    refused(-ELOOP, 3, DP_GROUP_FAST_FAILOVER, &bucket, 1);
    bucket.watch_group = DP_GROUP_NONE;
    set(3, DP_GROUP_INDIRECT, &bucket, 1);
    INSTALL({.type = ACTION_GROUP, .id = 1});
    assert_int_equal(way_of(1), POD_B);
    // 8 deep is possible, 9 is not.
    for (uint32_t id = 4; id <= 9; id++) {
        bucket = bucket_of_group(id - 1 == 3 ? 1 : id - 1); // 4 -> 1 -> 2 -> 3
        if (id < 9)
            set(id, DP_GROUP_INDIRECT, &bucket, 1);
        else
            refused(-ELOOP, id, DP_GROUP_INDIRECT, &bucket, 1);
    }
    INSTALL({.type = ACTION_GROUP, .id = 8});
    assert_int_equal(way_of(1), POD_B);
    for (uint32_t id = 1; id <= 8; id++)
        dp_group_del(id);
}

// A chain made from its top is not seen at once; packets are not lost in it without a name.
static void copies_are_bounded(void **state)
{
    struct dp_bucket buckets[16];
    struct frame f = flow(1), got;
    uint64_t before = node_drops(POD_A, DROP_policy_no_copy);

    (void)state;
    for (uint32_t id = 1; id <= 4; id++) { // 16 ^ 4 outputs
        for (unsigned b = 0; b < 16; b++)
            buckets[b] = id == 1 ? bucket_to(POD_B, 0) : bucket_of_group(id - 1);
        set(id, DP_GROUP_ALL, buckets, 16);
    }
    INSTALL({.type = ACTION_GROUP, .id = 4});
    frame_send(POD_A, &f);
    node_settle();
    assert_true(node_drops(POD_A, DROP_policy_no_copy) > before);
    while (frame_recv(POD_B, &got))
        ;
    for (uint32_t id = 1; id <= 4; id++)
        dp_group_del(id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_buckets_have_a_packet_each),
        cmocka_unit_test(forwards_from_a_bucket),
        cmocka_unit_test(selects_by_weight),
        cmocka_unit_test(a_change_moves_only_its_own_flows),
        cmocka_unit_test(fragments_stay_together),
        cmocka_unit_test(fails_over_to_the_first_live),
        cmocka_unit_test(groups_that_go_drop),
        cmocka_unit_test(loops_and_depths_are_refused),
        cmocka_unit_test(copies_are_bounded),
    };

    return cmocka_run_group_tests_name("policy_group", tests, node_setup, node_teardown);
}
