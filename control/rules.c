/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/dataplane.h"
#include "openvswitch/vlog.h"
#include "util.h"

#define RULE_PRIORITY 100

VLOG_DEFINE_THIS_MODULE(rules);

static_assert(CONFIG_PREFER_MAX <= OFFLOAD_PREFER_MAX, "the engine takes them all");

// How long a detach waits for a NIC to let go, and an attach for it to take, where it must.
#define REMOVE_MS  200
#define REQUIRE_MS 2000
#define STOP_MS    2000

static enum config_offload offload_mode;
static unsigned node_mtu;
static struct held_rule *rules_head;
static uint64_t next_sequence;
static size_t n_in_table[RULE_TABLE_N];

static int offload_port(uint16_t port, struct offload_port *offload)
{
    const struct dp_port_info *info = dp_port_get(port);

    if (info == NULL)
        offload->why = "the port is not open";
    else if (info->driver == DP_DRIVER_AF_XDP)
        offload->why = "af_xdp has no transfer rules";
    else if (info->driver == DP_DRIVER_AF_PACKET)
        offload->why = "af_packet has no transfer rules";
    else {
        offload->ethdev = info->ethdev;
        // NICs do not look at sizes; software fragments, or tells the sender.
        if (info->params.mtu < node_mtu)
            offload->no_output = "it sends to a port whose MTU is smaller than the node's";
        return 0;
    }
    return -ENODEV;
}

const char *rules_nic(const struct rule *rule)
{
    static char *text;

    for (const struct held_rule *held = rules_head; held; held = held->next) {
        if (!rule_same(&held->rule, rule))
            continue;
        if (offload_in_nic(held->offload))
            return "yes";
        free(text);
        text = xasprintf("no: %s", offload_why_not(held->offload));
        return text;
    }
    return "no: the NIC was not told of it";
}

void rules_init(const struct config *config)
{
    struct offload_prefix prefer[CONFIG_PREFER_MAX];
    static const enum offload_mode modes[] = {
        [CONFIG_OFFLOAD_OFF] = OFFLOAD_OFF,
        [CONFIG_OFFLOAD_AUTO] = OFFLOAD_AUTO,
        [CONFIG_OFFLOAD_REQUIRE] = OFFLOAD_REQUIRE,
    };
    int err;

    offload_mode = config->offload;
    node_mtu = config->mtu;
    offload_init(modes[config->offload], offload_port);
    for (unsigned i = 0; i < config->n_offload_prefer; i++)
        prefer[i] = (struct offload_prefix){.subnet = config->offload_prefer[i].subnet,
                                            .length = config->offload_prefer[i].prefix_len};
    offload_prefer(prefer, config->n_offload_prefer);
    err = offload_start();
    if (err)
        VLOG_WARN("rules go into the NIC in the control thread error=%s", ovs_strerror(-err));
}

void rules_fini(void)
{
    while (rules_head) {
        struct held_rule *next = rules_head->next;

        offload_remove(rules_head->offload);
        free(rules_head);
        rules_head = next;
    }
    offload_settle(false, STOP_MS);
    offload_stop();
}

void rules_settle(void)
{
    offload_settle(false, REMOVE_MS);
}

static struct held_rule *hold(const struct rule *rule)
{
    struct held_rule *held = xzalloc(sizeof(*held));

    held->rule = *rule;
    held->sequence = next_sequence++;
    held->next = rules_head;
    if (rules_head)
        rules_head->prev = held;
    rules_head = held;
    held->offload = offload_add(rule);
    return held;
}

struct held_rule *rules_add_nic(const struct rule *rule)
{
    struct held_rule *held = hold(rule);

    held->nic_only = true;
    return held;
}

struct held_rule *rules_add_policy(const struct rule *rule, uint32_t slot)
{
    struct held_rule *held = hold(rule);

    held->policy = true;
    held->slot = slot;
    return held;
}

// Pods' rules: those of ranges come before any NIC, and the host's port is the kernel's.
static bool must_be_in_nic(const struct rule *rule)
{
    const struct dp_port_info *info = dp_port_get((uint16_t)rule->cookie);

    return offload_mode == CONFIG_OFFLOAD_REQUIRE && rule->cookie != 0 &&
           !(info && info->params.kind == DP_PORT_HOST);
}

int rules_add(const struct rule *rule, struct held_rule **held, char **error)
{
    struct held_rule *added;
    uint32_t slot;
    int err = dp_rule_add(rule, &slot, error);

    if (err)
        return err;
    added = hold(rule);
    added->slot = slot;
    n_in_table[rule->table]++;

    if (must_be_in_nic(rule))
        offload_settle(true, REQUIRE_MS);
    if (must_be_in_nic(rule) && !offload_in_nic(added->offload)) {
        char match[256];

        rule_format_match(rule, match, sizeof(match));
        *error = xasprintf("the NIC does not take the rule %s: %s; the node file says offload: "
                           "require",
                           match, offload_why_not(added->offload));
        rules_remove(added);
        return -ENOTSUP;
    }
    *held = added;
    return 0;
}

void rules_remove(struct held_rule *held)
{
    if (held == NULL)
        return;
    offload_remove(held->offload);
    if (!held->nic_only && !held->policy) {
        dp_rule_del(held->slot);
        n_in_table[held->rule.table]--;
    }
    if (held->prev)
        held->prev->next = held->next;
    else
        rules_head = held->next;
    if (held->next)
        held->next->prev = held->prev;
    free(held);
}

static int compare(const void *a_, const void *b_)
{
    const struct held_rule *a = *(struct held_rule *const *)a_;
    const struct held_rule *b = *(struct held_rule *const *)b_;

    if (a->rule.table != b->rule.table)
        return a->rule.table < b->rule.table ? -1 : 1;
    if (a->rule.priority != b->rule.priority)
        return a->rule.priority > b->rule.priority ? -1 : 1;
    return a->sequence < b->sequence ? -1 : 1;
}

struct held_rule **rules_sorted(bool all, size_t *n)
{
    struct held_rule **sorted;
    size_t total = 0;

    for (struct held_rule *held = rules_head; held; held = held->next)
        total++;
    sorted = xmalloc((total + 1) * sizeof(void *));
    *n = 0;
    for (struct held_rule *held = rules_head; held; held = held->next) {
        if (all || (!held->nic_only && !held->policy))
            sorted[(*n)++] = held;
    }
    qsort(sorted, *n, sizeof(void *), compare);
    return sorted;
}

size_t rules_count(enum rule_table table)
{
    return n_in_table[table];
}

static void match_eth_type(struct rule *rule, const struct in6_addr *address)
{
    rule->match.spec.eth_type =
        htons(ip_is_v4(address) ? RTE_ETHER_TYPE_IPV4 : RTE_ETHER_TYPE_IPV6);
    rule->match.mask.eth_type = 0xffff;
}

struct rule rule_guard(uint16_t port, const uint8_t mac[6], const struct in6_addr *address,
                       const uint8_t router_mac[6])
{
    struct rule rule = {.table = RULE_TABLE_GUARD, .priority = RULE_PRIORITY, .cookie = port};
    struct action go = {.type = ACTION_GOTO_TABLE, .table = RULE_TABLE_FORWARD};

    rule.match.in_port = port;
    match_eth_type(&rule, address);
    memcpy(&rule.match.spec.eth_src, mac, 6);
    memset(&rule.match.mask.eth_src, 0xff, 6);
    memcpy(&rule.match.spec.eth_dst, router_mac, 6);
    memset(&rule.match.mask.eth_dst, 0xff, 6);
    rule.match.spec.ip_src = *address;
    memset(&rule.match.mask.ip_src, 0xff, 16);
    rule_add_action(&rule, go);
    return rule;
}

struct rule rule_forward(uint16_t port, const uint8_t mac[6], const struct in6_addr *address,
                         const uint8_t router_mac[6])
{
    struct rule rule = {.table = RULE_TABLE_FORWARD, .priority = RULE_PRIORITY, .cookie = port};
    struct action set_src = {.type = ACTION_SET_ETH_SRC};
    struct action set_dst = {.type = ACTION_SET_ETH_DST};

    match_eth_type(&rule, address);
    rule.match.spec.ip_dst = *address;
    memset(&rule.match.mask.ip_dst, 0xff, 16);
    memcpy(&set_src.mac, router_mac, 6);
    memcpy(&set_dst.mac, mac, 6);
    rule_add_action(&rule, set_src);
    rule_add_action(&rule, set_dst);
    rule_add_action(&rule, (struct action){.type = ACTION_DEC_TTL});
    rule_add_action(&rule, (struct action){.type = ACTION_OUTPUT, .port = port});
    return rule;
}

struct rule rule_default(uint16_t range, const struct in6_addr *subnet, uint8_t prefix_len)
{
    struct rule rule = {.table = RULE_TABLE_FORWARD, .priority = 0};
    struct action out = {.type = ACTION_UPLINKS, .gateway = range};

    match_eth_type(&rule, subnet);
    for (unsigned bit = 0; bit < prefix_len; bit++)
        rule.match.mask.ip_src.s6_addr[bit / 8] |= 0x80 >> (bit % 8);
    for (unsigned i = 0; i < 16; i++)
        rule.match.spec.ip_src.s6_addr[i] = subnet->s6_addr[i] & rule.match.mask.ip_src.s6_addr[i];
    rule_add_action(&rule, out);
    return rule;
}
