/* SPDX-License-Identifier: Apache-2.0 */
// What net_gen sends: its arguments, and the frames made of them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <rte_byteorder.h>

// One frame to come: what differs from the others. IPv6: the low 32 bits of the destination.
struct gen_frame {
    rte_be32_t dst;
    rte_be16_t sport, dport;
    uint16_t len; // without FCS
    uint16_t ip_sum, l4_sum;
    uint16_t unused;
};

#define GEN_HEADER 64 // bytes of Ethernet, IP, UDP and what follows

struct gen_list {
    uint32_t n, at;
    struct gen_frame *frames;
};

enum gen_class { GEN_ORDINARY, GEN_ATTACK };

struct gen_traffic {
    struct gen_list list[2]; // by class; taken in turn, round and round
    uint32_t attack_every;   // each so many-th frame is of the attack; 0: none
    uint32_t since_attack;   // frames
    double rate;             // packets per second; 0: as fast as they are taken
    uint32_t ring;           // at a rate: so many may wait
    bool ip6;
    uint8_t header[GEN_HEADER]; // of every frame
    // Of a capture: whole frames instead, each at data + frames[i].dst * 64.
    uint8_t *data;
};

// Makes traffic of "key=value,...". NULL with *error a static sentence.
struct gen_traffic *gen_traffic_new(const char *args, const char **error);
void gen_traffic_free(struct gen_traffic *traffic);

// capture.c: the frames of a pcap file become list[GEN_ORDINARY]; their addresses are mapped to the
// sender's and to those of `pods` pods, so that the benchmark's rules hold for them.
int gen_capture_load(struct gen_traffic *traffic, const char *path, unsigned pods,
                     const char **error);

// The benchmark's addresses (tests/bench/frames.py has the same).
extern const uint8_t gen_macs[12]; // as they stand in a frame
rte_be32_t gen_sender4(void);
rte_be32_t gen_pod4(unsigned pod);
// RFC 1071, not yet inverted; `data` in network byte order.
uint32_t gen_sum(uint32_t sum, const void *data, size_t size);
uint16_t gen_sum_fold(uint32_t sum); // as it stands in a header
