/* SPDX-License-Identifier: Apache-2.0 */
// Refuses lists of actions that contradict themselves or go beyond a limit, before they are a
// rule's, a bucket's or a packet-out's. What passes here, policy_actions.c can do.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "dataplane/policy_actions.h"

// What is known before the actions.
struct context {
    int table;          // the operator's; -1: before the first
    bool bucket;        // of a group: no goto_table
    int tags;           // VLAN tags of the frame as far as they are known, -1: not at all
    rte_be16_t type;    // EtherType, 0: not known
    const char *prefix; // of errors
};

__attribute__((format(printf, 4, 5))) static int refuse(char **error, const struct context *c,
                                                        unsigned i, const char *format, ...)
{
    va_list args;
    char *what;

    va_start(args, format);
    if (vasprintf(&what, format, args) < 0)
        what = NULL;
    va_end(args);
    if (!what || asprintf(error, "%saction %u: %s", c->prefix, i + 1, what) < 0)
        *error = NULL;
    free(what);
    return -EINVAL;
}

// The list as a whole: what may follow what.
static int check_order(const struct context *c, const struct action *actions, unsigned n,
                       char **error)
{
    unsigned last_use = n, normals = 0;

    for (unsigned i = 0; i < n; i++) {
        if (policy_action_uses_frame(actions[i].type))
            last_use = i;
        normals += actions[i].type == ACTION_NORMAL;
        if (normals > 1)
            return refuse(error, c, i, "normal a second time: a packet goes one way; take one out");
    }
    for (unsigned i = 0; i < n; i++) {
        enum action_type type = actions[i].type;

        if (type == ACTION_DROP && (i + 1 < n || last_use < n))
            return refuse(error, c, i,
                          "drop beside outputs or before other actions; let it stand "
                          "last and alone, or take it out");
        if (type == ACTION_GOTO_TABLE && i + 1 < n)
            return refuse(error, c, i, "goto_table must be the last action");
        if (type == ACTION_GOTO_TABLE && normals)
            return refuse(error, c, i, "goto_table beside normal: a packet goes one way");
        if (type == ACTION_METER && last_use < i)
            return refuse(error, c, i,
                          "a meter behind the last output limits nothing; put it "
                          "before that");
    }
    return 0;
}

static int check_vlan(struct context *c, const struct action *a, unsigned i, char **error)
{
    if (a->type == ACTION_PUSH_VLAN) {
        if (a->l4 != RTE_BE16(RTE_ETHER_TYPE_VLAN) && a->l4 != RTE_BE16(RTE_ETHER_TYPE_QINQ))
            return refuse(error, c, i,
                          "push_vlan of EtherType 0x%04x: 0x8100 and 0x88a8 are "
                          "possible",
                          rte_be_to_cpu_16(a->l4));
        c->tags += c->tags >= 0;
        if (c->tags > POLICY_VLANS_MAX)
            return refuse(error, c, i, "push_vlan: a frame has at most %u tags", POLICY_VLANS_MAX);
        return 0;
    }
    if (!c->tags)
        return refuse(error, c, i,
                      "the frame is untagged, by the match or by actions before; "
                      "match a VLAN, or push a tag first");
    if (a->type == ACTION_POP_VLAN)
        c->tags -= c->tags > 0;
    else if (a->tci.mask & RTE_BE16(VLAN_PRESENT) || a->tci.value & ~a->tci.mask)
        return refuse(error, c, i, "set_vlan_tci: a mask of at most 0xefff, no value outside it");
    return 0;
}

static int check_ip(const struct context *c, const struct action *a, unsigned i, char **error)
{
    bool v4 = ip_is_v4(&a->ip);

    if (c->type == (v4 ? RTE_BE16(RTE_ETHER_TYPE_IPV6) : RTE_BE16(RTE_ETHER_TYPE_IPV4)) ||
        (c->type == RTE_BE16(RTE_ETHER_TYPE_ARP) && !v4))
        return refuse(error, c, i, "an %s address, and the match says otherwise",
                      v4 ? "IPv4" : "IPv6");
    return 0;
}

static int check_action(struct context *c, const struct action *a, unsigned i, char **error)
{
    switch (a->type) {
    case ACTION_OUTPUT:
        if (a->port < 1 || a->port > PORT_MAX)
            return refuse(error, c, i, "output to port %u; ports are 1 to %u", a->port, PORT_MAX);
        return 0;
    case ACTION_UPLINKS:
        return refuse(error, c, i, "uplinks is the forward table's own; take normal");
    case ACTION_GOTO_TABLE:
        if (c->bucket)
            return refuse(error, c, i, "goto_table in a group's bucket");
        if (!rule_table_is_policy(a->table) || a->table - RULE_TABLE_POLICY <= c->table)
            return refuse(error, c, i, "goto_table %d from table %d: only to a later one, up to %u",
                          a->table - RULE_TABLE_POLICY, c->table, POLICY_TABLES - 1);
        return 0;
    case ACTION_SET_VLAN:
    case ACTION_PUSH_VLAN:
    case ACTION_POP_VLAN:
        return check_vlan(c, a, i, error);
    case ACTION_SET_IP_SRC:
    case ACTION_SET_IP_DST:
        return check_ip(c, a, i, error);
    case ACTION_SET_REG:
        if (a->index >= RULE_REGS)
            return refuse(error, c, i, "reg%u; there are reg0 to reg%u", a->index, RULE_REGS - 1);
        return 0;
    default:
        return 0;
    }
}

static int check(struct context *c, const struct action *actions, unsigned n, char **error)
{
    int ret;

    if (n > RULE_ACTIONS_MAX)
        return refuse(error, c, RULE_ACTIONS_MAX, "at most %u actions are possible",
                      RULE_ACTIONS_MAX);
    ret = check_order(c, actions, n, error);
    for (unsigned i = 0; i < n && !ret; i++)
        ret = check_action(c, &actions[i], i, error);
    return ret;
}

int policy_actions_check(const struct rule *rule, char **error)
{
    const struct match_fields *spec = &rule->match.spec, *mask = &rule->match.mask;
    struct context c = {.table = (int)rule->table - RULE_TABLE_POLICY, .tags = -1, .prefix = ""};

    if (mask->eth_type == RTE_BE16(0xffff))
        c.type = spec->eth_type;
    // What is behind a tag may be a tag as well, so of a tagged frame the number is not known.
    if (mask->vlan_tci & RTE_BE16(VLAN_PRESENT) && !(spec->vlan_tci & RTE_BE16(VLAN_PRESENT)))
        c.tags = 0;
    return check(&c, rule->actions, rule->n_actions, error);
}

int policy_bucket_check(const struct dp_bucket *bucket, unsigned index, char **error)
{
    struct context c = {.bucket = true, .tags = -1};
    char prefix[32];

    snprintf(prefix, sizeof prefix, "bucket %u, ", index + 1);
    c.prefix = prefix;
    return check(&c, bucket->actions, bucket->n_actions, error);
}

int policy_packet_out_check(const struct action *actions, unsigned n, char **error)
{
    struct context c = {.table = -1, .tags = -1, .prefix = ""};

    return check(&c, actions, n, error);
}
