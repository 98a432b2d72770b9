"""Figure 6 on our models: converged long plans, decoded, and who succeeds where a detour is needed.

Above, plans of GRASP at long horizons: what the virtual states s_t decode to, what executing the plan shows, and the
goal (right of the dashed line), with whether it is reached in the model and in truth. Push-T's are drawn from what
the probe reads of the centroids. Shown are the three Push-T problems of the least loss and the solved WallSingle
problem of the longest detour. Below, the share of the problems that need a detour which planners solve in the
environment (filled) and in the model (open), with 95% intervals; colours tell the planners named on the axis (GD:
gradient descent).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.paths import RESULTS
from experiments.study.figure_data import FigureData, read
from figures.pictures import PLANNER_COLOURS, PLANNERS, TASKS, dots, montage
from figures.style import GREY, WIDTH, house_style, ink

GAP = 0.08
"""Between pictures, in their sides."""


def draw(data: FigureData) -> Figure:
    """Draw each plan as the model sees it and as it happens, the goal right of a dashed line; success below."""
    with house_style():
        figure = plt.figure(figsize=(WIDTH, 8.6))
        parts: Any = figure.subfigures(2, 1, height_ratios=(3.6, 1))
        above, below = parts
        _plans(above.subplots(), data)
        for axis, task in zip(below.subplots(1, len(TASKS), sharey=True), TASKS, strict=True):
            _success(axis, task, data)
        below.suptitle("on problems that need a detour", x=0.01, ha="left", weight="bold")
    return figure


def _plans(axis: Axes, data: FigureData) -> None:
    """Draw two rows a plan: decoded, and executed."""
    times = data.arrays["times"]
    columns = [(1 + GAP) * k for k in range(times.shape[1])]
    last = columns[-1] + 1 + 5 * GAP
    placed: dict[tuple[float, float], np.ndarray] = {}
    above: dict[tuple[float, float], str] = {}
    below: dict[tuple[float, float], str] = {}
    left: dict[float, str] = {}
    goals = []
    for k, (planned, executed) in enumerate(
        zip(data.arrays["pictures"], data.arrays["executed"], strict=True)
    ):
        task = "WallSingle" if k == len(times) - 1 else "Push-T"
        first = k * (2 + 5 * GAP)
        for row, pictures, label in (
            (first, planned, f"{task}\nplanned"),
            (first + 1 + GAP, executed, "executed"),
        ):
            placed |= {(row, column): picture for column, picture in zip(columns, pictures, strict=True)}
            left[row] = label
        above |= {(first, x): f"$s_{{{time}}}$" for x, time in zip(columns, times[k], strict=True)}
        goals.append((first + 0.5 * (1 + GAP), last))
        placed[goals[-1]] = data.arrays["goals"][k]
        above[goals[-1]] = "goal"
        verdicts = ["reached" if data.arrays[name][k] else "missed" for name in ("believed", "solved")]
        below[goals[-1]] = f"model: {verdicts[0]}\ntruth: {verdicts[1]}"
    montage(axis, placed, above=above, below=below, left=left, framed=goals)
    axis.axvline(last - 2.5 * GAP, color=GREY, linestyle="--", linewidth=0.9)


def _success(axis: Axes, task: str, data: FigureData) -> None:
    """Draw each planner's success in the environment (filled) and in the model (open)."""
    numbers: Any = data.numbers["long_plans"]
    table = numbers["detours"][task]
    count = 0
    for x, (name, shares) in enumerate(table.items()):
        dots(axis, x - 0.12, shares["true"], PLANNER_COLOURS[name])
        dots(axis, x + 0.12, shares["model"], PLANNER_COLOURS[name], filled=False)
        count = 0 if shares["true"] is None else shares["true"]["count"]
    axis.set_xticks(range(len(table)), [PLANNERS[name] for name in table])
    axis.set(title=f"{TASKS[task]}, {count} problems", ylim=(-0.03, 1.03), xlim=(-0.5, len(table) - 0.5))
    axis.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
    if task == next(iter(TASKS)):
        axis.set_ylabel("success")
    if task == list(TASKS)[-1]:
        axis.text(
            0.5, 0.98, "● truth  ○ model", transform=axis.transAxes, va="top", ha="center", color=ink(GREY)
        )


def make(folder: Path = RESULTS) -> tuple[Figure, FigureData]:
    """Return the figure and its numbers, from the stored results.

    Raises
        FileNotFoundError: if there are none.
    """
    data = read(folder, 6)
    return draw(data), data
