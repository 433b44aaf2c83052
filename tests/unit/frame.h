/* SPDX-License-Identifier: Apache-2.0 */
// Frames for tests, built and taken apart. Checksums are right unless a test spoils them.
#pragma once

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#include <rte_arp.h>
#include <rte_ether.h>
#include <rte_ip.h>
#include <rte_udp.h>

#include "tests/unit/node.h"

#define FRAME_SIZE 2048

struct frame {
    size_t len;
    union {
        uint8_t bytes[FRAME_SIZE];
        struct rte_ether_hdr eth;
        struct {
            struct rte_ether_hdr eth;
            struct rte_arp_hdr arp;
        } __rte_packed __rte_aligned(2) arp;
        struct {
            struct rte_ether_hdr eth;
            struct rte_ipv4_hdr ip;
            union {
                struct rte_udp_hdr udp;
                struct icmphdr icmp;
            } __rte_packed;
        } __rte_packed __rte_aligned(2) v4;
        struct {
            struct rte_ether_hdr eth;
            struct rte_ipv6_hdr ip;
            union {
                struct rte_udp_hdr udp;
                struct icmp6_hdr icmp;
                struct nd_neighbor_solicit ns;
                struct nd_neighbor_advert na;
            } __rte_packed;
        } __rte_packed __rte_aligned(2) v6;
    };
};

static inline void frame_sum4(struct frame *f)
{
    f->v4.ip.hdr_checksum = 0;
    f->v4.ip.hdr_checksum = rte_ipv4_cksum(&f->v4.ip);
}

static inline void frame_eth(struct frame *f, const struct rte_ether_addr *src,
                             const struct rte_ether_addr *dst, uint16_t type)
{
    memset(f, 0, sizeof *f);
    f->eth.src_addr = *src;
    f->eth.dst_addr = *dst;
    f->eth.ether_type = rte_cpu_to_be_16(type);
}

// UDP with `payload` bytes 0, 1, 2, ...
static inline void frame_udp4(struct frame *f, const struct rte_ether_addr *src_mac,
                              const struct rte_ether_addr *dst_mac, const char *src,
                              const char *dst, unsigned payload)
{
    struct in6_addr s = ip(src), d = ip(dst);

    frame_eth(f, src_mac, dst_mac, RTE_ETHER_TYPE_IPV4);
    f->v4.ip.version_ihl = RTE_IPV4_VHL_DEF;
    f->v4.ip.total_length =
        rte_cpu_to_be_16((uint16_t)(sizeof f->v4.ip + sizeof f->v4.udp + payload));
    f->v4.ip.packet_id = RTE_BE16(0x1234);
    f->v4.ip.time_to_live = 64;
    f->v4.ip.next_proto_id = IPPROTO_UDP;
    f->v4.ip.src_addr = s.s6_addr32[3];
    f->v4.ip.dst_addr = d.s6_addr32[3];
    f->v4.udp.src_port = RTE_BE16(4000);
    f->v4.udp.dst_port = RTE_BE16(5000);
    f->v4.udp.dgram_len = rte_cpu_to_be_16((uint16_t)(sizeof f->v4.udp + payload));
    f->len = sizeof f->eth + sizeof f->v4.ip + sizeof f->v4.udp;
    for (unsigned i = 0; i < payload; i++)
        f->bytes[f->len++] = (uint8_t)i;
    frame_sum4(f);
    f->v4.udp.dgram_cksum = rte_ipv4_udptcp_cksum(&f->v4.ip, &f->v4.udp);
}

static inline void frame_udp6(struct frame *f, const struct rte_ether_addr *src_mac,
                              const struct rte_ether_addr *dst_mac, const char *src,
                              const char *dst, unsigned payload)
{
    struct in6_addr s = ip(src), d = ip(dst);

    frame_eth(f, src_mac, dst_mac, RTE_ETHER_TYPE_IPV6);
    f->v6.ip.vtc_flow = RTE_BE32(6u << 28);
    f->v6.ip.payload_len = rte_cpu_to_be_16((uint16_t)(sizeof f->v6.udp + payload));
    f->v6.ip.proto = IPPROTO_UDP;
    f->v6.ip.hop_limits = 64;
    memcpy(&f->v6.ip.src_addr, &s, sizeof s);
    memcpy(&f->v6.ip.dst_addr, &d, sizeof d);
    f->v6.udp.src_port = RTE_BE16(4000);
    f->v6.udp.dst_port = RTE_BE16(5000);
    f->v6.udp.dgram_len = f->v6.ip.payload_len;
    f->len = sizeof f->eth + sizeof f->v6.ip + sizeof f->v6.udp;
    for (unsigned i = 0; i < payload; i++)
        f->bytes[f->len++] = (uint8_t)i;
    f->v6.udp.dgram_cksum = rte_ipv6_udptcp_cksum(&f->v6.ip, &f->v6.udp);
}

static inline void frame_arp(struct frame *f, uint16_t op, const struct rte_ether_addr *sender_mac,
                             const char *sender, const char *target)
{
    static const struct rte_ether_addr everybody = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
    struct in6_addr s = ip(sender), t = ip(target);

    frame_eth(f, sender_mac, &everybody, RTE_ETHER_TYPE_ARP);
    f->arp.arp.arp_hardware = RTE_BE16(RTE_ARP_HRD_ETHER);
    f->arp.arp.arp_protocol = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    f->arp.arp.arp_hlen = 6;
    f->arp.arp.arp_plen = 4;
    f->arp.arp.arp_opcode = rte_cpu_to_be_16(op);
    f->arp.arp.arp_data.arp_sha = *sender_mac;
    f->arp.arp.arp_data.arp_sip = s.s6_addr32[3];
    f->arp.arp.arp_data.arp_tip = t.s6_addr32[3];
    f->len = 60;
}

// A neighbour solicitation (or advertisement: type) for `target`, with its link-layer address
// option.
static inline void frame_nd(struct frame *f, uint8_t type, const struct rte_ether_addr *mac,
                            const char *source, const char *target,
                            const struct rte_ether_addr *option)
{
    struct in6_addr s = ip(source), t = ip(target), d = ip("ff02::1:ff00:1");
    struct rte_ether_addr group = {{0x33, 0x33, 0xff, 0, 0, 1}};

    frame_eth(f, mac, &group, RTE_ETHER_TYPE_IPV6);
    f->v6.ip.vtc_flow = RTE_BE32(6u << 28);
    f->v6.ip.payload_len = RTE_BE16(sizeof f->v6.ns + 8);
    f->v6.ip.proto = IPPROTO_ICMPV6;
    f->v6.ip.hop_limits = 255;
    memcpy(&f->v6.ip.src_addr, &s, sizeof s);
    memcpy(&f->v6.ip.dst_addr, &d, sizeof d);
    f->v6.ns.nd_ns_type = type;
    f->v6.ns.nd_ns_target = t;
    f->len = sizeof f->eth + sizeof f->v6.ip + sizeof f->v6.ns;
    f->bytes[f->len] =
        type == ND_NEIGHBOR_SOLICIT ? ND_OPT_SOURCE_LINKADDR : ND_OPT_TARGET_LINKADDR;
    f->bytes[f->len + 1] = 1;
    memcpy(&f->bytes[f->len + 2], option, sizeof *option);
    f->len += 8;
    f->v6.ns.nd_ns_cksum = rte_ipv6_udptcp_cksum(&f->v6.ip, &f->v6.ns);
}

static inline void frame_send(uint16_t port, const struct frame *f)
{
    node_send(port, f->bytes, f->len);
}

// Takes the next frame that left by a port; false if there is none.
static inline bool frame_recv(uint16_t port, struct frame *f)
{
    memset(f, 0, sizeof *f);
    f->len = node_recv(port, f->bytes, sizeof f->bytes);
    return f->len;
}
