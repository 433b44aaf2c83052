/* SPDX-License-Identifier: Apache-2.0 */
// Frames that somebody made to get past a check, or that no station should send.
#include <setjmp.h>
#include <stdarg.h>

#include "tests/unit/policy_fixture.h"

static const char A4[] = "10.1.10.5", B4[] = "10.1.11.6", WORLD4[] = "192.0.2.7";
static const char A6[] = "fd00:10::5", B6[] = "fd00:11::6", WORLD6[] = "2001:db8::7";

static int no_rules(void **state)
{
    (void)state;
    install(NULL, 0);
    return 0;
}

// Larger than a buffer: drivers may chain several (memif, vhost-user).
static void drops_chained_buffers(void **state)
{
    static const size_t firsts[] = {13, 14, 34, 60, 1000};
    static uint8_t bytes[4000];
    uint64_t before = node_drops(POD_A, DROP_oversized);
    struct frame f;

    (void)state;
    // The packet ends in the first buffer, the frame far behind it.
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 20);
    memcpy(bytes, f.bytes, f.len);
    for (unsigned i = 0; i < RTE_DIM(firsts); i++) {
        frame_send(POD_A, &f);
        node_send_in_parts(POD_A, bytes, firsts[i] + 2000, firsts[i]);
        frame_send(POD_A, &f);
        node_settle();
        assert_int_equal(node_drops(POD_A, DROP_oversized), before + 1 + i);
        assert_true(frame_recv(POD_B, &f));
        assert_true(frame_recv(POD_B, &f));
        frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 20);
    }
    assert_nothing_left();
}

// A later fragment so far behind that in the next the offset is 0 again: a first fragment, with
// ports that neither the guard nor a rule has seen.
static void makes_no_first_fragment(void **state)
{
    struct frame f;

    (void)state;
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 1452); // pod B's MTU is 1400
    f.v4.ip.fragment_offset = rte_cpu_to_be_16((65536 - 1376) / 8);
    frame_sum4(&f);
    assert_dropped(POD_A, &f, DROP_fragment_failed);
    // The last that there can be.
    f.v4.ip.fragment_offset = rte_cpu_to_be_16((65536 - 1480) / 8);
    f.v4.ip.total_length = RTE_BE16(1479);
    f.len = 14 + 1479;
    frame_sum4(&f);
    frame_send(POD_A, &f);
    node_settle();
    for (unsigned i = 0; i < 2; i++) {
        assert_true(frame_recv(POD_B, &f));
        assert_in_range(rte_be_to_cpu_16(f.v4.ip.fragment_offset) & RTE_IPV4_HDR_OFFSET_MASK,
                        (65536 - 1480) / 8, 8191);
    }
    assert_nothing_left();
}

// One more link-layer address in an ND message than its reader expects.
static void add_lladdr(struct frame *f, const struct rte_ether_addr *mac)
{
    f->bytes[f->len] = ND_OPT_SOURCE_LINKADDR;
    f->bytes[f->len + 1] = 1;
    memcpy(&f->bytes[f->len + 2], mac, sizeof *mac);
    f->len += 8;
    f->v6.ip.payload_len = rte_cpu_to_be_16((uint16_t)(f->len - 54));
    f->v6.ns.nd_ns_cksum = 0;
    f->v6.ns.nd_ns_cksum = rte_ipv6_udptcp_cksum(&f->v6.ip, &f->v6.ns);
}

static void sees_every_option_of_nd(void **state)
{
    struct frame f;

    (void)state;
    INSTALL({.type = ACTION_ALL}); // rules may send ND on
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &POD_A_MAC, A6, "fd00:10::1", &POD_B_MAC);
    add_lladdr(&f, &POD_A_MAC);
    assert_dropped(POD_A, &f, DROP_nd_malformed);
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &POD_A_MAC, A6, "fd00:10::1", &POD_A_MAC);
    add_lladdr(&f, &POD_B_MAC);
    assert_dropped(POD_A, &f, DROP_nd_malformed);
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &POD_A_MAC, A6, "fd00:10::1", &POD_B_MAC);
    add_lladdr(&f, &POD_B_MAC);
    assert_dropped(POD_A, &f, DROP_guard_nd);
}

static void answers_no_nd_of_nobody(void **state)
{
    struct frame f;

    (void)state;
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &GATEWAY_MAC, "ff02::1", B6, &GATEWAY_MAC);
    assert_dropped(UPLINK0, &f, DROP_martian);
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &GATEWAY_MAC, "::1", B6, &GATEWAY_MAC);
    assert_dropped(UPLINK0, &f, DROP_martian);
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &GATEWAY_MAC, "fd00:11::1", B6, &GATEWAY_MAC);
    f.v6.ip.vtc_flow = RTE_BE32(4u << 28);
    assert_dropped(UPLINK0, &f, DROP_ipv6_header);
}

// RFC 4291 section 2.5.6: a router does not pass on what has a link-local source.
static void keeps_link_local_sources_on_their_link(void **state)
{
    struct frame f;

    (void)state;
    frame_udp6(&f, &GATEWAY_MAC, &NODE_MAC, "fe80::1", A6, 20);
    assert_dropped(UPLINK0, &f, DROP_link_local);
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, "fe80::5", WORLD6, 20);
    assert_dropped(POD_A, &f, DROP_link_local);
}

// Rules decrement the TTL of a packet that came in a frame to all; and have changed the MACs of one
// that did not.
static void answers_expiry_only_to_who_asked(void **state)
{
    static const struct rte_ether_addr everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    static const struct rte_ether_addr group = {{0x33, 0x33, 0, 0, 0, 1}};
    const struct rte_ether_addr *from[] = {&POD_A_MAC, &GATEWAY_MAC},
                                *to[] = {&ROUTER_MAC, &NODE_MAC};
    const uint16_t ports[] = {POD_A, UPLINK0};
    struct frame f, got;

    (void)state;
    for (unsigned i = 0; i < RTE_DIM(ports); i++)
        for (unsigned set = 0; set < 2; set++) {
            if (set)
                INSTALL({.type = ACTION_SET_ETH_SRC, .mac = POD_B_MAC},
                        {.type = ACTION_SET_ETH_DST, .mac = POD_B_MAC}, {.type = ACTION_DEC_TTL},
                        PORT_OUT(UPLINK1));
            else
                INSTALL({.type = ACTION_DEC_TTL}, PORT_OUT(UPLINK1));
            frame_udp4(&f, from[i], &everybody, i ? WORLD4 : A4, B4, 20);
            f.v4.ip.time_to_live = 1;
            frame_sum4(&f);
            assert_dropped(ports[i], &f, DROP_ttl_expired);
            frame_udp6(&f, from[i], &group, i ? WORLD6 : A6, B6, 20);
            f.v6.ip.hop_limits = 1;
            assert_dropped(ports[i], &f, DROP_ttl_expired);

            frame_udp4(&f, from[i], to[i], i ? WORLD4 : A4, B4, 20);
            f.v4.ip.time_to_live = 1;
            frame_sum4(&f);
            frame_send(ports[i], &f);
            node_settle();
            assert_true(frame_recv(ports[i], &got));
            assert_int_equal(got.v4.icmp.type, ICMP_TIME_EXCEEDED);
            assert_memory_equal(&got.eth.dst_addr, from[i], 6);
            assert_memory_equal(&got.eth.src_addr, to[i], 6);
            assert_nothing_left();
        }
}

// Until a gateway has answered there is no member map, but ToRs may ask already.
static void answers_before_any_gateway_does(void **state)
{
    static const struct dp_member_map none;
    struct frame f;

    (void)state;
    assert_int_equal(dp_member_map_set(&none), 0);
    frame_arp(&f, RTE_ARP_OP_REQUEST, &GATEWAY_MAC, "10.1.10.1", A4);
    frame_send(UPLINK1, &f);
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &GATEWAY_MAC, "fd00:11::1", B6, &GATEWAY_MAC);
    frame_send(UPLINK0, &f);
    node_settle();
    node_members();
    assert_true(frame_recv(UPLINK1, &f));
    assert_memory_equal(&f.arp.arp.arp_data.arp_sha, &NODE_MAC, 6);
    assert_memory_equal(&f.eth.src_addr, &NODE_MAC, 6);
    assert_true(frame_recv(UPLINK0, &f));
    assert_memory_equal(f.bytes + f.len - 6, &NODE_MAC, 6);
    assert_memory_equal(&f.eth.src_addr, &NODE_MAC, 6);
    assert_nothing_left();
}

#define TEST(f) cmocka_unit_test_teardown(f, no_rules)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(drops_chained_buffers),
        TEST(makes_no_first_fragment),
        TEST(sees_every_option_of_nd),
        TEST(answers_no_nd_of_nobody),
        TEST(keeps_link_local_sources_on_their_link),
        TEST(answers_expiry_only_to_who_asked),
        TEST(answers_before_any_gateway_does),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
