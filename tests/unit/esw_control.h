/* SPDX-License-Identifier: Apache-2.0 */
// net_esw's control socket, for tests. For cmocka tests, whose headers come first.
#pragma once

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static char control_path[64];

// The argument that gives the device its socket, to stand behind others.
static inline const char *control_argument(const char *test)
{
    static char argument[96];

    snprintf(control_path, sizeof(control_path), "/tmp/%s.%d.sock", test, (int)getpid());
    snprintf(argument, sizeof(argument), ",control=%s", control_path);
    return argument;
}

// One datagram; returns a socket that takes the answer.
static inline int control_open(const char *words)
{
    struct sockaddr_un to = {.sun_family = AF_UNIX}, from = {.sun_family = AF_UNIX};
    struct timeval patience = {.tv_sec = 60};
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    strcpy(to.sun_path, control_path);
    assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(sa_family_t)), 0); // a free name
    assert_int_equal(sendto(fd, words, strlen(words), 0, (struct sockaddr *)&to, sizeof(to)),
                     strlen(words));
    return fd;
}

// One datagram, without waiting for the answer.
static inline void control_send(const char *words)
{
    close(control_open(words));
}

// One datagram; the answer.
static inline const char *control(const char *words)
{
    static char answer[4096];
    int fd = control_open(words);
    ssize_t n = recv(fd, answer, sizeof(answer) - 1, 0);

    if (n <= 0)
        fail_msg("net_esw does not answer: %s", words);
    answer[n] = 0;
    close(fd);
    return answer;
}
