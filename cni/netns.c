/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cni/netns.h"

static const char own_path[] = "/proc/self/ns/net";

int netns_open(const char *path, int *fd, struct cni_error *error)
{
    struct stat pod, own;

    *fd = open(path, O_RDONLY | O_CLOEXEC);
    if (*fd < 0)
        return cni_fail(error, CNI_INVALID_ENVIRONMENT, "CNI_NETNS: %s: %s", path, strerror(errno));
    if (ioctl(*fd, NS_GET_NSTYPE) != CLONE_NEWNET)
        cni_fail(error, CNI_INVALID_ENVIRONMENT, "CNI_NETNS: %s is no network namespace", path);
    else if (fstat(*fd, &pod) || stat(own_path, &own))
        cni_fail(error, CNI_IO, "CNI_NETNS: %s: %s", path, strerror(errno));
    else if (pod.st_dev == own.st_dev && pod.st_ino == own.st_ino)
        cni_fail(error, CNI_INVALID_ENVIRONMENT,
                 "CNI_NETNS: %s is the node's own network namespace", path);
    else
        return 0;
    close(*fd);
    *fd = -1;
    return -EIO;
}

int netns_call(int fd, int (*fn)(void *arg, struct cni_error *error), void *arg,
               struct cni_error *error)
{
    int own = open(own_path, O_RDONLY | O_CLOEXEC);
    int err;

    if (own < 0)
        return cni_fail(error, CNI_IO, "%s: %s", own_path, strerror(errno));
    if (setns(fd, CLONE_NEWNET)) {
        err = cni_fail(error, CNI_KERNEL, "cannot enter the pod's network namespace: %s",
                       strerror(errno));
    } else {
        err = fn(arg, error);
        if (setns(own, CLONE_NEWNET))
            abort(); // all that follows would happen to the pod instead of the node
    }
    close(own);
    return err;
}
