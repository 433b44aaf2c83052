/* SPDX-License-Identifier: Apache-2.0 */
// The plugin's network configuration and environment.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cni/args.h"
#include "cni/conf.h"

#define IPAM "\"ipam\": {\"type\": \"host-local\"}"

static void parse_ok(const char *text, struct cni_conf *conf)
{
    struct cni_error error = {0};

    if (cni_conf_parse(text, true, conf, &error))
        fail_msg("%s: %s", text, error.msg);
}

// The error's code; its message must hold `part`.
static void parse_fails(const char *text, int code, const char *part)
{
    struct cni_error error = {0};
    struct cni_conf conf;

    if (!cni_conf_parse(text, true, &conf, &error))
        fail_msg("%s: was accepted", text);
    if (error.code != code || !strstr(error.msg, part))
        fail_msg("%s: code %d, %s", text, error.code, error.msg);
    cni_error_free(&error);
    cni_conf_free(&conf);
}

static void defaults(void **state)
{
    struct cni_conf conf;

    (void)state;
    parse_ok("{\"cniVersion\": \"1.0.0\", \"name\": \"pods\", \"type\": \"sluice\", " IPAM "}",
             &conf);
    assert_string_equal(conf.version, "1.0.0");
    assert_string_equal(conf.name, "pods");
    assert_string_equal(conf.socket, "/run/sluice/control.sock");
    assert_int_equal(conf.mtu, 1500);
    assert_string_equal(conf.ipam_type, "host-local");
    assert_null(conf.dns);
    assert_null(conf.prev_result);
    assert_false(conf.has_mac);
    cni_conf_free(&conf);
}

static void own_keys(void **state)
{
    const uint8_t mac[6] = {0x02, 0xaa, 0, 0, 0, 1};
    struct cni_conf conf;

    (void)state;
    parse_ok("{\"cniVersion\": \"0.4.0\", \"name\": \"p\", \"socket\": \"/s\", \"mtu\": 9000, "
             "\"runtimeConfig\": {\"mac\": \"02:AA:00:00:00:01\"}}",
             &conf);
    assert_string_equal(conf.socket, "/s");
    assert_int_equal(conf.mtu, 9000);
    assert_true(conf.has_mac);
    assert_memory_equal(conf.mac, mac, sizeof mac);
    assert_null(conf.ipam_type);
    cni_conf_free(&conf);
}

static void refused(void **state)
{
    (void)state;
    parse_fails("", CNI_DECODE, "JSON");
    parse_fails("[]", CNI_DECODE, "JSON");
    parse_fails("{\"name\": \"p\"", CNI_DECODE, "JSON");
    parse_fails("{\"name\": \"p\"}", CNI_INCOMPATIBLE_VERSION, "0.1.0");
    parse_fails("{\"cniVersion\": \"1.9.0\", \"name\": \"p\"}", CNI_INCOMPATIBLE_VERSION, "1.9.0");
    parse_fails("{\"cniVersion\": 1, \"name\": \"p\"}", CNI_INCOMPATIBLE_VERSION, "no string");
    parse_fails("{\"cniVersion\": \"1.0.0\"}", CNI_INVALID_CONFIG, "name");
    parse_fails("{\"cniVersion\": \"1.0.0\", \"name\": \"a b\"}", CNI_INVALID_CONFIG, "a b");
    parse_fails("{\"cniVersion\": \"1.0.0\", \"name\": \"p\", \"mtu\": 67}", CNI_INVALID_CONFIG,
                "mtu");
    parse_fails("{\"cniVersion\": \"1.0.0\", \"name\": \"p\", \"prevResult\": 1}",
                CNI_INVALID_CONFIG, "prevResult");
    parse_fails("{\"cniVersion\": \"1.0.0\", \"name\": \"p\", \"vlan\": 7}", CNI_UNSUPPORTED_FIELD,
                "vlan: 7");
    parse_fails("{\"cniVersion\": \"1.0.0\", \"name\": \"p\", \"ipMasq\": true}",
                CNI_UNSUPPORTED_FIELD, "ipMasq: true");
    parse_fails("{\"cniVersion\": \"1.0.0\", \"name\": \"p\", \"runtimeConfig\": {\"x\": \"y\"}}",
                CNI_UNSUPPORTED_FIELD, "runtimeConfig.x: \"y\"");
}

// DEL takes what ADD would refuse.
static void lenient(void **state)
{
    struct cni_error error = {0};
    struct cni_conf conf;

    (void)state;
    assert_int_equal(cni_conf_parse("{\"cniVersion\": \"1.0.0\", \"name\": \"p\", \"vlan\": 7}",
                                    false, &conf, &error),
                     0);
    cni_conf_free(&conf);
}

static int clear_environment(void **state)
{
    (void)state;
    // Not all: cmocka's own says how it is to report.
    unsetenv("CNI_ARGS");
    unsetenv("CNI_PATH");
    setenv("CNI_CONTAINERID", "abc", 1);
    setenv("CNI_IFNAME", "eth0", 1);
    setenv("CNI_NETNS", "/run/netns/x", 1);
    return 0;
}

static int read_args(const char *cni_args, struct cni_args *args, int *code)
{
    struct cni_error error = {0};
    int err;

    if (cni_args)
        setenv("CNI_ARGS", cni_args, 1);
    err = cni_args_read(args, CNI_NEEDS_ATTACHMENT | CNI_NEEDS_NETNS, &error);
    *code = error.code;
    cni_error_free(&error);
    return err;
}

static void environment(void **state)
{
    const uint8_t mac[6] = {0x02, 0, 0, 0, 0, 1};
    struct cni_args args;
    int code;

    (void)state;
    assert_int_equal(read_args(NULL, &args, &code), 0);
    assert_string_equal(args.container_id, "abc");
    assert_string_equal(args.path, "");
    assert_string_equal(args.pod, "");
    assert_false(args.has_mac);
    assert_int_equal(read_args("MAC=02:00:00:00:00:01;K8S_POD_NAME=web;K8S_POD_NAMESPACE=shop;"
                               "K8S_POD_UID=1",
                               &args, &code),
                     0);
    assert_true(args.has_mac);
    assert_memory_equal(args.mac, mac, sizeof mac);
    assert_string_equal(args.pod, "shop/web");
    assert_int_equal(read_args("K8S_POD_NAME=web", &args, &code), 0);
    assert_string_equal(args.pod, "web");
}

static void unknown_args(void **state)
{
    struct cni_args args;
    int code;

    (void)state;
    assert_int_equal(read_args("FOO=1;IgnoreUnknown=true", &args, &code), 0);
    assert_int_not_equal(read_args("FOO=1;IgnoreUnknown=0", &args, &code), 0);
    assert_int_equal(code, CNI_INVALID_ENVIRONMENT);
    assert_int_not_equal(read_args("FOO", &args, &code), 0);
    assert_int_equal(code, CNI_INVALID_ENVIRONMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(own_keys),
        cmocka_unit_test(refused),
        cmocka_unit_test(lenient),
        cmocka_unit_test_setup(environment, clear_environment),
        cmocka_unit_test_setup(unknown_args, clear_environment),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
