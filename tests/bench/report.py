# SPDX-License-Identifier: Apache-2.0
"""The results as text for people."""

from bench import targets

# Less of its core than this, and a contender's caches were not its own.
CORE_SHARE_MIN = 0.97
UNSETTLED = "* It was still learning flows or compiling rules when it was measured."


def report(results):
    """All of it, line by line."""
    yield from machine_lines(results["machine"])
    yield from cost(results["results"])
    for name, columns in MEASURES.items():
        rows = [row for row in results["measures"] if row["measure"] == name]
        if rows:
            yield ""
            yield from table([list(columns), *([show(row) for show in columns.values()]
                                               for row in rows)], left=2)
    yield ""
    judged = [target for target in results["targets"] if target["met"] is not None]
    for target in judged:
        word, text = targets.sentence(target)
        yield f"{word:6}  {text}"
    if len(judged) < len(results["targets"]):
        yield f"{len(results['targets']) - len(judged)} targets were not measured"
    if results["failures"]:
        yield ""
        yield "failed:"
        yield from results["failures"]


def machine_lines(machine):
    memory = "huge pages" if machine["hugepages"] else "4 KiB pages (no huge pages are free)"
    guest = ", virtual machine" if machine["hypervisor"] else ""
    yield (f"machine: {machine['cpu']}, {machine['cpus']} CPUs{guest}, "
           f"TSC {machine['tsc_mhz']:.0f} MHz, {memory}, Linux {machine['kernel']}, "
           f"load {machine['load']:.1f} at the start, {machine['began']}")
    yield f"built with: {machine['compiler']}"
    for version in sorted(set(machine["versions"].values())):
        systems = [name for name, its in machine["versions"].items() if its == version]
        yield f"{', '.join(systems)}: {version}"


def cost_lines(rows):
    """What a packet costs: one line per case and system."""
    lines = [["case", "system", "min", "median", "max", "net", "Mpps", "x macswap", "core"]]
    for row in rows:
        macswap = next((r["cycles"]["median"] for r in rows
                        if r["name"] == row["name"] and r["system"] == "testpmd-macswap"), None)
        cycles = row["cycles"]
        lines.append([
            row["name"], row["system"] + ("" if row["settled"] else " *"), number(cycles["min"]),
            number(cycles["median"]),
            number(cycles["max"]),
            "-" if row["net_cycles"] is None else number(row["net_cycles"]),
            f"{row['mpps']:.2f}", "-" if macswap is None else f"{cycles['median'] / macswap:.2f}",
            f"{row['core_share']:.0%}",
        ])
    return lines


def cost(rows):
    if not rows:
        return
    yield ""
    yield from table(cost_lines(rows), left=2)
    if not all(row["settled"] for row in rows):
        yield ""
        yield UNSETTLED
    if any(row["core_share"] < CORE_SHARE_MIN for row in rows):
        yield ""
        yield ("Other processes took some of the contender's core (column core): repeat this on an "
               "idle machine.")


def number(value):
    return f"{value:.1f}" if value < 10000 else f"{value:.0f}"


def table(lines, left):
    """The first columns are flush left, the others right."""
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for line in lines:
        cells = [cell.ljust(width) if i < left else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        yield "  ".join(cells).rstrip()


def micro(value):
    return "-" if value is None else f"{value:g}"


def latencies():
    names = {"p50": "p50", "p99": "p99", "p999": "p99.9", "p9999": "p99.99"}
    return {f"{label} us": lambda r, key=key: micro(r["latency_us"][key])
            for key, label in names.items()}


def loss(row):
    return f"{row['loss']:.3%}"


# Of each measure the columns: {head: how to show a row}.
MEASURES = {
    "latency": {"latency": lambda r: f"{r['load']:.0%} of capacity", "system": lambda r: r["system"],
                "Mpps": lambda r: f"{r['offered_mpps']:.2f}", **latencies(), "loss": loss,
                "longest gap us": lambda r: micro(r["longest_gap_us"])},
    "ndr": {"rate without loss": lambda r: f"at most {r['loss_max']:.1%} lost",
            "system": lambda r: r["system"], "Mpps": lambda r: f"{r['offered_mpps']:.2f}",
            "of capacity": lambda r: f"{r['offered_mpps'] / r['capacity_mpps']:.0%}", "loss": loss,
            **latencies()},
    "victim": {"victim": lambda r: f"attack {r['attack']}", "system": lambda r: r["system"],
               "Mpps": lambda r: f"{r['offered_mpps']:.2f}", **latencies(), "loss": loss},
    "updates": {"updates": lambda r: f"{r['kind']}, {r['rules']} rules", "system": lambda r: r["system"],
                "asked/s": lambda r: str(r["rate"]), "done/s": lambda r: str(r["achieved"]),
                "throughput": lambda r: f"{r['throughput']:.1%}",
                "lost": lambda r: str(r["lost"]),
                "lost without": lambda r: str(r["without"]["lost"]),
                "blocked us": lambda r: micro(r["blocked_us"]),
                "p50 us": lambda r: micro(r["in_force_us"]["p50"]),
                "p99 us": lambda r: micro(r["in_force_us"]["p99"]),
                "max us": lambda r: micro(r["in_force_us"]["max"]),
                "builds": lambda r: str(r["builds"])},
    "compile": {"compiling": lambda r: f"{r['rules']} random rules", "system": lambda r: r["system"],
                "cycles meanwhile": lambda r: micro(r["cycles_during"]),
                "after": lambda r: micro(r["cycles_after"]), "s": lambda r: micro(r["seconds"]),
                "structure": lambda r: r["structure"]},
    "openflow": {"by OpenFlow": lambda r: "exact, 1000 rules", "system": lambda r: r["system"],
                 "asked/s": lambda r: str(r["rate"]), "done/s": lambda r: str(r["achieved"]),
                 "throughput": lambda r: f"{r['throughput']:.1%}",
                 **{f"one change {p} ms": lambda r, p=p: f"{r['single_ms'][p]:.2f}"
                    for p in ("p50", "p99", "max")}},
    "attach": {"daemon": lambda r: f"{r['pods']} addresses on {r['ports']} ports",
               "system": lambda r: r["system"],
               **{f"{what} {p} ms": lambda r, what=what, p=p: f"{r[f'{what}_ms'][p]:.2f}"
                  for what in ("attach", "detach") for p in ("p50", "p99", "max")}},
    "restart": {"daemon": lambda r: f"{r['pods']} addresses on {r['ports']} ports",
                "system": lambda r: r["system"],
                **{f"to forwarding {p} ms": lambda r, p=p: f"{r['to_forwarding_ms'][p]:.0f}"
                   for p in ("p50", "max")}},
    "memory": {"memory": lambda r: f"{r['n']} x {r['what']}", "system": lambda r: r["system"],
               "tables, bytes each": lambda r: str(r["table_bytes"]),
               "rule, bytes each": lambda r: str(r.get("rule_bytes", "-")),
               "structure": lambda r: r.get("structure", "-")},
    "check": {"check": lambda r: "1,000 flows, 506 pods", "system": lambda r: r["system"],
              "packets": lambda r: str(r["packets"]), "its own": lambda r: str(r["own_packets"]),
              "cycles": lambda r: micro(r["cycles"]), "its own cycles": lambda r: micro(r["own_cycles"])},
}
