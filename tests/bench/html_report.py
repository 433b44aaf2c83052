# SPDX-License-Identifier: Apache-2.0
"""The results as one HTML page with plots: nothing but the file is needed to read it."""

import json
from html import escape

from bench import report, svg, targets

COLOURS = {"testpmd-io": "#9aa3ad", "testpmd-macswap": "#6b7683", "sluice": "#0a9f8a",
           "sluice-64ports": "#3f7fd1", "ovs-emc": "#e07a1f", "ovs-noemc": "#c2452d",
           "ovs-smc": "#a8448f", "sluiced": "#3f7fd1", "sluice-offload-auto": "#2b6cb0",
           "sluice-offload-off": "#7fa8d8"}

STYLE = """
:root { --bg: #fbfbfa; --card: #fff; --ink: #1c2126; --soft: #616b76; --line: #e3e5e8; --good: #0a7d56; --bad: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --bg: #14171a; --card: #1d2125; --ink: #e8eaed; --soft: #98a2ad;
  --line: #31373d; --good: #4cc38a; --bad: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--bg); color: var(--ink); font: 15px/1.55 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 40px 20px 80px; }
h1 { font-size: 30px; margin: 0 0 4px; letter-spacing: -.02em; } h2 { font-size: 20px; margin: 44px 0 4px; }
p { max-width: 75ch; } .soft, figcaption, small { color: var(--soft); }
.hero { display: flex; flex-wrap: wrap; gap: 14px; margin: 26px 0; }
.hero div { flex: 1 1 180px; background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 18px; }
.hero b { display: block; font-size: 30px; letter-spacing: -.02em; color: var(--good); }
figure { margin: 14px 0; background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 16px 18px; }
.two { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(440px, 100%), 1fr)); gap: 14px; }
.two figure { margin: 0; } pre { overflow-x: auto; }
svg { width: 100%; height: auto; display: block; font: 13px system-ui, sans-serif; overflow: visible; }
svg text { fill: var(--ink); } svg .tick { fill: var(--soft); font-size: 12px; } svg .value { font-weight: 600; }
.grid { stroke: var(--line); } .whisker { stroke: var(--ink); stroke-width: 1.5; opacity: .55; }
.floor { fill: var(--card); opacity: .55; } .line { fill: none; stroke-width: 2.5; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 14px; width: 100%; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; } td:nth-child(-n+2), th:nth-child(-n+2) { text-align: left; }
.targets td { white-space: normal; text-align: left; } .met { color: var(--good); font-weight: 700; }
.missed { color: var(--bad); font-weight: 700; } .none { color: var(--soft); }
details { margin-top: 20px; } summary { cursor: pointer; color: var(--soft); }
"""


def page(results):
    rows = results["results"]
    colours = "".join(f".s-{name} {{ fill: {c}; }} .l-{name} {{ stroke: {c}; }} svg .t-{name} {{ fill: {c}; }}"
                      for name, c in COLOURS.items())
    parts = [
        "<!DOCTYPE html>", '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Sluice: what a packet costs</title><style>{STYLE}{colours}</style></head><body><main>",
        "<h1>What a packet costs</h1>",
        '<p class="soft">Sluice beside testpmd and OVS-DPDK, on one core each, in one run. Medians of '
        "interleaved rounds; TSC cycles of the contender's core a packet.<br>"
        f"{escape(next(report.machine_lines(results['machine'])))}</p>",
        failures(results), hero(results), verdicts(results["targets"]), headline(rows), scaling(rows), sizes(rows),
        attack(rows), *(measure(results, name) for name in report.MEASURES), everything(rows),
        machine(results), "</main></body></html>",
    ]
    return "\n".join(part for part in parts if part) + "\n"


def failures(results):
    return "".join(f'<p class="missed">{escape(line)}</p>' for line in results["failures"])


def hero(results):
    f = targets.Figures(results)
    net, best = f.net("506p-1kf"), f.ovs_net("506p-1kf")
    row = f.rows.get(("506p-1kf", "sluice"))
    shown = []
    if row:
        shown.append((f"{row['mpps']:.1f} Mpps", "Sluice on one core: 506 pods, 1,000 flows, 64-byte frames"))
    if net is not None:
        shown.append((f"{net:.0f} cycles", "of its own for each packet"))
    if net and best:
        shown.append((f"{best / net:.1f} x", f"less than OVS-DPDK's best, {best:.0f}"))
    attack, benign = f.total("506p-1kf-attacked-100"), f.total("506p-1kf-attacked")
    if attack and benign:
        shown.append((f"{attack / benign:.2f} x", "the cost of a packet under the tuple-space attack"))
    return '<div class="hero">' + "".join(f"<div><b>{escape(big)}</b>{escape(small)}</div>"
                                          for big, small in shown) + "</div>"


def verdicts(rows):
    lines = []
    for row in rows:
        word, text = targets.sentence(row)
        kind = word if word != "-" else "none"
        lines.append(f'<tr><td class="{kind}">{escape(word)}</td><td>{escape(text)}</td></tr>')
    return ('<h2>What it must show</h2><figure class="scroll"><table class="targets">' +
            "".join(lines) + "</table></figure>")


def bars_of(rows, name, caption, log=False):
    chosen = [row for row in rows if row["name"] == name]
    if not chosen:
        return ""
    floor = next((r["cycles"]["median"] for r in chosen if r["system"] == "testpmd-io"), 0)
    plot = svg.bars([(r["system"], r["system"], r["cycles"]["min"], r["cycles"]["median"],
                      r["cycles"]["max"], floor) for r in chosen], caption, log)
    return f"<figure>{plot}<figcaption>{escape(caption)}</figcaption></figure>"


def headline(rows):
    plot = bars_of(rows, "506p-1kf", "506 pods, 1,000 flows, 64-byte frames: cycles a packet. The pale "
                   "part is what receiving and sending alone cost; whiskers are the fastest and the "
                   "slowest round.")
    return plot and f"<h2>The job: guard, 506 pod rules, rewrite, count</h2>{plot}"


def lines_of(rows, places, caption, unit, net=True, log=False):
    """places: {label: case's name}; unit: what the labels count."""
    by = {(row["name"], row["system"]): row for row in rows}
    there = {label: name for label, name in places.items()
             if any(row["name"] == name for row in rows)}
    series = {}
    for system in COLOURS:
        if net and system == "testpmd-io":
            continue
        points = [point_of(by.get((name, system)), net, log) for name in there.values()]
        if sum(p is not None for p in points) > 1:
            series[system] = points
    if not series:
        return ""
    return (f"<figure>{svg.lines(list(there), series, caption, (unit, 'net cycles' if net else 'cycles'), log)}"
            f"<figcaption>{escape(caption)}</figcaption></figure>")


def point_of(row, net, log):
    """Median, lowest and highest; those of net cycles about the same floor. None: not measured."""
    if not row or (net and row["net_cycles"] is None):
        return None
    cycles = row["cycles"]
    less = cycles["median"] - row["net_cycles"] if net else 0
    least = 1 if log else 0
    return tuple(max(cycles[which] - less, least) for which in ("median", "min", "max"))


def scaling(rows):
    plots = [
        lines_of(rows, {"1": "506p-1f", "1k": "506p-1kf", "100k": "506p-100kf", "1M": "506p-1Mf"},
                 "Net cycles a packet, by flows (506 pods).", "flows"),
        lines_of(rows, {"1": "1p-1kf", "506": "506p-100kf", "5k": "5kp-100kf", "50k": "50kp-100kf"},
                 "Net cycles a packet, by pods (100,000 flows; one pod: 1,000; "
                 "logarithmic).", "pods", log=True),
        lines_of(rows, {"0": "506p-1kf", "10": "506p-1kf-10r", "1k": "506p-1kf-1kr", "10k": "506p-1kf-10kr"},
                 "Net cycles a packet, by five-tuple rules of an operator "
                 "(logarithmic).", "rules", log=True),
    ]
    plots = [plot for plot in plots if plot]
    return plots and f'<h2>As it grows</h2><div class="two">{"".join(plots)}</div>' or ""


def sizes(rows):
    places = {"64": "506p-1kf", **{str(n): f"506p-1kf-{n}B" for n in (128, 256, 512, 1024, 1518)},
              "IMIX": "506p-1kf-imix", "IPv6": "506p-1kf-v6"}
    plot = lines_of(rows, places, "Cycles a packet, by frame size in bytes; a mix of sizes; IPv6 (logarithmic).",
                    "bytes", net=False, log=True)
    return plot and f'<h2>Frame sizes, IPv6</h2><div class="two">{plot}</div>'


def attack(rows):
    plots = [bars_of(rows, f"506p-1kf-attacked{suffix}", caption, log=True)
             for suffix, caption in (("", "Four overlapping rules, ordinary traffic: cycles a packet "
                                          "(logarithmic)."),
                                     ("-1", "1 % of the packets are the attack's."),
                                     ("-100", "All of them are: 8,192 headers, each with one bit of "
                                              "three fields different."))]
    if not any(plots):
        return ""
    return ("<h2>Under the tuple-space attack</h2><p>A cache of wildcarded flows needs an entry with a "
            "mask of its own for each of the attack's headers, and every packet is then looked up under "
            "thousands of masks. Compiled rules have nothing to fill.</p>" + "".join(plots))


TITLES = {"latency": "Latency", "ndr": "The rate without loss", "victim": "Beside an attack", "updates": "Changes while it forwards",
          "openflow": "Changes by OpenFlow", "compile": "Compiling", "check": "The benchmark checked",
          "attach": "Attaching a pod", "restart": "A restart", "memory": "Memory"}
CAPTIONS = {
    "latency": "Packets come at a rate of their own, into a queue of 4,096; from when they are due until they are sent.",
    "ndr": "The highest rate at which at most 0.1 % of the packets are lost, by bisection (RFC 2544, with a bound for "
           "the CPU that a virtual machine loses now and then), and their latency at it.",
    "victim": "Ordinary flows at half of what each system can take, without and with an attack of 1 % beside them.",
    "updates": "Changes a second to the operator's table, asked and done; throughput beside them, of that without; "
               "packets lost at half load, with changes, and without but with the other CPU as busy; how long a change "
               "took until all workers forwarded by it.",
    "openflow": "The same over the management socket, with a barrier: sluiced has a change on disk and in force "
                "when it answers, OVS in force.",
    "compile": "Cycles a packet while the first acl over the rules is built, and with it.",
    "check": "What the benchmark counts beside what each system counts itself: the packets are to be the same; "
             "cycles come from another clock, so that they differ a little.",
    "memory": "Bytes for each pod or rule: what packets are matched against, and the rule as it is kept.",
}


def measure(results, name):
    rows = [row for row in results["measures"] if row["measure"] == name]
    columns = report.MEASURES[name]
    if not rows:
        return ""
    caption = f"<figcaption>{escape(CAPTIONS[name])}</figcaption>" if name in CAPTIONS else ""
    return (f"<h2>{TITLES[name]}</h2><figure class=\"scroll\">" +
            html_table([list(columns), *([show(r) for show in columns.values()] for r in rows)]) +
            f"{caption}</figure>")


def html_table(lines):
    def cells(tag, line):
        return "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in line) + "</tr>"

    return "<table>" + cells("th", lines[0]) + "".join(cells("td", line) for line in lines[1:]) + "</table>"


def everything(rows):
    if not rows:
        return ""
    note = f"<figcaption>{escape(report.UNSETTLED)}</figcaption>" if not all(r["settled"] for r in rows) else ""
    return ('<h2>All cases</h2><figure class="scroll">' + html_table(report.cost_lines(rows)) +
            f"{note}</figure>")


def machine(results):
    lines = "<br>".join(escape(line) for line in report.machine_lines(results["machine"]))
    raw = escape(json.dumps(results, indent=1))
    return (f"<h2>Measured on</h2><p>{lines}</p>"
            f"<details><summary>The figures as JSON</summary><pre>{raw}</pre></details>")
