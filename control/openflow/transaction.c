/* SPDX-License-Identifier: Apache-2.0 */
// One OpenFlow message or bundle is one change for packets, and durable before a barrier's or a
// bundle's answer. ofproto has no callbacks for the end of a change, nor before an answer, and
// tells of removed rules only a while later; so the linker puts us between ofproto.c, connmgr.c and
// rconn.c (-Wl,--wrap): __wrap_NAME is called for NAME, __real_NAME is OVS's own.
#include "control/openflow/internal.h"

#include "ofproto/connmgr.h"
#include "openvswitch/ofp-errors.h"
#include "openvswitch/ofp-msgs.h"
#include "openvswitch/ofp-packet.h"
#include "openvswitch/ofp-port.h"
#include "openvswitch/ofp-switch.h"
#include "openvswitch/ofp-table.h"
#include "openvswitch/ofpbuf.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/rconn.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(openflow_transaction);

// Changes that no barrier asks to be durable are written this long after the first of them.
#define WRITE_MS 100

static bool changed;  // since the last commit
static bool unwaited; // since the last commit with wait
static int batches;
static long long write_ms = LLONG_MAX;

#define WRAPPED(type, name, ...)                                                                   \
    type __real_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

void transaction_touch(void)
{
    changed = true;
    if (write_ms == LLONG_MAX)
        write_ms = time_msec() + WRITE_MS;
}

static void publish(void)
{
    if (batches)
        return;
    groups_publish();
    if (changed) {
        dp_policy_commit(false);
        changed = false;
        unwaited = true;
    }
    groups_retire();
}

void transaction_batch_begin(void)
{
    batches++;
}

void transaction_batch_end(void)
{
    batches--;
    publish();
}

void transaction_batch_keep(void)
{
    batches--;
}

bool transaction_sync(void)
{
    publish();
    if (unwaited)
        dp_policy_commit(true);
    unwaited = false;
    write_ms = store_commit() ? LLONG_MAX : time_msec() + 10 * WRITE_MS;
    return store_is_durable();
}

void transaction_run(void)
{
    publish();
    if (time_msec() < write_ms)
        return;
    write_ms = store_commit() ? LLONG_MAX : time_msec() + 10 * WRITE_MS;
}

void transaction_wait(void)
{
    poll_timer_wait_until(write_ms);
}

WRAPPED(void, ofmonitor_report, struct connmgr *mgr, struct rule *rule,
        enum ofp_flow_update_event event, enum ofp_flow_removed_reason reason,
        const struct ofconn *ofconn, ovs_be32 xid, const struct rule_actions *old_actions)
{
    if (event == OFPFME_REMOVED)
        openflow_rule_removed(rule);
    __real_ofmonitor_report(mgr, rule, event, reason, ofconn, xid, old_actions);
}

WRAPPED(void, ofmonitor_flush, struct connmgr *mgr)
{
    publish();
    __real_ofmonitor_flush(mgr);
}

// Says to the peer that what came before the barrier is not on disk.
static void send_not_durable(const struct ofconn *ofconn, const struct ofp_header *reply)
{
    struct ofp_header request = {
        .version = reply->version,
        .type = reply->version == OFP10_VERSION ? 18 : 20, // OFPT_BARRIER_REQUEST
        .length = htons(sizeof(request)),
        .xid = reply->xid,
    };

    ofconn_send_error(ofconn, &request, OFPERR_OFPBRC_EPERM);
}

// Answers that wait for the disk: those of all clients that one turn hears share one write. Until
// its answer is sent, nothing more is taken from a client.
struct answer {
    struct ovs_list node; // in answers
    const struct ofconn *ofconn;
    const struct rconn *rconn; // its connection
    struct ofpbuf *reply;
};
static struct ovs_list answers = OVS_LIST_INITIALIZER(&answers);
static const struct rconn *heard; // whose message is being handled

WRAPPED(void, ofconn_send_reply, const struct ofconn *ofconn, struct ofpbuf *reply)
{
    struct answer *answer;
    enum ofptype type;

    ofpmsg_update_length(reply); // as sending would
    if (ofptype_decode(&type, reply->data) ||
        (type != OFPTYPE_BARRIER_REPLY && type != OFPTYPE_BUNDLE_CONTROL)) {
        __real_ofconn_send_reply(ofconn, reply);
        return;
    }
    answer = xmalloc(sizeof(*answer));
    *answer = (struct answer){.ofconn = ofconn, .rconn = heard, .reply = reply};
    ovs_list_push_back(&answers, &answer->node);
}

static struct answer *find_answer(const struct rconn *rconn)
{
    struct answer *answer;

    LIST_FOR_EACH(answer, node, &answers)
    {
        if (answer->rconn == rconn)
            return answer;
    }
    return NULL;
}

WRAPPED(struct ofpbuf *, rconn_recv, struct rconn *rconn)
{
    if (find_answer(rconn))
        return NULL;
    heard = rconn;
    return __real_rconn_recv(rconn);
}

static void forget_answer(const struct rconn *rconn)
{
    struct answer *answer = find_answer(rconn);

    if (answer == NULL)
        return;
    ovs_list_remove(&answer->node);
    ofpbuf_delete(answer->reply);
    free(answer);
}

// Each ofconn that goes is seen by one of these two before: the connection to a controller stays,
// and is made again.
WRAPPED(void, rconn_destroy, struct rconn *rconn)
{
    forget_answer(rconn);
    __real_rconn_destroy(rconn);
}

WRAPPED(bool, rconn_is_connected, const struct rconn *rconn)
{
    bool connected = __real_rconn_is_connected(rconn);

    if (!connected)
        forget_answer(rconn);
    return connected;
}

// Hears all clients.
WRAPPED(void, connmgr_run, struct connmgr *mgr,
        void (*handle)(struct ofconn *ofconn, const struct ovs_list *messages))
{
    struct answer *answer;
    bool durable;

    __real_connmgr_run(mgr, handle);
    if (ovs_list_is_empty(&answers))
        return;
    durable = transaction_sync();
    LIST_FOR_EACH_POP(answer, node, &answers)
    {
        if (durable) {
            __real_ofconn_send_reply(answer->ofconn, answer->reply);
        } else {
            send_not_durable(answer->ofconn, answer->reply->data);
            ofpbuf_delete(answer->reply);
        }
        free(answer);
    }
}

// ofproto removes all rules when it gets its first controller, or loses the last one. Ours are the
// operator's, whoever else may come and go.
WRAPPED(void, ofproto_flush_flows, struct ofproto *ofproto)
{
    (void)ofproto;
}

WRAPPED(struct ofpbuf *, ofputil_encode_packet_in_private,
        const struct ofputil_packet_in_private *pin, enum ofputil_protocol protocol,
        enum ofputil_packet_in_format format)
{
    return packet_in_encode(pin, protocol, format, __real_ofputil_encode_packet_in_private);
}

// What ofproto would take without asking us, and we would not do.

WRAPPED(enum ofperr, ofputil_decode_port_mod, const struct ofp_header *oh,
        struct ofputil_port_mod *mod, bool loose)
{
    enum ofperr error = __real_ofputil_decode_port_mod(oh, mod, loose);

    if (error)
        return error;
    if (mod->mask)
        return OFPERR_OFPPMFC_BAD_CONFIG;
    return mod->advertise ? OFPERR_OFPPMFC_BAD_ADVERTISE : 0;
}

// Fragments are always matched with what they hold of ports ("nx-match"), which "normal" leaves
// open.
WRAPPED(enum ofperr, ofputil_decode_set_config, const struct ofp_header *oh,
        struct ofputil_switch_config *config)
{
    enum ofperr error = __real_ofputil_decode_set_config(oh, config);

    if (!error && config->frag != OFPUTIL_FRAG_NORMAL && config->frag != OFPUTIL_FRAG_NX_MATCH)
        error = OFPERR_OFPSCFC_BAD_FLAGS;
    return error;
}

WRAPPED(enum ofperr, ofputil_decode_table_mod, const struct ofp_header *oh,
        struct ofputil_table_mod *mod)
{
    enum ofperr error = __real_ofputil_decode_table_mod(oh, mod);

    if (!error && mod->miss != OFPUTIL_TABLE_MISS_DEFAULT)
        error = OFPERR_OFPTMFC_BAD_CONFIG; // what a miss does, the node file says
    return error;
}

// A loose modification can put its actions into any table; going to one that is not later cannot be
// refused any more when that is known.
WRAPPED(enum ofperr, ofputil_decode_flow_mod, struct ofputil_flow_mod *fm,
        const struct ofp_header *oh, enum ofputil_protocol protocol,
        const struct tun_table *tun_table, const struct vl_mff_map *vl_mff_map,
        struct ofpbuf *ofpacts, ofp_port_t max_port, uint8_t max_table)
{
    enum ofperr error = __real_ofputil_decode_flow_mod(fm, oh, protocol, tun_table, vl_mff_map,
                                                       ofpacts, max_port, max_table);
    const struct ofpact *a;

    if (error || fm->command != OFPFC_MODIFY || fm->table_id != OFPTT_ALL)
        return error;
    OFPACT_FOR_EACH(a, fm->ofpacts, fm->ofpacts_len)
    {
        if (a->type == OFPACT_GOTO_TABLE || a->type == OFPACT_RESUBMIT) {
            minimatch_destroy(&fm->match);
            return OFPERR_OFPBIC_BAD_TABLE_ID;
        }
    }
    return 0;
}
