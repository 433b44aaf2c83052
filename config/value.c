/* SPDX-License-Identifier: Apache-2.0 */
// Values of the node file: from text into the field, or what is wrong with it and what to do.
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "config/address.h"
#include "config/schema.h"

#define DIGITS "0123456789"

__attribute__((format(printf, 2, 3))) static bool refuse(char why[WHY_SIZE], const char *format,
                                                         ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, WHY_SIZE, format, args);
    va_end(args);
    return false;
}

static bool set_integer(const struct schema_key *key, void *field, const char *text,
                        char why[WHY_SIZE])
{
    size_t digits = strspn(text, DIGITS);
    const char *unit = key->unit ? key->unit : "", *space = key->unit ? " " : "";
    unsigned long long value;

    if (digits > 0 && text[digits] != '\0' && key->unit)
        return refuse(why, "is not a whole number; write the number alone, it means %s", unit);
    if (digits == 0 || text[digits] != '\0')
        return refuse(why, "is not a whole number; write one from %u to %u%s%s", key->min, key->max,
                      space, unit);
    // YAML 1.1 would read it as octal, people as decimal.
    if (digits > 1 && text[0] == '0')
        return refuse(why, "begins with 0; write it without");
    value = strtoull(text, NULL, 10); // too large a number gives the largest
    if (value < key->min || value > key->max)
        return refuse(why, "is out of range; write %u to %u%s%s", key->min, key->max, space, unit);
    *(unsigned *)field = value;
    return true;
}

static bool set_bool(const struct schema_key *key, void *field, const char *text,
                     char why[WHY_SIZE])
{
    bool yes = strcmp(text, "true") == 0;

    (void)key;
    if (!yes && strcmp(text, "false") != 0)
        return refuse(why, "is neither true nor false; write one of them");
    *(bool *)field = yes;
    return true;
}

// The number of the choice, or -1.
static int find_choice(const struct schema_key *key, const char *text, char why[WHY_SIZE])
{
    size_t n = strlen(text);
    const char *choice = key->choices;

    for (int i = 0; choice; i++) {
        size_t length = strcspn(choice, "|");

        if (length == n && strncmp(choice, text, n) == 0)
            return i;
        choice = choice[length] == '|' ? choice + length + 1 : NULL;
    }
    refuse(why, "is none of its values; write one of %s", key->choices);
    return -1;
}

static bool set_choice(const struct schema_key *key, void *field, const char *text,
                       char why[WHY_SIZE])
{
    int choice = find_choice(key, text, why);

    if (choice < 0)
        return false;
    *(unsigned *)field = choice; // an enum whose members are in the order of the choices
    return true;
}

static bool copy_text(const struct schema_key *key, void *field, const char *text,
                      char why[WHY_SIZE])
{
    if (text[0] == '\0')
        return refuse(why, "is empty; give it a value or delete the line");
    if (strlen(text) >= key->size)
        return refuse(why, "is too long; write at most %zu characters", key->size - 1);
    for (const char *c = text; *c; c++)
        if (*c <= ' ' || *c > '~')
            return refuse(why, "has a character other than printable ASCII without spaces; "
                               "write it without");
    strcpy(field, text);
    return true;
}

static bool set_word(const struct schema_key *key, void *field, const char *text,
                     char why[WHY_SIZE])
{
    return find_choice(key, text, why) >= 0 && copy_text(key, field, text, why);
}

// What Linux takes as a netdev's name (dev_valid_name()).
static bool set_netdev(const struct schema_key *key, void *field, const char *text,
                       char why[WHY_SIZE])
{
    if (strpbrk(text, "/:") || strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
        return refuse(why, "cannot be a netdev's name; write one that `ip link` shows");
    return copy_text(key, field, text, why);
}

static bool set_devargs(const struct schema_key *key, void *field, const char *text,
                        char why[WHY_SIZE])
{
    size_t name = strcspn(text, ",");

    if (name == 0 && text[0] != '\0')
        return refuse(why, "names no device; write it before the first comma");
    if (name >= sizeof(((struct config_device *)0)->name))
        return refuse(why,
                      "has too long a device name; write at most %zu characters before the "
                      "first comma",
                      sizeof(((struct config_device *)0)->name) - 1);
    return copy_text(key, field, text, why);
}

static bool set_path(const struct schema_key *key, void *field, const char *text,
                     char why[WHY_SIZE])
{
    if (text[0] != '/' && text[0] != '\0')
        return refuse(why, "does not begin with /; write the whole path");
    if (text[0] != '\0' && text[strlen(text) - 1] == '/')
        return refuse(why, "is a folder; write a file's path");
    return copy_text(key, field, text, why);
}

// "PORT" or "PORT" with what follows a colon.
static bool begins_with_port(const char *text)
{
    size_t digits = strspn(text, DIGITS);

    return digits > 0 && digits <= 5 && (text[digits] == '\0' || text[digits] == ':') &&
           atoi(text) > 0 && atoi(text) <= UINT16_MAX;
}

// The text behind either of two prefixes, NULL if it has none.
static const char *after(const char *text, const char *one, const char *other)
{
    if (strncmp(text, one, strlen(one)) == 0)
        return text + strlen(one);
    return strncmp(text, other, strlen(other)) == 0 ? text + strlen(other) : NULL;
}

static bool set_listener(const struct schema_key *key, void *field, const char *text,
                         char why[WHY_SIZE])
{
    const char *rest = after(text, "ptcp:", "pssl:");

    if (!rest || !begins_with_port(rest))
        return refuse(why, "is nothing to listen at; write it like ptcp:6653 or "
                           "pssl:6653:10.1.0.10");
    return copy_text(key, field, text, why);
}

static bool set_controller(const struct schema_key *key, void *field, const char *text,
                           char why[WHY_SIZE])
{
    const char *host = after(text, "tcp:", "ssl:"), *port;

    if (host && host[0] == '[') // an IPv6 address
        port = strstr(host, "]:") ? strstr(host, "]:") + 2 : NULL;
    else
        port = host && strchr(host, ':') ? strchr(host, ':') + 1 : NULL;
    if (!host || host[0] == ':' || !port || !begins_with_port(port) || strchr(port, ':'))
        return refuse(why, "is no controller; write it like tcp:10.1.0.20:6653 or "
                           "ssl:[fd00:1::20]:6653");
    return copy_text(key, field, text, why);
}

static bool set_mac(const struct schema_key *key, void *field, const char *text, char why[WHY_SIZE])
{
    uint8_t mac[6];

    (void)key;
    if (mac_parse(text, mac) < 0)
        return refuse(why, "is not a MAC address; write it like 02:00:5e:00:53:01");
    if (!mac_is_unicast(mac))
        return refuse(why, "is zero or a multicast MAC; write one a station can have, like "
                           "02:00:5e:00:53:01");
    memcpy(field, mac, sizeof(mac));
    return true;
}

// Can a station that is reached over a router have it?
static bool is_routable(const struct in6_addr *ip)
{
    if (IN6_IS_ADDR_V4MAPPED(ip)) {
        const uint8_t *ip4 = &ip->s6_addr[12];

        // This network, loopback, link-local, multicast and reserved (RFC 6890).
        return ip4[0] != 0 && ip4[0] != 127 && ip4[0] < 224 && !(ip4[0] == 169 && ip4[1] == 254);
    }
    return !IN6_IS_ADDR_UNSPECIFIED(ip) && !IN6_IS_ADDR_LOOPBACK(ip) &&
           !IN6_IS_ADDR_LINKLOCAL(ip) && !IN6_IS_ADDR_MULTICAST(ip);
}

static bool set_address(const struct schema_key *key, void *field, const char *text,
                        char why[WHY_SIZE])
{
    struct in6_addr ip;

    (void)key;
    if (address_parse(text, &ip) < 0)
        return refuse(why, "is not an IP address; write it like 10.1.10.1 or fd00:1::1, with no "
                           "prefix length");
    if (!is_routable(&ip))
        return refuse(why, "is a multicast, loopback, link-local or reserved address; write a "
                           "routed unicast one");
    *(struct in6_addr *)field = ip;
    return true;
}

// false: it has bits behind the prefix length; *network is without them.
static bool mask_prefix(const struct in6_addr *ip, uint8_t prefix_len, struct in6_addr *network)
{
    *network = in6addr_any;
    for (unsigned bit = 0; bit < prefix_len; bit++)
        network->s6_addr[bit / 8] |= ip->s6_addr[bit / 8] & (0x80 >> bit % 8);
    return memcmp(ip, network, sizeof(*ip)) == 0;
}

static bool set_prefix(const struct schema_key *key, void *field, const char *text,
                       char why[WHY_SIZE])
{
    struct config_prefix *prefix = field;
    struct in6_addr ip;
    char buf[ADDRESS_TEXT];

    (void)key;
    if (address_parse_prefix(text, &ip, &prefix->prefix_len) < 0)
        return refuse(why, "is no prefix; write it like 10.1.10.0/24, 10.1.10.5/32 or fd00:1::/64");
    if (!mask_prefix(&ip, prefix->prefix_len, &prefix->subnet))
        return refuse(why, "has host bits set; write %s",
                      address_format_prefix(&prefix->subnet, prefix->prefix_len, buf));
    return true;
}

static bool set_subnet(const struct schema_key *key, void *field, const char *text,
                       char why[WHY_SIZE])
{
    struct config_range *range = (void *)((char *)field - offsetof(struct config_range, subnet));
    struct in6_addr ip, network;
    uint8_t prefix_len, min;
    char buf[ADDRESS_TEXT];

    (void)key;
    if (address_parse_prefix(text, &ip, &prefix_len) < 0)
        return refuse(why, "is not a subnet; write it like 10.1.10.0/24 or fd00:1::/64");
    min = IN6_IS_ADDR_V4MAPPED(&ip) ? 96 + 8 : 16;
    if (prefix_len < min || prefix_len > 127)
        return refuse(why, "is no size for a range; write a prefix length of %s",
                      min == 16 ? "16 to 127" : "8 to 31");
    if (!mask_prefix(&ip, prefix_len, &network))
        return refuse(why, "has host bits set; write %s",
                      address_format_prefix(&network, prefix_len, buf));
    if (!is_routable(&network))
        return refuse(why, "is multicast, loopback, link-local or reserved; write a routed unicast "
                           "subnet");
    range->subnet = network;
    range->prefix_len = prefix_len;
    return true;
}

const struct value_type value_integer = {"integer", true, set_integer};
const struct value_type value_bool = {"`true` or `false`", true, set_bool};
const struct value_type value_choice = {NULL, false, set_choice};
const struct value_type value_word = {NULL, false, set_word};
const struct value_type value_netdev = {"netdev name", false, set_netdev};
const struct value_type value_devargs = {"DPDK device", false, set_devargs};
const struct value_type value_name = {"name", false, copy_text};
const struct value_type value_path = {"absolute path", false, set_path};
const struct value_type value_mac = {"MAC address", false, set_mac};
const struct value_type value_address = {"IP address", false, set_address};
const struct value_type value_subnet = {"subnet", false, set_subnet};
const struct value_type value_prefix = {"prefix", false, set_prefix};
const struct value_type value_listener = {"`ptcp:PORT[:ADDRESS]` or `pssl:...`", false,
                                          set_listener};
const struct value_type value_controller = {"`tcp:ADDRESS:PORT` or `ssl:...`", false,
                                            set_controller};
