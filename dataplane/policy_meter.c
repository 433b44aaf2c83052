/* SPDX-License-Identifier: Apache-2.0 */
// The operator's meters: one rate for all workers, kept by one atomic word. It is the time until
// which what has passed has used the rate up (the generic cell rate algorithm, ITU-T I.371 annex
// A, which admits what a token bucket does). What is over the rate only reads it, so that a flood
// keeps nobody waiting.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/policy_actions.h"
#include "dataplane/trace.h"

#define FRACTION 16 // bits behind the point of times in TSC cycles

struct meter {
    uint64_t used_until; // TSC
    uint64_t cost;       // of a packet or a bit, TSC cycles << FRACTION
    uint64_t burst;      // TSC cycles
    bool packets;
    struct meter_counters {
        struct dp_meter_stats stats;
    } __rte_cache_aligned workers[];
} __rte_cache_aligned;

static struct meter *meters[DP_METERS_MAX + 1];

// False: the packet is over the rate. One that is not there limits nothing.
bool policy_meter_take(struct worker *w, uint32_t id, uint32_t frame_len)
{
    struct meter *meter = id <= DP_METERS_MAX ? load_acquire(&meters[id]) : NULL;
    struct dp_meter_stats *stats;
    uint64_t now, used, start, cost;

    if (unlikely(w->trace != NULL)) {
        trace_note(w, "meter %u: %s", id, meter ? "not charged" : "none");
        return true;
    }
    if (!meter)
        return true;
    stats = &meter->workers[w->index].stats;
    stats->packets++;
    stats->bytes += frame_len;
    cost = meter->cost * (meter->packets ? 1 : 8 * (uint64_t)frame_len) >> FRACTION;
    now = rte_rdtsc();
    used = __atomic_load_n(&meter->used_until, __ATOMIC_RELAXED);
    do {
        start = RTE_MAX(used, now - meter->burst);
        if (start + cost > now) {
            stats->over_packets++;
            stats->over_bytes += frame_len;
            return false;
        }
    } while (!__atomic_compare_exchange_n(&meter->used_until, &used, start + cost, true,
                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    return true;
}

// What the meter's parameters come to in TSC cycles.
static void set_rate(struct meter *meter, const struct dp_meter *params)
{
    uint64_t now = rte_rdtsc(), largest;
    uint64_t units_per_s = params->packets ? params->rate : params->rate * UINT64_C(1000);

    meter->packets = params->packets;
    if (!params->rate) { // nothing passes
        meter->cost = UINT64_MAX / 2;
        meter->packets = true;
        return;
    }
    meter->cost = (dp.tsc_hz << FRACTION) / units_per_s;
    meter->burst = dp.tsc_hz;
    if (params->burst) {
        // Kilobits by kilobits a second, or packets by packets a second.
        meter->burst = params->burst * dp.tsc_hz / params->rate;
    } else {
        // One second's, but no frame is too large.
        largest = meter->cost >> FRACTION;
        if (!params->packets)
            largest =
                meter->cost * 8 * (RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN + dp.config.mtu) >> FRACTION;
        meter->burst = RTE_MAX(meter->burst, largest);
    }
    meter->burst = RTE_MIN(meter->burst, now); // the TSC's past is no longer
}

static void replace(uint32_t id, struct meter *meter)
{
    struct meter *old = meters[id];

    store_release(&meters[id], meter);
    if (!old)
        return;
    rcu_wait();
    free(old);
}

int dp_meter_set(uint32_t id, const struct dp_meter *params, char **error)
{
    // The last counters are dp_trace's.
    size_t size = sizeof(struct meter) + (dp.n_workers + 1) * sizeof(struct meter_counters);
    struct meter *meter;

    if (id > DP_METERS_MAX)
        return set_error(-EINVAL, error, "meter %u: meters are 0 to %u", id, DP_METERS_MAX);
    meter = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
    if (!meter)
        return set_error(-ENOMEM, error, "meter %u: no memory", id);
    memset(meter, 0, size);
    set_rate(meter, params);
    replace(id, meter);
    return 0;
}

void dp_meter_del(uint32_t id)
{
    if (id <= DP_METERS_MAX)
        replace(id, NULL);
}

int dp_meter_stats(uint32_t id, struct dp_meter_stats *stats)
{
    const struct meter *meter = id <= DP_METERS_MAX ? meters[id] : NULL;

    if (!meter)
        return -ENOENT;
    *stats = (struct dp_meter_stats){0};
    for (unsigned i = 0; i < dp.n_workers; i++) {
        const struct dp_meter_stats *worker = &meter->workers[i].stats;

        stats->packets += worker->packets;
        stats->bytes += worker->bytes;
        stats->over_packets += worker->over_packets;
        stats->over_bytes += worker->over_bytes;
    }
    return 0;
}
