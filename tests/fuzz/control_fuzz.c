/* SPDX-License-Identifier: Apache-2.0 */
// Any bytes from a client of the control socket: through the real server, OVS's JSON-RPC and the
// methods' checks. What is behind them (attachments, the dataplane) is played.
#include <config.h>

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "config/address.h"
#include "control/attachments.h"
#include "control/methods.h"
#include "control/rpc_server.h"
#include "control/stats.h"
#include "openvswitch/json.h"
#include "openvswitch/vlog.h"
#include "tests/fuzz/fuzz.h"
#include "unicode.h"

#define PATH "/tmp/sluice-control-fuzz.%d"

static struct sockaddr_un address = {.sun_family = AF_UNIX};

static bool ends(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static void check_attachment(const struct attachment *a)
{
    check(ends(a->container_id, sizeof a->container_id) && a->container_id[0], "container_id");
    check(!strpbrk(a->container_id, "/ \n"), "a container id is one");
    check(ends(a->ifname, sizeof a->ifname) && a->ifname[0] && !strchr(a->ifname, '/'), "ifname");
    check(ends(a->netdev, sizeof a->netdev) && !strchr(a->netdev, '/'), "netdev");
    check(ends(a->devargs, sizeof a->devargs) && ends(a->pod, sizeof a->pod), "texts end");
    check(a->n_addresses <= STATE_ADDRESSES_MAX, "addresses");
}

int attachments_attach(const struct attachment *a, const struct attached **attached,
                       struct fault *fault)
{
    static struct attached known;

    check_attachment(a);
    check((a->netdev[0] != '\0') != (a->devargs[0] != '\0'), "one device");
    check(mac_is_unicast(a->mac), "a station's MAC");
    check(a->n_addresses >= 1, "one address at least");
    check(a->mtu == 0 || (a->mtu >= 68 && a->mtu <= 65535), "MTU");
    if (a->mtu == 68)
        return fault_set(fault, FAULT_no_device, "%s is not there", a->netdev);
    known.attachment = *a;
    known.attachment.port = PORT_POD_FIRST;
    *attached = &known;
    return 0;
}

int attachments_detach(const char *container_id, const char *ifname, bool *detached,
                       struct fault *fault)
{
    (void)fault;
    check(container_id[0] && ifname[0], "detach has a key");
    *detached = ifname[0] == 'e';
    return 0;
}

int attachments_check(const struct check_params *c, struct fault *fault)
{
    check_attachment(&c->expected);
    check(!c->ips || c->expected.n_addresses, "addresses to compare");
    return c->netdev ? fault_set(fault, FAULT_not_attached, "no") : 0;
}

const struct dp_port_info *dp_port_get(uint16_t no)
{
    static const struct dp_port_info info;

    check(no == PORT_POD_FIRST, "asks for the port it has");
    return &info;
}

const char *stats_driver_name(enum dp_driver driver)
{
    (void)driver;
    return "dpdk";
}

#define READING(name)                                                                              \
    struct json *name(void)                                                                        \
    {                                                                                              \
        return json_object_create();                                                               \
    }
READING(stats_status)
READING(stats_ports)
READING(stats_pods)
READING(stats_rules)
READING(stats_counters)
READING(stats_workers)
READING(stats_offload)

static void remove_socket(void)
{
    unlink(address.sun_path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static struct config config = {.n_ranges = 1};
    char *error = NULL;

    (void)argc;
    (void)argv;
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    methods_init(&config);
    snprintf(address.sun_path, sizeof address.sun_path, PATH, getpid());
    check(rpc_server_open(address.sun_path, "", methods_call, &error) == 0, "the socket opens");
    atexit(remove_socket);
    return 0;
}

// A reply, as docs/control-socket.md has it.
static void check_reply(const struct json *reply)
{
    const struct json *error;

    check(reply->type == JSON_OBJECT, "a reply is an object");
    check(shash_find(json_object(reply), "id") && shash_find(json_object(reply), "result"),
          "a reply has id and result");
    error = shash_find_data(json_object(reply), "error");
    check(error != NULL, "a reply has an error, or null");
    if (error->type == JSON_NULL)
        return;
    check(error->type == JSON_OBJECT && shash_find(json_object(error), "code") &&
              shash_find(json_object(error), "message") && shash_find(json_object(error), "remedy"),
          "an error says what and what to do");
}

static void check_replies(const char *text, size_t size)
{
    while (size > 0) {
        struct json_parser *parser = json_parser_create(0);
        size_t used = json_parser_feed(parser, text, size);
        struct json *reply;

        check(json_parser_is_done(parser), "a reply is whole");
        reply = json_parser_finish(parser);
        check_reply(reply);
        json_destroy(reply);
        text += used;
        size -= used;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char replies[1 << 20];
    size_t sent = 0, got = 0;
    long long now_ms = 1000;
    bool open = true;
    char *invalid;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    check(!connect(fd, (struct sockaddr *)&address, sizeof address), "the server listens");
    while (open) {
        ssize_t n = sent < size ? send(fd, data + sent, size - sent, MSG_NOSIGNAL) : 0;

        sent += n > 0 ? (size_t)n : 0;
        if (sent == size && n >= 0)
            shutdown(fd, SHUT_WR);
        rpc_server_run(now_ms++);
        while ((n = recv(fd, replies + got, sizeof replies - 1 - got, 0)) > 0)
            got += (size_t)n;
        open = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
        check(now_ms < 100000, "the server comes to an end");
    }
    close(fd);
    replies[got] = '\0';
    check(strlen(replies) == got, "no zero byte in a reply");
    invalid = utf8_validate(replies, NULL);
    check(!invalid, "replies are UTF-8");
    check_replies(replies, got);
    return 0;
}
