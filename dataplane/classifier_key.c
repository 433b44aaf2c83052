/* SPDX-License-Identifier: Apache-2.0 */
// Which class a key and a rule are of, and what the members of a class have in common.
#include "dataplane/classifier_internal.h"

#define WORD(field)     (offsetof(struct match_key, fields.field) / 4)
#define MAPPED          RTE_BE32(0xffff) // the third word of an IPv4-mapped address
#define ETH_TYPE_BITS   RTE_BE32(0xffff0000)
#define IN_PREFIX(w, a) ((w)-WORD(a) < 3) // of an address

_Static_assert(WORD(eth_type) * 4 == offsetof(struct match_key, fields.eth_type) &&
                   WORD(vlan_tci) == WORD(eth_type),
               "the EtherType is the first half of its word");

enum key_class key_class(const struct match_key *key)
{
    const uint32_t *w = key_words(key), *src = w + WORD(ip_src), *dst = w + WORD(ip_dst);

    switch (key->fields.eth_type) {
    case RTE_BE16(RTE_ETHER_TYPE_IPV4):
        return src[0] | src[1] | (src[2] ^ MAPPED) | dst[0] | dst[1] | (dst[2] ^ MAPPED) ? KEY_ODD
                                                                                         : KEY_IPV4;
    case RTE_BE16(RTE_ETHER_TYPE_IPV6):
        return KEY_IPV6;
    default:
        return KEY_OTHER;
    }
}

unsigned rule_class(const struct cls_rule *rule)
{
    const uint32_t *spec = key_words(&rule->spec), *mask = key_words(&rule->mask);

    if (rule->mask.fields.eth_type != 0xffff)
        return RULE_ANY;
    if (rule->spec.fields.eth_type == RTE_BE16(RTE_ETHER_TYPE_IPV6))
        return KEY_IPV6;
    if (rule->spec.fields.eth_type != RTE_BE16(RTE_ETHER_TYPE_IPV4))
        return KEY_OTHER;
    // A rule that asks for what no IPv4 packet has is not treated as if it did not ask.
    for (unsigned w = 0; w < 3; w++)
        if (spec[WORD(ip_src) + w] != (mask[WORD(ip_src) + w] & (w == 2 ? MAPPED : 0)) ||
            spec[WORD(ip_dst) + w] != (mask[WORD(ip_dst) + w] & (w == 2 ? MAPPED : 0)))
            return RULE_ANY;
    return KEY_IPV4;
}

bool word_implied(unsigned class, unsigned word, uint32_t mask)
{
    switch (class) {
    case KEY_IPV4:
        return IN_PREFIX(word, ip_src) || IN_PREFIX(word, ip_dst) ||
               (word == WORD(eth_type) && !(mask & ~ETH_TYPE_BITS));
    case KEY_IPV6:
        return word == WORD(eth_type) && !(mask & ~ETH_TYPE_BITS);
    default:
        return false;
    }
}
