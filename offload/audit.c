/* SPDX-License-Identifier: Apache-2.0 */
// Compares what is in the NICs with what ought to be, and reads the counters on the way. Two looks:
//
// - rte_flow_query for each rule: every driver with counters has it. Its error says that the rule
//   is gone; its numbers are what is told of the rule.
// - rte_flow_dev_dump, where it gives the rules as testpmd's lines (net_esw does): finds rules that
//   are not there, do something else, or are nobody's. mlx5 dumps its hardware's own tables, which
//   say nothing about rte_flow's rules: there the second look is left out.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_log.h>

#include "offload/engine.h"

#define QUERY_BURST    64   // rules in a turn
#define QUERY_ROUND_MS 1000 // mlx5 reads its own counters each 500 ms
#define DUMP_ROUND_MS  500
#define DOUBT_MS       100 // until a rule that nobody put there is looked for again
// Between two looks of a kind, so many times passes what one of each costs in CPU time.
#define SHARE 28
#define LOOKS 4

RTE_LOG_REGISTER_SUFFIX(offload_audit_log, sluice.offload.audit, NOTICE);

// What the last looks cost, in microseconds of CPU time. The least of them is what the next one is
// taken to cost: a machine that the hypervisor takes away for half a second says that this thread
// used it, and would not be looked at for fifteen seconds.
struct costs {
    uint64_t us[LOOKS];
    unsigned n;
};

static struct offload_rule *cursor; // where the round of queries is; NULL: at its end
static uint64_t next_query;         // engine_now()
static uint64_t round_us;
static struct costs query_costs, dump_costs[NICS_MAX];

static uint64_t cpu_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

static void remember(struct costs *costs, uint64_t us)
{
    costs->us[costs->n++ % LOOKS] = us;
}

static uint64_t least(const struct costs *costs)
{
    uint64_t us = costs->us[0];

    for (unsigned i = 1; i < LOOKS; i++)
        us = RTE_MIN(us, costs->us[i]);
    return us;
}

// When to look again, not before that many milliseconds have passed.
static uint64_t after(uint64_t now, uint64_t least_ms)
{
    uint64_t us = least(&query_costs);

    for (unsigned n = 0; n < engine.n_nics; n++)
        us += least(&dump_costs[n]);
    return now + RTE_MAX(least_ms * 1000, us * SHARE) * 1000;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 32;
}

uint64_t audit_hash(const char *line, size_t len)
{
    uint64_t hash = len, word;
    size_t at = 0;

    for (; at + sizeof(word) <= len; at += sizeof(word)) {
        memcpy(&word, line + at, sizeof(word));
        hash = mix(hash, word);
    }
    word = 0;
    memcpy(&word, line + at, len - at);
    return mix(hash, word) | 1; // 0 is none
}

uint64_t audit_line(const struct flow *flow)
{
    char line[1024];
    int len = flow_print_effect(flow, line, sizeof(line));

    return audit_hash(line, RTE_MIN((size_t)len, sizeof(line) - 1));
}

void audit_tell(uint64_t *kind, const struct nic *nic, const struct offload_rule *orule,
                const char *what)
{
    char match[256] = "";

    if (orule)
        rule_format_match(&orule->rule, match, sizeof(match));
    pthread_mutex_lock(&engine.lock);
    ++*kind;
    snprintf(engine.status.last_event, sizeof(engine.status.last_event), "%s: %s%s%s%s",
             nic->driver, what, orule ? ": " : "", orule ? rule_table_name(orule->rule.table) : "",
             match[0] ? " " : "");
    strncat(engine.status.last_event, match,
            sizeof(engine.status.last_event) - strlen(engine.status.last_event) - 1);
    rte_log(RTE_LOG_WARNING, offload_audit_log, "sluice: %s\n", engine.status.last_event);
    pthread_mutex_unlock(&engine.lock);
}

// -ENOENT: the driver does not know it any more.
static int query(const struct nic *nic, struct place *place)
{
    // With an end, as some drivers read it as a list.
    const struct rte_flow_action count[] = {{.type = RTE_FLOW_ACTION_TYPE_COUNT},
                                            {.type = RTE_FLOW_ACTION_TYPE_END}};
    struct rte_flow_query_count counter = {.reset = 0};
    struct rte_flow_error error;
    int err;

    if (__atomic_load_n(&nic->gone, __ATOMIC_ACQUIRE))
        return 0;
    err = rte_flow_query(nic->ethdev, place->handle.flow, count, &counter, &error);
    if (!err) {
        place->packets = counter.hits_set ? counter.hits : 0;
        place->bytes = counter.bytes_set ? counter.bytes : 0;
    }
    return err == -ENOENT || err == -EINVAL || err == -EIO ? -ENOENT : 0;
}

static void publish(struct offload_rule *orule)
{
    struct offload_counts sum;

    pthread_mutex_lock(&engine.lock);
    sum = orule->before;
    for (unsigned n = 0; n < engine.n_nics; n++) {
        if (orule->places[n].kind != PLACE_FULL)
            continue;
        sum.packets += orule->places[n].packets;
        sum.bytes += orule->places[n].bytes;
    }
    sum.used_us = sum.packets > orule->counts.packets ? engine_now() / 1000 : orule->counts.used_us;
    orule->counts = sum;
    pthread_mutex_unlock(&engine.lock);
}

void audit_read(struct offload_rule *orule)
{
    for (unsigned n = 0; n < engine.n_nics; n++) {
        if (orule->places[n].handle.flow && orule->places[n].handle.state == NIC_RULE_DONE)
            query(&engine.nics[n], &orule->places[n]);
    }
    publish(orule);
}

static void look_at(struct offload_rule *orule)
{
    for (unsigned n = 0; n < engine.n_nics; n++) {
        struct place *place = &orule->places[n];

        if (!place->handle.flow || place->handle.state != NIC_RULE_DONE ||
            query(&engine.nics[n], place) == 0)
            continue;
        audit_tell(&engine.status.lost, &engine.nics[n], orule, "the driver lost a rule, put back");
        engine_forget(orule, n);
    }
    publish(orule);
}

void audit_forget(const struct offload_rule *orule)
{
    if (cursor == orule)
        cursor = TAILQ_NEXT(orule, all);
}

static void query_some(uint64_t now)
{
    uint64_t begin = cpu_us();

    if (!cursor) {
        cursor = TAILQ_FIRST(&engine.all);
        round_us = 0;
    }
    for (unsigned i = 0; cursor && i < QUERY_BURST; i++) {
        struct offload_rule *orule = cursor;

        cursor = TAILQ_NEXT(orule, all);
        look_at(orule);
    }
    begin = cpu_us() - begin;
    round_us += begin;
    pthread_mutex_lock(&engine.lock);
    engine.status.audit_us += begin;
    engine.status.audits += cursor == NULL;
    pthread_mutex_unlock(&engine.lock);
    if (!cursor) {
        remember(&query_costs, round_us);
        next_query = after(now, QUERY_ROUND_MS);
    }
}

// The dumped lines, by hash, with open addressing; each is taken once.
struct lines {
    uint64_t *hashes;
    const char **texts;
    size_t size, n;
};

static bool lines_read(struct lines *lines, const char *text, size_t len)
{
    const char *end = text + len, *line = text, *next;
    size_t n = 0;

    for (const char *c = text; (c = memchr(c, '\n', (size_t)(end - c))); c++)
        n++;
    lines->size = rte_align64pow2(2 * n + 2);
    lines->n = n;
    lines->hashes = calloc(lines->size, sizeof(*lines->hashes));
    lines->texts = calloc(lines->size, sizeof(*lines->texts));
    if (!lines->hashes || !lines->texts)
        return false;
    for (; line < end; line = next) {
        const char *stop = memchr(line, '\n', (size_t)(end - line)), *comment;
        uint64_t hash;
        size_t i;

        next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        comment = memrchr(line, '#', (size_t)(stop - line));
        stop = comment && comment > line ? comment - 1 : stop;
        hash = audit_hash(line, (size_t)(stop - line));
        for (i = hash & (lines->size - 1); lines->hashes[i];)
            i = (i + 1) & (lines->size - 1);
        lines->hashes[i] = hash;
        lines->texts[i] = line;
    }
    return true;
}

// Taken entries keep their place, so that what was put behind them is found.
#define TAKEN UINT64_MAX

static bool lines_take(struct lines *lines, uint64_t hash)
{
    for (size_t i = hash & (lines->size - 1); lines->hashes[i]; i = (i + 1) & (lines->size - 1)) {
        if (lines->hashes[i] == hash) {
            lines->hashes[i] = TAKEN;
            lines->n--;
            return true;
        }
    }
    return false;
}

// One that matches as the flow does, and does something else.
static bool lines_take_altered(struct lines *lines, const struct flow *flow)
{
    static const char actions[] = " actions ";
    char line[1024];
    size_t len; // of what comes before the actions

    flow_print_effect(flow, line, sizeof(line));
    len = (size_t)(strstr(line, actions) - line) + strlen(actions);
    for (size_t i = 0; i < lines->size; i++) {
        if (lines->hashes[i] && lines->hashes[i] != TAKEN && !strncmp(lines->texts[i], line, len)) {
            lines->hashes[i] = TAKEN;
            lines->n--;
            return true;
        }
    }
    return false;
}

static bool build_place(const struct offload_rule *orule, unsigned n, struct flow *flow)
{
    char *why;
    int err = engine_build(orule, n, orule->places[n].kind, flow, &why);

    free(why);
    return !err;
}

// Takes the lines of the rules that are as they should be; returns how many are not.
static unsigned compare(unsigned n, struct lines *lines, unsigned *found)
{
    struct offload_rule *orule;
    unsigned missing = 0;
    struct flow flow;

    TAILQ_FOREACH(orule, &engine.all, all)
    {
        struct place *place = &orule->places[n];

        if (!place->kind)
            continue;
        if (!place->line && build_place(orule, n, &flow))
            place->line = audit_line(&flow);
        place->missing = !lines_take(lines, place->line);
        missing += place->missing;
        *found += !place->missing;
    }
    return missing;
}

static void repair(unsigned n, struct lines *lines)
{
    struct nic *nic = &engine.nics[n];
    struct offload_rule *orule;
    struct flow flow;

    TAILQ_FOREACH(orule, &engine.all, all)
    {
        struct place *place = &orule->places[n];
        bool altered;

        if (!place->kind || !place->missing)
            continue;
        altered = build_place(orule, n, &flow) && lines_take_altered(lines, &flow);
        audit_tell(altered ? &engine.status.altered : &engine.status.lost, nic, orule,
                   altered ? "a rule was altered, put right" : "a rule was not there, put back");
        engine_forget(orule, n);
    }
}

// An exception is missing: without it NIC and software differ. Returns how many.
static unsigned check_exceptions(struct nic *nic, struct lines *lines)
{
    unsigned missing = 0;

    for (unsigned kind = 0; kind < FLOW_EXCEPTIONS_N; kind++) {
        for (unsigned i = 0; i < FLOW_EXCEPTIONS_MAX; i++)
            missing +=
                nic->exceptions[kind][i].flow && !lines_take(lines, nic->exception_lines[kind][i]);
    }
    return missing;
}

// How many rules the driver says that it has; 0 if it does not say.
static unsigned count_lines(const struct nic *nic)
{
    struct rte_flow_error error;
    unsigned lines = 0;
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    if (!file)
        return 0;
    if (rte_flow_dev_dump(nic->ethdev, NULL, file, &error))
        len = 0;
    fclose(file);
    for (size_t i = 0; i < len; i++)
        lines += text[i] == '\n';
    free(text);
    return lines;
}

static void compare_dump(unsigned n, const char *text, size_t len)
{
    struct nic *nic = &engine.nics[n];
    struct lines lines = {0};
    unsigned missing, lost_exceptions, found = 0;
    size_t all;

    if (lines_read(&lines, text, len)) {
        all = lines.n;
        lost_exceptions = check_exceptions(nic, &lines);
        missing = compare(n, &lines, &found);
        if (all && missing && !found) {
            rte_log(RTE_LOG_NOTICE, offload_audit_log,
                    "sluice: %s dumps its rules otherwise than Sluice reads them: not audited by "
                    "that\n",
                    nic->driver);
            nic->dump = DUMP_USELESS;
        } else {
            nic->dump = DUMP_LINES;
            repair(n, &lines);
            if (lost_exceptions) {
                audit_tell(&engine.status.lost, nic, NULL,
                           "it did not leave to software what it must, all programmed again");
                engine_reprogram(n);
            } else if (lines.n && lines.n == nic->n_extra && lines.n != nic->n_tolerated) {
                // Nothing but a flush removes what we have no handle of; what even that does not
                // remove is the driver's own.
                audit_tell(&engine.status.extra, nic, NULL,
                           "rules that nobody put there, all programmed again");
                engine_reprogram(n);
                nic->n_tolerated = count_lines(nic);
            }
            if (!lines.n)
                nic->n_tolerated = 0;
            nic->n_extra = (unsigned)lines.n;
        }
    }
    free(lines.hashes);
    free(lines.texts);
}

static void dump(unsigned n, uint64_t now)
{
    struct nic *nic = &engine.nics[n];
    uint64_t begin = cpu_us();
    struct rte_flow_error error;
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    engine_finish();
    if (file) {
        int err = rte_flow_dev_dump(nic->ethdev, NULL, file, &error);

        fclose(file);
        if (err || (len && strncmp(text, "flow create ", strlen("flow create "))))
            nic->dump = DUMP_USELESS;
        else
            compare_dump(n, text, len);
    }
    free(text);
    begin = cpu_us() - begin;
    remember(&dump_costs[n], begin);
    nic->next_dump = after(now, nic->n_extra == nic->n_tolerated ? DUMP_ROUND_MS : DOUBT_MS);
    pthread_mutex_lock(&engine.lock);
    engine.status.audit_us += begin;
    pthread_mutex_unlock(&engine.lock);
}

uint64_t audit_turn(void)
{
    uint64_t now = engine_now(), next;

    if (engine.mode == OFFLOAD_OFF || !engine.n_nics)
        return 1000000000;
    if (cursor || now >= next_query)
        query_some(now);
    next = cursor ? now : next_query;
    for (unsigned n = 0; n < engine.n_nics; n++) {
        struct nic *nic = &engine.nics[n];

        if (!nic->n_rules || nic->dump == DUMP_USELESS ||
            __atomic_load_n(&nic->gone, __ATOMIC_ACQUIRE))
            continue;
        if (now >= nic->next_dump)
            dump(n, now);
        next = RTE_MIN(next, nic->next_dump);
    }
    if (engine.retry_at)
        next = RTE_MIN(next, engine.retry_at);
    return next > now ? next - now : 0;
}
