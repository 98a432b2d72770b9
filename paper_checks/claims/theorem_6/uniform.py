"""Theorem 6 made uniform in the horizon: the symbol D + zE decides about the rate, the constant and its growth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_6_uniform import (
    NORM_ERROR,
    constant_growth,
    uniform_contraction,
    uniform_powers,
)
from linear_systems import LinearSystem, stop_gradient, uniform_bounds, uniform_convergence
from linear_systems.stop_gradient.symbol_certificates import contracts
from paper_checks.claims.theorem_6.instances import (
    AGGRESSIVE,
    SCALAR,
    UNIFORM,
    benchmark,
    drawn_uniform_systems,
    judged,
    small_systems,
    uniform_systems,
)
from paper_checks.engine.inspection import drawn_systems, identity
from paper_checks.engine.records import Claim, Curve, Evidence, Grade, Sharpness
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

HORIZONS = (2, 6, 16)
"""Horizons at which powers are compared with the symbol's."""
POWERS = 12
"""Powers k up to which they are."""
DOUBLING = (12, 24, 48)
"""Horizons at which the gap between ‖J_T^k‖ and its supremum is measured."""
FINER = 8
"""How many times more finely than necessary the circle is sampled to measure that gap."""
RESOLUTION = 1.0 - float(np.cos(np.pi / (2 * FINER * uniform_bounds.OVERSAMPLING)))
"""Relative uncertainty of the maximum so sampled."""
GROWTH_SYSTEMS = {"scalar": 6, "tanks_in_series": 14, "double_integrator": 60}
"""Iterations for each step of T that are enough to pass the largest ‖J_T^k‖ at the step size best for ρ(J)."""
INSIDE = 0.97
"""Radius, relative to R, at which the upper bound of the constant is taken."""


def check_uniform(run: Run) -> None:
    """Examine the symbol's norms and rate, and how the constant grows where they do not contract."""
    run.examine(
        "block (t, t') of J_T^k is the coefficient of z^{t−t'} in (D + zE)^k: J_T^k is a section of a Toeplitz operator",
        _inspect_toeplitz,
        True,
        false_variants={"with the state gradient kept": False},
    )
    powers = list(_powers(run))
    run.examine(
        "‖J_T^k‖ ≤ max over |z| = 1 of ‖(D + zE)^k‖ for every T and k, on random and real systems",
        lambda radius: _inspect_powers(powers, radius),
        1.0,
        false_variants={"the maximum over |z| = 0.97": 0.97},
    )
    run.examine(
        "that is the supremum over T: ‖J_T^k‖ does not decrease in T, and its gap at least halves as T doubles",
        lambda radius: _inspect_limit(powers, radius),
        1.0,
        false_variants={"the maximum over |z| = 1.03": 1.03},
    )
    contractions = list(_contractions(run))
    run.examine(
        "where r < 1, ‖J_T^k‖ ≤ C q^k with one certified C for every T",
        lambda factor: judged(
            ((replace(check, bound=factor * check.bound), code) for check, code in contractions),
            "max_k≤40 ‖J_T^k‖/q^k against C, at the best pair of step sizes, T = 3, 12, 30",
        ),
        1.0,
        false_variants={"with 0.96 C": 0.96},
    )
    run.examine(
        f"A = 0.8, B = 1, β = 1 at (η_s, η_a) = {UNIFORM}, and benchmarks at their best pair: some power of the symbol is "
        "below 1 on the whole circle",
        lambda choice: _inspect_certified(run, choice),
        "pair",
        false_variants={"at one step size for both": "single"},
    )
    growths = list(_growths(run))
    run.examine(
        "max_k ‖J_T^k‖ grows like R^{−T}, R = min{|z| : ρ(D + zE) ≥ 1} < 1: it lies between a lower and an upper bound",
        lambda factor: judged(
            ((replace(check, bound=_scaled_exponent(check, factor)), code) for check, code in growths),
            "max_k log ‖J_T^k‖ at the step size best for ρ(J), T up to 40, between its bounds",
        ),
        1.0,
        false_variants={"1.05 times the exponent": 1.05, "0.95 times the exponent": 0.95},
    )
    _record(run)


def _inspect_toeplitz(stopped: bool) -> Evidence:
    horizon, highest = 5, 4
    D, E, F = sp.symbols("D E F", commutative=False)
    z = sp.symbols("z")
    blocks = {0: D, 1: E} if stopped else {0: D, 1: E, -1: F}
    J = sp.Matrix(horizon, horizon, lambda i, j: blocks.get(int(i - j), 0))
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


Powers = tuple[LinearSystem, float, tuple[float, float], Mapping[int, NDArray[np.float64]]]
"""A system, β, (η_s, η_a), and log ‖J_T^k‖ over k for each T."""


def _powers(run: Run) -> Iterator[Powers]:
    """Yield systems with random β and step sizes below the limit of Theorem 6, and their powers."""
    rng = run.rng("powers")
    systems = [*drawn_systems(rng, run.size(40, 10), max_n=3, max_m=3)]
    systems += [system for _, system in small_systems(run.size(6, 4))]
    for system in systems:
        beta, ratio = float(rng.uniform(0.1, 3.0)), float(rng.uniform(0.3, 3.0))
        eta = float(rng.uniform(0.2, 0.95)) * stop_gradient.step_size_limit(system, beta, ratio)
        logs = {
            T: stop_gradient.log_transient_growth(system, T, beta, (eta, ratio * eta), POWERS)
            for T in (*HORIZONS, *DOUBLING)
        }
        yield system, beta, (eta, ratio * eta), logs


def _inspect_powers(powers: list[Powers], radius: float) -> Evidence:
    def checks() -> Iterator[tuple[TheoremCheck, str]]:
        for system, beta, eta, logs in powers:
            # The symbol of (radius · A, B) on the unit circle is that of (A, B) on a circle of that radius.
            scaled = LinearSystem(radius * system.A, system.B)
            upper = np.log(uniform_bounds.uniform_power_norms(scaled, beta, eta, POWERS)[1])
            for T in HORIZONS:
                largest = float(np.exp((logs[T] - upper).max()))
                check = TheoremCheck(largest, 1.0, "<=", NORM_ERROR, {"time-invariant": True})
                yield check, as_code(system, horizon=T, beta=beta, step_size=eta)

    return judged(checks(), f"largest ‖J_T^k‖ / max ‖(D + zE)^k‖ over k ≤ {POWERS}, T = {HORIZONS}")


def _inspect_limit(powers: list[Powers], radius: float) -> Evidence:
    wrong, count, largest_gap, code = 0, 0, 0.0, ""
    for system, beta, eta, logs in powers:
        scaled = LinearSystem(radius * system.A, system.B)
        k = POWERS // 2
        supremum = float(np.log(uniform_bounds.uniform_power_norms(scaled, beta, eta, FINER * k)[0][k]))
        values = [float(logs[T][k]) for T in DOUBLING]
        gaps = [1.0 - float(np.exp(value - supremum)) for value in values]
        good = all(later <= max(earlier / 2.0, RESOLUTION) for earlier, later in pairwise(gaps))
        good &= all(later >= earlier - 2.0 * NORM_ERROR for earlier, later in pairwise(values))
        count += 1
        if not good:
            wrong, code = wrong + 1, as_code(system, beta=beta, step_size=eta)
        largest_gap = max(largest_gap, gaps[-1])
    return Evidence(
        Grade.NUMERICAL,
        wrong == 0 and count > 0,
        f"{count} systems, k = {POWERS // 2}, T = {DOUBLING}: not so on {wrong}; 1 − ‖J_T^k‖/sup at T = {DOUBLING[-1]} is at "
        f"most {largest_gap:.2g} (the supremum is known to {RESOLUTION:.2g})",
        {"systems": count, "wrong": wrong, "largest gap": largest_gap},
        code,
    )


def _contractions(run: Run) -> Iterator[tuple[TheoremCheck, str]]:
    systems = [*drawn_uniform_systems(run, "contraction", run.size(24, 4), 3, 3)]
    # Closer to 1 than this the certificate takes more powers than there is time for.
    systems += [system for _, system in uniform_systems(6, below=run.size(9975, 9000) / 1e4)]
    for system in systems:
        eta = uniform_convergence.best_uniform_step_size(system, 1.0)
        for T in (3, 12, 30):
            code = as_code(system, horizon=T, beta=1.0, step_size=eta)
            yield uniform_contraction(system, T, 1.0, eta, 40), code


def _inspect_certified(run: Run, choice: str) -> Evidence:
    cases = [("A = 0.8, B = 1", SCALAR, UNIFORM if choice == "pair" else AGGRESSIVE, 128)]
    for name, power in (("tanks_in_series", 64), ("double_integrator", 1024))[: run.size(2, 1)]:
        system = benchmark(name)
        single = stop_gradient.best_step_size(system, 1.0)
        pair = uniform_convergence.best_uniform_step_size(system, 1.0)
        cases.append((name, system, pair if choice == "pair" else (single, single), power))
    proved = [name for name, system, eta, power in cases if contracts(system, 1.0, eta, power)]
    return Evidence(
        Grade.CERTIFIED,
        len(proved) == len(cases),
        f"ball arithmetic proves sup_T ‖J_T^k‖ < 1 for some k on {len(proved)} of {len(cases)}: {', '.join(proved) or 'none'}",
        {f"k, {name}": power for name, _, _, power in cases},
        as_code(cases[0][1], beta=1.0, step_size=cases[0][2]),
    )


def _growths(run: Run) -> Iterator[tuple[TheoremCheck, str]]:
    """Yield lower bounds and, with the relation turned round, upper bounds of the constant."""
    for name, iterations in GROWTH_SYSTEMS.items():
        system = benchmark(name)
        eta = stop_gradient.best_step_size(system, 1.0)
        radius = INSIDE * uniform_convergence.convergence_radius(system, 1.0, eta)
        # J_T is similar, by diag(c^{-t}), to the J_T of (cA, B), which is uniformly bounded for c < R.
        peak = uniform_bounds.uniform_bound(LinearSystem(radius * system.A, system.B), 1.0, eta).peak
        for T in (10, 20, 40)[: run.size(3, 2)]:
            check = constant_growth(system, T, 1.0, eta, iterations * T)
            code = as_code(system, horizon=T, beta=1.0, step_size=eta)
            yield check, code
            upper = float(np.log(peak) - (T - 1) * np.log(radius))
            quantities = {**check.quantities, "exponent": float(-(T - 1) * np.log(radius))}
            yield replace(check, bound=upper, relation="<=", quantities=quantities), code


def _scaled_exponent(check: TheoremCheck, factor: float) -> float:
    """Return the bound with its exponent, linear in T, multiplied by `factor`."""
    exponent = check.quantities.get("exponent", check.bound)
    return check.bound + (factor - 1.0) * exponent


def _record(run: Run) -> None:
    horizons, k = (10, 40, 160), 60
    ratios = [uniform_powers(SCALAR, T, 1.0, UNIFORM, k).quantities["attained"] for T in horizons]
    run.sharpness(
        Sharpness(
            "‖J_T^k‖ / max over |z| = 1 of ‖(D + zE)^k‖",
            ratios[-1],
            f"T = {horizons}, k = {k}: "
            + ", ".join(f"{ratio:.5f}" for ratio in ratios)
            + "; 1 in the limit, by proof",
            as_code(SCALAR, horizon=horizons[-1], beta=1.0, step_size=UNIFORM),
        )
    )
    series = {}
    for label, eta in (("η = 1/3", AGGRESSIVE), (f"(η_s, η_a) = {UNIFORM}", UNIFORM)):
        peaks = [
            stop_gradient.log_transient_growth(SCALAR, T, 1.0, eta, 5 * T + 20).max() for T in (5, 10, 20, 40)
        ]
        series[label] = ([5.0, 10.0, 20.0, 40.0], [float(peak / np.log(10.0)) for peak in peaks])
    radius = uniform_convergence.convergence_radius(SCALAR, 1.0, AGGRESSIVE)
    run.curve(
        Curve(
            "The constant of Theorem 6 over the horizon, A = 0.8, B = 1, β = 1",
            "horizon T",
            "log₁₀ max_k ‖J_T^k‖₂",
            series,
            note=f"The slope at η = 1/3 tends to −log₁₀ R = {-np.log10(radius):.3f}; at the other pair r < 1.",
        )
    )


CLAIMS = (
    Claim(
        id="thm6-uniform",
        title="When Theorem 6 holds with a rate and a constant that do not depend on the horizon",
        source="our sharpening of Theorem 6 (docs/theory/uniform_convergence.md, U1 and U5)",
        statement=(
            "For constant A, B, β the supremum over T of ‖J_T^k‖ is the maximum of ‖(D + zE)^k‖ over |z| = 1, and is "
            "approached as T grows. So ‖J_T^k‖ ≤ C q^k with q < 1 and C free of T exists exactly if r = max ρ(D + zE) < 1; "
            "otherwise the smallest possible C grows like R^{−T}, R = min{|z| : ρ(D + zE) ≥ 1}."
        ),
        latex=r"\sup_T \|J_T^k\| = \max_{|z|=1} \|(D+zE)^k\|, \quad r = \max_{|z|=1} \rho(D+zE) < 1",
        assumptions=("time-invariant linear dynamics", "constant β"),
        check=check_uniform,
    ),
)
