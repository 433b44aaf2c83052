/* SPDX-License-Identifier: Apache-2.0 */
// Where the packets of wires and VFs come from and go to: TAPs, kernel netdevs, rings, files,
// nothing.
#include <errno.h>
#include <fcntl.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_mbuf.h>

#include "offload/esw/esw.h"

static int open_netdev(struct esw_port *port)
{
    int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), err, one = 1;
    struct sockaddr_ll address = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
    struct packet_mreq promiscuous = {.mr_type = PACKET_MR_PROMISC};
    struct ifreq request = {0};

    if (fd < 0)
        return -errno;
    address.sll_ifindex = promiscuous.mr_ifindex = (int)if_nametoindex(port->backend.name);
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%.15s", port->backend.name);
    // What the socket itself sends must not come back.
    if (!address.sll_ifindex ||
        setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) ||
        setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &one, sizeof(one)) ||
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) ||
        setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &promiscuous, sizeof(promiscuous)) ||
        ioctl(fd, SIOCGIFHWADDR, &request)) {
        err = -errno;
        close(fd);
        return err;
    }
    memcpy(&port->mac, request.ifr_hwaddr.sa_data, sizeof(port->mac));
    port->backend.ifindex = address.sll_ifindex;
    return fd;
}

// The kernel takes a frame's outer VLAN tag out before packet sockets see it, and tells it beside
// the frame (packet(7), PACKET_AUXDATA). Back it goes.
static uint32_t put_vlan_back(uint8_t *frame, uint32_t length, const struct tpacket_auxdata *aux)
{
    const uint32_t at = offsetof(struct rte_ether_hdr, ether_type);
    const rte_be16_t tag[] = {
        rte_cpu_to_be_16(aux->tp_status & TP_STATUS_VLAN_TPID_VALID ? aux->tp_vlan_tpid
                                                                    : RTE_ETHER_TYPE_VLAN),
        rte_cpu_to_be_16(aux->tp_vlan_tci),
    };

    if (!(aux->tp_status & TP_STATUS_VLAN_VALID) || length < at)
        return length;
    memmove(frame + at + sizeof(tag), frame + at, length - at);
    memcpy(frame + at, tag, sizeof(tag));
    return length + (uint32_t)sizeof(tag);
}

static int receive_netdev(const struct esw_backend *backend, uint8_t *frame)
{
    struct tpacket_auxdata aux = {0};
    char control[CMSG_SPACE(sizeof(aux))] __attribute__((aligned(8)));
    struct iovec data = {.iov_base = frame, .iov_len = ESW_FRAME_MAX - RTE_VLAN_HLEN};
    struct msghdr message = {.msg_iov = &data,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(backend->fd, &message, 0);
    const struct cmsghdr *header;

    if (n < 0)
        return errno == EAGAIN || errno == EINTR || errno == ENETDOWN ? 0 : -errno;
    if (message.msg_flags & MSG_TRUNC) // longer than any frame here; the next is for the next turn
        return 0;
    header = CMSG_FIRSTHDR(&message);
    if (header && header->cmsg_level == SOL_PACKET && header->cmsg_type == PACKET_AUXDATA)
        memcpy(&aux, CMSG_DATA(header), sizeof(aux));
    return (int)put_vlan_back(frame, (uint32_t)n, &aux);
}

static int open_rings(struct esw_port *port)
{
    struct esw_backend *backend = &port->backend;
    char name[RTE_ETH_NAME_MAX_LEN + 8];

    snprintf(name, sizeof(name), "%s_in", backend->name);
    backend->in = rte_ring_create(name, 1024, SOCKET_ID_ANY, 0);
    snprintf(name, sizeof(name), "%s_out", backend->name);
    backend->out = rte_ring_create(name, 1024, SOCKET_ID_ANY, 0);
    if (backend->in && backend->out)
        return 0;
    rte_ring_free(backend->in);
    rte_ring_free(backend->out);
    backend->in = backend->out = NULL;
    return -ENOMEM;
}

int esw_backend_open(struct esw_port *port, const char *spec)
{
    struct esw_backend *backend = &port->backend;
    const char *name = strchr(spec, ':');
    size_t kind = name ? (size_t)(name - spec) : strlen(spec);
    int ret = 0;

    backend->fd = -1;
    if (!strncmp(spec, "tap", kind) && kind == 3 && name)
        backend->kind = ESW_BACKEND_TAP;
    else if (!strcmp(spec, "ring"))
        backend->kind = ESW_BACKEND_RING;
    else if (!strcmp(spec, "null"))
        backend->kind = ESW_BACKEND_NULL;
    else if (name && (!strncmp(spec, "pcap:", 5) || !strncmp(spec, "gen:", 4)))
        backend->kind = ESW_BACKEND_PLAYER;
    else if (!strncmp(spec, "netdev", kind) && kind == 6 && name)
        backend->kind = ESW_BACKEND_NETDEV;
    else
        return -EINVAL;
    if (backend->kind == ESW_BACKEND_TAP || backend->kind == ESW_BACKEND_NETDEV) {
        if (strlen(name + 1) == 0 || strlen(name + 1) >= IFNAMSIZ)
            return -ENAMETOOLONG;
        strcpy(backend->name, name + 1);
        ret = backend->kind == ESW_BACKEND_TAP ? esw_tap_open(port) : open_netdev(port);
        backend->fd = ret;
    } else if (backend->kind == ESW_BACKEND_RING) {
        snprintf(backend->name, sizeof(backend->name), "%s_%s%u", port->esw->name,
                 port->is_wire ? "wire" : "vf", port->no);
        ret = open_rings(port);
    } else if (backend->kind == ESW_BACKEND_PLAYER) {
        ret = esw_player_open(spec, port->mac.addr_bytes, &backend->player);
    }
    return ret < 0 ? ret : 0;
}

static void drain(struct rte_ring *ring)
{
    void *mbuf;

    while (ring && rte_ring_dequeue(ring, &mbuf) == 0)
        rte_pktmbuf_free(mbuf);
    rte_ring_free(ring);
}

void esw_backend_close(struct esw_port *port)
{
    if (port->backend.fd >= 0)
        close(port->backend.fd);
    port->backend.fd = -1;
    drain(port->backend.in);
    drain(port->backend.out);
    port->backend.in = port->backend.out = NULL;
    esw_player_close(port->backend.player);
    port->backend.player = NULL;
}

int esw_backend_reopen(struct esw_port *port)
{
    int fd, ret;

    if (port->backend.kind == ESW_BACKEND_TAP)
        fd = esw_tap_open(port);
    else
        fd = port->backend.kind == ESW_BACKEND_NETDEV ? open_netdev(port) : -ENODEV;
    if (fd < 0)
        return fd;
    // In one step, as the program's threads may be writing.
    ret = dup3(fd, port->backend.fd, O_CLOEXEC) < 0 ? -errno : 0;
    close(fd);
    return ret;
}

int esw_backend_receive(struct esw_port *port, uint8_t *frame)
{
    struct esw_backend *backend = &port->backend;
    struct rte_mbuf *mbuf;
    uint32_t length;
    ssize_t n;

    switch (backend->kind) {
    case ESW_BACKEND_TAP:
        n = read(backend->fd, frame, ESW_FRAME_MAX);
        return n >= 0 ? (int)n : errno == EAGAIN || errno == EINTR ? 0 : -errno;
    case ESW_BACKEND_NETDEV:
        return receive_netdev(backend, frame);
    case ESW_BACKEND_RING:
        if (rte_ring_dequeue(backend->in, (void **)&mbuf))
            return 0;
        length = RTE_MIN(mbuf->pkt_len, (uint32_t)ESW_FRAME_MAX);
        if (rte_pktmbuf_read(mbuf, 0, length, frame) != frame)
            memcpy(frame, rte_pktmbuf_mtod(mbuf, void *), length);
        rte_pktmbuf_free(mbuf);
        return (int)length;
    case ESW_BACKEND_PLAYER:
        // Not before the program is there to see it.
        if (!port->esw->faults.play || !port->esw->ports[0].n_rxq)
            return 0;
        return (int)esw_player_next(backend->player, frame, ESW_FRAME_MAX);
    case ESW_BACKEND_NULL:
        break;
    }
    return 0;
}

int esw_backend_send(struct esw_port *port, const uint8_t *frame, uint32_t length)
{
    struct esw_backend *backend = &port->backend;
    struct rte_mbuf *mbuf;
    char *data;

    switch (backend->kind) {
    case ESW_BACKEND_TAP:
    case ESW_BACKEND_NETDEV:
        return write(backend->fd, frame, length) == (ssize_t)length ? 0 : -errno;
    case ESW_BACKEND_RING:
        mbuf = rte_pktmbuf_alloc(port->esw->ring_pool);
        if (!mbuf)
            return -ENOBUFS;
        data = rte_pktmbuf_append(mbuf, (uint16_t)length);
        if (data)
            memcpy(data, frame, length);
        if (!data || rte_ring_enqueue(backend->out, mbuf)) {
            rte_pktmbuf_free(mbuf);
            return -ENOBUFS;
        }
        return 0;
    case ESW_BACKEND_PLAYER:
        return esw_player_record(backend->player, frame, length);
    case ESW_BACKEND_NULL:
        break;
    }
    return 0;
}

bool esw_backend_is_stale(const struct esw_port *port)
{
    struct ifreq request = {0};

    if (port->backend.kind != ESW_BACKEND_NETDEV)
        return false;
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%.15s", port->backend.name);
    return ioctl(port->backend.fd, SIOCGIFINDEX, &request) == 0 &&
           request.ifr_ifindex != port->backend.ifindex;
}

bool esw_backend_link(const struct esw_port *port)
{
    struct ifreq request = {0};

    // A TAP may be in any namespace, where its flags cannot be asked for.
    if (port->backend.kind != ESW_BACKEND_NETDEV)
        return true;
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%.15s", port->backend.name);
    return ioctl(port->backend.fd, SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_RUNNING;
}
