/* SPDX-License-Identifier: Apache-2.0 */
// The operator's meters: the rate holds whatever the number of workers, and what is over it counts.
#include <pthread.h>
#include <stdatomic.h>

#include "dataplane/policy.h"
#include "tests/unit/policy_fixture.h"

#define THREADS 2

static void set(uint32_t id, bool packets, uint32_t rate, uint32_t burst)
{
    const struct dp_meter meter = {.packets = packets, .rate = rate, .burst = burst};
    char *error = NULL;

    if (dp_meter_set(id, &meter, &error))
        fail_msg("%s", error);
}

static struct {
    struct worker worker;
    uint64_t passed;
    uint64_t last; // TSC of its last take
} takers[THREADS];
static atomic_uint ready;
static uint64_t until;

// As fast as a worker could; to the end of what the rate allows.
static void *take(void *arg)
{
    unsigned i = (unsigned)(uintptr_t)arg;
    bool passed;

    takers[i].worker.index = i;
    takers[i].passed = 0;
    ready++;
    while (ready < THREADS)
        ;
    do {
        takers[i].last = rte_rdtsc();
        passed = policy_meter_take(&takers[i].worker, 1, 1250);
        takers[i].passed += passed;
    } while (takers[i].last < until || passed);
    return NULL;
}

// What passes a meter in about half a second from two threads, the burst aside; *seconds: how long
// it was.
static uint64_t passed_from_all(uint64_t burst, double *seconds)
{
    uint64_t passed = 0, first, last = 0;
    pthread_t threads[THREADS];

    do
        first = rte_rdtsc();
    while (policy_meter_take(&takers[0].worker, 1, 1250) && ++passed);
    assert_true(passed >= burst);
    passed = 0;
    ready = 0;
    until = rte_rdtsc() + dp_tsc_hz() / 2;
    for (unsigned i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, take, (void *)(uintptr_t)i), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        passed += takers[i].passed;
        last = RTE_MAX(last, takers[i].last);
    }
    *seconds = (double)(last - first) / (double)dp_tsc_hz();
    return passed;
}

static void assert_about(uint64_t got, double wanted)
{
    if ((double)got < wanted * 0.97 || (double)got > wanted * 1.03)
        fail_msg("%lu, not about %.0f", got, wanted);
}

static void the_rate_holds_for_all_together(void **state)
{
    struct dp_meter_stats stats;
    uint64_t passed;
    double seconds;

    (void)state;
    // The burst is as much as two seconds', so that threads that have to wait for a CPU lose
    // nothing.
    set(1, true, 100000, 200000);
    passed = passed_from_all(200000, &seconds);
    assert_about(passed, 100000 * seconds);
    assert_int_equal(dp_meter_stats(1, &stats), 0);
    assert_true(stats.packets - stats.over_packets >= 200000 + passed);
    assert_true(stats.over_packets > 0);
    assert_int_equal(stats.bytes, stats.packets * 1250);
    // 10,000 bits a packet: 400 Mbit/s are 40,000 a second.
    set(1, false, 400000, 800000);
    passed = passed_from_all(80000, &seconds);
    assert_about(passed, 40000 * seconds);
    dp_meter_del(1);
    assert_int_equal(dp_meter_stats(1, &stats), -ENOENT);
}

static void drops_what_is_over(void **state)
{
    struct frame f, got;
    uint64_t before = node_drops(POD_A, DROP_policy_meter);
    struct dp_meter_stats stats;
    uint64_t begin = rte_rdtsc();
    unsigned passed = 0;

    (void)state;
    set(7, true, 1, 10); // ten, and one more a second
    INSTALL({.type = ACTION_METER, .id = 7}, PORT_OUT(POD_B));
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, "10.1.10.5", "192.0.2.7", 50);
    for (unsigned i = 0; i < 100; i++)
        frame_send(POD_A, &f);
    node_settle();
    while (frame_recv(POD_B, &got))
        passed++;
    assert_in_range(passed, 10, 11 + (rte_rdtsc() - begin) / dp_tsc_hz());
    assert_int_equal(node_drops(POD_A, DROP_policy_meter), before + 100 - passed);
    dp_meter_stats(7, &stats);
    assert_int_equal(stats.packets, 100);
    assert_int_equal(stats.over_packets, 100 - passed);
    assert_int_equal(stats.over_bytes, (100 - passed) * f.len);
    // Nothing passes a rate of none; one that is gone limits nothing.
    set(7, true, 0, 0);
    assert_dropped(POD_A, &f, DROP_policy_meter);
    dp_meter_del(7);
    frame_send(POD_A, &f);
    node_settle();
    assert_true(frame_recv(POD_B, &got));
    assert_nothing_left();
}

// However low the rate, without a burst of its own a meter lets every frame pass at times.
static void the_default_burst_holds_a_frame(void **state)
{
    struct frame f, got;

    (void)state;
    set(1, false, 1, 0);
    INSTALL({.type = ACTION_METER, .id = 1}, PORT_OUT(UPLINK0));
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, "10.1.10.5", "192.0.2.7", 1472);
    frame_send(POD_A, &f);
    node_settle();
    assert_true(frame_recv(UPLINK0, &got));
    assert_dropped(POD_A, &f, DROP_policy_meter);
    dp_meter_del(1);
}

static void refuses_numbers_beyond(void **state)
{
    const struct dp_meter meter = {.packets = true, .rate = 1};
    char *error = NULL;

    (void)state;
    assert_int_equal(dp_meter_set(DP_METERS_MAX + 1, &meter, &error), -EINVAL);
    assert_non_null(error);
    free(error);
}

static int start_workers(void **state)
{
    (void)state;
    node_start(THREADS);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rate_holds_for_all_together),
        cmocka_unit_test(drops_what_is_over),
        cmocka_unit_test(the_default_burst_holds_a_frame),
        cmocka_unit_test(refuses_numbers_beyond),
    };

    return cmocka_run_group_tests_name("policy_meter", tests, start_workers, node_teardown);
}
