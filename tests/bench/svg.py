# SPDX-License-Identifier: Apache-2.0
"""Plots as SVG, for the HTML report. Colours are the page's CSS classes, s-SYSTEM."""

import math
from html import escape

WIDTH = 720
LABEL = 150
ROW = 30


def text(x, y, what, anchor="start", kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" class="{kind}">{escape(what)}</text>'


def brief(value):
    if value >= 10000:
        return f"{value / 1000:,.0f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}"


def frame(height, parts, label):
    return (f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(label)}">' +
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
    height = ROW * len(rows) + 26
    for mark in marks:
        parts.append(f'<line x1="{x(mark):.1f}" x2="{x(mark):.1f}" y1="0" y2="{height - 22}" class="grid"/>')
        parts.append(text(x(mark), height - 6, brief(mark) if mark else "0", "middle", "tick"))
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
    return frame(height, parts, label)


def lines(names, series, label, log=False):
    """names: of the places along x. series: {system: [value or None]}."""
    values = [v for points in series.values() for v in points if v is not None]
    top = max(values) * 1.05
    marks = decades(min(values), top) if log else ticks(top)
    left, right, height = 56, 130, 300
    base = height - 34

    def y(value):
        if log:
            return base - (base - 10) * math.log10(value / marks[0]) / math.log10(marks[-1] / marks[0])
        return base - (base - 10) * value / top

    def x(place):
        return left + 20 + (WIDTH - left - right - 40) * place / max(len(names) - 1, 1)

    parts = []
    for mark in marks:
        parts.append(f'<line x1="{left}" x2="{WIDTH - right}" y1="{y(mark):.1f}" y2="{y(mark):.1f}" class="grid"/>')
        parts.append(text(left - 8, y(mark) + 4, brief(mark) if mark else "0", "end", "tick"))
    parts += [text(x(i), height - 12, name, "middle", "tick") for i, name in enumerate(names)]
    ends = []
    for system, points in series.items():
        there = [(x(i), y(v), v) for i, v in enumerate(points) if v is not None]
        path = " ".join(f"{px:.1f},{py:.1f}" for px, py, _ in there)
        parts.append(f'<polyline points="{path}" class="line l-{system}"/>')
        for px, py, value in there:
            parts.append(f'<circle cx="{px:.1f}" cy="{py:.1f}" r="4" class="s-{system}"><title>'
                         f"{escape(system)}: {value:,.1f}</title></circle>")
        ends.append([there[-1][1], there[-1][0], system])
    # Names at the lines' ends, none over another.
    above = -math.inf
    for end, px, system in sorted(ends):
        above = max(end + 4, above + 15)
        parts.append(text(px + 10, above, system, kind=f"name t-{system}"))
    return frame(height, parts, label)
