/* SPDX-License-Identifier: Apache-2.0 */
// The server's side of the control socket: connections, their limits and who is at the other end.
// What requests do is for the function it is given.
#pragma once

#include <stdbool.h>

#include "control/fault.h"

struct json;

#define RPC_CONNECTIONS_MAX 64
// Half a message costs up to 40 times its length, and there may be one on each connection.
#define RPC_MESSAGE_MAX (16 * 1024)
#define RPC_MESSAGE_MS  30000
#define RPC_QUIET_MS    5000 // a privileged connection so long quiet may give way to another

// Runs a request, as methods_call does.
typedef struct json *rpc_call_fn(const char *method, const struct json *params, bool privileged,
                                 struct fault *fault);

// Listens at `path` with mode 0660 and, unless it is "", that group. A socket that is left there is
// replaced: the caller holds the daemon's lock. 0, or a negative errno with *error.
int rpc_server_open(const char *path, const char *group, rpc_call_fn *call, char **error);
// Closes all connections and removes the socket.
void rpc_server_close(void);
// Accepts, receives, and runs at most one request, so that a crowd of them does not keep the
// control thread from its other work.
void rpc_server_run(long long now_ms);
void rpc_server_wait(void);
