/* SPDX-License-Identifier: Apache-2.0 */
// A frame's headers as net_esw's rules can match them.
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

// A multiple of 8 bytes without padding, as it is masked and hashed in words. Fields of the packet
// are in network byte order; what a packet does not have is 0.
struct esw_key {
    uint16_t in_port; // index of the e-switch's port, plus 1
    uint8_t from_app; // 1: sent by the program on the port's ethdev
    uint8_t l3;       // 4 or 6: a sound IPv4 or IPv6 header; else 0
    uint8_t l4;       // protocol whose whole header is there, of an unfragmented packet or a first
                      // fragment; else 0
    uint8_t has_vlan;
    rte_be16_t eth_type; // that of the Ethernet header: a tagged frame's is its TPID
    struct rte_ether_addr eth_dst, eth_src;
    rte_be16_t vlan_tci, inner_type; // of the outermost tag; inner_type is what follows it
    uint8_t ip_src[16], ip_dst[16];  // IPv4: the first 4 bytes
    uint8_t ip_proto;                // IPv6: the fixed header's next header
    uint8_t ip_tos;
    uint8_t ip_ttl;
    uint8_t has_frag_ext;
    rte_be16_t fragment_offset; // IPv4's, with its flags
    rte_be16_t l4_src;
    rte_be16_t l4_dst;
    uint8_t icmp_type, icmp_code;
    uint8_t tcp_flags;
    uint8_t zero[3];
} __attribute__((aligned(8)));

#define ESW_KEY_WORDS 9

static_assert(sizeof(struct esw_key) == 8 * ESW_KEY_WORDS, "no padding, whole words");

// Where the headers are, for actions; 0: not there.
struct esw_headers {
    uint16_t l3, l4; // of a packet whose l4 is not 0
};

// Reads the frame; key->in_port and from_app are left for the caller.
void esw_packet_parse(const uint8_t *frame, uint32_t length, struct esw_key *key,
                      struct esw_headers *headers);
