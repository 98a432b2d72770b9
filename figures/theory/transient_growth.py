"""Theorem 6: one rate at every horizon, and a constant that the step sizes decide.

The norm of the k-th power of the stop-gradient iteration's matrix J, for A = 0.8, B = 1, β = 1 and horizons T. (a) At
the step size η that is best for the spectral radius ρ(J): dots are peaks, and the dashed line is what the rate alone
would give. (b) At the pair of step sizes (η_s of states, η_a of actions) that is best for the uniform rate: all
horizons lie below one bound (dashed). (c) Iterations until the error is 10⁻⁶ of that at the start, for both choices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.progress import track
from figures.style import COLOURS, GREY, WIDTH, house_style, ink, label_end, marked, panel_letters, shades
from linear_systems import LinearSystem, stop_gradient
from linear_systems.stop_gradient.uniform_bounds import uniform_power_norms
from linear_systems.stop_gradient.uniform_convergence import best_uniform_step_size
from linear_systems.validation import StepSize

SYSTEM, BETA = LinearSystem([[0.8]], [[1.0]]), 1.0
HORIZONS = (10, 20, 40, 80)
POWERS = 400
LONGEST = (5, 10, 20, 40, 80, 160)
"""Horizons at which iterations are counted."""
TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Powers:
    """The iteration at one choice of step sizes.

    Arguments
        step_size: (η_s, η_a).
        rate: ρ(J), the same at every horizon.
        uniform_rate: r; a constant free of T exists exactly where it is below 1.
        logs: T -> log₁₀ ‖J^k‖ for k = 0..K.
        envelope: log₁₀ of sup_T ‖J_T^k‖ for k = 0..K where r < 1, otherwise None.
        iterations: (len(LONGEST),), the first k with ‖J^k e₀‖ <= TOLERANCE · ‖e₀‖, e₀ = (1, ..., 1).
    """

    step_size: tuple[float, float]
    rate: float
    uniform_rate: float
    logs: dict[int, Float[np.ndarray, " K_plus_one"]]
    envelope: Float[np.ndarray, " K_plus_one"] | None
    iterations: Int[np.ndarray, " L"]


def powers_of(
    step_size: tuple[float, float], horizons: Sequence[int] = HORIZONS, powers: int = POWERS
) -> Powers:
    """Compute the powers of J and count iterations, exactly."""
    radius = stop_gradient.uniform_rate(SYSTEM, BETA, step_size)
    envelope = None
    if radius < 1:
        envelope = np.log10(uniform_power_norms(SYSTEM, BETA, step_size, powers)[1])
    logs = partial(
        stop_gradient.log_transient_growth, SYSTEM, beta=BETA, step_size=step_size, iterations=powers
    )
    return Powers(
        step_size,
        stop_gradient.spectral_radius(SYSTEM, 1, BETA, step_size),
        radius,
        {T: logs(T) / np.log(10.0) for T in track(list(horizons), "transient growth: horizons")},
        envelope,
        np.array([iterations_needed(step_size, T) for T in track(LONGEST, "transient growth: iterations")]),
    )


def iterations_needed(step_size: StepSize, horizon: int) -> int:
    """Return the first k with ‖J^k e₀‖ <= TOLERANCE · ‖e₀‖ from e₀ = (1, ..., 1)."""
    start = np.ones(horizon * (SYSTEM.state_dim + SYSTEM.action_dim))
    return stop_gradient.iterations_to(SYSTEM, horizon, BETA, step_size, start, TOLERANCE)


def draw(numbers: tuple[Powers, Powers]) -> Figure:
    """Draw ‖J^k‖ at the step size that is best for ρ(J), at the pair that is best for r, and the iterations."""
    fast, uniform = numbers
    with house_style():
        figure, (left, middle, right) = plt.subplots(
            1, 3, figsize=(WIDTH, 2.6), width_ratios=(1.15, 1.0, 0.9)
        )
        draw_powers(left, fast)
        left.set_title(f"η = {fast.step_size[0]:.2g}, best for ρ(J) = {fast.rate:.2g}")
        _draw_uniform(middle, uniform)
        _draw_iterations(right, fast, uniform)
        panel_letters((left, middle, right))
    return figure


def draw_powers(axis: Axes, numbers: Powers) -> None:
    """Draw log₁₀ ‖J^k‖ over k, one line a horizon, with its peak."""
    k = np.arange(len(next(iter(numbers.logs.values()))))
    for (T, logs), colour in zip(numbers.logs.items(), shades(len(numbers.logs)), strict=True):
        peak = int(logs.argmax())
        axis.plot(k, logs, color=colour)
        axis.plot(peak, logs[peak], "o", color=colour)
        label_end(axis, k[-1], logs[-1], f"T = {T}\npeak $10^{{{logs[peak]:.0f}}}$", colour)
    axis.plot(k, k * np.log10(numbers.rate), color=GREY, linestyle="--", linewidth=1.0)
    label_end(axis, k[-1], k[-1] * np.log10(numbers.rate), "$\\rho(J)^k$", GREY)
    axis.set(xlabel="iteration k", ylabel="$\\log_{10} \\|J^k\\|$", xlim=(0, 1.6 * k[-1]))


def _draw_uniform(axis: Axes, numbers: Powers) -> None:
    styles = marked(shades(len(numbers.logs)), 100)
    for (T, logs), style in zip(numbers.logs.items(), styles, strict=True):
        axis.plot(logs, **style, label=f"T = {T}")
    assert numbers.envelope is not None
    axis.plot(numbers.envelope, color=GREY, linestyle="--", linewidth=1.0, label="bound, every T")
    eta_s, eta_a = numbers.step_size
    axis.set(xlabel="iteration k", xlim=(0, 100), ylim=(-8, 1))
    axis.set_title(f"$η_s$ = {eta_s:.2g}, $η_a$ = {eta_a:.2g}: uniform")
    axis.legend(loc="lower left")


def _draw_iterations(axis: Axes, fast: Powers, uniform: Powers) -> None:
    for numbers, colour, marker, name, lift in (
        (fast, COLOURS[1], "s", "best for ρ(J)", 0),
        (uniform, COLOURS[0], "o", "uniform", 6),
    ):
        axis.plot(LONGEST, numbers.iterations, color=colour, marker=marker)
        axis.annotate(
            name, (LONGEST[-1], numbers.iterations[-1]), (-2, lift), textcoords="offset points", ha="right",
            color=ink(colour), va="bottom",
        )  # fmt: skip
    axis.set(xlabel="horizon T (steps)", ylabel="iterations", xscale="log", yscale="log", ylim=(40, 4000))
    axis.set_title("Until the error is $10^{-6}$")
    axis.set_xticks(LONGEST, labels=map(str, LONGEST))
    axis.minorticks_off()


def make() -> tuple[Figure, tuple[Powers, Powers]]:
    """Return the figure and its numbers: at the step size that is best for ρ(J), and at the pair best for r."""
    eta = stop_gradient.best_step_size(SYSTEM, BETA)
    numbers = powers_of((eta, eta)), powers_of(best_uniform_step_size(SYSTEM, BETA))
    return draw(numbers), numbers
