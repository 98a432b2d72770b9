"""Curves as inline SVG that takes its colours from the page, so that it is legible in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, log10
from typing import Any

from matplotlib.ticker import MaxNLocator

from paper_checks.report.numerals import raised, readable

WIDTH, HEIGHT = 420.0, 260.0
TOP, RIGHT, BOTTOM = 10.0, 14.0, 24.0
CHARACTER = 6.4
"""Room for a character of a tick label, in the units of the view box."""
MARKERS_SHOWN = 16
"""Most markers on one series: more would hide its line."""
MIN_DECADES = 2.0
"""Below this many decades a logarithmic axis also labels 2 and 5."""
LOWEST_POWER, HIGHEST_POWER = -308, 307
"""Powers of ten whose multiples by 1, 2 and 5 are normal float64 numbers."""

MARKERS = (
    "m-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0 -6.4 0z",
    "m-2.9 -2.9h5.8v5.8h-5.8z",
    "m0 -3.8l3.7 6.6h-7.4z",
    "m0 -4.2l3.6 4.2l-3.6 4.2l-3.6 -4.2z",
    "m0 3.8l3.7 -6.6h-7.4z",
    "m-3 -3l6 6m0 -6l-6 6",
    "m-3.8 0h7.6m-3.8 -3.8v7.6",
)
"""Outlines relative to a point; together with `DASHES` they tell the series apart without colour."""
DASHES = ("", "7 3", "2 3", "9 3 2 3", "5 2", "12 4", "4 2 1 2")


@dataclass(frozen=True)
class Tick:
    """A labelled grid line at a position in the view box."""

    at: float
    label: str


@dataclass(frozen=True)
class Line:
    """A series as SVG path data, with the style that tells it from the others."""

    name: str
    style: int
    dash: str
    marker: str
    path: str
    markers: str


@dataclass(frozen=True)
class Plot:
    """Everything that the template needs to draw a curve."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    lines: tuple[Line, ...]
    description: str


def plot(curve: dict[str, Any]) -> Plot:
    """Lay out a curve, given as in `report.json`, in a view box of `WIDTH` by `HEIGHT`."""
    xs = [x for series in curve["series"] for x in series["x"]]
    ys = [y for series in curve["series"] for y in series["y"]]
    x_axis, y_axis = _Axis(xs, curve["log_x"]), _Axis(ys, curve["log_y"])
    left = 10.0 + CHARACTER * max(len(label) for _, label in y_axis.ticks)
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def at_x(value: float) -> float:
        return left + x_axis.fraction(value) * (right - left)

    def at_y(value: float) -> float:
        return bottom - y_axis.fraction(value) * (bottom - TOP)

    return Plot(
        width=WIDTH,
        height=HEIGHT,
        left=left,
        right=right,
        top=TOP,
        bottom=bottom,
        x_ticks=tuple(Tick(at_x(value), label) for value, label in x_axis.ticks),
        y_ticks=tuple(Tick(at_y(value), label) for value, label in y_axis.ticks),
        lines=tuple(
            _line(
                series["name"], index, list(zip(map(at_x, series["x"]), map(at_y, series["y"]), strict=True))
            )
            for index, series in enumerate(curve["series"])
        ),
        description=_description(curve),
    )


class _Axis:
    """An axis that reaches a little beyond the data, with ticks as (value, label)."""

    def __init__(self, values: Sequence[float], log: bool) -> None:
        self._log = log
        low, high = self._scaled(min(values)), self._scaled(max(values))
        margin = 0.04 * (high - low) or (0.5 if log else 0.5 * abs(high) or 0.5)
        self._low, self._span = low - margin, high - low + 2.0 * margin
        decades = high - low if log else 0.0
        located = [value for value in self._locate(decades) if 0.0 <= self.fraction(value) <= 1.0]
        # Where no round value falls on the axis, the ends of the data are labelled.
        ticks = located or sorted({min(values), max(values)})
        self.ticks = [(value, _label(value, power=decades >= MIN_DECADES)) for value in ticks]

    def fraction(self, value: float) -> float:
        return (self._scaled(value) - self._low) / self._span

    def _scaled(self, value: float) -> float:
        return log10(value) if self._log else value

    def _locate(self, decades: float) -> list[float]:
        ends = self._low, self._low + self._span
        if not self._log:
            return [float(value) for value in MaxNLocator(nbins=5, steps=[1, 2, 5, 10]).tick_values(*ends)]
        stride = max(1, ceil(decades / 6.0))
        exponents = range(max(floor(ends[0]), LOWEST_POWER), min(ceil(ends[1]), HIGHEST_POWER) + 1)
        mantissas = (1.0,) if decades >= MIN_DECADES else (1.0, 2.0, 5.0)
        return [mantissa * 10.0**k for k in exponents if k % stride == 0 for mantissa in mantissas]


def _label(value: float, *, power: bool) -> str:
    if power:
        return f"10{raised(round(log10(value)))}"
    mantissa, _, exponent = f"{0.0 if abs(value) < 1e-300 else value:.6g}".partition("e")
    scale = f"·10{raised(int(exponent))}" if exponent else ""
    return f"{mantissa.replace('-', '−')}{scale}"


def _line(name: str, index: int, points: Sequence[tuple[float, float]]) -> Line:
    colour, lap = index % len(MARKERS), index // len(MARKERS)
    # Another lap of the colours pairs each with another marker and another dash.
    marker, dash = MARKERS[(colour + lap) % len(MARKERS)], DASHES[(colour + 2 * lap) % len(DASHES)]
    stride = ceil(len(points) / MARKERS_SHOWN)
    return Line(
        name=name,
        style=colour + 1,
        dash=dash,
        marker=marker,
        path="M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points),
        markers="".join(f"M{x:.1f} {y:.1f}{marker}" for x, y in points[::stride]),
    )


def _description(curve: dict[str, Any]) -> str:
    """Return what the plot shows in words, for readers who do not see it."""
    scales = [name for name, log in (("x", curve["log_x"]), ("y", curve["log_y"])) if log]
    parts = [f"{curve['y_label']} against {curve['x_label']}"]
    if scales:
        parts.append(f"logarithmic {' and '.join(scales)}")
    for series in curve["series"]:
        x, y = series["x"], series["y"]
        shape = _shape(y)
        ends = [f"{readable(y[i], 3)} at {readable(x[i], 3)}" for i in (0, -1)]
        parts.append(f"{series['name']}: from {' to '.join(ends)}{shape}")
    return "; ".join(parts) + "."


def _shape(values: Sequence[float]) -> str:
    steps = [after - before for before, after in pairwise(values)]
    if not steps or all(step == 0.0 for step in steps):
        return ", constant"
    if all(step >= 0.0 for step in steps):
        return ", rising throughout"
    if all(step <= 0.0 for step in steps):
        return ", falling throughout"
    return f", between {readable(min(values), 3)} and {readable(max(values), 3)}"
