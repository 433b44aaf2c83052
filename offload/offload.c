/* SPDX-License-Identifier: Apache-2.0 */
// The engine as the control thread sees it: hands rules over, asks what became of them.
#include "offload/offload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_lcore.h>

#include "offload/engine.h"

// Not while the engine's thread is busy: the queue is its own.
static bool anything_to_do(void)
{
    for (unsigned n = 0; n < engine.n_nics; n++) {
        if (__atomic_load_n(&engine.nics[n].was_reset, __ATOMIC_ACQUIRE))
            return true;
    }
    return engine.miss_normal == engine.miss_wanted_drop || !TAILQ_EMPTY(&engine.inbox) ||
           !TAILQ_EMPTY(&engine.removed) || engine.any_port_changed || engine.new_nic ||
           !TAILQ_EMPTY(&engine.queue);
}

// Under engine.lock.
static void sleep_until(uint64_t wake_ns)
{
    struct timespec until = {.tv_sec = (time_t)(wake_ns / 1000000000),
                             .tv_nsec = (long)(wake_ns % 1000000000)};

    if (!engine.stop && !anything_to_do())
        pthread_cond_timedwait(&engine.work, &engine.lock, &until);
}

static void *run_thread(void *arg)
{
    rte_thread_register(); // drivers are faster where they know the thread
    pthread_mutex_lock(&engine.lock);
    while (!engine.stop) {
        uint64_t idle;

        engine.busy = true;
        pthread_mutex_unlock(&engine.lock);
        while (engine_turn() && !__atomic_load_n(&engine.stop, __ATOMIC_RELAXED))
            audit_turn();
        idle = audit_turn();
        pthread_mutex_lock(&engine.lock);
        engine.busy = engine.overdue = false;
        pthread_cond_broadcast(&engine.done);
        sleep_until(engine_now() + idle);
    }
    pthread_mutex_unlock(&engine.lock);
    rte_thread_unregister();
    return arg;
}

static void wake(void)
{
    if (engine.threaded)
        pthread_cond_signal(&engine.work);
}

static void run_here(void)
{
    while (!engine.threaded && engine_turn())
        ;
}

static struct offload_rule *new_rule(const struct rule *rule)
{
    struct offload_rule *orule = calloc(1, sizeof(*orule));

    if (orule) {
        orule->rule = *rule;
        orule->posted = true;
    }
    return orule;
}

void offload_init(enum offload_mode mode, offload_port_fn *port_of)
{
    struct rule miss = {.table = RULE_TABLE_POLICY, .n_actions = 1};
    pthread_condattr_t monotonic;

    if (engine.miss) {
        offload_remove(engine.miss);
        run_here();
    }
    for (unsigned i = 0; i <= PORT_MAX; i++)
        free(engine.ports[i].why_not);
    for (unsigned n = 0; n < engine.n_nics; n++)
        templates_free(&engine.nics[n]);
    memset(&engine, 0, sizeof(engine));
    pthread_mutex_init(&engine.lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&engine.work, &monotonic);
    pthread_cond_init(&engine.done, &monotonic);
    TAILQ_INIT(&engine.inbox);
    TAILQ_INIT(&engine.removed);
    TAILQ_INIT(&engine.all);
    TAILQ_INIT(&engine.queue);
    TAILQ_INIT(&engine.waiting);
    TAILQ_INIT(&engine.under_way);
    TAILQ_INIT(&engine.pods);
    engine.mode = mode;
    engine.port_of = port_of;
    engine.miss_normal = true;
    // One rule more than the operator has: what is in none of them goes on to the forward table.
    miss.actions[0] = (struct action){.type = ACTION_NORMAL};
    engine.miss = new_rule(&miss);
    if (!engine.miss)
        return;
    engine.miss->last = true;
    TAILQ_INSERT_TAIL(&engine.inbox, engine.miss, work);
    run_here();
}

void offload_prefer(const struct offload_prefix *list, unsigned n)
{
    engine.n_prefer = RTE_MIN(n, (unsigned)OFFLOAD_PREFER_MAX);
    memcpy(engine.prefer, list, engine.n_prefer * sizeof(*list));
}

int offload_start(void)
{
    int err = rte_ctrl_thread_create(&engine.thread, "offload", NULL, run_thread, NULL);

    engine.threaded = err == 0;
    return err > 0 ? -err : err;
}

void offload_stop(void)
{
    if (!engine.threaded)
        return;
    pthread_mutex_lock(&engine.lock);
    __atomic_store_n(&engine.stop, true, __ATOMIC_RELAXED);
    pthread_cond_signal(&engine.work);
    pthread_mutex_unlock(&engine.lock);
    pthread_join(engine.thread, NULL);
    engine.threaded = engine.stop = false;
}

static int on_event(uint16_t ethdev, enum rte_eth_event_type event, void *arg, void *ret)
{
    struct nic *nic = arg;

    (void)ret;
    // It was that one before it was unplugged; or is to be closed whatever befalls it.
    if (ethdev != nic->ethdev || __atomic_load_n(&nic->closing, __ATOMIC_ACQUIRE) ||
        __atomic_load_n(&nic->stuck, __ATOMIC_ACQUIRE))
        return 0;
    // A device that was plugged in again tells that it was reset.
    __atomic_store_n(&nic->gone, event == RTE_ETH_EVENT_INTR_RMV, __ATOMIC_RELEASE);
    __atomic_store_n(&nic->was_reset, true, __ATOMIC_RELEASE);
    pthread_mutex_lock(&engine.lock);
    wake();
    pthread_mutex_unlock(&engine.lock);
    return 0;
}

// Is it a device that is to be closed, not another one with the same number?
static bool is_past_use(const struct nic *nic)
{
    return nic->stuck || nic->closing || rte_eth_dev_is_removed(nic->ethdev);
}

// The NIC of an ethdev; -1 with a sentence. Under engine.lock, but for what the driver is asked.
static int learn_nic(uint16_t ethdev, char **why_not)
{
    struct rte_eth_dev_info info = {.driver_name = NULL};
    struct rte_flow_error error = {.type = RTE_FLOW_ERROR_TYPE_NONE};
    const char *driver = rte_eth_dev_info_get(ethdev, &info) == 0 ? info.driver_name : "the port";
    struct rte_flow_port_info port_info = {.max_nb_queues = 0};
    struct rte_flow_queue_info queue_info;
    struct nic *nic;
    uint16_t proxy;
    unsigned n;
    int err = rte_flow_pick_transfer_proxy(ethdev, &proxy, &error);

    if (err) {
        *why_not = nic_refusal(driver, err, &error, NULL);
        return -1;
    }
    for (n = 0; n < engine.n_nics; n++) {
        if (engine.nics[n].ethdev != proxy)
            continue;
        if (!engine.nics[n].gone)
            return (int)n;
        if (!is_past_use(&engine.nics[n]))
            continue;
        *why_not = strdup(engine.nics[n].stuck ? NIC_STUCK : NIC_GONE);
        return -1;
    }
    // In the place of one that is gone; it may be that one, plugged in again.
    for (n = 0; n < engine.n_nics && !__atomic_load_n(&engine.nics[n].vacant, __ATOMIC_ACQUIRE);)
        n++;
    if (n == NICS_MAX) {
        if (asprintf(why_not, "rules go into no more than %u NICs", NICS_MAX) < 0)
            *why_not = NULL;
        return -1;
    }
    nic = &engine.nics[n];
    *nic = (struct nic){.ethdev = proxy, .domain = info.switch_info.domain_id, .gone = true};
    TAILQ_INIT(&nic->tables);
    if (rte_flow_info_get(proxy, &port_info, &queue_info, &error) || !port_info.max_nb_queues)
        nic->how = RULES_PLAIN;
    snprintf(nic->driver, sizeof(nic->driver), "%s", driver);
    rte_eth_dev_callback_register(proxy, RTE_ETH_EVENT_INTR_RESET, on_event, nic);
    rte_eth_dev_callback_register(proxy, RTE_ETH_EVENT_INTR_RMV, on_event, nic);
    engine.new_nic = true;
    __atomic_store_n(&nic->was_reset, n < engine.n_nics, __ATOMIC_RELEASE);
    __atomic_store_n(&nic->gone, false, __ATOMIC_RELEASE);
    if (n == engine.n_nics)
        __atomic_store_n(&engine.n_nics, n + 1, __ATOMIC_RELEASE);
    return (int)n;
}

// Looks the port up, in the control thread: rules that name it are seen to if it is another now.
static void learn_port(uint16_t no)
{
    struct engine_port port = {.known = true, .nic = -1}, *known;

    if (no == PORT_NONE || no > PORT_MAX)
        return;
    known = &engine.ports[no];
    port.port = (struct offload_port){.why = "no such port"};
    port.err = engine.port_of(no, &port.port);
    pthread_mutex_lock(&engine.lock);
    if (!port.err)
        port.nic = learn_nic(port.port.ethdev, &port.why_not);
    if (!known->known || known->err != port.err || known->nic != port.nic ||
        known->port.ethdev != port.port.ethdev || known->port.no_output != port.port.no_output) {
        engine.ports_changed[no] = engine.any_port_changed = known->known;
        free(known->why_not);
        *known = port;
    } else {
        free(port.why_not);
    }
    pthread_mutex_unlock(&engine.lock);
}

struct offload_rule *offload_add(const struct rule *rule)
{
    struct offload_rule *orule = new_rule(rule);

    if (!orule)
        return NULL;
    learn_port(rule->match.in_port);
    for (unsigned i = 0; i < rule->n_actions; i++) {
        if (rule->actions[i].type == ACTION_OUTPUT)
            learn_port(rule->actions[i].port);
    }
    pthread_mutex_lock(&engine.lock);
    TAILQ_INSERT_TAIL(&engine.inbox, orule, work);
    pthread_mutex_unlock(&engine.lock);
    wake(); // now that it need not wait for the lock
    run_here();
    return orule;
}

void offload_remove(struct offload_rule *orule)
{
    bool posted;

    if (!orule)
        return;
    pthread_mutex_lock(&engine.lock);
    posted = orule->posted;
    if (posted) {
        TAILQ_REMOVE(&engine.inbox, orule, work);
    } else {
        TAILQ_INSERT_TAIL(&engine.removed, orule, removal);
    }
    pthread_mutex_unlock(&engine.lock);
    if (posted)
        free(orule);
    else
        wake();
    run_here();
}

void offload_policy_miss(bool normal)
{
    pthread_mutex_lock(&engine.lock);
    engine.miss_wanted_drop = !normal;
    wake();
    pthread_mutex_unlock(&engine.lock);
    run_here();
}

int offload_settle(bool all, unsigned ms)
{
    uint64_t until_ns = engine_now() + ms * 1000000ULL;
    struct timespec until = {.tv_sec = (time_t)(until_ns / 1000000000),
                             .tv_nsec = (long)(until_ns % 1000000000)};
    int err = 0;

    if (!engine.threaded)
        return 0;
    pthread_mutex_lock(&engine.lock);
    while (!err && !(engine.overdue && !all) &&
           (!TAILQ_EMPTY(&engine.removed) || engine.removing ||
            (all && (engine.busy || anything_to_do()))))
        err = -pthread_cond_timedwait(&engine.done, &engine.lock, &until);
    engine.overdue = engine.overdue || err;
    err = engine.overdue ? -ETIMEDOUT : 0;
    pthread_mutex_unlock(&engine.lock);
    return err;
}

bool offload_in_nic(const struct offload_rule *orule)
{
    bool in_nic;

    pthread_mutex_lock(&engine.lock);
    in_nic = orule && orule->in_nic;
    pthread_mutex_unlock(&engine.lock);
    return in_nic;
}

const char *offload_why_not(const struct offload_rule *orule)
{
    static char text[512];

    pthread_mutex_lock(&engine.lock);
    snprintf(text, sizeof(text), "%s",
             !orule           ? "memory was short"
             : orule->in_nic  ? ""
             : orule->why_not ? orule->why_not
             : orule->settled ? "memory was short"
                              : "it is about to be put into the NIC");
    pthread_mutex_unlock(&engine.lock);
    return text;
}

int offload_format_testpmd(const struct offload_rule *orule, char *buf, size_t size)
{
    struct flow flow;
    char *why = NULL;
    int err = -ENODEV, len;

    // In the NIC that it is for; the engine can say in which.
    for (unsigned n = 0; orule && err && n < engine.n_nics; n++) {
        free(why);
        err = engine_build(orule, n, PLACE_FULL, &flow, &why);
    }
    len = err ? snprintf(buf, size, "# %s", why ? why : offload_why_not(orule))
              : flow_print(&flow, buf, size);
    free(why);
    return len;
}

void offload_stats(const struct offload_rule *orule, struct offload_counts *counts)
{
    *counts = (struct offload_counts){0};
    if (!orule)
        return;
    if (!engine.threaded)
        audit_read((struct offload_rule *)(uintptr_t)orule);
    pthread_mutex_lock(&engine.lock);
    *counts = orule->counts;
    pthread_mutex_unlock(&engine.lock);
}

void offload_status(struct offload_status *status)
{
    pthread_mutex_lock(&engine.lock);
    *status = engine.status;
    pthread_mutex_unlock(&engine.lock);
}

bool offload_port_has_nic(uint16_t port)
{
    learn_port(port);
    return port <= PORT_MAX && engine.ports[port].nic >= 0;
}

bool offload_port_stuck(uint16_t port)
{
    const struct engine_port *known = &engine.ports[port <= PORT_MAX ? port : PORT_NONE];

    return known->known && known->nic >= 0 &&
           __atomic_load_n(&engine.nics[known->nic].stuck, __ATOMIC_ACQUIRE);
}

// Their numbers may soon be other devices'.
static void forget_ports(int n)
{
    for (unsigned no = 0; no <= PORT_MAX; no++) {
        struct engine_port *port = &engine.ports[no];

        if (!port->known || port->nic != n)
            continue;
        port->nic = -1;
        port->err = -ENODEV;
        port->port = (struct offload_port){.why = "its device is gone"};
        engine.ports_changed[no] = engine.any_port_changed = true;
    }
}

bool offload_let_go(uint16_t ethdev)
{
    for (unsigned n = 0; n < engine.n_nics; n++) {
        struct nic *nic = &engine.nics[n];

        if (nic->ethdev != ethdev)
            continue;
        pthread_mutex_lock(&engine.lock);
        if (!nic->closing) {
            __atomic_store_n(&nic->closing, true, __ATOMIC_RELEASE);
            __atomic_store_n(&nic->gone, true, __ATOMIC_RELEASE);
            __atomic_store_n(&nic->was_reset, true, __ATOMIC_RELEASE);
            forget_ports((int)n);
            wake();
        }
        pthread_mutex_unlock(&engine.lock);
        run_here();
        if (!__atomic_load_n(&nic->vacant, __ATOMIC_ACQUIRE) ||
            __atomic_load_n(&nic->was_reset, __ATOMIC_ACQUIRE))
            return false;
        nic->ethdev = RTE_MAX_ETHPORTS;
    }
    return true;
}
