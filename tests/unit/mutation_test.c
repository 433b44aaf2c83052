/* SPDX-License-Identifier: Apache-2.0 */
// Random, truncated and mutated frames into an uplink and a pod. Whatever comes: no crash (run it
// under ASan and UBSan), the sum rule holds exactly, and nothing leaves that claims to be somebody
// else.
//
// SLUICE_FRAMES: how many (default 1,000,000). SLUICE_SEED: of the random numbers (default: of the
// time; printed). SLUICE_WORKERS: 1 or 2 (default 1); two hand frames to each other, as a ring has
// one queue.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/frame.h"
#include "tests/unit/may_leave.h"
#include "tests/unit/random.h"

static const char A4[] = "10.1.10.5", B4[] = "10.1.11.6", WORLD4[] = "192.0.2.7";
static const char A6[] = "fd00:10::5", B6[] = "fd00:11::6", WORLD6[] = "2001:db8::7";

// A sound frame of one of the kinds that the dataplane takes apart.
static void base_frame(struct frame *f, bool from_pod)
{
    const struct rte_ether_addr *src = from_pod ? &POD_A_MAC : &GATEWAY_MAC;
    const struct rte_ether_addr *dst = from_pod ? &ROUTER_MAC : &NODE_MAC;
    const char *from4 = from_pod ? A4 : WORLD4, *from6 = from_pod ? A6 : WORLD6;
    const char *to4 = random_below(2) ? B4 : from_pod ? WORLD4 : A4;
    const char *to6 = random_below(2) ? B6 : from_pod ? WORLD6 : A6;
    unsigned payload = random_below(8) ? random_below(64) : random_below(1460);

    switch (random_below(8)) {
    case 0:
    case 1:
        frame_udp4(f, src, dst, from4, to4, payload);
        break;
    case 2:
        frame_udp6(f, src, dst, from6, to6, RTE_MIN(payload, 1440u));
        break;
    case 3:
        frame_arp(f, random_below(2) ? RTE_ARP_OP_REQUEST : RTE_ARP_OP_REPLY, src,
                  from_pod ? A4 : "10.1.10.1", from_pod ? "10.1.10.1" : A4);
        break;
    case 4:
        frame_nd(f, (uint8_t)(133 + random_below(5)), src, from_pod ? A6 : "fd00:10::1",
                 from_pod ? "fd00:10::1" : A6, src);
        break;
    case 5: // a fragment, an expired one, one with options
        frame_udp4(f, src, dst, from4, to4, RTE_MAX(payload, 40u));
        f->v4.ip.fragment_offset = rte_cpu_to_be_16((uint16_t)random_below(65536));
        f->v4.ip.time_to_live = (uint8_t)random_below(3);
        if (random_below(2))
            f->v4.ip.version_ihl = (uint8_t)(0x45 + random_below(11));
        break;
    case 6: // extension headers
        frame_udp6(f, src, dst, from6, to6, RTE_MAX(payload, 64u) % 1400);
        f->v6.ip.proto = (uint8_t[]){0, 43, 44, 60, 58}[random_below(5)];
        f->bytes[54] = (uint8_t[]){0, 43, 44, 60, 58, 17}[random_below(6)];
        f->bytes[55] = (uint8_t)random_below(4);
        break;
    default: // the ICMP of others
        frame_udp4(f, src, dst, from4, to4, RTE_MAX(payload, 32u));
        f->v4.ip.next_proto_id = IPPROTO_ICMP;
        f->v4.icmp.type = (uint8_t)random_below(20);
    }
}

static void mutate(struct frame *f)
{
    static const uint8_t extremes[] = {0, 1, 0x7f, 0x80, 0xff};
    bool repair = random_below(2);

    for (unsigned n = random_below(4); n--;) {
        unsigned at = random_below((uint32_t)f->len),
                 near = random_below((uint32_t)RTE_MIN(f->len, 60u));

        switch (random_below(6)) {
        case 0:
            f->bytes[near] ^= (uint8_t)(1 << random_below(8));
            break;
        case 1:
            f->bytes[near] = extremes[random_below(sizeof extremes)];
            break;
        case 2:
            f->bytes[at] = (uint8_t)random_below(256);
            break;
        case 3:
            f->len = 1 + at;
            break;
        case 4:
            f->len = RTE_MIN(f->len + random_below(400), 1514u);
            break;
        default: // nothing sound about it at all
            for (unsigned i = random_below(64); i < f->len; i++)
                f->bytes[i] = (uint8_t)random_below(256);
        }
    }
    if (repair && f->eth.ether_type == RTE_BE16(RTE_ETHER_TYPE_IPV4) && f->len >= 34) {
        unsigned ihl = (f->v4.ip.version_ihl & 15) * 4u;

        f->v4.ip.hdr_checksum = 0;
        if (14 + ihl <= f->len)
            f->v4.ip.hdr_checksum = (uint16_t)~rte_raw_cksum(&f->v4.ip, ihl);
    }
}

static unsigned long n_left;

static void check_what_left(void)
{
    struct dp_punt punt;
    struct frame f;

    for (uint16_t port = 1; port <= NODE_PORTS; port++) {
        while (frame_recv(port, &f)) {
            n_left++;
            if (frame_may_leave(port, &f))
                continue;
            for (unsigned i = 0; i < RTE_MIN(f.len, 96u); i++)
                print_error("%02x%s", f.bytes[i], i % 16 == 15 ? "\n" : " ");
            fail_msg("this must not have left by port %u", port);
        }
    }
    while (dp_punt_recv(&punt, 1))
        ;
}

static void survives_hostile_frames(void **state)
{
    const char *frames = getenv("SLUICE_FRAMES");
    unsigned long n = frames ? strtoul(frames, NULL, 10) : 1000000;
    struct frame f;

    (void)state;
    random_begin();
    print_message("# %lu frames\n", n);
    random_state = random_state * 0x9e3779b97f4a7c15 + 1;
    for (unsigned long i = 0; i < n; i++) {
        bool from_pod = random_below(2);

        base_frame(&f, from_pod);
        mutate(&f);
        frame_send(from_pod ? POD_A : UPLINK0, &f);
        if (i % 512 == 511) {
            node_settle();
            check_what_left();
        }
    }
    node_settle();
    check_what_left();
    // Else the test would have tested only the dropping.
    print_message("# %lu frames left\n", n_left);
    assert_true(n_left > n / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_hostile_frames),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
