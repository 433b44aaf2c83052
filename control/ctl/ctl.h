/* SPDX-License-Identifier: Apache-2.0 */
// sluicectl: what its verbs share. A verb is one struct ctl_verb in a file of its own; main.c lists
// them. The command line is read, --help printed and (by a test) the manual checked by these
// descriptions, so the three cannot disagree.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "openvswitch/json.h"

// How sluicectl ends.
enum ctl_exit {
    CTL_OK = 0,
    CTL_FAILED = 1,      // the daemon refused or failed
    CTL_USAGE = 2,       // the command line is wrong
    CTL_UNREACHABLE = 3, // no answer: not running, no permission, too late
};

struct ctl_option {
    const char *name; // without the dashes; NULL ends a list
    const char *arg;  // NULL: takes none; "[X]": may be left out, and is a number
    const char *text;
};

struct ctl;
struct ctl_verb {
    const char *name;
    const char *operand; // what may follow, as usage shows it: "[PORT]"; NULL: nothing
    bool second;         // it may be two words
    const char *summary; // one line
    const char *help;    // some lines, with an example
    const struct ctl_option *options;
    enum ctl_exit (*run)(const struct ctl *ctl);
};

#define CTL_GIVEN_MAX 64

// A command line, read.
struct ctl {
    const struct ctl_verb *verb;
    const char *socket;
    unsigned timeout_ms;
    bool json;
    const char *operand, *second; // NULL: none given
    unsigned n_given;             // the verb's options, in the order given
    struct {
        const char *name;
        const char *value; // NULL: none given
    } given[CTL_GIVEN_MAX];
};

extern const struct ctl_option ctl_global_options[];
extern const struct ctl_option ctl_no_options[];
extern const struct ctl_verb *const ctl_verbs[]; // NULL ends it

extern const struct ctl_verb ctl_attach, ctl_detach, ctl_doctor, ctl_offload, ctl_pods, ctl_ports,
    ctl_rules, ctl_stats, ctl_status, ctl_version, ctl_workers;

// args.c

// Reads the command line into *ctl. CTL_OK: go on with ctl->verb. Otherwise it has said what is
// wrong, or printed what was asked for (help), and *exit is how to end.
bool ctl_read_args(int argc, char **argv, struct ctl *ctl, enum ctl_exit *exit);
// Was the option given?
bool ctl_has(const struct ctl *ctl, const char *name);
// Its last value; NULL if not given or given without one.
const char *ctl_value(const struct ctl *ctl, const char *name);
// Reads a whole number within limits; text may be NULL, which is none.
bool ctl_number(const char *text, unsigned min, unsigned max, unsigned *number);

// call.c

// Calls the daemon; params (consumed; NULL: {}) is the one object of the request. On failure the
// reason has been said on stderr.
enum ctl_exit ctl_call(const struct ctl *ctl, const char *method, struct json *params,
                       struct json **result);
// The same for a method that only reads: prints the result if --json was given and sets *result to
// NULL.
enum ctl_exit ctl_read(const struct ctl *ctl, const char *method, struct json **result);
// The same for a method whose answer has a list `name`: if an operand was given, only what of the
// list matches it is kept, and none is a failure.
enum ctl_exit ctl_read_list(const struct ctl *ctl, const char *method, const char *name,
                            bool (*matches)(const struct json *element, const char *what),
                            struct json **result);
void ctl_print_json(const struct json *json);
// "sluicectl: ..." on stderr.
void ctl_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
// The same, with where to read on; returns CTL_USAGE.
enum ctl_exit ctl_usage_error(const struct ctl_verb *verb, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

// ports.c

// Is it the port of that number or name?
bool ctl_is_port(const struct json *port, const char *what);
