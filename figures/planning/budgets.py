"""Planners on our world models: success of the returned plan against the evaluations that they were allowed.

Each column is a world and a range of horizons H in environment steps. A line is the share of problems on which the
planner's plan is true in the environment (above) and believed by the model (below) if it may evaluate so many steps of the
model, in units of the plan's T steps; a gradient counts as 3. Smaller budgets are read off the same runs. All lines of a column are
of the same problems. Trials and planners are described in docs/study.md.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import polars as pl
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter, PercentFormatter

from experiments.paths import RESULTS
from experiments.study.reporting.summary import TRIAL, current, trials_of
from experiments.study.tables import FULL, TITLES, Cell, cells
from experiments.study.targets import Tuned
from experiments.study.trials.store import Store
from experiments.study.trials.unit import BUDGET
from figures.style import FONT_SIZE, WIDTH, house_style, line_styles
from linear_systems.errors import ParameterError

OUTCOMES = {"true_curve": "true in the environment", "believed_curve": "believed by the model"}
SHORT = 6
"""The longest horizon T of the paper's short problems (H = 30)."""
Curves = dict[str, dict[str, dict[str, Float[np.ndarray, "2 K"]]]]
"""Group of problem sets -> row -> outcome -> (evaluations / T, share of plans)."""


def group(where: tuple[str, str, int]) -> str:
    """Return the panel of a problem set: task, and short, long or, with a detour, very long horizons."""
    task, kind, horizon = where
    if kind == "long":
        return f"{TITLES[task]}, detours"
    return f"{TITLES[task]}, H {'≤ 30' if horizon <= SHORT else '≥ 40'}"


def curves(rows: pl.DataFrame, found: list[Cell]) -> Curves:
    """Return means over the trials of a group that all its planners have; a planner without any is left out."""
    texts: dict[str, dict[str, list[pl.DataFrame]]] = {}
    for cell in found:
        texts.setdefault(group(cell.problem_set), {}).setdefault(cell.row, []).append(
            trials_of(rows, cell, "batch")
        )
    made: Curves = {}
    for panel, by_row in texts.items():
        joined = {row: trials for row, parts in by_row.items() if len(trials := pl.concat(parts))}
        for row, trials in joined.items():
            for other in joined.values():
                trials = trials.join(other, on=["horizon", *TRIAL], how="semi")
            if len(trials):
                made.setdefault(panel, {})[row] = {name: _mean(trials[name]) for name in OUTCOMES}
    return made


def _mean(texts: pl.Series) -> Float[np.ndarray, "2 K"]:
    bits = np.array([[bit == "1" for bit in text] for text in texts])
    points = np.arange(1, bits.shape[1] + 1) / bits.shape[1]
    return np.stack([BUDGET * points, bits.mean(axis=0)])


def draw(found: Curves) -> Figure:
    """Draw a column a group, truth above belief."""
    with house_style():
        figure, grid = plt.subplots(
            2, len(found), figsize=(WIDTH, 4.2), sharex=True, sharey=True, squeeze=False
        )
        rows = list(dict.fromkeys(row for by_row in found.values() for row in by_row))
        styles = dict(zip(rows, line_styles(), strict=False))
        for column, (panel, by_row) in zip(grid.T, found.items(), strict=True):
            column[0].set_title(panel)
            for axes, outcome in zip(column, OUTCOMES, strict=True):
                for row, shares in by_row.items():
                    axes.plot(*shares[outcome], **styles[row])
                axes.set(xscale="log", xlim=(BUDGET / 30, BUDGET), ylim=(-0.02, 1.02))
                axes.set_xticks([BUDGET / 10, BUDGET], [f"{BUDGET // 10}", f"{BUDGET}"])
                axes.xaxis.set_minor_formatter(NullFormatter())
                axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        for axes, words in zip(grid[:, 0], OUTCOMES.values(), strict=True):
            axes.set_ylabel(words)
        figure.supxlabel("evaluations of the model, in units of the horizon", fontsize=FONT_SIZE)
        lines = [Line2D([], [], **styles[row]) for row in rows]  # type: ignore[arg-type]
        figure.legend(lines, rows, loc="outside upper center", ncols=5)
    return figure


def make() -> tuple[Figure, Curves]:
    """Return the figure and its numbers.

    Raises
        FileNotFoundError: no rows are stored.
    """
    store, tuned = Store(RESULTS), Tuned.load(RESULTS)
    found: Curves = {}
    try:
        tables = [cell for number in ("3", "1") for cell in cells(number, tuned, FULL)]
        found = curves(current(store.rows()), tables)
    except ParameterError:
        pass  # nothing is tuned
    if not found:
        raise FileNotFoundError(2, "no rows", str(store.archive))
    return draw(found), found
