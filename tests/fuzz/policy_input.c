/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/fuzz/policy_input.h"

#include <string.h>

#include "dataplane/policy.h"
#include "tests/fuzz/fuzz.h"

#define RULES_AT_ONCE 32
#define IDS           4 // of groups and of meters

static uint32_t slots[RULES_AT_ONCE];
static unsigned n_slots;
static bool any;

// What is left to read. Behind its end are zeroes.
struct input {
    const uint8_t *data;
    size_t size;
};

static void take(struct input *in, void *to, size_t size)
{
    size_t n = RTE_MIN(size, in->size);

    memset(to, 0, size);
    memcpy(to, in->data, n);
    in->data += n;
    in->size -= n;
}

static uint8_t take8(struct input *in)
{
    uint8_t byte;

    take(in, &byte, 1);
    return byte;
}

// Mostly numbers that there are.
static uint16_t take_port(struct input *in)
{
    uint8_t byte = take8(in);

    return byte < 250 ? byte % 6 : PORT_MAX;
}

static struct action take_action(struct input *in)
{
    struct action a = {.type = take8(in) % (ACTION_METER + 1)};

    switch (a.type) {
    case ACTION_DROP:
    case ACTION_DEC_TTL:
    case ACTION_UPLINKS:
    case ACTION_NORMAL:
    case ACTION_IN_PORT:
    case ACTION_ALL:
    case ACTION_POP_VLAN:
        break;
    case ACTION_OUTPUT:
        a.port = take_port(in);
        break;
    case ACTION_GOTO_TABLE:
        a.table = (uint8_t)(RULE_TABLE_POLICY + take8(in) % (POLICY_TABLES + 1));
        break;
    case ACTION_PUSH_VLAN:
        a.l4 = take8(in) % 2 ? RTE_BE16(RTE_ETHER_TYPE_VLAN) : RTE_BE16(RTE_ETHER_TYPE_QINQ);
        break;
    case ACTION_SET_REG:
        a.index = take8(in) % (RULE_REGS + 1);
        take(in, &a.reg, sizeof a.reg);
        break;
    case ACTION_SET_IP_SRC:
    case ACTION_SET_IP_DST:
        if (take8(in) % 2) {
            a.ip.s6_addr32[2] = RTE_BE32(0xffff);
            take(in, &a.ip.s6_addr32[3], 4);
        } else {
            take(in, &a.ip, sizeof a.ip);
        }
        break;
    case ACTION_PUNT:
        take(in, &a.max_len, sizeof a.max_len);
        break;
    case ACTION_GROUP:
    case ACTION_METER:
        a.id = take8(in) % IDS;
        break;
    default:
        take(in, &a.note, sizeof a.note); // the largest of the others
        a.tci.value &= a.type == ACTION_SET_VLAN ? a.tci.mask : 0xffff;
    }
    return a;
}

static uint8_t take_actions(struct input *in, struct action actions[RULE_ACTIONS_MAX])
{
    uint8_t n = take8(in) % 7;

    for (uint8_t i = 0; i < n; i++)
        actions[i] = take_action(in);
    return n;
}

#define TAKE(bit, field)                                                                           \
    if (fields & 1 << (bit)) {                                                                     \
        take(in, &spec->field, sizeof spec->field);                                                \
        memset(&mask->field, 0xff, sizeof spec->field);                                            \
    }

static void add_rule(struct input *in)
{
    struct rule rule = {.table = RULE_TABLE_POLICY + take8(in) % 3, .priority = take8(in)};
    struct match_fields *spec = &rule.match.spec, *mask = &rule.match.mask;
    char *error = NULL;
    uint16_t fields;

    take(in, &fields, sizeof fields);
    // Most match all packets.
    if (fields & 1) {
        rule.match.in_port = take_port(in);
        TAKE(1, eth_type)
        TAKE(2, vlan_tci)
        TAKE(3, ip_proto)
        TAKE(4, l4_dst)
        TAKE(5, metadata)
        TAKE(6, reg[0])
        TAKE(7, ip_tos)
        TAKE(8, ip_frag)
        TAKE(9, tcp_flags)
        TAKE(10, ip_dst)
        TAKE(11, eth_dst)
    }
    rule.n_actions = take_actions(in, rule.actions);
    if (n_slots < RULES_AT_ONCE && !dp_policy_add(&rule, &slots[n_slots], &error))
        n_slots++;
    free(error);
}

static void set_group(struct input *in)
{
    struct dp_bucket buckets[4] = {0};
    uint32_t id = take8(in) % IDS;
    unsigned type = take8(in) % 4, n = take8(in) % 5;
    char *error = NULL;

    for (unsigned i = 0; i < n; i++) {
        uint8_t watched = take8(in) % (IDS * 2);

        buckets[i].weight = take8(in);
        buckets[i].watch_port = take_port(in);
        buckets[i].watch_group = watched < IDS ? watched : DP_GROUP_NONE;
        buckets[i].n_actions = take_actions(in, buckets[i].actions);
    }
    dp_group_set(id, (enum dp_group_type)type, buckets, n, &error);
    free(error);
}

static void set_meter(struct input *in)
{
    uint32_t id = take8(in) % IDS;
    struct dp_meter meter = {.packets = take8(in) % 2, .rate = take8(in), .burst = take8(in)};
    char *error = NULL;

    check(!dp_meter_set(id, &meter, &error), "a meter can be set");
}

void policy_input_read(const uint8_t *data, size_t size)
{
    struct input in = {.data = data, .size = size};

    any = true;
    while (in.size) {
        switch (take8(&in) % 8) {
        case 0:
            set_group(&in);
            break;
        case 1:
            set_meter(&in);
            break;
        case 2:
            dp_policy_miss(take8(&in) % 2);
            break;
        case 3:
            dp_port_set_live(take_port(&in), take8(&in) % 2);
            break;
        case 4:
            if (n_slots)
                dp_policy_del(slots[--n_slots]);
            break;
        default:
            add_rule(&in);
        }
    }
    dp_policy_commit(true);
}

bool policy_input_any(void)
{
    return any;
}

void policy_input_end(void)
{
    static struct dp_packet_in in;

    while (dp_packet_in_recv(&in))
        check(in.data_len <= in.len, "no more of a frame than there is");
    if (!any)
        return;
    while (n_slots)
        dp_policy_del(slots[--n_slots]);
    for (uint32_t id = 0; id < IDS; id++) {
        dp_group_del(id);
        dp_meter_del(id);
    }
    for (uint16_t port = 1; port < 6; port++)
        dp_port_set_live(port, true);
    dp_policy_miss(true);
    dp_policy_commit(true);
    while (dp_policy_poll())
        ;
    any = false;
}
