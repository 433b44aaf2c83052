/* SPDX-License-Identifier: Apache-2.0 */
// Address management, delegated to the plugin that the configuration names under "ipam": CNI spec
// 1.1.0, section "Plugin Delegation". That plugin may be of an older spec than the configuration:
// it is asked for its versions and called by the newest one it has that is not newer than ours.
#pragma once

#include "cni/args.h"
#include "cni/conf.h"
#include "cni/error.h"

// Errors of the IPAM plugin keep their code; their message says whose they are.

// Allocates; *result is the IPAM plugin's, for the caller to json_destroy. One that does not answer
// is told to release what it may have allocated.
int ipam_add(const struct cni_conf *conf, const struct cni_args *args, struct json **result,
             struct cni_error *error);
int ipam_del(const struct cni_conf *conf, const struct cni_args *args, struct cni_error *error);
int ipam_check(const struct cni_conf *conf, const struct cni_args *args, struct cni_error *error);
// Succeeds without asking where the IPAM plugin is too old to have the verb.
int ipam_status(const struct cni_conf *conf, const struct cni_args *args, struct cni_error *error);
