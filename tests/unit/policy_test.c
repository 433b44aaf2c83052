/* SPDX-License-Identifier: Apache-2.0 */
// The policy stage with real workers: which rule's verdict a packet gets, and that changes of many
// rules are seen whole. After each test the sum rule must hold (node_settle).
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <time.h>

#include <cmocka.h>

#include "dataplane/policy.h"
#include "tests/unit/frame.h"

static const char A4[] = "10.1.10.5", B4[] = "10.1.11.6", WORLD4[] = "192.0.2.7";
static const char A6[] = "fd00:10::5", B6[] = "fd00:11::6";

// A rule of the operator's table that matches everything and has no actions yet.
static struct rule rule_at(unsigned table, uint16_t priority)
{
    return (struct rule){.table = RULE_TABLE_POLICY + table, .priority = priority, .cookie = 7};
}

static void match_type(struct rule *rule, uint16_t type)
{
    rule->match.spec.eth_type = rte_cpu_to_be_16(type);
    rule->match.mask.eth_type = 0xffff;
}

static void match_dst_port(struct rule *rule, uint16_t port)
{
    match_type(rule, RTE_ETHER_TYPE_IPV4);
    rule->match.spec.ip_proto = IPPROTO_UDP;
    rule->match.mask.ip_proto = 0xff;
    rule->match.spec.l4_dst = rte_cpu_to_be_16(port);
    rule->match.mask.l4_dst = 0xffff;
}

static void act(struct rule *rule, enum action_type type)
{
    rule_add_action(rule, (struct action){.type = type});
}

static void act_output(struct rule *rule, uint16_t port)
{
    rule_add_action(rule, (struct action){.type = ACTION_OUTPUT, .port = port});
}

static void act_goto(struct rule *rule, unsigned table)
{
    rule_add_action(rule, (struct action){.type = ACTION_GOTO_TABLE,
                                          .table = (uint8_t)(RULE_TABLE_POLICY + table)});
}

static uint32_t add(const struct rule *rule)
{
    char *error = NULL;
    uint32_t slot = UINT32_MAX;

    if (dp_policy_add(rule, &slot, &error))
        fail_msg("%s", error);
    return slot;
}

static uint32_t add_now(const struct rule *rule)
{
    uint32_t slot = add(rule);

    dp_policy_commit(true);
    return slot;
}

static void del_now(uint32_t slot)
{
    dp_policy_del(slot);
    dp_policy_commit(true);
}

static struct dp_policy_stats stats_of(uint32_t slot)
{
    struct dp_policy_stats stats;

    dp_policy_stats(slot, &stats);
    return stats;
}

// From pod A to pod B, to UDP port 5000.
static void frame_a_to_b(struct frame *f)
{
    frame_udp4(f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 20);
}

static void assert_dropped(uint16_t port, const struct frame *f, enum drop_reason reason)
{
    uint64_t before = node_drops(port, reason);

    frame_send(port, f);
    node_settle();
    if (node_drops(port, reason) != before + 1)
        fail_msg("not dropped as %s", drop_name(reason));
}

static void assert_delivered(uint16_t from, const struct frame *f, uint16_t to, struct frame *got)
{
    frame_send(from, f);
    node_settle();
    assert_true(frame_recv(to, got));
}

static void assert_nothing_left(void)
{
    struct frame f;

    node_settle();
    for (uint16_t port = 1; port <= NODE_PORTS; port++)
        if (frame_recv(port, &f))
            fail_msg("port %u sent a frame of %zu bytes", port, f.len);
}

static uint64_t total_drops(enum drop_reason reason)
{
    struct dp_totals totals;

    dp_totals(&totals);
    return totals.drops[reason];
}

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void drops_what_a_rule_says(void **state)
{
    struct rule rule = rule_at(0, 10);
    struct dp_policy_stats stats;
    struct frame f, got;
    uint64_t before = now_us();
    uint32_t slot;

    (void)state;
    match_dst_port(&rule, 5000);
    act(&rule, ACTION_DROP);
    slot = add_now(&rule);
    assert_int_equal(stats_of(slot).packets, 0);
    assert_int_equal(stats_of(slot).used_us, 0);

    frame_a_to_b(&f);
    assert_dropped(POD_A, &f, DROP_policy);
    stats = stats_of(slot);
    assert_int_equal(stats.packets, 1);
    assert_int_equal(stats.bytes, f.len);
    assert_in_range(stats.used_us, before - 1000, now_us() + 1000);

    f.v4.udp.dst_port = RTE_BE16(5001);
    assert_delivered(POD_A, &f, POD_B, &got);
    assert_int_equal(stats_of(slot).packets, 1);

    del_now(slot);
    frame_a_to_b(&f);
    assert_delivered(POD_A, &f, POD_B, &got);
    // The first thing that a new rule in its place sees is itself.
    slot = add_now(&rule);
    assert_int_equal(stats_of(slot).packets, 0);
    del_now(slot);
    assert_nothing_left();
}

static void higher_priority_wins(void **state)
{
    struct rule low = rule_at(0, 1), high = rule_at(0, 2);
    uint32_t slots[3];
    struct frame f, got;

    (void)state;
    act(&low, ACTION_DROP);
    match_dst_port(&high, 5000);
    act(&high, ACTION_NORMAL);
    slots[0] = add_now(&low);
    slots[1] = add_now(&high);
    frame_a_to_b(&f);
    assert_delivered(POD_A, &f, POD_B, &got);
    assert_int_equal(got.v4.ip.time_to_live, 63);
    f.v4.udp.dst_port = RTE_BE16(1);
    assert_dropped(POD_A, &f, DROP_policy);
    // Of two with the same priority that overlap, the older one.
    high.match.spec.l4_dst = high.match.mask.l4_dst = 0;
    high.priority = 1;
    slots[2] = add_now(&high);
    assert_dropped(POD_A, &f, DROP_policy);
    for (unsigned i = 0; i < 3; i++)
        del_now(slots[i]);
    assert_nothing_left();
}

static void goes_through_tables(void **state)
{
    struct rule first = rule_at(0, 1), second = rule_at(3, 1);
    struct dp_policy_table_stats stats[2];
    uint32_t slots[2];
    struct frame f, got;

    (void)state;
    act_goto(&first, 3);
    slots[0] = add_now(&first);
    frame_a_to_b(&f);
    assert_dropped(POD_A, &f, DROP_policy_miss); // table 3 has no rules at all
    match_dst_port(&second, 5000);
    act(&second, ACTION_NORMAL);
    slots[1] = add_now(&second);
    dp_policy_table_stats(3, &stats[0]);
    assert_delivered(POD_A, &f, POD_B, &got);
    f.v4.udp.dst_port = RTE_BE16(1);
    assert_dropped(POD_A, &f, DROP_policy_miss);
    dp_policy_table_stats(3, &stats[1]);
    assert_int_equal(stats[1].rules, 1);
    assert_int_equal(stats[1].lookups, stats[0].lookups + 2);
    assert_int_equal(stats[1].matches, stats[0].matches + 1);
    assert_int_equal(stats_of(slots[0]).packets, 3);
    assert_int_equal(stats_of(slots[1]).packets, 1);
    del_now(slots[0]);
    del_now(slots[1]);
    assert_nothing_left();
}

static void a_miss_is_what_was_configured(void **state)
{
    struct frame f, got;
    struct rule rule = rule_at(0, 1);
    uint32_t slot;

    (void)state;
    frame_a_to_b(&f);
    dp_policy_miss(false);
    assert_dropped(POD_A, &f, DROP_policy_miss);
    match_dst_port(&rule, 5001);
    act(&rule, ACTION_NORMAL);
    slot = add_now(&rule);
    assert_dropped(POD_A, &f, DROP_policy_miss);
    f.v4.udp.dst_port = RTE_BE16(5001);
    assert_delivered(POD_A, &f, POD_B, &got);
    dp_policy_miss(true);
    frame_a_to_b(&f);
    assert_delivered(POD_A, &f, POD_B, &got);
    del_now(slot);
    assert_nothing_left();
}

static void outputs_raw_frames(void **state)
{
    struct rule rule = rule_at(0, 1);
    struct frame f, got;
    uint64_t gone;
    uint32_t slot;

    (void)state;
    rule.match.in_port = POD_A;
    act_output(&rule, UPLINK1);
    slot = add_now(&rule);
    frame_a_to_b(&f);
    assert_delivered(POD_A, &f, UPLINK1, &got);
    assert_int_equal(got.len, f.len);
    assert_memory_equal(got.bytes, f.bytes, f.len);
    frame_udp6(&f, &POD_A_MAC, &ROUTER_MAC, A6, B6, 20);
    assert_delivered(POD_A, &f, UPLINK1, &got);
    assert_memory_equal(got.bytes, f.bytes, f.len);
    // The guard comes first.
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, B4, B4, 20);
    assert_dropped(POD_A, &f, DROP_guard_ip_src);
    // It is for what came in by pod A only.
    frame_udp4(&f, &POD_B_MAC, &ROUTER_MAC, B4, A4, 20);
    assert_delivered(POD_B, &f, POD_A, &got);
    del_now(slot);

    rule.n_actions = 0;
    act_output(&rule, POD_A);
    slot = add_now(&rule);
    frame_a_to_b(&f);
    assert_dropped(POD_A, &f, DROP_policy_in_port);
    del_now(slot);

    rule.n_actions = 0;
    act_output(&rule, POD_B); // MTU 1400
    slot = add_now(&rule);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, WORLD4, 1400 - 28);
    assert_delivered(POD_A, &f, POD_B, &got);
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, WORLD4, 1401 - 28);
    assert_dropped(POD_A, &f, DROP_too_big);
    del_now(slot);

    rule.n_actions = 0;
    act_output(&rule, 77);
    slot = add_now(&rule);
    gone = total_drops(DROP_port_gone);
    frame_a_to_b(&f);
    frame_send(POD_A, &f);
    node_settle();
    assert_int_equal(total_drops(DROP_port_gone), gone + 1);
    del_now(slot);
    assert_nothing_left();
}

static void modifies_in_place(void **state)
{
    struct rule rule = rule_at(0, 1);
    char *error = NULL;
    struct frame f, got;
    uint32_t slot;

    (void)state;
    act(&rule, ACTION_DROP);
    slot = add_now(&rule);
    frame_a_to_b(&f);
    assert_dropped(POD_A, &f, DROP_policy);
    rule.n_actions = 0;
    act_output(&rule, UPLINK0);
    assert_int_equal(dp_policy_modify(slot, &rule, &error), 0);
    assert_dropped(POD_A, &f, DROP_policy); // not committed yet
    rule.n_actions = 0;
    act(&rule, ACTION_NORMAL);
    assert_int_equal(dp_policy_modify(slot, &rule, &error), 0);
    dp_policy_commit(true);
    assert_delivered(POD_A, &f, POD_B, &got);
    assert_int_equal(stats_of(slot).packets, 3);
    // Modified and removed in one change; added, modified and removed in one change.
    assert_int_equal(dp_policy_modify(slot, &rule, &error), 0);
    del_now(slot);
    slot = add(&rule);
    assert_int_equal(dp_policy_modify(slot, &rule, &error), 0);
    del_now(slot);
    assert_nothing_left();
}

// Each half of the rules sends the packets another way, over two tables. However often they are
// exchanged, a packet goes one of the two ways: none sees half of one and half of the other.
static void changes_are_seen_whole(void **state)
{
    uint64_t missed = node_drops(POD_A, DROP_policy_miss), sent = 0, received = 0;
    uint32_t slots[2];
    struct frame f, got;

    (void)state;
    frame_a_to_b(&f);
    for (unsigned change = 0; change < 3000; change++) {
        unsigned table = 1 + change % 2;
        struct rule first = rule_at(0, 1), second = rule_at(table, 1);

        if (change) {
            dp_policy_del(slots[0]);
            dp_policy_del(slots[1]);
        }
        act_goto(&first, table);
        act_output(&second, table == 1 ? UPLINK0 : UPLINK1);
        slots[0] = add(&first);
        for (unsigned i = 0; i < 4; i++, sent++)
            frame_send(POD_A, &f);
        slots[1] = add(&second);
        dp_policy_commit(change % 3 == 0);
        for (unsigned i = 0; change && i < 4; i++, sent++)
            frame_send(POD_A, &f);
        // A worker that waits for its CPU is not to be sent more than the rings hold.
        if (change % 32 == 0)
            node_settle();
        while (frame_recv(UPLINK0, &got) || frame_recv(UPLINK1, &got))
            received++;
        // Before the first change there is nothing to see.
        if (!change) {
            while (frame_recv(POD_B, &got) || frame_recv(UPLINK0, &got))
                received++;
        }
    }
    node_settle();
    while (frame_recv(UPLINK0, &got) || frame_recv(UPLINK1, &got))
        received++;
    assert_int_equal(node_drops(POD_A, DROP_policy_miss), missed);
    assert_int_equal(received, sent);
    dp_policy_del(slots[0]);
    del_now(slots[1]);
    assert_nothing_left();
}

static void frees_what_was_removed(void **state)
{
    enum { RULES = 50000 };
    static uint32_t slots[RULES];
    struct rule rule = rule_at(5, 1);
    struct dp_policy_table_stats before, full, after;
    uint64_t start, added, deleted;

    (void)state;
    while (dp_policy_poll())
        rcu_wait();
    dp_policy_table_stats(5, &before);
    match_dst_port(&rule, 1);
    memset(&rule.match.mask.ip_dst, 0xff, sizeof rule.match.mask.ip_dst);
    act(&rule, ACTION_DROP);
    for (unsigned round = 0; round < 3; round++) {
        start = now_us();
        for (unsigned i = 0; i < RULES; i++) {
            rule.match.spec.ip_dst = ip(A4);
            rule.match.spec.ip_dst.s6_addr32[3] = rte_cpu_to_be_32(i);
            slots[i] = add(&rule);
            dp_policy_commit(false);
        }
        added = now_us();
        dp_policy_table_stats(5, &full);
        assert_int_equal(full.rules, RULES);
        for (unsigned i = 0; i < RULES; i++) {
            dp_policy_del(slots[i]);
            dp_policy_commit(false);
        }
        deleted = now_us();
        // The tables' own memory goes a little later, and may come back in other sizes.
        for (unsigned i = 0; i < 1000; i++) {
            dp_policy_poll();
            rcu_wait();
        }
        dp_policy_table_stats(5, &after);
        assert_int_equal(after.rules, 0);
        print_message("# %u changes a second one by one: %.0f added, %.0f removed\n", RULES,
                      RULES * 1e6 / (double)(added - start),
                      RULES * 1e6 / (double)(deleted - added));
    }
    assert_true(full.bytes > before.bytes);
    assert_true(after.bytes < full.bytes / 2);
    assert_int_equal(policy.version, 0); // no rules: the workers do not look
}

// The daemon ends while a bundle's rule is on its way out that was added and modified in it.
static void ends_with_what_was_never_in_force(void **state)
{
    struct rule rule = rule_at(2, 1);
    char *error = NULL;
    uint32_t slot;

    (void)state;
    act(&rule, ACTION_DROP);
    slot = add(&rule);
    rule.cookie = 8;
    assert_int_equal(dp_policy_modify(slot, &rule, &error), 0);
    dp_policy_del(slot);
    policy_fini();
    assert_int_equal(policy_init(&error), 0);
}

static void refuses_what_does_not_fit(void **state)
{
    static uint32_t slots[20000];
    struct rule rule = rule_at(1, 1);
    unsigned n = 0, again = 0;
    char *error = NULL;

    (void)state;
    policy_fini();
    dp.config.policy_memory_mb = 2;
    assert_int_equal(policy_init(&error), 0);
    match_dst_port(&rule, 1);
    memset(&rule.match.mask.ip_dst, 0xff, sizeof rule.match.mask.ip_dst);
    act(&rule, ACTION_DROP);
    rule.match.spec.ip_dst = ip(A4);
    while (n < RTE_DIM(slots)) {
        rule.match.spec.ip_dst.s6_addr32[3] = rte_cpu_to_be_32(n);
        if (dp_policy_add(&rule, &slots[n], &error))
            break;
        n++;
    }
    assert_in_range(n, 1000, 8000); // each takes 300 bytes to 2 KB
    if (!error || !strstr(error, "2048 KiB"))
        fail_msg("%s", error ? error : "no error");
    free(error);
    dp_policy_commit(true);
    // Room that removed rules leave is there at once.
    for (unsigned i = 0; i < n; i++)
        dp_policy_del(slots[i]);
    dp_policy_commit(false);
    for (; again < n / 2; again++) {
        rule.match.spec.ip_dst.s6_addr32[3] = rte_cpu_to_be_32(again);
        slots[again] = add(&rule);
    }
    while (again)
        dp_policy_del(slots[--again]);
    dp_policy_commit(true);
    policy_fini();
    dp.config.policy_memory_mb = 0;
    assert_int_equal(policy_init(&error), 0);
    assert_int_equal(rule.table, RULE_TABLE_POLICY + 1);
    rule.table = RULE_TABLE_FORWARD;
    assert_int_equal(dp_policy_add(&rule, &slots[0], &error), -EINVAL);
    free(error);
    assert_nothing_left();
}

static void sees_arp_after_the_guard(void **state)
{
    struct rule rule = rule_at(0, 1);
    struct dp_punt punt;
    struct frame f, got;
    uint32_t slot;

    (void)state;
    match_type(&rule, RTE_ETHER_TYPE_ARP);
    rule.match.spec.ip_dst = ip("10.1.10.1");
    memset(&rule.match.mask.ip_dst, 0xff, sizeof rule.match.mask.ip_dst);
    act(&rule, ACTION_DROP);
    slot = add_now(&rule);
    frame_arp(&f, RTE_ARP_OP_REQUEST, &POD_A_MAC, A4, "10.1.10.1");
    assert_dropped(POD_A, &f, DROP_policy);
    frame_arp(&f, RTE_ARP_OP_REQUEST, &POD_A_MAC, B4, "10.1.10.1");
    assert_dropped(POD_A, &f, DROP_guard_arp);
    assert_int_equal(stats_of(slot).packets, 1);
    del_now(slot);

    rule.n_actions = 0;
    act(&rule, ACTION_NORMAL);
    slot = add_now(&rule);
    frame_arp(&f, RTE_ARP_OP_REQUEST, &POD_A_MAC, A4, "10.1.10.1");
    assert_delivered(POD_A, &f, POD_A, &got);
    assert_int_equal(got.arp.arp.arp_opcode, RTE_BE16(RTE_ARP_OP_REPLY));
    del_now(slot);

    // What the daemon asked for itself is its own.
    rule = rule_at(0, 1);
    act(&rule, ACTION_DROP);
    slot = add_now(&rule);
    frame_arp(&f, RTE_ARP_OP_REPLY, &GATEWAY_MAC, "10.1.10.1", "10.1.10.5");
    f.eth.dst_addr = NODE_MAC;
    assert_dropped(UPLINK0, &f, DROP_punted);
    assert_int_equal(dp_punt_recv(&punt, 1), 1);
    frame_arp(&f, RTE_ARP_OP_REQUEST, &GATEWAY_MAC, "10.1.10.1", A4);
    assert_dropped(UPLINK0, &f, DROP_policy);
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &POD_A_MAC, A6, "fd00:10::1", &POD_A_MAC);
    assert_dropped(POD_A, &f, DROP_policy);
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &POD_A_MAC, B6, "fd00:10::1", &POD_A_MAC);
    assert_dropped(POD_A, &f, DROP_guard_nd);
    frame_nd(&f, ND_NEIGHBOR_SOLICIT, &GATEWAY_MAC, "fd00:10::1", A6, &GATEWAY_MAC);
    assert_dropped(UPLINK0, &f, DROP_policy);
    del_now(slot);
    assert_nothing_left();
}

// Puts a VLAN tag behind the frame's addresses.
static void tag(struct frame *f, uint16_t tci)
{
    memmove(f->bytes + 16, f->bytes + 12, f->len - 12);
    f->len += 4;
    f->bytes[12] = 0x81;
    f->bytes[13] = 0;
    f->bytes[14] = (uint8_t)(tci >> 8);
    f->bytes[15] = (uint8_t)tci;
}

static void match_vlan(struct rule *rule, uint16_t vid)
{
    rule->match.spec.vlan_tci = rte_cpu_to_be_16(VLAN_PRESENT | vid);
    rule->match.mask.vlan_tci = RTE_BE16(VLAN_PRESENT | 0x0fff);
}

static void sees_tagged_frames_of_uplinks(void **state)
{
    struct rule rule = rule_at(0, 1);
    struct frame f, plain, got;
    uint32_t slot;

    (void)state;
    frame_udp4(&plain, &GATEWAY_MAC, &NODE_MAC, WORLD4, A4, 20);
    f = plain;
    tag(&f, 0x6064);
    assert_dropped(UPLINK0, &f, DROP_vlan); // no rules: as ever
    match_vlan(&rule, 0x64);
    match_type(&rule, RTE_ETHER_TYPE_IPV4);
    rule.match.spec.ip_dst = ip(A4);
    memset(&rule.match.mask.ip_dst, 0xff, sizeof rule.match.mask.ip_dst);
    rule.match.spec.l4_dst = RTE_BE16(5000);
    rule.match.mask.l4_dst = 0xffff;
    rule.match.spec.ip_proto = IPPROTO_UDP;
    rule.match.mask.ip_proto = 0xff;
    act_output(&rule, POD_A);
    slot = add_now(&rule);
    assert_delivered(UPLINK0, &f, POD_A, &got);
    assert_int_equal(got.len, f.len);
    assert_memory_equal(got.bytes, f.bytes, f.len);
    // Another VLAN: a miss, and then as ever.
    f.bytes[15] = 0x65;
    assert_dropped(UPLINK0, &f, DROP_vlan);
    f.bytes[15] = 0x64;
    f.bytes[18] ^= 1; // version and length of the IP header
    assert_dropped(UPLINK0, &f, DROP_ipv4_header);
    // A pod's tag could hide a source that is not its own.
    frame_a_to_b(&f);
    tag(&f, 0x64);
    assert_dropped(POD_A, &f, DROP_vlan);
    del_now(slot);

    rule.n_actions = 0;
    act(&rule, ACTION_POP_VLAN);
    act(&rule, ACTION_NORMAL);
    slot = add_now(&rule);
    f = plain;
    tag(&f, 0x64);
    assert_delivered(UPLINK0, &f, POD_A, &got);
    assert_int_equal(got.len, plain.len);
    assert_int_equal(got.v4.ip.time_to_live, 63);
    assert_memory_equal(&got.eth.dst_addr, &POD_A_MAC, 6);
    del_now(slot);
    assert_nothing_left();
}

static void sees_other_types_of_uplinks(void **state)
{
    struct rule rule = rule_at(0, 1);
    struct frame f, got;
    uint32_t slot;

    (void)state;
    frame_eth(&f, &GATEWAY_MAC, &NODE_MAC, 0x88b5);
    f.len = 60;
    assert_dropped(UPLINK0, &f, DROP_eth_type);
    act_output(&rule, POD_A);
    slot = add_now(&rule);
    assert_delivered(UPLINK0, &f, POD_A, &got);
    assert_memory_equal(got.bytes, f.bytes, f.len);
    frame_eth(&f, &POD_A_MAC, &ROUTER_MAC, 0x88b5);
    f.len = 60;
    assert_dropped(POD_A, &f, DROP_eth_type);
    // IP to a group: as ever on a miss or NORMAL, else what the rule says.
    frame_udp4(&f, &GATEWAY_MAC, &NODE_MAC, WORLD4, "224.1.1.1", 20);
    f.eth.dst_addr = (struct rte_ether_addr){{0x01, 0, 0x5e, 1, 1, 1}};
    assert_delivered(UPLINK0, &f, POD_A, &got);
    del_now(slot);
    assert_dropped(UPLINK0, &f, DROP_multicast);
    assert_nothing_left();
}

static void hands_packets_to_controllers(void **state)
{
    struct rule rule = rule_at(0, 1);
    struct dp_packet_in in;
    struct frame f;
    uint64_t punted, limited;
    uint32_t slot;

    (void)state;
    match_dst_port(&rule, 5000);
    rule_add_action(&rule, (struct action){.type = ACTION_PUNT,
                                           .max_len = 40,
                                           .punt = {.controller = 3, .reason = 1}});
    slot = add_now(&rule);
    frame_a_to_b(&f);
    assert_dropped(POD_A, &f, DROP_punted);
    assert_true(dp_packet_in_recv(&in));
    assert_int_equal(in.in_port, POD_A);
    assert_int_equal(in.len, f.len);
    assert_int_equal(in.data_len, 40);
    assert_memory_equal(in.data, f.bytes, 40);
    assert_int_equal(in.controller, 3);
    assert_int_equal(in.reason, 1);
    assert_int_equal(in.table, 0);
    assert_int_equal(in.cookie, 7);
    assert_false(dp_packet_in_recv(&in));
    // A flood of them is limited, each at the port it came in by.
    punted = node_drops(POD_A, DROP_punted);
    limited = node_drops(POD_A, DROP_punt_rate);
    for (unsigned i = 0; i < 2000; i++)
        frame_send(POD_A, &f);
    node_settle();
    punted = node_drops(POD_A, DROP_punted) - punted;
    limited = node_drops(POD_A, DROP_punt_rate) - limited;
    assert_int_equal(punted + limited, 2000);
    assert_in_range(punted, 1, 1999);
    while (dp_packet_in_recv(&in))
        punted--;
    assert_int_equal(punted, 0);
    del_now(slot);
    assert_nothing_left();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(drops_what_a_rule_says),
        cmocka_unit_test(higher_priority_wins),
        cmocka_unit_test(goes_through_tables),
        cmocka_unit_test(a_miss_is_what_was_configured),
        cmocka_unit_test(outputs_raw_frames),
        cmocka_unit_test(modifies_in_place),
        cmocka_unit_test(changes_are_seen_whole),
        cmocka_unit_test(frees_what_was_removed),
        cmocka_unit_test(ends_with_what_was_never_in_force),
        cmocka_unit_test(refuses_what_does_not_fit),
        cmocka_unit_test(sees_arp_after_the_guard),
        cmocka_unit_test(sees_tagged_frames_of_uplinks),
        cmocka_unit_test(sees_other_types_of_uplinks),
        cmocka_unit_test(hands_packets_to_controllers),
    };

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
