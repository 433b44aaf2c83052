/* SPDX-License-Identifier: Apache-2.0 */
// A table for people: columns as wide as their widest cell, two spaces between, numbers to the
// right. The last column is broken at spaces where a line would be longer than TABLE_WIDTH, or than
// the terminal is wide.
#pragma once

#include <stdio.h>

#define TABLE_WIDTH 100

struct table;

// The column heads, separated by spaces; one that begins with `>` is aligned to the right.
struct table *table_create(const char *columns);
void table_destroy(struct table *table);
// Adds the next cell; rows fill up from left to right. An empty text becomes "-"; a space stays
// one.
void table_add(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
size_t table_rows(const struct table *table);
// Prints nothing but `empty` (a sentence) if there is no row.
void table_print(const struct table *table, const char *empty, FILE *stream);
// Prints a table and below it, where there are any, the notes to its rows; frees both.
void table_finish(struct table *table, const char *empty, struct table *notes);
