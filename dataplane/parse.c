/* SPDX-License-Identifier: Apache-2.0 */
// The first stage: what is this frame? IPv4 and IPv6 packets addressed to us with sound headers go
// on into the burst; ARP and ND are answered; the rest is dropped by name. IPv4 packets meet their
// port's guard on the way, as what most of them begin with is compared at once.
#include <string.h>

#ifdef __AVX__
#include <immintrin.h>
#endif
#include <rte_ip.h>
#include <rte_prefetch.h>

#include "dataplane/headers.h"
#include "dataplane/policy.h"

const uint8_t l4_min[256] = {
    [IPPROTO_TCP] = 20, [IPPROTO_UDP] = 8,    [IPPROTO_SCTP] = 12,
    [IPPROTO_ICMP] = 8, [IPPROTO_ICMPV6] = 4,
};

// RFC 1071: a sound header's words add up to 0 in one's complement, that is modulo 0xffff, whatever
// their width.
static inline bool ipv4_sum_ok(const struct rte_mbuf *m, const struct rte_ipv4_hdr *ip,
                               unsigned ihl)
{
    uint64_t first, second, third = 0, sum;
    bool carry;

    if ((m->ol_flags & RTE_MBUF_F_RX_IP_CKSUM_MASK) == RTE_MBUF_F_RX_IP_CKSUM_GOOD)
        return true;
    if (unlikely(ihl != sizeof *ip))
        return rte_raw_cksum(ip, ihl) == 0xffff;
    memcpy(&first, ip, sizeof first);
    memcpy(&second, (const uint8_t *)ip + 8, sizeof second);
    memcpy(&third, (const uint8_t *)ip + 16, 4);
    // A carry is worth 1, modulo 0xffff; `first` begins with 0x45, so it has room for one.
    first += __builtin_add_overflow(second, third, &second);
    carry = __builtin_add_overflow(first, second, &sum);
    return (sum + carry) % 0xffff == 0;
}

// RFC 1812 section 5.2.2: the checks on every IPv4 header. Returns DROP_N if it is sound. `plain`:
// it is all there and begins with RTE_IPV4_VHL_DEF.
static inline enum drop_reason ipv4_sound(const struct rte_mbuf *m, unsigned l3, bool plain,
                                          uint16_t *l3_len)
{
    const struct rte_ipv4_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv4_hdr *, l3);
    unsigned avail = m->data_len - l3, ihl = sizeof *ip, total;

    if (!plain) {
        if (unlikely(avail < sizeof *ip))
            return DROP_ipv4_header;
        ihl = (ip->version_ihl & 15) * 4;
        if (unlikely(ip->version_ihl >> 4 != 4 || ihl < sizeof *ip || ihl > avail))
            return DROP_ipv4_header;
    }
    total = ntohs(ip->total_length);
    if (unlikely(total - ihl > avail - ihl)) // less than the header, or more than there is
        return DROP_ipv4_header;
    if (unlikely(!ipv4_sum_ok(m, ip, ihl)))
        return DROP_ipv4_checksum;
    if (unlikely(total - ihl < l4_min[ip->next_proto_id] && !ipv4_is_later_fragment(ip)))
        return DROP_l4_header;
    *l3_len = (uint16_t)total;
    return DROP_N;
}

static inline enum drop_reason ipv4_check(const struct port *port, const struct rte_mbuf *m,
                                          bool plain, uint16_t *l3_len)
{
    enum drop_reason reason = ipv4_sound(m, RTE_ETHER_HDR_LEN, plain, l3_len);

    if (likely(reason == DROP_N) && !port->guarded &&
        unlikely(ipv4_class(ip4(m)->src_addr) != IPV4_UNICAST))
        return DROP_martian; // RFC 1812 section 5.3.7
    return reason;
}

// RFC 8200 section 3. Returns DROP_N if it is sound.
static inline enum drop_reason ipv6_sound(const struct rte_mbuf *m, unsigned l3, uint16_t *l3_len)
{
    const struct rte_ipv6_hdr *ip = rte_pktmbuf_mtod_offset(m, const struct rte_ipv6_hdr *, l3);
    unsigned avail = m->data_len - l3, payload;

    if (unlikely(avail < sizeof *ip || (rte_be_to_cpu_32(ip->vtc_flow) >> 28) != 6))
        return DROP_ipv6_header;
    payload = rte_be_to_cpu_16(ip->payload_len);
    if (unlikely(payload > avail - sizeof *ip))
        return DROP_ipv6_header;
    if (unlikely(payload < l4_min[ip->proto]))
        return DROP_l4_header;
    *l3_len = (uint16_t)(payload + sizeof *ip);
    return DROP_N;
}

static inline enum drop_reason ipv6_check(const struct port *port, const struct rte_mbuf *m,
                                          uint16_t *l3_len)
{
    enum drop_reason reason = ipv6_sound(m, RTE_ETHER_HDR_LEN, l3_len);
    struct in6_addr src;

    if (unlikely(reason != DROP_N) || port->guarded)
        return reason;
    src = load_ip6(&ip6(m)->src_addr);
    return likely(ipv6_may_be_source(&src)) ? DROP_N : DROP_martian;
}

enum drop_reason parse_ip(const struct rte_mbuf *m, unsigned l3, rte_be16_t type, struct packet *p)
{
    return type == RTE_BE16(RTE_ETHER_TYPE_IPV4) ? ipv4_sound(m, l3, false, &p->l3_len)
                                                 : ipv6_sound(m, l3, &p->l3_len);
}

// Link-level protocols of the fabric: no pod may speak them (IEEE 802.1Q table 8-1 reserves the
// group addresses).
static bool is_link_control(const struct rte_ether_hdr *eth)
{
    static const uint8_t reserved[5] = {0x01, 0x80, 0xc2, 0x00, 0x00};
    uint16_t type = rte_be_to_cpu_16(eth->ether_type);

    return !memcmp(eth->dst_addr.addr_bytes, reserved, sizeof reserved) ||
           type == RTE_ETHER_TYPE_LLDP || type == RTE_ETHER_TYPE_SLOW;
}

// IP to a group address of the link: never routed; says so, or that the guard would not have it.
static enum drop_reason group_addressed(const struct port *port, const struct rte_mbuf *m)
{
    const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
    const struct guard *guard = load_acquire(&port->guard);
    enum drop_reason reason;
    uint16_t l3_len;

    if (eth->ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4)) {
        reason = ipv4_check(port, m, false, &l3_len);
        if (reason == DROP_N && port->guarded) {
            if (!guard_find4(guard, ip4(m)->src_addr))
                reason = DROP_guard_ip_src;
            else if (ipv4_is_control(ip4(m)))
                reason = DROP_guard_control;
        }
    } else {
        reason = ipv6_check(port, m, &l3_len);
        if (reason == DROP_N && port->guarded) {
            struct in6_addr src = load_ip6(&ip6(m)->src_addr);

            if (ipv6_is_control(ip6(m), l3_len))
                reason = DROP_guard_control;
            else if (!ipv6_is_link_local(&src) && !IN6_IS_ADDR_UNSPECIFIED(&src) &&
                     !guard_find6(guard, &src))
                reason = DROP_guard_ip_src;
        }
    }
    return reason == DROP_N ? DROP_multicast : reason;
}

// All that is not IP with just the MAC addresses the port expects.
static __rte_noinline void other_input(struct worker *w, struct port *port, struct rte_mbuf *m)
{
    const struct rte_ether_hdr *eth = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);
    bool group = rte_is_multicast_ether_addr(&eth->dst_addr);
    bool ours = !memcmp(&eth->dst_addr, port_mac(port), RTE_ETHER_ADDR_LEN);
    enum drop_reason reason;

    if (port->guarded && !rte_is_same_ether_addr(&eth->src_addr, &port->info.params.mac)) {
        drop(w, port, m, DROP_guard_eth_src);
        return;
    }
    if (is_link_control(eth)) {
        drop(w, port, m, port->guarded ? DROP_guard_control : DROP_eth_type);
        return;
    }
    if (!group && !ours) {
        drop(w, port, m, DROP_eth_not_ours);
        return;
    }
    switch (rte_be_to_cpu_16(eth->ether_type)) {
    case RTE_ETHER_TYPE_ARP:
        arp_input(w, port, m);
        return;
    case RTE_ETHER_TYPE_IPV6:
        if (m->data_len >= RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv6_hdr) + 4 &&
            ip6_is_nd(ip6(m))) {
            nd_input(w, port, m);
            return;
        }
        // fallthrough
    case RTE_ETHER_TYPE_IPV4:
        reason = group_addressed(port, m);
        break;
    case RTE_ETHER_TYPE_VLAN:
    case RTE_ETHER_TYPE_QINQ:
        reason = DROP_vlan;
        break;
    default:
        reason = DROP_eth_type;
    }
    // Behind a pod's tag, or EtherType, may be a source that is not its own.
    if (reason == DROP_multicast ||
        (!port->guarded && (reason == DROP_vlan || reason == DROP_eth_type)))
        if (!policy_admits(w, port, &m))
            return;
    drop(w, port, m, reason);
}

// How most frames begin that a port takes, the plain ones: with the MAC addresses that it expects
// and an IPv4 header without options, of no fragment; on a guarded port, from the first of its
// addresses. (frame ^ expect) & mask is 0.
typedef uint64_t head __attribute__((vector_size(32), may_alias, aligned(1)));
struct plain {
    head expect, mask;
    uint32_t min_len;
};

static inline struct plain plain_of(const struct port *port, const struct guard *guard)
{
    const uint64_t type = RTE_BE16(RTE_ETHER_TYPE_IPV4), vhl = RTE_IPV4_VHL_DEF;
    const uint64_t fragment = RTE_BE16(RTE_IPV4_HDR_OFFSET_MASK | RTE_IPV4_HDR_MF_FLAG);
    bool has_address = guard && guard->n4;
    uint64_t address = has_address ? guard->v4[0].address : 0;

    return (struct plain){
        .expect = {port->l2_expect_lo, port->l2_expect_hi | type << 32 | vhl << 48, 0,
                   address << 16},
        .mask = {port->l2_mask_lo, port->l2_mask_hi | UINT64_C(0xffffff) << 32, fragment << 32,
                 port->guarded ? UINT64_C(0xffffffff) << 16 : 0},
        // A guarded port without an address has no plain frames.
        .min_len = port->guarded && !has_address ? UINT32_MAX
                                                 : RTE_ETHER_HDR_LEN + sizeof(struct rte_ipv4_hdr),
    };
}

static inline bool is_plain(const struct plain *plain, const struct rte_mbuf *m)
{
    head differ;

    if (unlikely(m->data_len < plain->min_len || m->nb_segs != 1))
        return false;
    differ = (*rte_pktmbuf_mtod(m, const head *) ^ plain->expect) & plain->mask;
#ifdef __AVX__
    return _mm256_testz_si256((__m256i)differ, (__m256i)differ);
#else
    return !(differ[0] | differ[1] | differ[2] | differ[3]);
#endif
}

// What is left to do with a frame.
enum parsed { SEEN_TO, IS_IPV4, IS_IPV6 };

static __rte_noinline enum parsed parse_rest(struct worker *w, struct port *port,
                                             struct rte_mbuf *m, struct packet *p)
{
    const uint8_t *frame = rte_pktmbuf_mtod(m, const uint8_t *);
    enum drop_reason reason;
    struct in6_addr src;
    uint64_t lo;
    uint32_t hi;
    rte_be16_t type;

    // Any port's frame fits into one buffer (tables_init). Where a pod sends larger ones, some
    // drivers (memif, vhost-user, pcap) chain buffers, of which no stage looks at but the first.
    if (unlikely(m->nb_segs != 1)) {
        drop(w, port, m, DROP_oversized);
        return SEEN_TO;
    }
    if (unlikely(m->data_len < RTE_ETHER_HDR_LEN)) {
        drop(w, port, m, DROP_runt);
        return SEEN_TO;
    }
    memcpy(&lo, frame, sizeof lo);
    memcpy(&hi, frame + 8, sizeof hi);
    memcpy(&type, frame + 12, sizeof type);
    if (unlikely(((lo ^ port->l2_expect_lo) & port->l2_mask_lo) |
                 ((hi ^ port->l2_expect_hi) & port->l2_mask_hi)) ||
        (type != RTE_BE16(RTE_ETHER_TYPE_IPV4) && type != RTE_BE16(RTE_ETHER_TYPE_IPV6))) {
        other_input(w, port, m);
        return SEEN_TO;
    }
    *p = (struct packet){.mbuf = m, .ip = ip4(m)}; // as far into the frame as ip6(m)
    reason = type == RTE_BE16(RTE_ETHER_TYPE_IPV4) ? ipv4_check(port, m, false, &p->l3_len)
                                                   : ipv6_check(port, m, &p->l3_len);
    if (unlikely(reason != DROP_N)) {
        drop(w, port, m, reason);
        return SEEN_TO;
    }
    if (type == RTE_BE16(RTE_ETHER_TYPE_IPV4))
        return !port->guarded || guard4(w, port, p) ? IS_IPV4 : SEEN_TO;
    if (unlikely(ip6_is_nd(ip6(m)))) {
        nd_input(w, port, m);
        return SEEN_TO;
    }
    src = load_ip6(&ip6(m)->src_addr);
    if (!port->guarded && unlikely(ipv6_is_link_local(&src))) {
        drop(w, port, m, DROP_link_local); // RFC 4291 section 2.5.6
        return SEEN_TO;
    }
    return IS_IPV6;
}

static inline enum drop_reason plain_check(const struct port *port, const struct rte_mbuf *m,
                                           uint16_t *l3_len)
{
    const struct rte_ipv4_hdr *ip = ip4(m);
    enum drop_reason reason = ipv4_check(port, m, true, l3_len);

    if (likely(reason == DROP_N) && port->guarded && ip->next_proto_id == IPPROTO_UDP &&
        unlikely(udp_is_control((const void *)(ip + 1), 67)))
        return DROP_guard_control;
    return reason;
}

// Counts the plain packets of a guarded port at the rule of its first address.
static inline void count_plain(struct worker *w, const struct guard *guard, uint64_t packets,
                               uint64_t bytes)
{
    if (!guard || !guard->n4)
        return;
    w->rules[guard->v4[0].slot].packets += packets;
    w->rules[guard->v4[0].slot].bytes += bytes;
}

// Returns the frames' bytes.
static inline uint64_t parse_frames(struct worker *w, struct burst *b, struct rte_mbuf **mbufs,
                                    unsigned n)
{
    struct port *port = b->port;
    const struct guard *guard = port->guarded ? load_acquire(&port->guard) : NULL;
    const struct plain plain = plain_of(port, guard);
    const uint16_t gateway = guard ? guard->v4[0].gateway : 0;
    struct packet *v4 = b->v4, *v6 = b->v6;
    // Sums in memory would have to wait for that of the packet before.
    uint64_t bytes = 0, other_bytes = 0; // of frames that are not plain and sound
    unsigned n_other = 0;

    for (unsigned i = 0; i < n; i++) {
        struct rte_mbuf *m = mbufs[i];
        enum drop_reason reason = DROP_N;
        enum parsed parsed;
        uint16_t l3_len;

        bytes += m->pkt_len;
        if (likely(is_plain(&plain, m))) {
            reason = plain_check(port, m, &l3_len);
            if (likely(reason == DROP_N)) {
                *v4++ = (struct packet){m, ip4(m), l3_len, gateway};
                continue;
            }
        }
        n_other++;
        other_bytes += m->pkt_len;
        if (reason != DROP_N) {
            drop(w, port, m, reason);
            continue;
        }
        parsed = parse_rest(w, port, m, v4);
        if (parsed == IS_IPV4)
            v4++;
        else if (parsed == IS_IPV6)
            *v6++ = *v4;
    }
    b->n4 = (uint16_t)(v4 - b->v4);
    b->n6 = (uint16_t)(v6 - b->v6);
    count_plain(w, guard, n - n_other, bytes - other_bytes);
    return bytes;
}

void parse(struct worker *w, struct burst *b, struct port *port, struct rte_mbuf **mbufs,
           unsigned n)
{
    struct port_counters *counters = &w->counters[port->no];
    uint64_t bytes;

    b->port = port;
    for (unsigned i = 0; i < n; i++)
        rte_prefetch0(rte_pktmbuf_mtod(mbufs[i], void *));
    counters->rx_packets += n;
    bytes = parse_frames(w, b, mbufs, n);
    counters->rx_bytes += bytes;
}

void parse_again(struct worker *w, struct burst *b, struct port *port, struct rte_mbuf *m)
{
    b->port = port;
    parse_frames(w, b, &m, 1);
}
