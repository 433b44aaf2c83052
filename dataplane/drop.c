/* SPDX-License-Identifier: Apache-2.0 */
#include "dataplane/drop.h"

static const struct {
    const char *name, *text;
} reasons[DROP_N] = {
#define X(name, text) [DROP_##name] = {#name, text},
    DROP_REASONS(X)
#undef X
};

const char *drop_name(enum drop_reason reason)
{
    return reasons[reason].name;
}

const char *drop_text(enum drop_reason reason)
{
    return reasons[reason].text;
}

uint64_t drop_losses(const uint64_t drops[DROP_N])
{
    uint64_t sum = 0;

    for (int reason = 0; reason < DROP_N; reason++)
        sum += reason == DROP_punted ? 0 : drops[reason];
    return sum;
}
