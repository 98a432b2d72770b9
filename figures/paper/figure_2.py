"""Figure 2, drawn: serial rollouts, and the lifted states with their stop-gradients.

(a) Shooting: the states s_t come from rolling the model F_θ out under the actions a_t, and only the last is compared
with the goal g. (b) Lifted: the states are variables of their own. Filled circles are optimised, open ones given or
computed; solid orange arrows are the terms that tie a state to the model's prediction from the one before, dashed
ones those that pull predictions to the goal, with weight γ. A bar over a state, and the crosses, say that no gradient
passes, so that all T evaluations are independent.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, FancyBboxPatch

from figures.style import COLOURS, GREY, WIDTH, house_style, ink

STEPS = 3
"""Transitions drawn."""
STATE, ACTION, LOSS = COLOURS[0], COLOURS[2], COLOURS[1]
SPACING, RADIUS, BOX = 2.0, 0.3, 0.62

Point = tuple[float, float]


def draw() -> Figure:
    """Draw the computation graphs of Eq. (3) and of Eq. (10)."""
    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.4), width_ratios=(1, 1))
        _serial(left)
        _lifted(right)
        for axis, letter, title in (
            (left, "a", "serial: states are rolled out, Eq. (3)"),
            (right, "b", "lifted: states are variables, Eq. (8)–(10)"),
        ):
            axis.set(xlim=(-0.75, SPACING * STEPS + 1.25), ylim=(-2.5, 2.2), aspect="equal")
            axis.set_axis_off()
            axis.set_title(rf"$\mathbf{{{letter}}}$  {title}")
    return figure


def _serial(axis: Axes) -> None:
    for t in range(STEPS + 1):
        _node(axis, (SPACING * t, 0), "$s_T$" if t == STEPS else f"$s_{{{t}}}$", STATE, free=False)
    for t in range(STEPS):
        x = SPACING * t + SPACING / 2
        _model(axis, (x, 0))
        _node(axis, (x, -1.5), f"$a_{{{t}}}$", ACTION, free=True)
        _arrow(axis, (SPACING * t + RADIUS, 0), (x - BOX / 2, 0))
        _arrow(axis, (x + BOX / 2, 0), (SPACING * (t + 1) - RADIUS, 0))
        _arrow(axis, (x, -1.5 + RADIUS), (x, -BOX / 2))
    axis.text(-0.3, -2.2, "filled: optimised; open: given or computed", va="center")
    end = SPACING * STEPS
    _node(axis, (end, 1.5), "$g$", GREY, free=False)
    _loss(axis, (end, RADIUS), (end, 1.5 - RADIUS), r"$\Vert s_T-g\Vert^2$", (end - 0.12, 0.75), "right")
    axis.text(
        SPACING * STEPS / 2 - 0.9,
        1.25,
        "gradients pass through all\nT evaluations, one by one",
        ha="center",
        va="center",
    )


def _lifted(axis: Axes) -> None:
    for t in range(STEPS + 1):
        fixed = t in (0, STEPS)
        name = "$s_0$" if t == 0 else "$s_T=g$" if t == STEPS else f"$s_{{{t}}}$"
        _node(axis, (SPACING * t, 0), name if t < STEPS else "$s_T$", STATE, free=not fixed)
    axis.text(SPACING * STEPS + RADIUS + 0.08, 0, "$=g$", ha="left", va="center", color=ink(GREY))
    for t in range(STEPS):
        x = SPACING * t + SPACING / 2
        _model(axis, (x, 0))
        _node(axis, (x, -1.5), f"$a_{{{t}}}$", ACTION, free=True)
        _arrow(axis, (SPACING * t + RADIUS, 0), (x - BOX / 2, 0))
        if t:
            _cut(axis, ((SPACING * t + RADIUS + x - BOX / 2) / 2, 0))
        _arrow(axis, (x, -1.5 + RADIUS), (x, -BOX / 2))
        _loss(axis, (x + BOX / 2, 0), (SPACING * (t + 1) - RADIUS, 0), "", (0, 0), "center")
        # The dense goal loss: every prediction is pulled to the goal.
        goal = (SPACING * STEPS / 2, 1.75)
        _loss(
            axis,
            (x, BOX / 2),
            (goal[0] + 0.22 * (t - 1), goal[1] - RADIUS),
            "",
            (0, 0),
            "center",
            dotted=True,
        )
    _node(axis, (SPACING * STEPS / 2, 1.75), "$g$", GREY, free=False)
    axis.text(
        SPACING * STEPS / 2 + 0.5,
        1.75,
        r"$\gamma\,\Vert F(\bar{s}_t,a_t)-g\Vert^2$",
        va="center",
        color=ink(LOSS),
    )
    _loss(axis, (-0.3, -2.2), (0.3, -2.2), "", (0, 0), "left")
    axis.text(0.5, -2.2, r"$\Vert F(\bar{s}_t,a_t)-s_{t+1}\Vert^2$", va="center", color=ink(LOSS))
    _cut(axis, (3.6, -2.2))
    axis.text(3.9, -2.2, "no gradient: all T side by side", va="center")


def _node(axis: Axes, at: Point, name: str, colour: str, *, free: bool) -> None:
    """Draw a variable: filled if it is optimised, open if it is given or computed."""
    axis.add_patch(
        Circle(at, RADIUS, facecolor=colour if free else "white", edgecolor=colour, linewidth=1.2, zorder=3)
    )
    axis.text(*at, name, ha="center", va="center", color="white" if free else ink(colour), zorder=4)


def _model(axis: Axes, at: Point) -> None:
    corner = (at[0] - BOX / 2, at[1] - BOX / 2)
    axis.add_patch(
        FancyBboxPatch(corner, BOX, BOX, boxstyle="round,pad=0,rounding_size=0.1", facecolor="#EFEFEF",
                       edgecolor="black", linewidth=0.8, zorder=3)
    )  # fmt: skip
    axis.text(*at, r"$F_\theta$", ha="center", va="center", zorder=4)


def _arrow(axis: Axes, start: Point, end: Point) -> None:
    axis.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=7, linewidth=0.9, shrinkA=0, shrinkB=0, color="black"
        )
    )


def _loss(
    axis: Axes, start: Point, end: Point, name: str, at: Point, align: str, *, dotted: bool = False
) -> None:
    """Draw a penalised difference as a double arrow, and what it costs."""
    axis.add_patch(
        FancyArrowPatch(start, end, arrowstyle="<->", mutation_scale=6, linewidth=1.1, shrinkA=1, shrinkB=1, color=LOSS,
                        linestyle=":" if dotted else "-")
    )  # fmt: skip
    if name:
        axis.text(*at, name, ha=align, va="center", color=ink(LOSS))


def _cut(axis: Axes, at: Point) -> None:
    axis.plot(*at, "x", color="black", markersize=6, markeredgewidth=1.6, zorder=5)


def make() -> tuple[Figure, None]:
    """Return the figure; it has no numbers."""
    return draw(), None
