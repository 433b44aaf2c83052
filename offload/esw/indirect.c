/* SPDX-License-Identifier: Apache-2.0 */
// Indirect actions: a counter, or an age, that rules share.
#include <errno.h>
#include <stdlib.h>

#include "offload/esw/parse.h"

static int refuse(struct rte_flow_error *error, int err, const void *cause, const char *message)
{
    return rte_flow_error_set(error, err, RTE_FLOW_ERROR_TYPE_ACTION, cause, message);
}

// Is there such a one, for an action or for age?
static int check_new(const struct esw *esw, const struct rte_flow_indir_action_conf *conf,
                     const struct rte_flow_action *action, struct rte_flow_error *error)
{
    const struct rte_flow_action actions[] = {*action, {.type = RTE_FLOW_ACTION_TYPE_END}};
    const struct rte_flow_item no_item = {.type = RTE_FLOW_ITEM_TYPE_END};

    if (__atomic_load_n(&esw->unplugged, __ATOMIC_RELAXED))
        return refuse(error, ENODEV, NULL, "the device is gone");
    if (!conf->transfer)
        return rte_flow_error_set(error, ENOTSUP, RTE_FLOW_ERROR_TYPE_ATTR_TRANSFER, NULL,
                                  "net_esw takes transfer rules only");
    if (action->type != RTE_FLOW_ACTION_TYPE_COUNT && action->type != RTE_FLOW_ACTION_TYPE_AGE)
        return refuse(error, ENOTSUP, action, "indirect actions are count or age");
    if (action->type == RTE_FLOW_ACTION_TYPE_AGE && !action->conf)
        return refuse(error, EINVAL, action, "the action lacks its configuration");
    return esw_fault_capable(&esw->faults, &no_item, actions, error);
}

struct rte_flow_action_handle *esw_indirect_create(struct rte_eth_dev *dev,
                                                   const struct rte_flow_indir_action_conf *conf,
                                                   const struct rte_flow_action *action,
                                                   struct rte_flow_error *error)
{
    struct esw_port *port = esw_port_of_dev(dev);
    struct esw *esw = port->esw;
    struct rte_flow_action_handle *handle = calloc(1, sizeof(*handle));
    int ret;

    if (!handle) {
        refuse(error, ENOMEM, NULL, "no memory");
        return NULL;
    }
    pthread_mutex_lock(&esw->lock);
    ret = check_new(esw, conf, action, error);
    if (ret == 0) {
        handle->type = action->type;
        handle->owner = port->index;
        esw->n_ages += action->type == RTE_FLOW_ACTION_TYPE_AGE;
        if (action->type == RTE_FLOW_ACTION_TYPE_AGE) {
            const struct rte_flow_action_age *age = action->conf;

            handle->age.timeout = age->timeout;
            handle->age.context = age->context;
            esw_age_hit(&handle->age);
        }
        TAILQ_INSERT_TAIL(&esw->handles, handle, next);
    }
    pthread_mutex_unlock(&esw->lock);
    if (ret == 0)
        return handle;
    free(handle);
    return NULL;
}

static void forget(struct esw *esw, struct rte_flow_action_handle *handle)
{
    esw->n_ages -= handle->type == RTE_FLOW_ACTION_TYPE_AGE;
    TAILQ_REMOVE(&esw->handles, handle, next);
    free(handle);
}

int esw_indirect_destroy(struct rte_eth_dev *dev, struct rte_flow_action_handle *handle,
                         struct rte_flow_error *error)
{
    struct esw *esw = esw_port_of_dev(dev)->esw;
    int ret = 0;

    pthread_mutex_lock(&esw->lock);
    if (handle->users)
        ret = refuse(error, EBUSY, handle, "rules use the indirect action");
    else
        forget(esw, handle);
    pthread_mutex_unlock(&esw->lock);
    return ret;
}

int esw_indirect_update(struct rte_eth_dev *dev, struct rte_flow_action_handle *handle,
                        const void *update, struct rte_flow_error *error)
{
    struct esw *esw = esw_port_of_dev(dev)->esw;
    const struct rte_flow_update_age *age = update;

    if (handle->type != RTE_FLOW_ACTION_TYPE_AGE)
        return refuse(error, ENOTSUP, handle, "only an age can be updated");
    pthread_mutex_lock(&esw->lock);
    if (age->timeout_valid)
        handle->age.timeout = age->timeout;
    if (age->touch)
        esw_age_hit(&handle->age);
    pthread_mutex_unlock(&esw->lock);
    return 0;
}

int esw_indirect_query(struct rte_eth_dev *dev, const struct rte_flow_action_handle *handle,
                       void *data, struct rte_flow_error *error)
{
    struct esw *esw = esw_port_of_dev(dev)->esw;

    (void)error;
    pthread_mutex_lock(&esw->lock);
    // With `reset` a query changes the counter.
    if (handle->type == RTE_FLOW_ACTION_TYPE_COUNT)
        esw_count_query(esw, &((struct rte_flow_action_handle *)(uintptr_t)handle)->counter, data);
    else
        esw_age_query(&handle->age, data);
    pthread_mutex_unlock(&esw->lock);
    return 0;
}

int esw_indirect_use(const struct esw_port *port, const struct rte_flow_action *action,
                     struct esw_program *program, struct rte_flow_error *error)
{
    struct rte_flow_action_handle *handle;

    TAILQ_FOREACH(handle, &port->esw->handles, next)
    {
        if (handle == action->conf && handle->owner == port->index)
            break;
    }
    if (!handle)
        return refuse(error, EINVAL, action, "this port has no such indirect action");
    if (handle->type == RTE_FLOW_ACTION_TYPE_COUNT) {
        if (program->shared_count)
            return refuse(error, EINVAL, action, "one shared counter only");
        program->count = true;
        program->shared_count = handle;
    } else {
        if (program->age)
            return refuse(error, EINVAL, action, "one age only");
        program->age = true;
        program->age_timeout = handle->age.timeout;
        program->shared_age = handle;
    }
    return 0;
}

void esw_indirect_free_all(struct esw_port *port)
{
    struct rte_flow_action_handle *handle, *next;

    for (handle = TAILQ_FIRST(&port->esw->handles); handle; handle = next) {
        next = TAILQ_NEXT(handle, next);
        if (handle->owner == port->index)
            forget(port->esw, handle);
    }
}
