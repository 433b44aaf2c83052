/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "cni/conf.h"
#include "config/address.h"
#include "openvswitch/json.h"

const char *const cni_versions[] = {"0.4.0", "1.0.0", CNI_VERSION_NEWEST, NULL};

int cni_version_index(const char *version)
{
    for (int i = 0; cni_versions[i]; i++)
        if (!strcmp(version, cni_versions[i]))
            return i;
    return -1;
}

struct json *json_member(const struct json *object, const char *name)
{
    if (!object || object->type != JSON_OBJECT)
        return NULL;
    return shash_find_data(json_object(object), name);
}

const char *json_member_string(const struct json *object, const char *name)
{
    const struct json *value = json_member(object, name);

    return value && value->type == JSON_STRING ? json_string(value) : NULL;
}

static int refuse(const char *where, const struct shash_node *node, struct cni_error *error)
{
    char *value = json_to_string(node->data, 0);
    int err = cni_fail(error, CNI_UNSUPPORTED_FIELD, "%s%s: %s: not supported; leave it out", where,
                       node->name, value);

    free(value);
    return err;
}

static bool is_one_of(const char *name, const char *const *names)
{
    for (; *names; names++)
        if (!strcmp(name, *names))
            return true;
    return false;
}

static int check_keys(const struct json *json, struct cni_error *error)
{
    // The spec's keys, and our own: socket, mtu.
    static const char *const known[] = {
        "cniVersion", "cniVersions",   "name", "type",   "args", "capabilities", "ipam", "dns",
        "prevResult", "runtimeConfig", "mtu",  "socket", NULL};
    // Capabilities we have. ips and the rest that is the IPAM plugin's goes there untouched.
    static const char *const capabilities[] = {"mac", "ips", "ipRanges", NULL};
    const struct json *runtime = json_member(json, "runtimeConfig");
    const struct json *masq = json_member(json, "ipMasq");
    struct shash_node *node;

    SHASH_FOR_EACH(node, json_object(json))
    {
        // The spec reserves the prefix cni.dev/ for what runtimes tell.
        if (is_one_of(node->name, known) || !strncmp(node->name, "cni.dev/", 8))
            continue;
        // A well-known key; pods' addresses are routed, never masqueraded.
        if (!strcmp(node->name, "ipMasq") && masq->type == JSON_FALSE)
            continue;
        return refuse("", node, error);
    }
    // A capability that is declared but not there would be a promise not kept (a bandwidth limit
    // that limits nothing).
    if (runtime && runtime->type == JSON_OBJECT)
        SHASH_FOR_EACH(node, json_object(runtime))
    if (!is_one_of(node->name, capabilities))
        return refuse("runtimeConfig.", node, error);
    return 0;
}

static int check_name(const char *name, struct cni_error *error)
{
    if (!name || !isalnum((unsigned char)*name))
        return cni_fail(error, CNI_INVALID_CONFIG, "name is missing or is no network name");
    for (const char *c = name; *c; c++)
        if (!isalnum((unsigned char)*c) && !strchr("_.-", *c))
            return cni_fail(error, CNI_INVALID_CONFIG, "name: %s is no network name", name);
    return 0;
}

static int read_own(struct cni_conf *conf, struct cni_error *error)
{
    const struct json *value = json_member(conf->json, "socket");
    const char *mac;

    conf->socket = "/run/sluice/control.sock";
    if (value) {
        if (value->type != JSON_STRING || json_string(value)[0] != '/')
            return cni_fail(error, CNI_INVALID_CONFIG,
                            "socket: must be the daemon's control socket as an absolute path");
        conf->socket = json_string(value);
    }
    conf->mtu = CNI_MTU_DEFAULT;
    value = json_member(conf->json, "mtu");
    if (value) {
        // 68: the least an IPv4 link has (RFC 791); 65535: the most of a veth.
        if (value->type != JSON_INTEGER || json_integer(value) < 68 || json_integer(value) > 65535)
            return cni_fail(error, CNI_INVALID_CONFIG, "mtu: must be a number from 68 to 65535");
        conf->mtu = json_integer(value);
    }
    value = json_member(json_member(conf->json, "runtimeConfig"), "mac");
    mac = value && value->type == JSON_STRING ? json_string(value) : "";
    if (value && (mac_parse(mac, conf->mac) || !mac_is_unicast(conf->mac)))
        return cni_fail(error, CNI_INVALID_CONFIG,
                        "runtimeConfig.mac: \"%s\" is not the MAC address of a station", mac);
    conf->has_mac = value;
    return 0;
}

static int read_objects(struct cni_conf *conf, struct cni_error *error)
{
    static const char *const objects[] = {"runtimeConfig", "ipam", "dns", "prevResult", NULL};
    const struct json *ipam;

    for (int i = 0; objects[i]; i++) {
        const struct json *value = json_member(conf->json, objects[i]);

        if (value && value->type != JSON_OBJECT)
            return cni_fail(error, CNI_INVALID_CONFIG, "%s: must be an object", objects[i]);
    }
    conf->dns = json_member(conf->json, "dns");
    conf->prev_result = json_member(conf->json, "prevResult");
    ipam = json_member(conf->json, "ipam");
    conf->ipam_type = json_member_string(ipam, "type");
    // The type is a file's name, to be found in CNI_PATH and nowhere else.
    if (ipam && (!conf->ipam_type || !*conf->ipam_type || strchr(conf->ipam_type, '/')))
        return cni_fail(error, CNI_INVALID_CONFIG, "ipam: type: must name an IPAM plugin");
    return 0;
}

int cni_conf_parse(const char *text, bool strict, struct cni_conf *conf, struct cni_error *error)
{
    const char *version;
    int err;

    memset(conf, 0, sizeof *conf);
    conf->json = json_from_string(text);
    if (conf->json->type != JSON_OBJECT)
        return cni_fail(error, CNI_DECODE,
                        "the network configuration on stdin is no JSON object%s%s",
                        conf->json->type == JSON_STRING ? ": " : "",
                        conf->json->type == JSON_STRING ? json_string(conf->json) : "");
    // Without one it is 0.1.0 (spec 0.2.0).
    version = json_member(conf->json, "cniVersion") ? json_member_string(conf->json, "cniVersion")
                                                    : "0.1.0";
    if (!version || cni_version_index(version) < 0)
        return cni_fail(error, CNI_INCOMPATIBLE_VERSION,
                        "cniVersion: %s is not supported; use 0.4.0, 1.0.0 or 1.1.0",
                        version ? version : "what is no string");
    conf->version = version;
    err = check_name(json_member_string(conf->json, "name"), error);
    if (!err)
        conf->name = json_member_string(conf->json, "name");
    if (!err)
        err = read_objects(conf, error);
    if (!err && strict)
        err = check_keys(conf->json, error);
    if (!err)
        err = read_own(conf, error);
    return err;
}

void cni_conf_free(struct cni_conf *conf)
{
    json_destroy(conf->json);
    memset(conf, 0, sizeof *conf);
}
