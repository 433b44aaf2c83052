/* SPDX-License-Identifier: Apache-2.0 */
// rte_flow's attributes, pattern and actions -> what the e-switch runs.
#pragma once

#include <rte_flow.h>

#include "offload/esw/esw.h"

// `port` is that on whose ethdev the rule is made. 0, or a negative errno with *error set.
int esw_parse(const struct esw_port *port, const struct rte_flow_attr *attr,
              const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
              struct esw_program *program, struct rte_flow_error *error);

// parse_actions.c

// Does the e-switch have the action?
bool esw_action_known(enum rte_flow_action_type type);
// Bytes of its configuration; 0: it has none.
size_t esw_action_conf_size(enum rte_flow_action_type type);
int esw_parse_actions(const struct esw_port *port, const struct rte_flow_action actions[],
                      struct esw_program *program, struct rte_flow_error *error);
