/* SPDX-License-Identifier: Apache-2.0 */
// The control thread's ARP and ND frames, byte by byte, and what it takes as an answer.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/address.h"
#include "control/frames.h"

static const struct rte_ether_addr node = {{0x02, 0, 0, 0, 0, 0x11}};

static struct in6_addr ip(const char *text)
{
    struct in6_addr out;

    assert_int_equal(address_parse(text, &out), 0);
    return out;
}

static void test_arp_request(void **state)
{
    static const uint8_t expected[] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0,  0, 0, 0x11, 0x08, 0x06, // Ethernet
        0,    1,    0x08, 0,    6,    4,    0,    1,                             // a request
        0x02, 0,    0,    0,    0,    0x11, 10,   1, 10, 5, 0, 0,    0,    0,    0, 0, 10, 1, 10, 1,
    };
    struct in6_addr sender = ip("10.1.10.5"), target = ip("10.1.10.1");
    uint8_t frame[FRAME_SIZE];

    (void)state;
    assert_int_equal(frame_solicit(frame, &node, &sender, &target), sizeof(expected));
    assert_memory_equal(frame, expected, sizeof(expected));
    // Without a pod: an ARP probe, whose sender is 0.0.0.0.
    assert_int_equal(frame_solicit(frame, &node, NULL, &target), sizeof(expected));
    assert_memory_equal(frame + 28, "\0\0\0\0", 4);
}

static void test_arp_announcement(void **state)
{
    struct in6_addr address = ip("10.1.10.5");
    uint8_t frame[FRAME_SIZE];

    (void)state;
    assert_int_equal(frame_announce(frame, &node, &address), 42);
    assert_memory_equal(frame, "\xff\xff\xff\xff\xff\xff", 6);
    assert_memory_equal(frame + 20, "\0\1", 2); // RFC 5227 section 3: a request
    assert_memory_equal(frame + 22, &node, 6);
    assert_memory_equal(frame + 28, "\x0a\x01\x0a\x05", 4);
    assert_memory_equal(frame + 38, "\x0a\x01\x0a\x05", 4);
}

// The sum over the pseudo header and the message, checksum included, of a good one is 0xffff.
static uint16_t icmp6_sum(const uint8_t *ip6, size_t payload)
{
    uint32_t sum = IPPROTO_ICMPV6 + payload;

    for (size_t i = 8; i < 40 + payload; i += 2)
        sum += ip6[i] << 8 | ip6[i + 1];
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return sum;
}

static void test_neighbour_solicitation(void **state)
{
    struct in6_addr sender = ip("fd00:10:1:10::5"), target = ip("fd00:10:1:10::1");
    struct in6_addr group = ip("ff02::1:ff00:1"), link_local = ip("fe80::ff:fe00:11");
    uint8_t frame[FRAME_SIZE];

    (void)state;
    assert_int_equal(frame_solicit(frame, &node, &sender, &target), 14 + 40 + 32);
    assert_memory_equal(frame, "\x33\x33\xff\x00\x00\x01", 6);
    assert_memory_equal(frame + 6, &node, 6);
    assert_int_equal(frame[14 + 7], 255);
    assert_memory_equal(frame + 14 + 8, &sender, 16);
    assert_memory_equal(frame + 14 + 24, &group, 16);
    assert_int_equal(frame[54], 135);
    assert_memory_equal(frame + 62, &target, 16);
    assert_memory_equal(frame + 78, "\1\1\x02\0\0\0\0\x11", 8); // source link-layer address
    assert_int_equal(icmp6_sum(frame + 14, 32), 0xffff);
    // Without a pod: from the address that belongs to the MAC (RFC 4291 appendix A).
    frame_solicit(frame, &node, NULL, &target);
    assert_memory_equal(frame + 14 + 8, &link_local, 16);
}

static void test_unsolicited_advertisement(void **state)
{
    struct in6_addr address = ip("fd00:10:1:10::5"), all = ip("ff02::1");
    uint8_t frame[FRAME_SIZE];

    (void)state;
    assert_int_equal(frame_announce(frame, &node, &address), 14 + 40 + 32);
    assert_memory_equal(frame, "\x33\x33\x00\x00\x00\x01", 6);
    assert_memory_equal(frame + 14 + 24, &all, 16);
    assert_int_equal(frame[54], 136);
    assert_int_equal(frame[58], 0x20); // override, neither router nor solicited
    assert_memory_equal(frame + 62, &address, 16);
    assert_memory_equal(frame + 78, "\2\1\x02\0\0\0\0\x11", 8);
    assert_int_equal(icmp6_sum(frame + 14, 32), 0xffff);
}

static const uint8_t arp_reply[] = {
    0x02, 0,    0, 0,    0, 0x11, 0x02, 0,  0x5e, 0,  1, 1,    0x08, 0x06, 0, 1, 0x08, 0,  6, 4,  0,
    2,    0x02, 0, 0x5e, 0, 1,    1,    10, 1,    10, 1, 0x02, 0,    0,    0, 0, 0x11, 10, 1, 10, 5,
};

static void test_arp_reply_is_read(void **state)
{
    static const uint8_t gateway[] = {0x02, 0, 0x5e, 0, 1, 1};
    struct in6_addr address = ip("10.1.10.1");
    struct neighbour_answer answer;
    uint8_t frame[sizeof(arp_reply)];

    (void)state;
    assert_true(frame_read_answer(arp_reply, sizeof(arp_reply), &answer));
    assert_memory_equal(&answer.address, &address, 16);
    assert_memory_equal(&answer.mac, gateway, 6);
    assert_true(answer.solicited);
    for (size_t len = 0; len < sizeof(arp_reply); len++)
        assert_false(frame_read_answer(arp_reply, len, &answer));

    memcpy(frame, arp_reply, sizeof(frame));
    memset(frame, 0xff, 6); // to all: gratuitous
    assert_true(frame_read_answer(frame, sizeof(frame), &answer));
    assert_false(answer.solicited);
    frame[22] = 0x01; // from a multicast MAC
    assert_false(frame_read_answer(frame, sizeof(frame), &answer));
    memcpy(frame, arp_reply, sizeof(frame));
    frame[21] = 1; // a request
    assert_false(frame_read_answer(frame, sizeof(frame), &answer));
}

static void test_advertisement_is_read(void **state)
{
    struct in6_addr address = ip("fd00:10:1:10::5");
    struct neighbour_answer answer;
    uint8_t frame[FRAME_SIZE];
    size_t len = frame_announce(frame, &node, &address);

    (void)state;
    assert_true(frame_read_answer(frame, len, &answer));
    assert_memory_equal(&answer.address, &address, 16);
    assert_memory_equal(&answer.mac, &node, 6);
    assert_false(answer.solicited);
    for (size_t cut = 0; cut < len; cut++)
        assert_false(frame_read_answer(frame, cut, &answer));
    frame[79] = 0; // an option of length 0 must not be looked at for ever
    frame[78] = 9;
    assert_false(frame_read_answer(frame, len, &answer));
    frame_solicit(frame, &node, NULL, &address);
    assert_false(frame_read_answer(frame, len, &answer));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arp_request),
        cmocka_unit_test(test_arp_announcement),
        cmocka_unit_test(test_neighbour_solicitation),
        cmocka_unit_test(test_unsolicited_advertisement),
        cmocka_unit_test(test_arp_reply_is_read),
        cmocka_unit_test(test_advertisement_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
