/* SPDX-License-Identifier: Apache-2.0 */
// What a NIC's driver takes: one small rule for each thing, asked of rte_flow_validate, or
// templates for such a rule.
#include <stdio.h>
#include <string.h>

#include <rte_ethdev.h>

#include "offload/engine.h"

static const struct probe {
    const char *name;
    enum rte_flow_item_type item; // after eth and what `ip` says
    int ip;                       // 4, 6, 0
    enum rte_flow_action_type action;
} probes[] = {
    {"eth", RTE_FLOW_ITEM_TYPE_END, 0, RTE_FLOW_ACTION_TYPE_DROP},
    {"vlan", RTE_FLOW_ITEM_TYPE_VLAN, 0, RTE_FLOW_ACTION_TYPE_DROP},
    {"ipv4", RTE_FLOW_ITEM_TYPE_END, 4, RTE_FLOW_ACTION_TYPE_DROP},
    {"ipv6", RTE_FLOW_ITEM_TYPE_END, 6, RTE_FLOW_ACTION_TYPE_DROP},
    {"tcp", RTE_FLOW_ITEM_TYPE_TCP, 4, RTE_FLOW_ACTION_TYPE_DROP},
    {"udp", RTE_FLOW_ITEM_TYPE_UDP, 4, RTE_FLOW_ACTION_TYPE_DROP},
    {"sctp", RTE_FLOW_ITEM_TYPE_SCTP, 4, RTE_FLOW_ACTION_TYPE_DROP},
    {"icmp", RTE_FLOW_ITEM_TYPE_ICMP, 4, RTE_FLOW_ACTION_TYPE_DROP},
    {"icmp6", RTE_FLOW_ITEM_TYPE_ICMP6, 6, RTE_FLOW_ACTION_TYPE_DROP},
    {"jump", RTE_FLOW_ITEM_TYPE_END, 4, RTE_FLOW_ACTION_TYPE_JUMP},
    {"represented_port", RTE_FLOW_ITEM_TYPE_END, 4, RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT},
    {"set_mac_dst", RTE_FLOW_ITEM_TYPE_END, 4, RTE_FLOW_ACTION_TYPE_SET_MAC_DST},
    {"dec_ttl", RTE_FLOW_ITEM_TYPE_END, 4, RTE_FLOW_ACTION_TYPE_DEC_TTL},
    {"modify_field", RTE_FLOW_ITEM_TYPE_END, 4, RTE_FLOW_ACTION_TYPE_MODIFY_FIELD},
    {"fragment_range", RTE_FLOW_ITEM_TYPE_END, 4, RTE_FLOW_ACTION_TYPE_VOID}, // see ask_range
};

static void add_action(struct flow *flow, enum rte_flow_action_type type, uint16_t ethdev)
{
    unsigned n = flow->n_actions;
    union flow_action_conf *conf = flow_add_action(flow, type);

    switch ((int)type) {
    case RTE_FLOW_ACTION_TYPE_JUMP:
        conf->jump.group = FLOW_GROUP_SOFTWARE;
        return;
    case RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT:
        conf->ethdev.port_id = ethdev;
        return;
    case RTE_FLOW_ACTION_TYPE_DROP:
    case RTE_FLOW_ACTION_TYPE_DEC_TTL:
        flow->actions[n].conf = NULL; // they have none
        break;
    case RTE_FLOW_ACTION_TYPE_SET_MAC_DST:
        conf->mac.mac_addr[0] = 2;
        break;
    case RTE_FLOW_ACTION_TYPE_MODIFY_FIELD:
        conf->modify.operation = RTE_FLOW_MODIFY_SET;
        conf->modify.dst.field = RTE_FLOW_FIELD_MAC_DST;
        conf->modify.src.field = RTE_FLOW_FIELD_VALUE;
        conf->modify.src.value[0] = 2;
        conf->modify.width = 48;
        break;
    }
    if (type != RTE_FLOW_ACTION_TYPE_DROP)
        flow_add_action(flow, RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT)->ethdev.port_id = ethdev;
}

static void build(const struct probe *probe, uint16_t ethdev, struct flow *flow)
{
    // In a group that is not the root one, as most rules are.
    flow_begin(flow, RULE_TABLE_FORWARD, FLOW_PRIORITY_LAST);
    flow_add_item(flow, RTE_FLOW_ITEM_TYPE_ETH);
    if (probe->ip)
        flow_add_item(flow, probe->ip == 4 ? RTE_FLOW_ITEM_TYPE_IPV4 : RTE_FLOW_ITEM_TYPE_IPV6);
    if (probe->item != RTE_FLOW_ITEM_TYPE_END)
        flow_add_item(flow, probe->item);
    add_action(flow, probe->action, ethdev);
    flow_end(flow);
}

// Is one rule taken for all IPv4 fragments? Of rules by templates none is: a template has the
// masks, a rule one value for each, and mlx5 does not even say that it reads no `last`.
static int ask_range(const struct nic *nic, bool by_templates, struct rte_flow_error *error)
{
    struct flow flow;
    const char *what;

    if (by_templates)
        return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_LAST, NULL,
                                  "rules by templates match no ranges");
    flow_build_exception(FLOW_EXCEPTIONS_FRAGMENT_RANGE, 0, nic->ethdev, &flow, &what);
    return rte_flow_validate(nic->ethdev, &flow.attr, flow.items, flow.actions, error);
}

static int ask(const struct nic *nic, const struct probe *probe, bool by_templates,
               struct rte_flow_error *error)
{
    struct flow flow;

    if (probe->action == RTE_FLOW_ACTION_TYPE_VOID)
        return ask_range(nic, by_templates, error);
    build(probe, nic->ethdev, &flow);
    return by_templates
               ? templates_try(nic, &flow, error)
               : rte_flow_validate(nic->ethdev, &flow.attr, flow.items, flow.actions, error);
}

static_assert(RTE_DIM(probes) <= OFFLOAD_CAPABILITIES_MAX, "room for what is asked");

static void probe_all(struct nic *nic, bool by_templates)
{
    for (; nic->n_capabilities < RTE_DIM(probes); nic->n_capabilities++) {
        const struct probe *probe = &probes[nic->n_capabilities];
        struct offload_capability *one = &nic->capabilities[nic->n_capabilities];
        struct rte_flow_error error = {.message = NULL};
        int err = ask(nic, probe, by_templates, &error);

        *one = (struct offload_capability){.name = probe->name, .has = !err};
        if (err)
            snprintf(one->why_not, sizeof(one->why_not), "%s (%s)",
                     error.message ? error.message : "refused", rte_strerror(-err));
    }
}

void capabilities_by_templates(struct nic *nic)
{
    probe_all(nic, true);
}

enum flow_exceptions capabilities_fragments(const struct nic *nic)
{
    struct rte_flow_error error = {.message = NULL};

    if (nic->has[FLOW_EXCEPTIONS_FRAGMENTS])
        return FLOW_EXCEPTIONS_FRAGMENTS;
    if (nic->has[FLOW_EXCEPTIONS_FRAGMENT_RANGE] ||
        !ask_range(nic, nic->how != RULES_PLAIN, &error))
        return FLOW_EXCEPTIONS_FRAGMENT_RANGE;
    return FLOW_EXCEPTIONS_FRAGMENTS;
}

unsigned offload_capabilities(unsigned no, char driver[32], struct offload_capability *list,
                              unsigned n)
{
    struct nic *nic = &engine.nics[no];
    bool gone;

    if (no >= __atomic_load_n(&engine.n_nics, __ATOMIC_ACQUIRE))
        return 0;
    memcpy(driver, nic->driver, sizeof(nic->driver));
    n = n < RTE_DIM(probes) ? n : RTE_DIM(probes);
    // rte_flow_validate() crashes in mlx5 with hardware steering of DPDK 22.11.
    gone = __atomic_load_n(&nic->gone, __ATOMIC_ACQUIRE);
    if (gone || __atomic_load_n(&nic->how, __ATOMIC_ACQUIRE) == RULES_NOT_TRIED) {
        for (unsigned i = 0; i < n; i++) {
            list[i] = (struct offload_capability){.name = probes[i].name};
            snprintf(list[i].why_not, sizeof(list[i].why_not), "%s",
                     gone ? NIC_GONE : "known once it got a rule");
        }
        return n;
    }
    if (nic->how == RULES_PLAIN)
        probe_all(nic, false);
    memcpy(list, nic->capabilities, n * sizeof(*list));
    return n;
}
