/* SPDX-License-Identifier: Apache-2.0 */
// What rules can match of a frame, against what libopenvswitch makes of it: random sound and
// spoiled frames of every kind. What we find unsound is dropped, so there is nothing to compare.
//
// SLUICE_FRAMES: how many (default 300,000). SLUICE_SEED: of the random numbers (default: of the
// time; printed).
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <rte_arp.h>
#include <rte_ip.h>

#include "dataplane/policy.h"
#include "tests/unit/policy_key_reference.h"
#include "tests/unit/random.h"

enum { SIZE = 256, IN_PORT = 3 };

// Kinds of frames that were compared: each must have been.
enum kind { V4, V4_FRAGMENT, V6, V6_CHAIN, V6_FRAGMENT, ARP, OTHER, TAGGED, TWICE_TAGGED };
#define KINDS (TWICE_TAGGED + 1)

static uint8_t random_proto(bool v6)
{
    const uint8_t protos[] = {IPPROTO_TCP,    IPPROTO_UDP,  IPPROTO_SCTP, IPPROTO_ICMP,
                              IPPROTO_ICMPV6, IPPROTO_IGMP, IPPROTO_GRE,  255};

    return random_below(3)   ? protos[random_below(3)]
           : random_below(2) ? (v6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP)
                             : protos[random_below(RTE_DIM(protos))];
}

struct raw {
    uint8_t bytes[SIZE];
    unsigned len;
};

static uint8_t *add_bytes(struct raw *f, unsigned n)
{
    f->len += n;
    return f->bytes + f->len - n;
}

static void add_type(struct raw *f, uint16_t type)
{
    *(unaligned_uint16_t *)add_bytes(f, 2) = rte_cpu_to_be_16(type);
}

static void add_ipv4(struct raw *f)
{
    struct rte_ipv4_hdr *ip = (struct rte_ipv4_hdr *)(f->bytes + f->len);
    unsigned ihl = random_below(4) ? 5 : 5 + random_below(11), payload = random_below(60);

    add_bytes(f, ihl * 4 + payload);
    ip->version_ihl = (uint8_t)(0x40 | ihl);
    ip->total_length = rte_cpu_to_be_16((uint16_t)(ihl * 4 + payload));
    ip->fragment_offset =
        random_below(2) ? 0 : rte_cpu_to_be_16((uint16_t)(random_below(4) << 13 | random_below(3)));
    ip->next_proto_id = random_proto(false);
    ip->hdr_checksum = 0;
    ip->hdr_checksum = (uint16_t)~rte_raw_cksum(ip, ihl * 4);
}

static void add_ipv6(struct raw *f)
{
    static const uint8_t extensions[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS,
                                         IPPROTO_FRAGMENT, IPPROTO_AH};
    struct rte_ipv6_hdr *ip = (struct rte_ipv6_hdr *)add_bytes(f, sizeof *ip);
    uint8_t *next = &ip->proto;
    unsigned payload, n = random_below(2) ? 0 : random_below(5);

    ip->vtc_flow &= RTE_BE32(0x0fffffff);
    ip->vtc_flow |= RTE_BE32(6u << 28);
    for (unsigned i = 0; i < n; i++) {
        uint8_t *header = add_bytes(f, 8);

        *next = extensions[random_below(RTE_DIM(extensions))];
        next = header;
        header[1] = 0;
        if (random_below(2)) // an atomic fragment, where it is one
            header[2] = header[3] = 0;
    }
    *next = random_proto(true);
    payload = random_below(60);
    add_bytes(f, payload);
    ip->payload_len = rte_cpu_to_be_16((uint16_t)(f->bytes + f->len - (const uint8_t *)(ip + 1)));
}

static void add_arp(struct raw *f)
{
    struct rte_arp_hdr *arp = (struct rte_arp_hdr *)add_bytes(f, sizeof *arp);

    arp->arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER);
    arp->arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    arp->arp_hlen = 6;
    arp->arp_plen = 4;
    if (random_below(4))
        arp->arp_opcode = rte_cpu_to_be_16((uint16_t)random_below(4));
}

static void make_frame(struct raw *f)
{
    for (unsigned i = 0; i < SIZE; i++)
        f->bytes[i] = (uint8_t)random_below(256);
    f->len = 2 * RTE_ETHER_ADDR_LEN;
    for (unsigned tags = random_below(2) ? 0 : random_below(3); tags; tags--) {
        add_type(f, random_below(4) ? RTE_ETHER_TYPE_VLAN : RTE_ETHER_TYPE_QINQ);
        add_bytes(f, 2);
    }
    switch (random_below(8)) {
    case 0:
        add_type(f, RTE_ETHER_TYPE_ARP);
        add_arp(f);
        break;
    case 1:
        add_type(f, (uint16_t)(0x0600 + random_below(0xf9ff)));
        add_bytes(f, random_below(60));
        break;
    case 2:
    case 3:
    case 4:
        add_type(f, RTE_ETHER_TYPE_IPV4);
        add_ipv4(f);
        break;
    default:
        add_type(f, RTE_ETHER_TYPE_IPV6);
        add_ipv6(f);
    }
    f->len += random_below(4) ? 0 : random_below(8); // padding
    if (!random_below(8))
        f->bytes[12 + random_below(60)] ^= (uint8_t)(1u << random_below(8));
    if (!random_below(16))
        f->len = random_below(f->len + 1);
}

static enum kind kind_of(const struct policy_packet *pp)
{
    const struct match_fields *f = &pp->key.fields;

    if (pp->vlans)
        return pp->vlans > 1 ? TWICE_TAGGED : TAGGED;
    switch (rte_be_to_cpu_16(f->eth_type)) {
    case RTE_ETHER_TYPE_IPV4:
        return f->ip_frag ? V4_FRAGMENT : V4;
    case RTE_ETHER_TYPE_IPV6:
        return f->ip_frag                                                           ? V6_FRAGMENT
               : pp->l4 && pp->l4 > RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv6_hdr) ? V6_CHAIN
                                                                                    : V6;
    case RTE_ETHER_TYPE_ARP:
        return ARP;
    default:
        return OTHER;
    }
}

static void print_hex(const char *what, const void *bytes, size_t n)
{
    print_message("# %s", what);
    for (size_t i = 0; i < n; i++)
        print_message(" %02x", ((const uint8_t *)bytes)[i]);
    print_message("\n");
}

// libopenvswitch takes a TCP header whose own length is wrong, and ICMPv6 shorter than 8 bytes, for
// none. What a rule says of ports and types, ours says of such packets, too.
static bool is_odd(const struct raw *f, const struct policy_packet *pp)
{
    unsigned length, avail = pp->l3 + pp->packet->l3_len - pp->l4;

    if (!pp->l4)
        return false;
    if (pp->key.fields.ip_proto == IPPROTO_ICMPV6)
        return avail < 8;
    length = (f->bytes[pp->l4 + 12] >> 4) * 4u;
    return pp->key.fields.ip_proto == IPPROTO_TCP && (length < 20 || length > avail);
}

static void compare(const struct raw *f, const struct policy_packet *pp)
{
    struct match_fields ours = pp->key.fields, theirs, known;
    const uint8_t *mask = (const uint8_t *)&known;

    reference_extract(f->bytes, f->len, &theirs, &known);
    if (is_odd(f, pp))
        known.l4_src = known.l4_dst = known.tcp_flags = 0;
    // Lengths, and what LLC has behind them, stand for no type of ours.
    if (rte_be_to_cpu_16(ours.eth_type) < 0x0600)
        return;
    for (size_t i = 0; i < sizeof ours; i++) {
        if ((((const uint8_t *)&ours)[i] ^ ((const uint8_t *)&theirs)[i]) & mask[i]) {
            print_hex("frame ", f->bytes, f->len);
            print_hex("ours  ", &ours, sizeof ours);
            print_hex("theirs", &theirs, sizeof theirs);
            fail_msg("byte %zu of the fields differs", i);
        }
    }
}

static void keys_are_what_libopenvswitch_finds(void **state)
{
    const char *frames = getenv("SLUICE_FRAMES");
    unsigned n = frames ? (unsigned)strtoul(frames, NULL, 10) : 300000, compared[KINDS] = {0};

    (void)state;
    random_begin();
    print_message("# %u frames\n", n);
    for (unsigned i = 0; i < n; i++) {
        struct rte_mbuf m;
        struct packet packet = {.mbuf = &m};
        struct policy_packet pp = {.packet = &packet}, whole = {.packet = &packet};
        struct raw f;

        make_frame(&f);
        memset(&m, 0, sizeof m);
        m.buf_addr = f.bytes;
        m.data_len = (uint16_t)f.len;
        m.pkt_len = f.len;
        pp.key.fields.metadata = 5;
        if (policy_key_init(&pp, IN_PORT) != DROP_N)
            continue;
        assert_int_equal(pp.key.fields.metadata, 5);
        pp.key.fields.metadata = 0;
        assert_int_equal(pp.key.in_port, RTE_BE16(IN_PORT));
        compare(&f, &pp);
        compared[kind_of(&pp)]++;
        // What takes the straight way has the same key.
        if (pp.vlans || !pp.ip)
            continue;
        if (pp.key.fields.eth_type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
            policy_key4(&whole, IN_PORT);
        else
            assert_int_equal(policy_key6(&whole, IN_PORT), DROP_N);
        assert_memory_equal(&pp.key, &whole.key, sizeof whole.key);
        assert_int_equal(pp.l3, whole.l3);
        assert_int_equal(pp.l4, whole.l4);
    }
    for (unsigned kind = 0; kind < KINDS; kind++)
        if (compared[kind] < n / 1000)
            fail_msg("%u frames of kind %u", compared[kind], kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keys_are_what_libopenvswitch_finds)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
