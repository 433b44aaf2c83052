/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <string.h>

#include "cni/result.h"
#include "config/address.h"
#include "openvswitch/json.h"

// The array `name` of a result, made if it is not there (or null, as some plugins write).
static struct json *array_of(struct json *result, const char *name)
{
    struct json *array = json_member(result, name);

    if (!array || array->type != JSON_ARRAY) {
        array = json_array_create_empty();
        json_object_put(result, name, array);
    }
    return array;
}

static struct json *interface(const char *name, const uint8_t mac[6], const char *sandbox,
                              unsigned mtu, const char *version)
{
    struct json *json = json_object_create();
    char text[ADDRESS_TEXT];

    json_object_put_string(json, "name", name);
    json_object_put_string(json, "mac", mac_format(mac, text));
    if (sandbox)
        json_object_put_string(json, "sandbox", sandbox);
    if (cni_version_index(version) >= cni_version_index("1.1.0"))
        json_object_put(json, "mtu", json_integer_create(mtu));
    return json;
}

struct json *result_make(const struct cni_conf *conf, const struct cni_args *args,
                         const struct veth *veth, const struct cni_net *net, const struct json *dns)
{
    struct json *result =
        conf->prev_result ? json_deep_clone(conf->prev_result) : json_object_create();
    struct json *interfaces = array_of(result, "interfaces");
    struct json *ips = array_of(result, "ips"), *routes = array_of(result, "routes");
    int index;

    json_object_put_string(result, "cniVersion", conf->version);
    json_array_add(interfaces,
                   interface(veth->name, veth->host_mac, NULL, veth->mtu, conf->version));
    index = json_array(interfaces)->n;
    json_array_add(interfaces,
                   interface(args->ifname, veth->mac, args->netns, veth->mtu, conf->version));
    for (unsigned i = 0; i < net->n_ips; i++)
        json_array_add(ips, cni_ip_to_json(&net->ips[i], index, conf->version));
    for (unsigned i = 0; i < net->n_routes; i++)
        json_array_add(routes, cni_route_to_json(&net->routes[i], conf->version));
    if (conf->dns)
        dns = conf->dns;
    if (dns)
        json_object_put(result, "dns", json_deep_clone(dns));
    else if (!json_member(result, "dns"))
        json_object_put(result, "dns", json_object_create());
    return result;
}

struct json *result_convert(const struct json *result, const char *version)
{
    struct json *copy = json_deep_clone(result);
    const struct json *ips = json_member(copy, "ips");

    json_object_put_string(copy, "cniVersion", version);
    // ips[].version is there before 1.0.0 and not after; other members came with 1.1.0, and readers
    // of older versions pass over them.
    for (size_t i = 0; ips && ips->type == JSON_ARRAY && i < json_array(ips)->n; i++) {
        struct json *ip = json_array(ips)->elems[i];
        const char *address = json_member_string(ip, "address");

        if (!address || cni_version_index(version) >= cni_version_index("1.0.0"))
            continue;
        json_object_put_string(ip, "version", strchr(address, ':') ? "6" : "4");
    }
    return copy;
}

int result_find_interface(const struct json *result, const struct cni_args *args, const char **mac)
{
    const struct json *interfaces = json_member(result, "interfaces");

    for (size_t i = 0;
         interfaces && interfaces->type == JSON_ARRAY && i < json_array(interfaces)->n; i++) {
        const struct json *json = json_array(interfaces)->elems[i];
        const char *name = json_member_string(json, "name");
        const char *sandbox = json_member_string(json, "sandbox");

        if (name && sandbox && *sandbox && !strcmp(name, args->ifname)) {
            *mac = json_member_string(json, "mac");
            return i;
        }
    }
    return -1;
}
