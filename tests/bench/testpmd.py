# SPDX-License-Identifier: Apache-2.0
"""dpdk-testpmd of the same DPDK build: what receiving and sending alone cost (io), and what the least
work on each frame costs (macswap)."""

import pathlib

from bench import process
from bench.telemetry import Telemetry


class Testpmd:
    def __init__(self, setup, forward_mode):
        self.name = f"testpmd-{forward_mode}"
        self.setup = setup
        self.forward_mode = forward_mode
        self.process = self.telemetry = None

    def version(self):
        return self.setup.dpdk.name.rpartition("-")[0]  # without the build's key

    def start(self, case, frames, folder):
        log = folder / "testpmd.log"
        runtime = folder / "runtime"
        runtime.mkdir()
        measuring, busy = self.setup.cpus
        command = [
            self.setup.dpdk / "bin/dpdk-testpmd", "-l", f"{measuring},{busy}",
            "--main-lcore", str(measuring), "--no-pci",
            *self.setup.eal_memory(case.memory_mb()),
            "--vdev", f"net_pcap0,rx_pcap={frames},infinite_rx=1", "--vdev", "net_null0,no-rx=1", "--", f"--forward-mode={self.forward_mode}",
            "--nb-cores=1", f"--total-num-mbufs={case.mbufs()}",
        ]
        self.process = process.start(command, log, self.setup.cpus,
                                     env={"RUNTIME_DIRECTORY": str(runtime)})
        socket = process.wait_for(lambda: next(runtime.rglob("dpdk_telemetry.v2*"), None),
                                  self.process, log, self.name)
        self.telemetry = Telemetry(str(socket))
        # Until its ports are there the socket answers null.
        process.wait_for(lambda: self.telemetry.stats(1) and self.counters()[1], self.process,
                         log, self.name)

    def pids(self):
        return [self.process.pid]

    def counters(self):
        return self.telemetry.stats(0)["ipackets"], self.telemetry.stats(1)["opackets"]

    def stop(self):
        if self.telemetry:
            self.telemetry.close()
        process.stop(self.process)
        self.process = self.telemetry = None
