/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <netlink/netlink.h>

#include "cni/daemon.h"
#include "cni/ipam.h"
#include "cni/verbs.h"
#include "cni/veth.h"

// Needs neither the pod's namespace nor prevResult: the host end's name says which pair it is, and
// deleting one end deletes both.
int cni_del(const struct cni_conf *conf, const struct cni_args *args, struct cni_error *error)
{
    char name[IFNAMSIZ];
    uint8_t mac[6];
    struct nl_sock *nl;
    bool detached;
    int err;

    // With the daemon down this is "try again later" and nothing is touched: an address that was
    // given back while the daemon's state still holds it would be refused to the next pod.
    err = daemon_detach(conf, args, &detached, error);
    if (err)
        return err;
    err = veth_socket(&nl, error);
    if (err)
        return err;
    veth_identify(args, name, mac);
    err = veth_delete(nl, name, error);
    nl_socket_free(nl);
    if (!err && conf->ipam_type)
        err = ipam_del(conf, args, error);
    return err;
}
