/* SPDX-License-Identifier: Apache-2.0 */
// Packets that hit rules which are in the NIC, and that software would not just forward.
#include <netinet/in.h>

#include "offload/flow.h"

enum field {
    ETH_DST_GROUP, // the address's group bit
    TTL,
    FRAGMENT, // flags and offset of the IPv4 header
    HAS_FRAGMENT_HEADER,
    NEXT_HEADER,
    SRC_PORT,
    DST_PORT,
    ICMP6_TYPE,
};

struct exception {
    const char *what;
    uint8_t ip; // 4 or 6; 0: any frame
    enum field field;
    uint16_t spec, mask;
    uint16_t last; // 0: no range
};

static const struct exception always[] = {
    {"frames to group addresses", 0, ETH_DST_GROUP, 1, 1},
    // Answered with ICMP time exceeded (RFC 1812 section 5.3.1); DEC_TTL would send them on.
    {"packets whose TTL is used up", 4, TTL, 0, 0xfe},
    {"packets whose hop limit is used up", 6, TTL, 0, 0xfe},
    // What the guard takes for protocols of the fabric: DHCP servers, BFD (RFC 5881, RFC 5883, RFC
    // 7130).
    {"DHCP server messages", 4, SRC_PORT, 67, 0xffff},
    {"BFD", 4, DST_PORT, 3784, 0xfffe},
    {"multihop BFD", 4, DST_PORT, 4784, 0xffff},
    {"micro-BFD", 4, DST_PORT, 6784, 0xffff},
    {"DHCPv6 server messages", 6, SRC_PORT, 547, 0xffff},
    {"BFD over IPv6", 6, DST_PORT, 3784, 0xfffe},
    {"multihop BFD over IPv6", 6, DST_PORT, 4784, 0xffff},
    {"micro-BFD over IPv6", 6, DST_PORT, 6784, 0xffff},
    // Neighbour discovery (RFC 4861): 133 to 137.
    {"router solicitations", 6, ICMP6_TYPE, 133, 0xff},
    {"router advertisements and neighbour solicitations", 6, ICMP6_TYPE, 134, 0xfe},
    {"neighbour advertisements and redirects", 6, ICMP6_TYPE, 136, 0xfe},
    // The guard looks behind extension headers (RFC 7113 section 3); NICs differ in how far they
    // do. mlx5 does not take the numbers of these headers with all bits of the mask
    // (mlx5_flow_validate_item_ipv6): each has a neighbour, of no use behind IPv6, that goes with
    // it.
    {"packets with hop-by-hop options", 6, NEXT_HEADER, IPPROTO_HOPOPTS, 0xfe},
    {"packets with a routing header", 6, NEXT_HEADER, IPPROTO_ROUTING & 0xfe, 0xfe},
    {"packets with a fragment header", 6, NEXT_HEADER, IPPROTO_FRAGMENT, 0xfe},
    {"IPv6 fragments", 6, HAS_FRAGMENT_HEADER, 1, 1},
    {"packets with destination options", 6, NEXT_HEADER, IPPROTO_DSTOPTS, 0xfe},
    {"IPv6 with an authentication header", 6, NEXT_HEADER, IPPROTO_AH, 0xf7},
};

// Not 0: more fragments, or a bit of the offset.
static const struct exception fragment_range[] = {
    {"IPv4 fragments", 4, FRAGMENT, 1, 0x3fff, 0x3fff}};
#define BIT(n)                                                                                     \
    {                                                                                              \
        "IPv4 fragments", 4, FRAGMENT, 1 << (n), 1 << (n)                                          \
    }
static const struct exception fragments[] = {
    BIT(0), BIT(1), BIT(2), BIT(3),  BIT(4),  BIT(5),  BIT(6),
    BIT(7), BIT(8), BIT(9), BIT(10), BIT(11), BIT(12), BIT(13),
};

static const struct {
    const struct exception *list;
    unsigned n;
} exceptions[FLOW_EXCEPTIONS_N] = {
    [FLOW_EXCEPTIONS_ALWAYS] = {always, RTE_DIM(always)},
    [FLOW_EXCEPTIONS_FRAGMENTS] = {fragments, RTE_DIM(fragments)},
    [FLOW_EXCEPTIONS_FRAGMENT_RANGE] = {fragment_range, RTE_DIM(fragment_range)},
};

static_assert(RTE_DIM(always) <= FLOW_EXCEPTIONS_MAX && RTE_DIM(fragments) <= FLOW_EXCEPTIONS_MAX,
              "room for their handles");

static void add_field(struct flow *flow, const struct exception *exception)
{
    const uint16_t value[] = {exception->spec, exception->mask, exception->last};
    unsigned i = flow->n_items - 1; // the Ethernet or IP item

    if (exception->field == SRC_PORT || exception->field == DST_PORT)
        i = flow_add_item(flow, RTE_FLOW_ITEM_TYPE_UDP);
    else if (exception->field == ICMP6_TYPE)
        i = flow_add_item(flow, RTE_FLOW_ITEM_TYPE_ICMP6);
    union flow_item *const items[] = {&flow->spec[i], &flow->mask[i], &flow->last};

    if (exception->last)
        flow->items[i].last = &flow->last;
    for (unsigned n = 0; n < RTE_DIM(items); n++) {
        union flow_item *item = items[n];

        switch (exception->field) {
        case ETH_DST_GROUP:
            item->eth.hdr.dst_addr.addr_bytes[0] = (uint8_t)value[n];
            break;
        case TTL:
            if (exception->ip == 4)
                item->ipv4.hdr.time_to_live = (uint8_t)value[n];
            else
                item->ipv6.hdr.hop_limits = (uint8_t)value[n];
            break;
        case FRAGMENT:
            item->ipv4.hdr.fragment_offset = rte_cpu_to_be_16(value[n]);
            break;
        case HAS_FRAGMENT_HEADER:
            item->ipv6.has_frag_ext = value[n];
            break;
        case NEXT_HEADER:
            item->ipv6.hdr.proto = (uint8_t)value[n];
            break;
        case SRC_PORT:
            item->udp.hdr.src_port = rte_cpu_to_be_16(value[n]);
            break;
        case DST_PORT:
            item->udp.hdr.dst_port = rte_cpu_to_be_16(value[n]);
            break;
        case ICMP6_TYPE:
            item->icmp6.type = (uint8_t)value[n];
            break;
        }
    }
}

bool flow_build_exception(enum flow_exceptions kind, unsigned no, uint16_t ethdev,
                          struct flow *flow, const char **what)
{
    const struct exception *exception = &exceptions[kind].list[no];

    if (no >= exceptions[kind].n)
        return false;
    *what = exception->what;
    flow_begin(flow, RULE_TABLE_GUARD, 0);
    flow->ethdev = ethdev;
    flow_add_item(flow, RTE_FLOW_ITEM_TYPE_ETH);
    if (exception->ip == 4)
        flow_add_item(flow, RTE_FLOW_ITEM_TYPE_IPV4);
    else if (exception->ip == 6)
        flow_add_item(flow, RTE_FLOW_ITEM_TYPE_IPV6);
    add_field(flow, exception);
    flow_add_action(flow, RTE_FLOW_ACTION_TYPE_JUMP)->jump.group = FLOW_GROUP_SOFTWARE;
    flow_end(flow);
    return true;
}
