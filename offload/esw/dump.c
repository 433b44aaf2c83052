/* SPDX-License-Identifier: Apache-2.0 */
// Rules as testpmd's `flow create` lines, with their counters behind a `#`: rte_flow_dev_dump.
#include <arpa/inet.h>
#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "offload/esw/esw.h"

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
static void say_number(FILE *file, const char *name, const struct esw_program *program,
                       size_t offset, size_t size)
{
    unsigned spec = number(&program->key, offset, size);
    unsigned mask = number(&program->mask, offset, size);
    const struct esw_range *range = range_of(program, offset);

    if (range)
        fprintf(file, " %s spec %u %s last %u %s mask %u", name, range->first, name, range->last,
                name, range->mask);
    else if (mask == (size == 1 ? UINT8_MAX : UINT16_MAX))
        fprintf(file, " %s is %u", name, spec);
    else if (mask)
        fprintf(file, " %s spec %u %s mask %u", name, spec, name, mask);
}

#define SAY(file, name, program, field)                                                            \
    say_number(file, name, program, offsetof(struct esw_key, field), sizeof((program)->key.field))

static void say_mac(FILE *file, const char *name, const struct rte_ether_addr *spec,
                    const struct rte_ether_addr *mask)
{
    char of_spec[RTE_ETHER_ADDR_FMT_SIZE], of_mask[RTE_ETHER_ADDR_FMT_SIZE];

    rte_ether_format_addr(of_spec, sizeof(of_spec), spec);
    rte_ether_format_addr(of_mask, sizeof(of_mask), mask);
    if (rte_is_broadcast_ether_addr(mask))
        fprintf(file, " %s is %s", name, of_spec);
    else if (!rte_is_zero_ether_addr(mask))
        fprintf(file, " %s spec %s %s mask %s", name, of_spec, name, of_mask);
}

static void say_ip(FILE *file, int family, const char *name, const uint8_t *spec,
                   const uint8_t *mask)
{
    static const uint8_t ones[16] = {255, 255, 255, 255, 255, 255, 255, 255,
                                     255, 255, 255, 255, 255, 255, 255, 255};
    static const uint8_t zeros[16];
    size_t size = family == AF_INET ? 4 : 16;
    char of_spec[INET6_ADDRSTRLEN], of_mask[INET6_ADDRSTRLEN];

    inet_ntop(family, spec, of_spec, sizeof(of_spec));
    inet_ntop(family, mask, of_mask, sizeof(of_mask));
    if (!memcmp(mask, ones, size))
        fprintf(file, " %s is %s", name, of_spec);
    else if (memcmp(mask, zeros, size))
        fprintf(file, " %s spec %s %s mask %s", name, of_spec, name, of_mask);
}

static void say_l3(FILE *file, const struct esw_program *program)
{
    const struct esw_key *key = &program->key, *mask = &program->mask;
    bool v4 = key->l3 == 4;

    fprintf(file, " / ipv%u", key->l3);
    say_ip(file, v4 ? AF_INET : AF_INET6, "src", key->ip_src, mask->ip_src);
    say_ip(file, v4 ? AF_INET : AF_INET6, "dst", key->ip_dst, mask->ip_dst);
    SAY(file, v4 ? "tos" : "tc", program, ip_tos);
    SAY(file, "proto", program, ip_proto);
    SAY(file, v4 ? "ttl" : "hop", program, ip_ttl);
    SAY(file, "fragment_offset", program, fragment_offset);
    SAY(file, "has_frag_ext", program, has_frag_ext);
}

static void say_l4(FILE *file, const struct esw_program *program)
{
    uint8_t l4 = program->key.l4;
    const char *name = l4 == IPPROTO_TCP    ? "tcp"
                       : l4 == IPPROTO_UDP  ? "udp"
                       : l4 == IPPROTO_SCTP ? "sctp"
                       : l4 == IPPROTO_ICMP ? "icmp"
                                            : "icmp6";

    fprintf(file, " / %s", name);
    SAY(file, "src", program, l4_src);
    SAY(file, "dst", program, l4_dst);
    SAY(file, "flags", program, tcp_flags);
    SAY(file, "type", program, icmp_type);
    SAY(file, "code", program, icmp_code);
}

static void say_pattern(FILE *file, const struct esw *esw, const struct esw_program *program)
{
    const struct esw_key *key = &program->key, *mask = &program->mask;
    bool vlan = mask->vlan_tci || mask->inner_type ||
                range_of(program, offsetof(struct esw_key, vlan_tci)) ||
                range_of(program, offsetof(struct esw_key, inner_type));

    if (mask->in_port)
        fprintf(file, " %s %s is %u /", program->from_app ? "port_representor" : "represented_port",
                program->from_app ? "port_id" : "ethdev_port_id",
                esw->ports[key->in_port - 1].port_id);
    else if (program->from_app)
        fprintf(file, " port_representor /");
    fprintf(file, " eth");
    say_mac(file, "dst", &key->eth_dst, &mask->eth_dst);
    say_mac(file, "src", &key->eth_src, &mask->eth_src);
    SAY(file, "type", program, eth_type);
    SAY(file, "has_vlan", program, has_vlan);
    if (vlan) {
        fprintf(file, " / vlan");
        SAY(file, "tci", program, vlan_tci);
        SAY(file, "inner_type", program, inner_type);
    }
    if (mask->l3)
        say_l3(file, program);
    if (mask->l4)
        say_l4(file, program);
    fprintf(file, " / end");
}

static void say_op(FILE *file, const struct esw *esw, const struct esw_op *op)
{
    char mac[RTE_ETHER_ADDR_FMT_SIZE], ip[INET6_ADDRSTRLEN];

    switch (op->type) {
    case ESW_OP_SET_ETH_SRC:
    case ESW_OP_SET_ETH_DST:
        rte_ether_format_addr(mac, sizeof(mac), &op->mac);
        fprintf(file, " set_mac_%s mac_addr %s /", op->type == ESW_OP_SET_ETH_SRC ? "src" : "dst",
                mac);
        break;
    case ESW_OP_ADD_TTL:
        if (op->number == UINT8_MAX)
            fprintf(file, " dec_ttl /");
        else
            fprintf(
                file,
                " modify_field op add dst_type ipv4_ttl src_type value src_value %02x width 8 /",
                op->number);
        break;
    case ESW_OP_SET_TTL:
        fprintf(file, " set_ttl ttl_value %u /", op->number);
        break;
    case ESW_OP_SET_TOS: // DSCP, as net_esw sets nothing else of it
        fprintf(file, " set_ipv%u_dscp dscp_value %u /", op->only_l3, op->byte.value >> 2);
        break;
    case ESW_OP_SET_IP_SRC:
    case ESW_OP_SET_IP_DST:
        inet_ntop(op->only_l3 == 4 ? AF_INET : AF_INET6, op->ip, ip, sizeof(ip));
        fprintf(file, " set_ipv%u_%s ipv%u_addr %s /", op->only_l3,
                op->type == ESW_OP_SET_IP_SRC ? "src" : "dst", op->only_l3, ip);
        break;
    case ESW_OP_SET_L4_SRC:
    case ESW_OP_SET_L4_DST:
        fprintf(file, " set_tp_%s port %u /", op->type == ESW_OP_SET_L4_SRC ? "src" : "dst",
                rte_be_to_cpu_16(op->l4));
        break;
    case ESW_OP_PUSH_VLAN:
        fprintf(file, " of_push_vlan ethertype %u /", rte_be_to_cpu_16(op->tpid));
        break;
    case ESW_OP_SET_VLAN_VID:
        fprintf(file, " of_set_vlan_vid vlan_vid %u /", rte_be_to_cpu_16(op->tci));
        break;
    case ESW_OP_SET_VLAN_PCP:
        fprintf(file, " of_set_vlan_pcp vlan_pcp %u /", rte_be_to_cpu_16(op->tci) >> 13);
        break;
    case ESW_OP_POP_VLAN:
        fprintf(file, " of_pop_vlan /");
        break;
    case ESW_OP_METER:
        fprintf(file, " meter mtr_id %u /", op->number);
        break;
    case ESW_OP_TO_WIRE_OR_VF:
        fprintf(file, " represented_port ethdev_port_id %u /", esw->ports[op->port].port_id);
        break;
    case ESW_OP_TO_APP:
        fprintf(file, " port_representor port_id %u /", esw->ports[op->port].port_id);
        break;
    case ESW_OP_JUMP:
        fprintf(file, " jump group %u /", op->number);
        break;
    case ESW_OP_DROP:
        fprintf(file, " drop /");
        break;
    }
}

void esw_dump_flow(FILE *file, const struct esw *esw, const struct rte_flow *flow)
{
    const struct esw_program *program = &flow->program;

    fprintf(file, "flow create %u group %u priority %u transfer pattern",
            esw->ports[flow->owner].port_id, program->group, program->priority);
    say_pattern(file, esw, program);
    fprintf(file, " actions");
    if (program->count)
        fprintf(file, " count /");
    if (program->age)
        fprintf(file, " age timeout %u /", program->age_timeout);
    for (unsigned i = 0; i < program->n_ops; i++)
        say_op(file, esw, &program->ops[i]);
    fprintf(file, " end # packets %" PRIu64 " bytes %" PRIu64 "\n", flow->counter.hits,
            flow->counter.bytes);
}
