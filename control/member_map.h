/* SPDX-License-Identifier: Apache-2.0 */
// Which uplinks a range's flows leave by, and how the buckets of the flow hash are shared out among
// them. Pure functions: no ports, no clock.
#pragma once

#include <stdbool.h>

#include "dataplane/dataplane.h"

// An uplink, as the choice for one range sees it.
struct member {
    uint16_t port;
    bool carrier;
    bool answers; // the range's gateway answers there now
    bool known;   // its MAC was learned there at some time
    struct rte_ether_addr gateway_mac;
};

enum member_choice {
    MEMBERS_ANSWERING, // all with carrier and a gateway that answers
    MEMBERS_LAST_GOOD, // no gateway answers anywhere: those with carrier that were good last
    MEMBERS_NONE,      // nothing to send by
};

// Decides which members are in use; in_use[] holds the last decision and is overwritten with the
// new one. When every probe fails at once, the fault is more likely ours or the gateway's ARP than
// both paths': what worked last goes on being used.
enum member_choice members_choose(const struct member *members, unsigned n, bool *in_use);

// Fills one range's part of the member map from the members in use. A member that leaves gives up
// its own buckets and moves no others; when it comes back it gets the same ones again. True if this
// changed the map.
bool members_fill(const struct member *members, unsigned n, const bool *in_use,
                  struct dp_member_map *map, unsigned range);
