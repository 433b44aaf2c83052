/* SPDX-License-Identifier: Apache-2.0 */
#include "cni/daemon.h"
#include "cni/ipam.h"
#include "cni/verbs.h"

// Could an ADD succeed now?
int cni_status(const struct cni_conf *conf, const struct cni_args *args, struct cni_error *error)
{
    int err = daemon_status(conf, error);

    if (!err && conf->ipam_type)
        err = ipam_status(conf, args, error);
    return err;
}
