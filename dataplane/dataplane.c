/* SPDX-License-Identifier: Apache-2.0 */
// Starts and stops DPDK and the workers.
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_malloc.h>

#include "dataplane/hugepages.h"
#include "dataplane/memory.h"
#include "dataplane/policy.h"

#define RCU_WAIT_S 10
#define TABLES_MB  128 // of DPDK's memory, besides packet buffers, for some hundred ports

struct dataplane dp;

static struct memory unpublished = {.last = &unpublished.first};

// The CPUs for the control thread: all that the process may use but the workers', if that leaves
// any.
static void control_cpus(const struct dp_config *config, cpu_set_t *cpus)
{
    cpu_set_t allowed;

    sched_getaffinity(0, sizeof allowed, &allowed);
    *cpus = allowed;
    for (unsigned i = 0; i < config->n_workers; i++)
        CPU_CLR(config->worker_cpus[i], cpus);
    if (!CPU_COUNT(cpus))
        *cpus = allowed;
}

// EAL's arguments: the main lcore, the control thread, on its CPUs; each worker on its own.
// huge_mb: how much it takes at once; 0: no huge pages.
static int eal_start(const struct dp_config *config, const cpu_set_t *cpus, unsigned huge_mb,
                     char **error)
{
    char lcores[2048], memory[16];
    // An allow list that allows nothing: no PCI device is probed before its port is added.
    char *argv[] = {"sluiced",
                    "--no-telemetry",
                    "--log-level=warning",
                    "--lcores",
                    lcores,
                    "-m",
                    memory,
                    "-a",
                    "0000:00:00.0",
                    huge_mb ? "--in-memory" : "--no-huge",
                    "--no-shconf",
                    NULL};
    int at, ret;

    at = snprintf(lcores, sizeof lcores, "0@(");
    for (int cpu = 0, n = 0; cpu < CPU_SETSIZE && at < (int)sizeof lcores; cpu++)
        if (CPU_ISSET(cpu, cpus))
            at += snprintf(lcores + at, sizeof lcores - (size_t)at, "%s%d", n++ ? "," : "", cpu);
    at += snprintf(lcores + at, sizeof lcores - (size_t)at, ")");
    for (unsigned i = 0; i < config->n_workers && at < (int)sizeof lcores; i++)
        at += snprintf(lcores + at, sizeof lcores - (size_t)at, ",%u@%u", i + 1,
                       config->worker_cpus[i]);
    snprintf(memory, sizeof memory, "%u", huge_mb ? huge_mb : config->memory_mb);
    ret = rte_eal_init(RTE_DIM(argv) - 1, argv);
    if (ret < 0 && huge_mb && rte_errno == ENOMEM)
        return set_error(-EAGAIN, error, "huge pages that were free are not any more");
    if (ret < 0)
        return set_error(-rte_errno, error, "DPDK does not start: %s; see the lines above",
                         rte_strerror(rte_errno));
    return 0;
}

// Each mbuf holds a whole frame, and what net_af_packet or an AF_XDP socket might put into it: a
// pod can make its interface send frames larger than the MTU.
static unsigned mbuf_room(unsigned mtu)
{
    return RTE_PKTMBUF_HEADROOM + RTE_MAX(af_packet_slot(mtu), xdp_frame_size(mtu));
}

static int tables_init(char **error)
{
    size_t size = rte_rcu_qsbr_get_memsize(dp.config.n_workers);

    dp.rcu = rte_zmalloc("rcu", size, RTE_CACHE_LINE_SIZE);
    dp.pool = rte_pktmbuf_pool_create("mbufs", dp.config.mbufs, 256, 0,
                                      (uint16_t)mbuf_room(dp.config.mtu), SOCKET_ID_ANY);
    dp.punt = rte_ring_create("punt", RING_SIZE, SOCKET_ID_ANY, RING_F_SC_DEQ);
    dp.packet_ins = rte_ring_create("packet_ins", RING_SIZE, SOCKET_ID_ANY, RING_F_SC_DEQ);
    dp.punt_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (dp.punt_fd < 0)
        return set_error(-errno, error, "no descriptor for punts: %s", strerror(errno));
    dp.members = calloc(1, sizeof *dp.members);
    if (!dp.rcu || !dp.pool || !dp.punt || !dp.packet_ins || !dp.members ||
        rte_rcu_qsbr_init(dp.rcu, dp.config.n_workers))
        return set_error(-ENOMEM, error,
                         "%u packet buffers do not fit into %u MiB; raise memory: size or lower "
                         "memory: mbufs",
                         dp.config.mbufs, dp.config.memory_mb);
    return forward_table_init(error);
}

int dp_init(const struct dp_config *config, bool *hugepages, char **error)
{
    unsigned start_mb =
        TABLES_MB + (unsigned)((uint64_t)config->mbufs * mbuf_room(config->mtu) >> 20);
    unsigned huge_mb = config->no_hugepages ? 0 : hugepages_reserve(config->memory_mb, start_mb);
    cpu_set_t cpus;
    int ret;

    dp.config = *config;
    *hugepages = huge_mb > 0;
    control_cpus(config, &cpus);
    ret = eal_start(config, &cpus, huge_mb, error);
    if (ret)
        return ret;
    // EAL pins its caller to one of them; threads made later must not inherit that.
    sched_setaffinity(0, sizeof cpus, &cpus);
    dp.tsc_hz = rte_get_tsc_hz();
    ret = tables_init(error);
    hugepages_lend();
    if (!ret)
        ret = unplug_init(error);
    if (!ret)
        ret = policy_init(error);
    if (!ret)
        ret = workers_init(error);
    if (!ret)
        ret = workers_start(error);
    return ret;
}

void rcu_wait(void)
{
    uint64_t token = rte_rcu_qsbr_start(dp.rcu), start = rte_rdtsc();

    // A worker's iteration takes microseconds. One that hangs cannot be got past: whoever restarts
    // the daemon heals the node, a control thread that waits for ever does not.
    while (!rte_rcu_qsbr_check(dp.rcu, token, false)) {
        if (rte_rdtsc() - start > RCU_WAIT_S * dp.tsc_hz) {
            fprintf(stderr, "a worker has not come round for %d s: giving up\n", RCU_WAIT_S);
            abort();
        }
        sched_yield();
    }
}

void rcu_free(void *p)
{
    memory_retire(&unpublished, p, 0, NULL);
    memory_collect(&unpublished, false);
}

void dp_fini(void)
{
    if (dp.workers)
        workers_stop();
    memory_collect(&unpublished, true);
    policy_fini();
    ports_close();
    free(dp.members);
    dp.members = NULL;
    // A build cannot be interrupted; the process ends all the same.
    if (cls_stop())
        rte_eal_cleanup();
}
