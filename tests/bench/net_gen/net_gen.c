/* SPDX-License-Identifier: Apache-2.0 */
// net_gen: a DPDK device that makes the benchmark's traffic, and one that swallows what it is given
// and counts it. A vdev driver: part of a program, or loaded by EAL's -d.
//
//   net_gen0,flows=1000000,pods=506,size=60          makes packets, swallows what is sent
//   net_gen1,sink=1                                  swallows only
//   net_gen0,control=FILE                            arguments and counters in FILE (shared.h)
//
// Arguments (also in FILE's args): flows, pods, size (without FCS; or imix), ip=4|6, zipf=EXPONENT,
// dport (one port for all flows), attack_every=N (each N-th packet is of the tuple-space attack),
// rate=PACKETS_PER_SECOND with ring=N (a NIC's receive queue: what comes while it is full is lost),
// capture=PCAP.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <ethdev_vdev.h>
#include <rte_cycles.h>
#include <rte_kvargs.h>
#include <rte_malloc.h>

#include "tests/bench/net_gen/device.h"

RTE_LOG_REGISTER(gen_log, pmd.net.gen, NOTICE);
#define GEN_LOG(level, ...) rte_log(RTE_LOG_##level, (uint32_t)gen_log, "net_gen: " __VA_ARGS__)

struct private
{
    bool sink;
    struct gen_shared *shared;
    struct rte_ether_addr mac;
};

static int configure(struct rte_eth_dev *dev)
{
    (void)dev;
    return 0;
}

static int set_link(struct rte_eth_dev *dev, bool up)
{
    const struct rte_eth_link link = {
        .link_speed = RTE_ETH_SPEED_NUM_UNKNOWN,
        .link_duplex = RTE_ETH_LINK_FULL_DUPLEX,
        .link_autoneg = RTE_ETH_LINK_FIXED,
        .link_status = up ? RTE_ETH_LINK_UP : RTE_ETH_LINK_DOWN,
    };

    return rte_eth_linkstatus_set(dev, &link);
}

static int start(struct rte_eth_dev *dev)
{
    set_link(dev, true);
    return 0;
}

static int stop(struct rte_eth_dev *dev)
{
    set_link(dev, false);
    return 0;
}

static int link_update(struct rte_eth_dev *dev, int wait)
{
    (void)wait;
    return set_link(dev, dev->data->dev_started);
}

static int infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
    (void)dev;
    info->max_rx_queues = 1;
    info->max_tx_queues = GEN_QUEUES;
    info->max_rx_pktlen = (uint32_t)-1;
    info->max_mac_addrs = 1;
    info->default_rxportconf.ring_size = info->default_txportconf.ring_size = 1024;
    info->default_rxportconf.nb_queues = info->default_txportconf.nb_queues = 1;
    info->flow_type_rss_offloads = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
    return 0;
}

static void rx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
    struct gen_rxq *q = dev->data->rx_queues[id];

    if (q)
        gen_traffic_free(q->traffic);
    rte_free(q);
    dev->data->rx_queues[id] = NULL;
}

static int rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t n, unsigned socket,
                          const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
    const struct private *device = dev->data->dev_private;
    const uint16_t rearm[4] = {RTE_PKTMBUF_HEADROOM, 1, 1, dev->data->port_id};
    struct gen_rxq *q = rte_zmalloc_socket("gen_rxq", sizeof *q, 64, (int)socket);

    (void)n, (void)conf;
    rx_queue_release(dev, id);
    if (!q)
        return -ENOMEM;
    q->pool = pool;
    q->shared = device->sink ? NULL : device->shared;
    q->ns_per_cycle = 1e9 / (double)rte_get_tsc_hz();
    memcpy(&q->rearm, rearm, sizeof q->rearm);
    // The first poll makes the traffic.
    if (q->shared)
        q->shared->taken = q->shared->wanted - 1;
    dev->data->rx_queues[id] = q;
    return 0;
}

static void tx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
    rte_free(dev->data->tx_queues[id]);
    dev->data->tx_queues[id] = NULL;
}

static int tx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t n, unsigned socket,
                          const struct rte_eth_txconf *conf)
{
    const struct private *device = dev->data->dev_private;
    struct gen_txq *q = rte_zmalloc_socket("gen_txq", sizeof *q, 64, (int)socket);

    (void)n, (void)conf;
    tx_queue_release(dev, id);
    if (!q)
        return -ENOMEM;
    q->shared = device->shared;
    q->count = &device->shared->tx[id];
    q->ns_per_cycle = 1e9 / (double)rte_get_tsc_hz();
    dev->data->tx_queues[id] = q;
    return 0;
}

static int stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
    const struct private *device = dev->data->dev_private;
    const struct gen_shared *shared = device->shared;

    for (unsigned c = 0; c < GEN_CLASSES && !device->sink; c++) {
        stats->ipackets += shared->rx.packets[c];
        stats->imissed += shared->rx.missed[c];
    }
    stats->ibytes = device->sink ? 0 : shared->rx.bytes;
    for (unsigned i = 0; i < GEN_QUEUES; i++) {
        stats->opackets += shared->tx[i].packets[GEN_ORDINARY] + shared->tx[i].packets[GEN_ATTACK];
        stats->obytes += shared->tx[i].bytes;
    }
    return 0;
}

// The counters are the measuring program's, which takes differences.
static int stats_reset(struct rte_eth_dev *dev)
{
    (void)dev;
    return -ENOTSUP;
}

static int accept_mac(struct rte_eth_dev *dev, struct rte_ether_addr *mac)
{
    (void)dev, (void)mac;
    return 0;
}

static int accept_mtu(struct rte_eth_dev *dev, uint16_t mtu)
{
    (void)dev, (void)mtu;
    return 0;
}

static int close_device(struct rte_eth_dev *dev)
{
    struct private *device = dev->data->dev_private;

    for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
        rx_queue_release(dev, i);
    for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
        tx_queue_release(dev, i);
    if (device->shared)
        munmap(device->shared, sizeof *device->shared);
    device->shared = NULL;
    dev->data->mac_addrs = NULL; // part of dev_private
    return 0;
}

static const struct eth_dev_ops ops = {
    .dev_configure = configure,
    .dev_start = start,
    .dev_stop = stop,
    .dev_close = close_device,
    .dev_infos_get = infos_get,
    .rx_queue_setup = rx_queue_setup,
    .tx_queue_setup = tx_queue_setup,
    .rx_queue_release = rx_queue_release,
    .tx_queue_release = tx_queue_release,
    .link_update = link_update,
    .mac_addr_set = accept_mac,
    .mtu_set = accept_mtu,
    .stats_get = stats_get,
    .stats_reset = stats_reset,
};

struct arguments {
    bool sink;
    const char *control;
};

static int parse_argument(const char *key, const char *value, void *arg)
{
    struct arguments *arguments = arg;

    if (!strcmp(key, "sink"))
        arguments->sink = value && !strcmp(value, "1");
    else if (!strcmp(key, "control"))
        arguments->control = value;
    return 0;
}

// The file, or memory of our own with the device's own arguments in it.
static struct gen_shared *open_shared(const char *path, const char *args)
{
    struct gen_shared *shared;
    int fd = -1;

    if (path && (fd = open(path, O_RDWR | O_CLOEXEC)) < 0) {
        GEN_LOG(ERR, "%s: %s\n", path, strerror(errno));
        return NULL;
    }
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  path ? MAP_SHARED : MAP_SHARED | MAP_ANONYMOUS, fd, 0);
    if (fd >= 0)
        close(fd);
    if (shared == MAP_FAILED)
        return NULL;
    if (!path) {
        shared->magic = GEN_MAGIC;
        strncpy(shared->args, args, sizeof shared->args - 1);
    } else if (shared->magic != GEN_MAGIC) {
        GEN_LOG(ERR, "%s: no control file of this version\n", path);
        munmap(shared, sizeof *shared);
        return NULL;
    }
    return shared;
}

static int create(struct rte_vdev_device *vdev, const struct arguments *arguments, const char *args)
{
    struct gen_shared *shared = open_shared(arguments->control, args);
    struct rte_eth_dev *dev = shared ? rte_eth_vdev_allocate(vdev, sizeof(struct private)) : NULL;
    struct private *device;

    if (!dev) {
        if (shared)
            munmap(shared, sizeof *shared);
        return -ENOMEM;
    }
    device = dev->data->dev_private;
    device->sink = arguments->sink;
    device->shared = shared;
    device->mac = (struct rte_ether_addr){
        {0x02, 0x9e, 0, 0, (uint8_t)(dev->data->port_id >> 8), (uint8_t)dev->data->port_id}};
    dev->data->mac_addrs = &device->mac;
    dev->data->dev_flags |= RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
    dev->data->promiscuous = dev->data->all_multicast = 1;
    dev->dev_ops = &ops;
    dev->rx_pkt_burst = gen_rx;
    dev->tx_pkt_burst = gen_tx;
    rte_eth_dev_probing_finish(dev);
    return 0;
}

static int probe(struct rte_vdev_device *vdev)
{
    const char *args = rte_vdev_device_args(vdev), *error = "";
    struct rte_kvargs *list = rte_kvargs_parse(args, NULL);
    struct arguments arguments = {0};
    struct gen_traffic *trial;
    int ret;

    if (!list)
        return -EINVAL;
    rte_kvargs_process(list, NULL, parse_argument, &arguments);
    if (!arguments.control && !arguments.sink) {
        trial = gen_traffic_new(args, &error);
        if (!trial) {
            GEN_LOG(ERR, "%s: %s\n", args, error);
            rte_kvargs_free(list);
            return -EINVAL;
        }
        gen_traffic_free(trial);
    }
    ret = create(vdev, &arguments, args);
    rte_kvargs_free(list);
    return ret;
}

static int remove_device(struct rte_vdev_device *vdev)
{
    struct rte_eth_dev *dev = rte_eth_dev_allocated(rte_vdev_device_name(vdev));

    if (!dev)
        return 0;
    close_device(dev);
    return rte_eth_dev_release_port(dev);
}

static struct rte_vdev_driver gen_driver = {.probe = probe, .remove = remove_device};

RTE_PMD_REGISTER_VDEV(net_gen, gen_driver);
RTE_PMD_REGISTER_PARAM_STRING(net_gen, "sink=0|1 control=<path> flows=<n> pods=<n> "
                                       "size=<bytes>|imix ip=4|6 zipf=<exponent> dport=<port> "
                                       "attack_every=<n> rate=<packets per second> ring=<n> "
                                       "capture=<path>");
