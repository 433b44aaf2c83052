/* SPDX-License-Identifier: Apache-2.0 */
// The OpenFlow switch's part of the status.
#include <config.h>

#include <inttypes.h>

#include "control/openflow/openflow.h"
#include "control/stats.h"
#include "dataplane/dataplane.h"
#include "openvswitch/json.h"
#include "util.h"

static void put_integer(struct json *object, const char *name, uint64_t value)
{
    json_object_put(object, name, json_integer_create((long long)value));
}

uint64_t stats_policy_rules(void)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < POLICY_TABLES; i++) {
        struct dp_policy_table_stats table;

        dp_policy_table_stats(i, &table);
        n += table.rules;
    }
    return n;
}

// The operator's tables that hold rules.
static struct json *tables(void)
{
    struct json *list = json_array_create_empty();

    for (unsigned i = 0; i < POLICY_TABLES; i++) {
        struct dp_policy_table_stats stats;
        struct json *table;

        dp_policy_table_stats(i, &stats);
        if (stats.rules == 0)
            continue;
        table = json_object_create();
        put_integer(table, "table", i);
        put_integer(table, "rules", stats.rules);
        json_object_put_string(table, "structure", stats.structure);
        put_integer(table, "delta", stats.delta);
        json_object_put(table, "compiling", json_boolean_create(stats.compiling));
        put_integer(table, "refused_bytes", stats.refused_bytes);
        put_integer(table, "bytes", stats.bytes);
        put_integer(table, "lookups", stats.lookups);
        put_integer(table, "matches", stats.matches);
        json_array_add(list, table);
    }
    return list;
}

struct json *stats_openflow(struct json *problems)
{
    struct json *object = json_object_create();
    struct openflow_status status = {.durable = true};
    char *problem;

    openflow_status(&status);
    json_object_put_format(object, "datapath_id", "%016" PRIx64, status.datapath_id);
    put_integer(object, "listeners", status.listeners);
    put_integer(object, "controllers", status.controllers);
    put_integer(object, "connected", status.connected);
    put_integer(object, "groups", status.groups);
    put_integer(object, "meters", status.meters);
    json_object_put(object, "tables", tables());
    if (status.connected < status.controllers) {
        problem = xasprintf("openflow: %u of %u controllers not connected",
                            status.controllers - status.connected, status.controllers);
        json_array_add(problems, json_string_create_nocopy(problem));
    }
    if (!status.durable) {
        problem = xstrdup("openflow: the rules cannot be written to the state file, see the log");
        json_array_add(problems, json_string_create_nocopy(problem));
    }
    return object;
}
