/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/nic_rules.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

// Guard table: before what the guard lets in. Forward table: between the pods and the defaults.
#define PRIORITY_GUARD     100
#define PRIORITY_SOURCES   200
#define PRIORITY_NO_SUCH   50
#define PRIORITY_BITS      30
#define PRIORITY_PROTOCOL  20
#define PRIORITY_ADDRESSES 10

#define UPLINK_RULES 4
// Of a range with two members: half of the 16 values of four bits for each of three protocols and
// what these leave, half of the 4 values of two bits and what these leave.
#define MEMBER_RULES_MAX (3 * (8 + 1) + 2 + 1)

static struct held_rule *of_uplink[CONFIG_UPLINKS_MAX][UPLINK_RULES];
static struct held_rule *of_range[CONFIG_RANGES_MAX][MEMBER_RULES_MAX];

static struct rule family_rule(enum rule_table table, uint16_t priority, bool v4)
{
    struct rule rule = {.table = table, .priority = priority};

    rule.match.spec.eth_type = v4 ? RTE_BE16(RTE_ETHER_TYPE_IPV4) : RTE_BE16(RTE_ETHER_TYPE_IPV6);
    rule.match.mask.eth_type = 0xffff;
    return rule;
}

static void add_to_software(struct rule rule)
{
    rule_add_action(&rule, (struct action){.type = ACTION_PUNT});
    rules_add_nic(&rule);
}

static void set_prefix(struct in6_addr *spec, struct in6_addr *mask, const struct in6_addr *prefix,
                       unsigned length)
{
    for (unsigned bit = 0; bit < length; bit++)
        mask->s6_addr[bit / 8] |= 0x80 >> (bit % 8);
    for (unsigned i = 0; i < 16; i++)
        spec->s6_addr[i] = prefix->s6_addr[i] & mask->s6_addr[i];
}

static struct in6_addr mapped(uint32_t address)
{
    struct in6_addr ip = {.s6_addr = {[10] = 0xff, [11] = 0xff}};

    ip.s6_addr32[3] = htonl(address);
    return ip;
}

// Addresses that a worker does not just forward: of sources from an uplink (martians), of
// destinations that no pod has (headers.h). Rather more than less.
void nic_rules_init(void)
{
    static const struct {
        uint32_t address;
        unsigned length;
    } special4[] = {{0, 8}, {0x7f000000, 8}, {0xa9fe0000, 16}, {0xe0000000, 3}};
    static const struct {
        uint8_t first, second;
        unsigned length;
    } special6[] = {{0, 0, 80}, {0xff, 0, 8}, {0xfe, 0x80, 10}};
    struct rule rule;

    for (size_t i = 0; i < ARRAY_SIZE(special4); i++) {
        struct in6_addr address = mapped(special4[i].address);

        rule = family_rule(RULE_TABLE_GUARD, PRIORITY_SOURCES, true);
        set_prefix(&rule.match.spec.ip_src, &rule.match.mask.ip_src, &address,
                   96 + special4[i].length);
        add_to_software(rule);
        rule = family_rule(RULE_TABLE_FORWARD, PRIORITY_NO_SUCH, true);
        set_prefix(&rule.match.spec.ip_dst, &rule.match.mask.ip_dst, &address,
                   96 + special4[i].length);
        add_to_software(rule);
    }
    for (size_t i = 0; i < ARRAY_SIZE(special6); i++) {
        struct in6_addr address = {.s6_addr = {special6[i].first, special6[i].second}};

        rule = family_rule(RULE_TABLE_GUARD, PRIORITY_SOURCES, false);
        set_prefix(&rule.match.spec.ip_src, &rule.match.mask.ip_src, &address, special6[i].length);
        add_to_software(rule);
        rule = family_rule(RULE_TABLE_FORWARD, PRIORITY_NO_SUCH, false);
        set_prefix(&rule.match.spec.ip_dst, &rule.match.mask.ip_dst, &address, special6[i].length);
        add_to_software(rule);
    }
}

void nic_rules_uplink(unsigned i, uint16_t port, const struct rte_ether_addr *mac)
{
    for (unsigned n = 0; n < UPLINK_RULES; n++) {
        bool v4 = n % 2 == 0, guard = n < 2;
        struct rule rule = family_rule(guard ? RULE_TABLE_GUARD : RULE_TABLE_FORWARD,
                                       guard ? PRIORITY_GUARD : PRIORITY_NO_SUCH, v4);

        rule.match.in_port = port;
        if (guard) {
            rule.match.spec.eth_dst = *mac;
            memset(&rule.match.mask.eth_dst, 0xff, sizeof(rule.match.mask.eth_dst));
            rule_add_action(
                &rule, (struct action){.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_FORWARD});
        } else { // no default for what came in by an uplink: no_such_pod
            rule_add_action(&rule, (struct action){.type = ACTION_PUNT});
        }
        of_uplink[i][n] = rules_add_nic(&rule);
    }
}

void nic_rules_uplink_gone(unsigned i)
{
    for (unsigned n = 0; n < UPLINK_RULES; n++) {
        rules_remove(of_uplink[i][n]);
        of_uplink[i][n] = NULL;
    }
    for (unsigned r = 0; r < CONFIG_RANGES_MAX; r++) {
        for (unsigned n = 0; n < MEMBER_RULES_MAX; n++) {
            struct held_rule *held = of_range[r][n];

            if (!held || held->rule.actions[held->rule.n_actions - 1].port != i + 1)
                continue;
            rules_remove(held);
            of_range[r][n] = NULL;
        }
    }
}

struct plan {
    const struct dp_member_map *map;
    const struct config_range *range;
    unsigned no; // of the range
    unsigned n;
    struct rule rules[MEMBER_RULES_MAX];
};

// The flows of a protocol (0: any) with these bits of dp_masked_bucket, of those in `mask`, leave
// by the bucket's uplink.
static void add_member(struct plan *plan, uint16_t priority, uint8_t proto, unsigned bits,
                       unsigned mask, unsigned bucket)
{
    bool v4 = ip_is_v4(&plan->range->subnet);
    struct rule *rule = &plan->rules[plan->n++];
    struct match_fields *field[2] = {&rule->match.spec, &rule->match.mask};
    unsigned value[2] = {bits & mask, mask};

    *rule = family_rule(RULE_TABLE_UPLINKS, priority, v4);
    set_prefix(&rule->match.spec.ip_src, &rule->match.mask.ip_src, &plan->range->subnet,
               plan->range->prefix_len);
    if (proto) {
        rule->match.spec.ip_proto = proto;
        rule->match.mask.ip_proto = 0xff;
        rule->match.mask.ip_frag = IP_FRAG_ANY;
    }
    for (unsigned i = 0; i < 2; i++) {
        field[i]->ip_src.s6_addr[15] |= value[i] & 1;
        field[i]->ip_dst.s6_addr[15] |= value[i] >> 1 & 1;
        field[i]->l4_src = htons((uint16_t)(value[i] >> 1 & 2));
        field[i]->l4_dst = htons((uint16_t)(value[i] >> 2 & 2));
    }
    rule_add_action(rule, (struct action){.type = ACTION_SET_ETH_SRC, .mac = plan->map->src_mac});
    rule_add_action(
        rule, (struct action){.type = ACTION_SET_ETH_DST,
                              .mac = plan->map->gateway[plan->no].bucket[bucket].gateway_mac});
    rule_add_action(rule, (struct action){.type = ACTION_DEC_TTL});
    rule_add_action(rule,
                    (struct action){.type = ACTION_OUTPUT,
                                    .port = plan->map->gateway[plan->no].bucket[bucket].port});
}

static uint16_t port_of(const struct plan *plan, unsigned bits)
{
    return plan->map->gateway[plan->no].bucket[dp_masked_bucket(bits)].port;
}

// Those of n values that do not leave by the first one's uplink, and then all others.
static void add_bits(struct plan *plan, uint16_t priority, uint8_t proto, unsigned n,
                     uint16_t rest_priority)
{
    for (unsigned bits = 1; bits < n; bits++) {
        if (port_of(plan, bits) != port_of(plan, 0))
            add_member(plan, priority, proto, bits, n - 1, dp_masked_bucket(bits));
    }
    add_member(plan, rest_priority, proto, 0, 0, dp_masked_bucket(0));
}

static void make_plan(struct plan *plan)
{
    static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
    bool one = true;

    if (!plan->map->gateway[plan->no].valid)
        return;
    for (unsigned bucket = 1; bucket < DP_BUCKETS; bucket++)
        one = one && plan->map->gateway[plan->no].bucket[bucket].port ==
                         plan->map->gateway[plan->no].bucket[0].port;
    if (one)
        add_member(plan, 0, 0, 0, 0, 0);
    if (one || !plan->map->masked)
        return; // or by a hash, which no rule says
    for (size_t i = 0; i < ARRAY_SIZE(protocols); i++)
        add_bits(plan, PRIORITY_BITS, protocols[i], 16, PRIORITY_PROTOCOL);
    add_bits(plan, PRIORITY_ADDRESSES, 0, 4, 0);
}

// What is no more goes first: meanwhile those flows are software's.
void nic_rules_members(const struct config *config, const struct dp_member_map *map)
{
    struct plan *plan = xmalloc(sizeof(*plan));

    for (unsigned r = 0; r < config->n_ranges; r++) {
        bool kept[MEMBER_RULES_MAX] = {false};

        memset(plan, 0, sizeof(*plan));
        plan->map = map;
        plan->range = &config->ranges[r];
        plan->no = r;
        make_plan(plan);
        for (unsigned i = 0; i < MEMBER_RULES_MAX; i++) {
            unsigned n = 0;

            while (of_range[r][i] && n < plan->n &&
                   memcmp(&of_range[r][i]->rule, &plan->rules[n], sizeof(plan->rules[n])) != 0)
                n++;
            if (of_range[r][i] && n < plan->n) {
                kept[n] = true;
            } else {
                rules_remove(of_range[r][i]);
                of_range[r][i] = NULL;
            }
        }
        for (unsigned n = 0, i = 0; n < plan->n; n++) {
            if (kept[n])
                continue;
            while (of_range[r][i])
                i++;
            of_range[r][i] = rules_add_nic(&plan->rules[n]);
        }
    }
    free(plan);
}
