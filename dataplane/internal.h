/* SPDX-License-Identifier: Apache-2.0 */
// What the files of the dataplane share. Nothing outside this folder includes it.
//
// Threads: the control thread writes ports, guards, rules, poll lists and the member map and
// publishes them by an atomic pointer store; workers load each pointer once per use and keep none
// across loop iterations. A worker reports its quiescent state once an iteration; the control
// thread waits for that (rcu_wait) before it frees. Counters are written by one worker each and
// read by the control thread.
#pragma once

#include <rte_atomic.h>
#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <rte_rcu_qsbr.h>
#include <rte_ring.h>

#include "dataplane/dataplane.h"

#define BURST     64
#define GUARD_MAX 8 // addresses of one family of a port
#define RULES_MAX 65536
#define RING_SIZE 4096 // of a worker's inbox and of the queue to the control thread

#define load_acquire(p)     __atomic_load_n(p, __ATOMIC_ACQUIRE)
#define store_release(p, v) __atomic_store_n(p, v, __ATOMIC_RELEASE)

struct xdp; // a kernel netdev's AF_XDP sockets, see xdp.c

// What a pod port may send, compiled from its guard rules. Never changed once published.
struct guard {
    unsigned n4, n6;
    struct guard4 {
        rte_be32_t address;
        uint16_t gateway; // of the address's range
        uint32_t slot;    // of the rule
    } v4[GUARD_MAX];
    struct guard6 {
        struct in6_addr address;
        uint16_t gateway;
        uint32_t slot;
    } v6[GUARD_MAX];
};

struct port {
    // The first 12 bytes of a frame (destination and source MAC) that the port takes: (frame ^
    // expect) & mask == 0.
    uint64_t l2_expect_lo, l2_mask_lo;
    uint32_t l2_expect_hi, l2_mask_hi;
    bool guarded;        // pod or host: source addresses are checked
    bool live;           // has carrier, as the control thread says
    struct guard *guard; // NULL: nothing passes
    uint16_t no;
    uint16_t generation; // tells a port from an earlier one of the same number
    uint16_t ethdev;     // RTE_MAX_ETHPORTS for a kernel netdev by AF_XDP
    uint16_t mtu;
    int ifindex; // of a kernel netdev, 0: none
    struct xdp *xdp;
    struct rte_device *device;           // of the ethdev; NULL for AF_XDP
    struct port *next;                   // of those whose device is gone (unplug.c)
    uint16_t owner;                      // worker that sends what workers without a queue hand over
    int16_t txq[DP_WORKERS_MAX];         // each worker's transmit queue, -1: hand over to the owner
    uint16_t rxq_worker[DP_WORKERS_MAX]; // each receive queue's worker
    struct dp_port_info info;
};

// What a worker polls, in groups of as many queues as a word has bits. The control thread never
// changes it once published.
#define POLL_GROUP 64
struct poll_list {
    unsigned n;
    struct poll_group {
        uint64_t used; // which entries there are
        uint64_t loud; // which are polled at each turn; the worker's own
        struct poll_entry {
            struct port *port;
            uint16_t queue;
            uint16_t empty; // polls in a row that found nothing; the worker's own
        } entry[POLL_GROUP];
    } group[];
};

// A forward rule compiled: what becomes of a packet with its destination.
struct fwd_entry {
    uint8_t macs[12]; // destination and source, as they stand in the frame
    uint16_t port;
    uint16_t mtu;
    uint32_t slot;
};

struct port_counters {
    uint64_t rx_packets, rx_bytes, tx_packets, tx_bytes, originated;
    uint64_t drops[DROP_N];
};

struct rate {
    uint64_t last; // TSC
    uint32_t tokens;
};

struct tx_buffer {
    uint32_t n; // more than 0: it is in the worker's list
    uint32_t bytes;
    struct rte_mbuf *mbuf[BURST];
};

struct worker {
    unsigned index, cpu, lcore;
    struct poll_list *polls;
    // Frames to send, each with its outgoing port: from other workers, and from the control thread.
    // Apart, so that no traffic keeps the gateways' probes out.
    struct rte_ring *inbox, *injected;
    int epoll;        // what wakes it: the AF_XDP sockets it polls, and
    int wake;         // an eventfd that the control thread writes to
    bool sleeps_deep; // all that it polls wakes it, so a sleep may be long
    struct dp_worker_stats stats;

    struct port_counters *counters; // [PORT_MAX + 1]
    struct rate *icmp_rate;         // [PORT_MAX + 1]
    struct rate *punt_rate;         // [PORT_MAX + 1]
    struct dp_rule_stats *rules;    // [RULES_MAX]

    uint64_t policy_version; // of the operator's tables for this burst; 0: they have no rules
    struct policy_counters *policy_rules; // [POLICY_RULES_MAX]
    struct policy_table_counters {
        uint64_t lookups, matches;
    } policy_tables[POLICY_TABLES];
    struct rate *packet_in_rate; // [PORT_MAX + 1]
    struct trace *trace;         // of dp_trace's dry run, see trace.h; NULL in workers

    uint32_t n_dirty; // ports with frames in their tx buffer
    uint16_t dirty[PORT_MAX + 1];
    struct tx_buffer *tx; // [PORT_MAX + 1]
} __rte_cache_aligned;

// A packet on its way through a worker's stages.
struct packet {
    struct rte_mbuf *mbuf;
    void *ip;         // its IPv4 or IPv6 header, in the stages that take bursts
    uint16_t l3_len;  // bytes of IP, header included, as the header says
    uint16_t gateway; // of the range that its source is in; pods' packets only
};

// One received burst of one port, sorted by what its packets are.
struct burst {
    struct port *port;
    uint16_t n4, n6;
    struct packet v4[BURST];
    struct packet v6[BURST];
};

// The member map compiled: what becomes of a packet that is for no local address.
struct members {
    struct {
        bool valid;
        struct fwd_entry bucket[DP_BUCKETS];
    } gateway[DP_GATEWAYS_MAX];
    bool masked; // dp_masked_bucket
};

struct dataplane {
    struct dp_config config;
    struct rte_mempool *pool;
    struct rte_rcu_qsbr *rcu;
    struct port *ports[PORT_MAX + 1];
    unsigned n_workers;
    struct worker *workers; // [n_workers]
    bool stop;
    struct rte_ring *punt;       // struct rte_mbuf, input port in mbuf->hash.usr
    struct rte_ring *packet_ins; // struct rte_mbuf, which holds a struct dp_packet_in
    int punt_fd;                 // an eventfd that wakes the control thread
    bool punt_awaited;           // by the control thread: the next one is to wake it
    unsigned n_gateways;
    struct dp_gateway gateways[DP_GATEWAYS_MAX];
    struct members *members;
    uint32_t default_slot[DP_GATEWAYS_MAX]; // of each range's default rule
    uint64_t tsc_hz;
    uint64_t originated[PORT_MAX + 1]; // injected by the control thread
    struct port_counters retired;      // of ports that are gone
};
extern struct dataplane dp;

// error.c: says in *error, the caller's to free, why something failed, and returns the code. *error
// is NULL if there is no memory for it.
int set_error(int code, char **error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

// dataplane.c: waits until no worker can hold what was unpublished before the call.
void rcu_wait(void);
// free()s what was unpublished, later, when no worker can hold it; does not wait for that.
void rcu_free(void *p);

// worker.c
int workers_init(char **error);
int workers_start(char **error);
void workers_stop(void);
void worker_wake(struct worker *w);
// Counters, rates and transmit buffers.
int worker_memory(struct worker *w);
void worker_memory_free(struct worker *w);
// Gives each receive queue of each port to its worker and publishes the poll lists. Waits until no
// worker polls what it polled before if `wait` is set.
int workers_assign(bool wait);

// forward_table.c
int forward_table_init(char **error);
void forward_table_fini(void);
// Fetches the counters of the rules that are hit, too.
void forward_lookup4(const struct packet *packets, unsigned n, const struct dp_rule_stats *counters,
                     struct fwd_entry *hits[]);
void forward_lookup6(const struct packet *packets, unsigned n, struct fwd_entry *hits[]);
// A guard or forward rule, for the control thread. NULL: none has this slot.
const struct rule *forward_table_rule(uint32_t slot);
bool forward_has4(rte_be32_t address);
bool forward_has6(const struct in6_addr *address);
void forward_table_memory(struct dp_memory *memory);

// parse.c: takes the frames of one port; IPv4 and IPv6 to route go into the burst, IPv4 of a
// guarded port past its guard; the rest is seen to.
void parse(struct worker *w, struct burst *b, struct port *port, struct rte_mbuf **mbufs,
           unsigned n);
// The same for one frame that was parsed before as something else, and counted then.
void parse_again(struct worker *w, struct burst *b, struct port *port, struct rte_mbuf *m);
// Is the IPv4 or IPv6 header (`type`) at offset l3 sound, and the transport header that follows it
// there? Sets p->l3_len. Returns DROP_N, or what is wrong.
enum drop_reason parse_ip(const struct rte_mbuf *m, unsigned l3, rte_be16_t type, struct packet *p);
// Bytes of L4 header that must be there, by IP protocol.
extern const uint8_t l4_min[256];
// guard.c: drops what the pod may not send; notes each packet's gateway. guard4 is for one packet
// that is not plain (parse.c): false if it was dropped.
bool guard4(struct worker *w, const struct port *port, struct packet *p);
void guard6(struct worker *w, struct burst *b);
// What the guard says of an address: NULL if it is not the port's.
const struct guard4 *guard_find4(const struct guard *guard, rte_be32_t address);
const struct guard6 *guard_find6(const struct guard *guard, const struct in6_addr *address);
// forward.c: where each packet goes; rewrites and hands to output.
void forward4(struct worker *w, struct burst *b);
void forward6(struct worker *w, struct burst *b);
// The bucket of the member map that a packet's flow is in.
unsigned forward_bucket(const struct rte_mbuf *m);
// arp.c, nd.c: take the frame over.
void arp_input(struct worker *w, struct port *port, struct rte_mbuf *m);
void nd_input(struct worker *w, struct port *port, struct rte_mbuf *m);
// icmp_error.c: sends an ICMP error about a packet back to where it came from, if the RFCs and the
// rate allow. The packet stays the caller's. `type` and `code` as in RFC 792 and RFC 4443; `param`
// is the MTU where there is one.
void icmp4_error(struct worker *w, struct port *port, const struct rte_mbuf *m, uint8_t type,
                 uint8_t code, uint16_t mtu);
void icmp6_error(struct worker *w, struct port *port, const struct rte_mbuf *m, uint8_t type,
                 uint8_t code, uint32_t param);
// fragment.c: sends an IPv4 packet in fragments (RFC 791); takes it over.
void fragment4(struct worker *w, struct port *in, struct rte_mbuf *m, uint16_t out, uint16_t mtu);

// punt.c: a buffer with a copy of a frame. -ENOBUFS, or -EMSGSIZE: none holds so much.
int frame_mbuf(const void *frame, size_t len, struct rte_mbuf **mbuf);
// punt.c: hands the frame to the control thread; takes it over.
void punt(struct worker *w, struct port *port, struct rte_mbuf *m);

// xdp.c: a kernel netdev by AF_XDP.
int xdp_open(const char *netdev, unsigned mtu, struct xdp **xdp, uint16_t *n_queues, char **error);
// keep_guarding: leave the program on the netdev, which drops all: nothing reaches the host's stack
// meanwhile.
void xdp_close(struct xdp *xdp, bool keep_guarding);
uint16_t xdp_rx(struct xdp *xdp, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n);
uint16_t xdp_tx(struct xdp *xdp, uint16_t queue, struct rte_mbuf **mbufs, uint16_t n);
int xdp_fd(const struct xdp *xdp, uint16_t queue);
uint64_t xdp_missed(const struct xdp *xdp);

// ingress.c: keeps the host's stack from what a netdev receives, and lets it have that again.
int ingress_block(int ifindex);
void ingress_unblock(int ifindex);

// ifreq.c: ioctls on kernel netdevs; each returns 0 or a negative errno.
int if_mac(const char *netdev, struct rte_ether_addr *mac);
int if_rx_queues(const char *netdev);
int if_up(const char *netdev);
// Takes frames for any MAC, or no longer; ends with the process.
int if_promiscuous(int ifindex, bool on);

// port.c
void ports_close(void);

// unplug.c
int unplug_init(char **error);
// Was the port's device unplugged?
bool unplug_is_gone(const struct port *port);
// Keeps a port that no worker has any more until its device can be closed.
void unplug_keep(struct port *port);
bool unplug_keeps(uint16_t ethdev);
// Is a device of this name still to be closed?
bool unplug_keeps_device(const char *devargs);
// The ethdev was closed; its number may be another device's.
void unplug_forget(uint16_t ethdev);

// The MAC address that frames to the port have: the router's, or on an uplink the node's.
static inline const uint8_t *port_mac(const struct port *port)
{
    return (const uint8_t *)&port->l2_expect_lo;
}

static inline uint16_t port_rx(const struct port *port, uint16_t queue, struct rte_mbuf **mbufs,
                               uint16_t n)
{
    return port->xdp ? xdp_rx(port->xdp, queue, mbufs, n)
                     : rte_eth_rx_burst(port->ethdev, queue, mbufs, n);
}

static inline uint16_t port_tx(const struct port *port, uint16_t queue, struct rte_mbuf **mbufs,
                               uint16_t n)
{
    return port->xdp ? xdp_tx(port->xdp, queue, mbufs, n)
                     : rte_eth_tx_burst(port->ethdev, queue, mbufs, n);
}

// The size of a frame's place in net_af_packet's rings: for the kernel's header (66 bytes),
// Ethernet, two VLAN tags and IP. Places must fill pages; and the driver refuses mbufs that are
// smaller.
static inline unsigned af_packet_slot(unsigned mtu)
{
    unsigned need = 66 + RTE_ETHER_HDR_LEN + 2 * RTE_VLAN_HLEN + mtu;

    return need <= 2048 ? 2048 : RTE_ALIGN(need, 4096u);
}

// The size of an AF_XDP frame: the kernel keeps the beginning of each for itself, and takes these
// two sizes.
#define XDP_HEADROOM 256
static inline unsigned xdp_frame_size(unsigned mtu)
{
    return mtu + RTE_ETHER_HDR_LEN + XDP_HEADROOM <= 2048 ? 2048 : 4096;
}

static inline void drop(struct worker *w, const struct port *port, struct rte_mbuf *m,
                        enum drop_reason reason)
{
    w->counters[port->no].drops[reason]++;
    rte_pktmbuf_free(m);
}

// Takes `per_s` events a second, bursts of as many as come in 1/8 s.
static inline bool rate_take(struct rate *rate, uint32_t per_s)
{
    uint64_t now = rte_rdtsc(), step = dp.tsc_hz / RTE_MAX(per_s, 1u);
    uint32_t burst = RTE_MAX(per_s / 8, 1u);
    uint64_t due = step ? (now - rate->last) / step : burst;

    if (due >= burst) {
        rate->tokens = burst;
        rate->last = now;
    } else if (due) {
        rate->tokens = (uint32_t)RTE_MIN(rate->tokens + due, (uint64_t)burst);
        rate->last += due * step;
    }
    if (!rate->tokens || !per_s)
        return false;
    rate->tokens--;
    return true;
}

// stats.c
void stats_retire(uint16_t no);
// output.c
void tx_flush(struct worker *w, uint16_t out);

// Puts a frame of `len` bytes into the outgoing port's buffer; worker_main flushes it at the end of
// the iteration.
static inline void output_len(struct worker *w, uint16_t out, struct rte_mbuf *m, uint32_t len)
{
    struct tx_buffer *tx = &w->tx[out];
    uint32_t n = tx->n;

    // Not a branch: where packets leave by many ports, nobody can predict which is the first.
    w->dirty[w->n_dirty] = out;
    w->n_dirty += !n;
    if (unlikely(n == BURST)) {
        tx_flush(w, out);
        n = 0;
    }
    tx->mbuf[n] = m;
    tx->n = n + 1;
    tx->bytes += len;
}

static inline void output(struct worker *w, uint16_t out, struct rte_mbuf *m)
{
    output_len(w, out, m, m->pkt_len);
}
