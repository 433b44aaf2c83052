/* SPDX-License-Identifier: Apache-2.0 */
// The thread that builds acls, one after another, and frees them. It runs where the control thread
// may run, when nothing else wants to, and touches no rules: a build works on a copy.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <rte_malloc.h>

#include "dataplane/classifier_internal.h"

static struct {
    pthread_mutex_t mutex;
    pthread_cond_t work;
    bool started, stopped, running;
    struct acl_job *first, **last;
} builds = {
    .mutex = PTHREAD_MUTEX_INITIALIZER,
    .work = PTHREAD_COND_INITIALIZER,
    .last = &builds.first,
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
    struct acl_job *job;
    bool abandoned;

    (void)arg;
    pthread_setname_np(pthread_self(), "sluice-build");
    // Of this thread only, on Linux.
    setpriority(PRIO_PROCESS, (id_t)gettid(), 19);
    pthread_mutex_lock(&builds.mutex);
    for (;;) {
        while (!builds.first || builds.stopped)
            pthread_cond_wait(&builds.work, &builds.mutex);
        job = builds.first;
        builds.first = job->next;
        if (!builds.first)
            builds.last = &builds.first;
        abandoned = job->abandoned;
        builds.running = true;
        pthread_mutex_unlock(&builds.mutex);

        if (!abandoned)
            job_run(job);

        pthread_mutex_lock(&builds.mutex);
        abandoned = job->abandoned;
        store_release(&job->done, true);
        if (abandoned) {
            pthread_mutex_unlock(&builds.mutex);
            job_free(job);
            pthread_mutex_lock(&builds.mutex);
        }
        builds.running = false;
    }
    return NULL;
}

static int thread_start(void)
{
    sigset_t all, before;
    pthread_t thread;
    int ret;

    // Signals are the control thread's.
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    ret = pthread_create(&thread, NULL, build_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (ret)
        return -EAGAIN;
    pthread_detach(thread);
    return 0;
}

int acl_job_start(struct acl_job *job)
{
    int ret = 0;

    pthread_mutex_lock(&builds.mutex);
    if (!builds.started)
        ret = thread_start();
    if (!ret) {
        builds.started = true;
        job->next = NULL;
        *builds.last = job;
        builds.last = &job->next;
        pthread_cond_signal(&builds.work);
    }
    pthread_mutex_unlock(&builds.mutex);
    return ret;
}

bool acl_job_done(const struct acl_job *job)
{
    return load_acquire(&job->done);
}

void acl_job_abandon(struct acl_job *job)
{
    bool requeue;

    pthread_mutex_lock(&builds.mutex);
    requeue = job->done;
    job->abandoned = true;
    pthread_mutex_unlock(&builds.mutex);
    // The thread frees it when it comes to it; one that is done it has to come to again.
    if (requeue && acl_job_start(job))
        job_free(job);
}

void acl_free_later(struct acl *acl)
{
    struct acl_job *job = calloc(1, sizeof *job);

    if (job) {
        job->acl = acl;
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

    pthread_mutex_lock(&builds.mutex);
    builds.stopped = true;
    running = builds.running;
    pthread_mutex_unlock(&builds.mutex);
    return !running;
}
