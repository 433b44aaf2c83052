/* SPDX-License-Identifier: Apache-2.0 */
// Makes the switch, and connects it to whom the node file names.
#include "control/openflow/internal.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/openflow/openflow.h"
#include "dp-packet.h"
#include "flow.h"
#include "ofproto/connmgr.h"
#include "openvswitch/ofp-flow.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vconn.h"
#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "sset.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(openflow);

#define DSCP    48 // CS6, network control (RFC 4594 section 3.1)
#define POLL_MS 1  // while the dataplane has work left to do for the rules
#define TTL     64 // of packets for dry runs

struct ofproto *openflow_switch;

static const struct config *config;
static char *run_dir;
static bool busy;
static uint64_t datapath_id;

static char *socket_path(const char *what)
{
    return xasprintf("%s/" SWITCH_NAME ".%s", run_dir, what);
}

static void describe(void)
{
    openflow_switch->mfr_desc = xstrdup("Sluice");
    openflow_switch->hw_desc = xstrdup("DPDK");
    openflow_switch->sw_desc = xstrdup(SLUICE_VERSION);
    openflow_switch->ogf.capabilities = OFPGFC_CHAINING | OFPGFC_SELECT_WEIGHT;
}

int openflow_open(const struct config *config_, struct state *state, char **error)
{
    struct shash hints = SHASH_INITIALIZER(&hints);
    char *copy = xstrdup(config_->socket), *path;
    int err;

    config = config_;
    run_dir = xstrdup(dirname(copy));
    free(copy);
    err = state_datapath_id(state, &datapath_id, error);
    if (err)
        return err;
    port_netdevs_register();
    ofproto_init(&hints);
    flow_limit_vlans(1); // as the dataplane sees frames
    err = ofproto_create(SWITCH_NAME, SWITCH_TYPE, &openflow_switch);
    if (err) {
        openflow_switch = NULL;
        *error = xasprintf("the OpenFlow switch cannot be made: %s", ovs_strerror(err));
        return -err;
    }
    describe();
    ofproto_set_datapath_id(openflow_switch, datapath_id);
    dp_policy_miss(config->openflow_miss == CONFIG_MISS_NORMAL);
    offload_policy_miss(config->openflow_miss == CONFIG_MISS_NORMAL);
    store_open(state);
    path = socket_path("restore");
    err = store_restore(path, error);
    free(path);
    return err;
}

static struct ofproto_controller *add_peer(struct shash *peers, const char *target,
                                           enum ofconn_type type)
{
    struct ofproto_controller *peer = xzalloc(sizeof(*peer));

    *peer = (struct ofproto_controller){
        .type = type,
        .max_backoff = config->openflow_max_backoff_s,
        .probe_interval = type == OFCONN_PRIMARY ? (int)config->openflow_probe_s : 60,
        .band = OFPROTO_OUT_OF_BAND,
        .enable_async_msgs = true,
        .max_pktq_size = config->openflow_packet_in_burst,
        .rate_limit = config->openflow_packet_in_rate,
        .burst_limit = config->openflow_packet_in_burst,
        .dscp = DSCP,
    };
    if (!shash_add_once(peers, target, peer)) {
        free(peer);
        peer = NULL;
    }
    return peer;
}

static int set_permissions(const char *path, char **error)
{
    if (chmod(path, 0660) == 0)
        return 0;
    int err = errno;
    *error = xasprintf("cannot listen at %s: %s", path, ovs_strerror(err));
    return -err;
}

// ofproto only logs that it cannot listen somewhere.
static int check_listeners(char **error)
{
    for (unsigned i = 0; i < config->n_openflow_listeners; i++) {
        struct pvconn *pvconn;
        int err = pvconn_open(config->openflow_listeners[i], 0, DSCP, &pvconn);

        if (err) {
            *error = xasprintf("openflow: cannot listen at %s: %s", config->openflow_listeners[i],
                               ovs_strerror(err));
            return -err;
        }
        pvconn_close(pvconn);
    }
    return 0;
}

static void set_peers(const char *mgmt)
{
    struct shash peers = SHASH_INITIALIZER(&peers);
    char *target = xasprintf("punix:%s", mgmt);

    add_peer(&peers, target, OFCONN_SERVICE);
    free(target);
    for (unsigned i = 0; i < config->n_openflow_listeners; i++)
        add_peer(&peers, config->openflow_listeners[i], OFCONN_SERVICE);
    for (unsigned i = 0; i < config->n_openflow_controllers; i++)
        add_peer(&peers, config->openflow_controllers[i], OFCONN_PRIMARY);
    ofproto_set_controllers(openflow_switch, &peers);
    shash_destroy_free_data(&peers);
}

static int set_snoop(const char *path)
{
    struct sset snoops = SSET_INITIALIZER(&snoops);
    char *target = xasprintf("punix:%s", path);
    int err;

    sset_add_and_free(&snoops, target);
    err = ofproto_set_snoops(openflow_switch, &snoops);
    sset_destroy(&snoops);
    return -err;
}

int openflow_listen(char **error)
{
    char *mgmt = socket_path("mgmt"), *snoop = socket_path("snoop");
    int err;

    err = tls_set(config, error);
    if (!err)
        err = check_listeners(error);
    if (!err) {
        set_peers(mgmt);
        err = set_permissions(mgmt, error);
    }
    if (!err)
        err = set_snoop(snoop);
    if (!err)
        err = set_permissions(snoop, error);
    else if (*error == NULL)
        *error = xasprintf("cannot listen at %s: %s", snoop, ovs_strerror(-err));
    free(mgmt);
    free(snoop);
    return err;
}

void openflow_close(void)
{
    if (openflow_switch) {
        transaction_sync();
        store_close(); // what goes now goes from memory only
        transaction_batch_begin();
        ofproto_destroy(openflow_switch, false);
        // Rules, groups and the switch itself are freed some grace periods later.
        for (int i = 0; i < 16; i++)
            ovsrcu_quiesce();
        openflow_switch = NULL;
        transaction_batch_keep(); // packets go on by the rules to the end
    }
    groups_close();
    meters_close();
    switch_ports_close();
    free(run_dir);
    run_dir = NULL;
}

bool openflow_run(void)
{
    bool any = packet_ins_run();

    ofproto_run(openflow_switch);
    transaction_run();
    busy = dp_policy_poll();
    return any;
}

void openflow_wait(void)
{
    ofproto_wait(openflow_switch);
    transaction_wait();
    if (busy)
        poll_timer_wait(POLL_MS);
}

void openflow_netdev_changed(const char *name)
{
    switch_ports_netdev_changed(name);
}

bool openflow_status(struct openflow_status *status)
{
    struct shash peers = SHASH_INITIALIZER(&peers);
    struct shash_node *node;

    if (openflow_switch == NULL)
        return false;
    *status = (struct openflow_status){
        .datapath_id = datapath_id,
        .listeners = config->n_openflow_listeners,
        .controllers = config->n_openflow_controllers,
        .groups = groups_count(),
        .meters = meters_count(),
        .durable = store_is_durable(),
    };
    ofproto_get_ofproto_controller_info(openflow_switch, &peers);
    SHASH_FOR_EACH(node, &peers)
    {
        const struct ofproto_controller_info *info = node->data;
        status->connected += info->is_connected;
    }
    ofproto_free_ofproto_controller_info(&peers);
    return true;
}

void openflow_memory(struct simap *usage)
{
    ofproto_get_memory_usage(openflow_switch, usage);
}

// What a flow leaves open is as in the port's usual packets.
static void complete(struct flow *flow, const struct dp_port_info *info)
{
    const struct rte_ether_addr *mac = &info->params.mac;

    if (flow->nw_ttl == 0)
        flow->nw_ttl = TTL;
    if (info->params.kind == DP_PORT_UPLINK) {
        if (rte_is_zero_ether_addr(mac))
            mac = &info->device_mac;
        if (eth_addr_is_zero(flow->dl_dst))
            memcpy(&flow->dl_dst, mac, sizeof(flow->dl_dst));
        return;
    }
    if (eth_addr_is_zero(flow->dl_src))
        memcpy(&flow->dl_src, mac, sizeof(flow->dl_src));
    if (eth_addr_is_zero(flow->dl_dst))
        memcpy(&flow->dl_dst, config->router_mac, sizeof(flow->dl_dst));
}

int openflow_compose(const char *text, uint16_t *in_port, void **frame, size_t *size, char **error)
{
    struct dp_packet packet;
    struct flow flow;

    *error = parse_ofp_exact_flow(&flow, NULL, NULL, text, NULL);
    if (*error)
        return -EINVAL;
    if (*in_port == PORT_NONE)
        *in_port = port_from_ofp(flow.in_port.ofp_port);
    if (*in_port != PORT_NONE && dp_port_get(*in_port))
        complete(&flow, dp_port_get(*in_port));
    dp_packet_init(&packet, 0);
    flow_compose(&packet, &flow, NULL, 64);
    *size = dp_packet_size(&packet);
    *frame = xmemdup(dp_packet_data(&packet), *size);
    dp_packet_uninit(&packet);
    return 0;
}
