/* SPDX-License-Identifier: Apache-2.0 */
// What goes wrong with net_esw, on demand: limits and faults, by devargs and by the control socket,
// with the same names. Deterministic by seed. See docs/net-esw.md.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <rte_flow.h>

#include "offload/esw/table.h"

struct esw;

// All under esw.lock.
struct esw_faults {
    uint32_t max_rules;                                      // 0: as many as there is memory for
    uint32_t latency_us;                                     // of each create and destroy
    uint32_t refuse_every;                                   // n: each n-th create; 0: none
    uint32_t again_every;                                    // the same, with EAGAIN
    uint32_t refuse_permille, lose_permille, alter_permille; // of creates, at random
    uint32_t counters_stuck;                                 // 1: they stay as they are
    uint32_t counter_lag_ms;                                 // they are shown each so many
    uint32_t play;                                           // 1: files and generators give packets
    uint32_t queue_stuck;                                    // 1: nothing of a flow queue is done
    uint32_t links_down; // bit 0 and 1: the wires, from bit 2 on: the first VFs
    uint64_t without;    // items and actions that are not taken, bits of fault.c's table
    uint64_t random;

    uint32_t n_creates; // since a number was set
    uint64_t n_refused, n_lost, n_altered, n_extra;
};

void esw_fault_init(struct esw_faults *faults);
// Sets one of the names. -ENOENT: no such name; -EINVAL: no such value.
int esw_fault_set(struct esw_faults *faults, const char *name, const char *value);

// Is the name that of a number? *max is the greatest that it may be.
bool esw_fault_max(const char *name, uint32_t *max);

// May the rule be had at all, as validate sees it? 0, or -ENOTSUP with *error set.
int esw_fault_capable(const struct esw_faults *faults, const struct rte_flow_item pattern[],
                      const struct rte_flow_action actions[], struct rte_flow_error *error);
// Does this create fail, of a device that has n rules? 0, or a negative errno with *error set.
int esw_fault_refuse(struct esw_faults *faults, unsigned n, struct rte_flow_error *error);
// Is the rule lost although create says that it is there?
bool esw_fault_lose(struct esw_faults *faults);
// Changes what the rule does; the first: perhaps.
void esw_fault_alter(struct esw_faults *faults, struct esw_program *program, unsigned n_ports);
void esw_fault_alter_now(struct esw_faults *faults, struct esw_program *program, unsigned n_ports);
// From 0 to n - 1.
uint32_t esw_fault_random(struct esw_faults *faults, uint32_t n);

// control.c: the socket, a Unix datagram one. Both for the e-switch's thread or when there is none.
int esw_control_open(struct esw *esw, const char *path);
void esw_control_close(struct esw *esw);
void esw_control_receive(struct esw *esw);
