/* SPDX-License-Identifier: Apache-2.0 */
// The dataplane as the control thread sees it. Every function here is for the control thread only
// (the EAL main lcore); none is for workers. What a function changes is published to the workers by
// RCU: when it returns, all workers forward by the change.
//
// Errors: functions that can fail return 0 or a negative errno. Where there is a `char **error`, it
// is set to a sentence that names the value and the remedy; the caller frees it.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ether.h>

#include "dataplane/drop.h"
#include "dataplane/rule.h"

#define DP_WORKERS_MAX   64
#define DP_GATEWAYS_MAX  64
#define DP_MEMBERS_MAX   2
#define DP_BUCKETS       64 // of the member map; a power of two
#define DP_NAME_SIZE     64
#define DP_PACKET_IN_MAX 2048 // bytes of a frame that a packet-in holds

enum dp_idle {
    DP_IDLE_ADAPTIVE, // spin under load, sleep up to max_sleep_us when idle
    DP_IDLE_POLL,     // never sleep
};

struct dp_config {
    unsigned n_workers;
    unsigned worker_cpus[DP_WORKERS_MAX]; // one worker thread, pinned, on each
    enum dp_idle idle;
    unsigned max_sleep_us;
    unsigned memory_mb;               // for DPDK: packet buffers and tables
    bool no_hugepages;                // even if there are
    unsigned mtu;                     // the largest of any port, bytes of IP
    unsigned mbufs;                   // packet buffers in all
    unsigned policy_memory_mb;        // for the operator's tables; 0: 256
    struct rte_ether_addr router_mac; // what pods see as their gateway's MAC
    // Source of ICMP errors about packets that came from an uplink; all zeroes: none are sent
    // there. (About a pod's packets the source is the pod's gateway address.)
    struct in6_addr icmp_source4, icmp_source6;
    unsigned icmp_errors_per_s; // of each port (RFC 1812 section 4.3.2.8, RFC 4443 section 2.4 f)
};

// Starts EAL and the workers. Call once. `hugepages` tells afterwards whether there were any.
// -EAGAIN: there were, until EAL wanted them; as it starts only once in a process, another one has
// to try without.
int dp_init(const struct dp_config *config, bool *hugepages, char **error);
// Stops the workers, closes all ports.
void dp_fini(void);

enum dp_port_kind {
    DP_PORT_UPLINK,
    DP_PORT_POD,
    DP_PORT_HOST, // the way to the host's own network stack; guarded like a pod's
};

enum dp_driver {
    DP_DRIVER_DPDK,      // a DPDK device by devargs
    DP_DRIVER_AF_XDP,    // a kernel netdev
    DP_DRIVER_AF_PACKET, // a kernel netdev, slower
};

struct dp_port_params {
    uint16_t no; // 1 to PORT_MAX, not in use
    enum dp_port_kind kind;
    char name[DP_NAME_SIZE];   // for people; unique
    char netdev[DP_NAME_SIZE]; // a kernel netdev, or "" and
    char devargs[256];         // a DPDK device: "0000:03:00.0", "net_tap0,iface=t0", ...
    bool no_xdp;               // take AF_PACKET at once for netdev
    uint16_t mtu;              // of IP packets sent to this port, bytes
    struct rte_ether_addr mac; // pod and host: the pod's; uplink: the node's (zero: keep the
                               // device's) Uplinks only: the device's own MAC is written here.
};

struct dp_port_info {
    struct dp_port_params params;
    enum dp_driver driver;
    struct rte_ether_addr device_mac;
    uint16_t ethdev; // DPDK's port id
    uint16_t n_rxq, n_txq;
    char fallback[160]; // why AF_PACKET and not AF_XDP; "" if it was not a fallback
};

// Opens the device, configures and starts it, and lets the workers poll it. A pod port passes no
// packet until guard rules for it are there.
int dp_port_add(const struct dp_port_params *params, char **error);
// Rules that name the port must be gone, but forward rules: their packets are dropped (port_gone).
// Returns when no worker refers to it and the device is closed; a device that was unplugged is left
// to dp_close_gone().
int dp_port_del(uint16_t no, char **error);
// NULL if there is no such port; valid until dp_port_del.
const struct dp_port_info *dp_port_get(uint16_t no);

// Do both name ports of one DPDK device?
bool dp_same_device(const char *devargs, const char *other);
// Was the device of any port unplugged since the last call? All ports of the device then say so
// until they are deleted.
bool dp_any_gone(void);
bool dp_port_gone(uint16_t no);
// Takes the port's device for unplugged: its ports say so, and it can be closed and opened anew.
void dp_port_give_up(uint16_t no);
// Closes devices that were unplugged and of which all ports are deleted, once other threads that
// call their drivers have let go of each of their ethdevs. Until then they cannot be opened anew.
// Returns how many ports wait for that.
unsigned dp_close_gone(bool (*let_go)(uint16_t ethdev));

// The device's link as its driver tells it; kernel netdevs are watched by control/, AF_XDP does not
// tell.
bool dp_port_link(uint16_t no);

// Adds a rule to its software table. The rule is copied; *slot names it for dp_rule_stats and
// dp_rule_del. Shapes that the tables take so far:
//   guard:   in_port, eth_src, ip_src with all bits -> goto_table (one per address of a pod);
//   `gateway` is the
//            index of the address's range
//   forward: ip_dst with all bits -> set_eth_src, set_eth_dst, dec_ttl, output
//            in_port of uplinks is not matched: a miss from an uplink is no_such_pod
//   forward: ip_src prefix, priority 0 -> uplinks:gateway (the default of a range)
//   policy tables: see dp_policy_add
//   others:  -ENOTSUP
int dp_rule_add(const struct rule *rule, uint32_t *slot, char **error);
int dp_rule_del(uint32_t slot);
struct dp_rule_stats {
    uint64_t packets, bytes;
};
void dp_rule_stats(uint32_t slot, struct dp_rule_stats *stats);

// The operator's tables (RULE_TABLE_POLICY and up). Rules are added and removed in changes: what
// was added and removed since the last commit becomes visible to packets at one instant, at the
// commit, in all tables at once; a burst that a worker has begun goes on by what was before. Any
// match of struct match_fields is taken, and the actions that rule.h lists. Of rules with the same
// table and priority that overlap, the older one wins.
//
// Reserves all that the rule needs, so that commit cannot fail. -ENOSPC: the tables' memory
// (dp_config.policy_memory_mb) does not take one more; -EINVAL: actions that contradict each other.
// Two rules may be the same (rule_same) only if the older is removed in the same change.
int dp_policy_add(const struct rule *rule, uint32_t *slot, char **error);
// Takes a rule that was just added out of this change, with all that it needs kept for it, and puts
// it into a later one: for rules of a bundle that is not finished.
void dp_policy_hold(uint32_t slot);
void dp_policy_include(uint32_t slot);
// The rule goes at the next commit; its slot can be asked for statistics until then. A rule that
// was never committed goes at once.
void dp_policy_del(uint32_t slot);
// Publishes the change and returns when all workers forward by it. `wait` false: returns at once
// (the next commit with wait covers it).
void dp_policy_commit(bool wait);
// Actions and cookie of a rule, replaced in place at the next commit by those of `rule`, whose
// match and priority are the same. Slot, counters and age stay.
int dp_policy_modify(uint32_t slot, const struct rule *rule, char **error);
// Frees what no worker reads any more, lets the tables be compiled. Call it each turn of the
// control loop; it takes about a millisecond at most. True: there is more to do soon.
bool dp_policy_poll(void);
// What becomes of a packet that no rule of the operator's table 0 matches: on to the forward table,
// or dropped (policy_miss). A miss in a later table is always dropped.
void dp_policy_miss(bool normal);
// `used_us`: when it last matched, in microseconds of CLOCK_MONOTONIC, to about a millisecond; 0:
// never.
struct dp_policy_stats {
    uint64_t packets, bytes;
    uint64_t used_us;
};
void dp_policy_stats(uint32_t slot, struct dp_policy_stats *stats);
struct dp_policy_table_stats {
    uint64_t lookups, matches;
    uint32_t rules;
    uint64_t bytes;        // of memory: rules, actions, what they are compiled to, builds
    const char *structure; // what it is compiled to now: "empty", "exact", "hash", "acl"
    uint32_t delta;        // rules that are not yet in the acl
    bool compiling;        // to an acl, in the background
    // Not compiled to an acl (again), as that takes more memory than this; 0: nothing was refused.
    uint64_t refused_bytes;
    uint64_t builds, build_us_last;
};
void dp_policy_table_stats(unsigned table, struct dp_policy_table_stats *stats);

// The operator's groups (OpenFlow 1.5.1 section 5.6). Published at once; rules that name one which
// does not exist drop (policy_group).
#define DP_GROUP_NONE UINT32_MAX
enum dp_group_type { DP_GROUP_ALL, DP_GROUP_SELECT, DP_GROUP_INDIRECT, DP_GROUP_FAST_FAILOVER };
struct dp_bucket {
    uint16_t weight;      // select only
    uint16_t watch_port;  // fast failover: PORT_NONE: none
    uint32_t watch_group; // fast failover: DP_GROUP_NONE: none
    uint8_t n_actions;
    struct action actions[RULE_ACTIONS_MAX]; // no GOTO_TABLE
};
// Could it be set? -E2BIG: too many buckets; -ELOOP: its buckets lead back to it, or too deep;
// -EINVAL: actions that contradict each other.
int dp_group_check(uint32_t id, enum dp_group_type type, const struct dp_bucket *buckets,
                   unsigned n, char **error);
int dp_group_set(uint32_t id, enum dp_group_type type, const struct dp_bucket *buckets, unsigned n,
                 char **error);
void dp_group_del(uint32_t id);
// buckets: [n] of the group's. -ENOENT: there is none.
int dp_group_stats(uint32_t id, struct dp_rule_stats *group, struct dp_rule_stats *buckets,
                   unsigned n);
// Whether a port has carrier, as the control thread knows; ports begin as live.
void dp_port_set_live(uint16_t no, bool live);

// The operator's meters (OpenFlow 1.5.1 section 5.7), one band: what is over it is dropped. A meter
// that is not there limits nothing.
#define DP_METERS_MAX 65535
struct dp_meter {
    bool packets;   // rate and burst are packets, else kilobits
    uint32_t rate;  // per second
    uint32_t burst; // 0: one second's
};
int dp_meter_set(uint32_t id, const struct dp_meter *meter, char **error);
void dp_meter_del(uint32_t id);
struct dp_meter_stats {
    uint64_t packets, bytes;           // that met it
    uint64_t over_packets, over_bytes; // that were dropped
};
int dp_meter_stats(uint32_t id, struct dp_meter_stats *stats);

// Packet-ins: frames that a policy rule sends to a controller, rate-limited and counted as punts.
struct dp_packet_in {
    uint16_t in_port;
    uint16_t len; // of the frame; `data` holds at most max_len of it
    uint16_t data_len;
    uint16_t controller;
    uint8_t reason;
    uint8_t table; // the operator's
    uint64_t cookie;
    rte_be64_t metadata;
    rte_be32_t reg[RULE_REGS];
    uint8_t data[DP_PACKET_IN_MAX];
};
bool dp_packet_in_recv(struct dp_packet_in *in);
// Packet-out: sends a frame through these actions as if it had come in by in_port (PORT_NONE: by
// the controller). Counted as originated there. -ENODEV: no such port; -EINVAL: actions that
// contradict each other; -EMSGSIZE: longer than any port's frames; -ENOBUFS: it cannot now.
int dp_packet_out(uint16_t in_port, const struct action *actions, unsigned n, const void *frame,
                  size_t len);

// What would become of a frame that came in by a port: the same stages, without sending, counting
// or changing anything. Writes lines of text ("guard: ...", "policy0: ..."); the caller frees.
// -ENODEV: no such port.
int dp_trace(uint16_t in_port, const void *frame, size_t len, char **text);
// Says of a rule, for dp_trace, whether it is in the NIC or why not; set once, NULL: it says
// nothing of that.
void dp_trace_nic(const char *(*nic)(const struct rule *rule));

// A range: its addresses are reached by the uplinks only through this gateway.
struct dp_gateway {
    struct in6_addr address;
    struct in6_addr subnet;
    uint8_t prefix_len; // of the in6_addr: 96 more than an IPv4 prefix's
};
// The ranges; set once before ports are added.
int dp_gateways_set(const struct dp_gateway *gateways, unsigned n);

// The member map: for each range and each bucket of the flow hash, the uplink and the MAC of the
// gateway there.
struct dp_member_map {
    struct {
        bool valid; // false: no_gateway
        struct {
            uint16_t port;
            struct rte_ether_addr gateway_mac;
        } bucket[DP_BUCKETS];
    } gateway[DP_GATEWAYS_MAX];
    struct rte_ether_addr src_mac; // the node's, on every uplink
    // Buckets by dp_masked_bucket, which NIC rules can say, instead of by a hash of the addresses
    // and ports.
    bool masked;
};
// The bucket of a flow by four bits of its headers: the lowest one of the source address (1) and of
// the destination address (2), and of TCP, UDP and SCTP that is not fragmented the second lowest
// one of the source port (4) and of the destination port (8). The bucket's lowest bit is their
// parity, so that flows which differ in any one of them are spread. (The lowest bit of a port tells
// nothing: Linux prefers even ones for clients.)
static inline unsigned dp_masked_bucket(unsigned bits)
{
    return bits << 1 | (unsigned)__builtin_parity(bits);
}
int dp_member_map_set(const struct dp_member_map *map);

// What the workers handed over: ARP replies and neighbour advertisements from uplinks.
struct dp_punt {
    uint16_t port;
    uint16_t len;
    uint8_t data[256]; // the frame's beginning, from the Ethernet header
};
// Takes up to n; returns how many.
unsigned dp_punt_recv(struct dp_punt *punts, unsigned n);
// A descriptor that the next punt or packet-in makes readable, once; to be asked for before each
// time that the control thread sleeps. -1: there is one already.
int dp_punt_wait(void);
// Sends a frame of the daemon's own out of a port (counted as originated). -ENOBUFS if it cannot
// now.
int dp_inject(uint16_t port, const void *frame, size_t len);

struct dp_port_stats {
    uint64_t rx_packets, rx_bytes;
    uint64_t tx_packets, tx_bytes;
    uint64_t originated; // by the daemon in answer to this port's packets (ICMP errors, fragments)
                         // or injected to it
    uint64_t rx_missed;  // what the device itself lost before the daemon saw it
    uint64_t drops[DROP_N];
};
int dp_port_stats(uint16_t no, struct dp_port_stats *stats);

// The sum rule over all ports, removed ones included: rx + originated == tx + sum of drops +
// in_flight. Exact when in_flight is read while no traffic flows; else the counters are of slightly
// different instants.
struct dp_totals {
    uint64_t rx, originated, tx, drops[DROP_N], in_flight;
};
void dp_totals(struct dp_totals *totals);

struct dp_worker_stats {
    unsigned cpu;
    unsigned n_queues;
    uint64_t polls;        // loop iterations
    uint64_t bursts;       // receive bursts that held packets
    uint64_t packets;      // received
    uint64_t busy_cycles;  // TSC cycles in iterations that had packets
    uint64_t idle_cycles;  // TSC cycles spinning without
    uint64_t sleep_cycles; // TSC cycles asleep
    uint64_t sleeps;
};
unsigned dp_n_workers(void);
void dp_worker_stats(unsigned worker, struct dp_worker_stats *stats);
uint64_t dp_tsc_hz(void);

struct dp_memory {
    uint32_t mbufs, mbufs_free;
    uint32_t forward_rules, forward_rules_max;
};
void dp_memory(struct dp_memory *memory);
