/* SPDX-License-Identifier: Apache-2.0 */
// The node file as a stream of YAML events, and the faults found in it.
#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "config/reader.h"

#define DEPTH_MAX 16

// Text from the file within a line of ours.
static void print_safe(FILE *file, const char *text)
{
    for (unsigned n = 0; *text; text++, n++) {
        if (n == 80) {
            fputs("...", file);
            return;
        }
        if (*text >= ' ' && *text <= '~')
            fputc(*text, file);
        else
            fprintf(file, "\\x%02x", (unsigned char)*text);
    }
}

void reader_fault(struct reader *reader, unsigned line, const char *key, const char *value,
                  const char *format, ...)
{
    va_list args;

    if (reader->n_faults++ >= FAULTS_MAX) {
        reader->stopped = true;
        return;
    }
    fprintf(reader->faults, "%s%s:%u: ", reader->n_faults > 1 ? "\n" : "", reader->name, line);
    print_safe(reader->faults, key);
    fputs(": ", reader->faults);
    print_safe(reader->faults, value);
    fputs(": ", reader->faults);
    va_start(args, format);
    vfprintf(reader->faults, format, args);
    va_end(args);
}

const struct mark *reader_mark(const struct reader *reader, const char *path)
{
    for (unsigned i = 0; i < reader->n_marks; i++)
        if (strcmp(reader->marks[i].path, path) == 0)
            return &reader->marks[i];
    return NULL;
}

const char *reader_value(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return (const char *)event->data.scalar.value;
    case YAML_SEQUENCE_START_EVENT:
        return "(list)";
    case YAML_MAPPING_START_EVENT:
        return "(mapping)";
    default:
        return "(alias)";
    }
}

unsigned reader_line(const yaml_event_t *event)
{
    return event->start_mark.line + 1;
}

unsigned reader_line_at(const struct reader *reader, size_t offset)
{
    unsigned line = 1;

    for (size_t i = 0; i < offset; i++)
        line += reader->text[i] == '\n';
    return line;
}

void reader_add_mark(struct reader *reader, const char *path, const yaml_event_t *event)
{
    assert(reader->n_marks < MARKS_MAX);
    struct mark *mark = &reader->marks[reader->n_marks++];

    snprintf(mark->path, sizeof(mark->path), "%.63s", path); // known keys are shorter
    snprintf(mark->value, sizeof(mark->value), "%.63s", reader_value(event));
    mark->line = reader_line(event);
}

// YAML that is none of this file's business.
static void check_event(struct reader *reader, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;

    switch (event->type) {
    case YAML_ALIAS_EVENT:
        reader_fault(reader, reader_line(event), FILE_KEY, "(alias)",
                     "aliases (*name) are not read; write the value out");
        break;
    case YAML_SCALAR_EVENT:
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
        break;
    default:
        break;
    }
    if (anchor)
        reader_fault(reader, reader_line(event), FILE_KEY, (const char *)anchor,
                     "anchors (&name) are not read; delete it");
    if (tag)
        reader_fault(reader, reader_line(event), FILE_KEY, (const char *)tag,
                     "tags (!name) are not read; delete it");
}

bool reader_next(struct reader *reader, yaml_event_t *event)
{
    if (reader->stopped)
        return false;
    if (!yaml_parser_parse(&reader->parser, event)) {
        const yaml_parser_t *parser = &reader->parser;

        // What is no UTF-8 has an offset and no mark.
        reader_fault(reader,
                     parser->error == YAML_READER_ERROR
                         ? reader_line_at(reader, parser->problem_offset)
                         : parser->problem_mark.line + 1,
                     FILE_KEY, "(YAML)", "%s%s%s; mend the YAML there",
                     parser->context ? parser->context : "", parser->context ? ", " : "",
                     parser->problem ? parser->problem : "no memory");
        reader->stopped = true;
        return false;
    }
    check_event(reader, event);
    if (event->type == YAML_SEQUENCE_START_EVENT || event->type == YAML_MAPPING_START_EVENT)
        reader->depth++;
    else if (event->type == YAML_SEQUENCE_END_EVENT || event->type == YAML_MAPPING_END_EVENT)
        reader->depth--;
    if (reader->depth > DEPTH_MAX) {
        reader_fault(reader, reader_line(event), FILE_KEY, reader_value(event),
                     "is nested too deep; no key needs more than three levels");
        reader->stopped = true;
    }
    return true;
}

void reader_skip(struct reader *reader, const yaml_event_t *event)
{
    unsigned depth = reader->depth;
    yaml_event_t next;

    if (event->type != YAML_SEQUENCE_START_EVENT && event->type != YAML_MAPPING_START_EVENT)
        return;
    while (reader->depth >= depth && reader_next(reader, &next))
        yaml_event_delete(&next);
}
