/* SPDX-License-Identifier: Apache-2.0 */
// Memory that workers may still look at: freed when they cannot any more, without waiting for that.
// For the control thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct garbage {
    struct garbage *next;
    uint64_t token; // of rte_rcu_qsbr_start
    void (*free)(void *);
    void *p;
    size_t size;
};

// What several may take together, bytes.
struct budget {
    size_t max, used;
};

struct memory {
    struct budget *budget;
    size_t bytes;                  // of it
    struct garbage *first, **last; // oldest first
};

void memory_init(struct memory *memory, struct budget *budget);
// Zeroed, at the start of a cache line; NULL if the budget or the machine has no more.
void *memory_alloc(struct memory *memory, size_t size);
void memory_free(struct memory *memory, void *p, size_t size);
// Frees p, which no reader will find any more, once none can hold it: by `release`, or free.
void memory_retire(struct memory *memory, void *p, size_t size, void (*release)(void *));
// Frees what no reader can hold any more; all: whether they can or not.
void memory_collect(struct memory *memory, bool all);
