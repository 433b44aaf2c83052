/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "control/ctl/ctl.h"
#include "control/ctl/value.h"

static enum ctl_exit run(const struct ctl *ctl)
{
    struct json *version;
    enum ctl_exit exit = ctl_read(ctl, "version", &version);

    if (version)
        printf("sluicectl %s\nsluiced   %s, protocol %" PRIu64 "\n", SLUICE_VERSION,
               value_string(version, "version"), value_number(version, "protocol"));
    json_destroy(version);
    return exit;
}

const struct ctl_verb ctl_version = {
    .name = "version",
    .summary = "The versions of sluicectl, of the running daemon and of their protocol",
    .help = "Example: is the daemon that runs the one that was installed?\n"
            "  sluicectl version\n",
    .options = ctl_no_options,
    .run = run,
};
