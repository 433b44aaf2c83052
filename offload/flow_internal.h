/* SPDX-License-Identifier: Apache-2.0 */
// What flow.c (a rule's match) and flow_actions.c (what it does) share.
#pragma once

#include "offload/flow.h"

enum flow_family { FLOW_FAMILY_NONE, FLOW_FAMILY_IPV4, FLOW_FAMILY_IPV6 };

// -ENOTSUP with a copy of the sentence, or -ENOMEM.
int flow_refuse(char **error, const char *sentence);
// port_of's error with a sentence.
int flow_find_port(offload_port_fn *port_of, uint16_t no, struct offload_port *port, char **error);

// Does the rule set an address, or a port of TCP or UDP, which checksums of layer 4 go over?
bool flow_sets_address(const struct rule *rule);
bool flow_sets_port(const struct rule *rule);
// What follows COUNT. Sets flow->outputs and out_ethdev.
int flow_add_actions(const struct rule *rule, offload_port_fn *port_of, enum flow_family family,
                     const struct flow_way *way, struct flow *flow, char **error);
