/* SPDX-License-Identifier: Apache-2.0 */
// The verbs of the CNI spec, one file each. They return 0 or -EIO with *error filled.
#pragma once

#include "cni/args.h"
#include "cni/conf.h"
#include "cni/error.h"

// Attaches a pod. Undoes everything, in reverse order, if anything fails. *result is for the caller
// to json_destroy.
int cni_add(const struct cni_conf *conf, const struct cni_args *args, struct json **result,
            struct cni_error *error);
// Detaches; what is gone already is fine. Nothing is freed before the daemon has let go of it.
int cni_del(const struct cni_conf *conf, const struct cni_args *args, struct cni_error *error);
int cni_check(const struct cni_conf *conf, const struct cni_args *args, struct cni_error *error);
int cni_status(const struct cni_conf *conf, const struct cni_args *args, struct cni_error *error);
