"""What the linear theory says, in four panels: smoothness, conditioning, transient growth, spread of the states.

(a) The smoothness constants of five systems, λ the largest eigenvalue: lines of shooting, dotted: Theorem 2's lower
bounds, grey band: all of the lifted problem. (b) log₁₀ of the ratio of condition numbers, lifted over shooting, for
four benchmark systems. (c) Norms of the powers of the stop-gradient iteration's matrix J at the best step size for
its spectral radius ρ(J), with their peaks (dots), and what the rate alone would give (dashed). (d) The variance of
virtual states along the plan, with frozen actions, relative to Theorem 7's tube: lines are exact, dots measured in
the planner, with 95% intervals. Each panel is the gist of a figure of its own: `smoothness`, `conditioning`,
`transient-growth` and `tube`.
"""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.style import COLOURS, GREY, WIDTH, house_style, ink, marked, panel_letters
from figures.theory import smoothness, transient_growth, tube
from figures.theory.conditioning import BENCHMARK_HORIZONS, log_ratio
from linear_systems import benchmarks, stop_gradient

SHOWN = ("double_integrator", "cart_pole_upright", "mujoco_inverted_pendulum", "mujoco_hopper")


@dataclass(frozen=True, eq=False)
class Overview:
    """The numbers of the four panels.

    Arguments
        growth: name -> smoothness constants over T.
        ratios: benchmark -> log₁₀ κ(H_L)/κ(H_S) at `BENCHMARK_HORIZONS`.
        powers: ‖J^k‖ at the step size that is best for ρ(J).
        along: Var s_t over t.
    """

    growth: dict[str, smoothness.Growth]
    ratios: dict[str, Float[np.ndarray, " J"]]
    powers: transient_growth.Powers
    along: tube.Along


def overview() -> Overview:
    """Compute the numbers (some ten seconds)."""
    systems = {name: benchmarks.load(name).system for name in SHOWN}
    eta = stop_gradient.best_step_size(transient_growth.SYSTEM, transient_growth.BETA)
    return Overview(
        {name: smoothness.growth(system) for name, system in smoothness.SYSTEMS.items()},
        {name: np.array([log_ratio(s, T) for T in BENCHMARK_HORIZONS]) for name, s in systems.items()},
        transient_growth.powers_of((eta, eta)),
        tube.along(),
    )


def draw(numbers: Overview) -> Figure:
    """Draw the panels."""
    with house_style():
        figure, axes = plt.subplots(2, 2, figsize=(WIDTH, 5.2))
        _draw_smoothness(axes[0, 0], numbers.growth)
        _draw_conditioning(axes[0, 1], numbers.ratios)
        transient_growth.draw_powers(axes[1, 0], numbers.powers)
        axes[1, 0].set_title("Theorem 6: a constant exponential in T")
        tube.draw_along(axes[1, 1], numbers.along)
        axes[1, 1].set_title("Theorem 7's tube widens along the plan")
        panel_letters(axes.flat)
    return figure


def _draw_smoothness(axis: Axes, numbers: dict[str, smoothness.Growth]) -> None:
    smoothness.draw_shooting(axis, numbers)
    lifted = np.array([item.lifted for item in numbers.values()])
    horizons = next(iter(numbers.values())).horizons
    axis.fill_between(horizons, lifted.min(0), lifted.max(0), color=GREY, alpha=0.4, linewidth=0)
    axis.text(horizons[-1], 1.2 * lifted.max(), "lifted, all five", color=ink(GREY), ha="right", va="bottom")
    axis.legend(loc="upper left", labelcolor=[ink(colour) for colour in COLOURS[: len(numbers)]])
    axis.set(title="Theorems 2 and 3: smoothness", ylim=(0.7, 1e9))


def _draw_conditioning(axis: Axes, ratios: dict[str, Float[np.ndarray, " J"]]) -> None:
    for (name, values), style in zip(ratios.items(), marked(COLOURS[: len(ratios)], 1), strict=True):
        axis.plot(BENCHMARK_HORIZONS, values, **style, label=name.replace("_", " "))
    axis.axhline(0.0, color="black", linewidth=0.8)
    axis.text(2, -0.3, "lifting is better", va="top")
    axis.set(
        title="Conditioning, lifted over shooting",
        xlabel="horizon T (steps)",
        ylabel=r"$\log_{10} \kappa(H_L)/\kappa(H_S)$",
    )
    axis.legend(loc="lower left", labelcolor=[ink(colour) for colour in COLOURS[: len(ratios)]])
    axis.set(xscale="log")
    axis.set_xticks(BENCHMARK_HORIZONS, labels=map(str, BENCHMARK_HORIZONS))
    axis.minorticks_off()


def make() -> tuple[Figure, Overview]:
    """Return the figure and its numbers."""
    numbers = overview()
    return draw(numbers), numbers
