/* SPDX-License-Identifier: Apache-2.0 */
// What happens to NICs and their ports: reset, unplugged, plugged in again, another ethdev.
#include <string.h>

#include <rte_ethdev.h>

#include "offload/engine.h"

static bool names_port(const struct rule *rule, const bool ports[PORT_MAX + 1])
{
    uint16_t out = engine_out_port(rule);

    return (rule->match.in_port <= PORT_MAX && ports[rule->match.in_port]) ||
           (out <= PORT_MAX && ports[out]);
}

// Rules that name a port which is another device now, or is one of a NIC that was not known.
static void see_to_ports(const bool changed[PORT_MAX + 1], bool new_nic)
{
    struct offload_rule *orule;

    TAILQ_FOREACH(orule, &engine.all, all)
    {
        bool stale = names_port(&orule->rule, changed);

        if (!stale && !(new_nic && orule->rule.match.in_port == PORT_NONE))
            continue;
        for (unsigned n = 0; n < engine.n_nics && stale; n++) {
            orule->places[n].no_full = orule->places[n].no_software = false;
            if (orule->places[n].kind)
                engine_take_out(orule, n);
        }
        if (orule->planned)
            engine_queue(orule);
    }
}

// Until all is there again, software does it.
void engine_reprogram(unsigned n)
{
    struct nic *nic = &engine.nics[n];
    struct offload_rule *orule;
    struct rte_flow_error error;
    bool flushed;

    engine_finish();
    flushed =
        !__atomic_load_n(&nic->gone, __ATOMIC_ACQUIRE) && rte_flow_flush(nic->ethdev, &error) == 0;
    TAILQ_FOREACH(orule, &engine.all, all)
    {
        struct place *place = &orule->places[n];

        if (place->kind && !flushed)
            nic_destroy(nic, &place->handle, true);
        if (place->kind)
            engine_save_counts(orule, place);
        *place = (struct place){0};
        pthread_mutex_lock(&engine.lock);
        orule->in_nic = orule->settled = false;
        pthread_mutex_unlock(&engine.lock);
    }
    if (flushed) {
        memset(nic->exceptions, 0, sizeof(nic->exceptions));
        templates_forget_rules(nic);
    }
    nic_remove_exceptions(nic);
    nic->n_rules = 0;
    nic->room = 0;
    pods_forget(n);
    engine_queue_all();
}

// If it is plugged in again, it may be another ethdev, and that one's number another device's.
static void see_to_gone(unsigned n)
{
    if (__atomic_load_n(&engine.nics[n].vacant, __ATOMIC_ACQUIRE))
        return;
    if (!__atomic_load_n(&engine.nics[n].stuck, __ATOMIC_ACQUIRE))
        audit_tell(&engine.status.gone, &engine.nics[n], NULL,
                   "the device is gone, its rules are software's");
    engine_reprogram(n);
    templates_free(&engine.nics[n]);
    __atomic_store_n(&engine.nics[n].vacant, true, __ATOMIC_RELEASE);
}

static void see_to_reset(unsigned n)
{
    __atomic_store_n(&engine.nics[n].vacant, false, __ATOMIC_RELEASE);
    audit_tell(&engine.status.resets, &engine.nics[n], NULL,
               "the device was reset and lost its rules, all programmed again");
    engine_reprogram(n);
}

bool engine_see_to_events(void)
{
    bool changed[PORT_MAX + 1], any_port, new_nic, any = false;

    for (unsigned n = 0; n < engine.n_nics; n++) {
        if (!__atomic_exchange_n(&engine.nics[n].was_reset, false, __ATOMIC_ACQ_REL))
            continue;
        any = true;
        if (__atomic_load_n(&engine.nics[n].gone, __ATOMIC_ACQUIRE))
            see_to_gone(n);
        else
            see_to_reset(n);
    }
    pthread_mutex_lock(&engine.lock);
    any_port = engine.any_port_changed;
    new_nic = engine.new_nic;
    if (any_port || new_nic) {
        memcpy(changed, engine.ports_changed, sizeof(changed));
        memset(engine.ports_changed, 0, sizeof(changed));
    }
    engine.any_port_changed = engine.new_nic = false;
    pthread_mutex_unlock(&engine.lock);
    if (any_port || new_nic)
        see_to_ports(changed, new_nic);
    return any || any_port || new_nic;
}
