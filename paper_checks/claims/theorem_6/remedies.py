"""What else repairs the constant of Theorem 6: minimised actions, block minimisation, resets; and what nothing can."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from grasp_theory.theorems import TheoremCheck
from linear_systems import LinearSystem, parallel_iterations, uniform_convergence
from linear_systems.rounding import rounding_allowance
from linear_systems.stop_gradient.parallel_iterations import Iteration
from paper_checks.claims.theorem_6 import iteration_comparison
from paper_checks.claims.theorem_6.instances import (
    SCALAR,
    TAME,
    benchmark,
    judged,
    small_systems,
)
from paper_checks.claims.theorem_6.iteration_comparison import Row
from paper_checks.engine.inspection import drawn_systems
from paper_checks.engine.records import Claim, Curve, Evidence, Grade, Sharpness
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

LENGTH = 12
"""Horizon at which locality is examined."""
COMPARED = ("scalar", "double_integrator", "tanks_in_series", "cart_pole_upright")
"""Systems on which methods are compared in a run; the documentation has more."""


def check_remedies(run: Run) -> None:
    """Examine which iterations are fast at every horizon, and what no local one can do."""
    run.examine(
        "minimising every block at once (parallel greedy) is exact after T iterations and ‖e^k‖ follows ‖K^k‖",
        lambda name: _inspect_greedy(run, name),
        "parallel greedy",
        false_variants={"gradient steps": "gradient"},
    )
    run.examine(
        "nothing local is faster: from one start, for s_0 = ±δ, some error after k iterations is at least max ‖K^tδ‖ over k < t ≤ T",
        lambda variant: _inspect_locality(run, *variant),
        ("local", 1.0, "s_0"),
        false_variants={
            "even of a sweep in time order": ("sweep", 1.0, "s_0"),
            "at least 1.05 times that": ("local", 1.05, "s_0"),
        },
    )
    run.examine(
        "nor from a start that knows s_0 and g: for s_1 = As_0 + Ba_0 ± δ some error is at least max ‖K^{t−1}(I − Π)δ‖ over k < t ≤ T",
        lambda variant: _inspect_locality(run, *variant),
        ("local", 1.0, "transition"),
        false_variants={
            "even of a sweep in time order": ("sweep", 1.0, "transition"),
            "at least 1.05 times that": ("local", 1.05, "transition"),
            "with δ in place of (I − Π)δ": ("local", 1.0, "unprojected"),
        },
    )
    run.examine(
        "resetting the states to the rollout multiplies an error by a factor that grows like ρ(A)^T if A is unstable",
        _inspect_reset,
        "pendulum_upright",
        false_variants={"also if A is stable": "tanks_in_series"},
    )
    rows = iteration_comparison.compare(COMPARED[: run.size(4, 3)], (10, 40), limit=20_000)
    run.examine(
        "from the same start, to 10⁻⁶, parallel greedy needs the fewest model evaluations in sequence",
        lambda winner: _inspect_winner(rows, winner),
        "parallel greedy",
        false_variants={"(η_s, η_a) best for r": "(η_s, η_a) best for r"},
    )
    _record(run)


def _matrix(iteration: Iteration, horizon: int, size: int) -> NDArray[np.float64]:
    """Return the matrix of the first iteration on errors (T, d), column by column."""
    basis = np.eye(horizon * size).reshape(-1, horizon, size)
    return np.stack([iteration.advance(column.copy(), 0).ravel() for column in basis], axis=1)


def _inspect_greedy(run: Run, name: str) -> Evidence:
    """The states' part of the matrix has e^k = (K^k e_{t−k})_t, so its norm is ‖K^k‖ for k < T, and 0 for k = T."""

    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        rng = run.rng("greedy")
        T = 7
        for system in drawn_systems(rng, run.size(60, 20), TAME, 4, 3):
            n, size = system.state_dim, system.state_dim + system.action_dim
            iteration = parallel_iterations.parallel_greedy(system)
            if name == "gradient":
                iteration = parallel_iterations.gradient_steps(system, 1.0, 0.1)
            states = (np.arange(T * size) % size) < n
            J = _matrix(iteration, T, size)[np.ix_(states, states)]
            K = uniform_convergence.greedy_closed_loop(system)
            for k in (1, 3, T - 1, T):
                claimed = float(np.linalg.norm(np.linalg.matrix_power(K, k), 2)) if k < T else 0.0
                found = float(np.linalg.norm(np.linalg.matrix_power(J, k), 2))
                scale = max(1.0, float(np.linalg.norm(system.A, 2))) ** k
                allowance = rounding_allowance(scale, n * k, float(np.linalg.norm(system.A, 2)) + 1.0)
                check = TheoremCheck(found, claimed, "=", allowance, {"any": True})
                yield check, as_code(system, horizon=T)

    return judged(evaluations(), "norm of the k-th power on the states against ‖K^k‖ (k < T) and 0 (k = T)")


@cache
def _local_methods(largest_order: int) -> list[tuple[str, LinearSystem, list[Iteration]]]:
    """Return the methods of the comparison but for resets and sweeps, which are not local, for every small benchmark."""
    return [
        (
            name,
            system,
            [m for m in iteration_comparison.methods(system, 1.0) if m.sequential_steps(LENGTH) == 1.0],
        )
        for name, system in small_systems(largest_order)
    ]


def _inspect_locality(run: Run, kind: str, factor: float, unknown: str) -> Evidence:
    """From a drawn start, and from the one between both fixed points, from where parallel greedy attains the floor."""

    def checks() -> Iterator[tuple[TheoremCheck, str]]:
        rng = run.rng("locality")
        for name, system, methods in _local_methods(run.size(12, 6)):
            if kind == "sweep":
                methods = [_greedy_sweep()]
            delta = rng.standard_normal(system.state_dim)
            drawn = rng.standard_normal((LENGTH, system.state_dim + system.action_dim))
            for method, start in ((method, start) for method in methods for start in (drawn, 0.0 * drawn)):
                found = _errors_and_floor(method, system, delta, start, unknown)
                for k, (largest, floor) in enumerate(found):
                    size = float(np.linalg.norm(system.A, 2))
                    allowance = rounding_allowance(1.0 + floor, system.state_dim * LENGTH, size)
                    check = TheoremCheck(largest, factor * floor, ">=", allowance, {"any": True})
                    yield check, as_code(system, horizon=LENGTH, k=k, benchmark=name, method=method.name)

    return judged(
        checks(), f"largest error of a state after k < T iterations, ±δ in {unknown}, against the floor"
    )


def _errors_and_floor(
    method: Iteration,
    system: LinearSystem,
    delta: NDArray[np.float64],
    start: NDArray[np.float64],
    unknown: str = "s_0",
) -> Iterator[tuple[float, float]]:
    """Yield for k = 0, 1, … the largest error of a state over ±δ from one start, and the floor, the largest over k < t <= T.

    The fixed points for s_0 = ±δ and g = 0 are ±K^tδ, those for s_1 = As_0 + Ba_0 ± δ differ from that for δ = 0 by
    ±K^{t−1}(I − Π)δ, and what moves one step an iteration cannot tell them apart at t > k.
    """
    K, inverse = uniform_convergence.greedy_closed_loop(system), np.linalg.pinv(system.B)
    if unknown == "s_0":
        response = [np.concatenate([K @ delta, -inverse @ system.A @ delta])]
    else:
        response = [np.concatenate([delta - system.B @ inverse @ delta, -inverse @ delta])]
    n = system.state_dim
    for _ in start[1:]:
        state = response[-1][:n]
        response.append(np.concatenate([K @ state, -inverse @ system.A @ state]))
    fixed = np.array(response)
    sizes = np.linalg.norm(fixed[:, :n], axis=1)
    if unknown == "unprojected":
        sizes[0] = np.linalg.norm(delta)
    errors = [start - fixed, start + fixed]
    for k in range(len(start)):
        largest = max(float(np.linalg.norm(error[:, :n], axis=1).max()) for error in errors)
        yield largest, float(sizes[k:].max())
        errors = [method.advance(error, k) for error in errors]


def _greedy_sweep() -> Iteration:
    """Return block minimisation in time order: the greedy rollout, exact after one sweep of T steps in sequence."""
    return Iteration("greedy sweep", lambda error, k: np.zeros_like(error), float)


def _inspect_reset(name: str) -> Evidence:
    """The factor is the norm of the map from the actions to the states that they lead to."""
    system = benchmark(name)
    horizons = (20, 40, 80)
    norms = []
    for T in horizons:
        m = system.action_dim
        basis = np.eye(T * m).reshape(-1, T, m)
        states = np.stack([system.rollout(np.zeros(system.state_dim), a)[1:].ravel() for a in basis], axis=1)
        norms.append(float(np.linalg.norm(states, 2)))
    radius = float(np.abs(np.linalg.eigvals(system.A)).max())
    slopes = np.diff(np.log(norms)) / np.diff(horizons)
    return Evidence(
        Grade.NUMERICAL,
        bool(radius > 1.0 and slopes[-1] > 0.9 * np.log(radius) > 0.0),
        f"{name}: ρ(A) = {radius:.4f}, log ρ(A) = {np.log(radius):.4f}; log of the factor grows by {slopes[-1]:.4f} a step",
        {f"factor at T = {T}": norm for T, norm in zip(horizons, norms, strict=True)},
        as_code(system),
    )


def _inspect_winner(rows: tuple[Row, ...], winner: str) -> Evidence:
    systems = sorted({row.system for row in rows})
    lost = 0
    for system in systems:
        costs = {row.method: row.sequential for row in rows if row.system == system}
        for index, cost in enumerate(costs[winner]):
            lost += cost > min(values[index] for values in costs.values())
    counts = {f"{row.system}, {row.method}, T = 40": row.counts[-1] for row in rows}
    return Evidence(
        Grade.NUMERICAL,
        lost == 0,
        f"{len(systems)} systems, T = 10 and 40, β = 1: {winner!r} is not the cheapest in {lost} of {2 * len(systems)} cases",
        {name: "not reached" if count is None else count for name, count in counts.items()},
        as_code(SCALAR, beta=1.0),
    )


def _record(run: Run) -> None:
    system = benchmark("tanks_in_series")
    pair = uniform_convergence.best_uniform_step_size(system, 1.0)
    radius = uniform_convergence.greedy_radius(system)
    greedy = parallel_iterations.parallel_greedy(system)
    nothing = np.zeros((LENGTH, system.state_dim + system.action_dim))
    ratios = [f / e for e, f in _errors_and_floor(greedy, system, np.ones(system.state_dim), nothing)]
    run.sharpness(
        Sharpness(
            "max ‖K^tδ‖ over t > k / the error of parallel greedy after k iterations, started at 0",
            min(ratios),
            f"tanks_in_series, s_0 = ±(1, …, 1), k < {LENGTH}: the smallest of the ratios",
            as_code(system),
        )
    )
    horizons = (5, 10, 20, 40, 80)
    series = {}
    for method in iteration_comparison.methods(system, 1.0):
        counts = []
        for T in horizons:
            error = iteration_comparison.initial_error(system, T, 1.0)
            counts.append(
                parallel_iterations.iterations_to(method, error, iteration_comparison.TOLERANCE).iterations
            )
        reached = [
            (float(T), float(count)) for T, count in zip(horizons, counts, strict=True) if count is not None
        ]
        series[method.name] = ([T for T, _ in reached], [count for _, count in reached])
    run.curve(
        Curve(
            "Iterations to 10⁻⁶ of the initial error over the horizon, tanks_in_series, β = 1",
            "horizon T",
            "iterations",
            series,
            log_x=True,
            log_y=True,
            note=f"ρ(K) = {radius:.3f}; best pair (η_s, η_a) = ({pair[0]:.3g}, {pair[1]:.3g}).",
        )
    )


CLAIMS = (
    Claim(
        id="thm6-remedies",
        title="What else makes convergence fast at every horizon, and what nothing can",
        source="our sharpening of Theorem 6 (docs/theory/uniform_convergence.md, U8 and U9 and the comparison)",
        statement=(
            "Block minimisation at all times at once has the rate ρ(K), is exact after T iterations, and no iteration that "
            "moves information by one step an iteration is faster. Resetting the states to the rollout brings ρ(A)^T back."
        ),
        assumptions=("time-invariant linear dynamics",),
        check=check_remedies,
    ),
)
