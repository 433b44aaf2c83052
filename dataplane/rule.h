/* SPDX-License-Identifier: Apache-2.0 */
// What a rule is. Everything that makes rules (attachments, the uplink choice, later OpenFlow)
// makes these; both compilers, the software tables (dataplane/) and the NIC's rules (offload/),
// read these.
//
// Byte order: header fields are in network byte order, as they stand in the packet; numbers of our
// own (ports, priorities, tables) are in host byte order. IP addresses are struct in6_addr
// everywhere; an IPv4 address is written IPv4-mapped (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2), so
// an IPv4 /24 has the mask ffff:...:ff00 (120 bits).
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

// Port numbers are Sluice's own, stable for the life of an attachment; 0 is no port.
#define PORT_NONE 0
#define PORT_MAX  1023

// The operator's OpenFlow tables: 0 to POLICY_TABLES - 1.
#define POLICY_TABLES 8

// Packets pass the tables in this order. The NIC group of a table is its number here.
enum rule_table {
    RULE_TABLE_GUARD = 0,  // what a pod port may send
    RULE_TABLE_POLICY = 1, // the operator's table 0; his table n is RULE_TABLE_POLICY + n
    RULE_TABLE_FORWARD =
        RULE_TABLE_POLICY + POLICY_TABLES, // pod addresses, the host's, the default
    RULE_TABLE_UPLINKS,                    // the member map: which uplink a flow leaves by
    RULE_TABLE_N
};

static inline bool rule_table_is_policy(unsigned table)
{
    return table >= RULE_TABLE_POLICY && table < RULE_TABLE_FORWARD;
}

#define VLAN_PRESENT  0x1000 // of vlan_tci in host byte order: the frame is tagged (as in OVS)
#define IP_FRAG_ANY   1      // of ip_frag: the packet is a fragment
#define IP_FRAG_LATER 2      // ... and not the first: it has no ports (l4_src and l4_dst are 0)
#define RULE_REGS     4

// A packet's headers, and what tables note down about it, as far as a rule can match them. No
// padding, so that it can be compared and hashed as 32-bit words; fields that a packet does not
// have are 0.
struct match_fields {
    struct in6_addr ip_src;    // ARP: the sender's protocol address
    struct in6_addr ip_dst;    // ARP: the target's protocol address
    rte_be64_t metadata;       // between the operator's tables
    rte_be32_t reg[RULE_REGS]; // between the operator's tables
    struct rte_ether_addr eth_dst;
    struct rte_ether_addr eth_src;
    rte_be16_t eth_type; // of what follows the outermost VLAN tag
    rte_be16_t vlan_tci; // the outermost tag: 12 bits VLAN id, VLAN_PRESENT, 3 bits priority
    uint8_t ip_proto;    // ARP: the low byte of the opcode
    uint8_t ip_tos;      // DSCP in the upper 6 bits, ECN in the lower 2
    uint8_t ip_frag;
    uint8_t zero;
    rte_be16_t l4_src;    // TCP, UDP, SCTP source port; ICMP type in its low byte
    rte_be16_t l4_dst;    // TCP, UDP, SCTP destination port; ICMP code in its low byte
    rte_be16_t tcp_flags; // 12 bits
    struct rte_ether_addr arp_sha;
    struct rte_ether_addr arp_tha;
    uint16_t zero2;
};

// A packet matches if it came in by in_port (or in_port is PORT_NONE: any) and (packet & mask) ==
// spec. spec has no bit outside mask.
struct match {
    uint16_t in_port;
    struct match_fields spec;
    struct match_fields mask;
};

enum action_type {
    ACTION_DROP,
    ACTION_SET_ETH_SRC, // mac
    ACTION_SET_ETH_DST, // mac
    ACTION_DEC_TTL,     // IPv4 TTL or IPv6 hop limit; expiry is answered in software
    ACTION_OUTPUT,      // port
    ACTION_UPLINKS,    // gateway: to the uplink the member map gives for the flow's hash, with that
                       // gateway's MAC
    ACTION_GOTO_TABLE, // table, later ones only
    ACTION_PUNT,       // to the control thread; in policy tables: packet-in of up to max_len bytes
    // Of policy tables only:
    ACTION_NORMAL,     // on to the forward table
    ACTION_IN_PORT,    // out by the port it came in by
    ACTION_ALL,        // out by all ports but the one it came in by
    ACTION_SET_IP_SRC, // ip (IPv4-mapped for IPv4); checksums follow. ARP: the sender's address
    ACTION_SET_IP_DST, // ip
    ACTION_SET_IP_TOS, // byte.value in the bits of byte.mask: DSCP, ECN
    ACTION_SET_L4_SRC, // l4 (TCP, UDP, SCTP; ICMP type)
    ACTION_SET_L4_DST, // l4 (... ICMP code)
    ACTION_SET_VLAN,   // tci.value in the bits of tci.mask: VLAN id, priority; of a tagged frame
    ACTION_PUSH_VLAN,  // l4 holds the TPID; the tag is a copy of the outermost one, or 0
    ACTION_POP_VLAN,
    ACTION_SET_ARP_OP,   // byte.value
    ACTION_SET_ARP_SHA,  // mac
    ACTION_SET_ARP_THA,  // mac
    ACTION_SET_METADATA, // note.value in the bits of note.mask
    ACTION_SET_REG, // index, note: the low 32 bits of both (as rte_be32_t in reg.value, reg.mask)
    ACTION_GROUP,   // id
    ACTION_METER,   // id; what is over the rate is dropped
};

struct action {
    enum action_type type;
    uint8_t index;    // SET_REG: which
    uint16_t max_len; // PUNT
    union {
        struct rte_ether_addr mac;
        uint16_t port;
        uint16_t gateway; // index of the range, see uplink.h
        uint8_t table;
        uint32_t id;
        rte_be16_t l4;
        struct in6_addr ip;
        struct {
            uint8_t value, mask;
        } byte;
        struct {
            rte_be16_t value, mask;
        } tci;
        struct {
            rte_be32_t value, mask;
        } reg;
        struct {
            rte_be64_t value, mask;
        } note;
        struct {                 // PUNT
            uint16_t controller; // OpenFlow's controller_id
            uint8_t reason;      // OpenFlow's OFPR_*
        } punt;
    };
};

#define RULE_ACTIONS_MAX 16

struct rule {
    enum rule_table table;
    uint16_t priority; // higher wins
    uint64_t cookie;
    struct match match;
    uint8_t n_actions;
    struct action actions[RULE_ACTIONS_MAX];
    uint32_t slot; // its counters' index, set by the software table that holds it
};

// An IPv4-mapped address? (RFC 4291 section 2.5.5.2)
static inline bool ip_is_v4(const struct in6_addr *ip)
{
    return IN6_IS_ADDR_V4MAPPED(ip);
}

// The IPv4 address in an IPv4-mapped one, network byte order.
static inline rte_be32_t ip_v4(const struct in6_addr *ip)
{
    return ip->s6_addr32[3];
}

// Adds an action; the caller keeps to RULE_ACTIONS_MAX.
void rule_add_action(struct rule *rule, struct action action);

// Two rules are the same rule if table, priority and match are the same (OpenFlow 1.5.1
// section 6.4).
bool rule_same(const struct rule *a, const struct rule *b);

// Writes the rule's match as `in_port=3,ipv4,ip_src=10.1.10.5` and its actions as
// `set_eth_dst:...,dec_ttl,output:4`. Each returns what snprintf returns.
int rule_format_match(const struct rule *rule, char *buf, size_t size);
int rule_format_actions(const struct rule *rule, char *buf, size_t size);
// "guard", "policy0" to "policy7", "forward", "uplinks"
const char *rule_table_name(enum rule_table table);
