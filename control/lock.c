/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

// A daemon that was killed keeps its locks until the kernel has taken all its memory back.
#define WAIT_MS 2000
#define STEP_MS 10

// Is the file that was locked still the one at `path`? Its last holder removes it when it ends.
static bool is_current(int fd, const char *path)
{
    struct stat locked, current;

    return fstat(fd, &locked) == 0 && stat(path, &current) == 0 &&
           locked.st_ino == current.st_ino && locked.st_dev == current.st_dev;
}

static int lock(const char *path, char **error)
{
    for (int waited = 0; waited < WAIT_MS; waited += STEP_MS) {
        int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

        if (fd < 0) {
            int err = errno;
            *error = xasprintf("cannot open %s: %s", path, ovs_strerror(err));
            return -err;
        }
        if (flock(fd, LOCK_EX | LOCK_NB) == 0 && is_current(fd, path))
            return fd;
        close(fd);
        usleep(STEP_MS * 1000);
    }
    *error = xasprintf("another sluiced holds %s: stop it first, or give this one a node file with "
                       "a socket and a state of its own",
                       path);
    return -EBUSY;
}

int lock_pid_file(const char *path, char **error)
{
    int fd = lock(path, error);

    if (fd >= 0 && (ftruncate(fd, 0) || dprintf(fd, "%d\n", getpid()) < 0)) {
        *error = xasprintf("cannot write %s: %s", path, ovs_strerror(errno));
        close(fd);
        return -EIO;
    }
    return fd;
}
