/* SPDX-License-Identifier: Apache-2.0 */
// Sluice's own commands for `ovs-appctl -t /run/sluice/sluiced.ctl`, and those of OVS's that want a
// place in the loop (memory/show, coverage's rates).
#pragma once

void appctl_init(void);
void appctl_run(void);
void appctl_wait(void);
