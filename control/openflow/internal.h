/* SPDX-License-Identifier: Apache-2.0 */
// What the files of the OpenFlow switch share. Nothing outside this folder includes it.
//
// OVS's ofproto calls struct ofproto_class (provider.c) for everything that a switch does; it is a
// C library's inside, not a stable interface, and so are the names that the linker wraps
// (transaction.c).
#pragma once

#include <config.h>

#include "control/openflow/dp.h"

#include "ofproto/ofproto-provider.h"
#include "openvswitch/match.h"
#include "openvswitch/ofp-packet.h"

#define SWITCH_NAME "br0"
#define SWITCH_TYPE "sluice"

struct config;
struct state;

// The one switch; NULL while there is none.
extern struct ofproto *openflow_switch;

// The host's port is OpenFlow's LOCAL, the others keep their number.
#define HOST_PORT PORT_MAX
static inline ofp_port_t port_to_ofp(uint16_t no)
{
    return no == HOST_PORT ? OFPP_LOCAL : no == PORT_NONE ? OFPP_NONE : u16_to_ofp(no);
}
// PORT_NONE if it is no port of ours.
static inline uint16_t port_from_ofp(ofp_port_t port)
{
    return port == OFPP_LOCAL             ? HOST_PORT
           : ofp_to_u16(port) < HOST_PORT ? ofp_to_u16(port)
                                          : PORT_NONE;
}

// translate_match.c, translate_actions.c: into the rule model. Refuse with OpenFlow's error for
// what is not supported.
enum ofperr translate_match(const struct match *match, struct sluice_match *out);
// What the actions stand in decides what they may be.
struct action_context {
    enum { IN_RULE, IN_BUCKET, IN_PACKET_OUT } place;
    uint8_t table;             // IN_RULE: the operator's
    bool table_miss;           // IN_RULE: priority 0, matches everything
    const struct match *match; // IN_RULE
};
enum ofperr translate_actions(const struct ofpact *ofpacts, size_t len,
                              const struct action_context *context,
                              struct action actions[RULE_ACTIONS_MAX], uint8_t *n);

// rules.c
struct rule *openflow_rule_alloc(void);
enum ofperr openflow_rule_construct(struct rule *rule);
enum ofperr openflow_rule_insert(struct rule *rule, struct rule *old, bool forward_counts);
void openflow_rule_destruct(struct rule *rule);
void openflow_rule_dealloc(struct rule *rule);
void openflow_rule_get_stats(struct rule *rule, struct pkt_stats *stats, long long int *used);
// The rule is no longer in its table.
void openflow_rule_removed(struct rule *rule);
void openflow_rules_expire(void);
void rules_store_all(void);
// The number that a rule has in the state.
uint64_t openflow_rule_id(const struct rule *rule);
// The next rule that is inserted is one of the state's, with this number.
void openflow_rule_restore(uint64_t id);

// transaction.c: what one OpenFlow message or bundle changes becomes visible at once, and is
// durable before a barrier is answered.
void transaction_touch(void);
// Between begin and end nothing is published.
void transaction_batch_begin(void);
void transaction_batch_end(void);
// Ends a batch with nothing made visible: what it changed is, with what a switch opened later
// changes.
void transaction_batch_keep(void);
// Waits until all workers forward by every change, and all is on disk. False: it is not on disk.
bool transaction_sync(void);
// Writes what is due.
void transaction_run(void);
void transaction_wait(void);

// groups.c
struct ofgroup *openflow_group_alloc(void);
enum ofperr openflow_group_construct(struct ofgroup *group);
void openflow_group_destruct(struct ofgroup *group);
void openflow_group_dealloc(struct ofgroup *group);
enum ofperr openflow_group_get_stats(const struct ofgroup *group,
                                     struct ofputil_group_stats *stats);
// Makes the dataplane's groups those of the switch: first the new ones, then, when no rule names
// them any more, the gone ones.
void groups_publish(void);
void groups_retire(void);
struct ofpbuf *group_encode(const struct ofgroup *group);
unsigned groups_count(void);
void groups_store_all(void);
void groups_close(void);

// meters.c
void openflow_meter_get_features(const struct ofproto *ofproto,
                                 struct ofputil_meter_features *features);
enum ofperr openflow_meter_set(struct ofproto *ofproto, ofproto_meter_id *id,
                               struct ofputil_meter_config *config);
enum ofperr openflow_meter_get(const struct ofproto *ofproto, ofproto_meter_id id,
                               struct ofputil_meter_stats *stats, uint16_t n_bands);
void openflow_meter_del(struct ofproto *ofproto, ofproto_meter_id id);
unsigned meters_count(void);
void meters_store_all(void);
void meters_close(void);

// packets.c
enum ofperr openflow_packet_xlate(struct ofproto *ofproto, struct ofproto_packet_out *out);
void openflow_packet_xlate_revert(struct ofproto *ofproto, struct ofproto_packet_out *out);
void openflow_packet_execute_prepare(struct ofproto *ofproto, struct ofproto_packet_out *out);
void openflow_packet_execute(struct ofproto *ofproto, struct ofproto_packet_out *out);
// True if there was any.
bool packet_ins_run(void);
// Makes the message for a packet-in of which only pin.max_len bytes are known.
typedef struct ofpbuf *packet_in_encoder(const struct ofputil_packet_in_private *pin,
                                         enum ofputil_protocol protocol,
                                         enum ofputil_packet_in_format format);
struct ofpbuf *packet_in_encode(const struct ofputil_packet_in_private *pin,
                                enum ofputil_protocol protocol,
                                enum ofputil_packet_in_format format, packet_in_encoder *encode);

// ports.c, netdev.c
// Follows the dataplane's ports.
void switch_ports_run(void);
// NULL: any of them may have.
void switch_ports_netdev_changed(const char *name);
void switch_ports_close(void);
struct ofport *openflow_port_alloc(void);
int openflow_port_construct(struct ofport *port);
void openflow_port_destruct(struct ofport *port, bool del);
void openflow_port_dealloc(struct ofport *port);
void openflow_port_reconfigured(struct ofport *port, enum ofputil_port_config old_config);
int openflow_port_query_by_name(const struct ofproto *ofproto, const char *name,
                                struct ofproto_port *port);
int openflow_port_add(struct ofproto *ofproto, struct netdev *netdev);
int openflow_port_del(struct ofproto *ofproto, ofp_port_t port);
int openflow_port_get_stats(const struct ofport *port, struct netdev_stats *stats);
int openflow_port_dump_start(const struct ofproto *ofproto, void **state);
int openflow_port_dump_next(const struct ofproto *ofproto, void *state, struct ofproto_port *port);
int openflow_port_dump_done(const struct ofproto *ofproto, void *state);
int openflow_port_poll(const struct ofproto *ofproto, char **name);
struct port_view {
    char name[DP_NAME_SIZE];
    struct eth_addr mac;
    bool carrier;
};
// NULL if there is none.
const struct port_view *switch_ports_find(const char *name);
int port_netdevs_register(void);

// store.c: the state's copy
void store_open(struct state *state);
void store_close(void);
void store_put_rule(struct rule *rule);
void store_put_group(const struct ofgroup *group);
void store_put_meter(const struct ofputil_meter_config *config);
void store_del_rule(uint64_t id);
void store_del_group(uint32_t id);
void store_del_meter(uint32_t id);
// True if all is on disk.
bool store_commit(void);
bool store_is_durable(void);
// Brings back what the state holds. `path`: of a socket that may be made for it.
int store_restore(const char *path, char **error);

// tls.c: for listeners and controllers, if the node file has any; *error says which key is no use.
int tls_set(const struct config *config, char **error);
