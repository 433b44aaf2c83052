/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/table.h"
#include "control/ctl/value.h"

bool ctl_is_port(const struct json *port, const char *what)
{
    unsigned no;

    return !strcmp(value_string(port, "name"), what) ||
           (ctl_number(what, 1, UINT16_MAX, &no) && value_number(port, "port") == no);
}

static void print_ports(const struct json *ports)
{
    struct table *table =
        table_create(">PORT NAME KIND STATE DRIVER MAC >MTU >RX-PKTS >TX-PKTS >DROPS");
    struct table *notes = table_create(">PORT NOTE");

    for (size_t i = 0; i < value_size(ports); i++) {
        const struct json *port = value_at(ports, i);
        bool up = !strcmp(value_string(port, "state"), "up");
        char text[VALUE_TEXT];

        table_add(table, "%" PRIu64, value_number(port, "port"));
        table_add(table, "%s", value_string(port, "name"));
        table_add(table, "%s", value_string(port, "kind"));
        table_add(table, "%s",
                  up && !value_bool(port, "link") ? "no link" : value_string(port, "state"));
        table_add(table, "%s", value_string(port, "driver"));
        table_add(table, "%s", value_string(port, "mac"));
        table_add(table, "%" PRIu64, value_number(port, "mtu"));
        table_add(table, "%s", value_format_count(value_number(port, "rx_packets"), text));
        table_add(table, "%s", value_format_count(value_number(port, "tx_packets"), text));
        table_add(table, "%s", value_format_count(value_number(port, "drops"), text));

        if (value_is_set(port, "reason")) {
            table_add(notes, "%" PRIu64, value_number(port, "port"));
            table_add(notes, "down: %s", value_string(port, "reason"));
        }
        if (value_is_set(port, "fallback")) {
            table_add(notes, "%" PRIu64, value_number(port, "port"));
            table_add(notes, "slower than it could be: %s", value_string(port, "fallback"));
        }
    }
    table_finish(table, "no ports", notes);
}

static enum ctl_exit run(const struct ctl *ctl)
{
    struct json *ports;
    enum ctl_exit exit = ctl_read_list(ctl, "ports", "ports", ctl_is_port, &ports);

    if (ports)
        print_ports(value_member(ports, "ports"));
    json_destroy(ports);
    return exit;
}

const struct ctl_verb ctl_ports = {
    .name = "ports",
    .operand = "[PORT]",
    .summary = "The ports: uplinks, the host, pods; or one of them, by number or name",
    .help =
        "A port is up, without link, or down; below the table stands why. RX is what the daemon\n"
        "received from the port, TX what it sent to it. `sluicectl stats PORT` names the drops,\n"
        "and has what the daemon took itself (punted), which is no drop here.\n"
        "\n"
        "Example: is the second uplink there?\n"
        "  sluicectl ports up1\n",
    .options = ctl_no_options,
    .run = run,
};
