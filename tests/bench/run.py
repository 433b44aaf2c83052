# SPDX-License-Identifier: Apache-2.0
"""The measurement: each case, in rounds in which every contender has its turn."""

import dataclasses
import pathlib
import statistics
import tempfile
import time

from bench import frames, process

# Between a contender's first forwarded packet and the clock's start: caches and tables settle.
WARM_UP_S = 0.5


@dataclasses.dataclass(frozen=True)
class Case:
    pods: int
    flows: int
    policy: int = 0
    frame: int = 60  # bytes without FCS
    attack: str = "none"

    def name(self):
        return f"{self.pods}p-{short(self.flows)}f"

    def mbufs(self):
        """net_pcap keeps one per frame of the file; as many again as bursts and caches may hold."""
        return self.flows + 16384

    def memory_mb(self):
        """What a contender gets. testpmd alone takes 400 MiB for its table of 1,024 ports."""
        return 512 + self.mbufs() * 3000 // 1000000


def short(number):
    return f"{number // 1000}k" if number >= 1000 and number % 1000 == 0 else str(number)


@dataclasses.dataclass
class Setup:
    """What contenders need to know to start."""

    root: pathlib.Path  # of the source tree
    dpdk: pathlib.Path  # the built library
    build: pathlib.Path  # the release build of Sluice
    cpus: tuple  # (for all that measures, for the contender)
    tsc_mhz: float
    huge: bool

    def eal_memory(self, mb):
        """EAL's arguments for so much memory."""
        if self.huge:
            return ["--in-memory", "-m", str(mb)]
        return ["--no-huge", "--no-shconf", "-m", str(mb)]

    def check_hugepages(self, name, used):
        if bool(used) != self.huge:
            raise RuntimeError(f"{name}: huge pages {'used' if used else 'not used'}, unlike the "
                               "others; did another program take or free some?")


@dataclasses.dataclass
class Sample:
    cycles: float  # per packet
    mpps: float  # at the TSC's rate, on a core of its own
    share: float  # of the time that the contender had its core

    @staticmethod
    def take(contender, setup, seconds):
        before = read(contender, setup)
        time.sleep(seconds)
        after = read(contender, setup)
        wall, ran, forwarded, received = (b - a for a, b in zip(before, after))
        # Both counters run while they are read, and testpmd's are read one after the other.
        if forwarded < 0.95 * received:
            raise RuntimeError(f"{contender.name} forwarded only {forwarded} of {received} packets")
        cycles = ran * setup.tsc_mhz / 1000 / forwarded
        return Sample(cycles, setup.tsc_mhz / cycles, ran / wall)


def read(contender, setup):
    received, forwarded = contender.counters()
    ran = sum(process.run_ns(pid, setup.cpus[1]) for pid in contender.pids())
    return time.monotonic_ns(), ran, forwarded, received


def measure(contender, setup, case, path, seconds):
    """Starts the contender, takes one sample, stops it."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        try:
            contender.start(case, path, pathlib.Path(folder))
            time.sleep(WARM_UP_S)
            return Sample.take(contender, setup, seconds)
        finally:
            contender.stop()


def run_case(setup, case, contenders, rounds, seconds, progress):
    """The samples of each contender: {name: [Sample]}."""
    samples = {contender.name: [] for contender in contenders}
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        path = pathlib.Path(folder) / "frames.pcap"
        frames.write_pcap(path, case.pods, case.flows, case.frame)
        for turn in range(rounds):
            for contender in contenders:
                sample = measure(contender, setup, case, path, seconds)
                samples[contender.name].append(sample)
                progress(f"{case.name()} round {turn + 1}/{rounds} {contender.name}: "
                         f"{sample.cycles:.1f} cycles a packet, {sample.share:.0%} of the core")
    return samples


def results(case, samples):
    """One result per system, in the form of the JSON file."""
    floor = None
    if "testpmd-io" in samples:
        floor = statistics.median(s.cycles for s in samples["testpmd-io"])
    rows = []
    for system, taken in samples.items():
        cycles = [s.cycles for s in taken]
        median = statistics.median(cycles)
        rows.append({
            "case": dataclasses.asdict(case),
            "system": system,
            "cycles": {"min": round(min(cycles), 1), "median": round(median, 1),
                       "max": round(max(cycles), 1)},
            "net_cycles": None if floor is None else round(median - floor, 1),
            "mpps": round(statistics.median(s.mpps for s in taken), 2),
            "core_share": round(min(s.share for s in taken), 3),
            "rounds": len(taken),
        })
    return rows
