/* SPDX-License-Identifier: Apache-2.0 */
#include "offload/esw/line.h"

#include <stdarg.h>
#include <string.h>

#include <rte_debug.h>

void esw_line_end(struct esw_line *line)
{
    fwrite(line->text, 1, line->len, line->file);
    line->len = 0;
}

static void put(struct esw_line *line, const char *text, size_t len)
{
    if (len > sizeof(line->text) - line->len)
        esw_line_end(line);
    if (len > sizeof(line->text)) {
        fwrite(text, 1, len, line->file);
        return;
    }
    memcpy(line->text + line->len, text, len);
    line->len += len;
}

static void put_number(struct esw_line *line, unsigned long number)
{
    char digits[20]; // of 2^64 - 1
    size_t at = sizeof(digits);

    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    put(line, digits + at, sizeof(digits) - at);
}

static void put_byte(struct esw_line *line, unsigned byte, const char digits[16])
{
    put(line, (char[]){digits[byte >> 4 & 15], digits[byte & 15]}, 2);
}

void esw_line_say(struct esw_line *line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    for (const char *percent; *format; format = percent) {
        const char *text;

        percent = strchrnul(format, '%');
        put(line, format, (size_t)(percent - format));
        if (!*percent)
            break;
        switch (percent[1]) {
        case 's':
            text = va_arg(args, const char *);
            put(line, text, strlen(text));
            percent += strlen("%s");
            break;
        case 'u':
            put_number(line, va_arg(args, unsigned));
            percent += strlen("%u");
            break;
        case 'l': // %lu
            put_number(line, va_arg(args, unsigned long));
            percent += strlen("%lu");
            break;
        case '0': // %02x, %02X
            put_byte(line, va_arg(args, unsigned),
                     percent[3] == 'x' ? "0123456789abcdef" : "0123456789ABCDEF");
            percent += strlen("%02x");
            break;
        default:
            rte_panic("no such format: %s\n", percent);
        }
    }
    va_end(args);
}
