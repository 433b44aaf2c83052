/* SPDX-License-Identifier: Apache-2.0 */
// How fast the engine plans rules and puts them into a driver that takes all.
#pragma once

#include <time.h>

#define MANY 100000
// Rules a second, on a slow machine too.
#ifdef __SANITIZE_ADDRESS__
#define RATE_MIN 5000
#else
#define RATE_MIN 50000
#endif

// Of the CPU's time, which others do not take away.
static inline double cpu_seconds(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}
