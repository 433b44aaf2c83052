/* SPDX-License-Identifier: Apache-2.0 */
// Rules as testpmd's `flow create` lines, with their counters behind a `#`: rte_flow_dev_dump.
#include <arpa/inet.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "offload/esw/esw.h"
#include "offload/esw/line.h"

static const struct esw_range *range_of(const struct esw_program *program, size_t offset)
{
    for (unsigned i = 0; i < program->n_ranges; i++) {
        if (program->ranges[i].offset == offset)
            return &program->ranges[i];
    }
    return NULL;
}

static unsigned number(const void *base, size_t offset, size_t size)
{
    const uint8_t *field = (const uint8_t *)base + offset;

    return size == 1 ? field[0] : (unsigned)field[0] << 8 | field[1];
}

// A field of the key that is a number of one or two bytes.
static void say_number(struct esw_line *line, const char *name, const struct esw_program *program,
                       size_t offset, size_t size)
{
    unsigned spec = number(&program->key, offset, size);
    unsigned mask = number(&program->mask, offset, size);
    const struct esw_range *range = range_of(program, offset);

    if (range)
        esw_line_say(line, " %s spec %u %s last %u %s mask %u", name, range->first, name,
                     range->last, name, range->mask);
    else if (mask == (size == 1 ? UINT8_MAX : UINT16_MAX))
        esw_line_say(line, " %s is %u", name, spec);
    else if (mask)
        esw_line_say(line, " %s spec %u %s mask %u", name, spec, name, mask);
}

#define SAY(line, name, program, field)                                                            \
    say_number(line, name, program, offsetof(struct esw_key, field), sizeof((program)->key.field))

static void say_mac(struct esw_line *line, const char *name, const struct rte_ether_addr *spec,
                    const struct rte_ether_addr *mask)
{
    if (rte_is_broadcast_ether_addr(mask))
        esw_line_say(line, " %s is " RTE_ETHER_ADDR_PRT_FMT, name, RTE_ETHER_ADDR_BYTES(spec));
    else if (!rte_is_zero_ether_addr(mask))
        esw_line_say(line, " %s spec " RTE_ETHER_ADDR_PRT_FMT " %s mask " RTE_ETHER_ADDR_PRT_FMT,
                     name, RTE_ETHER_ADDR_BYTES(spec), name, RTE_ETHER_ADDR_BYTES(mask));
}

static void say_address(struct esw_line *line, int family, const uint8_t *address)
{
    char text[INET6_ADDRSTRLEN];

    if (family == AF_INET)
        esw_line_say(line, "%u.%u.%u.%u", address[0], address[1], address[2], address[3]);
    else
        esw_line_say(line, "%s", inet_ntop(family, address, text, sizeof(text)));
}

static void say_ip(struct esw_line *line, int family, const char *name, const uint8_t *spec,
                   const uint8_t *mask)
{
    static const uint8_t ones[16] = {255, 255, 255, 255, 255, 255, 255, 255,
                                     255, 255, 255, 255, 255, 255, 255, 255};
    static const uint8_t zeros[16];
    size_t size = family == AF_INET ? 4 : 16;

    if (!memcmp(mask, zeros, size))
        return;
    esw_line_say(line, " %s %s ", name, memcmp(mask, ones, size) ? "spec" : "is");
    say_address(line, family, spec);
    if (memcmp(mask, ones, size)) {
        esw_line_say(line, " %s mask ", name);
        say_address(line, family, mask);
    }
}

static void say_l3(struct esw_line *line, const struct esw_program *program)
{
    const struct esw_key *key = &program->key, *mask = &program->mask;
    bool v4 = key->l3 == 4;

    esw_line_say(line, " / ipv%u", key->l3);
    say_ip(line, v4 ? AF_INET : AF_INET6, "src", key->ip_src, mask->ip_src);
    say_ip(line, v4 ? AF_INET : AF_INET6, "dst", key->ip_dst, mask->ip_dst);
    SAY(line, v4 ? "tos" : "tc", program, ip_tos);
    SAY(line, "proto", program, ip_proto);
    SAY(line, v4 ? "ttl" : "hop", program, ip_ttl);
    SAY(line, "fragment_offset", program, fragment_offset);
    SAY(line, "has_frag_ext", program, has_frag_ext);
}

static void say_l4(struct esw_line *line, const struct esw_program *program)
{
    uint8_t l4 = program->key.l4;
    const char *name = l4 == IPPROTO_TCP    ? "tcp"
                       : l4 == IPPROTO_UDP  ? "udp"
                       : l4 == IPPROTO_SCTP ? "sctp"
                       : l4 == IPPROTO_ICMP ? "icmp"
                                            : "icmp6";

    esw_line_say(line, " / %s", name);
    SAY(line, "src", program, l4_src);
    SAY(line, "dst", program, l4_dst);
    SAY(line, "flags", program, tcp_flags);
    SAY(line, "type", program, icmp_type);
    SAY(line, "code", program, icmp_code);
}

static void say_pattern(struct esw_line *line, const struct esw *esw,
                        const struct esw_program *program)
{
    const struct esw_key *key = &program->key, *mask = &program->mask;
    bool vlan = mask->vlan_tci || mask->inner_type ||
                range_of(program, offsetof(struct esw_key, vlan_tci)) ||
                range_of(program, offsetof(struct esw_key, inner_type));

    if (mask->in_port)
        esw_line_say(
            line, " %s %s is %u /", program->from_app ? "port_representor" : "represented_port",
            program->from_app ? "port_id" : "ethdev_port_id", esw->ports[key->in_port - 1].port_id);
    else if (program->from_app)
        esw_line_say(line, " port_representor /");
    esw_line_say(line, " eth");
    say_mac(line, "dst", &key->eth_dst, &mask->eth_dst);
    say_mac(line, "src", &key->eth_src, &mask->eth_src);
    SAY(line, "type", program, eth_type);
    SAY(line, "has_vlan", program, has_vlan);
    if (vlan) {
        esw_line_say(line, " / vlan");
        SAY(line, "tci", program, vlan_tci);
        SAY(line, "inner_type", program, inner_type);
    }
    if (mask->l3)
        say_l3(line, program);
    if (mask->l4)
        say_l4(line, program);
    esw_line_say(line, " / end");
}

static void say_op(struct esw_line *line, const struct esw *esw, const struct esw_op *op)
{
    switch (op->type) {
    case ESW_OP_SET_ETH_SRC:
    case ESW_OP_SET_ETH_DST:
        esw_line_say(line, " set_mac_%s mac_addr " RTE_ETHER_ADDR_PRT_FMT " /",
                     op->type == ESW_OP_SET_ETH_SRC ? "src" : "dst",
                     RTE_ETHER_ADDR_BYTES(&op->mac));
        break;
    case ESW_OP_ADD_TTL:
        if (op->number == UINT8_MAX)
            esw_line_say(line, " dec_ttl /");
        else
            esw_line_say(
                line,
                " modify_field op add dst_type ipv4_ttl src_type value src_value %02x width 8 /",
                op->number);
        break;
    case ESW_OP_SET_TTL:
        esw_line_say(line, " set_ttl ttl_value %u /", op->number);
        break;
    case ESW_OP_SET_TOS: // DSCP, as net_esw sets nothing else of it
        esw_line_say(line, " set_ipv%u_dscp dscp_value %u /", op->only_l3, op->byte.value >> 2);
        break;
    case ESW_OP_SET_IP_SRC:
    case ESW_OP_SET_IP_DST:
        esw_line_say(line, " set_ipv%u_%s ipv%u_addr ", op->only_l3,
                     op->type == ESW_OP_SET_IP_SRC ? "src" : "dst", op->only_l3);
        say_address(line, op->only_l3 == 4 ? AF_INET : AF_INET6, op->ip);
        esw_line_say(line, " /");
        break;
    case ESW_OP_SET_L4_SRC:
    case ESW_OP_SET_L4_DST:
        esw_line_say(line, " set_tp_%s port %u /", op->type == ESW_OP_SET_L4_SRC ? "src" : "dst",
                     rte_be_to_cpu_16(op->l4));
        break;
    case ESW_OP_PUSH_VLAN:
        esw_line_say(line, " of_push_vlan ethertype %u /", rte_be_to_cpu_16(op->tpid));
        break;
    case ESW_OP_SET_VLAN_VID:
        esw_line_say(line, " of_set_vlan_vid vlan_vid %u /", rte_be_to_cpu_16(op->tci));
        break;
    case ESW_OP_SET_VLAN_PCP:
        esw_line_say(line, " of_set_vlan_pcp vlan_pcp %u /", rte_be_to_cpu_16(op->tci) >> 13);
        break;
    case ESW_OP_POP_VLAN:
        esw_line_say(line, " of_pop_vlan /");
        break;
    case ESW_OP_METER:
        esw_line_say(line, " meter mtr_id %u /", op->number);
        break;
    case ESW_OP_TO_WIRE_OR_VF:
        esw_line_say(line, " represented_port ethdev_port_id %u /", esw->ports[op->port].port_id);
        break;
    case ESW_OP_TO_APP:
        esw_line_say(line, " port_representor port_id %u /", esw->ports[op->port].port_id);
        break;
    case ESW_OP_JUMP:
        esw_line_say(line, " jump group %u /", op->number);
        break;
    case ESW_OP_DROP:
        esw_line_say(line, " drop /");
        break;
    }
}

void esw_dump_flow(FILE *file, const struct esw *esw, const struct rte_flow *flow)
{
    const struct esw_program *program = &flow->program;
    struct esw_line line;

    line.file = file;
    line.len = 0;
    esw_line_say(&line, "flow create %u group %u priority %u transfer pattern",
                 esw->ports[flow->owner].port_id, program->group, program->priority);
    say_pattern(&line, esw, program);
    esw_line_say(&line, " actions");
    if (program->count)
        esw_line_say(&line, " count /");
    if (program->age)
        esw_line_say(&line, " age timeout %u /", program->age_timeout);
    for (unsigned i = 0; i < program->n_ops; i++)
        say_op(&line, esw, &program->ops[i]);
    esw_line_say(&line, " end # packets %" PRIu64 " bytes %" PRIu64 "\n", flow->counter.hits,
                 flow->counter.bytes);
    esw_line_end(&line);
}
