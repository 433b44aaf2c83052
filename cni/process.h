/* SPDX-License-Identifier: Apache-2.0 */
// Another program, run with a limit.
#pragma once

// What a program wrote; more is an error.
#define PROCESS_OUTPUT_MAX (1 << 20)

// Runs a program with CNI_COMMAND set to `command` and `input` on its stdin, and waits at most
// timeout_ms for its end; after that it is killed. Its stderr is ours, and so is one file
// descriptor, `shared` (-1: none). 0 with *output (a string, for the caller to free) and *status as
// of waitpid(); or a negative errno: -ETIMEDOUT, -EMSGSIZE, what starting it gave.
int process_run(const char *path, const char *command, const char *input, int shared,
                unsigned timeout_ms, char **output, int *status);
