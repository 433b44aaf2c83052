/* SPDX-License-Identifier: Apache-2.0 */
// A NIC's queue: what was handed to it and is not answered yet. Many operations go by one push.
// DPDK lets a driver reorder what is in a queue, so who depends on another's result waits for it
// first (operations_finish).
#include <errno.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_log.h>

#include "offload/engine.h"

#define QUEUE        0
#define PUSH_EACH    16
#define PAUSE_US     20
#define PAUSE_MAX_US 1000
#define STALLED_NS   UINT64_C(2000000000)
#define STUCK_NS     UINT64_C(10000000000)

static void complete(struct nic *nic, const struct rte_flow_op_result *result)
{
    uintptr_t number = (uintptr_t)result->user_data;
    struct operation *operation = &nic->operations[number % OPERATIONS_MAX];
    bool failed = result->status != RTE_FLOW_OP_SUCCESS;

    if (operation->number != number)
        return; // it was given up
    operation->number = 0;
    nic->n_operations--;
    if (operation->made)
        operation->made->state = failed ? NIC_RULE_FAILED : NIC_RULE_DONE;
    else if (failed)
        rte_log(RTE_LOG_ERR, offload_log, "sluice: port %u: the NIC kept a rule to be removed\n",
                nic->ethdev);
    // What was not created, or was destroyed, takes none of its table's room.
    if (failed == (operation->made != NULL))
        templates_left(nic, operation->table);
}

// Negative errno, or how many results there were.
static int pull(struct nic *nic)
{
    struct rte_flow_op_result results[OPERATIONS_MAX];
    struct rte_flow_error error;
    int n = rte_flow_pull(nic->ethdev, QUEUE, results, RTE_DIM(results), &error);

    for (int i = 0; i < n; i++)
        complete(nic, &results[i]);
    return n;
}

static void push(struct nic *nic)
{
    struct rte_flow_error error;

    if (nic->n_unpushed)
        rte_flow_push(nic->ethdev, QUEUE, &error);
    nic->n_unpushed = 0;
}

// There is nobody to answer.
static void give_up(struct nic *nic)
{
    for (unsigned i = 0; i < OPERATIONS_MAX; i++) {
        struct operation *operation = &nic->operations[i];

        if (operation->number && operation->made)
            operation->made->state = NIC_RULE_FAILED;
        if (operation->number)
            templates_left(nic, operation->table);
        operation->number = 0;
    }
    nic->n_operations = 0;
}

// It is not known what of that is in the NIC, and so nothing of it is claimed to be.
static void give_up_nic(struct nic *nic)
{
    audit_tell(&engine.status.stalls, nic, NULL,
               "its queue has answered nothing for 10 s, given up until it is opened anew");
    __atomic_store_n(&nic->stuck, true, __ATOMIC_RELEASE);
    __atomic_store_n(&nic->gone, true, __ATOMIC_RELEASE);
    __atomic_store_n(&nic->was_reset, true, __ATOMIC_RELEASE);
    give_up(nic);
}

// Waits until no more than so many operations are under way, as long as the NIC answers now and
// then: what is not known to be there or not must not be guessed. A stall is told; one without end
// ends the NIC's use.
static void wait_for(struct nic *nic, unsigned n)
{
    uint64_t answered = engine_now();
    unsigned pause = PAUSE_US;
    bool told = false;

    push(nic);
    for (unsigned tries = 0; nic->n_operations > n; tries++) {
        int pulled = pull(nic);

        if (pulled < 0 || __atomic_load_n(&nic->gone, __ATOMIC_ACQUIRE) ||
            __atomic_load_n(&engine.stop, __ATOMIC_RELAXED)) {
            give_up(nic);
            return;
        }
        if (pulled)
            answered = engine_now();
        if (!told && engine_now() - answered > STALLED_NS) {
            audit_tell(&engine.status.stalls, nic, NULL, "its queue does not answer, waited for");
            told = true;
        }
        if (engine_now() - answered > STUCK_NS) {
            give_up_nic(nic);
            return;
        }
        if (pulled || tries < 100)
            continue;
        usleep(pause);
        pause = RTE_MIN(pause * 2, (unsigned)PAUSE_MAX_US);
    }
}

void operations_finish(struct nic *nic)
{
    wait_for(nic, 0);
}

// The next one's place; its number is not yet in it.
static struct operation *next(struct nic *nic)
{
    struct operation *operation;

    nic->operation++;
    operation = &nic->operations[nic->operation % OPERATIONS_MAX];
    if (operation->number) // so old, and not answered
        wait_for(nic, 0);
    return operation;
}

static void begun(struct nic *nic, struct operation *operation, struct template_table *table,
                  struct nic_rule *made)
{
    *operation = (struct operation){.number = nic->operation, .table = table, .made = made};
    nic->n_operations++;
    if (++nic->n_unpushed < PUSH_EACH)
        return;
    push(nic);
    pull(nic);
}

int operations_create(struct nic *nic, struct template_table *table,
                      struct rte_flow_template_table *of, const struct flow *flow,
                      struct nic_rule *made, struct rte_flow_error *error)
{
    const struct rte_flow_op_attr later = {.postpone = 1};
    struct operation *operation = next(nic);

    do {
        made->flow = rte_flow_async_create(nic->ethdev, QUEUE, &later, of, flow->items, 0,
                                           flow->actions, 0, (void *)nic->operation, error);
        if (made->flow)
            break;
        if (!nic->n_operations)
            return -rte_errno;
        // Whatever is short, the queue's room or the table's, may be held by what is under way.
        wait_for(nic, 0);
    } while (true);
    made->table = table;
    made->state = NIC_RULE_UNDER_WAY;
    begun(nic, operation, table, made);
    return 0;
}

int operations_destroy(struct nic *nic, const struct nic_rule *rule, struct rte_flow_error *error)
{
    const struct rte_flow_op_attr later = {.postpone = 1};
    struct operation *operation = next(nic);
    int err;

    while ((err = rte_flow_async_destroy(nic->ethdev, QUEUE, &later, rule->flow,
                                         (void *)nic->operation, error))) {
        if (!nic->n_operations)
            return err;
        wait_for(nic, 0);
    }
    begun(nic, operation, rule->table, NULL);
    return 0;
}
