/* SPDX-License-Identifier: Apache-2.0 */
// The NICs: what a physical function needs so that its VFs' rules can be offloaded.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/ctl/doctor.h"

#define RDMA_CORE_MIN 50 // before, mlx5 may take a rule for one that is there already

// PCI device ids of NVIDIA (0x15b3) with an e-switch that mlx5 steers.
static const struct model {
    unsigned id;
    const char *name;
    bool hws; // hardware steering: ConnectX-6 Dx and later
} models[] = {
    {0x1017, "ConnectX-5", false},   {0x1019, "ConnectX-5 Ex", false},
    {0x101b, "ConnectX-6", false},   {0x101d, "ConnectX-6 Dx", true},
    {0x101f, "ConnectX-6 Lx", true}, {0x1021, "ConnectX-7", true},
    {0x1023, "ConnectX-8", true},    {0xa2d6, "BlueField-2", true},
    {0xa2dc, "BlueField-3", true},
};

static const struct model *find_model(const char *id)
{
    unsigned long number = strtoul(id, NULL, 16);

    for (size_t i = 0; i < sizeof(models) / sizeof(models[0]); i++) {
        if (models[i].id == number)
            return &models[i];
    }
    return NULL;
}

struct pf {
    const char *netdev;
    char check[64];            // what findings about it are called
    char address[DOCTOR_TEXT]; // on the PCI bus
};

static void check_model(struct doctor *doctor, const struct pf *pf)
{
    char id[DOCTOR_TEXT];
    const struct model *model;

    doctor_read(doctor, id, "sys/class/net/%s/device/device", pf->netdev);
    model = find_model(id);
    doctor_note(doctor, DOCTOR_OK, pf->check, NULL, "%s, mlx5_core, %s%s", pf->address,
                model ? model->name : "a model that this tool does not know",
                model && !model->hws ? ": software steering (dv_flow_en=1) only" : "");
}

static void tell_firmware(struct doctor *doctor, const char *name, void *arg)
{
    const struct pf *pf = arg;
    char version[DOCTOR_TEXT];
    unsigned family, major, minor;

    if (!doctor_read(doctor, version, "sys/class/net/%s/device/infiniband/%s/fw_ver", pf->netdev,
                     name))
        return;
    if (sscanf(version, "%u.%u.%u", &family, &major, &minor) == 3 &&
        (major < 37 || (major == 37 && minor < 1014)))
        doctor_note(doctor, DOCTOR_WARN, pf->check,
                    "update it with mlxfwmanager, if two uplinks are to be on one e-switch",
                    "firmware %s: no Multiport E-Switch, which is there from %u.37.1014 on",
                    version, family);
    else
        doctor_note(doctor, DOCTOR_OK, pf->check, NULL, "firmware %s", version);
}

// The kernel tells a switch's id only of an e-switch in switchdev mode.
static void check_switchdev(struct doctor *doctor, const struct pf *pf)
{
    char id[DOCTOR_TEXT];

    if (doctor_read(doctor, id, "sys/class/net/%s/phys_switch_id", pf->netdev) && id[0])
        doctor_note(doctor, DOCTOR_OK, pf->check, NULL, "e-switch in switchdev mode");
    else
        doctor_note_remedy(doctor, DOCTOR_FAIL, pf->check,
                           "e-switch not in switchdev mode: no representors, no offload",
                           "unbind its VFs, then: devlink dev eswitch set pci/%s mode switchdev",
                           pf->address);
}

static void check_vf(struct doctor *doctor, const char *name, void *arg)
{
    const struct pf *pf = arg;
    char driver[DOCTOR_TEXT], message[DOCTOR_TEXT], address[DOCTOR_TEXT];

    doctor_link(doctor, address, "sys/class/net/%s/device/%s", pf->netdev, name);
    if (!doctor_link(doctor, driver, "sys/class/net/%s/device/%s/driver", pf->netdev, name))
        snprintf(message, sizeof(message), "%.16s has no driver: a pod gets no netdev of it", name);
    else if (strcmp(driver, "mlx5_core"))
        snprintf(message, sizeof(message), "%.16s is bound to %.32s: a pod gets no netdev of it",
                 name, driver);
    else
        return;
    doctor_note_remedy(doctor, DOCTOR_WARN, pf->check, message,
                       "echo %s >/sys/bus/pci/drivers/mlx5_core/bind", address);
}

static void check_vfs(struct doctor *doctor, struct pf *pf)
{
    long total = doctor_number(doctor, "sys/class/net/%s/device/sriov_totalvfs", pf->netdev);
    long n = doctor_number(doctor, "sys/class/net/%s/device/sriov_numvfs", pf->netdev);
    char pattern[128];

    if (total <= 0) {
        doctor_note_remedy(doctor, DOCTOR_FAIL, pf->check, "the firmware gives it no VFs",
                           "mlxconfig -d %s set SRIOV_EN=1 NUM_OF_VFS=127, then restart the host",
                           pf->address);
        return;
    }
    if (n <= 0) {
        char message[DOCTOR_TEXT];

        snprintf(message, sizeof(message), "no VF of %ld made: no pod can have one", total);
        doctor_note_remedy(doctor, DOCTOR_WARN, pf->check, message,
                           "echo %ld >/sys/class/net/%s/device/sriov_numvfs", total, pf->netdev);
        return;
    }
    doctor_note(doctor, DOCTOR_OK, pf->check, NULL, "%ld VFs of %ld", n, total);
    snprintf(pattern, sizeof(pattern), "sys/class/net/%s/device/virtfn*", pf->netdev);
    doctor_glob(doctor, pattern, check_vf, pf);
}

static void check_pcie(struct doctor *doctor, const struct pf *pf)
{
    char speed[DOCTOR_TEXT], max[DOCTOR_TEXT];
    long width = doctor_number(doctor, "sys/class/net/%s/device/current_link_width", pf->netdev);
    long most = doctor_number(doctor, "sys/class/net/%s/device/max_link_width", pf->netdev);

    if (!doctor_read(doctor, speed, "sys/class/net/%s/device/current_link_speed", pf->netdev) ||
        !doctor_read(doctor, max, "sys/class/net/%s/device/max_link_speed", pf->netdev))
        return;
    if (width == most && !strcmp(speed, max))
        doctor_note(doctor, DOCTOR_OK, pf->check, NULL, "PCIe x%ld at %s", width, speed);
    else
        doctor_note(doctor, DOCTOR_WARN, pf->check, "put it into another slot",
                    "PCIe x%ld at %s, while it can x%ld at %s", width, speed, most, max);
}

static void check_link(struct doctor *doctor, const struct pf *pf)
{
    if (doctor_number(doctor, "sys/class/net/%s/carrier", pf->netdev) == 1)
        doctor_note(doctor, DOCTOR_OK, pf->check, NULL, "carrier");
    else
        doctor_note_remedy(doctor, DOCTOR_WARN, pf->check, "no carrier",
                           "ip link set %s up; see the cable and the ToR's port", pf->netdev);
}

static void check_netdev(struct doctor *doctor, const char *netdev, void *arg)
{
    struct pf pf = {.netdev = netdev};
    char driver[DOCTOR_TEXT], port[DOCTOR_TEXT], pattern[128];

    if (!doctor_link(doctor, driver, "sys/class/net/%s/device/driver", netdev) ||
        strcmp(driver, "mlx5_core"))
        return;
    // Neither a VF nor a representor: those have a port name like pf0vf3, a PF p0 or none.
    doctor_read(doctor, port, "sys/class/net/%s/phys_port_name", netdev);
    if (doctor_exists(doctor, "sys/class/net/%s/device/physfn", netdev) ||
        (port[0] && port[0] != 'p') || strstr(port, "vf") || strstr(port, "sf"))
        return;
    ++*(unsigned *)arg;
    snprintf(pf.check, sizeof(pf.check), "NIC %.32s", netdev);
    doctor_link(doctor, pf.address, "sys/class/net/%s/device", netdev);
    check_model(doctor, &pf);
    snprintf(pattern, sizeof(pattern), "sys/class/net/%s/device/infiniband/*", netdev);
    doctor_glob(doctor, pattern, tell_firmware, &pf);
    check_switchdev(doctor, &pf);
    check_vfs(doctor, &pf);
    check_pcie(doctor, &pf);
    check_link(doctor, &pf);
}

static void find_release(struct doctor *doctor, const char *name, void *arg)
{
    unsigned abi, release;

    (void)doctor;
    // libibverbs.so.1.14.44.0: the third number is rdma-core's version
    if (sscanf(name, "libibverbs.so.1.%u.%u", &abi, &release) == 2 && release > *(unsigned *)arg)
        *(unsigned *)arg = release;
}

static void check_rdma(struct doctor *doctor)
{
    unsigned release = 0, devices = doctor_count(doctor, "dev/infiniband/uverbs*");

    doctor_glob(doctor, "usr/lib/*/libibverbs.so.1.*", find_release, &release);
    doctor_glob(doctor, "usr/lib*/libibverbs.so.1.*", find_release, &release);
    if (!release)
        doctor_note(doctor, DOCTOR_FAIL, "rdma-core", "apt-get install ibverbs-providers",
                    "not there, and mlx5 needs it");
    else if (release < RDMA_CORE_MIN)
        doctor_note(doctor, DOCTOR_WARN, "rdma-core",
                    "if rules are refused with EEXIST, take rdma-core 50 or newer",
                    "%u: before 50 mlx5 was seen to take a new rule for one that is there",
                    release);
    else
        doctor_note(doctor, DOCTOR_OK, "rdma-core", NULL, "%u", release);
    if (devices)
        doctor_note(doctor, DOCTOR_OK, "verbs", NULL, "%u devices in /dev/infiniband", devices);
    else
        doctor_note(doctor, DOCTOR_FAIL, "verbs", "modprobe mlx5_ib; modprobe ib_uverbs",
                    "no /dev/infiniband/uverbs*, by which mlx5 reaches the NIC");
}

void doctor_check_nics(struct doctor *doctor)
{
    unsigned n = 0;

    doctor_glob(doctor, "sys/class/net/*", check_netdev, &n);
    if (n)
        check_rdma(doctor);
    else
        doctor_note(doctor, DOCTOR_WARN, "NICs",
                    "none needed: all works in software; docs/hardware.md says which NICs can more",
                    "no NIC here whose rules Sluice is made to offload to (driver mlx5_core)");
}
