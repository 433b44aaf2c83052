/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cni/offloads.h"
#include "util.h"

static int ethtool(int ioctl_socket, const char *ifname, void *command)
{
    struct ifreq request = {.ifr_data = command};

    ovs_strlcpy(request.ifr_name, ifname, sizeof request.ifr_name);
    return ioctl(ioctl_socket, SIOCETHTOOL, &request) < 0 ? -errno : 0;
}

static bool is_offload(const char *name)
{
    return !strncmp(name, "tx-", 3) && (strstr(name, "checksum") || strstr(name, "segmentation") ||
                                        strstr(name, "gso") || strstr(name, "vlan"));
}

// By the features' names, as the older commands of one word (ETHTOOL_STSO and the like) miss those
// that came later.
static int disable_by_name(int ioctl_socket, const char *ifname)
{
    struct {
        struct ethtool_sset_info info;
        uint32_t count; // what info.data points to
    } set = {.info = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1ULL << ETH_SS_FEATURES}};
    struct ethtool_gstrings *names;
    struct ethtool_sfeatures *change;
    size_t blocks;
    int err = ethtool(ioctl_socket, ifname, &set);

    if (err)
        return err;
    blocks = DIV_ROUND_UP(set.count, 32);
    names = xzalloc(sizeof *names + (size_t)set.count * ETH_GSTRING_LEN);
    *names = (struct ethtool_gstrings){
        .cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES, .len = set.count};
    change = xzalloc(sizeof *change + blocks * sizeof change->features[0]);
    *change = (struct ethtool_sfeatures){.cmd = ETHTOOL_SFEATURES, .size = blocks};
    err = ethtool(ioctl_socket, ifname, names);
    for (uint32_t i = 0; !err && i < names->len; i++)
        if (is_offload((const char *)names->data + (size_t)i * ETH_GSTRING_LEN))
            change->features[i / 32].valid |= 1u << i % 32; // and not requested: off
    if (!err)
        err = ethtool(ioctl_socket, ifname, change);
    free(change);
    free(names);
    return err;
}

int offloads_disable(int ioctl_socket, const char *ifname, struct cni_error *error)
{
    int err = disable_by_name(ioctl_socket, ifname);

    if (err)
        return cni_fail(error, CNI_KERNEL, "cannot turn off the transmit offloads of %s: %s",
                        ifname, strerror(-err));
    return 0;
}
