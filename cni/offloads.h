/* SPDX-License-Identifier: Apache-2.0 */
// What a network device leaves to "hardware" when it sends.
#pragma once

#include "cni/error.h"

// Turns off every transmit checksum, segmentation and VLAN offload of an interface. ioctl_socket:
// any socket of the interface's network namespace.
int offloads_disable(int ioctl_socket, const char *ifname, struct cni_error *error);
