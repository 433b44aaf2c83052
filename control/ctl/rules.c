/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/value.h"

static bool is_owned_by(const struct json *rule, const char *what)
{
    return !strncmp(value_string(rule, "owner"), what, strlen(what));
}

#define RULE_COLUMN 36
#define RULE_WIDTH  64

// Terms between commas, in the column RULE, on as many lines as they need.
static void print_terms(const char *before, const char *terms)
{
    size_t at = strlen(before);

    fputs(before, stdout);
    while (*terms) {
        size_t len = strcspn(terms, ",");

        len += terms[len] == ',';
        if (at + len > RULE_WIDTH && at > strlen(before)) {
            printf("\n%*s", RULE_COLUMN, "");
            at = 0;
        }
        printf("%.*s", (int)len, terms);
        at += len;
        terms += len;
    }
    putchar('\n');
}

// A match and its actions are too long for a table's cells: each rule takes several lines.
static void print_rules(const struct json *rules)
{
    const char *table = "";

    for (size_t i = 0; i < value_size(rules); i++) {
        const struct json *rule = value_at(rules, i);
        char packets[VALUE_TEXT], bytes[VALUE_TEXT];

        if (strcmp(table, value_string(rule, "table"))) {
            printf("%stable %s\nPRIORITY  PACKETS    BYTES  IN-NIC  RULE\n", i ? "\n" : "",
                   value_string(rule, "table"));
            table = value_string(rule, "table");
        }
        printf("%8" PRIu64 "  %7s  %7s  %-6s  ", value_number(rule, "priority"),
               value_format_count(value_number(rule, "packets"), packets),
               value_format_count(value_number(rule, "bytes"), bytes),
               value_bool(rule, "in_nic") ? "yes" : "no");
        print_terms("", value_string(rule, "match"));
        printf("%*s", RULE_COLUMN, "");
        print_terms("-> ", value_string(rule, "actions"));
    }
    if (!value_size(rules))
        puts("no rules");
}

static enum ctl_exit run(const struct ctl *ctl)
{
    struct json *rules;
    enum ctl_exit exit = ctl_read_list(ctl, "rules", "rules", is_owned_by, &rules);

    if (rules)
        print_rules(value_member(rules, "rules"));
    json_destroy(rules);
    return exit;
}

const struct ctl_verb ctl_rules = {
    .name = "rules",
    .operand = "[OWNER]",
    .summary = "The forwarding rules, with what they counted; or those of one owner",
    .help =
        "OWNER is (the beginning of) a container id, `range`, `host` or `openflow`. Packets and\n"
        "bytes are what the software forwarded by the rule.\n"
        "\n"
        "Example: what was made for this container?\n"
        "  sluicectl rules 7c1f0e9b2a34\n",
    .options = ctl_no_options,
    .run = run,
};
