/* SPDX-License-Identifier: Apache-2.0 */
// docs/configuration.md from the schema.
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"

static const char introduction[] =
    "<!-- Made from config/schema.c by `meson compile -C BUILD configuration-docs`. -->\n"
    "# The node file\n"
    "\n"
    "`/etc/sluice/sluice.yaml` says what `sluiced` has to know about its node. `sluiced --check "
    "FILE` checks one and does\n"
    "nothing else. `config/sluice.yaml` shows every key; the least that works is:\n"
    "\n"
    "```yaml\n"
    "uplinks:\n"
    "  - netdev: eth0\n"
    "  - netdev: eth1\n"
    "ranges:\n"
    "  - {subnet: 10.1.10.0/24, gateway: 10.1.10.1}\n"
    "```\n"
    "\n"
    "The file is read strictly. A key that is unknown or there twice, a value of the wrong type "
    "or out of range, and values\n"
    "that contradict each other are refused, all at once, one a line, as `FILE:LINE: KEY: VALUE: "
    "what is wrong; what to do`:\n"
    "\n"
    "```\n"
    "sluice.yaml:2: uplinks[0].netdve: eth0: is no key here; did you mean netdev?\n"
    "sluice.yaml:9: ranges[0].gateway: 10.1.11.1: is not in the subnet 10.1.10.0/24; write the "
    "ToRs' address in it\n"
    "```\n"
    "\n"
    "It is YAML of at most 1 MiB in UTF-8, one document, without anchors, aliases and tags. "
    "Numbers are decimal, whole and\n"
    "written without their unit (`max_sleep: 500`, not `500us`).\n";

static void print_range(FILE *file, const struct schema_key *key)
{
    fprintf(file, ", %u to %u", key->min, key->max);
    if (key->unit)
        fprintf(file, " %s", key->unit);
}

static void print_choices(FILE *file, const char *choices)
{
    size_t n;

    for (const char *c = choices; c; c = c[n] ? c + n + 1 : NULL) {
        n = strcspn(c, "|");
        fprintf(file, "%s`%.*s`", c == choices ? "" : c[n] ? ", " : " or ", (int)n, c);
    }
}

static void print_type(FILE *file, const struct schema_key *key)
{
    if (key->choices)
        print_choices(file, key->choices);
    else
        fputs(key->type->name, file);
    if (key->type == &value_integer)
        print_range(file, key);
    else if (key->type == &value_netdev || key->type == &value_devargs ||
             key->type == &value_name || key->type == &value_path)
        fprintf(file, ", at most %zu characters", key->size - 1);
}

// NULL: it is no list of plain values.
static const struct schema_key *element_of(const struct schema_key *key)
{
    char path[64];

    snprintf(path, sizeof(path), "%s[]", key->path);
    return schema_find(path);
}

static void print_row(FILE *file, const struct schema_key *key)
{
    const struct schema_key *element = element_of(key);

    fprintf(file, "| `%s` | ", key->path);
    if (element) {
        fprintf(file, "list of %u to %u: ", key->min, key->max);
        print_type(file, element);
    } else {
        print_type(file, key);
    }
    if (key->fallback)
        fprintf(file, " | `%s` | ", key->fallback);
    else
        fprintf(file, " | %s | ", key->required ? "required" : "none");
    fprintf(file, "%s |\n", key->doc);
}

static void print_table_head(FILE *file)
{
    fprintf(file, "\n| key | value | default | meaning |\n| --- | --- | --- | --- |\n");
}

void schema_print_docs(FILE *file)
{
    bool top = true;

    fputs(introduction, file);
    fprintf(file, "\n## Top level\n");
    print_table_head(file);
    for (size_t i = 0; i < schema_n; i++) {
        const struct schema_key *key = &schema[i];
        size_t n = strlen(key->path);

        if (strpbrk(key->path, ".[") == NULL && key->kind != SCHEMA_VALUE && !element_of(key)) {
            top = false;
            fprintf(file, "\n## %s\n\n%s", key->path, key->doc);
            if (key->kind == SCHEMA_LIST)
                fprintf(file, " A list of %u to %u.", key->min, key->max);
            fprintf(file, key->required ? " Required.\n" : "\n");
            print_table_head(file);
        } else if (key->kind == SCHEMA_VALUE && strchr(key->path, '.') == NULL && !top) {
            abort(); // single values at the top come first in the table
        } else if (n < 2 || strcmp(key->path + n - 2, "[]") != 0) {
            print_row(file, key);
        }
    }
}
