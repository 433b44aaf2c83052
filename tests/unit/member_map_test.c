/* SPDX-License-Identifier: Apache-2.0 */
// The uplink choice against a simple model, for many random histories, and the gateway's state that
// feeds it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "control/gateway.h"
#include "control/member_map.h"

#define HISTORIES 2000
#define STEPS     50

static struct dp_member_map map, before;

static bool chance(unsigned percent)
{
    return (unsigned)rand() % 100 < percent;
}

static void change(struct member *members, unsigned n)
{
    struct member *member = &members[(unsigned)rand() % n];

    switch (rand() % 3) {
    case 0:
        member->carrier = !member->carrier;
        member->answers = false;
        break;
    case 1:
        member->answers = member->carrier && !member->answers;
        member->known |= member->answers;
        break;
    case 2:
        if (chance(10) && member->known)
            member->gateway_mac.addr_bytes[5]++;
        break;
    }
}

static unsigned member_of(const struct member *members, unsigned n, uint16_t port)
{
    for (unsigned i = 0; i < n; i++) {
        if (members[i].port == port)
            return i;
    }
    fail_msg("a bucket leads to port %u, which is no member", port);
    return 0;
}

static void every_bucket_goes_to_a_member_in_use(const struct member *members, unsigned n,
                                                 const bool *in_use)
{
    unsigned buckets[DP_MEMBERS_MAX] = {0}, used = 0;

    for (unsigned i = 0; i < n; i++)
        used += in_use[i];
    assert_int_equal(map.gateway[3].valid, used > 0);
    for (unsigned b = 0; used && b < DP_BUCKETS; b++) {
        unsigned i = member_of(members, n, map.gateway[3].bucket[b].port);

        assert_true(in_use[i]);
        assert_memory_equal(&map.gateway[3].bucket[b].gateway_mac, &members[i].gateway_mac, 6);
        buckets[i]++;
    }
    for (unsigned i = 0; used && i < n; i++) {
        if (in_use[i])
            assert_in_range(buckets[i], DP_BUCKETS / used, DP_BUCKETS / used + 1);
    }
}

static bool map_differs(void)
{
    bool differs = map.gateway[3].valid != before.gateway[3].valid;

    for (unsigned b = 0; b < DP_BUCKETS; b++)
        differs |= map.gateway[3].bucket[b].port != before.gateway[3].bucket[b].port ||
                   memcmp(&map.gateway[3].bucket[b].gateway_mac,
                          &before.gateway[3].bucket[b].gateway_mac, 6) != 0;
    return differs;
}

static void only_the_lost_members_buckets_move(const bool *was, const bool *is, unsigned n,
                                               const struct member *members)
{
    bool gained = false;

    for (unsigned i = 0; i < n; i++)
        gained |= is[i] && !was[i];
    if (gained || !map.gateway[3].valid || !before.gateway[3].valid)
        return;
    for (unsigned b = 0; b < DP_BUCKETS; b++) {
        uint16_t old = before.gateway[3].bucket[b].port;

        if (is[member_of(members, n, old)])
            assert_int_equal(map.gateway[3].bucket[b].port, old);
    }
}

// The model of what is to be used, written another way than the code: by what each state means.
static void check_choice(const struct member *members, unsigned n, const bool *was, const bool *is,
                         enum member_choice choice)
{
    bool any_answers = false, any_was = false, any_known = false;

    for (unsigned i = 0; i < n; i++) {
        bool possible = members[i].carrier && members[i].known;

        any_answers |= possible && members[i].answers;
        any_was |= possible && was[i];
        any_known |= possible;
    }
    for (unsigned i = 0; i < n; i++) {
        bool possible = members[i].carrier && members[i].known;

        if (any_answers)
            assert_int_equal(is[i], possible && members[i].answers);
        else if (any_was)
            assert_int_equal(is[i], possible && was[i]);
        else
            assert_int_equal(is[i], possible);
    }
    assert_int_equal(choice, any_answers ? MEMBERS_ANSWERING
                             : any_known ? MEMBERS_LAST_GOOD
                                         : MEMBERS_NONE);
}

static void test_random_histories(void **state)
{
    (void)state;
    srand(1);
    for (unsigned history = 0; history < HISTORIES; history++) {
        unsigned n = 1 + history % DP_MEMBERS_MAX;
        struct member members[DP_MEMBERS_MAX] = {0};
        bool in_use[DP_MEMBERS_MAX] = {0}, was[DP_MEMBERS_MAX];

        for (unsigned i = 0; i < n; i++)
            members[i].port = i + 1;
        memset(&map, 0, sizeof(map));
        for (unsigned step = 0; step < STEPS; step++) {
            enum member_choice choice;
            bool changed;

            change(members, n);
            memcpy(was, in_use, sizeof(was));
            before = map;
            choice = members_choose(members, n, in_use);
            changed = members_fill(members, n, in_use, &map, 3);
            assert_int_equal(changed, map_differs());
            check_choice(members, n, was, in_use, choice);
            every_bucket_goes_to_a_member_in_use(members, n, in_use);
            only_the_lost_members_buckets_move(was, in_use, n, members);
        }
    }
}

static void test_all_probes_fail_keeps_the_map(void **state)
{
    struct member members[2] = {{.port = 1, .carrier = true, .answers = true, .known = true},
                                {.port = 2, .carrier = true, .answers = true, .known = true}};
    bool in_use[2] = {0};

    (void)state;
    memset(&map, 0, sizeof(map));
    assert_int_equal(members_choose(members, 2, in_use), MEMBERS_ANSWERING);
    members_fill(members, 2, in_use, &map, 0);
    before = map;
    members[0].answers = members[1].answers = false;
    assert_int_equal(members_choose(members, 2, in_use), MEMBERS_LAST_GOOD);
    members_fill(members, 2, in_use, &map, 0);
    assert_memory_equal(&map, &before, sizeof(map));
}

static void test_back_again_gets_the_same_buckets(void **state)
{
    struct member members[2] = {{.port = 1, .carrier = true, .answers = true, .known = true},
                                {.port = 2, .carrier = true, .answers = true, .known = true}};
    bool in_use[2] = {0};

    (void)state;
    members_choose(members, 2, in_use);
    members_fill(members, 2, in_use, &map, 0);
    before = map;
    members[1].carrier = members[1].answers = false;
    members_choose(members, 2, in_use);
    members_fill(members, 2, in_use, &map, 0);
    assert_memory_not_equal(&map, &before, sizeof(map));
    members[1].carrier = members[1].answers = true;
    members_choose(members, 2, in_use);
    members_fill(members, 2, in_use, &map, 0);
    assert_memory_equal(&map, &before, sizeof(map));
}

static const struct rte_ether_addr mac_a = {{2, 0, 0, 0, 0, 1}}, mac_b = {{2, 0, 0, 0, 0, 2}};

static void test_gateway_stops_answering_after_so_many_misses(void **state)
{
    struct gateway gateway = {0};

    (void)state;
    assert_false(gateway_probed(&gateway, 3));
    assert_true(gateway_answered(&gateway, &mac_a, true, 0));
    assert_true(gateway.answers);
    assert_false(gateway_probed(&gateway, 3)); // the first that will be missed
    assert_false(gateway_probed(&gateway, 3));
    assert_false(gateway_probed(&gateway, 3));
    assert_true(gateway.answers);
    assert_true(gateway_probed(&gateway, 3)); // three are missed now
    assert_false(gateway.answers);
    assert_false(gateway_probed(&gateway, 3)); // is told once
    assert_true(gateway_answered(&gateway, &mac_a, true, 0));
    assert_true(gateway.answers);
}

static void test_one_answer_in_time_forgives_the_misses(void **state)
{
    struct gateway gateway = {0};

    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        gateway_probed(&gateway, 2);
        if (i % 2 == 0)
            gateway_answered(&gateway, &mac_a, true, 0);
        assert_true(gateway.answers);
    }
}

static void test_unsolicited_answers_tell_only_the_mac(void **state)
{
    struct gateway gateway = {0};

    (void)state;
    assert_true(gateway_answered(&gateway, &mac_a, true, 0)); // nothing was asked
    assert_true(gateway.known);
    assert_false(gateway.answers);
    gateway_probed(&gateway, 3);
    assert_false(gateway_answered(&gateway, &mac_a, false, 0));
    assert_false(gateway.answers);
    assert_true(gateway_answered(&gateway, &mac_b, false, GATEWAY_HOLD_MS));
    assert_memory_equal(&gateway.mac, &mac_b, 6);
    gateway_answered(&gateway, &mac_b, true, 0);
    assert_true(gateway.answers);
    gateway_cut_off(&gateway);
    assert_false(gateway.answers);
    assert_true(gateway.known);
}

static void test_a_flood_of_changing_macs_is_few_changes(void **state)
{
    struct gateway gateway = {0};
    unsigned changes = 0;

    (void)state;
    for (long long ms = 0; ms < 10 * GATEWAY_HOLD_MS; ms++)
        changes += gateway_answered(&gateway, ms % 2 ? &mac_a : &mac_b, false, ms);
    assert_int_equal(changes, 10);
    // Meanwhile it is seen that the gateway hears us.
    gateway_probed(&gateway, 3);
    assert_true(gateway_answered(&gateway, &mac_a, true, 10 * GATEWAY_HOLD_MS - 1));
    assert_true(gateway.answers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_histories),
        cmocka_unit_test(test_all_probes_fail_keeps_the_map),
        cmocka_unit_test(test_back_again_gets_the_same_buckets),
        cmocka_unit_test(test_gateway_stops_answering_after_so_many_misses),
        cmocka_unit_test(test_one_answer_in_time_forgives_the_misses),
        cmocka_unit_test(test_unsolicited_answers_tell_only_the_mac),
        cmocka_unit_test(test_a_flood_of_changing_macs_is_few_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
