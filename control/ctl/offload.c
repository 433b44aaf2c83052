/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/table.h"
#include "control/ctl/value.h"

static void print_status(const struct json *offload)
{
    struct shash reasons = SHASH_INITIALIZER(&reasons); // -> how many rules
    struct table *table = table_create(">RULES WHY-NOT-IN-THE-NIC");
    const struct json *rules = value_member(offload, "rules");
    size_t n = value_size(rules), in_nic = 0;
    const struct shash_node **sorted;

    for (size_t i = 0; i < n; i++) {
        const struct json *rule = value_at(rules, i);
        const char *why_not = value_string(rule, "why_not");
        struct shash_node *node;

        if (value_bool(rule, "in_nic")) {
            in_nic++;
            continue;
        }
        node = shash_find(&reasons, why_not);
        if (!node)
            node = shash_add(&reasons, why_not, NULL);
        node->data = (void *)((uintptr_t)node->data + 1);
    }
    printf("mode %s, %zu of %zu rules in the NIC\n", value_string(offload, "mode"), in_nic, n);

    sorted = shash_sort(&reasons);
    for (size_t i = 0; i < shash_count(&reasons); i++) {
        table_add(table, "%" PRIuPTR, (uintptr_t)sorted[i]->data);
        table_add(table, "%s", sorted[i]->name);
    }
    if (shash_count(&reasons)) {
        putchar('\n');
        table_print(table, "", stdout);
    }
    free(sorted);
    shash_destroy(&reasons);
    table_destroy(table);
}

static void print_rules(const struct json *rules)
{
    for (size_t i = 0; i < value_size(rules); i++) {
        const struct json *rule = value_at(rules, i);

        printf("%s# %s, priority %" PRIu64 ": %s -> %s\n", i ? "\n" : "",
               value_string(rule, "table"), value_number(rule, "priority"),
               value_string(rule, "match"), value_string(rule, "actions"));
        if (value_bool(rule, "in_nic"))
            puts("# in the NIC");
        else
            printf("# not in the NIC: %s\n", value_string(rule, "why_not"));
        // A line that is a comment only repeats why not.
        if (*value_string(rule, "testpmd") != '#')
            printf("%s\n", value_string(rule, "testpmd"));
    }
}

static enum ctl_exit run(const struct ctl *ctl)
{
    bool rules = ctl->operand && !strcmp(ctl->operand, "rules");
    enum ctl_exit exit;
    struct json *offload;

    if (ctl->operand && !rules && strcmp(ctl->operand, "status"))
        return ctl_usage_error(ctl->verb, "%s: neither `status` nor `rules`", ctl->operand);
    exit = ctl_read(ctl, "offload", &offload);
    if (offload && rules)
        print_rules(value_member(offload, "rules"));
    else if (offload)
        print_status(offload);
    json_destroy(offload);
    return exit;
}

const struct ctl_verb ctl_offload = {
    .name = "offload",
    .operand = "[status|rules]",
    .summary = "What is in the NIC, and of what is not, why",
    .help =
        "`status` (the default) counts the rules in the NIC and the reasons of the others.\n"
        "`rules` prints each rule, whether it is in the NIC, and if it can be said in rte_flow, "
        "how\n"
        "DPDK's testpmd would make it: the output is a script for testpmd, where what begins with\n"
        "# is a comment.\n"
        "\n"
        "Example: why is this pod's traffic not offloaded?\n"
        "  sluicectl offload rules | grep -A 2 10.1.10.5\n",
    .options = ctl_no_options,
    .run = run,
};
