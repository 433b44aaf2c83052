/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/methods.h"

#include <string.h>

#include "config/address.h"
#include "control/attachments.h"
#include "control/params.h"
#include "control/stats.h"
#include "openvswitch/json.h"
#include "util.h"

#define PROTOCOL_VERSION 1

static const struct config *config;

void methods_init(const struct config *config_)
{
    config = config_;
}

static struct json *call_version(const struct json *params, struct fault *fault)
{
    struct json *result;

    if (params_none(params, fault))
        return NULL;
    result = json_object_create();
    json_object_put_string(result, "version", SLUICE_VERSION);
    json_object_put(result, "protocol", json_integer_create(PROTOCOL_VERSION));
    return result;
}

static struct json *call_attach(const struct json *params, struct fault *fault)
{
    struct attachment attachment;
    const struct attached *a;
    struct json *result, *gateways;
    char text[ADDRESS_TEXT];

    if (params_attach(params, &attachment, fault) || attachments_attach(&attachment, &a, fault))
        return NULL;
    gateways = json_array_create_empty();
    for (unsigned i = 0; i < a->attachment.n_addresses; i++) {
        address_format(&config->ranges[a->ranges[i]].gateway, text);
        json_array_add(gateways, json_string_create(text));
    }
    result = json_object_create();
    json_object_put(result, "port", json_integer_create(a->attachment.port));
    json_object_put_string(result, "driver",
                           stats_driver_name(dp_port_get(a->attachment.port)->driver));
    json_object_put_string(result, "router_mac", mac_format(config->router_mac, text));
    json_object_put(result, "gateways", gateways);
    return result;
}

static struct json *call_detach(const struct json *params, struct fault *fault)
{
    struct attachment key;
    struct json *result;
    bool detached;

    if (params_detach(params, &key, fault) ||
        attachments_detach(key.container_id, key.ifname, &detached, fault))
        return NULL;
    result = json_object_create();
    json_object_put(result, "detached", json_boolean_create(detached));
    return result;
}

static struct json *call_check(const struct json *params, struct fault *fault)
{
    struct check_params check;

    if (params_check(params, &check, fault) || attachments_check(&check, fault))
        return NULL;
    return json_object_create();
}

struct method {
    const char *name;
    bool changes; // only for privileged peers
    struct json *(*call)(const struct json *params, struct fault *fault);
    struct json *(*read)(void); // or this, for methods without parameters
};

static const struct method methods[] = {
    {"version", .call = call_version},
    {"attach", .changes = true, .call = call_attach},
    {"detach", .changes = true, .call = call_detach},
    {"check", .call = call_check},
    {"status", .read = stats_status},
    {"ports", .read = stats_ports},
    {"pods", .read = stats_pods},
    {"rules", .read = stats_rules},
    {"stats", .read = stats_counters},
    {"workers", .read = stats_workers},
    {"offload", .read = stats_offload},
};

struct json *methods_call(const char *name, const struct json *params, bool privileged,
                          struct fault *fault)
{
    for (size_t i = 0; i < ARRAY_SIZE(methods); i++) {
        const struct method *method = &methods[i];

        if (strcmp(method->name, name) != 0)
            continue;
        if (method->changes && !privileged) {
            fault_set(fault, FAULT_not_permitted, "%s is for root and the daemon's user", name);
            return NULL;
        }
        if (method->call)
            return method->call(params, fault);
        return params_none(params, fault) ? NULL : method->read();
    }
    fault_set(fault, FAULT_unknown_method, "no method \"%.*s\"", fault_excerpt(name), name);
    return NULL;
}
