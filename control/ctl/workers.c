/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "control/ctl/ctl.h"
#include "control/ctl/table.h"
#include "control/ctl/value.h"

static void print_workers(const struct json *workers)
{
    struct table *table = table_create(
        ">WORKER >CPU >QUEUES >BUSY >IDLE >ASLEEP >SLEEPS >PACKETS >PER-BURST >CYCLES/PKT");

    for (size_t i = 0; i < value_size(workers); i++) {
        const struct json *worker = value_at(workers, i);
        uint64_t busy = value_number(worker, "busy_cycles");
        uint64_t idle = value_number(worker, "idle_cycles");
        uint64_t asleep = value_number(worker, "sleep_cycles");
        uint64_t packets = value_number(worker, "packets");
        uint64_t bursts = value_number(worker, "bursts");
        uint64_t all = busy + idle + asleep;
        char text[VALUE_TEXT];

        table_add(table, "%" PRIu64, value_number(worker, "worker"));
        table_add(table, "%" PRIu64, value_number(worker, "cpu"));
        table_add(table, "%" PRIu64, value_number(worker, "queues"));
        table_add(table, "%s", value_format_share(busy, all, text));
        table_add(table, "%s", value_format_share(idle, all, text));
        table_add(table, "%s", value_format_share(asleep, all, text));
        table_add(table, "%s", value_format_count(value_number(worker, "sleeps"), text));
        table_add(table, "%s", value_format_count(packets, text));
        if (bursts)
            table_add(table, "%.1f", (double)packets / bursts);
        else
            table_add(table, "-");
        if (packets)
            table_add(table, "%" PRIu64, busy / packets);
        else
            table_add(table, "-");
    }
    table_print(table, "no workers", stdout);
    table_destroy(table);
}

static enum ctl_exit run(const struct ctl *ctl)
{
    struct json *workers;
    enum ctl_exit exit = ctl_read(ctl, "workers", &workers);

    if (workers)
        print_workers(value_member(workers, "workers"));
    json_destroy(workers);
    return exit;
}

const struct ctl_verb ctl_workers = {
    .name = "workers",
    .summary = "The threads that move packets, and what they do with their time",
    .help =
        "All figures are since the start. BUSY: turns that had packets; IDLE: turns without;\n"
        "ASLEEP: between turns, when there is nothing to do. CYCLES/PKT are busy TSC cycles for\n"
        "each packet received.\n"
        "\n"
        "Example: which CPUs does the daemon use, and how much of them?\n"
        "  sluicectl workers\n",
    .options = ctl_no_options,
    .run = run,
};
