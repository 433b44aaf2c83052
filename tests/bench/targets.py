# SPDX-License-Identifier: Apache-2.0
"""What the figures must show, and whether they do. Ratios of one run, of medians."""

import dataclasses


@dataclasses.dataclass
class Target:
    what: str
    limit: float
    value: object  # None: not measured
    unit: str = ""
    at_least: bool = False

    def as_row(self):
        met = None
        if self.value is not None:
            met = self.value >= self.limit if self.at_least else self.value <= self.limit
        return {"what": self.what, "limit": self.limit, "at_least": self.at_least, "unit": self.unit,
                "value": None if self.value is None else round(self.value, 3), "met": met}


class Figures:
    """Looks results up; what was not measured is None."""

    def __init__(self, results):
        self.rows = {(row["name"], row["system"]): row for row in results["results"]}
        self.measures = results["measures"]

    def total(self, case, system="sluice"):
        row = self.rows.get((case, system))
        return row and row["cycles"]["median"]

    def net(self, case, system="sluice"):
        row = self.rows.get((case, system))
        return row and row["net_cycles"]

    def ovs_net(self, case):
        """The best of OVS-DPDK's."""
        nets = [row["net_cycles"] for (name, system), row in self.rows.items()
                if name == case and system.startswith("ovs-") and row["net_cycles"] is not None]
        return min(nets, default=None)

    def ratio(self, above, below):
        return above / below if above is not None and below else None

    def worst(self, measure, value, pick=max, **where):
        values = [value(row) for row in self.measures if row["measure"] == measure and
                  all(row.get(key) == wanted for key, wanted in where.items())]
        return pick(values) if values else None


def targets(f):
    def minus(a, b):
        return a - b if a is not None and b is not None else None

    yield Target("506 pods, 1,000 flows: net cycles, of the best of OVS-DPDK's", 0.2,
                 f.ratio(f.net("506p-1kf"), f.ovs_net("506p-1kf")))
    yield Target("506 pods, 1,000 flows: total cycles, of testpmd macswap's", 2,
                 f.ratio(f.total("506p-1kf"), f.total("506p-1kf", "testpmd-macswap")))
    yield Target("506 pods, 1,000 flows: net cycles (an aim)", 40, f.net("506p-1kf"))
    yield Target("1,000,000 flows: net cycles, of those of one flow", 1.3,
                 f.ratio(f.net("506p-1Mf"), f.net("506p-1f")))
    yield Target("50,000 pods: net cycles, of those of 506 (100,000 flows)", 1.6,
                 f.ratio(f.net("50kp-100kf"), f.net("506p-100kf")))
    yield Target("Tuple-space attack, 100 % of the packets: total cycles, of those without", 1.1,
                 f.ratio(f.total("506p-1kf-attacked-100"), f.total("506p-1kf-attacked")))
    yield Target("Tuple-space attack, 1 % of the packets: loss of the flows beside it", 2,
                 f.worst("victim", lambda r: 100 * r["loss"], system="sluice", attack="1%"), "%")
    yield Target("1,000 five-tuple rules: net cycles more than without", 100,
                 minus(f.net("506p-1kf-1kr"), f.net("506p-1kf")))
    for kind in "exact", "prefix":
        where = {"kind": kind, "system": "sluice"}
        yield Target(f"100,000 changes/s to a table of {kind} rules: changes done a second", 99000,
                     f.worst("updates", lambda r: r["achieved"], min, rate=100000, **where),
                     at_least=True)
        yield Target(f"100,000 changes/s to a table of {kind} rules: packets lost more than "
                     "without", 0, f.worst("updates", lambda r: max(0, r["lost"] - r["without"]["lost"]),
                                           rate=100000, **where))
        yield Target(f"10,000 changes/s to a table of {kind} rules: throughput", 0.98,
                     f.worst("updates", lambda r: r["throughput"], min, rate=10000, **where),
                     at_least=True)
    yield Target("1,000 changes/s to 10,000 five-tuple rules: in force at p99", 10,
                 f.worst("updates", lambda r: r["in_force_us"]["p99"] / 1000, rate=1000,
                         kind="random", system="sluice"), "ms")
    yield Target("Attach with 5,000 pod addresses attached: p99 over the control socket", 1,
                 f.worst("attach", lambda r: r["attach_ms"]["p99"]), "ms")
    yield Target("Killed and restarted with 5,000 pod addresses, 1,000 policy rules: until it forwards", 300,
                 f.worst("restart", lambda r: r["to_forwarding_ms"]["p50"]), "ms")
    yield Target("Table memory a pod", 512,
                 f.worst("memory", lambda r: r["table_bytes"], what="pod"), "bytes")


def judge(results):
    return [target.as_row() for target in targets(Figures(results))]


def sentence(target):
    """met / missed / -, and why."""
    word = {True: "met", False: "missed", None: "-"}[target["met"]]
    unit = f" {target['unit']}" if target["unit"] else ""
    bound = "at least" if target["at_least"] else "at most"
    value = "not measured" if target["value"] is None else f"{target['value']:g}{unit}"
    return word, f"{target['what']}: {value} ({bound} {target['limit']:g}{unit})"
