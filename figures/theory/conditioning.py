"""Where shooting and where the lifted problem is the better conditioned one: a map, and the benchmark systems.

Colour is log₁₀ of the ratio of condition numbers, lifted over shooting, both on the row space of the problem: blue
where lifting is the better conditioned. (a) Inverted pendulums whose falls grow by λ a step. (b) Double integrators
with time step h. On the black line both are equally conditioned; the dashed lines are the benchmark systems of these
names. (c) All time-invariant benchmark systems, with the spectral radius ρ(A); dots mark where lifting is better.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.colors import SymLogNorm
from matplotlib.figure import Figure
from scipy.signal import cont2discrete

from figures.progress import track
from figures.style import DIVERGING, WIDTH, house_style, panel_letters
from linear_systems import AnySystem, LinearSystem, benchmarks, lifted, shooting

GROWTHS = np.linspace(1.0, 1.4, 17)
TIME_STEPS = np.geomspace(0.03, 1.0, 13)
HORIZONS = (2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256)
BENCHMARK_HORIZONS = (2, 5, 10, 20, 40, 80)
PENDULUM_STEP, PENDULUM_GAIN = 0.05, 3.0
"""Seconds, and rad/s² per unit of torque, of the benchmark `pendulum_upright`."""
LIMIT = 10.0
"""Largest |log₁₀ ratio| that the colours tell apart; linear up to 1, logarithmic beyond."""


@dataclass(frozen=True, eq=False)
class Regimes:
    """log₁₀ κ(H_L)/κ(H_S) on row spaces: negative where the lifted problem is the better conditioned one.

    Arguments
        pendulum: (len(HORIZONS), len(GROWTHS)): inverted pendulums whose falls grow by λ a step.
        integrator: (len(HORIZONS), len(TIME_STEPS)): double integrators with B = (h²/2, h).
        benchmarks: name -> log ratios at BENCHMARK_HORIZONS.
        radii: name -> ρ(A) of the benchmarks.
    """

    pendulum: Float[np.ndarray, "K G"]
    integrator: Float[np.ndarray, "K H"]
    benchmarks: dict[str, Float[np.ndarray, " J"]]
    radii: dict[str, float]


def log_ratio(system: AnySystem, horizon: int) -> float:
    """Return log₁₀ κ(H_L)/κ(H_S)."""
    log_lifted = np.log(lifted.condition_number(system, horizon))
    return float((log_lifted - shooting.log_condition_number(system, horizon)) / np.log(10.0))


def inverted_pendulum(growth: float, time_step: float, gain: float) -> LinearSystem:
    """Return θ̈ = p θ + gain · u held over a step, with √p h = log λ: eigenvalues λ and 1/λ, λ = `growth`."""
    rate = np.log(growth) / time_step
    parts = (np.array([[0.0, 1.0], [rate * rate, 0.0]]), np.array([[0.0], [gain]]))
    A, B, *_ = cont2discrete((*parts, np.eye(2), np.zeros((2, 1))), time_step, method="zoh")
    return LinearSystem(A, B)


def regimes(names: Sequence[str] | None = None) -> Regimes:
    """Compute the maps, and the ratios of the named benchmarks (all time-invariant ones by default)."""
    found = [benchmarks.load(name) for name in names or benchmarks.names()]
    invariant = [benchmark for benchmark in found if isinstance(benchmark.system, LinearSystem)]
    radii = {item.name: float(np.abs(np.linalg.eigvals(item.system.A)).max()) for item in invariant}
    ratios = {
        item.name: np.array([log_ratio(item.system, T) for T in BENCHMARK_HORIZONS])
        for item in track(invariant, "conditioning: benchmarks")
    }
    return Regimes(
        _map(lambda growth: inverted_pendulum(growth, PENDULUM_STEP, PENDULUM_GAIN), GROWTHS),
        _map(lambda time_step: inverted_pendulum(1.0, time_step, 1.0), TIME_STEPS),
        ratios,
        radii,
    )


def _map(
    system: Callable[[float], LinearSystem], parameters: Float[np.ndarray, " P"]
) -> Float[np.ndarray, "K P"]:
    systems = [system(float(parameter)) for parameter in parameters]
    horizons = track(HORIZONS, "conditioning: horizons of a map")
    return np.array([[log_ratio(item, T) for item in systems] for T in horizons])


def draw(numbers: Regimes) -> Figure:
    """Draw the two maps and the table of benchmarks."""
    norm = SymLogNorm(linthresh=1.0, vmin=-LIMIT, vmax=LIMIT)
    colours: dict[str, Any] = {"cmap": DIVERGING, "norm": norm}
    with house_style():
        figure, (left, middle, right) = plt.subplots(
            1, 3, figsize=(WIDTH, 4.0), width_ratios=(0.85, 0.85, 1.1)
        )
        for axis, x, values in ((left, GROWTHS, numbers.pendulum), (middle, TIME_STEPS, numbers.integrator)):
            mesh = axis.pcolormesh(x, HORIZONS, values, shading="gouraud", **colours)
            axis.contour(x, HORIZONS, values, levels=[0.0], colors="black", linewidths=1.4)
            axis.set_yscale("log", base=2)
            axis.set_yticks(
                (2, 4, 8, 16, 32, 64, 128, 256), labels=("2", "4", "8", "16", "32", "64", "128", "256")
            )
            axis.minorticks_off()
            axis.grid(False)
        left.set(title="Inverted pendulum", xlabel="growth λ per step", ylabel="horizon T (steps)")
        _mark(left, 1.2137, "pendulum upright")
        middle.set(title="Double integrator", xlabel="time step h (s)", xscale="log")
        middle.set_xticks((0.03, 0.1, 0.3, 1.0), labels=("0.03", "0.1", "0.3", "1"))
        middle.minorticks_off()
        _mark(middle, 0.1, "double integrator")
        _draw_benchmarks(right, numbers, colours)
        bar = figure.colorbar(
            mesh, ax=(left, middle, right), location="bottom", aspect=50, shrink=0.8, extend="both"
        )
        bar.set_ticks((-10, -3, -1, 0, 1, 3, 10))
        bar.ax.set_xticklabels(("−10", "−3", "−1", "0", "1", "3", "10"))
        table = np.array(list(numbers.benchmarks.values()))
        bar.set_label(
            "$\\log_{10}\\, \\kappa(H_L)/\\kappa(H_S)$:  blue where lifting, orange where shooting is better conditioned\n"
            f"c: lifting in {(table < 0).sum()} of {table.size} cases (dots)"
        )
        panel_letters((left, middle, right))
    return figure


def _mark(axis: Axes, x: float, name: str) -> None:
    axis.axvline(x, color="black", linewidth=0.8, linestyle="--")
    axis.annotate(name, (x, 2.2), (-2, 0), textcoords="offset points", va="bottom", ha="right", rotation=90)


def _draw_benchmarks(axis: Axes, numbers: Regimes, colours: dict[str, Any]) -> None:
    names = sorted(numbers.benchmarks, key=lambda name: -numbers.radii[name])
    table = np.array([numbers.benchmarks[name] for name in names])
    axis.imshow(table, aspect="auto", **colours)
    for row, column in np.argwhere(table < 0):
        axis.plot(column, row, "o", color="black", markersize=3, markeredgecolor="white", markeredgewidth=0.5)
    axis.set_xticks(range(len(BENCHMARK_HORIZONS)), labels=map(str, BENCHMARK_HORIZONS))
    labels = [f"{name.replace('_', ' ')}, {numbers.radii[name]:.2f}" for name in names]
    axis.set_yticks(range(len(names)), labels=labels)
    axis.tick_params(length=0)
    axis.grid(False)
    axis.set(title="Benchmarks and ρ(A)", xlabel="horizon T (steps)")


def make() -> tuple[Figure, Regimes]:
    """Return the figure and its numbers (about half a minute: the largest benchmark has 28 states)."""
    numbers = regimes()
    return draw(numbers), numbers
