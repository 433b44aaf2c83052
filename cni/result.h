/* SPDX-License-Identifier: Apache-2.0 */
// The result of ADD: CNI spec 1.1.0, section "ADD Success", and its older forms.
#pragma once

#include "cni/args.h"
#include "cni/conf.h"
#include "cni/net.h"
#include "cni/veth.h"

// The result: what prevResult holds (an ADD is one of a chain), then ours. dns: the IPAM plugin's,
// NULL if there is none; the configuration's goes before it.
struct json *result_make(const struct cni_conf *conf, const struct cni_args *args,
                         const struct veth *veth, const struct cni_net *net,
                         const struct json *dns);
// A result in another version's form.
struct json *result_convert(const struct json *result, const char *version);
// The index in "interfaces" of the pod's end; -1 if it is not there. *mac: its "mac", NULL if there
// is none.
int result_find_interface(const struct json *result, const struct cni_args *args, const char **mac);
