/* SPDX-License-Identifier: Apache-2.0 */
// sluiced: reads its arguments and the node file, and runs the node.
#include <config.h>

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config/config.h"
#include "control/node.h"
#include "openvswitch/vlog.h"
#include "util.h"

#define DEFAULT_CONFIG "/etc/sluice/sluice.yaml"

// Set for the process that starts again in this one's place.
#define NO_HUGEPAGES "SLUICED_NO_HUGEPAGES"

static void usage(FILE *out)
{
    fputs(
        "usage: sluiced [--config FILE]\n"
        "       sluiced --check FILE\n"
        "\n"
        "The network of a container node: owns the uplinks and the pods' ports, forwards between\n"
        "them with DPDK, and takes requests on its control socket. Runs in the foreground.\n"
        "\n"
        "  --config FILE  the node file (default " DEFAULT_CONFIG ")\n"
        "  --check FILE   only say what is wrong with a node file; needs no root\n"
        "  --version      print the version\n"
        "  --help         print this\n"
        "\n"
        "Exit status: 0 stopped by SIGTERM or SIGINT, or the file is right; 1 failed; 2 wrong\n"
        "arguments.\n",
        out);
}

// Prints what is wrong with the file.
static int load(const char *path, struct config *config)
{
    char *error = NULL;
    int err = config_load(path, config, &error);
    size_t len;

    if (err == 0)
        return 0;
    len = error ? strlen(error) : 0;
    fprintf(stderr, "%s%s", error ? error : ovs_strerror(-err),
            len && error[len - 1] == '\n' ? "" : "\n");
    free(error);
    return err;
}

static int check(const char *path)
{
    struct config config;

    if (load(path, &config))
        return EXIT_FAILURE;
    printf("%s: ok\n", path);
    return EXIT_SUCCESS;
}

static void set_logging(const struct config *config)
{
    // To standard error, which systemd keeps; as `time|level|module|message field=value ...`.
    vlog_set_pattern(VLF_CONSOLE, "%D{%Y-%m-%dT%H:%M:%S.###Z}|%p|%c|%m");
    vlog_set_syslog_method("null");
    vlog_set_levels(NULL, VLF_CONSOLE, vlog_get_level_val(config->log_level));
}

static int run(const char *path, char *argv[])
{
    struct config config;
    bool no_hugepages = getenv(NO_HUGEPAGES) != NULL;
    char *error = NULL;
    int err;

    if (geteuid() != 0) {
        fputs("sluiced: must run as root: it opens network devices and attaches XDP programs\n",
              stderr);
        return EXIT_FAILURE;
    }
    if (load(path, &config))
        return EXIT_FAILURE;
    set_logging(&config);
    err = node_run(&config, no_hugepages, &error);
    if (err == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "sluiced: %s\n", error);
    free(error);
    if (err == -EAGAIN && !no_hugepages && setenv(NO_HUGEPAGES, "1", 1) == 0) {
        fputs("sluiced: starting again without huge pages\n", stderr);
        execv("/proc/self/exe", argv);
    }
    return EXIT_FAILURE;
}

int main(int argc, char *argv[])
{
    static const struct option options[] = {
        {"config", required_argument, NULL, 'c'},
        {"check", required_argument, NULL, 'k'},
        {"version", no_argument, NULL, 'V'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    const char *config_path = DEFAULT_CONFIG, *check_path = NULL;
    int option;

    ovs_set_program_name(argv[0], SLUICE_VERSION);
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c':
            config_path = optarg;
            break;
        case 'k':
            check_path = optarg;
            break;
        case 'V':
            puts("sluiced " SLUICE_VERSION);
            return EXIT_SUCCESS;
        case 'h':
            usage(stdout);
            return EXIT_SUCCESS;
        default:
            usage(stderr);
            return 2;
        }
    }
    if (optind < argc) {
        fprintf(stderr, "sluiced: unknown argument \"%s\"\n", argv[optind]);
        usage(stderr);
        return 2;
    }
    return check_path ? check(check_path) : run(config_path, argv);
}
