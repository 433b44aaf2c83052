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

#include <rte_hash_crc.h>
#include <rte_log.h>

#include "offload/engine.h"

#define QUERY_BURST    64   // rules in a turn
#define QUERY_ROUND_MS 1000 // mlx5 reads its own counters each 500 ms
#define DUMP_ROUND_MS  500
#define DOUBT_MS       100 // until a rule that nobody put there is looked for again
// Of a CPU's time that a look may take: one part in so many.
#define SHARE 28

RTE_LOG_REGISTER_SUFFIX(offload_audit_log, sluice.offload.audit, NOTICE);

static struct offload_rule *cursor; // where the round of queries is; NULL: at its end
static uint64_t next_query;         // engine_now()
static uint64_t round_us;

static uint64_t cpu_us(void)
{
    struct timespec used;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000 + (uint64_t)used.tv_nsec / 1000;
}

static uint64_t after(uint64_t now, uint64_t least_ms, uint64_t cost_us)
{
    uint64_t us = RTE_MAX(least_ms * 1000, cost_us * SHARE);

    return now + us * 1000;
}

// As rte_hash_crc, which reads words where there may be none aligned.
uint64_t audit_hash(const char *line, size_t len)
{
    uint32_t low = 0, high = UINT32_MAX;

    for (size_t at = 0; at < len; at += sizeof(uint64_t)) {
        uint64_t word = 0;

        memcpy(&word, line + at, RTE_MIN(len - at, sizeof(word)));
        low = rte_hash_crc_8byte(word, low);
        high = rte_hash_crc_8byte(word, high);
    }
    return (uint64_t)high << 32 | low | 1; // 0 is none
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
    if (!cursor)
        next_query = after(now, QUERY_ROUND_MS, round_us);
}

// The dumped lines, by hash, with open addressing; each is taken once.
struct lines {
    uint64_t *hashes, *patterns; // of the whole line, and of what comes before its actions
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
    lines->patterns = calloc(lines->size, sizeof(*lines->patterns));
    if (!lines->hashes || !lines->patterns)
        return false;
    for (; line < end; line = next) {
        const char *stop = memchr(line, '\n', (size_t)(end - line)), *actions, *comment;
        size_t i;

        next = stop ? stop + 1 : end;
        stop = stop ? stop : end;
        comment = memmem(line, (size_t)(stop - line), " #", 2);
        stop = comment ? comment : stop;
        actions = memmem(line, (size_t)(stop - line), " actions ", 9);
        i = audit_hash(line, (size_t)(stop - line)) & (lines->size - 1);
        while (lines->hashes[i])
            i = (i + 1) & (lines->size - 1);
        lines->hashes[i] = audit_hash(line, (size_t)(stop - line));
        lines->patterns[i] = audit_hash(line, (size_t)((actions ? actions : stop) - line));
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
    char line[1024];
    uint64_t pattern;

    flow_print_effect(flow, line, sizeof(line));
    pattern = audit_hash(line, (size_t)(strstr(line, " actions ") - line));
    for (size_t i = 0; i < lines->size; i++) {
        if (lines->hashes[i] && lines->hashes[i] != TAKEN && lines->patterns[i] == pattern) {
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
    free(lines.patterns);
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
    nic->next_dump = after(now, nic->n_extra == nic->n_tolerated ? DUMP_ROUND_MS : DOUBT_MS, begin);
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
