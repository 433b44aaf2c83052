/* SPDX-License-Identifier: Apache-2.0 */
// Random numbers that are the same everywhere for a seed. For cmocka tests, whose headers come
// first.
#pragma once

#include <stdint.h>
#include <stdlib.h>
#include <time.h>

static uint64_t random_state;

// The seed is SLUICE_SEED, or the time; printed, to repeat a run.
static inline void random_begin(void)
{
    const char *seed = getenv("SLUICE_SEED");

    random_state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
    print_message("# seed %llu\n", (unsigned long long)random_state);
}

// xorshift64: as good as this needs.
static inline uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32) % n;
}
