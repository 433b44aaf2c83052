/* SPDX-License-Identifier: Apache-2.0 */
// The rules of the guard and forward tables, and what they are compiled into: pod addresses into
// two rte_hash tables (exact on the destination, changed in place, read without locks), guards into
// one small array for each port, each range's default into its slot of the member map.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_hash.h>
#include <rte_hash_crc.h>
#include <rte_malloc.h>

#include "dataplane/exact4.h"
#include "dataplane/headers.h"
#include "dataplane/internal.h"

static struct exact4 *table4;
static struct rte_hash *table6;
static struct fwd_entry *entries6; // [RULES_MAX], by slot
static struct rule *rules[RULES_MAX];
static uint32_t n_rules;
static uint32_t free_slots[RULES_MAX];                 // the first RULES_MAX - n_rules are free
static struct dp_rule_stats counted_before[RULES_MAX]; // by a slot's earlier rules

// As rte_hash_crc, which reads words where there may be none aligned.
static uint32_t hash6(const void *key, uint32_t len, uint32_t init)
{
    uint64_t words[2];

    memcpy(words, key, len);
    return rte_hash_crc_8byte(words[1], rte_hash_crc_8byte(words[0], init));
}

int forward_table_init(char **error)
{
    struct rte_hash_parameters params = {
        .name = "forward6",
        .entries = RULES_MAX,
        .key_len = sizeof(struct in6_addr),
        .hash_func = hash6,
        .socket_id = (int)rte_socket_id(),
        .extra_flag = RTE_HASH_EXTRA_FLAGS_RW_CONCURRENCY_LF | RTE_HASH_EXTRA_FLAGS_EXT_TABLE,
    };
    // A deletion waits until no worker reads the entry.
    struct rte_hash_rcu_config rcu = {.v = dp.rcu, .mode = RTE_HASH_QSBR_MODE_SYNC};

    table4 = exact4_new(512);
    table6 = rte_hash_create(&params);
    entries6 = rte_zmalloc("forward6", RULES_MAX * sizeof *entries6, RTE_CACHE_LINE_SIZE);
    for (unsigned i = 0; i < RULES_MAX; i++)
        free_slots[i] = RULES_MAX - 1 - i;
    if (table4 && table6 && entries6 && !rte_hash_rcu_qsbr_add(table6, &rcu))
        return 0;
    forward_table_fini();
    return set_error(-ENOMEM, error,
                     "no memory for the forward table; give DPDK more (memory: size)");
}

void forward_table_fini(void)
{
    rte_free(table4);
    rte_hash_free(table6);
    rte_free(entries6);
    table4 = NULL;
    table6 = NULL;
    entries6 = NULL;
    for (unsigned i = 0; i < RULES_MAX; i++) {
        free(rules[i]);
        rules[i] = NULL;
    }
}

static inline rte_be32_t dst4(const struct packet *p)
{
    return ((const struct rte_ipv4_hdr *)p->ip)->dst_addr;
}

void forward_lookup4(const struct packet *packets, unsigned n, const struct dp_rule_stats *counters,
                     struct fwd_entry *hits[])
{
    struct exact4 *table = load_acquire(&table4);

    for (unsigned i = 0; i < n; i++) {
        struct exact4_slot *first = exact4_first(table, dst4(&packets[i]));

        rte_prefetch0(first);
        hits[i] = &first->entry;
    }
    for (unsigned i = 0; i < n; i++) {
        rte_be32_t key = dst4(&packets[i]);
        struct fwd_entry *hit = hits[i];

        // Most are where they are looked for first.
        if (unlikely(load_acquire(&exact4_slot_of(hit)->key) != (EXACT4_KEY | key))) {
            hit = exact4_find_from(table, exact4_slot_of(hit), key);
            hits[i] = hit;
            if (!hit)
                continue;
        }
        rte_prefetch0(&counters[hit->slot]);
    }
}

void forward_lookup6(const struct packet *packets, unsigned n, struct fwd_entry *hits[])
{
    const void *keys[BURST];
    uint64_t found = 0;

    for (unsigned i = 0; i < n; i++)
        keys[i] = &((const struct rte_ipv6_hdr *)packets[i].ip)->dst_addr;
    rte_hash_lookup_bulk_data(table6, keys, n, &found, (void **)hits);
    for (unsigned i = 0; i < n; i++)
        if (!(found >> i & 1))
            hits[i] = NULL;
}

bool forward_has4(rte_be32_t address)
{
    return exact4_find(load_acquire(&table4), address) != NULL;
}

bool forward_has6(const struct in6_addr *address)
{
    return rte_hash_lookup(table6, address) >= 0;
}

static bool all_ones(const void *mask, size_t size)
{
    const uint8_t *bytes = mask;

    for (size_t i = 0; i < size; i++)
        if (bytes[i] != 0xff)
            return false;
    return true;
}

static const struct action *find_action(const struct rule *rule, enum action_type type)
{
    for (unsigned i = 0; i < rule->n_actions; i++)
        if (rule->actions[i].type == type)
            return &rule->actions[i];
    return NULL;
}

// Index of the range that holds an address, or -1.
static int gateway_of(const struct in6_addr *address)
{
    for (unsigned g = 0; g < dp.n_gateways; g++) {
        const struct dp_gateway *gateway = &dp.gateways[g];
        unsigned bit = 0;

        while (bit < gateway->prefix_len &&
               !((address->s6_addr[bit / 8] ^ gateway->subnet.s6_addr[bit / 8]) & 0x80 >> bit % 8))
            bit++;
        if (bit == gateway->prefix_len)
            return (int)g;
    }
    return -1;
}

static int refuse(int code, char **error, const char *what, const struct rule *rule)
{
    char match[256], actions[256];

    rule_format_match(rule, match, sizeof match);
    rule_format_actions(rule, actions, sizeof actions);
    return set_error(code, error, "%s table: %s -> %s: %s", rule_table_name(rule->table), match,
                     actions, what);
}

// Publishes the port's guard with one address more (gateway >= 0) or less.
static int guard_change(struct port *port, const struct in6_addr *address, int gateway,
                        uint32_t slot)
{
    struct guard *old = port->guard, *guard = calloc(1, sizeof *guard);

    if (!guard)
        return -ENOMEM;
    for (unsigned i = 0; old && i < old->n4; i++)
        if (gateway >= 0 || !ip_is_v4(address) || old->v4[i].address != ip_v4(address))
            guard->v4[guard->n4++] = old->v4[i];
    for (unsigned i = 0; old && i < old->n6; i++)
        if (gateway >= 0 || !IN6_ARE_ADDR_EQUAL(&old->v6[i].address, address))
            guard->v6[guard->n6++] = old->v6[i];
    if (gateway >= 0 && ip_is_v4(address)) {
        guard->v4[guard->n4].address = ip_v4(address);
        guard->v4[guard->n4].slot = slot;
        guard->v4[guard->n4++].gateway = (uint16_t)gateway;
    } else if (gateway >= 0) {
        guard->v6[guard->n6].address = *address;
        guard->v6[guard->n6].slot = slot;
        guard->v6[guard->n6++].gateway = (uint16_t)gateway;
    }
    store_release(&port->guard, guard);
    // What may no longer be sent must have gone out when this returns.
    if (gateway < 0)
        rcu_wait();
    rcu_free(old);
    return 0;
}

static int guard_add(struct rule *rule, char **error)
{
    struct port *port = rule->match.in_port <= PORT_MAX ? dp.ports[rule->match.in_port] : NULL;
    const struct in6_addr *address = &rule->match.spec.ip_src;
    int gateway = gateway_of(address);
    int ret;

    if (!port || !port->guarded)
        return refuse(-ENOTSUP, error, "in_port is no pod or host port", rule);
    if (!all_ones(&rule->match.mask.eth_src, RTE_ETHER_ADDR_LEN) ||
        !rte_is_same_ether_addr(&rule->match.spec.eth_src, &port->info.params.mac))
        return refuse(-ENOTSUP, error, "eth_src is not the port's MAC address", rule);
    if (!all_ones(&rule->match.mask.ip_src, sizeof rule->match.mask.ip_src) ||
        !find_action(rule, ACTION_GOTO_TABLE))
        return refuse(-ENOTSUP, error, "only one whole ip_src and goto_table are possible", rule);
    if (gateway < 0)
        return refuse(-EINVAL, error, "the address is in no range", rule);
    if (ip_is_v4(address) ? guard_find4(port->guard, ip_v4(address)) != NULL
                          : guard_find6(port->guard, address) != NULL)
        return refuse(-EEXIST, error, "there is such a rule already", rule);
    if (port->guard && (ip_is_v4(address) ? port->guard->n4 : port->guard->n6) == GUARD_MAX)
        return refuse(-ENOSPC, error, "the port has 8 addresses of this family already", rule);
    ret = guard_change(port, address, gateway, rule->slot);
    return ret ? refuse(ret, error, "no memory", rule) : 0;
}

static int forward_add(struct rule *rule, char **error)
{
    const struct action *src = find_action(rule, ACTION_SET_ETH_SRC);
    const struct action *dst = find_action(rule, ACTION_SET_ETH_DST);
    const struct action *out = find_action(rule, ACTION_OUTPUT);
    const struct action *uplinks = find_action(rule, ACTION_UPLINKS);
    const struct in6_addr *address = &rule->match.spec.ip_dst;
    struct fwd_entry entry = {.slot = rule->slot};
    int ret;

    if (uplinks) {
        if (uplinks->gateway >= dp.n_gateways)
            return refuse(-EINVAL, error, "no such range", rule);
        store_release(&dp.default_slot[uplinks->gateway], rule->slot);
        return 0;
    }
    if (!src || !dst || !out || !find_action(rule, ACTION_DEC_TTL) ||
        !all_ones(&rule->match.mask.ip_dst, sizeof rule->match.mask.ip_dst))
        return refuse(-ENOTSUP, error,
                      "only one whole ip_dst with set_eth_src, set_eth_dst, dec_ttl and output, or "
                      "a range's uplinks, are possible",
                      rule);
    if (out->port > PORT_MAX || !dp.ports[out->port])
        return refuse(-EINVAL, error, "no such output port", rule);
    if (ip_is_v4(address) ? forward_has4(ip_v4(address)) : forward_has6(address))
        return refuse(-EEXIST, error, "there is such a rule already", rule);
    memcpy(entry.macs, dst->mac.addr_bytes, RTE_ETHER_ADDR_LEN);
    memcpy(entry.macs + RTE_ETHER_ADDR_LEN, src->mac.addr_bytes, RTE_ETHER_ADDR_LEN);
    entry.port = out->port;
    entry.mtu = dp.ports[out->port]->mtu;
    if (ip_is_v4(address)) {
        ret = exact4_add(&table4, ip_v4(address), &entry);
    } else {
        entries6[rule->slot] = entry;
        ret = rte_hash_add_key_data(table6, address, &entries6[rule->slot]);
    }
    if (ret)
        return refuse(ret, error, "no room in the forward table", rule);
    return 0;
}

const struct rule *forward_table_rule(uint32_t slot)
{
    return rules[slot];
}

static void count(uint32_t slot, struct dp_rule_stats *sum)
{
    *sum = (struct dp_rule_stats){0};
    for (unsigned i = 0; i < dp.n_workers; i++) {
        sum->packets += dp.workers[i].rules[slot].packets;
        sum->bytes += dp.workers[i].rules[slot].bytes;
    }
}

int dp_rule_add(const struct rule *params, uint32_t *slot, char **error)
{
    struct rule *rule;
    int ret;

    if (n_rules == RULES_MAX)
        return refuse(-ENOSPC, error, "no room: 65,536 rules are there", params);
    rule = malloc(sizeof *rule);
    if (!rule)
        return refuse(-ENOMEM, error, "no memory", params);
    *rule = *params;
    rule->slot = free_slots[RULES_MAX - n_rules - 1];
    count(rule->slot, &counted_before[rule->slot]);
    if (rule->table == RULE_TABLE_GUARD)
        ret = guard_add(rule, error);
    else if (rule->table == RULE_TABLE_FORWARD)
        ret = forward_add(rule, error);
    else
        ret = refuse(-ENOTSUP, error, "this table takes no rules", rule);
    if (ret) {
        free(rule);
        return ret;
    }
    rules[rule->slot] = rule;
    n_rules++;
    *slot = rule->slot;
    return 0;
}

int dp_rule_del(uint32_t slot)
{
    struct rule *rule = slot < RULES_MAX ? rules[slot] : NULL;
    const struct in6_addr *address;
    int ret = 0;

    if (!rule)
        return -ENOENT;
    if (rule->table == RULE_TABLE_GUARD) {
        ret = guard_change(dp.ports[rule->match.in_port], &rule->match.spec.ip_src, -1, slot);
    } else if (!find_action(rule, ACTION_UPLINKS)) {
        address = &rule->match.spec.ip_dst;
        if (ip_is_v4(address))
            ret = exact4_del(table4, ip_v4(address)) ? 0 : -ENOENT;
        else
            ret = rte_hash_del_key(table6, address);
    }
    if (ret < 0)
        return ret;
    free(rule);
    rules[slot] = NULL;
    n_rules--;
    free_slots[RULES_MAX - n_rules - 1] = slot;
    return 0;
}

void dp_rule_stats(uint32_t slot, struct dp_rule_stats *stats)
{
    count(slot, stats);
    stats->packets -= counted_before[slot].packets;
    stats->bytes -= counted_before[slot].bytes;
}

void forward_table_memory(struct dp_memory *memory)
{
    memory->forward_rules = n_rules;
    memory->forward_rules_max = RULES_MAX;
}
