/* SPDX-License-Identifier: Apache-2.0 */
// NIC plus software do exactly what software alone does: random rules, in software only and then in
// net_esw as far as that, with random limits, takes them; the same random packets both times; what
// comes out of which port must be the same, byte for byte.
//
//   SLUICE_SETS=1000 SLUICE_PACKETS=10000 SLUICE_SEED=7 offload_same_test
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <rte_ether.h>
#include <rte_hash_crc.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_tcp.h>
#include <rte_udp.h>

#include "control/nic_rules.h"
#include "control/rules.h"
#include "dataplane/dataplane.h"
#include "offload/engine.h"
#include "offload/plan.h"
#include "tests/unit/esw_control.h"

enum { UPLINK0 = 1, UPLINK1, POD0, PODS = 4, HOST_POD = POD0 + PODS - 1, PORTS = POD0 + PODS - 1 };

#define BATCH     200
#define RULES_MAX 40
#define OUT_MAX   16 // copies of one packet

static const struct rte_ether_addr router = {{0x02, 0, 0x5e, 0, 0x53, 0x01}};
static const struct rte_ether_addr node = {{0x02, 0, 0, 0, 0, 0x01}};
static const struct rte_ether_addr tor = {{0x02, 0, 0x5e, 0, 0x01, 0x01}};
static struct config config = {.n_ranges = 4, .mtu = 1500};
static struct rte_ring *in[PORTS + 1], *out[PORTS + 1];
static struct rte_mempool *pool;
static uint64_t random_state, injected;
static bool planted, planted_fragments; // see test_planted, test_planted_fragments
static const char *nic_mode = "ideal";

bool __real_plan_overlaps(const struct plan_node *, enum plan_side, plan_visit *, void *);
bool __wrap_plan_overlaps(const struct plan_node *, enum plan_side, plan_visit *, void *);

bool __wrap_plan_overlaps(const struct plan_node *of, enum plan_side side, plan_visit *visit,
                          void *arg)
{
    return (planted && side != PLAN_SAME) || __real_plan_overlaps(of, side, visit, arg);
}

int __real_nic_add_exceptions(struct nic *, enum flow_exceptions, const char **,
                              struct rte_flow_error *);
int __wrap_nic_add_exceptions(struct nic *, enum flow_exceptions, const char **,
                              struct rte_flow_error *);

int __wrap_nic_add_exceptions(struct nic *nic, enum flow_exceptions kind, const char **what,
                              struct rte_flow_error *error)
{
    if (planted_fragments && kind != FLOW_EXCEPTIONS_ALWAYS)
        return 0;
    return __real_nic_add_exceptions(nic, kind, what, error);
}

static unsigned any(unsigned n)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(random_state >> 33) % n;
}

static bool often(unsigned percent)
{
    return any(100) < percent;
}

static void nap(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 50000}, NULL);
}

static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

// Whatever is waited for, a test that waits in vain says what for before it is killed.
static void nap_since(uint64_t begin_ms, const char *what)
{
    if (now_ms() - begin_ms > 60000)
        fail_msg("%s: %s", what, control("status"));
    nap();
}

static struct in6_addr ip(const char *text)
{
    struct in6_addr address = IN6ADDR_ANY_INIT;

    if (inet_pton(AF_INET, text, &address.s6_addr32[3]) == 1)
        address.s6_addr32[2] = htonl(0xffff);
    else
        assert_int_equal(inet_pton(AF_INET6, text, &address), 1);
    return address;
}

static struct rte_ether_addr pod_mac(unsigned port)
{
    return (struct rte_ether_addr){{0x02, 0, 0, 0, 1, (uint8_t)port}};
}

static struct in6_addr pod_ip(unsigned port, bool v4)
{
    char text[32];

    snprintf(text, sizeof(text), v4 ? "10.1.1%u.%u" : "fd00:1%u::%u", port % 2, port + 10);
    return ip(text);
}

static void add_port(uint16_t no, enum dp_port_kind kind, const struct rte_ether_addr *mac,
                     const char *devargs, const char *ring)
{
    struct dp_port_params params = {.no = no, .kind = kind, .mac = *mac, .mtu = 1500};
    char *error = NULL, name[64];

    snprintf(params.name, sizeof(params.name), "port%u", no);
    snprintf(params.devargs, sizeof(params.devargs), "%s", devargs);
    if (dp_port_add(&params, &error))
        fail_msg("%s", error);
    snprintf(name, sizeof(name), "net_esw0_%s_in", ring);
    in[no] = rte_ring_lookup(name);
    snprintf(name, sizeof(name), "net_esw0_%s_out", ring);
    out[no] = rte_ring_lookup(name);
    assert_true(in[no] && out[no]);
}

static int setup(void **state)
{
    static const char *const subnets[] = {"10.1.10.0", "10.1.11.0", "fd00:10::", "fd00:11::"};
    struct dp_config dp = {.n_workers = 1,
                           .max_sleep_us = 200,
                           .memory_mb = 256,
                           .mtu = 1500,
                           .mbufs = 16383,
                           .router_mac = router};
    struct dp_gateway gateways[4];
    char devargs[200], ring[16], *error = NULL;
    cpu_set_t allowed;
    bool hugepages;

    (void)state;
    random_state = getenv("SLUICE_SEED") ? strtoull(getenv("SLUICE_SEED"), NULL, 10) : 1;
    sched_getaffinity(0, sizeof(allowed), &allowed);
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed))
            dp.worker_cpus[0] = cpu;
    }
    if (dp_init(&dp, &hugepages, &error))
        fail_msg("%s", error);
    for (unsigned r = 0; r < 4; r++) {
        gateways[r].subnet = config.ranges[r].subnet = ip(subnets[r]);
        gateways[r].address = gateways[r].subnet;
        gateways[r].address.s6_addr[15] = 1;
        gateways[r].prefix_len = config.ranges[r].prefix_len = r < 2 ? 120 : 64;
    }
    assert_int_equal(dp_gateways_set(gateways, 4), 0);
    pool = rte_pktmbuf_pool_create("frames", 4095, 0, 0, 2048, SOCKET_ID_ANY);
    assert_non_null(pool);
    snprintf(devargs, sizeof(devargs), "net_esw0,wire0=ring,wire1=ring,vfs=%u,vf=ring,mode=%s%s",
             PODS, nic_mode, control_argument("offload_same_test"));
    add_port(UPLINK0, DP_PORT_UPLINK, &node, devargs, "wire0");
    add_port(UPLINK1, DP_PORT_UPLINK, &node, "net_esw0,representor=pf1", "wire1");
    for (unsigned i = 0; i < PODS; i++) {
        struct rte_ether_addr mac = pod_mac(POD0 + i);

        snprintf(devargs, sizeof(devargs), "net_esw0,representor=vf[%u]", i);
        snprintf(ring, sizeof(ring), "vf%u", i);
        add_port((uint16_t)(POD0 + i), DP_PORT_POD, &mac, devargs, ring);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    dp_fini();
    return 0;
}

// One rule set.
struct set {
    unsigned n_policy;
    struct rule policy[RULES_MAX];
    bool pod[PORTS + 1]; // has rules
    bool miss_normal;
    unsigned members; // 0: none, 1: first, 2: second, 3: both
    bool masked;
    char limits[200]; // of the NIC
};

static void prefix(struct in6_addr *spec, struct in6_addr *mask, struct in6_addr address,
                   unsigned length)
{
    memset(mask, 0, sizeof(*mask));
    for (unsigned bit = 0; bit < length; bit++)
        mask->s6_addr[bit / 8] |= 0x80 >> (bit % 8);
    for (unsigned i = 0; i < 16; i++)
        spec->s6_addr[i] = address.s6_addr[i] & mask->s6_addr[i];
}

static struct in6_addr any_ip(bool v4)
{
    static const char *const others[2][3] = {{"2001:db8::5", "fd00:10::99", "ff02::5"},
                                             {"192.0.2.5", "10.1.10.99", "127.0.0.5"}};

    return often(75) ? pod_ip(POD0 + any(PODS), v4) : ip(others[v4][any(3)]);
}

static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, 50};
static const uint16_t l4_ports[] = {53, 80, 81, 8080, 50000, 50002};

static void any_match(struct rule *rule)
{
    struct match_fields *spec = &rule->match.spec, *mask = &rule->match.mask;
    static const uint8_t lengths[] = {0, 8, 24, 31, 32};
    bool v4 = often(70);

    if (often(40))
        rule->match.in_port = (uint16_t)(1 + any(PORTS));
    if (often(10))
        return;
    spec->eth_type = v4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
    mask->eth_type = 0xffff;
    if (often(50))
        prefix(&spec->ip_src, &mask->ip_src, any_ip(v4), 96 + lengths[any(5)]);
    if (often(50))
        prefix(&spec->ip_dst, &mask->ip_dst, any_ip(v4), 96 + lengths[any(5)]);
    if (often(15)) {
        mask->ip_tos = 0xfc;
        spec->ip_tos = often(50) ? 0xb8 : 0;
    }
    if (often(10)) {
        mask->ip_frag = often(50) ? IP_FRAG_ANY : IP_FRAG_ANY | IP_FRAG_LATER;
        spec->ip_frag = often(50) ? 0 : IP_FRAG_ANY;
    }
    if (often(45)) {
        mask->ip_proto = 0xff;
        spec->ip_proto = protocols[any(4)];
        if (spec->ip_proto == 50)
            return;
        if (often(60)) {
            mask->l4_dst = often(70) ? 0xffff : RTE_BE16(0xfffe);
            spec->l4_dst = htons(l4_ports[any(6)]) & mask->l4_dst;
        }
        if (often(30)) {
            mask->l4_src = 0xffff;
            spec->l4_src = htons(l4_ports[any(6)]);
        }
        if (spec->ip_proto == IPPROTO_TCP && often(20)) {
            mask->tcp_flags = RTE_BE16(RTE_TCP_SYN_FLAG);
            spec->tcp_flags = often(50) ? mask->tcp_flags : 0;
        }
    }
}

// Tags and set fields, what NICs can do of it and what not.
static void any_change(struct rule *rule)
{
    const struct match_fields *spec = &rule->match.spec;
    bool v4 = spec->eth_type == RTE_BE16(RTE_ETHER_TYPE_IPV4), src = often(50);
    static const uint8_t tos_masks[] = {0xfc, 0xfc, 0xfc, 0x03, 0xff};
    uint8_t mask = tos_masks[any(RTE_DIM(tos_masks))];
    unsigned kind = any(5);

    if (kind == 3 && rule->n_actions && often(90)) // a second tag
        kind = 0;
    if (kind < 3 && !rule->match.mask.eth_type)
        return;
    switch (kind) {
    case 0:
        rule_add_action(rule, (struct action){.type = src ? ACTION_SET_IP_SRC : ACTION_SET_IP_DST,
                                              .ip = any_ip(v4)});
        break;
    case 1:
        rule_add_action(rule, (struct action){.type = src ? ACTION_SET_L4_SRC : ACTION_SET_L4_DST,
                                              .l4 = htons(l4_ports[any(6)])});
        break;
    case 2:
        rule_add_action(rule,
                        (struct action){.type = ACTION_SET_IP_TOS,
                                        .byte = {.value = (uint8_t)any(256) & mask, .mask = mask}});
        break;
    case 3:
        rule_add_action(rule, (struct action){.type = ACTION_PUSH_VLAN,
                                              .l4 = often(80) ? RTE_BE16(RTE_ETHER_TYPE_VLAN)
                                                              : RTE_BE16(RTE_ETHER_TYPE_QINQ)});
        rule_add_action(rule, (struct action){.type = ACTION_SET_VLAN,
                                              .tci = {.value = htons((uint16_t)(any(4096))),
                                                      .mask = RTE_BE16(0x0fff)}});
        if (often(50))
            rule_add_action(rule, (struct action){.type = ACTION_SET_VLAN,
                                                  .tci = {.value = htons((uint16_t)(any(8) << 13)),
                                                          .mask = RTE_BE16(0xe000)}});
        break;
    case 4:
        rule_add_action(rule, (struct action){.type = ACTION_POP_VLAN});
        break;
    }
}

static void any_actions(struct rule *rule)
{
    uint16_t port = (uint16_t)(1 + any(PORTS));
    unsigned table = rule->table - RULE_TABLE_POLICY;

    switch (any(10)) {
    case 0:
    case 1:
        rule_add_action(rule, (struct action){.type = ACTION_DROP});
        break;
    case 2:
        if (table < 2) {
            rule_add_action(rule, (struct action){.type = ACTION_GOTO_TABLE,
                                                  .table = (uint8_t)(rule->table + 1)});
            break;
        }
        // fallthrough
    case 3:
    case 4:
        rule_add_action(rule, (struct action){.type = ACTION_NORMAL});
        break;
    case 5:
        rule_add_action(rule, (struct action){.type = ACTION_SET_ETH_DST, .mac = pod_mac(port)});
        if (rule->match.mask.eth_type && often(50))
            rule_add_action(rule, (struct action){.type = ACTION_DEC_TTL});
        rule_add_action(rule, (struct action){.type = ACTION_OUTPUT, .port = port});
        break;
    case 8:
    case 9:
        // More often what NICs can do, and many packets hit.
        if (rule->match.mask.eth_type && often(60))
            rule->match = (struct match){.spec.eth_type = rule->match.spec.eth_type,
                                         .mask.eth_type = rule->match.mask.eth_type};
        if (often(80))
            rule->match.in_port = (uint16_t)(port % PORTS + 1);
        if (rule->match.mask.eth_type && !rule->match.mask.ip_proto && often(80)) {
            rule->match.mask.ip_proto = 0xff;
            rule->match.spec.ip_proto = protocols[any(2)];
        }
        for (unsigned n = 1 + any(3); n; n--)
            any_change(rule);
        rule_add_action(rule, often(90) ? (struct action){.type = ACTION_OUTPUT, .port = port}
                                        : (struct action){.type = ACTION_NORMAL});
        break;
    case 6:
        rule_add_action(rule, (struct action){.type = ACTION_OUTPUT, .port = port});
        break;
    case 7:
        rule_add_action(rule, (struct action){.type = ACTION_IN_PORT});
        break;
    }
}

static bool is_new(const struct set *set, const struct rule *rule)
{
    for (unsigned i = 0; i < set->n_policy; i++) {
        if (rule_same(&set->policy[i], rule))
            return false;
    }
    return true;
}

static void any_set(struct set *set)
{
    static const uint16_t priorities[] = {0, 1, 2, 10, 32768, 40000, 40001, 65535};
    static const char *const parts[] = {
        "vlan",        "ipv6",    "tcp",          "udp",        "set_mac_src",
        "set_mac_dst", "dec_ttl", "modify_field", "jump",       "drop",
        "sctp",        "icmp6",   "set_ipv4_dst", "set_tp_src", "of_push_vlan"};
    unsigned n = often(25) ? 0 : any(RULES_MAX);
    size_t len;

    memset(set, 0, sizeof(*set));
    for (unsigned i = 0; i < n; i++) {
        struct rule rule = {.table = RULE_TABLE_POLICY + (often(70) ? 0 : 1 + any(2))};

        rule.priority = often(50) ? priorities[any(RTE_DIM(priorities))] : (uint16_t)(100 + i);
        rule.cookie = 0x1000 + i;
        any_match(&rule);
        any_actions(&rule);
        if (is_new(set, &rule))
            set->policy[set->n_policy++] = rule;
    }
    for (unsigned port = POD0; port <= PORTS; port++)
        set->pod[port] = often(85);
    set->miss_normal = often(80);
    set->members = often(80) ? 3 : any(3);
    set->masked = often(80);
    len = (size_t)snprintf(set->limits, sizeof(set->limits),
                           "rules=%u refuse_permille=%u without=", often(30) ? 1 + any(80) : 0,
                           often(20) ? any(600) : 0);
    for (unsigned i = 0; i < RTE_DIM(parts) && len < sizeof(set->limits) - 20; i++) {
        if (often(5))
            len += (size_t)sprintf(set->limits + len, "%s+", parts[i]);
    }
    if (often(50))
        strcpy(set->limits + len, "last");
    else if (set->limits[len - 1] == '+')
        set->limits[len - 1] = 0;
}

static struct held_rule *pod_rules[PORTS + 1][4];
static struct held_rule *default_rules[4];
static uint32_t policy_slots[RULES_MAX];
static struct offload_rule *policy_nic[RULES_MAX];
// Rules in the NIC that set fields or push tags; those that match ports, where fragments are left
// to software by one rule, and where bit by bit.
static unsigned n_changing, n_ports_by_range, n_ports_by_bits;

static struct held_rule *add(struct rule rule)
{
    struct held_rule *held;
    char *error = NULL;

    if (rules_add(&rule, &held, &error))
        fail_msg("%s", error);
    return held;
}

static void add_pod(unsigned port)
{
    struct rte_ether_addr mac = pod_mac(port);

    for (unsigned i = 0; i < 2; i++) {
        struct in6_addr address = pod_ip(port, i == 0);

        pod_rules[port][i] =
            add(rule_guard((uint16_t)port, mac.addr_bytes, &address, router.addr_bytes));
        pod_rules[port][2 + i] =
            add(rule_forward((uint16_t)port, mac.addr_bytes, &address, router.addr_bytes));
    }
}

static void set_members(const struct set *set)
{
    static struct dp_member_map map;

    map.src_mac = node;
    map.masked = set->masked;
    for (unsigned r = 0; r < 4; r++) {
        map.gateway[r].valid = set->members != 0;
        for (unsigned b = 0; b < DP_BUCKETS; b++) {
            bool second = set->members == 2 || (set->members == 3 && b % 2);

            map.gateway[r].bucket[b].port = second ? UPLINK1 : UPLINK0;
            map.gateway[r].bucket[b].gateway_mac = tor;
            map.gateway[r].bucket[b].gateway_mac.addr_bytes[5] = (uint8_t)(r * 2 + second);
        }
    }
    assert_int_equal(dp_member_map_set(&map), 0);
    nic_rules_members(&config, &map);
}

static void install(const struct set *set, enum config_offload mode)
{
    char *error = NULL;

    config.offload = mode;
    rules_init(&config);
    nic_rules_init();
    nic_rules_uplink(0, UPLINK0, &node);
    nic_rules_uplink(1, UPLINK1, &node);
    for (unsigned r = 0; r < 4; r++)
        default_rules[r] =
            add(rule_default((uint16_t)r, &config.ranges[r].subnet, config.ranges[r].prefix_len));
    for (unsigned port = POD0; port <= PORTS; port++) {
        if (set->pod[port])
            add_pod(port);
    }
    set_members(set);
    dp_policy_miss(set->miss_normal);
    offload_policy_miss(set->miss_normal);
    for (unsigned i = 0; i < set->n_policy; i++) {
        if (dp_policy_add(&set->policy[i], &policy_slots[i], &error))
            fail_msg("%s", error);
        policy_nic[i] = offload_add(&set->policy[i]);
    }
    dp_policy_commit(true);
    assert_int_equal(offload_settle(true, 60000), 0);
}

static void uninstall(const struct set *set)
{
    for (unsigned i = 0; i < set->n_policy; i++) {
        offload_remove(policy_nic[i]);
        dp_policy_del(policy_slots[i]);
    }
    dp_policy_commit(true);
    for (unsigned port = POD0; port <= PORTS; port++) {
        for (unsigned i = 0; i < 4; i++) {
            rules_remove(pod_rules[port][i]);
            pod_rules[port][i] = NULL;
        }
    }
    for (unsigned r = 0; r < 4; r++)
        rules_remove(default_rules[r]);
    nic_rules_uplink_gone(0);
    nic_rules_uplink_gone(1);
    rules_fini();
}

struct packet {
    uint16_t port, len;
    uint8_t frame[160];
};

struct outcome {
    unsigned n;
    struct {
        uint16_t port, len;
        uint32_t hash;
    } copy[OUT_MAX];
};

static void put_l4(struct packet *packet, uint8_t *at, uint8_t proto)
{
    rte_be16_t ports[2] = {htons(l4_ports[any(6)]), htons(l4_ports[any(6)])};

    // Checksums are right or wrong by chance, and 0 at times.
    for (unsigned i = 4; i < 20; i++)
        at[i] = often(80) ? (uint8_t)any(256) : 0;
    memcpy(at, ports, sizeof(ports));
    if (proto == IPPROTO_TCP) {
        at[12] = 5 << 4;
        at[13] = often(50) ? RTE_TCP_SYN_FLAG : RTE_TCP_ACK_FLAG;
    } else if (proto == IPPROTO_UDP) {
        at[4] = 0;
        at[5] = 8 + 4;
        if (often(20))
            at[6] = at[7] = 0;
    } else if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) {
        at[0] = proto == IPPROTO_ICMP ? 8 : 128;
        at[1] = 0;
    }
    packet->len = (uint16_t)(at - packet->frame + (proto == IPPROTO_TCP ? 20 : 12));
}

// An extension header of IPv6 in 8 bytes (RFC 8200 section 4, RFC 4302), and what comes behind it.
static uint8_t put_extension(uint8_t *at, uint8_t proto)
{
    static const uint8_t kinds[] = {IPPROTO_HOPOPTS, IPPROTO_ROUTING, IPPROTO_DSTOPTS,
                                    IPPROTO_FRAGMENT, IPPROTO_AH};
    uint8_t kind = kinds[any(RTE_DIM(kinds))];

    at[0] = proto;
    if (kind == IPPROTO_HOPOPTS || kind == IPPROTO_DSTOPTS)
        at[2] = 1, at[3] = 4; // PadN
    else if (kind == IPPROTO_FRAGMENT)
        at[3] = often(50); // more
    return kind;
}

// Flags and offset of IPv4: first, last and other fragments, and what is none.
static const uint16_t fragments[] = {0x2000, 0x2001, 0x2040, 0x3fff, 0x0001, 0x0040,
                                     0x1fff, 0x6000, 0x4040, 0x4000, 0x8000, 0xc000};

static void any_packet(struct packet *packet, uint32_t id)
{
    static const uint8_t ttls[] = {0, 1, 2, 64, 64, 64, 64, 255};
    struct rte_ether_hdr *eth = (void *)packet->frame;
    bool v4 = often(70);
    uint8_t proto = often(10) ? v4 ? IPPROTO_ICMP : IPPROTO_ICMPV6 : protocols[any(4)];
    struct in6_addr src, dst = any_ip(v4);

    memset(packet, 0, sizeof(*packet));
    packet->port = (uint16_t)(1 + any(PORTS));
    if (packet->port < POD0) {
        eth->dst_addr = node;
        eth->src_addr = tor;
        src = often(80) ? ip(v4 ? "192.0.2.77" : "2001:db8::77") : any_ip(v4);
    } else {
        eth->dst_addr = router;
        eth->src_addr = pod_mac(packet->port);
        src = often(90) ? pod_ip(packet->port, v4) : any_ip(v4);
    }
    if (often(3))
        eth->dst_addr = pod_mac(packet->port);
    eth->ether_type = v4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
    if (v4) {
        struct rte_ipv4_hdr *header = (void *)(eth + 1);

        put_l4(packet, (uint8_t *)(header + 1), proto);
        *header = (struct rte_ipv4_hdr){.version_ihl = RTE_IPV4_VHL_DEF,
                                        .type_of_service = often(20) ? 0xb8 : 0,
                                        .time_to_live = ttls[any(RTE_DIM(ttls))],
                                        .next_proto_id = proto,
                                        .src_addr = ip_v4(&src),
                                        .dst_addr = ip_v4(&dst)};
        if (often(20))
            header->fragment_offset = htons(fragments[any(RTE_DIM(fragments))]);
        header->total_length = htons((uint16_t)(packet->len + 4 - sizeof(*eth)));
        header->hdr_checksum = often(98) ? rte_ipv4_cksum(header) : 0x1234;
    } else {
        struct rte_ipv6_hdr *header = (void *)(eth + 1);
        uint8_t *next = (uint8_t *)(header + 1);

        put_l4(packet, next + (often(10) ? 8 : 0), proto);
        if (!next[0] && !next[1]) // there is room
            proto = put_extension(next, proto);
        header->vtc_flow = htonl(6u << 28 | (often(20) ? 0xb8u : 0) << 20);
        header->hop_limits = ttls[any(RTE_DIM(ttls))];
        header->proto = proto;
        memcpy(&header->src_addr, &src, 16);
        memcpy(&header->dst_addr, &dst, 16);
        header->payload_len = htons((uint16_t)(packet->len + 4 - sizeof(*eth) - sizeof(*header)));
    }
    memcpy(packet->frame + packet->len, &id, sizeof(id));
    packet->len += sizeof(id);
}

static void inject(const struct packet *packet)
{
    uint64_t begin = now_ms();
    struct rte_mbuf *mbuf;

    while (!(mbuf = rte_pktmbuf_alloc(pool)))
        nap_since(begin, "no buffer came back");
    memcpy(rte_pktmbuf_append(mbuf, packet->len), packet->frame, packet->len);
    while (rte_ring_enqueue(in[packet->port], mbuf))
        nap_since(begin, "net_esw takes no packets");
    injected++;
}

// Have the e-switch and the workers dealt with all that was injected?
static bool is_settled(void)
{
    const char *line = control("status");
    uint64_t from = 0, to_app = 0, done;
    struct dp_totals totals;

    for (; line; line = strchr(line, '\n'), line += line != NULL) {
        unsigned long a, b, c;

        if (sscanf(line, "%*[a-z]%*u in %lu hw_out %lu to_app %lu", &a, &b, &c) == 3) {
            from += a;
            to_app += c;
        }
        if (!strchr(line, '\n'))
            break;
    }
    dp_totals(&totals);
    done = totals.tx + totals.in_flight;
    for (unsigned i = 0; i < DROP_N; i++)
        done += totals.drops[i];
    return from == injected && totals.rx == to_app && !totals.in_flight &&
           done == totals.rx + totals.originated;
}

static void collect(struct outcome *outcomes, uint32_t first, unsigned n)
{
    uint64_t begin = now_ms();
    struct rte_mbuf *mbuf;

    while (!is_settled())
        nap_since(begin, "packets are under way for ever");
    for (uint16_t port = 1; port <= PORTS; port++) {
        while (rte_ring_dequeue(out[port], (void **)&mbuf) == 0) {
            const uint8_t *frame = rte_pktmbuf_mtod(mbuf, const uint8_t *);
            struct outcome *outcome;
            uint32_t id;

            memcpy(&id, frame + mbuf->pkt_len - sizeof(id), sizeof(id));
            assert_in_range(id, first, first + n - 1);
            outcome = &outcomes[id - first];
            assert_true(outcome->n < OUT_MAX);
            outcome->copy[outcome->n].port = port;
            outcome->copy[outcome->n].len = (uint16_t)mbuf->pkt_len;
            outcome->copy[outcome->n++].hash = rte_hash_crc(frame, mbuf->pkt_len, 0);
            rte_pktmbuf_free(mbuf);
        }
    }
}

static void play(const struct packet *packets, struct outcome *outcomes, unsigned n)
{
    memset(outcomes, 0, n * sizeof(*outcomes));
    for (unsigned first = 0; first < n; first += BATCH) {
        unsigned count = RTE_MIN(n - first, (unsigned)BATCH);

        for (unsigned i = 0; i < count; i++)
            inject(&packets[first + i]);
        collect(outcomes + first, first, count);
    }
}

static void say_packet(unsigned no, const struct packet *packet, const struct outcome outcomes[2])
{
    char *text = NULL;

    print_message("packet %u from port %u, %u bytes\n", no, packet->port, packet->len);
    for (unsigned i = 0; i < 2; i++) {
        print_message("  %s:", i ? "with the NIC" : "software alone");
        for (unsigned c = 0; c < outcomes[i].n; c++)
            print_message(" port %u, %u bytes, %08x", outcomes[i].copy[c].port,
                          outcomes[i].copy[c].len, outcomes[i].copy[c].hash);
        print_message("%s\n", outcomes[i].n ? "" : " dropped");
    }
    if (dp_trace(packet->port, packet->frame, packet->len, &text) == 0)
        print_message("%s", text);
    free(text);
}

static bool changes(const struct rule *rule)
{
    for (unsigned i = 0; i < rule->n_actions; i++) {
        if (rule->actions[i].type >= ACTION_SET_IP_SRC && rule->actions[i].type <= ACTION_PUSH_VLAN)
            return true;
    }
    return false;
}

static void count_in_nic(const struct set *set)
{
    for (unsigned p = 0; p < set->n_policy; p++) {
        const struct match_fields *mask = &set->policy[p].match.mask;

        if (!offload_in_nic(policy_nic[p]))
            continue;
        n_changing += changes(&set->policy[p]);
        if (!mask->l4_src && !mask->l4_dst)
            continue;
        n_ports_by_range += engine.nics[0].has[FLOW_EXCEPTIONS_FRAGMENT_RANGE];
        n_ports_by_bits += engine.nics[0].has[FLOW_EXCEPTIONS_FRAGMENTS];
    }
}

// How many packets have another fate with the NIC.
static unsigned differences(const struct set *set, unsigned n, bool tell)
{
    struct packet *packets = calloc(n, sizeof(*packets));
    struct outcome *outcomes[2];
    unsigned differing = 0;

    for (unsigned i = 0; i < 2; i++)
        outcomes[i] = calloc(n, sizeof(*outcomes[i]));
    for (uint32_t i = 0; i < n; i++)
        any_packet(&packets[i], i);
    control("rules=0 refuse_permille=0 without=");
    install(set, CONFIG_OFFLOAD_OFF);
    play(packets, outcomes[0], n);
    uninstall(set);
    assert_string_equal(control(set->limits), "ok\n");
    install(set, CONFIG_OFFLOAD_AUTO);
    count_in_nic(set);
    play(packets, outcomes[1], n);
    for (unsigned i = 0; i < n; i++) {
        const struct outcome both[2] = {outcomes[0][i], outcomes[1][i]};

        if (!memcmp(&both[0], &both[1], sizeof(both[0])))
            continue;
        if (tell && differing++ < 3) {
            say_packet(i, &packets[i], both);
            print_message("  NIC: %s\n", set->limits);
            for (unsigned p = 0; p < set->n_policy; p++) {
                char match[300], actions[300];

                rule_format_match(&set->policy[p], match, sizeof(match));
                rule_format_actions(&set->policy[p], actions, sizeof(actions));
                print_message("  %s, priority %u: %s -> %s; %s\n",
                              rule_table_name(set->policy[p].table), set->policy[p].priority, match,
                              actions, offload_why_not(policy_nic[p]));
            }
        } else if (!tell) {
            differing++;
        }
    }
    control("rules=0 refuse_permille=0 without=");
    uninstall(set);
    for (unsigned i = 0; i < 2; i++)
        free(outcomes[i]);
    free(packets);
    return differing;
}

static unsigned number(const char *name, unsigned otherwise)
{
    return getenv(name) ? (unsigned)strtoul(getenv(name), NULL, 10) : otherwise;
}

static void test_same(void **state)
{
    unsigned sets = number("SLUICE_SETS", 15), packets = number("SLUICE_PACKETS", 600);
    struct set set;

    (void)state;
    for (unsigned i = 0; i < sets; i++) {
        uint64_t seed = random_state;
        unsigned differing;

        any_set(&set);
        differing = differences(&set, packets, true);
        if (differing)
            fail_msg("%u packets differ, rule set %u, SLUICE_SEED=%lu", differing, i, seed);
    }
    print_message("%u rules in the NIC set fields or pushed tags; %u matched ports beside one rule "
                  "for fragments, %u beside 14\n",
                  n_changing, n_ports_by_range, n_ports_by_bits);
    if (sets < 15)
        return;
    assert_int_not_equal(n_changing, 0);
    if (strcmp(nic_mode, "mlx5-hws") != 0) // which has no ranges
        assert_int_not_equal(n_ports_by_range, 0);
    if (strcmp(nic_mode, "mlx5-sws") != 0) // which takes nothing else
        assert_int_not_equal(n_ports_by_bits, 0);
}

static uint64_t n_found(void)
{
    struct offload_status status;

    offload_status(&status);
    return status.lost + status.altered + status.extra + status.resets;
}

static unsigned n_in_nic(void)
{
    unsigned n = 0;

    assert_int_equal(sscanf(strstr(control("status"), "rules "), "rules %u", &n), 1);
    return n;
}

static int compare_ms(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void print_times(const char *what, int ms[], unsigned n)
{
    if (!n)
        return;
    qsort(ms, n, sizeof(*ms), compare_ms);
    print_message("%u faults %s: median %d ms, 90 %% within %d ms, all within %d ms\n", n, what,
                  ms[n / 2], ms[n * 9 / 10], ms[n - 1]);
}

// The NIC loses, alters and invents rules and is reset, while packets pass: each is found, and then
// all is again as in software alone.
static void test_faults(void **state)
{
    static const char *const faults[] = {"lose=1",  "lose=3",  "alter=1",
                                         "alter=2", "extra=1", "reset"};
    unsigned n = 300, n_faults = number("SLUICE_FAULTS", 6);
    struct packet *packets = calloc(n, sizeof(*packets));
    struct outcome *alone = calloc(n, sizeof(*alone)), *with = calloc(n, sizeof(*with));
    int *found = calloc(n_faults + 1, sizeof(*found));
    int *repaired = calloc(n_faults + 1, sizeof(*repaired));
    unsigned n_done = 0, n_there;
    struct set set;

    (void)state;
    any_set(&set);
    set.limits[0] = 0;
    set.members = 3;
    set.masked = true;
    for (uint32_t i = 0; i < n; i++)
        any_packet(&packets[i], i);
    install(&set, CONFIG_OFFLOAD_OFF);
    play(packets, alone, n);
    uninstall(&set);
    install(&set, CONFIG_OFFLOAD_AUTO);
    n_there = n_in_nic();
    for (unsigned i = 0; i < n_faults; i++) {
        const char *fault = faults[any(RTE_DIM(faults))];
        uint64_t begin = now_ms(), before = n_found();

        if (strcmp(control(fault), "ok\n") != 0)
            continue; // there is no rule that could be doubled so
        while (n_found() == before) {
            play(packets, with, n);
            if (now_ms() - begin > 60000)
                fail_msg("%s: not found", fault);
        }
        found[n_done] = (int)(now_ms() - begin);
        assert_int_equal(offload_settle(true, 60000), 0);
        assert_int_equal(n_in_nic(), n_there);
        repaired[n_done] = (int)(now_ms() - begin);
        print_message("%s: found after %d ms, repaired after %d ms\n", fault, found[n_done],
                      repaired[n_done]);
        n_done++;
        play(packets, with, n);
        assert_memory_equal(alone, with, n * sizeof(*alone));
    }
    print_times("found", found, n_done);
    print_times("repaired", repaired, n_done);
    uninstall(&set);
    free(packets);
    free(alone);
    free(with);
    free(found);
    free(repaired);
}

// The test sees what it is to see: without the rule that a rule may be in the NIC only if those
// above it are, packets go astray.
static void test_planted(void **state)
{
    unsigned differing = 0;
    struct set set;

    (void)state;
    planted = true;
    for (unsigned i = 0; i < 100 && !differing; i++) {
        any_set(&set);
        // Rules that not even a place holder can stand for.
        strcpy(set.limits, "without=tcp+sctp");
        differing = differences(&set, 400, false);
    }
    planted = false;
    assert_int_not_equal(differing, 0);
}

// Fragments of a packet with these ports are software's, and without the exceptions go by the
// rules below, which let them pass.
static void test_planted_fragments(void **state)
{
    static struct set set = {
        .n_policy = 1, .miss_normal = true, .members = 3, .masked = true, .limits = "rules=0"};
    struct rule *rule = &set.policy[0];

    (void)state;
    *rule = (struct rule){.table = RULE_TABLE_POLICY, .priority = 10};
    rule->match.spec.eth_type = RTE_BE16(RTE_ETHER_TYPE_IPV4);
    rule->match.mask.eth_type = 0xffff;
    rule->match.spec.ip_proto = IPPROTO_UDP;
    rule->match.mask.ip_proto = 0xff;
    rule->match.mask.l4_dst = RTE_BE16(1); // even ports; later fragments have 0
    rule_add_action(rule, (struct action){.type = ACTION_DROP});
    for (unsigned port = POD0; port <= PORTS; port++)
        set.pod[port] = true;
    assert_int_equal(differences(&set, 1000, true), 0);
    planted_fragments = true;
    assert_int_not_equal(differences(&set, 1000, false), 0);
    planted_fragments = false;
}

// One argument: net_esw's mode.
int main(int argc, char *argv[])
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same),
        cmocka_unit_test(test_planted),
        cmocka_unit_test(test_planted_fragments),
        cmocka_unit_test(test_faults),
    };

    if (argc > 1)
        nic_mode = argv[1];
    return cmocka_run_group_tests_name("offload_same", tests, setup, teardown);
}
