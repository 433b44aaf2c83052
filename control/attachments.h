/* SPDX-License-Identifier: Apache-2.0 */
// Attachments: the ports of pods and of the host, their rules, and that they are on disk. The host
// (`host:` in the node file) is an attachment that is in no state file.
#pragma once

#include <stdbool.h>

#include "config/config.h"
#include "config/state.h"
#include "control/fault.h"
#include "control/params.h"
#include "control/rules.h"
#include "dataplane/dataplane.h"
#include "openvswitch/hmap.h"

// Pods have the port numbers after the uplinks'; the host has the last.
#define PORT_POD_FIRST ((uint16_t)(CONFIG_UPLINKS_MAX + 1))
#define PORT_HOST      ((uint16_t)PORT_MAX)

struct attached {
    struct hmap_node by_key, by_device;
    struct attached_address {
        struct hmap_node node;
        const struct attached *attached;
        const struct in6_addr *address;
    } by_address[STATE_ADDRESSES_MAX];
    struct attachment attachment;
    enum dp_port_kind kind;
    bool up;                              // the port is open and the rules forward
    char *reason;                         // why it is not up; NULL if it is
    int ifindex;                          // of the netdev the port is on; 0: none
    uint16_t ranges[STATE_ADDRESSES_MAX]; // of each address
    struct held_rule *guards[STATE_ADDRESSES_MAX], *forwards[STATE_ADDRESSES_MAX];
    long long tried_ms; // when it was last tried to open it, if it is not up
    bool appeared;      // its netdev, since then
};

// Opens the host's port and every attachment in the state. An attachment whose device is not there
// is kept, is `down`, and comes up when the device appears. `config` and `state` must outlive them.
int attachments_open(const struct config *config, struct state *state, char **error);
// Forgets them; the state stays, the rules are for rules_fini, and the ports are for dp_fini to
// close, which knows to keep pods' traffic away from the host's stack while there is no daemon.
void attachments_close(void);
// A netdev changed; see netdev.h.
void attachments_netdev_changed(int ifindex, const char *name, bool gone);
// The devices of some ports are gone; see uplinks.h. Their attachments stay, and packets to them
// are dropped.
void attachments_device_gone(const char *what);
// The device that devargs name is there: what is down for want of it is tried at once.
void attachments_device_appeared(const char *devargs);
// Tries again what is down. Returns when to be called again.
long long attachments_run(long long now_ms);

// Each returns 0, or -1 with *fault and everything as it was.

// When it returns, the guard is on, the attachment is on disk, its rules forward. The same
// attachment again gives the same port. mtu 0 is the node's.
int attachments_attach(const struct attachment *attachment, const struct attached **attached,
                       struct fault *fault);
// *detached is false if there was nothing.
int attachments_detach(const char *container_id, const char *ifname, bool *detached,
                       struct fault *fault);
int attachments_check(const struct check_params *check, struct fault *fault);

// By port number; NULL if there is none.
const struct attached *attachments_get(uint16_t port);
// The n-th address, counted from 0, of an attachment that is up in a range. False: there are fewer.
bool attachments_address(unsigned range, unsigned n, struct in6_addr *address);
