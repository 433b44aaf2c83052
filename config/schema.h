/* SPDX-License-Identifier: Apache-2.0 */
// The node file's keys as one table: what reads, checks and documents the file all goes by it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "config/config.h"

#define WHY_SIZE 256

struct schema_key;

// A kind of value: how it is read and what the documentation calls it.
struct value_type {
    const char *name;
    bool plain; // a quoted one is text, and no such value
    // Reads text into the field. False with "what is wrong; what to do" in why.
    bool (*set)(const struct schema_key *key, void *field, const char *text, char why[WHY_SIZE]);
};

extern const struct value_type value_integer, value_bool, value_choice, value_word, value_netdev,
    value_devargs, value_name, value_path, value_mac, value_address, value_subnet, value_prefix,
    value_listener, value_controller;

// Where the file's values go; icmp_source is sorted by family once it is read.
struct node_file {
    struct config config;
    unsigned n_icmp_sources;
    struct in6_addr icmp_sources[2];
};

enum schema_kind { SCHEMA_VALUE, SCHEMA_MAP, SCHEMA_LIST };

struct schema_key {
    const char *path; // "workers.idle"; what is in the elements of a list: "uplinks[].netdev"
    enum schema_kind kind;
    bool required;
    const struct value_type *type; // of a value
    const char *fallback;          // the default as one would write it, or NULL
    const char *choices;           // "adaptive|poll"
    const char *unit;              // "milliseconds"
    unsigned min, max;             // a number, or how many elements
    size_t offset;                 // in struct node_file, or in the list's element
    size_t size;                   // of the field; of a list: of one element
    size_t count_offset;           // a list's number of elements
    const char *doc;
};

extern const struct schema_key schema[];
extern const size_t schema_n;

// NULL if there is none.
const struct schema_key *schema_find(const char *path);
// If the key lies directly in the map `parent` ("" is the top), its name there, else NULL.
const char *schema_child(const struct schema_key *key, const char *parent);
// Fills in the defaults of all values below `parent` that are not in a list there.
void schema_defaults(const char *parent, void *base);
// docs/configuration.md
void schema_print_docs(FILE *file);
