/* SPDX-License-Identifier: Apache-2.0 */
// Sluice's own commands for `ovs-appctl -t /run/sluice/sluiced.ctl`.
#pragma once

void appctl_init(void);
