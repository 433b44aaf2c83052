/* SPDX-License-Identifier: Apache-2.0 */
// net_esw as a device: kernel netdevs for its wires and VFs, what belongs to which of its ethdevs
// and goes with it, ageing, and its own packets' way through groups.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <rte_dev.h>
#include <rte_flow.h>
#include <rte_mtr.h>

#include "tests/unit/esw_control.h"
#include "tests/unit/esw_rig.h"

static bool own_namespace;

static const struct rte_flow_item any_eth[] = {{.type = RTE_FLOW_ITEM_TYPE_ETH},
                                               {.type = RTE_FLOW_ITEM_TYPE_END}};

// "All of this pattern: this action" and, if it is no end, the second; made on the side's ethdev.
static struct rte_flow *create(enum side side, uint32_t group, const struct rte_flow_item items[],
                               struct rte_flow_action first, struct rte_flow_action second)
{
    const struct rte_flow_attr attr = {.transfer = 1, .group = group, .priority = 1};
    const struct rte_flow_action actions[] = {first, second, {RTE_FLOW_ACTION_TYPE_END, NULL}};
    struct rte_flow_error error;

    return rte_flow_create(ethdev[side], &attr, items, actions, &error);
}

#define ACTION(type, ...) ((struct rte_flow_action){RTE_FLOW_ACTION_TYPE_##type, ##__VA_ARGS__})
#define END               ((struct rte_flow_action){RTE_FLOW_ACTION_TYPE_END, NULL})

// A netdev that is up; what is written to the file comes in by it.
static int make_netdev(const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int inet = socket(AF_INET, SOCK_DGRAM, 0);

    strcpy(request.ifr_name, name);
    assert_int_equal(ioctl(fd, TUNSETIFF, &request), 0);
    request.ifr_flags = IFF_UP;
    assert_int_equal(ioctl(inet, SIOCSIFFLAGS, &request), 0);
    close(inet);
    return fd;
}

static void expect_link(enum side side, bool up)
{
    struct rte_eth_link link;

    for (int tries = 0; tries < 60000; tries++, usleep(1000)) {
        assert_int_equal(rte_eth_link_get_nowait(ethdev[side], &link), 0);
        if (link.link_status == up)
            return;
    }
    fail_msg("the link is not %s", up ? "up" : "down");
}

static const struct tagged {
    struct rte_ether_addr dst, src;
    uint8_t tag[4], type[2], payload[46];
} tagged[] = {
    {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 9}}, {0x81, 0x00, 0x60, 0x64}, {0x88, 0xb5}, "one"},
    {{{2, 0, 0, 0, 0, 1}}, {{2, 0, 0, 0, 0, 9}}, {0x88, 0xa8, 0x00, 0x07}, {0x88, 0xb5}, "two"},
};

static void passes_both_ways(int netdev, const struct tagged *frame)
{
    uint8_t data[2048];
    size_t length;
    bool to_app;

    assert_int_equal(write(netdev, frame, sizeof(*frame)), sizeof(*frame));
    assert_int_equal(outcome(&to_app, data, &length), WIRE);
    assert_int_equal(length, sizeof(*frame));
    assert_memory_equal(data, frame, sizeof(*frame));

    app_sends(WIRE, frame, sizeof(*frame));
    // Between others that the kernel sends.
    for (int tries = 0; tries < 60000; tries++, usleep(1000)) {
        if (read(netdev, data, sizeof(data)) == (ssize_t)sizeof(*frame) &&
            !memcmp(data, frame, sizeof(*frame)))
            return;
    }
    fail_msg("the frame does not leave the wire");
}

// The device on a netdev of the kernel's, of which the other end is returned.
static int open_wire(void)
{
    int netdev = make_netdev("eswt0");

    assert_int_equal(rig_open_started(",wire0=eswt0"), 0);
    expect_link(WIRE, true);
    return netdev;
}

static void test_netdev_keeps_vlan_tags(void **state)
{
    int netdev;

    (void)state;
    if (!own_namespace)
        skip();
    netdev = open_wire();
    for (unsigned i = 0; i < RTE_DIM(tagged); i++)
        passes_both_ways(netdev, &tagged[i]);
    close(netdev);
}

static void test_netdev_made_anew(void **state)
{
    int netdev;

    (void)state;
    if (!own_namespace)
        skip();
    netdev = open_wire();
    close(netdev);
    expect_link(WIRE, false);
    netdev = make_netdev("eswt0");
    expect_link(WIRE, true);
    passes_both_ways(netdev, &tagged[0]);
    close(netdev);
}

static void test_vfs_on_netdevs(void **state)
{
    int netdevs[2];

    (void)state;
    if (!own_namespace)
        skip();
    netdevs[0] = make_netdev("eswv0");
    assert_int_not_equal(rte_dev_probe("net_esw1,vfs=2,vf=netdev:eswv"), 0); // no eswv1
    netdevs[1] = make_netdev("eswv1");
    assert_int_equal(rte_dev_probe("net_esw1,vfs=2,vf=netdev:eswv"), 0);
    assert_int_equal(rte_eal_hotplug_remove("vdev", "net_esw1"), 0);
    close(netdevs[0]);
    close(netdevs[1]);
}

static unsigned aged(enum side side, void **contexts, uint32_t n)
{
    struct rte_flow_error error;

    return (unsigned)rte_flow_get_aged_flows(ethdev[side], contexts, n, &error);
}

static void test_each_port_tells_of_its_rules(void **state)
{
    const struct rte_flow_action_age age = {.timeout = 1};
    const struct rte_flow_item_ethdev at_vf1 = {.port_id = ethdev[VF1]};
    const struct rte_flow_item from_vf1[] = {
        {.type = RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT, .spec = &at_vf1},
        {.type = RTE_FLOW_ITEM_TYPE_END}};
    struct frame frame = udp(1, 2, 64, 53);
    struct rte_flow *on_wire, *on_vf0;
    void *contexts[4];

    (void)state;
    n_events = 0;
    rte_eth_dev_callback_register(RTE_ETH_ALL, RTE_ETH_EVENT_FLOW_AGED, count_event, NULL);
    on_wire = create(WIRE, 0, from_vf1, ACTION(AGE, &age), ACTION(DROP));
    on_vf0 = create(VF0, 0, any_eth, ACTION(AGE, &age), ACTION(DROP));
    assert_true(on_wire && on_vf0);
    assert_string_equal(control("extra=1"), "ok\n"); // nobody's
    expect_events(2);
    assert_int_equal(aged(VF1, NULL, 0), 0);
    assert_int_equal(aged(WIRE, contexts, 4), 1);
    assert_ptr_equal(contexts[0], on_wire);
    assert_int_equal(aged(VF0, contexts, 4), 1);
    assert_ptr_equal(contexts[0], on_vf0);
    assert_int_equal(aged(WIRE, contexts, 4) + aged(VF0, contexts, 4), 0); // told already

    // Once more, after a packet. One of the rules has the extra one before it.
    inject(VF0, &frame, sizeof(frame));
    inject(VF1, &frame, sizeof(frame));
    expect_events(3);
    assert_int_equal(aged(WIRE, contexts, 4) + aged(VF0, contexts, 4), 1);
    rte_eth_dev_callback_unregister(RTE_ETH_ALL, RTE_ETH_EVENT_FLOW_AGED, count_event, NULL);
}

static void test_indirect_actions_are_of_a_port(void **state)
{
    const struct rte_flow_indir_action_conf conf = {.transfer = 1};
    const struct rte_flow_action count = {RTE_FLOW_ACTION_TYPE_COUNT, NULL};
    struct rte_flow_error error;
    struct rte_flow_action_handle *handle =
        rte_flow_action_handle_create(ethdev[VF0], &conf, &count, &error);

    (void)state;
    assert_non_null(handle);
    assert_null(create(WIRE, 0, any_eth, ACTION(INDIRECT, handle), ACTION(DROP)));
    assert_int_equal(rte_errno, EINVAL);
    assert_non_null(create(VF0, 0, any_eth, ACTION(INDIRECT, handle), ACTION(DROP)));
}

// What a program left behind on a port does not meet the next one that opens it.
static void test_close_ends_what_a_port_has(void **state)
{
    const struct rte_flow_indir_action_conf conf = {.transfer = 1};
    const struct rte_flow_action_age age = {.timeout = 1};
    const struct rte_flow_action action = {RTE_FLOW_ACTION_TYPE_AGE, &age};
    struct rte_mtr_meter_profile profile = {.alg = RTE_MTR_SRTCM_RFC2697,
                                            .srtcm_rfc2697 = {.cir = 1000, .cbs = 1000}};
    struct rte_flow_error flow_error;
    struct rte_mtr_error error;

    (void)state;
    assert_int_equal(rte_mtr_meter_profile_add(ethdev[VF0], 1, &profile, &error), 0);
    assert_int_equal(rte_mtr_meter_profile_add(ethdev[VF0], 1, &profile, &error), -EEXIST);
    assert_non_null(rte_flow_action_handle_create(ethdev[VF0], &conf, &action, &flow_error));
    rte_eth_dev_stop(ethdev[VF0]);
    assert_int_equal(rte_eth_dev_close(ethdev[VF0]), 0);
    rte_dev_probe("net_esw0,representor=vf0");
    ethdev[VF0] = rig_find("net_esw0,representor=vf0");
    assert_int_equal(rig_start(ethdev[VF0]), 0);
    assert_int_equal(rte_mtr_meter_profile_add(ethdev[VF0], 1, &profile, &error), 0);
}

static void test_own_packets_after_a_jump(void **state)
{
    const struct rte_flow_item from_ethdevs[] = {{.type = RTE_FLOW_ITEM_TYPE_PORT_REPRESENTOR},
                                                 {.type = RTE_FLOW_ITEM_TYPE_END}};
    const struct rte_flow_action_jump jump = {.group = 1};
    const struct rte_flow_action_ethdev to = {.port_id = ethdev[VF1]};
    struct frame frame = udp(1, 2, 64, 53);

    (void)state;
    assert_non_null(create(WIRE, 1, any_eth, ACTION(REPRESENTED_PORT, &to), END));
    app_sends(VF2, &frame, sizeof(frame));
    expect_same(VF2, false, &frame);
    assert_non_null(create(WIRE, 0, from_ethdevs, ACTION(JUMP, &jump), END));
    app_sends(VF2, &frame, sizeof(frame));
    expect_same(VF1, false, &frame);
    inject(VF2, &frame, sizeof(frame)); // does not come from an ethdev
    expect_same(VF2, true, &frame);
}

static void test_counts_by_queue(void **state)
{
    struct frame frame = udp(1, 2, 64, 53);
    struct rte_eth_stats stats;

    (void)state;
    inject(VF0, &frame, sizeof(frame));
    expect_same(VF0, true, &frame);
    app_sends(VF0, &frame, sizeof(frame));
    expect_same(VF0, false, &frame);
    assert_int_equal(rte_eth_stats_get(ethdev[VF0], &stats), 0);
    assert_int_equal(stats.q_ipackets[0], 1);
    assert_int_equal(stats.q_ibytes[0], sizeof(frame));
    assert_int_equal(stats.q_opackets[0], 1);
    assert_int_equal(stats.q_obytes[0], sizeof(frame));
}

static void test_says_what_a_stop_leaves(void **state)
{
    struct rte_eth_dev_info info;

    (void)state;
    assert_int_equal(rte_eth_dev_info_get(ethdev[WIRE], &info), 0);
    assert_true(info.dev_capa & RTE_ETH_DEV_CAPA_FLOW_RULE_KEEP);
    assert_non_null(create(WIRE, 0, any_eth, ACTION(DROP), END));
    assert_int_equal(rte_eth_dev_stop(ethdev[WIRE]), 0);
    assert_non_null(strstr(control("status"), "rules 1 "));
}

// Where no other port is that a rule could go to by mistake.
static void test_altered_rule_of_one_port(void **state)
{
    const struct rte_flow_action_ethdev to = {.port_id = 0};
    struct rte_flow_error error;
    char text[512] = "";
    FILE *file = tmpfile();

    (void)state;
    assert_int_equal(rte_dev_probe("net_esw1,alter_permille=1000"), 0);
    ethdev[WIRE] = rig_find("net_esw1");
    assert_int_equal(ethdev[WIRE], to.port_id);
    assert_non_null(create(WIRE, 0, any_eth, ACTION(REPRESENTED_PORT, &to), END));
    assert_int_equal(rte_flow_dev_dump(ethdev[WIRE], NULL, file, &error), 0);
    rewind(file);
    assert_true(fread(text, 1, sizeof(text) - 1, file) > 0);
    assert_non_null(strstr(text, "actions drop / end"));
    fclose(file);
    assert_int_equal(rte_eal_hotplug_remove("vdev", "net_esw1"), 0);
}

// What is at the control socket's path and is no socket stays.
static void test_control_removes_no_file(void **state)
{
    char path[] = "/tmp/esw_device_test.XXXXXX", devargs[64];
    int fd = mkstemp(path);

    (void)state;
    snprintf(devargs, sizeof(devargs), "net_esw1,control=%s", path);
    assert_int_not_equal(rte_dev_probe(devargs), 0);
    assert_int_equal(access(path, F_OK), 0);
    unlink(path);
    close(fd);
}

static int setup(void **state)
{
    (void)state;
    return rig_open_started(control_argument("esw_device_test"));
}

// Skipped, they have none.
static int close_netdev_rig(void **state)
{
    (void)state;
    return own_namespace ? rig_close() : 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_netdev_keeps_vlan_tags, close_netdev_rig),
        cmocka_unit_test_teardown(test_netdev_made_anew, close_netdev_rig),
        cmocka_unit_test(test_vfs_on_netdevs),
        TEST(test_each_port_tells_of_its_rules),
        TEST(test_indirect_actions_are_of_a_port),
        TEST(test_close_ends_what_a_port_has),
        TEST(test_own_packets_after_a_jump),
        TEST(test_counts_by_queue),
        TEST(test_says_what_a_stop_leaves),
        cmocka_unit_test(test_altered_rule_of_one_port),
        cmocka_unit_test(test_control_removes_no_file),
    };

    (void)argc;
    own_namespace = unshare(CLONE_NEWNET) == 0 && access("/dev/net/tun", R_OK | W_OK) == 0;
    if (!rig_begin(argv[0]))
        return 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
