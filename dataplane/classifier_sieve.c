/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/classifier_sieve.h"

#include <string.h>

struct sieve *sieve_new(struct memory *memory, const bool used[sizeof(struct match_key)],
                        uint32_t n_tables)
{
    uint32_t stride = (n_tables + SIEVE_BITS - 1) / SIEVE_BITS, n = 0;
    size_t head = RTE_ALIGN(sizeof(struct sieve), sizeof(sieve_bits));
    size_t tables = (size_t)stride * SIEVE_BITS * sizeof(struct mask_table *), size;
    struct sieve *sieve;

    for (unsigned b = 0; b < sizeof(struct match_key); b++)
        n += used[b];
    size = head + tables + (size_t)n * 257 * stride * sizeof(sieve_bits);
    sieve = memory_alloc(memory, size);
    if (!sieve)
        return NULL;
    for (unsigned b = 0; b < sizeof(struct match_key); b++)
        if (used[b])
            sieve->byte[sieve->n_bytes++] = (uint8_t)b;
    sieve->stride = stride;
    sieve->size = size;
    sieve->table = RTE_PTR_ADD(sieve, head);
    sieve->wild = RTE_PTR_ADD(sieve, head + tables);
    sieve->value = sieve->wild + (size_t)n * stride;
    return sieve;
}

static void set_bit(sieve_bits *vector, uint32_t number)
{
    uint64_t *word = (uint64_t *)vector + number / 64, bit = UINT64_C(1) << number % 64;

    if (!(*word & bit))
        __atomic_store_n(word, *word | bit, __ATOMIC_RELAXED);
}

static void clear_bit(sieve_bits *vector, uint32_t number)
{
    uint64_t *word = (uint64_t *)vector + number / 64, bit = UINT64_C(1) << number % 64;

    if (*word & bit)
        __atomic_store_n(word, *word & ~bit, __ATOMIC_RELAXED);
}

void sieve_add_table(struct sieve *sieve, uint32_t number, struct mask_table *table,
                     const struct match_key *mask)
{
    store_release(&sieve->table[number], table);
    for (uint32_t b = 0; b < sieve->n_bytes; b++)
        if (!((const uint8_t *)mask)[sieve->byte[b]])
            set_bit(sieve->wild + b * sieve->stride, number);
}

void sieve_add_spec(struct sieve *sieve, uint32_t number, const struct match_key *mask,
                    const struct match_key *spec)
{
    for (uint32_t b = 0; b < sieve->n_bytes; b++) {
        uint8_t m = ((const uint8_t *)mask)[sieve->byte[b]], rest = (uint8_t)~m;
        uint8_t s = ((const uint8_t *)spec)[sieve->byte[b]], other = 0;
        sieve_bits *value = sieve->value + (size_t)b * 256 * sieve->stride;

        // All values that have these bits, and any others.
        for (; m; other = (uint8_t)((other - rest) & rest)) {
            set_bit(value + (size_t)(s | other) * sieve->stride, number);
            if (other == rest)
                break;
        }
    }
}

void sieve_del_table(struct sieve *sieve, uint32_t number)
{
    for (uint32_t b = 0; b < sieve->n_bytes; b++) {
        clear_bit(sieve->wild + (size_t)b * sieve->stride, number);
        for (unsigned v = 0; v < 256; v++)
            clear_bit(sieve->value + ((size_t)b * 256 + v) * sieve->stride, number);
    }
    store_release(&sieve->table[number], NULL);
}

unsigned sieve_count(const struct sieve *sieve, const struct match_key *key)
{
    unsigned n = 0;

    for (uint32_t part = 0; part < sieve->stride; part++) {
        sieve_bits tables = sieve_tables(sieve, key, part);

        for (unsigned w = 0; w < SIEVE_BITS / 64; w++)
            n += (unsigned)__builtin_popcountll(tables[w]);
    }
    return n;
}
