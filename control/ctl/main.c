/* SPDX-License-Identifier: Apache-2.0 */
// sluicectl, the command-line tool of sluiced: a client of its control socket.
#include "control/ctl/ctl.h"

#include <stdio.h>

#include "openvswitch/vlog.h"

const struct ctl_verb *const ctl_verbs[] = {
    &ctl_status,  &ctl_ports,  &ctl_pods,   &ctl_rules,  &ctl_stats,   &ctl_workers,
    &ctl_offload, &ctl_doctor, &ctl_attach, &ctl_detach, &ctl_version, NULL,
};

int main(int argc, char **argv)
{
    enum ctl_exit exit;
    struct ctl ctl;

    if (!ctl_read_args(argc, argv, &ctl, &exit))
        return exit;
    // What goes wrong is said once, by the verb.
    vlog_set_levels(NULL, VLF_ANY_DESTINATION, VLL_OFF);
    exit = ctl.verb->run(&ctl);
    // A full disk or a closed pipe must not look like success.
    if (fflush(stdout) || ferror(stdout)) {
        ctl_error("cannot write the output");
        return CTL_FAILED;
    }
    return exit;
}
