/* SPDX-License-Identifier: Apache-2.0 */
// The switch's ports: those of the dataplane, under their numbers.
#include "control/openflow/internal.h"

#include <errno.h>
#include <stdio.h>

#include "control/netdev.h"
#include "netdev-provider.h"
#include "netdev.h"
#include "openvswitch/netdev.h"
#include "simap.h"
#include "timeval.h"
#include "util.h"

#define LINK_POLL_MS 1000 // of DPDK devices, which do not tell

struct switch_port {
    bool open;
    bool stale; // its carrier is to be looked at
    struct port_view view;
    char netdev[DP_NAME_SIZE];
};

static struct switch_port ports[PORT_MAX + 1];
static struct simap by_name = SIMAP_INITIALIZER(&by_name); // their numbers
// Names of ports that came, changed or went, for ofproto to look at.
static char **news;
static size_t n_news, first_news, allocated_news;
static long long next_poll_ms;

static void tell(const char *name)
{
    if (n_news >= allocated_news)
        news = x2nrealloc(news, &allocated_news, sizeof(*news));
    news[n_news++] = xstrdup(name);
}

static bool read_carrier(uint16_t no)
{
    return ports[no].netdev[0] ? netdev_carrier(ports[no].netdev) : dp_port_link(no);
}

static void look_at_carrier(uint16_t no)
{
    struct switch_port *port = &ports[no];
    bool carrier = read_carrier(no);

    port->stale = false;
    if (carrier == port->view.carrier)
        return;
    port->view.carrier = carrier;
    dp_port_set_live(no, carrier);
    tell(port->view.name);
}

static void add(uint16_t no, const struct dp_port_info *info)
{
    struct switch_port *port = &ports[no];

    *port = (struct switch_port){.open = true};
    ovs_strlcpy(port->view.name, info->params.name, sizeof(port->view.name));
    ovs_strlcpy(port->netdev, info->params.netdev, sizeof(port->netdev));
    memcpy(&port->view.mac, &info->device_mac, sizeof(port->view.mac));
    port->view.carrier = read_carrier(no);
    dp_port_set_live(no, port->view.carrier);
    simap_put(&by_name, port->view.name, no);
    // ofproto gives numbers to ports, and takes wishes; LOCAL is none of those it gives.
    if (no != HOST_PORT)
        simap_put(&openflow_switch->ofp_requests, port->view.name, no);
    tell(port->view.name);
}

static void del(uint16_t no)
{
    struct switch_port *port = &ports[no];

    port->open = false;
    // Unless another port has got its name already.
    if (simap_get(&by_name, port->view.name) == no) {
        simap_find_and_delete(&by_name, port->view.name);
        simap_find_and_delete(&openflow_switch->ofp_requests, port->view.name);
    }
    tell(port->view.name);
}

void switch_ports_run(void)
{
    bool poll_links = time_msec() >= next_poll_ms;

    if (poll_links)
        next_poll_ms = time_msec() + LINK_POLL_MS;
    for (uint16_t no = 1; no <= PORT_MAX; no++) {
        const struct dp_port_info *info = dp_port_get(no);
        struct switch_port *port = &ports[no];

        if (port->open && (info == NULL || strcmp(info->params.name, port->view.name)))
            del(no);
        if (info && !port->open)
            add(no, info);
        else if (info && (port->stale || (poll_links && port->netdev[0] == '\0')))
            look_at_carrier(no);
    }
}

void switch_ports_netdev_changed(const char *name)
{
    for (uint16_t no = 1; no <= PORT_MAX; no++) {
        if (ports[no].open && ports[no].netdev[0] && (!name || !strcmp(name, ports[no].netdev)))
            ports[no].stale = true;
    }
}

void switch_ports_close(void)
{
    memset(ports, 0, sizeof(ports));
    simap_destroy(&by_name);
    simap_init(&by_name);
    while (first_news < n_news)
        free(news[first_news++]);
    free(news);
    news = NULL;
    n_news = first_news = allocated_news = 0;
}

static uint16_t find(const char *name)
{
    return (uint16_t)simap_get(&by_name, name); // 0, PORT_NONE: there is none
}

const struct port_view *switch_ports_find(const char *name)
{
    uint16_t no = find(name);

    return no == PORT_NONE ? NULL : &ports[no].view;
}

// ofproto's callbacks

int openflow_port_poll(const struct ofproto *ofproto, char **name)
{
    (void)ofproto;
    if (first_news == n_news) {
        first_news = n_news = 0;
        return EAGAIN;
    }
    *name = news[first_news++];
    return 0;
}

int openflow_port_query_by_name(const struct ofproto *ofproto, const char *name,
                                struct ofproto_port *port)
{
    uint16_t no = find(name);
    const struct ofport *known = shash_find_data(&ofproto->port_by_name, name);

    *port = (struct ofproto_port){0};
    if (no == PORT_NONE)
        return ENODEV;
    port->name = xstrdup(name);
    port->type = xstrdup(SWITCH_TYPE);
    port->ofp_port = no == HOST_PORT ? OFPP_LOCAL : known ? known->ofp_port : OFPP_NONE;
    return 0;
}

struct ofport *openflow_port_alloc(void)
{
    return xzalloc(sizeof(struct ofport));
}

int openflow_port_construct(struct ofport *port)
{
    ofproto_port_set_enable(port, true);
    return 0;
}

void openflow_port_destruct(struct ofport *port, bool del)
{
    (void)port;
    (void)del;
}

void openflow_port_dealloc(struct ofport *port)
{
    free(port);
}

void openflow_port_reconfigured(struct ofport *port, enum ofputil_port_config old_config)
{
    (void)port;
    (void)old_config;
}

// Ports come by attaching pods, not by OpenFlow's management.
int openflow_port_add(struct ofproto *ofproto, struct netdev *netdev)
{
    (void)ofproto;
    (void)netdev;
    return EOPNOTSUPP;
}

int openflow_port_del(struct ofproto *ofproto, ofp_port_t port)
{
    (void)ofproto;
    (void)port;
    return EOPNOTSUPP;
}

int openflow_port_get_stats(const struct ofport *port, struct netdev_stats *stats)
{
    uint16_t no = port_from_ofp(port->ofp_port);
    struct dp_port_stats counted;

    if (no == PORT_NONE || dp_port_get(no) == NULL || dp_port_stats(no, &counted))
        return ENODEV;
    memset(stats, 0xff, sizeof(*stats)); // what is not counted
    stats->rx_packets = counted.rx_packets;
    stats->rx_bytes = counted.rx_bytes;
    stats->tx_packets = counted.tx_packets;
    stats->tx_bytes = counted.tx_bytes;
    stats->rx_dropped = counted.rx_missed + drop_losses(counted.drops);
    return 0;
}

// No port is there when the switch is made.
int openflow_port_dump_start(const struct ofproto *ofproto, void **state)
{
    (void)ofproto;
    *state = xzalloc(sizeof(uint16_t) + DP_NAME_SIZE);
    return 0;
}

int openflow_port_dump_next(const struct ofproto *ofproto, void *state, struct ofproto_port *port)
{
    uint16_t *no = state;
    char *type = SWITCH_TYPE;

    (void)ofproto;
    while (++*no <= PORT_MAX) {
        if (!ports[*no].open)
            continue;
        *port = (struct ofproto_port){
            .name = ports[*no].view.name, .type = type, .ofp_port = port_to_ofp(*no)};
        return 0;
    }
    return EOF;
}

int openflow_port_dump_done(const struct ofproto *ofproto, void *state)
{
    (void)ofproto;
    free(state);
    return 0;
}
