/* SPDX-License-Identifier: Apache-2.0 */
// The answer to the method `offload`.
#include <config.h>

#include <inttypes.h>

#include "control/rules.h"
#include "control/stats.h"
#include "dataplane/dataplane.h"
#include "openvswitch/json.h"
#include "util.h"

static void put_integer(struct json *object, const char *name, uint64_t value)
{
    json_object_put(object, name, json_integer_create((long long)value));
}

// NULL and "" are null.
static void put_text(struct json *object, const char *name, const char *value)
{
    json_object_put(object, name,
                    value && value[0] ? json_string_create(value) : json_null_create());
}

static void software_counts(const struct held_rule *held, struct dp_rule_stats *stats)
{
    struct dp_policy_stats policy;

    *stats = (struct dp_rule_stats){0};
    if (held->nic_only)
        return;
    if (!held->policy) {
        dp_rule_stats(held->slot, stats);
        return;
    }
    dp_policy_stats(held->slot, &policy);
    stats->packets = policy.packets;
    stats->bytes = policy.bytes;
}

static struct json *describe(const struct held_rule *held)
{
    const struct offload_rule *offload = held->offload;
    struct json *rule = json_object_create();
    struct dp_rule_stats software;
    struct offload_counts nic;
    char text[2048];

    put_text(rule, "table", rule_table_name(held->rule.table));
    put_integer(rule, "priority", held->rule.priority);
    json_object_put_format(rule, "cookie", "0x%" PRIx64, held->rule.cookie);
    rule_format_match(&held->rule, text, sizeof(text));
    json_object_put_string(rule, "match", text);
    rule_format_actions(&held->rule, text, sizeof(text));
    json_object_put_string(rule, "actions", text);
    json_object_put(rule, "in_nic", json_boolean_create(offload_in_nic(offload)));
    put_text(rule, "why_not", offload_why_not(offload));
    software_counts(held, &software);
    offload_stats(offload, &nic);
    put_integer(rule, "packets", software.packets);
    put_integer(rule, "bytes", software.bytes);
    put_integer(rule, "nic_packets", nic.packets);
    put_integer(rule, "nic_bytes", nic.bytes);
    offload_format_testpmd(offload, text, sizeof(text));
    json_object_put_string(rule, "testpmd", text);
    return rule;
}

static struct json *audit(const struct offload_status *status)
{
    struct json *object = json_object_create();

    put_integer(object, "created", status->created);
    put_integer(object, "destroyed", status->destroyed);
    put_integer(object, "refused", status->refused);
    put_integer(object, "rounds", status->audits);
    put_integer(object, "cpu_us", status->audit_us);
    put_integer(object, "lost", status->lost);
    put_integer(object, "altered", status->altered);
    put_integer(object, "extra", status->extra);
    put_integer(object, "resets", status->resets);
    put_integer(object, "gone", status->gone);
    put_integer(object, "stalls", status->stalls);
    put_text(object, "last_event", status->last_event);
    return object;
}

static struct json *nics(void)
{
    struct offload_capability list[OFFLOAD_CAPABILITIES_MAX];
    struct json *result = json_array_create_empty();
    char driver[32];
    unsigned n;

    for (unsigned nic = 0; (n = offload_capabilities(nic, driver, list, OFFLOAD_CAPABILITIES_MAX));
         nic++) {
        struct json *object = json_object_create(), *capabilities = json_array_create_empty();

        for (unsigned i = 0; i < n; i++) {
            struct json *one = json_object_create();

            put_text(one, "name", list[i].name);
            json_object_put(one, "has", json_boolean_create(list[i].has));
            put_text(one, "why_not", list[i].why_not);
            json_array_add(capabilities, one);
        }
        put_text(object, "driver", driver);
        json_object_put(object, "capabilities", capabilities);
        json_array_add(result, object);
    }
    return result;
}

struct json *stats_offload(void)
{
    struct json *result = json_object_create(), *list = json_array_create_empty();
    struct offload_status status;
    size_t n;
    struct held_rule **rules = rules_sorted(true, &n);

    for (size_t i = 0; i < n; i++)
        json_array_add(list, describe(rules[i]));
    free(rules);
    json_object_put(result, "rules", list);
    put_text(result, "mode", stats_offload_mode());
    offload_status(&status);
    put_integer(result, "pods_without_room", status.pods_out);
    json_object_put(result, "audit", audit(&status));
    json_object_put(result, "nics", nics());
    return result;
}
