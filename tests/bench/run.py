# SPDX-License-Identifier: Apache-2.0
"""What a packet costs: each scenario's cases, in rounds in which every contender has its turn."""

import dataclasses
import pathlib
import statistics
import tempfile
import time

from bench import gen, process

# Between traffic that begins and the clock's start: caches and tables settle.
WARM_UP_S = 0.3
# How long reading all counters may take, and how often it is tried.
READING_NS = 5000000
READINGS = 50
# Rounds that differ by less, of their median, need no more of them.
SPREAD_MAX = 0.03


@dataclasses.dataclass
class Setup:
    """What contenders need to know to start."""

    root: pathlib.Path  # of the source tree
    dpdk: pathlib.Path  # the built library
    build: pathlib.Path  # the release build of Sluice
    cpus: tuple  # (for all that measures, for the contender)
    tsc_mhz: float
    huge: bool
    quick: bool
    mbufs: int = 16384

    def memory_mb(self, contender):
        """testpmd alone takes 400 MiB for its table of 1,024 ports."""
        return 1024

    def plugin(self):
        """The generator, for programs with our DPDK in them."""
        return self.build / "tests/bench/net_gen/libnet_gen_plugin.so"

    def stock_plugin(self):
        """The same for programs of the machine's own DPDK."""
        return gen.plugin_for_stock_dpdk(self.root)

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
    cycles: float  # per packet received
    mpps: float  # at the TSC's rate, on a core of its own
    share: float  # of the time that the contender had its core
    settled: bool = True  # it was doing what it will go on doing

    @staticmethod
    def take(contender, generator, setup, seconds, forwarded=1):
        before = read(contender, generator, setup)
        time.sleep(seconds)
        after = read(contender, generator, setup)
        wall, ran, received, sent = (b - a for a, b in zip(before, after))
        if not received:
            raise RuntimeError(f"{contender.name} took no packet in {seconds} s")
        # Both counters run while they are read.
        if abs(sent / received - forwarded) > 0.05:
            raise RuntimeError(f"{contender.name} sent {sent} of {received} packets, and should "
                               f"have sent {forwarded:.0%}")
        taken = cycles(before, after, setup)
        return Sample(taken, setup.tsc_mhz / taken, ran / wall)


def read(contender, generator, setup):
    """What runs on while it is read: once more if something else took the CPU in between."""
    for _ in range(READINGS):
        began = time.monotonic_ns()
        received, sent = generator.totals()
        ran = sum(process.run_ns(pid, setup.cpus[1]) for pid in contender.pids())
        if time.monotonic_ns() - began < READING_NS:
            break
    return began, ran, received, sent


def cycles(before, after, setup):
    """For each packet received between two readings."""
    return (after[1] - before[1]) * setup.tsc_mhz / 1000 / max(after[2] - before[2], 1)


class Running:
    """A contender with a scenario's rules, and its generator, for a `with` block."""

    def __init__(self, contender, rules, **start):
        self.contender, self.rules, self.start = contender, rules, start

    def __enter__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="sluice-bench-")
        self.path = path = pathlib.Path(self.folder.name)
        self.generator = gen.Generator(path, self.rules.first_traffic())
        try:
            self.contender.start(self.rules, self.generator, path, **self.start)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.contender.stop()
        self.generator.close()
        self.folder.cleanup()

    def send(self, case, **more):
        """Traffic of a case, from now on; returns when it is worth measuring, or it took too long."""
        self.generator.change(case.traffic(**more))
        time.sleep(WARM_UP_S)
        return self.contender.settle(case)


def measure_cost(setup, scenarios, contenders, rounds, seconds, say, failures):
    """Yields (case, contender's name, Sample); adds to the failures what went wrong, in sentences.
    rounds: (at least, at most)."""
    for rules, cases in scenarios.items():
        taken = {(contender, case): [] for contender in contenders if contender.takes(rules)
                 for case in cases}
        for turn in range(rounds[1]):
            for contender in contenders:
                left = [case for case in cases if (contender, case) in taken and
                        more_needed(taken[contender, case], rounds[0])]
                if not left:
                    continue
                try:
                    with Running(contender, rules) as running:
                        for case in left:
                            sample = measure_case(running, case, setup, seconds)
                            taken[contender, case].append(sample)
                            say(f"{case.name()} round {turn + 1} {contender.name}: "
                                f"{sample.cycles:.1f} cycles a packet, {sample.share:.0%} of the core")
                            yield case, contender.name, sample
                except RuntimeError as error:
                    failures.append(f"{contender.name} with {rules}, round {turn + 1}: {error}")
                    say(failures[-1])


def more_needed(taken, at_least):
    """Whether a contender is measured once more. Where it did not settle it would not the next time."""
    if not all(sample.settled for sample in taken):
        return False
    values = [sample.cycles for sample in taken]
    return (len(values) < at_least or
            max(values) - min(values) > SPREAD_MAX * statistics.median(values))


def measure_case(running, case, setup, seconds):
    settled = running.send(case)
    forwarded = 1 if running.contender.name.startswith("testpmd") else case.forwarded()
    sample = Sample.take(running.contender, running.generator, setup, seconds, forwarded)
    sample.settled = settled
    return sample


def results(samples):
    """Of {case: {contender's name: [Sample]}}. One result for each case and system, in the form of the JSON file."""
    return [row for case, by_system in samples.items() for row in case_results(case, by_system)]


def case_results(case, by_system):
    floor = None
    if "testpmd-io" in by_system:
        floor = statistics.median(s.cycles for s in by_system["testpmd-io"])
    for system, taken in by_system.items():
        cycles = [s.cycles for s in taken]
        median = statistics.median(cycles)
        yield {
            "case": dataclasses.asdict(case),
            "name": case.name(),
            "system": system,
            "cycles": {"min": round(min(cycles), 1), "median": round(median, 1),
                       "max": round(max(cycles), 1)},
            "net_cycles": None if floor is None else round(median - floor, 1),
            "mpps": round(statistics.median(s.mpps for s in taken), 2),
            "core_share": round(min(s.share for s in taken), 3),
            "rounds": len(taken),
            "settled": all(s.settled for s in taken),
        }
