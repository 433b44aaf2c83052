/* SPDX-License-Identifier: Apache-2.0 */
// Which of many hash tables a packet need not be looked up in: those in which no rule has the value
// that the packet has in some byte. For each byte that some mask looks at, and for each of its
// values, a vector with one bit for each table; a packet's tables are those whose bits are set in
// the vectors of all its bytes. Bits may be set that need not be, never the other way round.
#pragma once

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "dataplane/classifier_internal.h"

// Of 512 tables.
typedef uint64_t sieve_bits __attribute__((vector_size(64), may_alias));
#define SIEVE_BITS 512

struct sieve {
    uint32_t n_bytes, stride; // stride: of vectors, in sieve_bits
    uint8_t byte[sizeof(struct match_key)];
    size_t size;
    struct mask_table **table; // [stride * SIEVE_BITS] by number
    sieve_bits *wild;          // [n_bytes][stride]: tables whose mask does not look at the byte
    sieve_bits *value;         // [n_bytes][256][stride]
};

// For so many tables, and the bytes that are used. NULL: no memory.
struct sieve *sieve_new(struct memory *memory, const bool used[sizeof(struct match_key)],
                        uint32_t n_tables);
static inline uint32_t sieve_max(const struct sieve *sieve)
{
    return sieve->stride * SIEVE_BITS;
}
// A table by a number that is free, and each of its rules.
void sieve_add_table(struct sieve *sieve, uint32_t number, struct mask_table *table,
                     const struct match_key *mask);
void sieve_add_spec(struct sieve *sieve, uint32_t number, const struct match_key *mask,
                    const struct match_key *spec);
void sieve_del_table(struct sieve *sieve, uint32_t number);

// Which of the 64-bit words are not 0.
static inline unsigned sieve_words(sieve_bits tables)
{
#ifdef __AVX512F__
    return _mm512_test_epi64_mask((__m512i)tables, (__m512i)tables);
#else
    unsigned words = 0;

    for (unsigned w = 0; w < SIEVE_BITS / 64; w++)
        words |= (unsigned)(tables[w] != 0) << w;
    return words;
#endif
}

// The tables that a packet may match a rule of, 512 from number `part` * 512.
static inline sieve_bits sieve_tables(const struct sieve *sieve, const struct match_key *key,
                                      uint32_t part)
{
    const uint8_t *bytes = (const uint8_t *)key;
    const sieve_bits *wild = sieve->wild + part, *value = sieve->value + part;
    sieve_bits tables = ~(sieve_bits){0};

    for (uint32_t b = 0; b < sieve->n_bytes; b++) {
        tables &= *wild | value[bytes[sieve->byte[b]] * sieve->stride];
        wild += sieve->stride;
        value += 256 * sieve->stride;
        // Often the first bytes, of addresses, say that there is none.
        if (b < 4 && !sieve_words(tables))
            break;
    }
    return tables;
}

// How many tables pass for a packet; how many vectors that takes.
unsigned sieve_count(const struct sieve *sieve, const struct match_key *key);
static inline uint32_t sieve_vectors(const struct sieve *sieve)
{
    return sieve->n_bytes * sieve->stride;
}
