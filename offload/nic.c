/* SPDX-License-Identifier: Apache-2.0 */
// One NIC: rules go in and come out, one by one.
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_log.h>

#include "offload/engine.h"

RTE_LOG_REGISTER(offload_log, sluice.offload, NOTICE);

#define TRIES    6 // while a driver says EAGAIN
#define PAUSE_US 50

static void count_call(uint64_t *counter)
{
    pthread_mutex_lock(&engine.lock);
    ++*counter;
    pthread_mutex_unlock(&engine.lock);
}

static int create_plain(struct nic *nic, const struct flow *flow, struct nic_rule *made,
                        struct rte_flow_error *error)
{
    made->flow = rte_flow_create(nic->ethdev, &flow->attr, flow->items, flow->actions, error);
    return made->flow ? 0 : -rte_errno;
}

// The driver's answer to its first rule says how it wants them: mlx5 with hardware steering in DPDK
// 22.11 refuses all that are not made by templates, and offers those.
static int create_first(struct nic *nic, const struct flow *flow, struct nic_rule *made,
                        struct rte_flow_error *error)
{
    int err = create_plain(nic, flow, made, error);

    if (err != -ENOTSUP || error->type != RTE_FLOW_ERROR_TYPE_UNSPECIFIED) {
        __atomic_store_n(&nic->how, RULES_PLAIN, __ATOMIC_RELEASE);
        return err;
    }
    capabilities_by_templates(nic);
    __atomic_store_n(&nic->how, RULES_BY_TEMPLATES, __ATOMIC_RELEASE);
    return templates_create(nic, flow, made, error);
}

// The interface has no room for a reason; what is left is that the NIC is full.
static int finish_now(struct nic *nic, const struct nic_rule *made, struct rte_flow_error *error)
{
    operations_finish(nic);
    if (made->state != NIC_RULE_FAILED)
        return 0;
    if (__atomic_load_n(&nic->gone, __ATOMIC_ACQUIRE))
        return rte_flow_error_set(error, ENODEV, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL,
                                  "the device did not answer");
    return rte_flow_error_set(error, ENOSPC, RTE_FLOW_ERROR_TYPE_UNSPECIFIED, NULL,
                              "it could not be put in; the driver does not say why");
}

int nic_create(struct nic *nic, struct flow *flow, bool wait, struct nic_rule *made,
               struct rte_flow_error *error)
{
    int err = 0;

    flow->ethdev = nic->ethdev;
    for (unsigned i = 0; i < TRIES; i++) {
        *error = (struct rte_flow_error){.type = RTE_FLOW_ERROR_TYPE_NONE};
        *made = (struct nic_rule){.flow = NULL};
        err = nic->how == RULES_BY_TEMPLATES ? templates_create(nic, flow, made, error)
              : nic->how == RULES_PLAIN      ? create_plain(nic, flow, made, error)
                                             : create_first(nic, flow, made, error);
        if (err != -EAGAIN)
            break;
        usleep(PAUSE_US << i);
    }
    if (!err && wait && made->table)
        err = finish_now(nic, made, error);
    if (err)
        made->flow = NULL;
    count_call(err ? &engine.status.refused : &engine.status.created);
    return err;
}

void nic_destroy(struct nic *nic, const struct nic_rule *rule, bool wait)
{
    struct rte_flow_error error = {.message = NULL};
    int err;

    // With the device its rules are gone; and a daemon that stops does not wait for a slow one.
    if (__atomic_load_n(&nic->gone, __ATOMIC_ACQUIRE) ||
        __atomic_load_n(&engine.stop, __ATOMIC_RELAXED))
        return;
    for (unsigned i = 0; i < TRIES; i++) {
        err = rule->table ? operations_destroy(nic, rule, &error)
                          : rte_flow_destroy(nic->ethdev, rule->flow, &error);
        if (err != -EAGAIN)
            break;
        usleep(PAUSE_US << i);
    }
    if (wait)
        operations_finish(nic);
    count_call(&engine.status.destroyed);
    if (err)
        rte_log(RTE_LOG_ERR, offload_log,
                "sluice: port %u: the NIC kept a rule to be removed: %s\n", nic->ethdev,
                error.message ? error.message : rte_strerror(-err));
}

void nic_remove_exceptions(struct nic *nic)
{
    operations_finish(nic); // what they are for goes first
    for (unsigned kind = 0; kind < FLOW_EXCEPTIONS_N; kind++) {
        for (unsigned i = 0; i < FLOW_EXCEPTIONS_MAX; i++) {
            if (nic->exceptions[kind][i].flow)
                nic_destroy(nic, &nic->exceptions[kind][i], true);
            nic->exceptions[kind][i].flow = NULL;
        }
        nic->has[kind] = false;
    }
}

int nic_add_exceptions(struct nic *nic, enum flow_exceptions kind, const char **what,
                       struct rte_flow_error *error)
{
    struct flow flow;
    int err;

    if (nic->has[kind])
        return 0;
    for (unsigned i = 0; flow_build_exception(kind, i, nic->ethdev, &flow, what); i++) {
        err = nic_create(nic, &flow, true, &nic->exceptions[kind][i], error);
        nic->exception_lines[kind][i] = audit_line(&flow);
        if (err) {
            while (i-- > 0) {
                nic_destroy(nic, &nic->exceptions[kind][i], true);
                nic->exceptions[kind][i].flow = NULL;
            }
            return err;
        }
    }
    nic->has[kind] = true;
    return 0;
}

char *nic_refusal(const char *driver, int err, const struct rte_flow_error *error, const char *what)
{
    const char *message = error->message ? error->message : rte_strerror(-err);
    char *sentence;
    int r;

    if (err == -ENOSYS)
        r = asprintf(&sentence, "%s has no rte_flow, so no rule can be in it", driver);
    else if (error->type == RTE_FLOW_ERROR_TYPE_ATTR_TRANSFER)
        r = asprintf(&sentence, "%s does not take transfer rules: %s", driver, message);
    else if (what)
        r = asprintf(&sentence, "%s cannot leave %s to software: %s (%s)", driver, what, message,
                     rte_strerror(-err));
    else
        r = asprintf(&sentence, "%s does not take this rule: %s (%s)", driver, message,
                     rte_strerror(-err));
    return r < 0 ? NULL : sentence;
}

bool nic_may_later(int err)
{
    switch (err) {
    case -ENOTSUP:
    case -EINVAL:
    case -ENOSYS:
    case -EPERM:
    case -ENODEV:
    case -E2BIG:
    case -EEXIST:
        return false;
    }
    return true;
}
