/* SPDX-License-Identifier: Apache-2.0 */
// A net_esw with rings for its wires and VFs: what goes in, what comes out and where. For cmocka
// tests, whose headers come first.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_ethdev.h>
#include <rte_ip.h>
#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_udp.h>

// The e-switch's sides: wire 0, VFs 0 to 3, wire 1 if there is one.
enum side { WIRE, VF0, VF1, VF2, VF3, WIRE1, SIDES };
#define N_VFS 4

extern struct rte_mempool *pool;
extern uint16_t ethdev[SIDES]; // of the sides; RTE_MAX_ETHPORTS: none

extern const struct rte_ether_addr mac_a, mac_b, mac_c;

struct frame {
    struct rte_ether_hdr eth;
    struct rte_ipv4_hdr ip;
    struct rte_udp_hdr udp;
    uint8_t payload[10];
} __attribute__((packed, aligned(2)));

// From mac_a to mac_b, with a right header checksum and no UDP checksum.
struct frame udp(uint32_t src, uint32_t dst, uint8_t ttl, uint16_t port);

// Starts EAL, once in a process; false: it does not start here.
bool rig_begin(const char *program);
// Probes net_esw0 with four VFs, representors of VFs 0 to 2, and `arguments`, which may name a
// second wire. Finds the ethdevs; does not start them. 0 or -1.
int rig_open(const char *arguments);
// The same, and starts them.
int rig_open_started(const char *arguments);
// The same, configured for rules by templates.
int rig_open_for_templates(const char *arguments);
// -1: not all buffers came back.
int rig_close(void);
int rig_teardown(void **state); // rig_close() for cmocka
// One of net_esw0's ethdevs by its devargs; RTE_MAX_ETHPORTS: there is none.
uint16_t rig_find(const char *devargs);
// What rte_eth_dev_start() answers once queues are set up.
int rig_configure(uint16_t id);
int rig_start(uint16_t id);

// Events of ethdevs, by whatever thread. To be registered with DPDK; n_events is the test's to set.
extern unsigned n_events;
int count_event(uint16_t id, enum rte_eth_event_type type, void *arg, void *result);
void expect_events(unsigned n);

// The ring named like the side: what goes "in" to the e-switch or comes "out".
struct rte_ring *ring(enum side side, const char *direction);
// The wire or VF sends.
void inject(enum side side, const void *data, size_t length);
// The program sends on the side's ethdev.
void app_sends(enum side side, const void *data, size_t length);
// What comes out of the e-switch within a second; -1: at no side. *to_app: at the ethdev.
int outcome(bool *to_app, void *data, size_t *length);
void expect(enum side side, bool to_app, struct frame *frame);
void expect_same(enum side side, bool to_app, const struct frame *sent);
