"""Rows of small pictures, the names of the tasks and shares with intervals: what the figures of the paper have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from figures.style import COLOURS

TASKS = {"wall_single": "WallSingle", "point_maze": "PointMaze", "push_t": "Push-T"}
"""The three tasks of the paper, as printed."""
VARIANTS = {**TASKS, "wall_single_long": "WallSingle long", "point_maze_long": "PointMaze long"}
"""All tasks."""
PLANNERS = {"GRASP": "GRASP", "GradientDescent": "GD", "LatCo": "LatCo", "CEM": "CEM", "MPPI": "MPPI"}
"""Names as printed."""
PLANNER_COLOURS = dict(
    zip(PLANNERS, (COLOURS[0], COLOURS[1], COLOURS[2], COLOURS[3], COLOURS[6]), strict=True)
)
"""One colour a planner in every figure."""
FRAME = "#9A9A9A"


def montage(
    axis: Axes,
    pictures: Mapping[tuple[float, float], np.ndarray],
    *,
    above: Mapping[tuple[float, float], str] | None = None,
    below: Mapping[tuple[float, float], str] | None = None,
    left: Mapping[float, str] | None = None,
    framed: Sequence[tuple[float, float]] = (),
) -> None:
    """Draw pictures of side 1 on a plane, rows counted down; every picture in a thin frame.

    Arguments
        axis: its own axes are hidden.
        pictures: (row, column) of the upper left corner -> picture (H, W, 3).
        above, below: texts centred above or below the picture at a place.
        left: texts left of the first column of a row.
        framed: places of pictures with a dark frame.
    """
    for (row, column), picture in pictures.items():
        axis.imshow(picture, extent=(column, column + 1, row + 1, row), interpolation="nearest")
        colour, width = ("black", 0.9) if (row, column) in framed else (FRAME, 0.5)
        axis.add_patch(
            Rectangle((column, row), 1, 1, fill=False, color=colour, linewidth=width, clip_on=False)
        )
    for texts, down, align in ((above, -0.05, "bottom"), (below, 1.06, "top")):
        for (row, column), text in (texts or {}).items():
            axis.text(column + 0.5, row + down, text, ha="center", va=align)
    first = min(column for _, column in pictures)
    for row, text in (left or {}).items():
        axis.text(first - 0.1, row + 0.5, text, ha="right", va="center")
    rows, columns = zip(*pictures, strict=True)
    axis.set(
        xlim=(first - 0.02, max(columns) + 1.02), ylim=(max(rows) + 1.02, min(rows) - 0.02), aspect="equal"
    )
    axis.set_axis_off()


def percent(share: Any) -> str:
    """Return a share with its interval, as "12% [8, 17]", or a dash."""
    if not isinstance(share, Mapping):
        return "—"
    return f"{share['value']:.0%} [{100 * share['low']:.0f}, {100 * share['high']:.0f}]"


def dots(axis: Axes, at: float, share: Any, colour: str, marker: str = "o", filled: bool = True) -> None:
    """Draw a share or another estimate and its interval as a dot with a vertical bar; nothing where there is none."""
    if not isinstance(share, Mapping):
        return
    value, low, high = (float(share[name]) for name in ("value", "low", "high"))
    axis.plot([at, at], [low, high], color=colour, linewidth=1.0, solid_capstyle="butt")
    face = colour if filled else "white"
    axis.plot(at, value, marker, color=colour, markerfacecolor=face, markersize=4, markeredgewidth=1.0)
