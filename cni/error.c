/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cni/conf.h"
#include "cni/error.h"
#include "openvswitch/json.h"
#include "util.h"

int cni_fail(struct cni_error *error, int code, const char *format, ...)
{
    va_list args;

    cni_error_free(error);
    error->code = code;
    va_start(args, format);
    error->msg = xvasprintf(format, args);
    va_end(args);
    return -EIO;
}

void cni_error_add(struct cni_error *error, struct cni_error *undo)
{
    char *details = xasprintf("%s%sundoing it: %s", error->details ? error->details : "",
                              error->details ? "; " : "", undo->msg);

    free(error->details);
    error->details = details;
    cni_error_free(undo);
}

void cni_error_free(struct cni_error *error)
{
    free(error->msg);
    free(error->details);
    memset(error, 0, sizeof *error);
}

void cni_error_print(const struct cni_error *error, const char *version, FILE *out)
{
    struct json *json = json_object_create();
    char *text;

    json_object_put_string(json, "cniVersion", version ? version : CNI_VERSION_NEWEST);
    json_object_put(json, "code", json_integer_create(error->code));
    json_object_put_string(json, "msg", error->msg);
    if (error->details)
        json_object_put_string(json, "details", error->details);
    text = json_to_string(json, JSSF_SORT);
    fprintf(out, "%s\n", text);
    free(text);
    json_destroy(json);
}
