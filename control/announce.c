/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/announce.h"

#include <limits.h>
#include <string.h>

#include "hash.h"
#include "openvswitch/hmap.h"
#include "openvswitch/list.h"
#include "util.h"

#define ANY_UPLINK UINT_MAX

struct announcement {
    struct hmap_node by_address;
    struct ovs_list order; // in `fresh` or `again`
    unsigned uplink, range;
    struct in6_addr address;
    unsigned left;
    long long due_ms;
};

static unsigned announce_count, announce_interval_ms;
static announce_send_fn *announce_send;
// Thousands may be announced at once: none is searched for, or looked at before it is due.
static struct hmap by_address = HMAP_INITIALIZER(&by_address);
static struct ovs_list fresh = OVS_LIST_INITIALIZER(&fresh); // not sent yet, oldest first
static struct ovs_list again = OVS_LIST_INITIALIZER(&again); // to be repeated, by due_ms
// What was sent in the millisecond pace_ms.
static long long pace_ms;
static unsigned pace_sent;

void announce_init(unsigned count, unsigned interval_ms, announce_send_fn *send)
{
    announce_count = count;
    announce_interval_ms = interval_ms;
    announce_send = send;
    pace_ms = LLONG_MIN;
}

static void finish(struct announcement *a)
{
    hmap_remove(&by_address, &a->by_address);
    ovs_list_remove(&a->order);
    free(a);
}

void announce_fini(void)
{
    struct announcement *a;

    HMAP_FOR_EACH_SAFE(a, by_address, &by_address)
    {
        finish(a);
    }
    hmap_destroy(&by_address);
    hmap_init(&by_address);
}

static uint32_t hash(const struct in6_addr *address)
{
    return hash_bytes(address, sizeof(*address), 0);
}

// On an uplink, or on any.
static struct announcement *find(unsigned uplink, const struct in6_addr *address)
{
    struct announcement *a;

    HMAP_FOR_EACH_WITH_HASH(a, by_address, hash(address), &by_address)
    {
        if ((uplink == ANY_UPLINK || a->uplink == uplink) &&
            IN6_ARE_ADDR_EQUAL(&a->address, address))
            return a;
    }
    return NULL;
}

void announce_add(unsigned uplink, unsigned range, const struct in6_addr *address, long long now_ms)
{
    struct announcement *a = find(uplink, address);

    if (a) {
        ovs_list_remove(&a->order);
    } else {
        a = xzalloc(sizeof(*a));
        a->uplink = uplink;
        a->address = *address;
        hmap_insert(&by_address, &a->by_address, hash(address));
    }
    a->range = range;
    a->left = announce_count;
    a->due_ms = now_ms;
    ovs_list_push_back(&fresh, &a->order);
}

void announce_cancel(const struct in6_addr *address)
{
    struct announcement *a;

    while ((a = find(ANY_UPLINK, address)))
        finish(a);
}

// The one to be sent next, those that are repeated before new ones; NULL if none is left.
static struct announcement *first(long long now_ms)
{
    struct announcement *a = NULL, *b = NULL;

    if (!ovs_list_is_empty(&again))
        a = CONTAINER_OF(ovs_list_front(&again), struct announcement, order);
    if (!ovs_list_is_empty(&fresh))
        b = CONTAINER_OF(ovs_list_front(&fresh), struct announcement, order);
    return a && (!b || a->due_ms <= now_ms) ? a : b;
}

long long announce_run(long long now_ms)
{
    struct announcement *a;

    if (pace_ms != now_ms) {
        pace_ms = now_ms;
        pace_sent = 0;
    }
    while ((a = first(now_ms)) && a->due_ms <= now_ms) {
        // As the pace or the lack of buffers says.
        if (pace_sent >= ANNOUNCE_PER_MS || !announce_send(a->uplink, a->range, &a->address))
            return now_ms + 1;
        pace_sent++;
        if (--a->left == 0) {
            finish(a);
            continue;
        }
        a->due_ms = now_ms + announce_interval_ms;
        ovs_list_remove(&a->order);
        ovs_list_push_back(&again, &a->order);
    }
    return a ? a->due_ms : LLONG_MAX;
}
