/* SPDX-License-Identifier: Apache-2.0 */
// The TSC's rate, where the CPU does not tell it. DPDK's get_tsc_freq, which the linker puts this
// in place of, sleeps 100 ms for it and rounds to 10 MHz; a daemon that starts again has no 100 ms.
#include <stdint.h>
#include <time.h>

#include <rte_cycles.h>

#define SLEEP_NS 5000000
#define TRIES    3

uint64_t __wrap_get_tsc_freq(void); // in rte_eal's eal_timer.c

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_RAW, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

struct instant {
    uint64_t ns, tsc;
};

// Both clocks at once: the nearest together of some tries.
static struct instant read_both(void)
{
    struct instant best = {0};
    uint64_t shortest = UINT64_MAX;

    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t before = rte_rdtsc_precise(), ns = now_ns(), took = rte_rdtsc_precise() - before;

        if (took < shortest) {
            shortest = took;
            best = (struct instant){.ns = ns, .tsc = before + took / 2};
        }
    }
    return best;
}

uint64_t __wrap_get_tsc_freq(void)
{
    struct instant begin = read_both(), end;

    nanosleep(&(struct timespec){.tv_nsec = SLEEP_NS}, NULL);
    end = read_both();
    return (uint64_t)((double)(end.tsc - begin.tsc) * 1e9 / (double)(end.ns - begin.ns));
}
