/* SPDX-License-Identifier: Apache-2.0 */
// Pattern and actions templates, and the tables that rules are made in by them.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "offload/esw/mode.h"
#include "offload/esw/parse.h"

static int refuse(struct rte_flow_error *error, int err, const void *cause, const char *message)
{
    return rte_flow_error_set(error, err, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, cause, message);
}

// A copy of a list with all that it points to, in one piece for the caller to free(); NULL, and
// *error set. *n: how many there are, with the end.
static void *copy(enum rte_flow_conv_op what, const void *list, size_t element, unsigned *n,
                  struct rte_flow_error *error)
{
    int size = rte_flow_conv(what, NULL, 0, list, error);
    const char *one = list;
    void *made;

    if (size < 0)
        return NULL;
    // Items and actions begin with their type; the end's is 0.
    for (*n = 1; *(const int *)one; one += element)
        ++*n;
    if (*n > ESW_TEMPLATE_MAX) {
        refuse(error, ENOTSUP, list, "too many items or actions for a template");
        return NULL;
    }
    made = malloc((size_t)size);
    if (!made)
        refuse(error, ENOMEM, NULL, "no memory for the template");
    else
        rte_flow_conv(what, made, (size_t)size, list, error);
    return made;
}

// Is the item, or what its fields are, of no interest to the template's rules?
static bool is_skipped(const struct rte_flow_pattern_template *pattern, unsigned i)
{
    return pattern->relaxed && !pattern->items[i].mask;
}

// A pattern of the template: with the template's masks, and with specs from `items`, or none.
static void combine_items(const struct rte_flow_pattern_template *pattern,
                          const struct rte_flow_item *items, struct rte_flow_item *made)
{
    for (unsigned i = 0; i < pattern->n; i++) {
        made[i] = (struct rte_flow_item){.type = pattern->items[i].type};
        if (is_skipped(pattern, i)) {
            made[i].type = RTE_FLOW_ITEM_TYPE_VOID;
        } else if (items && pattern->items[i].mask) {
            made[i].spec = items[i].spec;
            made[i].mask = pattern->items[i].mask;
        }
    }
}

// What a template says beside its masks: nothing in mlx5, whose hardware steering does not read it
// (flow_hw_pattern_validate, mlx5dr_definer.c).
static int check_last(const struct esw_port *port, const struct rte_flow_pattern_template *pattern,
                      struct rte_flow_error *error)
{
    for (unsigned i = 0; i < pattern->n && port->esw->mode == ESW_MODE_IDEAL; i++) {
        if (pattern->items[i].last)
            return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ITEM_LAST,
                                      &pattern->items[i],
                                      "net_esw does not match ranges by templates");
    }
    return 0;
}

// Can rules be made by it? A spec of zeros has no bit outside any mask; ports are known only with
// the rule.
static int check_pattern(const struct esw_port *port,
                         const struct rte_flow_pattern_template *pattern,
                         struct rte_flow_error *error)
{
    static const uint8_t zeros[128];
    const struct rte_flow_action drop[] = {{RTE_FLOW_ACTION_TYPE_DROP, NULL},
                                           {RTE_FLOW_ACTION_TYPE_END, NULL}};
    const struct rte_flow_attr attr = {.transfer = 1};
    struct rte_flow_item items[ESW_TEMPLATE_MAX], specs[ESW_TEMPLATE_MAX];
    struct esw_program program;

    for (unsigned i = 0; i < pattern->n; i++) {
        enum rte_flow_item_type type = pattern->items[i].type;
        bool is_port = type == RTE_FLOW_ITEM_TYPE_REPRESENTED_PORT ||
                       type == RTE_FLOW_ITEM_TYPE_PORT_REPRESENTOR;

        specs[i].spec = is_port ? NULL : zeros;
    }
    combine_items(pattern, specs, items);
    return esw_parse(port, &attr, items, drop, &program, error);
}

struct rte_flow_pattern_template *
esw_pattern_template_create(struct rte_eth_dev *dev,
                            const struct rte_flow_pattern_template_attr *attr,
                            const struct rte_flow_item pattern[], struct rte_flow_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct rte_flow_pattern_template *made = calloc(1, sizeof(*made));
    const struct rte_flow_action no_action = {.type = RTE_FLOW_ACTION_TYPE_END};
    int ret;

    if (!made) {
        refuse(error, ENOMEM, NULL, "no memory for the template");
        return NULL;
    }
    made->relaxed = attr->relaxed_matching;
    made->items = copy(RTE_FLOW_CONV_OP_PATTERN, pattern, sizeof(pattern[0]), &made->n, error);
    if (!made->items) {
        free(made);
        return NULL;
    }
    pthread_mutex_lock(&port->esw->lock);
    ret = esw_mode_check_template(port, attr->transfer, error);
    if (ret == 0)
        ret = esw_mode_check_pattern(port, made->items, error);
    if (ret == 0)
        ret = esw_fault_capable(&port->esw->faults, made->items, &no_action, error);
    if (ret == 0)
        ret = check_last(port, made, error);
    if (ret == 0)
        ret = check_pattern(port, made, error);
    if (ret == 0)
        LIST_INSERT_HEAD(&port->async.patterns, made, next);
    pthread_mutex_unlock(&port->esw->lock);
    if (ret == 0)
        return made;
    free(made->items);
    free(made);
    return NULL;
}

// Whether the template says what the action's configuration is: not if its mask is none or zeros.
static bool is_constant(const struct rte_flow_action *mask)
{
    const uint8_t *conf = mask->conf;
    size_t size = esw_action_conf_size(mask->type);

    for (size_t i = 0; conf && i < size; i++) {
        if (conf[i])
            return true;
    }
    return false;
}

struct rte_flow_actions_template *
esw_actions_template_create(struct rte_eth_dev *dev,
                            const struct rte_flow_actions_template_attr *attr,
                            const struct rte_flow_action actions[],
                            const struct rte_flow_action masks[], struct rte_flow_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct rte_flow_actions_template *made = calloc(1, sizeof(*made));
    const struct rte_flow_item no_item = {.type = RTE_FLOW_ITEM_TYPE_END};
    unsigned n_masks = 0;
    int ret = 0;

    if (!made) {
        refuse(error, ENOMEM, NULL, "no memory for the template");
        return NULL;
    }
    made->actions = copy(RTE_FLOW_CONV_OP_ACTIONS, actions, sizeof(actions[0]), &made->n, error);
    if (made->actions)
        made->masks = copy(RTE_FLOW_CONV_OP_ACTIONS, masks, sizeof(masks[0]), &n_masks, error);
    if (made->masks) {
        pthread_mutex_lock(&port->esw->lock);
        ret = esw_mode_check_template(port, attr->transfer, error);
        if (ret == 0)
            ret = esw_fault_capable(&port->esw->faults, &no_item, made->actions, error);
        for (unsigned i = 0; ret == 0 && i < made->n; i++) {
            if (i >= n_masks || made->masks[i].type != made->actions[i].type)
                ret = refuse(error, ENOTSUP, &actions[i], "the masks are of other actions");
            else if (!esw_action_known(made->actions[i].type))
                ret = refuse(error, ENOTSUP, &actions[i], "net_esw does not have this action");
        }
        if (ret == 0)
            ret = esw_mode_check_actions(port, made->actions, made->masks, error);
        if (ret == 0)
            LIST_INSERT_HEAD(&port->async.actions, made, next);
        pthread_mutex_unlock(&port->esw->lock);
    }
    if (made->masks && ret == 0)
        return made;
    free(made->actions);
    free(made->masks);
    free(made);
    return NULL;
}

int esw_pattern_template_destroy(struct rte_eth_dev *dev, struct rte_flow_pattern_template *pattern,
                                 struct rte_flow_error *error)
{
    struct esw *esw = esw_port_of_dev(dev)->esw;
    int ret = 0;

    pthread_mutex_lock(&esw->lock);
    if (pattern->tables)
        ret = refuse(error, EBUSY, pattern, "a table uses the template");
    else
        LIST_REMOVE(pattern, next);
    pthread_mutex_unlock(&esw->lock);
    if (ret)
        return ret;
    free(pattern->items);
    free(pattern);
    return 0;
}

int esw_actions_template_destroy(struct rte_eth_dev *dev, struct rte_flow_actions_template *actions,
                                 struct rte_flow_error *error)
{
    struct esw *esw = esw_port_of_dev(dev)->esw;
    int ret = 0;

    pthread_mutex_lock(&esw->lock);
    if (actions->tables)
        ret = refuse(error, EBUSY, actions, "a table uses the template");
    else
        LIST_REMOVE(actions, next);
    pthread_mutex_unlock(&esw->lock);
    if (ret)
        return ret;
    free(actions->actions);
    free(actions->masks);
    free(actions);
    return 0;
}

struct rte_flow_template_table *
esw_template_table_create(struct rte_eth_dev *dev, const struct rte_flow_template_table_attr *attr,
                          struct rte_flow_pattern_template *patterns[], uint8_t n_patterns,
                          struct rte_flow_actions_template *actions[], uint8_t n_actions,
                          struct rte_flow_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct rte_flow_template_table *table;

    if (!attr->flow_attr.transfer) {
        rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ATTR_TRANSFER, NULL,
                           "net_esw takes transfer rules only");
        return NULL;
    }
    if (!n_patterns || !n_actions || n_patterns > ESW_TABLE_TEMPLATES_MAX ||
        n_actions > ESW_TABLE_TEMPLATES_MAX || !attr->nb_flows) {
        refuse(error, EINVAL, attr, "a table has 1 to 32 templates of each kind, and rules");
        return NULL;
    }
    table = calloc(1, sizeof(*table));
    if (!table) {
        refuse(error, ENOMEM, NULL, "no memory for the table");
        return NULL;
    }
    for (unsigned i = 0; i < n_actions; i++) {
        if (esw_mode_check_order(port->esw, actions[i]->actions, error)) {
            free(table);
            return NULL;
        }
    }
    table->attr = attr->flow_attr;
    table->size = attr->nb_flows;
    table->n_patterns = n_patterns;
    table->n_actions = n_actions;
    memcpy(table->patterns, patterns, n_patterns * sizeof(patterns[0]));
    memcpy(table->actions, actions, n_actions * sizeof(actions[0]));
    pthread_mutex_lock(&port->esw->lock);
    for (unsigned i = 0; i < n_patterns; i++)
        patterns[i]->tables++;
    for (unsigned i = 0; i < n_actions; i++)
        actions[i]->tables++;
    LIST_INSERT_HEAD(&port->async.tables, table, next);
    pthread_mutex_unlock(&port->esw->lock);
    return table;
}

int esw_template_table_destroy(struct rte_eth_dev *dev, struct rte_flow_template_table *table,
                               struct rte_flow_error *error)
{
    struct esw *esw = esw_port_of_dev(dev)->esw;

    pthread_mutex_lock(&esw->lock);
    if (table->n) {
        pthread_mutex_unlock(&esw->lock);
        return refuse(error, EBUSY, table, "the table has rules");
    }
    for (unsigned i = 0; i < table->n_patterns; i++)
        table->patterns[i]->tables--;
    for (unsigned i = 0; i < table->n_actions; i++)
        table->actions[i]->tables--;
    LIST_REMOVE(table, next);
    pthread_mutex_unlock(&esw->lock);
    free(table);
    return 0;
}

// The rule's action: what the template has as constant is the template's.
static int combine_action(const struct rte_flow_action *fixed, const struct rte_flow_action *mask,
                          const struct rte_flow_action *given, struct rte_flow_action *made,
                          struct rte_flow_action_modify_field *modify, struct rte_flow_error *error)
{
    const struct rte_flow_action_modify_field *of_mask = mask->conf, *of_rule = given->conf;

    *made = *fixed;
    if (given->type != fixed->type)
        return refuse(error, EINVAL, given, "the action is not the template's");
    if (fixed->type != RTE_FLOW_ACTION_TYPE_MODIFY_FIELD) {
        if (!is_constant(mask))
            made->conf = given->conf;
        return 0;
    }
    // Which field is changed and how is the template's; by what may be the rule's.
    *modify = *(const struct rte_flow_action_modify_field *)fixed->conf;
    made->conf = modify;
    for (size_t i = 0; of_mask && i < sizeof(of_mask->src.value); i++) {
        if (of_mask->src.value[i])
            return 0;
    }
    if (!of_rule)
        return refuse(error, EINVAL, given, "the action lacks its value");
    modify->src = of_rule->src;
    return 0;
}

int esw_table_rule(const struct esw_port *port, const struct rte_flow_template_table *table,
                   const struct rte_flow_item items[], uint8_t pattern,
                   const struct rte_flow_action actions[], uint8_t actions_template,
                   struct esw_program *program, struct rte_flow_error *error)
{
    struct rte_flow_action_modify_field modify[ESW_TEMPLATE_MAX];
    struct rte_flow_action made_actions[ESW_TEMPLATE_MAX];
    struct rte_flow_item made_items[ESW_TEMPLATE_MAX];
    const struct rte_flow_actions_template *of_actions;
    const struct rte_flow_pattern_template *of_items;

    if (pattern >= table->n_patterns || actions_template >= table->n_actions)
        return refuse(error, EINVAL, NULL, "the table has no such template");
    of_items = table->patterns[pattern];
    of_actions = table->actions[actions_template];
    for (unsigned i = 0; i < of_items->n; i++) {
        if (items[i].type != of_items->items[i].type)
            return refuse(error, EINVAL, &items[i], "the item is not the template's");
    }
    combine_items(of_items, items, made_items);
    for (unsigned i = 0; i < of_actions->n; i++) {
        int ret = combine_action(&of_actions->actions[i], &of_actions->masks[i], &actions[i],
                                 &made_actions[i], &modify[i], error);

        if (ret)
            return ret;
    }
    return esw_parse(port, &table->attr, made_items, made_actions, program, error);
}
