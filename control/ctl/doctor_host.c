/* SPDX-License-Identifier: Apache-2.0 */
// What of the host matters to the daemon, whatever NICs it has.
#include <rte_version.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/ctl/doctor.h"

#define HUGE_MIB_MIN   512  // half of memory.size's default
#define NEIGHBOURS_MIN 2048 // four for each pod address of a pair of ToRs

static void add_hugepages(struct doctor *doctor, const char *name, void *arg)
{
    long kib = strtol(name + strlen("hugepages-"), NULL, 10);
    long n = doctor_number(doctor, "sys/kernel/mm/hugepages/%s/nr_hugepages", name);

    if (n > 0)
        *(long *)arg += n * kib / 1024;
}

static void check_hugepages(struct doctor *doctor)
{
    long mib = 0;

    doctor_glob(doctor, "sys/kernel/mm/hugepages/hugepages-*kB", add_hugepages, &mib);
    if (mib >= HUGE_MIB_MIN)
        doctor_note(doctor, DOCTOR_OK, "hugepages", NULL, "%ld MiB", mib);
    else
        doctor_note(doctor, DOCTOR_WARN, "hugepages",
                    "as root: echo 512 >/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages; to "
                    "keep them: hugepages=512 on the kernel's command line. As much as memory.size "
                    "of the node file",
                    "%ld MiB: memory comes in small pages, which costs speed and a slow start; "
                    "mlx5 with many ports needs them",
                    mib);
}

static void check_iommu(struct doctor *doctor)
{
    unsigned groups = doctor_count(doctor, "sys/kernel/iommu_groups/[0-9]*");
    unsigned vfio = doctor_count(doctor, "sys/bus/pci/drivers/vfio-pci/????:*");

    if (groups)
        doctor_note(doctor, DOCTOR_OK, "IOMMU", NULL, "%u groups", groups);
    else if (vfio)
        doctor_note(doctor, DOCTOR_FAIL, "IOMMU",
                    "switch it on in the firmware's setup and with intel_iommu=on iommu=pt (AMD: "
                    "iommu=pt) on the kernel's command line",
                    "none, but %u devices are bound to vfio-pci, which needs it", vfio);
    else
        doctor_note(doctor, DOCTOR_OK, "IOMMU", NULL,
                    "none; not needed, as no device is bound to vfio-pci (mlx5 keeps its own "
                    "driver)");
}

// The kernel lists its kinds of sockets there.
static void check_af_xdp(struct doctor *doctor)
{
    char path[4096], line[DOCTOR_TEXT];
    bool found = false;
    FILE *file;

    snprintf(path, sizeof(path), "%s/proc/net/protocols", doctor->root);
    file = fopen(path, "re");
    while (file && fgets(line, sizeof(line), file))
        found |= !strncmp(line, "XDP ", 4);
    if (file)
        fclose(file);
    if (found)
        doctor_note(doctor, DOCTOR_OK, "AF_XDP", NULL, "the kernel has it");
    else
        doctor_note(doctor, DOCTOR_WARN, "AF_XDP",
                    "run a kernel with CONFIG_XDP_SOCKETS, as Debian's is",
                    "the kernel does not have it: kernel netdevs (veth pairs) are opened by "
                    "AF_PACKET, which is slower");
    if (doctor_number(doctor, "proc/sys/net/core/bpf_jit_enable") == 0)
        doctor_note(doctor, DOCTOR_WARN, "BPF", "sysctl -w net.core.bpf_jit_enable=1",
                    "programs are interpreted: AF_XDP ports cost more");
}

static void check_neighbours(struct doctor *doctor)
{
    static const char *const families[] = {"ipv4", "ipv6"};

    for (unsigned i = 0; i < 2; i++) {
        long limit = doctor_number(doctor, "proc/sys/net/%s/neigh/default/gc_thresh3", families[i]);

        if (limit < 0)
            continue;
        if (limit >= NEIGHBOURS_MIN) {
            doctor_note(doctor, DOCTOR_OK, "neighbours", NULL, "%s: %ld", families[i], limit);
            continue;
        }
        doctor_note(doctor, DOCTOR_WARN, "neighbours",
                    i ? "sysctl -w net.ipv6.neigh.default.gc_thresh3=8192"
                      : "sysctl -w net.ipv4.neigh.default.gc_thresh3=8192",
                    "%s: the kernel keeps %ld entries for all namespaces together, a host with "
                    "many pods runs out (\"neighbour table overflow\" in its log)",
                    families[i], limit);
    }
}

static void check_dpdk(struct doctor *doctor)
{
    doctor_note(doctor, DOCTOR_OK, "DPDK", NULL, "%d.%02d.%d%s", RTE_VER_YEAR, RTE_VER_MONTH,
                RTE_VER_MINOR,
                RTE_VERSION < RTE_VERSION_NUM(23, 11, 0, 0)
                    ? ": two uplinks on one e-switch only as a bond of the kernel's (VF LAG)"
                    : "");
}

static void check_files(struct doctor *doctor)
{
    if (doctor->root[0] ? doctor_exists(doctor, "%s", doctor->socket)
                        : access(doctor->socket, F_OK) == 0)
        doctor_note(doctor, DOCTOR_OK, "daemon", NULL, "its control socket is there");
    else
        doctor_note(doctor, DOCTOR_WARN, "daemon", "systemctl start sluiced",
                    "no control socket %s: it does not run", doctor->socket);
    if (doctor_exists(doctor, "etc/sluice/sluice.yaml"))
        doctor_note(doctor, DOCTOR_OK, "node file", NULL, "/etc/sluice/sluice.yaml");
    else
        doctor_note(doctor, DOCTOR_WARN, "node file",
                    "write it; docs/configuration.md explains it, `sluiced --check` checks it",
                    "no /etc/sluice/sluice.yaml");
}

void doctor_check_host(struct doctor *doctor)
{
    char release[DOCTOR_TEXT];

    if (doctor_read(doctor, release, "proc/sys/kernel/osrelease"))
        doctor_note(doctor, DOCTOR_OK, "kernel", NULL, "%s", release);
    check_dpdk(doctor);
    check_hugepages(doctor);
    check_iommu(doctor);
    check_af_xdp(doctor);
    check_neighbours(doctor);
    check_files(doctor);
}
