"""Theorem 7 in the planner itself: the spread of GRASP's virtual states, with the actions frozen.

Variances of GRASP's virtual states, with the actions frozen, relative to the tube of Theorem 7, σ²/(4η_s(1−η_s)):
dots are measured in the planner on 2040 samples, with 95% intervals; lines are exact. (a) Along the plan, for s_{t+1}
= A s_t + a_t: only at A = 0, where no prediction moves, is it Theorem 7's. (b) Of the first state, over iterations,
with plain gradient steps and with Adam. (c) The same at the end, over the noise σ.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import matplotlib.pyplot as plt
import numpy as np
import torch
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from figures.progress import track
from figures.style import COLOURS, WIDTH, house_style, ink, label_end, panel_letters
from grasp_theory import GRASP, PlanningProblem
from grasp_theory.planners import Observation
from linear_systems import LinearSystem, noise, state_chain

GAINS = (1.1, 1.0, 0.8, 0.0)
"""A = gain · I: at 0 every prediction is frozen, as Theorem 7 has it."""
HORIZON = 20
PULL, LEVEL = 0.1, 0.2
"""η_s (for Adam: its step size, in units of the state) and σ, where neither is varied."""
LEVELS = (0.01, 0.03, 0.1, 0.3, 1.0)
ROWS, ENTRIES = 256, 8
"""Independent chains: this many rows of this many uncoupled entries."""
SETTLED = 200
"""Iterations after which plain steps are stationary: (1 − 2η_s)^200 < 1e-19."""
Optimizer = Literal["sgd", "adam"]
ENOUGH: dict[Optimizer, int] = {"sgd": SETTLED, "adam": 3000}
"""Iterations after which the law is stationary; Adam's second moment forgets over 1000 iterations."""
SHOWN: tuple[tuple[Optimizer, str, str], ...] = (
    ("sgd", COLOURS[0], "plain steps"),
    ("adam", COLOURS[1], "Adam, step 0.1"),
)
SAMPLES = (ROWS - 1) * ENTRIES
"""Degrees of freedom of a measured variance."""


@dataclass(frozen=True, eq=False)
class Along:
    """Var s_t, t = 1..T, relative to the tube's, σ²/(4η_s(1−η_s)), after plain steps; by gain of A.

    Arguments
        measured: gain -> (HORIZON,), in the planner.
        exact: gain -> (HORIZON,), the stationary law with the states inside the model live.
    """

    measured: dict[float, Float[np.ndarray, " T"]]
    exact: dict[float, Float[np.ndarray, " T"]]


@dataclass(frozen=True, eq=False)
class Spread:
    """What was measured, with what is predicted.  Variances are relative to the tube's.

    Arguments
        along: over the plan.
        iterations: (K,), at which the next was measured.
        over: optimiser -> (K,), measured Var s_1 after so many iterations; its prediction is frozen.
        approach: the exact Var s_1 of plain steps from a fixed start, for every k up to the last of `iterations`.
        settled: optimiser -> (len(LEVELS),), measured Var s_1 in the end, for each σ in LEVELS.
    """

    along: Along
    iterations: Int[np.ndarray, " K"]
    over: dict[Optimizer, Float[np.ndarray, " K"]]
    approach: Float[np.ndarray, " k_plus_one"]
    settled: dict[Optimizer, Float[np.ndarray, " L"]]


def measure(
    gain: float,
    horizon: int,
    optimizer: Optimizer,
    sigma: float,
    iterations: int,
    every: int | None = None,
    *,
    seed: int = 0,
) -> dict[int, Float[np.ndarray, " T"]]:
    """Run GRASP with frozen actions and return Var s_t, t = 1..T, at every `every`-th iteration.

    The actions hold the state, so that the straight line on which the planner starts is already its rollout.
    """
    generator = torch.Generator().manual_seed(seed)
    start = torch.randn(1, ENTRIES, generator=generator, dtype=torch.float64).expand(ROWS, -1)
    problem = PlanningProblem(
        LinearSystem(gain * np.eye(ENTRIES), np.eye(ENTRIES)), start, start, horizon, ENTRIES,
        initial_actions=((1 - gain) * start)[:, None].expand(-1, horizon, -1), seeds=torch.arange(ROWS) + ROWS * seed,
    )  # fmt: skip
    planner = GRASP(
        iterations=iterations, check_every=every or iterations, state_lr=PULL, action_lr=0.0, goal_weight=0.0,
        state_noise=sigma, cycle_decay=1.0, sync_every=None, optimizer=optimizer, fix_final_state=False,
    )  # fmt: skip
    found: dict[int, Float[np.ndarray, " T"]] = {}

    def record(seen: Observation) -> None:
        assert seen.virtual_states is not None
        found[seen.iteration] = seen.virtual_states[:, 1:].var(0).mean(1).numpy()

    planner.plan(problem, callback=record)
    return found


def along() -> Along:
    """Measure Var s_t along plans on A = gain · I, and compute the exact law."""
    tube = noise.tube_variance(PULL, LEVEL)
    laws = {a: state_chain.stationary_law(LinearSystem([[a]], [[1.0]]), HORIZON, PULL, LEVEL) for a in GAINS}
    return Along(
        {
            a: measure(a, HORIZON, "sgd", LEVEL, SETTLED, seed=k)[SETTLED] / tube
            for k, a in enumerate(track(GAINS, "tube: systems"))
        },
        {a: law.states[:, 0, 0] / tube for a, law in laws.items()},
    )


def spread() -> Spread:
    """Measure everything that is shown (some ten seconds)."""
    over: dict[Optimizer, Float[np.ndarray, " K"]] = {}
    settled: dict[Optimizer, Float[np.ndarray, " L"]] = {}
    for optimizer, enough in ENOUGH.items():
        found = measure(0.0, 1, optimizer, LEVEL, 100, 4)
        iterations = np.array(list(found))
        over[optimizer] = np.array(list(found.values()))[:, 0] / noise.tube_variance(PULL, LEVEL)
        settled[optimizer] = np.array(
            [
                measure(0.0, 1, optimizer, sigma, enough, seed=k)[enough][0]
                / noise.tube_variance(PULL, sigma)
                for k, sigma in enumerate(track(LEVELS, f"tube: levels of noise, {optimizer}"))
            ]
        )
    approach = noise.tube_variances(PULL, LEVEL, int(iterations[-1])) / noise.tube_variance(PULL, LEVEL)
    return Spread(along(), iterations, over, approach, settled)


def draw(numbers: Spread) -> Figure:
    """Draw the variance along the plan, over iterations, and over σ."""
    with house_style():
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(WIDTH, 2.6), width_ratios=(1.2, 1.0, 1.0))
        draw_along(left, numbers.along)
        _draw_over(middle, numbers)
        _draw_settled(right, numbers)
        left.set_title(f"Plain steps, $η_s$ = {PULL}, σ = {LEVEL}")
        panel_letters((left, middle, right))
    return figure


def draw_along(axis: Axes, numbers: Along) -> None:
    """Draw the variance of s_t over t: lines are exact, dots measured with 95% intervals."""
    for (gain, measured), colour in zip(numbers.measured.items(), COLOURS, strict=False):
        t, exact = np.arange(1, len(measured) + 1), numbers.exact[gain]
        axis.plot(t, exact, color=colour)
        _dots(axis, t, measured, colour)
        label_end(axis, t[-1], exact[-1], f"A = {gain:g}", colour)
    axis.text(1, 0.83, "Theorem 7", va="top", color=ink(COLOURS[3]))
    axis.set(yscale="log", xlabel="state t", ylabel="variance of $s_t$ / tube's")
    axis.set_xticks((1, 5, 10, 15, 20))
    axis.set(xlim=(0, 1.35 * HORIZON), ylim=(0.6, None))


def _draw_over(axis: Axes, numbers: Spread) -> None:
    axis.plot(numbers.approach, color=COLOURS[0])
    for optimizer, colour, name in SHOWN:
        values = numbers.over[optimizer]
        _dots(axis, numbers.iterations[1:], values[1:], colour)
        axis.text(
            numbers.iterations[-1], 1.12 * values.max(), name, ha="right", va="bottom", color=ink(colour)
        )
    axis.set(
        title=f"First state, σ = {LEVEL}",
        xlabel="iteration k",
        ylabel="variance of $s_1$ / tube's",
        ylim=(0, 4),
    )


def _draw_settled(axis: Axes, numbers: Spread) -> None:
    axis.axhline(1.0, color=COLOURS[0])
    for optimizer, colour, name in SHOWN:
        values = numbers.settled[optimizer]
        _dots(axis, np.array(LEVELS), values, colour)
        axis.annotate(
            name, (LEVELS[0], values[0]), (0, 10), textcoords="offset points", color=ink(colour), ha="left",
        )  # fmt: skip
    axis.set(
        title="First state, in the end", xlabel="σ (units of the state)", ylabel="variance of $s_1$ / tube's"
    )
    axis.set(xscale="log", yscale="log", ylim=(0.6, 20))


def _dots(
    axis: Axes,
    x: Float[np.ndarray, " K"] | Int[np.ndarray, " K"],
    variances: Float[np.ndarray, " K"],
    colour: str,
) -> None:
    """Draw measured variances with their 95% intervals; χ², which takes the samples to be Gaussian."""
    upper, lower = SAMPLES / stats.chi2(SAMPLES).ppf((0.025, 0.975))
    errors = variances * np.array([[1 - lower], [upper - 1]])
    axis.errorbar(x, variances, errors, fmt="o", markersize=2.5, color=ink(colour), elinewidth=1.0)


def make() -> tuple[Figure, Spread]:
    """Return the figure and its numbers."""
    numbers = spread()
    return draw(numbers), numbers
