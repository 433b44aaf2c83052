/* SPDX-License-Identifier: Apache-2.0 */
// What a runtime gives the plugin. An input is the texts of stdin, CNI_CONTAINERID, CNI_IFNAME,
// CNI_NETNS and CNI_ARGS, each but the last with a zero byte after it. stdin also stands for what
// an IPAM plugin answers.
#include <config.h>

#include <string.h>

#include "cni/args.h"
#include "cni/conf.h"
#include "cni/net.h"
#include "cni/result.h"
#include "config/address.h"
#include "openvswitch/json.h"
#include "tests/fuzz/fuzz.h"

// A refusal is what the spec's section "Error" wants, and the runtime can read it.
static void check_refusal(int err, struct cni_error *error, const char *version)
{
    struct json *json;
    char *text;
    size_t size;
    FILE *out;

    check(err < 0 && error->code > 0 && error->msg && error->msg[0], "an error says what");
    out = open_memstream(&text, &size);
    cni_error_print(error, version, out);
    fclose(out);
    json = json_from_string(text);
    check(json->type == JSON_OBJECT && json_member_string(json, "msg") &&
              json_member_string(json, "cniVersion"),
          "an error is JSON");
    json_destroy(json);
    free(text);
    cni_error_free(error);
}

// Leaves sound ones, whatever it was given.
static void try_args(struct cni_args *args)
{
    struct cni_error error = {0};
    int err = cni_args_read(args, CNI_NEEDS_ATTACHMENT | CNI_NEEDS_NETNS, &error);

    if (err) {
        check_refusal(err, &error, NULL);
        *args = (struct cni_args){.container_id = "c1", .ifname = "eth0", .netns = "/n"};
    }
    check(args->container_id[0] && !strpbrk(args->container_id, "/ \n:"), "a container id");
    check(args->ifname[0] && strlen(args->ifname) < IFNAMSIZ && !strpbrk(args->ifname, "/: \n") &&
              strcmp(args->ifname, "..") != 0,
          "an interface name");
    check(args->netns[0], "a namespace");
    check(!args->has_mac || mac_is_unicast(args->mac), "a station's MAC");
    check(strlen(args->pod) < sizeof args->pod, "a pod's name");
}

// Routes and addresses of an IPAM plugin's answer or of prevResult, and the result made of them.
static void try_result(const struct cni_conf *conf, const struct cni_args *args,
                       const struct json *from)
{
    struct veth veth = {.name = "slaaaaaaaaaaaaa", .mtu = conf->mtu};
    struct cni_error error = {0};
    struct cni_net net = {0};
    const char *mac;
    const int interfaces[] = {-1, result_find_interface(from, args, &mac)};

    for (int i = 0; i < 2; i++) {
        int err = cni_net_parse(from, interfaces[i], &net, &error);

        if (!err)
            err = cni_net_complete_routes(&net, &error);
        if (err) {
            check_refusal(err, &error, conf->version);
        } else {
            struct json *result = result_make(conf, args, &veth, &net, json_member(from, "dns"));

            check(net.n_ips <= CNI_IPS_MAX, "no more addresses than there is room for");
            check(result_find_interface(result, args, &mac) >= 0,
                  "the result has the pod's interface");
            for (int v = 0; cni_versions[v]; v++) {
                struct json *converted = result_convert(result, cni_versions[v]);

                check(!strcmp(json_member_string(converted, "cniVersion"), cni_versions[v]),
                      "a result says its version");
                json_destroy(converted);
            }
            json_destroy(result);
        }
        cni_net_free(&net);
    }
}

static void try_conf(const char *text, const struct cni_args *args)
{
    struct cni_conf lenient, strict;
    struct cni_error error = {0};
    int err = cni_conf_parse(text, false, &lenient, &error);

    if (err) {
        check_refusal(err, &error, lenient.version);
    } else {
        check(cni_version_index(lenient.version) >= 0, "a version we speak");
        check(lenient.name && lenient.name[0] && !strchr(lenient.name, '/'), "a network's name");
        check(lenient.socket[0] == '/', "the socket's path is absolute");
        check(lenient.mtu >= 68 && lenient.mtu <= 65535, "MTU");
        check(!lenient.ipam_type || !strchr(lenient.ipam_type, '/'), "IPAM is a file's name");
        check(!lenient.has_mac || mac_is_unicast(lenient.mac), "a station's MAC");
        try_result(&lenient, args, lenient.prev_result ? lenient.prev_result : lenient.json);
    }
    if (!cni_conf_parse(text, true, &strict, &error))
        check(!err, "what is valid for ADD is valid for DEL");
    else
        check_refusal(-1, &error, strict.version);
    cni_conf_free(&strict);
    cni_conf_free(&lenient);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {NULL, "CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS",
                                        "CNI_ARGS"};
    char *text = malloc(size + 1), *at = text;
    struct cni_args args;

    check(text, "memory");
    memcpy(text, data, size);
    text[size] = '\0';
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (names[i])
            setenv(names[i], at, 1);
        at += at < text + size ? strlen(at) : 0;
        at += at < text + size;
    }
    try_args(&args);
    try_conf(text, &args);
    free(text);
    return 0;
}
