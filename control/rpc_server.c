/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/rpc_server.h"

#include <errno.h>
#include <grp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "jsonrpc.h"
#include "openvswitch/json.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "stream-fd.h"
#include "unicode.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(rpc_server);

// With no room for newcomers, whether there is some again is looked at this often.
#define ROOM_MS 100

static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(5, 5);

struct connection {
    struct jsonrpc *rpc; // NULL: the slot is free
    struct ucred peer;
    bool privileged;
    unsigned message_start; // bytes received before the message that is arriving
    long long active_ms;    // when the last message was complete, or this one began
    bool in_message;
};

static int listen_fd = -1;
static char *listen_path;
static rpc_call_fn *call;
static struct connection connections[RPC_CONNECTIONS_MAX];
static unsigned turn; // the connection that is looked at first
static bool more_to_do;
static bool accepts; // is there room for a newcomer?

static int fail(char **error, const char *doing, const char *what)
{
    int err = errno;

    *error = xasprintf("%s %s: %s", doing, what, ovs_strerror(err));
    return -err;
}

static int set_group(const char *path, const char *group, char **error)
{
    struct group *entry;

    if (group[0] == '\0')
        return 0;
    errno = 0;
    entry = getgrnam(group);
    if (entry == NULL) {
        *error = xasprintf("no group \"%s\": make it (groupadd --system %s) or leave socket.group "
                           "out of the node file",
                           group, group);
        return -ENOENT;
    }
    return chown(path, -1, entry->gr_gid) ? fail(error, "cannot give to the group", path) : 0;
}

int rpc_server_open(const char *path, const char *group, rpc_call_fn *call_, char **error)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    mode_t mask;
    int err;

    if (strlen(path) >= sizeof(address.sun_path)) {
        *error = xasprintf("%s: longer than %zu bytes", path, sizeof(address.sun_path) - 1);
        return -ENAMETOOLONG;
    }
    ovs_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    call = call_;
    listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listen_fd < 0)
        return fail(error, "cannot make the socket", path);
    unlink(path);
    // Never open to others, not even for an instant: the mode is right from the beginning.
    mask = umask(0117);
    err = bind(listen_fd, (struct sockaddr *)&address, sizeof(address));
    umask(mask);
    if (err) {
        err = fail(error, "cannot make the socket", path);
        close(listen_fd);
        listen_fd = -1;
        return err;
    }
    listen_path = xstrdup(path);
    err = set_group(path, group, error);
    if (!err && listen(listen_fd, RPC_CONNECTIONS_MAX))
        err = fail(error, "cannot listen at", path);
    if (err)
        rpc_server_close();
    return err;
}

static void drop(struct connection *connection)
{
    jsonrpc_close(connection->rpc);
    memset(connection, 0, sizeof(*connection));
}

void rpc_server_close(void)
{
    for (unsigned i = 0; i < RPC_CONNECTIONS_MAX; i++)
        drop(&connections[i]);
    if (listen_fd < 0)
        return;
    close(listen_fd);
    listen_fd = -1;
    unlink(listen_path);
    free(listen_path);
    listen_path = NULL;
}

// Should `a` rather than `b` give way to a new connection? The one that has been quiet longest, a
// privileged one after all others.
static bool gives_way(const struct connection *a, const struct connection *b)
{
    return a->privileged != b->privileged ? b->privileged : a->active_ms < b->active_ms;
}

// A free slot, or one whose connection must give way; NULL if there is none. A privileged one gives
// way only to another, and not while it may be waiting for its answer in a crowd.
static struct connection *find_room(bool privileged, long long now_ms)
{
    struct connection *victim = NULL;

    for (unsigned i = 0; i < RPC_CONNECTIONS_MAX; i++) {
        struct connection *connection = &connections[i];

        if (connection->rpc == NULL)
            return connection;
        if (connection->privileged &&
            (!privileged || now_ms - connection->active_ms < RPC_QUIET_MS))
            continue;
        if (victim == NULL || gives_way(connection, victim))
            victim = connection;
    }
    return victim;
}

static void take(int fd, long long now_ms)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    struct connection *connection = NULL;
    struct stream *stream;
    bool privileged = false;

    if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len)) {
        privileged = peer.uid == 0 || peer.uid == geteuid();
        connection = find_room(privileged, now_ms);
    }
    if (connection == NULL ||
        new_fd_stream(xasprintf("control:%d", peer.pid), fd, 0, AF_UNIX, &stream)) {
        close(fd);
        return;
    }
    if (connection->rpc) {
        VLOG_WARN_RL(&rl, "too many connections, closing the quietest uid=%u pid=%d",
                     connection->peer.uid, connection->peer.pid);
        drop(connection);
    }
    connection->rpc = jsonrpc_open(stream);
    connection->peer = peer;
    connection->privileged = privileged;
    connection->active_ms = now_ms;
}

// While there is no room for anyone, newcomers wait in the kernel's queue.
static void accept_all(long long now_ms)
{
    int fd;

    while ((accepts = find_room(true, now_ms) != NULL) &&
           (fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        take(fd, now_ms);
}

static struct jsonrpc_msg *error_reply(const struct fault *fault, const struct json *id)
{
    struct json *error = json_object_create();
    struct jsonrpc_msg *reply;

    json_object_put_string(error, "code", fault_name(fault->code));
    json_object_put_string(error, "message", fault->message);
    json_object_put_string(error, "remedy", fault_remedy(fault->code));
    reply = jsonrpc_create_error(error, id);
    // Else "result": null, which JSON-RPC 1.0 wants, would be left out.
    reply->type = JSONRPC_ERROR;
    return reply;
}

// JSON is UTF-8 (RFC 8259 section 8.1); the parser lets other bytes in strings pass.
static bool is_utf8(const char *text)
{
    char *error = utf8_validate(text, NULL);

    free(error);
    return error == NULL;
}

static bool all_utf8(const struct json *json)
{
    const struct shash_node *node;

    switch (json ? json->type : JSON_NULL) {
    case JSON_STRING:
        return is_utf8(json_string(json));
    case JSON_ARRAY:
        for (size_t i = 0; i < json_array(json)->n; i++) {
            if (!all_utf8(json_array(json)->elems[i]))
                return false;
        }
        return true;
    case JSON_OBJECT:
        SHASH_FOR_EACH(node, json_object(json))
        {
            if (!is_utf8(node->name) || !all_utf8(node->data))
                return false;
        }
        return true;
    default:
        return true;
    }
}

static bool is_text(const struct jsonrpc_msg *msg)
{
    return (msg->method == NULL || is_utf8(msg->method)) && all_utf8(msg->params) &&
           all_utf8(msg->id);
}

static void run_request(struct connection *connection, const struct jsonrpc_msg *request)
{
    struct fault fault = {0};
    struct json *result = call(request->method, request->params, connection->privileged, &fault);

    jsonrpc_send(connection->rpc, result ? jsonrpc_create_reply(result, request->id)
                                         : error_reply(&fault, request->id));
    free(fault.message);
}

// True if a request was run.
static bool serve(struct connection *connection, long long now_ms)
{
    struct jsonrpc_msg *msg = NULL;
    unsigned received;
    bool served = false;

    jsonrpc_run(connection->rpc);
    // A client that does not read its answers gets no more of them.
    if (jsonrpc_get_backlog(connection->rpc) == 0)
        jsonrpc_recv(connection->rpc, &msg);
    received = jsonrpc_get_received_bytes(connection->rpc) - connection->message_start;
    if (received > RPC_MESSAGE_MAX || (msg && !is_text(msg))) {
        VLOG_WARN_RL(&rl, "message too long or not UTF-8, closing uid=%u pid=%d",
                     connection->peer.uid, connection->peer.pid);
        jsonrpc_msg_destroy(msg);
        drop(connection);
        return false;
    }
    if (msg) {
        served = msg->type == JSONRPC_REQUEST;
        if (served)
            run_request(connection, msg);
        jsonrpc_msg_destroy(msg);
        connection->message_start += received;
        connection->in_message = false;
        connection->active_ms = now_ms;
        more_to_do = true; // the next message may be in the buffer already
    } else if (received > 0 && !connection->in_message) {
        connection->in_message = true;
        connection->active_ms = now_ms;
    }
    if (jsonrpc_get_status(connection->rpc) ||
        (connection->in_message && now_ms - connection->active_ms > RPC_MESSAGE_MS))
        drop(connection);
    return served;
}

void rpc_server_run(long long now_ms)
{
    more_to_do = false;
    accept_all(now_ms);
    for (unsigned i = 0; i < RPC_CONNECTIONS_MAX; i++) {
        struct connection *connection = &connections[turn];

        turn = (turn + 1) % RPC_CONNECTIONS_MAX;
        if (connection->rpc && serve(connection, now_ms)) {
            more_to_do = true;
            break;
        }
    }
}

void rpc_server_wait(void)
{
    if (accepts)
        poll_fd_wait(listen_fd, POLLIN);
    else
        poll_timer_wait(ROOM_MS);
    for (unsigned i = 0; i < RPC_CONNECTIONS_MAX; i++) {
        struct jsonrpc *rpc = connections[i].rpc;

        if (rpc == NULL)
            continue;
        jsonrpc_wait(rpc);
        if (jsonrpc_get_backlog(rpc) == 0)
            jsonrpc_recv_wait(rpc);
    }
    if (more_to_do)
        poll_immediate_wake();
}
