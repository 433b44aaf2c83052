/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/appctl.h"

#include <inttypes.h>
#include <stdlib.h>

#include "control/openflow/openflow.h"
#include "control/rules.h"
#include "coverage.h"
#include "dataplane/dataplane.h"
#include "memory.h"
#include "openvswitch/dynamic-string.h"
#include "simap.h"
#include "unixctl.h"

static void dump_rules(struct unixctl_conn *conn, int argc, const char *argv[], void *aux)
{
    struct ds out = DS_EMPTY_INITIALIZER;
    size_t n;
    struct held_rule **rules = rules_sorted(&n);

    (void)argc;
    (void)argv;
    (void)aux;
    for (size_t i = 0; i < n; i++) {
        const struct rule *rule = &rules[i]->rule;
        struct dp_rule_stats stats;
        char match[512], actions[512];

        dp_rule_stats(rules[i]->slot, &stats);
        rule_format_match(rule, match, sizeof(match));
        rule_format_actions(rule, actions, sizeof(actions));
        ds_put_format(&out,
                      "table=%s, priority=%u, cookie=0x%" PRIx64 ", n_packets=%" PRIu64
                      ", n_bytes=%" PRIu64 ", %s actions=%s\n",
                      rule_table_name(rule->table), rule->priority, rule->cookie, stats.packets,
                      stats.bytes, match, actions);
    }
    free(rules);
    unixctl_command_reply(conn, ds_cstr(&out));
    ds_destroy(&out);
}

void appctl_init(void)
{
    unixctl_command_register("sluice/dump-rules", "", 0, 0, dump_rules, NULL);
    coverage_init();
}

void appctl_run(void)
{
    memory_run();
    if (memory_should_report()) {
        struct simap usage = SIMAP_INITIALIZER(&usage);

        openflow_memory(&usage);
        memory_report(&usage);
        simap_destroy(&usage);
    }
    coverage_run();
}

void appctl_wait(void)
{
    memory_wait();
}
