/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "control/client.h"
#include "control/ctl/ctl.h"
#include "control/ctl/value.h"

const struct ctl_option ctl_no_options[] = {{NULL, NULL, NULL}};

enum ctl_exit ctl_call(const struct ctl *ctl, const char *method, struct json *params,
                       struct json **result)
{
    struct client_error error = {NULL, NULL, NULL};
    enum ctl_exit exit;
    int rc;

    *result = NULL;
    rc = client_call(ctl->socket, method, params ? params : json_object_create(), ctl->timeout_ms,
                     result, &error);
    if (!rc) {
        if (!ctl->json)
            value_make_printable(*result);
        return CTL_OK;
    }

    exit = rc == -EREMOTEIO ? CTL_FAILED : CTL_UNREACHABLE;
    if (error.code)
        ctl_error("%s: %s (%s)", method, error.message, error.code);
    else
        ctl_error("%s", error.message);
    if (error.remedy)
        fprintf(stderr, "  %s\n", error.remedy);
    client_error_free(&error);
    return exit;
}

void ctl_print_json(const struct json *json)
{
    char *text = json_to_string(json, JSSF_PRETTY | JSSF_SORT);

    puts(text);
    free(text);
}

enum ctl_exit ctl_read(const struct ctl *ctl, const char *method, struct json **result)
{
    enum ctl_exit exit = ctl_call(ctl, method, NULL, result);

    if (exit == CTL_OK && ctl->json) {
        ctl_print_json(*result);
        json_destroy(*result);
        *result = NULL;
    }
    return exit;
}

enum ctl_exit ctl_read_list(const struct ctl *ctl, const char *method, const char *name,
                            bool (*matches)(const struct json *element, const char *what),
                            struct json **result)
{
    enum ctl_exit exit = ctl_call(ctl, method, NULL, result);

    if (exit != CTL_OK)
        return exit;
    if (ctl->operand && !value_keep(*result, name, matches, ctl->operand)) {
        ctl_error("%s: there is none in %s; `sluicectl %s` shows all", ctl->operand, name, method);
        exit = CTL_FAILED;
    } else if (ctl->json) {
        ctl_print_json(*result);
    } else {
        return CTL_OK;
    }
    json_destroy(*result);
    *result = NULL;
    return exit;
}
