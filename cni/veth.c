/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <linux/netlink.h>
#include <netlink/netlink.h>
#include <netlink/route/link.h>
#include <netlink/route/link/veth.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cni/sysctl.h"
#include "cni/veth.h"
#include "sha1.h"
#include "util.h"

#define GONE_TIMEOUT_MS 5000
#define GONE_RETRY_MS   20
#define ALIAS_SIZE      256 // IFALIASZ of linux/if.h, which does not go with net/if.h

void veth_identify(const struct cni_args *args, char name[IFNAMSIZ], uint8_t mac[6])
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567";
    // A container id holds no '/', so that no two attachments have the same text.
    char *text = xasprintf("%s/%s", args->container_id, args->ifname);
    uint8_t digest[SHA1_DIGEST_SIZE];

    sha1_bytes(text, strlen(text), digest);
    free(text);
    memcpy(name, "sl", 2);
    for (int i = 0; i < 13; i++) { // 5 bits each
        unsigned bit = 5 * i;
        unsigned pair = digest[bit / 8] << 8 | digest[bit / 8 + 1];

        name[2 + i] = digits[(pair >> (11 - bit % 8)) & 31];
    }
    name[15] = '\0';
    memcpy(mac, digest + 9, 6);
    mac[0] = (mac[0] & 0xfc) | 0x02; // locally administered, unicast (RFC 7042 section 2.1)
}

int veth_socket(struct nl_sock **nl, struct cni_error *error)
{
    int err;

    *nl = nl_socket_alloc();
    err = *nl ? nl_connect(*nl, NETLINK_ROUTE) : -NLE_NOMEM;
    if (!err)
        return 0;
    nl_socket_free(*nl);
    *nl = NULL;
    return cni_fail(error, CNI_KERNEL, "cannot open a netlink socket: %s", nl_geterror(err));
}

int veth_create(struct nl_sock *nl, const struct veth *veth, const struct cni_args *args, int netns,
                struct cni_error *error)
{
    struct rtnl_link *link = rtnl_link_veth_alloc();
    struct rtnl_link *peer = rtnl_link_veth_get_peer(link);
    struct nl_addr *mac = nl_addr_build(AF_LLC, veth->mac, sizeof veth->mac);
    int err;

    // One queue each: the daemon's AF_XDP socket reads the host end's queue 0, and the kernel would
    // spread what the pod sends over as many as there are.
    rtnl_link_set_name(link, veth->name);
    rtnl_link_set_mtu(link, veth->mtu);
    rtnl_link_set_num_tx_queues(link, 1);
    rtnl_link_set_num_rx_queues(link, 1);
    rtnl_link_set_name(peer, args->ifname);
    rtnl_link_set_mtu(peer, veth->mtu);
    rtnl_link_set_num_tx_queues(peer, 1);
    rtnl_link_set_num_rx_queues(peer, 1);
    rtnl_link_set_addr(peer, mac);
    rtnl_link_set_ns_fd(peer, netns);
    err = rtnl_link_add(nl, link, NLM_F_CREATE | NLM_F_EXCL);
    nl_addr_put(mac);
    rtnl_link_put(peer);
    rtnl_link_veth_release(link);
    if (err == -NLE_EXIST)
        return cni_fail(error, CNI_KERNEL,
                        "%s or the pod's %s is there already: an ADD that no DEL has followed",
                        veth->name, args->ifname);
    if (err)
        return cni_fail(error, CNI_KERNEL, "cannot make the veth pair %s, %s: %s", veth->name,
                        args->ifname, nl_geterror(err));
    return 0;
}

int veth_setup_host(struct nl_sock *nl, struct veth *veth, const struct cni_args *args,
                    struct cni_error *error)
{
    struct rtnl_link *link = NULL, *change;
    char alias[ALIAS_SIZE];
    int err;

    // Where the daemon reads the port by AF_PACKET the kernel sees each frame too. It must take
    // none: no IPv6; no ARP (IFF_NOARP); a strict reverse path (RFC 3704) that no address passes,
    // as no route leads here.
    err = sysctl_missing("ipv6") ? 0 : sysctl_set("ipv6", veth->name, "disable_ipv6", "1", error);
    if (!err)
        err = sysctl_set("ipv4", veth->name, "rp_filter", "1", error);
    if (err)
        return err;

    change = rtnl_link_alloc();
    snprintf(alias, sizeof alias, "%s/%s", args->container_id, args->ifname); // for people
    rtnl_link_set_ifalias(change, alias);
    rtnl_link_set_flags(change, IFF_UP | IFF_NOARP);
    err = rtnl_link_get_kernel(nl, 0, veth->name, &link);
    if (!err)
        err = rtnl_link_change(nl, link, change, 0);
    if (!err)
        memcpy(veth->host_mac, nl_addr_get_binary_addr(rtnl_link_get_addr(link)),
               sizeof veth->host_mac);
    rtnl_link_put(link);
    rtnl_link_put(change);
    if (err)
        return cni_fail(error, CNI_KERNEL, "cannot set up %s: %s", veth->name, nl_geterror(err));
    return 0;
}

int veth_wait_gone(struct nl_sock *nl, const char *name, struct cni_error *error)
{
    // The kernel removes a namespace's devices after the namespace is gone, and a namespace is gone
    // some time after its last process: milliseconds; more on a busy node, or when many go at once.
    for (int waited = 0;; waited += GONE_RETRY_MS) {
        struct rtnl_link *link = NULL;
        int err = rtnl_link_get_kernel(nl, 0, name, &link);

        rtnl_link_put(link);
        if (err == -NLE_NODEV || err == -NLE_OBJ_NOTFOUND)
            return 0;
        if (err)
            return cni_fail(error, CNI_KERNEL, "cannot look for %s: %s", name, nl_geterror(err));
        if (waited >= GONE_TIMEOUT_MS)
            return cni_fail(error, CNI_KERNEL,
                            "%s is there already: an ADD that no DEL has followed", name);
        usleep(GONE_RETRY_MS * 1000);
    }
}

int veth_delete(struct nl_sock *nl, const char *name, struct cni_error *error)
{
    struct rtnl_link *link = rtnl_link_alloc();
    int err;

    rtnl_link_set_name(link, name);
    err = rtnl_link_delete(nl, link);
    rtnl_link_put(link);
    if (err && err != -NLE_NODEV && err != -NLE_OBJ_NOTFOUND)
        return cni_fail(error, CNI_KERNEL, "cannot delete %s: %s", name, nl_geterror(err));
    return 0;
}
