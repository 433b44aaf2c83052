/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "config/schema.h"

#define FIELD(member)                                                                              \
    .offset = offsetof(struct node_file, member), .size = sizeof(((struct node_file *)0)->member)
#define IN(type_, member)                                                                          \
    .offset = offsetof(struct type_, member), .size = sizeof(((struct type_ *)0)->member)
#define LIST_OF(member, count)                                                                     \
    .kind = SCHEMA_LIST, .offset = offsetof(struct node_file, member),                             \
    .size = sizeof(((struct node_file *)0)->member[0]),                                            \
    .count_offset = offsetof(struct node_file, count)

const struct schema_key schema[] = {
    {.path = "mtu",
     .type = &value_integer,
     .fallback = "1500",
     .unit = "bytes",
     .min = 1280, // RFC 8200 section 5
     .max = 9216,
     FIELD(config.mtu),
     .doc = "The largest IP packet of pods that do not ask for another size, and of the uplinks. "
            "The ToRs' ports must take as much."},
    {.path = "offload",
     .type = &value_choice,
     .fallback = "auto",
     .choices = "off|auto|require",
     FIELD(config.offload),
     .doc = "Whether rules go into the NIC too: `auto` puts in what the NIC takes and forwards the "
            "rest in software; with `require` an attachment whose rules the NIC refuses fails."},
    {.path = "offload_prefer",
     .min = 1,
     .max = CONFIG_PREFER_MAX,
     LIST_OF(config.offload_prefer, config.n_offload_prefer),
     .doc = "Which pods go first where a NIC has no room for all: those with an address in the "
            "first of these, then in the second, and so on, then all others; among equals those "
            "that were attached first. Whoever has no room is in software as a whole, and moves "
            "in when others leave."},
    {.path = "offload_prefer[]", .type = &value_prefix, .size = sizeof(struct config_prefix)},
    {.path = "state",
     .type = &value_path,
     .fallback = "/var/lib/sluice/state.db",
     FIELD(config.state),
     .doc = "The SQLite file that keeps attachments and the operator's rules over restarts of the "
            "daemon. Its folder is "
            "made if it is missing."},
    {.path = "log",
     .type = &value_word,
     .fallback = "info",
     .choices = "err|warn|info|dbg",
     FIELD(config.log_level),
     .doc = "The least important messages that are logged."},

    {.path = "uplinks",
     .required = true,
     .min = 1,
     .max = CONFIG_UPLINKS_MAX,
     LIST_OF(config.uplinks, config.n_uplinks),
     .doc = "The ports to the ToRs, one to each. Each is either a kernel netdev (`netdev`) or a "
            "DPDK device (`devargs`)."},
    {.path = "uplinks[].netdev",
     .type = &value_netdev,
     IN(config_device, netdev),
     .doc = "A kernel netdev's name."},
    {.path = "uplinks[].devargs",
     .type = &value_devargs,
     IN(config_device, devargs),
     .doc = "A DPDK device as in EAL's `-a` or `--vdev`: `0000:03:00.0`, `net_pcap0,iface=lo`."},
    {.path = "uplinks[].name",
     .type = &value_name,
     IN(config_device, name),
     .doc = "What people and metrics call it. Without it: the netdev's name, or `devargs` up to "
            "the first comma."},
    {.path = "uplinks[].xdp",
     .type = &value_bool,
     .fallback = "true",
     IN(config_device, xdp),
     .doc = "For `netdev`: use AF_XDP, and AF_PACKET only where that fails. With `false`: "
            "AF_PACKET at once, which is slower, and which has the kernel put IPv4 fragments "
            "together: "
            "what is larger than 2 KiB then is lost."},

    {.path = "ranges",
     .required = true,
     .min = 1,
     .max = CONFIG_RANGES_MAX,
     LIST_OF(config.ranges, config.n_ranges),
     .doc = "The address ranges that the ToRs serve: those of the pods, and the host's if the "
            "daemon forwards for the host. One address family each; they do not overlap."},
    {.path = "ranges[].subnet",
     .required = true,
     .type = &value_subnet,
     IN(config_range, subnet),
     .doc = "The range: `10.1.10.0/24`, `fd00:1::/64`."},
    {.path = "ranges[].gateway",
     .required = true,
     .type = &value_address,
     IN(config_range, gateway),
     .doc = "The ToRs' address in it."},

    {.path = "host",
     .kind = SCHEMA_MAP,
     .doc = "The way to the host's own network stack, if its traffic goes through the daemon: "
            "one end of a veth pair (`netdev`) or a DPDK device such as net_tap (`devargs`). "
            "Leave it out if the host has another way."},
    {.path = "host.netdev",
     .type = &value_netdev,
     FIELD(config.host_device.netdev),
     .doc = "The daemon's end of a veth pair."},
    {.path = "host.devargs",
     .type = &value_devargs,
     FIELD(config.host_device.devargs),
     .doc = "A DPDK device."},
    {.path = "host.xdp",
     .type = &value_bool,
     .fallback = "true",
     FIELD(config.host_device.xdp),
     .doc = "As of an uplink."},
    {.path = "host.mac",
     .required = true,
     .type = &value_mac,
     FIELD(config.host_mac),
     .doc = "The MAC of the host's end. The host is guarded like a pod: it sends from this MAC "
            "and its addresses only."},
    {.path = "host.addresses",
     .required = true,
     .min = 1,
     .max = 4,
     LIST_OF(config.host_addresses, config.n_host_addresses),
     .doc = "The host's addresses. Each lies in one of `ranges`."},
    {.path = "host.addresses[]", .type = &value_address, .size = sizeof(struct in6_addr)},

    {.path = "router", .kind = SCHEMA_MAP, .doc = "The router that the daemon is to its pods."},
    {.path = "router.mac",
     .type = &value_mac,
     .fallback = "02:00:5e:00:53:01",
     FIELD(config.router_mac),
     .doc = "What pods see as their gateway's MAC. The same on every node, so that a pod's "
            "neighbour entries stay right."},
    {.path = "router.icmp_source",
     .min = 1,
     .max = 2,
     LIST_OF(icmp_sources, n_icmp_sources),
     .doc = "The node's own addresses, at most one of each family: the source of ICMP errors "
            "about packets that came from outside. Without one of the family none are sent there. "
            "(To a pod they come from its gateway's address.)"},
    {.path = "router.icmp_source[]", .type = &value_address, .size = sizeof(struct in6_addr)},
    {.path = "router.icmp_errors",
     .type = &value_integer,
     .fallback = "100",
     .unit = "per second",
     .max = 100000,
     FIELD(config.icmp_errors_per_s),
     .doc = "How many ICMP errors the packets of one port may cause (RFC 1812 section 4.3.2.8, "
            "RFC 4443 section 2.4 f); 0: none, which breaks path MTU discovery and traceroute."},

    {.path = "workers",
     .kind = SCHEMA_MAP,
     .doc = "The threads that forward packets, each pinned to a CPU."},
    {.path = "workers.cpus",
     .min = 1,
     .max = CONFIG_CPUS_MAX,
     LIST_OF(config.cpus, config.n_cpus),
     .doc = "One worker on each of these CPUs, which should do nothing else. Without it: one, on "
            "the last CPU that the daemon may use."},
    {.path = "workers.cpus[]",
     .type = &value_integer,
     .max = 1023,
     .size = sizeof(((struct config *)0)->cpus[0])},
    {.path = "workers.idle",
     .type = &value_choice,
     .fallback = "adaptive",
     .choices = "adaptive|poll",
     FIELD(config.idle),
     .doc = "`adaptive`: spin under load, sleep when idle; `poll`: never sleep, which gives the "
            "least latency and always uses the whole CPU."},
    {.path = "workers.max_sleep",
     .type = &value_integer,
     .fallback = "500",
     .unit = "microseconds",
     .min = 1,
     .max = 100000,
     FIELD(config.max_sleep_us),
     .doc = "The longest sleep of an idle worker, and so the most that it adds to the latency of "
            "the first packet."},

    {.path = "memory", .kind = SCHEMA_MAP, .doc = "Memory for DPDK."},
    {.path = "memory.size",
     .type = &value_integer,
     .fallback = "1024",
     .unit = "MiB",
     .min = 64,
     .max = 1048576,
     FIELD(config.memory_mb),
     .doc = "Packet buffers and tables; from hugepages where there are any."},
    {.path = "memory.mbufs",
     .type = &value_integer,
     .fallback = "16384",
     .min = 1024,
     .max = 16777216,
     FIELD(config.mbufs),
     .doc = "Packet buffers in all, of about 2.5 KiB each. DPDK devices hold some all the time: "
            "2,048 for a receive queue of an uplink, 1,024 for one of a pod; kernel netdevs none. "
            "Making them is most of the time of a start without hugepages."},

    {.path = "gateway_probe",
     .kind = SCHEMA_MAP,
     .doc = "Each gateway is asked for its MAC (ARP, ND) on each uplink; where it does not answer, "
            "nothing is sent to it."},
    {.path = "gateway_probe.interval",
     .type = &value_integer,
     .fallback = "250",
     .unit = "milliseconds",
     .min = 10,
     .max = 60000,
     FIELD(config.probe_interval_ms),
     .doc = "Time from one probe to the next."},
    {.path = "gateway_probe.misses",
     .type = &value_integer,
     .fallback = "3",
     .min = 1,
     .max = 100,
     FIELD(config.probe_misses),
     .doc = "So many unanswered in a row, and the gateway does not answer on that uplink."},

    {.path = "announce",
     .kind = SCHEMA_MAP,
     .doc = "A pod's addresses are announced on every uplink when it is attached (gratuitous ARP, "
            "RFC 5227 section 3; unsolicited NA, RFC 4861 section 7.2.6)."},
    {.path = "announce.count",
     .type = &value_integer,
     .fallback = "3",
     .min = 1,
     .max = 100,
     FIELD(config.announce_count),
     .doc = "How many times."},
    {.path = "announce.interval",
     .type = &value_integer,
     .fallback = "1000",
     .unit = "milliseconds",
     .min = 10,
     .max = 60000,
     FIELD(config.announce_interval_ms),
     .doc = "Time from one to the next."},

    {.path = "openflow",
     .kind = SCHEMA_MAP,
     .doc = "The operator's rules, which come by OpenFlow (`docs/openflow.md`). The switch always "
            "is at `br0.mgmt` in the control socket's folder, for root; elsewhere nothing listens "
            "by default."},
    {.path = "openflow.miss",
     .type = &value_choice,
     .fallback = "normal",
     .choices = "normal|drop",
     FIELD(config.openflow_miss),
     .doc = "What becomes of a packet that no rule of table 0 matches: `normal` forwards it as if "
            "there were no rules, `drop` drops it."},
    {.path = "openflow.memory",
     .type = &value_integer,
     .fallback = "256",
     .unit = "MiB",
     .min = 1,
     .max = 65536,
     FIELD(config.openflow_memory_mb),
     .doc =
         "The most that all compiled tables take together; while one is compiled, a build takes "
         "up to four times as much of the machine's memory. A rule for which there is no room is "
         "refused (`OFPFMFC_TABLE_FULL`)."},
    {.path = "openflow.listeners",
     .min = 1,
     .max = CONFIG_PEERS_MAX,
     LIST_OF(config.openflow_listeners, config.n_openflow_listeners),
     .doc =
         "Where controllers and `ovs-ofctl` may connect to. Without TLS (`ptcp`) whoever reaches "
         "the port rules over the node's traffic: give an address that only operators reach."},
    {.path = "openflow.listeners[]",
     .type = &value_listener,
     .size = sizeof(((struct config *)0)->openflow_listeners[0])},
    {.path = "openflow.controllers",
     .min = 1,
     .max = CONFIG_PEERS_MAX,
     LIST_OF(config.openflow_controllers, config.n_openflow_controllers),
     .doc = "Controllers that the daemon connects to, and again when the connection is lost. Rules "
            "stay while they are away."},
    {.path = "openflow.controllers[]",
     .type = &value_controller,
     .size = sizeof(((struct config *)0)->openflow_controllers[0])},
    {.path = "openflow.max_backoff",
     .type = &value_integer,
     .fallback = "8",
     .unit = "seconds",
     .min = 1,
     .max = 3600,
     FIELD(config.openflow_max_backoff_s),
     .doc = "The longest time from one attempt to reach a controller to the next; it doubles from "
            "one second."},
    {.path = "openflow.probe",
     .type = &value_integer,
     .fallback = "5",
     .unit = "seconds",
     .max = 3600,
     FIELD(config.openflow_probe_s),
     .doc = "A controller that was quiet this long is asked for an echo; after as long again the "
            "connection is given up. 0: never."},
    {.path = "openflow.packet_in_rate",
     .type = &value_integer,
     .fallback = "1000",
     .unit = "per second",
     .min = 1,
     .max = 1000000,
     FIELD(config.openflow_packet_in_rate),
     .doc = "How many packets each peer is sent; what is more waits, and is dropped beyond "
            "`packet_in_burst`."},
    {.path = "openflow.packet_in_burst",
     .type = &value_integer,
     .fallback = "250",
     .min = 1,
     .max = 100000,
     FIELD(config.openflow_packet_in_burst),
     .doc = "How many may come at once and wait."},
    {.path = "openflow.tls_key",
     .type = &value_path,
     FIELD(config.openflow_key),
     .doc = "For `pssl` and `ssl`: the daemon's private key (PEM)."},
    {.path = "openflow.tls_certificate",
     .type = &value_path,
     FIELD(config.openflow_certificate),
     .doc = "Its certificate."},
    {.path = "openflow.tls_ca",
     .type = &value_path,
     FIELD(config.openflow_ca),
     .doc = "The certificates of the authorities that sign the peers'. A peer without one is "
            "refused."},

    {.path = "socket", .kind = SCHEMA_MAP, .doc = "The control socket."},
    {.path = "socket.path",
     .type = &value_path,
     .fallback = "/run/sluice/control.sock",
     FIELD(config.socket),
     .doc = "Where it is. The CNI plugin and `sluicectl` look for it there by default."},
    {.path = "socket.group",
     .type = &value_name,
     FIELD(config.socket_group),
     .doc = "Members of this group may read through it. Without it: root's group."},
};
const size_t schema_n = sizeof(schema) / sizeof(schema[0]);

const struct schema_key *schema_find(const char *path)
{
    for (size_t i = 0; i < schema_n; i++)
        if (strcmp(schema[i].path, path) == 0)
            return &schema[i];
    return NULL;
}

const char *schema_child(const struct schema_key *key, const char *parent)
{
    size_t n = strlen(parent);
    const char *name = key->path + n;

    if (strncmp(key->path, parent, n) != 0)
        return NULL;
    if (n > 0 && *name++ != '.')
        return NULL;
    return strpbrk(name, ".[") ? NULL : name;
}

void schema_defaults(const char *parent, void *base)
{
    size_t n = strlen(parent);
    char why[WHY_SIZE];

    for (size_t i = 0; i < schema_n; i++) {
        const struct schema_key *key = &schema[i];

        if (!key->fallback || strncmp(key->path, parent, n) != 0 || strchr(key->path + n, '['))
            continue;
        if (!key->type->set(key, (char *)base + key->offset, key->fallback, why))
            abort(); // the table contradicts itself
    }
}
