/* SPDX-License-Identifier: Apache-2.0 */
// The policy stage: the operator's tables, between guard and forward. policy.c holds the rules and
// their versions, policy_stage.c finds rules for the packets, policy_actions.c does what they say.
// Nothing outside this folder includes it.
#pragma once

#include "dataplane/classifier.h"
#include "dataplane/internal.h"

#define POLICY_RULES_MAX 131072

enum policy_verdict {
    POLICY_GOTO,   // on to pp->table
    POLICY_NORMAL, // on to the forward stage
    POLICY_DONE,   // the frame was sent, dropped or handed over: taken
};

// A packet in the policy stage: its key is kept equal to its headers while actions change them.
struct policy_packet {
    struct match_key key;
    struct packet *packet; // of the burst; for frames that are not IP one of its own
    bool ip;               // IPv4 or IPv6, untagged or with one tag, with sound headers
    uint8_t vlans;         // tags before the network header
    uint16_t l3, l4;       // offsets of the network and the transport header; l4 0: none
    uint8_t table;         // the operator's; where it is, or is to go
    enum policy_verdict verdict;
    uint64_t cookie; // of the rule whose actions are done
};

// What a rule says, by its commonest shapes, so that those need no interpreter.
enum policy_shape {
    POLICY_ACTIONS, // anything else: policy_execute()
    POLICY_DROPS,
    POLICY_NORMALS,
    POLICY_GOES_TO,
    POLICY_OUTPUTS,
};

// What a rule says from one version on; before, what `older` says. Replaced as a whole.
struct policy_actions {
    uint64_t version; // UINT64_MAX: not committed yet
    struct policy_actions *older, *next;
    uint64_t cookie;
    uint8_t shape; // enum policy_shape
    uint8_t table; // of goto
    uint16_t port; // of output
    uint8_t n;
    struct action actions[];
};

struct policy_rule {
    struct cls_rule cls; // first: the classifier's hits are cast to this
    uint32_t slot;
    uint8_t table; // the operator's
    uint16_t priority;
    struct policy_actions *actions;
    struct policy_rule *next; // in the list of those that wait for a commit or a grace period
    bool added, deleted;      // of the change that is not committed yet
};

// A worker's own counters of a rule.
struct policy_counters {
    uint64_t packets, bytes, used; // used: TSC
};

static inline const struct policy_actions *policy_actions_at(const struct policy_rule *rule,
                                                             uint64_t version)
{
    const struct policy_actions *actions = load_acquire(&rule->actions);

    while (unlikely(__atomic_load_n(&actions->version, __ATOMIC_RELAXED) > version))
        actions = actions->older;
    return actions;
}

// policy_actions.c: does the actions of one rule, in order. What they drop is counted at `in`.
enum policy_verdict policy_execute(struct worker *w, struct port *in, struct policy_packet *pp,
                                   const struct action *actions, unsigned n);
// Refuses with -EINVAL what contradicts itself (an action after the final one, pop_vlan of a frame
// that the match says is untagged, ...) or is beyond a limit.
int policy_actions_check(const struct rule *rule, char **error);

// policy_key.c: fills in key and offsets from the frame of pp->packet, and the packet's l3_len;
// in_port as in the frame's key. Returns DROP_N, or why the frame is unsound (cut short).
enum drop_reason policy_key_init(struct policy_packet *pp, uint16_t in_port);
// The same for packets that parse has found sound.
void policy_key4(struct policy_packet *pp, uint16_t in_port);
// As policy_key_init.
enum drop_reason policy_key6(struct policy_packet *pp, uint16_t in_port);

// policy_stage.c: takes the bursts of IP packets through the tables; what is to go on stays in
// them. Not called where the operator has no rules (w->policy_version is 0).
void policy(struct worker *w, struct burst *b);
// One packet from pp->table on, its key filled in. Returns POLICY_NORMAL or POLICY_DONE.
enum policy_verdict policy_run(struct worker *w, struct port *in, struct policy_packet *pp);
// One frame that is not (plain) IPv4 or IPv6, or is neighbour discovery: ARP, ND, VLAN-tagged,
// other EtherTypes, IP to a group address. True: the caller goes on with it as if there were no
// policy; false: it was taken.
bool policy_admits(struct worker *w, struct port *port, struct rte_mbuf *m);

// policy.c: the rule that pp matches in the operator's table pp->table now, as it was added,
// without counting; for the control thread. False: none.
bool policy_find(const struct policy_packet *pp, struct rule *rule);
// What a miss in the operator's table 0 does.
bool policy_miss_is_normal(void);

// punt.c: a packet-in: (the beginning of) the frame goes to the control thread, rate-limited. The
// frame stays the caller's; what was handed over counts as originated and punted.
void policy_packet_in(struct worker *w, struct port *in, const struct policy_packet *pp,
                      const struct action *punt);

// Sends a frame as it stands out of a port and takes it over. What does not go is counted at `in`,
// or where the port is gone at that. `in_port`: it may be the port that it came in by.
static inline void policy_output(struct worker *w, const struct port *in, struct rte_mbuf *m,
                                 uint16_t out, unsigned vlans, bool in_port)
{
    const struct port *port = load_acquire(&dp.ports[out]);

    if (unlikely(out == in->no && !in_port)) {
        drop(w, in, m, DROP_policy_in_port);
    } else if (unlikely(!port)) {
        w->counters[out].drops[DROP_port_gone]++;
        rte_pktmbuf_free(m);
    } else if (unlikely(m->pkt_len > RTE_ETHER_HDR_LEN + vlans * RTE_VLAN_HLEN + port->mtu)) {
        drop(w, in, m, DROP_too_big);
    } else {
        output(w, out, m);
    }
}

// policy_group.c, policy_meter.c
struct policy_group;
const struct policy_group *policy_group_find(uint32_t id);
// False: the packet is over the meter's rate, to be dropped.
bool policy_meter_take(struct worker *w, uint32_t id, uint32_t frame_len);
