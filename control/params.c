/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/params.h"

#include <ctype.h>
#include <net/if.h>
#include <string.h>

#include "config/address.h"
#include "openvswitch/json.h"
#include "util.h"

enum member_need { OPTIONAL, REQUIRED };

// A member of a request: how it is called, and what reads it into the attachment.
struct member_spec {
    const char *name;
    enum member_need need;
    enum json_type type;
    int (*read)(const char *name, const struct json *value, struct attachment *attachment,
                struct fault *fault);
};

static const char *type_name(enum json_type type)
{
    return type == JSON_INTEGER ? "whole number"
           : type == JSON_REAL  ? "number that is not whole or too large"
                                : json_type_to_string(type);
}

static int invalid(struct fault *fault, const char *name, const char *value, const char *why)
{
    return fault_set(fault, FAULT_invalid_params, "%s: \"%.*s\" %s", name, fault_excerpt(value),
                     value, why);
}

static int read_string(const char *name, const struct json *value, char *out, size_t size,
                       struct fault *fault)
{
    const char *text = json_string(value);

    if (text[0] == '\0')
        return fault_set(fault, FAULT_invalid_params, "%s: must not be empty", name);
    if (strlen(text) >= size)
        return fault_set(fault, FAULT_invalid_params, "%s: longer than %zu bytes", name, size - 1);
    for (const char *c = text; *c; c++) {
        if (iscntrl((unsigned char)*c))
            return fault_set(fault, FAULT_invalid_params, "%s: holds a control character", name);
    }
    ovs_strlcpy(out, text, size);
    return 0;
}

// CNI specification 1.1.0, section 2, "Parameters": CNI_CONTAINERID.
static int read_container_id(const char *name, const struct json *value,
                             struct attachment *attachment, struct fault *fault)
{
    int err =
        read_string(name, value, attachment->container_id, sizeof(attachment->container_id), fault);

    if (err)
        return err;
    for (const char *c = attachment->container_id; *c; c++) {
        if (!isalnum((unsigned char)*c) && (c == attachment->container_id || !strchr("_.-", *c)))
            return invalid(fault, name, attachment->container_id,
                           "is no container id (letters and digits, then also _ . -)");
    }
    return 0;
}

// What the kernel takes as the name of a netdev (dev_valid_name).
static int read_netdev_name(const char *name, const struct json *value, char out[IFNAMSIZ],
                            struct fault *fault)
{
    int err = read_string(name, value, out, IFNAMSIZ, fault);

    if (err)
        return err;
    for (const char *c = out; *c; c++) {
        if (*c == '/' || *c == ':' || isspace((unsigned char)*c))
            return invalid(fault, name, out, "is no name of a netdev");
    }
    if (!strcmp(out, ".") || !strcmp(out, ".."))
        return invalid(fault, name, out, "is no name of a netdev");
    return 0;
}

static int read_ifname(const char *name, const struct json *value, struct attachment *attachment,
                       struct fault *fault)
{
    return read_netdev_name(name, value, attachment->ifname, fault);
}

static int read_netdev(const char *name, const struct json *value, struct attachment *attachment,
                       struct fault *fault)
{
    return read_netdev_name(name, value, attachment->netdev, fault);
}

static int read_devargs(const char *name, const struct json *value, struct attachment *attachment,
                        struct fault *fault)
{
    return read_string(name, value, attachment->devargs, sizeof(attachment->devargs), fault);
}

static int read_pod(const char *name, const struct json *value, struct attachment *attachment,
                    struct fault *fault)
{
    return read_string(name, value, attachment->pod, sizeof(attachment->pod), fault);
}

static int read_mac(const char *name, const struct json *value, struct attachment *attachment,
                    struct fault *fault)
{
    if (mac_parse(json_string(value), attachment->mac))
        return invalid(fault, name, json_string(value), "is no MAC address");
    if (!mac_is_unicast(attachment->mac))
        return invalid(fault, name, json_string(value),
                       "is no address of a station (zero or multicast)");
    return 0;
}

static int read_ips(const char *name, const struct json *value, struct attachment *attachment,
                    struct fault *fault)
{
    const struct json_array *array = json_array(value);

    if (array->n == 0 || array->n > STATE_ADDRESSES_MAX)
        return fault_set(fault, FAULT_invalid_params, "%s: %zu addresses, 1 to %d are possible",
                         name, array->n, STATE_ADDRESSES_MAX);
    for (size_t i = 0; i < array->n; i++) {
        struct in6_addr *address = &attachment->addresses[i];
        char item[32];

        snprintf(item, sizeof(item), "%s[%zu]", name, i);
        if (array->elems[i]->type != JSON_STRING)
            return fault_set(fault, FAULT_invalid_params, "%s: is %s, must be string", item,
                             type_name(array->elems[i]->type));
        if (address_parse(json_string(array->elems[i]), address))
            return invalid(fault, item, json_string(array->elems[i]),
                           "is no IPv4 or IPv6 address (without a prefix length)");
        for (size_t j = 0; j < i; j++) {
            if (IN6_ARE_ADDR_EQUAL(address, &attachment->addresses[j]))
                return invalid(fault, item, json_string(array->elems[i]), "is there twice");
        }
    }
    attachment->n_addresses = array->n;
    return 0;
}

static int read_mtu(const char *name, const struct json *value, struct attachment *attachment,
                    struct fault *fault)
{
    // RFC 791: every IPv4 link carries 68 bytes. The upper bound is the node's, see attachments.c.
    if (json_integer(value) < 68 || json_integer(value) > 65535)
        return fault_set(fault, FAULT_invalid_params, "%s: %lld is not in 68 to 65535", name,
                         (long long)json_integer(value));
    attachment->mtu = json_integer(value);
    return 0;
}

static const struct member_spec *find_spec(const struct member_spec *specs, const char *name)
{
    for (; specs->name; specs++) {
        if (!strcmp(specs->name, name))
            return specs;
    }
    return NULL;
}

// The one object in params; NULL if there is none.
static int get_object(const struct json *params, const struct shash **object, struct fault *fault)
{
    *object = NULL;
    if (params == NULL)
        return 0;
    if (params->type != JSON_ARRAY || json_array(params)->n > 1 ||
        (json_array(params)->n == 1 && json_array(params)->elems[0]->type != JSON_OBJECT))
        return fault_set(fault, FAULT_invalid_params, "params: must be an array of one object");
    if (json_array(params)->n == 1)
        *object = json_object(json_array(params)->elems[0]);
    return 0;
}

// specs end with a NULL name. given[i] tells whether member i of specs was there.
static int read_members(const struct json *params, const struct member_spec *specs,
                        struct attachment *attachment, bool *given, struct fault *fault)
{
    const struct shash *object;
    const struct shash_node *node;

    memset(attachment, 0, sizeof(*attachment));
    if (get_object(params, &object, fault))
        return -1;
    if (object) {
        SHASH_FOR_EACH(node, object)
        {
            const struct member_spec *spec = find_spec(specs, node->name);
            const struct json *value = node->data;

            if (spec == NULL)
                return fault_set(fault, FAULT_invalid_params, "%.*s: is not known here",
                                 fault_excerpt(node->name), node->name);
            if (value->type != spec->type)
                return fault_set(fault, FAULT_invalid_params, "%s: is %s, must be %s", spec->name,
                                 type_name(value->type), type_name(spec->type));
            if (spec->read(spec->name, value, attachment, fault))
                return -1;
        }
    }
    for (unsigned i = 0; specs[i].name; i++) {
        given[i] = object && shash_find(object, specs[i].name);
        if (specs[i].need == REQUIRED && !given[i])
            return fault_set(fault, FAULT_invalid_params, "%s: is missing", specs[i].name);
    }
    return 0;
}

int params_none(const struct json *params, struct fault *fault)
{
    static const struct member_spec specs[] = {{0}};
    struct attachment unused;

    return read_members(params, specs, &unused, NULL, fault);
}

int params_attach(const struct json *params, struct attachment *attachment, struct fault *fault)
{
    static const struct member_spec specs[] = {
        {"container_id", REQUIRED, JSON_STRING, read_container_id},
        {"ifname", REQUIRED, JSON_STRING, read_ifname},
        {"netdev", OPTIONAL, JSON_STRING, read_netdev},
        {"devargs", OPTIONAL, JSON_STRING, read_devargs},
        {"mac", REQUIRED, JSON_STRING, read_mac},
        {"ips", REQUIRED, JSON_ARRAY, read_ips},
        {"mtu", OPTIONAL, JSON_INTEGER, read_mtu},
        {"pod", OPTIONAL, JSON_STRING, read_pod},
        {0},
    };
    bool given[ARRAY_SIZE(specs)] = {false};

    if (read_members(params, specs, attachment, given, fault))
        return -1;
    if ((attachment->netdev[0] != '\0') == (attachment->devargs[0] != '\0'))
        return fault_set(fault, FAULT_invalid_params,
                         "netdev, devargs: exactly one of the two must be given");
    return 0;
}

int params_detach(const struct json *params, struct attachment *attachment, struct fault *fault)
{
    static const struct member_spec specs[] = {
        {"container_id", REQUIRED, JSON_STRING, read_container_id},
        {"ifname", REQUIRED, JSON_STRING, read_ifname},
        {0},
    };
    bool given[ARRAY_SIZE(specs)] = {false};

    return read_members(params, specs, attachment, given, fault);
}

int params_check(const struct json *params, struct check_params *check, struct fault *fault)
{
    static const struct member_spec specs[] = {
        {"container_id", REQUIRED, JSON_STRING, read_container_id},
        {"ifname", REQUIRED, JSON_STRING, read_ifname},
        {"netdev", OPTIONAL, JSON_STRING, read_netdev},
        {"mac", OPTIONAL, JSON_STRING, read_mac},
        {"ips", OPTIONAL, JSON_ARRAY, read_ips},
        {0},
    };
    bool given[ARRAY_SIZE(specs)] = {false};

    if (read_members(params, specs, &check->expected, given, fault))
        return -1;
    check->netdev = given[2];
    check->mac = given[3];
    check->ips = given[4];
    return 0;
}
