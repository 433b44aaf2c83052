/* SPDX-License-Identifier: Apache-2.0 */
// Two token buckets, color-blind: RFC 2697 (one rate, two bursts), RFC 2698 (two rates).
#include "offload/esw/meter.h"

#include <stdlib.h>

#include <rte_common.h>
#include <rte_cycles.h>

struct esw_meter *esw_meter_find(const struct esw_meters *meters, uint32_t id)
{
    struct esw_meter *meter;

    LIST_FOREACH(meter, &meters->meters, next)
    {
        if (meter->id == id)
            break;
    }
    return meter;
}

static double smaller(double a, double b)
{
    return a < b ? a : b;
}

// So much time has passed.
static void refill(struct esw_meter *meter, double seconds)
{
    const struct rte_mtr_meter_profile *profile = &meter->profile->params;

    if (profile->alg == RTE_MTR_SRTCM_RFC2697) {
        double committed = meter->committed + (double)profile->srtcm_rfc2697.cir * seconds;

        // RFC 2697 section 3: what does not fit into the first bucket goes to the second.
        meter->committed = smaller(committed, (double)profile->srtcm_rfc2697.cbs);
        meter->other = smaller(meter->other + committed - meter->committed,
                               (double)profile->srtcm_rfc2697.ebs);
    } else {
        meter->committed = smaller(meter->committed + (double)profile->trtcm_rfc2698.cir * seconds,
                                   (double)profile->trtcm_rfc2698.cbs);
        meter->other = smaller(meter->other + (double)profile->trtcm_rfc2698.pir * seconds,
                               (double)profile->trtcm_rfc2698.pbs);
    }
}

void esw_meter_fill(struct esw_meter *meter)
{
    const struct rte_mtr_meter_profile *profile = &meter->profile->params;
    bool one_rate = profile->alg == RTE_MTR_SRTCM_RFC2697;

    meter->committed = (double)(one_rate ? profile->srtcm_rfc2697.cbs : profile->trtcm_rfc2698.cbs);
    meter->other = (double)(one_rate ? profile->srtcm_rfc2697.ebs : profile->trtcm_rfc2698.pbs);
    meter->filled_tsc = rte_rdtsc();
}

// RFC 2697 section 3, RFC 2698 section 3.
static enum rte_color color_of(struct esw_meter *meter, double size)
{
    if (meter->profile->params.alg == RTE_MTR_SRTCM_RFC2697) {
        if (meter->committed >= size) {
            meter->committed -= size;
            return RTE_COLOR_GREEN;
        }
        if (meter->other >= size) {
            meter->other -= size;
            return RTE_COLOR_YELLOW;
        }
        return RTE_COLOR_RED;
    }
    if (meter->other < size)
        return RTE_COLOR_RED;
    meter->other -= size;
    if (meter->committed < size)
        return RTE_COLOR_YELLOW;
    meter->committed -= size;
    return RTE_COLOR_GREEN;
}

bool esw_meter_pass(struct esw_meter *meter, uint32_t length)
{
    enum rte_color color = RTE_COLOR_GREEN;
    uint64_t now = rte_rdtsc();

    refill(meter, (double)(now - meter->filled_tsc) / (double)rte_get_tsc_hz());
    meter->filled_tsc = now;
    if (meter->enabled)
        color = color_of(meter, meter->profile->params.packet_mode ? 1 : length);
    if (meter->policy->drop[color]) {
        meter->stats.n_pkts_dropped++;
        meter->stats.n_bytes_dropped += length;
        return false;
    }
    meter->stats.n_pkts[color]++;
    meter->stats.n_bytes[color] += length;
    return true;
}

static void free_parts(struct esw_meter_parts *parts)
{
    struct esw_meter_part *part;

    while ((part = LIST_FIRST(parts))) {
        LIST_REMOVE(part, next);
        free(part);
    }
}

void esw_meters_free(struct esw_meters *meters)
{
    struct esw_meter *meter;

    while ((meter = LIST_FIRST(&meters->meters))) {
        LIST_REMOVE(meter, next);
        free(meter);
    }
    free_parts(&meters->policies);
    free_parts(&meters->profiles);
}
