/* SPDX-License-Identifier: Apache-2.0 */
// What `sluicectl doctor` looks at: files of the host, under a root that is / but for tests and
// copies of other hosts.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum doctor_status {
    DOCTOR_OK,
    DOCTOR_WARN, // it works, slower or with less
    DOCTOR_FAIL, // what is there for it cannot work
};

struct doctor {
    const char *root;   // without a slash at its end; "" is /
    const char *socket; // the daemon's, under the root
    size_t n;
    struct doctor_finding {
        enum doctor_status status;
        char *check, *message;
        char *remedy; // NULL: none needed
    } * findings;
};

// Notes a finding; texts are copied. remedy is NULL for DOCTOR_OK.
void doctor_note(struct doctor *doctor, enum doctor_status status, const char *check,
                 const char *remedy, const char *format, ...) __attribute__((format(printf, 5, 6)));
// The same with a remedy that names what it is about: the rest of the arguments is the remedy's.
void doctor_note_remedy(struct doctor *doctor, enum doctor_status status, const char *check,
                        const char *message, const char *remedy, ...)
    __attribute__((format(printf, 5, 6)));

#define DOCTOR_TEXT 256

// The first line of a file under the root, without its end; false, and "": there is none.
bool doctor_read(const struct doctor *doctor, char text[DOCTOR_TEXT], const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// The number in a file; -1: there is none.
long doctor_number(const struct doctor *doctor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool doctor_exists(const struct doctor *doctor, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// The last part of what a symbolic link points to.
bool doctor_link(const struct doctor *doctor, char text[DOCTOR_TEXT], const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Names that a shell's pattern under the root matches, by their last part; calls back for each.
void doctor_glob(const struct doctor *doctor, const char *pattern,
                 void (*found)(struct doctor *doctor, const char *name, void *arg), void *arg);
// How many there are.
unsigned doctor_count(const struct doctor *doctor, const char *pattern);

// doctor_host.c, doctor_nic.c
void doctor_check_host(struct doctor *doctor);
void doctor_check_nics(struct doctor *doctor);
