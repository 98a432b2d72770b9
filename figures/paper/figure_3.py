"""Figure 3 on our models: the smallest steps of the state from which the model is at a far goal at once.

At the left, decoded: a state s, the smallest change δ of it, found by search, from which the model is at the goal g
after one step without action, that step F(s + δ, 0), and g (of centroids of colours, what the probe reads). Under
each row is the length of δ relative to the way to the goal. At the right, that relative length for every pair of
states (dots, coloured by task and spread vertically so as to be seen) and its median (black bar), a row a shipped
model. Dashed: what a model needs that keeps a resting state where it is. Left of 0.5, δ counts as adversarial.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from experiments.paths import RESULTS
from experiments.study.figure_data import FigureData, read
from experiments.study.figure_data.adversarial import HONEST, PICTURES
from figures.pictures import VARIANTS, montage
from figures.style import COLOURS, GREY, WIDTH, house_style, ink

SUFFIX = "_relative"
TASK_COLOURS = dict(zip(VARIANTS, COLOURS, strict=False))


GAP = 0.08
"""Between pictures, in their sides."""


def draw(data: FigureData) -> Figure:
    """Draw an example of each task and latent at the left, the sizes of the steps on every model at the right."""
    examples = _sorted(name.removesuffix("_pictures") for name in data.arrays if name.endswith("_pictures"))
    models = _sorted(name.removesuffix(SUFFIX) for name in data.arrays if name.endswith(SUFFIX))
    with house_style():
        figure = plt.figure(figsize=(WIDTH, max(1.1 * len(examples), 0.27 * len(models)) + 0.5))
        grid = figure.add_gridspec(1, 2, width_ratios=(1.6, 1))
        _examples(figure.add_subplot(grid[0]), examples, data)
        _sizes(figure.add_subplot(grid[1]), models, data)
    return figure


def _sorted(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (list(VARIANTS).index(name.split("-")[0]), name))


def _examples(axis: Axes, names: list[str], data: FigureData) -> None:
    """Draw s, s + δ, F(s + δ, 0) and g, decoded, a row an example."""
    placed: dict[tuple[float, float], np.ndarray] = {}
    below, left = {}, {}
    columns = [(1 + GAP) * k for k in range(len(PICTURES))]
    for k, name in enumerate(names):
        row = k * (1 + 4 * GAP)
        placed |= {
            (row, x): picture for x, picture in zip(columns, data.arrays[f"{name}_pictures"], strict=True)
        }
        below[row, columns[1]] = f"‖δ‖ = {float(data.arrays[f'{name}_shown']):.2f} ‖g − s‖"
        task, *latent = name.split("-")
        left[row] = VARIANTS[task] + "".join(f"\n{kind}" for kind in latent)
    above = {(0.0, x): title for x, title in zip(columns, PICTURES, strict=True)}
    montage(axis, placed, above=above, below=below, left=left)


def _sizes(axis: Axes, models: list[str], data: FigureData) -> None:
    """Draw ‖δ‖ / ‖g − s‖ of every pair, a row a model, with the median."""
    jitter = np.random.default_rng(0)
    for y, name in enumerate(models):
        ratios = data.arrays[name + SUFFIX].astype(float)
        found = ratios[ratios < 2]
        colour = TASK_COLOURS[name.split("-")[0]]
        heights = y + jitter.uniform(-0.25, 0.25, len(found))
        axis.plot(found, heights, ".", color=colour, markersize=2, alpha=0.5)
        median = np.median(ratios)
        axis.plot([median, median], [y - 0.36, y + 0.36], color="black", linewidth=1.4)
    axis.axvline(HONEST, color=GREY, linewidth=0.8, linestyle="--")
    # Above the first row: what either end of the scale means.
    axis.text(HONEST, -0.75, "honest", color=ink(GREY), ha="center", va="bottom")
    axis.annotate(
        "adversarial", (0.01, -0.95), (0.14, -0.95), arrowprops={"arrowstyle": "->", "color": GREY}, va="center",
        color=ink(GREY), annotation_clip=False,
    )  # fmt: skip
    labels = [" ".join([VARIANTS[task], *(part for part in rest if part != "flat")]) for task, *rest in
              (name.split("-") for name in models)]  # fmt: skip
    axis.set_yticks(range(len(models)), labels)
    axis.set(
        xlim=(0, 1.15),
        ylim=(len(models) - 0.4, -0.6),
        xlabel="smallest ‖δ‖ / ‖g − s‖",
    )
    axis.grid(False, axis="y")


def make(folder: Path = RESULTS) -> tuple[Figure, FigureData]:
    """Return the figure and its numbers, from the stored results.

    Raises
        FileNotFoundError: if there are none.
    """
    data = read(folder, 3)
    return draw(data), data
