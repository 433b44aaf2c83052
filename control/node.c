/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/node.h"

#include <errno.h>
#include <libgen.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/state.h"
#include "control/appctl.h"
#include "control/attachments.h"
#include "control/devices.h"
#include "control/lock.h"
#include "control/methods.h"
#include "control/netdev.h"
#include "control/nic_rules.h"
#include "control/notify.h"
#include "control/openflow/openflow.h"
#include "control/rpc_server.h"
#include "control/rules.h"
#include "control/stats.h"
#include "control/uplinks.h"
#include "dataplane/dataplane.h"
#include "openvswitch/poll-loop.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "unixctl.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(node);

// The first frame that a worker hands over wakes the control thread; those that follow wait so long
// for each other, so that a flood of them makes 1,000 turns a second and not one each.
#define PUNT_GATHER_MS 1
#define PUNT_BURST     64
#define IDLE_MS        50 // for what tells nobody that it has changed

#define FILES_MAX 16384

// Workers have -20. In a group of tasks (a service's cgroup, a session's autogroup) the kernel
// gives each CPU the part of the group's share that its threads weigh: beside a worker that polls,
// a control thread of nice 0 got one hundredth of a busy CPU, and took 20 s to start for 0.3 s of
// work.
#define NICE (-15)

// What is open, for the way back.
struct node {
    const struct config *config;
    char *run_dir, *lock_path, *ctl_path;
    int lock_fd, signal_fd;
    struct state *state;
    struct unixctl_server *unixctl;
    bool no_hugepages, made_run_dir, dataplane, netdevs;
};

static void on_netdev_change(int ifindex, const char *name, bool gone)
{
    uplinks_netdev_changed(ifindex, name, gone);
    attachments_netdev_changed(ifindex, name, gone);
    openflow_netdev_changed(name);
}

// True if there was anything.
static bool take_punts(long long now_ms)
{
    struct dp_punt punts[PUNT_BURST];
    unsigned n = dp_punt_recv(punts, PUNT_BURST);

    for (unsigned i = 0; i < n; i++)
        uplinks_punt(&punts[i], now_ms);
    return n > 0;
}

static void wait_for_punts(bool had_some)
{
    int fd = had_some ? -1 : dp_punt_wait();

    if (had_some)
        poll_timer_wait(PUNT_GATHER_MS);
    else if (fd < 0)
        poll_immediate_wake();
    else
        poll_fd_wait(fd, POLLIN);
}

static bool told_to_stop(struct node *node)
{
    struct signalfd_siginfo info;

    if (read(node->signal_fd, &info, sizeof(info)) != sizeof(info))
        return false;
    VLOG_INFO("stopping signal=%s", strsignal(info.ssi_signo));
    return true;
}

static void loop(struct node *node)
{
    while (!told_to_stop(node)) {
        long long now_ms, devices_ms, uplinks_ms, attachments_ms;
        bool punts;

        netdev_watch_run();
        // Before the probes: an answer that is here is no missed one, however late this turn is.
        now_ms = time_msec();
        punts = take_punts(now_ms);
        devices_ms = devices_run(now_ms);
        uplinks_ms = uplinks_run(now_ms);
        attachments_ms = attachments_run(now_ms);
        rpc_server_run(now_ms);
        unixctl_server_run(node->unixctl);
        punts = openflow_run() || punts;
        appctl_run();

        wait_for_punts(punts);
        poll_timer_wait_until(MIN(devices_ms, MIN(uplinks_ms, attachments_ms)));
        poll_timer_wait(IDLE_MS);
        poll_fd_wait(node->signal_fd, POLLIN);
        netdev_watch_wait();
        rpc_server_wait();
        unixctl_server_wait(node->unixctl);
        openflow_wait();
        appctl_wait();
        poll_block();
    }
}

// The workers' CPUs; none are named: the last one that the process may use.
static int choose_cpus(const struct config *config, struct dp_config *dp, char **error)
{
    char path[64];
    cpu_set_t allowed;

    for (unsigned i = 0; i < config->n_cpus; i++) {
        // As EAL looks for it, which has no sentence for one that is not there.
        snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology", config->cpus[i]);
        if (access(path, F_OK)) {
            *error = xasprintf("workers: cpus: this machine has no CPU %u that is online",
                               config->cpus[i]);
            return -ENODEV;
        }
        dp->worker_cpus[i] = config->cpus[i];
    }
    dp->n_workers = config->n_cpus;
    if (dp->n_workers > 0 || sched_getaffinity(0, sizeof(allowed), &allowed))
        return 0;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (CPU_ISSET(cpu, &allowed))
            dp->worker_cpus[0] = cpu;
    }
    dp->n_workers = 1;
    return 0;
}

static int start_dataplane(struct node *node, char **error)
{
    const struct config *config = node->config;
    struct dp_gateway gateways[CONFIG_RANGES_MAX];
    struct dp_config dp = {
        .idle = config->idle == CONFIG_IDLE_POLL ? DP_IDLE_POLL : DP_IDLE_ADAPTIVE,
        .max_sleep_us = config->max_sleep_us,
        .memory_mb = config->memory_mb,
        .no_hugepages = node->no_hugepages,
        .mbufs = config->mbufs,
        .policy_memory_mb = config->openflow_memory_mb,
        .mtu = config->mtu,
        .icmp_source4 = config->icmp_source4,
        .icmp_source6 = config->icmp_source6,
        .icmp_errors_per_s = config->icmp_errors_per_s,
    };
    bool hugepages = false;
    int err;

    memcpy(&dp.router_mac, config->router_mac, sizeof(dp.router_mac));
    err = choose_cpus(config, &dp, error);
    if (!err)
        err = dp_init(&dp, &hugepages, error);
    if (err)
        return err;
    node->dataplane = true;
    if (!hugepages)
        VLOG_WARN("no hugepages, packets cost more; reserve some: sysctl vm.nr_hugepages=512");
    stats_init(config, hugepages);
    for (unsigned r = 0; r < config->n_ranges; r++) {
        gateways[r] = (struct dp_gateway){
            .address = config->ranges[r].gateway,
            .subnet = config->ranges[r].subnet,
            .prefix_len = config->ranges[r].prefix_len,
        };
    }
    err = dp_gateways_set(gateways, config->n_ranges);
    if (err)
        *error = xasprintf("the ranges cannot be set: %s", ovs_strerror(-err));
    return err;
}

static int add_default_rules(struct node *node, char **error)
{
    for (unsigned r = 0; r < node->config->n_ranges; r++) {
        const struct config_range *range = &node->config->ranges[r];
        struct rule rule = rule_default(r, &range->subnet, range->prefix_len);
        struct held_rule *held;
        int err = rules_add(&rule, &held, error);

        if (err)
            return err;
    }
    return 0;
}

static int make_run_dir(struct node *node, char **error)
{
    char *copy = xstrdup(node->config->socket);

    node->run_dir = xstrdup(dirname(copy));
    free(copy);
    node->lock_path = xasprintf("%s.lock", node->config->socket);
    node->ctl_path = xasprintf("%s/sluiced.ctl", node->run_dir);
    node->made_run_dir = mkdir(node->run_dir, 0755) == 0;
    if (node->made_run_dir || errno == EEXIST)
        return 0;
    int err = errno;
    *error = xasprintf("cannot make the folder %s: %s", node->run_dir, ovs_strerror(err));
    return -err;
}

static int open_files(struct node *node, char **error)
{
    bool rebooted = false;
    int err = make_run_dir(node, error);

    if (err)
        return err;
    node->lock_fd = lock_pid_file(node->lock_path, error);
    if (node->lock_fd < 0)
        return node->lock_fd;
    err = state_open(node->config->state, &node->state, &rebooted, error);
    if (err)
        return err;
    if (rebooted)
        VLOG_INFO("the machine was restarted, its attachments are forgotten");
    return 0;
}

static int block_signals(struct node *node, char **error)
{
    sigset_t signals;

    // Before any thread starts, so that all of them have these blocked; the signals are read from
    // a descriptor, and libopenvswitch's handlers for them, which would end the process, never run.
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    node->signal_fd = signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC);
    if (node->signal_fd >= 0)
        return 0;
    *error = xasprintf("no descriptor for signals: %s", ovs_strerror(errno));
    return -errno;
}

// A pod port has three descriptors, and the usual limit is 1,024.
static void raise_limits(void)
{
    struct rlimit files = {.rlim_cur = FILES_MAX, .rlim_max = FILES_MAX};

    if (setrlimit(RLIMIT_NOFILE, &files))
        VLOG_WARN("limit of open files not raised error=%s", ovs_strerror(errno));
}

// Before any thread starts, so that all but the workers have it.
static void raise_priority(void)
{
    if (setpriority(PRIO_PROCESS, 0, NICE))
        VLOG_WARN("priority not raised error=%s", ovs_strerror(errno));
}

static int start(struct node *node, char **error)
{
    const struct config *config = node->config;
    int err = block_signals(node, error);

    raise_limits();
    raise_priority();
    if (!err)
        err = open_files(node, error);
    if (!err)
        err = start_dataplane(node, error);
    if (err)
        return err;
    err = netdev_watch(on_netdev_change);
    if (err) {
        *error = xasprintf("cannot watch netdevs: %s", ovs_strerror(-err));
        return err;
    }
    node->netdevs = true;
    rules_init(config);
    nic_rules_init();
    // The operator's rules before any port: no packet goes by others.
    err = openflow_open(config, node->state, error);
    // The pods before the uplinks: a ToR must not be told that a pod is unreachable which is only
    // not open yet.
    if (!err)
        err = add_default_rules(node, error);
    if (!err)
        err = attachments_open(config, node->state, error);
    if (!err)
        err = uplinks_open(config, error);
    if (err)
        return err;
    attachments_run(time_msec());
    err = unixctl_server_create(node->ctl_path, &node->unixctl);
    if (err) {
        *error = xasprintf("cannot make %s: %s", node->ctl_path, ovs_strerror(err));
        return -err;
    }
    appctl_init();
    methods_init(config);
    err = openflow_listen(error);
    if (err)
        return err;
    return rpc_server_open(config->socket, config->socket_group, methods_call, error);
}

static void stop(struct node *node)
{
    rpc_server_close();
    unixctl_server_destroy(node->unixctl);
    openflow_close();
    attachments_close();
    uplinks_close();
    rules_fini();
    if (node->netdevs)
        netdev_unwatch();
    if (node->dataplane)
        dp_fini();
    state_close(node->state);
    if (node->lock_fd >= 0) {
        unlink(node->lock_path);
        close(node->lock_fd);
    }
    if (node->made_run_dir)
        rmdir(node->run_dir);
    if (node->signal_fd >= 0)
        close(node->signal_fd);
    free(node->run_dir);
    free(node->lock_path);
    free(node->ctl_path);
}

int node_run(const struct config *config, bool no_hugepages, char **error)
{
    struct node node = {
        .config = config, .lock_fd = -1, .signal_fd = -1, .no_hugepages = no_hugepages};
    int err = start(&node, error);

    if (!err) {
        VLOG_INFO("ready version=%s socket=%s", SLUICE_VERSION, config->socket);
        notify_manager("READY=1");
        loop(&node);
        notify_manager("STOPPING=1");
    }
    stop(&node);
    return err;
}
