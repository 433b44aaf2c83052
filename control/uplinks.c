/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/uplinks.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "config/address.h"
#include "control/announce.h"
#include "control/attachments.h"
#include "control/frames.h"
#include "control/member_map.h"
#include "control/netdev.h"
#include "control/nic_rules.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

VLOG_DEFINE_THIS_MODULE(uplinks);

// A line a second for what a hostile neighbour of a ToR can make happen, after one for each gateway
// and uplink.
static struct vlog_rate_limit rl = VLOG_RATE_LIMIT_INIT(60, CONFIG_UPLINKS_MAX *CONFIG_RANGES_MAX);

// The links of devices without a kernel netdev are asked for this often.
#define LINK_POLL_MS 100
// An uplink that could not be opened is tried again after this long; a DPDK device, which costs
// more to look for, less and less often.
#define REOPEN_MS     1000
#define REOPEN_MAX_MS 8000
// After its device went: it takes so long until nobody calls the driver any more.
#define REOPEN_FIRST_MS 200
// After a link came up, so many rounds of probes at a short interval: most gateways answer at once,
// and the first frames of a new link are the ones that are lost.
#define EAGER_ROUNDS      20
#define EAGER_INTERVAL_MS 50

static const struct config *config;
static struct uplink uplinks[CONFIG_UPLINKS_MAX];
static unsigned n_uplinks;
static struct rte_ether_addr node_mac; // of the first uplink that was opened
static struct dp_member_map map;
static enum member_choice choices[CONFIG_RANGES_MAX];
static unsigned senders[CONFIG_UPLINKS_MAX][CONFIG_RANGES_MAX]; // rotates over a range's pods
static long long next_link_poll_ms;

static const char *range_text(unsigned range, char buf[ADDRESS_TEXT])
{
    return address_format_prefix(&config->ranges[range].subnet, config->ranges[range].prefix_len,
                                 buf);
}

static void log_choice(unsigned range, enum member_choice choice)
{
    char text[ADDRESS_TEXT];

    if (choice == choices[range])
        return;
    choices[range] = choice;
    range_text(range, text);
    if (choice == MEMBERS_ANSWERING)
        VLOG_INFO("gateway answers range=%s", text);
    else if (choice == MEMBERS_LAST_GOOD)
        VLOG_WARN("no gateway answers on any uplink, keeping what worked last range=%s", text);
    else
        VLOG_WARN("no uplink to send by range=%s", text);
}

static void map_update(void)
{
    bool changed = false;

    for (unsigned r = 0; r < config->n_ranges; r++) {
        struct member members[CONFIG_UPLINKS_MAX];
        bool in_use[CONFIG_UPLINKS_MAX];

        for (unsigned i = 0; i < n_uplinks; i++) {
            const struct gateway *gateway = &uplinks[i].gateways[r];

            members[i] = (struct member){
                .port = uplinks[i].port,
                .carrier = uplinks[i].open && uplinks[i].carrier,
                .answers = gateway->answers,
                .known = gateway->known,
                .gateway_mac = gateway->mac,
            };
            in_use[i] = uplinks[i].in_use[r];
        }
        log_choice(r, members_choose(members, n_uplinks, in_use));
        changed |= members_fill(members, n_uplinks, in_use, &map, r);
        for (unsigned i = 0; i < n_uplinks; i++)
            uplinks[i].in_use[r] = in_use[i];
    }
    if (!changed)
        return;
    int err = dp_member_map_set(&map);
    if (err)
        VLOG_ERR("member map not set error=%s", ovs_strerror(-err));
    else
        nic_rules_members(config, &map);
}

unsigned uplinks_buckets(unsigned i, unsigned range)
{
    unsigned n = 0;

    for (unsigned b = 0; b < DP_BUCKETS && map.gateway[range].valid; b++)
        n += map.gateway[range].bucket[b].port == uplinks[i].port;
    return n;
}

// Everything that lives in the range is announced on the uplink.
static void announce_range(unsigned i, unsigned range, long long now_ms)
{
    struct in6_addr address;

    for (unsigned n = 0; attachments_address(range, n, &address); n++)
        announce_add(i, range, &address, now_ms);
}

void uplinks_announce(unsigned range, const struct in6_addr *address, long long now_ms)
{
    for (unsigned i = 0; i < n_uplinks; i++)
        announce_add(i, range, address, now_ms);
}

void uplinks_announce_cancel(const struct in6_addr *address)
{
    announce_cancel(address);
}

static bool send_announcement(unsigned i, unsigned range, const struct in6_addr *address)
{
    uint8_t frame[FRAME_SIZE];
    size_t len;

    // When the link comes back, everything is announced anew.
    if (!uplinks[i].open || !uplinks[i].carrier)
        return true;
    len = frame_announce(frame, &node_mac, address);
    if (dp_inject(uplinks[i].port, frame, len) == -ENOBUFS)
        return false;
    // A router need not make a neighbour entry of an unsolicited advertisement (RFC 4861 section
    // 7.2.5), but it does of a solicitation (section 7.2.3).
    if (!ip_is_v4(address)) {
        len = frame_solicit(frame, &node_mac, address, &config->ranges[range].gateway);
        dp_inject(uplinks[i].port, frame, len);
    }
    return true;
}

static void set_carrier(struct uplink *uplink, bool carrier, long long now_ms)
{
    if (uplink->carrier == carrier)
        return;
    uplink->carrier = carrier;
    VLOG_INFO("carrier %s uplink=%s", carrier ? "up" : "lost", uplink->device->name);
    if (carrier) {
        uplink->probe_ms = now_ms;
        uplink->eager = EAGER_ROUNDS;
    } else {
        for (unsigned r = 0; r < config->n_ranges; r++)
            gateway_cut_off(&uplink->gateways[r]);
    }
    map_update();
}

static bool read_carrier(const struct uplink *uplink)
{
    return uplink->device->netdev[0] ? netdev_carrier(uplink->device->netdev)
                                     : dp_port_link(uplink->port);
}

const struct uplink *uplinks_first_on(const char *devargs)
{
    for (unsigned i = 0; i < n_uplinks; i++) {
        if (dp_same_device(uplinks[i].device->devargs, devargs))
            return uplinks[i].open ? NULL : &uplinks[i];
    }
    return NULL;
}

static int open_uplink(struct uplink *uplink, char **error)
{
    const struct uplink *first = uplinks_first_on(uplink->device->devargs);
    struct dp_port_params params = {
        .no = uplink->port,
        .kind = DP_PORT_UPLINK,
        .no_xdp = !uplink->device->xdp,
        .mtu = config->mtu,
        .mac = node_mac,
    };
    const struct dp_port_info *info;
    int err;

    // The first one's arguments are those that the device is to have.
    if (first && first != uplink) {
        *error = xasprintf("uplink %s: waits for uplink %s, which is on the same device",
                           uplink->device->name, first->device->name);
        return -ENODEV;
    }
    ovs_strlcpy(params.name, uplink->device->name, sizeof(params.name));
    ovs_strlcpy(params.netdev, uplink->device->netdev, sizeof(params.netdev));
    ovs_strlcpy(params.devargs, uplink->device->devargs, sizeof(params.devargs));
    uplink->ifindex = params.netdev[0] ? netdev_index(params.netdev) : 0;
    if (params.netdev[0] && uplink->ifindex == 0) {
        *error = xasprintf("uplink %s: no such netdev", params.netdev);
        return -ENODEV;
    }
    err = dp_port_add(&params, error);
    if (err)
        return err;
    info = dp_port_get(uplink->port);
    if (rte_is_zero_ether_addr(&node_mac)) {
        node_mac = info->device_mac;
        map.src_mac = node_mac;
    }
    uplink->open = true;
    // NICs cannot hash as the software does.
    if (config->offload != CONFIG_OFFLOAD_OFF && offload_port_has_nic(uplink->port))
        map.masked = true;
    nic_rules_uplink((unsigned)(uplink - uplinks), uplink->port, &node_mac);
    free(uplink->reason);
    free(uplink->gone);
    uplink->reason = uplink->gone = NULL;
    uplink->backoff_ms = REOPEN_MS;
    attachments_device_appeared(params.devargs);
    if (info->fallback[0])
        VLOG_WARN("uplink is slower than it could be uplink=%s driver=af_packet reason=%s",
                  params.name, info->fallback);
    VLOG_INFO("uplink open uplink=%s port=%u", params.name, uplink->port);
    set_carrier(uplink, read_carrier(uplink), time_msec());
    return 0;
}

static void close_uplink(struct uplink *uplink)
{
    char *error = NULL;

    if (!uplink->open)
        return;
    uplink->open = false;
    set_carrier(uplink, false, time_msec());
    nic_rules_uplink_gone((unsigned)(uplink - uplinks));
    rules_settle();
    if (dp_port_del(uplink->port, &error))
        VLOG_ERR("port not closed port=%u error=%s", uplink->port, error ? error : "");
    free(error);
}

static void retry_uplink(struct uplink *uplink, long long now_ms)
{
    char *error = NULL;

    if (open_uplink(uplink, &error)) {
        uplink->retry_ms = now_ms + uplink->backoff_ms;
        if (uplink->gone) {
            char *what = error;

            error = xasprintf("%s, and is tried again each %u s: %s", uplink->gone,
                              uplink->backoff_ms / 1000, what);
            free(what);
        }
        if (uplink->device->netdev[0] == '\0')
            uplink->backoff_ms = MIN(uplink->backoff_ms * 2, REOPEN_MAX_MS);
        if (uplink->reason == NULL || strcmp(uplink->reason, error) != 0)
            VLOG_WARN("uplink not open uplink=%s error=%s", uplink->device->name, error);
        free(uplink->reason);
        uplink->reason = error;
    }
}

int uplinks_open(const struct config *config_, char **error)
{
    bool any = false;

    config = config_;
    announce_init(config->announce_count, config->announce_interval_ms, send_announcement);
    for (unsigned r = 0; r < config->n_ranges; r++)
        choices[r] = MEMBERS_NONE;
    n_uplinks = config->n_uplinks;
    for (unsigned i = 0; i < n_uplinks; i++) {
        uplinks[i].device = &config->uplinks[i];
        uplinks[i].port = UPLINK_PORT(i);
        uplinks[i].backoff_ms = REOPEN_MS;
    }
    for (unsigned i = 0; i < n_uplinks; i++) {
        retry_uplink(&uplinks[i], time_msec());
        any |= uplinks[i].open;
    }
    // One is enough to begin with: the others are tried again.
    if (!any) {
        *error = xstrdup(uplinks[0].reason);
        return -ENODEV;
    }
    map_update();
    return 0;
}

void uplinks_close(void)
{
    for (unsigned i = 0; i < n_uplinks; i++) {
        free(uplinks[i].reason);
        free(uplinks[i].gone);
    }
    n_uplinks = 0;
    announce_fini();
}

unsigned uplinks_count(void)
{
    return n_uplinks;
}

const struct uplink *uplinks_get(unsigned i)
{
    return &uplinks[i];
}

struct rte_ether_addr uplinks_node_mac(void)
{
    return node_mac;
}

void uplinks_netdev_changed(int ifindex, const char *name, bool gone)
{
    for (unsigned i = 0; i < n_uplinks; i++) {
        struct uplink *uplink = &uplinks[i];
        const char *netdev = uplink->device->netdev;

        if (netdev[0] == '\0')
            continue;
        if (name == NULL)
            gone = uplink->open && netdev_index(netdev) != uplink->ifindex;
        else if (ifindex != uplink->ifindex && strcmp(name, netdev) != 0)
            continue;
        if (uplink->open && gone && (name == NULL || ifindex == uplink->ifindex)) {
            VLOG_WARN("netdev is gone uplink=%s", uplink->device->name);
            close_uplink(uplink);
            uplink->reason = xasprintf("uplink %s: no such netdev", netdev);
        } else if (uplink->open) {
            set_carrier(uplink, netdev_carrier(netdev), time_msec());
        }
    }
}

void uplinks_device_gone(const char *what)
{
    for (unsigned i = n_uplinks; i-- > 0;) {
        struct uplink *uplink = &uplinks[i];

        if (!uplink->open || !dp_port_gone(uplink->port))
            continue;
        close_uplink(uplink);
        uplink->gone = xasprintf("uplink %s: its device %s", uplink->device->name, what);
        VLOG_WARN("%s", uplink->gone);
        uplink->reason = xstrdup(uplink->gone);
        uplink->retry_ms = time_msec() + REOPEN_FIRST_MS;
    }
}

void uplinks_punt(const struct dp_punt *punt, long long now_ms)
{
    struct neighbour_answer answer;
    unsigned i = punt->port - UPLINK_PORT(0);

    if (i >= n_uplinks ||
        !frame_read_answer(punt->data, MIN(punt->len, sizeof(punt->data)), &answer))
        return;
    for (unsigned r = 0; r < config->n_ranges; r++) {
        struct gateway *gateway = &uplinks[i].gateways[r];
        bool before = gateway->answers;

        if (!IN6_ARE_ADDR_EQUAL(&answer.address, &config->ranges[r].gateway) ||
            !gateway_answered(gateway, &answer.mac, answer.solicited, now_ms))
            continue;
        map_update();
        char range[ADDRESS_TEXT], mac[ADDRESS_TEXT];
        VLOG_INFO_RL(&rl, "gateway learned uplink=%s range=%s mac=%s answers=%s",
                     uplinks[i].device->name, range_text(r, range),
                     mac_format(answer.mac.addr_bytes, mac), gateway->answers ? "yes" : "no");
        // A ToR that answers again may have forgotten, or never have heard, who is here.
        if (gateway->answers && !before)
            announce_range(i, r, now_ms);
    }
}

// In an eager round only those that do not answer yet.
static void probe(unsigned i, bool eager)
{
    struct uplink *uplink = &uplinks[i];
    bool changed = false;

    for (unsigned r = 0; r < config->n_ranges; r++) {
        uint8_t frame[FRAME_SIZE];
        struct in6_addr sender;

        if (eager && uplink->gateways[r].answers)
            continue;
        // Another pod each time: so the ToR's entries of all pods stay fresh. But after a miss,
        // none: a ToR whose neighbour table has no room for that pod still answers the node.
        bool pod =
            !uplink->gateways[r].waiting && (attachments_address(r, senders[i][r]++, &sender) ||
                                             attachments_address(r, senders[i][r] = 0, &sender));
        size_t len =
            frame_solicit(frame, &node_mac, pod ? &sender : NULL, &config->ranges[r].gateway);

        // A probe that could not be sent says nothing about the gateway.
        if (dp_inject(uplink->port, frame, len))
            continue;
        if (gateway_probed(&uplink->gateways[r], config->probe_misses)) {
            char range[ADDRESS_TEXT];
            VLOG_WARN("gateway does not answer uplink=%s range=%s misses=%u", uplink->device->name,
                      range_text(r, range), config->probe_misses);
            changed = true;
        }
    }
    if (changed)
        map_update();
}

static bool all_answer(const struct uplink *uplink)
{
    for (unsigned r = 0; r < config->n_ranges; r++) {
        if (!uplink->gateways[r].answers)
            return false;
    }
    return true;
}

long long uplinks_run(long long now_ms)
{
    long long next = announce_run(now_ms);

    if (now_ms >= next_link_poll_ms) {
        for (unsigned i = 0; i < n_uplinks; i++) {
            if (uplinks[i].open && uplinks[i].device->netdev[0] == '\0')
                set_carrier(&uplinks[i], read_carrier(&uplinks[i]), now_ms);
        }
        next_link_poll_ms = now_ms + LINK_POLL_MS;
    }
    next = MIN(next, next_link_poll_ms);
    for (unsigned i = 0; i < n_uplinks; i++) {
        struct uplink *uplink = &uplinks[i];

        if (!uplink->open) {
            if (now_ms >= uplink->retry_ms)
                retry_uplink(uplink, now_ms);
            next = MIN(next, uplink->retry_ms);
        }
        if (!uplink->open || !uplink->carrier)
            continue;
        if (now_ms >= uplink->probe_ms) {
            bool eager = uplink->eager > 0 && !all_answer(uplink);

            probe(i, eager);
            uplink->eager -= uplink->eager > 0;
            uplink->probe_ms = now_ms + (eager ? MIN(EAGER_INTERVAL_MS, config->probe_interval_ms)
                                               : config->probe_interval_ms);
        }
        next = MIN(next, uplink->probe_ms);
    }
    return next;
}
