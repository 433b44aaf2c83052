# SPDX-License-Identifier: Apache-2.0
"""The results for people."""

# Less of its core than this, and a contender's caches were not its own.
CORE_SHARE_MIN = 0.97


def machine_lines(machine):
    memory = "huge pages" if machine["hugepages"] else "4 KiB pages (no huge pages are free)"
    guest = ", virtual machine" if machine["hypervisor"] else ""
    yield (f"machine: {machine['cpu']}, {machine['cpus']} CPUs{guest}, "
           f"TSC {machine['tsc_mhz']:.0f} MHz, {memory}, Linux {machine['kernel']}, "
           f"load {machine['load']:.1f} at the start")
    yield f"built with: {machine['compiler']}"
    for version in sorted(set(machine["versions"].values())):
        systems = [name for name, its in machine["versions"].items() if its == version]
        yield f"{', '.join(systems)}: {version}"


def table(rows):
    """One line per case and system."""
    head = ["case", "system", "min", "median", "max", "net", "Mpps", "x macswap", "core"]
    lines = [head]
    for row in rows:
        macswap = next((r["cycles"]["median"] for r in rows
                        if r["case"] == row["case"] and r["system"] == "testpmd-macswap"), None)
        cycles = row["cycles"]
        lines.append([
            row["name"], row["system"],
            f"{cycles['min']:.1f}", f"{cycles['median']:.1f}", f"{cycles['max']:.1f}",
            "-" if row["net_cycles"] is None else f"{row['net_cycles']:.1f}",
            f"{row['mpps']:.2f}",
            "-" if macswap is None else f"{cycles['median'] / macswap:.2f}",
            f"{row['core_share']:.0%}",
        ])
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    for line in lines:
        left = [line[i].ljust(widths[i]) for i in range(2)]
        right = [line[i].rjust(widths[i]) for i in range(2, len(head))]
        yield "  ".join(left + right).rstrip()
    if any(row["core_share"] < CORE_SHARE_MIN for row in rows):
        yield ""
        yield ("Other processes took some of the contender's core (column core): repeat this on an "
               "idle machine.")
