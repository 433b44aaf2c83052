/* SPDX-License-Identifier: Apache-2.0 */
// Any bytes from a client of the OpenFlow switch: through OVS's connections and parsing, our
// provider, the state file, and the dataplane with the frames of packet-outs. Whatever the client
// did, the next one can delete all of it, and then nothing is left: no rule in the dataplane, in
// the state or for the NIC, no group, no meter, no buffer. What the state holds comes back. No
// thread runs but the one that builds tables; a worker's iteration is a function call here.
//
// An input is what one client sends. If its last byte is RESTART, the switch is then closed and
// opened again.
#include "dataplane/worker.c" // its stages are static

#include <sanitizer/lsan_interface.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "config/state.h"
#include "control/netdev.h"
#include "control/openflow/openflow.h"
#include "control/rules.h"
#include "openvswitch/vlog.h"
#include "ovs-rcu.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/frame.h"

#define RESTART      0xa5
#define TURNS_MAX    100000
#define BARRIER      21 // OFPT_BARRIER_REPLY of OpenFlow 1.3
#define MESSAGES_MAX 128

static struct config config = {.n_ranges = 1};
static struct state *state;
static char folder[32], state_path[64];
static struct sockaddr_un address = {.sun_family = AF_UNIX};

// What is behind the switch, but for the dataplane and the state, is played.

static unsigned n_held;

struct held_rule *rules_add_policy(const struct rule *rule, uint32_t slot)
{
    struct held_rule *held = calloc(1, sizeof *held);

    check(held, "memory");
    held->rule = *rule;
    held->slot = slot;
    n_held++;
    return held;
}

void rules_remove(struct held_rule *held)
{
    n_held -= held != NULL;
    free(held);
}

void offload_stats(const struct offload_rule *rule, struct offload_counts *counts)
{
    (void)rule;
    *counts = (struct offload_counts){0};
}

void offload_policy_miss(bool normal)
{
    (void)normal;
}

bool netdev_carrier(const char *name)
{
    (void)name;
    return true;
}

// The switch

static void open_switch(void)
{
    char *error = NULL;
    int err = openflow_open(&config, state, &error);

    if (!err)
        err = openflow_listen(&error);
    if (err)
        fprintf(stderr, "%s\n", error ? error : strerror(-err));
    check(!err, "the switch opens");
}

static void remove_folder(void)
{
    static const char *const names[] = {"br0.mgmt",     "br0.snoop",        "br0.restore",
                                        "state.sqlite", "state.sqlite-wal", "state.sqlite-shm"};

    for (unsigned i = 0; i < RTE_DIM(names); i++) {
        char path[128];

        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    static const int signals[] = {SIGALRM, SIGTERM, SIGINT, SIGHUP};
    bool rebooted;
    char *error = NULL;

    (void)argc;
    (void)argv;
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    strcpy(folder, "/dev/shm/sluice-fuzz-XXXXXX"); // syncing costs nothing there
    check(mkdtemp(folder), "a folder");
    atexit(remove_folder);
    snprintf(config.socket, sizeof config.socket, "%s/control.sock", folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/br0.mgmt", folder);
    snprintf(state_path, sizeof state_path, "%s/state.sqlite", folder);
    check(!state_open(state_path, &state, &rebooted, &error), "the state opens");
    // The worker's thread ends as soon as it starts, and its part is played here.
    dp.stop = true;
    __lsan_disable(); // it does not see what DPDK's memory points to
    node_start(1);
    __lsan_enable();
    rte_eal_mp_wait_lcore();
    open_switch();
    // OVS has taken these; libFuzzer wants them, and takes none that somebody has.
    for (unsigned i = 0; i < RTE_DIM(signals); i++)
        signal(signals[i], SIG_DFL);
    return 0;
}

// Clients

static uint16_t read16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

// Cuts whole messages off what the switch has said. True if one of them is of this type.
static bool take_messages(uint8_t *said, size_t *size, uint8_t type)
{
    size_t at = 0;
    bool seen = false;

    while (*size - at >= 8) {
        uint16_t length = read16(said + at + 2);

        check(length >= 8, "an OpenFlow header");
        if (*size - at < length)
            break;
        seen |= said[at + 1] == type;
        at += length;
    }
    *size -= at;
    memmove(said, said + at, *size);
    return seen;
}

static void run(void)
{
    struct worker *w = &dp.workers[0];

    openflow_run();
    receive_inbox(w);
    flush(w);
    ovsrcu_quiesce();
}

// A client that sends these bytes, and goes; or, if it asks for a barrier last, when that is
// answered. True if it was.
static bool client(const uint8_t *data, size_t size, bool barrier)
{
    static uint8_t said[1 << 17];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    size_t sent = 0, got = 0;
    bool open = true, answered = false;

    check(!connect(fd, (struct sockaddr *)&address, sizeof address), "the switch listens");
    for (unsigned turn = 0; open && !answered; turn++) {
        ssize_t n = sent < size ? send(fd, data + sent, size - sent, MSG_NOSIGNAL) : 0;

        sent += n > 0 ? (size_t)n : 0;
        if (sent == size && !barrier)
            shutdown(fd, SHUT_WR);
        run();
        while ((n = recv(fd, said + got, sizeof said - got, 0)) > 0) {
            got += (size_t)n;
            answered |= take_messages(said, &got, BARRIER) && barrier;
        }
        open = n < 0 && errno == EAGAIN;
        check(turn < TURNS_MAX, "the switch comes to an end with each client");
    }
    close(fd);
    run(); // it sees that
    return answered;
}

static void delete_all(void)
{
    static const uint8_t messages[] = {
        4, 0, 0, 8, 0, 0, 0, 0, // OpenFlow 1.3: hello
        // delete flows of all tables
        4, 14, 0, 56, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,           //
        0xff, 3, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff,                                  //
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1, 0, 4, 0, 0, 0, 0, //
        4, 15, 0, 16, 0, 0, 0, 2, 0, 2, 0, 0, 0xff, 0xff, 0xff, 0xfc, // groups
        4, 29, 0, 16, 0, 0, 0, 3, 0, 2, 0, 0, 0xff, 0xff, 0xff, 0xff, // meters
        4, 20, 0, 8, 0, 0, 0, 4,                                      // barrier
    };

    check(client(messages, sizeof messages, true), "the next client is answered");
}

// Mutations

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

// Where whole messages begin, and where the last of them ends; returns how many there are.
static unsigned find_messages(const uint8_t *data, size_t size, size_t at[MESSAGES_MAX + 1])
{
    unsigned n = 0;

    at[0] = 0;
    while (n < MESSAGES_MAX && size - at[n] >= 8) {
        uint16_t length = read16(data + at[n] + 2);

        if (length < 8 || length > size - at[n])
            break;
        at[n + 1] = at[n] + length;
        n++;
    }
    return n;
}

// Any bytes of one message, whose length is put right then: else all that follows would be noise.
// Some get another type or version; some inputs are mutated as a whole.
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static uint8_t body[UINT16_MAX];
    size_t at[MESSAGES_MAX + 1], old, new, room;
    unsigned n = find_messages(data, size, at), i;

    if (n == 0 || seed % 8 == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    i = seed / 8 % n;
    if (seed / 8 / MESSAGES_MAX % 8 == 0)
        LLVMFuzzerMutate(data + at[i], 2, 2);
    old = at[i + 1] - at[i] - 8;
    room = RTE_MIN(old + max_size - size, sizeof body - 8);
    if (room == 0)
        return LLVMFuzzerMutate(data, size, max_size); // which makes a byte of nothing
    memcpy(body, data + at[i] + 8, old);
    new = LLVMFuzzerMutate(body, old, room);
    memmove(data + at[i] + 8 + new, data + at[i + 1], size - at[i + 1]);
    memcpy(data + at[i] + 8, body, new);
    data[at[i] + 2] = (uint8_t)((8 + new) >> 8);
    data[at[i] + 3] = (uint8_t)(8 + new);
    return size - old + new;
}

// What is left

static void count_stored(enum state_openflow kind, uint64_t id, int64_t expires,
                         const void *message, size_t size, void *n)
{
    (void)kind;
    (void)id;
    (void)expires;
    check(size >= 8 && read16((const uint8_t *)message + 2) == size, "a whole message is stored");
    ++*(unsigned *)n;
}

struct count {
    unsigned rules, groups, meters;
};

static struct count count_live(void)
{
    struct openflow_status status;
    struct count count = {0};

    for (unsigned i = 0; i < POLICY_TABLES; i++) {
        struct dp_policy_table_stats stats;

        dp_policy_table_stats(i, &stats);
        count.rules += stats.rules;
    }
    check(openflow_status(&status) && status.durable, "the state can be written");
    count.groups = status.groups;
    count.meters = status.meters;
    return count;
}

static unsigned stored(enum state_openflow kind)
{
    char *error = NULL;
    unsigned n = 0;

    check(!state_openflow_list(state, kind, count_stored, &n, &error), "the state can be read");
    return n;
}

// The dataplane, the NIC and the state have the same.
static struct count check_same(void)
{
    struct count live = count_live();

    while (live.rules != n_held && dp_policy_poll()) // what was removed leaves the tables later
        live = count_live();
    check(live.rules == n_held, "the NIC is told of each rule");
    check(live.rules == stored(STATE_OPENFLOW_RULE), "each rule is stored");
    check(live.groups == stored(STATE_OPENFLOW_GROUP), "each group is stored");
    check(live.meters == stored(STATE_OPENFLOW_METER), "each meter is stored");
    return live;
}

static void check_buffers(void)
{
    static struct dp_packet_in in;
    struct frame f;

    while (dp_packet_in_recv(&in))
        check(in.data_len <= in.len, "no more of a frame than there is");
    for (uint16_t port = 1; port <= NODE_PORTS; port++) {
        while (frame_recv(port, &f))
            ;
    }
    check(rte_mempool_full(dp.pool), "no buffer is lost");
}

static void restart(struct count before)
{
    struct count after;

    openflow_close();
    open_switch();
    after = check_same();
    check(!memcmp(&before, &after, sizeof after), "what was there comes back");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct count count;

    client(data, size, false);
    count = check_same();
    if (size && data[size - 1] == RESTART)
        restart(count);
    delete_all();
    count = check_same();
    check(!count.rules && !count.groups && !count.meters, "all of it can be deleted");
    check_buffers();
    return 0;
}
