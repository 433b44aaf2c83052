/* SPDX-License-Identifier: Apache-2.0 */
// What the runtime says by environment variables: CNI spec 1.1.0, section "Parameters".
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cni/error.h"

// Which variables a verb must have.
enum {
    CNI_NEEDS_ATTACHMENT = 1 << 0, // CNI_CONTAINERID and CNI_IFNAME
    CNI_NEEDS_NETNS = 1 << 1,
};

struct cni_args {
    const char *container_id;
    const char *ifname;
    const char *netns; // "" if the verb may do without and there is none
    const char *path;  // CNI_PATH, "" if there is none
    bool has_mac;      // CNI_ARGS: MAC
    uint8_t mac[6];
    char pod[256]; // CNI_ARGS: K8S_POD_NAMESPACE/K8S_POD_NAME; "" if not given
    int lock;      // -1; the caller's to set, see lock.h
};

// Reads and checks the environment, whose strings *args points to.
int cni_args_read(struct cni_args *args, unsigned needs, struct cni_error *error);
