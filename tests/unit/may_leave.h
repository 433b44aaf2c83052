/* SPDX-License-Identifier: Apache-2.0 */
// Which frames may leave node.h's ports where all traffic comes from an uplink and pod A, whatever
// it holds.
#pragma once

#include "tests/unit/frame.h"

static inline bool is_v4(rte_be32_t address, const char *one)
{
    return address == ip(one).s6_addr32[3];
}

static inline bool is_v6(const uint8_t *address, const char *one)
{
    struct in6_addr wanted = ip(one);

    return !memcmp(address, &wanted, sizeof wanted);
}

// By an uplink: packets of pod A, the node's ICMP errors, answers for the pods.
static inline bool may_leave_by_uplink(const struct frame *f)
{
    if (memcmp(&f->eth.src_addr, &NODE_MAC, sizeof NODE_MAC) != 0)
        return false;
    switch (rte_be_to_cpu_16(f->eth.ether_type)) {
    case RTE_ETHER_TYPE_IPV4:
        return is_v4(f->v4.ip.src_addr, "10.1.10.5") || is_v4(f->v4.ip.src_addr, "10.1.0.9");
    case RTE_ETHER_TYPE_IPV6:
        if (f->v6.ip.proto == IPPROTO_ICMPV6 && f->v6.na.nd_na_type == ND_NEIGHBOR_ADVERT &&
            f->v6.ip.hop_limits == 255)
            return is_v6(f->v6.ip.src_addr, "fd00:10::5") || is_v6(f->v6.ip.src_addr, "fd00:11::6");
        return is_v6(f->v6.ip.src_addr, "fd00:10::5") || is_v6(f->v6.ip.src_addr, "fd00:0::9");
    case RTE_ETHER_TYPE_ARP:
        return f->arp.arp.arp_opcode == RTE_BE16(RTE_ARP_OP_REPLY) &&
               (is_v4(f->arp.arp.arp_data.arp_sip, "10.1.10.5") ||
                is_v4(f->arp.arp.arp_data.arp_sip, "10.1.11.6"));
    default:
        return false;
    }
}

// To a pod: frames to its MAC from the router, packets to one of its addresses, from none that is
// link-local. Answers about neighbours may go to its link-local address.
static inline bool may_reach(const struct frame *f, const struct rte_ether_addr *mac,
                             const char *v4, const char *v6)
{
    if (memcmp(&f->eth.src_addr, &ROUTER_MAC, sizeof ROUTER_MAC) != 0 ||
        memcmp(&f->eth.dst_addr, mac, sizeof *mac) != 0)
        return false;
    switch (rte_be_to_cpu_16(f->eth.ether_type)) {
    case RTE_ETHER_TYPE_IPV4:
        return is_v4(f->v4.ip.dst_addr, v4);
    case RTE_ETHER_TYPE_IPV6:
        return (is_v6(f->v6.ip.dst_addr, v6) || f->v6.ip.proto == IPPROTO_ICMPV6) &&
               (f->v6.ip.src_addr[0] != 0xfe || f->v6.ip.src_addr[1] >> 6 != 2);
    default:
        return f->eth.ether_type == RTE_BE16(RTE_ETHER_TYPE_ARP);
    }
}

static inline bool frame_may_leave(uint16_t port, const struct frame *f)
{
    return port == POD_A   ? may_reach(f, &POD_A_MAC, "10.1.10.5", "fd00:10::5")
           : port == POD_B ? may_reach(f, &POD_B_MAC, "10.1.11.6", "fd00:11::6")
                           : may_leave_by_uplink(f);
}
