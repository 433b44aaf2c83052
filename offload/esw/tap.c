/* SPDX-License-Identifier: Apache-2.0 */
// The TAP that is a VF's netdev. With persist=1 it outlives the process, as a VF does, and is found
// again, in whatever network namespace it is by then.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "offload/esw/esw.h"

#define NAMESPACES "/run/netns" // as of ip-netns(8); CNI runtimes use it too

// In the thread's namespace.
static int open_named(const struct esw_port *port, const char *name)
{
    struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), err;

    if (fd < 0)
        return -errno;
    snprintf(request.ifr_name, sizeof(request.ifr_name), "%.15s", name);
    if (ioctl(fd, TUNSETIFF, &request) || ioctl(fd, SIOCGIFHWADDR, &request))
        goto failed;
    // Setting what it has already would make the pod forget its neighbours.
    if (memcmp(request.ifr_hwaddr.sa_data, &port->mac, sizeof(port->mac))) {
        request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
        memcpy(request.ifr_hwaddr.sa_data, &port->mac, sizeof(port->mac));
        if (ioctl(fd, SIOCSIFHWADDR, &request))
            goto failed;
    }
    if (port->esw->persist && ioctl(fd, TUNSETPERSIST, 1))
        goto failed;
    return fd;
failed:
    err = -errno;
    close(fd);
    return err;
}

// The netdev of the thread's namespace that has the VF's MAC address.
static bool find_name(const struct esw_port *port, char name[IFNAMSIZ])
{
    struct if_nameindex *list = if_nameindex();
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool found = false;

    for (struct if_nameindex *one = list; fd >= 0 && one && one->if_name && !found; one++) {
        struct ifreq request = {0};

        snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", one->if_name);
        found = ioctl(fd, SIOCGIFHWADDR, &request) == 0 &&
                !memcmp(request.ifr_hwaddr.sa_data, &port->mac, sizeof(port->mac));
        if (found)
            memcpy(name, request.ifr_name, IFNAMSIZ);
    }
    if (list)
        if_freenameindex(list);
    if (fd >= 0)
        close(fd);
    return found;
}

static int open_in(const struct esw_port *port, int directory, const char *namespace)
{
    int fd = openat(directory, namespace, O_RDONLY | O_CLOEXEC), ret = -ENOENT;
    char name[IFNAMSIZ];

    if (fd < 0)
        return -errno;
    if (setns(fd, CLONE_NEWNET) == 0 && find_name(port, name))
        ret = open_named(port, name);
    close(fd);
    return ret;
}

// -ENOENT if it is in no namespace.
static int find_persistent(const struct esw_port *port)
{
    int home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), ret = -ENOENT;
    DIR *directory = opendir(NAMESPACES);
    struct dirent *entry;

    while (home >= 0 && directory && ret == -ENOENT && (entry = readdir(directory))) {
        if (entry->d_name[0] == '.')
            continue;
        ret = open_in(port, dirfd(directory), entry->d_name);
        if (ret < 0 && ret != -EBUSY) // a file that is no namespace, or one that is just going
            ret = -ENOENT;
    }
    if (directory)
        closedir(directory);
    if (home >= 0) {
        if (setns(home, CLONE_NEWNET))
            ret = -errno;
        close(home);
    }
    return ret;
}

int esw_tap_open(const struct esw_port *port)
{
    int fd = port->esw->persist ? find_persistent(port) : -ENOENT;

    return fd == -ENOENT ? open_named(port, port->backend.name) : fd;
}
