/* SPDX-License-Identifier: Apache-2.0 */
// What the plugin makes of an IPAM plugin's answer, and the names it gives.
#include <config.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cni/net.h"
#include "cni/result.h"
#include "cni/veth.h"
#include "config/address.h"
#include "openvswitch/json.h"

static int parse(const char *text, int interface, struct cni_net *net, struct cni_error *error)
{
    struct json *json = json_from_string(text);
    int err = cni_net_parse(json, interface, net, error);

    json_destroy(json);
    return err;
}

static void set_gateways(struct cni_net *net, const char *v4, const char *v6)
{
    for (unsigned i = 0; i < net->n_ips; i++)
        assert_int_equal(address_parse(IN6_IS_ADDR_V4MAPPED(&net->ips[i].address) ? v4 : v6,
                                       &net->ips[i].gateway),
                         0);
}

static void assert_json(struct json *json, const char *text)
{
    char *got = json_to_string(json, JSSF_SORT);

    assert_string_equal(got, text);
    free(got);
    json_destroy(json);
}

static void defaults_are_added(void **state)
{
    struct cni_error error = {0};
    struct cni_net net;

    (void)state;
    assert_int_equal(
        parse("{\"ips\": [{\"address\": \"10.1.10.5/24\"}, {\"address\": \"fd00::5/64\"}],"
              " \"routes\": [{\"dst\": \"::/0\", \"mtu\": 1400}]}",
              -1, &net, &error),
        0);
    set_gateways(&net, "10.1.10.1", "fd00::1");
    assert_int_equal(cni_net_complete_routes(&net, &error), 0);
    assert_int_equal(net.n_routes, 2);
    assert_json(cni_route_to_json(&net.routes[0], "1.1.0"),
                "{\"dst\":\"::/0\",\"gw\":\"fd00::1\",\"mtu\":1400}");
    assert_json(cni_route_to_json(&net.routes[0], "1.0.0"),
                "{\"dst\":\"::/0\",\"gw\":\"fd00::1\"}");
    assert_json(cni_route_to_json(&net.routes[1], "1.1.0"),
                "{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.1.10.1\"}");
    assert_json(cni_ip_to_json(&net.ips[0], 1, "0.4.0"),
                "{\"address\":\"10.1.10.5/32\",\"gateway\":\"10.1.10.1\",\"interface\":1,"
                "\"version\":\"4\"}");
    assert_json(cni_ip_to_json(&net.ips[1], 1, "1.0.0"),
                "{\"address\":\"fd00::5/128\",\"gateway\":\"fd00::1\",\"interface\":1}");
    cni_net_free(&net);
}

static void routes_that_cannot_be(void **state)
{
    struct cni_error error = {0};
    struct cni_net net;

    (void)state;
    assert_int_equal(parse("{\"ips\": [{\"address\": \"10.1.10.5/24\"}],"
                           " \"routes\": [{\"dst\": \"fd00:9::/64\"}]}",
                           -1, &net, &error),
                     0);
    set_gateways(&net, "10.1.10.1", NULL);
    assert_int_not_equal(cni_net_complete_routes(&net, &error), 0);
    assert_non_null(strstr(error.msg, "family"));
    cni_net_free(&net);
    assert_int_equal(parse("{\"ips\": [{\"address\": \"10.1.10.5/24\"}],"
                           " \"routes\": [{\"dst\": \"10.9.0.0/16\", \"gw\": \"10.1.10.9\"}]}",
                           -1, &net, &error),
                     0);
    set_gateways(&net, "10.1.10.1", NULL);
    assert_int_not_equal(cni_net_complete_routes(&net, &error), 0);
    assert_non_null(strstr(error.msg, "10.1.10.9"));
    cni_net_free(&net);
    cni_error_free(&error);
}

static void of_one_interface(void **state)
{
    struct cni_error error = {0};
    struct cni_net net;

    (void)state;
    assert_int_equal(parse("{\"ips\": [{\"address\": \"192.0.2.1/24\", \"interface\": 0},"
                           " {\"address\": \"192.0.2.2/24\"},"
                           " {\"address\": \"10.1.10.5/32\", \"interface\": 1}], \"routes\": null}",
                           1, &net, &error),
                     0);
    assert_int_equal(net.n_ips, 1);
    assert_int_equal(net.ips[0].address.s6_addr[15], 5);
    cni_net_free(&net);
}

static void nonsense(void **state)
{
    static const char *const texts[] = {
        "{\"ips\": {}}",
        "{\"ips\": [7]}",
        "{\"ips\": [{}]}",
        "{\"ips\": [{\"address\": \"10.1.10.5\"}]}",
        "{\"ips\": [{\"address\": \"10.1.10.5/33\"}]}",
        "{\"ips\": [{\"address\": \"10.1.10.5/24\", \"gateway\": \"x\"}]}",
        "{\"routes\": [{\"dst\": \"10.0.0.0\"}]}",
        "{\"routes\": [{\"dst\": \"10.0.0.0/8\", \"mtu\": -1}]}",
        "{\"routes\": [{\"dst\": \"10.0.0.0/8\", \"table\": \"main\"}]}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct cni_error error = {0};
        struct cni_net net;

        if (!parse(texts[i], -1, &net, &error) || error.code != CNI_DECODE)
            fail_msg("%s: was accepted", texts[i]);
        cni_net_free(&net);
        cni_error_free(&error);
    }
}

static void conversion(void **state)
{
    struct json *json =
        json_from_string("{\"cniVersion\": \"1.1.0\", \"ips\": [{\"address\": \"fd00::5/128\"}]}");

    (void)state;
    assert_json(result_convert(json, "0.4.0"),
                "{\"cniVersion\":\"0.4.0\",\"ips\":[{\"address\":\"fd00::5/128\","
                "\"version\":\"6\"}]}");
    assert_json(result_convert(json, "1.0.0"),
                "{\"cniVersion\":\"1.0.0\",\"ips\":[{\"address\":\"fd00::5/128\"}]}");
    json_destroy(json);
}

// DEL finds by name what an older release of the plugin has made: the names never change.
static void identity(void **state)
{
    struct cni_args args = {.container_id = "abc", .ifname = "eth0"};
    char name[IFNAMSIZ], other[IFNAMSIZ], text[ADDRESS_TEXT];
    uint8_t mac[6], other_mac[6];

    (void)state;
    veth_identify(&args, name, mac);
    assert_string_equal(name, "sljc3qgyjqhurhw");
    assert_string_equal(mac_format(mac, text), "6a:28:38:18:e0:6e");
    args.ifname = "eth1";
    veth_identify(&args, other, other_mac);
    assert_string_not_equal(name, other);
    assert_memory_not_equal(mac, other_mac, sizeof mac);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults_are_added), cmocka_unit_test(routes_that_cannot_be),
        cmocka_unit_test(of_one_interface),   cmocka_unit_test(nonsense),
        cmocka_unit_test(conversion),         cmocka_unit_test(identity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
