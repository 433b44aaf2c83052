/* SPDX-License-Identifier: Apache-2.0 */
// A node file on its way in: shared by config.c (its text), check.c (what its values mean
// together).
#pragma once

#include <stdio.h>

#include <yaml.h>

#include "config/schema.h"

#define MARKS_MAX  512 // more than the schema has room for
#define FAULTS_MAX 100
#define FILE_KEY   "(file)" // stands for the key where a fault is the whole file's
#define PATH_SIZE  64       // of a key with its place in lists: "ranges[63].gateway"

// A key that the file has.
struct mark {
    char path[PATH_SIZE];
    char value[64]; // as written, for messages
    unsigned line;
    bool good; // a value that was read into its field
};

struct reader {
    const char *name; // of the file, in messages
    const char *text;
    yaml_parser_t parser;
    unsigned depth;
    bool stopped; // nothing more can be read
    FILE *faults;
    unsigned n_faults;
    struct mark marks[MARKS_MAX];
    unsigned n_marks;
    struct node_file file;
};

__attribute__((format(printf, 5, 6))) void reader_fault(struct reader *reader, unsigned line,
                                                        const char *key, const char *value,
                                                        const char *format, ...);
// The line of text[offset], from 1.
unsigned reader_line_at(const struct reader *reader, size_t offset);
// False when there is nothing more to read. Else the caller deletes the event.
bool reader_next(struct reader *reader, yaml_event_t *event);
// Reads past the rest of a node whose first event is given.
void reader_skip(struct reader *reader, const yaml_event_t *event);
const char *reader_value(const yaml_event_t *event);
unsigned reader_line(const yaml_event_t *event);

void reader_add_mark(struct reader *reader, const char *path, const yaml_event_t *event);
// NULL if the file does not have the key.
const struct mark *reader_mark(const struct reader *reader, const char *path);
// Checks between values, and fills in what follows from others.
void reader_check(struct reader *reader);
