/* SPDX-License-Identifier: Apache-2.0 */
#include "control/member_map.h"

static bool usable(const struct member *member)
{
    return member->carrier && member->answers && member->known;
}

static bool fallback(const struct member *member)
{
    return member->carrier && member->known;
}

static bool any(const struct member *members, unsigned n, bool (*test)(const struct member *),
                const bool *among)
{
    for (unsigned i = 0; i < n; i++) {
        if (test(&members[i]) && (among == NULL || among[i]))
            return true;
    }
    return false;
}

enum member_choice members_choose(const struct member *members, unsigned n, bool *in_use)
{
    if (any(members, n, usable, NULL)) {
        for (unsigned i = 0; i < n; i++)
            in_use[i] = usable(&members[i]);
        return MEMBERS_ANSWERING;
    }
    // The last good ones without carrier cannot be used; if that leaves none, any with carrier
    // whose gateway was ever seen is better than none.
    bool keep = any(members, n, fallback, in_use);
    for (unsigned i = 0; i < n; i++)
        in_use[i] = fallback(&members[i]) && (!keep || in_use[i]);
    return any(members, n, fallback, NULL) ? MEMBERS_LAST_GOOD : MEMBERS_NONE;
}

bool members_fill(const struct member *members, unsigned n, const bool *in_use,
                  struct dp_member_map *map, unsigned range)
{
    unsigned used[DP_MEMBERS_MAX], n_used = 0;
    bool changed;

    for (unsigned i = 0; i < n; i++) {
        if (in_use[i])
            used[n_used++] = i;
    }
    changed = map->gateway[range].valid != (n_used > 0);
    map->gateway[range].valid = n_used > 0;
    for (unsigned b = 0; b < DP_BUCKETS && n_used > 0; b++) {
        unsigned home = b % n;
        const struct member *member = &members[in_use[home] ? home : used[b / n % n_used]];

        changed |= map->gateway[range].bucket[b].port != member->port ||
                   !rte_is_same_ether_addr(&map->gateway[range].bucket[b].gateway_mac,
                                           &member->gateway_mac);
        map->gateway[range].bucket[b].port = member->port;
        map->gateway[range].bucket[b].gateway_mac = member->gateway_mac;
    }
    return changed;
}
