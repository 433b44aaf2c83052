/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/rule.h"

#include <arpa/inet.h>
#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *rule_table_name(enum rule_table table)
{
    static const char *const names[RULE_TABLE_N] = {"guard",   "policy0", "policy1", "policy2",
                                                    "policy3", "policy4", "policy5", "policy6",
                                                    "policy7", "forward", "uplinks"};

    _Static_assert(POLICY_TABLES == 8, "names of the policy tables");

    return names[table];
}

void rule_add_action(struct rule *rule, struct action action)
{
    assert(rule->n_actions < RULE_ACTIONS_MAX);
    rule->actions[rule->n_actions++] = action;
}

bool rule_same(const struct rule *a, const struct rule *b)
{
    // struct match_fields has no padding.
    return a->table == b->table && a->priority == b->priority &&
           a->match.in_port == b->match.in_port &&
           !memcmp(&a->match.spec, &b->match.spec, sizeof a->match.spec) &&
           !memcmp(&a->match.mask, &b->match.mask, sizeof a->match.mask);
}

// Text that grows in a buffer of fixed size; `len` counts on past its end, as snprintf does.
struct text {
    char *buf;
    size_t size;
    int len;
};

__attribute__((format(printf, 2, 3))) static void add(struct text *t, const char *format, ...)
{
    size_t at = (size_t)t->len < t->size ? (size_t)t->len : t->size;
    va_list args;

    if (t->len && at + 1 < t->size)
        t->buf[at++] = ',';
    t->len += t->len ? 1 : 0;
    va_start(args, format);
    t->len += vsnprintf(t->buf + at, t->size - at, format, args);
    va_end(args);
}

// Lower case, as everywhere else; DPDK's own format is not.
#define MAC_FORMAT "%02x:%02x:%02x:%02x:%02x:%02x"

static void add_mac(struct text *t, const char *name, const struct rte_ether_addr *mac,
                    const struct rte_ether_addr *mask)
{
    if (rte_is_zero_ether_addr(mask))
        return;
    if (rte_is_broadcast_ether_addr(mask))
        add(t, "%s=" MAC_FORMAT, name, RTE_ETHER_ADDR_BYTES(mac));
    else
        add(t, "%s=" MAC_FORMAT "/" MAC_FORMAT, name, RTE_ETHER_ADDR_BYTES(mac),
            RTE_ETHER_ADDR_BYTES(mask));
}

// Length of the prefix that a mask is, or -1 if it is none.
static int prefix_length(const struct in6_addr *mask)
{
    int n = 0;

    while (n < 128 && (mask->s6_addr[n / 8] & (0x80 >> n % 8)))
        n++;
    for (int i = n; i < 128; i++)
        if (mask->s6_addr[i / 8] & (0x80 >> i % 8))
            return -1;
    return n;
}

static void add_ip(struct text *t, const char *name, const struct in6_addr *ip,
                   const struct in6_addr *mask)
{
    char address[INET6_ADDRSTRLEN], mask_text[INET6_ADDRSTRLEN];
    int prefix = prefix_length(mask), bits = 128;

    if (!prefix)
        return;
    if (prefix != -1 && prefix < 96)
        inet_ntop(AF_INET6, ip, address, sizeof address);
    else if (ip_is_v4(ip)) {
        inet_ntop(AF_INET, &ip->s6_addr32[3], address, sizeof address);
        bits = 32;
        prefix -= prefix == -1 ? 0 : 96;
    } else
        inet_ntop(AF_INET6, ip, address, sizeof address);
    if (prefix == bits)
        add(t, "%s=%s", name, address);
    else if (prefix >= 0)
        add(t, "%s=%s/%d", name, address, prefix);
    else
        add(t, "%s=%s/%s", name, address, inet_ntop(AF_INET6, mask, mask_text, sizeof mask_text));
}

static void add_port(struct text *t, const char *name, rte_be16_t port, rte_be16_t mask)
{
    if (mask == RTE_BE16(0xffff))
        add(t, "%s=%u", name, rte_be_to_cpu_16(port));
    else if (mask)
        add(t, "%s=0x%x/0x%x", name, rte_be_to_cpu_16(port), rte_be_to_cpu_16(mask));
}

int rule_format_match(const struct rule *rule, char *buf, size_t size)
{
    const struct match_fields *spec = &rule->match.spec, *mask = &rule->match.mask;
    struct text t = {.buf = buf, .size = size};

    if (rule->match.in_port)
        add(&t, "in_port=%u", rule->match.in_port);
    add_mac(&t, "eth_src", &spec->eth_src, &mask->eth_src);
    add_mac(&t, "eth_dst", &spec->eth_dst, &mask->eth_dst);
    if (mask->vlan_tci)
        add(&t, "vlan_tci=0x%x/0x%x", rte_be_to_cpu_16(spec->vlan_tci),
            rte_be_to_cpu_16(mask->vlan_tci));
    if (mask->eth_type) {
        uint16_t type = rte_be_to_cpu_16(spec->eth_type);

        if (type == RTE_ETHER_TYPE_IPV4)
            add(&t, "ipv4");
        else if (type == RTE_ETHER_TYPE_IPV6)
            add(&t, "ipv6");
        else if (type == RTE_ETHER_TYPE_ARP)
            add(&t, "arp");
        else
            add(&t, "eth_type=0x%04x", type);
    }
    add_ip(&t, "ip_src", &spec->ip_src, &mask->ip_src);
    add_ip(&t, "ip_dst", &spec->ip_dst, &mask->ip_dst);
    if (mask->ip_proto)
        add(&t, "ip_proto=%u", spec->ip_proto);
    if (mask->ip_tos)
        add(&t, "ip_tos=%u/%u", spec->ip_tos, mask->ip_tos);
    if (mask->ip_frag)
        add(&t, "ip_frag=%u/%u", spec->ip_frag, mask->ip_frag);
    add_port(&t, "l4_src", spec->l4_src, mask->l4_src);
    add_port(&t, "l4_dst", spec->l4_dst, mask->l4_dst);
    if (mask->tcp_flags)
        add(&t, "tcp_flags=0x%x/0x%x", rte_be_to_cpu_16(spec->tcp_flags),
            rte_be_to_cpu_16(mask->tcp_flags));
    add_mac(&t, "arp_sha", &spec->arp_sha, &mask->arp_sha);
    add_mac(&t, "arp_tha", &spec->arp_tha, &mask->arp_tha);
    if (mask->metadata)
        add(&t, "metadata=0x%" PRIx64 "/0x%" PRIx64, rte_be_to_cpu_64(spec->metadata),
            rte_be_to_cpu_64(mask->metadata));
    for (unsigned i = 0; i < RULE_REGS; i++)
        if (mask->reg[i])
            add(&t, "reg%u=0x%x/0x%x", i, rte_be_to_cpu_32(spec->reg[i]),
                rte_be_to_cpu_32(mask->reg[i]));
    if (!t.len)
        add(&t, "any");
    return t.len;
}

static void add_set_ip(struct text *t, const char *name, const struct in6_addr *ip)
{
    char address[INET6_ADDRSTRLEN];

    if (ip_is_v4(ip))
        inet_ntop(AF_INET, &ip->s6_addr32[3], address, sizeof address);
    else
        inet_ntop(AF_INET6, ip, address, sizeof address);
    add(t, "set_%s:%s", name, address);
}

int rule_format_actions(const struct rule *rule, char *buf, size_t size)
{
    struct text t = {.buf = buf, .size = size};

    for (unsigned i = 0; i < rule->n_actions; i++) {
        const struct action *a = &rule->actions[i];

        switch (a->type) {
        case ACTION_DROP:
            add(&t, "drop");
            break;
        case ACTION_SET_ETH_SRC:
            add(&t, "set_eth_src:" MAC_FORMAT, RTE_ETHER_ADDR_BYTES(&a->mac));
            break;
        case ACTION_SET_ETH_DST:
            add(&t, "set_eth_dst:" MAC_FORMAT, RTE_ETHER_ADDR_BYTES(&a->mac));
            break;
        case ACTION_DEC_TTL:
            add(&t, "dec_ttl");
            break;
        case ACTION_OUTPUT:
            add(&t, "output:%u", a->port);
            break;
        case ACTION_UPLINKS:
            add(&t, "uplinks:%u", a->gateway);
            break;
        case ACTION_GOTO_TABLE:
            add(&t, "goto_table:%s", rule_table_name(a->table));
            break;
        case ACTION_PUNT:
            add(&t, "punt");
            break;
        case ACTION_NORMAL:
            add(&t, "normal");
            break;
        case ACTION_IN_PORT:
            add(&t, "output:in_port");
            break;
        case ACTION_ALL:
            add(&t, "output:all");
            break;
        case ACTION_SET_IP_SRC:
            add_set_ip(&t, "ip_src", &a->ip);
            break;
        case ACTION_SET_IP_DST:
            add_set_ip(&t, "ip_dst", &a->ip);
            break;
        case ACTION_SET_IP_TOS:
            add(&t, "set_ip_tos:%u/%u", a->byte.value, a->byte.mask);
            break;
        case ACTION_SET_L4_SRC:
            add(&t, "set_l4_src:%u", rte_be_to_cpu_16(a->l4));
            break;
        case ACTION_SET_L4_DST:
            add(&t, "set_l4_dst:%u", rte_be_to_cpu_16(a->l4));
            break;
        case ACTION_SET_VLAN:
            add(&t, "set_vlan_tci:0x%x/0x%x", rte_be_to_cpu_16(a->tci.value),
                rte_be_to_cpu_16(a->tci.mask));
            break;
        case ACTION_PUSH_VLAN:
            add(&t, "push_vlan:0x%04x", rte_be_to_cpu_16(a->l4));
            break;
        case ACTION_POP_VLAN:
            add(&t, "pop_vlan");
            break;
        case ACTION_SET_ARP_OP:
            add(&t, "set_arp_op:%u", a->byte.value);
            break;
        case ACTION_SET_ARP_SHA:
            add(&t, "set_arp_sha:" MAC_FORMAT, RTE_ETHER_ADDR_BYTES(&a->mac));
            break;
        case ACTION_SET_ARP_THA:
            add(&t, "set_arp_tha:" MAC_FORMAT, RTE_ETHER_ADDR_BYTES(&a->mac));
            break;
        case ACTION_SET_METADATA:
            add(&t, "set_metadata:0x%" PRIx64 "/0x%" PRIx64, rte_be_to_cpu_64(a->note.value),
                rte_be_to_cpu_64(a->note.mask));
            break;
        case ACTION_SET_REG:
            add(&t, "set_reg%u:0x%x/0x%x", a->index, rte_be_to_cpu_32(a->reg.value),
                rte_be_to_cpu_32(a->reg.mask));
            break;
        case ACTION_GROUP:
            add(&t, "group:%u", a->id);
            break;
        case ACTION_METER:
            add(&t, "meter:%u", a->id);
            break;
        }
    }
    if (!rule->n_actions)
        add(&t, "drop");
    return t.len;
}
