/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cni/netns.h"
#include "cni/offloads.h"
#include "cni/pod.h"
#include "cni/pod_route.h"
#include "cni/sysctl.h"
#include "cni/veth.h"
#include "config/address.h"
#include "util.h"

static int open_sockets(void *arg, struct cni_error *error)
{
    struct pod *pod = arg;

    pod->ioctl_socket = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (pod->ioctl_socket < 0)
        return cni_fail(error, CNI_KERNEL, "cannot open a socket in the pod: %s", strerror(errno));
    return veth_socket(&pod->nl, error);
}

int pod_open(struct pod *pod, int netns, const char *ifname, struct cni_error *error)
{
    *pod = (struct pod){.ifname = ifname, .netns = netns, .ioctl_socket = -1};
    return netns_call(netns, open_sockets, pod, error);
}

void pod_close(struct pod *pod)
{
    nl_socket_free(pod->nl);
    if (pod->ioctl_socket >= 0)
        close(pod->ioctl_socket);
}

int pod_find(struct pod *pod, bool *found, struct cni_error *error)
{
    struct rtnl_link *link = NULL;
    int err = rtnl_link_get_kernel(pod->nl, 0, pod->ifname, &link);

    *found = !err;
    if (!err) {
        pod->ifindex = rtnl_link_get_ifindex(link);
        rtnl_link_put(link);
    } else if (err != -NLE_NODEV && err != -NLE_OBJ_NOTFOUND) {
        return cni_fail(error, CNI_KERNEL, "cannot look for %s in the pod: %s", pod->ifname,
                        nl_geterror(err));
    }
    return 0;
}

int pod_disable_offloads(struct pod *pod, struct cni_error *error)
{
    // A veth pair passes packets on with the checksum left to "hardware", unsegmented and with the
    // VLAN tag aside, and its other end is no hardware but the daemon's port.
    return offloads_disable(pod->ioctl_socket, pod->ifname, error);
}

static int prepare_ipv6(void *arg, struct cni_error *error)
{
    // Runtimes turn IPv6 off in namespaces they make, but the pod's address asks for it. All it
    // needs is given here: router advertisements (RFC 4861) cannot reach it and nobody else can
    // have its addresses, the link-local one included, as it has the link for itself.
    static const struct {
        const char *key, *value;
    } settings[] = {{"disable_ipv6", "0"}, {"accept_ra", "0"}, {"accept_dad", "0"}};
    struct pod *pod = arg;
    int err = 0;

    for (size_t i = 0; !err && i < ARRAY_SIZE(settings); i++)
        err = sysctl_set("ipv6", pod->ifname, settings[i].key, settings[i].value, error);
    return err;
}

static int add_address(struct pod *pod, const struct in6_addr *ip, struct cni_error *error)
{
    struct rtnl_addr *address = rtnl_addr_alloc();
    struct nl_addr *local = pod_nl_addr(ip, 128);
    int err;

    rtnl_addr_set_ifindex(address, pod->ifindex);
    rtnl_addr_set_local(address, local);
    // Nobody else has the address: the daemon has seen to it. Duplicate address detection (RFC 4862
    // section 5.4) would only make the pod wait.
    if (!ip_is_mapped(ip))
        rtnl_addr_set_flags(address, IFA_F_NODAD);
    err = rtnl_addr_add(pod->nl, address, NLM_F_CREATE | NLM_F_EXCL);
    nl_addr_put(local);
    rtnl_addr_put(address);
    if (err) {
        char text[ADDRESS_TEXT];

        return cni_fail(error, CNI_KERNEL, "cannot give the pod's %s the address %s: %s",
                        pod->ifname, address_format(ip, text), nl_geterror(err));
    }
    return 0;
}

static int set_up(struct pod *pod, struct cni_error *error)
{
    struct rtnl_link *link = rtnl_link_alloc(), *change = rtnl_link_alloc();
    int err;

    rtnl_link_set_ifindex(link, pod->ifindex);
    rtnl_link_set_flags(change, IFF_UP);
    err = rtnl_link_change(pod->nl, link, change, 0);
    rtnl_link_put(link);
    rtnl_link_put(change);
    if (err)
        return cni_fail(error, CNI_KERNEL, "cannot set the pod's %s up: %s", pod->ifname,
                        nl_geterror(err));
    return 0;
}

int pod_configure(struct pod *pod, const struct cni_net *net, struct cni_error *error)
{
    bool v6 = false;
    int err = 0;

    for (unsigned i = 0; i < net->n_ips; i++)
        v6 |= !ip_is_mapped(&net->ips[i].address);
    if (v6)
        err = netns_call(pod->netns, prepare_ipv6, pod, error);
    for (unsigned i = 0; i < net->n_ips && !err; i++)
        err = add_address(pod, &net->ips[i].address, error);
    if (!err)
        err = set_up(pod, error);
    if (!err)
        err = pod_add_routes(pod, net, error);
    return err;
}
