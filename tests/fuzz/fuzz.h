/* SPDX-License-Identifier: Apache-2.0 */
// What the fuzzers share.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

// libFuzzer's entry points.
int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// What must hold for every input.
static inline void check(bool right, const char *what)
{
    if (!right) {
        fprintf(stderr, "not true: %s\n", what);
        abort();
    }
}
