/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/client.h"
#include "jsonrpc.h"
#include "openvswitch/json.h"
#include "openvswitch/poll-loop.h"
#include "stream.h"
#include "timeval.h"
#include "util.h"

// A full listen queue answers EAGAIN on a Unix socket and gives no event to wait for: look again.
#define BUSY_RETRY_MS 20

static int connect_until(const char *socket, long long deadline, struct jsonrpc **rpc)
{
    // OVS would look for a relative one in its own folder.
    char *path = abs_file_name(NULL, socket), *name = xasprintf("unix:%s", path);
    struct stream *stream = NULL;
    int err;

    free(path);
    for (;;) {
        err = stream_open_block(stream_open(name, &stream, 0), MAX(deadline - time_msec(), 0),
                                &stream);
        if (err != EAGAIN || time_msec() >= deadline)
            break;
        poll_timer_wait(BUSY_RETRY_MS);
        poll_block();
    }
    free(name);
    if (err)
        return err == EAGAIN ? -ETIMEDOUT : -err;
    *rpc = jsonrpc_open(stream);
    return 0;
}

// Sends the request, which is consumed, and waits for the answer to it.
static int transact_until(struct jsonrpc *rpc, struct jsonrpc_msg *request, long long deadline,
                          struct jsonrpc_msg **reply)
{
    struct json *id = json_clone(request->id);
    int err = jsonrpc_send(rpc, request);

    while (!err) {
        err = jsonrpc_recv(rpc, reply);
        if (!err) {
            bool answer = (*reply)->type == JSONRPC_REPLY || (*reply)->type == JSONRPC_ERROR;

            if (answer && json_equal((*reply)->id, id))
                break;
            jsonrpc_msg_destroy(*reply);
        } else if (err == EAGAIN) {
            if (time_msec() >= deadline) {
                err = ETIMEDOUT;
                break;
            }
            err = 0;
            jsonrpc_run(rpc);
            jsonrpc_wait(rpc);
            jsonrpc_recv_wait(rpc);
            poll_timer_wait_until(deadline);
            poll_block();
        }
    }
    json_destroy(id);
    // libopenvswitch's EOF is -1, which is no errno.
    return err == EOF ? -ECONNRESET : -err;
}

static char *member_string(const struct json *object, const char *name)
{
    const struct json *value =
        object->type == JSON_OBJECT ? shash_find_data(json_object(object), name) : NULL;

    return value && value->type == JSON_STRING ? xstrdup(json_string(value)) : NULL;
}

static void error_from_answer(const struct json *answer, struct client_error *error)
{
    error->code = member_string(answer, "code");
    error->message = member_string(answer, "message");
    error->remedy = member_string(answer, "remedy");
    if (!error->code)
        error->code = xstrdup("internal");
    if (!error->message) // what unixctl and other servers answer: any JSON
        error->message = json_to_string(answer, 0);
}

static void error_from_errno(const char *socket, int err, unsigned timeout_ms,
                             struct client_error *error)
{
    switch (-err) {
    case ENOENT:
    case ECONNREFUSED:
        error->message = xasprintf("%s: no daemon is listening there", socket);
        error->remedy = xstrdup("start sluiced, or name its socket");
        break;
    case EACCES:
    case EPERM:
        error->message = xasprintf("%s: not permitted", socket);
        error->remedy = xstrdup("be root or a member of the socket's group");
        break;
    case ETIMEDOUT:
        error->message = xasprintf("%s: no answer in %u ms", socket, timeout_ms);
        break;
    case ECONNRESET:
        error->message = xasprintf("%s: the daemon closed the connection", socket);
        break;
    default:
        error->message = xasprintf("%s: %s", socket, strerror(-err));
    }
}

int client_call(const char *socket, const char *method, struct json *params, unsigned timeout_ms,
                struct json **result, struct client_error *error)
{
    long long deadline = time_msec() + timeout_ms;
    struct jsonrpc_msg *reply = NULL;
    struct jsonrpc *rpc = NULL;
    int err;

    memset(error, 0, sizeof *error);
    err = connect_until(socket, deadline, &rpc);
    if (err) {
        json_destroy(params);
    } else {
        struct jsonrpc_msg *request =
            jsonrpc_create_request(method, json_array_create_1(params), NULL);

        err = transact_until(rpc, request, deadline, &reply);
        jsonrpc_close(rpc);
    }
    if (err) {
        error_from_errno(socket, err, timeout_ms, error);
        return err;
    }
    if (reply->type == JSONRPC_ERROR) {
        error_from_answer(reply->error, error);
        err = -EREMOTEIO;
    } else {
        *result = json_clone(reply->result);
    }
    jsonrpc_msg_destroy(reply);
    return err;
}

void client_error_free(struct client_error *error)
{
    free(error->code);
    free(error->message);
    free(error->remedy);
    memset(error, 0, sizeof *error);
}
