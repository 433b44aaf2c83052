/* SPDX-License-Identifier: Apache-2.0 */
// dp_trace tells what the workers would do, and does nothing itself.
#include "tests/unit/policy_fixture.h"

#include <errno.h>

static const char A4[] = "10.1.10.5", B4[] = "10.1.11.6", WORLD4[] = "192.0.2.7";

static char *text;

// What the trace of a frame says; good until the next. Nothing may come of it, or be counted.
static const char *trace(uint16_t port, const struct frame *f)
{
    struct dp_port_stats before, after;
    struct dp_punt punt;
    struct dp_packet_in in;

    free(text);
    dp_port_stats(port, &before);
    assert_int_equal(dp_trace(port, f->bytes, f->len, &text), 0);
    node_settle();
    dp_port_stats(port, &after);
    assert_memory_equal(&before, &after, sizeof before);
    assert_nothing_left();
    assert_int_equal(dp_punt_recv(&punt, 1), 0);
    assert_false(dp_packet_in_recv(&in));
    return text;
}

// All of these are in the text, one after the other.
static void assert_says(const char *said, const char *const lines[])
{
    const char *at = said;

    for (unsigned i = 0; lines[i]; i++) {
        at = strstr(at, lines[i]);
        if (!at)
            fail_msg("\"%s\" is not, or not there, in:\n%s", lines[i], said);
        at += strlen(lines[i]);
    }
}

#define ASSERT_SAYS(said, ...) assert_says(said, (const char *const[]){__VA_ARGS__, NULL})

static void tells_how_pods_are_reached(void **state)
{
    struct frame f;

    (void)state;
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 50);
    ASSERT_SAYS(trace(POD_A, &f), "frame: 92 bytes, in_port=3,eth_src=02:00:00:00:00:0a", "ipv4",
                "l4_dst=5000\n", "parse: IPv4, sound\n", "guard: ", "ip_src=10.1.10.5",
                "forward: priority=100,ip_dst=10.1.11.6 -> set_eth_src:02:00:5e:00:53:01",
                "out: port 4 (port4): 92 bytes", "eth_dst=02:00:00:00:00:0b");
}

static void tells_which_uplink_a_flow_has(void **state)
{
    struct rule rule = {.table = RULE_TABLE_FORWARD};
    unsigned bucket, port, fragmented;
    struct frame f, got;
    char *error = NULL;
    const char *said;
    uint32_t slot;

    (void)state;
    rule.match.spec.ip_src = ip("10.1.10.0");
    rule.match.mask.ip_src = ip("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ff00");
    rule_add_action(&rule, (struct action){.type = ACTION_UPLINKS, .gateway = 0});
    assert_int_equal(dp_rule_add(&rule, &slot, &error), 0);
    for (unsigned i = 0; i < 8; i++) {
        frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, WORLD4, 50);
        f.v4.udp.src_port = rte_cpu_to_be_16((uint16_t)(i + 100));
        f.v4.udp.dgram_cksum = 0;
        ASSERT_SAYS(trace(POD_A, &f), "forward: priority=0,ip_src=10.1.10.0/24 -> uplinks:0\n",
                    "uplinks: range 10.1.10.0/24, bucket ", "gateway 02:00:5e:00:01:01\n",
                    "out: port ", "eth_dst=02:00:5e:00:01:01");
        said = strstr(text, "bucket ");
        assert_int_equal(sscanf(said, "bucket %u of 64: port %u,", &bucket, &port), 2);
        assert_int_equal(port, bucket % 2 ? UPLINK1 : UPLINK0); // as node.c has it
        frame_send(POD_A, &f);
        node_settle();
        assert_true(frame_recv((uint16_t)port, &got));
        // The same of a packet that leaves in fragments.
        frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, WORLD4, 1500);
        f.v4.udp.src_port = rte_cpu_to_be_16((uint16_t)(i + 100));
        said = strstr(trace(POD_A, &f), "bucket ");
        assert_int_equal(sscanf(said, "bucket %u of 64: port", &fragmented), 1);
        assert_int_equal(fragmented, bucket);
    }
}

static void names_what_drops(void **state)
{
    struct frame f;

    (void)state;
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, "10.1.10.99", B4, 50);
    ASSERT_SAYS(trace(POD_A, &f), "drop: guard_ip_src, counted at port 3: pod sent");
    assert_null(strstr(text, "forward:"));
    f.len = 20;
    ASSERT_SAYS(trace(POD_A, &f), "drop: ipv4_header");
    assert_null(strstr(text, "parse:"));
    frame_udp4(&f, &GATEWAY_MAC, &NODE_MAC, WORLD4, "10.1.10.77", 50);
    ASSERT_SAYS(trace(UPLINK0, &f), "out: port 1", "drop: no_such_pod"); // an ICMP error
}

static void answers_are_shown(void **state)
{
    struct frame f;

    (void)state;
    frame_arp(&f, RTE_ARP_OP_REQUEST, &POD_A_MAC, A4, "10.1.10.1");
    ASSERT_SAYS(trace(POD_A, &f), "arp,ip_src=10.1.10.5,ip_dst=10.1.10.1,ip_proto=1",
                "out: port 3 (port3): ", "arp,ip_src=10.1.10.1,ip_dst=10.1.10.5,ip_proto=2");
    // What the control thread would be given.
    frame_arp(&f, RTE_ARP_OP_REPLY, &GATEWAY_MAC, "10.1.10.1", "10.1.0.9");
    f.eth.dst_addr = NODE_MAC;
    ASSERT_SAYS(trace(UPLINK0, &f), "drop: punted");
}

static const char *nic(const struct rule *rule)
{
    return rule_table_is_policy(rule->table) ? "no: it is full" : "yes";
}

static void tells_tables_groups_and_meters(void **state)
{
    const struct dp_bucket buckets[] = {
        {.watch_group = DP_GROUP_NONE, .n_actions = 1, .actions = {PORT_OUT(UPLINK1)}},
        {.watch_group = DP_GROUP_NONE, .n_actions = 1, .actions = {{.type = ACTION_NORMAL}}},
    };
    const struct dp_meter meter = {.packets = true, .rate = 1, .burst = 1};
    const struct action first[] = {
        {.type = ACTION_SET_IP_DST, .ip = ip(B4)},
        {.type = ACTION_PUNT, .max_len = 100, .punt = {.controller = 5}},
        {.type = ACTION_METER, .id = 9},
        {.type = ACTION_GOTO_TABLE, .table = TABLE(2)},
    };
    const struct action second = {.type = ACTION_GROUP, .id = 1};
    struct rule rules[2] = {any_rule(0, 7, first, 4), any_rule(2, 8, &second, 1)};
    struct dp_policy_table_stats stats;
    struct dp_meter_stats metered;
    struct dp_rule_stats group;
    char *error = NULL;
    struct frame f;

    (void)state;
    rules[0].cookie = 0x1234;
    rules[1].match.spec.ip_dst = ip(B4);
    memset(&rules[1].match.mask.ip_dst, 0xff, 16);
    assert_int_equal(dp_group_set(1, DP_GROUP_ALL, buckets, 2, &error), 0);
    assert_int_equal(dp_meter_set(9, &meter, &error), 0);
    install(rules, 2);
    dp_trace_nic(nic);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, WORLD4, 50);
    ASSERT_SAYS(trace(POD_A, &f), "guard: ", "NIC: yes\n",
                "policy0: priority=7,cookie=0x1234,any -> set_ip_dst:10.1.11.6,punt,meter:9,"
                "goto_table:policy2\n",
                "NIC: no: it is full\n", "packet-in: controller 5", "meter 9: not charged",
                "policy2: priority=8,cookie=0x0,ip_dst=10.1.11.6 -> group:1\n",
                "group 1: bucket 1 of 2\n", "group 1: bucket 2 of 2\n",
                "forward: priority=100,ip_dst=10.1.11.6", "out: port 2", "out: port 4");
    dp_trace_nic(NULL);
    dp_group_stats(1, &group, NULL, 0);
    dp_meter_stats(9, &metered);
    dp_policy_table_stats(0, &stats);
    assert_int_equal(group.packets, 0);
    assert_int_equal(metered.packets, 0);
    assert_int_equal(stats.lookups, 0);
    // A miss.
    rules[1].match.spec.ip_dst = ip("198.51.100.1");
    install(rules, 2);
    ASSERT_SAYS(trace(POD_A, &f), "policy2: no rule matches\n", "drop: policy_miss");
    install(NULL, 0);
    dp_group_del(1);
    dp_meter_del(9);
}

static void copies_of_one_port_are_not_sent(void **state)
{
    const struct action out = {.type = ACTION_IN_PORT};
    struct dp_bucket buckets[200];
    char *error = NULL;
    struct frame f;

    (void)state;
    for (unsigned i = 0; i < 200; i++)
        buckets[i] =
            (struct dp_bucket){.watch_group = DP_GROUP_NONE, .n_actions = 1, .actions = {out}};
    assert_int_equal(dp_group_set(1, DP_GROUP_ALL, buckets, 200, &error), 0);
    INSTALL({.type = ACTION_GROUP, .id = 1});
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, WORLD4, 50);
    trace(POD_A, &f);
    install(NULL, 0);
    dp_group_del(1);
}

static void refuses_what_is_no_frame(void **state)
{
    struct frame f = {.len = 60};
    char *none = NULL;

    (void)state;
    assert_int_equal(dp_trace(900, f.bytes, f.len, &none), -ENODEV);
    assert_int_equal(dp_trace(POD_A, f.bytes, 1 << 20, &none), -EMSGSIZE);
    ASSERT_SAYS(trace(POD_A, &(struct frame){.len = 3}), "drop: runt");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_how_pods_are_reached),
        cmocka_unit_test(tells_which_uplink_a_flow_has),
        cmocka_unit_test(names_what_drops),
        cmocka_unit_test(answers_are_shown),
        cmocka_unit_test(tells_tables_groups_and_meters),
        cmocka_unit_test(copies_of_one_port_are_not_sent),
        cmocka_unit_test(refuses_what_is_no_frame),
    };
    int failed = cmocka_run_group_tests_name("trace", tests, node_setup, node_teardown);

    free(text);
    return failed;
}
