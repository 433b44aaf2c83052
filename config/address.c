/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "config/address.h"

#define IPV4_BITS 96 // of the mapped address, before the IPv4 one

int address_parse(const char *text, struct in6_addr *ip)
{
    struct in_addr ip4;

    if (inet_pton(AF_INET, text, &ip4) == 1) {
        memset(ip, 0, sizeof(*ip));
        ip->s6_addr[10] = ip->s6_addr[11] = 0xff;
        memcpy(&ip->s6_addr[12], &ip4, sizeof(ip4));
        return 0;
    }
    // A mapped address in text would be a second way to write an IPv4 one.
    if (inet_pton(AF_INET6, text, ip) == 1 && !IN6_IS_ADDR_V4MAPPED(ip))
        return 0;
    return -EINVAL;
}

int address_parse_prefix(const char *text, struct in6_addr *ip, uint8_t *prefix_len)
{
    char address[INET6_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    unsigned len = 0;

    if (!slash || (size_t)(slash - text) >= sizeof(address))
        return -EINVAL;
    memcpy(address, text, slash - text);
    address[slash - text] = '\0';
    if (address_parse(address, ip) < 0)
        return -EINVAL;

    const char *digits = slash + 1;
    size_t n = strspn(digits, "0123456789");
    if (n < 1 || n > 3 || digits[n] != '\0' || (n > 1 && digits[0] == '0'))
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        len = len * 10 + (digits[i] - '0');
    if (IN6_IS_ADDR_V4MAPPED(ip))
        len += IPV4_BITS;
    if (len > 128)
        return -EINVAL;
    *prefix_len = len;
    return 0;
}

char *address_format(const struct in6_addr *ip, char buf[ADDRESS_TEXT])
{
    if (IN6_IS_ADDR_V4MAPPED(ip))
        inet_ntop(AF_INET, &ip->s6_addr[12], buf, ADDRESS_TEXT);
    else
        inet_ntop(AF_INET6, ip, buf, ADDRESS_TEXT);
    return buf;
}

char *address_format_prefix(const struct in6_addr *ip, uint8_t prefix_len, char buf[ADDRESS_TEXT])
{
    size_t n = strlen(address_format(ip, buf));

    snprintf(buf + n, ADDRESS_TEXT - n, "/%d",
             IN6_IS_ADDR_V4MAPPED(ip) ? prefix_len - IPV4_BITS : prefix_len);
    return buf;
}

bool address_in_prefix(const struct in6_addr *ip, const struct in6_addr *subnet, uint8_t prefix_len)
{
    unsigned bytes = prefix_len / 8, bits = prefix_len % 8;

    // ::/0 is all of IPv6, and not the IPv4 addresses that are written inside it.
    if (IN6_IS_ADDR_V4MAPPED(ip) != IN6_IS_ADDR_V4MAPPED(subnet))
        return false;
    if (memcmp(ip, subnet, bytes) != 0)
        return false;
    return bits == 0 || (ip->s6_addr[bytes] ^ subnet->s6_addr[bytes]) >> (8 - bits) == 0;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int mac_parse(const char *text, uint8_t mac[6])
{
    if (strnlen(text, 18) != 17)
        return -EINVAL;
    for (int i = 0; i < 6; i++, text += 3) {
        int high = hex_digit(text[0]), low = hex_digit(text[1]);

        if (high < 0 || low < 0 || text[2] != (i < 5 ? ':' : '\0'))
            return -EINVAL;
        mac[i] = high << 4 | low;
    }
    return 0;
}

char *mac_format(const uint8_t mac[6], char buf[ADDRESS_TEXT])
{
    snprintf(buf, ADDRESS_TEXT, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3],
             mac[4], mac[5]);
    return buf;
}

bool mac_is_unicast(const uint8_t mac[6])
{
    static const uint8_t zero[6];

    return !(mac[0] & 1) && memcmp(mac, zero, sizeof(zero)) != 0;
}
