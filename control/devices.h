/* SPDX-License-Identifier: Apache-2.0 */
// DPDK devices that go while the daemon runs, and those that do not answer: their ports are closed,
// and the devices, so that uplinks.c and attachments.c can open them again.
#pragma once

// Before the uplinks and the attachments have their turn. Returns when to be called again.
long long devices_run(long long now_ms);
