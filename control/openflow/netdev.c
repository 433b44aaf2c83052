/* SPDX-License-Identifier: Apache-2.0 */
// What ofproto wants to know of a port it asks a netdev: one of this class for each port, which
// only knows its name.
#include "control/openflow/internal.h"

#include <errno.h>

#include "netdev-provider.h"
#include "util.h"

static struct netdev *alloc(void)
{
    return xzalloc(sizeof(struct netdev));
}

static int construct(struct netdev *netdev)
{
    return switch_ports_find(netdev_get_name(netdev)) ? 0 : ENODEV;
}

static void destruct(struct netdev *netdev)
{
    (void)netdev;
}

static void dealloc(struct netdev *netdev)
{
    free(netdev);
}

static int get_etheraddr(const struct netdev *netdev, struct eth_addr *mac)
{
    const struct port_view *port = switch_ports_find(netdev_get_name(netdev));

    if (port == NULL)
        return ENODEV;
    *mac = port->mac;
    return 0;
}

static int get_carrier(const struct netdev *netdev, bool *carrier)
{
    const struct port_view *port = switch_ports_find(netdev_get_name(netdev));

    *carrier = port && port->carrier;
    return 0;
}

static int update_flags(struct netdev *netdev, enum netdev_flags off, enum netdev_flags on,
                        enum netdev_flags *old)
{
    (void)netdev;
    *old = NETDEV_UP | NETDEV_PROMISC;
    return off & NETDEV_UP || on & ~*old ? EOPNOTSUPP : 0;
}

int port_netdevs_register(void)
{
    static const struct netdev_class class = {
        .type = SWITCH_TYPE,
        .alloc = alloc,
        .construct = construct,
        .destruct = destruct,
        .dealloc = dealloc,
        .get_etheraddr = get_etheraddr,
        // No get_mtu: OpenFlow has no MTUs, and ofproto would ask every port for its own whenever
        // one comes or goes.
        .get_carrier = get_carrier,
        .update_flags = update_flags,
    };

    return netdev_register_provider(&class);
}
