/* SPDX-License-Identifier: Apache-2.0 */
// The operator's rules of the benchmark, and changes to them while packets are forwarded.
#pragma once

#include <stdbool.h>

// A line for each rule: PRIORITY SRC LEN DST LEN PROTO SPORT MASK DPORT MASK ALLOW (IPv4).
int policy_load(const char *path, char **error);
// To be called often. True: again soon.
bool policy_poll(void);
// {"busy": it is still being compiled, "rules":, "table_bytes":, "structure":, "delta": rules that
// wait for a build, "builds":, "build_us": the last one's}
void policy_print(void);
// Changes the table `rate` times a second: takes out the oldest rule or puts it back, in turn. Each
// change is committed before the next begins, those that are due at once together. Prints
// {"changes":, "seconds":, "late":, "us": {"p50":, "p99":, "p999":, "max":}, ...}: how long a
// change took until all workers forwarded by it.
void policy_update(unsigned rate, unsigned seconds);
