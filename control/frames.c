/* SPDX-License-Identifier: Apache-2.0 */
// The only file that uses libopenvswitch's packet builders, which are not among its installed
// headers.
#include <config.h>

#include "control/frames.h"

#include <netinet/icmp6.h>
#include <string.h>

#include "dp-packet.h"
#include "packets.h"

static struct eth_addr ovs_mac(const struct rte_ether_addr *mac)
{
    struct eth_addr out;

    memcpy(&out, mac, sizeof(out));
    return out;
}

static size_t take_frame(struct dp_packet *packet, uint8_t frame[FRAME_SIZE])
{
    size_t len = dp_packet_size(packet);

    ovs_assert(len <= FRAME_SIZE);
    memcpy(frame, dp_packet_data(packet), len);
    dp_packet_uninit(packet);
    return len;
}

size_t frame_solicit(uint8_t frame[FRAME_SIZE], const struct rte_ether_addr *mac,
                     const struct in6_addr *sender, const struct in6_addr *target)
{
    struct dp_packet packet;

    dp_packet_init(&packet, FRAME_SIZE);
    if (IN6_IS_ADDR_V4MAPPED(target)) {
        compose_arp(&packet, ARP_OP_REQUEST, ovs_mac(mac), eth_addr_zero, true,
                    sender ? sender->s6_addr32[3] : 0, target->s6_addr32[3]);
    } else {
        struct in6_addr link_local;

        in6_generate_lla(ovs_mac(mac), &link_local);
        compose_nd_ns(&packet, ovs_mac(mac), sender ? sender : &link_local, target);
    }
    return take_frame(&packet, frame);
}

size_t frame_announce(uint8_t frame[FRAME_SIZE], const struct rte_ether_addr *mac,
                      const struct in6_addr *address)
{
    struct dp_packet packet;

    dp_packet_init(&packet, FRAME_SIZE);
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        compose_arp(&packet, ARP_OP_REQUEST, ovs_mac(mac), eth_addr_zero, true,
                    address->s6_addr32[3], address->s6_addr32[3]);
    } else {
        struct eth_addr all_nodes;

        ipv6_multicast_to_ethernet(&all_nodes, &in6addr_all_hosts);
        compose_nd_na(&packet, ovs_mac(mac), all_nodes, address, &in6addr_all_hosts,
                      htonl(ND_RSO_OVERRIDE));
    }
    return take_frame(&packet, frame);
}

static bool read_arp_reply(const uint8_t *data, size_t len, struct neighbour_answer *answer)
{
    struct arp_eth_header arp;

    if (len < sizeof(arp))
        return false;
    memcpy(&arp, data, sizeof(arp));
    if (arp.ar_op != htons(ARP_OP_REPLY))
        return false;
    answer->address = (struct in6_addr){.s6_addr16[5] = 0xffff};
    answer->address.s6_addr32[3] = get_16aligned_be32(&arp.ar_spa);
    memcpy(&answer->mac, &arp.ar_sha, sizeof(answer->mac));
    return true;
}

// The dataplane has checked the checksum, the hop limit and the options' lengths.
static bool read_advertisement(const uint8_t *data, size_t len, struct neighbour_answer *answer)
{
    struct ovs_16aligned_ip6_hdr ip6;
    struct ovs_nd_msg na;

    if (len < sizeof(ip6) + sizeof(na))
        return false;
    memcpy(&ip6, data, sizeof(ip6));
    memcpy(&na, data + sizeof(ip6), sizeof(na));
    if (ip6.ip6_ctlun.ip6_un1.ip6_un1_nxt != IPPROTO_ICMPV6 ||
        na.icmph.icmp6_type != ND_NEIGHBOR_ADVERT)
        return false;
    memcpy(&answer->address, &na.target, sizeof(answer->address));
    for (size_t at = sizeof(ip6) + sizeof(na); at + sizeof(struct ovs_nd_lla_opt) <= len;) {
        struct ovs_nd_lla_opt option;

        memcpy(&option, data + at, sizeof(option));
        if (option.type == ND_OPT_TARGET_LINKADDR) {
            memcpy(&answer->mac, &option.mac, sizeof(answer->mac));
            return true;
        }
        if (option.len == 0)
            return false;
        at += option.len * 8;
    }
    return false;
}

bool frame_read_answer(const void *data, size_t len, struct neighbour_answer *answer)
{
    struct eth_header eth;
    const uint8_t *payload = (const uint8_t *)data + sizeof(eth);
    bool read = false;

    if (len < sizeof(eth))
        return false;
    memcpy(&eth, data, sizeof(eth));
    len -= sizeof(eth);
    answer->solicited = !eth_addr_is_multicast(eth.eth_dst);
    if (eth.eth_type == htons(ETH_TYPE_ARP))
        read = read_arp_reply(payload, len, answer);
    else if (eth.eth_type == htons(ETH_TYPE_IPV6))
        read = read_advertisement(payload, len, answer);
    return read && rte_is_valid_assigned_ether_addr(&answer->mac);
}
