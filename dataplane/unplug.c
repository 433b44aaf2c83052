/* SPDX-License-Identifier: Apache-2.0 */
// DPDK devices that go while ports of them are open: unplugged, broken, or given up because they do
// not answer. Their ports leave the workers as any port does; but a device is closed only when no
// other thread is in its driver, and all of it, so that it can be probed anew.
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <rte_dev.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_string_fns.h>

#include "dataplane/internal.h"

#define NAMES_MAX 8 // more devices than go at once

static bool gone[RTE_MAX_ETHPORTS]; // by ethdev; atomic
static bool any_gone;               // and nobody has looked yet; atomic
static struct port *kept;

// What a bus has told of; by name, as its thread knows no ports.
static pthread_mutex_t names_lock = PTHREAD_MUTEX_INITIALIZER;
static char names[NAMES_MAX][RTE_DEV_NAME_MAX_LEN];
static unsigned n_names;

// In a thread of the driver's.
static int on_removed(uint16_t ethdev, enum rte_eth_event_type event, void *arg, void *ret)
{
    (void)event, (void)arg, (void)ret;
    __atomic_store_n(&gone[ethdev], true, __ATOMIC_RELAXED);
    __atomic_store_n(&any_gone, true, __ATOMIC_RELEASE);
    return 0;
}

// The kernel asks for a device back that a process has by VFIO; or whoever else watches buses.
static void on_device_event(const char *name, enum rte_dev_event_type event, void *arg)
{
    (void)arg;
    if (event != RTE_DEV_EVENT_REMOVE || !name)
        return;
    pthread_mutex_lock(&names_lock);
    if (n_names < NAMES_MAX)
        rte_strscpy(names[n_names++], name, sizeof names[0]);
    pthread_mutex_unlock(&names_lock);
    __atomic_store_n(&any_gone, true, __ATOMIC_RELEASE);
}

int unplug_init(char **error)
{
    // For all ethdevs that there may ever be: so no callback has to be taken back from one whose
    // driver may be in it.
    int ret = rte_eth_dev_callback_register(RTE_ETH_ALL, RTE_ETH_EVENT_INTR_RMV, on_removed, NULL);

    if (!ret)
        ret = rte_dev_event_callback_register(NULL, on_device_event, NULL);
    return ret ? set_error(ret, error, "no memory to hear of devices that are unplugged") : 0;
}

bool unplug_is_gone(const struct port *port)
{
    return port->device && __atomic_load_n(&gone[port->ethdev], __ATOMIC_RELAXED);
}

void unplug_forget(uint16_t ethdev)
{
    __atomic_store_n(&gone[ethdev], false, __ATOMIC_RELAXED);
}

static bool is_named(const struct rte_device *device)
{
    bool named = false;

    pthread_mutex_lock(&names_lock);
    for (unsigned i = 0; i < n_names; i++)
        named = named || !strcmp(names[i], rte_dev_name(device));
    pthread_mutex_unlock(&names_lock);
    return named;
}

static void mark(struct rte_device *device)
{
    uint16_t ethdev;

    RTE_ETH_FOREACH_DEV_OF(ethdev, device)
    __atomic_store_n(&gone[ethdev], true, __ATOMIC_RELAXED);
}

bool dp_any_gone(void)
{
    bool any = false;

    if (!__atomic_exchange_n(&any_gone, false, __ATOMIC_ACQ_REL))
        return false;
    for (unsigned no = 1; no <= PORT_MAX; no++) {
        const struct port *port = dp.ports[no];

        if (!port || !port->device || !(unplug_is_gone(port) || is_named(port->device)))
            continue;
        mark(port->device);
        any = true;
    }
    pthread_mutex_lock(&names_lock);
    n_names = 0;
    pthread_mutex_unlock(&names_lock);
    return any;
}

bool dp_port_gone(uint16_t no)
{
    return no <= PORT_MAX && dp.ports[no] && unplug_is_gone(dp.ports[no]);
}

void dp_port_give_up(uint16_t no)
{
    if (no <= PORT_MAX && dp.ports[no] && dp.ports[no]->device)
        mark(dp.ports[no]->device);
}

bool dp_same_device(const char *devargs, const char *other)
{
    size_t n = strcspn(devargs, ",");

    return n && n == strcspn(other, ",") && !strncmp(devargs, other, n);
}

void unplug_keep(struct port *port)
{
    port->next = kept;
    kept = port;
}

bool unplug_keeps(uint16_t ethdev)
{
    for (const struct port *port = kept; port; port = port->next)
        if (port->ethdev == ethdev)
            return true;
    return false;
}

bool unplug_keeps_device(const char *devargs)
{
    for (const struct port *port = kept; port; port = port->next)
        if (dp_same_device(port->info.params.devargs, devargs))
            return true;
    return false;
}

static bool may_close(const struct rte_device *device, bool (*let_go)(uint16_t ethdev))
{
    uint16_t ethdev;
    bool all = true;

    for (unsigned no = 1; no <= PORT_MAX; no++)
        if (dp.ports[no] && dp.ports[no]->device == device)
            return false;
    RTE_ETH_FOREACH_DEV_OF(ethdev, device)
    all = let_go(ethdev) && all;
    return all;
}

static bool is_representor(const struct port *port)
{
    struct rte_eth_dev_info info;

    return !rte_eth_dev_info_get(port->ethdev, &info) &&
           (*info.dev_flags & RTE_ETH_DEV_REPRESENTOR);
}

static void close_ports(const struct rte_device *device, bool representors)
{
    struct port **at = &kept;

    while (*at) {
        struct port *port = *at;

        if (port->device != device || is_representor(port) != representors) {
            at = &port->next;
            continue;
        }
        *at = port->next;
        rte_eth_dev_stop(port->ethdev);
        rte_eth_dev_close(port->ethdev);
        unplug_forget(port->ethdev);
        free(port->guard);
        rte_free(port);
    }
}

static void close_device(struct rte_device *device)
{
    uint16_t ethdev;

    // mlx5 with hardware steering stops the port that all rules go by after all others.
    close_ports(device, true);
    close_ports(device, false);
    RTE_ETH_FOREACH_DEV_OF(ethdev, device)
    unplug_forget(ethdev);
    // With the ethdevs that no port of ours was on. If it fails, so does opening it, which says so.
    rte_dev_remove(device);
}

unsigned dp_close_gone(bool (*let_go)(uint16_t ethdev))
{
    struct port *port = kept;
    unsigned n = 0;

    while (port) {
        if (may_close(port->device, let_go)) {
            close_device(port->device);
            port = kept; // others have gone, too
            n = 0;
        } else {
            port = port->next;
            n++;
        }
    }
    return n;
}
