/* SPDX-License-Identifier: Apache-2.0 */
// The device's arguments. What is wrong with them is said in the log.
#pragma once

#include <ethdev_driver.h>

#include "offload/esw/esw.h"

struct esw_devargs {
    const char *wires[ESW_WIRES_MAX]; // NULL: there is no such wire
    const char *vf;                   // NULL: TAPs
    const char *absent;               // as long as this file is there, the device is not
    const char *control;              // NULL: none
    unsigned n_vfs;
    int cpu; // -1: any
    unsigned persist;
    enum esw_mode mode;
    enum esw_duplicates duplicates;
    struct esw_faults faults;
};

// Parses `args` of the device `name`. Returns the list that the result's strings are in, for the
// caller to free with rte_kvargs_free(), or NULL.
struct rte_kvargs *esw_devargs_parse(const char *name, const char *args,
                                     struct esw_devargs *result);

// The ethdevs that `representor` names: calls back for each, until it answers with an error.
// 0 or a negative errno.
int esw_devargs_representors(struct esw *esw, const char *args, int (*make)(struct esw_port *));
