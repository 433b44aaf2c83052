/* SPDX-License-Identifier: Apache-2.0 */
// The operator's rules in tests: one call puts the rules in the place of all that were there.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/frame.h"

#define TABLE(n) ((enum rule_table)(RULE_TABLE_POLICY + (n)))
#define PORT_OUT(n)                                                                                \
    {                                                                                              \
        .type = ACTION_OUTPUT, .port = n                                                           \
    }

// A rule for all packets; the caller narrows its match.
static inline struct rule any_rule(unsigned table, uint16_t priority, const struct action *actions,
                                   unsigned n)
{
    struct rule rule = {.table = TABLE(table), .priority = priority};

    for (unsigned i = 0; i < n; i++)
        rule_add_action(&rule, actions[i]);
    return rule;
}

// Puts these rules, and no others, in force.
static inline void install(const struct rule *rules, unsigned n)
{
    static uint32_t slots[16];
    static unsigned n_slots;
    char *error = NULL;

    while (n_slots)
        dp_policy_del(slots[--n_slots]);
    assert_true(n <= 16);
    for (unsigned i = 0; i < n; i++)
        if (dp_policy_add(&rules[i], &slots[n_slots++], &error))
            fail_msg("%s", error);
    dp_policy_commit(true);
}

// One rule in table 0, for all packets.
static inline void install_actions(const struct action *actions, unsigned n)
{
    struct rule rule = any_rule(0, 1, actions, n);

    install(&rule, 1);
}

#define INSTALL(...)                                                                               \
    install_actions((const struct action[]){__VA_ARGS__},                                          \
                    sizeof((const struct action[]){__VA_ARGS__}) / sizeof(struct action))

static inline void assert_nothing_left(void)
{
    struct frame f;

    for (uint16_t port = 1; port <= NODE_PORTS; port++)
        if (frame_recv(port, &f))
            fail_msg("a frame left by port %u", port);
}

// Sends a frame that must be dropped for a reason, and leave nothing.
static inline void assert_dropped(uint16_t port, const struct frame *f, enum drop_reason reason)
{
    uint64_t before = node_drops(port, reason);

    frame_send(port, f);
    node_settle();
    if (node_drops(port, reason) != before + 1)
        fail_msg("not dropped as %s", drop_name(reason));
    assert_nothing_left();
}
