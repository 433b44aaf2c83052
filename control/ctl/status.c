/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "control/ctl/ctl.h"
#include "control/ctl/table.h"
#include "control/ctl/value.h"

#define BUCKETS 64 // of the flow hash, docs/control-socket.md

static void print_uplinks(const struct json *uplinks)
{
    struct table *table = table_create("UPLINK LINK RANGE GATEWAY GATEWAY-MAC ANSWERS >FLOWS");

    for (size_t i = 0; i < value_size(uplinks); i++) {
        const struct json *uplink = value_at(uplinks, i);
        const struct json *gateways = value_member(uplink, "gateways");

        for (size_t j = 0; j < value_size(gateways); j++) {
            const struct json *gateway = value_at(gateways, j);
            char share[VALUE_TEXT];

            table_add(table, "%s", value_string(uplink, "name"));
            table_add(table, value_bool(uplink, "link") ? "up" : "down");
            table_add(table, "%s", value_string(gateway, "range"));
            table_add(table, "%s", value_string(gateway, "address"));
            table_add(table, "%s", value_string(gateway, "mac"));
            table_add(table, value_bool(gateway, "answers") ? "yes" : "no");
            table_add(table, "%s",
                      value_format_share(value_number(gateway, "buckets"), BUCKETS, share));
        }
    }
    table_print(table, "no uplinks", stdout);
    table_destroy(table);
}

#define MIB 1048576.0

static void print_openflow(const struct json *openflow)
{
    const struct json *tables = value_member(openflow, "tables");

    printf("openflow %" PRIu64 " groups, %" PRIu64 " meters, %" PRIu64 " of %" PRIu64
           " controllers connected\n",
           value_number(openflow, "groups"), value_number(openflow, "meters"),
           value_number(openflow, "connected"), value_number(openflow, "controllers"));
    for (size_t i = 0; i < value_size(tables); i++) {
        const struct json *table = value_at(tables, i);

        printf("table %-2" PRIu64 " %" PRIu64 " rules, %s, %.1f MiB", value_number(table, "table"),
               value_number(table, "rules"), value_string(table, "structure"),
               (double)value_number(table, "bytes") / MIB);
        if (value_number(table, "delta"))
            printf(", %" PRIu64 " of them beside it", value_number(table, "delta"));
        if (value_bool(table, "compiling"))
            printf(", being compiled");
        if (value_number(table, "refused_bytes"))
            printf(", not compiled further: that takes more than %.1f MiB",
                   (double)value_number(table, "refused_bytes") / MIB);
        putchar('\n');
    }
}

static void print_status(const struct json *status)
{
    const struct json *problems = value_member(status, "problems");
    const struct json *pods = value_member(status, "pods");
    const struct json *ports = value_member(status, "ports");
    const struct json *rules = value_member(status, "rules");
    const struct json *offload = value_member(status, "offload");
    const struct json *memory = value_member(status, "memory");
    char uptime[VALUE_TEXT];

    printf("sluiced %s, pid %" PRIu64 ", up %s: %s\n", value_string(status, "version"),
           value_number(status, "pid"),
           value_format_seconds(value_number(status, "uptime_s"), uptime),
           value_string(status, "health"));
    if (value_size(problems)) {
        struct table *table = table_create("PROBLEMS");

        for (size_t i = 0; i < value_size(problems); i++)
            table_add(table, "%s", value_text(value_at(problems, i)));
        putchar('\n');
        table_print(table, "", stdout);
        table_destroy(table);
    }
    putchar('\n');
    print_uplinks(value_member(status, "uplinks"));
    printf("\npods     %" PRIu64 " up, %" PRIu64 " down\n", value_number(pods, "up"),
           value_number(pods, "down"));
    printf("ports    %" PRIu64 " of %" PRIu64 " in use\n", value_number(ports, "used"),
           value_number(ports, "max"));
    printf("rules    guard %" PRIu64 ", policy %" PRIu64 ", forward %" PRIu64 " of at most %" PRIu64
           ", uplinks %" PRIu64 "\n",
           value_number(rules, "guard"), value_number(rules, "policy"),
           value_number(rules, "forward"), value_number(rules, "forward_max"),
           value_number(rules, "uplinks"));
    print_openflow(value_member(status, "openflow"));
    printf("offload  %s: %" PRIu64 " of %" PRIu64 " rules in the NIC\n",
           value_string(offload, "mode"), value_number(offload, "in_nic"),
           value_number(offload, "rules"));
    printf("workers  %" PRIu64 "\n", value_number(status, "workers"));
    printf("memory   %" PRIu64 " of %" PRIu64 " packet buffers free, %s\n",
           value_number(memory, "mbufs_free"), value_number(memory, "mbufs"),
           value_bool(memory, "hugepages") ? "on hugepages" : "without hugepages");
}

static enum ctl_exit run(const struct ctl *ctl)
{
    struct json *status;
    enum ctl_exit exit = ctl_read(ctl, "status", &status);

    if (status)
        print_status(status);
    json_destroy(status);
    return exit;
}

const struct ctl_verb ctl_status = {
    .name = "status",
    .summary = "Whether the node is well, and if not, what is wrong",
    .help =
        "FLOWS is the share of the flows that leave by this uplink towards this gateway; 0.0%:\n"
        "it is not used. A problem does not change the exit status.\n"
        "\n"
        "Example: wait until the node is well.\n"
        "  until sluicectl --json status | grep -q '\"health\": *\"ok\"'; do sleep 1; done\n",
    .options = ctl_no_options,
    .run = run,
};
