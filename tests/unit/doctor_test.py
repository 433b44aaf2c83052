#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""sluicectl doctor on copies of hosts that are not there. TAP on stdout.

usage: doctor_test.py SLUICECTL
"""

import json
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True

from tap import run_tests, test  # noqa: E402

SLUICECTL = sys.argv[1]


class Host:
    """A root folder with files; by default of a host where everything is fine."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory()
        self.root = self.folder.name
        self.write("proc/sys/kernel/osrelease", "6.1.0-test")
        self.write("proc/net/protocols", "protocol  size\nUDP  1\nXDP  1\n")
        self.write("proc/sys/net/core/bpf_jit_enable", "1")
        self.write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "1024")
        self.write("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0")
        self.write("sys/kernel/iommu_groups/0/type", "DMA")
        for family in ["ipv4", "ipv6"]:
            self.write(f"proc/sys/net/{family}/neigh/default/gc_thresh3", "8192")
        self.write("run/sluice/control.sock", "")
        self.write("etc/sluice/sluice.yaml", "")
        self.write("usr/lib/x86_64-linux-gnu/libibverbs.so.1.14.50.0", "")
        self.write("dev/infiniband/uverbs0", "")
        self.link("sys/class/net/lo", "../../devices/virtual/net/lo")

    def write(self, path, text):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(text + "\n")

    def link(self, path, target):
        path = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.symlink(target, path)

    def remove(self, path):
        os.remove(os.path.join(self.root, path))

    def nic(self, name="ens1f0", address="0000:03:00.0", device="0x101d", vfs=2):
        """A ConnectX-6 Dx with its VFs and a representor of the first."""
        self.write("sys/bus/pci/drivers/mlx5_core/module", "")
        for file, text in [("device", device), ("sriov_totalvfs", "8"), ("sriov_numvfs", str(vfs)),
                           ("current_link_width", "16"), ("max_link_width", "16"),
                           ("current_link_speed", "16.0 GT/s PCIe"), ("max_link_speed", "16.0 GT/s PCIe"),
                           ("infiniband/mlx5_0/fw_ver", "22.39.2048")]:
            self.write(f"sys/devices/{address}/{file}", text)
        self.link(f"sys/devices/{address}/driver", "../../bus/pci/drivers/mlx5_core")
        for vf in range(vfs):
            at = f"0000:03:00.{vf + 2}"
            self.write(f"sys/devices/{at}/device", "0x101e")
            self.link(f"sys/devices/{at}/driver", "../../bus/pci/drivers/mlx5_core")
            self.link(f"sys/devices/{at}/physfn", f"../{address}")
            self.link(f"sys/devices/{address}/virtfn{vf}", f"../{at}")
            self.link(f"sys/class/net/{name}v{vf}/device", f"../../../devices/{at}")
        for netdev, port in [(name, "p0"), (name + "_0", "pf0vf0")]:
            self.link(f"sys/class/net/{netdev}/device", f"../../../devices/{address}")
            self.write(f"sys/class/net/{netdev}/phys_switch_id", "b83fd2")
            self.write(f"sys/class/net/{netdev}/phys_port_name", port)
            self.write(f"sys/class/net/{netdev}/carrier", "1")
        return self

    def doctor(self):
        """Its exit status and findings that are not ok: check -> (status, message, remedy)."""
        done = subprocess.run([SLUICECTL, "--json", "doctor", "--root", self.root], capture_output=True, text=True,
                              timeout=120)
        assert done.stderr == "", done
        answer = json.loads(done.stdout)
        assert answer["fit"] == (done.returncode == 0), done
        for one in answer["checks"]:
            assert (one["remedy"] is None) == (one["status"] == "ok"), one
        return done.returncode, {one["check"]: (one["status"], one["message"], one["remedy"])
                                 for one in answer["checks"] if one["status"] != "ok"}


@test
def a_host_with_all_is_fit():
    assert Host().nic().doctor() == (0, {})


@test
def no_nic_is_no_failure():
    status, found = Host().doctor()
    assert status == 0 and list(found) == ["NICs"] and found["NICs"][0] == "warn", found


@test
def what_a_host_lacks_is_named():
    for path, text, check, status, words in [
            ("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "10", "hugepages", "warn", "20 MiB"),
            ("proc/net/protocols", "protocol", "AF_XDP", "warn", "AF_PACKET"),
            ("proc/sys/net/core/bpf_jit_enable", "0", "BPF", "warn", "interpreted"),
            ("proc/sys/net/ipv6/neigh/default/gc_thresh3", "1024", "neighbours", "warn", "ipv6"),
            ("run/sluice/control.sock", None, "daemon", "warn", "does not run"),
            ("etc/sluice/sluice.yaml", None, "node file", "warn", "sluice.yaml"),
            ("dev/infiniband/uverbs0", None, "verbs", "fail", "uverbs"),
            ("usr/lib/x86_64-linux-gnu/libibverbs.so.1.14.50.0", None, "rdma-core", "fail", "not there")]:
        host = Host().nic()
        if text is None:
            host.remove(path)
        else:
            host.write(path, text)
        code, found = host.doctor()
        assert list(found) == [check] and found[check][0] == status and words in found[check][1], (path, found)
        assert code == (status == "fail"), (path, code)


@test
def vfio_needs_an_iommu():
    host = Host().nic()
    host.remove("sys/kernel/iommu_groups/0/type")
    os.rmdir(os.path.join(host.root, "sys/kernel/iommu_groups/0"))
    assert host.doctor() == (0, {})
    host.write("sys/bus/pci/drivers/vfio-pci/0000:05:00.0/x", "")
    code, found = host.doctor()
    assert code == 1 and "intel_iommu=on" in found["IOMMU"][2], found


@test
def what_a_nic_lacks_is_named():
    device = "sys/devices/0000:03:00.0/"
    for path, text, status, message, remedy in [
            ("sys/class/net/ens1f0/phys_switch_id", "", "fail", "switchdev",
             "devlink dev eswitch set pci/0000:03:00.0 mode switchdev"),
            (device + "sriov_totalvfs", "0", "fail", "no VFs", "mlxconfig -d 0000:03:00.0"),
            (device + "sriov_numvfs", "0", "warn", "no VF of 8", "echo 8 >/sys/class/net/ens1f0/device/sriov_numvfs"),
            (device + "current_link_width", "8", "warn", "PCIe x8", "slot"),
            (device + "infiniband/mlx5_0/fw_ver", "22.36.1010", "warn", "22.37.1014", "mlxfwmanager"),
            ("sys/class/net/ens1f0/carrier", "0", "warn", "no carrier", "ip link set ens1f0 up")]:
        host = Host().nic()
        host.write(path, text)
        code, found = host.doctor()
        assert list(found) == ["NIC ens1f0"], (path, found)
        one = found["NIC ens1f0"]
        assert one[0] == status and message in one[1] and remedy in one[2], (path, one)
        assert code == (status == "fail"), (path, code)


@test
def a_netdev_without_switch_id_at_all_is_in_legacy_mode():
    host = Host().nic()
    host.remove("sys/class/net/ens1f0/phys_switch_id")
    assert host.doctor()[0] == 1


@test
def vfs_of_another_driver_are_named():
    host = Host().nic()
    for vf, driver in [(0, "vfio-pci"), (1, None)]:
        host.remove(f"sys/devices/0000:03:00.{vf + 2}/driver")
        if driver:
            host.link(f"sys/devices/0000:03:00.{vf + 2}/driver", f"../../bus/pci/drivers/{driver}")
        code, found = host.doctor()
        assert code == 0 and "echo 0000:03:00." in found["NIC ens1f0"][2], found
    done = subprocess.run([SLUICECTL, "doctor", "--root", host.root], capture_output=True, text=True, timeout=120)
    assert "virtfn0 is bound to vfio-pci" in done.stdout and "virtfn1 has no driver" in done.stdout, done.stdout


@test
def old_rdma_core_is_named():
    host = Host().nic()
    host.remove("usr/lib/x86_64-linux-gnu/libibverbs.so.1.14.50.0")
    host.write("usr/lib/x86_64-linux-gnu/libibverbs.so.1.14.44.0", "")
    code, found = host.doctor()
    assert code == 0 and found["rdma-core"][1].startswith("44:"), found


@test
def the_table_fits_and_shows_remedies():
    host = Host().nic()
    host.write("sys/class/net/ens1f0/phys_switch_id", "")
    done = subprocess.run([SLUICECTL, "doctor", "--root", host.root], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1 and done.stderr == "", done
    for line in done.stdout.splitlines():
        assert len(line) <= 100 and line == line.rstrip(), line
    lines = done.stdout.splitlines()
    at = [i for i, line in enumerate(lines) if line.startswith("fail")]
    assert len(at) == 1 and "-> unbind its VFs" in lines[at[0] + 1], done.stdout
    assert "ConnectX-6 Dx" in done.stdout


@test
def this_host_can_be_looked_at():
    done = subprocess.run([SLUICECTL, "doctor"], capture_output=True, text=True, timeout=120)
    assert done.returncode in (0, 1) and done.stderr == "" and "hugepages" in done.stdout, done


@test
def another_socket_is_looked_for():
    host = Host()
    done = subprocess.run([SLUICECTL, "doctor", "--root", host.root, "--socket", "/run/other.sock"],
                          capture_output=True, text=True, timeout=120)
    assert "no control socket /run/other.sock" in done.stdout, done.stdout
    host.write("run/other.sock", "")
    done = subprocess.run([SLUICECTL, "doctor", "--root", host.root, "--socket", "/run/other.sock"],
                          capture_output=True, text=True, timeout=120)
    assert "its control socket is there" in done.stdout, done.stdout


@test
def an_empty_root_does_no_harm():
    with tempfile.TemporaryDirectory() as root:
        done = subprocess.run([SLUICECTL, "doctor", "--root", root], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "", done


run_tests()
