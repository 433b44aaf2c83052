/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/table.h"
#include "control/ctl/value.h"

#define SHORT_ID 12 // of a container id's 64 digits, enough to tell containers apart

static bool is_pod(const struct json *pod, const char *what)
{
    const struct json *ips = value_member(pod, "ips");
    bool found = !strncmp(value_string(pod, "container_id"), what, strlen(what)) ||
                 !strcmp(value_string(pod, "pod"), what);

    for (size_t i = 0; !found && i < value_size(ips); i++)
        found = !strcmp(value_text(value_at(ips, i)), what);
    return found;
}

static void print_pods(const struct json *pods, bool wide)
{
    struct table *table =
        table_create(wide ? ">PORT POD STATE DEVICE >MTU MAC ADDRESS IFNAME CONTAINER"
                          : ">PORT POD STATE MAC ADDRESS IFNAME CONTAINER");
    struct table *notes = table_create(">PORT NOTE");

    for (size_t i = 0; i < value_size(pods); i++) {
        const struct json *pod = value_at(pods, i);
        const struct json *ips = value_member(pod, "ips");

        table_add(table, "%" PRIu64, value_number(pod, "port"));
        table_add(table, "%s", value_string(pod, "pod"));
        table_add(table, "%s", value_string(pod, "state"));
        if (wide) {
            table_add(table, "%s",
                      value_string(pod, value_is_set(pod, "netdev") ? "netdev" : "devargs"));
            table_add(table, "%" PRIu64, value_number(pod, "mtu"));
        }
        table_add(table, "%s", value_string(pod, "mac"));
        table_add(table, "%s", value_size(ips) ? value_text(value_at(ips, 0)) : "-");
        table_add(table, "%s", value_string(pod, "ifname"));
        table_add(table, "%.*s", wide ? -1 : SHORT_ID, value_string(pod, "container_id"));
        // Further addresses stand below the first.
        for (size_t j = 1; j < value_size(ips); j++) {
            for (int before = wide ? 6 : 4; before > 0; before--)
                table_add(table, " ");
            table_add(table, "%s", value_text(value_at(ips, j)));
            table_add(table, " ");
            table_add(table, " ");
        }
        if (value_is_set(pod, "reason")) {
            table_add(notes, "%" PRIu64, value_number(pod, "port"));
            table_add(notes, "down: %s", value_string(pod, "reason"));
        }
    }
    table_finish(table, "no pods are attached", notes);
}

static enum ctl_exit run(const struct ctl *ctl)
{
    struct json *pods;
    enum ctl_exit exit = ctl_read_list(ctl, "pods", "pods", is_pod, &pods);

    if (pods)
        print_pods(value_member(pods, "pods"), ctl_has(ctl, "wide"));
    json_destroy(pods);
    return exit;
}

static const struct ctl_option options[] = {
    {"wide", NULL, "container ids in full, devices and MTU too"},
    {NULL, NULL, NULL},
};

const struct ctl_verb ctl_pods = {
    .name = "pods",
    .operand = "[POD]",
    .summary = "The attached pods; or one, by container id, name or address",
    .help = "Of a container id its beginning is enough.\n"
            "\n"
            "Example: whose address is that?\n"
            "  sluicectl pods 10.1.10.5\n",
    .options = options,
    .run = run,
};
