/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/fault.h"

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
