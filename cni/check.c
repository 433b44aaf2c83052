/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <string.h>
#include <unistd.h>

#include <netlink/netlink.h>
#include <netlink/route/link.h>

#include "cni/daemon.h"
#include "cni/ipam.h"
#include "cni/netns.h"
#include "cni/pod.h"
#include "cni/result.h"
#include "cni/verbs.h"
#include "config/address.h"

static int check_host(const char *name, int *ifindex, struct cni_error *error)
{
    struct rtnl_link *link = NULL;
    struct nl_sock *nl;
    int err = veth_socket(&nl, error);

    if (err)
        return err;
    err = rtnl_link_get_kernel(nl, 0, name, &link);
    if (err)
        err = cni_fail(error, CNI_UNHEALTHY, "the node's %s: %s", name, nl_geterror(err));
    else if (!(rtnl_link_get_flags(link) & IFF_UP))
        err = cni_fail(error, CNI_UNHEALTHY, "the node's %s is down", name);
    else
        *ifindex = rtnl_link_get_ifindex(link);
    rtnl_link_put(link);
    nl_socket_free(nl);
    return err;
}

static int check_pod(const struct cni_args *args, const struct veth *veth,
                     const struct cni_net *net, struct cni_error *error)
{
    struct pod pod = {.ioctl_socket = -1};
    int netns, host_ifindex = 0;
    int err = check_host(veth->name, &host_ifindex, error);

    if (!err)
        err = netns_open(args->netns, &netns, error);
    if (err)
        return err;
    err = pod_open(&pod, netns, args->ifname, error);
    if (!err)
        err = pod_check(&pod, host_ifindex, veth->mac, net, error);
    pod_close(&pod);
    close(netns);
    return err;
}

// Keeps the routes by the pod's own gateways: others in prevResult belong to other plugins of the
// chain.
static void keep_own_routes(struct cni_net *net)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < net->n_routes; i++)
        for (unsigned j = 0; j < net->n_ips; j++)
            if (IN6_ARE_ADDR_EQUAL(&net->routes[i].gateway, &net->ips[j].gateway)) {
                net->routes[kept++] = net->routes[i];
                break;
            }
    net->n_routes = kept;
}

int cni_check(const struct cni_conf *conf, const struct cni_args *args, struct cni_error *error)
{
    struct cni_net net = {0};
    struct veth veth;
    const char *mac;
    int interface, err;

    if (!conf->prev_result)
        return cni_fail(error, CNI_INVALID_CONFIG, "prevResult is missing");
    interface = result_find_interface(conf->prev_result, args, &mac);
    if (interface < 0)
        return cni_fail(error, CNI_INVALID_CONFIG, "prevResult: interfaces: there is no %s",
                        args->ifname);
    veth_identify(args, veth.name, veth.mac);
    if (!mac || mac_parse(mac, veth.mac))
        return cni_fail(error, CNI_INVALID_CONFIG,
                        "prevResult: interfaces: %s: mac: not an address", args->ifname);
    err = cni_net_parse(conf->prev_result, interface, &net, error);
    if (!err) {
        keep_own_routes(&net);
        err = check_pod(args, &veth, &net, error);
    }
    if (!err)
        err = daemon_check(conf, args, &veth, &net, error);
    cni_net_free(&net);
    if (!err && conf->ipam_type)
        err = ipam_check(conf, args, error);
    return err;
}
