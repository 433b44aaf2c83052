/* SPDX-License-Identifier: Apache-2.0 */
// Operators' rules of every kind come, change and go while workers take packets of every kind
// through them. Whatever comes together: no crash (run it under ASan and UBSan), the sum rule holds
// exactly, no buffer and no memory is lost, and without rules all is as before.
//
// SLUICE_STEPS: how many (default 15,000). SLUICE_SEED: of the random numbers (default: of the
// time; printed). SLUICE_WORKERS: 1 or 2 (default 1).
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "dataplane/policy.h"
#include "tests/unit/frame.h"
#include "tests/unit/random.h"

enum { RULES = 60, GROUPS = 4, METERS = 2 };

static const char A4[] = "10.1.10.5", B4[] = "10.1.11.6", WORLD4[] = "192.0.2.7";
static const char A6[] = "fd00:10::5", B6[] = "fd00:11::6", WORLD6[] = "2001:db8::7";

static struct {
    bool held;
    struct rule rule;
    uint32_t slot;
} rules[RULES];
static unsigned n_rules;

static struct action random_action(unsigned table, bool in_bucket)
{
    uint16_t port = (uint16_t)(1 + random_below(NODE_PORTS + 1)); // one more than there are

    switch (random_below(16)) {
    case 0:
        return (struct action){.type = ACTION_SET_ETH_DST, .mac = POD_B_MAC};
    case 1:
        return (struct action){.type = ACTION_DEC_TTL};
    case 2:
        return (struct action){.type = ACTION_SET_IP_DST, .ip = ip(random_below(2) ? B4 : B6)};
    case 3:
        return (struct action){.type = ACTION_SET_L4_DST, .l4 = (rte_be16_t)random_below(65536)};
    case 4:
        return (struct action){.type = ACTION_PUSH_VLAN, .l4 = RTE_BE16(RTE_ETHER_TYPE_VLAN)};
    case 5:
        return (struct action){.type = ACTION_POP_VLAN};
    case 6:
        return (struct action){.type = ACTION_PUNT, .max_len = (uint16_t)random_below(3000)};
    case 7:
        return (struct action){.type = ACTION_GROUP, .id = 1 + random_below(GROUPS)};
    case 8:
        return (struct action){.type = ACTION_METER, .id = 1 + random_below(METERS)};
    case 9:
        return (struct action){.type = random_below(2) ? ACTION_ALL : ACTION_IN_PORT};
    case 10:
        return (struct action){.type = ACTION_SET_METADATA, .note = {random_below(4), RTE_BE64(3)}};
    case 11:
    case 12:
        if (!in_bucket && table + 1 < POLICY_TABLES)
            return (struct action){.type = ACTION_GOTO_TABLE,
                                   .table = (uint8_t)(RULE_TABLE_POLICY + table + 1 +
                                                      random_below(POLICY_TABLES - table - 1))};
        // fallthrough
    case 13:
        return (struct action){.type = ACTION_OUTPUT, .port = port};
    default:
        return (struct action){.type = ACTION_NORMAL};
    }
}

static void random_actions(struct rule *rule)
{
    unsigned table = rule->table - RULE_TABLE_POLICY;
    // One alone, mostly: what most rules say.
    unsigned n = random_below(2) ? 1 : random_below(5);

    rule->n_actions = 0;
    for (unsigned i = 0; i < n; i++)
        rule_add_action(rule, random_action(table, false));
    if (random_below(4))
        return;
    // What chance seldom makes.
    rule->n_actions = 0;
    switch (random_below(4)) {
    case 0:
        rule_add_action(rule, (struct action){.type = ACTION_METER, .id = 1});
        rule_add_action(rule, (struct action){.type = ACTION_NORMAL});
        break;
    case 1:
        rule_add_action(
            rule, (struct action){.type = ACTION_PUSH_VLAN, .l4 = RTE_BE16(RTE_ETHER_TYPE_VLAN)});
        rule_add_action(rule, (struct action){.type = ACTION_NORMAL});
        break;
    case 2: // there is none
        rule_add_action(rule, (struct action){.type = ACTION_GROUP, .id = GROUPS + 1});
        break;
    default:
        rule_add_action(rule, (struct action){
                                  .type = ACTION_OUTPUT,
                                  .port = rule->match.in_port ? rule->match.in_port : POD_A,
                              });
    }
}

static struct rule random_rule(void)
{
    // The first table has more than the others.
    unsigned table = random_below(2) ? 0 : random_below(POLICY_TABLES);
    struct rule rule = {.table = RULE_TABLE_POLICY + table,
                        .priority = (uint16_t)random_below(4),
                        .cookie = random_below(1000)};
    struct match_fields *spec = &rule.match.spec, *mask = &rule.match.mask;

    if (random_below(2))
        rule.match.in_port = (uint16_t)(1 + random_below(NODE_PORTS));
    switch (random_below(6)) {
    case 0:
        break;
    case 1:
        spec->eth_type = RTE_BE16(RTE_ETHER_TYPE_ARP);
        mask->eth_type = 0xffff;
        break;
    case 2:
        spec->vlan_tci = RTE_BE16(VLAN_PRESENT);
        mask->vlan_tci = RTE_BE16(VLAN_PRESENT);
        break;
    case 3:
        spec->eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV6);
        mask->eth_type = 0xffff;
        spec->ip_dst = ip(random_below(2) ? A6 : B6);
        memset(&mask->ip_dst, 0xff, 4 + random_below(13));
        for (unsigned i = 0; i < 16; i++)
            spec->ip_dst.s6_addr[i] &= mask->ip_dst.s6_addr[i];
        break;
    default:
        spec->eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
        mask->eth_type = 0xffff;
        spec->ip_proto = IPPROTO_UDP;
        mask->ip_proto = 0xff;
        mask->l4_dst = rte_cpu_to_be_16((uint16_t)random_below(8));
        spec->l4_dst = (rte_be16_t)random_below(65536) & mask->l4_dst;
    }
    random_actions(&rule);
    return rule;
}

static void add(void)
{
    struct rule rule = random_rule();
    char *error = NULL;
    int ret;

    if (n_rules == RULES)
        return;
    ret = dp_policy_add(&rule, &rules[n_rules].slot, &error);
    if (ret) { // the actions contradict each other
        assert_int_equal(ret, -EINVAL);
        free(error);
        return;
    }
    rules[n_rules].rule = rule;
    rules[n_rules].held = !random_below(8);
    if (rules[n_rules].held)
        dp_policy_hold(rules[n_rules].slot);
    n_rules++;
}

static void del(unsigned i)
{
    dp_policy_del(rules[i].slot);
    rules[i] = rules[--n_rules];
}

static void modify(unsigned i)
{
    struct rule rule = rules[i].rule;
    char *error = NULL;

    random_actions(&rule);
    if (rules[i].held || dp_policy_modify(rules[i].slot, &rule, &error))
        free(error);
}

static void commit(void)
{
    for (unsigned i = 0; i < n_rules; i++) {
        if (rules[i].held && random_below(2)) {
            dp_policy_include(rules[i].slot);
            rules[i].held = false;
        }
    }
    dp_policy_commit(!random_below(4));
}

static void set_group(void)
{
    enum dp_group_type type = (enum dp_group_type)random_below(DP_GROUP_FAST_FAILOVER + 1);
    unsigned n = type == DP_GROUP_INDIRECT ? 1 : random_below(4);
    struct dp_bucket buckets[4] = {0};
    char *error = NULL;

    for (unsigned i = 0; i < n; i++) {
        buckets[i].weight = (uint16_t)random_below(3);
        buckets[i].watch_port = (uint16_t)random_below(NODE_PORTS + 1);
        buckets[i].watch_group = DP_GROUP_NONE;
        buckets[i].n_actions = (uint8_t)random_below(3);
        for (unsigned j = 0; j < buckets[i].n_actions; j++)
            buckets[i].actions[j] = random_action(0, true);
    }
    if (dp_group_set(1 + random_below(GROUPS), type, buckets, n, &error))
        free(error);
}

static void set_meter(void)
{
    struct dp_meter meter = {.packets = random_below(2), .rate = 1 + random_below(50), .burst = 1};
    char *error = NULL;

    if (dp_meter_set(1 + random_below(METERS), &meter, &error))
        free(error);
}

static void change(void)
{
    switch (random_below(16)) {
    default:
        add();
        break;
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
        if (n_rules)
            del(random_below(n_rules));
        break;
    case 5:
    case 6:
        if (n_rules)
            modify(random_below(n_rules));
        break;
    case 7:
    case 8:
    case 9:
        commit();
        break;
    case 10:
        set_group();
        break;
    case 11:
        if (random_below(4))
            dp_policy_poll();
        else if (random_below(2))
            dp_group_del(1 + random_below(GROUPS));
        else
            set_meter();
        break;
    case 12:
        dp_port_set_live((uint16_t)(1 + random_below(NODE_PORTS)), random_below(2));
        if (!random_below(8))
            dp_policy_miss(random_below(2));
        break;
    }
}

static void tag(struct frame *f)
{
    memmove(f->bytes + 16, f->bytes + 12, f->len - 12);
    f->len += 4;
    f->bytes[12] = 0x81;
    f->bytes[13] = f->bytes[14] = 0;
    f->bytes[15] = (uint8_t)random_below(3);
}

static void send_frame(void)
{
    uint16_t port = (uint16_t)(1 + random_below(NODE_PORTS));
    bool pod = port >= POD_A;
    const struct rte_ether_addr *src = port == POD_A   ? &POD_A_MAC
                                       : port == POD_B ? &POD_B_MAC
                                                       : &GATEWAY_MAC;
    const struct rte_ether_addr *dst = pod ? &ROUTER_MAC : &NODE_MAC;
    const char *own4 = port == POD_A ? A4 : port == POD_B ? B4 : WORLD4;
    const char *own6 = port == POD_A ? A6 : port == POD_B ? B6 : WORLD6;
    struct frame f;

    switch (random_below(8)) {
    case 0:
        frame_udp6(&f, src, dst, own6, random_below(2) ? A6 : B6, random_below(100));
        break;
    case 1:
        frame_arp(&f, RTE_ARP_OP_REQUEST, src, own4, random_below(2) ? "10.1.10.1" : A4);
        break;
    case 2:
        frame_nd(&f, ND_NEIGHBOR_SOLICIT, src, own6, random_below(2) ? "fd00:10::1" : A6, src);
        break;
    case 3:
        frame_eth(&f, src, dst, 0x88b5);
        f.len = 60;
        break;
    default:
        frame_udp4(&f, src, dst, own4, random_below(2) ? A4 : B4, random_below(1450));
        f.v4.udp.dst_port = (rte_be16_t)random_below(65536);
        if (!random_below(8))
            f.v4.ip.fragment_offset = RTE_BE16(RTE_IPV4_HDR_MF_FLAG);
        frame_sum4(&f);
    }
    if (!random_below(6))
        tag(&f);
    frame_send(port, &f);
}

// What left, so that its buffers come back.
static void receive_all(void)
{
    static struct dp_packet_in in;
    struct dp_punt punt;
    struct frame f;

    for (uint16_t port = 1; port <= NODE_PORTS; port++)
        while (frame_recv(port, &f))
            assert_in_range(f.len, RTE_ETHER_HDR_LEN, 1522);
    while (dp_packet_in_recv(&in))
        assert_in_range(in.data_len, 0, DP_PACKET_IN_MAX);
    while (dp_punt_recv(&punt, 1))
        ;
}

static uint32_t free_buffers(void)
{
    struct dp_memory memory;

    dp_memory(&memory);
    return memory.mbufs_free;
}

static void survives_changes_under_traffic(void **state)
{
    const char *steps = getenv("SLUICE_STEPS");
    unsigned n = steps ? (unsigned)strtoul(steps, NULL, 10) : 15000;
    uint32_t buffers = free_buffers();
    struct dp_totals totals;
    struct frame f;

    (void)state;
    random_begin();
    print_message("# %u steps\n", n);
    for (unsigned i = 0; i < 50; i++) {
        set_group();
        set_meter();
    }
    for (unsigned i = 0; i < n; i++) {
        change();
        send_frame();
        if (i % 64 == 0)
            receive_all();
        if (i % 1024 == 0)
            node_settle();
    }
    while (n_rules)
        del(0);
    for (unsigned id = 1; id <= GROUPS; id++)
        dp_group_del(id);
    dp_policy_miss(true);
    dp_policy_commit(true);
    node_settle();
    receive_all();
    while (dp_policy_poll())
        rcu_wait();

    dp_totals(&totals);
    for (enum drop_reason reason = DROP_policy; reason <= DROP_policy_vlan; reason++)
        if (!totals.drops[reason])
            fail_msg("no packet was dropped for %s", drop_name(reason));
    assert_int_equal(free_buffers(), buffers);
    for (unsigned table = 0; table < POLICY_TABLES; table++) {
        struct dp_policy_table_stats stats;

        dp_policy_table_stats(table, &stats);
        assert_int_equal(stats.rules, 0);
    }
    frame_udp4(&f, &POD_A_MAC, &ROUTER_MAC, A4, B4, 20);
    frame_send(POD_A, &f);
    node_settle();
    assert_true(frame_recv(POD_B, &f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(survives_changes_under_traffic)};

    return cmocka_run_group_tests(tests, node_setup, node_teardown);
}
