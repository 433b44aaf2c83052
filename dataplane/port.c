/* SPDX-License-Identifier: Apache-2.0 */
// Opening and closing ports. A port's device is a DPDK one, by devargs, or a kernel netdev: by
// AF_XDP (xdp.c), or where that does not work by DPDK's net_af_packet.
#include <errno.h>
#include <net/if.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <rte_bus.h>
#include <rte_bus_vdev.h>
#include <rte_dev.h>
#include <rte_devargs.h>
#include <rte_flow.h>
#include <rte_malloc.h>

#include "dataplane/internal.h"

#define POD_RING    1024 // descriptors
#define UPLINK_RING 2048

#define RULE_QUEUE_SIZE 64
#define RULE_COUNTERS   65536U // each rule has one

static bool ethdev_in_use(uint16_t ethdev)
{
    for (unsigned no = 1; no <= PORT_MAX; no++)
        if (dp.ports[no] && !dp.ports[no]->xdp && dp.ports[no]->ethdev == ethdev)
            return true;
    return unplug_keeps(ethdev);
}

// A DPDK port of the device that is not ours yet; RTE_MAX_ETHPORTS if there is none.
static uint16_t find_ethdev(const char *devargs)
{
    struct rte_dev_iterator iterator;
    uint16_t ethdev, found = RTE_MAX_ETHPORTS;

    RTE_ETH_FOREACH_MATCHING_DEV(ethdev, devargs, &iterator)
    if (found == RTE_MAX_ETHPORTS && !ethdev_in_use(ethdev))
        found = ethdev;
    return found;
}

// The port of a device that has but one, which is called like it: to look for it among all takes
// longer. RTE_MAX_ETHPORTS: it has others, or none of this name.
static uint16_t only_ethdev(const char *name)
{
    struct rte_eth_dev_info info;
    uint16_t ethdev, other;

    if (rte_eth_dev_get_port_by_name(name, &ethdev) || rte_eth_dev_info_get(ethdev, &info))
        return RTE_MAX_ETHPORTS;
    RTE_ETH_FOREACH_DEV_OF(other, info.device)
    if (other != ethdev)
        return RTE_MAX_ETHPORTS;
    return ethdev;
}

// Makes a virtual device, as rte_dev_probe does, which has the bus look up every name that it has
// in the list of all: with 1,000 of them that took 7 ms. -ENOTSUP: it is a device of another bus.
static int make_vdev(const char *devargs, uint16_t *ethdev)
{
    struct rte_devargs parsed;
    int ret = rte_devargs_parse(&parsed, devargs);

    if (ret)
        return ret;
    if (parsed.bus_str || strcmp(rte_bus_name(parsed.bus), "vdev") != 0)
        ret = -ENOTSUP;
    else
        ret = rte_vdev_init(parsed.name, parsed.args);
    *ethdev = ret ? RTE_MAX_ETHPORTS : only_ethdev(parsed.name);
    rte_devargs_reset(&parsed);
    return ret > 0 ? -ENODEV : ret; // 1: no driver
}

// Finds the device, probing it if it is not there yet.
static int probe(struct port *port, const char *devargs, char **error)
{
    int ret = make_vdev(devargs, &port->ethdev);

    if (!ret && port->ethdev != RTE_MAX_ETHPORTS)
        return 0;
    // One more port of a device that is there (a representor) is found by probing only.
    if (ret == -ENOTSUP || ret == -EEXIST) {
        port->ethdev = find_ethdev(devargs);
        if (port->ethdev != RTE_MAX_ETHPORTS)
            return 0;
        ret = rte_dev_probe(devargs);
    }
    if (ret && ret != -EEXIST)
        return set_error(ret, error, "%s: DPDK does not open this device: %s", devargs,
                         strerror(-ret));
    port->ethdev = find_ethdev(devargs);
    if (port->ethdev == RTE_MAX_ETHPORTS)
        return set_error(-EBUSY, error,
                         "%s: DPDK has no free port for this device; is another port using it?",
                         devargs);
    return 0;
}

// Closes the ethdev, and its device if no other ethdev is on it.
static void unprobe(struct port *port)
{
    struct rte_eth_dev_info info;
    struct rte_device *device = rte_eth_dev_info_get(port->ethdev, &info) ? NULL : info.device;
    uint16_t ethdev;

    rte_eth_dev_stop(port->ethdev);
    rte_eth_dev_close(port->ethdev);
    unplug_forget(port->ethdev);
    if (!device)
        return;
    RTE_ETH_FOREACH_DEV_OF(ethdev, device)
    return;
    rte_dev_remove(device);
}

// Rules by templates and queues are the driver's only if it is told so before the port starts, and
// then of all ports of the NIC (mlx5 with hardware steering). Drivers without them say so.
static void configure_rules(uint16_t ethdev)
{
    struct rte_flow_queue_attr queue = {.size = RULE_QUEUE_SIZE};
    const struct rte_flow_queue_attr *queues[] = {&queue};
    struct rte_flow_port_attr attr = {.nb_counters = 0};
    struct rte_flow_queue_info queue_info;
    struct rte_flow_port_info info;
    struct rte_flow_error error;
    uint16_t proxy;

    if (rte_flow_info_get(ethdev, &info, &queue_info, &error) || !info.max_nb_queues)
        return;
    if (rte_flow_pick_transfer_proxy(ethdev, &proxy, &error) == 0 && proxy == ethdev)
        attr.nb_counters = RTE_MIN(info.max_nb_counters, RULE_COUNTERS);
    // If it refuses, so it does with the rules, which say why.
    rte_flow_configure(ethdev, &attr, 1, queues, &error);
}

static int ethdev_start(struct port *port, char **error)
{
    const struct dp_port_params *params = &port->info.params;
    uint16_t ring = params->kind == DP_PORT_UPLINK ? UPLINK_RING : POD_RING;
    uint16_t n_rxd = ring, n_txd = ring;
    struct rte_eth_conf conf = {0};
    struct rte_eth_dev_info info;
    int ret = rte_eth_dev_info_get(port->ethdev, &info);

    if (ret)
        return set_error(ret, error, "%s: %s", params->name, strerror(-ret));
    port->info.n_rxq = (uint16_t)RTE_MIN((unsigned)info.max_rx_queues, dp.n_workers);
    port->info.n_txq = (uint16_t)RTE_MIN((unsigned)info.max_tx_queues, dp.n_workers);
    if (port->info.n_rxq > 1) {
        conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf =
            (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP) & info.flow_type_rss_offloads;
    }
    conf.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
    conf.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE;
    conf.intr_conf.lsc = !!(*info.dev_flags & RTE_ETH_DEV_INTR_LSC);
    // mlx5 tells of a device that is gone or broken only if it is asked to.
    conf.intr_conf.rmv = !!(*info.dev_flags & RTE_ETH_DEV_INTR_RMV);
    port->device = info.device;
    ret = rte_eth_dev_configure(port->ethdev, port->info.n_rxq, port->info.n_txq, &conf);
    if (ret)
        return set_error(ret, error, "%s: configuring %u receive and %u transmit queues: %s",
                         params->name, port->info.n_rxq, port->info.n_txq, strerror(-ret));
    rte_eth_dev_adjust_nb_rx_tx_desc(port->ethdev, &n_rxd, &n_txd);
    for (uint16_t q = 0; !ret && q < port->info.n_rxq; q++)
        ret = rte_eth_rx_queue_setup(port->ethdev, q, n_rxd, SOCKET_ID_ANY, NULL, dp.pool);
    for (uint16_t q = 0; !ret && q < port->info.n_txq; q++)
        ret = rte_eth_tx_queue_setup(port->ethdev, q, n_txd, SOCKET_ID_ANY, NULL);
    if (ret)
        return set_error(ret, error, "%s: setting up its queues: %s%s", params->name,
                         strerror(-ret), ret == -ENOMEM ? "; raise memory: mbufs" : "");
    // Devices that know no MTU (rings, pcap files) take what comes.
    ret = rte_eth_dev_set_mtu(port->ethdev, params->mtu);
    if (ret && ret != -ENOTSUP)
        return set_error(ret, error, "%s: MTU %u: %s", params->name, params->mtu, strerror(-ret));
    configure_rules(port->ethdev);
    ret = rte_eth_dev_start(port->ethdev);
    if (ret)
        return set_error(ret, error, "%s: starting it: %s", params->name, strerror(-ret));
    rte_eth_macaddr_get(port->ethdev, &port->info.device_mac);
    // Requests for neighbours are sent to groups, and a pod's packets to the router's MAC, which a
    // representor does not have: filters would drop both. Devices without filters know neither
    // call. A netdev takes all already (if_up), and keeps its MAC.
    rte_eth_allmulticast_enable(port->ethdev);
    if (params->kind != DP_PORT_UPLINK ||
        (!params->netdev[0] && !rte_is_zero_ether_addr(&params->mac) &&
         !rte_is_same_ether_addr(&params->mac, &port->info.device_mac) &&
         rte_eth_dev_default_mac_addr_set(port->ethdev, (struct rte_ether_addr *)&params->mac)))
        rte_eth_promiscuous_enable(port->ethdev);
    return 0;
}

static int open_dpdk(struct port *port, const char *devargs, char **error)
{
    int ret = probe(port, devargs, error);

    if (ret)
        return ret;
    ret = ethdev_start(port, error);
    if (ret)
        unprobe(port);
    return ret;
}

static int open_af_packet(struct port *port, char **error)
{
    unsigned slot = af_packet_slot(dp.config.mtu);
    char devargs[256];
    int ret;

    ret = ingress_block((int)if_nametoindex(port->info.params.netdev));
    if (ret)
        return set_error(ret, error, "%s: keeping the host's stack from it: %s",
                         port->info.params.netdev, strerror(-ret));
    snprintf(devargs, sizeof devargs,
             "net_af_packet%u,iface=%s,qpairs=1,blocksz=%u,framesz=%u,framecnt=%u", port->no,
             port->info.params.netdev, RTE_MAX(slot, 4096u), slot, POD_RING);
    port->info.driver = DP_DRIVER_AF_PACKET;
    ret = open_dpdk(port, devargs, error);
    if (ret)
        ingress_unblock((int)if_nametoindex(port->info.params.netdev));
    return ret;
}

static int open_netdev(struct port *port, char **error)
{
    const struct dp_port_params *params = &port->info.params;
    char *why = NULL;
    int ret;

    if (!if_nametoindex(params->netdev))
        return set_error(-ENODEV, error, "%s: there is no such network device in this namespace",
                         params->netdev);
    ret = if_mac(params->netdev, &port->info.device_mac);
    if (!ret)
        ret = if_up(params->netdev);
    if (ret)
        return set_error(ret, error, "%s: %s", params->netdev, strerror(-ret));
    if (params->no_xdp)
        return open_af_packet(port, error);
    ret = xdp_open(params->netdev, params->mtu, &port->xdp, &port->info.n_rxq, &why);
    if (ret == -EBUSY) {
        free(why);
        return set_error(ret, error, "%s: another process has it by AF_XDP; stop that first",
                         params->netdev);
    }
    if (ret) {
        snprintf(port->info.fallback, sizeof port->info.fallback, "AF_XDP: %s",
                 why ? why : strerror(-ret));
        free(why);
        return open_af_packet(port, error);
    }
    port->info.driver = DP_DRIVER_AF_XDP;
    port->info.n_txq = port->info.n_rxq;
    return 0;
}

static void close_device(struct port *port, bool keep_guarding)
{
    // It fails where the netdev is gone, and with it the mode.
    if (port->ifindex)
        if_promiscuous(port->ifindex, false);
    if (port->xdp) {
        xdp_close(port->xdp, keep_guarding);
        return;
    }
    unprobe(port);
    if (port->info.driver == DP_DRIVER_AF_PACKET && !keep_guarding)
        ingress_unblock((int)if_nametoindex(port->info.params.netdev));
}

static int open_device(struct port *port, char **error)
{
    int ret;

    port->ethdev = RTE_MAX_ETHPORTS;
    if (!port->info.params.netdev[0]) {
        port->info.driver = DP_DRIVER_DPDK;
        return open_dpdk(port, port->info.params.devargs, error);
    }
    ret = open_netdev(port, error);
    if (ret)
        return ret;
    // Pods send to the router's MAC, ToRs to the node's: neither is the netdev's own.
    port->ifindex = (int)if_nametoindex(port->info.params.netdev);
    ret = if_promiscuous(port->ifindex, true);
    if (ret) {
        close_device(port, false);
        return set_error(ret, error, "%s: promiscuous mode: %s", port->info.params.netdev,
                         strerror(-ret));
    }
    return 0;
}

// Which worker polls each receive queue, and which transmit queue each worker has. The least loaded
// worker first.
static void assign_queues(struct port *port)
{
    unsigned load[DP_WORKERS_MAX];

    for (unsigned i = 0; i < dp.n_workers; i++)
        load[i] = dp.workers[i].polls->n;
    for (unsigned q = 0; q < port->info.n_rxq; q++) {
        unsigned best = 0;

        for (unsigned i = 1; i < dp.n_workers; i++)
            if (load[i] < load[best])
                best = i;
        load[best]++;
        port->rxq_worker[q] = (uint16_t)best;
    }
    port->owner = port->rxq_worker[0];
    for (unsigned i = 0; i < dp.n_workers; i++)
        port->txq[i] = port->info.n_txq >= dp.n_workers ? (int16_t)i : -1;
    // Fewer queues than workers: the owner has one, the rest goes to the next ones.
    if (port->info.n_txq < dp.n_workers)
        for (unsigned q = 0; q < port->info.n_txq; q++)
            port->txq[(port->owner + q) % dp.n_workers] = (int16_t)q;
}

// Which frames the port takes: a pod's from its MAC to the router's, an uplink's to the node's.
static void expect_macs(struct port *port)
{
    const struct dp_port_params *params = &port->info.params;
    uint8_t expect[12] = {0}, mask[12] = {0};

    port->guarded = params->kind != DP_PORT_UPLINK;
    memset(mask, 0xff, port->guarded ? 12 : 6);
    if (port->guarded) {
        memcpy(expect, &dp.config.router_mac, 6);
        memcpy(expect + 6, &params->mac, 6);
    } else {
        memcpy(expect, rte_is_zero_ether_addr(&params->mac) ? &port->info.device_mac : &params->mac,
               6);
    }
    memcpy(&port->l2_expect_lo, expect, 8);
    memcpy(&port->l2_expect_hi, expect + 8, 4);
    memcpy(&port->l2_mask_lo, mask, 8);
    memcpy(&port->l2_mask_hi, mask + 8, 4);
}

// Lets the workers sleep on the port's sockets.
static void watch(const struct port *port)
{
    for (uint16_t q = 0; port->xdp && q < port->info.n_rxq; q++) {
        struct epoll_event event = {.events = EPOLLIN, .data.fd = xdp_fd(port->xdp, q)};

        epoll_ctl(dp.workers[port->rxq_worker[q]].epoll, EPOLL_CTL_ADD, event.data.fd, &event);
    }
}

int dp_port_add(const struct dp_port_params *params, char **error)
{
    static uint16_t generation;
    struct port *port;
    int ret;

    if (params->no < 1 || params->no > PORT_MAX || dp.ports[params->no])
        return set_error(-EINVAL, error, "port number %u is taken or not in 1 to %u", params->no,
                         PORT_MAX);
    if (params->mtu > dp.config.mtu)
        return set_error(-EINVAL, error,
                         "%s: MTU %u is more than the node's %u (mtu: in the node file)",
                         params->name, params->mtu, dp.config.mtu);
    if (unplug_keeps_device(params->devargs))
        return set_error(-EBUSY, error,
                         "%s: its device was unplugged, and its driver has not let go of it yet",
                         params->name);
    port = rte_zmalloc("port", sizeof *port, RTE_CACHE_LINE_SIZE);
    if (!port)
        return set_error(-ENOMEM, error, "%s: no memory; give DPDK more (memory: size)",
                         params->name);
    port->info.params = *params;
    port->no = params->no;
    port->mtu = params->mtu;
    port->generation = ++generation;
    port->live = true;
    ret = open_device(port, error);
    if (ret) {
        rte_free(port);
        return ret;
    }
    port->info.ethdev = port->ethdev;
    expect_macs(port);
    assign_queues(port);
    stats_retire(port->no);
    store_release(&dp.ports[port->no], port);
    watch(port);
    ret = workers_assign(false);
    if (ret) {
        char *ignored = NULL;

        dp_port_del(params->no, &ignored);
        free(ignored);
        return set_error(ret, error, "%s: no memory to give it to the workers", params->name);
    }
    return 0;
}

int dp_port_del(uint16_t no, char **error)
{
    struct port *port = no <= PORT_MAX ? dp.ports[no] : NULL;
    int ret;

    if (!port)
        return set_error(-ENODEV, error, "there is no port %u", no);
    store_release(&dp.ports[no], NULL);
    ret = workers_assign(true);
    if (ret) {
        store_release(&dp.ports[no], port);
        return set_error(ret, error, "%s: no memory to take it from the workers",
                         port->info.params.name);
    }
    if (unplug_is_gone(port)) {
        unplug_keep(port);
        return 0;
    }
    close_device(port, false);
    free(port->guard);
    rte_free(port);
    return 0;
}

// The kernel makes whoever closes an AF_XDP socket wait for a grace period, about 15 ms a port;
// from several threads the waits overlap.
#define CLOSERS 16

static atomic_uint next_to_close;

static void *close_xdp_ports(void *arg)
{
    unsigned no;

    while ((no = atomic_fetch_add(&next_to_close, 1)) <= PORT_MAX)
        // Pods are still there: what they send must not reach the host's stack.
        if (dp.ports[no] && dp.ports[no]->xdp)
            close_device(dp.ports[no], dp.ports[no]->guarded);
    return arg;
}

// At the end no other thread calls drivers.
static bool anybody(uint16_t ethdev)
{
    (void)ethdev;
    return true;
}

void ports_close(void)
{
    pthread_t closers[CLOSERS];
    unsigned n = 0;

    next_to_close = 1;
    while (n < CLOSERS && !pthread_create(&closers[n], NULL, close_xdp_ports, NULL))
        n++;
    close_xdp_ports(NULL);
    while (n > 0)
        pthread_join(closers[--n], NULL);
    // The uplinks last: mlx5 with hardware steering stops the port that all rules go by after all
    // others.
    for (unsigned no = PORT_MAX; no > 0; no--) {
        struct port *port = dp.ports[no];

        if (!port)
            continue;
        if (!port->xdp)
            close_device(port, false);
        free(port->guard);
        rte_free(port);
        dp.ports[no] = NULL;
    }
    dp_close_gone(anybody);
}

const struct dp_port_info *dp_port_get(uint16_t no)
{
    return no <= PORT_MAX && dp.ports[no] ? &dp.ports[no]->info : NULL;
}

bool dp_port_link(uint16_t no)
{
    const struct port *port = no <= PORT_MAX ? dp.ports[no] : NULL;
    struct rte_eth_link link;

    if (!port)
        return false;
    return port->xdp || rte_eth_link_get_nowait(port->ethdev, &link) || link.link_status;
}

void dp_port_set_live(uint16_t no, bool live)
{
    struct port *port = no <= PORT_MAX ? dp.ports[no] : NULL;

    if (port)
        __atomic_store_n(&port->live, live, __ATOMIC_RELAXED);
}
