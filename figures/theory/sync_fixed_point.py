"""Where GRASP with syncs settles: between the greedy rollout and a minimiser of the shooting loss.

A system of two states, one of which the action moves, at T = 8; K is the number of iterations between two syncs, and
η the step size of a sync, in units of 1/L_S, with L_S the smoothness constant of shooting. (a) How far from the goal
g the rollout of the fixed point ends: between that of no syncs (grey line) and 0, shooting's. (b) The spectral radius
of a period of K iterations and a sync: the fixed point attracts below 1 (grey line). Lines and markers are those
named in (a).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from figures.style import GREY, WIDTH, house_style, ink, marked, panel_letters, shades
from linear_systems import LinearSystem, shooting
from linear_systems.stop_gradient.sync import sync_fixed_point, sync_matrix

SYSTEM = LinearSystem([[0.9, 0.5], [0.0, 0.8]], [[0.0], [1.0]])
"""Two states, of which the action moves one: greedy misses the goal."""
HORIZON, BETA, PAIR = 8, 1.0, (0.3, 0.15)
START, GOAL = np.array([1.0, 0.0]), np.array([0.0, 0.5])
EVERY = (1, 5, 20, 100)
STEPS = np.geomspace(1e-3, 5.0, 38)
"""Sync steps η, from 0.02 to 100 times 1/L_S."""
SHOWN = 1.9
"""Largest multiple of 1/L_S at which misses are drawn; beyond, they exceed greedy's."""


@dataclass(frozen=True, eq=False)
class Misses:
    """How far the fixed point's rollout ends from the goal.

    Arguments
        miss: K -> ‖g − s_T‖ at every sync step; NaN where the period does not contract.
        radius: K -> spectral radius of the period.
        greedy: without syncs.
        scaled: the sync steps in multiples of 1/L_S.
    """

    miss: dict[int, Float[np.ndarray, " S"]]
    radius: dict[int, Float[np.ndarray, " S"]]
    greedy: float
    scaled: Float[np.ndarray, " S"]


def misses(every: Sequence[int] = EVERY, steps: Float[np.ndarray, " S"] = STEPS) -> Misses:
    """Compute them in closed form (U19)."""
    miss, radius = {}, {}
    for K in every:
        matrices = [sync_matrix(SYSTEM, HORIZON, BETA, PAIR, K, float(step)) for step in steps]
        radius[K] = np.array([np.abs(np.linalg.eigvals(M)).max() for M in matrices])
        miss[K] = np.array(
            [_miss(K, float(s)) if r < 1 else np.nan for s, r in zip(steps, radius[K], strict=True)]
        )
    greedy = sync_fixed_point(SYSTEM, HORIZON, BETA, PAIR, 1, 0.0, START, GOAL).greedy_miss
    return Misses(miss, radius, greedy, steps * shooting.lipschitz(SYSTEM, HORIZON))


def _miss(every: int, step: float) -> float:
    return sync_fixed_point(SYSTEM, HORIZON, BETA, PAIR, every, step, START, GOAL).miss


def draw(numbers: Misses) -> Figure:
    """Draw the miss and the period's spectral radius over the sync step."""
    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.6))
        colours, shown = shades(len(numbers.miss)), numbers.scaled <= SHOWN
        near, all_of_it = (marked(colours, count) for count in (int(shown.sum()), len(shown)))
        for (K, values), left_style, right_style in zip(numbers.miss.items(), near, all_of_it, strict=True):
            left.plot(numbers.scaled[shown], values[shown], **left_style, label=f"K = {K}")
            right.plot(numbers.scaled, numbers.radius[K], **right_style, label=f"K = {K}")
        left.axhline(numbers.greedy, color=GREY, linewidth=0.8)
        left.text(numbers.scaled[0], numbers.greedy, "greedy (no sync)", color=ink(GREY), va="bottom")
        left.text(numbers.scaled[0], 0.0, "shooting: 0", color=ink(GREY), va="bottom")
        left.set(title="Miss at the fixed point", ylabel="‖g − $s_T$‖", ylim=(-0.03, 1.12 * numbers.greedy))
        right.axhline(1.0, color=GREY, linewidth=0.8)
        right.set(title="Spectral radius of a period", ylim=(-0.03, 1.6))
        left.legend(loc="lower left", bbox_to_anchor=(0.0, 0.08))
        right.text(numbers.scaled[0], 1.0, "contracts below", color=ink(GREY), va="bottom")
        for axis in (left, right):
            axis.set(xscale="log", xlabel="sync step η, times $L_S$")
        panel_letters((left, right))
    return figure


def make() -> tuple[Figure, Misses]:
    """Return the figure and its numbers."""
    numbers = misses()
    return draw(numbers), numbers
