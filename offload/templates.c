/* SPDX-License-Identifier: Apache-2.0 */
// Rules by templates and queues, for drivers that take no others (mlx5 with hardware steering in
// DPDK 22.11). A template table is for rules of one shape: same group, priority, items and masks,
// actions and of these what is no rule's own. Tables are made when the first such rule comes; one
// that is full gets another beside it, of twice its size.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#include "offload/engine.h"

#define TABLE_SIZE  64
#define TABLES_IDLE 64 // tables without a rule that are kept

struct shape {
    struct rte_flow_attr attr;
    enum rte_flow_item_type items[FLOW_ITEMS_MAX];
    union flow_item masks[FLOW_ITEMS_MAX];
    enum rte_flow_action_type actions[FLOW_ACTIONS_MAX];
    union flow_action_conf confs[FLOW_ACTIONS_MAX]; // zeros where they are the rule's own
};

struct template_table {
    TAILQ_ENTRY(template_table) next;
    struct shape shape;
    struct rte_flow_pattern_template *pattern;
    struct rte_flow_actions_template *actions;
    struct rte_flow_template_table *table;
    uint32_t size, n;
};

// As mlx5 wants it: of modify_field all but the value is the template's, and a port is the rule's.
// `masks`: what the template fixes; they point into `confs`.
static void fix_actions(const struct flow *flow, struct shape *shape,
                        struct rte_flow_action masks[FLOW_ACTIONS_MAX],
                        union flow_action_conf confs[FLOW_ACTIONS_MAX])
{
    memset(confs, 0, sizeof(confs[0]) * FLOW_ACTIONS_MAX);
    for (unsigned i = 0; i < flow->n_actions; i++) {
        const struct rte_flow_action *action = &flow->actions[i];

        shape->actions[i] = action->type;
        masks[i] = (struct rte_flow_action){.type = action->type};
        if (!action->conf || action->type == RTE_FLOW_ACTION_TYPE_COUNT)
            continue;
        masks[i].conf = &confs[i];
        if (action->type == RTE_FLOW_ACTION_TYPE_REPRESENTED_PORT)
            continue;
        shape->confs[i] = flow->conf[i];
        if (action->type != RTE_FLOW_ACTION_TYPE_MODIFY_FIELD) {
            memset(&confs[i], 0xff, sizeof(confs[i]));
            continue;
        }
        memset(shape->confs[i].modify.src.value, 0, sizeof(flow->conf[i].modify.src.value));
        confs[i] = shape->confs[i];
        confs[i].modify.dst.level = confs[i].modify.dst.offset = UINT32_MAX;
        confs[i].modify.width = UINT32_MAX;
    }
}

static void shape_of(const struct flow *flow, struct shape *shape)
{
    memset(shape, 0, sizeof(*shape));
    shape->attr = flow->attr;
    for (unsigned i = 0; i < flow->n_items; i++) {
        shape->items[i] = flow->items[i].type;
        shape->masks[i] = flow->mask[i];
    }
}

static void destroy_table(const struct nic *nic, struct template_table *table)
{
    struct rte_flow_error error;

    if (__atomic_load_n(&nic->gone, __ATOMIC_ACQUIRE)) {
        free(table); // the rest went with the device
        return;
    }
    if (table->table)
        rte_flow_template_table_destroy(nic->ethdev, table->table, &error);
    if (table->actions)
        rte_flow_actions_template_destroy(nic->ethdev, table->actions, &error);
    if (table->pattern)
        rte_flow_pattern_template_destroy(nic->ethdev, table->pattern, &error);
    free(table);
}

// -errno, with *error set.
static int make_table(const struct nic *nic, const struct flow *flow, uint32_t size,
                      struct template_table **made, struct rte_flow_error *error)
{
    const struct rte_flow_pattern_template_attr pattern = {.transfer = 1};
    const struct rte_flow_actions_template_attr actions = {.transfer = 1};
    const struct rte_flow_template_table_attr attr = {.flow_attr = flow->attr, .nb_flows = size};
    struct template_table *table = calloc(1, sizeof(*table));
    union flow_action_conf confs[FLOW_ACTIONS_MAX];
    struct rte_flow_action masks[FLOW_ACTIONS_MAX];
    int err = ENOMEM;

    if (!table)
        return -rte_flow_error_set(error, ENOMEM, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL, NULL);
    shape_of(flow, &table->shape);
    fix_actions(flow, &table->shape, masks, confs);
    table->size = size;
    table->pattern = rte_flow_pattern_template_create(nic->ethdev, &pattern, flow->items, error);
    if (table->pattern)
        table->actions =
            rte_flow_actions_template_create(nic->ethdev, &actions, flow->actions, masks, error);
    if (table->actions)
        table->table = rte_flow_template_table_create(nic->ethdev, &attr, &table->pattern, 1,
                                                      &table->actions, 1, error);
    if (table->table) {
        *made = table;
        return 0;
    }
    err = rte_errno;
    destroy_table(nic, table);
    return -err;
}

int templates_try(const struct nic *nic, const struct flow *flow, struct rte_flow_error *error)
{
    struct template_table *table;
    int err = make_table(nic, flow, 1, &table, error);

    if (!err)
        destroy_table(nic, table);
    return err;
}

static void drop_idle(struct nic *nic)
{
    struct template_table *table, *next;

    for (table = TAILQ_FIRST(&nic->tables); table && nic->n_idle_tables > TABLES_IDLE;
         table = next) {
        next = TAILQ_NEXT(table, next);
        if (table->n)
            continue;
        TAILQ_REMOVE(&nic->tables, table, next);
        nic->n_idle_tables--;
        destroy_table(nic, table);
    }
}

// One with room for the rule.
static int find_table(struct nic *nic, const struct flow *flow, struct template_table **found,
                      struct rte_flow_error *error)
{
    union flow_action_conf confs[FLOW_ACTIONS_MAX];
    struct rte_flow_action masks[FLOW_ACTIONS_MAX];
    uint32_t size = TABLE_SIZE;
    struct shape shape;
    int err;

    shape_of(flow, &shape);
    fix_actions(flow, &shape, masks, confs);
    TAILQ_FOREACH(*found, &nic->tables, next)
    {
        if (memcmp(&(*found)->shape, &shape, sizeof(shape)) != 0)
            continue;
        if ((*found)->n < (*found)->size)
            return 0;
        size = RTE_MAX(size, (*found)->size * 2);
    }
    drop_idle(nic);
    err = make_table(nic, flow, size, found, error);
    if (err)
        return err;
    TAILQ_INSERT_HEAD(&nic->tables, *found, next);
    nic->n_idle_tables++;
    return 0;
}

// Not ENOSPC where a table or the counters are used up: that is one to us.
static int full_or(int err)
{
    return err == -ENOMEM || err == -ENOENT ? -ENOSPC : err;
}

int templates_create(struct nic *nic, const struct flow *flow, struct nic_rule *made,
                     struct rte_flow_error *error)
{
    struct template_table *table;
    int err = find_table(nic, flow, &table, error);

    if (err)
        return full_or(err);
    nic->n_idle_tables -= table->n++ == 0;
    err = operations_create(nic, table, table->table, flow, made, error);
    if (err)
        templates_left(nic, table);
    return full_or(err);
}

void templates_left(struct nic *nic, struct template_table *table)
{
    nic->n_idle_tables += --table->n == 0;
}

void templates_forget_rules(struct nic *nic)
{
    struct template_table *table;

    nic->n_idle_tables = 0;
    TAILQ_FOREACH(table, &nic->tables, next)
    {
        table->n = 0;
        nic->n_idle_tables++;
    }
}

void templates_free(struct nic *nic)
{
    struct template_table *table;

    while ((table = TAILQ_FIRST(&nic->tables))) {
        TAILQ_REMOVE(&nic->tables, table, next);
        destroy_table(nic, table);
    }
}
