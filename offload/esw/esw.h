/* SPDX-License-Identifier: Apache-2.0 */
// net_esw: a SmartNIC in software, for development and tests; it is no hardware and offloads
// nothing from the CPU. An e-switch with one or two wires and many VFs, steered by rte_flow's
// transfer rules, as a DPDK device of its own. See docs/net-esw.md.
//
// Who runs what: the e-switch's thread takes packets from wires and VFs (switch.c); the program's
// threads send and receive by the ethdevs (ethdev.c) and make rules (flow.c). What they share is
// under esw.lock.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/queue.h>

#include <bus_vdev_driver.h>
#include <ethdev_driver.h>
#include <rte_ether.h>
#include <rte_flow_driver.h>
#include <rte_ring.h>
#include <rte_version.h>

#include "offload/esw/fault.h"
#include "offload/esw/meter.h"
#include "offload/esw/mode.h"
#include "offload/esw/packet.h"
#include "offload/esw/player.h"
#include "offload/esw/queue.h"
#include "offload/esw/table.h"

#define ESW_WIRES_MAX  2
#define ESW_VFS_MAX    512
#define ESW_PORTS_MAX  (ESW_WIRES_MAX + ESW_VFS_MAX)
#define ESW_QUEUES_MAX 16
#define ESW_FRAME_MAX  9728 // bytes, Ethernet header and two VLAN tags included

struct esw;

// Packets of one direction.
struct esw_count {
    uint64_t packets, bytes;
};

// A receive queue of an ethdev: the e-switch's thread puts in, a thread of the program takes out.
struct esw_rxq {
    struct rte_ring *ring;
    struct rte_mempool *pool;
    uint16_t port_id;
    struct esw_count received; // by the program's thread
    uint64_t missed;           // ring was full or pool empty; under esw.lock
};

struct esw_txq {
    struct esw_port *port;
    struct esw_count sent;
    uint64_t failed; // could not be given to the wire or VF
};

// Where the packets of a wire or VF come from and go to.
struct esw_backend {
    enum esw_backend_kind {
        ESW_BACKEND_NULL, // nothing comes, what goes vanishes
        ESW_BACKEND_TAP,
        ESW_BACKEND_NETDEV, // an existing kernel netdev, by a packet socket
        ESW_BACKEND_RING,   // mbufs through two rte_rings, for tests
        ESW_BACKEND_PLAYER, // a pcap file or a generator
    } kind;
    char name[22]; // of the netdev, or what the rings' names begin with
    int fd;
    int ifindex; // of a NETDEV
    struct rte_ring *in, *out;
    struct esw_player *player;
};

// A wire or a VF, with the ethdev that stands for it if there is one.
struct esw_port {
    struct esw *esw;
    uint16_t index; // wires first
    bool is_wire;
    uint16_t no; // of the wire or VF
    struct rte_ether_addr mac;
    struct esw_backend backend;
    bool link; // under esw.lock

    uint16_t port_id;           // RTE_MAX_ETHPORTS: no ethdev
    struct rte_eth_dev *ethdev; // NULL likewise
    uint16_t n_rxq;             // 0 unless the ethdev is started; under esw.lock
    struct esw_rxq *rxq[ESW_QUEUES_MAX];

    // Under esw.lock.
    struct esw_count from;     // came from the wire or VF
    struct esw_count hw_out;   // went to it by rules
    struct esw_count to_app;   // went to the ethdev
    struct esw_count from_app; // went to it from the ethdev, through the rules
    uint64_t hw_dropped;       // by a rule that came by this port
    uint64_t no_app;           // for the ethdev, which is not there, not started, or full
    uint64_t out_failed;       // could not be given to the wire or VF
    struct esw_async async;    // asynchronous rules
    struct esw_meters meters;
};

TAILQ_HEAD(esw_flows, rte_flow);

struct esw {
    TAILQ_ENTRY(esw) next;
    struct rte_vdev_device *vdev;
    char name[12];    // "net_esw0" to "net_esw99"
    const char *args; // the devargs read last; compared, never read
    uint16_t domain_id;
    unsigned n_wires, n_vfs;
    struct esw_port *ports; // wires first
    struct rte_mempool *ring_pool;
    enum esw_mode mode;
    int cpu;      // of the thread; -1: any
    bool persist; // TAPs outlive the process

    pthread_t thread;
    bool running;
    bool stop; // under no lock, atomic
    int epoll;
    int wake; // eventfd

    // Held by the e-switch's thread while it tells the program of an event, so that an ethdev does
    // not go meanwhile. Recursive, as the program may close the ethdev then. Taken before esw.lock.
    pthread_mutex_t events;
    pthread_mutex_t lock;
    struct esw_table *table;
    struct esw_flows flows;
    struct esw_handles handles; // indirect actions
    unsigned n_from_app_rules;  // rules that match what ethdevs send
    unsigned n_ages;            // rules and indirect actions that age
    struct esw_faults faults;

    unsigned n_jobs; // pushed on flow queues and not done; atomic
    bool unplugged;  // under no lock, atomic
    int control;     // socket, or -1
    char control_path[108];
};

extern int esw_log;
#define ESW_LOG(level, ...) rte_log(RTE_LOG_##level, esw_log, "net_esw: " __VA_ARGS__)

// driver.c
struct esw_port *esw_port_of_ethdev(const struct esw *esw, uint16_t port_id);

// The port that an ethdev of ours is for.
static inline struct esw_port *esw_port_of_dev(const struct rte_eth_dev *dev)
{
    return *(struct esw_port **)dev->data->dev_private;
}

// ethdev.c: an ethdev for the port; 0 or a negative errno.
int esw_ethdev_create(struct esw_port *port);
// The name that port's ethdev has or would have.
void esw_ethdev_name(const struct esw_port *port, char name[RTE_ETH_NAME_MAX_LEN]);

// Calls the program back, if the port has an ethdev; after an update of the link where it is about
// that. In the e-switch's thread.
void esw_ethdev_tell(struct esw_port *port, enum rte_eth_event_type event);

// switch.c
int esw_switch_start(struct esw *esw);
void esw_switch_stop(struct esw *esw);
// One frame of `length` bytes from the wire or VF, or from the ethdev, into the e-switch.
// ESW_FRAME_MAX bytes must be there. Under esw.lock.
void esw_switch_frame(struct esw_port *port, bool from_app, uint8_t *frame, uint32_t length);

// backend.c. All but open are safe in any thread; 0 or a negative errno.
int esw_backend_open(struct esw_port *port, const char *spec);
void esw_backend_close(struct esw_port *port);
// Bytes received into ESW_FRAME_MAX bytes, 0 if there is none now, or a negative errno.
int esw_backend_receive(struct esw_port *port, uint8_t *frame);
int esw_backend_send(struct esw_port *port, const uint8_t *frame, uint32_t length);
// The TAP of a VF went with its namespace: makes it anew, with the same file descriptor. A kernel
// netdev was deleted and made again: takes the new one.
int esw_backend_reopen(struct esw_port *port);
// Is the kernel netdev of this name another than the one that was opened?
bool esw_backend_is_stale(const struct esw_port *port);
bool esw_backend_link(const struct esw_port *port);

// tap.c: a file descriptor or a negative errno.
int esw_tap_open(const struct esw_port *port);

// dump.c. Under esw.lock.
void esw_dump_flow(FILE *file, const struct esw *esw, const struct rte_flow *flow);

// flow.c
extern const struct rte_flow_ops esw_flow_ops;
#if RTE_VERSION >= RTE_VERSION_NUM(24, 3, 0, 0)
extern const struct rte_flow_fp_ops esw_flow_fp_ops;
#endif
// All under esw.lock.
// Puts a rule into the e-switch, if no fault forbids it, and into the list of all. 0, or a negative
// errno with *error set: the rule is the caller's as before.
int esw_flow_insert(struct esw *esw, struct rte_flow *flow, struct rte_flow_error *error);
// Takes it out and frees it.
void esw_flow_forget(struct esw *esw, struct rte_flow *flow);
// Frees one that is not in the list.
void esw_flow_free(struct esw *esw, struct rte_flow *flow);
// Loses or alters so many rules that are there, by chance, or adds so many that nobody made: a copy
// of one that is there which wins over it and drops. How many it were.
enum esw_flow_fault { ESW_FLOW_LOSE, ESW_FLOW_ALTER, ESW_FLOW_EXTRA };
unsigned esw_flow_fault(struct esw *esw, enum esw_flow_fault fault, unsigned n);
// All rules go from the e-switch; the second: and their handles.
void esw_flow_lose_all(struct esw *esw);
void esw_flow_forget_all(struct esw *esw);
// Those of a port whose ethdev stops, where the mode has it so.
void esw_flow_port_stops(struct esw_port *port);
// A packet hit the rule.
void esw_flow_hit(struct esw *esw, struct rte_flow *flow, uint32_t length);
// Keeps what the rule shares with others from being destroyed; the second ends it.
void esw_flow_hold(struct rte_flow *flow);
void esw_flow_release(struct rte_flow *flow);

// count.c: counters of rules and of indirect actions. All under esw.lock.
void esw_count_hit(const struct esw *esw, struct esw_counter *counter, uint32_t length);
void esw_count_query(const struct esw *esw, struct esw_counter *counter,
                     struct rte_flow_query_count *count);
// Which turn of the counters it is: counters are seen as they were at its begin.
uint64_t esw_count_cycle(const struct esw *esw);

// age.c. Under esw.lock.
void esw_age_hit(struct esw_age *age);
void esw_age_query(const struct esw_age *age, struct rte_flow_query_age *query);
// Tells the program of what is over and was not before. In the e-switch's thread.
void esw_ages_watch(struct esw *esw);
// rte_flow's operations: a port's own, each told of once.
int esw_get_aged_flows(struct rte_eth_dev *dev, void **contexts, uint32_t n,
                       struct rte_flow_error *error);
int esw_get_q_aged_flows(struct rte_eth_dev *dev, uint32_t queue, void **contexts, uint32_t n,
                         struct rte_flow_error *error);

// indirect.c: rte_flow's operations, and
// an action that is one: counts the program's packets. -EINVAL with *error set. Under esw.lock.
int esw_indirect_use(const struct esw_port *port, const struct rte_flow_action *action,
                     struct esw_program *program, struct rte_flow_error *error);
// Those of the port.
void esw_indirect_free_all(struct esw_port *port);
struct rte_flow_action_handle *esw_indirect_create(struct rte_eth_dev *dev,
                                                   const struct rte_flow_indir_action_conf *conf,
                                                   const struct rte_flow_action *action,
                                                   struct rte_flow_error *error);
int esw_indirect_destroy(struct rte_eth_dev *dev, struct rte_flow_action_handle *handle,
                         struct rte_flow_error *error);
int esw_indirect_update(struct rte_eth_dev *dev, struct rte_flow_action_handle *handle,
                        const void *update, struct rte_flow_error *error);
int esw_indirect_query(struct rte_eth_dev *dev, const struct rte_flow_action_handle *handle,
                       void *data, struct rte_flow_error *error);
