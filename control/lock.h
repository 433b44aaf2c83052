/* SPDX-License-Identifier: Apache-2.0 */
// One daemon for a control socket and for a state file: locks that the kernel gives up by itself
// when the process ends, however it does.
#pragma once

// Locks `path`, which is made if it is missing, and writes the process's id into it. Returns the
// descriptor to keep open, or a negative errno with *error naming who holds it.
int lock_pid_file(const char *path, char **error);
// Locks a file that exists, which others may read and write.
int lock_file(const char *path, char **error);
