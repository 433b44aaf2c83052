/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <ctype.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cni/args.h"
#include "config/address.h"

static const char *variable(const char *name)
{
    const char *value = getenv(name);

    return value ? value : "";
}

static int need(const char *name, const char *value, struct cni_error *error)
{
    return *value ? 0 : cni_fail(error, CNI_INVALID_ENVIRONMENT, "%s is missing", name);
}

// The spec: begins with an alphanumeric character, then also '_', '.' and '-'.
static bool container_id_is_valid(const char *id)
{
    if (!isalnum((unsigned char)*id))
        return false;
    for (; *id; id++)
        if (!isalnum((unsigned char)*id) && !strchr("_.-", *id))
            return false;
    return true;
}

// What the kernel takes as a name, and the runtimes' own check.
static bool ifname_is_valid(const char *name)
{
    if (strlen(name) >= IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
        return false;
    for (; *name; name++)
        if (strchr("/:", *name) || isspace((unsigned char)*name))
            return false;
    return true;
}

static bool is_true(const char *value)
{
    return !strcmp(value, "1") || !strcasecmp(value, "true") || !strcasecmp(value, "t");
}

// CNI_ARGS, "K=V;K=V" (CNI conventions). What nobody knows is an error, unless IgnoreUnknown says
// that the others may be for other plugins.
static int read_cni_args(struct cni_args *args, const char *text, struct cni_error *error)
{
    // Meant for the IPAM plugin, or of no use to us.
    static const char *const others[] = {"IP", "GATEWAY", "K8S_POD_INFRA_CONTAINER_ID",
                                         "K8S_POD_UID"};
    char *copy = strdup(text), *unknown = NULL, *next = NULL;
    const char *pod = "", *namespace = "";
    bool ignore_unknown = false;
    int err = 0;

    for (char *key = strtok_r(copy, ";", &next); key && !err; key = strtok_r(NULL, ";", &next)) {
        char *value = strchr(key, '=');
        bool known = false;

        if (!value) {
            err = cni_fail(error, CNI_INVALID_ENVIRONMENT,
                           "CNI_ARGS: %s: not of the form KEY=VALUE", key);
            break;
        }
        *value++ = '\0';
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            known |= !strcmp(key, others[i]);
        if (!strcmp(key, "IgnoreUnknown")) {
            ignore_unknown = is_true(value);
        } else if (!strcmp(key, "K8S_POD_NAMESPACE")) {
            namespace = value;
        } else if (!strcmp(key, "K8S_POD_NAME")) {
            pod = value;
        } else if (!strcmp(key, "MAC")) {
            if (mac_parse(value, args->mac) || !mac_is_unicast(args->mac))
                err = cni_fail(error, CNI_INVALID_ENVIRONMENT,
                               "CNI_ARGS: MAC: %s is not the MAC address of a station", value);
            args->has_mac = true;
        } else if (!known) {
            unknown = key;
        }
    }
    if (!err && unknown && !ignore_unknown)
        err = cni_fail(error, CNI_INVALID_ENVIRONMENT,
                       "CNI_ARGS: %s is not known; leave it out or add IgnoreUnknown=1", unknown);
    snprintf(args->pod, sizeof args->pod, "%s%s%s", namespace, *namespace ? "/" : "", pod);
    free(copy);
    return err;
}

int cni_args_read(struct cni_args *args, unsigned needs, struct cni_error *error)
{
    int err = 0;

    memset(args, 0, sizeof *args);
    args->lock = -1;
    args->container_id = variable("CNI_CONTAINERID");
    args->ifname = variable("CNI_IFNAME");
    args->netns = variable("CNI_NETNS");
    args->path = variable("CNI_PATH");
    if (needs & CNI_NEEDS_ATTACHMENT) {
        err = need("CNI_CONTAINERID", args->container_id, error);
        if (!err)
            err = need("CNI_IFNAME", args->ifname, error);
        if (!err && !container_id_is_valid(args->container_id))
            err = cni_fail(error, CNI_INVALID_ENVIRONMENT, "CNI_CONTAINERID: %s is no container id",
                           args->container_id);
        if (!err && !ifname_is_valid(args->ifname))
            err = cni_fail(error, CNI_INVALID_ENVIRONMENT, "CNI_IFNAME: %s is no interface name",
                           args->ifname);
    }
    if (!err && (needs & CNI_NEEDS_NETNS))
        err = need("CNI_NETNS", args->netns, error);
    if (!err && (needs & CNI_NEEDS_NETNS))
        err = read_cni_args(args, variable("CNI_ARGS"), error);
    return err;
}
