/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <string.h>
#include <unistd.h>

#include <netlink/netlink.h>

#include "cni/daemon.h"
#include "cni/ipam.h"
#include "cni/netns.h"
#include "cni/pod.h"
#include "cni/result.h"
#include "cni/verbs.h"
#include "cni/veth.h"
#include "openvswitch/json.h"

struct add {
    const struct cni_conf *conf;
    const struct cni_args *args;
    struct nl_sock *nl; // in the node's namespace
    struct pod pod;
    struct veth veth;
    struct json *ipam;
    struct cni_net net;
};

// Notes in *error what undoing could not do; the DEL that runtimes send after a failed ADD does the
// rest.
static void undo(int (*step)(const struct cni_conf *, const struct cni_args *, struct cni_error *),
                 struct add *add, struct cni_error *error)
{
    struct cni_error failed = {0};

    if (step(add->conf, add->args, &failed))
        cni_error_add(error, &failed);
}

static int detach(const struct cni_conf *conf, const struct cni_args *args, struct cni_error *error)
{
    bool detached;

    return daemon_detach(conf, args, &detached, error);
}

static int attach(struct add *add, struct cni_error *error)
{
    struct cni_error failed = {0};
    bool refused, found;
    int err = veth_create(add->nl, &add->veth, add->args, add->pod.netns, error);

    if (err)
        return err;
    err = pod_find(&add->pod, &found, error);
    if (!err)
        err = pod_disable_offloads(&add->pod, error);
    if (!err)
        err = veth_setup_host(add->nl, &add->veth, add->args, error);
    if (!err) {
        err = daemon_attach(add->conf, add->args, &add->veth, &add->net, &refused, error);
        if (!err)
            err = cni_net_complete_routes(&add->net, error);
        if (!err)
            err = pod_configure(&add->pod, &add->net, error);
        if (err && !refused)
            undo(detach, add, error);
    }
    if (err && veth_delete(add->nl, add->veth.name, &failed))
        cni_error_add(error, &failed);
    return err;
}

// A namespace that vanished takes the veth pair with it, and runtimes that notice send no DEL: they
// ADD with the same container id again. What the daemon and the IPAM plugin still hold for it is
// in the way then. True if there was something and it has gone.
static bool clear_leftovers(struct add *add)
{
    struct cni_error failed = {0};
    bool detached;

    if (!daemon_detach(add->conf, add->args, &detached, &failed) && detached &&
        !ipam_del(add->conf, add->args, &failed))
        return true;
    cni_error_free(&failed);
    return false;
}

static int allocate_and_attach(struct add *add, struct cni_error *error)
{
    int err = ipam_add(add->conf, add->args, &add->ipam, error);

    if (err && clear_leftovers(add)) {
        cni_error_free(error);
        err = ipam_add(add->conf, add->args, &add->ipam, error);
    }
    if (err)
        return err;
    err = cni_net_parse(add->ipam, -1, &add->net, error);
    if (!err && !add->net.n_ips)
        err = cni_fail(error, CNI_IPAM, "ipam %s: gave no address", add->conf->ipam_type);
    if (!err)
        err = attach(add, error);
    if (err)
        undo(ipam_del, add, error);
    return err;
}

static int open_pod(struct add *add, int *netns, struct cni_error *error)
{
    bool found;
    int err = netns_open(add->args->netns, netns, error);

    if (!err)
        err = pod_open(&add->pod, *netns, add->args->ifname, error);
    if (!err)
        err = pod_find(&add->pod, &found, error);
    if (!err && found)
        err = cni_fail(error, CNI_INVALID_ENVIRONMENT,
                       "CNI_IFNAME: %s is already in the network namespace %s", add->args->ifname,
                       add->args->netns);
    return err;
}

int cni_add(const struct cni_conf *conf, const struct cni_args *args, struct json **result,
            struct cni_error *error)
{
    struct add add = {.conf = conf, .args = args, .pod.ioctl_socket = -1};
    int netns = -1, err;

    if (!conf->ipam_type)
        return cni_fail(error, CNI_INVALID_CONFIG, "ipam is missing");
    veth_identify(args, add.veth.name, add.veth.mac);
    add.veth.mtu = conf->mtu;
    if (args->has_mac)
        memcpy(add.veth.mac, args->mac, sizeof add.veth.mac);
    if (conf->has_mac)
        memcpy(add.veth.mac, conf->mac, sizeof add.veth.mac);

    err = open_pod(&add, &netns, error);
    if (!err)
        err = veth_socket(&add.nl, error);
    if (!err)
        err = veth_wait_gone(add.nl, add.veth.name, error);
    if (!err)
        err = allocate_and_attach(&add, error);
    if (!err)
        *result = result_make(conf, args, &add.veth, &add.net, json_member(add.ipam, "dns"));
    cni_net_free(&add.net);
    json_destroy(add.ipam);
    nl_socket_free(add.nl);
    pod_close(&add.pod);
    if (netns >= 0)
        close(netns);
    return err;
}
