/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/classifier.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane/classifier_internal.h"

// Up to so many masks a table is called exact: a few hash lookups cost less than anything else.
#define EXACT_MASKS 2

struct classifier {
    char *name;
    struct memory memory;
    struct mask_set all;
    uint64_t n_inserted;
};

struct classifier *classifier_new(const char *name, size_t budget)
{
    struct classifier *cls = calloc(1, sizeof *cls);

    if (!cls || !(cls->name = strdup(name))) {
        free(cls);
        return NULL;
    }
    memory_init(&cls->memory, budget);
    mask_set_init(&cls->all, &cls->memory, offsetof(struct cls_rule, next));
    return cls;
}

void classifier_free(struct classifier *cls)
{
    if (!cls)
        return;
    mask_set_fini(&cls->all);
    memory_collect(&cls->memory, true);
    free(cls->name);
    free(cls);
}

int classifier_insert(struct classifier *cls, struct cls_rule *rule, char **error)
{
    int ret = mask_set_insert(&cls->all, rule);

    if (ret == -ENOSPC &&
        asprintf(error,
                 "%s: its %u rules with %u masks take %zu of %zu KiB, which does not hold "
                 "one more; raise policy: memory",
                 cls->name, cls->all.n_rules, cls->all.n_masks, cls->memory.bytes / 1024,
                 cls->memory.budget / 1024) < 0)
        *error = NULL;
    return ret;
}

void classifier_remove(struct classifier *cls, struct cls_rule *rule)
{
    mask_set_remove(&cls->all, rule);
}

void classifier_poll(struct classifier *cls)
{
    memory_collect(&cls->memory, false);
    if (cls->all.untidy)
        mask_set_tidy(&cls->all);
}

static void class_lookup(const struct classifier *cls, enum key_class class, uint64_t version,
                         const struct match_key *const keys[], unsigned n, struct cls_rule *hits[])
{
    memset(hits, 0, n * sizeof hits[0]);
    mask_set_lookup(&cls->all, class, version, keys, n, hits);
}

void classifier_lookup(const struct classifier *cls, uint64_t version,
                       const struct match_key *const keys[], unsigned n, struct cls_rule *hits[])
{
    const struct match_key *some_keys[CLS_BURST];
    struct cls_rule *some_hits[CLS_BURST];
    enum key_class class[CLS_BURST];
    uint8_t of[CLS_BURST];
    unsigned classes = 0, m;

    for (unsigned i = 0; i < n; i++) {
        class[i] = key_class(keys[i]);
        classes |= 1u << class[i];
    }
    if (n && classes == 1u << class[0]) {
        class_lookup(cls, class[0], version, keys, n, hits);
        return;
    }
    for (unsigned c = 0; c < KEY_CLASSES; c++) {
        m = 0;
        for (unsigned i = 0; i < n; i++)
            if (class[i] == c) {
                of[m] = (uint8_t)i;
                some_keys[m++] = keys[i];
            }
        if (!m)
            continue;
        class_lookup(cls, c, version, some_keys, m, some_hits);
        for (unsigned j = 0; j < m; j++)
            hits[of[j]] = some_hits[j];
    }
}

void classifier_stats(const struct classifier *cls, struct classifier_stats *stats)
{
    *stats = (struct classifier_stats){
        .structure = !cls->all.n_rules                 ? "empty"
                     : cls->all.n_masks <= EXACT_MASKS ? "exact"
                                                       : "hash",
        .rules = cls->all.n_rules,
        .masks = cls->all.n_masks,
        .bytes = cls->memory.bytes,
    };
}
