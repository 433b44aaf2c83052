/* SPDX-License-Identifier: Apache-2.0 */
// Why a packet that came in did not go out: the one list of names, the same in code, on the control
// socket, in `sluicectl stats` and in docs. Each packet received or originated is sent, or counted
// under one of these at the port it came in by (output's reasons:
// at the port it was to leave by), or is in flight. There is no "other".
#pragma once

#include <stdint.h>

// X(name, what it means)
#define DROP_REASONS(X)                                                                            \
    /* parse */                                                                                    \
    X(runt, "frame shorter than an Ethernet header")                                               \
    X(oversized, "frame larger than one buffer, so larger than any port's MTU")                    \
    X(eth_not_ours, "for another station's MAC address")                                           \
    X(eth_type, "EtherType that is not IPv4, IPv6 or ARP")                                         \
    X(vlan, "VLAN-tagged frame on a port without VLANs")                                           \
    X(ipv4_header, "IPv4 header cut short, of a wrong version or length")                          \
    X(ipv4_checksum, "IPv4 header checksum wrong")                                                 \
    X(ipv6_header, "IPv6 header cut short, of a wrong version or length")                          \
    X(l4_header, "TCP, UDP, SCTP or ICMP header cut short")                                        \
    X(arp_malformed, "ARP frame cut short or not Ethernet/IPv4")                                   \
    X(nd_malformed, "ND message cut short, hop limit not 255, or wrong options")                   \
    X(martian, "source or destination address that must not be on a wire")                         \
    /* guard */                                                                                    \
    X(guard_eth_src, "pod sent with a MAC address that is not its own")                            \
    X(guard_ip_src, "pod sent with an IP address that is not its own")                             \
    X(guard_arp, "pod's ARP claims a MAC or an address that is not its own")                       \
    X(guard_nd, "pod's ND message claims a MAC or an address that is not its own")                 \
    X(guard_control, "pod sent LACP, LLDP, STP, BFD, a router advertisement, a redirect, DHCP "    \
                     "server messages, or IPv6 headers that could hide them")                      \
    /* policy */                                                                                   \
    X(policy, "an operator's rule says drop")                                                      \
    X(policy_miss, "no rule of an operator's table matches")                                       \
    X(policy_in_port, "an operator's rule outputs it to the port it came in by, without IN_PORT")  \
    X(policy_meter, "over the rate of an operator's meter")                                        \
    X(policy_group, "the operator's group has no live bucket, or is gone")                         \
    X(policy_vlan, "still VLAN-tagged when an operator's rule sent it to the forward table, or "   \
                   "with more than two tags")                                                      \
    X(policy_no_copy, "no buffers for the copies that an operator's rule asks for")                \
    /* forward */                                                                                  \
    X(no_such_pod, "from an uplink, for an address no attached pod has")                           \
    X(no_gateway, "no uplink is up with a gateway that answers")                                   \
    X(multicast, "IP multicast or broadcast, which is not routed")                                 \
    X(ttl_expired, "TTL or hop limit used up")                                                     \
    X(too_big, "larger than the outgoing MTU and not to be fragmented")                            \
    X(fragment_failed,                                                                             \
      "no buffers to fragment the packet, or it has IP options, or would end beyond 65,535 bytes") \
    X(link_local, "IPv6 link-local address, which is not routed")                                  \
    /* neighbours */                                                                               \
    X(arp_not_for_us,                                                                              \
      "ARP request for an address that is not ours to answer, or a reply nobody asked for")        \
    X(arp_announcement,                                                                            \
      "a pod's own ARP probe or announcement; the daemon announces its pods itself")               \
    X(nd_not_for_us, "neighbour solicitation or advertisement that is not ours to answer")         \
    X(nd_dad, "a pod's own duplicate address detection; its addresses are known to be unique")     \
    X(router_solicitation, "router solicitation; pods are configured by the plugin")               \
    /* punt */                                                                                     \
    X(punted, "handed to the control thread, which uses it up (gateway's ARP and ND answers)")     \
    X(punt_full, "the queue to the control thread is full")                                        \
    X(punt_rate, "over the rate of packets that a port may hand to the control thread")            \
    /* output */                                                                                   \
    X(tx_full, "the outgoing port's queue is full")                                                \
    X(handoff_full, "the queue to the worker that owns the outgoing port is full")                 \
    X(port_gone,                                                                                   \
      "the outgoing port was removed while the packet was under way, or its device is gone")

enum drop_reason {
#define X(name, text) DROP_##name,
    DROP_REASONS(X)
#undef X
        DROP_N
};

// Both return static strings.
const char *drop_name(enum drop_reason reason);
const char *drop_text(enum drop_reason reason);

// How many packets were lost, of counts by reason: not those that the daemon took itself (each
// answer of a gateway, packet-ins), which got to where they were to go.
uint64_t drop_losses(const uint64_t drops[DROP_N]);
