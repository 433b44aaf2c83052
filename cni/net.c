/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <stdlib.h>
#include <string.h>

#include "cni/conf.h"
#include "cni/net.h"
#include "config/address.h"
#include "openvswitch/json.h"
#include "util.h"

static bool is_v4(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_V4MAPPED(ip);
}

static int parse_gateway(const char *text, struct in6_addr *gateway, struct cni_error *error)
{
    if (text && address_parse(text, gateway))
        return cni_fail(error, CNI_DECODE, "%s: not a gateway's address", text);
    return 0;
}

static int parse_ip(const struct json *json, struct cni_ip *ip, struct cni_error *error)
{
    const char *address = json_member_string(json, "address");
    uint8_t prefix_len; // of no use: a pod's address is installed alone, nobody is its neighbour

    memset(ip, 0, sizeof *ip);
    if (!address || address_parse_prefix(address, &ip->address, &prefix_len))
        return cni_fail(error, CNI_DECODE, "ips: address: %s: not of the form ADDRESS/LENGTH",
                        address ? address : "missing");
    return parse_gateway(json_member_string(json, "gateway"), &ip->gateway, error);
}

static int parse_number(const struct json *route, const char *name, int64_t *number,
                        struct cni_error *error)
{
    const struct json *value = json_member(route, name);

    *number = -1;
    if (!value)
        return 0;
    if (value->type != JSON_INTEGER || json_integer(value) < 0 || json_integer(value) > UINT32_MAX)
        return cni_fail(error, CNI_DECODE, "routes: %s: must be a number from 0 to 4294967295",
                        name);
    *number = json_integer(value);
    return 0;
}

static int parse_route(const struct json *json, struct cni_route *route, struct cni_error *error)
{
    const char *dst = json_member_string(json, "dst");
    int err;

    memset(route, 0, sizeof *route);
    if (!dst || address_parse_prefix(dst, &route->dst, &route->prefix_len))
        return cni_fail(error, CNI_DECODE, "routes: dst: %s: not of the form ADDRESS/LENGTH",
                        dst ? dst : "missing");
    err = parse_gateway(json_member_string(json, "gw"), &route->gateway, error);
    if (!err)
        err = parse_number(json, "mtu", &route->mtu, error);
    if (!err)
        err = parse_number(json, "advmss", &route->advmss, error);
    if (!err)
        err = parse_number(json, "priority", &route->priority, error);
    if (!err)
        err = parse_number(json, "table", &route->table, error);
    return err;
}

// The elements of a member that is an array; none if it is missing or null.
static int elements(const struct json *result, const char *name, const struct json_array **array,
                    struct cni_error *error)
{
    static const struct json_array none;
    const struct json *value = json_member(result, name);

    *array = &none;
    if (!value || value->type == JSON_NULL)
        return 0;
    if (value->type != JSON_ARRAY)
        return cni_fail(error, CNI_DECODE, "%s: must be an array", name);
    *array = json_array(value);
    return 0;
}

int cni_net_parse(const struct json *result, int interface, struct cni_net *net,
                  struct cni_error *error)
{
    const struct json_array *array;
    int err;

    memset(net, 0, sizeof *net);
    err = elements(result, "ips", &array, error);
    for (size_t i = 0; !err && i < array->n; i++) {
        const struct json *index = json_member(array->elems[i], "interface");

        if (interface >= 0 &&
            (!index || index->type != JSON_INTEGER || json_integer(index) != interface))
            continue;
        if (net->n_ips == CNI_IPS_MAX)
            return cni_fail(error, CNI_IPAM, "ips: more than %d addresses", CNI_IPS_MAX);
        err = parse_ip(array->elems[i], &net->ips[net->n_ips++], error);
    }
    if (!err)
        err = elements(result, "routes", &array, error);
    if (err)
        return err;
    net->routes = xcalloc(array->n + 2, sizeof *net->routes); // two: the defaults to be added
    for (size_t i = 0; !err && i < array->n; i++)
        err = parse_route(array->elems[i], &net->routes[net->n_routes++], error);
    return err;
}

const struct in6_addr *cni_net_gateway(const struct cni_net *net, const struct in6_addr *ip)
{
    for (unsigned i = 0; i < net->n_ips; i++)
        if (is_v4(&net->ips[i].address) == is_v4(ip))
            return &net->ips[i].gateway;
    return NULL;
}

static bool has_default(const struct cni_net *net, bool v4)
{
    for (unsigned i = 0; i < net->n_routes; i++)
        if (is_v4(&net->routes[i].dst) == v4 && net->routes[i].prefix_len == (v4 ? 96 : 0))
            return true;
    return false;
}

static bool is_gateway(const struct cni_net *net, const struct in6_addr *ip)
{
    for (unsigned i = 0; i < net->n_ips; i++)
        if (IN6_ARE_ADDR_EQUAL(&net->ips[i].gateway, ip))
            return true;
    return false;
}

int cni_net_complete_routes(struct cni_net *net, struct cni_error *error)
{
    for (int v4 = 1; v4 >= 0; v4--) {
        struct cni_route route = {.mtu = -1, .advmss = -1, .priority = -1, .table = -1};

        if (v4) { // ::ffff:0.0.0.0/96
            route.dst.s6_addr[10] = route.dst.s6_addr[11] = 0xff;
            route.prefix_len = 96;
        }
        if (cni_net_gateway(net, &route.dst) && !has_default(net, v4))
            net->routes[net->n_routes++] = route;
    }
    for (unsigned i = 0; i < net->n_routes; i++) {
        struct cni_route *route = &net->routes[i];
        char dst[ADDRESS_TEXT], gateway[ADDRESS_TEXT];

        address_format_prefix(&route->dst, route->prefix_len, dst);
        if (IN6_IS_ADDR_UNSPECIFIED(&route->gateway)) {
            const struct in6_addr *own = cni_net_gateway(net, &route->dst);

            if (!own)
                return cni_fail(error, CNI_IPAM,
                                "route to %s: the pod has no address of its family", dst);
            route->gateway = *own;
        } else if (!is_gateway(net, &route->gateway)) {
            return cni_fail(error, CNI_IPAM,
                            "route to %s via %s: the only router on a pod's link is its range's "
                            "gateway; leave \"gw\" out",
                            dst, address_format(&route->gateway, gateway));
        }
    }
    return 0;
}

void cni_net_free(struct cni_net *net)
{
    free(net->routes);
    memset(net, 0, sizeof *net);
}

struct json *cni_ip_to_json(const struct cni_ip *ip, int interface, const char *version)
{
    struct json *json = json_object_create();
    char text[ADDRESS_TEXT];

    json_object_put_string(json, "address", address_format_prefix(&ip->address, 128, text));
    json_object_put_string(json, "gateway", address_format(&ip->gateway, text));
    json_object_put(json, "interface", json_integer_create(interface));
    if (cni_version_index(version) < cni_version_index("1.0.0"))
        json_object_put_string(json, "version", is_v4(&ip->address) ? "4" : "6");
    return json;
}

struct json *cni_route_to_json(const struct cni_route *route, const char *version)
{
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"mtu", route->mtu},
                   {"advmss", route->advmss},
                   {"priority", route->priority},
                   {"table", route->table}};
    struct json *json = json_object_create();
    char text[ADDRESS_TEXT];

    json_object_put_string(json, "dst",
                           address_format_prefix(&route->dst, route->prefix_len, text));
    json_object_put_string(json, "gw", address_format(&route->gateway, text));
    for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
        if (numbers[i].value >= 0 && cni_version_index(version) >= cni_version_index("1.1.0"))
            json_object_put(json, numbers[i].name, json_integer_create(numbers[i].value));
    return json;
}
