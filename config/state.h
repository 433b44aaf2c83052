/* SPDX-License-Identifier: Apache-2.0 */
// What must survive the daemon: attachments and their port numbers, in SQLite. Each call is one
// transaction that is on disk when it returns (journal_mode WAL, synchronous FULL). For the control
// thread only. Errors: a negative errno, and *error a sentence the caller frees.
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
