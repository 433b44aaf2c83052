/* SPDX-License-Identifier: Apache-2.0 */
// Which of many hash tables a packet need not be looked up in: those in which no rule has the value
// that the packet has in some of its digits, of one or two bytes. For each digit that some mask
// looks at, and for each of its values, a vector with one bit for each table; a packet's tables are
// those whose bits are set in the vectors of all its digits. Bits may be set that need not be,
// never the other way round.
//
// A fine sieve, of up to 64 tables, has digits of two bytes where it can: it tells prefixes of an
// address apart where they are many. All others have digits of one byte.
#pragma once

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include <string.h>

#include "dataplane/classifier_internal.h"

// Of 512 tables.
typedef uint64_t sieve_bits __attribute__((vector_size(64), may_alias));
#define SIEVE_BITS 512

struct sieve_digit {
    uint16_t at, mask; // of a key's bytes, as a 16-bit word of the machine's order
    uint32_t value;    // where the vectors of its values begin
};

struct sieve {
    uint32_t n_digits, stride; // stride: of vectors, in 64-bit words; 1: it is a fine one
    size_t size;
    struct mask_table **table; // by number
    uint64_t *wild;            // [n_digits][stride]: tables whose mask does not look at the digit
    uint64_t *value;           // [each digit's values][stride]
    struct sieve_digit digit[sizeof(struct match_key)];
};

// For so many tables, and the bytes that are used. NULL: no memory, or no byte, and nothing to tell
// them apart by. fine: if they are few enough.
struct sieve *sieve_new(struct memory *memory, const bool used[sizeof(struct match_key)],
                        uint32_t n_tables, bool fine);
static inline bool sieve_is_fine(const struct sieve *sieve)
{
    return sieve->stride == 1;
}
static inline uint32_t sieve_max(const struct sieve *sieve)
{
    return sieve->stride * 64;
}
// Whether it looks at a byte of the key.
bool sieve_sees(const struct sieve *sieve, unsigned byte);
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

static inline uint32_t sieve_value(const struct sieve_digit *digit, const struct match_key *key)
{
    uint16_t bytes;

    memcpy(&bytes, (const uint8_t *)key + digit->at, sizeof bytes);
    return bytes & digit->mask;
}

// The tables that a packet may match a rule of, in a fine sieve.
static inline uint64_t sieve_few(const struct sieve *sieve, const struct match_key *key)
{
    uint64_t tables = ~UINT64_C(0);

    for (uint32_t d = 0; d < sieve->n_digits; d++)
        tables &= sieve->wild[d] |
                  sieve->value[sieve->digit[d].value + sieve_value(&sieve->digit[d], key)];
    return tables;
}

// ... in any other, 512 from number `part` * 512.
static inline sieve_bits sieve_tables(const struct sieve *sieve, const struct match_key *key,
                                      uint32_t part)
{
    const sieve_bits *wild = (const sieve_bits *)sieve->wild + part;
    const sieve_bits *value = (const sieve_bits *)sieve->value + part;
    uint32_t stride = sieve->stride / (SIEVE_BITS / 64);
    sieve_bits tables = ~(sieve_bits){0};

    for (uint32_t d = 0; d < sieve->n_digits; d++) {
        tables &= wild[d * stride] |
                  value[(sieve->digit[d].value + sieve_value(&sieve->digit[d], key)) * stride];
        // Often the first bytes, of addresses, say that there is none.
        if (d < 4 && !sieve_words(tables))
            break;
    }
    return tables;
}

// How many tables are looked into for a packet that matches a rule of this order.
unsigned sieve_count(const struct sieve *sieve, const struct match_key *key, uint64_t order);
// How many vectors that takes.
static inline uint32_t sieve_vectors(const struct sieve *sieve)
{
    return sieve->n_digits * RTE_MAX(sieve->stride / (SIEVE_BITS / 64), 1u);
}
