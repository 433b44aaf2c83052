/* SPDX-License-Identifier: Apache-2.0 */
// Tells the service manager how the daemon is, as sd_notify(3) describes the protocol.
#pragma once

// "READY=1" or "STOPPING=1". Does nothing where no manager listens.
void notify_manager(const char *state);
