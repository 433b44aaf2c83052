/* SPDX-License-Identifier: Apache-2.0 */
// What net_gen shares with the program that measures: a file, mapped by both. tests/bench/gen.py
// reads and writes it; change both.
//
// The device writes its counters with plain stores from the thread that polls; they only grow. The
// program writes `args`, then `wanted`; the device takes them over at its next poll and says so by
// `taken`.
#pragma once

#include <stdint.h>

#define GEN_MAGIC   0x32476e47
#define GEN_QUEUES  16
#define GEN_CLASSES 2  // ordinary traffic, attack
#define GEN_BINS    16 // of each power of two of a histogram
#define GEN_HISTO   (40 * GEN_BINS)

struct gen_receive {
    uint64_t polls;
    uint64_t packets[GEN_CLASSES]; // given to the program
    uint64_t bytes;
    uint64_t missed[GEN_CLASSES]; // came too fast: the ring was full (only with a rate)
    uint64_t no_mbufs;            // polls that found the pool empty
    uint64_t gaps[GEN_HISTO];     // nanoseconds between polls (only with a rate)
};

struct gen_transmit {
    uint64_t packets[GEN_CLASSES]; // all in the first without a rate
    uint64_t bytes;
    uint64_t latency[GEN_HISTO]; // nanoseconds from a packet's due time until it was sent
};

struct gen_shared {
    uint32_t magic;
    uint32_t wanted, taken; // which version of args
    uint32_t stamped;       // packets have a stamp at their end
    char args[512];         // as devargs
    char error[128];        // what is wrong with them; "": nothing
    struct gen_receive rx;
    struct gen_transmit tx[GEN_QUEUES];
};

// The last 8 bytes of a frame that is sent at a rate: when it was due (TSC), and its class in the
// lowest bit.
#define GEN_STAMP 8

// The bin of a value: 16 for each power of two, so that a bin is at most 6 % wide.
static inline unsigned gen_bin(uint64_t value)
{
    unsigned shift, bin;

    if (value < GEN_BINS)
        return (unsigned)value;
    shift = 63 - (unsigned)__builtin_clzll(value) - 4;
    bin = (shift + 1) * GEN_BINS + (unsigned)(value >> shift) - GEN_BINS;
    return bin < GEN_HISTO ? bin : GEN_HISTO - 1;
}

// The largest value of a bin.
static inline uint64_t gen_bin_top(unsigned bin)
{
    if (bin < GEN_BINS)
        return bin;
    return ((uint64_t)(bin % GEN_BINS + GEN_BINS + 1) << (bin / GEN_BINS - 1)) - 1;
}
