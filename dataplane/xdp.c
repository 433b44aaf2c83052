/* SPDX-License-Identifier: Apache-2.0 */
// A kernel netdev by AF_XDP, with libxdp. Not by DPDK's net_af_xdp, since on each detach that loses
// the 2,048 buffers of the fill ring and two file descriptors, holds 4.7 MB a port, lets frames
// pass to the host's own stack while no daemon runs, and gives no descriptor to sleep on
// (docs/decisions.md).
//
// Frames are copied between the socket's memory and mbufs: as the sockets are in copy mode on veth
// the kernel copies each frame as well, and no mbuf is ever lost in a kernel ring.
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <xdp/xsk.h>

#include "dataplane/internal.h"

// Frames that may wait for the worker: where pods and worker share CPUs, TCP's bursts overran 512
// (41,059 segments sent again in 6 s of one flow at 1.4 Gbit/s), not 2,048 (none). What is sent is
// gone when the call returns.
#define RX_RING      2048
#define TX_RING      512
#define AREA         ((RX_RING + TX_RING) * (size_t)xdp->frame_size)
#define BUSY_MS      1000 // to wait for a queue, in steps of
#define BUSY_STEP_MS 10
#define KICKS_MAX    64 // sends of at most 32 frames each that one burst may need

struct xdp_queue {
    struct xsk_umem *umem;
    struct xsk_socket *socket;
    struct xsk_ring_prod fill, tx;
    struct xsk_ring_cons rx, comp;
    uint8_t *area; // RX_RING frames to receive into, then TX_RING to send from
    uint64_t free_tx[TX_RING];
    unsigned n_free_tx;
    uint64_t oversized; // received, but larger than an mbuf
};

struct xdp {
    int ifindex, prog, map;
    uint32_t mode; // XDP_FLAGS_DRV_MODE or XDP_FLAGS_SKB_MODE; 0: the program is not attached
    unsigned frame_size;
    uint16_t n_queues;
    struct xdp_queue queues[];
};

// The program: into the socket of the queue, or nowhere. Never up to the host's stack, also when no
// daemon runs: then the kernel keeps the program, whose map is empty, and it drops.
static int load_program(int map)
{
    struct bpf_insn insns[] = {
        // r2 = ctx->rx_queue_index
        {.code = BPF_LDX | BPF_MEM | BPF_W,
         .dst_reg = BPF_REG_2,
         .src_reg = BPF_REG_1,
         .off = offsetof(struct xdp_md, rx_queue_index)},
        // r1 = map
        {.code = BPF_LD | BPF_DW | BPF_IMM,
         .dst_reg = BPF_REG_1,
         .src_reg = BPF_PSEUDO_MAP_FD,
         .imm = map},
        {0},
        // r3 = what to do if the map has nothing there
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = XDP_DROP},
        // return bpf_redirect_map(r1, r2, r3)
        {.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_redirect_map},
        {.code = BPF_JMP | BPF_EXIT},
    };

    return bpf_prog_load(BPF_PROG_TYPE_XDP, "sluice", "Dual BSD/GPL", insns, RTE_DIM(insns), NULL);
}

// In the driver where it can, else generic. A program that a daemon left there is replaced, at best
// in one step.
static int attach_program(struct xdp *xdp)
{
    static const uint32_t modes[] = {XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE};
    int ret = -ENOTSUP;

    for (unsigned attempt = 0; attempt < 2; attempt++) {
        for (unsigned i = 0; i < RTE_DIM(modes); i++) {
            xdp->mode = modes[i];
            ret = bpf_xdp_attach(xdp->ifindex, xdp->prog, xdp->mode, NULL);
            if (!ret)
                return 0;
        }
        for (unsigned i = 0; i < RTE_DIM(modes); i++)
            bpf_xdp_detach(xdp->ifindex, modes[i], NULL);
    }
    xdp->mode = 0;
    return ret;
}

static uint64_t frame_address(const struct xdp *xdp, unsigned frame)
{
    return (uint64_t)frame * xdp->frame_size;
}

static void queue_close(const struct xdp *xdp, struct xdp_queue *q)
{
    if (q->socket)
        xsk_socket__delete(q->socket);
    if (q->umem)
        xsk_umem__delete(q->umem);
    if (q->area && q->area != MAP_FAILED)
        munmap(q->area, AREA);
    *q = (struct xdp_queue){0};
}

static int queue_open(struct xdp *xdp, struct xdp_queue *q, const char *netdev, uint32_t index)
{
    struct xsk_umem_config umem_config = {
        .fill_size = RX_RING, .comp_size = TX_RING, .frame_size = xdp->frame_size};
    struct xsk_socket_config config = {.rx_size = RX_RING,
                                       .tx_size = TX_RING,
                                       .libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
                                       .bind_flags = XDP_USE_NEED_WAKEUP};
    uint32_t at;
    int ret;

    q->area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (q->area == MAP_FAILED)
        return -ENOMEM;
    ret = xsk_umem__create(&q->umem, q->area, AREA, &q->fill, &q->comp, &umem_config);
    if (ret)
        return ret;
    ret = xsk_socket__create(&q->socket, netdev, index, q->umem, &q->rx, &q->tx, &config);
    if (ret)
        return ret;
    for (unsigned i = 0; i < TX_RING; i++)
        q->free_tx[q->n_free_tx++] = frame_address(xdp, RX_RING + i);
    if (xsk_ring_prod__reserve(&q->fill, RX_RING, &at) != RX_RING)
        return -ENOSPC;
    for (unsigned i = 0; i < RX_RING; i++)
        *xsk_ring_prod__fill_addr(&q->fill, at + i) = frame_address(xdp, i);
    xsk_ring_prod__submit(&q->fill, RX_RING);
    return xsk_socket__update_xskmap(q->socket, xdp->map);
}

// The kernel gives a queue back some time after its last owner was killed.
static int queue_open_or_wait(struct xdp *xdp, struct xdp_queue *q, const char *netdev,
                              uint32_t index)
{
    int ret;

    for (unsigned waited_ms = 0;; waited_ms += BUSY_STEP_MS) {
        ret = queue_open(xdp, q, netdev, index);
        if (ret != -EBUSY || waited_ms >= BUSY_MS)
            return ret;
        queue_close(xdp, q);
        usleep(BUSY_STEP_MS * 1000);
    }
}

static int quiet(enum libbpf_print_level level, const char *format, va_list args)
{
    (void)level, (void)format, (void)args;
    return 0; // our own errors say it
}

int xdp_open(const char *netdev, unsigned mtu, struct xdp **result, uint16_t *n_queues,
             char **error)
{
    int n = if_rx_queues(netdev), ret;
    const char *step = "counting its queues";
    struct xdp *xdp = NULL;

    libbpf_set_print(quiet);
    if (n < 0) {
        ret = n;
        goto fail;
    }
    // A frame must fit into a page of which the kernel keeps XDP_PACKET_HEADROOM bytes for itself.
    step = "making room for frames of this MTU";
    if (mtu + RTE_ETHER_HDR_LEN + XDP_PACKET_HEADROOM > 4096) {
        ret = -EMSGSIZE;
        goto fail;
    }
    if (mtu + RTE_ETHER_HDR_LEN + XDP_HEADROOM > xdp_frame_size(mtu)) {
        step = "making frames of the MTU";
        ret = -EMSGSIZE;
        goto fail;
    }
    n = RTE_MIN(n, DP_WORKERS_MAX);
    xdp = calloc(1, sizeof *xdp + (size_t)n * sizeof xdp->queues[0]);
    if (!xdp)
        return -ENOMEM;
    xdp->prog = xdp->map = -1;
    xdp->n_queues = (uint16_t)n;
    xdp->frame_size = xdp_frame_size(mtu);
    xdp->ifindex = (int)if_nametoindex(netdev);
    step = "making the program's map";
    ret = xdp->map = bpf_map_create(BPF_MAP_TYPE_XSKMAP, "sluice", 4, 4, (uint32_t)n, NULL);
    if (ret < 0)
        goto fail;
    step = "loading the program";
    ret = xdp->prog = load_program(xdp->map);
    if (ret < 0)
        goto fail;
    // First the sockets: they are refused where another process has the netdev, and its program
    // must stay.
    step = "opening the socket";
    for (int i = 0; i < n; i++) {
        ret = queue_open_or_wait(xdp, &xdp->queues[i], netdev, (uint32_t)i);
        if (ret < 0)
            goto fail;
    }
    step = "attaching the program";
    ret = attach_program(xdp);
    if (ret < 0)
        goto fail;
    *result = xdp;
    *n_queues = xdp->n_queues;
    return 0;
fail:
    if (xdp)
        xdp_close(xdp, false);
    return set_error(ret, error, "%s: %s", step, strerror(-ret));
}

void xdp_close(struct xdp *xdp, bool keep_guarding)
{
    for (unsigned i = 0; i < xdp->n_queues; i++)
        queue_close(xdp, &xdp->queues[i]);
    if (xdp->mode && !keep_guarding)
        bpf_xdp_detach(xdp->ifindex, xdp->mode, NULL); // the netdev may be gone: nothing to do
    if (xdp->prog >= 0)
        close(xdp->prog);
    if (xdp->map >= 0)
        close(xdp->map);
    free(xdp);
}

uint16_t xdp_rx(struct xdp *xdp, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n)
{
    struct xdp_queue *q = &xdp->queues[queue];
    uint32_t at, fill_at;
    uint16_t got = 0;

    n = (uint16_t)xsk_ring_cons__peek(&q->rx, n, &at);
    if (!n) {
        // A driver that does not copy has run out of frames, and wants to be told that there are
        // some again: a worker that never sleeps has to.
        if (unlikely(xsk_ring_prod__needs_wakeup(&q->fill)))
            recvfrom(xsk_socket__fd(q->socket), NULL, 0, MSG_DONTWAIT, NULL, NULL);
        return 0;
    }
    if (unlikely(rte_pktmbuf_alloc_bulk(dp.pool, mbufs, n))) {
        xsk_ring_cons__cancel(&q->rx, n);
        return 0;
    }
    // The fill ring has as many places as there are frames to receive into; but the kernel shows
    // frames an instant before it gives their places there back (xsk_flush): then at the next turn.
    if (unlikely(xsk_ring_prod__reserve(&q->fill, n, &fill_at) != n)) {
        rte_pktmbuf_free_bulk(mbufs, n);
        xsk_ring_cons__cancel(&q->rx, n);
        return 0;
    }
    for (unsigned i = 0; i < n; i++) {
        const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&q->rx, at + i);
        struct rte_mbuf *m = mbufs[got];

        *xsk_ring_prod__fill_addr(&q->fill, fill_at + i) =
            desc->addr - desc->addr % xdp->frame_size;
        // A sender may have raised its MTU.
        if (unlikely(desc->len > rte_pktmbuf_tailroom(m))) {
            q->oversized++;
            continue;
        }
        rte_memcpy(rte_pktmbuf_mtod(m, void *), q->area + desc->addr, desc->len);
        m->data_len = (uint16_t)desc->len;
        m->pkt_len = desc->len;
        got++;
    }
    xsk_ring_cons__release(&q->rx, n);
    xsk_ring_prod__submit(&q->fill, n);
    if (unlikely(got < n))
        rte_pktmbuf_free_bulk(mbufs + got, n - got);
    return got;
}

static void reap(struct xdp_queue *q)
{
    uint32_t at;
    unsigned n = xsk_ring_cons__peek(&q->comp, TX_RING, &at);

    for (unsigned i = 0; i < n; i++)
        q->free_tx[q->n_free_tx++] = *xsk_ring_cons__comp_addr(&q->comp, at + i);
    xsk_ring_cons__release(&q->comp, n);
}

// In copy mode the kernel sends up to 32 frames a call, from within it.
static void kick(struct xdp_queue *q)
{
    if (!xsk_ring_prod__needs_wakeup(&q->tx))
        return;
    for (unsigned i = 0; i < KICKS_MAX; i++)
        if (sendto(xsk_socket__fd(q->socket), NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0 ||
            (errno != EAGAIN && errno != EBUSY))
            break;
}

uint16_t xdp_tx(struct xdp *xdp, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n)
{
    struct xdp_queue *q = &xdp->queues[queue];
    uint32_t at;
    uint16_t sent = 0;

    reap(q);
    n = (uint16_t)RTE_MIN((unsigned)n, q->n_free_tx);
    n = (uint16_t)(xsk_ring_prod__reserve(&q->tx, n, &at) == n ? n : 0);
    for (; sent < n; sent++) {
        struct xdp_desc *desc = xsk_ring_prod__tx_desc(&q->tx, at + sent);

        desc->addr = q->free_tx[--q->n_free_tx];
        desc->len = mbufs[sent]->pkt_len; // output is held to the MTU, for which frames have room
        desc->options = 0;
        rte_memcpy(q->area + desc->addr, rte_pktmbuf_mtod(mbufs[sent], void *), desc->len);
    }
    if (n)
        xsk_ring_prod__submit(&q->tx, n);
    rte_pktmbuf_free_bulk(mbufs, n);
    kick(q);
    return n;
}

int xdp_fd(const struct xdp *xdp, uint16_t queue)
{
    return xsk_socket__fd(xdp->queues[queue].socket);
}

uint64_t xdp_missed(const struct xdp *xdp)
{
    uint64_t missed = 0;

    for (unsigned i = 0; i < xdp->n_queues; i++) {
        struct xdp_statistics stats;
        socklen_t len = sizeof stats;

        if (!getsockopt(xdp_fd(xdp, (uint16_t)i), SOL_XDP, XDP_STATISTICS, &stats, &len))
            missed += xdp->queues[i].oversized + stats.rx_dropped + stats.rx_ring_full +
                      stats.rx_fill_ring_empty_descs;
    }
    return missed;
}
