/* SPDX-License-Identifier: Apache-2.0 */
// rte_flow's operations on the rule memory.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "offload/esw/parse.h"

static int refuse(struct rte_flow_error *error, int err, const char *message)
{
    return rte_flow_error_set(error, err, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL, message);
}

static int unplugged(const struct esw *esw, struct rte_flow_error *error)
{
    if (!__atomic_load_n(&esw->unplugged, __ATOMIC_RELAXED))
        return 0;
    return refuse(error, ENODEV, "the device is gone");
}

static void wait_latency(const struct esw *esw)
{
    uint32_t us = __atomic_load_n(&esw->faults.latency_us, __ATOMIC_RELAXED);

    if (us)
        usleep(us);
}

// Under esw.lock.
static int parse(const struct esw_port *port, const struct rte_flow_attr *attr,
                 const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
                 struct esw_program *program, struct rte_flow_error *error)
{
    int ret = unplugged(port->esw, error);

    if (ret == 0)
        ret = esw_mode_check_rule(port, pattern, actions, error);
    if (ret == 0)
        ret = esw_parse(port, attr, pattern, actions, program, error);
    if (ret == 0)
        ret = esw_fault_capable(&port->esw->faults, pattern, actions, error);
    return ret;
}

static int validate(struct rte_eth_dev *dev, const struct rte_flow_attr *attr,
                    const struct rte_flow_item pattern[], const struct rte_flow_action actions[],
                    struct rte_flow_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct rte_flow flow;
    int ret;

    pthread_mutex_lock(&port->esw->lock);
    ret = esw_mode_check_sync(port, false, error);
    if (ret == 0)
        ret = parse(port, attr, pattern, actions, &flow.program, error);
    if (ret == 0)
        ret = esw_mode_check_program(port->esw, &flow, error);
    pthread_mutex_unlock(&port->esw->lock);
    return ret;
}

int esw_flow_insert(struct esw *esw, struct rte_flow *flow, struct rte_flow_error *error)
{
    int ret = esw_fault_refuse(&esw->faults, esw_table_size(esw->table), error);

    if (ret)
        return ret;
    if (!esw_fault_lose(&esw->faults)) {
        ret = esw_table_add(esw->table, flow);
        if (ret == -EEXIST)
            return refuse(error, EEXIST, "there is such a rule already");
        if (ret)
            return refuse(error, -ret, "no memory for the rule");
        flow->there = true;
        esw->n_from_app_rules += flow->program.from_app;
        esw_fault_alter(&esw->faults, &flow->program, esw->n_wires + esw->n_vfs);
    }
    flow->age = (struct esw_age){.timeout = flow->program.age_timeout,
                                 .context = flow->program.age_context};
    esw_age_hit(&flow->age);
    esw->n_ages += flow->program.age;
    TAILQ_INSERT_TAIL(&esw->flows, flow, next);
    return 0;
}

static struct rte_flow *create(struct rte_eth_dev *dev, const struct rte_flow_attr *attr,
                               const struct rte_flow_item pattern[],
                               const struct rte_flow_action actions[], struct rte_flow_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct esw *esw = port->esw;
    struct rte_flow *flow = calloc(1, sizeof(*flow));
    int ret;

    if (!flow) {
        refuse(error, ENOMEM, "no memory");
        return NULL;
    }
    flow->owner = port->index;
    wait_latency(esw);
    pthread_mutex_lock(&esw->lock);
    ret = esw_mode_check_sync(port, true, error);
    if (ret == 0)
        ret = parse(port, attr, pattern, actions, &flow->program, error);
    if (ret == 0)
        ret = esw_mode_check_program(esw, flow, error);
    if (ret == 0)
        ret = esw_flow_insert(esw, flow, error);
    if (ret == 0)
        esw_flow_hold(flow);
    pthread_mutex_unlock(&esw->lock);
    if (ret == 0)
        return flow;
    free(flow);
    return NULL;
}

// Under esw.lock.
static void lose(struct esw *esw, struct rte_flow *flow)
{
    if (!flow->there)
        return;
    esw_table_del(esw->table, flow);
    flow->there = false;
    esw->n_from_app_rules -= flow->program.from_app;
}

static void add_users(const struct esw_program *program, unsigned n)
{
    if (program->shared_count)
        program->shared_count->users += n;
    if (program->shared_age)
        program->shared_age->users += n;
    if (program->meter)
        program->meter->users += n;
}

void esw_flow_hold(struct rte_flow *flow)
{
    add_users(&flow->program, 1);
}

void esw_flow_release(struct rte_flow *flow)
{
    add_users(&flow->program, -1u);
}

void esw_flow_free(struct esw *esw, struct rte_flow *flow)
{
    esw_flow_release(flow);
    if (flow->table) {
        flow->table->n--;
        esw_mode_give_counter(esw, flow);
    }
    free(flow);
}

void esw_flow_forget(struct esw *esw, struct rte_flow *flow)
{
    lose(esw, flow);
    esw->n_ages -= flow->program.age;
    TAILQ_REMOVE(&esw->flows, flow, next);
    esw_flow_free(esw, flow);
}

// One of the rules that are there; NULL: there are none.
static struct rte_flow *any_flow(struct esw *esw)
{
    unsigned n = esw_table_size(esw->table);
    struct rte_flow *flow;

    if (!n)
        return NULL;
    n = esw_fault_random(&esw->faults, n);
    TAILQ_FOREACH(flow, &esw->flows, next)
    {
        if (flow->there && n-- == 0)
            return flow;
    }
    return NULL;
}

// It belongs to the proxy port, with whose flush it goes.
static bool add_extra(struct esw *esw, const struct rte_flow *like)
{
    struct rte_flow *flow = calloc(1, sizeof(*flow));

    if (!flow)
        return false;
    flow->program = like->program;
    flow->program.shared_count = flow->program.shared_age = NULL;
    flow->program.meter = NULL;
    flow->program.age = false; // its context is the program's
    flow->program.priority = 0;
    flow->program.n_ops = 1;
    flow->program.ops[0] = (struct esw_op){.type = ESW_OP_DROP};
    if (esw_table_add(esw->table, flow)) { // there is one already
        free(flow);
        return false;
    }
    flow->there = true;
    esw->n_from_app_rules += flow->program.from_app;
    esw->faults.n_extra++;
    TAILQ_INSERT_TAIL(&esw->flows, flow, next);
    return true;
}

unsigned esw_flow_fault(struct esw *esw, enum esw_flow_fault fault, unsigned n)
{
    struct rte_flow *flow;
    unsigned done;

    for (done = 0; done < n && (flow = any_flow(esw)); done++) {
        if (fault == ESW_FLOW_LOSE) {
            esw->faults.n_lost++;
            lose(esw, flow);
        } else if (fault == ESW_FLOW_ALTER) {
            esw_fault_alter_now(&esw->faults, &flow->program, esw->n_wires + esw->n_vfs);
        } else if (!add_extra(esw, flow)) {
            break;
        }
    }
    return done;
}

void esw_flow_lose_all(struct esw *esw)
{
    struct rte_flow *flow;

    for (unsigned i = 0; i < esw->n_wires + esw->n_vfs; i++)
        esw_queues_abandon(&esw->ports[i]);
    TAILQ_FOREACH(flow, &esw->flows, next)
    lose(esw, flow);
}

void esw_flow_forget_all(struct esw *esw)
{
    struct rte_flow *flow;

    while ((flow = TAILQ_FIRST(&esw->flows)))
        esw_flow_forget(esw, flow);
}

void esw_flow_port_stops(struct esw_port *port)
{
    struct rte_flow *flow;

    esw_queues_abandon(port);
    if (!esw_mode_stop_ends_rules(port->esw))
        return;
    // Their handles remain, so that a program that still destroys them does no harm.
    TAILQ_FOREACH(flow, &port->esw->flows, next)
    {
        if (flow->owner == port->index)
            lose(port->esw, flow);
    }
}

static int destroy(struct rte_eth_dev *dev, struct rte_flow *flow, struct rte_flow_error *error)
{
    struct esw *esw = esw_port_of_dev(dev)->esw;

    int ret = unplugged(esw, error);

    if (ret)
        return ret;
    wait_latency(esw);
    pthread_mutex_lock(&esw->lock);
    esw_flow_forget(esw, flow);
    pthread_mutex_unlock(&esw->lock);
    return 0;
}

// The rules that were made on this ethdev.
static int flush(struct rte_eth_dev *dev, struct rte_flow_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct rte_flow *flow, *next;

    (void)error;
    pthread_mutex_lock(&port->esw->lock);
    esw_queues_abandon(port);
    for (flow = TAILQ_FIRST(&port->esw->flows); flow; flow = next) {
        next = TAILQ_NEXT(flow, next);
        if (flow->owner == port->index)
            esw_flow_forget(port->esw, flow);
    }
    pthread_mutex_unlock(&port->esw->lock);
    return 0;
}

static struct esw_counter *counter_of(struct rte_flow *flow)
{
    return flow->program.shared_count ? &flow->program.shared_count->counter : &flow->counter;
}

static struct esw_age *age_of(struct rte_flow *flow)
{
    return flow->program.shared_age ? &flow->program.shared_age->age : &flow->age;
}

void esw_flow_hit(struct esw *esw, struct rte_flow *flow, uint32_t length)
{
    esw_count_hit(esw, &flow->counter, length);
    if (flow->program.shared_count)
        esw_count_hit(esw, counter_of(flow), length);
    esw_age_hit(age_of(flow));
}

static int query(struct rte_eth_dev *dev, struct rte_flow *flow,
                 const struct rte_flow_action *action, void *data, struct rte_flow_error *error)
{
    struct esw *esw = esw_port_of_dev(dev)->esw;
    int ret = 0;

    pthread_mutex_lock(&esw->lock);
    if (action->type == RTE_FLOW_ACTION_TYPE_COUNT && flow->program.count)
        esw_count_query(esw, counter_of(flow), data);
    else if (action->type == RTE_FLOW_ACTION_TYPE_AGE && flow->program.age)
        esw_age_query(age_of(flow), data);
    else
        ret = rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ACTION, action,
                                 "the rule has no such action to query");
    pthread_mutex_unlock(&esw->lock);
    return ret;
}

static int pick_transfer_proxy(struct rte_eth_dev *dev, uint16_t *proxy,
                               struct rte_flow_error *error)
{
    const struct esw_port *first = &esw_port_of_dev(dev)->esw->ports[0];

    if (!first->ethdev)
        return refuse(error, ENODEV, "the e-switch's first PF is closed");
    *proxy = first->port_id;
    return 0;
}

// There is no ingress steering that isolation could leave out.
static int isolate(struct rte_eth_dev *dev, int on, struct rte_flow_error *error)
{
    (void)on;
    // mlx5_flow_isolate
    if (esw_port_of_dev(dev)->esw->mode != ESW_MODE_IDEAL && dev->data->dev_started)
        return refuse(error, EBUSY, "the port must be stopped first");
    return 0;
}

// Only what is really in the e-switch, so that lost and altered rules show.
static int dump(struct rte_eth_dev *dev, struct rte_flow *one, FILE *file,
                struct rte_flow_error *error)
{
    struct esw *esw = esw_port_of_dev(dev)->esw;
    struct rte_flow *flow;

    (void)error;
    pthread_mutex_lock(&esw->lock);
    TAILQ_FOREACH(flow, &esw->flows, next)
    {
        if ((!one || flow == one) && flow->there)
            esw_dump_flow(file, esw, flow);
    }
    pthread_mutex_unlock(&esw->lock);
    return 0;
}

const struct rte_flow_ops esw_flow_ops = {
    .validate = validate,
    .create = create,
    .destroy = destroy,
    .flush = flush,
    .query = query,
    .isolate = isolate,
    .dev_dump = dump,
    .get_aged_flows = esw_get_aged_flows,
    .get_q_aged_flows = esw_get_q_aged_flows,
    .action_handle_create = esw_indirect_create,
    .action_handle_destroy = esw_indirect_destroy,
    .action_handle_update = esw_indirect_update,
    .action_handle_query = esw_indirect_query,
    .pick_transfer_proxy = pick_transfer_proxy,
    .info_get = esw_flow_info_get,
    .configure = esw_flow_configure,
    .pattern_template_create = esw_pattern_template_create,
    .pattern_template_destroy = esw_pattern_template_destroy,
    .actions_template_create = esw_actions_template_create,
    .actions_template_destroy = esw_actions_template_destroy,
    .template_table_create = esw_template_table_create,
    .template_table_destroy = esw_template_table_destroy,
#if RTE_VERSION < RTE_VERSION_NUM(24, 3, 0, 0)
    .async_create = esw_async_create,
    .async_destroy = esw_async_destroy,
    .push = esw_async_push,
    .pull = esw_async_pull,
#endif
};

#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
const struct rte_flow_fp_ops esw_flow_fp_ops = {
    .async_create = esw_async_create,
    .async_destroy = esw_async_destroy,
    .push = esw_async_push,
    .pull = esw_async_pull,
};
#endif
