/* SPDX-License-Identifier: Apache-2.0 */
// Ranges: items with a `last`, in net_esw's own manners and in those that it takes on from mlx5.
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <rte_eal.h>

#include "tests/unit/esw_templates.h"

#define FRAGMENT RTE_BE16(0x3fff) // more fragments, and the offset

static int setup(void **state)
{
    (void)state;
    return rig_open_started("");
}

static int setup_queues(void **state)
{
    (void)state;
    return rig_open_for_templates("");
}

static int setup_sws(void **state)
{
    (void)state;
    return rig_open_started(",mode=mlx5-sws");
}

static int setup_hws(void **state)
{
    (void)state;
    return rig_open_for_templates(",mode=mlx5-hws");
}

// A rule that sends what the item matches to VF1.
struct ranged {
    struct rte_flow_item items[4];
    struct rte_flow_item_ipv4 spec, last, mask;
    struct rte_flow_item_udp l4_spec, l4_last, l4_mask;
};

static void ranged_fill(struct ranged *r)
{
    *r = (struct ranged){.items = {{.type = RTE_FLOW_ITEM_TYPE_ETH},
                                   {.type = RTE_FLOW_ITEM_TYPE_IPV4},
                                   {.type = RTE_FLOW_ITEM_TYPE_VOID},
                                   {.type = RTE_FLOW_ITEM_TYPE_END}}};
    r->items[1].spec = &r->spec;
    r->items[1].last = &r->last;
    r->items[1].mask = &r->mask;
}

static void ranged_fill_udp(struct ranged *r)
{
    ranged_fill(r);
    r->items[1] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_IPV4};
    r->items[2] = (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_UDP,
                                         .spec = &r->l4_spec,
                                         .last = &r->l4_last,
                                         .mask = &r->l4_mask};
}

static struct rte_flow *create(const struct rte_flow_item *items, struct rte_flow_error *error)
{
    const struct rte_flow_attr attr = {.transfer = 1};
    const struct rte_flow_action_ethdev to = {.port_id = ethdev[VF1]};
    const struct rte_flow_action actions[] = {{RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT, &to},
                                              {RTE_FLOW_ACTION_TYPE_END, NULL}};

    return rte_flow_create(ethdev[WIRE], &attr, items, actions, error);
}

static struct rte_flow *made(const struct ranged *r)
{
    struct rte_flow_error error = {.message = "?"};
    struct rte_flow *flow = create(r->items, &error);

    if (!flow)
        fail_msg("%s", error.message);
    return flow;
}

static void destroy(struct rte_flow *flow)
{
    struct rte_flow_error error;

    assert_int_equal(rte_flow_destroy(ethdev[WIRE], flow, &error), 0);
}

static void expect_refused(const struct ranged *r, int err, const char *words)
{
    struct rte_flow_error error = {.message = ""};

    assert_null(create(r->items, &error));
    assert_int_equal(rte_errno, err);
    if (!strstr(error.message, words))
        fail_msg("\"%s\" is not in \"%s\"", words, error.message);
}

static void expect_hit(struct frame *frame, bool hit)
{
    frame->ip.hdr_checksum = 0;
    frame->ip.hdr_checksum = rte_ipv4_cksum(&frame->ip);
    inject(VF0, frame, sizeof(*frame));
    expect_same(hit ? VF1 : VF0, !hit, frame);
}

static void expect_ttl(uint8_t ttl, bool hit)
{
    struct frame frame = udp(1, 2, ttl, 53);

    expect_hit(&frame, hit);
}

static void expect_port(uint16_t port, bool hit)
{
    struct frame frame = udp(1, 2, 64, port);

    expect_hit(&frame, hit);
}

static void expect_fragment_offset(uint16_t value, bool hit)
{
    struct frame frame = udp(1, 2, 64, 53);

    frame.ip.fragment_offset = rte_cpu_to_be_16(value);
    expect_hit(&frame, hit);
}

// First, following and last fragments hit; what may be cut and is not, or may not, does not.
static void expect_all_fragments(void)
{
    expect_fragment_offset(0x2000, true);
    expect_fragment_offset(0x2001, true);
    expect_fragment_offset(0x3fff, true);
    expect_fragment_offset(0x0001, true);
    expect_fragment_offset(0x1fff, true);
    expect_fragment_offset(0xe000, true);
    expect_fragment_offset(0x0000, false);
    expect_fragment_offset(0x4000, false);
    expect_fragment_offset(0x8000, false);
}

static void fill_all_fragments(struct ranged *r)
{
    ranged_fill(r);
    r->spec.hdr.fragment_offset = RTE_BE16(1);
    r->last.hdr.fragment_offset = r->mask.hdr.fragment_offset = FRAGMENT;
}

static void test_all_fragments(void **state)
{
    struct ranged r;

    (void)state;
    fill_all_fragments(&r);
    made(&r);
    expect_all_fragments();
}

// The bounds belong to it, and are those after the mask.
static void test_bounds(void **state)
{
    struct ranged r;
    struct rte_flow *flow;

    (void)state;
    ranged_fill(&r);
    r.spec.hdr.time_to_live = 10;
    r.last.hdr.time_to_live = 20;
    r.mask.hdr.time_to_live = 0xff;
    flow = made(&r);
    expect_ttl(9, false);
    expect_ttl(10, true);
    expect_ttl(20, true);
    expect_ttl(21, false);
    destroy(flow);

    r.mask.hdr.time_to_live = 0x0f; // 10 to 4
    expect_refused(&r, ENOTSUP, "last is below its spec");
    r.last.hdr.time_to_live = 0xec; // 10 to 12
    made(&r);
    expect_ttl(0x2a, true);
    expect_ttl(0x3c, true);
    expect_ttl(0x3d, false);
    expect_ttl(0x29, false);
}

// As numbers, not as the bytes lie in memory; with other fields' values; two at once.
static void test_ports(void **state)
{
    struct ranged r;

    (void)state;
    ranged_fill_udp(&r);
    r.l4_spec.hdr.dst_port = RTE_BE16(0x01ff);
    r.l4_last.hdr.dst_port = RTE_BE16(0x0302);
    r.l4_mask.hdr.dst_port = UINT16_MAX;
    r.items[1].spec = &r.spec;
    r.items[1].last = &r.last;
    r.items[1].mask = &r.mask;
    r.spec.hdr.src_addr = RTE_BE32(1);
    r.mask.hdr.src_addr = UINT32_MAX;
    r.spec.hdr.time_to_live = 64;
    r.last.hdr.time_to_live = 65;
    r.mask.hdr.time_to_live = 0xff;
    made(&r);
    expect_port(0x01fe, false);
    expect_port(0x01ff, true);
    expect_port(0x0203, true);
    expect_port(0x0302, true);
    expect_port(0x0303, false);
    expect_ttl(63, false);
}

// A last of 0, or of what the spec is, makes no range.
static void test_no_range(void **state)
{
    struct ranged r;

    (void)state;
    ranged_fill(&r);
    r.spec.hdr.src_addr = RTE_BE32(1);
    r.mask.hdr.src_addr = UINT32_MAX;
    r.spec.hdr.time_to_live = r.last.hdr.time_to_live = 64;
    r.mask.hdr.time_to_live = 0xff;
    made(&r);
    expect_ttl(64, true);
    expect_ttl(65, false);
}

static void test_refusals(void **state)
{
    struct ranged r;
    struct rte_flow_item_eth eth = {.hdr.src_addr.addr_bytes[0] = 2}, eth_mask = eth;

    (void)state;
    ranged_fill(&r);
    r.last.hdr.dst_addr = r.mask.hdr.dst_addr = UINT32_MAX;
    expect_refused(&r, ENOTSUP, "ranges of ipv4.hdr.dst_addr");
    r.items[1].spec = r.items[1].mask = NULL;
    expect_refused(&r, EINVAL, "last without spec");

    ranged_fill(&r);
    memset(&eth_mask, 0xff, sizeof(eth_mask));
    r.items[0].spec = &r.items[3]; // zeros
    r.items[0].last = &eth;
    r.items[0].mask = &eth_mask;
    expect_refused(&r, ENOTSUP, "ranges of eth.hdr.src_addr");
}

// Rules with other ranges are others, and of those that a packet hits the priority decides.
static void test_rules_with_one_mask(void **state)
{
    struct ranged r;
    struct rte_flow *first, *second;

    (void)state;
    ranged_fill(&r);
    r.spec.hdr.time_to_live = 10;
    r.last.hdr.time_to_live = 20;
    r.mask.hdr.time_to_live = 0xff;
    first = made(&r);
    expect_refused(&r, EEXIST, "");
    r.last.hdr.time_to_live = 40;
    second = made(&r);
    destroy(first);
    expect_ttl(15, true);
    expect_ttl(30, true);
    destroy(second);
    expect_ttl(15, false);
}

static void test_dump(void **state)
{
    char dumped[1024] = "";
    FILE *file = fmemopen(dumped, sizeof(dumped) - 1, "w");
    struct rte_flow_error error;
    struct ranged r;

    (void)state;
    assert_non_null(file);
    fill_all_fragments(&r);
    assert_int_equal(rte_flow_dev_dump(ethdev[WIRE], made(&r), file, &error), 0);
    fclose(file);
    assert_non_null(strstr(dumped, " / ipv4 fragment_offset spec 1 fragment_offset last 16383 "
                                   "fragment_offset mask 16383 / end actions"));
}

// Templates have no values: a range would be one for all their rules, or for none.
static void test_not_in_templates(void **state)
{
    const struct rte_flow_pattern_template_attr attr = {.transfer = 1};
    struct rte_flow_error error;
    struct ranged r;

    (void)state;
    fill_all_fragments(&r);
    assert_null(rte_flow_pattern_template_create(ethdev[WIRE], &attr, r.items, &error));
    assert_int_equal(rte_errno, ENOTSUP);
    assert_int_equal(error.type, RTE_FLOW_ERROR_TYPE_ITEM_LAST);
}

// --- software steering ---

static void test_sws_takes_all_fragments(void **state)
{
    struct ranged r;

    (void)state;
    fill_all_fragments(&r);
    made(&r);
    expect_all_fragments();
}

// flow_dv_validate_item_ipv4
static void test_sws_takes_no_other_fragments(void **state)
{
    static const struct {
        uint16_t spec, last, mask;
        int err;
    } cases[] = {
        {0x0001, 0x3fff, 0x1fff, EINVAL},  // not all of the mask
        {0x2000, 0x2000, 0x2000, EINVAL},  // the same: more fragments
        {0x2000, 0x2000, 0x3fff, ENOTSUP}, // first ones
        {0x2001, 0x3fff, 0x3fff, ENOTSUP}, // following
        {0x0001, 0x1fff, 0x3fff, ENOTSUP}, // last
        {0x0001, 0x0001, 0x3fff, ENOTSUP}, // one
    };
    struct ranged r;

    (void)state;
    ranged_fill(&r);
    for (unsigned i = 0; i < RTE_DIM(cases); i++) {
        r.spec.hdr.fragment_offset = rte_cpu_to_be_16(cases[i].spec);
        r.last.hdr.fragment_offset = rte_cpu_to_be_16(cases[i].last);
        r.mask.hdr.fragment_offset = rte_cpu_to_be_16(cases[i].mask);
        expect_refused(&r, cases[i].err, "");
    }
    fill_all_fragments(&r);
    r.items[1].last = NULL;
    expect_refused(&r, ENOTSUP, "value");
}

// The NIC's one bit: a rule for no more fragments is one for no fragments.
static void test_sws_any_mask_is_of_all_fragments(void **state)
{
    struct ranged r;

    (void)state;
    ranged_fill(&r);
    r.mask.hdr.fragment_offset = RTE_BE16(RTE_IPV4_HDR_MF_FLAG);
    made(&r);
    expect_fragment_offset(0, true);
    expect_fragment_offset(0x4000, true);
    expect_fragment_offset(0x2000, false);
    expect_fragment_offset(0x0001, false);
}

// Other ranges: of IPv4 not looked at, of other items refused.
static void test_sws_other_ranges(void **state)
{
    struct ranged r;
    struct rte_flow *flow;

    (void)state;
    ranged_fill(&r);
    r.spec.hdr.time_to_live = 10;
    r.last.hdr.time_to_live = 20;
    r.mask.hdr.time_to_live = 0xff;
    flow = made(&r);
    expect_ttl(10, true);
    expect_ttl(11, false);
    destroy(flow);

    ranged_fill_udp(&r);
    r.l4_spec.hdr.dst_port = RTE_BE16(1);
    r.l4_last.hdr.dst_port = RTE_BE16(9);
    r.l4_mask.hdr.dst_port = UINT16_MAX;
    expect_refused(&r, EINVAL, "range");
    r.l4_last.hdr.dst_port = RTE_BE16(1);
    made(&r);
}

// mlx5_flow_validate_item_ipv6
static void test_sws_extension_headers(void **state)
{
    static const uint8_t headers[] = {0, 43, 44, 50, 51, 60};
    struct rte_flow_item_ipv6 spec = {0}, mask = {.hdr.proto = 0xff};
    struct ranged r;

    (void)state;
    ranged_fill(&r);
    r.items[1] =
        (struct rte_flow_item){.type = RTE_FLOW_ITEM_TYPE_IPV6, .spec = &spec, .mask = &mask};
    for (unsigned i = 0; i < RTE_DIM(headers); i++) {
        spec.hdr.proto = headers[i];
        expect_refused(&r, EINVAL, "extension header");
    }
    mask.hdr.proto = 0xfe;
    made(&r);
    spec = (struct rte_flow_item_ipv6){.has_frag_ext = 1};
    mask = spec;
    made(&r);
}

// --- hardware steering ---

// mlx5dr_definer_conv_item_ipv4: with this mask the value says only whether it is a fragment. What
// a last says nobody reads.
static void test_hws_all_fragments(void **state)
{
    struct rte_flow_item_ipv4 last = {.hdr.fragment_offset = RTE_BE16(2)};
    struct templated t;
    struct rte_flow *flow;

    (void)state;
    templated_fill(&t, 2, ethdev[VF1]);
    t.actions[1].type = t.masks[1].type = RTE_FLOW_ACTION_TYPE_VOID;
    t.actions[1].conf = t.masks[1].conf = NULL;
    t.ip.hdr.fragment_offset = RTE_BE16(1);
    t.ip_mask.hdr.fragment_offset = FRAGMENT;
    t.items[1].last = &last;
    assert_true(templated_make(&t, ethdev[WIRE], 4));
    flow = templated_install(&t, ethdev[WIRE]);
    expect_all_fragments();
    templated_destroy(ethdev[WIRE], flow);
    templated_free(&t, ethdev[WIRE]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IDEAL(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
#define SWS(name)   cmocka_unit_test_setup_teardown(name, setup_sws, rig_teardown)
#define HWS(name)   cmocka_unit_test_setup_teardown(name, setup_hws, rig_teardown)
        IDEAL(test_all_fragments),
        IDEAL(test_bounds),
        IDEAL(test_ports),
        IDEAL(test_no_range),
        IDEAL(test_refusals),
        IDEAL(test_rules_with_one_mask),
        IDEAL(test_dump),
        cmocka_unit_test_setup_teardown(test_not_in_templates, setup_queues, rig_teardown),
        SWS(test_sws_takes_all_fragments),
        SWS(test_sws_takes_no_other_fragments),
        SWS(test_sws_any_mask_is_of_all_fragments),
        SWS(test_sws_other_ranges),
        SWS(test_sws_extension_headers),
        HWS(test_hws_all_fragments),
#undef IDEAL
#undef SWS
#undef HWS
    };
    int failed;

    if (!rig_begin("esw_range_test"))
        return 0;
    failed = cmocka_run_group_tests_name("esw_range", tests, NULL, NULL);
    rte_eal_cleanup();
    return failed;
}
