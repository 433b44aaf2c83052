/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <string.h>

#include "cni/daemon.h"
#include "config/address.h"
#include "config/state.h"
#include "control/client.h"
#include "openvswitch/json.h"

// Attaching opens a port, and requests of many pods queue up.
#define TIMEOUT_MS        30000
#define STATUS_TIMEOUT_MS 4000

static int call(const struct cni_conf *conf, const char *method, struct json *params,
                unsigned timeout_ms, struct json **result, struct cni_error *error)
{
    struct client_error answer;
    int err = client_call(conf->socket, method, params, timeout_ms, result, &answer);
    int code;

    if (!err)
        return 0;
    if (err != -EREMOTEIO || !strcmp(answer.code, "no_ports"))
        code = CNI_TRY_AGAIN;
    else if (!strcmp(answer.code, "not_healthy") || !strcmp(answer.code, "not_attached"))
        code = CNI_UNHEALTHY;
    else
        code = CNI_REFUSED;
    cni_fail(error, code, "sluiced: %s: %s%s%s%s%s", method, answer.code ? answer.code : "",
             answer.code ? ": " : "", answer.message, answer.remedy ? "; " : "",
             answer.remedy ? answer.remedy : "");
    client_error_free(&answer);
    return err;
}

static struct json *key(const struct cni_args *args)
{
    struct json *params = json_object_create();

    json_object_put_string(params, "container_id", args->container_id);
    json_object_put_string(params, "ifname", args->ifname);
    return params;
}

static struct json *description(const struct cni_args *args, const struct veth *veth,
                                const struct cni_net *net)
{
    struct json *params = key(args), *ips = json_array_create_empty();
    char text[ADDRESS_TEXT];

    json_object_put_string(params, "netdev", veth->name);
    json_object_put_string(params, "mac", mac_format(veth->mac, text));
    for (unsigned i = 0; i < net->n_ips; i++)
        json_array_add(ips, json_string_create(address_format(&net->ips[i].address, text)));
    json_object_put(params, "ips", ips);
    return params;
}

static int read_gateways(const struct json *result, struct cni_net *net, struct cni_error *error)
{
    const struct json *gateways = json_member(result, "gateways");

    if (!gateways || gateways->type != JSON_ARRAY || json_array(gateways)->n != net->n_ips)
        return cni_fail(error, CNI_REFUSED,
                        "sluiced: attach: the answer has no gateway per address");
    for (unsigned i = 0; i < net->n_ips; i++) {
        const struct json *gateway = json_array(gateways)->elems[i];

        if (gateway->type != JSON_STRING ||
            address_parse(json_string(gateway), &net->ips[i].gateway) ||
            IN6_IS_ADDR_V4MAPPED(&net->ips[i].gateway) !=
                IN6_IS_ADDR_V4MAPPED(&net->ips[i].address))
            return cni_fail(error, CNI_REFUSED, "sluiced: attach: gateways: not an address");
    }
    return 0;
}

int daemon_attach(const struct cni_conf *conf, const struct cni_args *args, const struct veth *veth,
                  struct cni_net *net, bool *refused, struct cni_error *error)
{
    struct json *params = description(args, veth, net), *result = NULL;
    int err;

    json_object_put(params, "mtu", json_integer_create(veth->mtu));
    if (*args->pod)
        json_object_put_string(params, "pod", args->pod);
    err = call(conf, "attach", params, TIMEOUT_MS, &result, error);
    *refused = err == -EREMOTEIO || err == -ENOENT || err == -ECONNREFUSED;
    if (!err)
        err = read_gateways(result, net, error);
    json_destroy(result);
    return err;
}

int daemon_detach(const struct cni_conf *conf, const struct cni_args *args, bool *detached,
                  struct cni_error *error)
{
    struct json *result = NULL;
    const struct json *value;
    int err;

    *detached = false;
    // The daemon takes no longer ids: nothing is attached by this one, and a runtime would repeat
    // for ever the DEL that it sends after the ADD that failed.
    if (strlen(args->container_id) >= sizeof((struct attachment *)0)->container_id)
        return 0;
    err = call(conf, "detach", key(args), TIMEOUT_MS, &result, error);
    value = json_member(result, "detached");
    *detached = value && value->type == JSON_TRUE;
    json_destroy(result);
    return err;
}

int daemon_check(const struct cni_conf *conf, const struct cni_args *args, const struct veth *veth,
                 const struct cni_net *net, struct cni_error *error)
{
    struct json *result = NULL;
    int err = call(conf, "check", description(args, veth, net), TIMEOUT_MS, &result, error);

    json_destroy(result);
    return err;
}

int daemon_status(const struct cni_conf *conf, struct cni_error *error)
{
    struct json *result = NULL;
    int err = call(conf, "version", json_object_create(), STATUS_TIMEOUT_MS, &result, error);

    json_destroy(result);
    if (err)
        error->code = CNI_NOT_AVAILABLE;
    return err;
}
