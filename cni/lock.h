/* SPDX-License-Identifier: Apache-2.0 */
// One verb at a time for an attachment. Runtimes promise that, but one that has killed an ADD at
// its deadline sends the DEL while the IPAM plugin that ADD started may still be allocating: the
// lock is handed to it, and so DEL waits for its end.
#pragma once

#include "cni/error.h"

// Waits for the lock of the attachment that has this host end; CNI_TRY_AGAIN if it does not come.
// *fd holds it until the last process that has it open ends; it is close-on-exec.
int lock_take(const char *host_name, int *fd, struct cni_error *error);
