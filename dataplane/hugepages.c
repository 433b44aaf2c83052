/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/hugepages.h"

#include <glob.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <linux/mman.h>
#include <rte_common.h>
#include <rte_lcore.h>
#include <rte_malloc.h>
#include <rte_memory.h>

#define MIB  ((size_t)1 << 20)
#define PAGE (2 * MIB) // of the reservation
#define GIB  ((size_t)1 << 30)

// A mapping that nothing touches: the kernel keeps its pages free for it.
static char *reserved;
static size_t reserved_bytes;
static size_t taken[RTE_MAX_NUMA_NODES]; // by the heap of each socket, at most

// Pages of any size that are neither in use nor promised, in MiB.
static uint64_t count_free(void)
{
    glob_t folders;
    uint64_t kb = 0;

    if (glob("/sys/kernel/mm/hugepages/hugepages-*kB", 0, NULL, &folders))
        return 0;
    for (size_t i = 0; i < folders.gl_pathc; i++) {
        static const char *const names[] = {"free_hugepages", "resv_hugepages"};
        unsigned long n[2] = {0}, page_kb = 0;

        sscanf(strstr(folders.gl_pathv[i], "hugepages-"), "hugepages-%lukB", &page_kb);
        for (unsigned j = 0; j < 2; j++) {
            char path[256];
            FILE *file;

            snprintf(path, sizeof path, "%s/%s", folders.gl_pathv[i], names[j]);
            file = fopen(path, "re");
            if (file && fscanf(file, "%lu", &n[j]) != 1)
                n[j] = 0;
            if (file)
                fclose(file);
        }
        kb += n[0] > n[1] ? (n[0] - n[1]) * page_kb : 0;
    }
    globfree(&folders);
    return kb / 1024;
}

unsigned hugepages_reserve(unsigned memory_mb, unsigned start_mb)
{
    size_t rest;
    void *p;

    if (count_free() < memory_mb)
        return 0;
    // Only whole pages can be given back.
    rest = memory_mb > start_mb ? RTE_ALIGN_FLOOR((memory_mb - start_mb) * MIB, PAGE) : 0;
    if (!rest)
        return memory_mb;
    p = mmap(NULL, rest, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1,
             0);
    if (p == MAP_FAILED) // they are of another size: EAL takes them all
        return memory_mb;
    reserved = p;
    reserved_bytes = rest;
    return start_mb;
}

// The heap of a socket is to grow to new_len: gives back as much of the reservation. DPDK holds its
// heap's lock.
static int give_back(int socket, size_t limit, size_t new_len)
{
    size_t grow = new_len > taken[socket] ? new_len - taken[socket] : 0;

    (void)limit;
    // It tries pages of 1 GiB first.
    if (grow >= GIB)
        return -1;
    grow = RTE_MIN(grow, reserved_bytes);
    if (grow > 0 && !munmap(reserved + reserved_bytes - grow, grow))
        reserved_bytes -= grow;
    taken[socket] = RTE_MAX(taken[socket], new_len);
    return 0;
}

void hugepages_lend(void)
{
    for (unsigned i = 0; reserved && i < rte_socket_count(); i++) {
        int socket = rte_socket_id_by_idx(i);
        struct rte_malloc_socket_stats stats;

        if (socket < 0 || rte_malloc_get_socket_stats(socket, &stats))
            continue;
        taken[socket] = stats.heap_totalsz_bytes;
        rte_mem_alloc_validator_register("hugepages", give_back, socket, 0);
    }
}
