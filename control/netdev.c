/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/netdev.h"

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rtnetlink.h"

static netdev_changed_fn *netdev_changed;
static struct nln_notifier *notifier;
static int ioctl_fd = -1;

static void on_change(const struct rtnetlink_change *change, void *aux)
{
    (void)aux;
    if (change == NULL)
        netdev_changed(0, NULL, false);
    else if (rtnetlink_type_is_rtnlgrp_link(change->nlmsg_type) && !change->irrelevant)
        netdev_changed(change->if_index, change->ifname, change->nlmsg_type == RTM_DELLINK);
}

int netdev_watch(netdev_changed_fn *changed)
{
    netdev_changed = changed;
    ioctl_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (ioctl_fd < 0)
        return -errno;
    notifier = rtnetlink_notifier_create(on_change, NULL);
    return notifier ? 0 : -EIO;
}

void netdev_unwatch(void)
{
    rtnetlink_notifier_destroy(notifier);
    notifier = NULL;
    if (ioctl_fd >= 0)
        close(ioctl_fd);
    ioctl_fd = -1;
}

void netdev_watch_run(void)
{
    rtnetlink_run();
}

void netdev_watch_wait(void)
{
    rtnetlink_wait();
}

int netdev_index(const char *name)
{
    return (int)if_nametoindex(name);
}

bool netdev_carrier(const char *name)
{
    struct ifreq ifr = {0};

    strncpy(ifr.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(ioctl_fd, SIOCGIFFLAGS, &ifr) < 0)
        return false;
    return (ifr.ifr_flags & (IFF_UP | IFF_RUNNING)) == (IFF_UP | IFF_RUNNING);
}
