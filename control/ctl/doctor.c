/* SPDX-License-Identifier: Apache-2.0 */
// sluicectl doctor: is the host fit for the daemon, and its NIC for offload? It asks no daemon.
#include <ctype.h>
#include <glob.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/ctl/ctl.h"
#include "control/ctl/doctor.h"
#include "control/ctl/table.h"

static const char *const status_names[] = {
    [DOCTOR_OK] = "ok",
    [DOCTOR_WARN] = "warn",
    [DOCTOR_FAIL] = "fail",
};

static char *xvasprintf_printable(const char *format, va_list args)
{
    char *text;

    if (vasprintf(&text, format, args) < 0)
        abort();
    for (char *at = text; *at; at++) { // names come from others
        if (!isprint((unsigned char)*at))
            *at = '?';
    }
    return text;
}

static void add(struct doctor *doctor, enum doctor_status status, const char *check, char *message,
                char *remedy)
{
    doctor->findings = realloc(doctor->findings, (doctor->n + 1) * sizeof(*doctor->findings));
    if (!doctor->findings)
        abort();
    doctor->findings[doctor->n++] = (struct doctor_finding){
        .status = status, .check = strdup(check), .message = message, .remedy = remedy};
}

void doctor_note(struct doctor *doctor, enum doctor_status status, const char *check,
                 const char *remedy, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    add(doctor, status, check, xvasprintf_printable(format, args), remedy ? strdup(remedy) : NULL);
    va_end(args);
}

void doctor_note_remedy(struct doctor *doctor, enum doctor_status status, const char *check,
                        const char *message, const char *remedy, ...)
{
    va_list args;

    va_start(args, remedy);
    add(doctor, status, check, strdup(message), xvasprintf_printable(remedy, args));
    va_end(args);
}

// The path under the root; false: too long.
static bool make_path(const struct doctor *doctor, char path[4096], const char *format,
                      va_list args)
{
    int n = snprintf(path, 4096, "%s/", doctor->root);

    return n < 4096 && n + vsnprintf(path + n, (size_t)(4096 - n), format, args) < 4096;
}

static bool read_line(const char *path, char text[DOCTOR_TEXT])
{
    FILE *file = fopen(path, "re");
    bool there = file && fgets(text, DOCTOR_TEXT, file);

    if (file)
        fclose(file);
    if (!there)
        text[0] = 0;
    text[strcspn(text, "\n")] = 0;
    return there;
}

bool doctor_read(const struct doctor *doctor, char text[DOCTOR_TEXT], const char *format, ...)
{
    char path[4096];
    va_list args;
    bool fits;

    va_start(args, format);
    fits = make_path(doctor, path, format, args);
    va_end(args);
    text[0] = 0;
    return fits && read_line(path, text);
}

long doctor_number(const struct doctor *doctor, const char *format, ...)
{
    char path[4096], text[DOCTOR_TEXT];
    va_list args;
    bool fits;

    va_start(args, format);
    fits = make_path(doctor, path, format, args);
    va_end(args);
    if (!fits || !read_line(path, text) || !isdigit((unsigned char)text[0]))
        return -1;
    return strtol(text, NULL, 10);
}

bool doctor_exists(const struct doctor *doctor, const char *format, ...)
{
    char path[4096];
    va_list args;
    bool fits;

    va_start(args, format);
    fits = make_path(doctor, path, format, args);
    va_end(args);
    return fits && access(path, F_OK) == 0;
}

bool doctor_link(const struct doctor *doctor, char text[DOCTOR_TEXT], const char *format, ...)
{
    char path[4096], target[4096];
    const char *last;
    va_list args;
    ssize_t n = -1;

    va_start(args, format);
    if (make_path(doctor, path, format, args))
        n = readlink(path, target, sizeof(target) - 1);
    va_end(args);
    text[0] = 0;
    if (n < 0)
        return false;
    target[n] = 0;
    last = strrchr(target, '/');
    snprintf(text, DOCTOR_TEXT, "%.*s", DOCTOR_TEXT - 1, last ? last + 1 : target);
    return true;
}

void doctor_glob(const struct doctor *doctor, const char *pattern,
                 void (*found)(struct doctor *doctor, const char *name, void *arg), void *arg)
{
    char path[4096];
    glob_t names;

    snprintf(path, sizeof(path), "%s/%s", doctor->root, pattern);
    if (glob(path, 0, NULL, &names))
        return;
    for (size_t i = 0; i < names.gl_pathc; i++)
        found((struct doctor *)doctor, strrchr(names.gl_pathv[i], '/') + 1, arg);
    globfree(&names);
}

static void count(struct doctor *doctor, const char *name, void *arg)
{
    (void)doctor, (void)name;
    ++*(unsigned *)arg;
}

unsigned doctor_count(const struct doctor *doctor, const char *pattern)
{
    unsigned n = 0;

    doctor_glob(doctor, pattern, count, &n);
    return n;
}

static void print_table(const struct doctor *doctor)
{
    struct table *table = table_create("STATUS CHECK WHAT");

    for (size_t i = 0; i < doctor->n; i++) {
        const struct doctor_finding *finding = &doctor->findings[i];

        table_add(table, "%s", status_names[finding->status]);
        table_add(table, "%s", finding->check);
        table_add(table, "%s", finding->message);
        if (!finding->remedy)
            continue;
        table_add(table, " ");
        table_add(table, " ");
        table_add(table, "-> %s", finding->remedy);
    }
    table_print(table, "", stdout);
    table_destroy(table);
}

static void print_json(const struct doctor *doctor, bool failed)
{
    struct json *object = json_object_create(), *list = json_array_create_empty();

    for (size_t i = 0; i < doctor->n; i++) {
        const struct doctor_finding *finding = &doctor->findings[i];
        struct json *one = json_object_create();

        json_object_put_string(one, "check", finding->check);
        json_object_put_string(one, "status", status_names[finding->status]);
        json_object_put_string(one, "message", finding->message);
        json_object_put(one, "remedy",
                        finding->remedy ? json_string_create(finding->remedy) : json_null_create());
        json_array_add(list, one);
    }
    json_object_put(object, "checks", list);
    json_object_put(object, "fit", json_boolean_create(!failed));
    ctl_print_json(object);
    json_destroy(object);
}

static enum ctl_exit run(const struct ctl *ctl)
{
    struct doctor doctor = {
        .root = ctl_has(ctl, "root") ? ctl_value(ctl, "root") : "",
        .socket = ctl->socket,
    };
    bool failed = false;

    doctor_check_host(&doctor);
    doctor_check_nics(&doctor);
    for (size_t i = 0; i < doctor.n; i++)
        failed |= doctor.findings[i].status == DOCTOR_FAIL;
    if (ctl->json)
        print_json(&doctor, failed);
    else
        print_table(&doctor);
    for (size_t i = 0; i < doctor.n; i++) {
        free(doctor.findings[i].check);
        free(doctor.findings[i].message);
        free(doctor.findings[i].remedy);
    }
    free(doctor.findings);
    return failed ? CTL_FAILED : CTL_OK;
}

static const struct ctl_option options[] = {
    {"root", "DIR", "look at a copy of a host's /sys, /proc, ... in this folder"},
    {NULL, NULL, NULL},
};

const struct ctl_verb ctl_doctor = {
    .name = "doctor",
    .summary = "Whether this host is fit for the daemon, and its NICs for offload",
    .help = "It looks at the host, not at the daemon, which need not run. `fail`: something that\n"
            "is there cannot work as it is; `warn`: it works, slower or with less. Below each is\n"
            "what to do. It ends with 1 if anything fails. docs/hardware.md explains the NICs'.\n"
            "\n"
            "Example: what keeps the rules out of this node's NIC?\n"
            "  sluicectl doctor\n",
    .options = options,
    .run = run,
};
