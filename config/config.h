/* SPDX-License-Identifier: Apache-2.0 */
// The node file (/etc/sluice/sluice.yaml) as the daemon uses it. docs/configuration.md says what
// each key means; it is made from the same table (config/schema.c) that reads and checks the file.
#pragma once

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#define CONFIG_UPLINKS_MAX 2
#define CONFIG_RANGES_MAX  64
#define CONFIG_CPUS_MAX    64
#define CONFIG_PEERS_MAX   8
#define CONFIG_PREFER_MAX  16

// One address family each; IPv4 is IPv4-mapped, its prefix_len 96 more.
struct config_range {
    struct in6_addr subnet;
    uint8_t prefix_len;
    struct in6_addr gateway; // on the ToRs
};

// IPv4 is IPv4-mapped, its prefix_len 96 more.
struct config_prefix {
    struct in6_addr subnet;
    uint8_t prefix_len;
};

// Of `netdev` and `devargs` exactly one is not "".
struct config_device {
    char name[64];     // default: the netdev's name, or the devargs up to the first comma
    char netdev[16];   // a kernel netdev
    char devargs[256]; // a DPDK device
    bool xdp;          // netdev: AF_XDP (falls back to AF_PACKET); false: AF_PACKET at once
};

enum config_idle { CONFIG_IDLE_ADAPTIVE, CONFIG_IDLE_POLL };
enum config_miss { CONFIG_MISS_NORMAL, CONFIG_MISS_DROP };
enum config_offload { CONFIG_OFFLOAD_OFF, CONFIG_OFFLOAD_AUTO, CONFIG_OFFLOAD_REQUIRE };

struct config {
    unsigned n_uplinks;
    struct config_device uplinks[CONFIG_UPLINKS_MAX];
    unsigned n_ranges;
    struct config_range ranges[CONFIG_RANGES_MAX];

    // workers:
    unsigned n_cpus; // 0: one worker on the last CPU the process may use
    unsigned cpus[CONFIG_CPUS_MAX];
    enum config_idle idle;
    unsigned max_sleep_us;

    // memory:
    unsigned memory_mb;
    unsigned mbufs;

    // router:
    uint8_t router_mac[6];
    struct in6_addr icmp_source4, icmp_source6; // all zeroes: none
    unsigned icmp_errors_per_s;

    // host: the way to the host's own stack; host_device.name "" if there is none
    struct config_device host_device;
    uint8_t host_mac[6];
    unsigned n_host_addresses;
    struct in6_addr host_addresses[4];

    unsigned mtu;

    // gateway_probe:
    unsigned probe_interval_ms;
    unsigned probe_misses; // so many unanswered: the gateway does not answer there

    // announce:
    unsigned announce_count;
    unsigned announce_interval_ms;

    // openflow: targets as OVS writes them
    unsigned n_openflow_listeners, n_openflow_controllers;
    char openflow_listeners[CONFIG_PEERS_MAX][128];
    char openflow_controllers[CONFIG_PEERS_MAX][128];
    enum config_miss openflow_miss; // of table 0
    unsigned openflow_memory_mb;
    unsigned openflow_max_backoff_s, openflow_probe_s;                   // of controllers
    unsigned openflow_packet_in_rate, openflow_packet_in_burst;          // to each peer
    char openflow_key[256], openflow_certificate[256], openflow_ca[256]; // "": none

    enum config_offload offload;
    unsigned n_offload_prefer;
    struct config_prefix offload_prefer[CONFIG_PREFER_MAX]; // who goes first comes first

    char socket[108];      // control socket
    char socket_group[33]; // may read; "" for root's group
    char state[256];       // SQLite file
    char log_level[8];     // err, warn, info, dbg
};

// Fills in every default.
void config_defaults(struct config *config);
// Reads and checks a file. 0, or a negative errno with *error set to one line per fault,
// `FILE:LINE: KEY: VALUE: what is wrong; what to do`; the caller frees it.
int config_load(const char *path, struct config *config, char **error);
// The same for text in memory; `name` stands for the file in messages. For tests and the fuzzer.
int config_parse(const char *name, const char *text, size_t size, struct config *config,
                 char **error);
