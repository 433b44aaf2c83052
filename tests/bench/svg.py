# SPDX-License-Identifier: Apache-2.0
"""Plots as SVG, for the HTML report. Colours are the page's CSS classes, s-SYSTEM."""

import math
from html import escape

WIDTH = 720
LINES_WIDTH = 480  # shown half as wide
LABEL = 150
ROW = 30


def text(x, y, what, anchor="start", kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(what)}</text>'


def brief(value):
    if value >= 1000000:
        return f"{value / 1000000:.3g}M"
    if value >= 10000:
        return f"{value / 1000:.0f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def tick(value):
    """A round number."""
    return brief(value) if value >= 10000 else f"{value:g}"


def frame(width, height, parts, label):
    return (f'<svg viewBox="0 0 {width} {height:.0f}" role="img" aria-label="{escape(label)}">' +
            "".join(parts) + "</svg>")


def ticks(top):
    """About five round numbers from 0 to top."""
    step = 10 ** math.floor(math.log10(top / 4))
    step = next(step * k for k in (1, 2, 2.5, 5, 10) if top / (step * k) <= 5.5)
    return [i * step for i in range(int(top / step) + 1)]


def decades(low, high):
    return [10 ** i for i in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def bars(rows, label, log=False):
    """rows: (name, system, low, median, high, floor). Bars from the left, the floor's part paler,
    whiskers from low to high."""
    top = max(row[4] for row in rows) * 1.02
    marks = decades(min(row[3] for row in rows), top) if log else ticks(top)
    first = marks[0]

    def x(value):
        span = WIDTH - LABEL - 70
        if log:
            return LABEL + span * (math.log10(max(value, first) / first) / math.log10(marks[-1] / first))
        return LABEL + span * value / top

    parts = []
    plot = ROW * len(rows) + 4
    height = plot + 36
    for mark in marks:
        parts.append(f'<line x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="0" y2="{plot}" class="grid"/>')
        parts.append(text(x(mark), plot + 15, tick(mark), "middle", "tick"))
    parts.append(text(WIDTH - 4, height - 3, "cycles a packet", "end", "tick"))
    for i, (name, system, low, median, high, floor) in enumerate(rows):
        y = i * ROW + 4
        tip = f"{name}: median {median:,.1f}, from {low:,.1f} to {high:,.1f}"
        parts.append(f"<g><title>{escape(tip)}</title>")
        parts.append(text(LABEL - 8, y + 15, name, "end"))
        parts.append(f'<rect x="{LABEL}" y="{y}" width="{max(x(median) - LABEL, 1):.1f}" height="20" rx="3" class="s-{system}"/>')
        if floor and not log and median > floor:
            parts.append(f'<rect x="{LABEL}" y="{y}" width="{x(floor) - LABEL:.1f}" height="20" rx="3" class="floor"/>')
        parts.append(f'<line x1="{x(low):.1f}" x2="{x(high):.1f}" y1="{y + 10}" y2="{y + 10}" class="whisker"/>')
        parts.append(text(x(max(high, median)) + 8, y + 15, brief(median), kind="value"))
        parts.append("</g>")
    return frame(WIDTH, height, parts, label)


def lines(names, series, label, units, log=False):
    """names: of the places along x. series: {system: [(value, lowest, highest) or None]}. units: of
    x and y."""
    values = [v for points in series.values() for point in points if point for v in point]
    top = max(values) * 1.05
    marks = decades(min(values), top) if log else ticks(top)
    left, right, above, height = 44, 118, 24, 320
    base = height - 44

    def y(value):
        if log:
            return base - (base - above) * math.log10(value / marks[0]) / math.log10(marks[-1] / marks[0])
        return base - (base - above) * value / top

    def x(place):
        return left + 14 + (LINES_WIDTH - left - right - 28) * place / max(len(names) - 1, 1)

    parts = []
    for mark in marks:
        parts.append(f'<line x1="{left}" x2="{LINES_WIDTH - right}" y1="{y(mark):.1f}" y2="{y(mark):.1f}" class="grid"/>')
        parts.append(text(left - 8, y(mark) + 4, tick(mark), "end", "tick"))
    parts += [text(x(i), base + 18, name, "middle", "tick") for i, name in enumerate(names)]
    parts.append(text(4, 12, units[1], kind="tick"))
    parts.append(text(LINES_WIDTH - right, height - 6, units[0], "end", "tick"))
    ends = []
    for system, points in series.items():
        there = [(x(i), *point) for i, point in enumerate(points) if point]
        path = " ".join(f"{px:.1f},{y(value):.1f}" for px, value, _, _ in there)
        parts.append(f'<polyline points="{path}" class="line l-{system}"/>')
        for px, value, low, high in there:
            parts.append(f'<line x1="{px:.1f}" x2="{px:.1f}" y1="{y(low):.1f}" y2="{y(high):.1f}" class="whisker"/>')
            parts.append(f'<circle cx="{px:.1f}" cy="{y(value):.1f}" r="3.5" class="s-{system}"><title>'
                         f"{escape(system)}: {value:,.1f}, from {low:,.1f} to {high:,.1f}</title></circle>")
        ends.append([y(there[-1][1]), there[-1][0], system])
    # Names at the lines' ends, none over another.
    lowest = -math.inf
    for end, px, system in sorted(ends):
        lowest = max(end + 4, lowest + 15)
        parts.append(text(px + 8, lowest, system, kind=f"name t-{system}"))
    return frame(LINES_WIDTH, height, parts, label)
