/* SPDX-License-Identifier: Apache-2.0 */
// The policy stage: the operator's tables, between guard and forward. policy.c holds the rules and
// their versions, policy_stage.c finds rules for the packets, policy_actions.c does what they say.
// Nothing outside this folder includes it.
#pragma once

#include <sys/queue.h>

#include "dataplane/classifier.h"
#include "dataplane/internal.h"

#define POLICY_RULES_MAX 262144

// What the workers read of the operator's tables.
struct policy {
    uint64_t version; // what packets see: rules of this version; 0: no rules, and a miss is NORMAL
    bool miss_drops;  // of table 0
    uint32_t n_rules[POLICY_TABLES]; // in the classifier, whatever their version
    struct classifier *classifier[POLICY_TABLES];
} __rte_cache_aligned;
extern struct policy policy;

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
    bool eth_set;          // a rule has changed a MAC address, see came_to
    uint8_t vlans;         // tags before the network header
    uint16_t l3, l4;       // offsets of the network and the transport header; l4 0: none
    uint8_t table;         // the operator's; where it is, or is to go
    enum policy_verdict verdict;
    uint64_t cookie;                          // of the rule whose actions are done
    struct rte_ether_addr came_to, came_from; // if eth_set: what the MAC addresses were before
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
    struct policy_actions *older;
    struct policy_actions *next; // among those that wait for a grace period
    uint64_t cookie;
    uint8_t shape; // enum policy_shape
    uint8_t table; // of goto
    uint8_t of;    // the operator's table that the rule is in
    uint16_t port; // of output
    uint8_t n;
    struct action actions[];
};

// What a worker reads of a rule that a packet matches is in its first cache line.
struct policy_rule {
    struct policy_actions *actions;
    uint32_t slot;
    uint16_t priority;
    uint8_t table; // the operator's
    struct cls_rule cls;
    bool changed, added, deleted;   // since the last commit
    TAILQ_ENTRY(policy_rule) entry; // among those changed, or those that wait for a grace period
} __rte_cache_aligned;

static inline const struct policy_rule *policy_rule_of(const struct cls_rule *cls)
{
    return RTE_PTR_SUB(cls, offsetof(struct policy_rule, cls));
}

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

// policy_key.c: fills in key and offsets, and the packet's l3_len, from the frame of pp->packet.
// The key's metadata and registers stay what they are. Returns DROP_N, or why the frame is unsound.
enum drop_reason policy_key_init(struct policy_packet *pp, uint16_t in_port);
// The same for packets that parse has found sound, and the key whole: metadata and registers are 0.
void policy_key4(struct policy_packet *pp, uint16_t in_port);
enum drop_reason policy_key6(struct policy_packet *pp, uint16_t in_port);

// policy_stage.c: takes the bursts of IP packets through the tables; what is to go on stays in
// them. Not called where the operator has no rules (w->policy_version is 0).
void policy_input(struct worker *w, struct burst *b);
// One packet from pp->table on, its key filled in. Returns POLICY_NORMAL or POLICY_DONE.
enum policy_verdict policy_run(struct worker *w, struct port *in, struct policy_packet *pp);
// One frame that is not (plain) IPv4 or IPv6, or is neighbour discovery: ARP, ND, VLAN-tagged,
// other EtherTypes, IP to a group address. True: the caller goes on with it, which may be another
// buffer now, as if there were no policy; false: it was taken.
bool policy_admits(struct worker *w, struct port *port, struct rte_mbuf **m);
// A frame that has been through the tables, or is not to go there, takes the stages before and
// behind them as what it is now; not counted as received.
void policy_bypass(struct worker *w, struct port *port, struct rte_mbuf *m);

// policy.c: the rule as it was added, its actions those of this version; for the control thread.
void policy_rule_describe(const struct policy_rule *rule, uint64_t version, struct rule *described);
int policy_init(char **error);
void policy_fini(void);

// punt.c: a packet-in: (the beginning of) the frame goes to the control thread, rate-limited. With
// `take` that is the end of the frame, which is taken over and counted as punted or why not; else
// the frame stays the caller's, and the copy counts as originated as well.
void policy_packet_in(struct worker *w, struct port *in, const struct policy_packet *pp,
                      const struct action *action, bool take);

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
