/* SPDX-License-Identifier: Apache-2.0 */
// The CNI plugin `sluice`: one verb per process. Results and errors go to stdout as JSON and
// nothing else does.
#include <config.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cni/args.h"
#include "cni/conf.h"
#include "cni/error.h"
#include "cni/lock.h"
#include "cni/verbs.h"
#include "cni/veth.h"
#include "fatal-signal.h"
#include "openvswitch/json.h"
#include "openvswitch/vlog.h"
#include "timeval.h"
#include "util.h"

#define CONF_MAX         (1 << 20)
#define STDIN_TIMEOUT_MS 10000

typedef int verb_fn(const struct cni_conf *conf, const struct cni_args *args,
                    struct cni_error *error);

static const struct verb {
    const char *name;
    unsigned needs;
    const char *since; // version of the spec
    bool strict;       // of the configuration's keys
    verb_fn *fn;       // NULL: ADD, which has a result
} verbs[] = {
    {"ADD", CNI_NEEDS_ATTACHMENT | CNI_NEEDS_NETNS, "0.4.0", true, NULL},
    {"DEL", CNI_NEEDS_ATTACHMENT, "0.4.0", false, cni_del},
    {"CHECK", CNI_NEEDS_ATTACHMENT | CNI_NEEDS_NETNS, "0.4.0", true, cni_check},
    {"STATUS", 0, "1.1.0", true, cni_status},
};

// Reads stdin to its end. *text is a string, for the caller to free.
static int read_stdin(char **text, struct cni_error *error)
{
    long long deadline = time_msec() + STDIN_TIMEOUT_MS;
    size_t used = 0;

    *text = xmalloc(CONF_MAX + 1);
    for (;;) {
        struct pollfd fd = {.fd = STDIN_FILENO, .events = POLLIN};
        ssize_t n;

        if (time_msec() >= deadline)
            return cni_fail(error, CNI_IO, "no network configuration came on stdin in %d ms",
                            STDIN_TIMEOUT_MS);
        if (poll(&fd, 1, deadline - time_msec()) <= 0)
            continue;
        n = read(STDIN_FILENO, *text + used, CONF_MAX - used);
        if (n < 0 && errno != EINTR)
            return cni_fail(error, CNI_IO, "stdin: %s", strerror(errno));
        if (n == 0)
            break;
        used += n > 0 ? n : 0;
        if (used == CONF_MAX)
            return cni_fail(error, CNI_DECODE, "the network configuration is larger than 1 MiB");
    }
    (*text)[used] = '\0';
    return 0;
}

static int print(const struct json *json, struct cni_error *error)
{
    char *text = json_to_string(json, JSSF_SORT);
    int err = 0;

    if (printf("%s\n", text) < 0 || fflush(stdout))
        err = cni_fail(error, CNI_IO, "stdout: %s", strerror(errno));
    free(text);
    return err;
}

// Answers in whatever version it was asked: this is how the caller learns which ones there are.
static int version(struct cni_error *error)
{
    struct json *answer = json_object_create(), *supported = json_array_create_empty();
    struct json *question = NULL;
    struct cni_error unread = {0};
    const char *asked;
    char *text;
    int err;

    if (!read_stdin(&text, &unread))
        question = json_from_string(text);
    asked = json_member_string(question, "cniVersion");
    json_object_put_string(answer, "cniVersion", asked ? asked : CNI_VERSION_NEWEST);
    for (int i = 0; cni_versions[i]; i++)
        json_array_add(supported, json_string_create(cni_versions[i]));
    json_object_put(answer, "supportedVersions", supported);
    err = print(answer, error);
    json_destroy(answer);
    json_destroy(question);
    cni_error_free(&unread);
    free(text);
    return err;
}

static int take_lock(struct cni_args *args, struct cni_error *error)
{
    char name[IFNAMSIZ];
    uint8_t mac[6];

    veth_identify(args, name, mac);
    return lock_take(name, &args->lock, error);
}

static int run(const struct verb *verb, struct cni_conf *conf, struct cni_error *error)
{
    struct json *result = NULL;
    struct cni_args args = {.lock = -1};
    char *text = NULL;
    // First, as every error names the version of the configuration.
    int err = read_stdin(&text, error);

    if (!err)
        err = cni_conf_parse(text, verb->strict, conf, error);
    free(text);
    if (!err)
        err = cni_args_read(&args, verb->needs, error);
    if (!err && cni_version_index(conf->version) < cni_version_index(verb->since))
        err = cni_fail(error, CNI_INCOMPATIBLE_VERSION, "cniVersion: %s has no %s", conf->version,
                       verb->name);
    if (!err && (verb->needs & CNI_NEEDS_ATTACHMENT))
        err = take_lock(&args, error);
    if (!err && verb->fn) {
        err = verb->fn(conf, &args, error);
    } else if (!err) {
        err = cni_add(conf, &args, &result, error);
        if (!err)
            err = print(result, error);
        json_destroy(result);
    }
    if (args.lock >= 0)
        close(args.lock);
    return err;
}

static int dispatch(struct cni_conf *conf, struct cni_error *error)
{
    const char *command = getenv("CNI_COMMAND");

    if (!command || !*command)
        return cni_fail(error, CNI_INVALID_ENVIRONMENT, "CNI_COMMAND is missing");
    if (!strcmp(command, "VERSION"))
        return version(error);
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++)
        if (!strcmp(command, verbs[i].name))
            return run(&verbs[i], conf, error);
    return cni_fail(error, CNI_INVALID_ENVIRONMENT, "CNI_COMMAND: %s: unsupported command",
                    command);
}

int main(void)
{
    struct cni_error error = {0};
    struct cni_conf conf = {0};
    int err;

    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    fatal_ignore_sigpipe();
    err = dispatch(&conf, &error);
    if (err) {
        cni_error_print(&error, conf.version, stdout);
        cni_error_free(&error);
    }
    cni_conf_free(&conf);
    return err ? 1 : 0;
}
