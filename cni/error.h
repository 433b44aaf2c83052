/* SPDX-License-Identifier: Apache-2.0 */
// What a verb failed with, as the runtime reads it: CNI spec 1.1.0, section "Error".
#pragma once

#include <stdio.h>

enum cni_code {
    // The spec's.
    CNI_INCOMPATIBLE_VERSION = 1,
    CNI_UNSUPPORTED_FIELD = 2, // the message holds key and value
    CNI_UNKNOWN_CONTAINER = 3,
    CNI_INVALID_ENVIRONMENT = 4, // the message names the variables
    CNI_IO = 5,
    CNI_DECODE = 6,
    CNI_INVALID_CONFIG = 7,
    CNI_TRY_AGAIN = 11,
    CNI_NOT_AVAILABLE = 50, // STATUS: no ADD can succeed now
    // Our own; the spec leaves 100 and above to plugins.
    CNI_KERNEL = 100,    // an operation on a network device failed
    CNI_REFUSED = 101,   // the daemon answered with an error
    CNI_UNHEALTHY = 102, // CHECK found something other than ADD left it
    CNI_IPAM = 103,      // the IPAM plugin broke, or its answer is of no use here
};

struct cni_error {
    int code;
    char *msg;
    char *details; // NULL if there are none
};

// Fills the error in, in place of what it held; returns -EIO for the caller to return.
int cni_fail(struct cni_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
// Adds what went wrong while undoing to an error's details; `undo` is freed and emptied.
void cni_error_add(struct cni_error *error, struct cni_error *undo);
void cni_error_free(struct cni_error *error);
// Writes the error as the spec's JSON. version: of the configuration, or NULL if it is not known.
void cni_error_print(const struct cni_error *error, const char *version, FILE *out);
