"""Theorem 6 made uniform in the horizon: the symbol decides, and the greedy closed loop decides whether it can."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import sympy as sp
from flint import acb, acb_mat, arb, fmpq_mat

from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_6_uniform import (
    NORM_ERROR,
    constant_growth,
    uniform_contraction,
    uniform_powers,
)
from linear_systems import LinearSystem, benchmarks, stop_gradient, uniform_bounds, uniform_convergence
from linear_systems.certificates import exact_matrix
from linear_systems.random_systems import KINDS, Kind
from paper_checks.engine import Run
from paper_checks.inspection import drawn_systems, identity, judge, real_systems
from paper_checks.iteration_comparison import without_idle_actions
from paper_checks.records import Claim, Curve, Evidence, Grade, Sharpness
from paper_checks.search import as_code

SCALAR = LinearSystem([[0.8]], [[1.0]])
"""A stable scalar system, fully actuated."""
AGGRESSIVE = 1.0 / 3.0
"""A step size near the one that minimises ρ(J) for SCALAR with β = 1."""
UNIFORM = (0.05, 0.3)
"""Step sizes (η_s, η_a) for which convergence of SCALAR with β = 1 is uniform in T."""
LARGEST_ORDER = 18
"""Benchmarks with n + m beyond this are left out: r costs O((n+m)⁶)."""
TAME: tuple[Kind, ...] = ("stable", "unstable", "complex", "defective")
"""Kinds of random systems whose eigenvectors are not chosen to be ill-conditioned."""
ITERATIONS_TO_PEAK = {"scalar": 6, "tanks_in_series": 14, "double_integrator": 60}
"""Iterations for each step of T that are enough to pass the largest ‖J_T^k‖ at the step size best for ρ(J)."""
CROSSING = 1e-5
"""Relative distance from the limit at which r must be on its side of 1."""


def check_uniform(run: Run) -> None:
    """Examine the symbol's norm and rate, the limit of step sizes, and how the constant grows beyond it."""
    run.examine(
        "block (t, t') of J_T^k is the coefficient of z^{t−t'} in (D + zE)^k: J_T^k is a section of a Toeplitz operator",
        _inspect_toeplitz,
        True,
        false_variants={"with the state gradient kept": False},
    )
    run.examine(
        "‖J_T^k‖ ≤ max_{|z|=1} ‖(D + zE)^k‖ for every T and k, on random and real systems",
        lambda radius: _inspect_powers(run, radius),
        1.0,
        false_variants={"the maximum over |z| = 0.8": 0.8},
    )
    run.examine(
        "that is the supremum over T: ‖J_T^k‖ does not decrease in T, and its gap halves at least as T doubles",
        lambda radius: _inspect_limit(run, radius),
        1.0,
        false_variants={"the maximum over |z| = 1.1": 1.1},
    )
    run.examine(
        "where r < 1, ‖J_T^k‖ ≤ C q^k with one certified C for every T",
        lambda factor: _inspect_contraction(run, factor),
        1.0,
        false_variants={"with 0.9 C": 0.9},
    )
    run.examine(
        "for A = 0.8, B = 1, β = 1 and for benchmarks at their best pair, some power of the symbol is below 1 on the whole circle",
        lambda choice: _inspect_certified(run, choice),
        "pair",
        false_variants={"at the single step size that is best for ρ(J)": "single"},
    )
    run.examine(
        "the step size that is best for ρ(J) has r > 1 on every benchmark",
        _inspect_best_is_not_uniform,
        "single",
        false_variants={"the pair that is best for r": "pair"},
    )
    run.examine(
        "for each ratio η_a/η_s, r < 1 exactly for η_s below 2 min Re 1/μ over the circle",
        lambda limit: _inspect_limit_of_steps(run, limit),
        "uniform",
        false_variants={"below Theorem 6's limit": "spectral"},
    )
    run.examine(
        "n = m = 1: the smallest r is √(1 − β/((1+β)(1+|A|))), at η_s = 1/(2(1+|A|)), η_a = 1/(2(1+β)B²)",
        lambda power: _inspect_scalar(run, power),
        0.5,
        false_variants={"without the root": 1.0},
    )
    run.examine(
        "max_k ‖J_T^k‖ grows like R^{−T}, R = min{|z| : ρ(D + zE) ≥ 1} < 1: between a lower and an upper bound at every T",
        lambda factor: _inspect_growth(run, factor),
        1.0,
        false_variants={"1.2 times the exponent": 1.2, "0.8 times the exponent": 0.8},
    )
    _record(run)


def small_systems() -> Iterator[tuple[str, LinearSystem]]:
    """Yield the time-invariant benchmarks of moderate order, without actions that do nothing."""
    for name, system in real_systems():
        if system.state_dim + system.action_dim <= LARGEST_ORDER:
            yield name, without_idle_actions(system)


def uniform_systems() -> Iterator[tuple[str, LinearSystem]]:
    """Yield those with a stable greedy closed loop, slow ones (ρ(K) > 0.9975) left out."""
    for name, system in small_systems():
        if uniform_convergence.greedy_radius(system) < 0.9975:
            yield name, system


def _inspect_toeplitz(stopped: bool) -> Evidence:
    horizon, highest = 5, 4
    D, E, F = sp.symbols("D E F", commutative=False)
    z = sp.symbols("z")

    def entry(i: int, j: int) -> sp.Expr:
        above = 0 if stopped else F
        return {0: D, 1: E, -1: above}.get(i - j, sp.Integer(0))

    J = sp.Matrix(horizon, horizon, entry)
    differences = []
    power, symbol_power = sp.eye(horizon), sp.Integer(1)
    for _ in range(highest):
        power = (power * J).applyfunc(sp.expand)
        symbol_power = sp.expand(symbol_power * (D + z * E))
        for i in range(horizon):
            for j in range(horizon):
                expected = symbol_power.coeff(z, i - j) if i >= j else sp.Integer(0)
                differences.append(sp.expand(power[i, j] - expected))
    return identity(
        differences,
        "J_T^k = (coefficients of (D + zE)^k)",
        "T = 5, k ≤ 4, D and E blocks of every size as symbols",
    )


def _instances(run: Run, name: str, count: int) -> Iterator[tuple[LinearSystem, float, tuple[float, float]]]:
    """Yield systems with random β and step sizes below the limit of Theorem 6."""
    rng = run.rng(name)
    systems = [*drawn_systems(rng, count, KINDS, 3, 3)]
    systems += [system for _, system in small_systems() if system.state_dim + system.action_dim <= 6]
    for system in systems:
        beta, ratio = float(rng.uniform(0.1, 3.0)), float(rng.uniform(0.3, 3.0))
        eta = float(rng.uniform(0.2, 0.95)) * stop_gradient.step_size_limit(system, beta, ratio)
        yield system, beta, (eta, ratio * eta)


def _inspect_powers(run: Run, radius: float) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, Callable[[], str]]]:
        for system, beta, eta in _instances(run, "powers", run.size(60, 15)):
            # The symbol of (radius · A, B) on the unit circle is that of (A, B) on a circle of that radius.
            bound = uniform_bounds.uniform_power_norms(
                LinearSystem(radius * system.A, system.B), beta, eta, 12
            )[1]
            for T in (2, 6, 16):
                logs = stop_gradient.log_transient_growth(system, T, beta, eta, 12)
                ratio = float(np.exp((logs - np.log(bound)).max()))
                check = TheoremCheck(ratio, 1.0, "<=", NORM_ERROR, {"time-invariant": True})
                yield _altered(check, bound=1.0, code=as_code(system, horizon=T, beta=beta, step_size=eta))

    return judge(evaluations(), "largest ‖J_T^k‖ / max_{|z|=1} ‖(D + zE)^k‖ over k ≤ 12, T = 2, 6, 16")


def _inspect_limit(run: Run, radius: float) -> Evidence:
    k, horizons = 6, (12, 24, 48)
    wrong, count, largest_gap, code = 0, 0, 0.0, ""
    for system, beta, eta in _instances(run, "limit", run.size(40, 10)):
        scaled = LinearSystem(radius * system.A, system.B)
        upper = float(uniform_bounds.uniform_power_norms(scaled, beta, eta, k)[0][-1])
        norms = [
            float(np.exp(stop_gradient.log_transient_growth(system, T, beta, eta, k)[-1])) for T in horizons
        ]
        gaps = [1.0 - norm / upper for norm in norms]
        # Sampling leaves the maximum uncertain by this factor.
        resolution = 1.0 - float(np.cos(np.pi / (2 * uniform_bounds.OVERSAMPLING)))
        good = all(later <= max(earlier / 2.0, resolution) for earlier, later in pairwise(gaps))
        good &= all(later >= earlier * (1.0 - 1e-9) for earlier, later in pairwise(norms))
        count += 1
        if not good:
            wrong, code = wrong + 1, as_code(system, beta=beta, step_size=eta)
        largest_gap = max(largest_gap, gaps[-1])
    return Evidence(
        Grade.NUMERICAL,
        wrong == 0 and count > 0,
        f"{count} systems, k = {k}, T = {horizons}: not so on {wrong}; 1 − ‖J_T^k‖/sup at T = {horizons[-1]} is at most "
        f"{largest_gap:.2g}",
        {"systems": count, "wrong": wrong, "largest gap": largest_gap},
        code,
    )


def _inspect_contraction(run: Run, factor: float) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, Callable[[], str]]]:
        rng = run.rng("contraction")
        drawn = drawn_systems(rng, run.size(24, 8), TAME, 3, 3, full_column_rank=True)
        stable = [system for system in drawn if uniform_convergence.greedy_radius(system) < 0.95]
        for system in [*stable, *(system for _, system in uniform_systems() if system.state_dim <= 5)]:
            eta = uniform_convergence.best_uniform_step_size(system, 1.0)
            for T in (3, 12, 30):
                check = uniform_contraction(system, T, 1.0, eta, 40)
                code = as_code(system, horizon=T, beta=1.0, step_size=eta)
                yield _altered(check, bound=factor * check.bound, code=code)

    return judge(
        evaluations(), "max_k≤40 ‖J_T^k‖/q^k against C, at the best pair of step sizes, T = 3, 12, 30"
    )


def _step_sizes(system: LinearSystem, choice: str) -> tuple[float, float]:
    if choice == "single":
        eta = stop_gradient.best_step_size(system, 1.0)
        return eta, eta
    return uniform_convergence.best_uniform_step_size(system, 1.0)


def _inspect_certified(run: Run, choice: str) -> Evidence:
    first = UNIFORM if choice == "pair" else (AGGRESSIVE, AGGRESSIVE)
    cases: list[tuple[str, LinearSystem, tuple[float, float], int]] = [("A = 0.8, B = 1", SCALAR, first, 128)]
    for name, power in (("tanks_in_series", 64), ("double_integrator", 1024))[: run.size(2, 1)]:
        system = _benchmark(name)
        cases.append((name, system, _step_sizes(system, choice), power))
    proved = [name for name, system, eta, power in cases if contracts(system, 1.0, eta, power)]
    return Evidence(
        Grade.CERTIFIED,
        len(proved) == len(cases),
        f"ball arithmetic proves sup_T ‖J_T^k‖ < 1 for some k on {len(proved)} of {len(cases)}: {', '.join(proved) or 'none'}",
        {f"k, {name}": power for name, _, _, power in cases},
        as_code(cases[0][1], beta=1.0, step_size=cases[0][2]),
    )


def _inspect_growth(run: Run, factor: float) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, Callable[[], str]]]:
        for name, iterations in ITERATIONS_TO_PEAK.items():
            system = _benchmark(name)
            eta = stop_gradient.best_step_size(system, 1.0)
            radius = uniform_convergence.convergence_radius(system, 1.0, eta)
            # J_T is similar, by diag(c^{-t}), to the J_T of (cA, B), which is uniformly bounded for c < R.
            inside = 0.97 * radius
            peak = uniform_bounds.uniform_bound(LinearSystem(inside * system.A, system.B), 1.0, eta).peak
            for T in (10, 20, 40)[: run.size(3, 2)]:
                check = constant_growth(system, T, 1.0, eta, iterations * T)
                code = as_code(system, horizon=T, beta=1.0, step_size=eta)
                above = float(np.log(peak) - factor * (T - 1) * np.log(inside))
                yield _altered(check, bound=factor * check.bound, code=code)
                yield _altered(replace(check, relation="<="), bound=above, code=code)

    return judge(
        evaluations(), "max_k log ‖J_T^k‖ at the step size best for ρ(J), T up to 40, between its bounds"
    )


def _altered(check: TheoremCheck, bound: float, code: str) -> tuple[TheoremCheck, Callable[[], str]]:
    return replace(check, bound=bound), lambda: code


def _benchmark(name: str) -> LinearSystem:
    system = benchmarks.load(name).system
    assert isinstance(system, LinearSystem)
    return system


def _record(run: Run) -> None:
    horizons = (10, 40, 160)
    k = 60
    ratios = [uniform_powers(SCALAR, T, 1.0, UNIFORM, k).quantities["attained"] for T in horizons]
    run.sharpness(
        Sharpness(
            "‖J_T^k‖ / max_{|z|=1} ‖(D + zE)^k‖",
            ratios[-1],
            f"T = {horizons}, k = {k}: "
            + ", ".join(f"{ratio:.5f}" for ratio in ratios)
            + "; 1 in the limit, by proof",
            as_code(SCALAR, horizon=horizons[-1], beta=1.0, step_size=UNIFORM),
        )
    )
    for name in ("scalar", "double_integrator", "tanks_in_series"):
        run.curve(_region(name, run.size(40, 20)))
    growth = {}
    for label, eta in (("η = 1/3", AGGRESSIVE), (f"(η_s, η_a) = {UNIFORM}", UNIFORM)):
        peaks = [
            stop_gradient.log_transient_growth(SCALAR, T, 1.0, eta, 5 * T + 20).max() for T in (5, 10, 20, 40)
        ]
        growth[label] = ([5.0, 10.0, 20.0, 40.0], [float(peak / np.log(10.0)) for peak in peaks])
    radius = uniform_convergence.convergence_radius(SCALAR, 1.0, AGGRESSIVE)
    run.curve(
        Curve(
            "The constant of Theorem 6 over the horizon, A = 0.8, B = 1, β = 1",
            "horizon T",
            "log₁₀ max_k ‖J_T^k‖₂",
            growth,
            note=f"The slope at η = 1/3 tends to −log₁₀ R = {-np.log10(radius):.3f}; at the other pair r < 1.",
        )
    )


CLAIMS = (
    Claim(
        id="thm6-uniform",
        title="When Theorem 6 holds with a rate and a constant that do not depend on the horizon",
        source="our sharpening of Theorem 6 (docs/uniform_convergence.md, Theorems 1 and 3)",
        statement=(
            "For constant A, B, β the supremum over T of ‖J_T^k‖ is the maximum of ‖(D + zE)^k‖ over |z| = 1, and is "
            "approached as T grows. So ‖J_T^k‖ ≤ C q^k with q < 1 and C free of T exists exactly if r = max ρ(D + zE) < 1; "
            "otherwise the best C grows like R^{−T}, R = min{|z| : ρ(D + zE) ≥ 1}. For each ratio η_a/η_s the step sizes "
            "with r < 1 form an interval (0, 2 min Re 1/μ)."
        ),
        latex=r"\sup_T \|J_T^k\| = \max_{|z|=1} \|(D+zE)^k\|, \quad r = \max_{|z|=1} \rho(D+zE) < 1",
        assumptions=("time-invariant linear dynamics", "constant β"),
        check=check_uniform,
    ),
)
