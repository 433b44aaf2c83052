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
    ESW_OP_ADD_TTL,      // number, modulo 256
    ESW_OP_SET_TTL,      // number
    ESW_OP_PUSH_VLAN,    // tpid
    ESW_OP_SET_VLAN_VID, // tci
    ESW_OP_SET_VLAN_PCP, // tci
    ESW_OP_POP_VLAN,
    ESW_OP_TO_WIRE_OR_VF, // port
    ESW_OP_TO_APP,        // port
    ESW_OP_JUMP,          // number
    ESW_OP_DROP,
};

struct esw_op {
    enum esw_op_type type;
    union {
        struct rte_ether_addr mac;
        uint32_t number;
        uint16_t port; // index
        rte_be16_t tpid, tci;
    };
};

#define ESW_OPS_MAX 16

// What a rule matches and does; made by parse.c.
struct esw_program {
    uint32_t group, priority;
    struct esw_key key, mask; // key has no bit outside mask
    bool from_app;            // matches what an ethdev sends
    bool count, age;
    uint32_t age_timeout; // seconds
    void *age_context;
    unsigned n_ops;
    struct esw_op ops[ESW_OPS_MAX];
};

// One rule: rte_flow's handle.
struct rte_flow {
    TAILQ_ENTRY(rte_flow) next; // of all
    struct rte_flow *chain;     // of its hash bucket
    uint32_t hash;
    uint64_t serial; // of two rules that match alike, the older wins
    uint16_t owner;  // index of the port on whose ethdev it was created
    uint64_t hits, bytes;
    uint64_t last_hit_tsc;
    bool aged;  // told of
    bool there; // in the table: not lost by a fault
    struct esw_program program;
};

struct esw_table;

struct esw_table *esw_table_create(void);
void esw_table_free(struct esw_table *table); // not its rules
unsigned esw_table_size(const struct esw_table *table);
// -EEXIST if a rule with the same group, priority, key and mask is there; -ENOMEM.
int esw_table_add(struct esw_table *table, struct rte_flow *flow);
void esw_table_del(struct esw_table *table, struct rte_flow *flow);
// The rule with the lowest priority number that matches, or NULL.
struct rte_flow *esw_table_find(const struct esw_table *table, uint32_t group,
                                const struct esw_key *key);
