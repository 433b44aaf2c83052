/* SPDX-License-Identifier: Apache-2.0 */
// A request to the daemon over its control socket, with a deadline. Blocking; for the plugin and
// for sluicectl, not for the daemon. docs/control-socket.md says what methods there are.
//
// libopenvswitch logs to the console what goes wrong with a connection: a program that must be
// quiet calls vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF) first.
#pragma once

struct json;

// What came instead of a result.
struct client_error {
    char *code;    // the daemon's error code; NULL if the daemon did not answer
    char *message; // a sentence
    char *remedy;  // what to do; NULL if nothing is known
};

// Calls a method and waits at most timeout_ms for all of it: connection, request, answer.
// params is the request's one object; it is consumed. 0 with *result set, for the caller to
// json_destroy; or a negative errno with *error filled, for the caller to client_error_free:
// -EREMOTEIO if the daemon answered with an error, -ETIMEDOUT, else why there was no answer
// (-ENOENT and -ECONNREFUSED: no daemon is there).
int client_call(const char *socket, const char *method, struct json *params, unsigned timeout_ms,
                struct json **result, struct client_error *error);

// Frees what an error holds and empties it; an empty one is fine.
void client_error_free(struct client_error *error);
