/* SPDX-License-Identifier: Apache-2.0 */
// What must survive the daemon, in SQLite: attachments and their port numbers, and what operators
// made through OpenFlow. Calls about attachments are one transaction each that is on disk when they
// return (journal_mode WAL, synchronous FULL). For the control thread only. Errors: a negative
// errno, and *error a sentence the caller frees.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define STATE_ADDRESSES_MAX 8

// One interface of one container, as in CNI: (container_id, ifname) is the key.
struct attachment {
    char container_id[128];
    char ifname[16];
    char netdev[16]; // exactly one of the two is not ""
    char devargs[256];
    uint8_t mac[6];
    unsigned n_addresses;
    struct in6_addr addresses[STATE_ADDRESSES_MAX];
    unsigned mtu;
    uint16_t port; // 1 to 1023, unique among attachments
    char pod[256]; // a name for people ("namespace/name"), may be ""
};

struct state;

// Opens or makes the file (0600, and its folder 0700 if it is missing). An attachment does not
// outlive a boot: when the kernel's boot id differs from the one stored, all are deleted first and
// *rebooted is set. A damaged file is refused with what to do, never silently replaced.
int state_open(const char *path, struct state **state, bool *rebooted, char **error);
// The same with another file for the kernel's boot id. For tests.
int state_open_boot(const char *path, const char *boot_id_path, struct state **state,
                    bool *rebooted, char **error);
void state_close(struct state *state);

// -EEXIST if the key, the port or an address is taken.
int state_add(struct state *state, const struct attachment *attachment, char **error);
// -ENOENT if there is none.
int state_del(struct state *state, const char *container_id, const char *ifname, char **error);
// All attachments, by port number. *list is for the caller to free().
int state_list(struct state *state, struct attachment **list, size_t *n, char **error);

// What operators made: OpenFlow messages, kept as they are under a number of their kind. It
// outlives a reboot. Changes are in force for readers at once and on disk with
// state_openflow_commit, or with the next attachment's; after an error, those since the last commit
// are gone, and each commit fails until all was cleared and put anew.
enum state_openflow { STATE_OPENFLOW_METER, STATE_OPENFLOW_GROUP, STATE_OPENFLOW_RULE };

// Adds or replaces. `expires`: seconds since the epoch, 0: never; only kept.
int state_openflow_put(struct state *state, enum state_openflow kind, uint64_t id, int64_t expires,
                       const void *message, size_t size, char **error);
// 0 also if there is none.
int state_openflow_del(struct state *state, enum state_openflow kind, uint64_t id, char **error);
// Deletes all of all kinds.
int state_openflow_clear(struct state *state, char **error);
int state_openflow_commit(struct state *state, char **error);
typedef void state_openflow_fn(enum state_openflow kind, uint64_t id, int64_t expires,
                               const void *message, size_t size, void *aux);
// All of a kind, by number. `fn` must not change the state.
int state_openflow_list(struct state *state, enum state_openflow kind, state_openflow_fn *fn,
                        void *aux, char **error);
// The switch's datapath id: the same for the life of the file, 48 random bits.
int state_datapath_id(struct state *state, uint64_t *id, char **error);
