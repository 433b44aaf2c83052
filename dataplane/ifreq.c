/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/sockios.h>
#undef PORT_NONE // ethtool.h: a kind of connector

#include "dataplane/internal.h"

// One interface request (netdevice(7)) on a socket of its own.
static int request(const char *netdev, unsigned long what, struct ifreq *req)
{
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), ret;

    if (fd < 0)
        return -errno;
    snprintf(req->ifr_name, sizeof req->ifr_name, "%s", netdev);
    ret = ioctl(fd, what, req) ? -errno : 0;
    close(fd);
    return ret;
}

int if_mac(const char *netdev, struct rte_ether_addr *mac)
{
    struct ifreq req = {0};
    int ret = request(netdev, SIOCGIFHWADDR, &req);

    if (!ret)
        memcpy(mac, req.ifr_hwaddr.sa_data, sizeof *mac);
    return ret;
}

int if_up(const char *netdev)
{
    struct ifreq req = {0};
    int ret = request(netdev, SIOCGIFFLAGS, &req);

    if (ret || req.ifr_flags & IFF_UP)
        return ret;
    req.ifr_flags |= IFF_UP;
    return request(netdev, SIOCSIFFLAGS, &req);
}

int if_promiscuous(int ifindex, bool on)
{
    // A socket that receives nothing (protocol 0) holds them, so the kernel takes them back however
    // the process ends.
    static int fd = -1;
    struct packet_mreq member = {.mr_ifindex = ifindex, .mr_type = PACKET_MR_PROMISC};

    if (fd < 0)
        fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_PACKET, on ? PACKET_ADD_MEMBERSHIP : PACKET_DROP_MEMBERSHIP,
                             &member, sizeof member))
        return -errno;
    return 0;
}

int if_rx_queues(const char *netdev)
{
    struct ethtool_channels channels = {.cmd = ETHTOOL_GCHANNELS};
    struct ifreq req = {.ifr_data = (void *)&channels};
    int ret = request(netdev, SIOCETHTOOL, &req);

    if (ret == -EOPNOTSUPP)
        return 1; // a device without queues to speak of
    if (ret)
        return ret;
    return (int)RTE_MAX(channels.rx_count + channels.combined_count, 1u);
}
