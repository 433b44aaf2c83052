/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/classifier_sieve.h"

#include "dataplane/classifier_hash.h"

#define KEY_BYTES sizeof(struct match_key)

_Static_assert(offsetof(struct match_key, fields.ip_src) == 0 &&
                   offsetof(struct match_key, fields.ip_dst) == 16,
               "the key begins with the addresses");

// In IPv4 addresses the digits of a fine sieve overlap: what two of them do not tell apart where
// all rules are for one network, the one between does.
static bool overlaps_next(unsigned byte)
{
    return byte < 32 && (byte % 16 == 12 || byte % 16 == 13);
}

// Cuts the bytes that are used into digits. Returns how many values they have together.
static uint32_t cut(struct sieve *sieve, const bool used[KEY_BYTES], bool fine)
{
    uint32_t values = 0;

    for (unsigned b = 0; b < KEY_BYTES; b++) {
        // The last byte is the high one of the word before it.
        bool last = b == KEY_BYTES - 1, two = fine && !last && used[b + 1];
        const uint8_t bytes[2] = {last ? 0 : 0xff, two || last ? 0xff : 0};
        struct sieve_digit *digit = &sieve->digit[sieve->n_digits];

        if (!used[b])
            continue;
        digit->at = (uint16_t)(last ? b - 1 : b);
        memcpy(&digit->mask, bytes, sizeof digit->mask);
        digit->value = values;
        values += digit->mask + 1u;
        sieve->n_digits++;
        b += two && !(overlaps_next(b) && used[b + 2]);
    }
    return values;
}

struct sieve *sieve_new(struct memory *memory, const bool used[KEY_BYTES], uint32_t n_tables,
                        bool fine)
{
    struct sieve shape = {0}, *sieve;
    size_t head = RTE_ALIGN(sizeof shape, sizeof(sieve_bits)), tables, wild;
    uint32_t values;

    fine = fine && n_tables <= 64;
    shape.stride = fine ? 1 : (n_tables + SIEVE_BITS - 1) / SIEVE_BITS * (SIEVE_BITS / 64);
    values = cut(&shape, used, fine);
    if (!shape.n_digits)
        return NULL;
    tables = sieve_max(&shape) * sizeof(struct mask_table *);
    wild = RTE_ALIGN(shape.n_digits * shape.stride * sizeof(uint64_t), sizeof(sieve_bits));
    shape.size = head + tables + wild + (size_t)values * shape.stride * sizeof(uint64_t);
    sieve = memory_alloc(memory, shape.size);
    if (!sieve)
        return NULL;
    *sieve = shape;
    sieve->table = RTE_PTR_ADD(sieve, head);
    sieve->wild = RTE_PTR_ADD(sieve, head + tables);
    sieve->value = RTE_PTR_ADD(sieve, head + tables + wild);
    return sieve;
}

bool sieve_sees(const struct sieve *sieve, unsigned byte)
{
    for (uint32_t d = 0; d < sieve->n_digits; d++) {
        uint8_t mask[2];

        memcpy(mask, &sieve->digit[d].mask, sizeof mask);
        if ((byte == sieve->digit[d].at && mask[0]) || (byte == sieve->digit[d].at + 1u && mask[1]))
            return true;
    }
    return false;
}

static bool get_bit(const uint64_t *vector, uint32_t number)
{
    return vector[number / 64] >> number % 64 & 1;
}

static void set_bit(uint64_t *vector, uint32_t number)
{
    uint64_t *word = vector + number / 64;

    __atomic_store_n(word, *word | UINT64_C(1) << number % 64, __ATOMIC_RELAXED);
}

static void clear_bit(uint64_t *vector, uint32_t number)
{
    uint64_t *word = vector + number / 64;

    if (get_bit(vector, number))
        __atomic_store_n(word, *word & ~(UINT64_C(1) << number % 64), __ATOMIC_RELAXED);
}

void sieve_add_table(struct sieve *sieve, uint32_t number, struct mask_table *table,
                     const struct match_key *mask)
{
    store_release(&sieve->table[number], table);
    for (uint32_t d = 0; d < sieve->n_digits; d++)
        if (!sieve_value(&sieve->digit[d], mask))
            set_bit(sieve->wild + d * sieve->stride, number);
}

void sieve_add_spec(struct sieve *sieve, uint32_t number, const struct match_key *mask,
                    const struct match_key *spec)
{
    for (uint32_t d = 0; d < sieve->n_digits; d++) {
        const struct sieve_digit *digit = &sieve->digit[d];
        uint32_t m = sieve_value(digit, mask), s = sieve_value(digit, spec);
        uint32_t rest = digit->mask & ~m, other = 0;
        uint64_t *value = sieve->value + (size_t)digit->value * sieve->stride;

        // The values that have these bits, and any others: all of them have the table's bit, or
        // none has.
        if (!m || get_bit(value + (size_t)s * sieve->stride, number))
            continue;
        do {
            set_bit(value + (size_t)(s | other) * sieve->stride, number);
            other = (other - rest) & rest;
        } while (other);
    }
}

void sieve_del_table(struct sieve *sieve, uint32_t number)
{
    for (uint32_t d = 0; d < sieve->n_digits; d++) {
        uint64_t *value = sieve->value + (size_t)sieve->digit[d].value * sieve->stride;

        clear_bit(sieve->wild + d * sieve->stride, number);
        for (uint32_t v = 0; v <= sieve->digit[d].mask; v++)
            clear_bit(value + (size_t)v * sieve->stride, number);
    }
    store_release(&sieve->table[number], NULL);
}

unsigned sieve_count(const struct sieve *sieve, const struct match_key *key, uint64_t order)
{
    unsigned n = 0;

    if (sieve_is_fine(sieve)) {
        for (uint64_t tables = sieve_few(sieve, key); tables; tables &= tables - 1)
            n += sieve->table[__builtin_ctzll(tables)]->bound > order;
        return n;
    }
    for (uint32_t part = 0; part < sieve->stride / (SIEVE_BITS / 64); part++) {
        sieve_bits tables = sieve_tables(sieve, key, part);

        for (unsigned w = 0; w < SIEVE_BITS / 64; w++)
            n += (unsigned)__builtin_popcountll(tables[w]);
    }
    return n;
}
