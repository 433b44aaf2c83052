# SPDX-License-Identifier: Apache-2.0
"""What the figures were measured on, and the clock they are measured with."""

import json
import os
import pathlib
import subprocess
import time


def cpuinfo(key):
    for line in open("/proc/cpuinfo"):
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def tsc_mhz():
    """Linux presets its delay loop from the TSC's calibrated frequency, so that on x86 BogoMIPS is
    twice the TSC's MHz; DPDK's own estimate is rounded to 10 MHz."""
    if "constant_tsc" not in cpuinfo("flags").split():
        raise SystemExit("bench: this CPU's TSC does not run at a constant rate")
    return float(cpuinfo("bogomips")) / 2


def cpus():
    """(the first, for all that measures; the last, for the contender)."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        raise SystemExit("bench: needs two CPUs: one for the contender alone, one for the rest")
    return allowed[0], allowed[-1]


def meminfo(key):
    for line in open("/proc/meminfo"):
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def hugepages(need_mb):
    """Are there free huge pages to run a contender on? All run alike, so some are too few."""
    free_mb = meminfo("HugePages_Free") * meminfo("Hugepagesize") // 1024
    if 0 < free_mb < need_mb:
        raise SystemExit(f"bench: {free_mb} MiB of huge pages are free; make it {need_mb} "
                         "(scripts/setup --hugepages 512) or none")
    return free_mb > 0


def package_version(package):
    query = ["dpkg-query", "-W", "-f", "${Version}", package]
    return subprocess.run(query, capture_output=True, text=True).stdout.strip()


def source_version(root):
    describe = ["git", "-C", root, "-c", "safe.directory=*", "describe", "--always", "--dirty"]
    return subprocess.run(describe, capture_output=True, text=True).stdout.strip()


def describe(huge):
    return {
        "began": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "cpu": cpuinfo("model name"),
        "cpus": len(os.sched_getaffinity(0)),
        "tsc_mhz": tsc_mhz(),
        "hypervisor": "hypervisor" in cpuinfo("flags").split(),
        "hugepages": huge,
        "kernel": os.uname().release,
        "load": float(pathlib.Path("/proc/loadavg").read_text().split()[0]),
    }


def compiler(build):
    """The compiler and the flags that matter to speed, as the dataplane is built."""
    commands = json.loads((build / "compile_commands.json").read_text())
    words = next(c["command"].split() for c in commands if "dataplane/" in c["file"])
    version = subprocess.run([words[0], "-dumpfullversion"], capture_output=True, text=True)
    flags = [w for w in words if w.startswith(("-O", "-m", "-flto", "-fsanitize", "-DNDEBUG"))]
    return " ".join([words[0], version.stdout.strip(), *flags])
