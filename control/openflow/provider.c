/* SPDX-License-Identifier: Apache-2.0 */
// The switch as ofproto sees it: its tables and what they can do, and the table of all callbacks.
#include "control/openflow/internal.h"

#include <errno.h>

#include "bitmap.h"
#include "openvswitch/meta-flow.h"
#include "openvswitch/poll-loop.h"
#include "sset.h"
#include "timeval.h"
#include "util.h"

#define EXPIRE_MS 500

static long long expire_ms;

static void init(const struct shash *hints)
{
    (void)hints;
}

static void enumerate_types(struct sset *types)
{
    sset_add(types, SWITCH_TYPE);
}

static int enumerate_names(const char *type, struct sset *names)
{
    (void)type;
    if (openflow_switch)
        sset_add(names, SWITCH_NAME);
    return 0;
}

static int del(const char *type, const char *name)
{
    (void)type;
    (void)name;
    return 0;
}

static struct ofproto *alloc(void)
{
    return xzalloc(sizeof(struct ofproto));
}

static void dealloc(struct ofproto *ofproto)
{
    free(ofproto);
}

static int construct(struct ofproto *ofproto)
{
    openflow_switch = ofproto;
    // The host's number is not for rules: it is OpenFlow's LOCAL.
    ofproto_init_max_ports(ofproto, HOST_PORT);
    ofproto_init_tables(ofproto, POLICY_TABLES);
    return 0;
}

static void destruct(struct ofproto *ofproto, bool delete)
{
    (void)ofproto; // rules and groups have been flushed
    (void)delete;
}

static int run(struct ofproto *ofproto)
{
    (void)ofproto;
    switch_ports_run();
    if (time_msec() >= expire_ms) {
        openflow_rules_expire();
        expire_ms = time_msec() + EXPIRE_MS;
    }
    return 0;
}

static void wait(struct ofproto *ofproto)
{
    if (!ovs_list_is_empty(&ofproto->expirable))
        poll_timer_wait_until(expire_ms);
}

static void set_tables_version(struct ofproto *ofproto, ovs_version_t version)
{
    (void)ofproto; // packets go by the dataplane's own versions
    (void)version;
}

static const enum mf_field_id matchable[] = {
    MFF_METADATA,    MFF_IN_PORT,     MFF_IN_PORT_OXM, MFF_REG0,     MFF_REG1,
    MFF_REG2,        MFF_REG3,        MFF_XREG0,       MFF_XREG1,    MFF_XXREG0,
    MFF_ETH_SRC,     MFF_ETH_DST,     MFF_ETH_TYPE,    MFF_VLAN_TCI, MFF_DL_VLAN,
    MFF_VLAN_VID,    MFF_DL_VLAN_PCP, MFF_VLAN_PCP,    MFF_IPV4_SRC, MFF_IPV4_DST,
    MFF_IPV6_SRC,    MFF_IPV6_DST,    MFF_IP_PROTO,    MFF_IP_DSCP,  MFF_IP_DSCP_SHIFTED,
    MFF_IP_ECN,      MFF_IP_FRAG,     MFF_ARP_OP,      MFF_ARP_SPA,  MFF_ARP_TPA,
    MFF_ARP_SHA,     MFF_ARP_THA,     MFF_TCP_SRC,     MFF_TCP_DST,  MFF_TCP_FLAGS,
    MFF_UDP_SRC,     MFF_UDP_DST,     MFF_SCTP_SRC,    MFF_SCTP_DST, MFF_ICMPV4_TYPE,
    MFF_ICMPV4_CODE, MFF_ICMPV6_TYPE, MFF_ICMPV6_CODE,
};

static bool is_writable(enum mf_field_id id)
{
    return mf_from_id(id)->writable && id != MFF_IN_PORT && id != MFF_IN_PORT_OXM &&
           id != MFF_VLAN_TCI;
}

static void restrict_actions(struct ofputil_table_instruction_features *features,
                             const struct mf_bitmap *fields)
{
    static const enum ofpact_type types[] = {
        OFPACT_OUTPUT,
        OFPACT_GROUP,
        OFPACT_CONTROLLER,
        OFPACT_SET_FIELD,
        OFPACT_SET_VLAN_VID,
        OFPACT_SET_VLAN_PCP,
        OFPACT_STRIP_VLAN,
        OFPACT_PUSH_VLAN,
        OFPACT_SET_ETH_SRC,
        OFPACT_SET_ETH_DST,
        OFPACT_SET_IPV4_SRC,
        OFPACT_SET_IPV4_DST,
        OFPACT_SET_IP_DSCP,
        OFPACT_SET_IP_ECN,
        OFPACT_SET_L4_SRC_PORT,
        OFPACT_SET_L4_DST_PORT,
        OFPACT_DEC_TTL,
        OFPACT_RESUBMIT,
        OFPACT_NOTE,
        OFPACT_METER,
        OFPACT_WRITE_METADATA,
        OFPACT_GOTO_TABLE,
    };
    uint64_t bits = 0;

    for (size_t i = 0; i < ARRAY_SIZE(types); i++)
        bits |= UINT64_C(1) << types[i];
    features->instructions &=
        ~(1u << OVSINST_OFPIT11_WRITE_ACTIONS | 1u << OVSINST_OFPIT11_CLEAR_ACTIONS);
    features->apply.ofpacts &= bits;
    features->apply.set_fields = *fields;
    features->write.ofpacts = 0;
    memset(&features->write.set_fields, 0, sizeof(features->write.set_fields));
}

static void query_tables(struct ofproto *ofproto, struct ofputil_table_features *features,
                         struct ofputil_table_stats *stats)
{
    struct mf_bitmap match = MF_BITMAP_INITIALIZER, set = MF_BITMAP_INITIALIZER;

    for (size_t i = 0; i < ARRAY_SIZE(matchable); i++) {
        bitmap_set1(match.bm, matchable[i]);
        if (is_writable(matchable[i]))
            bitmap_set1(set.bm, matchable[i]);
    }
    for (int i = 0; i < ofproto->n_tables; i++) {
        bitmap_and(features[i].match.bm, match.bm, MFF_N_IDS);
        bitmap_and(features[i].mask.bm, match.bm, MFF_N_IDS);
        bitmap_and(features[i].wildcard.bm, match.bm, MFF_N_IDS);
        restrict_actions(&features[i].nonmiss, &set);
        features[i].miss = features[i].nonmiss;
        if (stats) {
            struct dp_policy_table_stats counted;

            dp_policy_table_stats(i, &counted);
            stats[i].lookup_count = counted.lookups;
            stats[i].matched_count = counted.matches;
        }
    }
}

static bool set_frag_handling(struct ofproto *ofproto, enum ofputil_frag_handling handling)
{
    (void)ofproto;
    return handling == OFPUTIL_FRAG_NORMAL || handling == OFPUTIL_FRAG_NX_MATCH;
}

static void get_netflow_ids(const struct ofproto *ofproto, uint8_t *type, uint8_t *id)
{
    (void)ofproto;
    *type = *id = 0;
}

static void get_memory_usage(const struct ofproto *ofproto, struct simap *usage)
{
    (void)ofproto;
    for (unsigned i = 0; i < POLICY_TABLES; i++) {
        struct dp_policy_table_stats stats;

        dp_policy_table_stats(i, &stats);
        simap_increase(usage, "table-kB", stats.bytes >> 10);
    }
    simap_increase(usage, "groups", groups_count());
    simap_increase(usage, "meters", meters_count());
}

// ofproto.c refers to OVS's own datapath by this name; here it is ours that it finds.
const struct ofproto_class ofproto_dpif_class = {
    .init = init,
    .enumerate_types = enumerate_types,
    .enumerate_names = enumerate_names,
    .del = del,
    .alloc = alloc,
    .construct = construct,
    .destruct = destruct,
    .dealloc = dealloc,
    .run = run,
    .wait = wait,
    .get_memory_usage = get_memory_usage,
    .query_tables = query_tables,
    .set_tables_version = set_tables_version,
    .port_alloc = openflow_port_alloc,
    .port_construct = openflow_port_construct,
    .port_destruct = openflow_port_destruct,
    .port_dealloc = openflow_port_dealloc,
    .port_reconfigured = openflow_port_reconfigured,
    .port_query_by_name = openflow_port_query_by_name,
    .port_add = openflow_port_add,
    .port_del = openflow_port_del,
    .port_get_stats = openflow_port_get_stats,
    .port_dump_start = openflow_port_dump_start,
    .port_dump_next = openflow_port_dump_next,
    .port_dump_done = openflow_port_dump_done,
    .port_poll = openflow_port_poll,
    .rule_alloc = openflow_rule_alloc,
    .rule_construct = openflow_rule_construct,
    .rule_insert = openflow_rule_insert,
    .rule_destruct = openflow_rule_destruct,
    .rule_dealloc = openflow_rule_dealloc,
    .rule_get_stats = openflow_rule_get_stats,
    .packet_xlate = openflow_packet_xlate,
    .packet_xlate_revert = openflow_packet_xlate_revert,
    .packet_execute_prepare = openflow_packet_execute_prepare,
    .packet_execute = openflow_packet_execute,
    .set_frag_handling = set_frag_handling,
    .get_netflow_ids = get_netflow_ids,
    .meter_get_features = openflow_meter_get_features,
    .meter_set = openflow_meter_set,
    .meter_get = openflow_meter_get,
    .meter_del = openflow_meter_del,
    .group_alloc = openflow_group_alloc,
    .group_construct = openflow_group_construct,
    .group_destruct = openflow_group_destruct,
    .group_dealloc = openflow_group_dealloc,
    .group_get_stats = openflow_group_get_stats,
};
