# SPDX-License-Identifier: Apache-2.0
"""What else is measured than the cost of a packet."""

import dataclasses
import fnmatch
import statistics
import time

from bench import cases, life, offered, process
from bench import openflow as flows
from bench import rules as policies
from bench.run import Running, Sample, cycles, read

# The share of its own capacity that a contender is offered where loss is counted.
LOAD = 0.5
LOADS = 0.1, 0.5, 0.9
UPDATE_RATES = 1000, 10000, 100000
UPDATES = [(kind, rate) for kind in ("exact", "prefix", "random") for rate in UPDATE_RATES]
QUICK_UPDATES = [("exact", 10000), ("exact", 100000), ("prefix", 10000), ("prefix", 100000),
                 ("random", 1000)]
UPDATE_RULES = 10000
# The longest that compiling is watched.
COMPILE_MAX_S = 90
# Packets a second that are as good as none.
TRICKLE = 0.01
MEMORY_RULES = [("random", 1000), ("random", 10000), ("exact", 10000), ("prefix", 10000)]


def latency(setup, contenders, seconds, say):
    """Percentiles at shares of each contender's own capacity."""
    case = cases.Case(506, 1000)
    for contender in contenders:
        with Running(contender, case.rules()) as running:
            running.send(case)
            packets = offered.capacity(running.generator, seconds)
            for load in LOADS:
                running.send(case, rate=int(packets * load))
                row = offered.Offered.take(running.generator, int(packets * load), 2 * seconds).row()
                say(f"latency {contender.name} at {load:.0%}: {row}")
                yield {"measure": "latency", "system": contender.name, "load": load, **row}


def ndr(setup, contenders, seconds, say):
    """The highest rate at which next to nothing is lost."""
    case = cases.Case(506, 1000)
    for contender in contenders:
        with Running(contender, case.rules()) as running:
            running.send(case)
            top = offered.capacity(running.generator, seconds)

            def trial(rate):
                running.send(case, rate=rate)
                taken = offered.Offered.take(running.generator, rate, 2 * seconds)
                say(f"ndr {contender.name}: {taken.loss:.3%} lost of {rate / 1e6:.2f} Mpps")
                return taken

            found = offered.no_drop_rate(trial, int(top))
            yield {"measure": "ndr", "system": contender.name, "capacity_mpps": round(top / 1e6, 3),
                   "loss_max": offered.LOSS_MAX, **found.row()}


def victim(setup, contenders, seconds, say):
    """The loss of ordinary flows, alone and with an attack of 1 % beside them."""
    alone = cases.Case(506, 1000, policy=4, kind="attack")
    beside = cases.Case(506, 1000, policy=4, kind="attack", attack="1%")
    for contender in contenders:
        if setup.quick and contender.name not in ("sluice", "ovs-emc"):
            continue
        with Running(contender, alone.rules()) as running:
            running.send(alone)
            rate = int(offered.capacity(running.generator, seconds) * LOAD)
            for case, packets in (alone, rate), (beside, rate * 100 // 99):
                running.send(case, rate=packets)
                row = offered.Offered.take(running.generator, rate, 2 * seconds).row()
                say(f"victim {contender.name} attack {case.attack}: {row}")
                yield {"measure": "victim", "system": contender.name, "attack": case.attack,
                       "load": LOAD, **row}


def updates(setup, contenders, seconds, say):
    """Changes to the operator's rules while packets are forwarded beside them: to a table of exact
    rules, of prefixes, of five-tuples of all kinds. First as fast as packets are taken, then at a
    rate at which none need be lost."""
    asked = QUICK_UPDATES if setup.quick else UPDATES
    for contender in contenders:
        for kind in dict.fromkeys(kind for kind, _ in asked):
            case = cases.Case(506, 1000, policy=UPDATE_RULES, kind=kind)
            with Running(contender, case.rules()) as running:
                for rate in (rate for its, rate in asked if its == kind):
                    row = update(setup, running, case, rate, seconds)
                    say(f"updates {kind} {rate}/s: {row}")
                    yield {"measure": "updates", "system": contender.name, "kind": kind,
                           "rate": rate, "rules": UPDATE_RULES, **row}


def update(setup, running, case, rate, seconds):
    """Without and with changes in turn, and medians: a machine that is slow for a while, or takes the
    CPU away, hits both alike. Where loss is counted the other CPU is busy either way: virtual machines
    lose their CPUs more often while they use all of them. Each turn begins with tables that are
    compiled, which takes a while of five-tuples."""
    contender, generator = running.contender, running.generator
    turns = (1 if setup.quick else 2) + (case.kind != "random")
    request = f"update {rate} {max(1, round(2 * seconds))}"
    still, busy, quiet, changing, done = [], [], [], [], []
    running.send(case)
    for _ in range(turns):
        still.append(Sample.take(contender, generator, setup, seconds).cycles)
        contender.begin(request)
        busy.append(Sample.take(contender, generator, setup, seconds).cycles)
        contender.finish(request)
        contender.settle(case)

    packets = int(offered.capacity(generator, seconds) * LOAD)
    running.send(case, rate=packets)
    for _ in range(turns):
        with process.busy(setup.cpus[:1]):
            quiet.append(offered.Offered.take(generator, packets, 2 * seconds))
        contender.begin(request)
        changing.append(offered.Offered.take(generator, packets, 2 * seconds))
        done.append(contender.finish(request))
        contender.settle(case)
    return {"throughput": round(statistics.median(still) / statistics.median(busy), 4),
            "achieved": min(round(d["changes"] / d["seconds"]) for d in done),
            "in_force_us": max((d["in_force_us"] for d in done), key=lambda times: times["p99"]),
            "structure": done[-1]["structure"], "builds": sum(d["builds"] for d in done),
            "without": median_loss(quiet).row(), **median_loss(changing).row()}


def median_loss(taken):
    return sorted(taken, key=lambda one: one.lost)[len(taken) // 2]


def compile_time(setup, contenders, seconds, say):
    """What packets cost while the first acl over many five-tuples is built, and how long that takes."""
    case = cases.Case(506, 1000, policy=UPDATE_RULES)
    for contender in contenders:
        with Running(contender, case.rules()) as running:
            began, during = time.monotonic(), []
            while contender.ask("policy")["busy"] and time.monotonic() < began + COMPILE_MAX_S:
                during.append(Sample.take(contender, running.generator, setup, seconds / 2).cycles)
            row = {"rules": UPDATE_RULES, "seconds": round(time.monotonic() - began, 1),
                   "cycles_during": round(statistics.median(during), 1) if during else None,
                   "cycles_after": round(Sample.take(contender, running.generator, setup,
                                                     seconds).cycles, 1),
                   "structure": contender.ask("policy")["structure"]}
            say(f"compile {contender.name}: {row}")
            yield {"measure": "compile", "system": contender.name, **row}


def check(setup, contenders, seconds, say):
    """The benchmark's figures beside the contender's own: packets, once no more come, must be the same;
    cycles come from another clock, the TSC, and from what the contender calls busy."""
    case = cases.Case(506, 1000)
    for contender in contenders:
        with Running(contender, case.rules()) as running:
            running.send(case)
            own = contender.own_cycles()
            sample = Sample.take(contender, running.generator, setup, seconds)
            own = own and contender.own_cycles().minus(own)
            running.send(case, rate=TRICKLE)
            time.sleep(seconds)
            packets = running.generator.totals()[0]
            counted = contender.own_packets()
            row = {"packets": packets, "own_packets": counted, "cycles": round(sample.cycles, 1),
                   "own_cycles": own and round(own.cycles * sample.share / own.packets, 1)}
            say(f"check {contender.name}: {row}")
            if packets != counted:
                raise RuntimeError(f"{contender.name} counted {counted} packets, the generator {packets}")
            yield {"measure": "check", "system": contender.name, **row}


def openflow(setup, contenders, seconds, say):
    """The same by OpenFlow, as an operator changes them, beside what OVS does. sluiced has each change
    on disk before it answers the barrier."""
    for contender in contenders:
        case = cases.Case(506, 1000, policy=1000, kind="exact")
        with Running(contender, case.rules()) as running:
            changed = policies.policy(case.rules())
            table = contender.policy_table
            with flows.Switch(contender.management()) as switch:
                singles = life.spread([1000 * t for t in switch.latencies(table, changed, 200)])
                for rate in UPDATE_RATES:
                    running.send(case)
                    still = Sample.take(contender, running.generator, setup, seconds).cycles
                    before = read(contender, running.generator, setup)
                    done = switch.change(table, changed, rate, 2 * seconds)
                    busy = cycles(before, read(contender, running.generator, setup), setup)
                    row = {"rate": rate, "achieved": round(done), "single_ms": singles,
                           "throughput": round(still / busy, 4)}
                    say(f"openflow {contender.name} {rate}/s: {row}")
                    yield {"measure": "openflow", "system": contender.name, **row}


def memory(setup, contenders, seconds, say):
    """What pods and rules take."""
    for contender in contenders:
        for pods in [5000] if setup.quick else [506, 5000, 50000]:
            with Running(contender, cases.Rules(pods)) as running:
                took = contender.ask("memory")
            yield {"measure": "memory", "system": contender.name, "what": "pod", "n": pods,
                   "table_bytes": round(took["tables"] / pods),
                   "rule_bytes": round(took["rules"] / pods)}
        for kind, n in MEMORY_RULES[:1 if setup.quick else None]:
            case = cases.Case(506, 1000, policy=n, kind=kind)
            with Running(contender, case.rules()) as running:
                contender.settle(case)
                table = contender.ask("policy")
            yield {"measure": "memory", "system": contender.name, "what": f"{kind} rule", "n": n,
                   "table_bytes": round(table["table_bytes"] / n), "structure": table["structure"],
                   "build_us": table["build_us"]}


@dataclasses.dataclass(frozen=True)
class Measure:
    run: object  # a function of (setup, contenders, seconds, say) that yields rows
    systems: str = "*"  # that it is of: shell patterns

    def takes(self, contender):
        return any(fnmatch.fnmatchcase(contender.name, pattern) for pattern in self.systems.split(","))

    def rows(self, setup, contenders, seconds, say):
        return self.run(setup, [c for c in contenders if self.takes(c)], seconds, say)


MEASURES = {
    "check": Measure(check, "testpmd-*,sluice-64ports,ovs-*"),
    "latency": Measure(latency),
    "ndr": Measure(ndr, "testpmd-macswap,sluice,ovs-emc"),
    "victim": Measure(victim, "sluice*,ovs-*"),
    "updates": Measure(updates, "sluice"),
    "compile": Measure(compile_time, "sluice"),
    "openflow": Measure(openflow, "sluice-64ports,ovs-*"),
    "memory": Measure(memory, "sluice"),
    "attach": Measure(life.attach, "sluice-64ports"),
    "restart": Measure(life.restart, "sluice-64ports"),
}
QUICK = ["victim", "updates", "memory"]  # beside cases.QUICK
