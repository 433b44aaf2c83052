/* SPDX-License-Identifier: Apache-2.0 */
// The e-switch: its thread, and what it does with a frame.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <rte_cycles.h>
#include <rte_jhash.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>

#include "offload/esw/esw.h"
#include "offload/esw/rewrite.h"

#define BURST             32
#define JUMPS_MAX         16
#define WATCH_INTERVAL_MS 100
#define POLL_SLEEP_US     50 // rings and files cannot wake the thread

// A frame on its way, in a buffer of ESW_FRAME_MAX bytes.
struct packet {
    struct esw_port *in;
    bool from_app;
    uint8_t *frame;
    uint32_t length;
    struct esw_key key;
    struct esw_headers headers;
};

static void count(struct esw_count *counter, uint32_t length)
{
    counter->packets++;
    counter->bytes += length;
}

static void read_headers(struct packet *packet)
{
    esw_packet_parse(packet->frame, packet->length, &packet->key, &packet->headers);
    packet->key.in_port = packet->in->index + 1;
    packet->key.from_app = packet->from_app;
}

// Packets of one flow to one queue.
static unsigned choose_queue(const struct esw_port *port, const struct esw_key *key)
{
    struct {
        uint8_t src[16], dst[16];
        rte_be16_t ports[2];
    } flow = {.ports = {key->l4_src, key->l4_dst}};

    if (port->n_rxq == 1)
        return 0;
    memcpy(flow.src, key->ip_src, sizeof(flow.src));
    memcpy(flow.dst, key->ip_dst, sizeof(flow.dst));
    return rte_jhash(&flow, sizeof(flow), 0) % port->n_rxq;
}

static void to_app(struct esw_port *port, const struct packet *packet)
{
    struct rte_mbuf *mbuf = NULL;
    struct esw_rxq *rxq;
    char *data;

    if (!port->n_rxq) {
        port->no_app++;
        return;
    }
    rxq = port->rxq[choose_queue(port, &packet->key)];
    mbuf = rte_pktmbuf_alloc(rxq->pool);
    data = mbuf ? rte_pktmbuf_append(mbuf, (uint16_t)packet->length) : NULL;
    if (data) {
        memcpy(data, packet->frame, packet->length);
        mbuf->port = rxq->port_id;
        if (packet->key.l3 == 4) // the parser checked it
            mbuf->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    }
    if (!data || rte_ring_sp_enqueue(rxq->ring, mbuf)) {
        rte_pktmbuf_free(mbuf);
        rxq->missed++;
        port->no_app++;
        return;
    }
    count(&port->to_app, packet->length);
}

static void to_wire_or_vf(struct esw_port *port, const struct packet *packet, bool by_rule)
{
    if (!port->link || esw_backend_send(port, packet->frame, packet->length)) {
        port->out_failed++;
        return;
    }
    count(by_rule ? &port->hw_out : &port->from_app, packet->length);
}

static void rewrite(struct packet *packet, const struct esw_op *op)
{
    if (op->type == ESW_OP_PUSH_VLAN && packet->length + RTE_VLAN_HLEN > ESW_FRAME_MAX)
        return;
    esw_rewrite(packet->frame, &packet->length, &packet->key, &packet->headers, op);
    read_headers(packet);
}

// Runs the rule; true: *group is where to look next.
static bool run(struct packet *packet, const struct esw_program *program, uint32_t *group)
{
    struct esw_port *ports = packet->in->esw->ports;

    for (unsigned i = 0; i < program->n_ops; i++) {
        const struct esw_op *op = &program->ops[i];

        switch (op->type) {
        case ESW_OP_TO_WIRE_OR_VF:
            to_wire_or_vf(&ports[op->port], packet, true);
            break;
        case ESW_OP_TO_APP:
            to_app(&ports[op->port], packet);
            break;
        case ESW_OP_METER:
            if (!esw_meter_pass(program->meter, packet->length)) {
                packet->in->hw_dropped++;
                return false;
            }
            break;
        case ESW_OP_DROP:
            packet->in->hw_dropped++;
            break;
        case ESW_OP_JUMP:
            *group = op->number;
            return true;
        default:
            rewrite(packet, op);
        }
    }
    return false;
}

void esw_switch_frame(struct esw_port *port, bool from_app, uint8_t *frame, uint32_t length)
{
    struct packet packet = {.in = port, .from_app = from_app, .frame = frame, .length = length};
    uint32_t group = 0;

    read_headers(&packet);
    // Rules can jump in circles; NICs end that likewise, by dropping.
    for (int jumps = 0; jumps < JUMPS_MAX; jumps++) {
        struct rte_flow *flow = esw_table_find(port->esw->table, group, &packet.key);

        if (!flow) {
            if (from_app)
                to_wire_or_vf(port, &packet, false);
            else
                to_app(port, &packet);
            return;
        }
        esw_flow_hit(port->esw, flow, packet.length);
        if (!run(&packet, &flow->program, &group))
            return;
    }
    port->hw_dropped++;
}

static int reopen(struct esw_port *port)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = port};
    int ret = esw_backend_reopen(port);

    // What was open before is gone from the set with its last file descriptor.
    if (ret == 0 && epoll_ctl(port->esw->epoll, EPOLL_CTL_ADD, port->backend.fd, &event))
        ret = -errno;
    return ret;
}

static unsigned poll_port(struct esw_port *port, uint8_t *frame)
{
    unsigned n;

    for (n = 0; n < BURST; n++) {
        int length = esw_backend_receive(port, frame);

        if (length <= 0) {
            if (length < 0)
                ESW_LOG(NOTICE, "%s: %s: %s\n", port->esw->name, port->backend.name,
                        strerror(-length));
            // The TAP's namespace is gone, and the TAP with it.
            if (length < 0 && reopen(port))
                epoll_ctl(port->esw->epoll, EPOLL_CTL_DEL, port->backend.fd, NULL);
            break;
        }
        if (__atomic_load_n(&port->esw->unplugged, __ATOMIC_RELAXED))
            continue;
        pthread_mutex_lock(&port->esw->lock);
        if (!port->link) {
            pthread_mutex_unlock(&port->esw->lock);
            continue;
        }
        count(&port->from, (uint32_t)length);
        esw_switch_frame(port, false, frame, (uint32_t)length);
        pthread_mutex_unlock(&port->esw->lock);
    }
    return n;
}

static void watch_links(struct esw *esw)
{
    for (unsigned i = 0; i < esw->n_wires + esw->n_vfs; i++) {
        struct esw_port *port = &esw->ports[i];
        unsigned bit = port->is_wire ? port->no : ESW_WIRES_MAX + port->no;
        bool link, changed;

        if (esw_backend_is_stale(port) && reopen(port) == 0)
            ESW_LOG(NOTICE, "%s: %s is another netdev now\n", esw->name, port->backend.name);
        link = esw_backend_link(port);
        pthread_mutex_lock(&esw->lock);
        if (bit < 32 && esw->faults.links_down & (1u << bit))
            link = false;
        changed = link != port->link;
        port->link = link;
        pthread_mutex_unlock(&esw->lock);
        if (!changed)
            continue;
        ESW_LOG(NOTICE, "%s: %s %u is %s\n", esw->name, port->is_wire ? "wire" : "VF", port->no,
                link ? "up" : "down");
        esw_ethdev_tell(port, RTE_ETH_EVENT_INTR_LSC);
    }
}

// Nothing tells when a packet comes.
static bool is_polled(const struct esw_port *port)
{
    return port->backend.kind == ESW_BACKEND_RING || port->backend.kind == ESW_BACKEND_PLAYER;
}

static bool has_polled(const struct esw *esw)
{
    for (unsigned i = 0; i < esw->n_wires + esw->n_vfs; i++) {
        if (is_polled(&esw->ports[i]))
            return true;
    }
    return false;
}

static unsigned poll_polled(struct esw *esw, uint8_t *frame)
{
    unsigned n = 0;

    for (unsigned i = 0; i < esw->n_wires + esw->n_vfs; i++) {
        if (is_polled(&esw->ports[i]))
            n += poll_port(&esw->ports[i], frame);
    }
    return n;
}

static void *run_thread(void *arg)
{
    struct esw *esw = arg;
    bool polled = has_polled(esw);
    uint64_t next_watch = 0;
    uint8_t frame[ESW_FRAME_MAX];

    while (!__atomic_load_n(&esw->stop, __ATOMIC_RELAXED)) {
        struct epoll_event events[BURST];
        int n = epoll_wait(esw->epoll, events, BURST, polled ? 0 : WATCH_INTERVAL_MS);
        uint64_t now = rte_rdtsc();

        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == esw)
                esw_control_receive(esw);
            else if (events[i].data.ptr)
                poll_port(events[i].data.ptr, frame);
        }
        if (polled && poll_polled(esw, frame) == 0 && n <= 0)
            usleep(POLL_SLEEP_US);
        if (__atomic_load_n(&esw->n_jobs, __ATOMIC_RELAXED)) {
            pthread_mutex_lock(&esw->lock);
            esw_queues_work(esw);
            pthread_mutex_unlock(&esw->lock);
        }
        if (now >= next_watch) {
            watch_links(esw);
            esw_ages_watch(esw);
            next_watch = now + rte_get_tsc_hz() / 1000 * WATCH_INTERVAL_MS;
        }
    }
    return NULL;
}

int esw_switch_start(struct esw *esw)
{
    struct epoll_event event = {.events = EPOLLIN};
    char name[16];
    int ret;

    esw->epoll = epoll_create1(EPOLL_CLOEXEC);
    esw->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (esw->epoll < 0 || esw->wake < 0)
        return -errno;
    if (epoll_ctl(esw->epoll, EPOLL_CTL_ADD, esw->wake, &event))
        return -errno;
    event.data.ptr = esw;
    if (esw->control >= 0 && epoll_ctl(esw->epoll, EPOLL_CTL_ADD, esw->control, &event))
        return -errno;
    for (unsigned i = 0; i < esw->n_wires + esw->n_vfs; i++) {
        struct esw_port *port = &esw->ports[i];

        event.data.ptr = port;
        if (port->backend.fd >= 0 && epoll_ctl(esw->epoll, EPOLL_CTL_ADD, port->backend.fd, &event))
            return -errno;
    }
    // A control thread gets the CPUs that the program's lcores leave free, if there are any.
    snprintf(name, sizeof(name), "%.15s", esw->name);
    ret = rte_ctrl_thread_create(&esw->thread, name, NULL, run_thread, esw);
    if (ret)
        return ret < 0 ? ret : -ret;
    esw->running = true;
    if (esw->cpu >= 0) {
        cpu_set_t cpus;

        CPU_ZERO(&cpus);
        CPU_SET(esw->cpu, &cpus);
        ret = pthread_setaffinity_np(esw->thread, sizeof(cpus), &cpus);
        if (ret)
            ESW_LOG(ERR, "%s: cpu=%d: no CPU that the process may use\n", esw->name, esw->cpu);
    }
    return -ret;
}

void esw_switch_stop(struct esw *esw)
{
    if (esw->running) {
        uint64_t one = 1;

        __atomic_store_n(&esw->stop, true, __ATOMIC_RELAXED);
        if (write(esw->wake, &one, sizeof(one)) < 0)
            ESW_LOG(ERR, "%s: eventfd: %s\n", esw->name, strerror(errno));
        pthread_join(esw->thread, NULL);
        esw->running = false;
    }
    if (esw->epoll >= 0)
        close(esw->epoll);
    if (esw->wake >= 0)
        close(esw->wake);
    esw->epoll = esw->wake = -1;
}
