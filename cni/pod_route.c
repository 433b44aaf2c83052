/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <linux/rtnetlink.h>
#include <netlink/netlink.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <string.h>

#include "cni/pod_route.h"

struct nl_addr *pod_nl_addr(const struct in6_addr *ip, uint8_t prefix_len)
{
    struct nl_addr *addr = ip_is_mapped(ip) ? nl_addr_build(AF_INET, &ip->s6_addr[12], 4)
                                            : nl_addr_build(AF_INET6, ip, sizeof *ip);

    nl_addr_set_prefixlen(addr, ip_is_mapped(ip) ? prefix_len - 96 : prefix_len);
    return addr;
}

// gateway: NULL for what is on the link.
static struct rtnl_route *make_route(struct pod *pod, const struct in6_addr *dst,
                                     uint8_t prefix_len, const struct in6_addr *gateway)
{
    struct rtnl_route *route = rtnl_route_alloc();
    struct rtnl_nexthop *hop = rtnl_route_nh_alloc();
    struct nl_addr *addr = pod_nl_addr(dst, prefix_len);

    rtnl_route_set_dst(route, addr);
    nl_addr_put(addr);
    rtnl_route_set_scope(route, gateway || !ip_is_mapped(dst) ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK);
    rtnl_route_nh_set_ifindex(hop, pod->ifindex);
    if (gateway) {
        addr = pod_nl_addr(gateway, 128);
        rtnl_route_nh_set_gateway(hop, addr);
        nl_addr_put(addr);
    }
    rtnl_route_add_nexthop(route, hop);
    return route;
}

static bool gateway_is_new(const struct cni_net *net, unsigned i)
{
    for (unsigned j = 0; j < i; j++)
        if (IN6_ARE_ADDR_EQUAL(&net->ips[j].gateway, &net->ips[i].gateway))
            return false;
    return true;
}

int pod_for_each_route(struct pod *pod, const struct cni_net *net, pod_route_fn *fn,
                       struct cni_error *error)
{
    struct rtnl_route *route;
    int err = 0;

    for (unsigned i = 0; i < net->n_ips && !err; i++) {
        if (!gateway_is_new(net, i))
            continue;
        route = make_route(pod, &net->ips[i].gateway, 128, NULL);
        err = fn(pod, route, error);
        rtnl_route_put(route);
    }
    for (unsigned i = 0; i < net->n_routes && !err; i++) {
        const struct cni_route *spec = &net->routes[i];

        route = make_route(pod, &spec->dst, spec->prefix_len, &spec->gateway);
        if (spec->mtu > 0)
            rtnl_route_set_metric(route, RTAX_MTU, spec->mtu);
        if (spec->advmss > 0)
            rtnl_route_set_metric(route, RTAX_ADVMSS, spec->advmss);
        if (spec->priority >= 0)
            rtnl_route_set_priority(route, spec->priority);
        if (spec->table >= 0)
            rtnl_route_set_table(route, spec->table);
        err = fn(pod, route, error);
        rtnl_route_put(route);
    }
    return err;
}

static int add_route(struct pod *pod, struct rtnl_route *route, struct cni_error *error)
{
    int err = rtnl_route_add(pod->nl, route, NLM_F_CREATE | NLM_F_EXCL);

    if (err) {
        char text[64];

        return cni_fail(error, CNI_KERNEL, "cannot add a route to %s in the pod: %s",
                        nl_addr2str(rtnl_route_get_dst(route), text, sizeof text),
                        nl_geterror(err));
    }
    return 0;
}

int pod_add_routes(struct pod *pod, const struct cni_net *net, struct cni_error *error)
{
    return pod_for_each_route(pod, net, add_route, error);
}
