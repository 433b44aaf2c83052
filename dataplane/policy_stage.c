/* SPDX-License-Identifier: Apache-2.0 */
// The policy stage: each packet's key goes through the operator's tables, a burst at a time in each
// table, and what the rules say is done.
#include "dataplane/policy.h"

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

// Takes the packets that are at one table through it.
static void look_up(struct worker *w, struct port *in, unsigned table,
                    struct policy_packet *const here[], unsigned n)
{
    struct cls_rule *hits[BURST] = {0};
    uint64_t now = rte_rdtsc(), matches = 0;

    if (likely(__atomic_load_n(&policy.n_rules[table], __ATOMIC_RELAXED))) {
        const struct match_key *keys[BURST];

        for (unsigned i = 0; i < n; i++)
            keys[i] = &here[i]->key;
        classifier_lookup(policy.classifier[table], w->policy_version, keys, n, hits);
    }
    for (unsigned i = 0; i < n; i++) {
        struct policy_packet *pp = here[i];

        if (likely(hits[i])) {
            pp->verdict = apply(w, in, pp, policy_rule_of(hits[i]), now);
            matches++;
        } else {
            pp->verdict = miss(w, in, pp);
        }
    }
    w->policy_tables[table].lookups += n;
    w->policy_tables[table].matches += matches;
}

// Table by table, the lowest first: a rule sends packets to later tables only.
static void run(struct worker *w, struct port *in, struct policy_packet *todo[], unsigned n)
{
    struct policy_packet *here[BURST];

    while (n) {
        unsigned table = POLICY_TABLES, n_here = 0, n_waiting = 0;

        for (unsigned i = 0; i < n; i++)
            table = RTE_MIN(table, todo[i]->table);
        for (unsigned i = 0; i < n; i++) {
            if (likely(todo[i]->table == table))
                here[n_here++] = todo[i];
            else
                todo[n_waiting++] = todo[i];
        }
        look_up(w, in, table, here, n_here);
        for (unsigned i = 0; i < n_here; i++)
            if (here[i]->verdict == POLICY_GOTO)
                todo[n_waiting++] = here[i];
        n = n_waiting;
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

// A frame whose tags the rules took away goes on as what it is now. It has been through the tables.
static void untagged_input(struct worker *w, struct port *port, struct rte_mbuf *m)
{
    uint64_t version = w->policy_version;
    struct burst b;

    b.port = port;
    w->policy_version = 0;
    parse_again(w, &b, m);
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
        untagged_input(w, port, *m);
        return false;
    }
    if (!tagged && pp.vlans) {
        drop(w, port, *m, DROP_policy_vlan);
        return false;
    }
    return true;
}
