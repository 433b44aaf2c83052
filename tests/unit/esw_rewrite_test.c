/* SPDX-License-Identifier: Apache-2.0 */
// What net_esw's rules change in packets: the field is as the action says, everything else as it
// was, and all checksums are right, computed from scratch.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include <rte_eal.h>
#include <rte_flow.h>
#include <rte_tcp.h>

#include "tests/unit/esw_rig.h"

#define TRIES 50 // random packets of each kind

static const uint8_t new_mac[6] = {2, 4, 6, 8, 10, 12};
static const uint8_t new_ip[16] = {0x20, 0x01, 0x0d, 0xb8, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
#define NEW_PORT RTE_BE16(0xbeef)

// A frame of IPv4 or IPv6 with UDP, TCP, or ICMPv6, with a VLAN tag or not.
struct packet {
    unsigned version;
    uint8_t proto;
    bool vlan, no_checksum;
    uint16_t l3, l4, length;
    uint8_t data[200];
};

static void set_checksums(struct packet *packet)
{
    uint8_t *ip = packet->data + packet->l3, *l4 = packet->data + packet->l4;
    size_t at = packet->proto == IPPROTO_TCP   ? offsetof(struct rte_tcp_hdr, cksum)
                : packet->proto == IPPROTO_UDP ? offsetof(struct rte_udp_hdr, dgram_cksum)
                                               : 2;
    uint16_t sum;

    memset(l4 + at, 0, 2);
    if (packet->version == 4) {
        memset(ip + offsetof(struct rte_ipv4_hdr, hdr_checksum), 0, 2);
        sum = rte_ipv4_cksum((void *)ip);
        memcpy(ip + offsetof(struct rte_ipv4_hdr, hdr_checksum), &sum, 2);
        sum = rte_ipv4_udptcp_cksum((void *)ip, l4);
    } else {
        sum = rte_ipv6_udptcp_cksum((void *)ip, l4);
    }
    if (!packet->no_checksum)
        memcpy(l4 + at, &sum, 2);
}

static struct packet make(unsigned version, uint8_t proto, bool vlan)
{
    struct packet packet = {.version = version, .proto = proto, .vlan = vlan};
    uint16_t payload = (uint16_t)(rand() % 64), l4_length = (uint16_t)(20 + payload);
    rte_be16_t type = version == 4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);

    for (unsigned i = 0; i < sizeof(packet.data); i++)
        packet.data[i] = (uint8_t)rand();
    memcpy(packet.data, &mac_b, 6);
    memcpy(packet.data + 6, &mac_a, 6);
    packet.l3 = vlan ? 18 : 14;
    memcpy(packet.data + packet.l3 - 2, &type, 2);
    if (vlan)
        memcpy(packet.data + 12, &(rte_be16_t){RTE_BE16(RTE_ETHER_TYPE_VLAN)}, 2);
    packet.l4 = (uint16_t)(packet.l3 + (version == 4 ? 20 : 40));
    packet.length = (uint16_t)(packet.l4 + l4_length);
    if (version == 4) {
        struct rte_ipv4_hdr *ip = (void *)(packet.data + packet.l3);

        ip->version_ihl = 0x45;
        ip->total_length = rte_cpu_to_be_16((uint16_t)(20 + l4_length));
        ip->fragment_offset = 0;
        ip->next_proto_id = proto;
    } else {
        struct rte_ipv6_hdr *ip = (void *)(packet.data + packet.l3);

        packet.data[packet.l3] = (uint8_t)(0x60 | (rand() & 0xf));
        ip->payload_len = rte_cpu_to_be_16(l4_length);
        ip->proto = proto;
    }
    if (proto == IPPROTO_TCP)
        packet.data[packet.l4 + 12] = 0x50;
    if (proto == IPPROTO_UDP) {
        ((struct rte_udp_hdr *)(packet.data + packet.l4))->dgram_len = rte_cpu_to_be_16(l4_length);
        packet.no_checksum = version == 4 && rand() % 4 == 0;
    }
    set_checksums(&packet);
    return packet;
}

// How an action is said, and what it changes: `size` bytes at a place in a header, by a mask.
struct change {
    const char *name;
    struct rte_flow_action action;
    unsigned version; // 0: both
    uint8_t proto;    // 0: all
    enum { ETHERNET, VLAN, IP, L4 } header;
    size_t at, size;
    const uint8_t *value;
    uint8_t mask; // of each byte
};

static struct rte_flow *forward(const struct rte_flow_action *action)
{
    const struct rte_flow_attr attr = {.transfer = 1};
    const struct rte_flow_item items[] = {{.type = RTE_FLOW_ITEM_TYPE_ETH},
                                          {.type = RTE_FLOW_ITEM_TYPE_END}};
    const struct rte_flow_action_ethdev to = {.port_id = ethdev[VF1]};
    const struct rte_flow_action actions[] = {
        *action, {RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT, &to}, {RTE_FLOW_ACTION_TYPE_END, NULL}};
    struct rte_flow_error error = {.message = "?"};
    struct rte_flow *flow = rte_flow_create(ethdev[WIRE], &attr, items, actions, &error);

    if (!flow)
        fail_msg("%s", error.message);
    return flow;
}

static void expect_packet(const char *name, const struct packet *sent,
                          const struct packet *expected)
{
    uint8_t data[2048];
    size_t length;
    bool to_app;

    inject(VF0, sent->data, sent->length);
    assert_int_equal(outcome(&to_app, data, &length), VF1);
    assert_false(to_app);
    if (length != expected->length || memcmp(data, expected->data, length)) {
        print_error("%s: IPv%u, protocol %u%s\n", name, sent->version, sent->proto,
                    sent->vlan ? ", tagged" : "");
        assert_int_equal(length, expected->length);
        assert_memory_equal(data, expected->data, length);
    }
}

static void apply(const struct change *change, struct packet *packet)
{
    size_t header = change->header == ETHERNET ? 0
                    : change->header == VLAN   ? 14
                    : change->header == IP     ? packet->l3
                                               : packet->l4;
    uint8_t *at = packet->data + header + change->at;

    if ((change->version && change->version != packet->version) ||
        (change->proto && change->proto != packet->proto) ||
        (change->header == VLAN && !packet->vlan) ||
        (change->header == L4 && packet->proto == IPPROTO_ICMPV6))
        return;
    for (size_t i = 0; i < change->size; i++)
        at[i] = (uint8_t)((at[i] & ~change->mask) | (change->value[i] & change->mask));
    set_checksums(packet);
}

static void check_change(const struct change *change)
{
    static const struct {
        unsigned version;
        uint8_t proto;
    } kinds[] = {{4, IPPROTO_UDP},
                 {4, IPPROTO_TCP},
                 {6, IPPROTO_UDP},
                 {6, IPPROTO_TCP},
                 {6, IPPROTO_ICMPV6}};
    struct rte_flow *flow = forward(&change->action);
    struct rte_flow_error error;

    for (unsigned i = 0; i < TRIES * RTE_DIM(kinds); i++) {
        struct packet packet =
            make(kinds[i % RTE_DIM(kinds)].version, kinds[i % RTE_DIM(kinds)].proto, rand() % 2);
        struct packet expected = packet;

        apply(change, &expected);
        expect_packet(change->name, &packet, &expected);
    }
    assert_int_equal(rte_flow_destroy(ethdev[WIRE], flow, &error), 0);
}

static void test_set_actions(void **state)
{
    const rte_be16_t port = NEW_PORT;
    const uint8_t dscp = 0x2e << 2;
    const struct rte_flow_action_set_mac mac = {.mac_addr = {2, 4, 6, 8, 10, 12}};
    const struct rte_flow_action_set_dscp set_dscp = {.dscp = 0x2e}; // RFC 3246: EF
    const struct rte_flow_action_set_tp tp = {.port = NEW_PORT};
    struct rte_flow_action_set_ipv4 ipv4;
    struct rte_flow_action_set_ipv6 ipv6;
    const struct change changes[] = {
#define SET(NAME, conf) "set " #NAME, {RTE_FLOW_ACTION_TYPE_SET_##NAME, &(conf)}
        {SET(MAC_DST, mac), 0, 0, ETHERNET, 0, 6, new_mac, 0xff},
        {SET(MAC_SRC, mac), 0, 0, ETHERNET, 6, 6, new_mac, 0xff},
        {SET(IPV4_SRC, ipv4), 4, 0, IP, 12, 4, new_ip, 0xff},
        {SET(IPV4_DST, ipv4), 4, 0, IP, 16, 4, new_ip, 0xff},
        {SET(IPV6_SRC, ipv6), 6, 0, IP, 8, 16, new_ip, 0xff},
        {SET(IPV6_DST, ipv6), 6, 0, IP, 24, 16, new_ip, 0xff},
        {SET(IPV4_DSCP, set_dscp), 4, 0, IP, 1, 1, &dscp, 0xfc},
        {SET(TP_SRC, tp), 0, 0, L4, 0, 2, (const uint8_t *)&port, 0xff},
        {SET(TP_DST, tp), 0, 0, L4, 2, 2, (const uint8_t *)&port, 0xff},
#undef SET
    };

    (void)state;
    memcpy(&ipv4.ipv4_addr, new_ip, 4);
    memcpy(ipv6.ipv6_addr, new_ip, 16);
    for (unsigned i = 0; i < RTE_DIM(changes); i++)
        check_change(&changes[i]);
}

static void test_modify_field(void **state)
{
    const rte_be16_t port = NEW_PORT;
    static const struct {
        enum rte_flow_field_id field;
        unsigned bits;
    } fields[] = {
        {RTE_FLOW_FIELD_MAC_DST, 48},      {RTE_FLOW_FIELD_MAC_SRC, 48},
        {RTE_FLOW_FIELD_IPV4_SRC, 32},     {RTE_FLOW_FIELD_IPV4_DST, 32},
        {RTE_FLOW_FIELD_IPV6_SRC, 128},    {RTE_FLOW_FIELD_IPV6_DST, 128},
        {RTE_FLOW_FIELD_TCP_PORT_SRC, 16}, {RTE_FLOW_FIELD_TCP_PORT_DST, 16},
        {RTE_FLOW_FIELD_UDP_PORT_SRC, 16}, {RTE_FLOW_FIELD_UDP_PORT_DST, 16},
    };
    const struct change changes[] = {
#define MODIFY "modify_field", {0}
        {MODIFY, 0, 0, ETHERNET, 0, 6, new_mac, 0xff},
        {MODIFY, 0, 0, ETHERNET, 6, 6, new_mac, 0xff},
        {MODIFY, 4, 0, IP, 12, 4, new_ip, 0xff},
        {MODIFY, 4, 0, IP, 16, 4, new_ip, 0xff},
        {MODIFY, 6, 0, IP, 8, 16, new_ip, 0xff},
        {MODIFY, 6, 0, IP, 24, 16, new_ip, 0xff},
        {MODIFY, 0, IPPROTO_TCP, L4, 0, 2, (const uint8_t *)&port, 0xff},
        {MODIFY, 0, IPPROTO_TCP, L4, 2, 2, (const uint8_t *)&port, 0xff},
        {MODIFY, 0, IPPROTO_UDP, L4, 0, 2, (const uint8_t *)&port, 0xff},
        {MODIFY, 0, IPPROTO_UDP, L4, 2, 2, (const uint8_t *)&port, 0xff},
#undef MODIFY
    };

    (void)state;
    for (unsigned i = 0; i < RTE_DIM(changes); i++) {
        struct rte_flow_action_modify_field modify = {
            .operation = RTE_FLOW_MODIFY_SET,
            .dst.field = fields[i].field,
            .src.field = RTE_FLOW_FIELD_VALUE,
            .width = fields[i].bits,
        };
        struct change change = changes[i];

        memcpy(modify.src.value, change.value, change.size);
        change.action = (struct rte_flow_action){RTE_FLOW_ACTION_TYPE_MODIFY_FIELD, &modify};
        check_change(&change);
    }
}

// DSCP of IPv6 lies across two octets; TTL and hop limit lie in different places.
static void test_fields_of_both(void **state)
{
    struct rte_flow_action_modify_field modify = {
        .operation = RTE_FLOW_MODIFY_SET, .src.field = RTE_FLOW_FIELD_VALUE, .width = 6};
    struct rte_flow_action action = {RTE_FLOW_ACTION_TYPE_MODIFY_FIELD, &modify};
    struct rte_flow_error error;

    (void)state;
    for (unsigned version = 4; version <= 6; version += 2) {
        struct rte_flow *flow;

        modify.dst.field = version == 4 ? RTE_FLOW_FIELD_IPV4_DSCP : RTE_FLOW_FIELD_IPV6_DSCP;
        for (uint8_t dscp = 0; dscp < 64; dscp++) {
            struct packet packet = make(version, IPPROTO_UDP, dscp % 2), expected = packet;
            uint8_t *ip = expected.data + expected.l3;

            modify.src.value[0] = dscp;
            flow = forward(&action);
            if (version == 4) {
                ip[1] = (uint8_t)(dscp << 2 | (ip[1] & 3));
            } else {
                ip[0] = (uint8_t)(0x60 | dscp >> 2);
                ip[1] = (uint8_t)((dscp & 3) << 6 | (ip[1] & 0x3f));
            }
            set_checksums(&expected);
            expect_packet("DSCP", &packet, &expected);
            assert_int_equal(rte_flow_destroy(ethdev[WIRE], flow, &error), 0);
        }
        for (unsigned i = 0; i < 2; i++) {
            struct rte_flow_action_set_ttl ttl = {.ttl_value = 77};
            struct packet packet = make(version, IPPROTO_TCP, false), expected = packet;
            uint8_t *at = expected.data + expected.l3 + (version == 4 ? 8 : 7);

            flow = forward(i ? &(struct rte_flow_action){RTE_FLOW_ACTION_TYPE_DEC_TTL, NULL}
                             : &(struct rte_flow_action){RTE_FLOW_ACTION_TYPE_SET_TTL, &ttl});
            *at = i ? (uint8_t)(*at - 1) : 77;
            set_checksums(&expected);
            expect_packet("TTL", &packet, &expected);
            assert_int_equal(rte_flow_destroy(ethdev[WIRE], flow, &error), 0);
        }
    }
}

static void test_vlan(void **state)
{
    const struct rte_flow_action_of_push_vlan push = {.ethertype = RTE_BE16(0x88a8)};
    const struct rte_flow_action_of_set_vlan_vid vid = {.vlan_vid = RTE_BE16(0x0abc)};
    const struct rte_flow_action_of_set_vlan_pcp pcp = {.vlan_pcp = 5};
    struct rte_flow_action_modify_field modify = {
        .operation = RTE_FLOW_MODIFY_SET,
        .dst.field = RTE_FLOW_FIELD_VLAN_ID,
        .src = {.field = RTE_FLOW_FIELD_VALUE, .value = {0x0a, 0xbc}},
        .width = 12,
    };
    const struct rte_flow_action actions[] = {{RTE_FLOW_ACTION_TYPE_OF_PUSH_VLAN, &push},
                                              {RTE_FLOW_ACTION_TYPE_OF_POP_VLAN, NULL},
                                              {RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_VID, &vid},
                                              {RTE_FLOW_ACTION_TYPE_OF_SET_VLAN_PCP, &pcp},
                                              {RTE_FLOW_ACTION_TYPE_MODIFY_FIELD, &modify}};
    struct rte_flow_error error;

    (void)state;
    for (unsigned i = 0; i < RTE_DIM(actions) * 2; i++) {
        struct packet packet = make(4, IPPROTO_UDP, i % 2), expected = packet;
        struct rte_flow *flow = forward(&actions[i / 2]);
        uint8_t *tag = expected.data + 12;

        if (i / 2 == 0) {
            static const uint8_t pushed[4] = {0x88, 0xa8, 0, 0};

            memmove(tag + 4, tag, sizeof(expected.data) - 16);
            memcpy(tag, pushed, 4);
            expected.length += 4;
        } else if (packet.vlan && i / 2 == 1) {
            memmove(tag, tag + 4, sizeof(expected.data) - 16);
            expected.length -= 4;
        } else if (packet.vlan && i / 2 == 3) {
            tag[2] = (uint8_t)((tag[2] & 0x1f) | 5 << 5);
        } else if (packet.vlan) {
            tag[2] = (uint8_t)((tag[2] & 0xf0) | 0x0a);
            tag[3] = 0xbc;
        }
        expect_packet("VLAN", &packet, &expected);
        assert_int_equal(rte_flow_destroy(ethdev[WIRE], flow, &error), 0);
    }
}

// Each UDP checksum that a change can lead to, also the one that must not be written as 0.
static void test_udp_checksum_zero(void **state)
{
    const struct rte_flow_action_set_tp tp = {.port = NEW_PORT};
    const struct rte_flow_action action = {RTE_FLOW_ACTION_TYPE_SET_TP_SRC, &tp};
    struct rte_flow *flow = forward(&action);
    struct packet packet = make(4, IPPROTO_UDP, false), expected;
    struct rte_udp_hdr *udp_hdr;
    struct rte_flow_error error;
    bool seen = false;

    (void)state;
    packet.no_checksum = false;
    for (unsigned port = 0; port <= UINT16_MAX; port++) {
        memcpy(packet.data + packet.l4 + 2, &port, 2); // the destination's
        expected = packet;
        memcpy(expected.data + expected.l4, &tp.port, 2);
        set_checksums(&expected);
        udp_hdr = (void *)(expected.data + expected.l4);
        if (udp_hdr->dgram_cksum != 0xffff)
            continue;
        seen = true;
        set_checksums(&packet);
        expect_packet("UDP checksum", &packet, &expected);
    }
    assert_true(seen);
    assert_int_equal(rte_flow_destroy(ethdev[WIRE], flow, &error), 0);
}

static void test_refusals(void **state)
{
    const struct rte_flow_attr attr = {.transfer = 1};
    const struct rte_flow_item items[] = {{.type = RTE_FLOW_ITEM_TYPE_END}};
    const struct rte_flow_item sctp[] = {{.type = RTE_FLOW_ITEM_TYPE_IPV4},
                                         {.type = RTE_FLOW_ITEM_TYPE_SCTP},
                                         {.type = RTE_FLOW_ITEM_TYPE_END}};
    struct rte_flow_action_modify_field modify = {
        .operation = RTE_FLOW_MODIFY_ADD, // only TTL can be counted with
        .dst.field = RTE_FLOW_FIELD_IPV4_SRC,
        .src.field = RTE_FLOW_FIELD_VALUE,
        .width = 32,
    };
    const struct rte_flow_action actions[] = {{RTE_FLOW_ACTION_TYPE_MODIFY_FIELD, &modify},
                                              {RTE_FLOW_ACTION_TYPE_DROP, NULL},
                                              {RTE_FLOW_ACTION_TYPE_END, NULL}};
    struct rte_flow_error error;

    (void)state;
    assert_int_equal(rte_flow_validate(ethdev[WIRE], &attr, items, actions, &error), -ENOTSUP);
    modify.operation = RTE_FLOW_MODIFY_SET;
    assert_int_equal(rte_flow_validate(ethdev[WIRE], &attr, items, actions, &error), 0);
    modify.width = 16;
    assert_int_equal(rte_flow_validate(ethdev[WIRE], &attr, items, actions, &error), -ENOTSUP);
    modify.width = 32;
    modify.dst.offset = 8;
    assert_int_equal(rte_flow_validate(ethdev[WIRE], &attr, items, actions, &error), -ENOTSUP);
    modify.dst.offset = 0;
    // SCTP's checksum is a CRC of the whole packet, which NICs do not redo.
    modify.dst.field = RTE_FLOW_FIELD_UDP_PORT_SRC;
    modify.width = 16;
    assert_int_equal(rte_flow_validate(ethdev[WIRE], &attr, items, actions, &error), 0);
    assert_int_equal(rte_flow_validate(ethdev[WIRE], &attr, sctp, actions, &error), -EINVAL);
    modify.dst.field = RTE_FLOW_FIELD_TCP_SEQ_NUM;
    assert_int_equal(rte_flow_validate(ethdev[WIRE], &attr, items, actions, &error), -ENOTSUP);
}

static int setup(void **state)
{
    (void)state;
    srand(1);
    return rig_open_started("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_set_actions),       cmocka_unit_test(test_modify_field),
        cmocka_unit_test(test_fields_of_both),    cmocka_unit_test(test_vlan),
        cmocka_unit_test(test_udp_checksum_zero), cmocka_unit_test(test_refusals),
    };
    int failed;

    if (!rig_begin("esw_rewrite_test"))
        return 0;
    failed = cmocka_run_group_tests_name("esw_rewrite", tests, setup, rig_teardown);
    rte_eal_cleanup();
    return failed;
}
