/* SPDX-License-Identifier: Apache-2.0 */
// The OpenFlow switch br0: what operators and controllers see of the daemon. All functions are for
// the control thread. The rest of this folder is for nobody else; OVS's internals stay in it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/config.h"
#include "config/state.h"

// Makes the switch and brings back its rules, groups and meters, before ports are there; nobody can
// connect yet. `config` and `state` must outlive it.
int openflow_open(const struct config *config, struct state *state, char **error);
// Listens at br0.mgmt and br0.snoop in the control socket's folder and where the node file says so,
// and connects to its controllers.
int openflow_listen(char **error);
// The rules stay in the state. Right after any part of openflow_open.
void openflow_close(void);

// Takes requests, sends packet-ins, expires rules, follows the ports. True if there were
// packet-ins.
bool openflow_run(void);
void openflow_wait(void);
// A netdev changed; see control/netdev.h.
void openflow_netdev_changed(const char *name);

struct openflow_status {
    uint64_t datapath_id;
    unsigned listeners;              // beside br0.mgmt
    unsigned controllers, connected; // configured; with a connection that is up
    unsigned groups, meters;
    bool durable; // false: the state could not be written; see the log
};
// False if there is no switch.
bool openflow_status(struct openflow_status *status);
// Adds what it takes to a list of names and numbers (OVS's memory/show).
struct simap;
void openflow_memory(struct simap *usage);

// A frame in a flow's text form ("tcp,nw_src=10.1.10.5,tp_dst=80"), of a port's packets: if
// *in_port is PORT_NONE, of that which the text names, if any. MAC addresses and a TTL that the
// text leaves open are those that the port's packets have. The frame is for free(). -EINVAL: *error
// says why.
int openflow_compose(const char *flow, uint16_t *in_port, void **frame, size_t *size, char **error);
