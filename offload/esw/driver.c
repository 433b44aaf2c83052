/* SPDX-License-Identifier: Apache-2.0 */
// The device `net_esw0,wire0=...,vfs=8,representor=vf[0-7]`: its arguments, its life, and
// representors that are added later.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_kvargs.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "offload/esw/devargs.h"
#include "offload/esw/esw.h"

#define NAME "net_esw"

RTE_LOG_REGISTER(esw_log, pmd.net.esw, NOTICE);

static TAILQ_HEAD(, esw) esws = TAILQ_HEAD_INITIALIZER(esws);

struct esw_port *esw_port_of_ethdev(const struct esw *esw, uint16_t port_id)
{
    for (unsigned i = 0; i < esw->n_wires + esw->n_vfs; i++) {
        if (esw->ports[i].ethdev && esw->ports[i].port_id == port_id)
            return &esw->ports[i];
    }
    return NULL;
}

// net_esw and a number, nothing else: EAL finds drivers by how a name begins, and would take
// net_esw0_representor_vf3 for a device of its own.
static int number_of(const char *name, unsigned *number)
{
    unsigned long n = strtoul(name + strlen(NAME), NULL, 10);
    char usual[32];

    snprintf(usual, sizeof(usual), NAME "%lu", n);
    if (n > 99 || strcmp(usual, name))
        return -EINVAL;
    *number = (unsigned)n;
    return 0;
}

static int create_ethdev(struct esw_port *port)
{
    char name[RTE_ETH_NAME_MAX_LEN];
    int ret = 0;

    esw_ethdev_name(port, name);
    if (!port->ethdev)
        ret = esw_ethdev_create(port);
    if (ret)
        ESW_LOG(ERR, "%s: %s\n", name, strerror(-ret));
    return ret;
}

// Makes the ethdevs that the arguments name and that are not there: the first PF, and the
// representors.
static int create_ethdevs(struct esw *esw, const char *args)
{
    int ret = create_ethdev(&esw->ports[0]);

    return ret ? ret : esw_devargs_representors(esw, args, create_ethdev);
}

// EAL probes a virtual device once. A second probe, `net_esw0,representor=vf[2]`, replaces its
// devargs, scans the bus, which calls this, and then ends with EEXIST.
static void rescan(void *arg)
{
    struct esw *esw;

    (void)arg;
    TAILQ_FOREACH(esw, &esws, next)
    {
        const char *args = rte_vdev_device_args(esw->vdev);

        // New devargs are made before the old are freed, so they differ in their address.
        if (args == esw->args)
            continue;
        esw->args = args;
        create_ethdevs(esw, args);
    }
}

static void set_mac(struct esw_port *port, unsigned device)
{
    port->mac = (struct rte_ether_addr){
        {0x02, 0xe5, (uint8_t)device, !port->is_wire, (uint8_t)(port->no >> 8), (uint8_t)port->no}};
}

// What a wire's argument, or that of all VFs, says about this one.
static void spec_of(const struct esw_port *port, const char *spec, char *text, size_t size)
{
    if (port->is_wire) {
        // A name alone is that of a netdev.
        bool is_netdev = !strchr(spec, ':') && strcmp(spec, "ring") && strcmp(spec, "null");

        snprintf(text, size, "%s%s", is_netdev ? "netdev:" : "", spec);
    } else if (!strncmp(spec, "tap:", 4) || !strncmp(spec, "netdev:", 7)) {
        snprintf(text, size, "%s%u", spec, port->no);
    } else if (!strncmp(spec, "pcap:", 5)) {
        // PREFIX3-in.pcap, if it is there, and PREFIX3-out.pcap
        bool has_in;

        snprintf(text, size, "%s%u-in.pcap", spec + 5, port->no);
        has_in = access(text, F_OK) == 0;
        snprintf(text, size, "pcap:");
        if (has_in)
            snprintf(text + 5, size - 5, "%s%u-in.pcap", spec + 5, port->no);
        snprintf(text + strlen(text), size - strlen(text), "+%s%u-out.pcap", spec + 5, port->no);
    } else {
        snprintf(text, size, "%s", spec);
    }
}

static int open_port(struct esw_port *port, const char *spec)
{
    char text[512];
    int ret;

    spec_of(port, spec, text, sizeof(text));
    ret = esw_backend_open(port, text);
    if (ret)
        ESW_LOG(ERR, "%s: %s %u: %s: %s\n", port->esw->name, port->is_wire ? "wire" : "VF",
                port->no, text,
                ret == -EINVAL         ? "no such kind, or not as that kind has it"
                : ret == -ENAMETOOLONG ? "a netdev's name has 1 to 15 characters"
                                       : strerror(-ret));
    return ret;
}

static int open_ports(struct esw *esw, const struct esw_devargs *arguments, unsigned number)
{
    char vf[16], pool[RTE_MEMPOOL_NAMESIZE];
    const char *vf_spec = arguments->vf;
    bool rings = false;
    int ret = 0;

    snprintf(vf, sizeof(vf), "tap:esw%uvf", number);
    if (!vf_spec || !strcmp(vf_spec, "tap"))
        vf_spec = vf;
    for (unsigned i = 0; i < esw->n_wires + esw->n_vfs; i++)
        esw->ports[i].backend.fd = -1;
    for (unsigned i = 0; !ret && i < esw->n_wires + esw->n_vfs; i++) {
        struct esw_port *port = &esw->ports[i];

        port->esw = esw;
        port->index = (uint16_t)i;
        port->is_wire = i < esw->n_wires;
        port->no = (uint16_t)(port->is_wire ? i : i - esw->n_wires);
        port->port_id = RTE_MAX_ETHPORTS;
        set_mac(port, number);
        ret = open_port(port, port->is_wire ? arguments->wires[i] : vf_spec);
        port->link = ret == 0 && esw_backend_link(port);
        rings = rings || port->backend.kind == ESW_BACKEND_RING;
    }
    if (ret || !rings)
        return ret;
    snprintf(pool, sizeof(pool), "%s_rings", esw->name);
    esw->ring_pool = rte_pktmbuf_pool_create(pool, 8191, 0, 0, RTE_PKTMBUF_HEADROOM + ESW_FRAME_MAX,
                                             SOCKET_ID_ANY);
    if (esw->ring_pool)
        return 0;
    ESW_LOG(ERR, "%s: no memory for packets in rings: %s\n", esw->name, rte_strerror(rte_errno));
    return -rte_errno;
}

static void esw_free(struct esw *esw)
{
    esw_switch_stop(esw);
    esw_control_close(esw);
    for (unsigned i = esw->n_wires + esw->n_vfs; i-- > 0;) { // the proxy port last
        uint16_t port_id = esw->ports[i].port_id;

        if (!esw->ports[i].ethdev)
            continue;
        rte_eth_dev_stop(port_id);
        rte_eth_dev_close(port_id);
    }
    for (unsigned i = 0; i < esw->n_wires + esw->n_vfs; i++)
        esw_backend_close(&esw->ports[i]);
    if (esw->table) {
        esw_flow_forget_all(esw);
        esw_table_free(esw->table);
    }
    rte_mempool_free(esw->ring_pool);
    if (esw->domain_id != RTE_ETH_DEV_SWITCH_DOMAIN_ID_INVALID)
        rte_eth_switch_domain_free(esw->domain_id);
    pthread_mutex_destroy(&esw->lock);
    pthread_mutex_destroy(&esw->events);
    rte_free(esw->ports);
    free(esw);
}

static struct esw *esw_create(struct rte_vdev_device *vdev, const struct esw_devargs *arguments,
                              unsigned number, int *err)
{
    struct esw *esw = calloc(1, sizeof(*esw));
    pthread_mutexattr_t recursive;

    *err = -ENOMEM;
    if (!esw)
        return NULL;
    esw->vdev = vdev;
    snprintf(esw->name, sizeof(esw->name), NAME "%u", number);
    esw->mode = arguments->mode;
    esw->cpu = arguments->cpu;
    esw->persist = arguments->persist;
    esw->n_wires = arguments->wires[1] ? 2 : 1;
    esw->n_vfs = arguments->n_vfs;
    esw->domain_id = RTE_ETH_DEV_SWITCH_DOMAIN_ID_INVALID;
    esw->epoll = esw->wake = esw->control = -1;
    esw->faults = arguments->faults;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&esw->events, &recursive);
    pthread_mutexattr_destroy(&recursive);
    pthread_mutex_init(&esw->lock, NULL);
    TAILQ_INIT(&esw->flows);
    TAILQ_INIT(&esw->handles);
    esw->table = esw_table_create(arguments->duplicates);
    esw->ports = rte_zmalloc("esw_ports", (esw->n_wires + esw->n_vfs) * sizeof(*esw->ports), 0);
    if (!esw->ports)
        esw->n_wires = esw->n_vfs = 0;
    if (esw->table && esw->ports)
        *err = rte_eth_switch_domain_alloc(&esw->domain_id);
    if (*err == 0)
        *err = open_ports(esw, arguments, number);
    if (*err == 0 && arguments->control) {
        *err = esw_control_open(esw, arguments->control);
        if (*err)
            ESW_LOG(ERR, "%s: control=%s: %s\n", esw->name, arguments->control, strerror(-*err));
    }
    if (*err == 0) {
        *err = esw_switch_start(esw);
        if (*err)
            ESW_LOG(ERR, "%s: the e-switch's thread: %s\n", esw->name, strerror(-*err));
    }
    if (*err == 0)
        return esw;
    esw_free(esw);
    return NULL;
}

static int probe(struct rte_vdev_device *vdev)
{
    const char *args = rte_vdev_device_args(vdev);
    struct esw_devargs arguments;
    struct rte_kvargs *list;
    struct esw *esw;
    unsigned number;
    int ret;

    if (rte_eal_process_type() != RTE_PROC_PRIMARY)
        return -ENOTSUP;
    ret = number_of(rte_vdev_device_name(vdev), &number);
    if (ret) {
        ESW_LOG(ERR, "%s: a name must be " NAME "0 to " NAME "99\n", rte_vdev_device_name(vdev));
        return ret;
    }
    list = esw_devargs_parse(rte_vdev_device_name(vdev), args, &arguments);
    if (!list)
        return -EINVAL;
    if (arguments.absent && access(arguments.absent, F_OK) == 0) {
        rte_kvargs_free(list);
        return -ENODEV;
    }
    esw = esw_create(vdev, &arguments, number, &ret);
    rte_kvargs_free(list);
    if (!esw)
        return ret;
    ESW_LOG(WARNING,
            "%s: a SmartNIC in software, for development and tests: %u wires, %u VFs, mode %s\n",
            esw->name, esw->n_wires, esw->n_vfs, esw_mode_name(esw->mode));
    esw->args = args;
    ret = create_ethdevs(esw, args);
    if (ret) {
        esw_free(esw);
        return ret;
    }
    TAILQ_INSERT_TAIL(&esws, esw, next);
    rte_vdev_add_custom_scan(rescan, NULL);
    return 0;
}

static int remove_device(struct rte_vdev_device *vdev)
{
    struct esw *esw;

    TAILQ_FOREACH(esw, &esws, next)
    {
        if (esw->vdev == vdev)
            break;
    }
    if (!esw)
        return -ENODEV;
    TAILQ_REMOVE(&esws, esw, next);
    esw_free(esw);
    return 0;
}

static struct rte_vdev_driver esw_driver = {.probe = probe, .remove = remove_device};

RTE_PMD_REGISTER_VDEV(net_esw, esw_driver);
RTE_PMD_REGISTER_PARAM_STRING(net_esw,
                              "wire0=<netdev>|tap:<name>|pcap:<in>+<out>|gen:<flows>|ring|null "
                              "wire1=<as wire0> "
                              "vfs=<number> "
                              "vf=tap:<prefix>|netdev:<prefix>|pcap:<prefix>|gen:<flows>|ring|null "
                              "representor=vf[<list>]|pf<n> "
                              "cpu=<number> "
                              "persist=0|1 "
                              "control=<path> "
                              "absent=<path> "
                              "mode=ideal|mlx5-sws|mlx5-hws "
                              "allow_duplicate_pattern=0|1 "
                              "rules=<number> "
                              "latency_us=<number> "
                              "refuse_every=<number> "
                              "again_every=<number> "
                              "refuse_permille=<number> "
                              "lose_permille=<number> "
                              "alter_permille=<number> "
                              "without=<item or action>[+...] "
                              "counters_stuck=0|1 "
                              "counter_lag_ms=<number> "
                              "queue_stuck=0|1 "
                              "play=0|1 "
                              "links_down=<mask> "
                              "seed=<number>");
