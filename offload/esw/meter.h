/* SPDX-License-Identifier: Apache-2.0 */
// Meters of a port: rte_mtr's profiles, policies and meters. Under esw.lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <rte_mtr_driver.h>

// What meters are made of.
struct esw_meter_part {
    LIST_ENTRY(esw_meter_part) next;
    uint32_t id;
    unsigned users; // meters
};
LIST_HEAD(esw_meter_parts, esw_meter_part);

struct esw_meter_profile {
    struct esw_meter_part part;
    struct rte_mtr_meter_profile params;
};

struct esw_meter_policy {
    struct esw_meter_part part;
    bool drop[RTE_COLORS]; // packets of this color; others pass
};

struct esw_meter {
    LIST_ENTRY(esw_meter) next;
    uint32_t id;
    unsigned users; // rules
    struct esw_meter_profile *profile;
    struct esw_meter_policy *policy;
    bool enabled; // if not, all is green
    uint64_t stats_mask;
    struct rte_mtr_stats stats;
    // What may still pass, bytes or packets: by the committed rate; by the excess burst (RFC 2697)
    // or the peak rate (RFC 2698).
    double committed, other;
    uint64_t filled_tsc;
};

struct esw_meters {
    struct esw_meter_parts profiles, policies;
    LIST_HEAD(, esw_meter) meters;
};

struct esw_meter *esw_meter_find(const struct esw_meters *meters, uint32_t id); // NULL: none
// The buckets are full.
void esw_meter_fill(struct esw_meter *meter);
// A packet of so many bytes comes by: may it pass? Counts it.
bool esw_meter_pass(struct esw_meter *meter, uint32_t length);
void esw_meters_free(struct esw_meters *meters);

// meter_ops.c
extern const struct rte_mtr_ops esw_meter_ops;
