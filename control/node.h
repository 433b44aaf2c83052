/* SPDX-License-Identifier: Apache-2.0 */
// The daemon from its start to its end: opens everything in order, runs the event loop, closes
// everything in the opposite order.
#pragma once

#include "config/config.h"

// Runs until SIGTERM or SIGINT. 0, or a negative errno with *error if it could not start; -EAGAIN:
// another process is to try with no_hugepages.
int node_run(const struct config *config, bool no_hugepages, char **error);
