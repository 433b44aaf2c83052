/* SPDX-License-Identifier: Apache-2.0 */
// Which rules are in which NIC, and bringing them there. See docs/offload.md, "What must hold".
#include "offload/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <rte_ethdev.h>

#define RETRY_S 1 // after a driver said what it may take back

struct engine engine = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct offload_rule *rule_of(struct plan_node *node)
{
    return (struct offload_rule *)node;
}

static void stop_waiting(struct offload_rule *orule)
{
    if (orule->waiting)
        TAILQ_REMOVE(&engine.waiting, orule, work);
    orule->waiting = false;
}

void engine_queue(struct offload_rule *orule)
{
    stop_waiting(orule);
    if (orule->queued)
        return;
    orule->queued = true;
    TAILQ_INSERT_TAIL(&engine.queue, orule, work);
}

static void dequeue(struct offload_rule *orule)
{
    if (orule->queued)
        TAILQ_REMOVE(&engine.queue, orule, work);
    orule->queued = false;
}

// In the order of the table it would not need to wait twice; but it is rare.
static bool queue_visit(struct plan_node *node, void *arg)
{
    (void)arg;
    engine_queue(rule_of(node));
    return true;
}

void engine_queue_all(void)
{
    for (int table = RULE_TABLE_N - 1; table >= 0; table--)
        plan_each(table, queue_visit, NULL);
}

static int port_of(uint16_t no, struct offload_port *port)
{
    const struct engine_port *known = &engine.ports[no <= PORT_MAX ? no : PORT_NONE];

    *port = known->port;
    return known->known ? known->err : -ENODEV;
}

// The NIC of a port; -1: none.
static int nic_of(uint16_t no)
{
    const struct engine_port *port = &engine.ports[no <= PORT_MAX ? no : PORT_NONE];

    return port->known && !port->err ? port->nic : -1;
}

uint16_t engine_out_port(const struct rule *rule)
{
    for (unsigned i = 0; i < rule->n_actions; i++) {
        if (rule->actions[i].type == ACTION_OUTPUT)
            return rule->actions[i].port;
    }
    return PORT_NONE;
}

// Behind the guard, NICs forward IP packets without a tag, nothing else.
static bool is_of_no_packet(const struct rule *rule)
{
    const struct match_fields *spec = &rule->match.spec, *mask = &rule->match.mask;

    return rule->table != RULE_TABLE_GUARD &&
           (spec->vlan_tci || (mask->eth_type == RTE_BE16(0xffff) &&
                               spec->eth_type != RTE_BE16(RTE_ETHER_TYPE_IPV4) &&
                               spec->eth_type != RTE_BE16(RTE_ETHER_TYPE_IPV6)));
}

// Does the rule have anything to say of packets in this NIC? Under engine.lock or not: ports
// change in between, and then it is asked again.
static bool concerns(const struct offload_rule *orule, unsigned n)
{
    if (orule->last && !(engine.policy && engine.miss_normal))
        return false;
    if (is_of_no_packet(&orule->rule))
        return false;
    return orule->rule.match.in_port == PORT_NONE || nic_of(orule->rule.match.in_port) == (int)n;
}

bool engine_is_home(const struct offload_rule *orule, unsigned n)
{
    uint16_t out = engine_out_port(&orule->rule);

    if (!concerns(orule, n))
        return false;
    if (orule->rule.match.in_port != PORT_NONE)
        return nic_of(orule->rule.match.in_port) == (int)n;
    return out == PORT_NONE || nic_of(out) == (int)n;
}

__attribute__((format(printf, 2, 3))) static void say(char **why, const char *format, ...)
{
    va_list args;

    free(*why);
    va_start(args, format);
    if (vasprintf(why, format, args) < 0)
        *why = NULL;
    va_end(args);
}

static const char *no_nic(uint16_t no)
{
    const struct engine_port *port = &engine.ports[no <= PORT_MAX ? no : PORT_NONE];

    return port->known && !port->err && port->nic < 0 ? port->why_not : NULL;
}

int engine_build(const struct offload_rule *orule, unsigned n, enum place_kind kind,
                 struct flow *flow, char **why)
{
    struct flow_way way = {
        .policy = engine.policy,
        .last = orule->last,
        .software = kind == PLACE_SOFTWARE,
        .rewrite = engine.nics[n].rewrite,
    };
    const struct rule *rule = &orule->rule;
    uint16_t out = engine_out_port(rule);
    const char *none;
    int err;

    *why = NULL;
    pthread_mutex_lock(&engine.lock);
    none = no_nic(rule->match.in_port);
    if (!none && kind == PLACE_FULL)
        none = no_nic(out);
    err = none ? -ENODEV : flow_build(rule, port_of, &way, flow, why);
    if (none)
        say(why, "%s", none);
    if (!err && kind == PLACE_FULL && flow->outputs && nic_of(out) != (int)n && out != PORT_NONE) {
        say(why, "it sends to a port that is not of the NIC that the packet comes in by");
        err = -EXDEV;
    }
    pthread_mutex_unlock(&engine.lock);
    flow->ethdev = engine.nics[n].ethdev;
    return err;
}

struct question {
    const struct offload_rule *orule;
    unsigned n;
    const struct offload_rule *blocker;
    bool open; // it takes part whose outcome is not known
};

// Is the NIC still to say what became of it?
static bool is_open(const struct place *place)
{
    return place->handle.state != NIC_RULE_DONE;
}

static bool same_level_visit(struct plan_node *node, void *arg)
{
    struct question *question = arg;

    if (!concerns(rule_of(node), question->n))
        return true;
    question->blocker = rule_of(node);
    return false;
}

static bool higher_visit(struct plan_node *node, void *arg)
{
    struct question *question = arg;
    const struct place *place = &rule_of(node)->places[question->n];

    if (!concerns(rule_of(node), question->n))
        return true;
    question->open |= is_open(place);
    if (place->kind)
        return true;
    question->blocker = rule_of(node);
    return false;
}

// Do the other rules let it into this NIC?
static bool is_let_in(struct offload_rule *orule, unsigned n, char **why)
{
    struct question question = {.orule = orule, .n = n};
    bool let_in;

    if (pods_is_out(orule, n)) {
        say(why, "the NIC has no room for all rules of this pod; they go in together when others "
                 "have left");
        return false;
    }
    if (!plan_overlaps(&orule->node, PLAN_SAME, same_level_visit, &question)) {
        say(why, question.blocker->rule.priority == orule->rule.priority
                     ? "another rule of its priority matches some of its packets"
                     : "another rule of nearly its priority matches some of its packets, and NICs "
                       "have fewer priorities");
        return false;
    }
    do {
        question.open = false;
        let_in = plan_overlaps(&orule->node, PLAN_HIGHER, higher_visit, &question);
    } while (let_in && question.open && engine_finish());
    if (!let_in)
        say(why, "a rule of higher priority for some of its packets is not in the NIC");
    return let_in;
}

static void settle(struct offload_rule *orule);
static bool evict_visit(struct plan_node *node, void *arg);
static bool unblock_visit(struct plan_node *node, void *arg);

void engine_save_counts(struct offload_rule *orule, const struct place *place)
{
    pthread_mutex_lock(&engine.lock);
    if (place->kind == PLACE_FULL) {
        orule->before.packets += place->packets;
        orule->before.bytes += place->bytes;
    }
    pthread_mutex_unlock(&engine.lock);
}

static void came(struct nic *nic)
{
    nic->n_rules++;
    nic->room--;
}

static void left(struct nic *nic)
{
    nic->n_rules--;
    nic->room++;
    nic->room_came = nic->room_came || nic->room > 0;
}

static void destroy_place(struct offload_rule *orule, unsigned n, struct place *place)
{
    struct nic *nic = &engine.nics[n];

    audit_read(orule);
    engine_save_counts(orule, place);
    nic_destroy(nic, &place->handle, true);
    left(nic);
    *place = (struct place){.no_full = place->no_full, .no_software = place->no_software};
}

void engine_forget(struct offload_rule *orule, unsigned n)
{
    destroy_place(orule, n, &orule->places[n]);
    plan_overlaps(&orule->node, PLAN_LOWER, evict_visit, &n);
    engine_queue(orule);
}

// Creates the rule in the NIC, saying the actions one way and the other. Negative errno. Not
// `wait`: see nic_create.
static int create(struct offload_rule *orule, unsigned n, enum place_kind kind, struct flow *flow,
                  bool wait, struct nic_rule *made, char **why)
{
    struct nic *nic = &engine.nics[n];
    struct rte_flow_error error = {.type = RTE_FLOW_ERROR_TYPE_NONE}, other_error;
    const char *what = NULL;
    char *other_why;
    int err;

    err = nic_add_exceptions(nic, FLOW_EXCEPTIONS_ALWAYS, &what, &error);
    if (!err && flow->narrowed)
        err = nic_add_exceptions(nic, capabilities_fragments(nic), &what, &error);
    if (err) {
        free(*why);
        *why = nic_refusal(nic->driver, err, &error, what);
        return err;
    }
    err = nic_create(nic, flow, wait, made, &error);
    if (err && error.type >= RTE_FLOW_ERROR_TYPE_ACTION_NUM && kind == PLACE_FULL) {
        enum flow_rewrite known = nic->rewrite;

        nic->rewrite = known == FLOW_REWRITE_SET ? FLOW_REWRITE_MODIFY : FLOW_REWRITE_SET;
        if (!engine_build(orule, n, kind, flow, &other_why))
            nic_create(nic, flow, wait, made, &other_error);
        free(other_why);
        if (made->flow)
            return 0;
        nic->rewrite = known;
    }
    if (err) {
        free(*why);
        *why = nic_refusal(nic->driver, err, &error, NULL);
    }
    return err;
}

static void count_under_way(struct offload_rule *orule)
{
    if (!orule->under_way)
        TAILQ_INSERT_TAIL(&engine.under_way, orule, then);
    orule->under_way = true;
}

// Puts the rule, or its place holder, into the NIC; what of it was there goes afterwards. Negative
// errno. Where nothing was, the NIC may still be about to do it, and say that it cannot:
// engine_finish().
static int put(struct offload_rule *orule, unsigned n, enum place_kind kind, char **why)
{
    struct place *place = &orule->places[n], old;
    struct nic *nic = &engine.nics[n];
    bool wait = place->kind || orule->alone;
    struct nic_rule handle, *made = wait ? &handle : &place->handle;
    struct flow flow;
    bool *refused = kind == PLACE_FULL ? &place->no_full : &place->no_software;
    char *sentence = NULL;
    int err;

    if (*refused) {
        if (!*why && orule->why_not)
            *why = strdup(orule->why_not);
        return -ENOTSUP;
    }
    err = engine_build(orule, n, kind, &flow, &sentence);
    if (err) { // it may be built when its ports are others
        if (!*why)
            *why = sentence;
        else
            free(sentence);
        return err;
    }
    err = create(orule, n, kind, &flow, wait, made, &sentence);
    if (err) {
        if (nic_may_later(err) && !orule->waiting && !orule->queued) {
            orule->waiting = true;
            TAILQ_INSERT_TAIL(&engine.waiting, orule, work);
            if (err != -ENOSPC)
                engine.retry_at = engine_now() + RETRY_S * 1000000000ULL;
        } else if (!nic_may_later(err)) {
            *refused = true;
        }
        if (err == -ENOSPC)
            nic->room = 0;
        if (!*why) // of the rule itself rather than of its place holder
            *why = sentence;
        else
            free(sentence);
        if (!nic->n_rules)
            nic_remove_exceptions(nic);
        return err;
    }
    free(sentence);
    old = *place;
    *place = (struct place){.handle = *made,
                            .kind = (uint8_t)kind,
                            .line = nic->dump == DUMP_LINES ? audit_line(&flow) : 0};
    came(nic);
    if (is_open(place))
        count_under_way(orule);
    if (old.kind)
        destroy_place(orule, n, &old);
    else
        plan_overlaps(&orule->node, PLAN_LOWER, unblock_visit, &n);
    return 0;
}

// Is a place holder of any use?
static bool may_hold_place(const struct offload_rule *orule)
{
    if (orule->last)
        return false;
    // What the guard does not let pass is software's anyway, unless a rule says so explicitly.
    return orule->rule.table != RULE_TABLE_GUARD ||
           (orule->rule.n_actions > 0 && orule->rule.actions[0].type == ACTION_PUNT);
}

void engine_take_out(struct offload_rule *orule, unsigned n)
{
    struct place *place = &orule->places[n], old;

    if (is_open(place))
        engine_finish();
    if (!place->kind)
        return;
    old = *place;
    place->kind = PLACE_NONE;
    place->handle.flow = NULL;
    plan_overlaps(&orule->node, PLAN_LOWER, evict_visit, &n);
    destroy_place(orule, n, &old);
    *place = old;
    if (!engine.nics[n].n_rules)
        nic_remove_exceptions(&engine.nics[n]);
}

// Takes a pod out of a full NIC, so that the rule can be in it. False: there is none that comes
// after it.
static bool make_room(struct offload_rule *orule, unsigned n, enum place_kind kind)
{
    struct offload_rule *other;
    struct pod *pod;

    // Operators' rules come when they come: so many could take out all pods, and be for nobody.
    if (engine.making_room || rule_table_is_policy(orule->rule.table))
        return false;
    pod = pods_last(orule, n, kind);
    if (!pod)
        return false;
    pods_set_out(pod, n, true);
    engine.making_room = true;
    TAILQ_FOREACH(other, &pod->rules, of_pod)
    {
        if (other != orule)
            settle(other);
    }
    engine.making_room = false;
    return true;
}

// Brings one rule in one NIC to what it may be there. True: it is settled as it should be.
static bool settle_in(struct offload_rule *orule, unsigned n, char **why)
{
    struct place *place = &orule->places[n];

    if (is_open(place))
        engine_finish();
    if (!concerns(orule, n) || __atomic_load_n(&engine.nics[n].gone, __ATOMIC_ACQUIRE)) {
        if (place->kind)
            engine_take_out(orule, n);
        say(why, engine.nics[n].stuck  ? NIC_STUCK
                 : engine.nics[n].gone ? NIC_GONE
                                       : "no packet in the NIC matches it");
        return false;
    }
    for (;;) {
        bool may = engine_is_home(orule, n) && is_let_in(orule, n, why);
        int err;

        if (may && place->kind == PLACE_FULL)
            return true;
        err = may ? put(orule, n, PLACE_FULL, why) : -EPERM;
        if (!err)
            return true;
        if (err != -ENOSPC || !make_room(orule, n, PLACE_FULL)) {
            if (place->kind == PLACE_SOFTWARE)
                return false;
            err = may_hold_place(orule) ? put(orule, n, PLACE_SOFTWARE, why) : -EPERM;
            if (!err)
                return false;
            if (err != -ENOSPC || !make_room(orule, n, PLACE_SOFTWARE))
                break;
        }
        // What let it in may have gone with the pod.
        stop_waiting(orule);
        free(*why);
        *why = NULL;
    }
    if (!place->kind) {
        plan_overlaps(&orule->node, PLAN_LOWER, evict_visit, &n);
        return false;
    }
    engine_take_out(orule, n);
    // Now there is room for the place holder.
    if (engine.making_room && may_hold_place(orule) && !put(orule, n, PLACE_SOFTWARE, why))
        stop_waiting(orule);
    return false;
}

static void publish(struct offload_rule *orule, bool in_nic, char *why)
{
    pthread_mutex_lock(&engine.lock);
    orule->in_nic = in_nic;
    orule->settled = true;
    free(orule->why_not);
    orule->why_not = in_nic ? NULL : why;
    pthread_mutex_unlock(&engine.lock);
    if (in_nic)
        free(why);
}

// It was not put in after all; likely the NIC is full.
static void did_not_come(struct offload_rule *orule, unsigned n)
{
    struct place *place = &orule->places[n];

    *place = (struct place){.no_full = place->no_full, .no_software = place->no_software};
    engine.nics[n].n_rules--;
    engine.nics[n].room = 0;
    pthread_mutex_lock(&engine.lock);
    engine.status.created--;
    engine.status.refused++;
    pthread_mutex_unlock(&engine.lock);
}

bool engine_finish(void)
{
    struct offload_rule *orule;
    bool any = false;

    for (unsigned n = 0; n < engine.n_nics; n++) {
        any = any || engine.nics[n].n_operations;
        operations_finish(&engine.nics[n]);
    }
    while ((orule = TAILQ_FIRST(&engine.under_way))) {
        bool failed = false;

        any = true;
        TAILQ_REMOVE(&engine.under_way, orule, then);
        orule->under_way = false;
        for (unsigned n = 0; n < engine.n_nics; n++) {
            if (orule->places[n].handle.state != NIC_RULE_FAILED)
                continue;
            did_not_come(orule, n);
            failed = true;
        }
        // Alone it is told at once what it may be, and then who has to make room.
        orule->alone = failed;
        if (failed)
            engine_queue(orule);
        else if (orule->in_then)
            publish(orule, true, NULL);
    }
    return any;
}

static const char *why_nowhere(const struct offload_rule *orule)
{
    const struct rule *rule = &orule->rule;

    if (is_of_no_packet(rule))
        return "it is for tagged frames or for what is not IP, which are software's";
    if (orule->last && !engine.policy)
        return "the operator has no rules";
    if (no_nic(rule->match.in_port))
        return no_nic(rule->match.in_port);
    if (no_nic(engine_out_port(rule)))
        return no_nic(engine_out_port(rule));
    return engine.n_nics ? "no NIC has a port that it is for" : "there is no NIC that takes rules";
}

// Why it cannot be said at all; the port that it names may be none of a NIC.
static void say_why_nowhere(struct offload_rule *orule, char **why)
{
    struct flow flow;
    struct flow_way way = {.policy = engine.policy, .last = orule->last};

    free(*why);
    *why = NULL;
    pthread_mutex_lock(&engine.lock);
    if (is_of_no_packet(&orule->rule) || flow_build(&orule->rule, port_of, &way, &flow, why) == 0)
        say(why, "%s", why_nowhere(orule));
    pthread_mutex_unlock(&engine.lock);
}

static void settle(struct offload_rule *orule)
{
    unsigned homes = 0, full = 0;
    char *first_why = NULL;

    stop_waiting(orule);
    if (engine.mode == OFFLOAD_OFF) {
        say(&first_why, "offload is off in the node file");
        publish(orule, false, first_why);
        return;
    }
    for (unsigned n = 0; n < engine.n_nics; n++) {
        bool home = engine_is_home(orule, n);
        char *why = NULL;
        bool in = settle_in(orule, n, &why);

        homes += home;
        full += home && in;
        if (home && !in && !first_why)
            first_why = why;
        else
            free(why);
    }
    if (!homes)
        say_why_nowhere(orule, &first_why);
    orule->alone = false;
    orule->in_then = homes && full == homes;
    if (!orule->in_then || !orule->under_way)
        publish(orule, orule->in_then, first_why);
}

// `orule` above it is not there: it must not be there either, unless it leaves its packets to
// software.
static bool evict_visit(struct plan_node *node, void *arg)
{
    struct offload_rule *orule = rule_of(node);

    if (orule->places[*(unsigned *)arg].kind == PLACE_FULL)
        settle(orule);
    return true;
}

static bool unblock_visit(struct plan_node *node, void *arg)
{
    if (rule_of(node)->places[*(unsigned *)arg].kind != PLACE_FULL)
        engine_queue(rule_of(node));
    return true;
}

static bool settle_visit(struct plan_node *node, void *arg)
{
    (void)arg;
    settle(rule_of(node));
    return true;
}

// The first of the operator's rules comes or the last one goes: where the guard goes on to is
// another. Meanwhile all is software's.
static void switch_policy(void)
{
    // The rule for a miss is always there; an empty table 0 that drops is one to go to, too.
    bool policy = !engine.miss_normal || plan_count(RULE_TABLE_POLICY) > 1;
    struct offload_rule *orule;

    for (unsigned table = RULE_TABLE_POLICY + 1; table < RULE_TABLE_FORWARD; table++)
        policy = policy || plan_count(table);
    if (policy == engine.policy)
        return;
    engine_finish();
    engine.policy = policy;
    TAILQ_FOREACH(orule, &engine.all, all)
    {
        for (unsigned n = 0; n < engine.n_nics && orule->rule.table == RULE_TABLE_GUARD; n++) {
            if (orule->places[n].kind == PLACE_FULL)
                destroy_place(orule, n, &orule->places[n]);
        }
    }
    settle(engine.miss);
    plan_each(RULE_TABLE_GUARD, settle_visit, NULL);
}

static void add(struct offload_rule *orule)
{
    int level = orule->last ? PLAN_LEVEL_LAST : (int)flow_level(orule->rule.priority);

    TAILQ_INSERT_TAIL(&engine.all, orule, all);
    if (plan_add(&orule->node, &orule->rule.match, orule->rule.table, level)) {
        publish(orule, false, NULL);
        return;
    }
    orule->planned = true;
    pods_join(orule);
    if (rule_table_is_policy(orule->rule.table))
        switch_policy();
    if (engine.mode != OFFLOAD_OFF)
        plan_overlaps(&orule->node, PLAN_SAME, settle_visit, NULL);
    settle(orule);
}

static void remove_rule(struct offload_rule *orule)
{
    if (orule->under_way)
        engine_finish();
    dequeue(orule);
    stop_waiting(orule);
    for (unsigned n = 0; n < engine.n_nics; n++) {
        if (!orule->places[n].kind)
            continue;
        nic_destroy(&engine.nics[n], &orule->places[n].handle, false);
        left(&engine.nics[n]);
        if (!engine.nics[n].n_rules)
            nic_remove_exceptions(&engine.nics[n]);
    }
    audit_forget(orule);
    pods_leave(orule);
    TAILQ_REMOVE(&engine.all, orule, all);
    if (orule->planned) {
        for (unsigned n = 0; n < engine.n_nics; n++) {
            plan_overlaps(&orule->node, PLAN_LOWER, unblock_visit, &n);
            plan_overlaps(&orule->node, PLAN_SAME, unblock_visit, &n);
        }
        plan_remove(&orule->node);
    }
    if (rule_table_is_policy(orule->rule.table))
        switch_policy();
    free(orule->why_not);
    free(orule);
}

// A NIC has room again: for what waits, and what is left of it for pods.
static void use_room(unsigned n)
{
    struct nic *nic = &engine.nics[n];
    struct offload_rule *orule;
    int room = nic->room;

    nic->room_came = false;
    for (; room > 0 && (orule = TAILQ_FIRST(&engine.waiting)); room--)
        engine_queue(orule);
    if (room > 0)
        pods_let_in(n, room);
}

// A NIC has room again, or it is time to try once more.
static void wake_waiting(void)
{
    struct offload_rule *orule;

    for (unsigned n = 0; n < engine.n_nics; n++) {
        if (engine.nics[n].room_came)
            use_room(n);
    }
    if (!engine.retry_at || engine_now() < engine.retry_at)
        return;
    engine.retry_at = 0;
    while ((orule = TAILQ_FIRST(&engine.waiting)))
        engine_queue(orule);
}

// What leaves comes before what comes.
bool engine_turn(void)
{
    struct work_list removed = TAILQ_HEAD_INITIALIZER(removed);
    struct offload_rule *orule, *added;
    bool any = engine_see_to_events(), miss_changed;

    pthread_mutex_lock(&engine.lock);
    TAILQ_CONCAT(&removed, &engine.removed, removal);
    engine.removing = !TAILQ_EMPTY(&removed);
    miss_changed = engine.miss_normal == engine.miss_wanted_drop;
    engine.miss_normal = !engine.miss_wanted_drop;
    added = TAILQ_EMPTY(&removed) ? TAILQ_FIRST(&engine.inbox) : NULL;
    if (added) {
        TAILQ_REMOVE(&engine.inbox, added, work);
        added->posted = false;
    }
    pthread_mutex_unlock(&engine.lock);

    any = any || added || miss_changed || !TAILQ_EMPTY(&removed);
    while ((orule = TAILQ_FIRST(&removed))) {
        TAILQ_REMOVE(&removed, orule, removal);
        remove_rule(orule);
    }
    if (engine.removing) {
        engine_finish();
        pthread_mutex_lock(&engine.lock);
        engine.removing = engine.overdue = false;
        pthread_cond_broadcast(&engine.done);
        pthread_mutex_unlock(&engine.lock);
    }
    if (miss_changed && engine.miss) {
        switch_policy();
        settle(engine.miss);
    }
    if (added)
        add(added);
    wake_waiting();
    orule = TAILQ_FIRST(&engine.queue);
    if (orule) {
        dequeue(orule);
        settle(orule);
    }
    return any || orule || engine_finish();
}
