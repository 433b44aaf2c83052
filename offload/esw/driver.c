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
#include <rte_version.h>

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

static int parse_representors(const char *args, struct rte_eth_devargs *list)
{
    memset(list, 0, sizeof(*list));
#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
    return rte_eth_devargs_parse(args, list, 1) < 0 ? -EINVAL : 0;
#else
    return rte_eth_devargs_parse(args, list);
#endif
}

// Makes the ethdevs that the arguments name and that are not there: the first PF, and the
// representors.
static int create_ethdevs(struct esw *esw, const char *args)
{
    struct rte_eth_devargs *list = malloc(sizeof(*list));
    int ret = list ? parse_representors(args, list) : -ENOMEM;

    if (ret == 0)
        ret = create_ethdev(&esw->ports[0]);
    if (ret == 0 && list->type == RTE_ETH_REPRESENTOR_PF) {
        for (unsigned i = 0; !ret && i < list->nb_ports; i++)
            ret = list->ports[i] < esw->n_wires ? create_ethdev(&esw->ports[list->ports[i]])
                                                : -ENODEV;
    } else if (ret == 0 && list->type == RTE_ETH_REPRESENTOR_VF) {
        for (unsigned i = 0; !ret && i < list->nb_representor_ports; i++)
            ret = list->representor_ports[i] < esw->n_vfs
                      ? create_ethdev(&esw->ports[esw->n_wires + list->representor_ports[i]])
                      : -ENODEV;
    } else if (ret == 0 && list->type != RTE_ETH_REPRESENTOR_NONE) {
        ret = -ENOTSUP;
    }
    if (ret)
        ESW_LOG(ERR, "%s: %s: %s\n", esw->name, args, strerror(-ret));
    free(list);
    return ret;
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

struct arguments {
    const char *wires[ESW_WIRES_MAX];
    const char *vf;
    const char *control;
    unsigned n_vfs;
    int cpu;
    unsigned persist;
    enum esw_mode mode;
    unsigned allow_duplicates; // 2: as the mode has it
    bool lag_given;
    struct esw_faults faults;
};

static int parse_number(const char *key, const char *value, unsigned max, unsigned *number)
{
    char *end;
    unsigned long n = strtoul(value, &end, 10);

    if (end == value || *end || n > max) {
        ESW_LOG(ERR, "%s=%s: not a number from 0 to %u\n", key, value, max);
        return -EINVAL;
    }
    *number = (unsigned)n;
    return 0;
}

static int parse_argument(const char *key, const char *value, void *arg)
{
    struct arguments *arguments = arg;
    unsigned cpu = 0;
    int ret;

    if (!value)
        value = "";
    if (!strcmp(key, "wire0")) {
        arguments->wires[0] = value;
    } else if (!strcmp(key, "wire1")) {
        arguments->wires[1] = value;
    } else if (!strcmp(key, "vf")) {
        arguments->vf = value;
    } else if (!strcmp(key, "vfs")) {
        return parse_number(key, value, ESW_VFS_MAX, &arguments->n_vfs);
    } else if (!strcmp(key, "cpu")) {
        ret = parse_number(key, value, CPU_SETSIZE - 1, &cpu);
        arguments->cpu = (int)cpu;
        return ret;
    } else if (!strcmp(key, "persist")) {
        return parse_number(key, value, 1, &arguments->persist);
    } else if (!strcmp(key, "mode")) {
        ret = esw_mode_parse(value, &arguments->mode);
        if (ret)
            ESW_LOG(ERR, "mode=%s: none of ideal, mlx5-sws, mlx5-hws\n", value);
        return ret;
    } else if (!strcmp(key, "allow_duplicate_pattern")) {
        return parse_number(key, value, 1, &arguments->allow_duplicates);
    } else if (!strcmp(key, "control")) {
        arguments->control = value;
    } else if (strcmp(key, "representor")) {
        ret = esw_fault_set(&arguments->faults, key, value);
        arguments->lag_given |= !strcmp(key, "counter_lag_ms");
        if (ret)
            ESW_LOG(ERR, "%s=%s: no such %s\n", key, value, ret == -ENOENT ? "name" : "value");
        return ret;
    }
    return 0;
}

// Guide of mlx5, allow_duplicate_pattern: 1 by default, and then the older rule wins. With hardware
// steering the newer does (mlx5dr links a rule of the same match before the others).
static enum esw_duplicates duplicates_of(const struct arguments *arguments)
{
    if (arguments->allow_duplicates == 0)
        return ESW_DUPLICATES_REFUSED;
    if (arguments->mode == ESW_MODE_MLX5_HWS)
        return ESW_DUPLICATES_NEWEST_WINS;
    if (arguments->mode == ESW_MODE_MLX5_SWS || arguments->allow_duplicates == 1)
        return ESW_DUPLICATES_OLDEST_WINS;
    return ESW_DUPLICATES_REFUSED;
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
    } else if (!strncmp(spec, "tap:", 4)) {
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
                port->no, text, strerror(-ret));
    return ret;
}

static int open_ports(struct esw *esw, const struct arguments *arguments, unsigned number)
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
    return esw->ring_pool ? 0 : -rte_errno;
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
    esw_indirect_free_all(esw);
    for (unsigned i = 0; i < esw->n_wires + esw->n_vfs; i++)
        esw_meters_free(&esw->ports[i].meters);
    rte_mempool_free(esw->ring_pool);
    if (esw->domain_id != RTE_ETH_DEV_SWITCH_DOMAIN_ID_INVALID)
        rte_eth_switch_domain_free(esw->domain_id);
    pthread_mutex_destroy(&esw->lock);
    pthread_mutex_destroy(&esw->events);
    rte_free(esw->ports);
    free(esw);
}

static struct esw *esw_create(struct rte_vdev_device *vdev, const struct arguments *arguments,
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
    if (esw->mode != ESW_MODE_IDEAL && !arguments->lag_given)
        esw->faults.counter_lag_ms = 500; // svc_cycle_time of mlx5's guide
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&esw->events, &recursive);
    pthread_mutexattr_destroy(&recursive);
    pthread_mutex_init(&esw->lock, NULL);
    TAILQ_INIT(&esw->flows);
    TAILQ_INIT(&esw->handles);
    esw->table = esw_table_create(duplicates_of(arguments));
    esw->ports = rte_zmalloc("esw_ports", (esw->n_wires + esw->n_vfs) * sizeof(*esw->ports), 0);
    if (!esw->ports)
        esw->n_wires = esw->n_vfs = 0;
    if (esw->table && esw->ports)
        *err = rte_eth_switch_domain_alloc(&esw->domain_id);
    if (*err == 0)
        *err = open_ports(esw, arguments, number);
    if (*err == 0 && arguments->control)
        *err = esw_control_open(esw, arguments->control);
    if (*err == 0)
        *err = esw_switch_start(esw);
    if (*err == 0)
        return esw;
    esw_free(esw);
    return NULL;
}

static int probe(struct rte_vdev_device *vdev)
{
    const char *args = rte_vdev_device_args(vdev);
    struct arguments arguments = {.wires = {"null"}, .cpu = -1, .allow_duplicates = 2};
    struct rte_kvargs *list;
    struct esw *esw = NULL;
    unsigned number;
    int ret;

    if (rte_eal_process_type() != RTE_PROC_PRIMARY)
        return -ENOTSUP;
    ret = number_of(rte_vdev_device_name(vdev), &number);
    if (ret) {
        ESW_LOG(ERR, "%s: a name must be " NAME "0 to " NAME "99\n", rte_vdev_device_name(vdev));
        return ret;
    }
    esw_fault_init(&arguments.faults);
    list = rte_kvargs_parse(args, NULL);
    if (!list) {
        ESW_LOG(ERR, "%s: %s: malformed arguments\n", rte_vdev_device_name(vdev), args);
        return -EINVAL;
    }
    ret = rte_kvargs_process(list, NULL, parse_argument, &arguments);
    if (ret == 0)
        esw = esw_create(vdev, &arguments, number, &ret);
    rte_kvargs_free(list);
    if (!esw)
        return ret ? ret : -EINVAL;
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
                              "vf=tap:<prefix>|pcap:<prefix>|gen:<flows>|ring|null "
                              "representor=vf[<list>]|pf<n> "
                              "cpu=<number> "
                              "persist=0|1 "
                              "control=<path> "
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
