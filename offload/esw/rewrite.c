/* SPDX-License-Identifier: Apache-2.0 */
// Rewriting a frame: checksums follow (RFC 1624), as in NICs.
#include "offload/esw/rewrite.h"

#include <netinet/in.h>
#include <string.h>

#include <rte_icmp.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#define TYPE_AT offsetof(struct rte_ether_hdr, ether_type)

// RFC 1624 equation 3: HC' = ~(~HC + ~m + m'), for `size` bytes, an even number, in 16-bit words.
static void update_checksum(void *checksum, const void *old, const void *new, size_t size)
{
    const uint8_t *from = old, *to = new;
    uint16_t word;
    uint32_t sum;

    memcpy(&word, checksum, 2);
    sum = (uint16_t)~word;
    for (size_t i = 0; i < size; i += 2) {
        memcpy(&word, from + i, 2);
        sum += (uint16_t)~word;
        memcpy(&word, to + i, 2);
        sum += word;
    }
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    word = (uint16_t)~sum;
    memcpy(checksum, &word, 2);
}

// The checksum of TCP, UDP or ICMPv6, which covers addresses as well; NULL: there is none. (UDP's
// may be left out in IPv4, RFC 768.)
static uint8_t *l4_checksum(uint8_t *frame, const struct esw_key *key,
                            const struct esw_headers *headers)
{
    uint8_t *l4 = frame + headers->l4;

    switch (key->l4) {
    case IPPROTO_TCP:
        return l4 + offsetof(struct rte_tcp_hdr, cksum);
    case IPPROTO_UDP:
        l4 += offsetof(struct rte_udp_hdr, dgram_cksum);
        return l4[0] || l4[1] ? l4 : NULL;
    case IPPROTO_ICMPV6:
        return l4 + 2; // RFC 4443 section 2.1
    default:
        return NULL;
    }
}

// `size` bytes at `at`, which the IP or layer 4 checksum covers, become `value`.
static void replace(uint8_t *frame, const struct esw_key *key, const struct esw_headers *headers,
                    size_t at, const void *value, size_t size, bool in_ip_sum, bool in_l4_sum)
{
    uint8_t *l4 = in_l4_sum && headers->l4 ? l4_checksum(frame, key, headers) : NULL;

    if (in_ip_sum && key->l3 == 4)
        update_checksum(frame + headers->l3 + offsetof(struct rte_ipv4_hdr, hdr_checksum),
                        frame + at, value, size);
    if (l4)
        update_checksum(l4, frame + at, value, size);
    // RFC 768: a checksum that computes to 0 is sent as ones; 0 would say that there is none.
    if (l4 && key->l4 == IPPROTO_UDP && !l4[0] && !l4[1])
        memset(l4, 0xff, 2);
    memcpy(frame + at, value, size);
}

static void set_ttl(uint8_t *frame, const struct esw_key *key, const struct esw_headers *headers,
                    uint8_t ttl)
{
    struct rte_ipv4_hdr *ip = (void *)(frame + headers->l3);
    uint8_t word[2] = {ttl, ip->next_proto_id};

    if (key->l3 == 4)
        replace(frame, key, headers, headers->l3 + offsetof(struct rte_ipv4_hdr, time_to_live),
                word, 2, true, false);
    else if (key->l3 == 6)
        ((struct rte_ipv6_hdr *)ip)->hop_limits = ttl;
}

static void set_tos(uint8_t *frame, const struct esw_key *key, const struct esw_headers *headers,
                    uint8_t value, uint8_t mask)
{
    uint8_t tos = (uint8_t)((key->ip_tos & ~mask) | (value & mask));
    uint8_t *ip = frame + headers->l3, word[2] = {ip[0], tos};

    if (key->l3 == 4) {
        replace(frame, key, headers, headers->l3, word, 2, true, false);
    } else if (key->l3 == 6) { // RFC 8200 section 3: between version and flow label
        ip[0] = (uint8_t)((ip[0] & 0xf0) | tos >> 4);
        ip[1] = (uint8_t)((ip[1] & 0x0f) | tos << 4);
    }
}

static void set_ip(uint8_t *frame, const struct esw_key *key, const struct esw_headers *headers,
                   bool src, const uint8_t *ip)
{
    if (key->l3 == 4)
        replace(frame, key, headers,
                headers->l3 + (src ? offsetof(struct rte_ipv4_hdr, src_addr)
                                   : offsetof(struct rte_ipv4_hdr, dst_addr)),
                ip, 4, true, true);
    else if (key->l3 == 6)
        replace(frame, key, headers,
                headers->l3 + (src ? offsetof(struct rte_ipv6_hdr, src_addr)
                                   : offsetof(struct rte_ipv6_hdr, dst_addr)),
                ip, 16, false, true);
}

static void set_l4(uint8_t *frame, const struct esw_key *key, const struct esw_headers *headers,
                   bool src, rte_be16_t port)
{
    if (key->l4 == IPPROTO_TCP || key->l4 == IPPROTO_UDP) // both begin with the ports
        replace(frame, key, headers, headers->l4 + (src ? 0u : 2u), &port, 2, false, true);
}

static void push_vlan(uint8_t *frame, uint32_t *length, rte_be16_t tpid)
{
    memmove(frame + TYPE_AT + 4, frame + TYPE_AT, *length - TYPE_AT);
    memcpy(frame + TYPE_AT, &tpid, 2);
    memset(frame + TYPE_AT + 2, 0, 2);
    *length += 4;
}

static void set_tci(uint8_t *frame, const struct esw_key *key, rte_be16_t tci, rte_be16_t mask)
{
    rte_be16_t new = (key->vlan_tci & ~mask) | (tci & mask);

    if (key->has_vlan)
        memcpy(frame + sizeof(struct rte_ether_hdr), &new, 2);
}

void esw_rewrite(uint8_t *frame, uint32_t *length, const struct esw_key *key,
                 const struct esw_headers *headers, const struct esw_op *op)
{
    struct rte_ether_hdr *eth = (void *)frame;

    if ((op->only_l3 && op->only_l3 != key->l3) || (op->only_l4 && op->only_l4 != key->l4))
        return;
    switch (op->type) {
    case ESW_OP_SET_ETH_SRC:
        eth->src_addr = op->mac;
        break;
    case ESW_OP_SET_ETH_DST:
        eth->dst_addr = op->mac;
        break;
    case ESW_OP_SET_TTL:
        set_ttl(frame, key, headers, (uint8_t)op->number);
        break;
    case ESW_OP_ADD_TTL:
        set_ttl(frame, key, headers, (uint8_t)(key->ip_ttl + op->number));
        break;
    case ESW_OP_SET_TOS:
        set_tos(frame, key, headers, op->byte.value, op->byte.mask);
        break;
    case ESW_OP_SET_IP_SRC:
    case ESW_OP_SET_IP_DST:
        set_ip(frame, key, headers, op->type == ESW_OP_SET_IP_SRC, op->ip);
        break;
    case ESW_OP_SET_L4_SRC:
    case ESW_OP_SET_L4_DST:
        set_l4(frame, key, headers, op->type == ESW_OP_SET_L4_SRC, op->l4);
        break;
    case ESW_OP_PUSH_VLAN:
        push_vlan(frame, length, op->tpid);
        break;
    case ESW_OP_SET_VLAN_VID:
        set_tci(frame, key, op->tci, RTE_BE16(0x0fff));
        break;
    case ESW_OP_SET_VLAN_PCP:
        set_tci(frame, key, op->tci, RTE_BE16(0xe000));
        break;
    case ESW_OP_POP_VLAN:
        if (key->has_vlan) {
            *length -= 4;
            memmove(frame + TYPE_AT, frame + TYPE_AT + 4, *length - TYPE_AT);
        }
        break;
    default:
        break;
    }
}
