/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "cni/lock.h"

// One file for all attachments, each a byte of it: there is nothing to remove, at whatever instant
// a process is killed. In /run itself, as the daemon's folder there may come and go with the
// daemon.
#define PATH       "/run/sluice-cni.lock"
#define TIMEOUT_MS 20000
#define RETRY_MS   20

// FNV-1a; two attachments with one offset would only wait for each other.
static off_t offset_of(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3;
    return hash >> 2;
}

int lock_take(const char *host_name, int *fd, struct cni_error *error)
{
    // A lock of the open file description, which children inherit (fcntl(2), "Open file description
    // locks").
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = offset_of(host_name), .l_len = 1};
    int err;

    *fd = open(PATH, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0)
        return cni_fail(error, CNI_IO, "%s: %s", PATH, strerror(errno));
    for (int waited = 0; waited < TIMEOUT_MS; waited += RETRY_MS) {
        if (!fcntl(*fd, F_OFD_SETLK, &lock))
            return 0;
        if (errno != EAGAIN && errno != EACCES)
            break;
        usleep(RETRY_MS * 1000);
    }
    if (errno == EAGAIN || errno == EACCES)
        err = cni_fail(error, CNI_TRY_AGAIN,
                       "another command for this container and interface is still running");
    else
        err = cni_fail(error, CNI_IO, "%s: %s", PATH, strerror(errno));
    close(*fd);
    *fd = -1;
    return err;
}
