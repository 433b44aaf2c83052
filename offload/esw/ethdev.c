/* SPDX-License-Identifier: Apache-2.0 */
// The ethdev of a wire (a PF) or of a VF (its representor).
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <rte_malloc.h>
#include <rte_mbuf.h>

#include "offload/esw/esw.h"

struct private
{
    struct esw_port *port; // first: esw_port_of_dev()
};

static uint16_t receive(void *queue, struct rte_mbuf **mbufs, uint16_t n)
{
    struct esw_rxq *rxq = queue;
    unsigned got = rte_ring_sc_dequeue_burst(rxq->ring, (void **)mbufs, n, NULL);

    for (unsigned i = 0; i < got; i++)
        rxq->received.bytes += mbufs[i]->pkt_len;
    rxq->received.packets += got;
    return (uint16_t)got;
}

// 0; -EAGAIN if there is no room now.
static int send_one(struct esw_txq *txq, const struct rte_mbuf *mbuf)
{
    struct esw_port *port = txq->port;
    uint8_t copy[ESW_FRAME_MAX];
    const uint8_t *frame;
    int ret = 0;

    if (mbuf->pkt_len > ESW_FRAME_MAX)
        return -EMSGSIZE;
    if (__atomic_load_n(&port->esw->unplugged, __ATOMIC_RELAXED))
        return -ENODEV;
    if (!__atomic_load_n(&port->link, __ATOMIC_RELAXED))
        return -ENETDOWN;
    frame = rte_pktmbuf_read(mbuf, 0, mbuf->pkt_len, copy);
    if (!__atomic_load_n(&port->esw->n_from_app_rules, __ATOMIC_RELAXED))
        return esw_backend_send(port, frame, mbuf->pkt_len);
    if (frame != copy)
        memcpy(copy, frame, mbuf->pkt_len);
    pthread_mutex_lock(&port->esw->lock);
    esw_switch_frame(port, true, copy, mbuf->pkt_len);
    pthread_mutex_unlock(&port->esw->lock);
    return ret;
}

static uint16_t transmit(void *queue, struct rte_mbuf **mbufs, uint16_t n)
{
    struct esw_txq *txq = queue;
    uint16_t i;

    for (i = 0; i < n; i++) {
        int ret = send_one(txq, mbufs[i]);

        if (ret == -EAGAIN || ret == -ENOBUFS)
            break;
        if (ret) {
            txq->failed++;
        } else {
            txq->sent.packets++;
            txq->sent.bytes += mbufs[i]->pkt_len;
        }
        rte_pktmbuf_free(mbufs[i]);
    }
    return i;
}

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

static int link_update(struct rte_eth_dev *dev, int wait)
{
    struct esw_port *port = esw_port_of_dev(dev);
    bool up;

    (void)wait;
    pthread_mutex_lock(&port->esw->lock);
    up = port->link && dev->data->dev_started;
    pthread_mutex_unlock(&port->esw->lock);
    return set_link(dev, up);
}

static int start(struct rte_eth_dev *dev)
{
    struct esw_port *port = esw_port_of_dev(dev);
    int ret;

    pthread_mutex_lock(&port->esw->lock);
    ret = esw_mode_check_start(port);
    if (ret) {
        pthread_mutex_unlock(&port->esw->lock);
        return ret;
    }
    for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
        port->rxq[i] = dev->data->rx_queues[i];
    port->n_rxq = dev->data->nb_rx_queues;
    // Programs that take link interrupts do not ask, and dev_started comes after this.
    set_link(dev, port->link);
    pthread_mutex_unlock(&port->esw->lock);
    return 0;
}

static int stop(struct rte_eth_dev *dev)
{
    struct esw_port *port = esw_port_of_dev(dev);
    int ret;

    pthread_mutex_lock(&port->esw->lock);
    ret = esw_mode_check_stop(port);
    if (ret == 0) {
        port->n_rxq = 0;
        esw_flow_port_stops(port);
    }
    pthread_mutex_unlock(&port->esw->lock);
    if (ret == 0)
        set_link(dev, false);
    return ret;
}

static int infos_get(struct rte_eth_dev *dev, struct rte_eth_dev_info *info)
{
    const struct esw_port *port = esw_port_of_dev(dev);

    info->max_rx_queues = info->max_tx_queues = ESW_QUEUES_MAX;
    info->max_rx_pktlen = ESW_FRAME_MAX;
    info->min_mtu = RTE_ETHER_MIN_MTU;
    info->max_mtu = ESW_FRAME_MAX - RTE_ETHER_HDR_LEN - RTE_ETHER_CRC_LEN - 2 * RTE_VLAN_HLEN;
    info->max_mac_addrs = 1;
    info->default_rxportconf.ring_size = info->default_txportconf.ring_size = 1024;
    info->default_rxportconf.nb_queues = info->default_txportconf.nb_queues = 1;
    info->rx_desc_lim = (struct rte_eth_desc_lim){.nb_max = 8192, .nb_min = 32, .nb_align = 1};
    info->tx_desc_lim = info->rx_desc_lim;
    // The IPv4 header's is checked; of the others packets say that it is not known.
    info->rx_offload_capa = RTE_ETH_RX_OFFLOAD_CHECKSUM;
    info->tx_offload_capa = RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
    info->flow_type_rss_offloads = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;
    info->dev_capa = RTE_ETH_DEV_CAPA_FLOW_SHARED_OBJECT_KEEP;
    if (!esw_mode_stop_ends_rules(port->esw))
        info->dev_capa |= RTE_ETH_DEV_CAPA_FLOW_RULE_KEEP;
    info->switch_info.name = port->esw->name;
    info->switch_info.domain_id = port->esw->domain_id;
    info->switch_info.port_id = port->index;
    return 0;
}

static void rx_queue_release(struct rte_eth_dev *dev, uint16_t id)
{
    struct esw_rxq *rxq = dev->data->rx_queues[id];
    void *mbuf;

    if (!rxq)
        return;
    while (rte_ring_dequeue(rxq->ring, &mbuf) == 0)
        rte_pktmbuf_free(mbuf);
    rte_ring_free(rxq->ring);
    rte_free(rxq);
    dev->data->rx_queues[id] = NULL;
}

static int rx_queue_setup(struct rte_eth_dev *dev, uint16_t id, uint16_t n, unsigned socket,
                          const struct rte_eth_rxconf *conf, struct rte_mempool *pool)
{
    struct esw_rxq *rxq = rte_zmalloc_socket("esw_rxq", sizeof(*rxq), 0, (int)socket);
    char name[RTE_RING_NAMESIZE];

    (void)conf;
    rx_queue_release(dev, id);
    if (!rxq)
        return -ENOMEM;
    snprintf(name, sizeof(name), "esw_rx_%u_%u", dev->data->port_id, id);
    rxq->ring =
        rte_ring_create(name, n, (int)socket, RING_F_SP_ENQ | RING_F_SC_DEQ | RING_F_EXACT_SZ);
    if (!rxq->ring) {
        rte_free(rxq);
        return -rte_errno;
    }
    rxq->pool = pool;
    rxq->port_id = dev->data->port_id;
    dev->data->rx_queues[id] = rxq;
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
    struct esw_txq *txq = rte_zmalloc_socket("esw_txq", sizeof(*txq), 0, (int)socket);

    (void)n, (void)conf;
    tx_queue_release(dev, id);
    if (!txq)
        return -ENOMEM;
    txq->port = esw_port_of_dev(dev);
    dev->data->tx_queues[id] = txq;
    return 0;
}

// Has the program asked for it? mlx5 tells of a removal only who has, too
// (mlx5_dev_interrupt_device_fatal).
static bool wants(const struct rte_eth_dev *dev, enum rte_eth_event_type event)
{
    switch (event) {
    case RTE_ETH_EVENT_INTR_LSC:
        return dev->data->dev_conf.intr_conf.lsc;
    case RTE_ETH_EVENT_INTR_RMV:
        return dev->data->dev_conf.intr_conf.rmv;
    default:
        return true;
    }
}

void esw_ethdev_tell(struct esw_port *port, enum rte_eth_event_type event)
{
    struct rte_eth_dev *dev;

    pthread_mutex_lock(&port->esw->events);
    pthread_mutex_lock(&port->esw->lock);
    dev = port->ethdev;
    if (dev && event == RTE_ETH_EVENT_INTR_RESET) // plugged again, after is_removed() said yes
        dev->state = RTE_ETH_DEV_ATTACHED;
    pthread_mutex_unlock(&port->esw->lock);
    if (dev && event == RTE_ETH_EVENT_INTR_LSC)
        link_update(dev, 0);
    if (dev && wants(dev, event))
        rte_eth_dev_callback_process(dev, event, NULL);
    pthread_mutex_unlock(&port->esw->events);
}

// Waits until the program's callback has ended, but not for ever: it may wait for what the thread
// that closes the ethdev holds.
static bool lock_events(struct esw *esw)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec++;
    return pthread_mutex_timedlock(&esw->events, &until) == 0;
}

static int close_ethdev(struct rte_eth_dev *dev)
{
    struct esw_port *port = esw_port_of_dev(dev);
    bool locked = lock_events(port->esw);
    struct rte_flow_error error;

    // Not stop(): with mlx5's hardware steering that may be refused, a close is not.
    pthread_mutex_lock(&port->esw->lock);
    port->n_rxq = 0;
    pthread_mutex_unlock(&port->esw->lock);
    esw_flow_ops.flush(dev, &error);
    for (uint16_t i = 0; i < dev->data->nb_rx_queues; i++)
        rx_queue_release(dev, i);
    for (uint16_t i = 0; i < dev->data->nb_tx_queues; i++)
        tx_queue_release(dev, i);
    pthread_mutex_lock(&port->esw->lock);
    esw_async_free(port);
    esw_indirect_free_all(port);
    esw_meters_free(&port->meters);
    port->ethdev = NULL;
    port->port_id = RTE_MAX_ETHPORTS;
    pthread_mutex_unlock(&port->esw->lock);
    if (locked)
        pthread_mutex_unlock(&port->esw->events);
    return 0;
}

static int stats_get(struct rte_eth_dev *dev, struct rte_eth_stats *stats)
{
    for (unsigned i = 0; i < dev->data->nb_rx_queues; i++) {
        const struct esw_rxq *rxq = dev->data->rx_queues[i];

        if (!rxq)
            continue;
        stats->ipackets += rxq->received.packets;
        stats->ibytes += rxq->received.bytes;
        stats->imissed += rxq->missed;
        if (i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
            stats->q_ipackets[i] = rxq->received.packets;
            stats->q_ibytes[i] = rxq->received.bytes;
            stats->q_errors[i] = rxq->missed;
        }
    }
    for (unsigned i = 0; i < dev->data->nb_tx_queues; i++) {
        const struct esw_txq *txq = dev->data->tx_queues[i];

        if (!txq)
            continue;
        stats->opackets += txq->sent.packets;
        stats->obytes += txq->sent.bytes;
        stats->oerrors += txq->failed;
        if (i < RTE_ETHDEV_QUEUE_STAT_CNTRS) {
            stats->q_opackets[i] = txq->sent.packets;
            stats->q_obytes[i] = txq->sent.bytes;
        }
    }
    return 0;
}

static int stats_reset(struct rte_eth_dev *dev)
{
    for (unsigned i = 0; i < dev->data->nb_rx_queues; i++) {
        struct esw_rxq *rxq = dev->data->rx_queues[i];

        if (rxq)
            rxq->received = (struct esw_count){0}, rxq->missed = 0;
    }
    for (unsigned i = 0; i < dev->data->nb_tx_queues; i++) {
        struct esw_txq *txq = dev->data->tx_queues[i];

        if (txq)
            txq->sent = (struct esw_count){0}, txq->failed = 0;
    }
    return 0;
}

// What the e-switch counts at a port, beside what the ethdev does.
static const struct {
    const char *name;
    size_t offset;
} xstats[] = {
#define XSTAT(name, member)                                                                        \
    {                                                                                              \
        name, offsetof(struct esw_port, member)                                                    \
    }
    XSTAT("esw_in_packets", from.packets),       XSTAT("esw_in_bytes", from.bytes),
    XSTAT("esw_hw_out_packets", hw_out.packets), XSTAT("esw_hw_out_bytes", hw_out.bytes),
    XSTAT("esw_to_app_packets", to_app.packets), XSTAT("esw_to_app_bytes", to_app.bytes),
    XSTAT("esw_hw_dropped_packets", hw_dropped), XSTAT("esw_no_app_packets", no_app),
    XSTAT("esw_out_failed_packets", out_failed),
#undef XSTAT
};

static int xstats_get_names(struct rte_eth_dev *dev, struct rte_eth_xstat_name *names, unsigned n)
{
    (void)dev;
    for (unsigned i = 0; names && i < RTE_DIM(xstats) && i < n; i++)
        snprintf(names[i].name, sizeof(names[i].name), "%s", xstats[i].name);
    return RTE_DIM(xstats);
}

static int xstats_get(struct rte_eth_dev *dev, struct rte_eth_xstat *values, unsigned n)
{
    struct esw_port *port = esw_port_of_dev(dev);

    pthread_mutex_lock(&port->esw->lock);
    for (unsigned i = 0; values && i < RTE_DIM(xstats) && i < n; i++) {
        values[i].id = i;
        memcpy(&values[i].value, (const char *)port + xstats[i].offset, sizeof(uint64_t));
    }
    pthread_mutex_unlock(&port->esw->lock);
    return RTE_DIM(xstats);
}

static int representor_info_get(struct rte_eth_dev *dev, struct rte_eth_representor_info *info)
{
    const struct esw_port *port = esw_port_of_dev(dev);
    const struct esw *esw = port->esw;
    const struct rte_eth_representor_range ranges[] = {
        {.type = RTE_ETH_REPRESENTOR_PF, .id_base = 0, .id_end = esw->n_wires - 1, .name = "wires"},
        {.type = RTE_ETH_REPRESENTOR_VF,
         .id_base = ESW_WIRES_MAX,
         .id_end = ESW_WIRES_MAX + esw->n_vfs - 1,
         .name = "VFs"},
    };
    uint32_t n = esw->n_vfs ? 2 : 1;

    if (info) {
        info->controller = 0;
        info->pf = 0;
        info->nb_ranges = RTE_MIN(n, info->nb_ranges_alloc);
        memcpy(info->ranges, ranges, info->nb_ranges * sizeof(ranges[0]));
    }
    return (int)n;
}

static int flow_ops_get(struct rte_eth_dev *dev, const struct rte_flow_ops **ops)
{
    (void)dev;
    *ops = &esw_flow_ops;
    return 0;
}

// The representor's MAC is its VF's, which is not the program's to change; nothing filters by it.
static int mac_addr_set(struct rte_eth_dev *dev, struct rte_ether_addr *mac)
{
    (void)dev, (void)mac;
    return 0;
}

static int mtu_set(struct rte_eth_dev *dev, uint16_t mtu)
{
    (void)dev, (void)mtu;
    return 0;
}

static int mtr_ops_get(struct rte_eth_dev *dev, void *ops)
{
    (void)dev;
    *(const struct rte_mtr_ops **)ops = &esw_meter_ops;
    return 0;
}

static int no_change(struct rte_eth_dev *dev)
{
    (void)dev;
    return 0;
}

static int is_removed(struct rte_eth_dev *dev)
{
    return __atomic_load_n(&esw_port_of_dev(dev)->esw->unplugged, __ATOMIC_RELAXED);
}

static const struct eth_dev_ops ops = {
    .is_removed = is_removed,
    .dev_configure = configure,
    .dev_start = start,
    .dev_stop = stop,
    .dev_close = close_ethdev,
    .dev_infos_get = infos_get,
    .link_update = link_update,
    .rx_queue_setup = rx_queue_setup,
    .rx_queue_release = rx_queue_release,
    .tx_queue_setup = tx_queue_setup,
    .tx_queue_release = tx_queue_release,
    .stats_get = stats_get,
    .stats_reset = stats_reset,
    .xstats_get = xstats_get,
    .xstats_get_names = xstats_get_names,
    .representor_info_get = representor_info_get,
    .flow_ops_get = flow_ops_get,
    .mtr_ops_get = mtr_ops_get,
    .mac_addr_set = mac_addr_set,
    .mtu_set = mtu_set,
    .promiscuous_enable = no_change,
    .promiscuous_disable = no_change,
    .allmulticast_enable = no_change,
    .allmulticast_disable = no_change,
};

static int init(struct rte_eth_dev *dev, void *arg)
{
    struct esw_port *port = arg;
    struct rte_eth_dev_data *data = dev->data;

    ((struct private *)data->dev_private)->port = port;
    data->mac_addrs = rte_malloc("esw_mac", sizeof(*data->mac_addrs), 0);
    if (!data->mac_addrs)
        return -ENOMEM;
    data->mac_addrs[0] = port->mac;
    data->promiscuous = 1;
    data->all_multicast = 1;
    data->dev_flags |=
        RTE_ETH_DEV_INTR_LSC | RTE_ETH_DEV_INTR_RMV | RTE_ETH_DEV_AUTOFILL_QUEUE_XSTATS;
    if (port->index > 0) {
        data->dev_flags |= RTE_ETH_DEV_REPRESENTOR;
        data->representor_id = port->is_wire ? port->no : ESW_WIRES_MAX + port->no;
        data->backer_port_id = port->esw->ports[0].port_id;
    }
    dev->dev_ops = &ops;
    dev->rx_pkt_burst = receive;
    dev->tx_pkt_burst = transmit;
#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
    dev->flow_fp_ops = &esw_flow_fp_ops;
#endif
    pthread_mutex_lock(&port->esw->lock);
    port->ethdev = dev;
    port->port_id = data->port_id;
    pthread_mutex_unlock(&port->esw->lock);
    return 0;
}

void esw_ethdev_name(const struct esw_port *port, char name[RTE_ETH_NAME_MAX_LEN])
{
    if (port->index == 0)
        snprintf(name, RTE_ETH_NAME_MAX_LEN, "%s", port->esw->name);
    else
        snprintf(name, RTE_ETH_NAME_MAX_LEN, "%s_representor_%s%u", port->esw->name,
                 port->is_wire ? "pf" : "vf", port->no);
}

int esw_ethdev_create(struct esw_port *port)
{
    char name[RTE_ETH_NAME_MAX_LEN];

    esw_ethdev_name(port, name);
    return rte_eth_dev_create(&port->esw->vdev->device, name, sizeof(struct private), NULL, NULL,
                              init, port);
}
