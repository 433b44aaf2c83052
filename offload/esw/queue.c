/* SPDX-License-Identifier: Apache-2.0 */
// Queues of rules to put in and take out. A queue takes so many jobs as it was configured for,
// those included whose result nobody has pulled yet; then it answers EAGAIN until some are pulled.
// What was pushed is done by whoever comes first: the e-switch's thread or the program that pulls.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_cycles.h>

#include "offload/esw/mode.h"
#include "offload/esw/parse.h"

static int refuse(struct rte_flow_error *error, int err, const char *message)
{
    return rte_flow_error_set(error, err, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL, message);
}

int esw_flow_info_get(struct rte_eth_dev *dev, struct rte_flow_port_info *port_info,
                      struct rte_flow_queue_info *queue_info, struct rte_flow_error *error)
{
    if (esw_port_of_dev(dev)->esw->mode == ESW_MODE_MLX5_SWS)
        return refuse(error, ENOTSUP, "no asynchronous rules in this mode");
    if (port_info)
        *port_info = (struct rte_flow_port_info){
            .max_nb_queues = ESW_FLOW_QUEUES_MAX,
            .max_nb_counters = UINT32_MAX,
            .max_nb_aging_objects = UINT32_MAX,
            .supported_flags = RTE_FLOW_PORT_FLAG_STRICT_QUEUE,
        };
    if (queue_info)
        *queue_info = (struct rte_flow_queue_info){.max_size = ESW_FLOW_QUEUE_SIZE_MAX};
    return 0;
}

static void free_queues(struct esw_async *async)
{
    for (unsigned i = 0; i < async->n_queues; i++)
        free(async->queues[i].jobs);
    memset(async->queues, 0, sizeof(async->queues));
    async->n_queues = 0;
}

static bool is_idle(const struct esw_async *async)
{
    for (unsigned i = 0; i < async->n_queues; i++) {
        if (async->queues[i].n)
            return false;
    }
    return true;
}

// The same queues and numbers as before?
static bool is_same(const struct esw_async *async, const struct rte_flow_port_attr *attr,
                    uint16_t n_queues, const struct rte_flow_queue_attr *queues[])
{
    if (n_queues != async->n_queues || memcmp(attr, &async->attr, sizeof(*attr)))
        return false;
    for (unsigned i = 0; i < n_queues; i++) {
        if (queues[i]->size != async->queues[i].size)
            return false;
    }
    return true;
}

static int make_queues(struct esw_async *async, uint16_t n,
                       const struct rte_flow_queue_attr *queues[])
{
    free_queues(async);
    for (async->n_queues = 0; async->n_queues < n; async->n_queues++) {
        struct esw_flow_queue *queue = &async->queues[async->n_queues];

        queue->size = queues[async->n_queues]->size;
        queue->jobs = calloc(queue->size, sizeof(*queue->jobs));
        if (!queue->jobs) {
            free_queues(async);
            return -ENOMEM;
        }
    }
    return 0;
}

int esw_flow_configure(struct rte_eth_dev *dev, const struct rte_flow_port_attr *attr,
                       uint16_t n_queues, const struct rte_flow_queue_attr *queues[],
                       struct rte_flow_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct esw_async *async = &port->async;
    int ret = 0;

    if (port->esw->mode == ESW_MODE_MLX5_SWS)
        return refuse(error, ENOTSUP, "no asynchronous rules in this mode");
    if (!n_queues || n_queues > ESW_FLOW_QUEUES_MAX)
        return refuse(error, EINVAL, "1 to 16 queues");
    for (unsigned i = 0; i < n_queues; i++) {
        if (!queues[i]->size || queues[i]->size > ESW_FLOW_QUEUE_SIZE_MAX)
            return refuse(error, EINVAL, "queues have room for 1 to 65,536 operations");
    }
    pthread_mutex_lock(&port->esw->lock);
    if (!is_idle(async))
        ret = refuse(error, EBUSY, "operations are under way");
    if (ret == 0)
        ret = esw_mode_check_configure(port, n_queues, queues,
                                       is_same(async, attr, n_queues, queues), error);
    if (ret == 0 && make_queues(async, n_queues, queues))
        ret = refuse(error, ENOMEM, "no memory for the queues");
    if (ret == 0)
        async->attr = *attr;
    pthread_mutex_unlock(&port->esw->lock);
    return ret;
}

static struct esw_job *job_at(struct esw_flow_queue *queue, uint32_t i)
{
    return &queue->jobs[(queue->first + i) % queue->size];
}

// Under esw.lock, as all that follows. NULL, with *error set, if there is no room.
static struct esw_job *add_job(struct esw_port *port, uint32_t number, struct rte_flow_error *error)
{
    struct esw_flow_queue *queue;
    struct esw_job *job;

    if (__atomic_load_n(&port->esw->unplugged, __ATOMIC_RELAXED)) {
        refuse(error, ENODEV, "the device is gone");
        return NULL;
    }
    if (number >= port->async.n_queues) {
        refuse(error, EINVAL, "there is no such queue");
        return NULL;
    }
    queue = &port->async.queues[number];
    if (queue->n == queue->size) {
        refuse(error, esw_mode_queue_full(port->esw), "the queue is full: pull results");
        return NULL;
    }
    job = job_at(queue, queue->n++);
    *job = (struct esw_job){.tsc = rte_rdtsc()};
    return job;
}

static void give_up_job(struct esw_flow_queue *queue)
{
    queue->n--;
}

static void push(struct esw_port *port, struct esw_flow_queue *queue)
{
    __atomic_fetch_add(&port->esw->n_jobs, queue->n - queue->n_pushed, __ATOMIC_RELAXED);
    queue->n_pushed = queue->n;
}

// The rule of a create is not there. A destroy of it may wait behind.
static void fail(struct esw_port *port, struct esw_flow_queue *queue, struct esw_job *job)
{
    job->failed = true;
    for (uint32_t i = queue->n_done; i < queue->n; i++) {
        struct esw_job *later = job_at(queue, i);

        if (!later->create && later->flow == job->flow)
            later->flow = NULL;
    }
    esw_flow_free(port->esw, job->flow);
}

static void do_job(struct esw_port *port, struct esw_flow_queue *queue, struct esw_job *job)
{
    struct rte_flow_error error;

    if (!job->create) {
        if (job->flow)
            esw_flow_forget(port->esw, job->flow);
        return;
    }
    if (esw_flow_insert(port->esw, job->flow, &error) == 0)
        return;
    fail(port, queue, job);
}

static void work(struct esw_port *port, struct esw_flow_queue *queue)
{
    uint64_t latency = port->esw->faults.latency_us * (rte_get_tsc_hz() / 1000000);
    uint64_t now = rte_rdtsc();

    while (queue->n_done < queue->n_pushed && !port->esw->faults.queue_stuck) {
        struct esw_job *job = job_at(queue, queue->n_done);
        uint64_t due = RTE_MAX(queue->free_tsc, job->tsc) + latency;

        if (latency && now < due)
            break;
        do_job(port, queue, job);
        queue->free_tsc = due;
        queue->n_done++;
        __atomic_fetch_sub(&port->esw->n_jobs, 1, __ATOMIC_RELAXED);
    }
}

void esw_queues_work(struct esw *esw)
{
    for (unsigned i = 0; i < esw->n_wires + esw->n_vfs; i++) {
        for (unsigned n = 0; n < esw->ports[i].async.n_queues; n++)
            work(&esw->ports[i], &esw->ports[i].async.queues[n]);
    }
}

void esw_queues_abandon(struct esw_port *port)
{
    for (unsigned i = 0; i < port->async.n_queues; i++) {
        struct esw_flow_queue *queue = &port->async.queues[i];

        __atomic_fetch_sub(&port->esw->n_jobs, queue->n_pushed - queue->n_done, __ATOMIC_RELAXED);
        for (queue->n_pushed = queue->n; queue->n_done < queue->n; queue->n_done++) {
            struct esw_job *job = job_at(queue, queue->n_done);

            if (job->create)
                fail(port, queue, job);
            else
                do_job(port, queue, job);
        }
    }
}

struct rte_flow *esw_async_create(struct rte_eth_dev *dev, uint32_t number,
                                  const struct rte_flow_op_attr *attr,
                                  struct rte_flow_template_table *table,
                                  const struct rte_flow_item items[], uint8_t pattern,
                                  const struct rte_flow_action actions[], uint8_t actions_template,
                                  void *user_data, struct rte_flow_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct rte_flow *flow = calloc(1, sizeof(*flow));
    struct esw_flow_queue *queue = NULL;
    struct esw_job *job;
    int ret;

    if (!flow) {
        refuse(error, ENOMEM, "no memory");
        return NULL;
    }
    pthread_mutex_lock(&port->esw->lock);
    job = add_job(port, number, error);
    ret = job ? 0 : -rte_errno;
    if (job)
        queue = &port->async.queues[number];
    if (ret == 0 && table->n == table->size)
        ret = refuse(error, ENOMEM, "the table is full");
    if (ret == 0)
        ret = esw_table_rule(port, table, items, pattern, actions, actions_template, &flow->program,
                             error);
    if (ret == 0)
        ret = esw_mode_check_program(port->esw, flow, error);
    flow->owner = port->index;
    if (ret == 0)
        ret = esw_mode_take_counter(port, flow, error);
    if (ret == 0) {
        esw_flow_hold(flow);
        flow->queue = (uint16_t)number;
        flow->table = table;
        table->n++;
        job->create = true;
        job->flow = flow;
        job->user_data = user_data;
        if (!attr->postpone)
            push(port, queue);
        work(port, queue);
    } else if (job) {
        give_up_job(queue);
    }
    pthread_mutex_unlock(&port->esw->lock);
    if (ret == 0)
        return flow;
    free(flow);
    return NULL;
}

int esw_async_destroy(struct rte_eth_dev *dev, uint32_t number, const struct rte_flow_op_attr *attr,
                      struct rte_flow *flow, void *user_data, struct rte_flow_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct esw_job *job;
    int ret = 0;

    pthread_mutex_lock(&port->esw->lock);
    job = add_job(port, number, error);
    if (job) {
        struct esw_flow_queue *queue = &port->async.queues[number];

        job->flow = flow;
        job->user_data = user_data;
        if (!attr->postpone)
            push(port, queue);
        work(port, queue);
    } else {
        ret = -rte_errno;
    }
    pthread_mutex_unlock(&port->esw->lock);
    return ret;
}

int esw_async_push(struct rte_eth_dev *dev, uint32_t number, struct rte_flow_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    int ret = 0;

    pthread_mutex_lock(&port->esw->lock);
    if (number < port->async.n_queues) {
        struct esw_flow_queue *queue = &port->async.queues[number];

        push(port, queue);
        work(port, queue);
    } else {
        ret = refuse(error, EINVAL, "there is no such queue");
    }
    pthread_mutex_unlock(&port->esw->lock);
    return ret;
}

int esw_async_pull(struct rte_eth_dev *dev, uint32_t number, struct rte_flow_op_result results[],
                   uint16_t n, struct rte_flow_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct esw_flow_queue *queue;
    int pulled = 0;

    pthread_mutex_lock(&port->esw->lock);
    if (number >= port->async.n_queues) {
        pthread_mutex_unlock(&port->esw->lock);
        return refuse(error, EINVAL, "there is no such queue");
    }
    queue = &port->async.queues[number];
    work(port, queue);
    while (pulled < n && queue->n_done) {
        const struct esw_job *job = job_at(queue, 0);

        results[pulled++] = (struct rte_flow_op_result){
            .status = job->failed ? RTE_FLOW_OP_ERROR : RTE_FLOW_OP_SUCCESS,
            .user_data = job->user_data,
        };
        queue->first = (queue->first + 1) % queue->size;
        queue->n_done--;
        queue->n_pushed--;
        queue->n--;
    }
    pthread_mutex_unlock(&port->esw->lock);
    return pulled;
}

void esw_async_free(struct esw_port *port)
{
    struct esw_async *async = &port->async;
    struct rte_flow_pattern_template *pattern;
    struct rte_flow_actions_template *actions;
    struct rte_flow_template_table *table;

    while ((table = LIST_FIRST(&async->tables))) {
        LIST_REMOVE(table, next);
        free(table);
    }
    while ((pattern = LIST_FIRST(&async->patterns))) {
        LIST_REMOVE(pattern, next);
        free(pattern->items);
        free(pattern);
    }
    while ((actions = LIST_FIRST(&async->actions))) {
        LIST_REMOVE(actions, next);
        free(actions->actions);
        free(actions->masks);
        free(actions);
    }
    free_queues(async);
}
