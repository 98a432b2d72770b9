"""What the linear theory says, in four panels: smoothness, conditioning, transient growth, spread of the states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from figures.style import house_style, line_styles
from linear_systems import LinearSystem, benchmarks, lifted, noise, shooting, state_chain, stop_gradient

Series = Mapping[str, tuple[Sequence[float], Sequence[float]]]


@dataclass(frozen=True)
class Panel:
    """One plot: labels, a note for the title, and the numbers."""

    title: str
    x_label: str
    y_label: str
    series: Series
    log_x: bool = False


def panels() -> tuple[Panel, ...]:
    """Compute the numbers of the four panels (a few seconds)."""
    return smoothness(), conditioning(), transient_growth(), spread()


def smoothness() -> Panel:
    """Return log₁₀ L_S and log₁₀ L_L over T for two benchmark systems."""
    horizons = [1, 2, 4, 8, 16, 32, 64]
    series: dict[str, tuple[Sequence[float], Sequence[float]]] = {}
    for name in ("pendulum_upright", "double_integrator"):
        system, label = benchmarks.load(name).system, name.replace("_", " ")
        shoot = [shooting.log_lipschitz(system, T) / np.log(10.0) for T in horizons]
        series[f"shooting, {label}"] = (horizons, shoot)
        series[f"lifted, {label}"] = (
            horizons,
            [float(np.log10(lifted.lipschitz(system, T))) for T in horizons],
        )
    return Panel("Smoothness: Theorems 2 and 3 hold", "horizon T", "log₁₀ L", series, log_x=True)


def conditioning() -> Panel:
    """Return log₁₀ κ_L/κ_S over T for benchmark systems."""
    horizons = [2, 5, 10, 20, 40, 80]
    series = {}
    for name in ("double_integrator", "cart_pole_upright", "mujoco_inverted_pendulum", "mujoco_hopper"):
        system = benchmarks.load(name).system
        ratios = [lifted.condition_number(system, T) / shooting.condition_number(system, T) for T in horizons]
        series[name.replace("_", " ")] = (horizons, [float(np.log10(ratio)) for ratio in ratios])
    title = "Conditioning: lifting wins (below 0) only late or never"
    return Panel(title, "horizon T", "log₁₀ κ(H_L)/κ(H_S)", series, log_x=True)


def transient_growth() -> Panel:
    """Return log₁₀ ‖J^k‖ over k for A = 0.8, B = 1, β = 1."""
    system = LinearSystem([[0.8]], [[1.0]])
    series = {}
    for label, step_size, T in (
        ("η = 1/3, T = 10", 1.0 / 3.0, 10),
        ("η = 1/3, T = 20", 1.0 / 3.0, 20),
        ("η = 1/3, T = 40", 1.0 / 3.0, 40),
        ("η_s = 0.05, η_a = 0.3, T = 40", (0.05, 0.3), 40),
    ):
        logs = stop_gradient.log_transient_growth(system, T, 1.0, step_size, 250) / np.log(10.0)
        series[label] = (list(range(len(logs))), [float(value) for value in logs])
    return Panel("Theorem 6: one rate, but a constant exponential in T", "iteration k", "log₁₀ ‖J^k‖", series)


def spread() -> Panel:
    """Return log₁₀ of the variance of s_t over the tube's, with the states inside the model live."""
    steps = list(range(1, 41))
    tube = noise.tube_variance(0.1, 0.5)
    series = {"Theorem 7 (s̄ frozen)": (steps, [0.0] * 40)}
    for a in (0.8, 1.0, 1.1):
        law = state_chain.stationary_law(LinearSystem([[a]], [[1.0]]), 40, 0.1, 0.5)
        series[f"s̄ live, A = {a}"] = (steps, [float(np.log10(v / tube)) for v in law.states[:, 0, 0]])
    return Panel("The tube of Theorem 7 widens along the chain", "state t", "log₁₀ Cov(s_t)/tube", series)


def draw(shown: Sequence[Panel]) -> Figure:
    """Draw the panels."""
    with house_style():
        figure, axes = plt.subplots(2, 2, figsize=(9.5, 6.4))
        for axis, panel in zip(axes.flat, shown, strict=True):
            for (name, (x, y)), style in zip(panel.series.items(), line_styles(), strict=False):
                axis.plot(x, y, label=name, **style)
            axis.set(title=panel.title, xlabel=panel.x_label, ylabel=panel.y_label)
            if panel.log_x:
                ticks = next(iter(panel.series.values()))[0]
                axis.set_xscale("log")
                axis.set_xticks(ticks, labels=[f"{tick:g}" for tick in ticks], minor=False)
                axis.minorticks_off()
            axis.legend(fontsize=7)
    return figure


def make() -> tuple[Figure, tuple[Panel, ...]]:
    """Return the figure and its numbers."""
    numbers = panels()
    return draw(numbers), numbers
