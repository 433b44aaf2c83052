/* SPDX-License-Identifier: Apache-2.0 */
// Which pods are in a NIC that has no room for all: whole ones, in the order of offload_prefer and
// then of their coming. Rules of no pod, and the place holders of rules in software, come before
// any pod: without them the NIC would forward nothing.
#include <stdlib.h>

#include "offload/engine.h"

// Behind those that came before it, but for those that it goes before.
static void insert(struct pod *pod)
{
    struct pod *other;

    TAILQ_FOREACH_REVERSE(other, &engine.pods, pod_list, next)
    {
        if (other->rank <= pod->rank)
            break;
    }
    if (other)
        TAILQ_INSERT_AFTER(&engine.pods, other, pod, next);
    else
        TAILQ_INSERT_HEAD(&engine.pods, pod, next);
}

static bool is_in(const struct in6_addr *address, const struct offload_prefix *prefix)
{
    for (unsigned bit = 0; bit < prefix->length; bit++) {
        if ((address->s6_addr[bit / 8] ^ prefix->subnet.s6_addr[bit / 8]) & (0x80 >> bit % 8))
            return false;
    }
    return true;
}

static unsigned rank_of(const struct rule *rule)
{
    const struct match_fields *fields = &rule->match.spec;
    unsigned rank = 0;

    while (rank < engine.n_prefer &&
           !is_in(rule->table == RULE_TABLE_GUARD ? &fields->ip_src : &fields->ip_dst,
                  &engine.prefer[rank]))
        rank++;
    return rank;
}

static bool is_out_anywhere(const struct pod *pod)
{
    for (unsigned n = 0; n < NICS_MAX; n++) {
        if (pod->out[n])
            return true;
    }
    return false;
}

static void count(int pods, int out)
{
    pthread_mutex_lock(&engine.lock);
    engine.status.pods += (unsigned)pods;
    engine.status.pods_out += (unsigned)out;
    pthread_mutex_unlock(&engine.lock);
}

void pods_set_out(struct pod *pod, unsigned n, bool out)
{
    int before = is_out_anywhere(pod);

    pod->out[n] = out;
    count(0, is_out_anywhere(pod) - before);
}

static struct pod *find(uint64_t cookie)
{
    struct pod *pod;

    // The rules of a pod come one after the other.
    TAILQ_FOREACH_REVERSE(pod, &engine.pods, pod_list, next)
    {
        if (pod->cookie == cookie)
            break;
    }
    return pod;
}

// It does not overtake who waits for room.
static struct pod *make(uint64_t cookie, unsigned rank)
{
    struct pod *pod = calloc(1, sizeof(*pod)), *other;

    if (!pod)
        return NULL;
    pod->cookie = cookie;
    pod->rank = rank;
    TAILQ_INIT(&pod->rules);
    insert(pod);
    count(1, 0);
    for (unsigned n = 0; n < engine.n_nics; n++) {
        for (other = TAILQ_FIRST(&engine.pods); other != pod && !other->out[n];)
            other = TAILQ_NEXT(other, next);
        if (other != pod)
            pods_set_out(pod, n, true);
    }
    return pod;
}

void pods_join(struct offload_rule *orule)
{
    const struct rule *rule = &orule->rule;
    unsigned rank = rank_of(rule);
    struct pod *pod;

    if (!rule->cookie || engine.mode == OFFLOAD_OFF ||
        (rule->table != RULE_TABLE_GUARD && rule->table != RULE_TABLE_FORWARD))
        return;
    pod = find(rule->cookie);
    if (!pod)
        pod = make(rule->cookie, rank);
    if (!pod)
        return; // memory is short: it is on its own
    if (rank < pod->rank) {
        TAILQ_REMOVE(&engine.pods, pod, next);
        pod->rank = rank;
        insert(pod);
    }
    orule->pod = pod;
    if (rule->table == RULE_TABLE_GUARD)
        TAILQ_INSERT_HEAD(&pod->rules, orule, of_pod);
    else
        TAILQ_INSERT_TAIL(&pod->rules, orule, of_pod);
}

void pods_leave(struct offload_rule *orule)
{
    struct pod *pod = orule->pod;

    if (!pod)
        return;
    orule->pod = NULL;
    TAILQ_REMOVE(&pod->rules, orule, of_pod);
    if (!TAILQ_EMPTY(&pod->rules))
        return;
    // Those behind it may have waited for it only.
    for (unsigned n = 0; n < engine.n_nics; n++)
        engine.nics[n].room_came |= pod->out[n];
    count(-1, -(int)is_out_anywhere(pod));
    TAILQ_REMOVE(&engine.pods, pod, next);
    free(pod);
}

bool pods_is_out(const struct offload_rule *orule, unsigned n)
{
    return orule->pod && orule->pod->out[n];
}

static bool has_rule_in(const struct pod *pod, unsigned n)
{
    const struct offload_rule *orule;

    TAILQ_FOREACH(orule, &pod->rules, of_pod)
    {
        if (orule->places[n].kind == PLACE_FULL)
            return true;
    }
    return false;
}

struct pod *pods_last(const struct offload_rule *orule, unsigned n, enum place_kind kind)
{
    struct pod *pod;

    TAILQ_FOREACH_REVERSE(pod, &engine.pods, pod_list, next)
    {
        if (pod == orule->pod && kind == PLACE_FULL)
            return pod;
        // Who must be in the NIC is not taken out for others.
        if (!pod->out[n] && has_rule_in(pod, n) && engine.mode != OFFLOAD_REQUIRE)
            return pod;
    }
    return NULL;
}

static int room_for(const struct pod *pod, unsigned n)
{
    const struct offload_rule *orule;
    int rules = 0;

    TAILQ_FOREACH(orule, &pod->rules, of_pod)
    rules += !orule->places[n].kind && !orule->places[n].no_full && engine_is_home(orule, n);
    return rules ? rules : 1; // a place holder goes after what it stands for came
}

void pods_let_in(unsigned n, int room)
{
    struct offload_rule *orule;
    struct pod *pod;

    TAILQ_FOREACH(pod, &engine.pods, next)
    {
        if (!pod->out[n])
            continue;
        room -= room_for(pod, n);
        if (room < 0)
            return;
        pods_set_out(pod, n, false);
        // What has a place holder first, as it needs no room in the end.
        TAILQ_FOREACH_REVERSE(orule, &pod->rules, pod_rules, of_pod)
        engine_queue(orule);
    }
}

void pods_forget(unsigned n)
{
    struct pod *pod;

    TAILQ_FOREACH(pod, &engine.pods, next)
    pods_set_out(pod, n, false);
}
