/* SPDX-License-Identifier: Apache-2.0 */
// Reads the node file by the schema. The YAML parser's events are taken one by one and aliases are
// refused, so that nothing in a file makes more work than its size.
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/reader.h"

#define FILE_MAX (1 << 20)

static void read_node(struct reader *reader, const struct schema_key *key, const char *path,
                      void *base, yaml_event_t *event);

// Levenshtein's distance, for names of less than 32 characters.
static unsigned edit_distance(const char *a, const char *b)
{
    unsigned row[32], n = strlen(b);

    for (unsigned j = 0; j <= n; j++)
        row[j] = j;
    for (unsigned i = 1; *a; a++, i++) {
        unsigned diagonal = row[0];

        row[0] = i;
        for (unsigned j = 1; j <= n; j++) {
            unsigned change = diagonal + (*a != b[j - 1]);

            diagonal = row[j];
            row[j] = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            if (change < row[j])
                row[j] = change;
        }
    }
    return row[n];
}

static void unknown_key(struct reader *reader, unsigned line, const char *parent, const char *path,
                        const char *name, const char *value)
{
    const char *nearest = NULL;
    unsigned best = strlen(name) < 6 ? 2 : 3, n = 0; // no suggestion from there on
    char keys[256] = "";

    for (size_t i = 0; i < schema_n; i++) {
        const char *child = schema_child(&schema[i], parent);

        if (!child)
            continue;
        n += snprintf(keys + n, sizeof(keys) - n, "%s%s", n > 0 ? ", " : "", child);
        assert(n < sizeof(keys));
        if (strlen(name) < 32 && edit_distance(name, child) < best) {
            best = edit_distance(name, child);
            nearest = child;
        }
    }
    if (nearest)
        reader_fault(reader, line, path, value, "is no key here; did you mean %s?", nearest);
    else
        reader_fault(reader, line, path, value, "is no key here; write one of %s", keys);
}

static void read_member(struct reader *reader, const char *parent, const char *path, void *base,
                        const yaml_event_t *name_event)
{
    const char *name = (const char *)name_event->data.scalar.value;
    const struct schema_key *key = NULL;
    const struct mark *first;
    yaml_event_t event;
    char full[PATH_SIZE + 128];

    if (!reader_next(reader, &event))
        return;
    snprintf(full, sizeof(full), "%s%s%.100s", path, path[0] ? "." : "", name);
    for (size_t i = 0; i < schema_n && !key; i++) {
        const char *child = schema_child(&schema[i], parent);

        if (child && strcmp(child, name) == 0)
            key = &schema[i];
    }
    if (!key) {
        unknown_key(reader, reader_line(name_event), parent, full, name, reader_value(&event));
        reader_skip(reader, &event);
    } else if ((first = reader_mark(reader, full))) {
        reader_fault(reader, reader_line(name_event), full, reader_value(&event),
                     "is there twice; delete this or the one in line %u", first->line);
        reader_skip(reader, &event);
    } else {
        reader_add_mark(reader, full, &event);
        read_node(reader, key, full, base, &event);
    }
    yaml_event_delete(&event);
}

static void wrong_kind(struct reader *reader, const char *path, const yaml_event_t *event,
                       const char *message)
{
    if (event->type != YAML_ALIAS_EVENT) // that has been said already
        reader_fault(reader, reader_line(event), path[0] ? path : FILE_KEY, reader_value(event),
                     "%s", message);
    reader_skip(reader, event);
}

static void require_members(struct reader *reader, const char *parent, const char *path,
                            unsigned line)
{
    char full[PATH_SIZE + 32];

    for (size_t i = 0; i < schema_n; i++) {
        const char *child = schema_child(&schema[i], parent);

        if (!child || !schema[i].required)
            continue;
        snprintf(full, sizeof(full), "%s%s%s", path, path[0] ? "." : "", child);
        if (!reader_mark(reader, full))
            reader_fault(reader, line, full, "(missing)", "is required; add it");
    }
}

// `parent` is the map's path in the schema, `path` in the file.
static void read_map(struct reader *reader, const char *parent, const char *path, void *base,
                     yaml_event_t *event)
{
    yaml_event_t name;
    bool end = false;

    if (event->type != YAML_MAPPING_START_EVENT) {
        wrong_kind(reader, path, event, "is not a mapping; write `key: value` lines below it");
        return;
    }
    while (!end && reader_next(reader, &name)) {
        if (name.type == YAML_MAPPING_END_EVENT) {
            end = true;
        } else if (name.type == YAML_SCALAR_EVENT) {
            read_member(reader, parent, path, base, &name);
        } else { // `? [a, b] : value`
            yaml_event_t value;

            wrong_kind(reader, path, &name, "is no key; write a plain word before the colon");
            if (reader_next(reader, &value)) {
                reader_skip(reader, &value);
                yaml_event_delete(&value);
            }
        }
        yaml_event_delete(&name);
    }
    if (end)
        require_members(reader, parent, path, reader_line(event));
}

static void read_element(struct reader *reader, const struct schema_key *list, const char *path,
                         void *base, unsigned i, yaml_event_t *event)
{
    void *element = (char *)base + list->offset + i * list->size;
    char element_path[PATH_SIZE], parent[PATH_SIZE];
    const struct schema_key *key;

    snprintf(element_path, sizeof(element_path), "%.40s[%u]", path, i);
    snprintf(parent, sizeof(parent), "%s[]", list->path);
    reader_add_mark(reader, element_path, event);
    key = schema_find(parent);
    if (key) {
        read_node(reader, key, element_path, element, event);
    } else {
        schema_defaults(parent, element);
        read_map(reader, parent, element_path, element, event);
    }
}

static void read_list(struct reader *reader, const struct schema_key *key, const char *path,
                      void *base, yaml_event_t *event)
{
    unsigned *n = (unsigned *)((char *)base + key->count_offset);
    bool too_many = false, end = false;
    yaml_event_t element;

    if (event->type != YAML_SEQUENCE_START_EVENT) {
        wrong_kind(reader, path, event, "is not a list; write [a, b], or lines that begin with -");
        return;
    }
    while (!end && reader_next(reader, &element)) {
        if (element.type == YAML_SEQUENCE_END_EVENT) {
            end = true;
        } else if (*n < key->max) {
            read_element(reader, key, path, base, (*n)++, &element);
        } else {
            if (!too_many)
                reader_fault(reader, reader_line(&element), path, reader_value(&element),
                             "is one too many; write at most %u", key->max);
            too_many = true;
            reader_skip(reader, &element);
        }
        yaml_event_delete(&element);
    }
    if (end && *n < key->min)
        reader_fault(reader, reader_line(event), path, "(empty list)",
                     "has no element; write at least %u or delete the key", key->min);
}

static void read_value(struct reader *reader, const struct schema_key *key, const char *path,
                       void *base, yaml_event_t *event)
{
    const char *text = reader_value(event);
    bool plain;
    char why[WHY_SIZE];

    if (event->type != YAML_SCALAR_EVENT) {
        wrong_kind(reader, path, event, "is not a single value; write just one");
        return;
    }
    plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (strlen(text) != event->data.scalar.length)
        snprintf(why, sizeof(why), "has a NUL byte in it; write it without");
    else if (plain && (!strcmp(text, "") || !strcmp(text, "~") || !strcmp(text, "null")))
        snprintf(why, sizeof(why), "is empty; give it a value or delete the line");
    else if (!plain && key->type->plain)
        snprintf(why, sizeof(why), "is text; write it without quotes");
    else if (key->type->set(key, (char *)base + key->offset, text, why)) {
        reader->marks[reader->n_marks - 1].good = true; // the latest: a value has none inside
        return;
    }
    reader_fault(reader, reader_line(event), path, text, "%s", why);
}

static void read_node(struct reader *reader, const struct schema_key *key, const char *path,
                      void *base, yaml_event_t *event)
{
    switch (key->kind) {
    case SCHEMA_VALUE:
        read_value(reader, key, path, base, event);
        break;
    case SCHEMA_MAP:
        read_map(reader, key->path, path, base, event);
        break;
    case SCHEMA_LIST:
        read_list(reader, key, path, base, event);
        break;
    }
}

// The events around the one document's root.
static void read_stream(struct reader *reader)
{
    bool root = false;
    yaml_event_t event;

    while (reader_next(reader, &event)) {
        yaml_event_type_t type = event.type;

        if (type == YAML_DOCUMENT_START_EVENT && root) {
            reader_fault(reader, reader_line(&event), FILE_KEY, "---",
                         "begins a second document; write one");
            reader->stopped = true;
        } else if (type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT ||
                   type == YAML_SCALAR_EVENT || type == YAML_ALIAS_EVENT) {
            root = true;
            read_map(reader, "", "", &reader->file, &event);
        }
        yaml_event_delete(&event);
        if (type == YAML_STREAM_END_EVENT)
            break;
    }
    if (!root && !reader->stopped)
        require_members(reader, "", "", 1);
}

static void read_text(struct reader *reader, const char *text, size_t size)
{
    const char *nul = memchr(text, '\0', size);

    if (size > FILE_MAX) {
        reader_fault(reader, 1, FILE_KEY, "(size)",
                     "is larger than 1 MiB; is it another file? write only what is needed");
        return;
    }
    if (nul) {
        reader_fault(reader, reader_line_at(reader, nul - text), FILE_KEY, "(NUL)",
                     "has a NUL byte; is it another file? write plain text");
        return;
    }
    if (!yaml_parser_initialize(&reader->parser)) {
        reader_fault(reader, 1, FILE_KEY, "(size)", "no memory to read it; free some");
        return;
    }
    yaml_parser_set_input_string(&reader->parser, (const unsigned char *)text, size);
    yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
    read_stream(reader);
    yaml_parser_delete(&reader->parser);
    if (!reader->stopped)
        reader_check(reader);
    if (reader->n_faults > FAULTS_MAX)
        fprintf(reader->faults, "\n%s:1: %s: (faults): has more faults; mend these first",
                reader->name, FILE_KEY);
}

void config_defaults(struct config *config)
{
    struct node_file file = {0};

    schema_defaults("", &file);
    *config = file.config;
}

int config_parse(const char *name, const char *text, size_t size, struct config *config,
                 char **error)
{
    struct reader *reader = calloc(1, sizeof(*reader));
    size_t error_size;
    unsigned n_faults;

    *error = NULL;
    if (!reader)
        return -ENOMEM;
    reader->faults = open_memstream(error, &error_size);
    if (!reader->faults) {
        free(reader);
        return -ENOMEM;
    }
    reader->name = name;
    reader->text = text;
    schema_defaults("", &reader->file);
    read_text(reader, text, size);
    n_faults = reader->n_faults;
    fclose(reader->faults);
    if (n_faults == 0) {
        *config = reader->file.config;
        free(*error);
        *error = NULL;
    }
    free(reader);
    return n_faults == 0 ? 0 : -EINVAL;
}

int config_load(const char *path, struct config *config, char **error)
{
    char *text = malloc(FILE_MAX + 1);
    FILE *file = fopen(path, "re");
    size_t size = 0;
    int rc = file && text ? 0 : -errno;

    if (rc == 0) {
        size = fread(text, 1, FILE_MAX + 1, file);
        if (ferror(file))
            rc = -errno;
    }
    if (file)
        fclose(file);
    if (rc == 0)
        rc = config_parse(path, text, size, config, error);
    else if (asprintf(error, "%s:1: %s: (none): cannot be read: %s; write it or name another", path,
                      FILE_KEY, strerror(-rc)) < 0)
        *error = NULL;
    free(text);
    return rc;
}
