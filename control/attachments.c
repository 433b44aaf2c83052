/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/attachments.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "config/address.h"
#include "control/netdev.h"
#include "control/uplinks.h"
#include "hash.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(attachments);

// An attachment that is down is tried again after this long, or when its netdev appears, but then
// not sooner than RETRY_MIN_MS after the last time (opening a device makes notifications, too).
#define RETRY_MS     5000
#define RETRY_MIN_MS 1000

static const struct config *config;
static struct state *state;
static struct attached *by_port[PORT_MAX + 1];
// The same ones: by container and interface, by netdev or devargs, by each address.
static struct hmap by_key = HMAP_INITIALIZER(&by_key);
static struct hmap by_device = HMAP_INITIALIZER(&by_device);
static struct hmap by_address = HMAP_INITIALIZER(&by_address);
static bool any_down; // maybe

static void log_and_free(const char *what, const struct attached *a, char *error)
{
    VLOG_ERR("%s port=%u netdev=%s error=%s", what, a->attachment.port, a->attachment.netdev,
             error ? error : "");
    free(error);
}

// -1 if the address lies in none.
static int find_range(const struct in6_addr *address)
{
    for (unsigned r = 0; r < config->n_ranges; r++) {
        if (address_in_prefix(address, &config->ranges[r].subnet, config->ranges[r].prefix_len))
            return r;
    }
    return -1;
}

// Is this address of the range one that no station may have: the first is the network's (RFC 1122
// section 3.2.1.3) or the routers' anycast address (RFC 4291 section 2.6.1), IPv4's last is
// broadcast. RFC 3021 and RFC 6164: not so in point-to-point subnets.
static bool reserved_address(const struct in6_addr *address, const struct config_range *range)
{
    bool first = true, last = true;

    if (range->prefix_len >= 127)
        return false;
    for (unsigned bit = range->prefix_len; bit < 128; bit++) {
        if (address->s6_addr[bit / 8] & (0x80 >> (bit % 8)))
            first = false;
        else
            last = false;
    }
    return first || (last && ip_is_v4(address));
}

static void remove_rules(struct held_rule **rules)
{
    for (unsigned i = 0; i < STATE_ADDRESSES_MAX; i++) {
        rules_remove(rules[i]);
        rules[i] = NULL;
    }
}

// Also right for one that is open in part.
static void close_port(struct attached *a)
{
    uint16_t port = a->attachment.port;
    char *error = NULL;

    for (unsigned i = 0; i < a->attachment.n_addresses; i++)
        uplinks_announce_cancel(&a->attachment.addresses[i]);
    a->up = false;
    any_down = true;
    remove_rules(a->guards);
    rules_settle();
    if (dp_port_get(port) && dp_port_del(port, &error))
        log_and_free("port not closed", a, error);
}

static void shut(struct attached *a)
{
    remove_rules(a->forwards);
    close_port(a);
}

static char *waits_for(const struct uplink *uplink)
{
    return uplink->gone ? xstrdup(uplink->gone)
                        : xasprintf("waits for uplink %s, which is on the same device",
                                    uplink->device->name);
}

// Opens the port with its guard on; nothing is forwarded to it yet.
static int open_port(struct attached *a, char **error)
{
    const struct attachment *attachment = &a->attachment;
    struct dp_port_params params = {
        .no = attachment->port,
        .kind = a->kind,
        .mtu = attachment->mtu,
    };
    int err;

    for (unsigned i = 0; i < attachment->n_addresses; i++) {
        int range = find_range(&attachment->addresses[i]);

        if (range < 0) {
            char text[ADDRESS_TEXT];
            *error = xasprintf("%s is in no range of the node file",
                               address_format(&attachment->addresses[i], text));
            return -EADDRNOTAVAIL;
        }
        a->ranges[i] = range;
    }
    if (attachment->netdev[0]) {
        a->ifindex = netdev_index(attachment->netdev);
        if (a->ifindex == 0) {
            *error = xasprintf("netdev %s: no such device", attachment->netdev);
            return -ENODEV;
        }
        ovs_strlcpy(params.netdev, attachment->netdev, sizeof(params.netdev));
        ovs_strlcpy(params.name, attachment->netdev, sizeof(params.name));
        params.no_xdp = a->kind == DP_PORT_HOST && !config->host_device.xdp;
    } else {
        const struct uplink *first = uplinks_first_on(attachment->devargs);

        if (first) {
            *error = waits_for(first);
            return -ENODEV;
        }
        ovs_strlcpy(params.devargs, attachment->devargs, sizeof(params.devargs));
        snprintf(params.name, sizeof(params.name), "port%u", attachment->port);
    }
    memcpy(&params.mac, attachment->mac, sizeof(params.mac));
    err = dp_port_add(&params, error);
    for (unsigned i = 0; !err && i < attachment->n_addresses; i++) {
        struct rule rule = rule_guard(attachment->port, attachment->mac, &attachment->addresses[i],
                                      config->router_mac);

        err = rules_add(&rule, &a->guards[i], error);
    }
    if (err)
        close_port(a);
    return err;
}

// From now on traffic for its addresses goes to the port.
static int forward(struct attached *a, char **error)
{
    const struct attachment *attachment = &a->attachment;

    remove_rules(a->forwards); // of a port whose device was gone
    for (unsigned i = 0; i < attachment->n_addresses; i++) {
        struct rule rule = rule_forward(attachment->port, attachment->mac,
                                        &attachment->addresses[i], config->router_mac);
        int err = rules_add(&rule, &a->forwards[i], error);

        if (err) {
            remove_rules(a->forwards);
            return err;
        }
    }
    a->up = true;
    free(a->reason);
    a->reason = NULL;
    for (unsigned i = 0; i < attachment->n_addresses; i++)
        uplinks_announce(a->ranges[i], &attachment->addresses[i], time_msec());
    return 0;
}

static int bring_up(struct attached *a, char **error)
{
    int err = open_port(a, error);

    if (err)
        return err;
    err = forward(a, error);
    if (err)
        shut(a);
    return err;
}

// Takes the reason.
static void set_down(struct attached *a, char *reason)
{
    if (a->reason == NULL || strcmp(a->reason, reason) != 0)
        VLOG_WARN("down port=%u pod=%s container=%s reason=%s", a->attachment.port,
                  a->attachment.pod, a->attachment.container_id, reason);
    free(a->reason);
    a->reason = reason;
    a->tried_ms = time_msec();
    a->appeared = false;
}

static long long retry_ms(const struct attached *a)
{
    return a->tried_ms + (a->appeared ? RETRY_MIN_MS : RETRY_MS);
}

static int check_still_possible(const struct attached *a, char **error);

static void try_up(struct attached *a)
{
    char *error = NULL;

    if (check_still_possible(a, &error) || bring_up(a, &error))
        set_down(a, error);
    else
        VLOG_INFO("up port=%u pod=%s container=%s", a->attachment.port, a->attachment.pod,
                  a->attachment.container_id);
}

static struct attached *new_attached(const struct attachment *attachment, enum dp_port_kind kind)
{
    struct attached *a = xzalloc(sizeof(*a));

    a->attachment = *attachment;
    a->kind = kind;
    return a;
}

static void free_attached(struct attached *a)
{
    free(a->reason);
    free(a);
}

static const char *device_name(const struct attachment *attachment)
{
    return attachment->netdev[0] ? attachment->netdev : attachment->devargs;
}

static uint32_t hash_key(const char *container_id, const char *ifname)
{
    return hash_string(container_id, hash_string(ifname, 0));
}

static uint32_t hash_address(const struct in6_addr *address)
{
    return hash_bytes(address, sizeof(*address), 0);
}

static void enlist(struct attached *a)
{
    const struct attachment *attachment = &a->attachment;

    by_port[attachment->port] = a;
    any_down = any_down || !a->up;
    // The host has no container.
    if (a->kind == DP_PORT_POD)
        hmap_insert(&by_key, &a->by_key, hash_key(attachment->container_id, attachment->ifname));
    hmap_insert(&by_device, &a->by_device, hash_string(device_name(attachment), 0));
    for (unsigned i = 0; i < attachment->n_addresses; i++) {
        struct attached_address *entry = &a->by_address[i];

        entry->attached = a;
        entry->address = &attachment->addresses[i];
        hmap_insert(&by_address, &entry->node, hash_address(entry->address));
    }
}

static void delist(struct attached *a)
{
    by_port[a->attachment.port] = NULL;
    if (a->kind == DP_PORT_POD)
        hmap_remove(&by_key, &a->by_key);
    hmap_remove(&by_device, &a->by_device);
    for (unsigned i = 0; i < a->attachment.n_addresses; i++)
        hmap_remove(&by_address, &a->by_address[i].node);
}

static int open_host(char **error)
{
    struct attachment host = {.port = PORT_HOST, .mtu = config->mtu};

    if (config->host_device.name[0] == '\0')
        return 0;
    ovs_strlcpy(host.netdev, config->host_device.netdev, sizeof(host.netdev));
    ovs_strlcpy(host.devargs, config->host_device.devargs, sizeof(host.devargs));
    memcpy(host.mac, config->host_mac, sizeof(host.mac));
    host.n_addresses = config->n_host_addresses;
    memcpy(host.addresses, config->host_addresses, sizeof(config->host_addresses));

    struct attached *a = new_attached(&host, DP_PORT_HOST);
    int err = bring_up(a, error);

    if (err)
        free_attached(a);
    else
        enlist(a);
    return err;
}

int attachments_open(const struct config *config_, struct state *state_, char **error)
{
    struct attachment *list;
    size_t n, n_up = 0;
    int err;

    config = config_;
    state = state_;
    err = open_host(error);
    if (!err)
        err = state_list(state, &list, &n, error);
    if (err)
        return err;
    for (size_t i = 0; i < n; i++) {
        struct attached *a = new_attached(&list[i], DP_PORT_POD);

        enlist(a);
        // A representor is there once its uplink is open: attachments_run sees to it then.
        if (list[i].netdev[0])
            try_up(a);
        n_up += a->up;
    }
    free(list);
    if (n)
        VLOG_INFO("restored attachments=%zu up=%zu", n, n_up);
    return 0;
}

void attachments_close(void)
{
    for (unsigned port = 0; port <= PORT_MAX; port++) {
        struct attached *a = by_port[port];

        if (a) {
            delist(a);
            free_attached(a);
        }
    }
}

void attachments_netdev_changed(int ifindex, const char *name, bool gone)
{
    for (unsigned port = 0; port <= PORT_MAX; port++) {
        struct attached *a = by_port[port];
        const char *netdev = a ? a->attachment.netdev : "";

        if (netdev[0] == '\0')
            continue;
        if (a->up && (name ? gone && ifindex == a->ifindex : netdev_index(netdev) != a->ifindex)) {
            shut(a);
            set_down(a, xasprintf("netdev %s: no such device", netdev));
        } else if (!a->up && !gone && (name == NULL || !strcmp(name, netdev))) {
            a->appeared = true;
        }
    }
}

void attachments_device_gone(const char *what)
{
    for (unsigned port = 0; port <= PORT_MAX; port++) {
        struct attached *a = by_port[port];
        const struct uplink *first;

        if (!a || !a->up || !dp_port_gone((uint16_t)port))
            continue;
        // Else other pods' packets to it would go to a ToR, which sends them back.
        close_port(a);
        first = uplinks_first_on(a->attachment.devargs);
        set_down(a, first ? waits_for(first) : xasprintf("its device %s", what));
    }
}

void attachments_device_appeared(const char *devargs)
{
    for (unsigned port = 0; port <= PORT_MAX; port++) {
        struct attached *a = by_port[port];

        if (a && !a->up && dp_same_device(a->attachment.devargs, devargs))
            a->tried_ms = 0;
    }
}

long long attachments_run(long long now_ms)
{
    long long next = LLONG_MAX;

    if (!any_down)
        return next;
    any_down = false;
    for (unsigned port = 0; port <= PORT_MAX; port++) {
        struct attached *a = by_port[port];

        if (a && !a->up && now_ms >= retry_ms(a))
            try_up(a);
        if (a && !a->up) {
            next = MIN(next, retry_ms(a));
            any_down = true;
        }
    }
    return next;
}

static struct attached *find(const char *container_id, const char *ifname)
{
    struct attached *a;

    HMAP_FOR_EACH_WITH_HASH(a, by_key, hash_key(container_id, ifname), &by_key)
    {
        if (!strcmp(a->attachment.container_id, container_id) &&
            !strcmp(a->attachment.ifname, ifname))
            return a;
    }
    return NULL;
}

static bool same_addresses(const struct attachment *a, const struct attachment *b)
{
    return a->n_addresses == b->n_addresses &&
           !memcmp(a->addresses, b->addresses, a->n_addresses * sizeof(a->addresses[0]));
}

static bool same_attachment(const struct attachment *a, const struct attachment *b)
{
    return !strcmp(a->netdev, b->netdev) && !strcmp(a->devargs, b->devargs) &&
           !memcmp(a->mac, b->mac, sizeof(a->mac)) && a->mtu == b->mtu && !strcmp(a->pod, b->pod) &&
           same_addresses(a, b);
}

// May a pod have the address at all?
static int check_address(const struct in6_addr *address, struct fault *fault)
{
    int range = find_range(address);
    char text[ADDRESS_TEXT];

    address_format(address, text);
    if (range < 0)
        return fault_set(fault, FAULT_no_range, "ips: %s is in no range of the node file", text);
    if (IN6_ARE_ADDR_EQUAL(address, &config->ranges[range].gateway))
        return fault_set(fault, FAULT_address_in_use, "ips: %s is the gateway of its range", text);
    if (reserved_address(address, &config->ranges[range]))
        return fault_set(fault, FAULT_invalid_params,
                         "ips: %s is the network's or the broadcast address of its range", text);
    return 0;
}

// Does nobody but `self` have it?
static int check_address_free(const struct in6_addr *address, const struct attached *self,
                              struct fault *fault)
{
    const struct attached_address *entry;
    char text[ADDRESS_TEXT];

    HMAP_FOR_EACH_WITH_HASH(entry, node, hash_address(address), &by_address)
    {
        const struct attachment *other = &entry->attached->attachment;

        if (entry->attached == self || !IN6_ARE_ADDR_EQUAL(address, entry->address))
            continue;
        address_format(address, text);
        if (other->port == PORT_HOST)
            return fault_set(fault, FAULT_address_in_use, "ips: the host has %s", text);
        return fault_set(fault, FAULT_address_in_use, "ips: container %s (%s) has %s",
                         other->container_id, other->ifname, text);
    }
    return 0;
}

static bool same_device(const struct attachment *a, const char *netdev, const char *devargs)
{
    return a->netdev[0] ? !strcmp(a->netdev, netdev) : !strcmp(a->devargs, devargs);
}

// Could there be such an attachment on this node?
static int check_possible(const struct attachment *attachment, struct fault *fault)
{
    if (attachment->mtu > config->mtu)
        return fault_set(fault, FAULT_invalid_params, "mtu: %u is more than the node's %u",
                         attachment->mtu, config->mtu);
    if (!memcmp(attachment->mac, config->router_mac, 6))
        return fault_set(fault, FAULT_invalid_params, "mac: is the router's");
    for (unsigned i = 0; i < attachment->n_addresses; i++) {
        // RFC 8200 section 5: every IPv6 link carries 1280 bytes.
        if (!ip_is_v4(&attachment->addresses[i]) && attachment->mtu < 1280)
            return fault_set(fault, FAULT_invalid_params, "mtu: %u is too small for IPv6",
                             attachment->mtu);
        if (check_address(&attachment->addresses[i], fault))
            return -1;
    }

    for (unsigned i = 0; i < config->n_uplinks; i++) {
        if (same_device(attachment, config->uplinks[i].netdev, config->uplinks[i].devargs))
            return fault_set(fault, FAULT_no_device, "%s is an uplink", device_name(attachment));
    }
    return 0;
}

// Does nobody but `self` have what it wants to have?
static int check_free(const struct attachment *attachment, const struct attached *self,
                      struct fault *fault)
{
    const struct attached *a;

    for (unsigned i = 0; i < attachment->n_addresses; i++) {
        if (check_address_free(&attachment->addresses[i], self, fault))
            return -1;
    }
    HMAP_FOR_EACH_WITH_HASH(a, by_device, hash_string(device_name(attachment), 0), &by_device)
    {
        const struct attachment *other = &a->attachment;

        if (a != self && same_device(attachment, other->netdev, other->devargs))
            return fault_set(fault, FAULT_no_device, "%s belongs to port %u (%s)",
                             device_name(attachment), other->port,
                             other->port == PORT_HOST ? "the host" : other->container_id);
    }
    return 0;
}

// The node file may have changed since it was attached.
static int check_still_possible(const struct attached *a, char **error)
{
    struct fault fault = {0};

    if (a->kind == DP_PORT_HOST ||
        (!check_possible(&a->attachment, &fault) && !check_free(&a->attachment, a, &fault)))
        return 0;
    *error = fault.message;
    return -1;
}

// PORT_NONE if there is none. A port that the dataplane could not close stays taken.
static uint16_t free_port(void)
{
    for (uint16_t port = PORT_POD_FIRST; port < PORT_HOST; port++) {
        if (by_port[port] == NULL && dp_port_get(port) == NULL)
            return port;
    }
    return PORT_NONE;
}

// Opens a new attachment, in the order that lets a crash at any instant leave it attached whole or
// not at all.
static int make(struct attached *a, struct fault *fault)
{
    char *error = NULL;
    enum fault_code code = FAULT_no_device;
    int err = open_port(a, &error);

    if (!err) {
        code = FAULT_internal;
        err = state_add(state, &a->attachment, &error);
        if (!err) {
            err = forward(a, &error);
            if (err) {
                char *more = NULL;

                if (state_del(state, a->attachment.container_id, a->attachment.ifname, &more))
                    log_and_free("attachment that failed stays in the state", a, more);
            }
        }
        if (err)
            shut(a);
    }
    if (err)
        fault_set(fault, err == -ENOTSUP ? FAULT_not_offloaded : code, "%s", error);
    free(error);
    return err;
}

int attachments_attach(const struct attachment *request, const struct attached **attached,
                       struct fault *fault)
{
    struct attachment attachment = *request;
    struct attached *a = find(attachment.container_id, attachment.ifname);

    if (attachment.mtu == 0)
        attachment.mtu = config->mtu;
    if (check_possible(&attachment, fault))
        return -1;
    if (a) {
        if (!same_attachment(&a->attachment, &attachment))
            return fault_set(fault, FAULT_already_attached,
                             "container %s (%s) is attached otherwise, as port %u",
                             attachment.container_id, attachment.ifname, a->attachment.port);
        if (!a->up)
            try_up(a);
        if (!a->up)
            return fault_set(fault, FAULT_no_device, "%s", a->reason);
        *attached = a;
        return 0;
    }
    if (check_free(&attachment, NULL, fault))
        return -1;
    attachment.port = free_port();
    if (attachment.port == PORT_NONE)
        return fault_set(fault, FAULT_no_ports, "all ports are in use");
    a = new_attached(&attachment, DP_PORT_POD);
    if (make(a, fault)) {
        free_attached(a);
        return -1;
    }
    enlist(a);
    VLOG_INFO("attached port=%u pod=%s container=%s ifname=%s netdev=%s", attachment.port,
              attachment.pod, attachment.container_id, attachment.ifname, attachment.netdev);
    *attached = a;
    return 0;
}

int attachments_detach(const char *container_id, const char *ifname, bool *detached,
                       struct fault *fault)
{
    struct attached *a = find(container_id, ifname);
    char *error = NULL;

    *detached = a != NULL;
    if (a == NULL)
        return 0;
    if (state_del(state, container_id, ifname, &error)) {
        fault_set(fault, FAULT_internal, "%s", error);
        free(error);
        return -1;
    }
    delist(a);
    shut(a);
    VLOG_INFO("detached port=%u pod=%s container=%s ifname=%s", a->attachment.port,
              a->attachment.pod, container_id, ifname);
    free_attached(a);
    return 0;
}

int attachments_check(const struct check_params *check, struct fault *fault)
{
    const struct attachment *expected = &check->expected;
    const struct attached *a = find(expected->container_id, expected->ifname);

    if (a == NULL)
        return fault_set(fault, FAULT_not_attached, "container %s (%s) is not attached",
                         expected->container_id, expected->ifname);
    if (!a->up)
        return fault_set(fault, FAULT_not_healthy, "%s", a->reason);
    if (a->ifindex && netdev_index(a->attachment.netdev) != a->ifindex)
        return fault_set(fault, FAULT_not_healthy, "netdev %s is gone", a->attachment.netdev);
    if (check->netdev && strcmp(expected->netdev, a->attachment.netdev) != 0)
        return fault_set(fault, FAULT_not_healthy, "netdev is %s, not %s", a->attachment.netdev,
                         expected->netdev);
    if (check->mac && memcmp(expected->mac, a->attachment.mac, sizeof(expected->mac)) != 0) {
        char text[ADDRESS_TEXT];
        return fault_set(fault, FAULT_not_healthy, "mac is %s",
                         mac_format(a->attachment.mac, text));
    }
    if (check->ips && !same_addresses(expected, &a->attachment))
        return fault_set(fault, FAULT_not_healthy, "ips are others than those given");
    return 0;
}

const struct attached *attachments_get(uint16_t port)
{
    return port <= PORT_MAX ? by_port[port] : NULL;
}

bool attachments_address(unsigned range, unsigned n, struct in6_addr *address)
{
    for (unsigned port = 0; port <= PORT_MAX; port++) {
        const struct attached *a = by_port[port];

        for (unsigned i = 0; a && a->up && i < a->attachment.n_addresses; i++) {
            if (a->ranges[i] == range && n-- == 0) {
                *address = a->attachment.addresses[i];
                return true;
            }
        }
    }
    return false;
}
