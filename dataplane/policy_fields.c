/* SPDX-License-Identifier: Apache-2.0 */
// What actions change in a packet: header fields, VLAN tags, TTL, notes. Checksums are changed by
// the difference (RFC 1624), so that one that was wrong stays wrong; the key follows the headers.
// A field that the packet does not have is not set.
#include <string.h>

#include <rte_arp.h>
#include <rte_hash_crc.h>
#include <rte_icmp.h>
#include <rte_sctp.h>
#include <rte_tcp.h>

#include "dataplane/headers.h"
#include "dataplane/policy_actions.h"

static inline uint8_t *at(const struct policy_packet *pp, unsigned offset)
{
    return rte_pktmbuf_mtod_offset(pp->packet->mbuf, uint8_t *, offset);
}

static bool is_type(const struct policy_packet *pp, uint16_t type)
{
    return pp->key.fields.eth_type == rte_cpu_to_be_16(type);
}

// RFC 1624 section 3, equation 3: HC' = ~(~HC + ~m + m'), for `len` bytes, an even number, that
// begin at an even offset of what the checksum covers.
static void sum_replace(uint8_t *sum_at, const uint8_t *old, const uint8_t *new, unsigned len)
{
    uint16_t word;
    uint32_t sum;

    memcpy(&word, sum_at, sizeof word);
    sum = (uint16_t)~word;
    for (unsigned i = 0; i < len; i += 2) {
        memcpy(&word, old + i, sizeof word);
        sum += (uint16_t)~word;
        memcpy(&word, new + i, sizeof word);
        sum += word;
    }
    sum = (sum >> 16) + (sum & 0xffff);
    sum += sum >> 16;
    word = (uint16_t)~sum;
    memcpy(sum_at, &word, sizeof word);
}

// Where the transport header's Internet checksum is, NULL: it has none.
static uint8_t *l4_sum(const struct policy_packet *pp)
{
    if (!pp->l4)
        return NULL;
    switch (pp->key.fields.ip_proto) {
    case IPPROTO_TCP:
        return at(pp, pp->l4 + offsetof(struct rte_tcp_hdr, cksum));
    case IPPROTO_UDP:
        return at(pp, pp->l4 + offsetof(struct rte_udp_hdr, dgram_cksum));
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        return at(pp, pp->l4 + offsetof(struct rte_icmp_hdr, icmp_cksum));
    default:
        return NULL;
    }
}

static void l4_sum_replace(const struct policy_packet *pp, const uint8_t *old, const uint8_t *new,
                           unsigned len)
{
    static const uint8_t zero[2], all_ones[2] = {0xff, 0xff};
    bool udp = pp->key.fields.ip_proto == IPPROTO_UDP;
    uint8_t *sum = l4_sum(pp);

    // RFC 768: 0 says that there is none, a sum of 0 is sent as its complement.
    if (!sum || (udp && !memcmp(sum, zero, 2)))
        return;
    sum_replace(sum, old, new, len);
    if (udp && !memcmp(sum, zero, 2))
        memcpy(sum, all_ones, 2);
}

// As rte_hash_crc, which reads words where there may be none aligned.
static uint32_t crc32c(const uint8_t *bytes, unsigned len, uint32_t crc)
{
    uint64_t word;

    for (; len >= sizeof word; bytes += sizeof word, len -= sizeof word) {
        memcpy(&word, bytes, sizeof word);
        crc = rte_hash_crc_8byte(word, crc);
    }
    while (len--)
        crc = rte_hash_crc_1byte(*bytes++, crc);
    return crc;
}

// The SCTP packet's CRC32c as it ought to be (RFC 9260 section 6.8).
static uint32_t sctp_crc(const struct policy_packet *pp)
{
    unsigned end = pp->l3 + pp->packet->l3_len;
    unsigned sum_at = pp->l4 + offsetof(struct rte_sctp_hdr, cksum);
    uint32_t crc = crc32c(at(pp, pp->l4), sum_at - pp->l4, UINT32_MAX);

    crc = rte_hash_crc_4byte(0, crc);
    return ~crc32c(at(pp, sum_at + 4), end - sum_at - 4, crc);
}

static void set_eth(struct policy_packet *pp, bool src, const struct rte_ether_addr *mac)
{
    struct rte_ether_hdr *eth = (struct rte_ether_hdr *)at(pp, 0);

    if (!pp->eth_set) {
        pp->came_to = eth->dst_addr;
        pp->came_from = eth->src_addr;
        pp->eth_set = true;
    }
    if (src)
        pp->key.fields.eth_src = eth->src_addr = *mac;
    else
        pp->key.fields.eth_dst = eth->dst_addr = *mac;
}

// Is the destination not yet the last one? Then the pseudo header has that, which is in the routing
// header (RFC 8200 section 8.1).
static bool is_source_routed(const struct policy_packet *pp)
{
    uint8_t proto = at(pp, pp->l3 + offsetof(struct rte_ipv6_hdr, proto))[0];
    unsigned header = pp->l3 + sizeof(struct rte_ipv6_hdr);

    // policy_key6 has followed the headers up to l4.
    while (header < pp->l4) {
        const uint8_t *h = at(pp, header);

        if (proto == IPPROTO_ROUTING && h[3])
            return true;
        header += proto == IPPROTO_FRAGMENT ? 8 : 8 + h[1] * 8u;
        proto = h[0];
    }
    return false;
}

static void set_ip(struct policy_packet *pp, bool src, const struct in6_addr *ip)
{
    const uint8_t *new = (const uint8_t *)(ip_is_v4(ip) ? &ip->s6_addr32[3] : ip->s6_addr32);
    unsigned len = ip_is_v4(ip) ? 4 : 16;
    uint8_t *old;

    if (len == 4 && is_type(pp, RTE_ETHER_TYPE_IPV4)) {
        old = at(pp, pp->l3 + (src ? offsetof(struct rte_ipv4_hdr, src_addr)
                                   : offsetof(struct rte_ipv4_hdr, dst_addr)));
        sum_replace(at(pp, pp->l3 + offsetof(struct rte_ipv4_hdr, hdr_checksum)), old, new, len);
        if (pp->key.fields.ip_proto != IPPROTO_ICMP) // RFC 792: no pseudo header
            l4_sum_replace(pp, old, new, len);
    } else if (len == 16 && is_type(pp, RTE_ETHER_TYPE_IPV6)) {
        old = at(pp, pp->l3 + (src ? offsetof(struct rte_ipv6_hdr, src_addr)
                                   : offsetof(struct rte_ipv6_hdr, dst_addr)));
        if (src || !is_source_routed(pp))
            l4_sum_replace(pp, old, new, len);
    } else if (len == 4 && is_type(pp, RTE_ETHER_TYPE_ARP)) {
        old = at(pp, pp->l3 + (src ? offsetof(struct rte_arp_hdr, arp_data.arp_sip)
                                   : offsetof(struct rte_arp_hdr, arp_data.arp_tip)));
    } else {
        return;
    }
    memcpy(old, new, len);
    if (src)
        pp->key.fields.ip_src = *ip;
    else
        pp->key.fields.ip_dst = *ip;
}

static void set_tos(struct policy_packet *pp, uint8_t value, uint8_t mask)
{
    uint8_t *word = at(pp, pp->l3), new[2];
    uint8_t tos = (uint8_t)((pp->key.fields.ip_tos & ~mask) | (value & mask));

    if (is_type(pp, RTE_ETHER_TYPE_IPV4)) {
        new[0] = word[0];
        new[1] = tos;
        sum_replace(at(pp, pp->l3 + offsetof(struct rte_ipv4_hdr, hdr_checksum)), word, new, 2);
    } else if (is_type(pp, RTE_ETHER_TYPE_IPV6)) {
        new[0] = (uint8_t)((word[0] & 0xf0) | tos >> 4);
        new[1] = (uint8_t)(tos << 4 | (word[1] & 0x0f));
    } else {
        return;
    }
    memcpy(word, new, 2);
    pp->key.fields.ip_tos = tos;
}

static enum drop_reason set_l4(struct policy_packet *pp, bool src, rte_be16_t value)
{
    uint8_t *port = at(pp, pp->l4 + (src ? 0 : 2)), *sum;
    uint8_t word[2];
    uint32_t before, crc;

    if (!pp->l4)
        return DROP_N;
    switch (pp->key.fields.ip_proto) {
    case IPPROTO_TCP:
    case IPPROTO_UDP:
        l4_sum_replace(pp, port, (const uint8_t *)&value, 2);
        memcpy(port, &value, 2);
        break;
    case IPPROTO_SCTP:
        // The sum covers all fragments, and only one is here.
        if (pp->key.fields.ip_frag)
            return DROP_policy;
        before = sctp_crc(pp);
        memcpy(port, &value, 2);
        sum = at(pp, pp->l4 + offsetof(struct rte_sctp_hdr, cksum));
        memcpy(&crc, sum, sizeof crc);
        crc ^= before ^ sctp_crc(pp);
        memcpy(sum, &crc, sizeof crc);
        break;
    case IPPROTO_ICMP:
    case IPPROTO_ICMPV6:
        port = at(pp, pp->l4);
        memcpy(word, port, 2);
        word[src ? 0 : 1] = (uint8_t)rte_be_to_cpu_16(value);
        l4_sum_replace(pp, port, word, 2);
        memcpy(port, word, 2);
        value &= RTE_BE16(0xff);
        break;
    default:
        return DROP_N;
    }
    if (src)
        pp->key.fields.l4_src = value;
    else
        pp->key.fields.l4_dst = value;
    return DROP_N;
}

static enum drop_reason dec_ttl(struct policy_packet *pp)
{
    uint8_t *ttl, new[2];

    if (is_type(pp, RTE_ETHER_TYPE_IPV4)) {
        ttl = at(pp, pp->l3 + offsetof(struct rte_ipv4_hdr, time_to_live));
        if (ttl[0] <= 1)
            return DROP_ttl_expired;
        new[0] = (uint8_t)(ttl[0] - 1);
        new[1] = ttl[1];
        sum_replace(at(pp, pp->l3 + offsetof(struct rte_ipv4_hdr, hdr_checksum)), ttl, new, 2);
        ttl[0] = new[0];
    } else if (is_type(pp, RTE_ETHER_TYPE_IPV6)) {
        ttl = at(pp, pp->l3 + offsetof(struct rte_ipv6_hdr, hop_limits));
        if (ttl[0] <= 1)
            return DROP_ttl_expired;
        ttl[0]--;
    }
    return DROP_N;
}

static void set_vlan(struct policy_packet *pp, rte_be16_t value, rte_be16_t mask)
{
    rte_be16_t tci;

    if (!pp->vlans)
        return;
    memcpy(&tci, at(pp, RTE_ETHER_HDR_LEN), sizeof tci);
    tci = (tci & ~mask) | (value & mask);
    memcpy(at(pp, RTE_ETHER_HDR_LEN), &tci, sizeof tci);
    pp->key.fields.vlan_tci = tci | RTE_BE16(VLAN_PRESENT);
}

// The tags are others, and with them where everything is and what the key sees.
static enum drop_reason key_again(struct policy_packet *pp)
{
    uint8_t table = pp->table;
    enum drop_reason reason = policy_key_init(pp, rte_be_to_cpu_16(pp->key.in_port));

    pp->table = table;
    return reason;
}

static enum drop_reason push_vlan(struct policy_packet *pp, rte_be16_t tpid)
{
    rte_be16_t tag[2] = {tpid, pp->key.fields.vlan_tci & ~RTE_BE16(VLAN_PRESENT)};
    char *frame;

    if (pp->vlans == POLICY_VLANS_MAX)
        return DROP_policy_vlan;
    frame = rte_pktmbuf_prepend(pp->packet->mbuf, RTE_VLAN_HLEN);
    if (!frame)
        return DROP_policy_vlan;
    memmove(frame, frame + RTE_VLAN_HLEN, 2 * RTE_ETHER_ADDR_LEN);
    memcpy(frame + 2 * RTE_ETHER_ADDR_LEN, tag, sizeof tag);
    return key_again(pp);
}

static enum drop_reason pop_vlan(struct policy_packet *pp)
{
    char *frame = rte_pktmbuf_mtod(pp->packet->mbuf, char *);

    if (!pp->vlans)
        return DROP_N;
    memmove(frame + RTE_VLAN_HLEN, frame, 2 * RTE_ETHER_ADDR_LEN);
    rte_pktmbuf_adj(pp->packet->mbuf, RTE_VLAN_HLEN);
    return key_again(pp);
}

static void set_arp(struct policy_packet *pp, const struct action *a)
{
    struct rte_arp_hdr *arp = (struct rte_arp_hdr *)at(pp, pp->l3);

    if (!is_type(pp, RTE_ETHER_TYPE_ARP))
        return;
    if (a->type == ACTION_SET_ARP_OP) {
        arp->arp_opcode = rte_cpu_to_be_16(a->byte.value);
        pp->key.fields.ip_proto = a->byte.value;
    } else if (a->type == ACTION_SET_ARP_SHA) {
        pp->key.fields.arp_sha = arp->arp_data.arp_sha = a->mac;
    } else {
        pp->key.fields.arp_tha = arp->arp_data.arp_tha = a->mac;
    }
}

enum drop_reason policy_change(struct policy_packet *pp, const struct action *a)
{
    struct match_fields *key = &pp->key.fields;

    switch (a->type) {
    case ACTION_SET_ETH_SRC:
    case ACTION_SET_ETH_DST:
        set_eth(pp, a->type == ACTION_SET_ETH_SRC, &a->mac);
        return DROP_N;
    case ACTION_DEC_TTL:
        return dec_ttl(pp);
    case ACTION_SET_IP_SRC:
    case ACTION_SET_IP_DST:
        set_ip(pp, a->type == ACTION_SET_IP_SRC, &a->ip);
        return DROP_N;
    case ACTION_SET_IP_TOS:
        set_tos(pp, a->byte.value, a->byte.mask);
        return DROP_N;
    case ACTION_SET_L4_SRC:
    case ACTION_SET_L4_DST:
        return set_l4(pp, a->type == ACTION_SET_L4_SRC, a->l4);
    case ACTION_SET_VLAN:
        set_vlan(pp, a->tci.value, a->tci.mask);
        return DROP_N;
    case ACTION_PUSH_VLAN:
        return push_vlan(pp, a->l4);
    case ACTION_POP_VLAN:
        return pop_vlan(pp);
    case ACTION_SET_ARP_OP:
    case ACTION_SET_ARP_SHA:
    case ACTION_SET_ARP_THA:
        set_arp(pp, a);
        return DROP_N;
    case ACTION_SET_METADATA:
        key->metadata = (key->metadata & ~a->note.mask) | (a->note.value & a->note.mask);
        return DROP_N;
    case ACTION_SET_REG:
        key->reg[a->index] = (key->reg[a->index] & ~a->reg.mask) | (a->reg.value & a->reg.mask);
        return DROP_N;
    default: // no change: policy_actions.c sees to these
        return DROP_N;
    }
}
