/* SPDX-License-Identifier: Apache-2.0 */
// The switch's groups and their twins in the dataplane. ofproto constructs a group before it knows
// whether the change will be, and tells of none that goes: so the twins are brought in line at the
// end of each change.
#include "control/openflow/internal.h"

#include <errno.h>

#include "hash.h"
#include "openvswitch/hmap.h"
#include "openvswitch/ofp-group.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/vlog.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(openflow_groups);

// A group that the dataplane has.
struct twin {
    struct hmap_node node; // in twins, by id
    uint32_t id;
    const struct ofgroup *group;
};

static struct hmap twins = HMAP_INITIALIZER(&twins);
// Groups that were constructed since the last change.
static uint32_t *fresh;
static size_t n_fresh, allocated_fresh;

struct ofgroup *openflow_group_alloc(void)
{
    return xzalloc(sizeof(struct ofgroup));
}

void openflow_group_dealloc(struct ofgroup *group)
{
    free(group);
}

static struct ofgroup *find(uint32_t id)
{
    return ofproto_group_lookup(openflow_switch, id, OVS_VERSION_MAX, false);
}

static enum ofperr translate_bucket(const struct ofgroup *group,
                                    const struct ofputil_bucket *bucket, struct dp_bucket *out)
{
    static const struct action_context context = {.place = IN_BUCKET};
    bool failover = group->type == OFPGT11_FF;

    if (!failover && ofputil_bucket_has_liveness(bucket))
        return OFPERR_OFPGMFC_WATCH_UNSUPPORTED;
    out->weight = group->type == OFPGT11_SELECT ? bucket->weight : 0;
    out->watch_port = PORT_NONE;
    out->watch_group = bucket->watch_group;
    if (bucket->watch_port != OFPP_ANY) {
        out->watch_port = port_from_ofp(bucket->watch_port);
        if (out->watch_port == PORT_NONE)
            return OFPERR_OFPGMFC_BAD_WATCH;
    }
    return translate_actions(bucket->ofpacts, bucket->ofpacts_len, &context, out->actions,
                             &out->n_actions);
}

// For free().
static enum ofperr translate_buckets(const struct ofgroup *group, struct dp_bucket **buckets,
                                     unsigned *n)
{
    const struct ofputil_bucket *bucket;
    enum ofperr error = 0;

    *n = ovs_list_size(&group->buckets);
    *buckets = xcalloc(*n + 1, sizeof(**buckets));
    *n = 0;
    LIST_FOR_EACH(bucket, list_node, &group->buckets)
    {
        error = translate_bucket(group, bucket, &(*buckets)[(*n)++]);
        if (error)
            break;
    }
    return error;
}

static enum ofperr refusal(int err)
{
    switch (err) {
    case 0:
        return 0;
    case -E2BIG:
        return OFPERR_OFPGMFC_OUT_OF_BUCKETS;
    case -ELOOP:
        return OFPERR_OFPGMFC_LOOP;
    default:
        return OFPERR_OFPGMFC_BAD_BUCKET;
    }
}

// A group is stored as the message that makes it, so there must be one. ofproto checks groups where
// a message has all their buckets, not where some are inserted or removed.
static enum ofperr check_message(const struct ofgroup *group)
{
    struct ofpbuf *message = group_encode(group);
    struct ofputil_group_mod mod;
    enum ofperr error;

    ofpmsg_update_length(message);
    error = ofputil_decode_group_mod(message->data, &mod);
    if (!error)
        ofputil_uninit_group_mod(&mod);
    ofpbuf_delete(message);
    return error;
}

enum ofperr openflow_group_construct(struct ofgroup *group)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 5);
    struct dp_bucket *buckets;
    char *reason = NULL;
    enum ofperr error;
    unsigned n;

    if (group->props.selection_method[0] != '\0')
        return OFPERR_OFPBPC_BAD_VALUE;
    error = translate_buckets(group, &buckets, &n);
    if (!error)
        error = check_message(group);
    if (!error)
        error = refusal(
            dp_group_check(group->group_id, (enum dp_group_type)group->type, buckets, n, &reason));
    if (reason)
        VLOG_WARN_RL(&rl, "group refused reason=%s", reason);
    free(reason);
    free(buckets);
    if (error)
        return error;
    if (n_fresh >= allocated_fresh)
        fresh = x2nrealloc(fresh, &allocated_fresh, sizeof(*fresh));
    fresh[n_fresh++] = group->group_id;
    return 0;
}

void openflow_group_destruct(struct ofgroup *group)
{
    (void)group;
}

static struct twin *find_twin(uint32_t id)
{
    struct twin *twin;

    HMAP_FOR_EACH_WITH_HASH(twin, node, hash_int(id, 0), &twins)
    {
        if (twin->id == id)
            return twin;
    }
    return NULL;
}

static void publish(const struct ofgroup *group)
{
    struct twin *twin = find_twin(group->group_id);
    struct dp_bucket *buckets;
    char *reason = NULL;
    unsigned n;

    if (twin && twin->group == group)
        return;
    translate_buckets(group, &buckets, &n);
    if (dp_group_set(group->group_id, (enum dp_group_type)group->type, buckets, n, &reason))
        VLOG_ERR("group not set, its packets are dropped group=%u reason=%s", group->group_id,
                 reason ? reason : "");
    free(reason);
    free(buckets);
    if (twin == NULL) {
        twin = xzalloc(sizeof(*twin));
        twin->id = group->group_id;
        hmap_insert(&twins, &twin->node, hash_int(twin->id, 0));
    }
    twin->group = group;
    store_put_group(group);
    transaction_touch();
}

void groups_publish(void)
{
    for (size_t i = 0; i < n_fresh; i++) {
        const struct ofgroup *group = find(fresh[i]);

        if (group)
            publish(group);
    }
    n_fresh = 0;
}

void groups_retire(void)
{
    const uint32_t *n = openflow_switch->n_groups;
    struct twin *twin;

    if (hmap_count(&twins) == n[0] + n[1] + n[2] + n[3])
        return;
    HMAP_FOR_EACH_SAFE(twin, node, &twins)
    {
        if (find(twin->id))
            continue;
        dp_group_del(twin->id);
        store_del_group(twin->id);
        transaction_touch();
        hmap_remove(&twins, &twin->node);
        free(twin);
    }
}

enum ofperr openflow_group_get_stats(const struct ofgroup *group, struct ofputil_group_stats *stats)
{
    struct dp_rule_stats all, *buckets = xcalloc(stats->n_buckets + 1, sizeof(*buckets));
    int err = dp_group_stats(group->group_id, &all, buckets, stats->n_buckets);

    stats->packet_count = all.packets;
    stats->byte_count = all.bytes;
    for (uint32_t i = 0; !err && i < stats->n_buckets; i++) {
        stats->bucket_stats[i].packet_count = buckets[i].packets;
        stats->bucket_stats[i].byte_count = buckets[i].bytes;
    }
    free(buckets);
    return err ? OFPERR_OFPGMFC_UNKNOWN_GROUP : 0;
}

struct ofpbuf *group_encode(const struct ofgroup *group)
{
    struct ofputil_group_mod mod = {
        .command = OFPGC11_ADD,
        .type = group->type,
        .group_id = group->group_id,
        .command_bucket_id = OFPG15_BUCKET_ALL,
        .props = group->props,
    };
    struct ofpbuf *message;

    ovs_list_init(&mod.buckets);
    ofputil_bucket_clone_list(&mod.buckets, &group->buckets, NULL);
    message = ofputil_encode_group_mod(OFP15_VERSION, &mod, NULL, -1);
    ofputil_bucket_list_destroy(&mod.buckets);
    return message;
}

unsigned groups_count(void)
{
    return hmap_count(&twins);
}

void groups_store_all(void)
{
    struct twin *twin;

    HMAP_FOR_EACH(twin, node, &twins)
    store_put_group(twin->group);
}

void groups_close(void)
{
    struct twin *twin;

    HMAP_FOR_EACH_POP(twin, node, &twins)
    free(twin);
    free(fresh);
    fresh = NULL;
    n_fresh = allocated_fresh = 0;
}
