/* SPDX-License-Identifier: Apache-2.0 */
// The kernel's settings of one network interface, in the network namespace the process is in.
#pragma once

#include <stdbool.h>

#include "cni/error.h"

// Sets /proc/sys/net/FAMILY/conf/IFNAME/KEY; family is "ipv4" or "ipv6".
int sysctl_set(const char *family, const char *ifname, const char *key, const char *value,
               struct cni_error *error);
// Has the kernel no such family?
bool sysctl_missing(const char *family);
