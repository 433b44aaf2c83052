/* SPDX-License-Identifier: Apache-2.0 */
// Counters of rules and of indirect actions.
#include <rte_cycles.h>

#include "offload/esw/esw.h"

uint64_t esw_count_cycle(const struct esw *esw)
{
    uint64_t ms = esw->faults.counter_lag_ms;

    return ms ? rte_rdtsc() / (rte_get_tsc_hz() / 1000 * ms) : 0;
}

// With the first look or packet of a turn, what is there is what the turn shows.
static void begin_cycle(const struct esw *esw, struct esw_counter *counter)
{
    uint64_t cycle = esw_count_cycle(esw);

    if (cycle && cycle == counter->shown_cycle)
        return;
    counter->shown_cycle = cycle;
    counter->shown_hits = counter->hits;
    counter->shown_bytes = counter->bytes;
}

void esw_count_hit(const struct esw *esw, struct esw_counter *counter, uint32_t length)
{
    if (esw->faults.counters_stuck)
        return;
    begin_cycle(esw, counter);
    counter->hits++;
    counter->bytes += length;
}

void esw_count_query(const struct esw *esw, struct esw_counter *counter,
                     struct rte_flow_query_count *count)
{
    begin_cycle(esw, counter);
    count->hits_set = count->bytes_set = 1;
    count->hits = counter->shown_hits;
    count->bytes = counter->shown_bytes;
    if (!count->reset)
        return;
    counter->hits -= counter->shown_hits;
    counter->bytes -= counter->shown_bytes;
    counter->shown_hits = counter->shown_bytes = 0;
}
