/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ctl/counters.h"

#include <string.h>

#include "control/ctl/value.h"
#include "dataplane/drop.h"

static struct json *integer_rate(const struct json *before, const struct json *now,
                                 uint64_t elapsed_us)
{
    uint64_t from = before && before->type == JSON_INTEGER ? json_integer(before) : 0;
    uint64_t to = json_integer(now);

    if (!elapsed_us || to < from)
        return json_null_create();
    return json_integer_create((double)(to - from) * 1000000 / elapsed_us + 0.5);
}

static const struct json *find_port(const struct json *ports, uint64_t no)
{
    for (size_t i = 0; i < value_size(ports); i++)
        if (value_number(value_at(ports, i), "port") == no)
            return value_at(ports, i);
    return NULL;
}

struct json *counter_rates(const struct json *before, const struct json *now, uint64_t elapsed_us)
{
    struct json *rates;

    if (now->type == JSON_INTEGER)
        return integer_rate(before, now, elapsed_us);

    if (now->type == JSON_OBJECT) {
        struct shash_node *node;

        rates = json_object_create();
        SHASH_FOR_EACH(node, json_object(now))
        {
            const struct json *member = node->data;
            bool counter = strcmp(node->name, "port") && strcmp(node->name, "time_us");

            json_object_put(
                rates, node->name,
                counter ? counter_rates(value_member(before, node->name), member, elapsed_us)
                        : json_clone(member));
        }
        return rates;
    }

    if (now->type == JSON_ARRAY) {
        rates = json_array_create_empty();
        for (size_t i = 0; i < value_size(now); i++) {
            const struct json *port = value_at(now, i);

            json_array_add(rates, counter_rates(find_port(before, value_number(port, "port")), port,
                                                elapsed_us));
        }
        return rates;
    }
    return json_clone(now);
}

uint64_t counter_total(const struct json *counters)
{
    uint64_t total = 0;

    if (counters && counters->type == JSON_OBJECT) {
        struct shash_node *node;

        SHASH_FOR_EACH(node, json_object(counters))
        total += value_number(counters, node->name);
    }
    return total;
}

void counter_sum(const struct json *totals, struct counter_sum *sum)
{
    *sum = (struct counter_sum){
        .rx = value_number(totals, "rx"),
        .originated = value_number(totals, "originated"),
        .tx = value_number(totals, "tx"),
        .dropped = counter_total(value_member(totals, "drops")),
        .in_flight = value_number(totals, "in_flight"),
    };
    sum->missing = sum->rx + sum->originated - sum->tx - sum->dropped - sum->in_flight;
}

const char *counter_drop_text(const char *name)
{
    static const char *const reasons[][2] = {
#define X(reason, text) {#reason, text},
        DROP_REASONS(X)
#undef X
    };

    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (!strcmp(reasons[i][0], name))
            return reasons[i][1];
    return NULL;
}
