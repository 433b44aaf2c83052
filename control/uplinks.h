/* SPDX-License-Identifier: Apache-2.0 */
// The uplinks: their ports, their carrier, which range's gateway answers on which of them, and the
// member map that follows from it.
#pragma once

#include <stdbool.h>

#include "config/config.h"
#include "control/gateway.h"
#include "dataplane/dataplane.h"

// Uplinks have the port numbers 1 and 2, whether the node has one or two.
#define UPLINK_PORT(i) ((uint16_t)((i) + 1))

struct uplink {
    const struct config_device *device;
    uint16_t port;
    bool open;
    bool carrier;
    int ifindex;  // 0: no kernel netdev
    char *reason; // why it is not open; NULL if it is
    char *gone;   // that its device was unplugged and when; NULL if it was not
    struct gateway gateways[CONFIG_RANGES_MAX];
    bool in_use[CONFIG_RANGES_MAX];
    long long retry_ms;  // try to open it again, if it is not open
    unsigned backoff_ms; // after the next time that it fails
    long long probe_ms;  // the next round of probes
    unsigned eager;      // rounds left at a short interval
};

// Opens the uplinks. One that is not there is waited for; fails if none can be opened, or the first
// could not be, whose MAC is the node's. `config` must outlive the uplinks.
int uplinks_open(const struct config *config, char **error);
// Forgets them; their ports are for dp_fini to close.
void uplinks_close(void);
unsigned uplinks_count(void);
const struct uplink *uplinks_get(unsigned i);
struct rte_ether_addr uplinks_node_mac(void);
// How many of the flow hash's buckets leave by uplink i towards the range's gateway.
unsigned uplinks_buckets(unsigned i, unsigned range);

// A netdev changed; see netdev.h.
void uplinks_netdev_changed(int ifindex, const char *name, bool gone);
// The devices of some ports are gone (dp_port_gone): closes the uplinks on them. `what` happened:
// "was unplugged at ...".
void uplinks_device_gone(const char *what);
// The uplink that has to be open before another port of its device can be; NULL: none has.
const struct uplink *uplinks_first_on(const char *devargs);
// A frame that a worker handed over.
void uplinks_punt(const struct dp_punt *punt, long long now_ms);
// Probes, watches links, announces. Returns when to be called again.
long long uplinks_run(long long now_ms);

// Announces an address on every uplink with carrier; and no more.
void uplinks_announce(unsigned range, const struct in6_addr *address, long long now_ms);
void uplinks_announce_cancel(const struct in6_addr *address);
