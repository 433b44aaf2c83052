/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cni/ipam.h"
#include "cni/process.h"
#include "cni/result.h"
#include "openvswitch/json.h"
#include "util.h"

// With what the daemon may take (see daemon.c) a whole ADD and its undoing stay below the two
// minutes that runtimes wait.
#define TIMEOUT_MS         15000
#define VERSION_TIMEOUT_MS 5000

static int find(const struct cni_conf *conf, const struct cni_args *args, char **path,
                struct cni_error *error)
{
    char *dirs = xstrdup(args->path), *next = NULL;

    *path = NULL;
    for (char *dir = strtok_r(dirs, ":", &next); dir && !*path; dir = strtok_r(NULL, ":", &next)) {
        char *candidate = xasprintf("%s/%s", dir, conf->ipam_type);
        struct stat st;

        if (!stat(candidate, &st) && S_ISREG(st.st_mode) && !access(candidate, X_OK))
            *path = candidate;
        else
            free(candidate);
    }
    free(dirs);
    if (*path)
        return 0;
    if (!*args->path)
        return cni_fail(error, CNI_INVALID_ENVIRONMENT, "CNI_PATH is missing");
    return cni_fail(error, CNI_INVALID_CONFIG, "ipam: type: there is no plugin %s in CNI_PATH, %s",
                    conf->ipam_type, args->path);
}

// The IPAM plugin's error, from what it wrote.
static int plugin_error(const struct cni_conf *conf, const char *command, const char *output,
                        int status, struct cni_error *error)
{
    struct json *json = json_from_string(output);
    const struct json *code = json_member(json, "code");
    const char *msg = json_member_string(json, "msg");
    int err;

    if (msg)
        err = cni_fail(error, code && code->type == JSON_INTEGER ? json_integer(code) : CNI_IPAM,
                       "ipam %s: %s", conf->ipam_type, msg);
    else if (WIFSIGNALED(status))
        err = cni_fail(error, CNI_IPAM, "ipam %s: %s ended by signal %d", conf->ipam_type, command,
                       WTERMSIG(status));
    else
        err = cni_fail(error, CNI_IPAM, "ipam %s: %s failed with exit code %d and no error",
                       conf->ipam_type, command, WEXITSTATUS(status));
    json_destroy(json);
    return err;
}

// Runs a verb; *answered tells whether the plugin itself said how it went.
static int run(const struct cni_conf *conf, const struct cni_args *args, const char *path,
               const char *command, const struct json *input, unsigned timeout_ms,
               struct json **result, bool *answered, struct cni_error *error)
{
    char *text = json_to_string(input, JSSF_SORT), *output = NULL;
    int status, err = process_run(path, command, text, args->lock, timeout_ms, &output, &status);

    free(text);
    *answered = !err && WIFEXITED(status);
    if (err)
        err = cni_fail(error, err == -ETIMEDOUT ? CNI_TRY_AGAIN : CNI_IPAM, "ipam %s: %s: %s",
                       conf->ipam_type, command, strerror(-err));
    else if (!WIFEXITED(status) || WEXITSTATUS(status))
        err = plugin_error(conf, command, output, status, error);
    else if (result) {
        *result = json_from_string(output);
        if ((*result)->type != JSON_OBJECT) {
            json_destroy(*result);
            *result = NULL;
            err = cni_fail(error, CNI_IPAM, "ipam %s: %s: its answer is no JSON object",
                           conf->ipam_type, command);
        }
    }
    free(output);
    return err;
}

static bool array_has(const struct json *array, const char *string)
{
    for (size_t i = 0; array && array->type == JSON_ARRAY && i < json_array(array)->n; i++) {
        const struct json *element = json_array(array)->elems[i];

        if (element->type == JSON_STRING && !strcmp(json_string(element), string))
            return true;
    }
    return false;
}

static int choose_version(const struct cni_conf *conf, const struct cni_args *args,
                          const char *path, const char **version, struct cni_error *error)
{
    struct json *question = json_object_create(), *answer = NULL;
    bool answered;
    int err;

    json_object_put_string(question, "cniVersion", conf->version);
    err = run(conf, args, path, "VERSION", question, VERSION_TIMEOUT_MS, &answer, &answered, error);
    json_destroy(question);
    if (err)
        return err;
    *version = NULL;
    for (int i = cni_version_index(conf->version); i >= 0 && !*version; i--)
        if (array_has(json_member(answer, "supportedVersions"), cni_versions[i]))
            *version = cni_versions[i];
    json_destroy(answer);
    if (!*version)
        return cni_fail(error, CNI_INCOMPATIBLE_VERSION,
                        "ipam %s: supports no version of the CNI spec from 0.4.0 to %s",
                        conf->ipam_type, conf->version);
    return 0;
}

// The whole configuration, in the version the IPAM plugin speaks.
static struct json *configuration(const struct cni_conf *conf, const char *version)
{
    struct json *json = json_deep_clone(conf->json);

    json_object_put_string(json, "cniVersion", version);
    if (conf->prev_result)
        json_object_put(json, "prevResult", result_convert(conf->prev_result, version));
    return json;
}

static int delegate(const struct cni_conf *conf, const struct cni_args *args, const char *command,
                    struct json **result, struct cni_error *error)
{
    const char *version;
    bool answered = true;
    char *path;
    int err;

    err = find(conf, args, &path, error);
    if (err)
        return err;
    err = choose_version(conf, args, path, &version, error);
    if (!err) {
        struct json *input = configuration(conf, version);

        err = run(conf, args, path, command, input, TIMEOUT_MS, result, &answered, error);
        json_destroy(input);
    }
    if (!answered && !strcmp(command, "ADD")) {
        struct cni_error undo = {0};

        if (delegate(conf, args, "DEL", NULL, &undo))
            cni_error_add(error, &undo);
    }
    free(path);
    return err;
}

int ipam_add(const struct cni_conf *conf, const struct cni_args *args, struct json **result,
             struct cni_error *error)
{
    return delegate(conf, args, "ADD", result, error);
}

int ipam_del(const struct cni_conf *conf, const struct cni_args *args, struct cni_error *error)
{
    return delegate(conf, args, "DEL", NULL, error);
}

int ipam_check(const struct cni_conf *conf, const struct cni_args *args, struct cni_error *error)
{
    return delegate(conf, args, "CHECK", NULL, error);
}

int ipam_status(const struct cni_conf *conf, const struct cni_args *args, struct cni_error *error)
{
    const char *version;
    char *path;
    int err;

    err = find(conf, args, &path, error);
    if (err)
        return err;
    err = choose_version(conf, args, path, &version, error);
    free(path);
    // STATUS came with 1.1.0.
    if (err || cni_version_index(version) < cni_version_index("1.1.0"))
        return err;
    return delegate(conf, args, "STATUS", NULL, error);
}
