/* SPDX-License-Identifier: Apache-2.0 */
// DPDK for tests that need its memory and no devices.
#pragma once

#include <sched.h>
#include <stdio.h>

#include <rte_eal.h>

// One lcore, the caller's thread, anywhere it may run. Returns what rte_eal_init does.
static inline int eal_start(unsigned memory_mb)
{
    char lcores[16], memory[16];
    char *argv[] = {"test",     "--no-huge", "-m",   memory,        "--no-telemetry",
                    "--no-pci", "--lcores",  lcores, "--no-shconf", "--log-level=warning"};
    cpu_set_t allowed;
    int cpu = 0, ret;

    sched_getaffinity(0, sizeof allowed, &allowed);
    while (!CPU_ISSET(cpu, &allowed))
        cpu++;
    snprintf(lcores, sizeof lcores, "0@%d", cpu);
    snprintf(memory, sizeof memory, "%u", memory_mb);
    ret = rte_eal_init(sizeof argv / sizeof argv[0], argv);
    // EAL pins its caller; threads made later must not inherit that.
    sched_setaffinity(0, sizeof allowed, &allowed);
    return ret;
}
