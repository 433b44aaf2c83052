/* SPDX-License-Identifier: Apache-2.0 */
// Text for a file, put together from small pieces: what fprintf does, of which it knows only %s,
// %u, %lu, %02x and %02X, in a tenth of the time. A dump has some twenty pieces a rule, and who
// compares rules dumps all of them all the time.
#pragma once

#include <stddef.h>
#include <stdio.h>

struct esw_line {
    FILE *file;
    size_t len;
    char text[512];
};

__attribute__((format(printf, 2, 3))) void esw_line_say(struct esw_line *line, const char *format,
                                                        ...);
// Gives the file what it does not have yet.
void esw_line_end(struct esw_line *line);
