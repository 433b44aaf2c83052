/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ctl/value.h"

#include <inttypes.h>
#include <stdio.h>

#include "openvswitch/dynamic-string.h"

const struct json *value_member(const struct json *object, const char *name)
{
    return object && object->type == JSON_OBJECT ? shash_find_data(json_object(object), name)
                                                 : NULL;
}

const char *value_text(const struct json *value)
{
    return value && value->type == JSON_STRING && *json_string(value) ? json_string(value) : "-";
}

const char *value_string(const struct json *object, const char *name)
{
    return value_text(value_member(object, name));
}

uint64_t value_number(const struct json *object, const char *name)
{
    const struct json *member = value_member(object, name);

    return member && member->type == JSON_INTEGER && json_integer(member) > 0 ? json_integer(member)
                                                                              : 0;
}

bool value_bool(const struct json *object, const char *name)
{
    const struct json *member = value_member(object, name);

    return member && member->type == JSON_TRUE;
}

// json_array() is used only here: its struct is another one in later versions of libopenvswitch.
size_t value_size(const struct json *list)
{
    return list && list->type == JSON_ARRAY ? json_array(list)->n : 0;
}

const struct json *value_at(const struct json *list, size_t i)
{
    return json_array(list)->elems[i];
}

size_t value_keep(struct json *object, const char *name,
                  bool (*matches)(const struct json *element, const char *what), const char *what)
{
    const struct json *list = value_member(object, name);
    struct json *kept = json_array_create_empty();
    size_t n;

    for (size_t i = 0; i < value_size(list); i++)
        if (matches(value_at(list, i), what))
            json_array_add(kept, json_clone(value_at(list, i)));
    n = value_size(kept);
    json_object_put(object, name, kept); // frees the list
    return n;
}

bool value_is_set(const struct json *object, const char *name)
{
    const struct json *member = value_member(object, name);

    return member && member->type != JSON_NULL;
}

char *value_join(const struct json *object, const char *name)
{
    const struct json *list = value_member(object, name);
    struct ds text = DS_EMPTY_INITIALIZER;

    for (size_t i = 0; i < value_size(list); i++)
        ds_put_format(&text, "%s%s", i ? " " : "", value_text(value_at(list, i)));
    if (!text.length)
        ds_put_char(&text, '-');
    return ds_steal_cstr(&text);
}

void value_make_printable(struct json *value)
{
    if (value->type == JSON_STRING) {
        for (char *c = CONST_CAST(char *, json_string(value)); *c; c++)
            if (*c < ' ' || *c > '~')
                *c = '?';
    } else if (value->type == JSON_ARRAY) {
        for (size_t i = 0; i < value_size(value); i++)
            value_make_printable(CONST_CAST(struct json *, value_at(value, i)));
    } else if (value->type == JSON_OBJECT) {
        struct shash_node *node;

        SHASH_FOR_EACH(node, json_object(value))
        value_make_printable(node->data);
    }
}

char *value_format_count(uint64_t number, char buf[VALUE_TEXT])
{
    static const char units[] = "kMGTPE";
    double scaled = number;
    int unit = -1;

    if (number < 10000000) {
        snprintf(buf, VALUE_TEXT, "%" PRIu64, number);
        return buf;
    }
    // 999.95 would be printed as 1000.0.
    do {
        scaled /= 1000;
        unit++;
    } while (scaled >= 999.95);
    snprintf(buf, VALUE_TEXT,
             scaled < 9.9995   ? "%.3f%c"
             : scaled < 99.995 ? "%.2f%c"
                               : "%.1f%c",
             scaled, units[unit]);
    return buf;
}

char *value_format_share(uint64_t part, uint64_t whole, char buf[VALUE_TEXT])
{
    if (whole)
        snprintf(buf, VALUE_TEXT, "%.1f%%", 100.0 * part / whole);
    else
        snprintf(buf, VALUE_TEXT, "-");
    return buf;
}

char *value_format_seconds(uint64_t seconds, char buf[VALUE_TEXT])
{
    int n = 0;

    if (seconds >= 86400)
        n = snprintf(buf, VALUE_TEXT, "%" PRIu64 "d ", seconds / 86400);
    snprintf(buf + n, VALUE_TEXT - n, "%02u:%02u:%02u", (unsigned)(seconds / 3600 % 24),
             (unsigned)(seconds / 60 % 60), (unsigned)(seconds % 60));
    return buf;
}
