/* SPDX-License-Identifier: Apache-2.0 */
#include "control/gateway.h"

bool gateway_probed(struct gateway *gateway, unsigned probe_misses)
{
    bool stopped = false;

    if (gateway->waiting && gateway->misses < probe_misses) {
        gateway->misses++;
        if (gateway->misses >= probe_misses) {
            stopped = gateway->answers;
            gateway->answers = false;
        }
    }
    gateway->waiting = true;
    return stopped;
}

bool gateway_answered(struct gateway *gateway, const struct rte_ether_addr *mac, bool solicited,
                      long long now_ms)
{
    bool changed = !gateway->known || (!rte_is_same_ether_addr(&gateway->mac, mac) &&
                                       now_ms - gateway->changed_ms >= GATEWAY_HOLD_MS);

    if (changed) {
        gateway->known = true;
        gateway->mac = *mac;
        gateway->changed_ms = now_ms;
    }
    if (solicited && gateway->waiting) {
        changed |= !gateway->answers;
        gateway->answers = true;
        gateway->waiting = false;
        gateway->misses = 0;
    }
    return changed;
}

void gateway_cut_off(struct gateway *gateway)
{
    gateway->answers = false;
    gateway->waiting = false;
    gateway->misses = 0;
}
