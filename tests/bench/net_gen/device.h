/* SPDX-License-Identifier: Apache-2.0 */
// The device net_gen: its queues, and the file that it shares with the program that measures.
#pragma once

#include <rte_mempool.h>

#include "tests/bench/net_gen/shared.h"
#include "tests/bench/net_gen/traffic.h"

struct gen_rxq {
    struct rte_mempool *pool;
    struct gen_shared *shared; // NULL: the device only sends (sink=1)
    struct gen_traffic *traffic;
    uint64_t rearm; // data_off, refcnt, nb_segs, port of every mbuf
    // At a rate:
    double per_cycle; // frames that come in a TSC cycle
    double ns_per_cycle;
    uint64_t start;     // TSC
    uint64_t last_poll; // TSC
    uint64_t gone;      // frames taken or missed since the start
};

struct gen_txq {
    struct gen_shared *shared;
    struct gen_transmit *count;
    double ns_per_cycle;
};

// burst.c
uint16_t gen_rx(void *queue, struct rte_mbuf **mbufs, uint16_t n);
uint16_t gen_tx(void *queue, struct rte_mbuf **mbufs, uint16_t n);
