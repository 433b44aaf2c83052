/* SPDX-License-Identifier: Apache-2.0 */
// A worker: an lcore that polls its ports' queues and takes each burst through the stages.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <rte_lcore.h>
#include <rte_pause.h>
#include <rte_prefetch.h>

#include "dataplane/policy_actions.h"

#define SPIN_US       30   // without packets before the first sleep
#define DEEP_SLEEP_MS 1000 // where all that is polled wakes the worker

// A packet's whole way. What a stage drops, it counts.
static void input(struct worker *w, struct port *port, struct rte_mbuf **mbufs, unsigned n)
{
    struct burst b;

    // The operator's rules that this burst goes by, in all tables.
    w->policy_version = load_acquire(&policy.version);
    parse(w, &b, port, mbufs, n);
    if (port->guarded)
        guard6(w, &b);
    if (unlikely(w->policy_version))
        policy_input(w, &b);
    forward4(w, &b);
    forward6(w, &b);
}

// Under load, a queue that found nothing so often in a row is polled only every QUIET_TURNS turns:
// most of hundreds of pods are silent most of the time.
#define QUIET_POLLS   64
#define QUIET_TURNS   16
#define EACH_16TH_BIT UINT64_C(0x0001000100010001)

static unsigned receive_queue(struct worker *w, struct poll_group *group, unsigned i)
{
    struct poll_entry *entry = &group->entry[i];
    struct rte_mbuf *mbufs[BURST];
    unsigned n = port_rx(entry->port, entry->queue, mbufs, BURST);

    if (!n) {
        if (entry->empty < QUIET_POLLS && ++entry->empty == QUIET_POLLS)
            group->loud &= ~(UINT64_C(1) << i);
        return 0;
    }
    entry->empty = 0;
    group->loud |= UINT64_C(1) << i;
    input(w, entry->port, mbufs, n);
    w->stats.bursts++;
    return n;
}

static unsigned receive(struct worker *w, bool all)
{
    struct poll_list *polls = load_acquire(&w->polls);
    uint64_t quiet_too = all ? ~UINT64_C(0) : EACH_16TH_BIT << w->stats.polls % QUIET_TURNS;
    unsigned total = 0;

    for (unsigned g = 0; g * POLL_GROUP < polls->n; g++) {
        struct poll_group *group = &polls->group[g];

        for (uint64_t due = group->used & (group->loud | quiet_too); due; due &= due - 1)
            total += receive_queue(w, group, (unsigned)__builtin_ctzll(due));
    }
    w->stats.packets += total;
    return total;
}

static unsigned receive_ring(struct worker *w, struct rte_ring *ring)
{
    struct rte_mbuf *mbufs[BURST];
    unsigned n;

    if (likely(rte_ring_empty(ring)))
        return 0;
    n = rte_ring_dequeue_burst(ring, (void **)mbufs, BURST, NULL);
    for (unsigned i = 0; i < n; i++) {
        uint16_t out = mbufs[i]->hash.usr & 0xffff;
        const struct port *port = load_acquire(&dp.ports[out]);

        if (unlikely(out == PORT_NONE))
            packet_out_receive(w, mbufs[i]);
        else if (port && port->generation == mbufs[i]->hash.usr >> 16)
            output(w, out, mbufs[i]);
        else {
            w->counters[out].drops[DROP_port_gone]++;
            rte_pktmbuf_free(mbufs[i]);
        }
    }
    return n;
}

// Frames that the control thread injected or other workers handed over.
static unsigned receive_inbox(struct worker *w)
{
    unsigned n = receive_ring(w, w->injected);

    return n + receive_ring(w, w->inbox);
}

// What it takes to send by a port: of many ports, the nearest cache does not hold it all.
static inline void fetch_port(const struct worker *w, uint16_t out)
{
    const struct port *port = load_acquire(&dp.ports[out]);

    rte_prefetch0(port);
    rte_prefetch0(RTE_PTR_ADD(port, RTE_CACHE_LINE_SIZE));
    rte_prefetch0(&w->counters[out].tx_packets);
}

static void flush(struct worker *w)
{
    for (unsigned i = 0; i < w->n_dirty; i++) {
        if (i + 2 < w->n_dirty)
            fetch_port(w, w->dirty[i + 2]);
        tx_flush(w, w->dirty[i]);
    }
    w->n_dirty = 0;
}

// Sleeps until a socket it polls or the control thread wakes it, at most for the time that is
// bearable where it polls devices that cannot.
static void sleep_idle(struct worker *w)
{
    struct timespec shallow = {.tv_nsec = dp.config.max_sleep_us * 1000L};
    struct timespec deep = {.tv_sec = DEEP_SLEEP_MS / 1000};
    struct epoll_event event;
    eventfd_t ignored;

    rte_rcu_qsbr_thread_offline(dp.rcu, w->index);
    if (epoll_pwait2(w->epoll, &event, 1, load_acquire(&w->sleeps_deep) ? &deep : &shallow, NULL) ==
            1 &&
        event.data.fd == w->wake)
        eventfd_read(w->wake, &ignored);
    rte_rcu_qsbr_thread_online(dp.rcu, w->index);
    w->stats.sleeps++;
}

static int worker_main(void *arg)
{
    struct worker *w = arg;
    uint64_t spin = dp.tsc_hz / 1000000 * SPIN_US;
    uint64_t now = rte_rdtsc(), last_work = now, before;
    bool slept = false;

    prctl(PR_SET_TIMERSLACK, 1);
    // Where the CPU is shared, a worker that waits for its turn loses packets.
    setpriority(PRIO_PROCESS, (id_t)gettid(), -20);
    rte_rcu_qsbr_thread_online(dp.rcu, w->index);
    while (!load_acquire(&dp.stop)) {
        unsigned n = receive_inbox(w) + receive(w, slept);

        slept = false;
        flush(w);
        rte_rcu_qsbr_quiescent(dp.rcu, w->index);
        w->stats.polls++;
        before = now;
        now = rte_rdtsc();
        if (n) {
            w->stats.busy_cycles += now - before;
            last_work = now;
            continue;
        }
        w->stats.idle_cycles += now - before;
        if (dp.config.idle == DP_IDLE_ADAPTIVE && now - last_work > spin &&
            !rte_ring_count(w->inbox) && !rte_ring_count(w->injected)) {
            sleep_idle(w);
            slept = true;
            before = now;
            now = rte_rdtsc();
            w->stats.sleep_cycles += now - before;
        } else
            rte_pause();
    }
    rte_rcu_qsbr_thread_offline(dp.rcu, w->index);
    return 0;
}

void worker_wake(struct worker *w)
{
    eventfd_write(w->wake, 1);
}

static void wake_all(void)
{
    for (unsigned i = 0; i < dp.n_workers; i++)
        worker_wake(&dp.workers[i]);
}

// Each worker's own memory, so that no two write to one cache line.
int worker_memory(struct worker *w)
{
    w->counters = calloc(PORT_MAX + 1, sizeof *w->counters);
    w->icmp_rate = calloc(PORT_MAX + 1, sizeof *w->icmp_rate);
    w->punt_rate = calloc(PORT_MAX + 1, sizeof *w->punt_rate);
    w->packet_in_rate = calloc(PORT_MAX + 1, sizeof *w->packet_in_rate);
    w->rules = calloc(RULES_MAX, sizeof *w->rules);
    w->policy_rules = calloc(POLICY_RULES_MAX, sizeof *w->policy_rules);
    w->tx = calloc(PORT_MAX + 1, sizeof *w->tx);
    return w->counters && w->icmp_rate && w->punt_rate && w->packet_in_rate && w->rules &&
                   w->policy_rules && w->tx
               ? 0
               : -ENOMEM;
}

void worker_memory_free(struct worker *w)
{
    free(w->counters);
    free(w->icmp_rate);
    free(w->punt_rate);
    free(w->packet_in_rate);
    free(w->rules);
    free(w->policy_rules);
    free(w->tx);
}

static int worker_init(struct worker *w)
{
    struct epoll_event event = {.events = EPOLLIN};
    char name[RTE_RING_NAMESIZE];

    snprintf(name, sizeof name, "inbox%u", w->index);
    w->inbox = rte_ring_create(name, RING_SIZE, (int)rte_socket_id(), RING_F_SC_DEQ);
    snprintf(name, sizeof name, "injected%u", w->index);
    w->injected =
        rte_ring_create(name, RING_SIZE, (int)rte_socket_id(), RING_F_SP_ENQ | RING_F_SC_DEQ);
    w->polls = calloc(1, sizeof *w->polls);
    if (!w->inbox || !w->injected || !w->polls || worker_memory(w))
        return -ENOMEM;
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    w->wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    event.data.fd = w->wake;
    if (w->epoll < 0 || w->wake < 0 || epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->wake, &event))
        return -errno;
    return rte_rcu_qsbr_thread_register(dp.rcu, w->index) ? -ENOMEM : 0;
}

int workers_init(char **error)
{
    unsigned lcore, i = 0;
    int ret;

    dp.n_workers = dp.config.n_workers;
    dp.workers = aligned_alloc(RTE_CACHE_LINE_SIZE, dp.n_workers * sizeof *dp.workers);
    if (!dp.workers)
        return -ENOMEM;
    memset(dp.workers, 0, dp.n_workers * sizeof *dp.workers);
    RTE_LCORE_FOREACH_WORKER(lcore)
    {
        struct worker *w = &dp.workers[i];

        w->index = i;
        w->lcore = lcore;
        w->cpu = dp.config.worker_cpus[i++];
        ret = worker_init(w);
        if (ret)
            return set_error(ret, error, "worker on CPU %u: %s", w->cpu, strerror(-ret));
    }
    return 0;
}

int workers_start(char **error)
{
    for (unsigned i = 0; i < dp.n_workers; i++) {
        int ret = rte_eal_remote_launch(worker_main, &dp.workers[i], dp.workers[i].lcore);

        if (ret)
            return set_error(ret, error, "worker on CPU %u does not start: %s", dp.workers[i].cpu,
                             strerror(-ret));
    }
    return 0;
}

void workers_stop(void)
{
    store_release(&dp.stop, true);
    wake_all();
    rte_eal_mp_wait_lcore();
}

int workers_assign(bool wait)
{
    struct poll_list *lists[DP_WORKERS_MAX] = {0}, *old[DP_WORKERS_MAX];
    bool deep[DP_WORKERS_MAX];
    unsigned n[DP_WORKERS_MAX] = {0};

    for (unsigned no = 1; no <= PORT_MAX; no++)
        for (unsigned q = 0; dp.ports[no] && q < dp.ports[no]->info.n_rxq; q++)
            n[dp.ports[no]->rxq_worker[q]]++;
    for (unsigned i = 0; i < dp.n_workers; i++) {
        lists[i] = calloc(1, sizeof *lists[i] + RTE_ALIGN(n[i], (unsigned)POLL_GROUP) / POLL_GROUP *
                                                    sizeof lists[i]->group[0]);
        deep[i] = dp.n_workers == 1; // several hand over to each other without a wake
        if (!lists[i]) {
            while (i--)
                free(lists[i]);
            return -ENOMEM;
        }
    }
    for (unsigned no = 1; no <= PORT_MAX; no++) {
        struct port *port = dp.ports[no];

        for (unsigned q = 0; port && q < port->info.n_rxq; q++) {
            struct poll_list *list = lists[port->rxq_worker[q]];
            struct poll_group *group = &list->group[list->n / POLL_GROUP];
            unsigned at = list->n++ % POLL_GROUP;

            group->entry[at] = (struct poll_entry){.port = port, .queue = (uint16_t)q};
            group->used |= UINT64_C(1) << at;
            group->loud = group->used;
            deep[port->rxq_worker[q]] &= port->xdp != NULL;
        }
    }
    for (unsigned i = 0; i < dp.n_workers; i++) {
        old[i] = dp.workers[i].polls;
        dp.workers[i].stats.n_queues = lists[i]->n;
        store_release(&dp.workers[i].sleeps_deep, deep[i]);
        store_release(&dp.workers[i].polls, lists[i]);
    }
    wake_all();
    if (wait)
        rcu_wait();
    for (unsigned i = 0; i < dp.n_workers; i++)
        rcu_free(old[i]);
    return 0;
}
