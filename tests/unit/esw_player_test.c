/* SPDX-License-Identifier: Apache-2.0 */
// net_esw's wires and VFs as pcap files and generators.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>

#include "tests/unit/esw_control.h"
#include "tests/unit/esw_rig.h"

static char in_path[64], out_path[64], vf_prefix[64], vf_path[80];

static uint32_t order(uint32_t number, bool swapped)
{
    return swapped ? rte_bswap32(number) : number;
}

// A pcap file of two frames, to two addresses.
static void write_pcap(const char *path, bool swapped)
{
    uint32_t words[6] = {order(0xa1b2c3d4, swapped), 0, 0, 0, order(65535, swapped),
                         order(1, swapped)};
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    fwrite(words, sizeof(words), 1, file);
    for (uint32_t i = 0; i < 2; i++) {
        struct frame frame = udp(1, i, 64, 53);
        uint32_t record[4] = {0, 0, order(sizeof(frame), swapped), order(sizeof(frame), swapped)};

        fwrite(record, sizeof(record), 1, file);
        fwrite(&frame, sizeof(frame), 1, file);
    }
    fclose(file);
}

static void open_rig(const char *wire)
{
    char arguments[256];

    snprintf(arguments, sizeof(arguments), ",wire0=%s,vf=pcap:%s%s", wire, vf_prefix,
             control_argument("esw_player_test"));
    assert_int_equal(rig_open(arguments), 0);
    for (enum side side = VF0; side <= VF2; side++)
        assert_int_equal(rig_start(ethdev[side]), 0);
}

static void expect_frames(void)
{
    for (uint32_t i = 0; i < 2; i++) {
        struct frame frame = udp(1, i, 64, 53);

        expect_same(WIRE, true, &frame);
    }
}

// The last frame of a pcap file, of which there are n.
static struct frame last_frame(const char *path, unsigned n)
{
    FILE *file = fopen(path, "r");
    uint32_t header[6], record[4];
    struct frame frame;

    assert_non_null(file);
    assert_int_equal(fread(header, sizeof(header), 1, file), 1);
    assert_int_equal(header[0], 0xa1b2c3d4);
    while (n--) {
        assert_int_equal(fread(record, sizeof(record), 1, file), 1);
        assert_int_equal(record[2], sizeof(frame));
        assert_int_equal(record[3], sizeof(frame));
        assert_int_equal(fread(&frame, sizeof(frame), 1, file), 1);
    }
    assert_int_equal(fread(record, 1, 1, file), 0);
    fclose(file);
    return frame;
}

static void test_pcap(void **state)
{
    struct frame frame = udp(3, 4, 64, 53), got;
    char wire[160];

    (void)state;
    snprintf(wire, sizeof(wire), "pcap:%s+%s", in_path, out_path);
    for (int swapped = 0; swapped < 2; swapped++) {
        write_pcap(in_path, swapped);
        open_rig(wire);
        assert_int_equal(rig_start(ethdev[WIRE]), 0); // not before
        expect_frames();
        control("play=1");
        expect_frames();
        app_sends(WIRE, &frame, sizeof(frame));
        got = last_frame(out_path, 1);
        assert_memory_equal(&got, &frame, sizeof(frame));
        app_sends(VF0, &frame, sizeof(frame));
        got = last_frame(vf_path, 1);
        assert_memory_equal(&got, &frame, sizeof(frame));
        assert_int_equal(rig_close(), 0);
    }
}

static void test_generator(void **state)
{
    unsigned seen = 0, n = 0;

    (void)state;
    open_rig("gen:3");
    control("play=0");
    assert_int_equal(rig_start(ethdev[WIRE]), 0);
    usleep(10000);
    control("play=1");
    while (n < 100) {
        uint8_t data[2048];
        const struct rte_ipv4_hdr *ip = (void *)(data + 14);
        uint32_t flow;
        size_t length;
        bool to_app;

        assert_int_equal(outcome(&to_app, data, &length), WIRE);
        assert_int_equal(length, 60);
        assert_int_equal(rte_raw_cksum(ip, sizeof(*ip)), 0xffff);
        flow = rte_be_to_cpu_32(ip->dst_addr) - RTE_IPV4(198u, 19, 0, 1);
        assert_true(flow < 3);
        seen |= 1u << flow;
        n++;
    }
    assert_int_equal(seen, 7);
    assert_int_equal(rig_close(), 0);
}

static void test_refusals(void **state)
{
    static const char *const wires[] = {"gen:0", "gen:x", "gen:1000001", "pcap:/nonexistent"};
    char devargs[128];
    FILE *file = fopen(in_path, "w");

    (void)state;
    fputs("no pcap file, but long enough for its header", file);
    fclose(file);
    for (unsigned i = 0; i < RTE_DIM(wires); i++) {
        snprintf(devargs, sizeof(devargs), "wire0=%s", wires[i]);
        assert_int_not_equal(rte_eal_hotplug_add("vdev", "net_esw1", devargs), 0);
    }
    snprintf(devargs, sizeof(devargs), "wire0=pcap:%s", in_path);
    assert_int_not_equal(rte_eal_hotplug_add("vdev", "net_esw1", devargs), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pcap),
        cmocka_unit_test(test_generator),
        cmocka_unit_test(test_refusals),
    };
    int failed;

    snprintf(in_path, sizeof(in_path), "/tmp/esw_player_test.%d.in", (int)getpid());
    snprintf(out_path, sizeof(out_path), "/tmp/esw_player_test.%d.out", (int)getpid());
    snprintf(vf_prefix, sizeof(vf_prefix), "/tmp/esw_player_test.%d.vf", (int)getpid());
    if (!rig_begin("esw_player_test"))
        return 0;
    snprintf(vf_path, sizeof(vf_path), "%s0-out.pcap", vf_prefix);
    failed = cmocka_run_group_tests_name("esw_player", tests, NULL, NULL);
    rte_eal_cleanup();
    unlink(in_path);
    unlink(out_path);
    for (int vf = 0; vf < N_VFS; vf++) {
        snprintf(vf_path, sizeof(vf_path), "%s%d-out.pcap", vf_prefix, vf);
        unlink(vf_path);
    }
    return failed;
}
