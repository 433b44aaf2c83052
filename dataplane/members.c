/* SPDX-License-Identifier: Apache-2.0 */
// The ranges and the member map, as the control thread sets them and the workers read them.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/internal.h"

int dp_gateways_set(const struct dp_gateway *gateways, unsigned n)
{
    if (n > DP_GATEWAYS_MAX)
        return -E2BIG;
    memcpy(dp.gateways, gateways, n * sizeof *gateways);
    dp.n_gateways = n;
    return 0;
}

int dp_member_map_set(const struct dp_member_map *map)
{
    struct members *members = calloc(1, sizeof *members), *old = dp.members;

    if (!members)
        return -ENOMEM;
    for (unsigned g = 0; g < DP_GATEWAYS_MAX; g++) {
        members->gateway[g].valid = map->gateway[g].valid;
        for (unsigned b = 0; map->gateway[g].valid && b < DP_BUCKETS; b++) {
            struct fwd_entry *entry = &members->gateway[g].bucket[b];

            entry->port = map->gateway[g].bucket[b].port;
            if (!entry->port || entry->port > PORT_MAX || !dp.ports[entry->port]) {
                free(members);
                return -EINVAL;
            }
            entry->mtu = dp.ports[entry->port]->mtu;
            memcpy(entry->macs, &map->gateway[g].bucket[b].gateway_mac, RTE_ETHER_ADDR_LEN);
            memcpy(entry->macs + RTE_ETHER_ADDR_LEN, &map->src_mac, RTE_ETHER_ADDR_LEN);
        }
    }
    members->masked = map->masked;
    store_release(&dp.members, members);
    rcu_wait();
    free(old);
    return 0;
}
