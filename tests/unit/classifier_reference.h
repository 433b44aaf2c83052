/* SPDX-License-Identifier: Apache-2.0 */
// What a packet matches by libopenvswitch's classifier, which knows nothing of ours.
#pragma once

#include "dataplane/classifier.h"

struct reference;
struct reference_rule;

struct reference *reference_new(void);
void reference_free(struct reference *reference); // empty
// The EtherType of spec says which addresses the rule is about; without it, it matches none.
struct reference_rule *reference_insert(struct reference *reference, const struct match_key *spec,
                                        const struct match_key *mask, int priority,
                                        uint64_t version);
void reference_hide(struct reference_rule *rule, uint64_t from_version);
void reference_remove(struct reference *reference, struct reference_rule *rule);
// The priority of the rule that matches, -1: none does.
int reference_lookup(const struct reference *reference, uint64_t version,
                     const struct match_key *key);
