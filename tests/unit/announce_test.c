/* SPDX-License-Identifier: Apache-2.0 */
// Pacing and repetition of announcements, on a clock of the test's own.
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/announce.h"

#define PODS     506
#define COUNT    3
#define INTERVAL 500

static long long now;
static unsigned sent[2][PODS], sent_now, most_per_ms;
static long long last_sent_ms[2][PODS], least_gap;
static bool no_buffers;

static struct in6_addr address(unsigned pod)
{
    struct in6_addr out = {.s6_addr16[5] = 0xffff};

    out.s6_addr[14] = pod >> 8;
    out.s6_addr[15] = pod & 0xff;
    return out;
}

static bool send_one(unsigned uplink, unsigned range, const struct in6_addr *ip)
{
    unsigned pod = ip->s6_addr[14] << 8 | ip->s6_addr[15];

    assert_int_equal(range, pod % 2);
    if (no_buffers)
        return false;
    if (sent[uplink][pod]++ && now - last_sent_ms[uplink][pod] < least_gap)
        least_gap = now - last_sent_ms[uplink][pod];
    last_sent_ms[uplink][pod] = now;
    if (++sent_now > most_per_ms)
        most_per_ms = sent_now;
    return true;
}

// As the event loop does: called again when it says. Returns when nothing is left.
static void run_to_the_end(void)
{
    for (;;) {
        sent_now = 0;
        long long next = announce_run(now);
        if (next == LLONG_MAX)
            return;
        assert_true(next > now);
        now = next;
    }
}

static int setup(void **state)
{
    (void)state;
    now = 1000;
    memset(sent, 0, sizeof(sent));
    most_per_ms = 0;
    least_gap = LLONG_MAX;
    no_buffers = false;
    announce_init(COUNT, INTERVAL, send_one);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    announce_fini();
    return 0;
}

static void test_all_on_both_uplinks_paced_and_repeated(void **state)
{
    (void)state;
    for (unsigned pod = 0; pod < PODS; pod++) {
        struct in6_addr ip = address(pod);
        announce_add(0, pod % 2, &ip, now);
        announce_add(1, pod % 2, &ip, now);
    }
    run_to_the_end();
    for (unsigned pod = 0; pod < PODS; pod++) {
        assert_int_equal(sent[0][pod], COUNT);
        assert_int_equal(sent[1][pod], COUNT);
    }
    assert_int_equal(most_per_ms, ANNOUNCE_PER_MS);
    assert_true(least_gap >= INTERVAL);
    // The first round of 1,012 takes 102 ms, and the repetitions keep their distance to it.
    assert_in_range(now, 1000 + (COUNT - 1) * INTERVAL, 1000 + (COUNT - 1) * INTERVAL + 110);
}

static void test_one_goes_at_once(void **state)
{
    struct in6_addr ip = address(7);

    (void)state;
    announce_add(0, 1, &ip, now);
    assert_int_equal(announce_run(now), now + INTERVAL);
    assert_int_equal(sent[0][7], 1);
}

static void test_the_same_again_begins_anew_and_is_not_doubled(void **state)
{
    struct in6_addr ip = address(7);

    (void)state;
    announce_add(0, 1, &ip, now);
    announce_run(now);
    announce_add(0, 1, &ip, now);
    run_to_the_end();
    assert_int_equal(sent[0][7], 1 + COUNT);
}

static void test_cancelled_is_not_sent_any_more(void **state)
{
    struct in6_addr gone = address(8), stays = address(10);

    (void)state;
    announce_add(0, 0, &gone, now);
    announce_add(1, 0, &gone, now);
    announce_add(1, 0, &stays, now);
    announce_run(now);
    announce_cancel(&gone);
    run_to_the_end();
    assert_int_equal(sent[0][8], 1);
    assert_int_equal(sent[1][8], 1);
    assert_int_equal(sent[1][10], COUNT);
}

static void test_without_buffers_nothing_is_lost(void **state)
{
    struct in6_addr ip = address(4);

    (void)state;
    no_buffers = true;
    announce_add(0, 0, &ip, now);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(announce_run(now), now + 1);
        now++;
    }
    no_buffers = false;
    run_to_the_end();
    assert_int_equal(sent[0][4], COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_on_both_uplinks_paced_and_repeated, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_one_goes_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_same_again_begins_anew_and_is_not_doubled, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_cancelled_is_not_sent_any_more, setup, teardown),
        cmocka_unit_test_setup_teardown(test_without_buffers_nothing_is_lost, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
