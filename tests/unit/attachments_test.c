/* SPDX-License-Identifier: Apache-2.0 */
// Attachments with the real state file and rules, over a dataplane, a NIC and netdevs that this
// test plays: at whichever step something fails, everything is as it was before.
#include <config.h>

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/address.h"
#include "control/attachments.h"
#include "control/netdev.h"
#include "control/uplinks.h"
#include "openvswitch/vlog.h"
#include "timeval.h"

static struct config config;
static struct state *state;
static char dir[] = "/tmp/sluice-attachments-test-XXXXXX";
static char state_path[sizeof(dir) + 16];

// ---- the dataplane, the NIC and the rest, as the test plays them

static struct dp_port_info ports[PORT_MAX + 1];
static bool port_open[PORT_MAX + 1];
static struct rule rules[64];
static bool rule_there[64];
static unsigned announced;
static bool in_nic;
static bool device_gone;
// The call that fails: counted down at each dp_port_add and dp_rule_add. 0: none.
static unsigned fail_at;

static bool fails(char **error)
{
    if (fail_at == 0 || --fail_at > 0)
        return false;
    *error = strdup("the test says so");
    return true;
}

int dp_port_add(const struct dp_port_params *params, char **error)
{
    if (fails(error))
        return -EIO;
    assert_false(port_open[params->no]);
    port_open[params->no] = true;
    ports[params->no].params = *params;
    return 0;
}

int dp_port_del(uint16_t no, char **error)
{
    (void)error;
    assert_true(port_open[no]);
    for (unsigned slot = 0; slot < 64; slot++)
        assert_false(rule_there[slot] && rules[slot].cookie == no &&
                     !(device_gone && rules[slot].table == RULE_TABLE_FORWARD));
    port_open[no] = false;
    return 0;
}

const struct dp_port_info *dp_port_get(uint16_t no)
{
    return port_open[no] ? &ports[no] : NULL;
}

int dp_rule_add(const struct rule *rule, uint32_t *slot, char **error)
{
    if (fails(error))
        return -ENOSPC;
    // The guard is on before anything is forwarded, and the port is open before both.
    assert_true(port_open[rule->cookie]);
    for (*slot = 0; rule_there[*slot]; ++*slot)
        ;
    rules[*slot] = *rule;
    rule_there[*slot] = true;
    return 0;
}

int dp_rule_del(uint32_t slot)
{
    assert_true(rule_there[slot]);
    rule_there[slot] = false;
    return 0;
}

void offload_init(enum offload_mode mode, offload_port_fn *port_of)
{
    (void)mode;
    (void)port_of;
}

void offload_prefer(const struct offload_prefix *list, unsigned n)
{
    (void)list;
    (void)n;
}

int offload_start(void)
{
    return 0;
}

void offload_stop(void)
{
}

int offload_settle(bool all, unsigned ms)
{
    (void)all;
    (void)ms;
    return 0;
}

bool offload_port_has_nic(uint16_t port)
{
    (void)port;
    return false;
}

struct offload_rule *offload_add(const struct rule *rule)
{
    (void)rule;
    return malloc(1);
}

void offload_remove(struct offload_rule *orule)
{
    free(orule);
}

bool offload_in_nic(const struct offload_rule *orule)
{
    (void)orule;
    return in_nic;
}

const char *offload_why_not(const struct offload_rule *orule)
{
    (void)orule;
    return "this NIC takes nothing";
}

static bool netdev_there = true;
static int netdev_ifindex = 7;

int netdev_index(const char *name)
{
    (void)name;
    return netdev_there ? netdev_ifindex : 0;
}

void uplinks_announce(unsigned range, const struct in6_addr *address, long long now_ms)
{
    (void)address;
    (void)now_ms;
    assert_true(range < config.n_ranges);
    announced++;
}

void uplinks_announce_cancel(const struct in6_addr *address)
{
    (void)address;
}

static struct uplink first_uplink = {.gone = (char *)"uplink up0: its device was unplugged"};

bool dp_port_gone(uint16_t no)
{
    return device_gone && port_open[no];
}

bool dp_same_device(const char *devargs, const char *other)
{
    size_t n = strcspn(devargs, ",");

    return n && n == strcspn(other, ",") && !strncmp(devargs, other, n);
}

const struct uplink *uplinks_first_on(const char *devargs)
{
    return device_gone && dp_same_device(devargs, "net_esw0") ? &first_uplink : NULL;
}

// ---- the tests

static unsigned count_ports(void)
{
    unsigned n = 0;

    for (unsigned no = 0; no <= PORT_MAX; no++)
        n += port_open[no];
    return n;
}

static unsigned count_rules(void)
{
    unsigned n = 0;

    for (unsigned slot = 0; slot < 64; slot++)
        n += rule_there[slot];
    return n;
}

static size_t count_state(void)
{
    struct attachment *list;
    char *error = NULL;
    size_t n;

    assert_int_equal(state_list(state, &list, &n, &error), 0);
    free(list);
    return n;
}

static void is_empty(void)
{
    assert_int_equal(count_ports(), 0);
    assert_int_equal(count_rules(), 0);
    assert_int_equal(count_state(), 0);
    assert_null(attachments_get(PORT_POD_FIRST));
}

static void ip(const char *text, struct in6_addr *out)
{
    assert_int_equal(address_parse(text, out), 0);
}

static struct attachment request(const char *container, const char *netdev, const char *address)
{
    struct attachment a = {.ifname = "eth0", .mac = {2, 0, 0, 0, 0, 9}, .n_addresses = 2};

    strcpy(a.container_id, container);
    strcpy(a.netdev, netdev);
    ip(address, &a.addresses[0]);
    ip("fd00:10:1:10::5", &a.addresses[1]);
    a.addresses[1].s6_addr[15] = a.addresses[0].s6_addr[15];
    return a;
}

static void open_all(void)
{
    char *error = NULL;
    bool rebooted;

    if (state_open(state_path, &state, &rebooted, &error) ||
        attachments_open(&config, state, &error))
        fail_msg("%s", error);
}

// As if the daemon ended: the state stays.
static void close_all(void)
{
    attachments_close();
    rules_fini();
    state_close(state);
    memset(port_open, 0, sizeof(port_open));
    memset(rule_there, 0, sizeof(rule_there));
}

static void set_range(unsigned i, const char *subnet, const char *gateway)
{
    assert_int_equal(
        address_parse_prefix(subnet, &config.ranges[i].subnet, &config.ranges[i].prefix_len), 0);
    ip(gateway, &config.ranges[i].gateway);
}

static int setup(void **unused)
{
    (void)unused;
    config_defaults(&config);
    config.n_ranges = 2;
    set_range(0, "10.1.10.0/24", "10.1.10.1");
    set_range(1, "fd00:10:1:10::/64", "fd00:10:1:10::1");
    config.n_uplinks = 1;
    strcpy(config.uplinks[0].netdev, "up0");
    config.offload = CONFIG_OFFLOAD_AUTO;
    fail_at = 0;
    announced = 0;
    in_nic = false;
    netdev_there = true;
    device_gone = false;
    netdev_ifindex = 7;
    rules_init(&config);
    unlink(state_path);
    open_all();
    return 0;
}

static int teardown(void **unused)
{
    (void)unused;
    close_all();
    return 0;
}

static uint16_t attach(const struct attachment *a)
{
    const struct attached *attached;
    struct fault fault = {0};

    if (attachments_attach(a, &attached, &fault))
        fail_msg("%s", fault.message);
    return attached->attachment.port;
}

static void refused(const struct attachment *a, enum fault_code code)
{
    const struct attached *attached;
    struct fault fault = {0};

    assert_int_equal(attachments_attach(a, &attached, &fault), -1);
    assert_string_equal(fault_name(fault.code), fault_name(code));
    assert_true(strlen(fault.message) > 0);
    free(fault.message);
}

static bool detach(const char *container)
{
    struct fault fault = {0};
    bool detached;

    assert_int_equal(attachments_detach(container, "eth0", &detached, &fault), 0);
    return detached;
}

static void test_attach_and_detach(void **unused)
{
    struct attachment a = request("c1", "v1", "10.1.10.5");

    (void)unused;
    assert_int_equal(attach(&a), PORT_POD_FIRST);
    assert_int_equal(count_ports(), 1);
    assert_int_equal(count_rules(), 4); // a guard and a forward rule for each address
    assert_int_equal(count_state(), 1);
    assert_int_equal(announced, 2);
    assert_int_equal(ports[PORT_POD_FIRST].params.mtu, config.mtu);
    assert_true(detach("c1"));
    is_empty();
    assert_false(detach("c1"));
}

static void test_whatever_fails_leaves_nothing_behind(void **unused)
{
    struct attachment a = request("c1", "v1", "10.1.10.5");

    (void)unused;
    for (unsigned step = 1; step <= 5; step++) { // the port and its four rules
        fail_at = step;
        refused(&a, step <= 3 ? FAULT_no_device : FAULT_internal);
        assert_int_equal(fail_at, 0);
        is_empty();
    }
    attach(&a);
}

static void test_required_offload_refused_by_the_nic(void **unused)
{
    struct attachment a = request("c1", "v1", "10.1.10.5");

    (void)unused;
    config.offload = CONFIG_OFFLOAD_REQUIRE;
    rules_init(&config);
    config.offload = CONFIG_OFFLOAD_AUTO;
    refused(&a, FAULT_not_offloaded);
    is_empty();
    in_nic = true;
    attach(&a);
}

static void test_the_same_again_is_the_same_port(void **unused)
{
    struct attachment a = request("c1", "v1", "10.1.10.5"), other = a;

    (void)unused;
    attach(&a);
    assert_int_equal(attach(&a), PORT_POD_FIRST);
    assert_int_equal(count_rules(), 4);
    other.mac[5]++;
    refused(&other, FAULT_already_attached);
    assert_int_equal(count_rules(), 4);
}

static void test_the_lowest_free_port_is_taken(void **unused)
{
    struct attachment a = request("c1", "v1", "10.1.10.5");
    struct attachment b = request("c2", "v2", "10.1.10.6");
    struct attachment c = request("c3", "v3", "10.1.10.7");

    (void)unused;
    assert_int_equal(attach(&a), PORT_POD_FIRST);
    assert_int_equal(attach(&b), PORT_POD_FIRST + 1);
    detach("c1");
    assert_int_equal(attach(&c), PORT_POD_FIRST);
}

static void test_what_is_not_possible_is_refused(void **unused)
{
    struct attachment first = request("c1", "v1", "10.1.10.5"), a;

    (void)unused;
    attach(&first);
    a = request("c2", "v2", "10.1.10.5");
    refused(&a, FAULT_address_in_use);
    a = request("c2", "v2", "10.1.10.1");
    refused(&a, FAULT_address_in_use);
    a = request("c2", "v2", "10.1.10.0");
    refused(&a, FAULT_invalid_params);
    a = request("c2", "v2", "10.1.10.255");
    refused(&a, FAULT_invalid_params);
    a = request("c2", "v2", "10.1.12.5");
    refused(&a, FAULT_no_range);
    a = request("c2", "v1", "10.1.10.6");
    refused(&a, FAULT_no_device);
    a = request("c2", "up0", "10.1.10.6");
    refused(&a, FAULT_no_device);
    a = request("c2", "v2", "10.1.10.6");
    a.mtu = config.mtu + 1;
    refused(&a, FAULT_invalid_params);
    a.mtu = 1279; // it has an IPv6 address
    refused(&a, FAULT_invalid_params);
    memcpy(a.mac, config.router_mac, 6);
    a.mtu = 0;
    refused(&a, FAULT_invalid_params);
    netdev_there = false;
    a = request("c2", "v2", "10.1.10.6");
    refused(&a, FAULT_no_device);
    assert_int_equal(count_ports(), 1);
    assert_int_equal(count_state(), 1);
}

static void test_restart_finds_the_pods_at_their_ports(void **unused)
{
    struct attachment a = request("c1", "v1", "10.1.10.5");
    struct attachment b = request("c2", "v2", "10.1.10.6");

    (void)unused;
    attach(&a);
    attach(&b);
    detach("c1");
    close_all();
    open_all();
    assert_null(attachments_get(PORT_POD_FIRST));
    assert_true(attachments_get(PORT_POD_FIRST + 1)->up);
    assert_string_equal(attachments_get(PORT_POD_FIRST + 1)->attachment.container_id, "c2");
    assert_int_equal(count_rules(), 4);
    assert_int_equal(attach(&b), PORT_POD_FIRST + 1);
}

static void is_down_after_restart(const char *why)
{
    close_all();
    open_all();
    assert_false(attachments_get(PORT_POD_FIRST)->up);
    if (!strstr(attachments_get(PORT_POD_FIRST)->reason, why))
        fail_msg("%s, not: %s", attachments_get(PORT_POD_FIRST)->reason, why);
    assert_int_equal(count_state(), 1);
}

// What could not be attached now is not brought up either.
static void test_restart_with_another_node_file(void **unused)
{
    struct attachment a = request("c1", "v1", "10.1.10.5");

    (void)unused;
    attach(&a);
    set_range(0, "10.1.10.0/24", "10.1.10.5");
    is_down_after_restart("10.1.10.5 is the gateway");
    set_range(0, "10.1.10.0/24", "10.1.10.1");
    strcpy(config.uplinks[0].netdev, "v1");
    is_down_after_restart("v1 is an uplink");
    strcpy(config.uplinks[0].netdev, "up0");
    memcpy(config.router_mac, a.mac, sizeof(a.mac));
    is_down_after_restart("mac: is the router's");
    config.router_mac[5]++;
    assert_int_equal(count_rules(), 0);

    strcpy(config.host_device.name, "host");
    strcpy(config.host_device.netdev, "host");
    config.n_host_addresses = 1;
    config.host_addresses[0] = a.addresses[0];
    is_down_after_restart("the host has 10.1.10.5");
    assert_int_equal(count_rules(), 2); // the host's
    config.host_addresses[0].s6_addr[15]++;
    strcpy(config.host_device.netdev, "v1");
    is_down_after_restart("v1 belongs to port 1023 (the host)");

    strcpy(config.host_device.netdev, "host");
    close_all();
    open_all();
    assert_true(attachments_get(PORT_POD_FIRST)->up);
    assert_int_equal(attach(&a), PORT_POD_FIRST);
}

static void test_restart_without_the_netdev_waits_for_it(void **unused)
{
    struct attachment a = request("c1", "v1", "10.1.10.5");
    struct in6_addr address;

    (void)unused;
    attach(&a);
    close_all();
    netdev_there = false;
    announced = 0;
    open_all();
    assert_false(attachments_get(PORT_POD_FIRST)->up);
    assert_non_null(strstr(attachments_get(PORT_POD_FIRST)->reason, "v1"));
    assert_int_equal(count_ports(), 0);
    assert_int_equal(count_rules(), 0);
    assert_int_equal(count_state(), 1);
    assert_int_equal(announced, 0);
    assert_false(attachments_address(0, 0, &address));
    refused(&a, FAULT_no_device);

    netdev_there = true;
    attachments_netdev_changed(8, "other", false);
    attachments_run(time_msec() + 1500); // not its netdev: not before its time
    assert_false(attachments_get(PORT_POD_FIRST)->up);
    attachments_netdev_changed(7, "v1", false);
    attachments_run(time_msec() + 1500);
    assert_true(attachments_get(PORT_POD_FIRST)->up);
    assert_int_equal(count_rules(), 4);
    assert_int_equal(announced, 2);
    assert_true(attachments_address(0, 0, &address));
    assert_int_equal(attachments_run(time_msec()), LLONG_MAX);
}

static void test_a_netdev_that_vanishes_takes_the_rules_with_it(void **unused)
{
    struct attachment a = request("c1", "v1", "10.1.10.5");
    struct check_params check = {.expected = a};
    struct fault fault = {0};

    (void)unused;
    attach(&a);
    assert_int_equal(attachments_check(&check, &fault), 0);
    netdev_there = false;
    attachments_netdev_changed(6, "v1", true); // another one, that had the name before
    assert_true(attachments_get(PORT_POD_FIRST)->up);
    attachments_netdev_changed(7, "v1", true);
    assert_false(attachments_get(PORT_POD_FIRST)->up);
    assert_int_equal(count_ports(), 0);
    assert_int_equal(count_rules(), 0);
    assert_int_equal(count_state(), 1);
    assert_int_equal(attachments_check(&check, &fault), -1);
    assert_int_equal(fault.code, FAULT_not_healthy);
    assert_true(detach("c1"));
    is_empty();
    assert_int_equal(attachments_check(&check, &fault), -1);
    assert_int_equal(fault.code, FAULT_not_attached);
    free(fault.message);
}

// Its port is closed, but packets to it stay here: the forward rules do.
static void test_a_device_that_goes_and_comes_back(void **unused)
{
    struct attachment a = request("c1", "", "10.1.10.5");
    const struct attached *attached;
    uint16_t port;

    (void)unused;
    strcpy(a.devargs, "net_esw0,representor=vf[0]");
    port = attach(&a);
    for (unsigned i = 0; i < 2; i++) {
        attachments_device_gone("was unplugged"); // another one
        assert_true(attachments_get(port)->up);
        device_gone = true;
        attachments_device_gone("was unplugged");
        attached = attachments_get(port);
        assert_false(attached->up);
        assert_string_equal(attached->reason, first_uplink.gone);
        assert_int_equal(count_ports(), 0);
        assert_int_equal(count_rules(), 2);
        refused(&a, FAULT_no_device);
        attachments_run(time_msec() + 10000);
        assert_int_equal(count_rules(), 2);
        device_gone = false;
        attachments_device_appeared("net_esw1,representor=vf[0]");
        attachments_run(time_msec());
        assert_false(attached->up);
        attachments_device_appeared("net_esw0,wire0=up0");
        attachments_run(time_msec());
        assert_true(attached->up);
        assert_int_equal(attachments_get(port)->attachment.port, port);
        assert_int_equal(count_rules(), 4);
    }
    device_gone = true;
    attachments_device_gone("was unplugged");
    device_gone = false; // not there for the port that is not open
    assert_true(detach("c1"));
    is_empty();
}

static void test_lost_notifications_are_made_up_for(void **unused)
{
    struct attachment a = request("c1", "v1", "10.1.10.5");

    (void)unused;
    attach(&a);
    attachments_netdev_changed(0, NULL, false);
    assert_true(attachments_get(PORT_POD_FIRST)->up);
    netdev_ifindex = 12; // gone and made again meanwhile
    attachments_netdev_changed(0, NULL, false);
    assert_false(attachments_get(PORT_POD_FIRST)->up);
}

static void test_check_compares(void **unused)
{
    struct attachment a = request("c1", "v1", "10.1.10.5");
    struct check_params check = {.expected = a, .netdev = true, .mac = true, .ips = true};
    struct fault fault = {0};

    (void)unused;
    attach(&a);
    assert_int_equal(attachments_check(&check, &fault), 0);
    check.expected.mac[3] = 1;
    assert_int_equal(attachments_check(&check, &fault), -1);
    assert_non_null(strstr(fault.message, "mac"));
    check.expected = request("c1", "v1", "10.1.10.6");
    assert_int_equal(attachments_check(&check, &fault), -1);
    assert_non_null(strstr(fault.message, "ips"));
    check.expected = request("c1", "v2", "10.1.10.5");
    assert_int_equal(attachments_check(&check, &fault), -1);
    assert_non_null(strstr(fault.message, "netdev"));
    free(fault.message);
}

static void test_ports_run_out(void **unused)
{
    struct attachment a = request("c1", "v1", "10.1.10.5");

    (void)unused;
    for (unsigned no = PORT_POD_FIRST; no < PORT_HOST; no++)
        port_open[no] = true; // as if the dataplane could not close them
    refused(&a, FAULT_no_ports);
    memset(port_open, 0, sizeof(port_open));
    is_empty();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_attach_and_detach),
        TEST(test_whatever_fails_leaves_nothing_behind),
        TEST(test_required_offload_refused_by_the_nic),
        TEST(test_the_same_again_is_the_same_port),
        TEST(test_the_lowest_free_port_is_taken),
        TEST(test_what_is_not_possible_is_refused),
        TEST(test_restart_finds_the_pods_at_their_ports),
        TEST(test_restart_with_another_node_file),
        TEST(test_restart_without_the_netdev_waits_for_it),
        TEST(test_a_netdev_that_vanishes_takes_the_rules_with_it),
        TEST(test_a_device_that_goes_and_comes_back),
        TEST(test_lost_notifications_are_made_up_for),
        TEST(test_check_compares),
        TEST(test_ports_run_out),
    };
    char command[sizeof(dir) + 16];
    int failed;

    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    if (mkdtemp(dir) == NULL)
        return 1;
    snprintf(state_path, sizeof(state_path), "%s/state.db", dir);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    return system(command) || failed;
}
