/* SPDX-License-Identifier: Apache-2.0 */
// The operator's rules, groups and meters out of a fuzzer's input.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Puts what the bytes say in force, beside what is there already. Contradictions are refused.
void policy_input_read(const uint8_t *data, size_t size);
// Have there been any since the last end?
bool policy_input_any(void);
// Takes all of it away.
void policy_input_end(void);
