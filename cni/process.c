/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cni/process.h"

struct process {
    pid_t pid;
    int pidfd;
    int in, out; // our ends of its stdin and stdout
    const char *input;
    size_t left; // of input
    char *output;
    size_t used, size;
};

static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000LL + now.tv_nsec / 1000000;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

_Noreturn static void child(const char *path, const char *command, int shared, int in, int out)
{
    signal(SIGPIPE, SIG_DFL);
    if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        !setenv("CNI_COMMAND", command, 1) && !close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) &&
        (shared < 0 || !fcntl(shared, F_SETFD, 0)))
        execl(path, path, NULL);
    _exit(127);
}

static int start(struct process *process, const char *path, const char *command, int shared)
{
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err = 0;

    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC)) {
        err = -errno;
    } else {
        process->pid = fork();
        if (process->pid == 0)
            child(path, command, shared, in[0], out[1]);
        if (process->pid < 0)
            err = -errno;
    }
    close_fd(&in[0]);
    close_fd(&out[1]);
    process->in = in[1];
    process->out = out[0];
    if (err)
        return err;
    fcntl(process->in, F_SETFL, O_NONBLOCK);
    fcntl(process->out, F_SETFL, O_NONBLOCK);
    process->pidfd = pidfd_open(process->pid, 0);
    return process->pidfd < 0 ? -errno : 0;
}

static void feed(struct process *process)
{
    ssize_t n = write(process->in, process->input, process->left);

    if (n > 0) {
        process->input += n;
        process->left -= n;
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        process->left = 0; // it does not read; its answer will tell
    }
    if (!process->left)
        close_fd(&process->in);
}

// Reads what is there; closes process->out at its end.
static int drain(struct process *process)
{
    for (;;) {
        ssize_t n;

        if (process->used + 1 >= process->size) {
            char *bigger;

            process->size = process->size ? 2 * process->size : 4096;
            if (process->size > PROCESS_OUTPUT_MAX)
                return -EMSGSIZE;
            bigger = realloc(process->output, process->size);
            if (!bigger)
                return -ENOMEM;
            process->output = bigger;
        }
        n = read(process->out, process->output + process->used, process->size - process->used - 1);
        if (n > 0) {
            process->used += n;
            process->output[process->used] = '\0';
        } else if (n == 0 || errno != EINTR) {
            if (n == 0 || errno != EAGAIN)
                close_fd(&process->out);
            return 0;
        }
    }
}

// Feeds and drains until the program has ended; what its own children hold open is not waited for.
static int converse(struct process *process, long long deadline)
{
    for (;;) {
        struct pollfd fds[] = {{.fd = process->pidfd, .events = POLLIN},
                               {.fd = process->out, .events = POLLIN},
                               {.fd = process->in, .events = POLLOUT}};
        long long left = deadline - now_ms();
        int err = 0;

        if (left <= 0)
            return -ETIMEDOUT;
        if (poll(fds, 3, left) < 0 && errno != EINTR)
            return -errno;
        if (fds[2].revents)
            feed(process);
        if (fds[1].revents || (fds[0].revents && process->out >= 0))
            err = drain(process);
        if (err || fds[0].revents)
            return err;
    }
}

int process_run(const char *path, const char *command, const char *input, int shared,
                unsigned timeout_ms, char **output, int *status)
{
    struct process process = {
        .pid = -1, .pidfd = -1, .in = -1, .out = -1, .input = input, .left = strlen(input)};
    long long deadline = now_ms() + timeout_ms;
    int err;

    process.output = calloc(1, 1);
    err = process.output ? start(&process, path, command, shared) : -ENOMEM;
    if (!err)
        err = converse(&process, deadline);
    if (process.pid > 0) {
        if (err)
            kill(process.pid, SIGKILL);
        waitpid(process.pid, status, 0);
    }
    close_fd(&process.pidfd);
    close_fd(&process.in);
    close_fd(&process.out);
    if (err) {
        free(process.output);
        return err;
    }
    *output = process.output;
    return 0;
}
