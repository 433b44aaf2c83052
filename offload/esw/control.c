/* SPDX-License-Identifier: Apache-2.0 */
// The control socket: one datagram of `NAME=VALUE` words or a command, and an answer to the sender,
// if it has an address. For those who test, with the program's own rights.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "offload/esw/esw.h"

int esw_control_open(struct esw *esw, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat there;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    strcpy(address.sun_path, path);
    esw->control = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (esw->control < 0)
        return -errno;
    if (lstat(path, &there) == 0 && S_ISSOCK(there.st_mode))
        unlink(path); // left by one that was killed
    if (bind(esw->control, (const struct sockaddr *)&address, sizeof(address)) || chmod(path, 0600))
        return -errno;
    strcpy(esw->control_path, path);
    return 0;
}

void esw_control_close(struct esw *esw)
{
    if (esw->control >= 0)
        close(esw->control);
    if (esw->control_path[0])
        unlink(esw->control_path);
    esw->control = -1;
}

static void tell_all(struct esw *esw, enum rte_eth_event_type event)
{
    for (unsigned i = 0; i < esw->n_wires + esw->n_vfs; i++)
        esw_ethdev_tell(&esw->ports[i], event);
}

// Of each port what went which way; then the rules and the faults.
static void say_status(struct esw *esw, char *answer, size_t size)
{
    size_t n = 0;

    pthread_mutex_lock(&esw->lock);
    for (unsigned i = 0; i < esw->n_wires + esw->n_vfs && n < size; i++) {
        const struct esw_port *port = &esw->ports[i];

        if (port->from.packets || port->hw_out.packets)
            n += (size_t)snprintf(answer + n, size - n,
                                  "%s%u in %lu hw_out %lu to_app %lu hw_dropped %lu\n",
                                  port->is_wire ? "wire" : "vf", port->no, port->from.packets,
                                  port->hw_out.packets, port->to_app.packets, port->hw_dropped);
    }
    if (n < size)
        snprintf(answer + n, size - n, "rules %u refused %lu lost %lu altered %lu extra %lu\n",
                 esw_table_size(esw->table), esw->faults.n_refused, esw->faults.n_lost,
                 esw->faults.n_altered, esw->faults.n_extra);
    pthread_mutex_unlock(&esw->lock);
}

static int set_word(struct esw *esw, char *word)
{
    static const char *const of_rules[] = {
        [ESW_FLOW_LOSE] = "lose", [ESW_FLOW_ALTER] = "alter", [ESW_FLOW_EXTRA] = "extra"};
    char *value = strchr(word, '='), *end;
    int ret = -ENOENT;

    if (!value)
        return -ENOENT;
    *value++ = 0;
    pthread_mutex_lock(&esw->lock);
    for (unsigned i = 0; i < RTE_DIM(of_rules); i++) {
        unsigned long n = strtoul(value, &end, 10);

        if (!strcmp(of_rules[i], word)) // what is not there cannot be done
            ret = n && !*end && esw_flow_fault(esw, (enum esw_flow_fault)i, (unsigned)n) == n
                      ? 0
                      : -EINVAL;
    }
    if (ret == -ENOENT)
        ret = esw_fault_set(&esw->faults, word, value);
    for (unsigned i = 0; ret == 0 && !strcmp(word, "play") && i < esw->n_wires + esw->n_vfs; i++) {
        if (esw->ports[i].backend.player)
            esw_player_rewind(esw->ports[i].backend.player);
    }
    pthread_mutex_unlock(&esw->lock);
    return ret;
}

static void obey(struct esw *esw, char *words, char *answer, size_t size)
{
    char *word, *rest = words;

    snprintf(answer, size, "ok\n");
    while ((word = strsep(&rest, " \n"))) {
        int ret = 0;

        if (!*word)
            continue;
        if (!strcmp(word, "reset")) {
            pthread_mutex_lock(&esw->lock);
            esw_flow_lose_all(esw);
            pthread_mutex_unlock(&esw->lock);
            tell_all(esw, RTE_ETH_EVENT_INTR_RESET);
        } else if (!strcmp(word, "unplug")) {
            __atomic_store_n(&esw->unplugged, true, __ATOMIC_RELAXED);
            tell_all(esw, RTE_ETH_EVENT_INTR_RMV);
        } else if (!strcmp(word, "plug")) {
            pthread_mutex_lock(&esw->lock);
            esw_flow_lose_all(esw);
            pthread_mutex_unlock(&esw->lock);
            __atomic_store_n(&esw->unplugged, false, __ATOMIC_RELAXED);
            tell_all(esw, RTE_ETH_EVENT_INTR_RESET);
        } else if (!strcmp(word, "status")) {
            say_status(esw, answer, size);
        } else {
            ret = set_word(esw, word);
        }
        if (ret) {
            snprintf(answer, size, "error: %s: %s\n", word,
                     ret == -ENOENT ? "no such name" : "no such value");
            return;
        }
    }
}

void esw_control_receive(struct esw *esw)
{
    struct sockaddr_un sender;
    socklen_t length = sizeof(sender);
    char words[1024], answer[16384];
    ssize_t n =
        recvfrom(esw->control, words, sizeof(words) - 1, 0, (struct sockaddr *)&sender, &length);

    if (n < 0)
        return;
    words[n] = 0;
    obey(esw, words, answer, sizeof(answer));
    if (length > sizeof(sa_family_t) && sendto(esw->control, answer, strlen(answer), MSG_DONTWAIT,
                                               (struct sockaddr *)&sender, length) < 0)
        ESW_LOG(WARNING, "%s: control socket: %s\n", esw->name, strerror(errno));
}
