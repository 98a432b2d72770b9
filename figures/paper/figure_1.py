"""Figure 1 on our models: distances along plans that succeed, and the losses around the planners' final plans.

(a)–(c) The distance to the goal, relative to that at the start, along plans of GRASP and gradient descent that
succeed: thin lines are plans, bold ones their medians; blue and solid is the task's own distance, orange and dashed
that of the latents, and the black dashed line is the distance at the start. The figures give, with 95% intervals, the
share of plans along which a distance at some time grows again by 5% of that at the start; grey: the same of the
shortest paths around the walls, and in (c), where none is known, of behaviour that ends at the goal (grey lines).
(d), (e) A loss of one Push-T problem over two random directions of the actions, whose root mean square is given in
units of the actions' bound, around a final plan (cross): Eq. (3) around gradient descent's, Eq. (10), with the
virtual states held, around GRASP's. (f) The share of lines in random directions through final plans on which a loss
has more than one local minimum, with 95% intervals.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.paths import RESULTS
from experiments.study.figure_data import FigureData, read
from experiments.study.figure_data.landscapes import LOSSES, REACH
from figures.pictures import TASKS, dots, percent
from figures.style import COLOURS, GREY, WIDTH, house_style, ink, panel_letters

SURFACE_TASK = "push_t"
"""The paper's."""
KINDS = (("true", "task", COLOURS[0]), ("latent", "latent", COLOURS[1]))
NAMES = {"gd": "Eq. (3) at GD's plan", "ours": "Eq. (10) at GRASP's", "rollout_at_ours": "Eq. (3) at GRASP's"}
MARKS = {"gd": (COLOURS[1], "s"), "ours": (COLOURS[0], "o"), "rollout_at_ours": (COLOURS[3], "D")}


def draw(data: FigureData) -> Figure:
    """Draw the distances of three tasks above, two surfaces and their roughness below."""
    with house_style():
        figure = plt.figure(figsize=(WIDTH, 4.5))
        parts: Any = figure.subfigures(2, 1, height_ratios=(1, 1.12))
        above, below = parts
        curves = above.subplots(1, 3, sharey=True)
        for axis, task in zip(curves, TASKS, strict=True):
            _distances(axis, task, data)
        curves[0].set_ylabel("distance to goal / at start")
        left, middle, right = below.subplots(1, 3, width_ratios=(1, 1, 1.25))
        _surface(left, data.arrays[f"{SURFACE_TASK}_gd"], "Push-T: GD's loss, Eq. (3)")
        shades = _surface(middle, data.arrays[f"{SURFACE_TASK}_ours"], "Push-T: ours, Eq. (10)")
        left.set_ylabel("direction 2 (rms / bound)")
        bar = below.colorbar(shades, ax=[left, middle], location="bottom", aspect=40, pad=0.02)
        bar.set_label("loss, from its least to its largest value in the window")
        bar.outline.set_visible(False)
        _roughness(right, data)
        panel_letters((*curves, left, middle, right))
    return figure


def _distances(axis: Axes, task: str, data: FigureData) -> None:
    """Draw each successful plan thinly and the median boldly."""
    numbers: Any = data.numbers["distances"]
    table = numbers[task]
    horizon = table["horizon"]
    times = 5 * np.arange(horizon + 1)
    axis.axhline(1, color="black", linewidth=0.6, linestyle="--")
    for kind, name, colour in KINDS:
        curves: Float[np.ndarray, "n T1"] = data.arrays[f"{task}_{kind}"]
        if len(curves):
            axis.plot(times, curves.T, color=colour, linewidth=0.4, alpha=0.25)
            axis.plot(
                times, np.median(curves, axis=0), color=colour, linestyle="-" if kind == "true" else "--"
            )
        shares = table["both"][kind]
        told = "—" if shares is None else percent(shares["recedes"])
        level = 0.98 if kind == "true" else 0.88
        _tell(axis, level, f"{name} recedes: {told}", colour)
    if table["needs_detour"] is None:
        # No shortest path to judge by, and few plans that succeed: behaviour that ends at the goal.
        axis.plot(times, data.arrays[f"{task}_demonstrations"].T, color=GREY, linewidth=0.4, alpha=0.4)
        told = f"behaviour: {percent(table['demonstrations']['true']['recedes'])}"
    else:
        told = f"shortest path: {percent(table['needs_detour'])}"
    _tell(axis, 0.78, told, GREY)
    axis.set(title=f"{TASKS[task]}: {len(data.arrays[f'{task}_true'])} plans that succeed", ylim=(0, 2.7))
    axis.set(xlabel="environment steps", xlim=(0, 5 * horizon))


def _tell(axis: Axes, level: float, text: str, colour: str) -> None:
    """Write a line of text at the right, over whatever is drawn there."""
    axis.text(
        0.98, level, text, transform=axis.transAxes, ha="right", va="top", color=ink(colour),
        bbox={"color": "white", "alpha": 0.8, "pad": 0.8},
    )  # fmt: skip


def _surface(axis: Axes, surface: Float[np.ndarray, "K K"], title: str) -> Any:
    """Draw a loss over two directions, scaled to [0, 1], with contours."""
    relative = (surface - surface.min()) / np.ptp(surface)
    window = (-REACH, REACH, -REACH, REACH)
    shades = axis.imshow(
        relative, origin="lower", extent=window, cmap="cividis", vmin=0, vmax=1, aspect="equal"
    )
    side = np.linspace(-REACH, REACH, len(surface))
    axis.contour(side, side, relative, levels=np.linspace(0.02, 0.98, 13), colors="white", linewidths=0.5)
    axis.plot(0, 0, "+", color="white", markersize=7, markeredgewidth=1.2)
    axis.grid(False)
    axis.set(title=title, xlabel="direction 1 (rms / bound)")
    axis.set_xticks((-REACH, 0, REACH))
    axis.set_yticks((-REACH, 0, REACH))
    return shades


def _roughness(axis: Axes, data: FigureData) -> None:
    """Draw the share of random lines with several local minima, for each task and loss."""
    numbers: Any = data.numbers["landscapes"]
    for x, task in enumerate(TASKS):
        for k, name in enumerate(LOSSES):
            colour, marker = MARKS[name]
            dots(axis, x + 0.2 * (k - 1), numbers[task][name]["several_minima"], colour, marker)
    for name in LOSSES:
        colour, marker = MARKS[name]
        axis.plot([], [], marker, color=colour, label=NAMES[name])
    axis.legend(loc="upper left", handletextpad=0.2, borderaxespad=0.1)
    axis.set_xticks(range(len(TASKS)), list(TASKS.values()))
    top = max(numbers[task][name]["several_minima"]["high"] for task in TASKS for name in LOSSES)
    axis.set(
        title="roughness around final plans",
        ylabel="random lines with\nseveral minima",
        ylim=(-0.02 * top, 1.9 * top + 0.02),
    )
    axis.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")


def make(folder: Path = RESULTS) -> tuple[Figure, FigureData]:
    """Return the figure and its numbers, from the stored results.

    Raises
        FileNotFoundError: if there are none.
    """
    data = read(folder, 1)
    return draw(data), data
