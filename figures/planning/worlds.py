"""Planners in the analytic worlds: the share of problems solved, against evaluations.

Each panel is an analytic world, in which model and world are one; a number after a name is the strength of what the
name says is added. A line is the share of problems solved by a planner within a budget of model evaluations, in units
of the horizon T; a gradient counts as 3. Worlds and planners are described in docs/worlds.md.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from experiments.paths import RESULTS
from experiments.study.trials.store import Store
from experiments.worlds.protocol import BUDGET, PROBLEMS, WORLDS, cells
from experiments.worlds.trial import LAYOUT, WorldUnit, of_one_code
from figures.style import FONT_SIZE, WIDTH, house_style, line_styles

SHOWN = ("GRASP", "GD", "CEM", "MPPI", "LatCo", "GRASP, no noise", "GRASP, no shaping", "GRASP, no sync",
         "GRASP, state gradients")  # fmt: skip
"""The planners drawn, each with its style in all panels."""
LEAST = 30
"""The least budget drawn, in units of T."""
FOLDER = RESULTS / "worlds"
Curves = dict[str, dict[str, Float[np.ndarray, "2 K"]]]
"""World -> planner -> (evaluations / T, share solved by then), a step at each."""


def curves(rows: pl.DataFrame) -> Curves:
    """Return the share of problems solved against evaluations, for the worlds and planners that there are."""
    found: Curves = {}
    for world in WORLDS:
        for planner in SHOWN:
            of = rows.filter(pl.col("world") == world, pl.col("planner") == planner)
            if len(of):
                spent = (of["evaluations"] / of["horizon"]).filter(of["solved"]).sort().to_numpy()
                share = np.arange(len(spent) + 1) / len(of)
                ends = np.array([[LEAST, *spent, BUDGET], [*share, share[-1]]])
                found.setdefault(world, {})[planner] = ends
    return found


def draw(found: Curves) -> Figure:
    """Draw one panel a world."""
    with house_style():
        rows = -(-len(found) // 4)
        figure, grid = plt.subplots(
            rows, 4, figsize=(WIDTH, 1.35 * rows + 0.8), sharex=True, sharey=True, squeeze=False
        )
        styles = dict(zip(SHOWN, line_styles(), strict=False))
        for axes, (world, planners) in zip(grid.flat, found.items(), strict=False):
            _panel(axes, world, planners, styles)
        for axes in grid.flat[len(found) :]:
            axes.set_visible(False)
        figure.supxlabel("evaluations of the model, in units of the horizon", fontsize=FONT_SIZE)
        figure.supylabel("share of problems solved", fontsize=FONT_SIZE)
        shown = [name for name in SHOWN if any(name in planners for planners in found.values())]
        lines = [Line2D([], [], **styles[name]) for name in shown]  # type: ignore[arg-type]
        figure.legend(lines, shown, loc="outside upper center", ncols=min(5, len(shown)))
    return figure


def _panel(
    axes: Axes,
    world: str,
    planners: dict[str, Float[np.ndarray, "2 K"]],
    styles: dict[str, dict[str, object]],
) -> None:
    for name, (spent, share) in planners.items():
        axes.step(spent, share, where="post", **styles[name])  # type: ignore[arg-type]
    axes.set(title=world, xscale="log", xlim=(LEAST, BUDGET), ylim=(-0.03, 1.03))
    axes.set_xticks([100, 1000], ["100", "1000"])
    axes.xaxis.set_minor_formatter(NullFormatter())


def make() -> tuple[Figure, Curves]:
    """Return the figure and its numbers.

    Raises
        FileNotFoundError: no rows are stored.
    """
    store = Store(FOLDER, LAYOUT)
    units = [WorldUnit(*cell, PROBLEMS, BUDGET, 0) for cell in cells()]
    found = curves(of_one_code(store.rows(), units)[0])
    if not found:
        raise FileNotFoundError(2, "no rows", str(store.archive))
    return draw(found), found
