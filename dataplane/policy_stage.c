/* SPDX-License-Identifier: Apache-2.0 */
// The policy stage: each packet's key goes through the operator's tables, a burst at a time in each
// table, and what the rules say is done.
#include <string.h>

#include "dataplane/headers.h"
#include "dataplane/trace.h"

// Counts, and does what the rule says.
static inline enum policy_verdict apply(struct worker *w, struct port *in, struct policy_packet *pp,
                                        const struct policy_rule *rule, uint64_t now)
{
    const struct policy_actions *actions = policy_actions_at(rule, w->policy_version);
    struct policy_counters *counters = &w->policy_rules[rule->slot];
    struct rte_mbuf *m = pp->packet->mbuf;

    counters->packets++;
    counters->bytes += m->pkt_len;
    counters->used = now;
    switch (actions->shape) {
    case POLICY_NORMALS:
        return POLICY_NORMAL;
    case POLICY_DROPS:
        drop(w, in, m, DROP_policy);
        return POLICY_DONE;
    case POLICY_GOES_TO:
        pp->table = actions->table;
        return POLICY_GOTO;
    case POLICY_OUTPUTS:
        policy_output(w, in, m, actions->port, pp->vlans, false);
        return POLICY_DONE;
    default:
        pp->cookie = actions->cookie;
        return policy_execute(w, in, pp, actions->actions, actions->n);
    }
}

static enum policy_verdict miss(struct worker *w, const struct port *in,
                                const struct policy_packet *pp)
{
    if (!pp->table && !__atomic_load_n(&policy.miss_drops, __ATOMIC_RELAXED))
        return POLICY_NORMAL;
    drop(w, in, pp->packet->mbuf, DROP_policy_miss);
    return POLICY_DONE;
}

// Takes the packets through the table that they are all at. Those that go on to another one are the
// first of `here` then; returns how many.
static unsigned look_up(struct worker *w, struct port *in, struct policy_packet *here[], unsigned n)
{
    unsigned table = here[0]->table, n_on = 0, matches = 0;
    struct cls_rule *hits[BURST];
    uint64_t now = rte_rdtsc();

    if (likely(__atomic_load_n(&policy.n_rules[table], __ATOMIC_RELAXED))) {
        const struct match_key *keys[BURST];

        for (unsigned i = 0; i < n; i++)
            keys[i] = &here[i]->key;
        cls_lookup(policy.classifier[table], w->policy_version, keys, n, hits);
    } else {
        memset(hits, 0, n * sizeof hits[0]);
    }
    if (unlikely(w->trace != NULL))
        trace_table(w, here, hits, n);
    for (unsigned i = 0; i < n; i++) {
        struct policy_packet *pp = here[i];

        if (likely(hits[i])) {
            pp->verdict = apply(w, in, pp, policy_rule_of(hits[i]), now);
            matches++;
            if (pp->verdict == POLICY_GOTO)
                here[n_on++] = pp;
        } else {
            pp->verdict = miss(w, in, pp);
        }
    }
    w->policy_tables[table].lookups += n;
    w->policy_tables[table].matches += matches;
    return n_on;
}

// Takes those at the lowest table out of the waiting ones, in their order. Returns how many.
static unsigned take_lowest(struct policy_packet *waiting[], unsigned *n_waiting,
                            struct policy_packet *taken[])
{
    unsigned table = POLICY_TABLES, n = 0, left = 0;

    for (unsigned i = 0; i < *n_waiting; i++)
        table = RTE_MIN(table, waiting[i]->table);
    for (unsigned i = 0; i < *n_waiting; i++) {
        if (waiting[i]->table == table)
            taken[n++] = waiting[i];
        else
            waiting[left++] = waiting[i];
    }
    *n_waiting = left;
    return n;
}

// Takes packets that are all at one table to their ends. Rules send packets to later tables only.
static void run(struct worker *w, struct port *in, struct policy_packet *here[], unsigned n)
{
    struct policy_packet *waiting[BURST];
    unsigned n_waiting = 0;

    while (n) {
        unsigned n_on = look_up(w, in, here, n);

        for (unsigned i = 0; i < n_on; i++)
            waiting[n_waiting++] = here[i];
        n = take_lowest(waiting, &n_waiting, here);
    }
}

enum policy_verdict policy_run(struct worker *w, struct port *in, struct policy_packet *pp)
{
    run(w, in, &(struct policy_packet *){pp}, 1);
    return pp->verdict;
}

// Those that go on stay, in their order. Returns how many.
static uint16_t keep(struct worker *w, struct port *in, struct packet *packets,
                     const struct policy_packet *pps, unsigned n)
{
    uint16_t kept = 0;

    for (unsigned i = 0; i < n; i++) {
        if (unlikely(pps[i].verdict != POLICY_NORMAL))
            continue;
        if (unlikely(pps[i].vlans)) { // a rule has tagged it
            drop(w, in, packets[i].mbuf, DROP_policy_vlan);
            continue;
        }
        if (unlikely(kept != i))
            packets[kept] = packets[i];
        packets[kept].ip = ip4(packets[kept].mbuf); // actions may have moved it
        kept++;
    }
    return kept;
}

void policy_input(struct worker *w, struct burst *b)
{
    struct policy_packet pps[BURST], *todo[BURST];
    unsigned n = 0;

    for (unsigned i = 0; i < b->n4; i++) {
        pps[i].packet = &b->v4[i];
        policy_key4(&pps[i], b->port->no);
        todo[n++] = &pps[i];
    }
    for (unsigned i = 0; i < b->n6; i++) {
        struct policy_packet *pp = &pps[b->n4 + i];
        enum drop_reason reason;

        pp->packet = &b->v6[i];
        reason = policy_key6(pp, b->port->no);
        if (likely(reason == DROP_N)) {
            todo[n++] = pp;
        } else {
            drop(w, b->port, pp->packet->mbuf, reason);
            pp->verdict = POLICY_DONE;
        }
    }
    run(w, b->port, todo, n);
    b->n6 = keep(w, b->port, b->v6, pps + b->n4, b->n6);
    b->n4 = keep(w, b->port, b->v4, pps, b->n4);
}

void policy_bypass(struct worker *w, struct port *port, struct rte_mbuf *m)
{
    uint64_t version = w->policy_version;
    struct burst b;

    w->policy_version = 0;
    parse_again(w, &b, port, m);
    if (port->guarded)
        guard6(w, &b);
    forward4(w, &b);
    forward6(w, &b);
    w->policy_version = version;
}

bool policy_admits(struct worker *w, struct port *port, struct rte_mbuf **m)
{
    struct packet packet = {.mbuf = *m};
    struct policy_packet pp = {.packet = &packet};
    enum drop_reason reason;
    bool tagged;

    if (likely(!w->policy_version))
        return true;
    reason = policy_key_init(&pp, port->no);
    if (reason != DROP_N) {
        drop(w, port, *m, reason);
        return false;
    }
    tagged = pp.vlans;
    if (policy_run(w, port, &pp) != POLICY_NORMAL)
        return false;
    *m = packet.mbuf;
    if (tagged && !pp.vlans) {
        policy_bypass(w, port, *m);
        return false;
    }
    if (!tagged && pp.vlans) {
        drop(w, port, *m, DROP_policy_vlan);
        return false;
    }
    return true;
}
