/* SPDX-License-Identifier: Apache-2.0 */
// What becomes of single frames: forwarded, answered or dropped by name. Through the real workers;
// the ports are in-process rings. After each test the sum rule must hold (node_settle).
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/frame.h"

static const char A4[] = "10.1.10.5", B4[] = "10.1.11.6", WORLD4[] = "192.0.2.7";
static const char A6[] = "fd00:10::5", B6[] = "fd00:11::6", WORLD6[] = "2001:db8::7";

static void assert_mac(const struct rte_ether_addr *a, const struct rte_ether_addr *b)
{
    assert_memory_equal(a, b, sizeof *a);
}

static void assert_nothing_left(void)
{
    struct frame f;

    for (uint16_t port = 1; port <= NODE_PORTS; port++)
        assert_false(frame_recv(port, &f));
}

// Sends a frame that must be dropped for a reason, and leave nothing.
static void assert_dropped(uint16_t port, const struct frame *f, enum drop_reason reason)
{
    uint64_t before = node_drops(port, reason);

    frame_send(port, f);
    node_settle();
    if (node_drops(port, reason) != before + 1)
        fail_msg("not dropped as %s", drop_name(reason));
}

static bool sums_right4(struct frame *f)
{
    return rte_raw_cksum(&f->v4.ip, sizeof f->v4.ip) == 0xffff &&
           (f->v4.ip.next_proto_id != IPPROTO_UDP ||
            !rte_ipv4_udptcp_cksum_verify(&f->v4.ip, &f->v4.udp));
}

static void forwards_between_pods(void **state)
{
    struct frame sent, got;

    (void)state;
    frame_udp4(&sent, &POD_A_MAC, &ROUTER_MAC, A4, B4, 300);
    frame_send(POD_A, &sent);
    node_settle();
    assert_true(frame_recv(POD_B, &got));
    assert_int_equal(got.len, sent.len);
    assert_mac(&got.eth.src_addr, &ROUTER_MAC);
    assert_mac(&got.eth.dst_addr, &POD_B_MAC);
    assert_int_equal(got.v4.ip.time_to_live, 63);
    assert_true(sums_right4(&got));
    assert_memory_equal(&got.v4.udp, &sent.v4.udp, 308);

    frame_udp6(&sent, &POD_A_MAC, &ROUTER_MAC, A6, B6, 300);
    frame_send(POD_A, &sent);
    node_settle();
    assert_true(frame_recv(POD_B, &got));
    assert_mac(&got.eth.dst_addr, &POD_B_MAC);
    assert_int_equal(got.v6.ip.hop_limits, 63);
    assert_memory_equal(&got.v6.udp, &sent.v6.udp, 308);
    assert_nothing_left();
}

// A frame may be longer than its packet: what follows is padding, or somebody's try.
static void forwards_packets_not_what_follows(void **state)
{
    struct frame f;
    size_t sum = 0;

    (void)state;
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 100);
    f.len += 1300;
    frame_send(POD_A, &f);
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, B6, 100);
    f.len += 1300;
    frame_send(POD_A, &f);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 1);
    f.len = 60;
    frame_send(POD_A, &f);
    node_settle();
    // The families of a burst go one after the other, so in whichever order.
    for (unsigned i = 0; i < 3; i++) {
        assert_true(frame_recv(POD_B, &f));
        sum += f.len;
    }
    assert_int_equal(sum, 14 + 20 + 108 + 14 + 40 + 108 + 60);
    assert_nothing_left();
}

// Every TTL and a sweep of identifications: the incremental checksum is that of a new one.
static void checksum_stays_right(void **state)
{
    struct frame f;
    unsigned n = 0;

    (void)state;
    for (unsigned i = 0; i < 65536; i += 97, n++) {
        frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 20);
        f.v4.ip.time_to_live = (uint8_t)(2 + i % 254);
        f.v4.ip.packet_id = (uint16_t)i;
        frame_sum4(&f);
        frame_send(POD_A, &f);
    }
    node_settle();
    while (n--) {
        assert_true(frame_recv(POD_B, &f));
        assert_true(sums_right4(&f));
    }
    // The sum becomes 0, which is not written as 0xffff (RFC 1624 section 3).
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 20);
    for (unsigned id = 0; f.v4.ip.hdr_checksum != RTE_BE16(0xfeff); id++) {
        assert_true(id < 65536);
        f.v4.ip.packet_id = (uint16_t)id;
        frame_sum4(&f);
    }
    frame_send(POD_A, &f);
    node_settle();
    assert_true(frame_recv(POD_B, &f));
    assert_int_equal(f.v4.ip.hdr_checksum, 0);
    assert_nothing_left();
}

static void spreads_flows_over_uplinks(void **state)
{
    unsigned by[3] = {0};
    struct frame f;

    (void)state;
    for (unsigned flow = 0; flow < 200; flow++) {
        uint16_t first = 0;

        for (unsigned i = 0; i < 2; i++) {
            frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, WORLD4, 20);
            f.v4.udp.src_port = rte_cpu_to_be_16((uint16_t)(10000 + flow));
            f.v4.udp.dgram_cksum = 0;
            frame_send(POD_A, &f);
            node_settle();
            for (uint16_t port = UPLINK0; port <= UPLINK1; port++) {
                if (!frame_recv(port, &f))
                    continue;
                by[port]++;
                if (!first)
                    first = port;
                assert_int_equal(port, first);
                assert_mac(&f.eth.src_addr, &NODE_MAC);
                assert_mac(&f.eth.dst_addr, &GATEWAY_MAC);
                assert_int_equal(f.v4.ip.time_to_live, 63);
            }
        }
        assert_int_not_equal(first, 0);
    }
    assert_int_equal(by[UPLINK0] + by[UPLINK1], 400);
    assert_true(by[UPLINK0] > 100 && by[UPLINK1] > 100);
    frame_udp6(&f, &POD_B_MAC, &ROUTER_MAC, B6, WORLD6, 20);
    frame_send(POD_B, &f);
    node_settle();
    assert_true(frame_recv(UPLINK0, &f) || frame_recv(UPLINK1, &f));
    assert_nothing_left();
}

static void takes_pods_traffic_from_either_uplink(void **state)
{
    struct frame f;

    (void)state;
    for (uint16_t port = UPLINK0; port <= UPLINK1; port++) {
        frame_udp4(&f, &GATEWAY_MAC, &NODE_MAC, WORLD4, A4, 20);
        frame_send(port, &f);
        node_settle();
        assert_true(frame_recv(POD_A, &f));
        assert_mac(&f.eth.src_addr, &ROUTER_MAC);
    }
    assert_nothing_left();
}

static void refuses_what_is_not_for_a_pod(void **state)
{
    struct frame f;

    (void)state;
    frame_udp4(&f, &GATEWAY_MAC, &NODE_MAC, WORLD4, "10.1.10.77", 20);
    assert_dropped(UPLINK0, &f, DROP_no_such_pod);
    assert_true(frame_recv(UPLINK0, &f)); // host unreachable, from the node's own address
    assert_int_equal(f.v4.icmp.type, ICMP_DEST_UNREACH);
    assert_int_equal(f.v4.icmp.code, ICMP_HOST_UNREACH);
    assert_int_equal(f.v4.ip.src_addr, ip("10.1.0.9").s6_addr32[3]);
    frame_udp4(&f, &GATEWAY_MAC, &POD_A_MAC, WORLD4, A4, 20);
    assert_dropped(UPLINK0, &f, DROP_eth_not_ours);
    frame_udp4(&f, &GATEWAY_MAC, &NODE_MAC, "127.0.0.1", A4, 20);
    assert_dropped(UPLINK0, &f, DROP_martian);
    assert_nothing_left();
}

static void a_pod_is_only_itself(void **state)
{
    static const struct rte_ether_addr lacp = {{0x01, 0x80, 0xc2, 0, 0, 2}};
    static const struct rte_ether_addr all_nodes = {{0x33, 0x33, 0, 0, 0, 1}};
    static const uint16_t bfd_ports[] = {3784, 3785, 4784, 6784};
    struct frame f;

    (void)state;
    frame_udp4(&f, &POD_B_MAC, &ROUTER_MAC, A4, B4, 20);
    assert_dropped(POD_A, &f, DROP_guard_eth_src);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, B4, WORLD4, 20);
    assert_dropped(POD_A, &f, DROP_guard_ip_src);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, "0.0.0.0", WORLD4, 20);
    assert_dropped(POD_A, &f, DROP_guard_ip_src);
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, B6, WORLD6, 20);
    assert_dropped(POD_A, &f, DROP_guard_ip_src);
    frame_arp(&f, RTE_ARP_OP_REQUEST, &POD_A_MAC, B4, "10.1.11.1");
    assert_dropped(POD_A, &f, DROP_guard_arp);
    frame_arp(&f, RTE_ARP_OP_REPLY, &POD_A_MAC, "10.1.10.1", "10.1.10.1");
    assert_dropped(POD_A, &f, DROP_guard_arp);
    frame_arp(&f, RTE_ARP_OP_REQUEST, &POD_A_MAC, A4, "10.1.10.1");
    f.arp.arp.arp_data.arp_sha = POD_B_MAC;
    assert_dropped(POD_A, &f, DROP_guard_arp);
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &POD_A_MAC, B6, "fd00:11::1", &POD_A_MAC);
    assert_dropped(POD_A, &f, DROP_guard_nd);
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &POD_A_MAC, A6, "fd00:10::1", &POD_B_MAC);
    assert_dropped(POD_A, &f, DROP_guard_nd);
    frame_nd(&f, ND_NEIGHBOR_ADVERT, &POD_A_MAC, A6, "fd00:10::1", &POD_A_MAC);
    assert_dropped(POD_A, &f, DROP_guard_nd);

    frame_eth(&f, &POD_A_MAC, &lacp, RTE_ETHER_TYPE_SLOW);
    f.len = 124;
    assert_dropped(POD_A, &f, DROP_guard_control);
    frame_eth(&f, &POD_A_MAC, &ROUTER_MAC, RTE_ETHER_TYPE_LLDP);
    f.len = 60;
    assert_dropped(POD_A, &f, DROP_guard_control);
    for (unsigned i = 0; i < RTE_DIM(bfd_ports); i++) {
        frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, WORLD4, 24);
        f.v4.udp.dst_port = rte_cpu_to_be_16(bfd_ports[i]);
        assert_dropped(POD_A, &f, DROP_guard_control);
        frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, WORLD6, 24);
        f.v6.udp.dst_port = rte_cpu_to_be_16(bfd_ports[i]);
        assert_dropped(POD_A, &f, DROP_guard_control);
    }
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, WORLD4, 240);
    f.v4.udp.src_port = RTE_BE16(67);
    assert_dropped(POD_A, &f, DROP_guard_control);
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, WORLD6, 24);
    f.v6.udp.src_port = RTE_BE16(547);
    assert_dropped(POD_A, &f, DROP_guard_control);
    frame_nd(&f, ND_ROUTER_ADVERT, &POD_A_MAC, "fe80::a", "::", &POD_A_MAC);
    f.eth.dst_addr = all_nodes;
    assert_dropped(POD_A, &f, DROP_guard_control);
    assert_nothing_left();
}

static void answers_expired_packets(void **state)
{
    struct frame sent, got;

    (void)state;
    frame_udp4(&sent, &POD_A_MAC, &ROUTER_MAC, A4, WORLD4, 20);
    sent.v4.ip.time_to_live = 1;
    frame_sum4(&sent);
    assert_dropped(POD_A, &sent, DROP_ttl_expired);
    assert_true(frame_recv(POD_A, &got));
    assert_mac(&got.eth.dst_addr, &POD_A_MAC);
    assert_mac(&got.eth.src_addr, &ROUTER_MAC);
    assert_int_equal(got.v4.ip.src_addr, ip("10.1.10.1").s6_addr32[3]);
    assert_int_equal(got.v4.ip.dst_addr, ip(A4).s6_addr32[3]);
    assert_int_equal(got.v4.icmp.type, ICMP_TIME_EXCEEDED);
    assert_true(sums_right4(&got));
    assert_int_equal(rte_raw_cksum(&got.v4.icmp, got.len - 34), 0xffff);
    assert_memory_equal(&got.v4.icmp + 1, &sent.v4.ip, 48);

    got.v4.ip.time_to_live = 1; // about an error there is none
    got.eth.src_addr = POD_A_MAC;
    got.eth.dst_addr = ROUTER_MAC;
    got.v4.ip.src_addr = ip(A4).s6_addr32[3];
    frame_sum4(&got);
    assert_dropped(POD_A, &got, DROP_ttl_expired);

    frame_udp6(&sent, &POD_A_MAC, &ROUTER_MAC, A6, WORLD6, 20);
    sent.v6.ip.hop_limits = 1;
    assert_dropped(POD_A, &sent, DROP_ttl_expired);
    assert_true(frame_recv(POD_A, &got));
    assert_int_equal(got.v6.icmp.icmp6_type, ICMP6_TIME_EXCEEDED);
    assert_false(rte_ipv6_udptcp_cksum_verify(&got.v6.ip, &got.v6.icmp));
    assert_memory_equal(&got.v6.icmp + 1, &sent.v6.ip, 68);
    assert_nothing_left();
}

// RFC 1812 section 4.3.2.7, RFC 4443 section 2.4 e: never about what was sent to a group.
static void answers_nothing_sent_to_groups(void **state)
{
    struct frame f;

    (void)state;
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, "224.0.0.5", 20);
    f.v4.ip.time_to_live = 1;
    frame_sum4(&f);
    assert_dropped(POD_A, &f, DROP_ttl_expired);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, "255.255.255.255", 20);
    f.v4.ip.time_to_live = 1;
    frame_sum4(&f);
    assert_dropped(POD_A, &f, DROP_ttl_expired);
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, "ff0e::5", 20);
    f.v6.ip.hop_limits = 1;
    assert_dropped(POD_A, &f, DROP_ttl_expired);
    assert_nothing_left();
}

// Puts `n` destination options headers of 8 bytes between IPv6 and UDP, the first behind a fragment
// header if `fragment`.
static void hide_udp6(struct frame *f, unsigned n, bool fragment)
{
    uint8_t *payload = (uint8_t *)&f->v6.udp, headers[128] = {0};
    unsigned at = 0, len = rte_be_to_cpu_16(f->v6.ip.payload_len);

    f->v6.ip.proto = fragment ? IPPROTO_FRAGMENT : IPPROTO_DSTOPTS;
    if (fragment) {
        headers[at] = IPPROTO_DSTOPTS;
        headers[at + 3] = 1; // offset 0, more follow
        at += 8;
    }
    for (unsigned i = 0; i < n; i++, at += 8) {
        headers[at] = i + 1 < n ? IPPROTO_DSTOPTS : IPPROTO_UDP;
        headers[at + 2] = 1; // PadN
        headers[at + 3] = 4;
    }
    memmove(payload + at, payload, len);
    memcpy(payload, headers, at);
    f->v6.ip.payload_len = rte_cpu_to_be_16((uint16_t)(len + at));
    f->len += at;
}

// Behind IPv6 extension headers, control protocols are still seen; and where they could be but
// cannot be seen (RFC 7112), nothing passes.
static void no_header_hides_control(void **state)
{
    struct frame f;

    (void)state;
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, WORLD6, 24);
    hide_udp6(&f, 2, false);
    frame_send(POD_A, &f);
    node_settle();
    assert_true(frame_recv(UPLINK0, &f) || frame_recv(UPLINK1, &f));

    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, WORLD6, 24);
    f.v6.udp.dst_port = RTE_BE16(4784);
    hide_udp6(&f, 2, true);
    assert_dropped(POD_A, &f, DROP_guard_control);
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, WORLD6, 24);
    f.v6.udp.dst_port = RTE_BE16(4784);
    hide_udp6(&f, 9, false);
    assert_dropped(POD_A, &f, DROP_guard_control);
    // The chain goes on in the next fragment.
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, WORLD6, 24);
    hide_udp6(&f, 2, true);
    f.len = 14 + 40 + 16;
    f.v6.ip.payload_len = RTE_BE16(16);
    assert_dropped(POD_A, &f, DROP_guard_control);
    // UDP's header goes on there.
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, WORLD6, 24);
    hide_udp6(&f, 1, true);
    f.len = 14 + 40 + 16 + 4;
    f.v6.ip.payload_len = RTE_BE16(20);
    assert_dropped(POD_A, &f, DROP_guard_control);
    // A later fragment is none of this.
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, WORLD6, 24);
    hide_udp6(&f, 1, true);
    ((uint8_t *)&f.v6.udp)[3] = 0x10;
    frame_send(POD_A, &f);
    node_settle();
    assert_true(frame_recv(UPLINK0, &f) || frame_recv(UPLINK1, &f));
    assert_nothing_left();
}

static void answers_arp(void **state)
{
    struct frame f;

    (void)state;
    frame_arp(&f, RTE_ARP_OP_REQUEST, &POD_A_MAC, A4, "10.1.10.1");
    frame_send(POD_A, &f);
    node_settle();
    assert_true(frame_recv(POD_A, &f));
    assert_int_equal(f.arp.arp.arp_opcode, RTE_BE16(RTE_ARP_OP_REPLY));
    assert_mac(&f.eth.dst_addr, &POD_A_MAC);
    assert_mac(&f.arp.arp.arp_data.arp_sha, &ROUTER_MAC);
    assert_int_equal(f.arp.arp.arp_data.arp_sip, ip("10.1.10.1").s6_addr32[3]);
    assert_int_equal(f.arp.arp.arp_data.arp_tip, ip(A4).s6_addr32[3]);

    frame_arp(&f, RTE_ARP_OP_REQUEST, &GATEWAY_MAC, "10.1.10.1", A4);
    frame_send(UPLINK1, &f);
    node_settle();
    assert_true(frame_recv(UPLINK1, &f));
    assert_mac(&f.arp.arp.arp_data.arp_sha, &NODE_MAC);

    frame_arp(&f, RTE_ARP_OP_REQUEST, &GATEWAY_MAC, "10.1.10.1", "10.1.10.77");
    assert_dropped(UPLINK0, &f, DROP_arp_not_for_us);
    frame_arp(&f, RTE_ARP_OP_REQUEST, &POD_A_MAC, A4, B4); // no proxy for neighbours
    assert_dropped(POD_A, &f, DROP_arp_not_for_us);
    frame_arp(&f, RTE_ARP_OP_REQUEST, &POD_A_MAC, A4, A4);
    assert_dropped(POD_A, &f, DROP_arp_announcement);
    frame_arp(&f, RTE_ARP_OP_REQUEST, &POD_A_MAC, A4, "10.1.10.1");
    f.len = 30;
    assert_dropped(POD_A, &f, DROP_arp_malformed);
    assert_nothing_left();
}

static void answers_neighbour_solicitations(void **state)
{
    struct frame f;

    (void)state;
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &POD_A_MAC, A6, "fd00:10::1", &POD_A_MAC);
    frame_send(POD_A, &f);
    node_settle();
    assert_true(frame_recv(POD_A, &f));
    assert_int_equal(f.v6.na.nd_na_type, ND_NEIGHBOR_ADVERT);
    assert_int_equal(f.v6.na.nd_na_flags_reserved,
                     ND_NA_FLAG_ROUTER | ND_NA_FLAG_SOLICITED | ND_NA_FLAG_OVERRIDE);
    assert_memory_equal(f.bytes + f.len - 6, &ROUTER_MAC, 6);
    assert_false(rte_ipv6_udptcp_cksum_verify(&f.v6.ip, &f.v6.icmp));

    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &GATEWAY_MAC, "fd00:11::1", B6, &GATEWAY_MAC);
    frame_send(UPLINK0, &f);
    node_settle();
    assert_true(frame_recv(UPLINK0, &f));
    assert_memory_equal(f.bytes + f.len - 6, &NODE_MAC, 6);
    assert_memory_equal(&f.v6.na.nd_na_target, (&(struct in6_addr[]){ip(B6)}[0]), 16);

    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &GATEWAY_MAC, "fd00:11::1", "fd00:11::77", &GATEWAY_MAC);
    assert_dropped(UPLINK0, &f, DROP_nd_not_for_us);
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &POD_A_MAC, "::", A6, &POD_A_MAC);
    assert_dropped(POD_A, &f, DROP_nd_dad);
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &POD_A_MAC, A6, "fd00:10::1", &POD_A_MAC);
    f.v6.ip.hop_limits = 254; // RFC 4861 section 7.1.1: came through a router
    assert_dropped(POD_A, &f, DROP_nd_malformed);
    assert_nothing_left();
}

static void hands_gateways_answers_to_control(void **state)
{
    struct dp_punt punt;
    struct frame f;

    (void)state;
    frame_arp(&f, RTE_ARP_OP_REPLY, &GATEWAY_MAC, "10.1.10.1", "10.1.10.5");
    assert_dropped(UPLINK1, &f, DROP_punted);
    assert_int_equal(dp_punt_recv(&punt, 1), 1);
    assert_int_equal(punt.port, UPLINK1);
    assert_memory_equal(punt.data, f.bytes, f.len);
    frame_nd(&f, ND_NEIGHBOR_ADVERT, &GATEWAY_MAC, "fd00:10::1", "fd00:10::1", &GATEWAY_MAC);
    assert_dropped(UPLINK0, &f, DROP_punted);
    assert_int_equal(dp_punt_recv(&punt, 1), 1);
    frame_arp(&f, RTE_ARP_OP_REPLY, &GATEWAY_MAC, "10.1.10.9", "10.1.10.5");
    assert_dropped(UPLINK1, &f, DROP_arp_not_for_us);
    assert_int_equal(dp_punt_recv(&punt, 1), 0);
    assert_nothing_left();
}

static bool is_readable(int fd, int timeout_ms)
{
    struct pollfd pollfd = {.fd = fd, .events = POLLIN};

    return poll(&pollfd, 1, timeout_ms) == 1;
}

static void wakes_control_for_what_it_hands_over(void **state)
{
    struct dp_punt punt;
    struct frame f;
    int fd;

    (void)state;
    frame_arp(&f, RTE_ARP_OP_REPLY, &GATEWAY_MAC, "10.1.10.1", "10.1.10.5");
    for (int i = 0; i < 3; i++) {
        fd = dp_punt_wait();
        assert_true(fd >= 0);
        assert_false(is_readable(fd, 0));
        assert_dropped(UPLINK0, &f, DROP_punted);
        assert_true(is_readable(fd, 10000));
        assert_dropped(UPLINK0, &f, DROP_punted);
        assert_int_equal(dp_punt_wait(), -1);
        assert_int_equal(dp_punt_recv(&punt, 1), 1);
        assert_int_equal(dp_punt_wait(), -1);
        assert_int_equal(dp_punt_recv(&punt, 1), 1);
    }
    assert_nothing_left();
}

// Pod B's MTU is 1400.
static void keeps_to_the_mtu(void **state)
{
    uint8_t payload[1460], seen[1460] = {0};
    struct frame f;
    unsigned bytes = 0;

    (void)state;
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 1452);
    f.v4.ip.fragment_offset = RTE_BE16(RTE_IPV4_HDR_DF_FLAG);
    frame_sum4(&f);
    assert_dropped(POD_A, &f, DROP_too_big);
    assert_true(frame_recv(POD_A, &f));
    assert_int_equal(f.v4.icmp.type, ICMP_DEST_UNREACH);
    assert_int_equal(f.v4.icmp.code, ICMP_FRAG_NEEDED);
    assert_int_equal(f.v4.icmp.un.frag.mtu, RTE_BE16(1400));

    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, B6, 1440);
    assert_dropped(POD_A, &f, DROP_too_big);
    assert_true(frame_recv(POD_A, &f));
    assert_int_equal(f.v6.icmp.icmp6_type, ICMP6_PACKET_TOO_BIG);
    assert_int_equal(f.v6.icmp.icmp6_mtu, RTE_BE32(1400));

    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 1452);
    memcpy(payload, &f.v4.udp, sizeof payload);
    frame_send(POD_A, &f);
    node_settle();
    while (frame_recv(POD_B, &f)) {
        unsigned offset = (rte_be_to_cpu_16(f.v4.ip.fragment_offset) & 0x1fff) * 8;
        unsigned len = rte_be_to_cpu_16(f.v4.ip.total_length) - 20u;

        assert_int_equal(rte_raw_cksum(&f.v4.ip, sizeof f.v4.ip), 0xffff);
        assert_int_equal(f.v4.ip.time_to_live, 63);
        assert_mac(&f.eth.dst_addr, &POD_B_MAC);
        assert_true(len + 20 <= 1400 && offset + len <= sizeof seen);
        memcpy(seen + offset, &f.v4.udp, len);
        bytes += len;
    }
    assert_int_equal(bytes, sizeof payload);
    assert_memory_equal(seen, payload, sizeof payload);

    // What follows the IP packet in the frame does not make it too big, and is not passed on.
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 20);
    f.len = 1514;
    frame_send(POD_A, &f);
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, B6, 20);
    f.len = 1514;
    frame_send(POD_A, &f);
    node_settle();
    assert_true(frame_recv(POD_B, &f));
    assert_int_equal(f.len, 14 + 20 + 28);
    assert_true(frame_recv(POD_B, &f));
    assert_int_equal(f.len, 14 + 40 + 28);
    assert_nothing_left();
}

static void drops_malformed_headers(void **state)
{
    struct frame f;

    (void)state;
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 20);
    f.len = 12;
    assert_dropped(POD_A, &f, DROP_runt);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 20);
    f.v4.ip.hdr_checksum ^= 1;
    assert_dropped(POD_A, &f, DROP_ipv4_checksum);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 20);
    f.v4.ip.version_ihl = 0x44;
    assert_dropped(POD_A, &f, DROP_ipv4_header);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 20);
    f.len--;
    assert_dropped(POD_A, &f, DROP_ipv4_header);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 20);
    f.v4.ip.total_length = RTE_BE16(24);
    frame_sum4(&f);
    assert_dropped(POD_A, &f, DROP_l4_header);
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, B6, 20);
    f.v6.ip.vtc_flow = 0;
    assert_dropped(POD_A, &f, DROP_ipv6_header);
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, B6, 20);
    f.v6.ip.payload_len = RTE_BE16(200);
    assert_dropped(POD_A, &f, DROP_ipv6_header);
    frame_eth(&f, &POD_A_MAC, &ROUTER_MAC, RTE_ETHER_TYPE_VLAN);
    f.len = 60;
    assert_dropped(POD_A, &f, DROP_vlan);
    frame_eth(&f, &POD_A_MAC, &ROUTER_MAC, 0x1234);
    f.len = 60;
    assert_dropped(POD_A, &f, DROP_eth_type);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, "224.0.0.5", 20);
    assert_dropped(POD_A, &f, DROP_multicast);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, "169.254.169.254", 20);
    assert_dropped(POD_A, &f, DROP_link_local);
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, "fe80::1", 20);
    assert_dropped(POD_A, &f, DROP_link_local);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, "127.0.0.1", 20);
    assert_dropped(POD_A, &f, DROP_martian);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, "0.0.0.0", 20);
    assert_dropped(POD_A, &f, DROP_martian);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, "255.255.255.255", 20);
    assert_dropped(POD_A, &f, DROP_multicast);
    assert_nothing_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forwards_between_pods),
        cmocka_unit_test(forwards_packets_not_what_follows),
        cmocka_unit_test(checksum_stays_right),
        cmocka_unit_test(spreads_flows_over_uplinks),
        cmocka_unit_test(takes_pods_traffic_from_either_uplink),
        cmocka_unit_test(refuses_what_is_not_for_a_pod),
        cmocka_unit_test(a_pod_is_only_itself),
        cmocka_unit_test(answers_expired_packets),
        cmocka_unit_test(answers_nothing_sent_to_groups),
        cmocka_unit_test(no_header_hides_control),
        cmocka_unit_test(answers_arp),
        cmocka_unit_test(answers_neighbour_solicitations),
        cmocka_unit_test(hands_gateways_answers_to_control),
        cmocka_unit_test(wakes_control_for_what_it_hands_over),
        cmocka_unit_test(keeps_to_the_mtu),
        cmocka_unit_test(drops_malformed_headers),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
