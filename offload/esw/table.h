/* SPDX-License-Identifier: Apache-2.0 */
// net_esw's rule memory: rules by group, priority and masked key. Not thread-safe: esw.lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <rte_flow.h>

#include "offload/esw/packet.h"

enum esw_op_type {
    ESW_OP_SET_ETH_SRC,
    ESW_OP_SET_ETH_DST,
    ESW_OP_ADD_TTL,    // number, modulo 256
    ESW_OP_SET_TTL,    // number
    ESW_OP_SET_TOS,    // byte
    ESW_OP_SET_IP_SRC, // ip: 4 bytes if only IPv4, else 16
    ESW_OP_SET_IP_DST,
    ESW_OP_SET_L4_SRC, // l4
    ESW_OP_SET_L4_DST,
    ESW_OP_PUSH_VLAN,    // tpid
    ESW_OP_SET_VLAN_VID, // tci
    ESW_OP_SET_VLAN_PCP, // tci
    ESW_OP_POP_VLAN,
    ESW_OP_METER,         // the program's
    ESW_OP_TO_WIRE_OR_VF, // port
    ESW_OP_TO_APP,        // port
    ESW_OP_JUMP,          // number
    ESW_OP_DROP,
};

struct esw_op {
    enum esw_op_type type;
    uint8_t only_l3, only_l4; // of packets whose key has these; 0: of all
    union {
        struct rte_ether_addr mac;
        uint32_t number;
        uint16_t port; // index
        rte_be16_t tpid, tci, l4;
        uint8_t ip[16];
        struct {
            uint8_t value, mask;
        } byte;
    };
};

#define ESW_OPS_MAX 16

// What counts packets, for a rule or for many.
struct esw_counter {
    uint64_t hits, bytes;
    // As they were at the begin of the turn of the last hit; what a query tells.
    uint64_t shown_hits, shown_bytes, shown_cycle;
};

// What tells whether packets come, for a rule or for many.
struct esw_age {
    uint32_t timeout; // seconds
    void *context;
    uint64_t last_hit_tsc;
    bool aged;      // told of
    bool announced; // by an event
};

struct esw_meter;

// An indirect action, which rules may share: COUNT or AGE. In DPDK's words, its handle.
struct rte_flow_action_handle {
    TAILQ_ENTRY(rte_flow_action_handle) next; // of all
    enum rte_flow_action_type type;
    uint16_t owner; // index of the port on whose ethdev it was created
    unsigned users; // rules
    struct esw_counter counter;
    struct esw_age age;
};
TAILQ_HEAD(esw_handles, rte_flow_action_handle);

// A field of the key that is to be between two values, after its mask. A field of two bytes is in
// network byte order, these are numbers.
struct esw_range {
    uint16_t offset, size; // of the field
    uint16_t first, last, mask;
};

#define ESW_RANGES_MAX 4

// What a rule matches and does; made by parse.c.
struct esw_program {
    uint32_t group, priority;
    struct esw_key key, mask; // key has no bit outside mask
    unsigned n_ranges;        // of fields that are not in mask
    struct esw_range ranges[ESW_RANGES_MAX];
    bool from_app; // matches what an ethdev sends
    bool count, age;
    uint32_t age_timeout; // seconds
    void *age_context;
    // Shared with other rules, or NULL.
    struct rte_flow_action_handle *shared_count, *shared_age;
    struct esw_meter *meter;
    unsigned n_ops;
    struct esw_op ops[ESW_OPS_MAX];
};

// One rule: rte_flow's handle.
struct rte_flow {
    TAILQ_ENTRY(rte_flow) next; // of all
    struct rte_flow *chain;     // of its hash bucket
    uint32_t hash;
    uint64_t serial;                       // of two rules that match alike, the older wins
    uint16_t owner;                        // index of the port on whose ethdev it was created
    uint16_t queue;                        // of an asynchronous one
    struct rte_flow_template_table *table; // NULL: not asynchronous
    struct esw_counter counter;
    struct esw_age age;
    bool there; // in the table: not lost by a fault
    struct esw_program program;
};

struct esw_table;

// What becomes of a rule that matches as one that is there does.
enum esw_duplicates {
    ESW_DUPLICATES_REFUSED,
    ESW_DUPLICATES_OLDEST_WINS,
    ESW_DUPLICATES_NEWEST_WINS,
};

struct esw_table *esw_table_create(enum esw_duplicates duplicates);
void esw_table_free(struct esw_table *table); // not its rules
unsigned esw_table_size(const struct esw_table *table);
// -EEXIST if a rule with the same group, priority, key and mask is there and duplicates are
// refused; -ENOMEM.
int esw_table_add(struct esw_table *table, struct rte_flow *flow);
void esw_table_del(struct esw_table *table, struct rte_flow *flow);
// The rule with the lowest priority number that matches, or NULL.
struct rte_flow *esw_table_find(const struct esw_table *table, uint32_t group,
                                const struct esw_key *key);
