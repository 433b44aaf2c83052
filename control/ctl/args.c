/* SPDX-License-Identifier: Apache-2.0 */
// The command line: sluicectl [GLOBAL OPTIONS] VERB [OPTIONS] [OPERAND]. Global options may also
// follow the verb; an option's value follows it or a `=`.
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/ctl.h"

#define DEFAULT_SOCKET  "/run/sluice/control.sock"
#define DEFAULT_TIMEOUT 10 // seconds

const struct ctl_option ctl_global_options[] = {
    {"socket", "PATH", "the daemon's control socket (default " DEFAULT_SOCKET ")"},
    {"timeout", "SECONDS", "how long to wait for an answer, 1 to 3600 (default 10)"},
    {"json", NULL, "print the daemon's answer as JSON, for programs"},
    {"help", NULL, "print this, or with a verb what it does; then end"},
    {"version", NULL, "print sluicectl's own version, then end"},
    {NULL, NULL, NULL},
};

static void print_options(const struct ctl_option *options)
{
    for (; options->name; options++) {
        char left[64];

        snprintf(left, sizeof left, "--%s%s%s", options->name, options->arg ? " " : "",
                 options->arg ? options->arg : "");
        printf("  %-23s %s\n", left, options->text);
    }
}

static void print_help(void)
{
    puts("usage: sluicectl [OPTIONS] VERB [ARGUMENTS]\n"
         "\n"
         "Looks into and steers a running sluiced, the network of a container node.\n"
         "\n"
         "Verbs (`sluicectl VERB --help` tells more):");
    for (const struct ctl_verb *const *verb = ctl_verbs; *verb; verb++)
        printf("  %-10s %s\n", (*verb)->name, (*verb)->summary);
    puts("\nOptions:");
    print_options(ctl_global_options);
    puts("\n"
         "Exit status: 0 done, 1 the daemon refused or failed, 2 the command line is wrong,\n"
         "3 the daemon cannot be reached.\n"
         "\n"
         "Example: what is wrong with this node, and which packets does it drop?\n"
         "  sluicectl status\n"
         "  sluicectl stats --watch");
}

static void print_verb_help(const struct ctl_verb *verb)
{
    printf("usage: sluicectl %s%s%s%s\n\n%s.\n\n%s", verb->name,
           verb->options->name ? " [OPTIONS]" : "", verb->operand ? " " : "",
           verb->operand ? verb->operand : "", verb->summary, verb->help);
    if (verb->options->name) {
        puts("\nOptions:");
        print_options(verb->options);
    }
    puts("\nGlobal options: see `sluicectl --help`.");
}

void ctl_error(const char *format, ...)
{
    va_list args;

    fputs("sluicectl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

enum ctl_exit ctl_usage_error(const struct ctl_verb *verb, const char *format, ...)
{
    va_list args;

    fputs("sluicectl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "; see `sluicectl %s%s--help`\n", verb ? verb->name : "", verb ? " " : "");
    return CTL_USAGE;
}

bool ctl_number(const char *text, unsigned min, unsigned max, unsigned *number)
{
    unsigned long value;
    char *end;

    if (!text || !isdigit((unsigned char)*text)) // strtoul() takes spaces and signs, too
        return false;
    errno = 0;
    value = strtoul(text, &end, 10);
    if (*end || errno || value < min || value > max)
        return false;
    *number = value;
    return true;
}

bool ctl_has(const struct ctl *ctl, const char *name)
{
    for (unsigned i = 0; i < ctl->n_given; i++)
        if (!strcmp(ctl->given[i].name, name))
            return true;
    return false;
}

const char *ctl_value(const struct ctl *ctl, const char *name)
{
    for (unsigned i = ctl->n_given; i > 0; i--)
        if (!strcmp(ctl->given[i - 1].name, name))
            return ctl->given[i - 1].value;
    return NULL;
}

static const struct ctl_option *find_option(const struct ctl_option *options, const char *name,
                                            size_t len)
{
    for (; options->name; options++)
        if (strlen(options->name) == len && !strncmp(options->name, name, len))
            return options;
    return NULL;
}

static const struct ctl_verb *find_verb(const char *name)
{
    for (const struct ctl_verb *const *verb = ctl_verbs; *verb; verb++)
        if (!strcmp((*verb)->name, name))
            return *verb;
    return NULL;
}

// Keeps an option that was given. False: it said what is wrong.
static bool keep_option(struct ctl *ctl, const struct ctl_option *option, const char *value)
{
    unsigned seconds;

    if (!strcmp(option->name, "socket")) {
        ctl->socket = value;
    } else if (!strcmp(option->name, "json")) {
        ctl->json = true;
    } else if (!strcmp(option->name, "timeout")) {
        if (!ctl_number(value, 1, 3600, &seconds)) {
            ctl_usage_error(ctl->verb, "--timeout %s: not a whole number from 1 to 3600", value);
            return false;
        }
        ctl->timeout_ms = seconds * 1000;
    } else if (ctl->n_given == CTL_GIVEN_MAX) {
        ctl_usage_error(ctl->verb, "more than %d options", CTL_GIVEN_MAX);
        return false;
    } else {
        ctl->given[ctl->n_given].name = option->name;
        ctl->given[ctl->n_given++].value = value;
    }
    return true;
}

// Reads the option at argv[i], and its value. Returns how many arguments it took, 0 if it said what
// is wrong.
static int read_option(int i, char **argv, struct ctl *ctl)
{
    const char *name = argv[i] + 2;
    const char *value = strchr(name, '=');
    size_t len = value ? (size_t)(value - name) : strlen(name);
    const struct ctl_option *option = NULL;
    int taken = 1;

    if (!strcmp(argv[i], "-h")) {
        option = find_option(ctl_global_options, "help", strlen("help"));
    } else if (!strncmp(argv[i], "--", 2)) {
        if (ctl->verb)
            option = find_option(ctl->verb->options, name, len);
        if (!option)
            option = find_option(ctl_global_options, name, len);
    }
    if (!option) {
        ctl_usage_error(ctl->verb, "%s: unknown option", argv[i]);
        return 0;
    }

    if (value) {
        value++;
        if (!option->arg) {
            ctl_usage_error(ctl->verb, "--%s takes no value", option->name);
            return 0;
        }
    } else if (option->arg && argv[i + 1] &&
               (*option->arg != '[' || isdigit((unsigned char)*argv[i + 1]))) {
        value = argv[i + 1];
        taken = 2;
    } else if (option->arg && *option->arg != '[') {
        ctl_usage_error(ctl->verb, "--%s: %s is missing", option->name, option->arg);
        return 0;
    }
    return keep_option(ctl, option, value) ? taken : 0;
}

static bool read_word(const char *word, struct ctl *ctl)
{
    if (!ctl->verb) {
        ctl->verb = find_verb(word);
        if (!ctl->verb)
            ctl_usage_error(NULL, "%s: unknown verb", word);
        return ctl->verb;
    }
    if (ctl->operand && ctl->verb->second && !ctl->second) {
        ctl->second = word;
        return true;
    }
    if (!ctl->verb->operand || ctl->operand) {
        ctl_usage_error(ctl->verb, "%s: one argument too many", word);
        return false;
    }
    ctl->operand = word;
    return true;
}

bool ctl_read_args(int argc, char **argv, struct ctl *ctl, enum ctl_exit *exit)
{
    *ctl = (struct ctl){.socket = DEFAULT_SOCKET, .timeout_ms = DEFAULT_TIMEOUT * 1000};
    *exit = CTL_USAGE;
    for (int i = 1; i < argc;) {
        int taken = argv[i][0] == '-' ? read_option(i, argv, ctl) : read_word(argv[i], ctl);

        if (!taken)
            return false;
        i += taken;
    }

    if (ctl_has(ctl, "help")) {
        if (ctl->verb)
            print_verb_help(ctl->verb);
        else
            print_help();
        *exit = CTL_OK;
        return false;
    }
    if (ctl_has(ctl, "version")) {
        puts("sluicectl " SLUICE_VERSION);
        *exit = CTL_OK;
        return false;
    }
    if (!ctl->verb) {
        ctl_usage_error(NULL, "no verb given");
        return false;
    }
    return true;
}
