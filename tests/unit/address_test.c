/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "config/address.h"

static void addresses_round_trip(void **state)
{
    static const char *const texts[] = {"10.1.10.5", "0.0.0.0", "255.255.255.255",
                                        "fd00::5",   "::",      "ffff:ffff::ffff"};
    struct in6_addr ip;
    char buf[ADDRESS_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_int_equal(address_parse(texts[i], &ip), 0);
        assert_string_equal(address_format(&ip, buf), texts[i]);
    }
}

static void ipv4_is_mapped(void **state)
{
    static const uint8_t mapped[16] = {[10] = 0xff, 0xff, 10, 1, 10, 5};
    struct in6_addr ip;

    (void)state;
    memset(&ip, 0xaa, sizeof(ip));
    assert_int_equal(address_parse("10.1.10.5", &ip), 0);
    assert_memory_equal(&ip, mapped, sizeof(mapped));
}

static void what_is_no_address_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "10.1.10",
                                        "10.1.10.256",
                                        "10.1.10.5 ",
                                        " 10.1.10.5",
                                        "10.1.10.5/24",
                                        "010.1.1.1",
                                        "0x0a.1.1.1",
                                        "::ffff:1.2.3.4",
                                        "::FFFF:102:304",
                                        "fe80::1%eth0",
                                        "fd00:::5",
                                        "1:2:3:4:5:6:7:8:9",
                                        "localhost"};
    struct in6_addr ip;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (address_parse(texts[i], &ip) != -EINVAL)
            fail_msg("taken for an address: '%s'", texts[i]);
}

static void prefixes_round_trip(void **state)
{
    static const struct {
        const char *text;
        uint8_t prefix_len;
    } cases[] = {{"10.1.10.0/24", 120}, {"0.0.0.0/0", 96},  {"10.1.10.5/32", 128},
                 {"fd00::/64", 64},     {"::/0", 0},        {"fd00::5/128", 128},
                 {"10.1.10.7/24", 120}, {"2001:db8::/7", 7}};
    struct in6_addr ip;
    uint8_t prefix_len;
    char buf[ADDRESS_TEXT];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(address_parse_prefix(cases[i].text, &ip, &prefix_len), 0);
        assert_int_equal(prefix_len, cases[i].prefix_len);
        assert_string_equal(address_format_prefix(&ip, prefix_len, buf), cases[i].text);
    }
}

static void what_is_no_prefix_is_refused(void **state)
{
    static const char *const texts[] = {"10.1.10.0",       "10.1.10.0/",          "10.1.10.0/33",
                                        "10.1.10.0/-1",    "10.1.10.0/024",       "10.1.10.0/ 24",
                                        "10.1.10.0/2x",    "fd00::/129",          "/24",
                                        "10.1.10.0/24/24", "fd00::/0064",         "fd00::/+64",
                                        "::ffff:0:0/96",   "10.1.10.0/4294967320"};
    struct in6_addr ip;
    uint8_t prefix_len;

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (address_parse_prefix(texts[i], &ip, &prefix_len) != -EINVAL)
            fail_msg("taken for a prefix: '%s'", texts[i]);
}

static void longest_texts_fit(void **state)
{
    struct in6_addr ip;
    uint8_t prefix_len;
    char buf[ADDRESS_TEXT];

    (void)state;
    assert_int_equal(
        address_parse_prefix("1111:2222:3333:4444:5555:6666:7777:8888/128", &ip, &prefix_len), 0);
    assert_string_equal(address_format_prefix(&ip, prefix_len, buf),
                        "1111:2222:3333:4444:5555:6666:7777:8888/128");
}

static void membership_goes_by_bits_and_family(void **state)
{
    static const struct {
        const char *ip, *prefix;
        bool in;
    } cases[] = {
        {"10.1.10.5", "10.1.10.0/24", true},
        {"10.1.11.5", "10.1.10.0/24", false},
        {"10.1.11.5", "10.1.10.0/23", true},
        {"10.1.10.5", "10.1.10.5/32", true},
        {"10.1.10.4", "10.1.10.5/32", false},
        {"192.0.2.1", "0.0.0.0/0", true},
        {"10.1.10.129", "10.1.10.128/25", true},
        {"10.1.10.127", "10.1.10.128/25", false},
        {"fd00::5", "fd00::/64", true},
        {"fd00:0:0:1::5", "fd00::/64", false},
        {"fd00::5", "::/0", true},
        {"10.1.10.5", "::/0", false},
        {"fd00::5", "0.0.0.0/0", false},
        {"10.1.10.5", "10.1.10.7/24", true},
    };
    struct in6_addr ip, subnet;
    uint8_t prefix_len;

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(address_parse(cases[i].ip, &ip), 0);
        assert_int_equal(address_parse_prefix(cases[i].prefix, &subnet, &prefix_len), 0);
        if (address_in_prefix(&ip, &subnet, prefix_len) != cases[i].in)
            fail_msg("%s in %s: not %d", cases[i].ip, cases[i].prefix, cases[i].in);
    }
}

static void macs_round_trip(void **state)
{
    static const uint8_t bytes[6] = {0x02, 0x00, 0x5e, 0x00, 0x53, 0xab};
    uint8_t mac[6];
    char buf[ADDRESS_TEXT];

    (void)state;
    assert_int_equal(mac_parse("02:00:5e:00:53:aB", mac), 0);
    assert_memory_equal(mac, bytes, sizeof(bytes));
    assert_string_equal(mac_format(mac, buf), "02:00:5e:00:53:ab");
}

static void what_is_no_mac_is_refused(void **state)
{
    static const char *const texts[] = {"",
                                        "02:00:5e:00:53",
                                        "02:00:5e:00:53:",
                                        "02:00:5e:00:53:1",
                                        "02:00:5e:00:53:01:",
                                        "02:00:5e:00:53:0g",
                                        "02-00-5e-00-53-01",
                                        "0:200:5e:00:53:01",
                                        " 2:00:5e:00:53:01",
                                        "02:00:5e:00:53:011"};
    uint8_t mac[6];

    (void)state;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (mac_parse(texts[i], mac) != -EINVAL)
            fail_msg("taken for a MAC: '%s'", texts[i]);
}

static void stations_have_unicast_macs(void **state)
{
    (void)state;
    assert_true(mac_is_unicast((uint8_t[6]){0x02, 0, 0, 0, 0, 1}));
    assert_false(mac_is_unicast((uint8_t[6]){0x01, 0, 0x5e, 0, 0, 1}));
    assert_false(mac_is_unicast((uint8_t[6]){0xff, 0xff, 0xff, 0xff, 0xff, 0xff}));
    assert_false(mac_is_unicast((uint8_t[6]){0}));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_round_trip),
        cmocka_unit_test(ipv4_is_mapped),
        cmocka_unit_test(what_is_no_address_is_refused),
        cmocka_unit_test(prefixes_round_trip),
        cmocka_unit_test(what_is_no_prefix_is_refused),
        cmocka_unit_test(longest_texts_fit),
        cmocka_unit_test(membership_goes_by_bits_and_family),
        cmocka_unit_test(macs_round_trip),
        cmocka_unit_test(what_is_no_mac_is_refused),
        cmocka_unit_test(stations_have_unicast_macs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
