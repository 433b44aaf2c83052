/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/fault.h"

#include <string.h>

#include "util.h"

const char *fault_name(enum fault_code code)
{
    static const char *const names[] = {
#define X(name, remedy) #name,
        FAULT_CODES(X)
#undef X
    };
    return names[code];
}

const char *fault_remedy(enum fault_code code)
{
    static const char *const remedies[] = {
#define X(name, remedy) remedy,
        FAULT_CODES(X)
#undef X
    };
    return remedies[code];
}

int fault_excerpt(const char *text)
{
    size_t len = strnlen(text, 65);

    if (len < 65)
        return (int)len;
    // Back to where a character begins (RFC 3629 section 3).
    for (len = 64; len > 0 && ((uint8_t)text[len] & 0xc0) == 0x80; len--)
        ;
    return (int)len;
}

int fault_set(struct fault *fault, enum fault_code code, const char *format, ...)
{
    va_list args;
    char *message;

    va_start(args, format);
    message = xvasprintf(format, args);
    va_end(args);
    free(fault->message);
    fault->code = code;
    fault->message = message;
    return -1;
}
