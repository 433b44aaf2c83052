/* SPDX-License-Identifier: Apache-2.0 */
// Any bytes as a node file: accepted with values that keep the schema's word, or refused with lines
// of the documented form.
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "config/config.h"
#include "tests/fuzz/fuzz.h"

static void check_device(const struct config_device *device)
{
    check((device->netdev[0] == '\0') != (device->devargs[0] == '\0'), "one device each");
    check(device->name[0] != '\0', "every device has a name");
}

static void check_config(const struct config *config)
{
    check(config->n_uplinks >= 1 && config->n_uplinks <= CONFIG_UPLINKS_MAX, "uplinks");
    check(config->n_ranges >= 1 && config->n_ranges <= CONFIG_RANGES_MAX, "ranges");
    check(config->n_cpus <= CONFIG_CPUS_MAX, "CPUs");
    check(config->n_host_addresses <= 4, "host addresses");
    check(config->mtu >= 1280 && config->mtu <= 9216, "MTU");
    check(!(config->router_mac[0] & 1), "router MAC is unicast");
    check(config->socket[0] == '/' && config->state[0] == '/', "absolute paths");
    for (unsigned i = 0; i < config->n_uplinks; i++)
        check_device(&config->uplinks[i]);
    if (config->host_device.name[0])
        check_device(&config->host_device);
    for (unsigned i = 0; i < config->n_ranges; i++)
        check(config->ranges[i].prefix_len >= 16 && config->ranges[i].prefix_len <= 127, "prefix");
}

// "FILE:LINE: KEY: VALUE: what is wrong; what to do"
static void check_faults(char *error)
{
    char *rest = NULL;

    for (char *line = strtok_r(error, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *number = line + strlen("fuzz:"), *end;
        int colons = 0;

        check(strncmp(line, "fuzz:", 5) == 0, "a line begins with the file's name");
        check(strtoul(number, &end, 10) > 0 && end > number && *end == ':',
              "and the line's number");
        for (char *c = line; *c; c++) {
            check(isprint((unsigned char)*c), "printable");
            colons += strncmp(c, ": ", 2) == 0;
        }
        check(colons >= 3, "key and value");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct config config;
    char *error = NULL;
    int rc = config_parse("fuzz", (const char *)data, size, &config, &error);

    if (rc == 0) {
        check(!error, "no error without one");
        check_config(&config);
    } else {
        check(rc == -EINVAL && error && error[0], "an error says what");
        check_faults(error);
        free(error);
    }
    return 0;
}
