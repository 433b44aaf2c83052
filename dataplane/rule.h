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

// The NIC group of a table is its number here.
enum rule_table {
    RULE_TABLE_GUARD = 0,   // what a pod port may send
    RULE_TABLE_POLICY = 1,  // the operator's table 0
    RULE_TABLE_FORWARD = 2, // pod addresses, the host's, the default
    RULE_TABLE_UPLINKS = 3, // the member map: which uplink a flow leaves by
    RULE_TABLE_N
};

// A packet's headers as far as a rule can match them.
struct match_fields {
    struct rte_ether_addr eth_dst;
    struct rte_ether_addr eth_src;
    rte_be16_t eth_type;
    rte_be16_t vlan_tci; // 12 bits VLAN id, 3 bits priority
    struct in6_addr ip_src;
    struct in6_addr ip_dst;
    uint8_t ip_proto;
    uint8_t ip_tos;
    rte_be16_t l4_src; // TCP, UDP, SCTP source port; ICMP type in its low byte
    rte_be16_t l4_dst; // TCP, UDP, SCTP destination port; ICMP code in its low byte
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
    ACTION_PUNT,       // to the control thread
};

struct action {
    enum action_type type;
    union {
        struct rte_ether_addr mac;
        uint16_t port;
        uint16_t gateway; // index of the range, see uplink.h
        uint8_t table;
    };
};

#define RULE_ACTIONS_MAX 8

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
const char *rule_table_name(enum rule_table table); // "guard", "policy", "forward", "uplinks"
