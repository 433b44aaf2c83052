/* SPDX-License-Identifier: Apache-2.0 */
// Members of the daemon's answers, and how values look to people. An answer may come from another
// version: a member that is missing or of another type reads as empty, never as a crash.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "openvswitch/json.h"

// NULL if it is missing.
const struct json *value_member(const struct json *object, const char *name);
// A string's text; "-" if it is NULL, null, empty or no string.
const char *value_text(const struct json *value);
// The same of a member.
const char *value_string(const struct json *object, const char *name);
// 0 if it is missing or negative.
uint64_t value_number(const struct json *object, const char *name);
bool value_bool(const struct json *object, const char *name);
// How many elements a list has; 0 if it is none.
size_t value_size(const struct json *list);
const struct json *value_at(const struct json *list, size_t i);
// Keeps of the list `name` only the elements that match `what`; returns how many those are.
size_t value_keep(struct json *object, const char *name,
                  bool (*matches)(const struct json *element, const char *what), const char *what);
// Is it there, with something else than null?
bool value_is_set(const struct json *object, const char *name);
// A list of strings, "10.1.10.5 fd00::5"; "-" if it is empty. The caller frees it.
char *value_join(const struct json *object, const char *name);

// Turns characters that could drive a terminal into "?" in every string of an answer: names come
// from others.
void value_make_printable(struct json *value);

#define VALUE_TEXT 32

// Up to seven digits as they are, then four significant ones and a unit of 1000: 9999999, 10.00M.
// Returns buf.
char *value_format_count(uint64_t number, char buf[VALUE_TEXT]);
// part of whole in per cent, "12.5%"; "-" if whole is 0. Returns buf.
char *value_format_share(uint64_t part, uint64_t whole, char buf[VALUE_TEXT]);
// "1d 02:03:04". Returns buf.
char *value_format_seconds(uint64_t seconds, char buf[VALUE_TEXT]);
