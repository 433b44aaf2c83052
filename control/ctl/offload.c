/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/ctl.h"
#include "control/ctl/table.h"
#include "control/ctl/value.h"
#include "util.h"

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
    if (value_number(offload, "pods_without_room"))
        printf("the NIC is full: %" PRIu64 " pods are in software until others leave\n",
               value_number(offload, "pods_without_room"));

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

// Software's packets and the NIC's, of rules that count in both.
static void print_counts(const struct json *rule)
{
    char packets[VALUE_TEXT], nic_packets[VALUE_TEXT];

    printf("# packets: %s by the NIC, %s by software\n",
           value_format_count(value_number(rule, "nic_packets"), nic_packets),
           value_format_count(value_number(rule, "packets"), packets));
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
        print_counts(rule);
        // A line that is a comment only repeats why not.
        if (*value_string(rule, "testpmd") != '#')
            printf("%s\n", value_string(rule, "testpmd"));
    }
}

static void print_audit(const struct json *offload)
{
    const struct json *audit = value_member(offload, "audit");
    static const struct {
        const char *name, *what;
    } lines[] = {
        {"created", "rules put into NICs"},
        {"destroyed", "rules taken out"},
        {"refused", "times that a driver refused one"},
        {"rounds", "rounds of comparing all rules"},
        {"cpu_us", "microseconds of CPU time for that"},
        {"lost", "rules found missing, and put back"},
        {"altered", "rules found altered, and put right"},
        {"extra", "times that rules were found which nobody had put there"},
        {"resets", "resets of a device, after which all was programmed again"},
        {"gone", "devices that were unplugged"},
        {"stalls", "times that a device's queue did not answer for two seconds"},
    };
    struct table *table = table_create(">NUMBER WHAT");

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        table_add(table, "%" PRIu64, value_number(audit, lines[i].name));
        table_add(table, "%s", lines[i].what);
    }
    table_print(table, "", stdout);
    table_destroy(table);
    if (value_is_set(audit, "last_event"))
        printf("\nlast: %s\n", value_string(audit, "last_event"));
}

static void print_capabilities(const struct json *offload)
{
    const struct json *nics = value_member(offload, "nics");

    if (value_size(nics) == 0)
        puts("no NIC that takes transfer rules");
    for (size_t i = 0; i < value_size(nics); i++) {
        const struct json *list = value_member(value_at(nics, i), "capabilities");
        struct table *table = table_create("CAPABILITY HAS WHY-NOT");

        printf("%s%s\n\n", i ? "\n" : "", value_string(value_at(nics, i), "driver"));
        for (size_t n = 0; n < value_size(list); n++) {
            const struct json *one = value_at(list, n);

            table_add(table, "%s", value_string(one, "name"));
            table_add(table, "%s", value_bool(one, "has") ? "yes" : "no");
            table_add(table, "%s",
                      value_is_set(one, "why_not") ? value_string(one, "why_not") : "");
        }
        table_print(table, "", stdout);
        table_destroy(table);
    }
}

static bool is_pod(const struct json *pod, const char *name)
{
    const struct json *ips = value_member(pod, "ips");

    for (size_t i = 0; i < value_size(ips); i++) {
        if (!strcmp(value_text(value_at(ips, i)), name))
            return true;
    }
    return !strcmp(value_string(pod, "container_id"), name) ||
           (value_is_set(pod, "pod") && !strcmp(value_string(pod, "pod"), name));
}

// The rules of one pod: their cookie is its port.
static enum ctl_exit print_why(const struct ctl *ctl, const struct json *offload, const char *name)
{
    const struct json *rules = value_member(offload, "rules"), *list;
    struct json *pods;
    enum ctl_exit exit = ctl_read(ctl, "pods", &pods);
    bool found = false;

    if (exit != CTL_OK)
        return exit;
    list = value_member(pods, "pods");
    for (size_t i = 0; i < value_size(list); i++) {
        const struct json *pod = value_at(list, i);
        uint64_t nic = 0, software = 0;
        char cookie[32], of_nic[VALUE_TEXT], of_software[VALUE_TEXT];

        if (!is_pod(pod, name))
            continue;
        found = true;
        snprintf(cookie, sizeof(cookie), "0x%" PRIx64, value_number(pod, "port"));
        for (size_t n = 0; n < value_size(rules); n++) {
            const struct json *rule = value_at(rules, n);
            const char *table = value_string(rule, "table");

            if (strcmp(value_string(rule, "cookie"), cookie) != 0 ||
                (strcmp(table, "guard") != 0 && strcmp(table, "forward") != 0))
                continue;
            printf("%s, %s: %s\n", table, value_string(rule, "match"),
                   value_bool(rule, "in_nic") ? "in the NIC" : value_string(rule, "why_not"));
            nic += value_number(rule, "nic_packets");
            software += value_number(rule, "packets");
        }
        printf("packets by its rules: %s by the NIC, %s by software\n",
               value_format_count(nic, of_nic), value_format_count(software, of_software));
    }
    json_destroy(pods);
    if (!found) {
        ctl_error("no pod %s: give its name, container id or an address", name);
        return CTL_FAILED;
    }
    return CTL_OK;
}

static enum ctl_exit run(const struct ctl *ctl)
{
    const char *what = ctl->operand ? ctl->operand : "status";
    bool why = !strcmp(what, "why");
    enum ctl_exit exit;
    struct json *offload;

    if (strcmp(what, "status") && strcmp(what, "rules") && strcmp(what, "audit") &&
        strcmp(what, "capabilities") && !why)
        return ctl_usage_error(ctl->verb, "%s: none of status, rules, why, capabilities, audit",
                               what);
    if (why != (ctl->second != NULL))
        return ctl_usage_error(ctl->verb, "%s", why ? "why: of which pod?" : "one word too many");
    exit = ctl_read(ctl, "offload", &offload);
    if (!offload)
        return exit;
    if (why)
        exit = print_why(ctl, offload, ctl->second);
    else if (!strcmp(what, "rules"))
        print_rules(value_member(offload, "rules"));
    else if (!strcmp(what, "audit"))
        print_audit(offload);
    else if (!strcmp(what, "capabilities"))
        print_capabilities(offload);
    else
        print_status(offload);
    json_destroy(offload);
    return exit;
}

const struct ctl_verb ctl_offload = {
    .name = "offload",
    .operand = "[status|rules|why POD|capabilities|audit]",
    .second = true,
    .summary = "What is in the NIC, and of what is not, why",
    .help =
        "`status` (the default) counts the rules in the NIC and the reasons of the others.\n"
        "`rules` prints each rule, whether it is in the NIC, who counted how many packets by it, "
        "and if\n"
        "it can be said in rte_flow, how DPDK's testpmd would make it: the output is a script for\n"
        "testpmd, where what begins with # is a comment.\n"
        "`why POD` says it of one pod's rules; POD is its name, container id or an address.\n"
        "`capabilities` prints what each NIC's driver takes, and in its own words why not.\n"
        "`audit` prints what was found not as it should be, and repaired.\n"
        "\n"
        "Example: why is this pod's traffic not offloaded?\n"
        "  sluicectl offload why 10.1.10.5\n",
    .options = ctl_no_options,
    .run = run,
};
