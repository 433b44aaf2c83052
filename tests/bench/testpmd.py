# SPDX-License-Identifier: Apache-2.0
"""dpdk-testpmd of the same DPDK build: what receiving and sending alone cost (io), and what the least
work on each frame costs (macswap). It has no rules."""

import re

from bench import process


class Testpmd:
    def __init__(self, setup, forward_mode):
        self.name = f"testpmd-{forward_mode}"
        self.setup = setup
        self.forward_mode = forward_mode
        self.process = self.log = None

    def version(self):
        return self.setup.dpdk.name.rpartition("-")[0]  # without the build's key

    def takes(self, rules):
        return True

    def start(self, rules, generator, folder):
        measuring, busy = self.setup.cpus
        self.log = folder / "testpmd.log"
        command = [
            self.setup.dpdk / "bin/dpdk-testpmd", "-l", f"{measuring},{busy}",
            "--main-lcore", str(measuring), "--no-pci", "--no-telemetry",
            *self.setup.eal_memory(self.setup.memory_mb(self)),
            "-d", self.setup.plugin(), "--vdev", generator.source(), "--vdev", generator.sink(),
            "--", f"--forward-mode={self.forward_mode}", "--nb-cores=1", "--no-flush-rx",
            f"--total-num-mbufs={self.setup.mbufs}",
        ]
        self.process = process.start(command, self.log, self.setup.cpus)
        process.wait_for(lambda: generator.totals()[1], self.process, self.log, self.name)

    def settle(self, case):
        return True

    def own_cycles(self):
        """It counts them if asked to, which costs some."""
        return None

    def own_packets(self):
        """It tells when it ends."""
        process.stop(self.process)
        shown = re.findall(r"Forward statistics for port 0.*\n +RX-packets: (\d+)", self.log.read_text())
        self.process = None
        return int(shown[0]) if shown else None

    def pids(self):
        return [self.process.pid]

    def stop(self):
        process.stop(self.process)
        self.process = None
