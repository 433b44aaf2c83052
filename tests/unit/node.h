/* SPDX-License-Identifier: Apache-2.0 */
// A dataplane in the test's own process: two uplinks and two pods, each an in-process ring (DPDK's
// net_ring), with the real workers between them. One of it for each test program.
#pragma once

#include <stdint.h>

#include "dataplane/dataplane.h"

enum { UPLINK0 = 1, UPLINK1, POD_A, POD_B, NODE_PORTS = POD_B };

// Pod A: 10.1.10.5, fd00:10::5. Pod B: 10.1.11.6, fd00:11::6. Gateways .1 and ::1. MTU of all is
// 1500, of pod B 1400.
extern const struct rte_ether_addr ROUTER_MAC, NODE_MAC, GATEWAY_MAC, POD_A_MAC, POD_B_MAC;

// Starts it with `workers` workers on the last CPU and both gateways answering on both uplinks.
void node_start(unsigned workers);
void node_stop(void);
// The same as a cmocka group's setup and teardown; SLUICE_WORKERS in the environment says how many
// workers (default 1).
int node_setup(void **state);
int node_teardown(void **state);

// Lets a frame arrive at a port.
void node_send(uint16_t port, const void *frame, size_t len);
// ... in two buffers, the first of `first` bytes.
void node_send_in_parts(uint16_t port, const void *frame, size_t len, size_t first);
// Sets the member map again as node_start did.
void node_members(void);
// Waits until everything sent has been dealt with; fails the test after 10 s.
void node_settle(void);
// Takes a frame that left by a port; returns its length, 0 if there is none.
size_t node_recv(uint16_t port, void *frame, size_t size);
// Frames of a port dropped for a reason so far.
uint64_t node_drops(uint16_t port, enum drop_reason reason);

struct in6_addr ip(const char *text); // either family
