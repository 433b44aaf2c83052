/* SPDX-License-Identifier: Apache-2.0 */
// The veth pair: its host end is the daemon's port, its other end the pod's interface.
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "cni/args.h"
#include "cni/error.h"

struct nl_sock;

struct veth {
    char name[IFNAMSIZ]; // of the host end
    uint8_t host_mac[6]; // as the kernel made it
    uint8_t mac[6];      // of the pod's end
    unsigned mtu;
};

// The host end's name, `sl` and 13 characters, and a locally administered MAC address for the pod's
// end. Both are functions of container id and interface name, so that DEL finds what ADD made with
// nothing stored.
void veth_identify(const struct cni_args *args, char name[IFNAMSIZ], uint8_t mac[6]);

// A netlink socket in the namespace the process is in; nl_socket_free() frees it.
int veth_socket(struct nl_sock **nl, struct cni_error *error);

// Makes the pair, one end directly in the pod's namespace as args->ifname, both down. Reads
// veth->name, mac and mtu.
int veth_create(struct nl_sock *nl, const struct veth *veth, const struct cni_args *args, int netns,
                struct cni_error *error);
// Makes the host end a port and nothing else: the node's own stack must not speak there. Sets it up
// and writes veth->host_mac.
int veth_setup_host(struct nl_sock *nl, struct veth *veth, const struct cni_args *args,
                    struct cni_error *error);
// Succeeds once there is no such pair; one that stays is an error.
int veth_wait_gone(struct nl_sock *nl, const char *name, struct cni_error *error);
// Deletes the pair; what is gone already is fine.
int veth_delete(struct nl_sock *nl, const char *name, struct cni_error *error);
