/* SPDX-License-Identifier: Apache-2.0 */
// What a pod gets: addresses and routes, as they come from the IPAM plugin (or from prevResult) and
// go into the pod and the result. Addresses are struct in6_addr as in config/address.h.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cni/error.h"

#define CNI_IPS_MAX 8 // as many as an attachment of the daemon has

struct json;

struct cni_ip {
    struct in6_addr address;
    struct in6_addr gateway; // all zeroes: not known
};

// Members of a route that the result takes from spec 1.1.0 on; -1: not given.
struct cni_route {
    struct in6_addr dst;
    uint8_t prefix_len;      // an IPv4 prefix's plus 96
    struct in6_addr gateway; // all zeroes: the pod's
    int64_t mtu, advmss, priority, table;
};

struct cni_net {
    unsigned n_ips;
    struct cni_ip ips[CNI_IPS_MAX];
    unsigned n_routes;
    struct cni_route *routes;
};

// Reads "ips" and "routes" of a result. interface: only the ips of this index of "interfaces"; -1:
// all of them. Free *net with cni_net_free, also after an error (CNI_DECODE).
int cni_net_parse(const struct json *result, int interface, struct cni_net *net,
                  struct cni_error *error);
// Adds a default route for each family that has an address and no default route, and gives each
// route its gateway: the one of the pod's first address of the family. A route by any other gateway
// is an error, as there is no other router on the pod's link.
int cni_net_complete_routes(struct cni_net *net, struct cni_error *error);
// The gateway of the first address of the family of `ip`; NULL if there is none.
const struct in6_addr *cni_net_gateway(const struct cni_net *net, const struct in6_addr *ip);
void cni_net_free(struct cni_net *net);

// Both write the spec's forms.
struct json *cni_ip_to_json(const struct cni_ip *ip, int interface, const char *version);
struct json *cni_route_to_json(const struct cni_route *route, const char *version);
