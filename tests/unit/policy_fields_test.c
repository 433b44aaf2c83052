/* SPDX-License-Identifier: Apache-2.0 */
// What actions change in frames: each header byte and each checksum, against frames made anew with
// the changed field. Frames of all kinds that rules tell apart, with tags, options, fragments.
#include "tests/unit/policy_fixture.h"

#include <rte_random.h>

#define ROUNDS 2000

enum kind { UDP, UDP_NO_SUM, TCP, SCTP, ICMP, ARP, KINDS };

// A frame and where its headers are; l4 0: it has no transport header.
struct made {
    struct frame f;
    enum kind kind;
    bool v6, fragment, source_routed;
    unsigned tags, l3, l4, end;
};

static uint8_t random_byte(void)
{
    return (uint8_t)rte_rand();
}

static void put16(struct made *m, unsigned at, uint16_t value)
{
    m->f.bytes[at] = (uint8_t)(value >> 8);
    m->f.bytes[at + 1] = (uint8_t)value;
}

static uint16_t get16(const struct made *m, unsigned at)
{
    return (uint16_t)(m->f.bytes[at] << 8 | m->f.bytes[at + 1]);
}

static uint8_t protocol(const struct made *m)
{
    static const uint8_t protocols[] = {
        [UDP] = IPPROTO_UDP,   [UDP_NO_SUM] = IPPROTO_UDP, [TCP] = IPPROTO_TCP,
        [SCTP] = IPPROTO_SCTP, [ICMP] = IPPROTO_ICMP,
    };

    return m->v6 && m->kind == ICMP ? IPPROTO_ICMPV6 : protocols[m->kind];
}

// CRC32c bit by bit (RFC 9260 appendix A).
static uint32_t crc32c(const uint8_t *bytes, unsigned len)
{
    uint32_t crc = UINT32_MAX;

    for (unsigned i = 0; i < len; i++) {
        crc ^= bytes[i];
        for (unsigned bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static uint32_t add_up(const uint8_t *bytes, unsigned len, uint32_t sum)
{
    for (unsigned i = 0; i < len; i++)
        sum += (uint32_t)bytes[i] << (i % 2 ? 0 : 8);
    return sum;
}

static uint16_t folded(uint32_t sum)
{
    while (sum >> 16)
        sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)~sum;
}

// The transport header's checksum as it has to be (RFC 768, 9293, 792, 4443, 9260).
static void sum_l4(struct made *m)
{
    static const unsigned offsets[] = {[UDP] = 6, [TCP] = 16, [SCTP] = 8, [ICMP] = 2};
    unsigned len = m->end - m->l4, at;
    uint32_t sum = 0;
    uint16_t result;

    if (m->kind == UDP_NO_SUM)
        return;
    at = m->l4 + offsets[m->kind];
    if (m->kind == SCTP) {
        memset(&m->f.bytes[at], 0, 4);
        sum = crc32c(&m->f.bytes[m->l4], len);
        memcpy(&m->f.bytes[at], &sum, 4);
        return;
    }
    memset(&m->f.bytes[at], 0, 2);
    if (m->v6) {
        unsigned dst = m->source_routed ? m->l3 + 40 + 8 : m->l3 + 24;

        sum = add_up(&m->f.bytes[m->l3 + 8], 16, protocol(m) + len);
        sum = add_up(&m->f.bytes[dst], 16, sum);
    } else if (m->kind != ICMP) {
        sum = add_up(&m->f.bytes[m->l3 + 12], 8, protocol(m) + len);
    }
    result = folded(add_up(&m->f.bytes[m->l4], len, sum));
    put16(m, at, m->kind == UDP && !result ? 0xffff : result);
}

static void sum_ipv4(struct made *m)
{
    put16(m, m->l3 + 10, 0);
    put16(m, m->l3 + 10, folded(add_up(&m->f.bytes[m->l3], (m->f.bytes[m->l3] & 15u) * 4, 0)));
}

static void add_sums(struct made *m)
{
    if (m->kind == ARP)
        return;
    if (!m->v6)
        sum_ipv4(m);
    // A fragment's sum covers what is not here: it is changed by the difference, see below.
    if (m->l4 && !m->fragment)
        sum_l4(m);
}

static void make_ipv6_headers(struct made *m)
{
    uint8_t *next = &m->f.bytes[m->l3 + 6];
    unsigned at = m->l3 + 40;

    m->source_routed = rte_rand_max(4) == 0;
    if (m->source_routed) { // type 4 (RFC 8754), one segment of which is left
        *next = IPPROTO_ROUTING;
        next = &m->f.bytes[at];
        memcpy(next, (uint8_t[]){0, 2, 4, 1, 0, 0, 0, 0}, 8);
        at += 24;
    }
    if (m->fragment) {
        *next = IPPROTO_FRAGMENT;
        next = &m->f.bytes[at];
        memcpy(next, (uint8_t[]){0, 0, m->l4 ? 0 : 0x10, 1}, 4);
        at += 8;
    }
    *next = protocol(m);
    m->l4 = m->l4 ? at : 0;
    m->end = at + 40 + (unsigned)rte_rand_max(60);
    m->f.bytes[m->l3] = (uint8_t)(0x60 | (m->f.bytes[m->l3] & 15));
    m->f.bytes[m->l3 + 7] = (uint8_t)(10 + rte_rand_max(240));
    put16(m, m->l3 + 4, (uint16_t)(m->end - m->l3 - 40));
    m->f.bytes[m->l3 + 8] = 0x20; // a source that may be one
    m->f.bytes[m->l3 + 24] = 0x20;
}

static void make_ipv4_header(struct made *m)
{
    unsigned words = 5 + (unsigned)rte_rand_max(3);
    uint8_t *ip = &m->f.bytes[m->l3];

    ip[0] = (uint8_t)(0x40 | words);
    memset(&ip[20], 1, (words - 5) * 4); // options: no operation
    put16(m, m->l3 + 6, !m->fragment ? 0 : m->l4 ? 0x2000 : 0x2010);
    ip[8] = (uint8_t)(10 + rte_rand_max(240));
    ip[9] = protocol(m);
    ip[12] = ip[16] = 100;
    m->l4 = m->l4 ? m->l3 + words * 4 : 0;
    m->end = m->l3 + words * 4 + 40 + (unsigned)rte_rand_max(60);
    put16(m, m->l3 + 2, (uint16_t)(m->end - m->l3));
}

static void make_arp(struct made *m)
{
    static const uint8_t begin[] = {0, 1, 8, 0, 6, 4, 0, 1};

    m->l4 = 0;
    memcpy(&m->f.bytes[m->l3], begin, sizeof begin);
    m->f.bytes[m->l3 + 14] = 100;
    m->end = m->l3 + 28;
}

// A frame from an uplink, with everything random that may be.
static void make(struct made *m)
{
    memset(m, 0, sizeof *m);
    for (unsigned i = 0; i < 400; i++)
        m->f.bytes[i] = random_byte();
    m->kind = (enum kind)rte_rand_max(KINDS);
    m->v6 = rte_rand() & 1;
    m->fragment = rte_rand_max(4) == 0;
    m->l4 = !(m->fragment && rte_rand_max(2));
    m->tags = (unsigned)rte_rand_max(2);
    m->f.eth.dst_addr = NODE_MAC;
    m->f.eth.src_addr = GATEWAY_MAC;
    if (m->tags)
        put16(m, 12, rte_rand() & 1 ? 0x8100 : 0x88a8);
    m->l3 = 14 + 4 * m->tags;
    put16(m, m->l3 - 2, m->kind == ARP ? 0x0806 : m->v6 ? 0x86dd : 0x0800);
    if (m->kind == ARP)
        make_arp(m);
    else if (m->v6)
        make_ipv6_headers(m);
    else
        make_ipv4_header(m);
    if (m->kind == UDP_NO_SUM && m->l4)
        put16(m, m->l4 + 6, 0);
    if (m->kind == ICMP && m->l4)
        m->f.bytes[m->l4] = m->v6 ? 128 : 8; // echo: no neighbour discovery
    m->f.len = m->end;
    add_sums(m);
}

// What the transport header's sum becomes where it covers more than is here: as the fields that
// changed have it.
static void change_fragment_sum(struct made *m, const uint8_t *old, const uint8_t *new,
                                unsigned len)
{
    static const unsigned offsets[] = {[UDP] = 6, [TCP] = 16, [ICMP] = 2};
    unsigned at;
    uint16_t result;

    if (!m->l4 || !m->fragment || m->kind == SCTP || m->kind == UDP_NO_SUM)
        return;
    at = m->l4 + offsets[m->kind];
    if (m->kind == UDP && !get16(m, at))
        return;
    // RFC 1624 section 3, equation 3.
    result = folded(add_up(new, len, (uint16_t)~get16(m, at)) +
                    (uint32_t)(len / 2 * 0xffff - add_up(old, len, 0)));
    put16(m, at, m->kind == UDP && !result ? 0xffff : result);
}

static bool is_ip(const struct made *m, bool v6)
{
    return m->kind != ARP && m->v6 == v6;
}

// Replaces an address in the frame, if it is of that family.
static void expect_ip(struct made *m, bool src, const struct in6_addr *ip)
{
    const uint8_t *new = ip_is_v4(ip) ? &ip->s6_addr[12] : ip->s6_addr;
    unsigned len = ip_is_v4(ip) ? 4 : 16, at;

    if (len == 4 && m->kind == ARP)
        at = m->l3 + (src ? 14 : 24);
    else if (len == 4 && is_ip(m, false))
        at = m->l3 + (src ? 12 : 16);
    else if (len == 16 && is_ip(m, true))
        at = m->l3 + (src ? 8 : 24);
    else
        return;
    if (m->kind != ARP && !(m->kind == ICMP && !m->v6) && (src || !m->source_routed))
        change_fragment_sum(m, &m->f.bytes[at], new, len);
    memcpy(&m->f.bytes[at], new, len);
}

static void expect_l4(struct made *m, bool src, uint16_t value)
{
    uint8_t new[2] = {(uint8_t)(value >> 8), (uint8_t)value};
    unsigned at = m->l4 + (src ? 0 : 2);

    if (!m->l4 || m->kind == ARP)
        return;
    if (m->kind == ICMP) {
        at = m->l4;
        new[0] = src ? (uint8_t)value : m->f.bytes[at];
        new[1] = src ? m->f.bytes[at + 1] : (uint8_t)value;
    }
    change_fragment_sum(m, &m->f.bytes[at], new, 2);
    memcpy(&m->f.bytes[at], new, 2);
}

static void expect_tos(struct made *m, uint8_t value, uint8_t mask)
{
    uint8_t *ip = &m->f.bytes[m->l3], tos;

    if (is_ip(m, false))
        ip[1] = (uint8_t)((ip[1] & ~mask) | value);
    if (is_ip(m, true)) {
        tos = (uint8_t)(ip[0] << 4 | ip[1] >> 4);
        tos = (uint8_t)((tos & ~mask) | value);
        ip[0] = (uint8_t)(0x60 | tos >> 4);
        ip[1] = (uint8_t)(tos << 4 | (ip[1] & 15));
    }
}

static void expect_push(struct made *m, uint16_t tpid)
{
    uint16_t tci = m->tags ? get16(m, 14) & 0xefff : 0;

    memmove(&m->f.bytes[16], &m->f.bytes[12], m->f.len - 12);
    put16(m, 12, tpid);
    put16(m, 14, tci);
    m->f.len += 4;
    m->l3 += 4;
    m->l4 += m->l4 ? 4 : 0;
    m->end += 4;
    m->tags++;
}

static void expect_pop(struct made *m)
{
    if (!m->tags)
        return;
    memmove(&m->f.bytes[12], &m->f.bytes[16], m->f.len - 16);
    m->f.len -= 4;
    m->l3 -= 4;
    m->l4 -= m->l4 ? 4 : 0;
    m->end -= 4;
    m->tags--;
}

static struct in6_addr random_ip(bool v6)
{
    struct in6_addr address = v6 ? ip("2001:db8::") : ip("100.0.0.0");

    for (unsigned i = v6 ? 6 : 13; i < 16; i++)
        address.s6_addr[i] = random_byte();
    return address;
}

// One random action, and what it does to the frame.
static struct action change(struct made *m)
{
    struct action a = {.type = ACTION_SET_ETH_SRC};
    struct rte_ether_addr mac = {{2, random_byte(), random_byte(), 0, 0, 1}};
    uint16_t value = (uint16_t)rte_rand();
    bool src = value & 1;

    switch (rte_rand_max(10)) {
    case 0:
        a.type = src ? ACTION_SET_ETH_SRC : ACTION_SET_ETH_DST;
        a.mac = mac;
        memcpy(src ? &m->f.eth.src_addr : &m->f.eth.dst_addr, &mac, 6);
        break;
    case 1:
        a.type = ACTION_DEC_TTL;
        if (m->kind != ARP)
            m->f.bytes[m->l3 + (m->v6 ? 7 : 8)]--;
        break;
    case 2:
    case 3:
        a.type = src ? ACTION_SET_IP_SRC : ACTION_SET_IP_DST;
        a.ip = random_ip(rte_rand_max(4) ? m->v6 && m->kind != ARP : rte_rand() & 1);
        expect_ip(m, src, &a.ip);
        break;
    case 4:
        a.type = ACTION_SET_IP_TOS;
        a.byte.mask = random_byte();
        a.byte.value = random_byte() & a.byte.mask;
        expect_tos(m, a.byte.value, a.byte.mask);
        break;
    case 5:
    case 6:
        if (m->kind == SCTP && m->fragment)
            break; // sets eth_src to 0
        a.type = src ? ACTION_SET_L4_SRC : ACTION_SET_L4_DST;
        a.l4 = rte_cpu_to_be_16(value);
        expect_l4(m, src, value);
        break;
    case 7:
        a.type = ACTION_SET_VLAN;
        a.tci.mask = rte_cpu_to_be_16(0xefff & (uint16_t)rte_rand());
        a.tci.value = rte_cpu_to_be_16(value) & a.tci.mask;
        if (m->tags)
            put16(m, 14,
                  (get16(m, 14) & ~rte_be_to_cpu_16(a.tci.mask)) | rte_be_to_cpu_16(a.tci.value));
        break;
    case 8:
        a.type = m->tags < 2 && src ? ACTION_PUSH_VLAN : ACTION_POP_VLAN;
        a.l4 = RTE_BE16(0x88a8);
        if (a.type == ACTION_PUSH_VLAN)
            expect_push(m, 0x88a8);
        else
            expect_pop(m);
        break;
    default:
        a.type = src ? ACTION_SET_ARP_SHA : ACTION_SET_ARP_THA;
        a.mac = mac;
        if (m->kind == ARP)
            memcpy(&m->f.bytes[m->l3 + (src ? 8 : 18)], &mac, 6);
    }
    if (a.type == ACTION_SET_ETH_SRC && rte_is_zero_ether_addr(&a.mac))
        memset(&m->f.eth.src_addr, 0, 6);
    return a;
}

// Two tags hide what is behind them: rules say nothing of it, and set nothing there.
static bool is_hidden(const struct made *m)
{
    return m->tags > 1;
}

static void headers_and_sums_follow(void **state)
{
    unsigned kinds[KINDS] = {0};

    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct action actions[5];
        struct made m, want;
        unsigned n = 1 + (unsigned)rte_rand_max(4);
        struct frame got;

        make(&m);
        want = m;
        for (unsigned i = 0; i < n; i++) {
            struct made before = want;

            actions[i] = change(&want);
            if (is_hidden(&before) && actions[i].type != ACTION_POP_VLAN &&
                actions[i].type != ACTION_SET_VLAN && actions[i].type != ACTION_SET_ETH_SRC &&
                actions[i].type != ACTION_SET_ETH_DST)
                want = before;
            add_sums(&want);
        }
        actions[n++] = (struct action)PORT_OUT(POD_A);
        install_actions(actions, n);
        frame_send(UPLINK0, &m.f);
        node_settle();
        if (!frame_recv(POD_A, &got)) {
            struct rule rule = any_rule(0, 1, actions, n);
            char text[1024];

            rule_format_actions(&rule, text, sizeof text);
            fail_msg("nothing came of kind %d v6 %d fragment %d tags %u: %s", m.kind, m.v6,
                     m.fragment, m.tags, text);
        }
        if (got.len != want.f.len || memcmp(got.bytes, want.f.bytes, got.len) != 0) {
            struct rule rule = any_rule(0, 1, actions, n);
            char text[1024];
            unsigned at = 0;

            while (got.bytes[at] == want.f.bytes[at])
                at++;
            rule_format_actions(&rule, text, sizeof text);
            fail_msg(
                "byte %u differs (%02x, not %02x; length %zu, not %zu), kind %d v6 %d fragment "
                "%d tags %u l3 %u l4 %u: %s",
                at, got.bytes[at], want.f.bytes[at], got.len, want.f.len, m.kind, m.v6, m.fragment,
                m.tags, want.l3, want.l4, text);
        }
        kinds[m.kind]++;
        assert_nothing_left();
    }
    for (unsigned i = 0; i < KINDS; i++)
        assert_true(kinds[i] > ROUNDS / KINDS / 2);
}

// A sum that was wrong is wrong by as much afterwards: nobody's damaged packet is made good.
static void wrong_sums_stay_wrong(void **state)
{
    struct frame f;

    (void)state;
    INSTALL({.type = ACTION_SET_IP_DST, .ip = ip("192.0.2.9")},
            {.type = ACTION_SET_L4_DST, .l4 = RTE_BE16(99)}, PORT_OUT(POD_A));
    frame_udp4(&f, &GATEWAY_MAC, &NODE_MAC, "192.0.2.7", "192.0.2.8", 33);
    f.v4.udp.dgram_cksum ^= RTE_BE16(0x0100);
    frame_send(UPLINK0, &f);
    node_settle();
    assert_true(frame_recv(POD_A, &f));
    assert_int_equal(f.v4.ip.dst_addr, ip("192.0.2.9").s6_addr32[3]);
    assert_int_equal(f.v4.udp.dst_port, RTE_BE16(99));
    assert_true(rte_ipv4_udptcp_cksum_verify(&f.v4.ip, &f.v4.udp) != 0);
}

// The sum of a fragmented SCTP packet covers what is not here.
static void fragments_of_sctp_keep_their_ports(void **state)
{
    struct made m;

    (void)state;
    INSTALL({.type = ACTION_SET_L4_DST, .l4 = RTE_BE16(99)}, PORT_OUT(POD_A));
    do
        make(&m);
    while (m.kind != SCTP || !m.fragment || !m.l4);
    assert_dropped(UPLINK0, &m.f, DROP_policy);
}

static void three_tags_are_too_many(void **state)
{
    struct action push = {.type = ACTION_PUSH_VLAN, .l4 = RTE_BE16(0x8100)};
    struct made m;

    (void)state;
    INSTALL(push, push, PORT_OUT(POD_A));
    do
        make(&m);
    while (m.tags != 1);
    assert_dropped(UPLINK0, &m.f, DROP_policy_vlan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_and_sums_follow),
        cmocka_unit_test(wrong_sums_stay_wrong),
        cmocka_unit_test(fragments_of_sctp_keep_their_ports),
        cmocka_unit_test(three_tags_are_too_many),
    };

    return cmocka_run_group_tests_name("policy_fields", tests, node_setup, node_teardown);
}
