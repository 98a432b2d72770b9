"""Theorem 6: how large its constant C is, which the statement leaves open."""

from __future__ import annotations

import numpy as np

from linear_systems import LinearSystem, stop_gradient
from paper_checks.engine.records import Curve, Evidence, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

SCALAR = LinearSystem([[0.8]], [[1.0]])
"""A stable scalar system, fully actuated: as harmless as a system can be."""
AGGRESSIVE = (1.0 / 3.0, 1.0 / 3.0)
"""The step size that minimises ρ(J) for SCALAR with β = 1: μ + L = 6 there, and 2/(μ + L) = 1/3."""
START, GOAL = np.array([1.0]), np.array([0.3])
"""The instance on which float64 is tried."""
UNIFORM = (0.05, 0.3)
"""Step sizes (η_s, η_a) for which convergence of SCALAR with β = 1 is uniform in T."""


def establish_constant(run: Run) -> None:
    """Establish that C grows exponentially with T, and what that costs in iterations."""
    run.caveat(
        "the rate does not depend on T but the constant C does: at the step size that is best for the rate, "
        "max_k ‖J^k‖ grows exponentially with T even for a stable, fully actuated system",
        lambda step_size: _inspect_transient(run, step_size),
        AGGRESSIVE,
        false_variants={f"at step sizes {UNIFORM}": UNIFORM},
    )
    run.caveat(
        "with that step size the iterations needed for a fixed relative error grow linearly with T",
        lambda step_size: _inspect_iterations(run, step_size),
        AGGRESSIVE,
        false_variants={f"at step sizes {UNIFORM}": UNIFORM},
    )
    run.caveat(
        "in float64 the iteration need not converge there: for A = 0.8, B = 1, β = 1, η = 1/3, T = 80, s_0 = 1, g = 0.3, "
        "started at 0, rounding errors are amplified by the same constant and the error settles at a floor far above the start",
        _inspect_float64_descent,
        AGGRESSIVE,
        false_variants={f"at step sizes {UNIFORM}": UNIFORM},
    )
    _record_curve(run)


def _peak(system: LinearSystem, horizon: int, step_size: tuple[float, float]) -> float:
    """Return max_k log ‖J^k‖ over enough iterations to pass the transient."""
    return float(stop_gradient.log_transient_growth(system, horizon, 1.0, step_size, 6 * horizon + 20).max())


def _inspect_transient(run: Run, step_size: tuple[float, float]) -> Evidence:
    """Exponential growth: the slope of max_k log‖J^k‖ over T stays above 0.1 a step and does not decline."""
    horizons = [10, 20, 40] if run.quick else [10, 20, 40, 80]
    peaks = [_peak(SCALAR, T, step_size) for T in horizons]
    slopes = np.diff(peaks) / np.diff(horizons)
    radius = stop_gradient.spectral_radius(SCALAR, horizons[-1], 1.0, step_size)
    reported = float(
        np.abs(np.linalg.eigvals(stop_gradient.update_matrix(SCALAR, 80, 1.0, step_size).toarray())).max()
    )
    return Evidence(
        Grade.NUMERICAL,
        bool(slopes.min() > 0.1 and slopes[-1] >= slopes[0] - 0.05),
        f"A = 0.8, B = 1, β = 1, η = {step_size}: ρ(J) = {radius:.4f} at every T, and log max_k‖J^k‖ grows by "
        f"{slopes[-1]:.3f} a step of T; a general eigensolver reports ρ(J) = {reported:.3f} at T = 80",
        {
            **{
                f"log10 max‖J^k‖ at T={T}": float(p / np.log(10))
                for T, p in zip(horizons, peaks, strict=True)
            },
            "slope per step of T": float(slopes[-1]),
            "uniform rate max_{|z|=1} ρ(D+zE)": stop_gradient.uniform_rate(SCALAR, 1.0, step_size),
            "general eigensolver's ρ(J), T=80": reported,
        },
        as_code(SCALAR, beta=1.0, step_size=step_size),
    )


def _inspect_iterations(run: Run, step_size: tuple[float, float]) -> Evidence:
    """Linear growth: iterations to 10⁻⁶ of the initial error, per step of T, do not vanish as T doubles."""
    horizons = [10, 20, 40] if run.quick else [10, 20, 40, 80]
    needed = []
    for T in horizons:
        error = np.ones(T * (SCALAR.state_dim + SCALAR.action_dim))
        needed.append(stop_gradient.iterations_to(SCALAR, T, 1.0, step_size, error, 1e-6))
    slopes = np.diff(needed) / np.diff(horizons)
    return Evidence(
        Grade.NUMERICAL,
        bool(slopes.min() > 0.5),
        f"iterations to 10⁻⁶ from an error of ones at T = {horizons}: {needed}; {slopes[-1]:.2f} more a step of T",
        {f"iterations at T={T}": k for T, k in zip(horizons, needed, strict=True)},
        as_code(SCALAR, beta=1.0, step_size=step_size),
    )


def _float64_floor(horizon: int, step_size: tuple[float, float], iterations: int) -> tuple[float, int]:
    """Iterate Eq. (80)–(81) in float64 from z = 0; return the error left over the first, and the exact count to 10⁻⁶."""
    fixed = stop_gradient.fixed_point(SCALAR, horizon, 1.0, START, GOAL)
    z = np.zeros_like(fixed)
    needed = stop_gradient.iterations_to(SCALAR, horizon, 1.0, step_size, z - fixed, 1e-6)
    for _ in range(iterations):
        z = stop_gradient.update(SCALAR, horizon, 1.0, step_size, START, GOAL, z)
    return float(np.linalg.norm(z - fixed) / np.linalg.norm(fixed)), needed


def _inspect_float64_descent(step_size: tuple[float, float]) -> Evidence:
    """Iterate for three times the exact iteration count at T = 80; shorter horizons show what the floor depends on."""
    iterations = 3000
    floors = {T: _float64_floor(T, step_size, iterations) for T in (16, 40, 80)}
    left, needed = floors[80]
    shown = ", ".join(f"{floor:.2g} at T = {T}" for T, (floor, _) in floors.items())
    return Evidence(
        Grade.NUMERICAL,
        needed < iterations / 3 and left > 1.0,
        f"(η_s, η_a) = ({step_size[0]:.3g}, {step_size[1]:.3g}), s_0 = {START[0]:g}, g = {GOAL[0]:g}, z = 0 at first: at "
        f"T = 80 exact arithmetic reaches 10⁻⁶ of the initial error in {needed} iterations; of it float64 has left after "
        f"{iterations}: {shown}.  The floor depends on all of these: where the iterates happen to be exact there is none",
        {
            "iterations to 1e-6, exact": needed,
            **{f"error left, T={T}": floor for T, (floor, _) in floors.items()},
        },
        as_code(SCALAR, horizon=80, beta=1.0, step_size=step_size, initial_state=START, goal=GOAL),
    )


def _record_curve(run: Run) -> None:
    series = {}
    for label, step_size, T in (
        ("η = 1/3, T = 20", AGGRESSIVE, 20),
        ("η = 1/3, T = 40", AGGRESSIVE, 40),
        (f"(η_s, η_a) = {UNIFORM}, T = 40", UNIFORM, 40),
    ):
        logs = stop_gradient.log_transient_growth(SCALAR, T, 1.0, step_size, run.size(300, 160)) / np.log(
            10.0
        )
        series[label] = (list(range(len(logs))), [float(value) for value in logs])
    run.curve(
        Curve(
            "Transient growth of the stop-gradient iteration, A = 0.8, B = 1, β = 1",
            "iteration k",
            "log₁₀ ‖J^k‖₂",
            series,
            note="The same asymptotic rate at every T, after a transient that grows exponentially with T.",
        )
    )
