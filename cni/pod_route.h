/* SPDX-License-Identifier: Apache-2.0 */
// A pod's routes: one to each gateway, which is on the link though in no subnet of the pod's, and
// all others by a gateway.
#pragma once

#include "cni/pod.h"

struct nl_addr;
struct rtnl_route;

static inline bool ip_is_mapped(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_V4MAPPED(ip);
}

// An address in libnl's form; prefix_len as in config/address.h. nl_addr_put() frees it.
struct nl_addr *pod_nl_addr(const struct in6_addr *ip, uint8_t prefix_len);

int pod_add_routes(struct pod *pod, const struct cni_net *net, struct cni_error *error);

// Calls fn for each route that the pod has to have, the gateways' first, until fn fails.
typedef int pod_route_fn(struct pod *pod, struct rtnl_route *route, struct cni_error *error);
int pod_for_each_route(struct pod *pod, const struct cni_net *net, pod_route_fn *fn,
                       struct cni_error *error);
