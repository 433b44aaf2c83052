/* SPDX-License-Identifier: Apache-2.0 */
// A dry run: the stages run on the control thread with a worker of their own, which has counters
// that nobody reads and sends nothing; where it has a `trace`, they say here what they do.
#pragma once

#include "dataplane/policy.h"

// What packets found in the table that they are at; NULL: no rule.
void trace_table(struct worker *w, struct policy_packet *const here[],
                 struct cls_rule *const hits[], unsigned n);
// A line of text.
void trace_note(const struct worker *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
// Takes frames that would be sent.
void trace_output(struct worker *w, uint16_t out, struct rte_mbuf **mbufs, unsigned n);
