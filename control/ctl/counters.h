/* SPDX-License-Identifier: Apache-2.0 */
// Reckoning with the counters of `stats`: rates between two readings, and the sum rule.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "openvswitch/json.h"

// Of two answers to `stats`, or parts of them, the one with each counter as its growth in a second:
// null where it went back, as the daemon or the port is another one. What was not there before
// began at 0; ports are found by their numbers. The caller destroys it.
struct json *counter_rates(const struct json *before, const struct json *now, uint64_t elapsed_us);

// The sum of all members of an object: of a port's drops, say.
uint64_t counter_total(const struct json *counters);

// received + originated = sent + dropped + in flight
struct counter_sum {
    uint64_t rx, originated, tx, dropped, in_flight;
    int64_t missing; // the left side less the right; 0: the rule holds
};
void counter_sum(const struct json *totals, struct counter_sum *sum);

// What a drop reason means; NULL if this version does not know it.
const char *counter_drop_text(const char *name);
