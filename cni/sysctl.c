/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cni/sysctl.h"

int sysctl_set(const char *family, const char *ifname, const char *key, const char *value,
               struct cni_error *error)
{
    char path[128];
    int fd, err = 0;

    snprintf(path, sizeof path, "/proc/sys/net/%s/conf/%s/%s", family, ifname, key);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, strlen(value)) < 0)
        err = cni_fail(error, CNI_KERNEL, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return err;
}

bool sysctl_missing(const char *family)
{
    char path[64];

    snprintf(path, sizeof path, "/proc/sys/net/%s", family);
    return access(path, F_OK) != 0;
}
