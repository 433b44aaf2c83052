/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/announce.h"

#include <limits.h>
#include <string.h>

#include "util.h"

struct announcement {
    unsigned uplink, range;
    struct in6_addr address;
    unsigned left;
    long long due_ms;
};

static unsigned announce_count, announce_interval_ms;
static announce_send_fn *announce_send;
static struct announcement *announcements;
static size_t n_announcements, n_allocated;
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

void announce_fini(void)
{
    free(announcements);
    announcements = NULL;
    n_announcements = n_allocated = 0;
}

static struct announcement *find(unsigned uplink, const struct in6_addr *address)
{
    for (size_t i = 0; i < n_announcements; i++) {
        if (announcements[i].uplink == uplink &&
            IN6_ARE_ADDR_EQUAL(&announcements[i].address, address))
            return &announcements[i];
    }
    return NULL;
}

void announce_add(unsigned uplink, unsigned range, const struct in6_addr *address, long long now_ms)
{
    struct announcement *announcement = find(uplink, address);

    if (announcement == NULL) {
        if (n_announcements == n_allocated)
            announcements = x2nrealloc(announcements, &n_allocated, sizeof(*announcements));
        announcement = &announcements[n_announcements++];
    }
    *announcement = (struct announcement){
        .uplink = uplink,
        .range = range,
        .address = *address,
        .left = announce_count,
        .due_ms = now_ms,
    };
}

// Removes those that are finished; keeps the order, so that none waits for ever.
static void sweep(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < n_announcements; i++) {
        if (announcements[i].left > 0)
            announcements[kept++] = announcements[i];
    }
    n_announcements = kept;
}

void announce_cancel(const struct in6_addr *address)
{
    for (size_t i = 0; i < n_announcements; i++) {
        if (IN6_ARE_ADDR_EQUAL(&announcements[i].address, address))
            announcements[i].left = 0;
    }
    sweep();
}

long long announce_run(long long now_ms)
{
    long long next = LLONG_MAX;
    bool wait = false; // for the next millisecond, as the pace or the lack of buffers says

    if (pace_ms != now_ms) {
        pace_ms = now_ms;
        pace_sent = 0;
    }
    for (size_t i = 0; i < n_announcements; i++) {
        struct announcement *a = &announcements[i];

        if (a->left > 0 && a->due_ms <= now_ms) {
            wait = wait || pace_sent >= ANNOUNCE_PER_MS ||
                   !announce_send(a->uplink, a->range, &a->address);
            if (wait) {
                next = now_ms + 1;
                break;
            }
            pace_sent++;
            a->left--;
            a->due_ms = now_ms + announce_interval_ms;
        }
        if (a->left > 0)
            next = MIN(next, a->due_ms);
    }
    sweep();
    return next;
}
