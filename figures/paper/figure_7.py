"""Figure 7 on our models: where plans end when the dynamics are only a penalty.

(a), (c) The problem on which the penalty method of Eq. (4) ends worst: its decoded virtual states (squares) and
GRASP's executed plan (circles), with the goal (star; the red disc is the body there). (b), (d) How far each
transition of that plan is from the model's, in units of a typical step; grey: median and quartiles over all problems;
dashed: the 0.5 beyond which a transition counts as broken. The strip below them shows the plan of (a), state by
state, decoded. (e), (f) The share of problems with a broken transition, with a virtual state in a wall, and of plans
that succeed in the model and in truth, with 95% intervals. GRASP's own virtual states are noised, and it returns a
rollout, so that the first two are not asked of it.
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
from experiments.study.figure_data.detours import HasMaze
from experiments.study.figure_data.traps import BROKEN
from figures.pictures import TASKS, dots, montage
from figures.style import COLOURS, GREY, WIDTH, house_style, panel_letters
from grasp_theory.tasks import by_name

SHOWN = ("wall_single", "point_maze")
PLANNERS = {
    "penalty": "penalty, Eq. (4)",
    "GRASP without noise and sync": "GRASP, no noise or sync",
    "GRASP": "GRASP",
}
MARKS = dict(zip(PLANNERS, ((COLOURS[1], "s"), (COLOURS[3], "D"), (COLOURS[0], "o")), strict=True))
QUESTIONS = {
    "broken": "a broken\ntransition", "through_walls": "through\na wall", "believed": "success\n(model)",
    "feasible": "success\n(truth)",
}  # fmt: skip


def draw(data: FigureData) -> Figure:
    """Draw the worst plan of the penalty on each task, its residuals, and how often it happens."""
    with house_style():
        figure = plt.figure(figsize=(WIDTH, 5.7))
        parts: Any = figure.subfigures(3, 1, height_ratios=(2.15, 0.85, 2.1))
        above, strip, below = parts
        maps = above.subplots(1, 4)
        for k, task in enumerate(SHOWN):
            _map(maps[2 * k], task, data)
            _residuals(maps[2 * k + 1], task, data)
        pictures = data.arrays[f"{SHOWN[0]}_pictures"]
        montage(
            strip.subplots(), {(0, 1.08 * t): picture for t, picture in enumerate(pictures)},
            above={(0, 1.08 * t): f"$s_{{{t}}}$" for t in range(len(pictures))},
        )  # fmt: skip
        shares = below.subplots(1, 2, sharey=True)
        for axis, task in zip(shares, SHOWN, strict=True):
            _shares(axis, task, data)
        shares[0].set_ylabel("share of problems")
        handles, labels = shares[0].get_legend_handles_labels()
        below.legend(handles, labels, loc="outside upper center", ncols=len(labels), handletextpad=0.2)
        panel_letters((*maps, *shares))
    return figure


def _map(axis: Axes, task: str, data: FigureData) -> None:
    """Draw the penalty's decoded virtual states and GRASP's executed plan on the empty world, and the goal."""
    side = data.arrays[f"{task}_background"].shape[0]
    axis.imshow(data.arrays[f"{task}_background"])
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    paths = {"penalty": data.arrays[f"{task}_states"][0], "GRASP": data.arrays[f"{task}_executed"][-1]}
    for name, path in paths.items():
        colour, marker = MARKS[name]
        axis.plot(*_pixels(task, path, side).T, color=colour, linewidth=1.0, marker=marker, markersize=2.5)
    goal = _pixels(task, data.arrays[f"{task}_goal"][None], side)[0]
    axis.plot(*goal, "*", color="black", markersize=8, markerfacecolor="white")
    axis.set_title(TASKS[task])


def _pixels(task: str, positions: np.ndarray, side: int) -> np.ndarray:
    """Return positions in pixels of a picture of this side."""
    world = by_name(task)
    if isinstance(world, HasMaze):
        viewport: Any = world
        pixels: np.ndarray = viewport.viewport(side).pixels(positions) - 0.5
        return pixels
    return positions * side / 64 - 0.5


def _residuals(axis: Axes, task: str, data: FigureData) -> None:
    """Draw the penalty's residual at each transition: of the shown plan, and over all problems."""
    colour, marker = MARKS["penalty"]
    every = data.arrays[f"{task}_residuals_0"]
    low, middle, high = np.quantile(every, [0.25, 0.5, 0.75], axis=0)
    times = np.arange(every.shape[1])
    axis.fill_between(times, low, high, color=GREY, alpha=0.25, linewidth=0)
    axis.plot(times, middle, color=GREY, linewidth=1.0)
    shown = data.arrays[f"{task}_shown_residuals"][0]
    axis.plot(times, shown, color=colour, marker=marker, markersize=3, linewidth=1.0)
    axis.axhline(BROKEN, color="black", linestyle="--", linewidth=0.6)
    axis.set(title="residual / step", xlabel="transition t", ylim=(0, max(1.1 * BROKEN, 1.1 * shown.max())))
    axis.set_box_aspect(1)


def _shares(axis: Axes, task: str, data: FigureData) -> None:
    numbers: Any = data.numbers["bad_minima"]
    for k, name in enumerate(PLANNERS):
        colour, marker = MARKS[name]
        for x, question in enumerate(QUESTIONS):
            # GRASP's noise keeps its virtual states off the dynamics, and what it returns is a rollout.
            if name != "GRASP" or question in ("believed", "feasible"):
                dots(axis, x + 0.2 * (k - 1), numbers[task][name][question], colour, marker)
        axis.plot([], [], marker, color=colour, label=PLANNERS[name])
    count = numbers[task]["penalty"]["broken"]["count"]
    axis.set_xticks(range(len(QUESTIONS)), list(QUESTIONS.values()))
    axis.set(title=f"{TASKS[task]}, {count} problems", ylim=(-0.03, 1.03))
    axis.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")


def make(folder: Path = RESULTS) -> tuple[Figure, FigureData]:
    """Return the figure and its numbers, from the stored results.

    Raises
        FileNotFoundError: if there are none.
    """
    data = read(folder, 7)
    return draw(data), data
