/* SPDX-License-Identifier: Apache-2.0 */
// The manners of particular NICs, as their drivers' documents and sources tell them; net_esw's own
// (`ideal`) has none. Each constraint says where it is from: "guide" is DPDK's NIC guide of mlx5,
// function names are those of drivers/net/mlx5 of DPDK 22.11. All but the first under esw.lock.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_flow.h>

struct esw;
struct esw_port;
struct rte_flow;
struct rte_flow_queue_attr;

enum esw_mode {
    ESW_MODE_IDEAL,
    ESW_MODE_MLX5_SWS, // dv_flow_en=1
    ESW_MODE_MLX5_HWS, // dv_flow_en=2
};

// -EINVAL: no such mode.
int esw_mode_parse(const char *value, enum esw_mode *mode);
const char *esw_mode_name(enum esw_mode mode);

// Of an ethdev that is to be started or stopped: 0, -EAGAIN, -EINVAL or -EBUSY.
int esw_mode_check_start(const struct esw_port *port);
int esw_mode_check_stop(const struct esw_port *port);

// The others: 0, or a negative errno with *error set.
// Whether a rule can be made without templates.
int esw_mode_check_sync(const struct esw_port *port, bool create, struct rte_flow_error *error);
// Items and actions of a rule that is made without templates.
int esw_mode_check_rule(const struct esw_port *port, const struct rte_flow_item pattern[],
                        const struct rte_flow_action actions[], struct rte_flow_error *error);
// Any rule, once it is a program.
int esw_mode_check_program(const struct esw *esw, const struct rte_flow *flow,
                           struct rte_flow_error *error);
int esw_mode_check_configure(const struct esw_port *port, uint16_t n_queues,
                             const struct rte_flow_queue_attr *queues[], bool same,
                             struct rte_flow_error *error);
int esw_mode_check_template(const struct esw_port *port, bool transfer,
                            struct rte_flow_error *error);
int esw_mode_check_pattern(const struct esw_port *port, const struct rte_flow_item pattern[],
                           struct rte_flow_error *error);
int esw_mode_check_actions(const struct esw_port *port, const struct rte_flow_action actions[],
                           const struct rte_flow_action masks[], struct rte_flow_error *error);
// The order of a template's actions, which is found wrong when a table is made of it.
int esw_mode_check_order(const struct esw *esw, const struct rte_flow_action actions[],
                         struct rte_flow_error *error);

// What a queue that is full answers, a positive errno.
int esw_mode_queue_full(const struct esw *esw);
// A counter for the rule, if it has one; and back.
int esw_mode_take_counter(struct esw_port *port, const struct rte_flow *flow,
                          struct rte_flow_error *error);
void esw_mode_give_counter(struct esw *esw, const struct rte_flow *flow);
// Does a spec count with the bits outside its mask, so that the rule never hits?
bool esw_mode_spec_as_given(const struct esw *esw);
// Whether an item's range is taken: of its spec and last after its mask, so many bytes each.
int esw_mode_check_last(const struct esw *esw, const struct rte_flow_item *item, const void *spec,
                        const void *last, size_t size, struct rte_flow_error *error);
// Is a last that was let pass not looked at?
bool esw_mode_ignores_last(const struct esw *esw);
// Does a fragment_offset with this mask ask only whether the packet is a fragment, and if its spec
// after the mask is not 0, say that it is?
bool esw_mode_asks_if_fragment(const struct esw *esw, rte_be16_t mask);
// Are an ethdev's rules gone when it stops?
bool esw_mode_stop_ends_rules(const struct esw *esw);
