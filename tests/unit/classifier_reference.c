/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/classifier_reference.h"

// Both have a struct cls_rule and a struct match.
#define cls_rule ovs_cls_rule
#define match    ovs_match
#include <config.h>

#include <classifier.h>
#include <flow.h>
#include <openvswitch/match.h>

struct reference {
    struct classifier classifier;
};

struct reference_rule {
    struct cls_rule rule;
};

// Fields, or bits of them, as libopenvswitch has them. `key` says of what kind the packet is.
static void fill_flow(struct flow *flow, const struct match_key *key, const struct match_key *from)
{
    const struct match_fields *f = &from->fields;

    flow->metadata = f->metadata;
    for (unsigned i = 0; i < RULE_REGS; i++)
        flow->regs[i] = ntohl(f->reg[i]);
    flow->in_port.ofp_port = u16_to_ofp(ntohs(from->in_port));
    memcpy(&flow->dl_dst, &f->eth_dst, 6);
    memcpy(&flow->dl_src, &f->eth_src, 6);
    flow->dl_type = f->eth_type;
    flow->vlans[0].tci = f->vlan_tci;
    switch (key->fields.eth_type) {
    case RTE_BE16(RTE_ETHER_TYPE_IPV4):
    case RTE_BE16(RTE_ETHER_TYPE_ARP):
        flow->nw_src = f->ip_src.s6_addr32[3];
        flow->nw_dst = f->ip_dst.s6_addr32[3];
        break;
    case RTE_BE16(RTE_ETHER_TYPE_IPV6):
        flow->ipv6_src = f->ip_src;
        flow->ipv6_dst = f->ip_dst;
    }
    flow->nw_proto = f->ip_proto;
    flow->nw_tos = f->ip_tos;
    flow->nw_frag = f->ip_frag;
    flow->tp_src = f->l4_src;
    flow->tp_dst = f->l4_dst;
    flow->tcp_flags = f->tcp_flags;
    memcpy(&flow->arp_sha, &f->arp_sha, 6);
    memcpy(&flow->arp_tha, &f->arp_tha, 6);
}

struct reference *reference_new(void)
{
    struct reference *reference = xmalloc(sizeof *reference);

    classifier_init(&reference->classifier, NULL);
    return reference;
}

void reference_free(struct reference *reference)
{
    classifier_destroy(&reference->classifier);
    free(reference);
}

struct reference_rule *reference_insert(struct reference *reference, const struct match_key *spec,
                                        const struct match_key *mask, int priority,
                                        uint64_t version)
{
    struct reference_rule *rule = xmalloc(sizeof *rule);
    struct match match;

    memset(&match, 0, sizeof match);
    fill_flow(&match.flow, spec, spec);
    fill_flow(&match.wc.masks, spec, mask);
    cls_rule_init(&rule->rule, &match, priority);
    classifier_insert(&reference->classifier, &rule->rule, version, NULL, 0);
    return rule;
}

void reference_hide(struct reference_rule *rule, uint64_t from_version)
{
    cls_rule_make_invisible_in_version(&rule->rule, from_version);
}

void reference_remove(struct reference *reference, struct reference_rule *rule)
{
    classifier_remove_assert(&reference->classifier, &rule->rule);
    cls_rule_destroy(&rule->rule);
    free(rule);
}

int reference_lookup(const struct reference *reference, uint64_t version,
                     const struct match_key *key)
{
    const struct cls_rule *rule;
    struct flow flow;

    memset(&flow, 0, sizeof flow);
    fill_flow(&flow, key, key);
    rule = classifier_lookup(&reference->classifier, version, &flow, NULL);
    return rule ? rule->priority : -1;
}
