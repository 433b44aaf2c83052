/* SPDX-License-Identifier: Apache-2.0 */
// The daemon's part of an attachment, over its control socket: docs/control-socket.md.
// A daemon that does not answer is CNI_TRY_AGAIN.
#pragma once

#include "cni/args.h"
#include "cni/conf.h"
#include "cni/net.h"
#include "cni/veth.h"

// Attaches; the gateways go into net->ips. *refused tells of a failure that the daemon surely
// attached nothing.
int daemon_attach(const struct cni_conf *conf, const struct cni_args *args, const struct veth *veth,
                  struct cni_net *net, bool *refused, struct cni_error *error);
// Detaching what is not attached succeeds; *detached tells which it was.
int daemon_detach(const struct cni_conf *conf, const struct cni_args *args, bool *detached,
                  struct cni_error *error);
int daemon_check(const struct cni_conf *conf, const struct cni_args *args, const struct veth *veth,
                 const struct cni_net *net, struct cni_error *error);
// CNI_NOT_AVAILABLE if the daemon does not answer.
int daemon_status(const struct cni_conf *conf, struct cni_error *error);
