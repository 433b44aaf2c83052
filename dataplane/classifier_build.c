/* SPDX-License-Identifier: Apache-2.0 */
// The threads that build acls, one after another, and free them: one for vectors, that they need
// not wait for tries, which the other builds. They run where the control thread may run, when
// nothing else wants to, and touch no rules: a build works on a copy.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <rte_malloc.h>

#include "dataplane/classifier_internal.h"

// A thread and what it has to do.
struct builder {
    pthread_cond_t work;
    bool started, running;
    struct acl_job *first, **last;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static bool stopped;
static struct builder builders[] = {
    {.work = PTHREAD_COND_INITIALIZER, .last = &builders[0].first},
    {.work = PTHREAD_COND_INITIALIZER, .last = &builders[1].first},
};

static uint64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

// What is taken of DPDK's heaps.
static size_t heap_bytes(void)
{
    struct rte_malloc_socket_stats stats;
    size_t bytes = 0;

    for (unsigned i = 0; i < rte_socket_count(); i++)
        if (!rte_malloc_get_socket_stats(rte_socket_id_by_idx(i), &stats))
            bytes += stats.heap_allocsz_bytes;
    return bytes;
}

static void job_free(struct acl_job *job)
{
    if (job->acl)
        acl_free(job->acl);
    free(job->sources);
    free(job);
}

static void job_run(struct acl_job *job)
{
    uint64_t start = now_us();
    size_t before = heap_bytes(), after;

    job->result = acl_build(job->acl, job->sources, job->acl->n_rules, job->max_bytes);
    job->us = now_us() - start;
    // rte_acl does not tell. What others take meanwhile is little beside it.
    after = heap_bytes();
    job->acl->bytes = (after > before ? after - before : 0) + acl_vectors_size(job->acl);
    if (!job->result && job->acl->bytes > job->max_bytes)
        job->result = -ENOSPC;
}

static void *build_main(void *arg)
{
    struct builder *builder = arg;
    struct acl_job *job;
    bool abandoned;

    pthread_setname_np(pthread_self(), "sluice-build");
    // Of this thread only, on Linux.
    setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
    pthread_mutex_lock(&mutex);
    for (;;) {
        while (!builder->first || stopped)
            pthread_cond_wait(&builder->work, &mutex);
        job = builder->first;
        builder->first = job->next;
        if (!builder->first)
            builder->last = &builder->first;
        abandoned = job->abandoned;
        builder->running = true;
        pthread_mutex_unlock(&mutex);

        if (!abandoned)
            job_run(job);

        pthread_mutex_lock(&mutex);
        abandoned = job->abandoned;
        store_release(&job->done, true);
        if (abandoned) {
            pthread_mutex_unlock(&mutex);
            job_free(job);
            pthread_mutex_lock(&mutex);
        }
        builder->running = false;
    }
    return NULL;
}

static int thread_start(struct builder *builder)
{
    sigset_t all, before;
    pthread_t thread;
    int ret;

    // Signals are the control thread's.
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ret = pthread_create(&thread, NULL, build_main, builder);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ret)
        return -EAGAIN;
    pthread_detach(thread);
    return 0;
}

int acl_job_start(struct acl_job *job)
{
    struct builder *builder = &builders[job->is_tries];
    int ret = 0;

    pthread_mutex_lock(&mutex);
    if (!builder->started)
        ret = thread_start(builder);
    if (!ret) {
        builder->started = true;
        job->next = NULL;
        *builder->last = job;
        builder->last = &job->next;
        pthread_cond_signal(&builder->work);
    }
    pthread_mutex_unlock(&mutex);
    return ret;
}

bool acl_job_done(const struct acl_job *job)
{
    return load_acquire(&job->done);
}

void acl_job_abandon(struct acl_job *job)
{
    struct builder *builder = &builders[job->is_tries];
    struct acl_job **at = &builder->first;
    bool waiting, done;

    pthread_mutex_lock(&mutex);
    while (*at && *at != job)
        at = &(*at)->next;
    waiting = *at;
    if (waiting) {
        *at = job->next;
        if (!*at)
            builder->last = at;
    }
    done = job->done;
    job->abandoned = true;
    pthread_mutex_unlock(&mutex);
    // The thread frees what it is at; what is done it has to come to again.
    if (waiting || (done && acl_job_start(job)))
        job_free(job);
}

void acl_free_later(struct acl *acl)
{
    struct acl_job *job = calloc(1, sizeof *job);

    if (job) {
        job->acl = acl;
        job->is_tries = acl->is_tries;
        job->abandoned = true;
    }
    if (!job || acl_job_start(job)) {
        free(job);
        acl_free(acl);
    }
}

bool cls_stop(void)
{
    bool running;

    pthread_mutex_lock(&mutex);
    stopped = true;
    running = builders[0].running || builders[1].running;
    pthread_mutex_unlock(&mutex);
    return !running;
}
