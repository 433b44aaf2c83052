/* SPDX-License-Identifier: Apache-2.0 */
// rte_mtr's operations. Errors are those that mlx5's meters give (mlx5_flow_meter.c).
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "offload/esw/esw.h"

#define METERS_MAX 4096
#define RATE_MAX   (UINT64_C(1) << 40) // bytes a second
#define STATS_ALL                                                                                  \
    (RTE_MTR_STATS_N_PKTS_GREEN | RTE_MTR_STATS_N_PKTS_YELLOW | RTE_MTR_STATS_N_PKTS_RED |         \
     RTE_MTR_STATS_N_PKTS_DROPPED | RTE_MTR_STATS_N_BYTES_GREEN | RTE_MTR_STATS_N_BYTES_YELLOW |   \
     RTE_MTR_STATS_N_BYTES_RED | RTE_MTR_STATS_N_BYTES_DROPPED)

static int refuse(struct rte_mtr_error *error, int err, enum rte_mtr_error_type type,
                  const char *message)
{
    return -rte_mtr_error_set(error, err, type, NULL, message);
}

static struct esw_meter_part *find_part(const struct esw_meter_parts *parts, uint32_t id)
{
    struct esw_meter_part *part;

    LIST_FOREACH(part, parts, next)
    {
        if (part->id == id)
            break;
    }
    return part;
}

// Takes the part over. `type`: of its id, for errors.
static int add_part(struct esw_port *port, struct esw_meter_parts *parts,
                    struct esw_meter_part *part, uint32_t id, enum rte_mtr_error_type type,
                    struct rte_mtr_error *error)
{
    int ret = 0;

    part->id = id;
    pthread_mutex_lock(&port->esw->lock);
    if (find_part(parts, id))
        ret = refuse(error, EEXIST, type, "it is there already");
    else
        LIST_INSERT_HEAD(parts, part, next);
    pthread_mutex_unlock(&port->esw->lock);
    if (ret)
        free(part);
    return ret;
}

static int delete_part(struct esw_port *port, struct esw_meter_parts *parts, uint32_t id,
                       enum rte_mtr_error_type type, struct rte_mtr_error *error)
{
    struct esw_meter_part *part;
    int ret = 0;

    pthread_mutex_lock(&port->esw->lock);
    part = find_part(parts, id);
    if (!part)
        ret = refuse(error, ENOENT, type, "there is none");
    else if (part->users)
        ret = refuse(error, EBUSY, type, "a meter uses it");
    else
        LIST_REMOVE(part, next);
    pthread_mutex_unlock(&port->esw->lock);
    if (ret == 0)
        free(part);
    return ret;
}

static struct esw_meter_profile *find_profile(const struct esw_meters *meters, uint32_t id)
{
    return (struct esw_meter_profile *)find_part(&meters->profiles, id);
}

static int capabilities_get(struct rte_eth_dev *dev, struct rte_mtr_capabilities *cap,
                            struct rte_mtr_error *error)
{
    (void)dev;
    (void)error;
    *cap = (struct rte_mtr_capabilities){
        .n_max = METERS_MAX,
        .n_shared_max = METERS_MAX,
        .identical = 1,
        .shared_identical = 1,
        .shared_n_flows_per_mtr_max = UINT32_MAX,
        .chaining_n_mtrs_per_flow_max = 1,
        .meter_srtcm_rfc2697_n_max = METERS_MAX,
        .meter_trtcm_rfc2698_n_max = METERS_MAX,
        .meter_rate_max = RATE_MAX,
        .meter_policy_n_max = METERS_MAX,
        .srtcm_rfc2697_byte_mode_supported = 1,
        .srtcm_rfc2697_packet_mode_supported = 1,
        .trtcm_rfc2698_byte_mode_supported = 1,
        .trtcm_rfc2698_packet_mode_supported = 1,
        .stats_mask = STATS_ALL,
    };
    return 0;
}

// RFC 2697 section 2, RFC 2698 section 2.
static int check_profile(const struct rte_mtr_meter_profile *profile, struct rte_mtr_error *error)
{
    bool sound;

    if (profile->alg == RTE_MTR_SRTCM_RFC2697)
        sound = profile->srtcm_rfc2697.cir && profile->srtcm_rfc2697.cir <= RATE_MAX &&
                (profile->srtcm_rfc2697.cbs || profile->srtcm_rfc2697.ebs);
    else if (profile->alg == RTE_MTR_TRTCM_RFC2698)
        sound = profile->trtcm_rfc2698.cir && profile->trtcm_rfc2698.pir <= RATE_MAX &&
                profile->trtcm_rfc2698.pir >= profile->trtcm_rfc2698.cir &&
                profile->trtcm_rfc2698.cbs && profile->trtcm_rfc2698.pbs;
    else
        return refuse(error, ENOTSUP, RTE_MTR_ERROR_TYPE_METER_PROFILE,
                      "algorithms are those of RFC 2697 and RFC 2698");
    if (!sound)
        return refuse(error, EINVAL, RTE_MTR_ERROR_TYPE_METER_PROFILE,
                      "a rate or burst is 0 or too large, or the peak rate below the committed");
    return 0;
}

static int profile_add(struct rte_eth_dev *dev, uint32_t id, struct rte_mtr_meter_profile *params,
                       struct rte_mtr_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct esw_meter_profile *profile;
    int ret = check_profile(params, error);

    if (ret)
        return ret;
    profile = calloc(1, sizeof(*profile));
    if (!profile)
        return refuse(error, ENOMEM, RTE_MTR_ERROR_TYPE_UNSPECIFIED, "no memory");
    profile->params = *params;
    return add_part(port, &port->meters.profiles, &profile->part, id,
                    RTE_MTR_ERROR_TYPE_METER_PROFILE_ID, error);
}

static int profile_delete(struct rte_eth_dev *dev, uint32_t id, struct rte_mtr_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);

    return delete_part(port, &port->meters.profiles, id, RTE_MTR_ERROR_TYPE_METER_PROFILE_ID,
                       error);
}

// What packets of a color meet with: nothing, or DROP.
static int parse_policy(const struct rte_mtr_meter_policy_params *params, bool drop[RTE_COLORS],
                        struct rte_mtr_error *error)
{
    for (unsigned color = 0; color < RTE_COLORS; color++) {
        const struct rte_flow_action *action = params->actions[color];

        drop[color] = false;
        for (; action && action->type != RTE_FLOW_ACTION_TYPE_END; action++) {
            if (action->type == RTE_FLOW_ACTION_TYPE_DROP)
                drop[color] = true;
            else if (action->type != RTE_FLOW_ACTION_TYPE_VOID)
                return refuse(error, ENOTSUP, RTE_MTR_ERROR_TYPE_METER_POLICY,
                              "packets of a color are dropped or pass");
        }
    }
    return 0;
}

static int policy_validate(struct rte_eth_dev *dev, struct rte_mtr_meter_policy_params *params,
                           struct rte_mtr_error *error)
{
    bool drop[RTE_COLORS];

    (void)dev;
    return parse_policy(params, drop, error);
}

static int policy_add(struct rte_eth_dev *dev, uint32_t id,
                      struct rte_mtr_meter_policy_params *params, struct rte_mtr_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct esw_meter_policy *policy = calloc(1, sizeof(*policy));
    int ret;

    if (!policy)
        return refuse(error, ENOMEM, RTE_MTR_ERROR_TYPE_UNSPECIFIED, "no memory");
    ret = parse_policy(params, policy->drop, error);
    if (ret) {
        free(policy);
        return ret;
    }
    return add_part(port, &port->meters.policies, &policy->part, id,
                    RTE_MTR_ERROR_TYPE_METER_POLICY_ID, error);
}

static int policy_delete(struct rte_eth_dev *dev, uint32_t id, struct rte_mtr_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);

    return delete_part(port, &port->meters.policies, id, RTE_MTR_ERROR_TYPE_METER_POLICY_ID, error);
}

// A table of input colors, which would not be color-blind.
static bool has_colors(const enum rte_color *table, unsigned n)
{
    for (unsigned i = 0; table && i < n; i++) {
        if (table[i] != RTE_COLOR_GREEN)
            return true;
    }
    return false;
}

static int create(struct rte_eth_dev *dev, uint32_t id, struct rte_mtr_params *params, int shared,
                  struct rte_mtr_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct esw_meter *meter;
    int ret = 0;

    (void)shared; // every meter can be shared
    if (params->use_prev_mtr_color || has_colors(params->dscp_table, 64) ||
        has_colors(params->vlan_table, 16))
        return refuse(error, ENOTSUP, RTE_MTR_ERROR_TYPE_MTR_PARAMS, "meters are color-blind");
    meter = calloc(1, sizeof(*meter));
    if (!meter)
        return refuse(error, ENOMEM, RTE_MTR_ERROR_TYPE_UNSPECIFIED, "no memory");
    pthread_mutex_lock(&port->esw->lock);
    *meter = (struct esw_meter){
        .id = id,
        .profile = find_profile(&port->meters, params->meter_profile_id),
        .policy =
            (struct esw_meter_policy *)find_part(&port->meters.policies, params->meter_policy_id),
        .enabled = params->meter_enable,
        .stats_mask = params->stats_mask,
    };
    if (esw_meter_find(&port->meters, id))
        ret = refuse(error, EEXIST, RTE_MTR_ERROR_TYPE_MTR_ID, "it is there already");
    else if (!meter->profile)
        ret = refuse(error, ENOENT, RTE_MTR_ERROR_TYPE_METER_PROFILE_ID, "there is none");
    else if (!meter->policy)
        ret = refuse(error, ENOENT, RTE_MTR_ERROR_TYPE_METER_POLICY_ID, "there is none");
    if (ret == 0) {
        esw_meter_fill(meter);
        meter->profile->part.users++;
        meter->policy->part.users++;
        LIST_INSERT_HEAD(&port->meters.meters, meter, next);
    }
    pthread_mutex_unlock(&port->esw->lock);
    if (ret)
        free(meter);
    return ret;
}

// Under esw.lock. NULL with *error set.
static struct esw_meter *find(const struct esw_port *port, uint32_t id, struct rte_mtr_error *error)
{
    struct esw_meter *meter = esw_meter_find(&port->meters, id);

    if (!meter)
        refuse(error, ENOENT, RTE_MTR_ERROR_TYPE_MTR_ID, "there is no such meter");
    return meter;
}

static int destroy(struct rte_eth_dev *dev, uint32_t id, struct rte_mtr_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct esw_meter *meter;
    int ret = 0;

    pthread_mutex_lock(&port->esw->lock);
    meter = find(port, id, error);
    if (!meter) {
        ret = -ENOENT;
    } else if (meter->users) {
        ret = refuse(error, EBUSY, RTE_MTR_ERROR_TYPE_MTR_ID, "rules use the meter");
    } else {
        meter->profile->part.users--;
        meter->policy->part.users--;
        LIST_REMOVE(meter, next);
    }
    pthread_mutex_unlock(&port->esw->lock);
    if (ret == 0)
        free(meter);
    return ret;
}

static int set_enabled(struct rte_eth_dev *dev, uint32_t id, bool enabled,
                       struct rte_mtr_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct esw_meter *meter;

    pthread_mutex_lock(&port->esw->lock);
    meter = find(port, id, error);
    if (meter)
        meter->enabled = enabled;
    pthread_mutex_unlock(&port->esw->lock);
    return meter ? 0 : -ENOENT;
}

static int enable(struct rte_eth_dev *dev, uint32_t id, struct rte_mtr_error *error)
{
    return set_enabled(dev, id, true, error);
}

static int disable(struct rte_eth_dev *dev, uint32_t id, struct rte_mtr_error *error)
{
    return set_enabled(dev, id, false, error);
}

static int profile_update(struct rte_eth_dev *dev, uint32_t id, uint32_t profile_id,
                          struct rte_mtr_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct esw_meter_profile *profile;
    struct esw_meter *meter;
    int ret = 0;

    pthread_mutex_lock(&port->esw->lock);
    meter = find(port, id, error);
    profile = find_profile(&port->meters, profile_id);
    if (!meter) {
        ret = -ENOENT;
    } else if (!profile) {
        ret = refuse(error, ENOENT, RTE_MTR_ERROR_TYPE_METER_PROFILE_ID, "there is none");
    } else {
        meter->profile->part.users--;
        profile->part.users++;
        meter->profile = profile;
        esw_meter_fill(meter);
    }
    pthread_mutex_unlock(&port->esw->lock);
    return ret;
}

static int stats_update(struct rte_eth_dev *dev, uint32_t id, uint64_t mask,
                        struct rte_mtr_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct esw_meter *meter;

    pthread_mutex_lock(&port->esw->lock);
    meter = find(port, id, error);
    if (meter)
        meter->stats_mask = mask;
    pthread_mutex_unlock(&port->esw->lock);
    return meter ? 0 : -ENOENT;
}

static int stats_read(struct rte_eth_dev *dev, uint32_t id, struct rte_mtr_stats *stats,
                      uint64_t *mask, int clear, struct rte_mtr_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct esw_meter *meter;

    pthread_mutex_lock(&port->esw->lock);
    meter = find(port, id, error);
    if (meter) {
        *stats = meter->stats;
        *mask = meter->stats_mask & STATS_ALL;
        if (clear)
            memset(&meter->stats, 0, sizeof(meter->stats));
    }
    pthread_mutex_unlock(&port->esw->lock);
    return meter ? 0 : -ENOENT;
}

const struct rte_mtr_ops esw_meter_ops = {
    .capabilities_get = capabilities_get,
    .meter_profile_add = profile_add,
    .meter_profile_delete = profile_delete,
    .meter_policy_validate = policy_validate,
    .meter_policy_add = policy_add,
    .meter_policy_delete = policy_delete,
    .create = create,
    .destroy = destroy,
    .meter_enable = enable,
    .meter_disable = disable,
    .meter_profile_update = profile_update,
    .stats_update = stats_update,
    .stats_read = stats_read,
};
