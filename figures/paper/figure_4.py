"""Figure 4 on our models: GRASP's virtual states over its iterations, decoded to pictures.

At the left, a problem of each task: the virtual states s_t, decoded, after so many iterations of GRASP, what
executing the final plan shows, and the goal (dark frame), with what became of it; where a picture shows no body, the
latent is none that the decoder knows. Push-T's are drawn from what the probe reads of the centroids. H counts
environment steps, five of which are a model step. At the right, the distance of a state from the model's prediction,
root mean square over the plan, in units of a typical step: 1 is off by a whole step; line: median over the problems,
band: quartiles. The jags are the syncs. Below: the share of final plans that succeed in the environment and in the
model, with 95% intervals, and of problems with a virtual state deep inside a wall.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.paths import RESULTS
from experiments.study.figure_data import FigureData, read
from figures.pictures import TASKS, montage, percent
from figures.style import COLOURS, WIDTH, house_style

GAP = 0.08
"""Between pictures, in their sides."""


def draw(data: FigureData) -> Figure:
    """Draw for each task the virtual states of one problem, and the residual of all problems."""
    with house_style():
        figure = plt.figure(figsize=(WIDTH, 9.0))
        grid = figure.add_gridspec(len(TASKS), 2, width_ratios=(2.6, 1))
        for k, task in enumerate(TASKS):
            _pictures(figure.add_subplot(grid[k, 0]), task, data)
            parts = grid[k, 1].subgridspec(2, 1, height_ratios=(1.6, 1))
            _residual(figure.add_subplot(parts[0]), task, data)
            _shares(figure.add_subplot(parts[1]), task, data)
    return figure


def _pictures(axis: Axes, task: str, data: FigureData) -> None:
    """Draw a row for each iteration, then what the final plan really does, and the goal at the right of that."""
    pictures, times = data.arrays[f"{task}_pictures"], data.arrays[f"{task}_times"]
    labels = [f"{iteration}" for iteration in data.arrays[f"{task}_rows"]]
    labels[0] = "iteration 0"
    rows = [(1 + GAP) * k for k in range(len(labels))]
    rows.append(rows[-1] + 1 + 3 * GAP)
    columns = [(1 + GAP) * k for k in range(len(times))]
    placed = {
        (row, column): picture
        for row, some in zip(rows, pictures, strict=True)
        for column, picture in zip(columns, some, strict=True)
    }
    goal = (rows[-1], columns[-1] + 1 + 3 * GAP)
    placed[goal] = data.arrays[f"{task}_goal"]
    above = {(rows[0], column): f"$s_{{{time}}}$" for column, time in zip(columns, times, strict=True)}
    above[goal] = "goal"
    reached = "reached" if data.arrays[f"{task}_solved"] else "missed"
    left = dict(zip(rows, [*labels, "executed"], strict=True))
    montage(axis, placed, above=above, below={goal: reached}, left=left, framed=[goal])
    axis.set_title(f"{TASKS[task]}, H = {5 * times[-1]}", weight="bold", pad=14, x=-0.16)


def _residual(axis: Axes, task: str, data: FigureData) -> None:
    """Draw the median and the quartiles of the residual over the iterations."""
    iterations, (low, middle, high) = data.arrays[f"{task}_iterations"], data.arrays[f"{task}_residual"].T
    axis.fill_between(iterations, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    axis.plot(iterations, middle, color=COLOURS[0])
    axis.set(ylim=(0, None), title="residual / step", xlabel="iteration")


def _shares(axis: Axes, task: str, data: FigureData) -> None:
    numbers: Any = data.numbers["virtual_states"]
    table = numbers[task]
    lines = [
        "final plans succeed",
        f"  truth {percent(table['feasible'])}",
        f"  model {percent(table['believed'])}",
    ]
    walls = table["through_walls"]
    if walls["end"] is not None:
        lines.append("virtual states through walls")
        lines.append(f"  {walls['start']['value']:.0%} at first, {walls['end']['value']:.0%} at last")
    text = axis.text(-0.15, 1, "\n".join(lines), transform=axis.transAxes, va="top", linespacing=1.4)
    text.set_in_layout(False)
    axis.set_axis_off()


def make(folder: Path = RESULTS) -> tuple[Figure, FigureData]:
    """Return the figure and its numbers, from the stored results.

    Raises
        FileNotFoundError: if there are none.
    """
    data = read(folder, 4)
    return draw(data), data
