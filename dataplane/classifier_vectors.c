/* SPDX-License-Identifier: Apache-2.0 */
// Rules as bits of vectors, the best first: for each byte that some mask looks at, and for each of
// its values, which rules a packet with it may match. A rule matches what it matches byte by byte,
// so the first bit that all bytes of a packet have set is the best rule, exactly. Built in
// milliseconds; 512 rules at a time are cheaper than anything, thousands cost their number.
#include <stdlib.h>
#include <string.h>

#include <rte_prefetch.h>

#include "dataplane/classifier_sieve.h"

#define KEY_BYTES sizeof(struct match_key)
#define VALUES    256
// After so many bytes, those that say most, it is mostly clear that none of 512 rules matches.
#define FIRST_DIGITS 3
// Vectors of so many parts are in the caches, and all bytes of them are looked at at once.
#define FEW_PARTS 2
// Rules by whose values the bytes are judged.
#define SAMPLES 64

struct vectors {
    uint32_t n_parts, n_digits;
    size_t size;
    uint32_t *number; // by rank
    struct {
        uint64_t passed; // of the samples: the fewer, the more it tells
        sieve_bits *of;  // [VALUES][n_parts]
        uint32_t at;
    } digit[KEY_BYTES];
};

static void set_bit(sieve_bits *vector, uint32_t rank)
{
    ((uint64_t *)vector)[rank / 64] |= UINT64_C(1) << rank % 64;
}

// Sets the rule's bit for all values of a byte that it matches. Those that do not look at it are
// put into `wild`.
static void add_digit(const struct vectors *vectors, sieve_bits *of, sieve_bits *wild,
                      uint32_t rank, uint8_t spec, uint8_t mask)
{
    unsigned rest = (uint8_t)~mask, other = 0;

    if (!mask) {
        set_bit(wild, rank);
        return;
    }
    do {
        set_bit(of + (size_t)(spec | other) * vectors->n_parts, rank);
        other = (other - rest) & rest;
    } while (other);
}

static int by_passed(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b; // the first member

    return (*x > *y) - (*x < *y);
}

static uint64_t count_bits(const sieve_bits *vector, uint32_t n)
{
    uint64_t bits = 0;

    for (uint32_t w = 0; w < n * (SIEVE_BITS / 64); w++)
        bits += (unsigned)__builtin_popcountll(((const uint64_t *)vector)[w]);
    return bits;
}

// The bytes that tell most first.
static void sort_digits(struct vectors *vectors, const struct acl_source *sources, uint32_t n)
{
    for (uint32_t d = 0; d < vectors->n_digits; d++)
        for (uint32_t i = 0; i < n; i += n / SAMPLES + 1) {
            const uint8_t *spec = (const uint8_t *)&sources[vectors->number[i]].spec;
            uint8_t value = spec[vectors->digit[d].at];

            vectors->digit[d].passed += count_bits(
                vectors->digit[d].of + (size_t)value * vectors->n_parts, vectors->n_parts);
        }
    qsort(vectors->digit, vectors->n_digits, sizeof vectors->digit[0], by_passed);
}

static struct vectors *vectors_alloc(uint32_t n, uint32_t n_digits, size_t max_bytes)
{
    size_t head = RTE_ALIGN(sizeof(struct vectors), sizeof(sieve_bits));
    uint32_t n_parts = (n + SIEVE_BITS - 1) / SIEVE_BITS;
    size_t digit = (size_t)VALUES * n_parts * sizeof(sieve_bits);
    size_t numbers = RTE_ALIGN(n * sizeof(uint32_t), sizeof(sieve_bits));
    size_t size = head + n_digits * digit + numbers;
    struct vectors *vectors = size > max_bytes ? NULL : aligned_alloc(sizeof(sieve_bits), size);

    if (!vectors)
        return NULL;
    memset(vectors, 0, size);
    vectors->size = size;
    vectors->n_parts = n_parts;
    for (uint32_t d = 0; d < n_digits; d++)
        vectors->digit[d].of = RTE_PTR_ADD(vectors, head + d * digit);
    vectors->number = RTE_PTR_ADD(vectors, head + n_digits * digit);
    return vectors;
}

struct vectors *vectors_new(const struct acl_source *sources, const uint32_t numbers[], uint32_t n,
                            const bool used[KEY_BYTES], size_t max_bytes)
{
    uint32_t n_digits = 0;
    struct vectors *vectors;
    sieve_bits *wild;

    for (unsigned b = 0; b < KEY_BYTES; b++)
        n_digits += used[b];
    vectors = vectors_alloc(n, n_digits, max_bytes);
    if (!vectors)
        return NULL;
    wild = aligned_alloc(sizeof *wild, vectors->n_parts * sizeof *wild);
    if (!wild) {
        free(vectors);
        return NULL;
    }
    memcpy(vectors->number, numbers, n * sizeof numbers[0]);
    for (unsigned b = 0; b < KEY_BYTES; b++) {
        sieve_bits *of = vectors->digit[vectors->n_digits].of;

        if (!used[b])
            continue;
        vectors->digit[vectors->n_digits++].at = b;
        memset(wild, 0, vectors->n_parts * sizeof *wild);
        for (uint32_t rank = 0; rank < n; rank++) {
            const struct acl_source *source = &sources[numbers[rank]];

            add_digit(vectors, of, wild, rank, ((const uint8_t *)&source->spec)[b],
                      ((const uint8_t *)&source->mask)[b]);
        }
        for (uint32_t i = 0; i < VALUES * vectors->n_parts; i++)
            of[i] |= wild[i % vectors->n_parts];
    }
    free(wild);
    sort_digits(vectors, sources, n);
    return vectors;
}

size_t vectors_size(const struct vectors *vectors)
{
    return vectors ? vectors->size : 0;
}

static inline const sieve_bits *vector_of(const struct vectors *vectors, uint32_t digit,
                                          const struct match_key *key)
{
    uint8_t value = ((const uint8_t *)key)[vectors->digit[digit].at];

    return vectors->digit[digit].of + (size_t)value * vectors->n_parts;
}

// The number + 1 of the best of a part's rules, or 0.
static inline uint32_t best_of(const struct vectors *vectors, uint32_t part, sieve_bits rules)
{
    unsigned words = sieve_words(rules), w;

    if (!words)
        return 0;
    w = (unsigned)__builtin_ctz(words);
    return vectors->number[part * SIEVE_BITS + w * 64 + (unsigned)__builtin_ctzll(rules[w])] + 1;
}

// Without a branch that is anyone's guess.
static inline uint32_t lookup_few(const struct vectors *vectors, const struct match_key *key)
{
    uint32_t best = 0;

    for (uint32_t part = 0; part < vectors->n_parts && !best; part++) {
        sieve_bits rules = vector_of(vectors, 0, key)[part];

        for (uint32_t d = 1; d < vectors->n_digits; d++)
            rules &= vector_of(vectors, d, key)[part];
        best = best_of(vectors, part, rules);
    }
    return best;
}

static inline uint32_t lookup_many(const struct vectors *vectors, const struct match_key *key)
{
    uint32_t n_digits = vectors->n_digits, n_first = RTE_MIN(n_digits, (uint32_t)FIRST_DIGITS);
    uint32_t best = 0;
    const sieve_bits *of[KEY_BYTES];

    for (uint32_t d = 0; d < n_digits; d++)
        of[d] = vector_of(vectors, d, key);
    for (uint32_t part = 0; part < vectors->n_parts && !best; part++) {
        sieve_bits rules = ~(sieve_bits){0};

        for (uint32_t d = 0; d < n_first; d++)
            rules &= of[d][part];
        if (!sieve_words(rules))
            continue;
        for (uint32_t d = n_first; d < n_digits; d++)
            rules &= of[d][part];
        best = best_of(vectors, part, rules);
    }
    return best;
}

void vectors_lookup(const struct vectors *vectors, const struct match_key *const keys[], unsigned n,
                    uint32_t numbers[])
{
    if (vectors->n_parts <= FEW_PARTS) {
        for (unsigned i = 0; i < n; i++)
            numbers[i] = lookup_few(vectors, keys[i]);
        return;
    }
    for (unsigned i = 0; i < n; i++)
        for (uint32_t d = 0; d < vectors->n_digits; d++)
            rte_prefetch0(vector_of(vectors, d, keys[i]));
    for (unsigned i = 0; i < n; i++)
        numbers[i] = lookup_many(vectors, keys[i]);
}
