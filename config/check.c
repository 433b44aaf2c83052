/* SPDX-License-Identifier: Apache-2.0 */
// What the node file's values mean together.
#include <stdarg.h>
#include <string.h>

#include "config/address.h"
#include "config/reader.h"

#define MBUF_BYTES 2560 // struct rte_mbuf, headroom, 2 KiB of data and the pool's own

#define FIXED_MB 40 // tables, rings, ports: 36 were too few for one port

#define N_DEVICES_MAX (CONFIG_UPLINKS_MAX + 1)

// An uplink or the host's device with its place in the file.
struct device {
    struct config_device *device;
    char path[PATH_SIZE];
};

// The mark of a value that could be read, else NULL.
__attribute__((format(printf, 2, 3))) static const struct mark *
good_mark(const struct reader *reader, const char *format, ...)
{
    const struct mark *mark;
    char path[PATH_SIZE];
    va_list args;

    va_start(args, format);
    vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    mark = reader_mark(reader, path);
    return mark && mark->good ? mark : NULL;
}

static bool same_address(const struct in6_addr *a, const struct in6_addr *b)
{
    return memcmp(a, b, sizeof(*a)) == 0;
}

// IPv4 only: the first and the last address of a subnet with more than two (RFC 3021, RFC 1122
// section 3.2.1.3).
static bool is_network_or_broadcast(const struct in6_addr *ip, const struct config_range *range)
{
    unsigned host_bits = 128 - range->prefix_len;
    uint32_t host, ones;

    if (!IN6_IS_ADDR_V4MAPPED(ip) || host_bits < 2)
        return false;
    memcpy(&host, &ip->s6_addr[12], sizeof(host));
    ones = (UINT32_C(1) << host_bits) - 1; // at least a /8: no overflow
    host = ntohl(host) & ones;
    return host == 0 || host == ones;
}

static void check_ranges(struct reader *reader)
{
    const struct config *config = &reader->file.config;

    for (unsigned i = 0; i < config->n_ranges; i++) {
        const struct config_range *range = &config->ranges[i];
        const struct mark *subnet = good_mark(reader, "ranges[%u].subnet", i);
        const struct mark *gateway = good_mark(reader, "ranges[%u].gateway", i);
        char buf[ADDRESS_TEXT];

        if (!subnet)
            continue;
        if (gateway && !address_in_prefix(&range->gateway, &range->subnet, range->prefix_len))
            reader_fault(reader, gateway->line, gateway->path, gateway->value,
                         "is not in the subnet %s; write the ToRs' address in it",
                         address_format_prefix(&range->subnet, range->prefix_len, buf));
        else if (gateway && is_network_or_broadcast(&range->gateway, range))
            reader_fault(reader, gateway->line, gateway->path, gateway->value,
                         "is the network's or the broadcast address of %s; write the ToRs' address",
                         address_format_prefix(&range->subnet, range->prefix_len, buf));
        for (unsigned j = 0; j < i; j++) {
            const struct config_range *other = &config->ranges[j];
            const struct mark *other_subnet = good_mark(reader, "ranges[%u].subnet", j);

            if (!other_subnet)
                continue;
            if (address_in_prefix(&range->subnet, &other->subnet, other->prefix_len) ||
                address_in_prefix(&other->subnet, &range->subnet, range->prefix_len))
                reader_fault(reader, subnet->line, subnet->path, subnet->value,
                             "overlaps %s in line %u; ranges must not, change one of them",
                             address_format_prefix(&other->subnet, other->prefix_len, buf),
                             other_subnet->line);
        }
    }
}

// The value of `argument=` in devargs, and its length; NULL if it is not there.
static const char *devargs_value(const char *devargs, const char *argument, size_t *length)
{
    size_t n = strlen(argument);

    for (const char *c = strchr(devargs, ','); c; c = strchr(c, ',')) {
        c++;
        if (strncmp(c, argument, n) == 0 && c[n] == '=') {
            *length = strcspn(c + n + 1, ",");
            return c + n + 1;
        }
    }
    return NULL;
}

static bool same_text(const char *a, size_t a_length, const char *b, size_t b_length)
{
    return a && b && a_length == b_length && memcmp(a, b, a_length) == 0;
}

// What the device's driver opens in the kernel, "netdev" or devargs' "iface=".
static const char *kernel_name(const struct config_device *device, size_t *length)
{
    *length = strlen(device->netdev);
    return device->netdev[0] ? device->netdev : devargs_value(device->devargs, "iface", length);
}

static bool same_device(const struct config_device *a, const struct config_device *b)
{
    const char *name_a, *name_b;
    size_t length_a, length_b;

    name_a = kernel_name(a, &length_a);
    name_b = kernel_name(b, &length_b);
    if (same_text(name_a, length_a, name_b, length_b))
        return true;
    if (!a->devargs[0] || !b->devargs[0])
        return false;
    // The PCI domain 0000 may be left out. One NIC can have several ports, told apart by
    // "representor=".
    name_a = a->devargs + (strncmp(a->devargs, "0000:", 5) == 0 ? 5 : 0);
    name_b = b->devargs + (strncmp(b->devargs, "0000:", 5) == 0 ? 5 : 0);
    if (!same_text(name_a, strcspn(name_a, ","), name_b, strcspn(name_b, ",")))
        return false;
    name_a = devargs_value(a->devargs, "representor", &length_a);
    name_b = devargs_value(b->devargs, "representor", &length_b);
    return (!name_a && !name_b) || same_text(name_a, length_a, name_b, length_b);
}

// False if it has not just one of netdev and devargs.
static bool check_device(struct reader *reader, const struct device *device)
{
    const struct mark *mark = reader_mark(reader, device->path);
    char path[PATH_SIZE + 8];
    const struct mark *netdev, *devargs, *xdp;

    snprintf(path, sizeof(path), "%s.netdev", device->path);
    netdev = reader_mark(reader, path);
    snprintf(path, sizeof(path), "%s.devargs", device->path);
    devargs = reader_mark(reader, path);
    snprintf(path, sizeof(path), "%s.xdp", device->path);
    xdp = good_mark(reader, "%s", path);

    if (!netdev && !devargs) {
        // What is no mapping has been refused as such.
        if (strcmp(mark->value, "(mapping)") == 0)
            reader_fault(reader, mark->line, device->path, "(missing)",
                         "has no device; add netdev (a kernel netdev) or devargs (a DPDK device)");
        return false;
    }
    if (netdev && devargs) {
        reader_fault(reader, devargs->line, devargs->path, devargs->value,
                     "is a second device beside netdev in line %u; delete one of them",
                     netdev->line);
        return false;
    }
    if (devargs && xdp)
        reader_fault(reader, xdp->line, xdp->path, xdp->value,
                     "is for a netdev and this is a DPDK device; delete it");
    return netdev ? netdev->good : devargs->good;
}

static void name_device(struct config_device *device)
{
    if (device->name[0])
        return;
    if (device->netdev[0])
        strcpy(device->name, device->netdev);
    else // fits: see set_devargs
        snprintf(device->name, sizeof(device->name), "%.*s", (int)strcspn(device->devargs, ","),
                 device->devargs);
}

static void check_devices(struct reader *reader)
{
    struct config *config = &reader->file.config;
    struct device devices[N_DEVICES_MAX];
    unsigned n = 0;

    for (unsigned i = 0; i < config->n_uplinks; i++) {
        devices[n].device = &config->uplinks[i];
        snprintf(devices[n++].path, PATH_SIZE, "uplinks[%u]", i);
    }
    if (reader_mark(reader, "host")) {
        devices[n].device = &config->host_device;
        snprintf(devices[n++].path, PATH_SIZE, "host");
    }
    for (unsigned i = 0; i < n; i++) {
        const struct mark *mark = reader_mark(reader, devices[i].path);

        if (!check_device(reader, &devices[i])) {
            memset(devices[i].device, 0, sizeof(*devices[i].device)); // like no other
            continue;
        }
        name_device(devices[i].device);
        for (unsigned j = 0; j < i; j++) {
            if (same_device(devices[i].device, devices[j].device))
                reader_fault(reader, mark->line, devices[i].path, devices[i].device->name,
                             "is the same device as %s; each needs one of its own",
                             devices[j].path);
            else if (strcmp(devices[i].device->name, devices[j].device->name) == 0)
                reader_fault(reader, mark->line, devices[i].path, devices[i].device->name,
                             "has the same name as %s; give it another", devices[j].path);
        }
    }
}

static void check_host_addresses(struct reader *reader)
{
    const struct config *config = &reader->file.config;

    for (unsigned i = 0; i < config->n_host_addresses; i++) {
        const struct mark *mark = good_mark(reader, "host.addresses[%u]", i);
        const struct in6_addr *ip = &config->host_addresses[i];
        const struct config_range *range = NULL;
        bool range_unknown = false;

        if (!mark)
            continue;
        for (unsigned j = 0; j < config->n_ranges; j++) {
            if (!good_mark(reader, "ranges[%u].subnet", j))
                range_unknown = true;
            else if (address_in_prefix(ip, &config->ranges[j].subnet, config->ranges[j].prefix_len))
                range = &config->ranges[j];
        }
        if (!range && !range_unknown && config->n_ranges > 0)
            reader_fault(reader, mark->line, mark->path, mark->value,
                         "is in no range; add its subnet and gateway to ranges");
        else if (range && same_address(ip, &range->gateway))
            reader_fault(reader, mark->line, mark->path, mark->value,
                         "is its range's gateway; write an address of the host");
        else if (range && is_network_or_broadcast(ip, range))
            reader_fault(reader, mark->line, mark->path, mark->value,
                         "is the network's or the broadcast address of its range; write an "
                         "address of the host");
        for (unsigned j = 0; j < i; j++)
            if (good_mark(reader, "host.addresses[%u]", j) &&
                same_address(ip, &config->host_addresses[j]))
                reader_fault(reader, mark->line, mark->path, mark->value,
                             "is there twice; delete one of them");
    }
}

static void check_icmp_sources(struct reader *reader)
{
    static const struct in6_addr none;
    struct config *config = &reader->file.config;

    for (unsigned i = 0; i < reader->file.n_icmp_sources; i++) {
        const struct mark *mark = good_mark(reader, "router.icmp_source[%u]", i);
        const struct in6_addr *ip = &reader->file.icmp_sources[i];
        struct in6_addr *field =
            IN6_IS_ADDR_V4MAPPED(ip) ? &config->icmp_source4 : &config->icmp_source6;

        if (!mark)
            continue;
        if (!same_address(field, &none))
            reader_fault(reader, mark->line, mark->path, mark->value,
                         "is a second address of its family; write one IPv4 and one IPv6 address "
                         "at most");
        *field = *ip;
    }
}

static void check_cpus(struct reader *reader)
{
    const struct config *config = &reader->file.config;

    for (unsigned i = 0; i < config->n_cpus; i++) {
        const struct mark *mark = good_mark(reader, "workers.cpus[%u]", i);

        for (unsigned j = 0; mark && j < i; j++)
            if (good_mark(reader, "workers.cpus[%u]", j) && config->cpus[i] == config->cpus[j])
                reader_fault(reader, mark->line, mark->path, mark->value,
                             "is there twice; a CPU has one worker, delete one of them");
    }
}

// A name given twice, or TLS without certificates.
static void check_peers(struct reader *reader, const char *list, const char peers[][128],
                        unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        const struct mark *mark = good_mark(reader, "%s[%u]", list, i);

        if (mark && strstr(peers[i], "ssl:") &&
            (!reader_mark(reader, "openflow.tls_key") ||
             !reader_mark(reader, "openflow.tls_certificate") ||
             !reader_mark(reader, "openflow.tls_ca")))
            reader_fault(reader, mark->line, mark->path, mark->value,
                         "needs openflow.tls_key, tls_certificate and tls_ca; add them");
        for (unsigned j = 0; mark && j < i; j++)
            if (good_mark(reader, "%s[%u]", list, j) && strcmp(peers[i], peers[j]) == 0)
                reader_fault(reader, mark->line, mark->path, mark->value,
                             "is there twice; delete one of them");
    }
}

static void check_rest(struct reader *reader)
{
    const struct config *config = &reader->file.config;
    const struct mark *mark;
    uint64_t need_mb = ((uint64_t)config->mbufs * MBUF_BYTES >> 20) + 1 + FIXED_MB;

    mark = good_mark(reader, "memory.mbufs");
    if (!mark)
        mark = good_mark(reader, "memory.size");
    if (mark && need_mb > config->memory_mb)
        reader_fault(reader, mark->line, mark->path, mark->value,
                     "does not fit: %u packet buffers and the tables need %llu MiB and memory.size "
                     "is %u; write fewer or a larger size",
                     config->mbufs, (unsigned long long)need_mb, config->memory_mb);
    mark = good_mark(reader, "host.mac");
    if (mark && memcmp(config->host_mac, config->router_mac, sizeof(config->host_mac)) == 0)
        reader_fault(reader, mark->line, mark->path, mark->value,
                     "is router.mac; write the MAC of the host's end");
    mark = good_mark(reader, "state");
    if (mark && strcmp(config->state, config->socket) == 0)
        reader_fault(reader, mark->line, mark->path, mark->value,
                     "is socket.path; write another file");
}

void reader_check(struct reader *reader)
{
    check_devices(reader);
    check_ranges(reader);
    check_host_addresses(reader);
    check_icmp_sources(reader);
    check_cpus(reader);
    check_peers(reader, "openflow.listeners", reader->file.config.openflow_listeners,
                reader->file.config.n_openflow_listeners);
    check_peers(reader, "openflow.controllers", reader->file.config.openflow_controllers,
                reader->file.config.n_openflow_controllers);
    check_rest(reader);
}
