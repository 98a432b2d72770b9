"""Theorems 2 and 3 side by side: how the smoothness of shooting and of the lifted problem depends on the horizon.

(a) L_S, the Lipschitz constant of the gradient of the shooting loss, for five systems with ‖B‖ = 1; λ is the largest
eigenvalue of A; dotted, in the colour of the system: Theorem 2's lower bound where it grows. (b) L_L, that of the
lifted loss, on the same scale. (c) L_L as a share of Theorem 3's upper bound; the triangles are its limits as T → ∞,
and no system exceeds 2/3 (dashed). Lines and markers are those named in (b).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.progress import track
from figures.style import COLOURS, GREY, WIDTH, house_style, ink, marked, panel_letters
from grasp_theory.theorems import lifted_smoothness, shooting_smoothness
from linear_systems import LinearSystem

HORIZONS = np.arange(1, 65)
ANGLE = np.pi / 6
TURN = 1.1 * np.array([[np.cos(ANGLE), -np.sin(ANGLE)], [np.sin(ANGLE), np.cos(ANGLE)]])
SYSTEMS = {
    "unstable, λ = 1.1": LinearSystem([[1.1]], [[1.0]]),
    "complex pair, |λ| = 1.1": LinearSystem(TURN, [[0.0], [1.0]]),
    "Jordan block, λ = 1": LinearSystem([[1.0, 1.0], [0.0, 1.0]], [[0.0], [1.0]]),
    "marginal, λ = 1": LinearSystem([[1.0]], [[1.0]]),
    "stable, λ = 0.8": LinearSystem([[0.8]], [[1.0]]),
}
"""One system of each kind, with ‖B‖ = 1."""
DOTS = (0, (1, 1.5))
CLOSEST = 2 / 3
"""sup of 2 ((1 + a)² + b²) / (6 (1 + a² + b²)), at a = 1, b = 0: the sharper bound over that of Theorem 3."""


@dataclass(frozen=True, eq=False)
class Growth:
    """The smoothness constants of one system at `horizons`.

    Arguments
        horizons: (K,), T.
        log_shooting: (K,), log₁₀ L_S.
        log_shooting_bound: (K,), log₁₀ of the lower bound of Theorem 2.
        grows: whether the bound grows with T, that is |λ| > 1.
        lifted: (K,), L_L.
        lifted_limit: lim L_L as T → ∞.
        lifted_bound: the upper bound of Theorem 3.
    """

    horizons: Int[np.ndarray, " K"]
    log_shooting: Float[np.ndarray, " K"]
    log_shooting_bound: Float[np.ndarray, " K"]
    grows: bool
    lifted: Float[np.ndarray, " K"]
    lifted_limit: float
    lifted_bound: float


def growth(system: LinearSystem, horizons: Int[np.ndarray, " K"] = HORIZONS) -> Growth:
    """Return the constants of a system, from the records of Theorems 2 and 3."""
    shoot = [shooting_smoothness(system, int(T)) for T in horizons]
    lift = [lifted_smoothness(system, int(T)) for T in horizons]
    return Growth(
        horizons,
        np.array([check.computed for check in shoot]) / np.log(10.0),
        np.array([check.bound for check in shoot]) / np.log(10.0),
        shoot[0].assumptions["|λ| > 1"],
        np.array([check.computed for check in lift]),
        lift[0].quantities["limit"],
        lift[0].bound,
    )


def draw(numbers: dict[str, Growth]) -> Figure:
    """Draw L_S and L_L on one scale, and L_L relative to its bound."""
    with house_style():
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(WIDTH, 2.5))
        draw_shooting(left, numbers)
        left.text(64, 0.7, "dotted: Theorem 2's bounds", color=ink(GREY), ha="right")
        _draw_lifted(middle, numbers)
        middle.set_ylim(left.get_ylim())
        # The plot of L_L leaves room for the names, which hold in all three.
        middle.legend(loc="upper left", labelcolor=[ink(colour) for colour in COLOURS[: len(numbers)]])
        _draw_relative(right, numbers)
        panel_letters((left, middle, right))
    return figure


def draw_shooting(axis: Axes, numbers: dict[str, Growth]) -> None:
    """Draw L_S over T, and the bound of Theorem 2 where it grows."""
    for (name, item), style in zip(numbers.items(), _styles(numbers), strict=True):
        axis.plot(item.horizons, 10**item.log_shooting, **style, label=name)
        if item.grows:
            axis.plot(item.horizons, 10**item.log_shooting_bound, color=ink(style["color"]), linestyle=DOTS)
    axis.set(yscale="log", title="Shooting: $L_S$", xlabel="horizon T (steps)", ylabel="smoothness constant")


def _styles(numbers: dict[str, Growth]) -> Iterator[dict[str, Any]]:
    return marked(COLOURS[: len(numbers)], len(next(iter(numbers.values())).horizons))


def _draw_lifted(axis: Axes, numbers: dict[str, Growth]) -> None:
    for (name, item), style in zip(numbers.items(), _styles(numbers), strict=True):
        axis.plot(item.horizons, item.lifted, **style, label=name)
    axis.set(yscale="log", title="Lifted: $L_L$, on the same scale", xlabel="horizon T (steps)")


def _draw_relative(axis: Axes, numbers: dict[str, Growth]) -> None:
    for item, style in zip(numbers.values(), _styles(numbers), strict=True):
        axis.plot(item.horizons, item.lifted / item.lifted_bound, **style)
        end = 1.06 * float(item.horizons[-1])
        axis.plot(end, item.lifted_limit / item.lifted_bound, "<", color=style["color"], clip_on=False)
    axis.axhline(CLOSEST, color=GREY, linestyle="--", linewidth=1.0)
    axis.text(1.0, CLOSEST + 0.015, "2/3: the most there is", color=ink(GREY))
    axis.text(1.06 * float(HORIZONS[-1]), 0.43, "limits, T → ∞", color=ink(GREY), ha="right")
    axis.set(
        title="$L_L$ over Theorem 3's bound", xlabel="horizon T (steps)", ylabel="ratio", ylim=(0.0, 0.75)
    )


def make() -> tuple[Figure, dict[str, Growth]]:
    """Return the figure and its numbers."""
    numbers = {name: growth(SYSTEMS[name]) for name in track(list(SYSTEMS), "smoothness: systems")}
    return draw(numbers), numbers
