/* SPDX-License-Identifier: Apache-2.0 */
// Ageing of rules and of indirect actions: when it is over, and who is told.
#include <string.h>

#include <rte_cycles.h>

#include "offload/esw/esw.h"

static double idle_seconds(const struct esw_age *age)
{
    return (double)(rte_rdtsc() - age->last_hit_tsc) / (double)rte_get_tsc_hz();
}

void esw_age_hit(struct esw_age *age)
{
    age->last_hit_tsc = rte_rdtsc();
    age->aged = age->announced = false;
}

static bool is_over(const struct esw_age *age)
{
    return age->timeout && idle_seconds(age) >= age->timeout; // 0 ends it
}

void esw_age_query(const struct esw_age *age, struct rte_flow_query_age *query)
{
    memset(query, 0, sizeof(*query));
    query->aged = is_over(age);
    query->sec_since_last_hit_valid = 1;
    query->sec_since_last_hit = (uint32_t)idle_seconds(age);
}

// False: there is no room for more.
static bool tell_aged(struct esw_age *age, void *handle, void **contexts, uint32_t n,
                      uint32_t *found)
{
    if (age->aged || !is_over(age))
        return true;
    if (n && *found == n)
        return false;
    if (n) {
        contexts[*found] = age->context ? age->context : handle;
        age->aged = true;
    }
    ++*found;
    return true;
}

static int aged_flows(const struct esw_port *port, bool of_queue, uint32_t queue, void **contexts,
                      uint32_t n)
{
    struct esw *esw = port->esw;
    struct rte_flow_action_handle *handle;
    struct rte_flow *flow;
    uint32_t found = 0;

    pthread_mutex_lock(&esw->lock);
    TAILQ_FOREACH(flow, &esw->flows, next)
    {
        if (flow->owner != port->index || !flow->program.age || flow->program.shared_age ||
            (of_queue && (!flow->table || flow->queue != queue)))
            continue;
        if (!tell_aged(&flow->age, flow, contexts, n, &found))
            break;
    }
    TAILQ_FOREACH(handle, &esw->handles, next)
    {
        if (of_queue || handle->owner != port->index || handle->type != RTE_FLOW_ACTION_TYPE_AGE ||
            !handle->users)
            continue;
        if (!tell_aged(&handle->age, handle, contexts, n, &found))
            break;
    }
    pthread_mutex_unlock(&esw->lock);
    return (int)found;
}

int esw_get_aged_flows(struct rte_eth_dev *dev, void **contexts, uint32_t n,
                       struct rte_flow_error *error)
{
    (void)error;
    return aged_flows(esw_port_of_dev(dev), false, 0, contexts, n);
}

int esw_get_q_aged_flows(struct rte_eth_dev *dev, uint32_t queue, void **contexts, uint32_t n,
                         struct rte_flow_error *error)
{
    (void)error;
    return aged_flows(esw_port_of_dev(dev), true, queue, contexts, n);
}

static bool is_news(struct esw_age *age)
{
    if (age->announced || !is_over(age))
        return false;
    age->announced = true;
    return true;
}

void esw_ages_watch(struct esw *esw)
{
    bool news[ESW_PORTS_MAX] = {false};
    struct rte_flow_action_handle *handle;
    struct rte_flow *flow;

    pthread_mutex_lock(&esw->lock);
    if (esw->n_ages) {
        TAILQ_FOREACH(flow, &esw->flows, next)
        {
            if (flow->program.age && !flow->program.shared_age)
                news[flow->owner] |= is_news(&flow->age);
        }
        TAILQ_FOREACH(handle, &esw->handles, next)
        {
            if (handle->type == RTE_FLOW_ACTION_TYPE_AGE && handle->users)
                news[handle->owner] |= is_news(&handle->age);
        }
    }
    pthread_mutex_unlock(&esw->lock);
    for (unsigned i = 0; i < esw->n_wires + esw->n_vfs; i++) {
        if (news[i])
            esw_ethdev_tell(&esw->ports[i], RTE_ETH_EVENT_FLOW_AGED);
    }
}
