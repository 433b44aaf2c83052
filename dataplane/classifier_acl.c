/* SPDX-License-Identifier: Apache-2.0 */
// Rules compiled, for each class of packets: to vectors, or by rte_acl to tries, whose lookups cost
// nearly the same for 10 and for 10,000 rules of any masks.
//
// rte_acl wants fields: one of a single byte, then any number of 4-byte ones. A field is a
// window into the key; only the bytes that some rule's mask has bits in are covered.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_acl.h>
#include <rte_log.h>

#include "dataplane/classifier_internal.h"

#define KEY_BYTES  sizeof(struct match_key)
#define FIELDS_MAX (MATCH_KEY_WORDS + 1)
// An acl's cost is that of its bytes: of more fields than this, hash tables and their sieve are no
// slower. And a build may take memory out of all proportion when fields or rules are many.
#define FIELDS_WORTH 9
#define RULES_WORTH  20000

RTE_ACL_RULE_DEF(acl_rule, FIELDS_MAX);

static bool rule_in_class(unsigned rule, enum key_class class)
{
    return rule == RULE_ANY || rule == (unsigned)class;
}

// The bytes of a key that rules of the class look at.
static uint32_t used_bytes(const struct acl_source *sources, uint32_t n, enum key_class class,
                           bool used[KEY_BYTES])
{
    uint32_t n_rules = 0;

    memset(used, 0, KEY_BYTES);
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t *mask = key_words(&sources[i].mask);

        if (!rule_in_class(sources[i].class, class))
            continue;
        n_rules++;
        for (unsigned b = 0; b < KEY_BYTES; b++)
            if (((const uint8_t *)mask)[b] && !word_implied(sources[i].class, b / 4, mask[b / 4]))
                used[b] = true;
    }
    return n_rules;
}

// Covers the bytes with windows of four from the left, `but` for one. Returns how many.
static unsigned cover(const bool used[KEY_BYTES], unsigned but, struct rte_acl_config *config)
{
    unsigned n = 1;

    for (unsigned b = 0; b < KEY_BYTES; b++)
        if (used[b] && b != but) {
            unsigned offset = RTE_MIN(b, (unsigned)KEY_BYTES - 4);

            if (config)
                config->defs[n] = (struct rte_acl_field_def){.type = RTE_ACL_FIELD_TYPE_BITMASK,
                                                             .size = 4,
                                                             .field_index = (uint8_t)n,
                                                             .input_index = (uint8_t)n,
                                                             .offset = offset};
            n++;
            b = offset + 3;
        }
    return n;
}

static void choose_fields(const bool used[KEY_BYTES], struct rte_acl_config *config)
{
    unsigned first = offsetof(struct match_key, fields.ip_proto);

    for (unsigned b = 0; b < KEY_BYTES; b++)
        if (used[b] && cover(used, b, NULL) < cover(used, first, NULL))
            first = b;
    config->defs[0] =
        (struct rte_acl_field_def){.type = RTE_ACL_FIELD_TYPE_BITMASK, .size = 1, .offset = first};
    config->num_fields = cover(used, first, config);
}

static void fill_rule(struct acl_rule *rule, const struct rte_acl_config *config,
                      const struct acl_source *source)
{
    struct match_key mask = source->mask;
    uint32_t *words = (uint32_t *)&mask;

    // What all packets of the class have is no field, or not in this rule.
    for (unsigned w = 0; w < MATCH_KEY_WORDS; w++)
        if (word_implied(source->class, w, words[w]))
            words[w] = 0;
    for (unsigned f = 0; f < config->num_fields; f++) {
        const uint8_t *m = (const uint8_t *)&mask + config->defs[f].offset;
        const uint8_t *s = (const uint8_t *)&source->spec + config->defs[f].offset;

        if (config->defs[f].size == 1) {
            rule->field[f].mask_range.u8 = *m;
            rule->field[f].value.u8 = *s & *m;
        } else {
            uint32_t bits, value;

            memcpy(&bits, m, sizeof bits);
            memcpy(&value, s, sizeof value);
            rule->field[f].mask_range.u32 = rte_be_to_cpu_32(bits);
            rule->field[f].value.u32 = rte_be_to_cpu_32(value & bits);
        }
    }
}

static int by_order(const void *a, const void *b)
{
    const struct acl_source *x = *(const struct acl_source *const *)a,
                            *y = *(const struct acl_source *const *)b;

    return (x->order < y->order) - (x->order > y->order);
}

// The numbers of the sources, the highest order first; NULL: no memory.
static uint32_t *sort_sources(const struct acl_source *sources, uint32_t n)
{
    const struct acl_source **sorted = malloc((n + 1) * sizeof *sorted);
    uint32_t *numbers = malloc((n + 1) * sizeof *numbers);

    if (sorted && numbers) {
        for (uint32_t i = 0; i < n; i++)
            sorted[i] = &sources[i];
        qsort(sorted, n, sizeof *sorted, by_order);
        for (uint32_t i = 0; i < n; i++)
            numbers[i] = (uint32_t)(sorted[i] - sources);
    } else {
        free(numbers);
        numbers = NULL;
    }
    free(sorted);
    return numbers;
}

static int build_tries(struct acl *acl, enum key_class class, const struct acl_source *sources,
                       const uint32_t numbers[], uint32_t n, struct rte_acl_config *config,
                       size_t max_bytes)
{
    static unsigned serial; // only the builds' thread is here
    char name[RTE_ACL_NAMESIZE];
    struct rte_acl_param param = {.name = name,
                                  .socket_id = SOCKET_ID_ANY,
                                  .rule_size = RTE_ACL_RULE_SZ(config->num_fields),
                                  .max_rule_num = n};
    int ret = 0;

    if ((size_t)n * param.rule_size >= max_bytes)
        return -ENOSPC;
    config->max_size = max_bytes - (size_t)n * param.rule_size;
    snprintf(name, sizeof name, "cls%u", serial++);
    acl->tries[class] = rte_acl_create(&param);
    if (!acl->tries[class])
        return -ENOMEM;
    // That rte_acl cannot do with the rules is not worth a line in anybody's log.
    rte_log_set_level_pattern("lib.acl", RTE_LOG_CRIT);
    for (uint32_t i = 0; i < n && !ret; i++) {
        struct acl_rule rule = {.data = {.category_mask = 1,
                                         .priority = (int32_t)(n - 1 - i) + RTE_ACL_MIN_PRIORITY,
                                         .userdata = numbers[i] + 1}};

        fill_rule(&rule, config, &sources[numbers[i]]);
        ret = rte_acl_add_rules(acl->tries[class], (struct rte_acl_rule *)&rule, 1);
    }
    if (!ret)
        ret = rte_acl_build(acl->tries[class], config);
    return ret == -ERANGE ? -ENOSPC : ret;
}

static int build_class(struct acl *acl, enum key_class class, const struct acl_source *sources,
                       const uint32_t sorted[], uint32_t n, size_t max_bytes)
{
    bool used[KEY_BYTES];
    struct rte_acl_config config = {.num_categories = 1};
    uint32_t n_rules = used_bytes(sources, n, class, used), *numbers, m = 0;
    int ret;

    if (!n_rules)
        return 0;
    choose_fields(used, &config);
    if (config.num_fields > FIELDS_WORTH || n_rules > RULES_WORTH) {
        acl->compiled[class] = false;
        return 0;
    }
    numbers = malloc(n_rules * sizeof *numbers);
    if (!numbers)
        return -ENOMEM;
    for (uint32_t i = 0; i < n; i++)
        if (rule_in_class(sources[sorted[i]].class, class))
            numbers[m++] = sorted[i];
    if (acl->is_tries) {
        ret = build_tries(acl, class, sources, numbers, n_rules, &config, max_bytes);
    } else {
        used[config.defs[0].offset] = true; // one at least
        acl->vectors[class] =
            vectors_new(sources, numbers, n_rules, used, max_bytes - acl_vectors_size(acl));
        ret = acl->vectors[class] ? 0 : -ENOSPC;
    }
    free(numbers);
    return ret;
}

int acl_build(struct acl *acl, const struct acl_source *sources, uint32_t n, size_t max_bytes)
{
    uint32_t *sorted = sort_sources(sources, n);
    int ret = sorted ? 0 : -ENOMEM;

    for (unsigned c = 0; c < ACL_CLASSES && !ret; c++)
        if (acl->compiled[c])
            ret = build_class(acl, c, sources, sorted, n, max_bytes);
    free(sorted);
    if (!ret && !acl->compiled[0] && !acl->compiled[1] && !acl->compiled[2])
        return -ENOTSUP;
    return ret;
}

size_t acl_vectors_size(const struct acl *acl)
{
    size_t size = 0;

    for (unsigned c = 0; c < ACL_CLASSES; c++)
        size += vectors_size(acl->vectors[c]);
    return size;
}

void acl_free(struct acl *acl)
{
    for (unsigned c = 0; c < ACL_CLASSES; c++) {
        free(acl->vectors[c]);
        rte_acl_free(acl->tries[c]);
    }
    free(acl);
}

void acl_lookup(const struct acl *acl, enum key_class class, const struct match_key *const keys[],
                unsigned n, uint32_t numbers[])
{
    if (acl->vectors[class])
        vectors_lookup(acl->vectors[class], keys, n, numbers);
    else if (!acl->tries[class] ||
             rte_acl_classify(acl->tries[class], (const uint8_t **)(uintptr_t)keys, numbers, n, 1))
        memset(numbers, 0, n * sizeof numbers[0]);
}
