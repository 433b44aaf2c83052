/* SPDX-License-Identifier: Apache-2.0 */
// The third stage: to the pod that has the destination address, else, from a pod, to the uplinks.
// Rewrites the headers and puts the packet into the outgoing port's buffer.
#include <string.h>

#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <rte_hash_crc.h>

#include "dataplane/headers.h"
#include "dataplane/internal.h"

// An Ethernet frame without its FCS is at least so long (IEEE 802.3 section 4.2.3.3): shorter
// packets are padded.
#define FRAME_MIN ((uint32_t)(RTE_ETHER_MIN_LEN - RTE_ETHER_CRC_LEN))

// Cuts off what follows the packet: it is no part of it, and may be more than the way out can
// carry. Returns the frame's length.
static inline uint32_t cut_off(struct rte_mbuf *m, uint16_t l3_len)
{
    uint32_t len = m->pkt_len;

    if (unlikely(len - RTE_ETHER_HDR_LEN > l3_len) && len > FRAME_MIN) {
        len = RTE_MAX(RTE_ETHER_HDR_LEN + (uint32_t)l3_len, FRAME_MIN);
        rte_pktmbuf_trim(m, (uint16_t)(m->pkt_len - len));
    }
    return len;
}

static inline void send_on(struct worker *w, struct rte_mbuf *m, void *ip, uint32_t len,
                           const struct fwd_entry *to, uint32_t slot)
{
    struct dp_rule_stats *stats = &w->rules[slot];

    memcpy((uint8_t *)ip - RTE_ETHER_HDR_LEN, to->macs, sizeof to->macs);
    stats->packets++;
    stats->bytes += len;
    output_len(w, to->port, m, len);
}

// RFC 1624: TTL is the high byte of its 16-bit word, so the checksum grows by 1 (as this machine
// reads it) and 0xffff is 0, as in a new one. In the word of TTL, protocol and checksum both are
// one addition.
static inline void ipv4_dec_ttl(struct rte_ipv4_hdr *ip)
{
    uint32_t word;

    memcpy(&word, &ip->time_to_live, sizeof word);
    word += word >= 0xfffe0000 ? 0x1ffff : 0xffff;
    memcpy(&ip->time_to_live, &word, sizeof word);
}

// See dp_masked_bucket.
static inline unsigned masked_bits(const uint8_t *src_end, const uint8_t *dst_end,
                                   const rte_be16_t *ports)
{
    unsigned bits = (src_end[-1] & 1u) | (dst_end[-1] & 1u) << 1;

    if (ports)
        bits |= (((const uint8_t *)ports)[1] & 2u) << 1 | (((const uint8_t *)ports)[3] & 2u) << 2;
    return bits;
}

static inline bool has_ports(uint8_t proto)
{
    return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP;
}

// The bucket of a flow: by addresses and protocol, and by ports where every packet of the flow has
// them.
static inline unsigned flow_bucket4(const struct members *members, const struct rte_ipv4_hdr *ip)
{
    uint64_t addresses = (uint64_t)ip->src_addr << 32 | ip->dst_addr;
    uint32_t rest = ip->next_proto_id;
    bool with_ports = has_ports(ip->next_proto_id) && !ipv4_is_fragment(ip);

    if (members->masked)
        return dp_masked_bucket(masked_bits((const uint8_t *)&ip->dst_addr,
                                            (const uint8_t *)(ip + 1),
                                            with_ports ? ipv4_l4(ip) : NULL));
    if (with_ports) {
        uint32_t ports;

        memcpy(&ports, ipv4_l4(ip), sizeof ports);
        rest ^= ports;
    }
    return rte_hash_crc_8byte(addresses, rest) & (DP_BUCKETS - 1);
}

static inline unsigned flow_bucket6(const struct members *members, const struct rte_ipv6_hdr *ip)
{
    // RFC 6438: the flow label stands for the ports.
    uint32_t hash = ip->vtc_flow & RTE_BE32(0x000fffff);
    uint64_t words[4];

    if (members->masked)
        return dp_masked_bucket(masked_bits(ip->dst_addr, ip->dst_addr + sizeof ip->dst_addr,
                                            has_ports(ip->proto) ? (const void *)(ip + 1) : NULL));
    memcpy(words, &ip->src_addr, sizeof words);
    if (has_ports(ip->proto)) {
        uint32_t ports;

        memcpy(&ports, ip + 1, sizeof ports);
        hash = ports ^ ip->proto; // hosts that change the label within a flow must not reorder it
    }
    for (unsigned i = 0; i < RTE_DIM(words); i++)
        hash = rte_hash_crc_8byte(words[i], hash);
    return hash & (DP_BUCKETS - 1);
}

// Where a pod's packet goes that is for no local address. NULL: it was dropped.
static inline const struct fwd_entry *uplink4(struct worker *w, struct port *port,
                                              const struct packet *p)
{
    static const enum drop_reason not_routed[] = {
        [IPV4_MARTIAN] = DROP_martian,
        [IPV4_MULTICAST] = DROP_multicast,
        [IPV4_LINK_LOCAL] = DROP_link_local,
    };
    const struct rte_ipv4_hdr *ip = p->ip;
    enum ipv4_class class = ipv4_class(ip->dst_addr);
    const struct members *members = load_acquire(&dp.members);

    if (unlikely(class != IPV4_UNICAST)) {
        drop(w, port, p->mbuf, not_routed[class]);
        return NULL;
    }
    if (unlikely(!port->guarded)) {
        icmp4_error(w, port, p->mbuf, ICMP_DEST_UNREACH, ICMP_HOST_UNREACH, 0);
        drop(w, port, p->mbuf, DROP_no_such_pod);
        return NULL;
    }
    if (unlikely(!members->gateway[p->gateway].valid)) {
        icmp4_error(w, port, p->mbuf, ICMP_DEST_UNREACH, ICMP_NET_UNREACH, 0);
        drop(w, port, p->mbuf, DROP_no_gateway);
        return NULL;
    }
    return &members->gateway[p->gateway].bucket[flow_bucket4(members, ip)];
}

static inline const struct fwd_entry *uplink6(struct worker *w, struct port *port,
                                              const struct packet *p)
{
    const struct rte_ipv6_hdr *ip = p->ip;
    const struct in6_addr dst = load_ip6(&ip->dst_addr);
    const struct members *members = load_acquire(&dp.members);

    if (unlikely(IN6_IS_ADDR_MULTICAST(&dst)))
        drop(w, port, p->mbuf, DROP_multicast);
    else if (unlikely(ipv6_is_link_local(&dst)))
        drop(w, port, p->mbuf, DROP_link_local);
    else if (unlikely(ipv6_is_martian(&dst)))
        drop(w, port, p->mbuf, DROP_martian);
    else if (unlikely(!port->guarded)) {
        icmp6_error(w, port, p->mbuf, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_ADDR, 0);
        drop(w, port, p->mbuf, DROP_no_such_pod);
    } else if (unlikely(!members->gateway[p->gateway].valid)) {
        icmp6_error(w, port, p->mbuf, ICMP6_DST_UNREACH, ICMP6_DST_UNREACH_NOROUTE, 0);
        drop(w, port, p->mbuf, DROP_no_gateway);
    } else
        return &members->gateway[p->gateway].bucket[flow_bucket6(members, ip)];
    return NULL;
}

// Larger than the way out: in fragments if the sender allows it, else it is told (RFC 1191).
static __rte_noinline void too_big4(struct worker *w, struct port *port, struct packet *p,
                                    const struct fwd_entry *to, uint32_t slot)
{
    struct rte_ipv4_hdr *ip = p->ip;

    if (ip->fragment_offset & RTE_BE16(RTE_IPV4_HDR_DF_FLAG)) {
        icmp4_error(w, port, p->mbuf, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, to->mtu);
        drop(w, port, p->mbuf, DROP_too_big);
        return;
    }
    ipv4_dec_ttl(ip);
    memcpy(rte_pktmbuf_mtod(p->mbuf, void *), to->macs, sizeof to->macs);
    w->rules[slot].packets++;
    w->rules[slot].bytes += p->mbuf->pkt_len;
    fragment4(w, port, p->mbuf, to->port, to->mtu);
}

void forward4(struct worker *w, struct burst *b)
{
    struct fwd_entry *hits[BURST];
    unsigned n = b->n4;

    forward_lookup4(b->v4, n, w->rules, hits);
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = &b->v4[i];
        struct rte_mbuf *m = p->mbuf;
        struct rte_ipv4_hdr *ip = p->ip;
        const struct fwd_entry *to = hits[i];
        uint32_t slot, len;

        if (unlikely(ip->time_to_live <= 1)) {
            icmp4_error(w, b->port, m, ICMP_TIME_EXCEEDED, ICMP_EXC_TTL, 0);
            drop(w, b->port, m, DROP_ttl_expired);
            continue;
        }
        if (to) {
            slot = to->slot;
        } else {
            to = uplink4(w, b->port, p);
            if (unlikely(!to))
                continue;
            slot = dp.default_slot[p->gateway];
        }
        len = cut_off(m, p->l3_len);
        if (unlikely(p->l3_len > to->mtu)) {
            too_big4(w, b->port, p, to, slot);
            continue;
        }
        ipv4_dec_ttl(ip);
        send_on(w, m, ip, len, to, slot);
    }
}

void forward6(struct worker *w, struct burst *b)
{
    struct fwd_entry *hits[BURST];

    if (!b->n6)
        return;
    forward_lookup6(b->v6, b->n6, hits);
    for (unsigned i = 0; i < b->n6; i++) {
        struct packet *p = &b->v6[i];
        struct rte_mbuf *m = p->mbuf;
        struct rte_ipv6_hdr *ip = p->ip;
        const struct fwd_entry *to = hits[i];
        uint32_t slot, len;

        if (unlikely(ip->hop_limits <= 1)) {
            icmp6_error(w, b->port, m, ICMP6_TIME_EXCEEDED, ICMP6_TIME_EXCEED_TRANSIT, 0);
            drop(w, b->port, m, DROP_ttl_expired);
            continue;
        }
        if (to) {
            slot = to->slot;
        } else {
            to = uplink6(w, b->port, p);
            if (unlikely(!to))
                continue;
            slot = dp.default_slot[p->gateway];
        }
        len = cut_off(m, p->l3_len);
        if (unlikely(p->l3_len > to->mtu)) {
            icmp6_error(w, b->port, m, ICMP6_PACKET_TOO_BIG, 0, to->mtu);
            drop(w, b->port, m, DROP_too_big);
            continue;
        }
        ip->hop_limits--;
        send_on(w, m, ip, len, to, slot);
    }
}

unsigned forward_bucket(const struct rte_mbuf *m)
{
    const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

    return eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4) ? flow_bucket4(dp.members, ip4(m))
                                                            : flow_bucket6(dp.members, ip6(m));
}
