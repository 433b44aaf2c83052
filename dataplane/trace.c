/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/trace.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/headers.h"

struct trace {
    FILE *text;
};

static const char *(*nic_of)(const struct rule *rule);

void dp_trace_nic(const char *(*nic)(const struct rule *rule))
{
    nic_of = nic;
}

void trace_note(const struct worker *w, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(w->trace->text, format, args);
    va_end(args);
    fputc('\n', w->trace->text);
}

static void note_rule(const struct worker *w, const struct rule *rule)
{
    char match[1024], actions[2048], cookie[32] = "";

    rule_format_match(rule, match, sizeof match);
    rule_format_actions(rule, actions, sizeof actions);
    if (rule_table_is_policy(rule->table))
        snprintf(cookie, sizeof cookie, "cookie=0x%" PRIx64 ",", rule->cookie);
    trace_note(w, "%s: priority=%u,%s%s -> %s", rule_table_name(rule->table), rule->priority,
               cookie, match, actions);
    if (nic_of)
        trace_note(w, "  NIC: %s", nic_of(rule));
}

void trace_table(struct worker *w, struct policy_packet *const here[],
                 struct cls_rule *const hits[], unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct rule rule;

        if (!hits[i]) {
            trace_note(w, "policy%u: no rule matches", here[i]->table);
            continue;
        }
        policy_rule_describe(policy_rule_of(hits[i]), w->policy_version, &rule);
        note_rule(w, &rule);
    }
}

static void note_headers(const struct worker *w, const char *what, struct rte_mbuf *m,
                         uint16_t in_port)
{
    struct packet packet = {.mbuf = m};
    struct policy_packet pp = {.packet = &packet};
    struct rule rule = {.match.in_port = in_port};
    const struct match_fields *f = &pp.key.fields;
    struct match_fields *mask = &rule.match.mask, none = {0};
    char headers[1024];

    if (policy_key_init(&pp, in_port) != DROP_N) {
        trace_note(w, "%s: %u bytes", what, m->pkt_len);
        return;
    }
    rule.match.spec = *f;
#define SHOW(field)                                                                                \
    if (memcmp(&f->field, &none.field, sizeof f->field) != 0)                                      \
    memset(&mask->field, 0xff, sizeof mask->field)
    SHOW(eth_src);
    SHOW(eth_dst);
    SHOW(vlan_tci);
    SHOW(eth_type);
    SHOW(ip_src);
    SHOW(ip_dst);
    SHOW(ip_proto);
    SHOW(ip_tos);
    SHOW(ip_frag);
    SHOW(l4_src);
    SHOW(l4_dst);
    SHOW(tcp_flags);
    SHOW(arp_sha);
    SHOW(arp_tha);
#undef SHOW
    rule_format_match(&rule, headers, sizeof headers);
    trace_note(w, "%s: %u bytes, %s", what, m->pkt_len, headers);
}

void trace_output(struct worker *w, uint16_t out, struct rte_mbuf **mbufs, unsigned n)
{
    const struct port *port = dp.ports[out];
    char what[DP_NAME_SIZE + 32];

    for (unsigned i = 0; i < n; i++) {
        if (port)
            snprintf(what, sizeof what, "out: port %u (%s)", out, port->info.params.name);
        else
            snprintf(what, sizeof what, "drop: port %u is gone", out);
        note_headers(w, what, mbufs[i], PORT_NONE);
        rte_pktmbuf_free(mbufs[i]);
    }
}

// Says which guard or forward rule was counted since the last time, if any.
static const struct rule *note_counted(struct worker *w)
{
    for (uint32_t slot = 0; slot < RULES_MAX; slot++) {
        const struct rule *rule = w->rules[slot].packets ? forward_table_rule(slot) : NULL;

        w->rules[slot].packets = 0;
        if (rule) {
            note_rule(w, rule);
            return rule;
        }
    }
    return NULL;
}

static void note_drops(struct worker *w)
{
    for (unsigned no = 0; no <= PORT_MAX; no++) {
        for (unsigned i = 0; i < DROP_N; i++) {
            uint64_t n = w->counters[no].drops[i];

            if (n)
                trace_note(w, "drop: %s, counted%s at port %u: %s", drop_name(i),
                           n > 1 ? " more than once" : "", no, drop_text(i));
        }
    }
}

// The member map's choice.
static void note_uplink(struct worker *w, unsigned of, unsigned bucket)
{
    const struct dp_gateway *gateway = &dp.gateways[of];
    const struct fwd_entry *to = &dp.members->gateway[of].bucket[bucket];
    bool v4 = ip_is_v4(&gateway->subnet);
    char subnet[INET6_ADDRSTRLEN];

    inet_ntop(v4 ? AF_INET : AF_INET6, v4 ? &gateway->subnet.s6_addr[12] : gateway->subnet.s6_addr,
              subnet, sizeof subnet);
    trace_note(w,
               "uplinks: range %s/%u, bucket %u of %u: port %u, gateway "
               "%02x:%02x:%02x:%02x:%02x:%02x",
               subnet, gateway->prefix_len - (v4 ? 96u : 0u), bucket, DP_BUCKETS, to->port,
               to->macs[0], to->macs[1], to->macs[2], to->macs[3], to->macs[4], to->macs[5]);
}

static bool uses_uplinks(const struct rule *rule)
{
    return rule && rule->n_actions && rule->actions[rule->n_actions - 1].type == ACTION_UPLINKS;
}

// As worker.c's input(), and says what came of each stage.
static void run(struct worker *w, struct port *port, struct rte_mbuf *m)
{
    struct burst b;
    const struct rule *rule;

    w->policy_version = load_acquire(&policy.version);
    note_headers(w, "frame", m, port->no);
    parse(w, &b, port, &m, 1);
    if (b.n4 + b.n6)
        trace_note(w, "parse: %s, sound", b.n4 ? "IPv4" : "IPv6");
    if (port->guarded && b.n4 + b.n6) {
        guard6(w, &b);
        note_counted(w);
    }
    if (w->policy_version && b.n4 + b.n6)
        policy_input(w, &b);
    if (b.n4 + b.n6) {
        const struct packet *p = b.n4 ? &b.v4[0] : &b.v6[0];
        unsigned bucket = forward_bucket(p->mbuf), gateway = p->gateway;

        forward4(w, &b);
        forward6(w, &b);
        rule = note_counted(w);
        if (uses_uplinks(rule))
            note_uplink(w, gateway, bucket);
    }
    for (unsigned i = 0; i < w->n_dirty; i++)
        tx_flush(w, w->dirty[i]);
    note_drops(w);
}

static struct worker *worker_for_trace(struct trace *trace)
{
    struct worker *w = aligned_alloc(RTE_CACHE_LINE_SIZE, sizeof *w);

    if (!w)
        return NULL;
    memset(w, 0, sizeof *w);
    w->index = dp.n_workers;
    w->trace = trace;
    if (!worker_memory(w))
        return w;
    worker_memory_free(w);
    free(w);
    return NULL;
}

int dp_trace(uint16_t in_port, const void *frame, size_t len, char **text)
{
    struct port *port = in_port <= PORT_MAX ? dp.ports[in_port] : NULL;
    struct rte_mbuf *m;
    struct trace trace;
    struct worker *w;
    size_t size;
    int ret;

    if (!port)
        return -ENODEV;
    ret = frame_mbuf(frame, len, &m);
    if (ret)
        return ret;
    w = worker_for_trace(&trace);
    trace.text = open_memstream(text, &size);
    if (w && trace.text)
        run(w, port, m);
    else
        rte_pktmbuf_free(m);
    if (trace.text)
        fclose(trace.text);
    if (w) {
        worker_memory_free(w);
        free(w);
    }
    return w && trace.text ? 0 : -ENOMEM;
}
