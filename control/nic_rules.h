/* SPDX-License-Identifier: Apache-2.0 */
// What software does without rules, as rules for the NIC: so that it forwards what comes in by
// uplinks and what leaves by them, too.
#pragma once

#include "config/config.h"
#include "control/rules.h"
#include "dataplane/dataplane.h"

// What holds for all ports.
void nic_rules_init(void);
// What comes in by an uplink, addressed to the node's MAC.
void nic_rules_uplink(unsigned i, uint16_t port, const struct rte_ether_addr *mac);
// The uplink is about to be closed.
void nic_rules_uplink_gone(unsigned i);
// The member map changed.
void nic_rules_members(const struct config *config, const struct dp_member_map *map);
