"""Theorem 6's rate and the uniform one: the symbol's spectral radius around the circle, and what the constant does.

For A = 0.8, B = 1, β = 1, and three pairs of step sizes, η_s of states and η_a of actions. D is a diagonal block of
the iteration's matrix J_T, and E the block below it. (a) The spectral radius of D + e^{iθ}E around half the circle;
its maximum is the uniform rate r, and dotted is Theorem 6's rate ρ(D). Below 1 (grey line), one constant serves every
horizon. (b) That constant, the largest norm of a power of J_T: it stays where r ≤ 1, and grows with T where r > 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.optimize import brentq

from figures.progress import track
from figures.style import COLOURS, GREY, WIDTH, house_style, ink, marked, panel_letters
from linear_systems import LinearSystem, stop_gradient
from linear_systems.stop_gradient.uniform_convergence import best_uniform_step_size, uniform_spectrum

SYSTEM, BETA = LinearSystem([[0.8]], [[1.0]]), 1.0
RATES = (0.0, 1.0, 1.05)
"""r of the step sizes that are compared; 0 stands for the smallest possible."""
HORIZONS = (5, 10, 20, 40, 80)
ANGLES = 181


@dataclass(frozen=True, eq=False)
class Around:
    """The symbol at one pair of step sizes, a multiple of the best pair.

    Arguments
        step_size: (η_s, η_a).
        rate: r.
        block_rate: ρ(D), Theorem 6's.
        radii: ρ(D + e^{iθ}E) at θ in [0, π].
        peaks: max_k ‖J_T^k‖ at the horizons.
    """

    step_size: tuple[float, float]
    rate: float
    block_rate: float
    radii: Float[np.ndarray, " A"]
    peaks: Float[np.ndarray, " H"]


def around(rate: float, horizons: Sequence[int] = HORIZONS) -> Around:
    """Compute them at the multiple of the best pair that has r = `rate`, or at the best pair itself."""
    best = best_uniform_step_size(SYSTEM, BETA)
    scale = 1.0
    if rate > stop_gradient.uniform_rate(SYSTEM, BETA, best):
        scale = brentq(
            lambda s: stop_gradient.uniform_rate(SYSTEM, BETA, (s * best[0], s * best[1])) - rate, 1.0, 1.3, xtol=1e-12
        )  # fmt: skip
    pair = scale * best[0], scale * best[1]
    angles = np.linspace(0.0, np.pi, ANGLES)
    mu = uniform_spectrum(SYSTEM, BETA, pair[1] / pair[0], angles)
    peaks = [
        np.exp(
            stop_gradient.log_transient_growth(
                SYSTEM, T, beta=BETA, step_size=pair, iterations=4 * T + 40
            ).max()
        )
        for T in horizons
    ]
    return Around(
        pair,
        stop_gradient.uniform_rate(SYSTEM, BETA, pair),
        stop_gradient.spectral_radius(SYSTEM, 1, BETA, pair),
        np.abs(1.0 - pair[0] * mu).max(axis=-1),
        np.array(peaks),
    )


def draw(numbers: Sequence[Around], horizons: Sequence[int] = HORIZONS) -> Figure:
    """Draw ρ around the circle beside ρ(D), and the constant over the horizon."""
    with house_style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 2.6))
        _draw_circle(left, numbers)
        for each, style in zip(numbers, marked(COLOURS[: len(numbers)], 1), strict=True):
            right.plot(horizons, each.peaks, **style, label=f"r = {each.rate:.3g}")
        right.set(
            title="max over k of $‖J_T^k‖$: Theorem 6's constant", xlabel="horizon T (steps)", xscale="log", yscale="log",
        )  # fmt: skip
        right.set_xticks(horizons, labels=map(str, horizons))
        right.minorticks_off()
        right.legend(loc="upper left", labelcolor=[ink(colour) for colour in COLOURS[: len(numbers)]])
        panel_letters((left, right))
    return figure


def _draw_circle(axis: Axes, numbers: Sequence[Around]) -> None:
    angles = np.linspace(0.0, np.pi, ANGLES)
    for each, style in zip(numbers, marked(COLOURS[: len(numbers)], ANGLES), strict=True):
        eta_s, eta_a = each.step_size
        axis.plot(angles, each.radii, **style, label=f"({eta_s:.3f}, {eta_a:.3f}): r = {each.rate:.3g}")
        axis.plot([0.0, np.pi], [each.block_rate] * 2, color=style["color"], linestyle=":", linewidth=1.0)
    axis.axhline(1.0, color=GREY, linewidth=0.8)
    axis.text(0.05, 1.005, "uniform below", color=ink(GREY), va="bottom")
    axis.set(title="$ρ(D + e^{iθ}E)$; dotted: ρ(D)", xlabel="angle θ", ylabel="spectral radius")
    axis.set_xticks([0.0, np.pi / 2, np.pi], labels=["0", "π/2", "π"])
    axis.legend(
        title="$(η_s, η_a)$",
        loc="lower right",
        labelcolor=[ink(colour) for colour in COLOURS[: len(numbers)]],
    )


def make() -> tuple[Figure, tuple[Around, ...]]:
    """Return the figure and its numbers."""
    numbers = tuple(around(rate) for rate in track(RATES, "uniform rate: step sizes"))
    return draw(numbers), numbers
