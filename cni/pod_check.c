/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <net/if.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <string.h>

#include "cni/pod_route.h"
#include "config/address.h"

static int check_link(struct pod *pod, int host_ifindex, const uint8_t mac[6],
                      struct cni_error *error)
{
    struct rtnl_link *link = NULL;
    const uint8_t *found;
    char want[ADDRESS_TEXT], got[ADDRESS_TEXT];
    int err = rtnl_link_get_kernel(pod->nl, 0, pod->ifname, &link);

    if (err)
        return cni_fail(error, CNI_UNHEALTHY, "the pod's %s: %s", pod->ifname, nl_geterror(err));
    pod->ifindex = rtnl_link_get_ifindex(link);
    found = nl_addr_get_binary_addr(rtnl_link_get_addr(link));
    if (rtnl_link_get_link(link) != host_ifindex)
        err = cni_fail(error, CNI_UNHEALTHY, "the pod's %s is not the other end of its veth pair",
                       pod->ifname);
    else if (!(rtnl_link_get_flags(link) & IFF_UP))
        err = cni_fail(error, CNI_UNHEALTHY, "the pod's %s is down", pod->ifname);
    else if (memcmp(found, mac, 6))
        err = cni_fail(error, CNI_UNHEALTHY, "the pod's %s has the MAC address %s instead of %s",
                       pod->ifname, mac_format(found, got), mac_format(mac, want));
    rtnl_link_put(link);
    return err;
}

static int check_addresses(struct pod *pod, const struct cni_net *net, struct cni_error *error)
{
    struct nl_cache *cache;
    int err = rtnl_addr_alloc_cache(pod->nl, &cache);

    if (err)
        return cni_fail(error, CNI_KERNEL, "cannot list the pod's addresses: %s", nl_geterror(err));
    for (unsigned i = 0; i < net->n_ips && !err; i++) {
        struct nl_addr *local = pod_nl_addr(&net->ips[i].address, 128);
        struct rtnl_addr *found = rtnl_addr_get(cache, pod->ifindex, local);
        char text[ADDRESS_TEXT];

        if (!found)
            err = cni_fail(error, CNI_UNHEALTHY, "the pod's %s lacks the address %s", pod->ifname,
                           address_format(&net->ips[i].address, text));
        rtnl_addr_put(found);
        nl_addr_put(local);
    }
    nl_cache_free(cache);
    return err;
}

// libnl gives the kernel's default routes a destination without an address.
static bool same_dst(struct nl_addr *a, struct nl_addr *b)
{
    return nl_addr_get_prefixlen(a) == nl_addr_get_prefixlen(b) &&
           (nl_addr_get_prefixlen(a) == 0 || nl_addr_cmp(a, b) == 0);
}

static bool same_gateway(struct nl_addr *a, struct nl_addr *b)
{
    return a && b ? nl_addr_cmp(a, b) == 0 : a == b;
}

// Is there a route as wanted? What the kernel fills in by itself (metrics, protocol) is left aside.
static bool route_is_there(struct nl_cache *cache, struct rtnl_route *want)
{
    struct rtnl_nexthop *hop = rtnl_route_nexthop_n(want, 0);
    struct nl_object *object;

    for (object = nl_cache_get_first(cache); object; object = nl_cache_get_next(object)) {
        struct rtnl_route *route = (struct rtnl_route *)object;

        if (rtnl_route_get_family(route) != rtnl_route_get_family(want) ||
            rtnl_route_get_table(route) != rtnl_route_get_table(want) ||
            !same_dst(rtnl_route_get_dst(route), rtnl_route_get_dst(want)))
            continue;
        for (int i = 0; i < rtnl_route_get_nnexthops(route); i++) {
            struct rtnl_nexthop *other = rtnl_route_nexthop_n(route, i);

            if (rtnl_route_nh_get_ifindex(other) == rtnl_route_nh_get_ifindex(hop) &&
                same_gateway(rtnl_route_nh_get_gateway(other), rtnl_route_nh_get_gateway(hop)))
                return true;
        }
    }
    return false;
}

static int check_route(struct pod *pod, struct rtnl_route *want, struct cni_error *error)
{
    struct nl_cache *cache;
    char text[64];
    int err = rtnl_route_alloc_cache(pod->nl, rtnl_route_get_family(want), 0, &cache);

    if (err)
        return cni_fail(error, CNI_KERNEL, "cannot list the pod's routes: %s", nl_geterror(err));
    if (!route_is_there(cache, want))
        err = cni_fail(error, CNI_UNHEALTHY, "the pod lacks the route to %s by %s",
                       nl_addr2str(rtnl_route_get_dst(want), text, sizeof text), pod->ifname);
    nl_cache_free(cache);
    return err;
}

int pod_check(struct pod *pod, int host_ifindex, const uint8_t mac[6], const struct cni_net *net,
              struct cni_error *error)
{
    int err = check_link(pod, host_ifindex, mac, error);

    if (!err)
        err = check_addresses(pod, net, error);
    if (!err)
        err = pod_for_each_route(pod, net, check_route, error);
    return err;
}
