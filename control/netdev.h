/* SPDX-License-Identifier: Apache-2.0 */
// Kernel netdevs as far as the daemon watches them: is one there, has it carrier, is it gone.
#pragma once

#include <stdbool.h>

// Something happened to the netdev. `gone`: it left this network namespace. ifindex 0 and name
// NULL: notifications were lost, look at every netdev again.
typedef void netdev_changed_fn(int ifindex, const char *name, bool gone);

// 0, or a negative errno if the kernel cannot be listened to.
int netdev_watch(netdev_changed_fn *changed);
void netdev_unwatch(void);
void netdev_watch_run(void);
void netdev_watch_wait(void);

// 0 if there is none.
int netdev_index(const char *name);
bool netdev_carrier(const char *name);
