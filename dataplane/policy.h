/* SPDX-License-Identifier: Apache-2.0 */
// The policy stage: the operator's tables, between guard and forward. policy.c finds rules for the
// packets, policy_actions.c does what they say. Nothing outside this folder includes it.
#pragma once

#include "dataplane/classifier.h"
#include "dataplane/internal.h"

// A packet in the policy stage: its key is kept equal to its headers while actions change them.
struct policy_packet {
    struct match_key key;
    struct packet *packet; // of the burst; for frames that are not IP one of its own
    bool ip;               // an IPv4 or IPv6 packet that parse took, so that NORMAL can forward it
    uint8_t vlans;         // tags before the network header
    uint16_t l3, l4;       // offsets of the network and the transport header; l4 0: none
    uint8_t table;         // the operator's; where it is, or is to go
    uint64_t cookie;       // of the rule whose actions are done
};

enum policy_verdict {
    POLICY_GOTO,   // on to pp->table
    POLICY_NORMAL, // on to the forward stage
    POLICY_DONE,   // the frame was sent, dropped or handed over: taken
};

// policy_actions.c: does the actions of one rule, in order. What they drop is counted at `in`.
enum policy_verdict policy_execute(struct worker *w, struct port *in, struct policy_packet *pp,
                                   const struct action *actions, unsigned n);
// Refuses with -EINVAL what contradicts itself (an action after the final one, pop_vlan of a frame
// that the match says is untagged, ...) or is beyond a limit.
int policy_actions_check(const struct rule *rule, char **error);

// policy_key.c: fills in key and offsets from the frame of pp->packet. false: it cannot be
// classified (cut short); the caller drops it.
bool policy_key_init(struct policy_packet *pp, uint16_t in_port);

// policy.c: takes the bursts of IP packets through the tables; what is to go on stays in them.
// Returns at once where the operator has no rules.
void policy4(struct worker *w, struct burst *b);
void policy6(struct worker *w, struct burst *b);
// One frame that is not (plain) IPv4 or IPv6, or is neighbour discovery: ARP, ND, VLAN-tagged,
// other EtherTypes. True: the caller goes on with it as if there were no policy; false: it was
// taken.
bool policy_admits(struct worker *w, struct port *port, struct rte_mbuf *m);

// policy_group.c, policy_meter.c
struct policy_group;
const struct policy_group *policy_group_find(uint32_t id);
// False: the packet is over the meter's rate, to be dropped.
bool policy_meter_take(struct worker *w, uint32_t id, uint32_t frame_len);
