/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/address.h"
#include "config/config.h"

// The least that a file needs; more is appended to it.
#define UPLINKS "uplinks: [{netdev: eth0}, {netdev: eth1}]\n"
#define RANGES  "ranges: [{subnet: 10.1.10.0/24, gateway: 10.1.10.1}]\n"
#define LEAST   UPLINKS RANGES // two lines

static struct config parse(const char *text)
{
    struct config config;
    char *error = NULL;

    if (config_parse("f", text, strlen(text), &config, &error) < 0)
        fail_msg("refused:\n%s\nwith\n%s", text, error);
    assert_null(error);
    return config;
}

static void assert_faults(const char *text, size_t size, const char *faults)
{
    struct config config;
    char *error = NULL;

    if (config_parse("f", text, size, &config, &error) != -EINVAL)
        fail_msg("accepted:\n%s", text);
    if (!error || strcmp(error, faults) != 0)
        fail_msg("for\n%s\nthe faults are\n%s\nand not\n%s", text, error, faults);
    free(error);
}

static void assert_address(const struct in6_addr *ip, const char *text)
{
    char buf[ADDRESS_TEXT];

    assert_string_equal(address_format(ip, buf), text);
}

static void the_least_file_gets_the_defaults(void **state)
{
    static const uint8_t router_mac[6] = {0x02, 0x00, 0x5e, 0x00, 0x53, 0x01};
    static const struct in6_addr none;
    struct config config = parse(LEAST), defaults;

    (void)state;
    assert_int_equal(config.n_uplinks, 2);
    assert_string_equal(config.uplinks[1].netdev, "eth1");
    assert_string_equal(config.uplinks[1].name, "eth1");
    assert_string_equal(config.uplinks[1].devargs, "");
    assert_true(config.uplinks[1].xdp);
    assert_int_equal(config.n_ranges, 1);
    assert_address(&config.ranges[0].subnet, "10.1.10.0");
    assert_int_equal(config.ranges[0].prefix_len, 120);
    assert_address(&config.ranges[0].gateway, "10.1.10.1");

    assert_int_equal(config.n_cpus, 0);
    assert_int_equal(config.idle, CONFIG_IDLE_ADAPTIVE);
    assert_int_equal(config.max_sleep_us, 500);
    assert_int_equal(config.memory_mb, 1024);
    assert_int_equal(config.mbufs, 16384);
    assert_memory_equal(config.router_mac, router_mac, 6);
    assert_memory_equal(&config.icmp_source4, &none, 16);
    assert_memory_equal(&config.icmp_source6, &none, 16);
    assert_int_equal(config.icmp_errors_per_s, 100);
    assert_string_equal(config.host_device.name, "");
    assert_int_equal(config.n_host_addresses, 0);
    assert_int_equal(config.mtu, 1500);
    assert_int_equal(config.probe_interval_ms, 250);
    assert_int_equal(config.probe_misses, 3);
    assert_int_equal(config.announce_count, 3);
    assert_int_equal(config.announce_interval_ms, 1000);
    assert_int_equal(config.openflow_miss, CONFIG_MISS_NORMAL);
    assert_int_equal(config.openflow_memory_mb, 256);
    assert_int_equal(config.n_openflow_listeners, 0);
    assert_int_equal(config.n_openflow_controllers, 0);
    assert_int_equal(config.offload, CONFIG_OFFLOAD_AUTO);
    assert_string_equal(config.socket, "/run/sluice/control.sock");
    assert_string_equal(config.socket_group, "");
    assert_string_equal(config.state, "/var/lib/sluice/state.db");
    assert_string_equal(config.log_level, "info");

    // config_defaults says the same of all that the file left out.
    config_defaults(&defaults);
    memcpy(defaults.uplinks, config.uplinks, sizeof(config.uplinks));
    memcpy(defaults.ranges, config.ranges, sizeof(config.ranges));
    defaults.n_uplinks = config.n_uplinks;
    defaults.n_ranges = config.n_ranges;
    assert_memory_equal(&config, &defaults, sizeof(config));
}

static void every_key_has_its_effect(void **state)
{
    static const uint8_t router_mac[6] = {2, 0, 0, 0, 0, 2}, host_mac[6] = {2, 0, 0, 0, 0, 1};
    struct config config = parse("mtu: 9000\n"
                                 "offload: require\n"
                                 "state: /s\n"
                                 "log: dbg\n"
                                 "uplinks:\n"
                                 "  - {netdev: eth0, name: tor-a, xdp: false}\n"
                                 "  - {devargs: '0000:03:00.0,dv_flow_en=2'}\n"
                                 "ranges:\n"
                                 "  - {subnet: 10.1.0.0/31, gateway: 10.1.0.0}\n"
                                 "  - {subnet: 'fd00:1::/64', gateway: 'fd00:1::1'}\n"
                                 "host:\n"
                                 "  devargs: net_tap0,iface=host0\n"
                                 "  mac: 02:00:00:00:00:01\n"
                                 "  addresses: [10.1.0.1, 'fd00:1::5']\n"
                                 "router:\n"
                                 "  mac: 02:00:00:00:00:02\n"
                                 "  icmp_source: ['fd00:1::5', 10.1.0.1]\n"
                                 "  icmp_errors: 0\n"
                                 "workers:\n"
                                 "  cpus: [3, 1, 1023]\n"
                                 "  idle: poll\n"
                                 "  max_sleep: 1\n"
                                 "memory:\n"
                                 "  size: 64\n"
                                 "  mbufs: 1024\n"
                                 "gateway_probe: {interval: 10, misses: 1}\n"
                                 "announce: {count: 1, interval: 10}\n"
                                 "openflow:\n"
                                 "  miss: drop\n"
                                 "  memory: 64\n"
                                 "  listeners: ['ptcp:6653', 'pssl:65535:10.1.0.1']\n"
                                 "  controllers: ['ssl:[fd00:1::9]:6653', 'tcp:c.example:1']\n"
                                 "  max_backoff: 1\n"
                                 "  probe: 0\n"
                                 "  packet_in_rate: 10\n"
                                 "  packet_in_burst: 5\n"
                                 "  tls_key: /k\n"
                                 "  tls_certificate: /crt\n"
                                 "  tls_ca: /ca\n"
                                 "offload_prefer: [10.1.0.1/32, 'fd00:1::/64']\n"
                                 "socket: {path: /c, group: adm}\n");

    (void)state;
    assert_int_equal(config.mtu, 9000);
    assert_int_equal(config.offload, CONFIG_OFFLOAD_REQUIRE);
    assert_int_equal(config.n_offload_prefer, 2);
    assert_address(&config.offload_prefer[0].subnet, "10.1.0.1");
    assert_int_equal(config.offload_prefer[0].prefix_len, 128);
    assert_address(&config.offload_prefer[1].subnet, "fd00:1::");
    assert_int_equal(config.offload_prefer[1].prefix_len, 64);
    assert_string_equal(config.state, "/s");
    assert_string_equal(config.log_level, "dbg");
    assert_int_equal(config.n_uplinks, 2);
    assert_string_equal(config.uplinks[0].netdev, "eth0");
    assert_string_equal(config.uplinks[0].name, "tor-a");
    assert_false(config.uplinks[0].xdp);
    assert_string_equal(config.uplinks[1].netdev, "");
    assert_string_equal(config.uplinks[1].devargs, "0000:03:00.0,dv_flow_en=2");
    assert_string_equal(config.uplinks[1].name, "0000:03:00.0");
    assert_int_equal(config.n_ranges, 2);
    assert_int_equal(config.ranges[0].prefix_len, 127);
    assert_address(&config.ranges[1].subnet, "fd00:1::");
    assert_int_equal(config.ranges[1].prefix_len, 64);
    assert_address(&config.ranges[1].gateway, "fd00:1::1");
    assert_string_equal(config.host_device.devargs, "net_tap0,iface=host0");
    assert_string_equal(config.host_device.name, "net_tap0");
    assert_memory_equal(config.host_mac, host_mac, 6);
    assert_int_equal(config.n_host_addresses, 2);
    assert_address(&config.host_addresses[0], "10.1.0.1");
    assert_address(&config.host_addresses[1], "fd00:1::5");
    assert_memory_equal(config.router_mac, router_mac, 6);
    assert_address(&config.icmp_source4, "10.1.0.1");
    assert_address(&config.icmp_source6, "fd00:1::5");
    assert_int_equal(config.icmp_errors_per_s, 0);
    assert_int_equal(config.n_cpus, 3);
    assert_int_equal(config.cpus[0], 3);
    assert_int_equal(config.cpus[2], 1023);
    assert_int_equal(config.idle, CONFIG_IDLE_POLL);
    assert_int_equal(config.max_sleep_us, 1);
    assert_int_equal(config.memory_mb, 64);
    assert_int_equal(config.mbufs, 1024);
    assert_int_equal(config.probe_interval_ms, 10);
    assert_int_equal(config.probe_misses, 1);
    assert_int_equal(config.announce_count, 1);
    assert_int_equal(config.announce_interval_ms, 10);
    assert_int_equal(config.openflow_miss, CONFIG_MISS_DROP);
    assert_int_equal(config.openflow_memory_mb, 64);
    assert_int_equal(config.n_openflow_listeners, 2);
    assert_string_equal(config.openflow_listeners[0], "ptcp:6653");
    assert_string_equal(config.openflow_listeners[1], "pssl:65535:10.1.0.1");
    assert_int_equal(config.n_openflow_controllers, 2);
    assert_string_equal(config.openflow_controllers[0], "ssl:[fd00:1::9]:6653");
    assert_string_equal(config.openflow_controllers[1], "tcp:c.example:1");
    assert_int_equal(config.openflow_max_backoff_s, 1);
    assert_int_equal(config.openflow_probe_s, 0);
    assert_int_equal(config.openflow_packet_in_rate, 10);
    assert_int_equal(config.openflow_packet_in_burst, 5);
    assert_string_equal(config.openflow_key, "/k");
    assert_string_equal(config.openflow_certificate, "/crt");
    assert_string_equal(config.openflow_ca, "/ca");
    assert_string_equal(config.socket, "/c");
    assert_string_equal(config.socket_group, "adm");
}

static void devices_are_told_apart(void **state)
{
    (void)state;
    parse("uplinks: [{devargs: 'net_pcap0,iface=a'}, {devargs: 'net_pcap1,iface=b'}]\n" RANGES);
    parse("uplinks: [{devargs: '0000:03:00.0,representor=pf0', name: a},\n"
          "          {devargs: '0000:03:00.0,representor=pf1', name: b}]\n" RANGES);
    parse("uplinks: [{devargs: '0000:03:00.0'}, {devargs: '0000:03:00.1'}]\n" RANGES);
}

static void full_lists_fit(void **state)
{
    static char text[1 << 14];
    FILE *file = fmemopen(text, sizeof(text), "w");
    struct config config;

    (void)state;
    assert_non_null(file);
    fputs(UPLINKS "ranges:\n", file);
    for (int i = 0; i < CONFIG_RANGES_MAX; i++)
        fprintf(file, "- {subnet: 10.1.%d.0/24, gateway: 10.1.%d.1}\n", i, i);
    fputs("workers: {cpus: [0", file);
    for (int i = 1; i < CONFIG_CPUS_MAX; i++)
        fprintf(file, ", %d", i);
    fputs("]}\nrouter: {icmp_source: [10.1.0.5, 'fd00::5']}\nhost: {netdev: h, mac: "
          "02:00:00:00:00:01, addresses: [10.1.0.5, 10.1.0.6, 10.1.0.7, 10.1.0.8]}\n",
          file);
    fclose(file);
    config = parse(text);
    assert_int_equal(config.n_ranges, CONFIG_RANGES_MAX);
    assert_address(&config.ranges[CONFIG_RANGES_MAX - 1].gateway, "10.1.63.1");
    assert_int_equal(config.n_cpus, CONFIG_CPUS_MAX);
    assert_int_equal(config.n_host_addresses, 4);
}

static const struct {
    const char *text, *faults;
} bad_files[] = {
    {"", "f:1: uplinks: (missing): is required; add it\n"
         "f:1: ranges: (missing): is required; add it"},
    {"# nothing\n", "f:1: uplinks: (missing): is required; add it\n"
                    "f:1: ranges: (missing): is required; add it"},
    {"hello\n", "f:1: (file): hello: is not a mapping; write `key: value` lines below it"},
    {"- a\n", "f:1: (file): (list): is not a mapping; write `key: value` lines below it"},
    {LEAST "---\nmtu: 1500\n", "f:3: (file): ---: begins a second document; write one"},

    // Keys
    {LEAST "mtv: 9000\n", "f:3: mtv: 9000: is no key here; did you mean mtu?"},
    {LEAST "colour: red\n", "f:3: colour: red: is no key here; write one of mtu, offload, "
                            "offload_prefer, state, log, uplinks, ranges, "
                            "host, router, workers, memory, gateway_probe, announce, openflow, "
                            "socket"},
    {"uplinks: [{netdve: eth0}]\n" RANGES,
     "f:1: uplinks[0].netdve: eth0: is no key here; did you mean netdev?\n"
     "f:1: uplinks[0]: (missing): has no device; add netdev (a kernel netdev) or devargs (a DPDK "
     "device)"},
    {LEAST "workers: {interval: {a: [b, {c: d}]}}\n",
     "f:3: workers.interval: (mapping): is no key here; write one of cpus, idle, max_sleep"},
    {LEAST "mtu: 1500\nlog: err\nmtu: 1500\n",
     "f:5: mtu: 1500: is there twice; delete this or the one in line 3"},
    {LEAST "workers: {idle: poll}\nworkers:\n  max_sleep: 5\n",
     "f:4: workers: (mapping): is there twice; delete this or the one in line 3"},
    {LEAST "? [a, b]\n: c\n",
     "f:3: (file): (list): is no key; write a plain word before the colon"},
    {LEAST "<<: {mtu: 1500}\n", "f:3: <<: (mapping): is no key here; write one of mtu, offload, "
                                "offload_prefer, state, log, uplinks, ranges, "
                                "host, router, workers, memory, gateway_probe, announce, openflow, "
                                "socket"},
    {RANGES, "f:1: uplinks: (missing): is required; add it"},
    {UPLINKS, "f:1: ranges: (missing): is required; add it"},
    {UPLINKS "ranges:\n  - subnet: 10.1.10.0/24\n",
     "f:3: ranges[0].gateway: (missing): is required; add it"},
    {LEAST "host: {netdev: h0}\n", "f:3: host.mac: (missing): is required; add it\n"
                                   "f:3: host.addresses: (missing): is required; add it"},

    // Kinds
    {LEAST "workers: adaptive\n",
     "f:3: workers: adaptive: is not a mapping; write `key: value` lines below it"},
    {LEAST "workers:\n", "f:3: workers: : is not a mapping; write `key: value` lines below it"},
    {"uplinks: eth0\n" RANGES,
     "f:1: uplinks: eth0: is not a list; write [a, b], or lines that begin with -"},
    {"uplinks: {netdev: eth0}\n" RANGES,
     "f:1: uplinks: (mapping): is not a list; write [a, b], or lines that begin with -"},
    {"uplinks: [eth0]\n" RANGES,
     "f:1: uplinks[0]: eth0: is not a mapping; write `key: value` lines below it"},
    {LEAST "mtu: [1500]\n", "f:3: mtu: (list): is not a single value; write just one"},
    {LEAST "mtu: {a: b}\n", "f:3: mtu: (mapping): is not a single value; write just one"},
    {"uplinks: []\n" RANGES,
     "f:1: uplinks: (empty list): has no element; write at least 1 or delete the key"},
    {UPLINKS "ranges: []\n",
     "f:2: ranges: (empty list): has no element; write at least 1 or delete the key"},
    {"uplinks: [{netdev: a}, {netdev: b}, {netdev: c}, {netdev: d}]\n" RANGES,
     "f:1: uplinks: (mapping): is one too many; write at most 2"},

    // Numbers
    {LEAST "mtu: 1279\n", "f:3: mtu: 1279: is out of range; write 1280 to 9216 bytes"},
    {LEAST "mtu: 9217\n", "f:3: mtu: 9217: is out of range; write 1280 to 9216 bytes"},
    {LEAST "mtu: 4294968796\n", "f:3: mtu: 4294968796: is out of range; write 1280 to 9216 bytes"},
    {LEAST "mtu: 99999999999999999999999\n",
     "f:3: mtu: 99999999999999999999999: is out of range; write 1280 to 9216 bytes"},
    {LEAST "mtu: -1500\n",
     "f:3: mtu: -1500: is not a whole number; write one from 1280 to 9216 bytes"},
    {LEAST "mtu: '1500'\n", "f:3: mtu: 1500: is text; write it without quotes"},
    {LEAST "mtu:\n", "f:3: mtu: : is empty; give it a value or delete the line"},
    {LEAST "mtu: 01500\n", "f:3: mtu: 01500: begins with 0; write it without"},
    {LEAST "workers: {max_sleep: 500us}\n",
     "f:3: workers.max_sleep: 500us: is not a whole number; write the number alone, it means "
     "microseconds"},
    {LEAST "gateway_probe: {misses: 2.5}\n",
     "f:3: gateway_probe.misses: 2.5: is not a whole number; write one from 1 to 100"},
    {LEAST "workers: {cpus: [1, 2, 1]}\n",
     "f:3: workers.cpus[2]: 1: is there twice; a CPU has one worker, delete one of them"},
    {LEAST "memory: {size: 64, mbufs: 65536}\n",
     "f:3: memory.mbufs: 65536: does not fit: 65536 packet buffers and the tables need 201 MiB and "
     "memory.size is 64; write fewer or a larger size"},
    {LEAST "memory: {size: 80}\n",
     "f:3: memory.size: 80: does not fit: 16384 packet buffers and the tables need 81 MiB and "
     "memory.size is 80; write fewer or a larger size"},

    // Words
    {"uplinks: [{netdev: eth0, xdp: yes}]\n" RANGES,
     "f:1: uplinks[0].xdp: yes: is neither true nor false; write one of them"},
    {LEAST "offload: on\n",
     "f:3: offload: on: is none of its values; write one of off|auto|require"},
    {LEAST "offload: of\n",
     "f:3: offload: of: is none of its values; write one of off|auto|require"},
    {LEAST "log: info|warn\n",
     "f:3: log: info|warn: is none of its values; write one of err|warn|info|dbg"},
    {LEAST "log: ''\n", "f:3: log: : is none of its values; write one of err|warn|info|dbg"},
    {LEAST "state: state.db\n",
     "f:3: state: state.db: does not begin with /; write the whole path"},
    {LEAST "state: /var/lib/\n", "f:3: state: /var/lib/: is a folder; write a file's path"},
    {LEAST "state: /run/sluice/control.sock\n",
     "f:3: state: /run/sluice/control.sock: is socket.path; write another file"},
    {LEAST "socket: {group: ~}\n",
     "f:3: socket.group: ~: is empty; give it a value or delete the line"},
    {LEAST "socket: {group: \"a\\nb\"}\n",
     "f:3: socket.group: a\\x0ab: has a character other than printable ASCII without spaces; write "
     "it without"},
    {LEAST "socket: {group: \"a\\0b\"}\n",
     "f:3: socket.group: a: has a NUL byte in it; write it without"},

    // Devices
    {"uplinks: [{netdev: a-name-of-16-cha}]\n" RANGES,
     "f:1: uplinks[0].netdev: a-name-of-16-cha: is too long; write at most 15 characters"},
    {"uplinks: [{netdev: a/b}]\n" RANGES,
     "f:1: uplinks[0].netdev: a/b: cannot be a netdev's name; write one that `ip link` shows"},
    {"uplinks: [{netdev: eth0, devargs: 'net_null0'}]\n" RANGES,
     "f:1: uplinks[0].devargs: net_null0: is a second device beside netdev in line 1; delete one "
     "of them"},
    {"uplinks: [{name: a}]\n" RANGES,
     "f:1: uplinks[0]: (missing): has no device; add netdev (a kernel netdev) or devargs (a DPDK "
     "device)"},
    {"uplinks: [{devargs: net_null0, xdp: false}]\n" RANGES,
     "f:1: uplinks[0].xdp: false: is for a netdev and this is a DPDK device; delete it"},
    {"uplinks: [{devargs: ',iface=eth0'}]\n" RANGES,
     "f:1: uplinks[0].devargs: ,iface=eth0: names no device; write it before the first comma"},
    {"uplinks:\n- {netdev: eth0}\n- {netdev: eth0}\n" RANGES,
     "f:3: uplinks[1]: eth0: is the same device as uplinks[0]; each needs one of its own"},
    {"uplinks:\n- {devargs: '0000:03:00.0'}\n- {devargs: '03:00.0,dv_flow_en=1'}\n" RANGES,
     "f:3: uplinks[1]: 03:00.0: is the same device as uplinks[0]; each needs one of its own"},
    {"uplinks:\n- {netdev: eth0}\n- {devargs: 'net_af_packet0,iface=eth0,qpairs=2'}\n" RANGES,
     "f:3: uplinks[1]: net_af_packet0: is the same device as uplinks[0]; each needs one of its "
     "own"},
    {"uplinks:\n- {netdev: eth0, name: eth1}\n- {netdev: eth1}\n" RANGES,
     "f:3: uplinks[1]: eth1: has the same name as uplinks[0]; give it another"},
    {LEAST "host: {netdev: eth1, mac: 02:00:00:00:00:01, addresses: [10.1.10.5]}\n",
     "f:3: host: eth1: is the same device as uplinks[1]; each needs one of its own"},

    // MACs
    {LEAST "router: {mac: 01:00:5e:00:00:01}\n",
     "f:3: router.mac: 01:00:5e:00:00:01: is zero or a multicast MAC; write one a station can "
     "have, like 02:00:5e:00:53:01"},
    {LEAST "router: {mac: 00:00:00:00:00:00}\n",
     "f:3: router.mac: 00:00:00:00:00:00: is zero or a multicast MAC; write one a station can "
     "have, like 02:00:5e:00:53:01"},
    {LEAST "router: {mac: 02-00-5e-00-53-01}\n",
     "f:3: router.mac: 02-00-5e-00-53-01: is not a MAC address; write it like 02:00:5e:00:53:01"},
    {LEAST "host: {netdev: h, mac: 02:00:5e:00:53:01, addresses: [10.1.10.5]}\n",
     "f:3: host.mac: 02:00:5e:00:53:01: is router.mac; write the MAC of the host's end"},

    // Addresses
    {UPLINKS "ranges: [{subnet: 10.1.10.7/24, gateway: 10.1.10.1}]\n",
     "f:2: ranges[0].subnet: 10.1.10.7/24: has host bits set; write 10.1.10.0/24"},
    {UPLINKS "ranges: [{subnet: 'fd00:1::1/64', gateway: 'fd00:1::1'}]\n",
     "f:2: ranges[0].subnet: fd00:1::1/64: has host bits set; write fd00:1::/64"},
    {LEAST "offload_prefer: [10.1.10.5]\n",
     "f:3: offload_prefer[0]: 10.1.10.5: is no prefix; write it like 10.1.10.0/24, 10.1.10.5/32 or "
     "fd00:1::/64"},
    {LEAST "offload_prefer: [10.1.10.5/24]\n",
     "f:3: offload_prefer[0]: 10.1.10.5/24: has host bits set; write 10.1.10.0/24"},
    {UPLINKS "ranges: [{subnet: 10.1.10.0, gateway: 10.1.10.1}]\n",
     "f:2: ranges[0].subnet: 10.1.10.0: is not a subnet; write it like 10.1.10.0/24 or "
     "fd00:1::/64"},
    {UPLINKS "ranges: [{subnet: 10.1.10.1/32, gateway: 10.1.10.1}]\n",
     "f:2: ranges[0].subnet: 10.1.10.1/32: is no size for a range; write a prefix length of 8 to "
     "31"},
    {UPLINKS "ranges: [{subnet: '::/0', gateway: 'fd00::1'}]\n",
     "f:2: ranges[0].subnet: ::/0: is no size for a range; write a prefix length of 16 to 127"},
    {UPLINKS "ranges: [{subnet: 224.0.0.0/8, gateway: 10.1.10.1}]\n",
     "f:2: ranges[0].subnet: 224.0.0.0/8: is multicast, loopback, link-local or reserved; write a "
     "routed unicast subnet"},
    {UPLINKS "ranges: [{subnet: 'fe80::/64', gateway: 'fe80::1'}]\n",
     "f:2: ranges[0].subnet: fe80::/64: is multicast, loopback, link-local or reserved; write a "
     "routed unicast subnet\n"
     "f:2: ranges[0].gateway: fe80::1: is a multicast, loopback, link-local or reserved address; "
     "write a routed unicast one"},
    {UPLINKS "ranges: [{subnet: 10.1.10.0/24, gateway: 10.1.11.1}]\n",
     "f:2: ranges[0].gateway: 10.1.11.1: is not in the subnet 10.1.10.0/24; write the ToRs' "
     "address in it"},
    {UPLINKS "ranges: [{subnet: 10.1.10.0/24, gateway: 'fd00::1'}]\n",
     "f:2: ranges[0].gateway: fd00::1: is not in the subnet 10.1.10.0/24; write the ToRs' address "
     "in it"},
    {UPLINKS "ranges: [{subnet: 10.1.10.0/24, gateway: 10.1.10.255}]\n",
     "f:2: ranges[0].gateway: 10.1.10.255: is the network's or the broadcast address of "
     "10.1.10.0/24; write the ToRs' address"},
    {UPLINKS "ranges: [{subnet: 10.1.10.0/24, gateway: 10.1.10.0}]\n",
     "f:2: ranges[0].gateway: 10.1.10.0: is the network's or the broadcast address of "
     "10.1.10.0/24; write the ToRs' address"},
    {UPLINKS "ranges:\n"
             "- {subnet: 10.1.10.0/24, gateway: 10.1.10.1}\n"
             "- {subnet: 10.1.11.0/24, gateway: 10.1.11.1}\n"
             "- {subnet: 10.1.10.128/25, gateway: 10.1.10.129}\n"
             "- {subnet: 10.1.0.0/16, gateway: 10.1.0.1}\n",
     "f:5: ranges[2].subnet: 10.1.10.128/25: overlaps 10.1.10.0/24 in line 3; ranges must not, "
     "change one of them\n"
     "f:6: ranges[3].subnet: 10.1.0.0/16: overlaps 10.1.10.0/24 in line 3; ranges must not, change "
     "one of them\n"
     "f:6: ranges[3].subnet: 10.1.0.0/16: overlaps 10.1.11.0/24 in line 4; ranges must not, change "
     "one of them\n"
     "f:6: ranges[3].subnet: 10.1.0.0/16: overlaps 10.1.10.128/25 in line 5; ranges must not, "
     "change one of them"},
    {LEAST "host: {netdev: h, mac: 02:00:00:00:00:01, addresses: [10.1.11.5]}\n",
     "f:3: host.addresses[0]: 10.1.11.5: is in no range; add its subnet and gateway to ranges"},
    {LEAST "host: {netdev: h, mac: 02:00:00:00:00:01, addresses: [10.1.10.1, 10.1.10.255, "
           "10.1.10.5, 10.1.10.5]}\n",
     "f:3: host.addresses[0]: 10.1.10.1: is its range's gateway; write an address of the host\n"
     "f:3: host.addresses[1]: 10.1.10.255: is the network's or the broadcast address of its range; "
     "write an address of the host\n"
     "f:3: host.addresses[3]: 10.1.10.5: is there twice; delete one of them"},
    {LEAST "host: {netdev: h, mac: 02:00:00:00:00:01, addresses: [10.1.10.5/24]}\n",
     "f:3: host.addresses[0]: 10.1.10.5/24: is not an IP address; write it like 10.1.10.1 or "
     "fd00:1::1, with no prefix length"},
    {LEAST "router: {icmp_source: [10.1.10.5, 10.1.10.6]}\n",
     "f:3: router.icmp_source[1]: 10.1.10.6: is a second address of its family; write one IPv4 and "
     "one IPv6 address at most"},
    {LEAST "router: {icmp_source: [127.0.0.1]}\n",
     "f:3: router.icmp_source[0]: 127.0.0.1: is a multicast, loopback, link-local or reserved "
     "address; write a routed unicast one"},

    // YAML
    {UPLINKS "ranges: [{subnet: 10.1.10.0/24\n",
     "f:3: (file): (YAML): while parsing a flow mapping, did not find expected ',' or '}'; mend "
     "the YAML there"},
    {LEAST "\tmtu: 1500\n",
     "f:3: (file): (YAML): while scanning for the next token, found character that cannot start "
     "any token; mend the YAML there"},
    {LEAST "mtu: \xff\n", "f:3: (file): (YAML): invalid leading UTF-8 octet; mend the YAML there"},
    {LEAST "mtu: &m 1500\n", "f:3: (file): m: anchors (&name) are not read; delete it"},
    {LEAST "mtu: !!int 1500\n",
     "f:3: (file): tag:yaml.org,2002:int: tags (!name) are not read; delete it"},
    {LEAST "state: &s /x\nsocket: {path: *s}\n",
     "f:3: (file): s: anchors (&name) are not read; delete it\n"
     "f:4: (file): (alias): aliases (*name) are not read; write the value out"},

    // OpenFlow's peers.
    {LEAST "openflow:\n"
           "  listeners: ['tcp:6653', 'ptcp:0', 'ptcp:65536', 'ptcp:80x', 'ptcp:1', 'ptcp:1']\n",
     "f:4: openflow.listeners[0]: tcp:6653: is nothing to listen at; write it like ptcp:6653 or "
     "pssl:6653:10.1.0.10\n"
     "f:4: openflow.listeners[1]: ptcp:0: is nothing to listen at; write it like ptcp:6653 or "
     "pssl:6653:10.1.0.10\n"
     "f:4: openflow.listeners[2]: ptcp:65536: is nothing to listen at; write it like ptcp:6653 or "
     "pssl:6653:10.1.0.10\n"
     "f:4: openflow.listeners[3]: ptcp:80x: is nothing to listen at; write it like ptcp:6653 or "
     "pssl:6653:10.1.0.10\n"
     "f:4: openflow.listeners[5]: ptcp:1: is there twice; delete one of them"},
    {LEAST "openflow:\n  controllers: ['tcp:10.1.0.20', 'tcp::6653', 'ssl:h:1', 'tcp:fd00::1:1']\n"
           "  tls_key: /k\n",
     "f:4: openflow.controllers[0]: tcp:10.1.0.20: is no controller; write it like "
     "tcp:10.1.0.20:6653 or ssl:[fd00:1::20]:6653\n"
     "f:4: openflow.controllers[1]: tcp::6653: is no controller; write it like "
     "tcp:10.1.0.20:6653 or ssl:[fd00:1::20]:6653\n"
     "f:4: openflow.controllers[3]: tcp:fd00::1:1: is no controller; write it like "
     "tcp:10.1.0.20:6653 or ssl:[fd00:1::20]:6653\n"
     "f:4: openflow.controllers[2]: ssl:h:1: needs openflow.tls_key, tls_certificate and tls_ca; "
     "add them"},

    // All at once, and what cannot be known is not complained about.
    {"uplinks:\n"
     "- {netdev: eth/0}\n"
     "ranges:\n"
     "- {subnet: 10.1.10.0/33, gateway: 10.1.99.1}\n"
     "mtu: 100\n"
     "host: {netdev: h, mac: x, addresses: [10.1.10.5]}\n",
     "f:2: uplinks[0].netdev: eth/0: cannot be a netdev's name; write one that `ip link` shows\n"
     "f:4: ranges[0].subnet: 10.1.10.0/33: is not a subnet; write it like 10.1.10.0/24 or "
     "fd00:1::/64\n"
     "f:5: mtu: 100: is out of range; write 1280 to 9216 bytes\n"
     "f:6: host.mac: x: is not a MAC address; write it like 02:00:5e:00:53:01"},
};

static void bad_files_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_files) / sizeof(bad_files[0]); i++)
        assert_faults(bad_files[i].text, strlen(bad_files[i].text), bad_files[i].faults);
}

static void zero_bytes_are_refused(void **state)
{
    static const char text[] = UPLINKS "mtu: 15\0000\n" RANGES;

    (void)state;
    assert_faults(text, sizeof(text) - 1,
                  "f:2: (file): (NUL): has a NUL byte; is it another file? write plain text");
}

static void messages_stay_one_line_each(void **state)
{
    char text[2048], *error = NULL;
    struct config config;

    (void)state;
    snprintf(text, sizeof(text), LEAST "\"a\\n\\e[31m%01000d\": \"b\\n\\r\u00e4%0900d\"\n", 0, 0);
    assert_int_equal(config_parse("f", text, strlen(text), &config, &error), -EINVAL);
    assert_true(strlen(error) < 500);
    for (const char *c = error; *c; c++)
        assert_true(isprint((unsigned char)*c));
    free(error);
}

// Seconds of CPU time that refusing a file may take; the sanitizers cost a factor of ten.
#ifdef __SANITIZE_ADDRESS__
#define REFUSAL_S 100
#else
#define REFUSAL_S 10
#endif

// Repeats `part` until the text has `size` bytes, parses that between `before` and `after`, and
// expects a refusal with few lines in little time.
static void assert_bomb_is_harmless(const char *before, const char *part, const char *after,
                                    size_t size)
{
    char *text = malloc(size + 256), *error = NULL, *end = text;
    clock_t start = clock();
    struct config config;

    assert_non_null(text);
    end = stpcpy(end, before);
    while (end < text + size - strlen(part))
        end = stpcpy(end, part);
    end = stpcpy(end, after);
    assert_int_equal(config_parse("f", text, end - text, &config, &error), -EINVAL);
    assert_non_null(error);
    assert_true(strlen(error) < 101 * 512);
    assert_true(clock() - start < REFUSAL_S * CLOCKS_PER_SEC);
    free(error);
    free(text);
}

static void bombs_are_harmless(void **state)
{
    static const size_t full = 1 << 20;

    (void)state;
    assert_bomb_is_harmless(LEAST, "x: y\n", "", full + 1);
    assert_bomb_is_harmless(LEAST, "x: y\n", "", full);
    assert_bomb_is_harmless("a: ", "[", "", full);
    assert_bomb_is_harmless("a: ", "{a: ", "", full);
    assert_bomb_is_harmless("", "- ", "", full);
    assert_bomb_is_harmless("", "? ", "", full);
    assert_bomb_is_harmless("", "{", "", full);
    assert_bomb_is_harmless("x: [", "a,", "]", full);
    assert_bomb_is_harmless("uplinks: [", "{},", "]", full);
    assert_bomb_is_harmless("ranges: [", "{subnet: 10.0.0.0/8, gateway: 10.0.0.1},", "]", full);
    assert_bomb_is_harmless("x: ", "a", "", full);
    assert_bomb_is_harmless("x: \"", "\\\n", "\"", full);
    assert_bomb_is_harmless("? \"", "a", "\"\n: b\n", full);
    assert_bomb_is_harmless("a: &a [x,x,x,x,x,x,x,x,x]\n", "b: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\n",
                            "", full);
    assert_bomb_is_harmless("", "&a ", "", full);
    assert_bomb_is_harmless("", "!a ", "", full);
    assert_bomb_is_harmless("", "--- a\n", "", full);
    assert_bomb_is_harmless("", "\n", "", full);
    assert_bomb_is_harmless("", "\t", "", full);
}

static void files_that_cannot_be_read_are_named(void **state)
{
    struct config config;
    char *error = NULL;

    (void)state;
    assert_int_equal(config_load("/nowhere/sluice.yaml", &config, &error), -ENOENT);
    assert_string_equal(error, "/nowhere/sluice.yaml:1: (file): (none): cannot be read: No such "
                               "file or directory; write it or name another");
    free(error);
    assert_int_equal(config_load("/", &config, &error), -EISDIR);
    free(error);
    assert_int_equal(config_load("/dev/zero", &config, &error), -EINVAL);
    assert_string_equal(error, "/dev/zero:1: (file): (size): is larger than 1 MiB; is it another "
                               "file? write only what is needed");
    free(error);
}

// The example loads as it is, and with every commented line brought to life.
static void the_example_is_good(void **state)
{
    static char text[1 << 16], all[1 << 16];
    FILE *file = fopen(EXAMPLE, "re");
    struct config config;
    char *error = NULL, *to = all;

    (void)state;
    if (config_load(EXAMPLE, &config, &error) < 0)
        fail_msg("%s", error);
    assert_int_equal(config.n_uplinks, 2);
    assert_string_equal(config.host_device.name, "");

    assert_non_null(file);
    while (fgets(text, sizeof(text), file)) {
        char *from = text + strspn(text, " ");

        to = stpncpy(to, text, from - text);
        to = stpcpy(to, *from == '#' && isalpha((unsigned char)from[1]) ? from + 1 : from);
    }
    fclose(file);
    config = parse(all);
    assert_string_equal(config.host_device.name, "host0");
    assert_string_equal(config.uplinks[0].name, "tor-a");
    assert_int_equal(config.n_cpus, 1);
    assert_string_equal(config.socket_group, "adm");
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_file_gets_the_defaults),
        cmocka_unit_test(every_key_has_its_effect),
        cmocka_unit_test(devices_are_told_apart),
        cmocka_unit_test(full_lists_fit),
        cmocka_unit_test(bad_files_are_refused),
        cmocka_unit_test(zero_bytes_are_refused),
        cmocka_unit_test(messages_stay_one_line_each),
        cmocka_unit_test(bombs_are_harmless),
        cmocka_unit_test(files_that_cannot_be_read_are_named),
        cmocka_unit_test(the_example_is_good),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
