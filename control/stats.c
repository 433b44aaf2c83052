/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/stats.h"

#include <string.h>
#include <unistd.h>

#include "config/address.h"
#include "control/attachments.h"
#include "control/netdev.h"
#include "control/rules.h"
#include "control/uplinks.h"
#include "openvswitch/json.h"
#include "timeval.h"
#include "util.h"

static const struct config *config;
static bool hugepages;
static long long started_ms;

void stats_init(const struct config *config_, bool hugepages_)
{
    config = config_;
    hugepages = hugepages_;
    started_ms = time_msec();
}

static void put_integer(struct json *object, const char *name, uint64_t value)
{
    json_object_put(object, name, json_integer_create((long long)value));
}

static void put_bool(struct json *object, const char *name, bool value)
{
    json_object_put(object, name, json_boolean_create(value));
}

// NULL and "" are null.
static void put_text(struct json *object, const char *name, const char *value)
{
    bool null = value == NULL || value[0] == '\0';

    json_object_put(object, name, null ? json_null_create() : json_string_create(value));
}

static void put_mac(struct json *object, const char *name, const uint8_t mac[6])
{
    char text[ADDRESS_TEXT];

    put_text(object, name, mac_format(mac, text));
}

static void put_time(struct json *object)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    put_integer(object, "time_us", now.tv_sec * 1000000ULL + now.tv_nsec / 1000);
}

const char *stats_driver_name(enum dp_driver driver)
{
    static const char *const names[] = {
        [DP_DRIVER_DPDK] = "dpdk",
        [DP_DRIVER_AF_XDP] = "af_xdp",
        [DP_DRIVER_AF_PACKET] = "af_packet",
    };
    return names[driver];
}

const char *stats_offload_mode(void)
{
    static const char *const names[] = {
        [CONFIG_OFFLOAD_OFF] = "off",
        [CONFIG_OFFLOAD_AUTO] = "auto",
        [CONFIG_OFFLOAD_REQUIRE] = "require",
    };
    return names[config->offload];
}

// A port of any kind, whether it is open or not.
struct port_view {
    uint16_t no;
    const char *kind;
    char name[DP_NAME_SIZE];
    const char *netdev, *devargs, *reason;
    uint8_t mac[6];
    unsigned mtu;
    bool up, link;
    const struct dp_port_info *info; // NULL if it is not open
    struct dp_port_stats stats;      // zeroes if it is not open
};

static void view_device(struct port_view *view)
{
    view->info = view->up ? dp_port_get(view->no) : NULL;
    if (view->info)
        dp_port_stats(view->no, &view->stats);
}

static void view_uplink(struct port_view *view, const struct uplink *uplink)
{
    *view = (struct port_view){
        .no = uplink->port,
        .kind = "uplink",
        .netdev = uplink->device->netdev,
        .devargs = uplink->device->devargs,
        .reason = uplink->reason,
        .mtu = config->mtu,
        .up = uplink->open,
        .link = uplink->open && uplink->carrier,
    };
    ovs_strlcpy(view->name, uplink->device->name, sizeof(view->name));
    view_device(view);
    if (view->info)
        memcpy(view->mac, &view->info->device_mac, sizeof(view->mac));
}

static void view_attached(struct port_view *view, const struct attached *a)
{
    bool host = a->kind == DP_PORT_HOST;

    *view = (struct port_view){
        .no = a->attachment.port,
        .kind = host ? "host" : "pod",
        .netdev = a->attachment.netdev,
        .devargs = a->attachment.devargs,
        .reason = a->reason,
        .mtu = a->attachment.mtu,
        .up = a->up,
    };
    memcpy(view->mac, a->attachment.mac, sizeof(view->mac));
    if (view->netdev[0])
        ovs_strlcpy(view->name, view->netdev, sizeof(view->name));
    else
        snprintf(view->name, sizeof(view->name), "port%u", view->no);
    view_device(view);
    view->link =
        view->up && (view->netdev[0] ? netdev_carrier(view->netdev) : dp_port_link(view->no));
}

// Every port by number; false: `no` is none.
static bool view_port(struct port_view *view, unsigned no)
{
    unsigned uplink = no - UPLINK_PORT(0);

    if (uplink < uplinks_count()) {
        view_uplink(view, uplinks_get(uplink));
        return true;
    }
    if (attachments_get(no)) {
        view_attached(view, attachments_get(no));
        return true;
    }
    return false;
}

static void put_counters(struct json *port, const struct dp_port_stats *stats)
{
    put_integer(port, "rx_packets", stats->rx_packets);
    put_integer(port, "rx_bytes", stats->rx_bytes);
    put_integer(port, "tx_packets", stats->tx_packets);
    put_integer(port, "tx_bytes", stats->tx_bytes);
}

static struct json *list_of(const char *name, struct json *list)
{
    struct json *result = json_object_create();

    json_object_put(result, name, list);
    return result;
}

struct json *stats_ports(void)
{
    struct json *list = json_array_create_empty();

    for (unsigned no = 1; no <= PORT_MAX; no++) {
        struct port_view view;
        struct json *port;

        if (!view_port(&view, no))
            continue;
        port = json_object_create();
        put_integer(port, "port", no);
        put_text(port, "name", view.name);
        put_text(port, "kind", view.kind);
        put_text(port, "state", view.up ? "up" : "down");
        put_text(port, "reason", view.reason);
        put_bool(port, "link", view.link);
        put_text(port, "netdev", view.netdev);
        put_text(port, "devargs", view.devargs);
        put_text(port, "driver", view.info ? stats_driver_name(view.info->driver) : NULL);
        put_text(port, "fallback", view.info ? view.info->fallback : NULL);
        if (mac_is_unicast(view.mac))
            put_mac(port, "mac", view.mac);
        else
            put_text(port, "mac", NULL);
        put_integer(port, "mtu", view.mtu);
        put_integer(port, "rx_queues", view.info ? view.info->n_rxq : 0);
        put_integer(port, "tx_queues", view.info ? view.info->n_txq : 0);
        put_counters(port, &view.stats);
        put_integer(port, "drops", drop_losses(view.stats.drops));
        json_array_add(list, port);
    }
    return list_of("ports", list);
}

struct json *stats_pods(void)
{
    struct json *list = json_array_create_empty();

    for (unsigned no = PORT_POD_FIRST; no < PORT_HOST; no++) {
        const struct attached *a = attachments_get(no);
        struct json *pod, *ips;

        if (a == NULL)
            continue;
        ips = json_array_create_empty();
        for (unsigned i = 0; i < a->attachment.n_addresses; i++) {
            char text[ADDRESS_TEXT];
            address_format(&a->attachment.addresses[i], text);
            json_array_add(ips, json_string_create(text));
        }
        pod = json_object_create();
        put_text(pod, "container_id", a->attachment.container_id);
        put_text(pod, "ifname", a->attachment.ifname);
        put_text(pod, "pod", a->attachment.pod);
        put_integer(pod, "port", no);
        put_text(pod, "state", a->up ? "up" : "down");
        put_text(pod, "reason", a->reason);
        put_text(pod, "netdev", a->attachment.netdev);
        put_text(pod, "devargs", a->attachment.devargs);
        put_mac(pod, "mac", a->attachment.mac);
        json_object_put(pod, "ips", ips);
        put_integer(pod, "mtu", a->attachment.mtu);
        json_array_add(list, pod);
    }
    return list_of("pods", list);
}

// Table, priority, match, actions.
static struct json *describe_rule(const struct rule *rule)
{
    struct json *object = json_object_create();
    char text[2048];

    put_text(object, "table", rule_table_name(rule->table));
    put_integer(object, "priority", rule->priority);
    rule_format_match(rule, text, sizeof(text));
    json_object_put_string(object, "match", text);
    rule_format_actions(rule, text, sizeof(text));
    json_object_put_string(object, "actions", text);
    return object;
}

// The cookie is the port of the rule's attachment; that of a range's default rule is 0. The
// operator's rules have any.
static void put_owner(struct json *object, const struct rule *rule)
{
    const struct attached *a = attachments_get((uint16_t)rule->cookie);

    json_object_put_format(object, "cookie", "0x%" PRIx64, rule->cookie);
    if (rule_table_is_policy(rule->table)) {
        json_object_put_string(object, "owner", "openflow");
    } else if (rule->cookie == 0) {
        const struct config_range *range = &config->ranges[rule->actions[0].gateway];
        char text[ADDRESS_TEXT];

        address_format_prefix(&range->subnet, range->prefix_len, text);
        json_object_put_format(object, "owner", "range %s", text);
    } else if (a && a->kind == DP_PORT_HOST) {
        json_object_put_string(object, "owner", "host");
    } else if (a) {
        json_object_put_format(object, "owner", "%s/%s", a->attachment.container_id,
                               a->attachment.ifname);
    }
}

void stats_rule(const struct held_rule *held, struct dp_rule_stats *stats)
{
    struct dp_policy_stats policy;

    if (!held->policy) {
        dp_rule_stats(held->slot, stats);
        return;
    }
    dp_policy_stats(held->slot, &policy);
    *stats = (struct dp_rule_stats){.packets = policy.packets, .bytes = policy.bytes};
}

struct json *stats_rules(void)
{
    struct json *list = json_array_create_empty();
    size_t n;
    struct held_rule **rules = rules_sorted(true, &n);

    for (size_t i = 0; i < n; i++) {
        struct dp_rule_stats stats;
        struct json *rule;

        if (rules[i]->nic_only)
            continue;
        rule = describe_rule(&rules[i]->rule);
        stats_rule(rules[i], &stats);
        put_owner(rule, &rules[i]->rule);
        put_integer(rule, "packets", stats.packets);
        put_integer(rule, "bytes", stats.bytes);
        put_bool(rule, "in_nic", offload_in_nic(rules[i]->offload));
        json_array_add(list, rule);
    }
    free(rules);
    return list_of("rules", list);
}

static struct json *named_drops(const uint64_t drops[DROP_N], bool zeroes)
{
    struct json *object = json_object_create();

    for (int reason = 0; reason < DROP_N; reason++) {
        if (zeroes || drops[reason])
            put_integer(object, drop_name(reason), drops[reason]);
    }
    return object;
}

struct json *stats_counters(void)
{
    struct json *result = json_object_create();
    struct json *list = json_array_create_empty(), *object;
    struct dp_totals totals;

    put_time(result);
    for (unsigned no = 1; no <= PORT_MAX; no++) {
        struct port_view view;

        if (!view_port(&view, no))
            continue;
        object = json_object_create();
        put_integer(object, "port", no);
        put_text(object, "name", view.name);
        put_text(object, "kind", view.kind);
        put_counters(object, &view.stats);
        put_integer(object, "originated", view.stats.originated);
        put_integer(object, "rx_missed", view.stats.rx_missed);
        json_object_put(object, "drops", named_drops(view.stats.drops, false));
        json_array_add(list, object);
    }
    json_object_put(result, "ports", list);

    dp_totals(&totals);
    object = json_object_create();
    put_integer(object, "rx", totals.rx);
    put_integer(object, "originated", totals.originated);
    put_integer(object, "tx", totals.tx);
    put_integer(object, "in_flight", totals.in_flight);
    json_object_put(object, "drops", named_drops(totals.drops, true));
    json_object_put(result, "totals", object);
    return result;
}

struct json *stats_workers(void)
{
    struct json *result = json_object_create();
    struct json *list = json_array_create_empty();

    for (unsigned i = 0; i < dp_n_workers(); i++) {
        struct json *worker = json_object_create();
        struct dp_worker_stats stats;

        dp_worker_stats(i, &stats);
        put_integer(worker, "worker", i);
        put_integer(worker, "cpu", stats.cpu);
        put_integer(worker, "queues", stats.n_queues);
        put_integer(worker, "polls", stats.polls);
        put_integer(worker, "bursts", stats.bursts);
        put_integer(worker, "packets", stats.packets);
        put_integer(worker, "busy_cycles", stats.busy_cycles);
        put_integer(worker, "idle_cycles", stats.idle_cycles);
        put_integer(worker, "sleep_cycles", stats.sleep_cycles);
        put_integer(worker, "sleeps", stats.sleeps);
        json_array_add(list, worker);
    }
    put_time(result);
    put_integer(result, "tsc_hz", dp_tsc_hz());
    json_object_put(result, "workers", list);
    return result;
}

static void add_problem(struct json *problems, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add_problem(struct json *problems, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    json_array_add(problems, json_string_create_nocopy(xvasprintf(format, args)));
    va_end(args);
}

static struct json *status_gateways(unsigned i, struct json *problems)
{
    const struct uplink *uplink = uplinks_get(i);
    struct json *list = json_array_create_empty();

    for (unsigned r = 0; r < config->n_ranges; r++) {
        const struct config_range *range = &config->ranges[r];
        const struct gateway *known = &uplink->gateways[r];
        struct json *gateway = json_object_create();
        char subnet[ADDRESS_TEXT], address[ADDRESS_TEXT];

        put_text(gateway, "range",
                 address_format_prefix(&range->subnet, range->prefix_len, subnet));
        put_text(gateway, "address", address_format(&range->gateway, address));
        if (known->known)
            put_mac(gateway, "mac", known->mac.addr_bytes);
        else
            put_text(gateway, "mac", NULL);
        put_bool(gateway, "answers", known->answers);
        put_integer(gateway, "buckets", uplinks_buckets(i, r));
        json_array_add(list, gateway);
        if (uplink->open && uplink->carrier && !known->answers)
            add_problem(problems, "uplink %s: gateway %s of range %s does not answer",
                        uplink->device->name, address, subnet);
    }
    return list;
}

static struct json *status_uplinks(struct json *problems)
{
    struct json *list = json_array_create_empty();

    for (unsigned i = 0; i < uplinks_count(); i++) {
        const struct uplink *uplink = uplinks_get(i);
        struct json *object = json_object_create();

        put_integer(object, "port", uplink->port);
        put_text(object, "name", uplink->device->name);
        put_bool(object, "link", uplink->open && uplink->carrier);
        json_object_put(object, "gateways", status_gateways(i, problems));
        json_array_add(list, object);
        if (!uplink->open)
            add_problem(problems, "%s", uplink->reason);
        else if (!uplink->carrier)
            add_problem(problems, "uplink %s: no carrier", uplink->device->name);
        if (uplink->open && offload_port_stuck(uplink->port))
            add_problem(problems,
                        "uplink %s: its NIC does not answer; it is closed and opened anew, once a "
                        "minute at most",
                        uplink->device->name);
    }
    return list;
}

static void count_pods(struct json *problems, size_t *up, size_t *down, size_t *ports)
{
    *up = *down = 0;
    *ports = uplinks_count();
    for (unsigned no = PORT_POD_FIRST; no <= PORT_HOST; no++) {
        const struct attached *a = attachments_get(no);

        if (a == NULL)
            continue;
        ++*ports;
        if (no == PORT_HOST) {
            if (!a->up)
                add_problem(problems, "host: %s", a->reason);
            continue;
        }
        ++*(a->up ? up : down);
        if (!a->up)
            add_problem(problems, "pod %s: %s",
                        a->attachment.pod[0] ? a->attachment.pod : a->attachment.container_id,
                        a->reason);
    }
}

struct json *stats_status(void)
{
    struct json *result = json_object_create();
    struct json *problems = json_array_create_empty(), *object;
    size_t up, down, ports, n_rules, in_nic = 0;
    struct held_rule **rules = rules_sorted(true, &n_rules);
    struct dp_memory memory;

    for (size_t i = 0; i < n_rules; i++)
        in_nic += offload_in_nic(rules[i]->offload);
    free(rules);
    dp_memory(&memory);

    put_text(result, "version", SLUICE_VERSION);
    put_integer(result, "pid", getpid());
    put_integer(result, "uptime_s", (time_msec() - started_ms) / 1000);
    json_object_put(result, "uplinks", status_uplinks(problems));

    count_pods(problems, &up, &down, &ports);
    object = json_object_create();
    put_integer(object, "up", up);
    put_integer(object, "down", down);
    json_object_put(result, "pods", object);

    object = json_object_create();
    put_integer(object, "used", ports);
    put_integer(object, "max", PORT_MAX);
    json_object_put(result, "ports", object);

    object = json_object_create();
    for (int table = 0; table < RULE_TABLE_N; table++) {
        if (!rule_table_is_policy(table))
            put_integer(object, rule_table_name(table), rules_count(table));
    }
    put_integer(object, "policy", stats_policy_rules());
    put_integer(object, "forward_max", memory.forward_rules_max);
    json_object_put(result, "rules", object);

    object = json_object_create();
    put_text(object, "mode", stats_offload_mode());
    put_integer(object, "rules", n_rules);
    put_integer(object, "in_nic", in_nic);
    json_object_put(result, "offload", object);

    json_object_put(result, "openflow", stats_openflow(problems));

    put_integer(result, "workers", dp_n_workers());
    object = json_object_create();
    put_bool(object, "hugepages", hugepages);
    put_integer(object, "mbufs", memory.mbufs);
    put_integer(object, "mbufs_free", memory.mbufs_free);
    json_object_put(result, "memory", object);

    put_text(result, "health", json_array(problems)->n == 0 ? "ok" : "degraded");
    json_object_put(result, "problems", problems);
    return result;
}
