/* SPDX-License-Identifier: Apache-2.0 */
// Puts rules into the NIC where its driver can, and knows of each rule whether it is there and if
// not, why. A thread of its own calls the driver, so that no NIC, however slow, makes the caller
// wait. All functions are for the control thread. See docs/offload.md.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/rule.h"

enum offload_mode { OFFLOAD_OFF, OFFLOAD_AUTO, OFFLOAD_REQUIRE };

// A port number of ours as rte_flow's items and actions name it.
struct offload_port {
    uint16_t ethdev;       // DPDK's port id
    const char *why;       // it is none of a NIC with transfer rules (static string)
    const char *no_output; // NULL, or why no rule that sends to it may be in a NIC (static string)
};
// 0, or -ENODEV with `why`.
typedef int offload_port_fn(uint16_t port, struct offload_port *info);

struct offload_rule; // opaque: one rule's life in the NIC

// mode off: no rule is tried, each says so. Call again only when all rules are removed.
void offload_init(enum offload_mode mode, offload_port_fn *port_of);
// Whose rules go into a full NIC first: those of pods with an address in the first of these, then
// in the second, and so on, then all others; among equals who came first. Before any rule is added.
struct offload_prefix {
    struct in6_addr subnet; // IPv4 as ::ffff:a.b.c.d
    unsigned length;        // of 128
};
#define OFFLOAD_PREFER_MAX 16
void offload_prefer(const struct offload_prefix *list, unsigned n);
// Starts the thread. Without it, each of the other functions does the work before it returns.
// Negative errno.
int offload_start(void);
// Ends it; rules that are still there stay in the NIC.
void offload_stop(void);

// Hands a rule over to be put into the NIC. Rules of the guard and of the forward table with the
// same cookie, if it is not 0, are one pod's. Never fails for the caller: a rule that cannot be in
// the NIC is in software only, and says why. Takes a copy. The caller frees with offload_remove.
// NULL only if memory is short. Looks up the ports that the rule names: they must be open. May also
// take rules out of the NIC that this one overrides, if it cannot be there itself.
struct offload_rule *offload_add(const struct rule *rule);
// Has the rule taken out of the NIC and freed. NULL is fine. Rules that waited for this one to go
// are tried again.
void offload_remove(struct offload_rule *orule);
// What becomes of packets that no rule of the operator's table 0 matches: on to the forward table
// (as when offload_init was called), or dropped.
void offload_policy_miss(bool normal);
// Waits until all that was removed is out of the NIC, and, if `all`, what was added is in it or
// says why not. At most `ms` milliseconds; a NIC that did not make it in time is not waited for
// again until it has. -ETIMEDOUT.
int offload_settle(bool all, unsigned ms);

bool offload_in_nic(const struct offload_rule *orule);
// One plain sentence with the driver's error; "" if it is in the NIC. Valid until the next call.
const char *offload_why_not(const struct offload_rule *orule);
// The rule as a testpmd command, `flow create 0 group 2 ... end`; also for rules that are not in
// the NIC. If it cannot be said in rte_flow, a line beginning with `# `. Returns what snprintf
// returns.
int offload_format_testpmd(const struct offload_rule *orule, char *buf, size_t size);

struct offload_counts {
    uint64_t packets, bytes;
    uint64_t used_us; // when they were last seen to have grown, of CLOCK_MONOTONIC; 0: never
};
// What NICs did by the rule, all times that it was there together; at most a second old.
void offload_stats(const struct offload_rule *orule, struct offload_counts *counts);

// What the engine did since offload_init.
struct offload_status {
    uint64_t created, destroyed, refused; // rules, by calls of the driver
    uint64_t audits;                      // rounds over all rules
    uint64_t audit_us;                    // CPU time of them
    // Found and repaired: rules that were not in the NIC any more, that were there otherwise, that
    // nobody had put there; devices that had lost all.
    uint64_t lost, altered, extra, resets;
    uint64_t gone;        // devices that were unplugged
    uint64_t stalls;      // times that a NIC's queue answered nothing for two seconds, or for ten
    char last_event[160]; // "" or the last of these in words
    unsigned pods, pods_out; // with rules here; of these in software, as a NIC has no room for them
};
void offload_status(struct offload_status *status);
// Does the port belong to a NIC that takes transfer rules?
bool offload_port_has_nic(uint16_t port);
// Has the port's NIC been given up, as its queue does not answer? Its rules are software's then, as
// far as software gets to see the packets: what was put into the NIC may still be there, until the
// device is closed.
bool offload_port_stuck(uint16_t port);
// The device is about to be closed, and none of its ports is open any more: forgets the NIC whose
// rules go by this ethdev. True: no driver is called for it any more; else it is to be asked again.
bool offload_let_go(uint16_t ethdev);

// What a NIC's driver takes, as rte_flow_validate says, or its templates.
#define OFFLOAD_CAPABILITIES_MAX 32
struct offload_capability {
    const char *name; // "ipv4", "dec_ttl", ...
    bool has;
    char why_not[120];
};
// `nic` from 0; writes up to `n` and the driver's name (size 32). Returns how many; 0: no such NIC.
unsigned offload_capabilities(unsigned nic, char driver[32], struct offload_capability *list,
                              unsigned n);
