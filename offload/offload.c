/* SPDX-License-Identifier: Apache-2.0 */
// Which rules are in the NIC, and why the others are not. See docs/offload.md.
#include "offload/offload.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <rte_ethdev.h>
#include <rte_flow.h>
#include <rte_log.h>

#include "offload/flow.h"

RTE_LOG_REGISTER(offload_log, sluice.offload, NOTICE);

struct offload_rule {
    TAILQ_ENTRY(offload_rule) next;
    struct rule rule;
    bool sayable;            // flow is built
    bool waiting;            // may go in when another rule has left the NIC or the table
    struct flow flow;        // created on flow.ethdev
    struct rte_flow *handle; // NULL: not in the NIC
    char *why_not;           // NULL: in the NIC, or memory was short
};

TAILQ_HEAD(rule_list, offload_rule);

static enum offload_mode offload_mode;
static offload_port_fn *offload_port_of;
static struct rule_list tables[RULE_TABLE_N]; // highest priority first

// What is known of the NIC behind a port on which rules are created.
static struct nic {
    enum flow_rewrite rewrite; // the one that it took last
    unsigned n_rules;
    // While there are rules; see flow_build_exception.
    struct rte_flow *exceptions[FLOW_EXCEPTIONS_MAX];
} nics[RTE_MAX_ETHPORTS];

void offload_init(enum offload_mode mode, offload_port_fn *port_of)
{
    offload_mode = mode;
    offload_port_of = port_of;
    for (unsigned i = 0; i < RULE_TABLE_N; i++)
        TAILQ_INIT(&tables[i]);
    memset(nics, 0, sizeof(nics));
}

__attribute__((format(printf, 2, 3))) static void set_why_not(struct offload_rule *orule,
                                                              const char *format, ...)
{
    va_list args;

    free(orule->why_not);
    va_start(args, format);
    if (vasprintf(&orule->why_not, format, args) < 0)
        orule->why_not = NULL;
    va_end(args);
}

// A driver's refusal as a sentence; `what`: of the exception for these packets, or NULL.
static void set_refused(struct offload_rule *orule, uint16_t ethdev, int err,
                        const struct rte_flow_error *error, const char *what)
{
    struct rte_eth_dev_info info = {.driver_name = NULL};
    const char *driver = rte_eth_dev_info_get(ethdev, &info) == 0 ? info.driver_name : "the port";
    const char *message = error->message ? error->message : rte_strerror(-err);

    if (err == -ENOSYS)
        set_why_not(orule, "%s has no rte_flow, so no rule can be in it", driver);
    else if (error->type == RTE_FLOW_ERROR_TYPE_ATTR_TRANSFER)
        set_why_not(orule, "%s does not take transfer rules: %s", driver, message);
    else if (what)
        set_why_not(orule, "%s cannot leave %s to software: %s (%s)", driver, what, message,
                    rte_strerror(-err));
    else
        set_why_not(orule, "%s does not take this rule: %s (%s)", driver, message,
                    rte_strerror(-err));
}

// Does a packet exist that both rules match?
static bool overlap(const struct match *a, const struct match *b)
{
    // Without the padding at the end.
    const size_t size = offsetof(struct match_fields, l4_dst) + sizeof(a->spec.l4_dst);
    const uint8_t *a_spec = (const uint8_t *)&a->spec, *a_mask = (const uint8_t *)&a->mask;
    const uint8_t *b_spec = (const uint8_t *)&b->spec, *b_mask = (const uint8_t *)&b->mask;

    if (a->in_port != PORT_NONE && b->in_port != PORT_NONE && a->in_port != b->in_port)
        return false;
    for (size_t i = 0; i < size; i++) {
        if ((a_spec[i] ^ b_spec[i]) & a_mask[i] & b_mask[i])
            return false;
    }
    return true;
}

// May `lower` be in the NIC as far as `higher`, of the same table and no lower priority, is
// concerned? Every packet that `higher` would take must be taken by it in the NIC too. Of two rules
// of one priority nothing says which takes a packet (OpenFlow 1.5.1 section 5.3), so the NIC could
// choose otherwise than software.
static bool lets(const struct offload_rule *higher, const struct offload_rule *lower)
{
    if (higher == lower || !overlap(&higher->rule.match, &lower->rule.match))
        return true;
    if (higher->rule.priority == lower->rule.priority)
        return false;
    if (!higher->handle || higher->flow.narrowed)
        return false;
    // A rule for any port is in one NIC, and only for that NIC's ports.
    return higher->rule.match.in_port != PORT_NONE || higher->flow.ethdev == lower->flow.ethdev;
}

// The first rule that keeps this one out of the NIC, or NULL.
static const struct offload_rule *blocker(const struct offload_rule *orule)
{
    const struct offload_rule *higher;

    TAILQ_FOREACH(higher, &tables[orule->rule.table], next)
    {
        if (higher->rule.priority < orule->rule.priority)
            break;
        if (!lets(higher, orule))
            return higher;
    }
    return NULL;
}

static struct rte_flow *create(const struct flow *flow, int *err, struct rte_flow_error *error)
{
    struct rte_flow *handle;

    *error = (struct rte_flow_error){.type = RTE_FLOW_ERROR_TYPE_NONE};
    *err = rte_flow_validate(flow->ethdev, &flow->attr, flow->items, flow->actions, error);
    if (*err)
        return NULL;
    handle = rte_flow_create(flow->ethdev, &flow->attr, flow->items, flow->actions, error);
    if (!handle)
        *err = -rte_errno;
    return handle;
}

static void destroy(uint16_t ethdev, struct rte_flow *handle)
{
    struct rte_flow_error error = {.message = NULL};
    int err = rte_flow_destroy(ethdev, handle, &error);

    if (err)
        rte_log(RTE_LOG_ERR, offload_log,
                "sluice: port %u: the NIC kept a rule to be removed: %s\n", ethdev,
                error.message ? error.message : rte_strerror(-err));
}

static void remove_exceptions(uint16_t ethdev)
{
    struct nic *nic = &nics[ethdev];

    for (unsigned i = 0; i < FLOW_EXCEPTIONS_MAX; i++) {
        if (nic->exceptions[i])
            destroy(ethdev, nic->exceptions[i]);
        nic->exceptions[i] = NULL;
    }
}

// Before the first rule: the NIC must leave to software what software treats otherwise.
// *what: the packets that it cannot leave.
static int add_exceptions(uint16_t ethdev, const char **what, struct rte_flow_error *error)
{
    struct nic *nic = &nics[ethdev];
    struct flow flow;
    int err;

    for (unsigned i = 0; flow_build_exception(i, ethdev, &flow, what); i++) {
        nic->exceptions[i] = create(&flow, &err, error);
        if (!nic->exceptions[i]) {
            remove_exceptions(ethdev);
            return err;
        }
    }
    return 0;
}

static void take_out(struct offload_rule *orule)
{
    uint16_t ethdev = orule->flow.ethdev;

    destroy(ethdev, orule->handle);
    orule->handle = NULL;
    if (--nics[ethdev].n_rules == 0)
        remove_exceptions(ethdev);
}

static bool same_eswitch(uint16_t a, uint16_t b)
{
    struct rte_eth_dev_info info_a, info_b;

    return a == b ||
           (rte_eth_dev_info_get(a, &info_a) == 0 && rte_eth_dev_info_get(b, &info_b) == 0 &&
            info_a.switch_info.domain_id != RTE_ETH_DEV_SWITCH_DOMAIN_ID_INVALID &&
            info_a.switch_info.domain_id == info_b.switch_info.domain_id);
}

static void set_blocked(struct offload_rule *orule, const struct offload_rule *other)
{
    orule->waiting = true;
    if (other->rule.priority == orule->rule.priority)
        set_why_not(orule, "another rule of its priority matches some of its packets");
    else if (other->handle)
        set_why_not(orule,
                    "a rule of higher priority is in the NIC for a part of its packets only");
    else
        set_why_not(orule, "a rule of higher priority for some of its packets is not in the NIC");
}

// Builds the rule for the e-switch's proxy port.
static int build(struct offload_rule *orule, enum flow_rewrite rewrite)
{
    struct flow *flow = &orule->flow;
    struct rte_flow_error error = {.type = RTE_FLOW_ERROR_TYPE_NONE};
    char *sentence;
    uint16_t proxy;
    int err = flow_build(&orule->rule, offload_port_of, rewrite, flow, &sentence);

    if (err) {
        set_why_not(orule, "%s", sentence ? sentence : rte_strerror(-err));
        free(sentence);
        return err;
    }
    orule->sayable = true;
    if (flow->outputs && !same_eswitch(flow->ethdev, flow->out_ethdev)) {
        set_why_not(orule, "it sends to a port that is not of the NIC that the packet comes in by");
        return -EXDEV;
    }
    err = rte_flow_pick_transfer_proxy(flow->ethdev, &proxy, &error);
    if (err) {
        set_refused(orule, flow->ethdev, err, &error, NULL);
        return err;
    }
    flow->ethdev = proxy;
    return 0;
}

// Says the actions the other way; if that is no better, as before.
static void try_rewrite(struct offload_rule *orule, enum flow_rewrite rewrite)
{
    struct nic *nic = &nics[orule->flow.ethdev];
    struct rte_flow_error error;
    int err;

    if (build(orule, rewrite) == 0)
        orule->handle = create(&orule->flow, &err, &error);
    if (orule->handle)
        nic->rewrite = rewrite;
    else
        build(orule, nic->rewrite);
}

static void try(struct offload_rule *orule)
{
    struct flow *flow = &orule->flow;
    const struct offload_rule *other;
    struct rte_flow_error error = {.type = RTE_FLOW_ERROR_TYPE_NONE};
    enum flow_rewrite known;
    struct nic *nic;
    const char *what;
    int err;

    orule->waiting = false;
    if (build(orule, FLOW_REWRITE_SET))
        return;
    known = nics[flow->ethdev].rewrite;
    if (known != FLOW_REWRITE_SET && build(orule, known))
        return;
    if (offload_mode == OFFLOAD_OFF) {
        set_why_not(orule, "offload is off in the node file");
        return;
    }
    other = blocker(orule);
    if (other) {
        set_blocked(orule, other);
        return;
    }
    nic = &nics[flow->ethdev];
    err = nic->n_rules ? 0 : add_exceptions(flow->ethdev, &what, &error);
    if (err) {
        set_refused(orule, flow->ethdev, err, &error, what);
        orule->waiting = err == -ENOSPC || err == -EAGAIN;
        return;
    }
    orule->handle = create(flow, &err, &error);
    if (!orule->handle && error.type >= RTE_FLOW_ERROR_TYPE_ACTION_NUM)
        try_rewrite(orule, known == FLOW_REWRITE_SET ? FLOW_REWRITE_MODIFY : FLOW_REWRITE_SET);
    if (!orule->handle) {
        set_refused(orule, flow->ethdev, err, &error, NULL);
        orule->waiting = err == -ENOSPC || err == -EAGAIN;
        if (!nic->n_rules)
            remove_exceptions(flow->ethdev);
        return;
    }
    nic->n_rules++;
    free(orule->why_not);
    orule->why_not = NULL;
}

// Takes those rules out of the NIC that may not be there without this one.
static void evict_below(const struct offload_rule *orule)
{
    struct offload_rule *lower;

    TAILQ_FOREACH(lower, &tables[orule->rule.table], next)
    {
        if (lower->rule.priority > orule->rule.priority || !lower->handle || lets(orule, lower))
            continue;
        take_out(lower);
        set_blocked(lower, orule);
        evict_below(lower);
    }
}

struct offload_rule *offload_add(const struct rule *rule)
{
    struct rule_list *table = &tables[rule->table];
    struct offload_rule *orule = calloc(1, sizeof(*orule)), *higher;

    if (!orule)
        return NULL;
    orule->rule = *rule;
    TAILQ_FOREACH_REVERSE(higher, table, rule_list, next)
    {
        if (higher->rule.priority >= rule->priority)
            break;
    }
    if (higher)
        TAILQ_INSERT_AFTER(table, higher, orule, next);
    else
        TAILQ_INSERT_HEAD(table, orule, next);
    try(orule);
    evict_below(orule);
    return orule;
}

// Tries the rules that wait, in the order of their tables: what goes in may let those below it in.
static void try_waiting(void)
{
    struct offload_rule *orule;

    for (unsigned i = 0; i < RULE_TABLE_N; i++) {
        TAILQ_FOREACH(orule, &tables[i], next)
        {
            if (orule->waiting)
                try(orule);
        }
    }
}

void offload_remove(struct offload_rule *orule)
{
    if (!orule)
        return;
    if (orule->handle)
        take_out(orule);
    TAILQ_REMOVE(&tables[orule->rule.table], orule, next);
    try_waiting();
    free(orule->why_not);
    free(orule);
}

bool offload_in_nic(const struct offload_rule *orule)
{
    return orule->handle;
}

const char *offload_why_not(const struct offload_rule *orule)
{
    if (orule->handle)
        return "";
    return orule->why_not ? orule->why_not : "memory was short";
}

int offload_format_testpmd(const struct offload_rule *orule, char *buf, size_t size)
{
    if (orule->sayable)
        return flow_print(&orule->flow, buf, size);
    return snprintf(buf, size, "# %s", offload_why_not(orule));
}

int offload_stats(const struct offload_rule *orule, uint64_t *packets, uint64_t *bytes)
{
    // With an end, as some drivers read it as a list.
    const struct rte_flow_action count[] = {{.type = RTE_FLOW_ACTION_TYPE_COUNT},
                                            {.type = RTE_FLOW_ACTION_TYPE_END}};
    struct rte_flow_query_count query = {.reset = 0};
    struct rte_flow_error error;
    int err;

    if (!orule->handle)
        return -ENOENT;
    err = rte_flow_query(orule->flow.ethdev, orule->handle, count, &query, &error);
    if (err)
        return err;
    *packets = query.hits_set ? query.hits : 0;
    *bytes = query.bytes_set ? query.bytes : 0;
    return 0;
}
