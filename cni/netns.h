/* SPDX-License-Identifier: Apache-2.0 */
// A pod's network namespace, entered for moments only: the process works from the node's and keeps
// sockets that were opened in the pod's. It has one thread, so that setns() concerns nobody else.
#pragma once

#include "cni/error.h"

// Opens a namespace by its path, close-on-exec. Refuses what is no network namespace, and the
// plugin's own: there a pod's addresses and default route would become the node's.
int netns_open(const char *path, int *fd, struct cni_error *error);
// Calls fn in the namespace and returns what it returned. Aborts if there is no way back.
int netns_call(int fd, int (*fn)(void *arg, struct cni_error *error), void *arg,
               struct cni_error *error);
