/* SPDX-License-Identifier: Apache-2.0 */
// A rule "IPv4 to this address: count, new destination MAC, to this side" by templates.
#pragma once

#include <string.h>

#include <rte_flow.h>

#include "tests/unit/esw_rig.h"

// The rule's pattern and actions: what varies is what the masks leave open.
struct templated {
    struct rte_flow_item_ipv4 ip, ip_mask;
    struct rte_flow_action_modify_field mac, mac_mask;
    struct rte_flow_action_ethdev to, to_mask;
    struct rte_flow_item items[3];
    struct rte_flow_action actions[4], masks[4];
    struct rte_flow_pattern_template *pattern;
    struct rte_flow_actions_template *template;
    struct rte_flow_template_table *table;
};

static inline void templated_fill(struct templated *t, uint32_t dst, uint16_t to)
{
    t->ip = (struct rte_flow_item_ipv4){.hdr.dst_addr = rte_cpu_to_be_32(dst)};
    t->ip_mask = (struct rte_flow_item_ipv4){.hdr.dst_addr = UINT32_MAX};
    t->mac = (struct rte_flow_action_modify_field){
        .operation = RTE_FLOW_MODIFY_SET,
        .dst.field = RTE_FLOW_FIELD_MAC_DST,
        .src.field = RTE_FLOW_FIELD_VALUE,
        .width = 48,
    };
    memcpy(t->mac.src.value, &mac_c, 6);
    // As mlx5 wants it: all but the value is fixed.
    t->mac_mask = t->mac;
    t->mac_mask.dst.level = t->mac_mask.dst.offset = t->mac_mask.width = UINT32_MAX;
    memset(t->mac_mask.src.value, 0, sizeof(t->mac_mask.src.value));
    t->to.port_id = to;
    t->to_mask.port_id = 0;
    memset(t->items, 0, sizeof(t->items));
    t->items[0].type = RTE_FLOW_ITEM_TYPE_ETH;
    t->items[1] = (struct rte_flow_item){
        .type = RTE_FLOW_ITEM_TYPE_IPV4, .spec = &t->ip, .mask = &t->ip_mask};
    memset(t->actions, 0, sizeof(t->actions));
    t->actions[0].type = RTE_FLOW_ACTION_TYPE_COUNT;
    t->actions[1] =
        (struct rte_flow_action){.type = RTE_FLOW_ACTION_TYPE_MODIFY_FIELD, .conf = &t->mac};
    t->actions[2] =
        (struct rte_flow_action){.type = RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT, .conf = &t->to};
    memcpy(t->masks, t->actions, sizeof(t->masks));
    t->masks[1].conf = &t->mac_mask;
    t->masks[2].conf = &t->to_mask;
}

// Makes templates and a table of so many rules; false, with rte_errno, if something is refused.
static inline bool templated_make(struct templated *t, uint16_t port, uint32_t size)
{
    const struct rte_flow_pattern_template_attr pattern = {.transfer = 1};
    const struct rte_flow_actions_template_attr actions = {.transfer = 1};
    const struct rte_flow_template_table_attr table = {.flow_attr = {.transfer = 1},
                                                       .nb_flows = size};
    struct rte_flow_error error;

    t->table = NULL;
    t->template = NULL;
    t->pattern = rte_flow_pattern_template_create(port, &pattern, t->items, &error);
    if (t->pattern)
        t->template =
            rte_flow_actions_template_create(port, &actions, t->actions, t->masks, &error);
    if (t->template)
        t->table =
            rte_flow_template_table_create(port, &table, &t->pattern, 1, &t->template, 1, &error);
    return t->table;
}

// Fills in a rule to the side, and makes what rules on the wire like it need.
static inline void templated_open(struct templated *t, uint32_t dst, enum side to, uint32_t size)
{
    templated_fill(t, dst, ethdev[to]);
    assert_true(templated_make(t, ethdev[WIRE], size));
}

static inline void templated_free(struct templated *t, uint16_t port)
{
    struct rte_flow_error error;

    if (t->table)
        assert_int_equal(rte_flow_template_table_destroy(port, t->table, &error), 0);
    if (t->template)
        assert_int_equal(rte_flow_actions_template_destroy(port, t->template, &error), 0);
    if (t->pattern)
        assert_int_equal(rte_flow_pattern_template_destroy(port, t->pattern, &error), 0);
}

static inline struct rte_flow *templated_create(struct templated *t, uint16_t port, bool postpone,
                                                void *user_data, struct rte_flow_error *error)
{
    const struct rte_flow_op_attr attr = {.postpone = postpone};

    return rte_flow_async_create(port, 0, &attr, t->table, t->items, 0, t->actions, 0, user_data,
                                 error);
}

// Waits for one result.
static inline struct rte_flow_op_result templated_pull(uint16_t port)
{
    struct rte_flow_op_result result = {0};
    struct rte_flow_error error;

    for (int tries = 0; tries < 300000; tries++) {
        int n = rte_flow_pull(port, 0, &result, 1, &error);

        assert_true(n >= 0);
        if (n == 1)
            return result;
        usleep(100);
    }
    fail_msg("no result within 30 s");
    return result;
}

// A rule that is in the NIC.
static inline struct rte_flow *templated_install(struct templated *t, uint16_t port)
{
    struct rte_flow_error error;
    struct rte_flow *flow = templated_create(t, port, false, NULL, &error);

    assert_non_null(flow);
    assert_int_equal(templated_pull(port).status, RTE_FLOW_OP_SUCCESS);
    return flow;
}

static inline void templated_destroy(uint16_t port, struct rte_flow *flow)
{
    const struct rte_flow_op_attr attr = {0};
    struct rte_flow_error error;

    assert_int_equal(rte_flow_async_destroy(port, 0, &attr, flow, NULL, &error), 0);
    assert_int_equal(templated_pull(port).status, RTE_FLOW_OP_SUCCESS);
}
