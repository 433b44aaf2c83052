/* SPDX-License-Identifier: Apache-2.0 */
// The switch's meters: one band each, and what is over its rate is dropped.
#include "control/openflow/internal.h"

#include "hash.h"
#include "openvswitch/hmap.h"
#include "openvswitch/vlog.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(openflow_meters);

struct meter_twin {
    struct hmap_node node; // in twins, by id
    uint32_t id;
    struct ofputil_meter_config config;
    struct ofputil_meter_band band;
};

static struct hmap twins = HMAP_INITIALIZER(&twins);

static struct meter_twin *find(uint32_t id)
{
    struct meter_twin *twin;

    HMAP_FOR_EACH_WITH_HASH(twin, node, hash_int(id, 0), &twins)
    {
        if (twin->id == id)
            return twin;
    }
    return NULL;
}

void openflow_meter_get_features(const struct ofproto *ofproto,
                                 struct ofputil_meter_features *features)
{
    (void)ofproto;
    *features = (struct ofputil_meter_features){
        .max_meters = DP_METERS_MAX,
        .band_types = 1 << OFPMBT13_DROP,
        .capabilities = OFPMF13_KBPS | OFPMF13_PKTPS | OFPMF13_BURST | OFPMF13_STATS,
        .max_bands = 1,
    };
}

static enum ofperr check(const struct ofputil_meter_config *config)
{
    bool packets = config->flags & OFPMF13_PKTPS, bits = config->flags & OFPMF13_KBPS;

    // The meters of OpenFlow for the switch's own packet-ins have ids above.
    if (config->meter_id == 0 || config->meter_id > DP_METERS_MAX)
        return OFPERR_OFPMMFC_INVALID_METER;
    if (packets == bits)
        return OFPERR_OFPMMFC_BAD_FLAGS;
    if (config->n_bands != 1)
        return OFPERR_OFPMMFC_OUT_OF_BANDS;
    if (config->bands[0].type != OFPMBT13_DROP)
        return OFPERR_OFPMMFC_BAD_BAND;
    return config->bands[0].rate == 0 ? OFPERR_OFPMMFC_BAD_RATE : 0;
}

static void remember(const struct ofputil_meter_config *config)
{
    struct meter_twin *twin = find(config->meter_id);

    if (twin == NULL) {
        twin = xzalloc(sizeof(*twin));
        twin->id = config->meter_id;
        hmap_insert(&twins, &twin->node, hash_int(twin->id, 0));
    }
    twin->config = *config;
    twin->band = config->bands[0];
    twin->config.bands = &twin->band;
}

enum ofperr openflow_meter_set(struct ofproto *ofproto, ofproto_meter_id *id,
                               struct ofputil_meter_config *config)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 5);
    enum ofperr error = check(config);
    struct dp_meter meter;
    char *reason = NULL;
    int err;

    (void)ofproto;
    if (error)
        return error;
    meter = (struct dp_meter){
        .packets = config->flags & OFPMF13_PKTPS,
        .rate = config->bands[0].rate,
        .burst = config->flags & OFPMF13_BURST ? config->bands[0].burst_size : 0,
    };
    err = dp_meter_set(config->meter_id, &meter, &reason);
    if (err) {
        VLOG_WARN_RL(&rl, "meter refused meter=%u reason=%s", config->meter_id,
                     reason ? reason : "");
        free(reason);
        return err == -EINVAL ? OFPERR_OFPMMFC_BAD_RATE : OFPERR_OFPMMFC_OUT_OF_METERS;
    }
    id->uint32 = config->meter_id;
    remember(config);
    store_put_meter(config);
    transaction_touch();
    return 0;
}

enum ofperr openflow_meter_get(const struct ofproto *ofproto, ofproto_meter_id id,
                               struct ofputil_meter_stats *stats, uint16_t n_bands)
{
    struct dp_meter_stats counted;

    (void)ofproto;
    if (dp_meter_stats(id.uint32, &counted))
        return OFPERR_OFPMMFC_UNKNOWN_METER;
    stats->packet_in_count = counted.packets;
    stats->byte_in_count = counted.bytes;
    stats->n_bands = MIN(n_bands, 1);
    if (n_bands) {
        stats->bands[0].packet_count = counted.over_packets;
        stats->bands[0].byte_count = counted.over_bytes;
    }
    return 0;
}

void openflow_meter_del(struct ofproto *ofproto, ofproto_meter_id id)
{
    struct meter_twin *twin = find(id.uint32);

    (void)ofproto;
    dp_meter_del(id.uint32);
    store_del_meter(id.uint32);
    transaction_touch();
    if (twin)
        hmap_remove(&twins, &twin->node);
    free(twin);
}

unsigned meters_count(void)
{
    return hmap_count(&twins);
}

void meters_store_all(void)
{
    struct meter_twin *twin;

    HMAP_FOR_EACH(twin, node, &twins)
    store_put_meter(&twin->config);
}

void meters_close(void)
{
    struct meter_twin *twin;

    HMAP_FOR_EACH_POP(twin, node, &twins)
    free(twin);
}
