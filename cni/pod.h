/* SPDX-License-Identifier: Apache-2.0 */
// The pod's end of an attachment, in the pod's network namespace.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cni/error.h"
#include "cni/net.h"

struct nl_sock;

struct pod {
    const char *ifname;
    int netns;
    struct nl_sock *nl; // both opened in the namespace
    int ioctl_socket;
    int ifindex; // 0 until pod_find
};

// Opens sockets in a namespace. Close with pod_close, also after an error.
int pod_open(struct pod *pod, int netns, const char *ifname, struct cni_error *error);
void pod_close(struct pod *pod);

// Sets *found and, if it is there, pod->ifindex.
int pod_find(struct pod *pod, bool *found, struct cni_error *error);
// Turns off what makes the kernel hand over unfinished packets.
int pod_disable_offloads(struct pod *pod, struct cni_error *error);
// Adds the addresses, sets the interface up, adds the routes to the gateways and by them.
int pod_configure(struct pod *pod, const struct cni_net *net, struct cni_error *error);

// CNI_UNHEALTHY unless the interface is there and up, has this MAC address, is the other end of the
// node's interface `host_ifindex`, and has at least these addresses and routes.
int pod_check(struct pod *pod, int host_ifindex, const uint8_t mac[6], const struct cni_net *net,
              struct cni_error *error);
