/* SPDX-License-Identifier: Apache-2.0 */
// The methods of the control socket: docs/control-socket.md.
#pragma once

#include <stdbool.h>

#include "config/config.h"
#include "control/fault.h"

struct json;

void methods_init(const struct config *config);
// Runs a request. Returns its result, or NULL with *fault. `privileged`: the peer may change
// things.
struct json *methods_call(const char *method, const struct json *params, bool privileged,
                          struct fault *fault);
