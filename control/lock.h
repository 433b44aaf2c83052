/* SPDX-License-Identifier: Apache-2.0 */
// One daemon for a control socket: a lock that the kernel gives up by itself when the process ends,
// however it does. (The state file has its own, see config/state.h.)
#pragma once

// Locks `path`, which is made if it is missing, and writes the process's id into it. Returns the
// descriptor to keep open, or a negative errno with *error. The holder removes the file before it
// closes the descriptor.
int lock_pid_file(const char *path, char **error);
