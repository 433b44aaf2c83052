/* SPDX-License-Identifier: Apache-2.0 */
// The counters, once as totals, or watched as rates.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control/ctl/counters.h"
#include "control/ctl/ctl.h"
#include "control/ctl/table.h"
#include "control/ctl/value.h"

static void add_counter(struct table *table, const struct json *counters, const char *name,
                        unsigned scale)
{
    char text[VALUE_TEXT];

    table_add(table, "%s",
              value_is_set(counters, name)
                  ? value_format_count(value_number(counters, name) * scale, text)
                  : "-");
}

// Prints totals, or what counter_rates() made of them.
static void print_ports(const struct json *ports, bool rates)
{
    struct table *table =
        table_create(rates ? ">PORT NAME KIND >RX-PKT/S >RX-BIT/S >TX-PKT/S >TX-BIT/S >DROPS/S"
                           : ">PORT NAME KIND >RX-PKTS >RX-BYTES >TX-PKTS >TX-BYTES >OWN >MISSED "
                             ">DROPS");
    unsigned scale = rates ? 8 : 1;

    for (size_t i = 0; i < value_size(ports); i++) {
        const struct json *port = value_at(ports, i);
        char text[VALUE_TEXT];

        table_add(table, "%" PRIu64, value_number(port, "port"));
        table_add(table, "%s", value_string(port, "name"));
        table_add(table, "%s", value_string(port, "kind"));
        add_counter(table, port, "rx_packets", 1);
        add_counter(table, port, "rx_bytes", scale);
        add_counter(table, port, "tx_packets", 1);
        add_counter(table, port, "tx_bytes", scale);
        if (!rates) {
            add_counter(table, port, "originated", 1);
            add_counter(table, port, "rx_missed", 1);
        }
        table_add(table, "%s",
                  value_format_count(counter_total(value_member(port, "drops")), text));
    }
    table_print(table, "no ports", stdout);
    table_destroy(table);
}

static void print_drops(const struct json *drops, bool rates)
{
    struct table *table = table_create(rates ? ">DROPS/S REASON MEANING" : ">DROPS REASON MEANING");

    if (drops && drops->type == JSON_OBJECT) {
        const struct shash_node **sorted = shash_sort(json_object(drops));

        for (size_t i = 0; i < shash_count(json_object(drops)); i++) {
            const char *text = counter_drop_text(sorted[i]->name);

            if (!value_number(drops, sorted[i]->name))
                continue;
            add_counter(table, drops, sorted[i]->name, 1);
            table_add(table, "%s", sorted[i]->name);
            table_add(table, "%s", text ? text : "not known to this version of sluicectl");
        }
        free(sorted);
    }
    table_print(table, "no drops", stdout);
    table_destroy(table);
}

static void print_sum(const struct json *totals)
{
    struct counter_sum sum;

    counter_sum(totals, &sum);
    printf("%" PRIu64 " received + %" PRIu64 " originated = %" PRIu64 " sent + %" PRIu64
           " dropped + %" PRIu64 " in flight: ",
           sum.rx, sum.originated, sum.tx, sum.dropped, sum.in_flight);
    if (sum.missing)
        printf("off by %" PRId64 " (exact only without traffic)\n", sum.missing);
    else
        puts("holds");
}

// rates: of stats, or NULL for totals.
static void print_stats(const struct ctl *ctl, const struct json *stats, const struct json *rates)
{
    const struct json *shown = rates ? rates : stats;
    const struct json *ports = value_member(shown, "ports");
    const struct json *counters = value_member(shown, "totals");

    print_ports(ports, rates);
    putchar('\n');
    // Asked for one port: its drops, not those of all.
    print_drops(value_member(ctl->operand ? value_at(ports, 0) : counters, "drops"), rates);
    if (!ctl->operand) {
        putchar('\n');
        print_sum(value_member(stats, "totals"));
    }
}

// Goes on when the daemon goes away and comes back.
static enum ctl_exit watch(const struct ctl *ctl, unsigned seconds)
{
    struct json *before = NULL, *now;
    bool answered = false;
    enum ctl_exit exit;

    for (;;) {
        exit = ctl_read_list(ctl, "stats", "ports", ctl_is_port, &now);
        answered |= exit == CTL_OK;
        if (exit == CTL_FAILED || !answered)
            break;
        if (now && before) {
            struct json *rates = counter_rates(
                before, now, value_number(now, "time_us") - value_number(before, "time_us"));

            if (isatty(STDOUT_FILENO))
                fputs("\033[H\033[2J", stdout); // home, clear
            print_stats(ctl, now, rates);
            putchar('\n');
            json_destroy(rates);
        }
        json_destroy(before);
        before = now;
        if (fflush(stdout))
            break;
        sleep(seconds);
    }
    json_destroy(before);
    return exit;
}

static enum ctl_exit run(const struct ctl *ctl)
{
    const char *interval = ctl_value(ctl, "watch");
    unsigned seconds = 1;
    struct json *stats;
    enum ctl_exit exit;

    if (interval && !ctl_number(interval, 1, 3600, &seconds))
        return ctl_usage_error(ctl->verb, "--watch %s: not a whole number from 1 to 3600",
                               interval);
    if (ctl_has(ctl, "watch"))
        return watch(ctl, seconds);

    exit = ctl_read_list(ctl, "stats", "ports", ctl_is_port, &stats);
    if (stats)
        print_stats(ctl, stats, NULL);
    json_destroy(stats);
    return exit;
}

static const struct ctl_option options[] = {
    {"watch", "[SECONDS]", "print rates every second, or every SECONDS; Ctrl-C ends it"},
    {NULL, NULL, NULL},
};

const struct ctl_verb ctl_stats = {
    .name = "stats",
    .operand = "[PORT]",
    .summary = "The counters: by port and in all, drops by name; or of one port",
    .help =
        "RX is what the daemon received from a port, TX what it sent to it. OWN are packets of "
        "the\n"
        "daemon's own (ARP and ND, ICMP errors). MISSED were lost by the device before the daemon\n"
        "saw them. A drop counts at the port the packet came in by; tx_full, handoff_full and\n"
        "port_gone at the one it was to leave by. The last line is the sum rule: received +\n"
        "originated = sent + dropped + in flight. It is exact while no traffic flows. With "
        "--watch\n"
        "bits are those of Ethernet frames, and - stands for a counter that began anew.\n"
        "\n"
        "Example: what does this pod's port drop just now?\n"
        "  sluicectl stats --watch 2 sl3f9a1c2b\n",
    .options = options,
    .run = run,
};
