/* SPDX-License-Identifier: Apache-2.0 */
// The rules of the switch and their twins in the dataplane. A rule takes its room there when it is
// constructed, the one place that may refuse it; it becomes part of a change when it is inserted.
#include "control/openflow/internal.h"

#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(openflow_rules);

#define NO_SLOT UINT32_MAX

struct switch_rule {
    struct rule up;
    uint32_t slot;             // in the dataplane
    uint64_t id;               // in the state
    struct held_rule *held;    // for the NIC; NULL: not inserted
    struct offload_counts nic; // what NICs did before by what it was
    // What the dataplane counted before the counters were reset (OFPFF_RESET_COUNTS).
    struct dp_policy_stats before;
    struct dp_policy_stats last; // once it is out of the dataplane
};

static uint64_t next_id = 1, restored_id;

static struct switch_rule *cast(const struct rule *rule)
{
    return CONTAINER_OF(rule, struct switch_rule, up);
}

struct rule *openflow_rule_alloc(void)
{
    struct switch_rule *rule = xzalloc(sizeof(*rule));

    rule->slot = NO_SLOT;
    return &rule->up;
}

void openflow_rule_dealloc(struct rule *rule)
{
    free(cast(rule));
}

static enum ofperr translate(const struct rule *rule, struct sluice_rule *out)
{
    struct match match;
    struct action_context context = {
        .place = IN_RULE, .table = rule->table_id, .table_miss = rule_is_table_miss(rule)};
    enum ofperr error;

    if (rule->cr.priority > UINT16_MAX || rule->cr.priority < 0)
        return OFPERR_OFPFMFC_BAD_PRIORITY;
    minimatch_expand(&rule->cr.match, &match);
    context.match = &match;
    *out = (struct sluice_rule){
        .table = RULE_TABLE_POLICY + rule->table_id,
        .priority = rule->cr.priority,
        .cookie = ntohll(rule->flow_cookie),
    };
    error = translate_match(&match, &out->sluice_match);
    if (!error)
        error = translate_actions(rule->actions->ofpacts, rule->actions->ofpacts_len, &context,
                                  out->actions, &out->n_actions);
    return error;
}

static enum ofperr refusal(int err)
{
    return err == -EINVAL ? OFPERR_OFPBAC_UNSUPPORTED_ORDER : OFPERR_OFPFMFC_TABLE_FULL;
}

enum ofperr openflow_rule_construct(struct rule *rule_)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 5);
    struct switch_rule *rule = cast(rule_);
    struct sluice_rule twin;
    char *reason = NULL;
    enum ofperr error = translate(rule_, &twin);
    int err;

    if (error)
        return error;
    err = dp_policy_add(&twin, &rule->slot, &reason);
    if (!err) {
        dp_policy_hold(rule->slot);
        return 0;
    }
    VLOG_WARN_RL(&rl, "rule refused table=%u reason=%s", rule_->table_id, reason ? reason : "");
    free(reason);
    rule->slot = NO_SLOT;
    return refusal(err);
}

static void offload(struct switch_rule *rule)
{
    struct sluice_rule twin;

    if (translate(&rule->up, &twin) == 0)
        rule->held = rules_add_policy(&twin, rule->slot);
}

static void add_counts(struct offload_counts *sum, const struct offload_counts *counts)
{
    sum->packets += counts->packets;
    sum->bytes += counts->bytes;
    sum->used_us = MAX(sum->used_us, counts->used_us);
}

static void unload(struct switch_rule *rule)
{
    struct offload_counts counts;

    if (!rule->held)
        return;
    offload_stats(rule->held->offload, &counts);
    add_counts(&rule->nic, &counts);
    rules_remove(rule->held);
    rule->held = NULL;
}

// The new rule goes on with the old one's place and counters.
static void replace(struct switch_rule *rule, struct switch_rule *old)
{
    struct sluice_rule twin;
    char *reason = NULL;

    unload(old);
    rule->nic = old->nic;
    dp_policy_del(rule->slot);
    rule->slot = old->slot;
    rule->id = old->id;
    rule->before = old->before;
    dp_policy_stats(old->slot, &old->last);
    old->slot = NO_SLOT;
    // Constructed from the modification's match, it now has that of the rule it replaces.
    if (translate(&rule->up, &twin) || dp_policy_modify(rule->slot, &twin, &reason)) {
        VLOG_ERR("rule not modified, its packets are dropped table=%u reason=%s", rule->up.table_id,
                 reason ? reason : "not supported");
        twin.n_actions = 0;
        free(reason);
        reason = NULL;
        if (dp_policy_modify(rule->slot, &twin, &reason))
            VLOG_ERR("rule still does what it did reason=%s", reason ? reason : "");
        free(reason);
    }
}

enum ofperr openflow_rule_insert(struct rule *rule_, struct rule *old, bool forward_counts)
{
    struct switch_rule *rule = cast(rule_);

    if (old) {
        replace(rule, cast(old));
        if (!forward_counts) {
            dp_policy_stats(rule->slot, &rule->before);
            rule->nic = (struct offload_counts){0};
        }
    } else {
        dp_policy_include(rule->slot);
        rule->id = restored_id ? restored_id : next_id++;
    }
    offload(rule);
    transaction_touch();
    if (!restored_id)
        store_put_rule(rule_);
    return 0;
}

void openflow_rule_restore(uint64_t id)
{
    restored_id = id;
    next_id = MAX(next_id, id + 1);
}

uint64_t openflow_rule_id(const struct rule *rule)
{
    return cast(rule)->id;
}

void openflow_rule_removed(struct rule *rule_)
{
    struct switch_rule *rule = cast(rule_);

    if (rule->slot == NO_SLOT)
        return;
    unload(rule);
    dp_policy_stats(rule->slot, &rule->last);
    dp_policy_del(rule->slot);
    rule->slot = NO_SLOT;
    transaction_touch();
    store_del_rule(rule->id);
}

void openflow_rule_destruct(struct rule *rule_)
{
    struct switch_rule *rule = cast(rule_);

    unload(rule);
    // Still there if it was never inserted: its room is free again.
    if (rule->slot != NO_SLOT)
        dp_policy_del(rule->slot);
}

void openflow_rule_get_stats(struct rule *rule_, struct pkt_stats *stats, long long int *used)
{
    struct switch_rule *rule = cast(rule_);
    struct dp_policy_stats now = rule->last;
    struct offload_counts counts = {0};

    if (rule->slot != NO_SLOT)
        dp_policy_stats(rule->slot, &now);
    if (rule->held)
        offload_stats(rule->held->offload, &counts);
    add_counts(&counts, &rule->nic);
    *stats = (struct pkt_stats){
        .n_packets = now.packets - rule->before.packets + counts.packets,
        .n_bytes = now.bytes - rule->before.bytes + counts.bytes,
    };
    counts.used_us = MAX(counts.used_us, now.used_us);
    *used = counts.used_us ? (long long)(counts.used_us / 1000) : rule->up.created;
}

// OpenFlow 1.5.1 section 5.5: seconds since the last packet, or since the last change.
static int expiry_reason(struct rule *rule, long long now)
{
    struct pkt_stats stats;
    long long used;

    if (rule->hard_timeout && now > rule->modified + rule->hard_timeout * 1000LL)
        return OFPRR_HARD_TIMEOUT;
    if (!rule->idle_timeout)
        return -1;
    openflow_rule_get_stats(rule, &stats, &used);
    return now > MAX(used, rule->created) + rule->idle_timeout * 1000LL ? OFPRR_IDLE_TIMEOUT : -1;
}

void openflow_rules_expire(void)
{
    long long now = time_msec();
    struct rule *rule, *next;

    transaction_batch_begin();
    ovs_mutex_lock(&ofproto_mutex);
    LIST_FOR_EACH_SAFE(rule, next, expirable, &openflow_switch->expirable)
    {
        int reason = expiry_reason(rule, now);

        if (reason >= 0)
            ofproto_rule_expire(rule, reason);
    }
    ovs_mutex_unlock(&ofproto_mutex);
    transaction_batch_end();
}

void rules_store_all(void)
{
    for (int i = 0; i < openflow_switch->n_tables; i++) {
        struct rule *rule;

        CLS_FOR_EACH(rule, cr, &openflow_switch->tables[i].cls)
        {
            if (cast(rule)->slot != NO_SLOT && rule->state == RULE_INSERTED)
                store_put_rule(rule);
        }
    }
}
