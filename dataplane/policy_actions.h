/* SPDX-License-Identifier: Apache-2.0 */
// What the files that do the operator's actions share: policy_actions.c, policy_check.c,
// policy_fields.c, policy_group.c, policy_meter.c, packet_out.c and trace.c.
#pragma once

#include "dataplane/policy.h"

#define POLICY_VLANS_MAX   2 // tags of a frame
#define POLICY_GROUP_DEPTH 8 // groups that name groups

// Does an action send the frame on, so that what follows needs a copy?
bool policy_action_uses_frame(enum action_type type);

// policy_fields.c: does an action that changes the packet. Returns DROP_N, or why the packet is to
// be dropped.
enum drop_reason policy_change(struct policy_packet *pp, const struct action *a);

// policy_check.c: as policy_actions_check, for a group's bucket and for a packet-out.
int policy_bucket_check(const struct dp_bucket *bucket, unsigned index, char **error);
int policy_packet_out_check(const struct action *actions, unsigned n, char **error);

// packet_out.c: a packet-out, which came by the worker's ring of injected frames.
void packet_out_receive(struct worker *w, struct rte_mbuf *message);

// Of a select group: which bucket a flow's hash leads to.
#define POLICY_SELECT_SLOTS 4096

// Never changed once published.
struct policy_group {
    struct policy_group *next; // of the same hash
    uint32_t id;
    enum dp_group_type type;
    unsigned n;
    size_t counters_per_worker;
    struct dp_rule_stats *counters; // of each worker: the group's, then each bucket's
    uint8_t *select;                // [POLICY_SELECT_SLOTS]
    struct dp_bucket buckets[];
};

// policy_group.c: which buckets a packet takes: returns how many, from *first on.
unsigned policy_group_choose(const struct policy_group *group, const struct match_fields *fields,
                             unsigned *first);
// A packet takes the group (counter 0) or one of its buckets (counter 1 and up).
void policy_group_count(const struct worker *w, const struct policy_group *group, unsigned counter,
                        uint32_t len);
