/* SPDX-License-Identifier: Apache-2.0 */
// Addresses as text and back. IPv4 addresses are IPv4-mapped IPv6 ones (RFC 4291 section 2.5.5.2)
// everywhere in Sluice; text is the usual form ("10.1.10.5", "fd00::5").
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADDRESS_TEXT 64 // enough for "address/len" and a MAC

// An address without a prefix length. -EINVAL if it is none; "::ffff:1.2.3.4" is refused
// (write 1.2.3.4).
int address_parse(const char *text, struct in6_addr *ip);
// "10.1.10.0/24" or "fd00::/64"; prefix_len counts from the mapped address's start (an IPv4 /24 is
// 120). -EINVAL if it is none. Host bits may be set.
int address_parse_prefix(const char *text, struct in6_addr *ip, uint8_t *prefix_len);
// Writes at most ADDRESS_TEXT bytes; returns buf.
char *address_format(const struct in6_addr *ip, char buf[ADDRESS_TEXT]);
char *address_format_prefix(const struct in6_addr *ip, uint8_t prefix_len, char buf[ADDRESS_TEXT]);
// Never true between the families: ::/0 holds no IPv4 address.
bool address_in_prefix(const struct in6_addr *ip, const struct in6_addr *subnet,
                       uint8_t prefix_len);

// "02:00:5e:00:53:01". -EINVAL if it is none.
int mac_parse(const char *text, uint8_t mac[6]);
char *mac_format(const uint8_t mac[6], char buf[ADDRESS_TEXT]);
// Could a station have it: neither zero nor multicast?
bool mac_is_unicast(const uint8_t mac[6]);
