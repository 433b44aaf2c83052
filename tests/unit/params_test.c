/* SPDX-License-Identifier: Apache-2.0 */
// What requests on the control socket may hold: each fault is refused with the member's name.
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/address.h"
#include "control/params.h"
#include "openvswitch/json.h"

#define GOOD                                                                                       \
    "\"container_id\": \"7c1f0e9b2a34\", \"ifname\": \"eth0\", \"mac\": \"0a:58:0a:01:0a:05\", "   \
    "\"ips\": [\"10.1.10.5\", \"fd00:10:1:10::5\"]"

static struct json *parse(const char *text)
{
    struct json *json = json_from_string(text);

    if (json->type == JSON_STRING)
        fail_msg("%s: %s", text, json_string(json));
    return json;
}

static int attach(const char *text, struct attachment *attachment, struct fault *fault)
{
    struct json *json = parse(text);
    int err = params_attach(json, attachment, fault);

    json_destroy(json);
    return err;
}

// Refused, with a message that begins with `begin`.
static void refused(const char *text, const char *begin)
{
    struct attachment attachment;
    struct fault fault = {0};

    if (attach(text, &attachment, &fault) == 0)
        fail_msg("taken: %s", text);
    assert_int_equal(fault.code, FAULT_invalid_params);
    if (strncmp(fault.message, begin, strlen(begin)) != 0)
        fail_msg("%s: \"%s\" does not begin with \"%s\"", text, fault.message, begin);
    free(fault.message);
}

static void test_attach_is_read(void **state)
{
    struct attachment attachment;
    struct fault fault = {0};
    char text[ADDRESS_TEXT];

    (void)state;
    assert_int_equal(attach("[{" GOOD ", \"netdev\": \"sl3f9a1c2b\", \"mtu\": 1400, "
                            "\"pod\": \"shop/cart-7d9f\"}]",
                            &attachment, &fault),
                     0);
    assert_string_equal(attachment.container_id, "7c1f0e9b2a34");
    assert_string_equal(attachment.ifname, "eth0");
    assert_string_equal(attachment.netdev, "sl3f9a1c2b");
    assert_string_equal(attachment.devargs, "");
    assert_string_equal(attachment.pod, "shop/cart-7d9f");
    assert_string_equal(mac_format(attachment.mac, text), "0a:58:0a:01:0a:05");
    assert_int_equal(attachment.mtu, 1400);
    assert_int_equal(attachment.n_addresses, 2);
    assert_string_equal(address_format(&attachment.addresses[0], text), "10.1.10.5");
    assert_string_equal(address_format(&attachment.addresses[1], text), "fd00:10:1:10::5");
}

static void test_optional_members_may_be_missing(void **state)
{
    struct attachment attachment;
    struct fault fault = {0};

    (void)state;
    assert_int_equal(attach("[{" GOOD ", \"devargs\": \"net_null0\"}]", &attachment, &fault), 0);
    assert_int_equal(attachment.mtu, 0);
    assert_string_equal(attachment.pod, "");
}

static void test_the_faulty_member_is_named(void **state)
{
    (void)state;
    refused("[]", "container_id: is missing");
    refused("[{}]", "container_id: is missing");
    refused("[1]", "params: ");
    refused("[{}, {}]", "params: ");
    refused("[{" GOOD "}]", "netdev, devargs: ");
    refused("[{" GOOD ", \"netdev\": \"a\", \"devargs\": \"b\"}]", "netdev, devargs: ");
    refused("[{" GOOD ", \"netdev\": \"a\", \"colour\": \"b\"}]", "colour: is not known");
    refused("[{" GOOD ", \"netdev\": 5}]", "netdev: is whole number, must be string");
    refused("[{" GOOD ", \"netdev\": null}]", "netdev: is null, must be string");
    refused("[{" GOOD ", \"netdev\": \"0123456789abcdef\"}]", "netdev: longer than 15 bytes");
    refused("[{" GOOD ", \"netdev\": \"../x\"}]", "netdev: \"../x\"");
    refused("[{" GOOD ", \"netdev\": \"..\"}]", "netdev: ");
    refused("[{" GOOD ", \"netdev\": \"a b\"}]", "netdev: ");
    refused("[{" GOOD ", \"netdev\": \"\"}]", "netdev: must not be empty");
    refused("[{" GOOD ", \"netdev\": \"a\", \"mtu\": \"1500\"}]", "mtu: is string");
    refused("[{" GOOD ", \"netdev\": \"a\", \"mtu\": 67}]", "mtu: 67");
    refused("[{" GOOD ", \"netdev\": \"a\", \"mtu\": 65536}]", "mtu: 65536");
    refused("[{" GOOD ", \"netdev\": \"a\", \"mtu\": 1500.5}]", "mtu: ");
    refused("[{" GOOD ", \"netdev\": \"a\", \"pod\": \"a\\nb\"}]", "pod: holds a control");
}

#define WITH(container_id, ifname, mac, ips)                                                       \
    "[{\"netdev\": \"a\", \"container_id\": \"" container_id "\", \"ifname\": \"" ifname           \
    "\", \"mac\": \"" mac "\", \"ips\": " ips "}]"

static void test_values_are_checked(void **state)
{
    (void)state;
    refused(WITH("-a", "eth0", "0a:58:0a:01:0a:05", "[\"10.1.10.5\"]"), "container_id: ");
    refused(WITH("a b", "eth0", "0a:58:0a:01:0a:05", "[\"10.1.10.5\"]"), "container_id: ");
    refused(WITH("a", "e/0", "0a:58:0a:01:0a:05", "[\"10.1.10.5\"]"), "ifname: ");
    refused(WITH("a", "eth0", "0a:58:0a:01:0a", "[\"10.1.10.5\"]"), "mac: ");
    refused(WITH("a", "eth0", "00:00:00:00:00:00", "[\"10.1.10.5\"]"), "mac: ");
    refused(WITH("a", "eth0", "01:00:5e:00:00:01", "[\"10.1.10.5\"]"), "mac: ");
    refused(WITH("a", "eth0", "0a:58:0a:01:0a:05", "[]"), "ips: 0 addresses");
    refused(WITH("a", "eth0", "0a:58:0a:01:0a:05", "\"10.1.10.5\""), "ips: is string");
    refused(WITH("a", "eth0", "0a:58:0a:01:0a:05", "[5]"), "ips[0]: is whole number");
    refused(WITH("a", "eth0", "0a:58:0a:01:0a:05", "[\"10.1.10.5/24\"]"), "ips[0]: ");
    refused(WITH("a", "eth0", "0a:58:0a:01:0a:05", "[\"10.1.10.5\", \"10.1.10.5\"]"), "ips[1]: ");
    refused(WITH("a", "eth0", "0a:58:0a:01:0a:05",
                 "[\"1.0.0.1\",\"1.0.0.2\",\"1.0.0.3\",\"1.0.0.4\",\"1.0.0.5\",\"1.0.0.6\","
                 "\"1.0.0.7\",\"1.0.0.8\",\"1.0.0.9\"]"),
            "ips: 9 addresses");
}

static void test_reading_methods_take_nothing(void **state)
{
    struct fault fault = {0};
    struct json *empty = parse("[{}]"), *something = parse("[{\"all\": true}]");

    (void)state;
    assert_int_equal(params_none(empty, &fault), 0);
    assert_int_equal(params_none(something, &fault), -1);
    assert_string_equal(fault.message, "all: is not known here");
    free(fault.message);
    json_destroy(empty);
    json_destroy(something);
}

static void test_check_compares_only_what_is_given(void **state)
{
    struct fault fault = {0};
    struct check_params check;
    struct json *key = parse("[{\"container_id\": \"a\", \"ifname\": \"eth0\"}]");
    struct json *all = parse("[{" GOOD ", \"netdev\": \"a\"}]");

    (void)state;
    assert_int_equal(params_check(key, &check, &fault), 0);
    assert_false(check.netdev || check.mac || check.ips);
    assert_int_equal(params_check(all, &check, &fault), 0);
    assert_true(check.netdev && check.mac && check.ips);
    assert_int_equal(params_detach(all, &check.expected, &fault), -1);
    free(fault.message);
    json_destroy(key);
    json_destroy(all);
}

static void test_excerpts_end_with_a_whole_character(void **state)
{
    char text[200] = "a";

    (void)state;
    assert_int_equal(fault_excerpt(text), 1);
    for (unsigned i = 0; i < 60; i++)
        strcat(text, "\xc3\xa9"); // U+00E9
    assert_int_equal(fault_excerpt(text), 63);
    assert_int_equal(fault_excerpt(text + 1), 64);
    assert_int_equal(fault_excerpt(text + 121 - 64), 64);
}

static void test_every_code_is_documented(void **state)
{
    FILE *file = fopen(DOCUMENT, "r");
    char text[65536], row[64];
    size_t len;

    (void)state;
    assert_non_null(file);
    len = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[len] = '\0';
    for (int code = 0; code < FAULT_N; code++) {
        snprintf(row, sizeof(row), "\n| `%s` | ", fault_name(code));
        if (strstr(text, row) == NULL)
            fail_msg("%s has no row for %s", DOCUMENT, fault_name(code));
        assert_true(strlen(fault_remedy(code)) > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attach_is_read),
        cmocka_unit_test(test_optional_members_may_be_missing),
        cmocka_unit_test(test_the_faulty_member_is_named),
        cmocka_unit_test(test_values_are_checked),
        cmocka_unit_test(test_reading_methods_take_nothing),
        cmocka_unit_test(test_check_compares_only_what_is_given),
        cmocka_unit_test(test_excerpts_end_with_a_whole_character),
        cmocka_unit_test(test_every_code_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
