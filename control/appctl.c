/* SPDX-License-Identifier: Apache-2.0 */
#include <config.h>

#include "control/appctl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "control/attachments.h"
#include "control/openflow/openflow.h"
#include "control/rules.h"
#include "control/stats.h"
#include "control/uplinks.h"
#include "coverage.h"
#include "dataplane/dataplane.h"
#include "memory.h"
#include "openvswitch/dynamic-string.h"
#include "simap.h"
#include "unixctl.h"
#include "util.h"

#define FRAME_MAX 9234 // an MTU of 9216 with its Ethernet header and a tag

static void dump_rules(struct unixctl_conn *conn, int argc, const char *argv[], void *aux)
{
    struct ds out = DS_EMPTY_INITIALIZER;
    size_t n;
    struct held_rule **rules = rules_sorted(true, &n);

    (void)argc;
    (void)argv;
    (void)aux;
    for (size_t i = 0; i < n; i++) {
        const struct rule *rule = &rules[i]->rule;
        struct dp_rule_stats stats;
        char match[1024], actions[1024];

        if (rules[i]->nic_only)
            continue;
        stats_rule(rules[i], &stats);
        rule_format_match(rule, match, sizeof(match));
        rule_format_actions(rule, actions, sizeof(actions));
        ds_put_format(&out,
                      "table=%s, priority=%u, cookie=0x%" PRIx64 ", n_packets=%" PRIu64
                      ", n_bytes=%" PRIu64 ", %s actions=%s\n",
                      rule_table_name(rule->table), rule->priority, rule->cookie, stats.packets,
                      stats.bytes, match, actions);
    }
    free(rules);
    unixctl_command_reply(conn, ds_cstr(&out));
    ds_destroy(&out);
}

// By number or by name; PORT_NONE if there is none.
static uint16_t find_port(const char *text)
{
    int number;

    if (str_to_int(text, 10, &number))
        return number > 0 && number <= PORT_MAX && dp_port_get(number) ? number : PORT_NONE;
    if (!strcasecmp(text, "local"))
        return dp_port_get(PORT_HOST) ? PORT_HOST : PORT_NONE;
    for (uint16_t no = 1; no <= PORT_MAX; no++) {
        if (dp_port_get(no) && !strcmp(dp_port_get(no)->params.name, text))
            return no;
    }
    return PORT_NONE;
}

// Digits of a frame, spaces between them.
static int parse_hex(const char *text, void **frame, size_t *size, char **error)
{
    uint8_t *bytes = xmalloc(FRAME_MAX);
    unsigned digit, n = 0;

    for (; *text; text++) {
        if (*text == ' ' || *text == '\n')
            continue;
        digit = hexit_value(*text);
        if (digit > 15 || n == 2 * FRAME_MAX) {
            free(bytes);
            *error = xasprintf("\"%.16s\" is no frame in hexadecimal digits", text);
            return -EINVAL;
        }
        bytes[n / 2] = n % 2 ? bytes[n / 2] << 4 | digit : digit;
        n++;
    }
    if (n == 0 || n % 2) {
        free(bytes);
        *error = xasprintf("a frame has two hexadecimal digits for each byte, here are %u", n);
        return -EINVAL;
    }
    *frame = bytes;
    *size = n / 2;
    return 0;
}

static bool is_hex(const char *text)
{
    return text[strspn(text, "0123456789abcdefABCDEF \n")] == '\0';
}

// sluice/trace PORT HEX, PORT FLOW or FLOW
static void trace(struct unixctl_conn *conn, int argc, const char *argv[], void *aux)
{
    const char *what = argv[argc - 1];
    char *error = NULL, *text = NULL;
    uint16_t port = PORT_NONE;
    void *frame = NULL;
    size_t size;
    int err = 0;

    (void)aux;
    if (argc == 3 && (port = find_port(argv[1])) == PORT_NONE)
        err = -ENODEV;
    if (!err)
        err = is_hex(what) ? parse_hex(what, &frame, &size, &error)
                           : openflow_compose(what, &port, &frame, &size, &error);
    if (!err)
        err = port == PORT_NONE ? -ENODEV : dp_trace(port, frame, size, &text);
    if (err == -ENODEV)
        error = xstrdup("no such port; give PORT or in_port, see `sluicectl ports`");
    if (err)
        unixctl_command_reply_error(conn, error ? error : ovs_strerror(-err));
    else
        unixctl_command_reply(conn, text);
    free(frame);
    free(error);
    free(text);
}

void appctl_init(void)
{
    dp_trace_nic(rules_nic);
    unixctl_command_register("sluice/dump-rules", "", 0, 0, dump_rules, NULL);
    unixctl_command_register("sluice/trace", "[port] frame|flow", 1, 2, trace, NULL);
    coverage_init();
}

void appctl_run(void)
{
    memory_run();
    if (memory_should_report()) {
        struct simap usage = SIMAP_INITIALIZER(&usage);

        openflow_memory(&usage);
        memory_report(&usage);
        simap_destroy(&usage);
    }
    coverage_run();
}

void appctl_wait(void)
{
    memory_wait();
}
