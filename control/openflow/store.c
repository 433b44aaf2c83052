/* SPDX-License-Identifier: Apache-2.0 */
// The switch's meters, groups and rules in the daemon's state, each as the OpenFlow 1.5 message
// that makes it. Changes are collected in one transaction of the file's and written by
// store_commit. If the file cannot be written, the switch goes on without, answers no barrier, and
// tries to write all anew.
#include "control/openflow/internal.h"

#include <errno.h>
#include <sys/time.h>
#include <unistd.h>

#include "config/state.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-print.h"
#include "openvswitch/ofp-util.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vconn.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(openflow_store);

#define STORED_VERSION  OFP15_VERSION
#define STORED_PROTOCOL OFPUTIL_P_OF15_OXM
#define TYPE_ERROR      1 // OpenFlow 1.5.1 section 7.1.1

static struct state *state;
static bool broken; // what the file holds is not what the switch does

static void fail(char *error)
{
    static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(1, 1);

    broken = true;
    VLOG_ERR_RL(&rl, "rules not written, no barrier will be answered error=%s", error ? error : "");
    free(error);
}

void store_open(struct state *state_)
{
    state = state_;
    broken = false;
}

void store_close(void)
{
    state = NULL;
}

static void put(enum state_openflow kind, uint64_t id, int64_t expires, struct ofpbuf *message)
{
    char *error = NULL;

    if (state && !broken &&
        state_openflow_put(state, kind, id, expires, message->data, message->size, &error))
        fail(error);
    ofpbuf_delete(message);
}

static void del(enum state_openflow kind, uint64_t id)
{
    char *error = NULL;

    if (state && !broken && state_openflow_del(state, kind, id, &error))
        fail(error);
}

// A hard timeout goes on while the daemon is not there: when is it over, in seconds since the
// epoch?
static int64_t expires_at(const struct rule *rule)
{
    struct timeval now;

    if (rule->hard_timeout == 0)
        return 0;
    xgettimeofday(&now);
    return now.tv_sec + rule->hard_timeout - (time_msec() - rule->modified) / 1000;
}

void store_put_rule(struct rule *rule)
{
    struct ofputil_flow_mod mod = {
        .priority = rule->cr.priority,
        .new_cookie = rule->flow_cookie,
        .table_id = rule->table_id,
        .command = OFPFC_ADD,
        .idle_timeout = rule->idle_timeout,
        .hard_timeout = rule->hard_timeout,
        .buffer_id = UINT32_MAX,
        .out_port = OFPP_ANY,
        .out_group = OFPG_ANY,
        .flags = rule->flags,
        .importance = rule->importance,
        .ofpacts = CONST_CAST(struct ofpact *, rule->actions->ofpacts),
        .ofpacts_len = rule->actions->ofpacts_len,
    };

    if (state == NULL || broken)
        return;
    minimatch_clone(&mod.match, &rule->cr.match);
    put(STATE_OPENFLOW_RULE, openflow_rule_id(rule), expires_at(rule),
        ofputil_encode_flow_mod(&mod, STORED_PROTOCOL));
    minimatch_destroy(&mod.match);
}

void store_put_group(const struct ofgroup *group)
{
    put(STATE_OPENFLOW_GROUP, group->group_id, 0, group_encode(group));
}

void store_put_meter(const struct ofputil_meter_config *config)
{
    struct ofputil_meter_mod mod = {.command = OFPMC13_ADD, .meter = *config};

    put(STATE_OPENFLOW_METER, config->meter_id, 0, ofputil_encode_meter_mod(STORED_VERSION, &mod));
}

void store_del_rule(uint64_t id)
{
    del(STATE_OPENFLOW_RULE, id);
}

void store_del_group(uint32_t id)
{
    del(STATE_OPENFLOW_GROUP, id);
}

void store_del_meter(uint32_t id)
{
    del(STATE_OPENFLOW_METER, id);
}

static void write_all(void)
{
    char *error = NULL;

    broken = false;
    if (state_openflow_clear(state, &error)) {
        fail(error);
        return;
    }
    meters_store_all();
    groups_store_all();
    rules_store_all();
}

bool store_commit(void)
{
    char *error = NULL;

    if (state == NULL)
        return true;
    if (broken)
        write_all();
    if (!broken && state_openflow_commit(state, &error))
        fail(error);
    return !broken;
}

bool store_is_durable(void)
{
    return !broken;
}

// Restoring

static enum ofperr restore_rule(uint64_t id, int64_t expires, const void *message)
{
    struct ofputil_flow_mod mod;
    struct ofpbuf ofpacts;
    struct timeval now;
    enum ofperr error;

    ofpbuf_init(&ofpacts, 256);
    error =
        ofputil_decode_flow_mod(&mod, message, STORED_PROTOCOL, NULL, NULL, &ofpacts,
                                u16_to_ofp(openflow_switch->max_ports), openflow_switch->n_tables);
    if (!error) {
        xgettimeofday(&now);
        if (expires)
            mod.hard_timeout = MAX(1, MIN(mod.hard_timeout, expires - now.tv_sec));
        openflow_rule_restore(id);
        error = ofproto_flow_mod(openflow_switch, &mod);
        openflow_rule_restore(0);
        minimatch_destroy(&mod.match);
    }
    ofpbuf_uninit(&ofpacts);
    return error;
}

// ofproto takes groups and meters as messages of a connection only, so they come in by one.
static int send_all(struct vconn *vconn, struct ovs_list *messages)
{
    struct ofpbuf *message, *reply;
    ovs_be32 barrier;
    int err;

    message = ofputil_encode_barrier_request(STORED_VERSION);
    barrier = ((struct ofp_header *)message->data)->xid;
    ovs_list_push_back(messages, &message->list_node);
    for (;;) {
        ofproto_run(openflow_switch);
        vconn_run(vconn);
        err = vconn_connect(vconn);
        while (!err && !ovs_list_is_empty(messages)) {
            message = ofpbuf_from_list(ovs_list_pop_front(messages));
            err = vconn_send(vconn, message);
            if (err == EAGAIN)
                ovs_list_push_front(messages, &message->list_node);
        }
        if (err && err != EAGAIN)
            return err;
        while (!(err = vconn_recv(vconn, &reply))) {
            const struct ofp_header *header = reply->data;
            bool done = header->xid == barrier;

            if (header->type == TYPE_ERROR) {
                char *text = ofp_to_string(reply->data, reply->size, NULL, NULL, 1);
                VLOG_ERR("group or meter not restored error=%s", text);
                free(text);
            }
            ofpbuf_delete(reply);
            if (done)
                return 0;
        }
        if (err != EAGAIN)
            return err;
        vconn_run_wait(vconn);
        vconn_wait(vconn, ovs_list_is_empty(messages) ? WAIT_RECV : WAIT_SEND);
        ofproto_wait(openflow_switch);
        poll_block();
    }
}

static int send_by_connection(const char *path, struct ovs_list *messages)
{
    char *listen = xasprintf("punix:%s", path), *connect = xasprintf("unix:%s", path);
    struct ofproto_controller service = {
        .type = OFCONN_SERVICE,
        .band = OFPROTO_OUT_OF_BAND,
        .allowed_versions = 1u << STORED_VERSION,
        .dscp = 0,
    };
    struct shash controllers = SHASH_INITIALIZER(&controllers);
    struct vconn *vconn;
    int err;

    unlink(path);
    shash_add(&controllers, listen, &service);
    ofproto_set_controllers(openflow_switch, &controllers);
    err = vconn_open(connect, 1u << STORED_VERSION, 0, &vconn);
    if (!err) {
        err = send_all(vconn, messages);
        vconn_close(vconn);
    }
    shash_clear(&controllers);
    ofproto_set_controllers(openflow_switch, &controllers);
    shash_destroy(&controllers);
    free(listen);
    free(connect);
    return err;
}

struct restoring {
    struct ovs_list messages;
    size_t n_rules, n_lost;
};

static bool is_whole(const void *message, size_t size)
{
    const struct ofp_header *header = message;

    return size >= sizeof(*header) && ntohs(header->length) == size &&
           header->version == STORED_VERSION;
}

static void restore_one(enum state_openflow kind, uint64_t id, int64_t expires, const void *message,
                        size_t size, void *aux)
{
    struct restoring *restoring = aux;
    enum ofperr error = OFPERR_OFPBRC_BAD_LEN;

    if (is_whole(message, size)) {
        if (kind != STATE_OPENFLOW_RULE) {
            struct ofpbuf *copy = ofpbuf_clone_data(message, size);
            ovs_list_push_back(&restoring->messages, &copy->list_node);
            return;
        }
        error = restore_rule(id, expires, message);
    }
    if (error) {
        restoring->n_lost++;
        VLOG_ERR("rule not restored id=%" PRIu64 " error=%s", id, ofperr_to_string(error));
    } else {
        restoring->n_rules++;
    }
}

int store_restore(const char *path, char **error)
{
    struct restoring restoring = {.messages = OVS_LIST_INITIALIZER(&restoring.messages)};
    struct state *from = state;
    int err;

    state = NULL; // what comes from there need not go there
    transaction_batch_begin();
    err = state_openflow_list(from, STATE_OPENFLOW_METER, restore_one, &restoring, error);
    if (!err)
        err = state_openflow_list(from, STATE_OPENFLOW_GROUP, restore_one, &restoring, error);
    if (!err && !ovs_list_is_empty(&restoring.messages)) {
        err = -send_by_connection(path, &restoring.messages);
        if (err)
            *error = xasprintf("groups and meters not restored: %s", ovs_strerror(-err));
    }
    ofpbuf_list_delete(&restoring.messages);
    if (!err)
        err = state_openflow_list(from, STATE_OPENFLOW_RULE, restore_one, &restoring, error);
    transaction_batch_end();
    transaction_sync();
    state = from;
    if (!err && (restoring.n_rules || restoring.n_lost))
        VLOG_INFO("restored rules=%zu refused=%zu groups=%u meters=%u", restoring.n_rules,
                  restoring.n_lost, groups_count(), meters_count());
    return err;
}
