/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "util.h"

static int lock(const char *path, int flags, char **error)
{
    int fd = open(path, flags | O_CLOEXEC, 0644);
    int err;

    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    err = errno;
    if (fd < 0)
        *error = xasprintf("cannot open %s: %s", path, ovs_strerror(err));
    else if (err == EWOULDBLOCK)
        *error = xasprintf("another sluiced runs with %s: stop it first, or give this one a node "
                           "file with a socket and a state of its own",
                           path);
    else
        *error = xasprintf("cannot lock %s: %s", path, ovs_strerror(err));
    if (fd >= 0)
        close(fd);
    return -err;
}

int lock_file(const char *path, char **error)
{
    return lock(path, O_RDONLY, error);
}

int lock_pid_file(const char *path, char **error)
{
    int fd = lock(path, O_RDWR | O_CREAT, error);

    if (fd >= 0 && (ftruncate(fd, 0) || dprintf(fd, "%d\n", getpid()) < 0)) {
        *error = xasprintf("cannot write %s: %s", path, ovs_strerror(errno));
        close(fd);
        return -EIO;
    }
    return fd;
}
