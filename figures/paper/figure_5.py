"""Figure 5 on our models: success over time at a fixed horizon, as curves that do not condition on success.

Each row is a task, each column a planner with its tuned settings (GD: gradient descent), planning one problem at a
time. The bold line is the share of all problems, also of those it never solves, for which it has a plan that succeeds
in the model within so many seconds; the band is its pointwise 95% interval (Wilson's). The thin grey lines are the
other planners. H counts environment steps.
"""

from __future__ import annotations

import errno
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.paths import RESULTS
from experiments.study.reporting.summary import TimeCurve, canonical, current, time_to_success
from experiments.study.targets import Target, Tuned
from experiments.study.trials.store import Store
from figures.pictures import PLANNER_COLOURS, PLANNERS, TASKS
from figures.style import FONT_SIZE, GREY, WIDTH, house_style, ink

HORIZON = 10
"""H = 50, as the paper has it; where there are no times at it, the nearest horizon is shown."""
FAINT = "#B0B0B0"
"""Of the curves of other planners, there to compare with."""


@dataclass(frozen=True)
class Panel:
    """The curves of one task.

    Arguments
        task: its name.
        horizon: T in model steps.
        curves: planner -> the share of all trials solved in the model by each time.
    """

    task: str
    horizon: int
    curves: dict[str, TimeCurve]


def panels(folder: Path) -> list[Panel]:
    """Return the curves of each task for which planners were timed one problem at a time, with their tuned settings.

    Raises
        FileNotFoundError: if there are none.
    """
    rows = current(Store(folder).rows()).filter(pl.col("mode") == "single")
    tuned = Tuned.load(folder)
    found = []
    for task in TASKS:
        timed = _tuned_rows(rows.filter(pl.col("task") == task), tuned)
        if timed.is_empty():
            continue
        where = (
            timed.select("kind", "horizon")
            .unique()
            .sort((pl.col("horizon") - HORIZON).abs(), "horizon", "kind")
        )
        kind, horizon = where.row(0)
        here = timed.filter((pl.col("kind") == kind) & (pl.col("horizon") == horizon))
        curves = {
            name: time_to_success(trials)
            for name in PLANNERS
            if not (trials := here.filter(pl.col("planner") == name)).is_empty()
        }
        found.append(Panel(task, int(horizon), curves))
    if not found:
        raise FileNotFoundError(
            errno.ENOENT,
            "no times of tuned planners; make them with: python -m experiments table 1",
            str(folder),
        )
    return found


def _tuned_rows(rows: pl.DataFrame, tuned: Tuned) -> pl.DataFrame:
    """Return the rows whose planner has the settings that it is reported with, not those of an ablation."""
    kept = []
    cells = rows.select("task", "kind", "horizon", "planner").unique().sort(pl.all())
    for task, kind, horizon, planner in cells.iter_rows():
        settings = tuned.settings(Target(task, kind, horizon, planner))
        if settings is not None:
            kept.append(
                rows.filter(
                    pl.col("kind") == kind, pl.col("horizon") == horizon, pl.col("planner") == planner,
                    pl.col("settings") == canonical(settings),
                )
            )  # fmt: skip
    return pl.concat(kept) if kept else rows.clear()


def draw(shown: list[Panel]) -> Figure:
    """Draw the share solved over time: a row a task, a column a planner with its pointwise 95% band, the others in grey."""
    names = [name for name in PLANNERS if any(name in panel.curves for panel in shown)]
    with house_style():
        figure, grid = plt.subplots(
            len(shown), len(names), figsize=(WIDTH, 1.25 * len(shown) + 0.5), sharex="row", sharey=True, squeeze=False
        )  # fmt: skip
        for row, panel in zip(grid, shown, strict=True):
            for axis, name in zip(row, names, strict=True):
                _curves(axis, panel, name)
            trials = max(curve.trials for curve in panel.curves.values())
            row[0].set_ylabel(f"{TASKS[panel.task]}, H = {5 * panel.horizon}\n{trials} problems")
        for axis, name in zip(grid[0], names, strict=True):
            axis.set_title(PLANNERS[name], color=ink(PLANNER_COLOURS[name]), weight="bold")
        grid[0, 0].yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        figure.supxlabel("seconds of planning", fontsize=FONT_SIZE)
        figure.supylabel("problems solved, in the model", fontsize=FONT_SIZE)
    return figure


def _curves(axis: Axes, panel: Panel, shown: str) -> None:
    """Draw one planner's curve with its band before those of the others."""
    positive = [curve.seconds[curve.seconds > 0] for curve in panel.curves.values()]
    times = [float(value) for seconds in positive if len(seconds) for value in (seconds[0], seconds[-1])]
    first, last = (min(times) / 1.5, max(times) * 1.5) if times else (0.1, 10.0)
    for name, curve in panel.curves.items():
        # The first moment, 0, is where the axis begins; the curve stays level after the last success.
        seconds = [first, *curve.seconds[1:], last]
        share, low, high = ([*values, values[-1]] for values in (curve.share, curve.low, curve.high))
        if name == shown:
            colour = PLANNER_COLOURS[name]
            axis.fill_between(seconds, low, high, step="post", color=colour, alpha=0.2, linewidth=0)
            axis.step(seconds, share, where="post", color=ink(colour), zorder=3)
        else:
            axis.step(seconds, share, where="post", color=FAINT, linewidth=0.7, zorder=1)
    if shown not in panel.curves:
        axis.text(0.5, 0.5, "no times", transform=axis.transAxes, ha="center", color=ink(GREY))
    axis.set(xscale="log", xlim=(first, last), ylim=(0, 1.02))


def make(folder: Path = RESULTS) -> tuple[Figure, list[Panel]]:
    """Return the figure and its curves, from the stored rows.

    Raises
        FileNotFoundError: if there are none.
    """
    numbers = panels(folder)
    return draw(numbers), numbers
