/* SPDX-License-Identifier: Apache-2.0 */
// Rules as rte_flow rules: what pattern and actions hold, and the lines for testpmd, compared with
// flow_golden/NAME.txt. FLOW_GOLDEN_WRITE=1 writes the files anew.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "offload/flow.h"

#define POD_A  5 // port 5 is ethdev 2
#define POD_B  6 // ethdev 3
#define UPLINK 1 // ethdev 0
#define VETH   9 // of no NIC

static int port_of(uint16_t port, struct offload_port *info)
{
    switch (port) {
    case UPLINK:
        info->ethdev = 0;
        return 0;
    case POD_A:
        info->ethdev = 2;
        return 0;
    case POD_B:
        info->ethdev = 3;
        return 0;
    case VETH:
        info->why = "a veth pair is no NIC";
        return -ENODEV;
    }
    return -ENODEV;
}

static struct in6_addr ip(const char *text)
{
    struct in6_addr address;
    char mapped[64];

    if (strchr(text, ':')) {
        assert_int_equal(inet_pton(AF_INET6, text, &address), 1);
    } else {
        snprintf(mapped, sizeof(mapped), "::ffff:%s", text);
        assert_int_equal(inet_pton(AF_INET6, mapped, &address), 1);
    }
    return address;
}

static struct in6_addr bits(unsigned n)
{
    struct in6_addr mask = {0};

    for (unsigned i = 0; i < n; i++)
        mask.s6_addr[i / 8] |= 0x80 >> (i % 8);
    return mask;
}

static const struct flow_way set = {0}, modify = {.rewrite = FLOW_REWRITE_MODIFY};
static const struct rte_ether_addr mac_a = {{0x02, 0, 0, 0, 0, 0x0a}};
static const struct rte_ether_addr mac_b = {{0x02, 0, 0, 0, 0, 0x0b}};
static const struct rte_ether_addr router = {{0x02, 0, 0x5e, 0, 0x53, 0x01}};
static const struct rte_ether_addr mac_bits = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

static void act(struct rule *rule, struct action action)
{
    rule->actions[rule->n_actions++] = action;
}

static void to_pod_b(struct rule *rule)
{
    act(rule, (struct action){.type = ACTION_SET_ETH_SRC, .mac = router});
    act(rule, (struct action){.type = ACTION_SET_ETH_DST, .mac = mac_b});
    act(rule, (struct action){.type = ACTION_DEC_TTL});
    act(rule, (struct action){.type = ACTION_OUTPUT, .port = POD_B});
}

static struct rule guard4(void)
{
    struct rule rule = {.table = RULE_TABLE_GUARD, .priority = 10, .match.in_port = POD_A};

    rule.match.spec.eth_src = mac_a;
    rule.match.mask.eth_src = mac_bits;
    rule.match.spec.ip_src = ip("10.1.10.5");
    rule.match.mask.ip_src = bits(128);
    act(&rule, (struct action){.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_FORWARD});
    return rule;
}

static struct rule guard6(void)
{
    struct rule rule = guard4();

    rule.match.spec.ip_src = ip("fd00:10::5");
    return rule;
}

static struct rule forward4(void)
{
    struct rule rule = {.table = RULE_TABLE_FORWARD, .priority = 100};

    rule.match.spec.ip_dst = ip("10.1.10.6");
    rule.match.mask.ip_dst = bits(128);
    to_pod_b(&rule);
    return rule;
}

static struct rule forward6(void)
{
    struct rule rule = forward4();

    rule.match.spec.ip_dst = ip("fd00:10::6");
    return rule;
}

static struct rule default4(void)
{
    struct rule rule = {.table = RULE_TABLE_FORWARD, .match.in_port = POD_A};

    rule.match.spec.ip_src = ip("10.1.10.0");
    rule.match.mask.ip_src = bits(120);
    act(&rule, (struct action){.type = ACTION_UPLINKS, .gateway = 1});
    return rule;
}

static struct rule default6(void)
{
    struct rule rule = default4();

    rule.match.spec.ip_src = ip("fd00:10::");
    rule.match.mask.ip_src = bits(64);
    return rule;
}

static struct rule tcp_port(void)
{
    struct rule rule = {.table = RULE_TABLE_POLICY, .priority = 7, .match.in_port = UPLINK};

    rule.match.spec.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    rule.match.mask.eth_type = RTE_BE16(0xffff);
    rule.match.spec.ip_proto = IPPROTO_TCP;
    rule.match.mask.ip_proto = 0xff;
    rule.match.spec.l4_dst = RTE_BE16(80);
    rule.match.mask.l4_dst = RTE_BE16(0xfff0);
    act(&rule, (struct action){.type = ACTION_DROP});
    return rule;
}

static struct rule icmp6_echo(void)
{
    struct rule rule = tcp_port();

    rule.match.spec.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
    rule.match.spec.ip_proto = IPPROTO_ICMPV6;
    rule.match.spec.l4_src = RTE_BE16(128);
    rule.match.mask.l4_src = RTE_BE16(0xff);
    rule.match.spec.l4_dst = 0;
    rule.match.mask.l4_dst = RTE_BE16(0xff);
    return rule;
}

static struct rule udp6(void)
{
    struct rule rule = icmp6_echo();

    rule.match.spec.ip_proto = IPPROTO_UDP;
    rule.match.spec.l4_src = RTE_BE16(53);
    rule.match.mask.l4_src = RTE_BE16(0xffff);
    rule.match.mask.l4_dst = 0;
    return rule;
}

static struct rule icmp4(void)
{
    struct rule rule = icmp6_echo();

    rule.match.spec.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    rule.match.spec.ip_proto = IPPROTO_ICMP;
    rule.match.spec.l4_src = RTE_BE16(8);
    return rule;
}

static struct rule tos_proto(void)
{
    struct rule rule = tcp_port();

    rule.match.spec.ip_proto = 50;
    rule.match.spec.l4_dst = rule.match.mask.l4_dst = 0;
    rule.match.spec.ip_tos = 0xb8;
    rule.match.mask.ip_tos = 0xfc;
    return rule;
}

static struct rule tos_proto6(void)
{
    struct rule rule = tos_proto();

    rule.match.spec.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
    return rule;
}

static struct rule vlan_arp(void)
{
    struct rule rule = {.table = RULE_TABLE_POLICY, .priority = 1, .match.in_port = UPLINK};

    rule.match.spec.vlan_tci = RTE_BE16(42);
    rule.match.mask.vlan_tci = RTE_BE16(0x0fff);
    rule.match.spec.eth_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
    rule.match.mask.eth_type = RTE_BE16(0xffff);
    rule.match.spec.eth_dst.addr_bytes[0] = 1;
    rule.match.mask.eth_dst.addr_bytes[0] = 1;
    act(&rule, (struct action){.type = ACTION_OUTPUT, .port = POD_A});
    return rule;
}

static struct rule sctp(void)
{
    struct rule rule = tcp_port();

    rule.match.spec.ip_proto = IPPROTO_SCTP;
    return rule;
}

// Address and port translation with a mark.
static struct rule nat(uint8_t proto, bool v4)
{
    struct rule rule = {.table = RULE_TABLE_POLICY, .priority = 9, .match.in_port = UPLINK};

    rule.match.spec.eth_type = v4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
    rule.match.mask.eth_type = 0xffff;
    rule.match.spec.ip_proto = proto;
    rule.match.mask.ip_proto = 0xff;
    act(&rule, (struct action){.type = ACTION_SET_IP_SRC, .ip = ip(v4 ? "10.9.0.1" : "fd09::1")});
    act(&rule, (struct action){.type = ACTION_SET_IP_DST, .ip = ip(v4 ? "10.9.0.2" : "fd09::2")});
    act(&rule, (struct action){.type = ACTION_SET_L4_SRC, .l4 = RTE_BE16(1025)});
    act(&rule, (struct action){.type = ACTION_SET_L4_DST, .l4 = RTE_BE16(8080)});
    act(&rule, (struct action){.type = ACTION_SET_IP_TOS, .byte = {.value = 0xb8, .mask = 0xfc}});
    act(&rule, (struct action){.type = ACTION_OUTPUT, .port = POD_A});
    return rule;
}

static struct rule nat_tcp4(void)
{
    return nat(IPPROTO_TCP, true);
}

static struct rule nat_udp6(void)
{
    return nat(IPPROTO_UDP, false);
}

// Lines of testpmd have no room for all of it as modify_field.
static struct rule source_tcp4(void)
{
    struct rule rule = nat(IPPROTO_TCP, true);

    rule.actions[1] = rule.actions[4];
    rule.actions[3] = rule.actions[5];
    rule.n_actions = 4;
    return rule;
}

static struct rule destination_udp6(void)
{
    struct rule rule = nat(IPPROTO_UDP, false);

    rule.actions[0] = rule.actions[4];
    rule.actions[2] = rule.actions[3];
    rule.actions[3] = rule.actions[5];
    rule.n_actions = 4;
    return rule;
}

static struct rule nat_icmp(void)
{
    struct rule rule = nat(IPPROTO_ICMP, true);

    rule.actions[2] = rule.actions[5];
    rule.n_actions = 3;
    return rule;
}

// The tag comes first, whatever is before it in the rule.
static struct rule push_vlan(void)
{
    struct rule rule = forward4();

    rule.n_actions = 3;
    act(&rule, (struct action){.type = ACTION_PUSH_VLAN, .l4 = RTE_BE16(RTE_ETHER_TYPE_VLAN)});
    act(&rule, (struct action){.type = ACTION_SET_VLAN,
                               .tci = {.value = RTE_BE16(42), .mask = RTE_BE16(0x0fff)}});
    act(&rule, (struct action){.type = ACTION_SET_VLAN,
                               .tci = {.value = RTE_BE16(0xa000), .mask = RTE_BE16(0xe000)}});
    act(&rule, (struct action){.type = ACTION_OUTPUT, .port = POD_B});
    return rule;
}

static const struct golden {
    const char *name;
    struct rule (*rule)(void);
    struct flow_way way;
} goldens[] = {
    {"guard4", guard4},
    {"guard6", guard6},
    {"forward4", forward4},
    {"forward6", forward6},
    {"forward4_modify", forward4, {.rewrite = FLOW_REWRITE_MODIFY}},
    {"forward6_modify", forward6, {.rewrite = FLOW_REWRITE_MODIFY}},
    {"default4", default4},
    {"default6", default6},
    {"tcp_port", tcp_port},
    {"udp6", udp6},
    {"sctp", sctp},
    {"icmp4", icmp4},
    {"icmp6_echo", icmp6_echo},
    {"tos_proto", tos_proto},
    {"tos_proto6", tos_proto6},
    {"vlan_arp", vlan_arp},
    {"nat_tcp4", nat_tcp4},
    {"nat_udp6", nat_udp6},
    {"source_tcp4_modify", source_tcp4, {.rewrite = FLOW_REWRITE_MODIFY}},
    {"destination_udp6_modify", destination_udp6, {.rewrite = FLOW_REWRITE_MODIFY}},
    {"nat_icmp", nat_icmp},
    {"push_vlan", push_vlan},
};

static void compare_line(const char *name, const struct flow *flow)
{
    char line[1024], expected[1024], path[512];
    int len = flow_print(flow, line, sizeof(line) - 1);
    FILE *file;

    assert_in_range(len, 1, sizeof(line) - 2);
    strcat(line, "\n");
    snprintf(path, sizeof(path), "%s/%s.txt", GOLDEN_DIR, name);
    if (getenv("FLOW_GOLDEN_WRITE")) {
        file = fopen(path, "w");
        assert_non_null(file);
        fputs(line, file);
        fclose(file);
        return;
    }
    file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(expected, sizeof(expected), file));
    fclose(file);
    assert_string_equal(line, expected);
}

static void test_lines(void **state)
{
    (void)state;
    for (size_t i = 0; i < RTE_DIM(goldens); i++) {
        struct rule rule = goldens[i].rule();
        struct flow flow;
        char *error = NULL;

        assert_int_equal(flow_build(&rule, port_of, &goldens[i].way, &flow, &error), 0);
        assert_null(error);
        compare_line(goldens[i].name, &flow);
    }
}

static void expect_exceptions(enum flow_exceptions kind, const char *lines, unsigned n)
{
    struct flow flow;
    const char *what;
    char name[32];
    unsigned no;

    for (no = 0; flow_build_exception(kind, no, 0, &flow, &what); no++) {
        snprintf(name, sizeof(name), "%s%02u", lines, no);
        compare_line(name, &flow);
        assert_int_equal(flow.attr.priority, 0);
        assert_int_equal(flow.attr.group, RULE_TABLE_GUARD);
    }
    assert_int_equal(no, n);
}

static void test_exceptions(void **state)
{
    (void)state;
    expect_exceptions(FLOW_EXCEPTIONS_ALWAYS, "exception", 20);
    expect_exceptions(FLOW_EXCEPTIONS_FRAGMENTS, "fragment", 14);
    expect_exceptions(FLOW_EXCEPTIONS_FRAGMENT_RANGE, "fragment_range", 1);
}

// A line that does not fit is cut and says how long it would have been, as snprintf does.
static void test_short_buffer(void **state)
{
    struct rule rule = forward4();
    struct flow flow;
    char whole[1024], part[20], *error;
    int len;

    (void)state;
    assert_int_equal(flow_build(&rule, port_of, &set, &flow, &error), 0);
    len = flow_print(&flow, whole, sizeof(whole));
    assert_int_equal(len, strlen(whole));
    assert_int_equal(flow_print(&flow, part, sizeof(part)), len);
    assert_int_equal(strlen(part), sizeof(part) - 1);
    assert_memory_equal(part, whole, sizeof(part) - 1);
    assert_int_equal(flow_print(&flow, NULL, 0), len);
}

static void test_pattern(void **state)
{
    struct rule rule = guard4();
    struct flow flow;
    char *error;
    const struct rte_flow_item_eth *eth;
    const struct rte_flow_item_ipv4 *ipv4;

    (void)state;
    assert_int_equal(flow_build(&rule, port_of, &set, &flow, &error), 0);
    assert_true(flow.attr.transfer);
    assert_int_equal(flow.attr.group, RULE_TABLE_GUARD);
    assert_int_equal(flow.ethdev, 2);
    assert_false(flow.narrowed);
    assert_int_equal(flow.n_items, 4);

    assert_int_equal(flow.items[0].type, RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT);
    assert_int_equal(((const struct rte_flow_item_ethdev *)flow.items[0].spec)->port_id, 2);
    assert_int_equal(((const struct rte_flow_item_ethdev *)flow.items[0].mask)->port_id,
                     UINT16_MAX);
    assert_int_equal(flow.items[1].type, RTE_FLOW_ITEM_TYPE_ETH);
    eth = flow.items[1].spec;
    assert_memory_equal(&eth->hdr.src_addr, &mac_a, 6);
    eth = flow.items[1].mask;
    assert_memory_equal(&eth->hdr.src_addr, &mac_bits, 6);
    assert_true(rte_is_zero_ether_addr(&eth->hdr.dst_addr));
    assert_int_equal(flow.items[2].type, RTE_FLOW_ITEM_TYPE_IPV4);
    ipv4 = flow.items[2].spec;
    assert_int_equal(ipv4->hdr.src_addr, inet_addr("10.1.10.5"));
    ipv4 = flow.items[2].mask;
    assert_int_equal(ipv4->hdr.src_addr, UINT32_MAX);
    assert_int_equal(ipv4->hdr.dst_addr, 0);
    assert_int_equal(flow.items[3].type, RTE_FLOW_ITEM_TYPE_END);

    assert_int_equal(flow.actions[0].type, RTE_FLOW_ACTION_TYPE_COUNT);
    assert_int_equal(flow.actions[1].type, RTE_FLOW_ACTION_TYPE_JUMP);
    assert_int_equal(((const struct rte_flow_action_jump *)flow.actions[1].conf)->group,
                     RULE_TABLE_FORWARD);
    assert_int_equal(flow.actions[2].type, RTE_FLOW_ACTION_TYPE_END);
}

static void test_actions_in_order(void **state)
{
    static const enum rte_flow_action_type types[] = {RTE_FLOW_ACTION_TYPE_COUNT,
                                                      RTE_FLOW_ACTION_TYPE_SET_MAC_SRC,
                                                      RTE_FLOW_ACTION_TYPE_SET_MAC_DST,
                                                      RTE_FLOW_ACTION_TYPE_DEC_TTL,
                                                      RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT,
                                                      RTE_FLOW_ACTION_TYPE_END};
    struct rule rule = forward4();
    const struct rte_flow_action_modify_field *field;
    struct flow flow;
    char *error;

    (void)state;
    assert_int_equal(flow_build(&rule, port_of, &set, &flow, &error), 0);
    assert_int_equal(flow.n_actions, RTE_DIM(types));
    for (size_t i = 0; i < RTE_DIM(types); i++)
        assert_int_equal(flow.actions[i].type, types[i]);
    assert_memory_equal(flow.actions[2].conf, &mac_b, 6);
    assert_int_equal(((const struct rte_flow_action_ethdev *)flow.actions[4].conf)->port_id, 3);
    assert_int_equal(flow.ethdev, 3); // for all ports of the NIC that it sends to

    assert_int_equal(flow_build(&rule, port_of, &modify, &flow, &error), 0);
    assert_int_equal(flow.actions[1].type, RTE_FLOW_ACTION_TYPE_MODIFY_FIELD);
    field = flow.actions[2].conf;
    assert_int_equal(field->dst.field, RTE_FLOW_FIELD_MAC_DST);
    assert_int_equal(field->width, 48);
    assert_memory_equal(field->src.value, &mac_b, 6);
    field = flow.actions[3].conf;
    assert_int_equal(field->operation, RTE_FLOW_MODIFY_SUB);
    assert_int_equal(field->dst.field, RTE_FLOW_FIELD_IPV4_TTL);
    assert_int_equal(field->src.value[0], 1);
}

// Every spec is within its mask: mlx5's rules never hit otherwise.
static void test_spec_within_mask(void **state)
{
    (void)state;
    for (size_t i = 0; i < RTE_DIM(goldens); i++) {
        struct rule rule = goldens[i].rule();
        struct flow flow;
        char *error;

        assert_int_equal(flow_build(&rule, port_of, &goldens[i].way, &flow, &error), 0);
        for (unsigned n = 0; n + 1 < flow.n_items; n++) {
            const uint8_t *spec = (const uint8_t *)&flow.spec[n];
            const uint8_t *mask = (const uint8_t *)&flow.mask[n];

            for (size_t byte = 0; byte < sizeof(union flow_item); byte++)
                assert_int_equal(spec[byte] & ~mask[byte], 0);
        }
    }
}

static void test_higher_rule_priority_is_lower_number(void **state)
{
    struct rule low = forward4(), high = forward4();
    struct flow flow_low, flow_high;
    char *error;

    (void)state;
    low.priority = 0;
    high.priority = UINT16_MAX;
    assert_int_equal(flow_build(&low, port_of, &set, &flow_low, &error), 0);
    assert_int_equal(flow_build(&high, port_of, &set, &flow_high, &error), 0);
    assert_int_equal(flow_low.attr.priority, FLOW_PRIORITY_LAST - 1); // the last is for a miss
    assert_true(flow_high.attr.priority > 1 && flow_high.attr.priority < flow_low.attr.priority);
}

// A higher priority is never below a lower one, and those that people use are apart.
static void test_levels(void **state)
{
    static const uint16_t apart[] = {0, 1, 2, 10, 100, 101, 1000, 4095, 32767, 32768, 32769, 65534};

    (void)state;
    for (unsigned p = 1; p <= UINT16_MAX; p++)
        assert_true(flow_level((uint16_t)p) >= flow_level((uint16_t)(p - 1)));
    for (size_t i = 0; i < RTE_DIM(apart); i++)
        assert_true(flow_level(apart[i] + 1) > flow_level(apart[i]));
    assert_true(flow_level(UINT16_MAX) < FLOW_LEVELS);
    assert_true(2 * FLOW_LEVELS < FLOW_PRIORITY_LAST);
}

// What the guard lets pass goes to the operator's table 0 when he has rules.
static void test_guard_goes_to_policy(void **state)
{
    const struct flow_way policy = {.policy = true};
    struct rule rule = guard4();
    struct flow flow;
    char *error;

    (void)state;
    assert_int_equal(flow_build(&rule, port_of, &policy, &flow, &error), 0);
    assert_int_equal(((const struct rte_flow_action_jump *)flow.actions[1].conf)->group,
                     RULE_TABLE_POLICY);
}

// A place holder matches alike, comes before the rule and before all of a lower level, and leaves
// the packets to software.
static void test_software(void **state)
{
    const struct flow_way software = {.software = true};
    struct rule rule = forward4();
    struct flow flow, holder;
    char *error;

    (void)state;
    assert_int_equal(flow_build(&rule, port_of, &set, &flow, &error), 0);
    rule.actions[3].port = VETH;
    assert_int_equal(flow_build(&rule, port_of, &software, &holder, &error), 0);
    assert_int_equal(holder.attr.priority, flow.attr.priority - 1);
    assert_int_equal(holder.n_items, flow.n_items);
    assert_memory_equal(holder.spec, flow.spec, sizeof(flow.spec));
    assert_memory_equal(holder.mask, flow.mask, sizeof(flow.mask));
    assert_int_equal(holder.actions[1].type, RTE_FLOW_ACTION_TYPE_JUMP);
    assert_int_equal(((const struct rte_flow_action_jump *)holder.actions[1].conf)->group,
                     FLOW_GROUP_SOFTWARE);
}

static void test_l4_is_narrowed(void **state)
{
    struct rule rule = tcp_port();
    struct flow flow;
    char *error;

    (void)state;
    assert_int_equal(flow_build(&rule, port_of, &set, &flow, &error), 0);
    assert_true(flow.narrowed);
    rule = tos_proto(); // any fragment has the protocol
    assert_int_equal(flow_build(&rule, port_of, &set, &flow, &error), 0);
    assert_false(flow.narrowed);
    rule = tcp_port(); // it says itself that it is for no fragments
    rule.match.mask.ip_frag = IP_FRAG_ANY;
    assert_int_equal(flow_build(&rule, port_of, &set, &flow, &error), 0);
    assert_false(flow.narrowed);
    rule = udp6(); // these are among the exceptions
    assert_int_equal(flow_build(&rule, port_of, &set, &flow, &error), 0);
    assert_false(flow.narrowed);
}

// What sets addresses or ports is for unfragmented packets; its place holder leaves all alone.
static void test_translation_is_narrowed(void **state)
{
    const struct flow_way software = {.software = true};
    struct rule rule = nat_icmp();
    struct flow flow;
    char *error;

    (void)state;
    assert_int_equal(flow_build(&rule, port_of, &set, &flow, &error), 0);
    assert_true(flow.narrowed);
    assert_int_equal(flow.mask[2].ipv4.hdr.fragment_offset, RTE_BE16(0x3fff));
    assert_int_equal(flow_build(&rule, port_of, &software, &flow, &error), 0);
    assert_false(flow.narrowed);
    assert_int_equal(flow.mask[2].ipv4.hdr.fragment_offset, 0);
    rule = nat_udp6();
    assert_int_equal(flow_build(&rule, port_of, &set, &flow, &error), 0);
    assert_false(flow.narrowed); // fragments of IPv6 are among the exceptions
    rule = nat_icmp();
    rule.actions[0] = rule.actions[1] =
        (struct action){.type = ACTION_SET_IP_TOS, .byte = {.value = 0, .mask = 0xfc}};
    assert_int_equal(flow_build(&rule, port_of, &set, &flow, &error), 0);
    assert_false(flow.narrowed); // no checksum of layer 4 goes over it
}

static unsigned n_tag_actions(const struct rule *rule)
{
    struct flow flow;
    unsigned n = 0;
    char *error;

    assert_int_equal(flow_build(rule, port_of, &set, &flow, &error), 0);
    for (unsigned i = 0; i < flow.n_actions; i++)
        n += flow.actions[i].type >= RTE_FLOW_ACTION_TYPE_OF_POP_VLAN &&
             flow.actions[i].type <= RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_PCP;
    return n;
}

// Of untagged frames there is nothing to pop or to set.
static void test_no_tag(void **state)
{
    struct rule rule = push_vlan();

    (void)state;
    assert_int_equal(n_tag_actions(&rule), 3);
    rule.actions[5].type = ACTION_POP_VLAN;
    assert_int_equal(n_tag_actions(&rule), 0);
    rule.actions[3].type = ACTION_POP_VLAN;
    assert_int_equal(n_tag_actions(&rule), 0);
}

static void refused(struct rule rule, int expected, const char *sentence)
{
    struct flow flow;
    char *error = NULL;

    assert_int_equal(flow_build(&rule, port_of, &set, &flow, &error), expected);
    assert_non_null(error);
    if (!strstr(error, sentence))
        fail_msg("\"%s\" is not in \"%s\"", sentence, error);
    free(error);
}

static void test_refusals(void **state)
{
    struct rule rule;

    (void)state;
    rule = guard4();
    rule.match.in_port = VETH;
    refused(rule, -ENODEV, "port 9: a veth pair is no NIC");
    rule = forward4();
    rule.actions[3].port = VETH;
    refused(rule, -ENODEV, "port 9: a veth pair is no NIC");
    rule.actions[3].port = 77;
    refused(rule, -ENODEV, "port 77: no such port");

    // What is rewritten and then missed in the next group would reach software rewritten.
    rule = forward4();
    rule.actions[3] = (struct action){.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_UPLINKS};
    refused(rule, -ENOTSUP, "changes the packet and then goes on");
    rule.actions[3] = (struct action){.type = ACTION_UPLINKS};
    refused(rule, -ENOTSUP, "changes the packet and then goes on");

    rule = guard4();
    rule.actions[0] = (struct action){.type = ACTION_PUNT};
    refused(rule, -ENOTSUP, "hands packets to the daemon");
    rule.n_actions = 0;
    refused(rule, -ENOTSUP, "does not say where");
    rule = forward4();
    act(&rule, (struct action){.type = ACTION_OUTPUT, .port = POD_A});
    refused(rule, -ENOTSUP, "goes on after");
    rule = vlan_arp();
    rule.match.in_port = PORT_NONE;
    refused(rule, -ENOTSUP, "to the port that they came in by");
    rule = tcp_port();
    rule.match.spec.ip_frag = rule.match.mask.ip_frag = IP_FRAG_ANY;
    refused(rule, -ENOTSUP, "fragments");
    rule = tcp_port();
    rule.match.spec.tcp_flags = rule.match.mask.tcp_flags = RTE_BE16(0x100); // AE, RFC 9768
    refused(rule, -ENOTSUP, "TCP flags");
    rule = tcp_port();
    rule.match.spec.reg[1] = rule.match.mask.reg[1] = 1;
    refused(rule, -ENOTSUP, "registers");
    rule = tcp_port();
    rule.match.spec.metadata = rule.match.mask.metadata = 1;
    refused(rule, -ENOTSUP, "metadata");
    rule = forward4();
    rule.actions[0] = (struct action){.type = ACTION_METER};
    refused(rule, -ENOTSUP, "it has a meter");
    rule.actions[0] = (struct action){.type = ACTION_GROUP};
    refused(rule, -ENOTSUP, "rules with this action");

    rule = nat(IPPROTO_SCTP, true);
    refused(rule, -ENOTSUP, "no other checksums right");
    rule.actions[0] = rule.actions[1] = rule.actions[4];
    refused(rule, -ENOTSUP, "ports and does not match TCP or UDP");
    rule = nat_tcp4();
    rule.match.mask.ip_proto = rule.match.spec.ip_proto = 0;
    refused(rule, -ENOTSUP, "no other checksums right");
    rule = nat_tcp4();
    rule.match.spec.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
    refused(rule, -ENOTSUP, "does not match IPv4 or IPv6");
    rule = nat(IPPROTO_ICMPV6, false);
    refused(rule, -ENOTSUP, "no other checksums right");
    rule = nat_tcp4();
    rule.actions[4].byte.mask = 0xff;
    refused(rule, -ENOTSUP, "ECN");
    rule = nat_tcp4();
    rule.actions[5] = (struct action){.type = ACTION_NORMAL};
    refused(rule, -ENOTSUP, "changes the packet and then goes on");
    rule = push_vlan();
    rule.actions[6] = (struct action){.type = ACTION_NORMAL};
    refused(rule, -ENOTSUP, "changes the packet and then goes on");
    rule.actions[5] = rule.actions[3];
    refused(rule, -ENOTSUP, "two VLAN tags");
    rule = vlan_arp();
    rule.actions[0] = (struct action){.type = ACTION_POP_VLAN};
    refused(rule, -ENOTSUP, "tags of tagged frames");

    rule = tcp_port();
    rule.match.mask.eth_type = rule.match.spec.eth_type = 0;
    refused(rule, -ENOTSUP, "IPv4 and IPv6 alike");
    rule = tcp_port();
    rule.match.spec.eth_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
    refused(rule, -ENOTSUP, "EtherType that is not IP");
    rule = forward4();
    rule.match.spec.ip_src = ip("fd00::1");
    rule.match.mask.ip_src = bits(128);
    refused(rule, -ENOTSUP, "IPv4 and IPv6 at once");
    rule = tcp_port();
    rule.match.spec.ip_proto = 50;
    refused(rule, -ENOTSUP, "not TCP, UDP, SCTP or ICMP");
    rule = vlan_arp();
    rule.match.spec.vlan_tci = 0;
    refused(rule, -ENOTSUP, "untagged and VLAN 0");
    rule = vlan_arp();
    rule.actions[0] = (struct action){.type = ACTION_DEC_TTL};
    refused(rule, -ENOTSUP, "does not match IPv4 or IPv6");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_exceptions),
        cmocka_unit_test(test_short_buffer),
        cmocka_unit_test(test_pattern),
        cmocka_unit_test(test_actions_in_order),
        cmocka_unit_test(test_spec_within_mask),
        cmocka_unit_test(test_higher_rule_priority_is_lower_number),
        cmocka_unit_test(test_levels),
        cmocka_unit_test(test_guard_goes_to_policy),
        cmocka_unit_test(test_software),
        cmocka_unit_test(test_l4_is_narrowed),
        cmocka_unit_test(test_translation_is_narrowed),
        cmocka_unit_test(test_no_tag),
        cmocka_unit_test(test_refusals),
    };

    return cmocka_run_group_tests_name("flow", tests, NULL, NULL);
}
