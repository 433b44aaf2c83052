/* SPDX-License-Identifier: Apache-2.0 */
// From the C library, not from DPDK's heap: that one has a lock that a build in the background may
// hold, and is not larger than the node file says.
#include "dataplane/memory.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane/internal.h"

void memory_init(struct memory *memory, struct budget *budget)
{
    *memory = (struct memory){.budget = budget, .last = &memory->first};
}

static void give_back(struct memory *memory, size_t size)
{
    size = RTE_ALIGN(size, (size_t)RTE_CACHE_LINE_SIZE);
    memory->bytes -= size;
    if (memory->budget)
        memory->budget->used -= size;
}

void *memory_alloc(struct memory *memory, size_t size)
{
    void *p;

    size = RTE_ALIGN(size, (size_t)RTE_CACHE_LINE_SIZE);
    if (memory->budget->used + size > memory->budget->max)
        return NULL;
    p = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
    if (p) {
        memset(p, 0, size);
        memory->bytes += size;
        memory->budget->used += size;
    }
    return p;
}

void memory_free(struct memory *memory, void *p, size_t size)
{
    if (p)
        give_back(memory, size);
    free(p);
}

void memory_retire(struct memory *memory, void *p, size_t size, void (*release)(void *))
{
    struct garbage *garbage = malloc(sizeof *garbage);

    if (!garbage) {
        // So short of memory that waiting is the lesser evil.
        rcu_wait();
        (release ? release : free)(p);
        give_back(memory, size);
        return;
    }
    *garbage = (struct garbage){.p = p,
                                .size = size,
                                .free = release ? release : free,
                                .token = dp.rcu ? rte_rcu_qsbr_start(dp.rcu) : 0};
    *memory->last = garbage;
    memory->last = &garbage->next;
}

void memory_collect(struct memory *memory, bool all)
{
    struct garbage *garbage;

    while ((garbage = memory->first) &&
           (all || !dp.rcu || rte_rcu_qsbr_check(dp.rcu, garbage->token, false))) {
        memory->first = garbage->next;
        if (!memory->first)
            memory->last = &memory->first;
        garbage->free(garbage->p);
        give_back(memory, garbage->size);
        free(garbage);
    }
}
