/* SPDX-License-Identifier: Apache-2.0 */
// Limits and faults of the rule memory.
#include "offload/esw/fault.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <rte_common.h>

#define ITEM_WITH_LAST (-1) // any, with a range

// What `without` can name, testpmd's words for items and actions, and for a range.
static const struct part {
    const char *name;
    bool is_action;
    int type;
} parts[] = {
#define ITEM(name, TYPE)                                                                           \
    {                                                                                              \
        name, false, RTE_FLOW_ITEM_TYPE_##TYPE                                                     \
    }
#define ACTION(name, TYPE)                                                                         \
    {                                                                                              \
        name, true, RTE_FLOW_ACTION_TYPE_##TYPE                                                    \
    }
    ITEM("vlan", VLAN),
    ITEM("ipv4", IPV4),
    ITEM("ipv6", IPV6),
    ITEM("tcp", TCP),
    ITEM("udp", UDP),
    ITEM("sctp", SCTP),
    ITEM("icmp", ICMP),
    ITEM("icmp6", ICMP6),
    {"last", false, ITEM_WITH_LAST},
    ACTION("count", COUNT),
    ACTION("age", AGE),
    ACTION("set_mac_src", SET_MAC_SRC),
    ACTION("set_mac_dst", SET_MAC_DST),
    ACTION("dec_ttl", DEC_TTL),
    ACTION("set_ttl", SET_TTL),
    ACTION("set_ipv4_src", SET_IPV4_SRC),
    ACTION("set_ipv4_dst", SET_IPV4_DST),
    ACTION("set_ipv6_src", SET_IPV6_SRC),
    ACTION("set_ipv6_dst", SET_IPV6_DST),
    ACTION("set_ipv4_dscp", SET_IPV4_DSCP),
    ACTION("set_ipv6_dscp", SET_IPV6_DSCP),
    ACTION("set_tp_src", SET_TP_SRC),
    ACTION("set_tp_dst", SET_TP_DST),
    ACTION("of_push_vlan", OF_PUSH_VLAN),
    ACTION("modify_field", MODIFY_FIELD),
    ACTION("jump", JUMP),
    ACTION("drop", DROP),
#undef ITEM
#undef ACTION
};

static const struct number {
    const char *name;
    size_t offset;
    uint32_t max;
} numbers[] = {
    {"rules", offsetof(struct esw_faults, max_rules), UINT32_MAX},
    {"latency_us", offsetof(struct esw_faults, latency_us), 1000000},
    {"refuse_every", offsetof(struct esw_faults, refuse_every), UINT32_MAX},
    {"again_every", offsetof(struct esw_faults, again_every), UINT32_MAX},
    {"counter_lag_ms", offsetof(struct esw_faults, counter_lag_ms), 60000},
    {"refuse_permille", offsetof(struct esw_faults, refuse_permille), 1000},
    {"lose_permille", offsetof(struct esw_faults, lose_permille), 1000},
    {"alter_permille", offsetof(struct esw_faults, alter_permille), 1000},
    {"counters_stuck", offsetof(struct esw_faults, counters_stuck), 1},
    {"queue_stuck", offsetof(struct esw_faults, queue_stuck), 1},
    {"play", offsetof(struct esw_faults, play), 1},
    {"links_down", offsetof(struct esw_faults, links_down), UINT32_MAX},
};

static bool number_of(const char *text, uint32_t max, uint32_t *number)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (text[0] < '0' || text[0] > '9' || *end || n > max)
        return false;
    *number = (uint32_t)n;
    return true;
}

void esw_fault_init(struct esw_faults *faults)
{
    memset(faults, 0, sizeof(*faults));
    faults->random = 1;
    faults->play = 1;
}

// Names with + between them; none: everything is taken.
static int set_without(struct esw_faults *faults, const char *value)
{
    uint64_t without = 0;

    while (*value) {
        size_t length = strcspn(value, "+");
        unsigned i;

        for (i = 0; i < RTE_DIM(parts); i++) {
            if (strlen(parts[i].name) == length && !strncmp(parts[i].name, value, length))
                break;
        }
        if (i == RTE_DIM(parts))
            return -EINVAL;
        without |= UINT64_C(1) << i;
        value += length + (value[length] == '+');
    }
    faults->without = without;
    return 0;
}

static const struct number *find_number(const char *name)
{
    for (unsigned i = 0; i < RTE_DIM(numbers); i++) {
        if (!strcmp(numbers[i].name, name))
            return &numbers[i];
    }
    return NULL;
}

bool esw_fault_max(const char *name, uint32_t *max)
{
    const struct number *number = find_number(name);

    *max = number ? number->max : UINT32_MAX;
    return number || !strcmp(name, "seed");
}

int esw_fault_set(struct esw_faults *faults, const char *name, const char *value)
{
    const struct number *number = find_number(name);
    uint32_t n, max;

    if (!strcmp(name, "without"))
        return set_without(faults, value);
    if (!esw_fault_max(name, &max))
        return -ENOENT;
    if (!number_of(value, max, &n))
        return -EINVAL;
    if (!number) {
        faults->random = n; // its seed
        return 0;
    }
    memcpy((char *)faults + number->offset, &n, sizeof(n));
    faults->n_creates = 0;
    return 0;
}

// splitmix64 (Steele, Lea, Flood 2014): good enough, and the same everywhere.
uint32_t esw_fault_random(struct esw_faults *faults, uint32_t n)
{
    uint64_t z = faults->random += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (uint32_t)((z ^ (z >> 31)) % n);
}

static bool is_off(const struct esw_faults *faults, bool is_action, int type)
{
    for (unsigned i = 0; faults->without && i < RTE_DIM(parts); i++) {
        if (parts[i].is_action == is_action && parts[i].type == type)
            return faults->without & (UINT64_C(1) << i);
    }
    return false;
}

int esw_fault_capable(const struct esw_faults *faults, const struct rte_flow_item pattern[],
                      const struct rte_flow_action actions[], struct rte_flow_error *error)
{
    for (; pattern->type != RTE_FLOW_ITEM_TYPE_END; pattern++) {
        if (is_off(faults, false, (int)pattern->type) ||
            (pattern->last && is_off(faults, false, ITEM_WITH_LAST)))
            return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM, pattern,
                                      "net_esw was told not to match this item");
    }
    for (; actions->type != RTE_FLOW_ACTION_TYPE_END; actions++) {
        if (is_off(faults, true, (int)actions->type))
            return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, actions,
                                      "net_esw was told not to have this action");
    }
    return 0;
}

int esw_fault_refuse(struct esw_faults *faults, unsigned n, struct rte_flow_error *error)
{
    faults->n_creates++;
    if (faults->max_rules && n >= faults->max_rules) {
        faults->n_refused++;
        return rte_flow_error_set(error, ENOSPC, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL,
                                  "the rule memory is full");
    }
    if (faults->again_every && faults->n_creates % faults->again_every == 0) {
        faults->n_refused++;
        return rte_flow_error_set(error, EAGAIN, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL,
                                  "net_esw was told to be busy: try again");
    }
    if ((faults->refuse_every && faults->n_creates % faults->refuse_every == 0) ||
        (faults->refuse_permille && esw_fault_random(faults, 1000) < faults->refuse_permille)) {
        faults->n_refused++;
        return rte_flow_error_set(error, EIO, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL,
                                  "net_esw was told to refuse this");
    }
    return 0;
}

bool esw_fault_lose(struct esw_faults *faults)
{
    if (!faults->lose_permille || esw_fault_random(faults, 1000) >= faults->lose_permille)
        return false;
    faults->n_lost++;
    return true;
}

void esw_fault_alter_now(struct esw_faults *faults, struct esw_program *program, unsigned n_ports)
{
    struct esw_op *op = &program->ops[program->n_ops - 1];

    faults->n_altered++;
    // The last action is the worst to have wrong: another port, none, or one instead of none.
    if (op->type == ESW_OP_TO_WIRE_OR_VF && n_ports > 1)
        op->port = (uint16_t)((op->port + 1u + esw_fault_random(faults, n_ports - 1)) % n_ports);
    else if (op->type == ESW_OP_DROP)
        *op = (struct esw_op){.type = ESW_OP_TO_WIRE_OR_VF,
                              .port = (uint16_t)esw_fault_random(faults, n_ports)};
    else
        op->type = ESW_OP_DROP;
}

void esw_fault_alter(struct esw_faults *faults, struct esw_program *program, unsigned n_ports)
{
    if (faults->alter_permille && esw_fault_random(faults, 1000) < faults->alter_permille)
        esw_fault_alter_now(faults, program, n_ports);
}
