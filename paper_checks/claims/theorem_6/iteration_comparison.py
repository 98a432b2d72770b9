"""Iterations to a tolerance from the same start over the horizon, for every remedy.

`python -m paper_checks.claims.theorem_6.iteration_comparison` prints the tables of docs/theory/uniform_convergence.md.
The start is what a planner would take: states on the straight line from s_0 to the goal, no actions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from linear_systems import (
    LinearSystem,
    parallel_iterations,
    stop_gradient,
    uniform_bounds,
    uniform_convergence,
)
from linear_systems.errors import UndecidedError, UnstableSystemError
from linear_systems.rounding import EPS
from linear_systems.stop_gradient.parallel_iterations import Iteration
from paper_checks.claims.theorem_6.instances import UNIFORM, benchmark, small_systems

SYSTEMS = (
    "scalar",
    "double_integrator",
    "tanks_in_series",
    "convection_diffusion",
    "spinning_spacecraft",
    "pendulum_upright",
    "cart_pole_upright",
    "boeing_747_longitudinal",
)
"""Benchmarks compared: small enough for a run in seconds, with ρ(K) from 0 to beyond 1."""
SCALARS = (0.8, 1.2, 5.0)
"""A in the example with B = 1."""
LARGEST_ORDER = 18
"""Benchmarks with n + m beyond this are left out of the table of step sizes: r costs O((n+m)⁶)."""
BETA = 1.0
HORIZONS = (10, 40, 160)
TOLERANCE = 1e-6
LIMIT = 30_000
"""Iterations after which a method is given up."""
RESET_EVERY = 10
"""Iterations between two resets of the states."""
MARGIN = 1.02
"""Where ρ(K) >= 1, step sizes are tuned for A / (MARGIN · ρ(K)): uniform in units that grow by that much a step."""


@dataclass(frozen=True)
class Row:
    """One method on one system: `counts` of iterations, `peaks` (max_k ‖e^k‖/‖e⁰‖) and `sequential`
    (model evaluations that wait for one another) for each horizon."""

    system: str
    method: str
    counts: tuple[int | None, ...]
    sequential: tuple[float, ...]
    peaks: tuple[float, ...]


def methods(system: LinearSystem, beta: float) -> tuple[Iteration, ...]:
    """Return every method, each at its best step sizes; the first is the paper's."""
    radius = uniform_convergence.greedy_radius(system)
    tuned = system if radius < 1.0 else LinearSystem(system.A / (MARGIN * radius), system.B)
    single = stop_gradient.best_step_size(system, beta)
    pair = uniform_convergence.best_uniform_step_size(tuned, beta)
    cycle = parallel_iterations.best_two_step_cycle(tuned, beta)
    gradient = parallel_iterations.gradient_steps(system, beta, pair)
    minimised = parallel_iterations.best_minimised_step_size(tuned, beta)
    return (
        _renamed(parallel_iterations.gradient_steps(system, beta, single), "one η, best for ρ(J)"),
        _renamed(gradient, "(η_s, η_a) best for r"),
        _renamed(parallel_iterations.gradient_steps(system, beta, *cycle), "two pairs in turn"),
        _renamed(
            parallel_iterations.synchronised(gradient, system, RESET_EVERY),
            f"states reset every {RESET_EVERY}",
        ),
        _renamed(parallel_iterations.gradient_sweeps(system, beta, pair), "gradient sweeps in time order"),
        parallel_iterations.minimised_actions(system, beta, minimised),
        parallel_iterations.parallel_greedy(system),
    )


def initial_error(system: LinearSystem, horizon: int, beta: float) -> Float[np.ndarray, "T d"]:
    """Return z⁰ − z* for s_0 = (1, …, 1), g = 0, the straight line between them, and no actions."""
    start, goal = np.ones(system.state_dim), np.zeros(system.state_dim)
    progress = np.linspace(0.0, 1.0, horizon + 1)[1:, None]
    states = (1.0 - progress) * start + progress * goal
    z = np.concatenate([states, np.zeros((horizon, system.action_dim))], axis=1)
    return np.asarray(z - stop_gradient.fixed_point(system, horizon, beta, start, goal).reshape(horizon, -1))


def compare(
    names: Iterable[str] = SYSTEMS, horizons: Sequence[int] = HORIZONS, beta: float = BETA, limit: int = LIMIT
) -> tuple[Row, ...]:
    """Return a row for each system and method."""
    rows = []
    for name in names:
        system = benchmark(name)
        errors = [initial_error(system, horizon, beta) for horizon in horizons]
        for method in methods(system, beta):
            progress = [
                parallel_iterations.iterations_to(method, error, TOLERANCE, limit) for error in errors
            ]
            counts = tuple(found.iterations for found in progress)
            sequential = tuple(
                np.inf if count is None else count * method.sequential_steps(horizon)
                for count, horizon in zip(counts, horizons, strict=True)
            )
            rows.append(Row(name, method.name, counts, sequential, tuple(found.peak for found in progress)))
    return tuple(rows)


def markdown(rows: Iterable[Row], horizons: Sequence[int] = HORIZONS) -> str:
    """Return the rows as tables, one for each system."""
    lines: list[str] = []
    system = ""
    for row in rows:
        if row.system != system:
            system = row.system
            radius = uniform_convergence.greedy_radius(benchmark(system))
            lines += ["", f"**{system}**, ρ(K) = {radius:.4f}", ""]
            heads = [f"T = {T}" for T in horizons]
            lines.append(
                "| method | " + " | ".join([*heads, f"in sequence, T = {horizons[-1]}", "peak"]) + " |"
            )
            lines.append("|---" * (len(horizons) + 3) + "|")
        cells = [_cell(count, peak) for count, peak in zip(row.counts, row.peaks, strict=True)]
        depth = "–" if np.isinf(row.sequential[-1]) else f"{row.sequential[-1]:.0f}"
        # An iteration on z rounds relative to z: with such a peak it does not come within the tolerance.
        peak = f"{row.peaks[-1]:.2g}" + (" (lost in float64)" if row.peaks[-1] * EPS > TOLERANCE else "")
        lines.append("| " + " | ".join([row.method, *cells, depth, peak]) + " |")
    return "\n".join(lines).strip() + "\n"


def step_size_table() -> str:
    """Return, for each benchmark, what Theorem 6's best step size and the best pair give at every horizon."""
    heads = ("system", "ρ(A)", "ρ(K)", "ρ(J)", "r", "R", "best (η_s, η_a)", "r", "q", "C", "peak")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name, system in small_systems(LARGEST_ORDER):
        single = stop_gradient.best_step_size(system, BETA)
        growing = float(np.abs(np.linalg.eigvals(system.A)).max())
        cells = [name, f"{growing:.4f}", f"{uniform_convergence.greedy_radius(system):.4f}"]
        cells.append(f"{stop_gradient.spectral_radius(system, 1, BETA, single):.4f}")
        cells.append(f"{stop_gradient.uniform_rate(system, BETA, single):.2f}")
        cells.append(f"{uniform_convergence.convergence_radius(system, BETA, single):.2g}")
        lines.append("| " + " | ".join([*cells, *_best_pair_cells(system)]) + " |")
    return "\n".join(lines) + "\n"


def scalar_table() -> str:
    """Return the same for s' = As + a at three choices of step sizes: Theorem 6's best, a mild pair, and the best pair."""
    heads = ("A", "(η_s, η_a)", "ρ(J)", "r", "R", "max over T, k of ‖J_T^k‖ ≤")
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for a in SCALARS:
        system = LinearSystem([[a]], [[1.0]])
        single = stop_gradient.best_step_size(system, BETA)
        for pair in ((single, single), UNIFORM, uniform_convergence.best_uniform_step_size(system, BETA)):
            rate = stop_gradient.uniform_rate(system, BETA, pair)
            peak = f"{uniform_bounds.uniform_bound(system, BETA, pair).peak:.2f}" if rate < 1.0 else "∞"
            radius = uniform_convergence.convergence_radius(system, BETA, pair)
            spectral = stop_gradient.spectral_radius(system, 1, BETA, pair)
            cells = (
                f"{a}",
                f"({pair[0]:.4g}, {pair[1]:.4g})",
                f"{spectral:.4f}",
                f"{rate:.4f}",
                f"{radius:.4f}",
                peak,
            )
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _best_pair_cells(system: LinearSystem) -> list[str]:
    try:
        pair = uniform_convergence.best_uniform_step_size(system, BETA)
        rate = stop_gradient.uniform_rate(system, BETA, pair)
    except UnstableSystemError:
        return ["none", *["–"] * 4]
    cells = [f"({pair[0]:.3g}, {pair[1]:.3g})", f"{rate:.5f}"]
    try:
        bound = uniform_bounds.uniform_bound(system, BETA, pair)
    except UndecidedError:
        return [*cells, *["–"] * 3]
    return [*cells, f"{bound.rate:.5f}", f"{bound.constant:.3g}", f"{bound.peak:.3g}"]


def _cell(count: int | None, peak: float) -> str:
    if count is not None:
        return str(count)
    return "overflows" if np.isinf(peak) else f"> {LIMIT}"


def _renamed(iteration: Iteration, name: str) -> Iteration:
    return Iteration(name, iteration.advance, iteration.sequential_steps)


if __name__ == "__main__":
    sys.stdout.write("\n".join((scalar_table(), step_size_table(), markdown(compare()))))
