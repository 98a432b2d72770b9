"""Theorem 6 made uniform in the horizon: which step sizes do it, and for which systems there are any."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_6_uniform import RATE_ERROR
from linear_systems import LinearSystem, stop_gradient, uniform_convergence
from linear_systems.errors import StepSizeError
from linear_systems.rounding import EPS
from linear_systems.stop_gradient.symbol_certificates import StepSizes, expands
from paper_checks.claims.theorem_6.instances import (
    benchmark,
    drawn_uniform_systems,
    judged,
    small_systems,
    uniform_systems,
)
from paper_checks.engine.records import Claim, Curve, Evidence, Far, Grade
from paper_checks.engine.run import Run
from paper_checks.engine.search import as_code

CROSSING = 1e-5
"""Relative distance from the limit at which r must be on its side of 1."""
NOT_NEEDED = LinearSystem([[5.0]], [[1.0]])
"""Far from stable, with ρ(K) = 0: A has nothing to do with it, and one step size for both is not enough."""


def check_step_sizes(run: Run) -> None:
    """Examine the interval of step sizes, the best ones for n = m = 1, and those that Theorem 6 would choose."""
    chosen = [(name, system, _pair(system)) for name, system in uniform_systems(run.size(14, 7))]
    drawn = [*drawn_uniform_systems(run, "step size systems", run.size(50, 10), 4, 3)]
    drawn += [system for _, system in uniform_systems(6)]
    paired = [(system, _pair(system)) for system in drawn]
    run.examine(
        "for each ratio η_a/η_s, r < 1 exactly for η_s below 2 min Re 1/μ over the circle",
        lambda kind: _inspect_limit(run, paired, kind),
        "uniform",
        false_variants={"below Theorem 6's limit": "spectral"},
    )
    run.examine(
        "n = m = 1: the smallest r is √(1 − β/((1+β)(1+|A|))), at η_s = 1/(2(1+|A|)), η_a = 1/(2(1+β)B²)",
        lambda power: _inspect_scalar(run, power),
        0.5,
        false_variants={"without the root": Far(1.0, "the slip that would be made: the root dropped")},
    )
    run.examine(
        "n = m = 1 with η_a = κη_s: some η_s has r < 1 exactly if |A| < 1 + κ(1+β)B²; with one step size for both, κ = 1",
        lambda weight: _inspect_single(run, weight),
        1.0,
        false_variants={"|A| < 1 + 1.04 κ(1+β)B²": 1.04},
    )
    run.examine(
        "the step size that is best for ρ(J) has r > 1 on every benchmark",
        lambda choice: _inspect_best_for_radius(run, choice, chosen),
        "single",
        false_variants={"the pair that is best for r": "pair"},
    )
    for name in ("scalar", "double_integrator", "tanks_in_series"):
        run.curve(_region(name, run.size(30, 12)))


def _pair(system: LinearSystem) -> StepSizes:
    return uniform_convergence.best_uniform_step_size(system, 1.0)


def _inspect_limit(run: Run, paired: Sequence[tuple[LinearSystem, StepSizes]], kind: str) -> Evidence:
    rng = run.rng("step sizes")
    wrong, count, code = 0, 0, ""
    for system, (states, actions) in paired:
        ratio = actions / states * float(rng.uniform(0.8, 1.3))
        finder = (
            uniform_convergence.uniform_step_size_limit
            if kind == "uniform"
            else stop_gradient.step_size_limit
        )
        limit = finder(system, 1.0, ratio)
        factors = (float(rng.uniform(0.05, 0.9)), 1.0 - CROSSING, 1.0 + CROSSING)
        rates = [stop_gradient.uniform_rate(system, 1.0, (f * limit, f * limit * ratio)) for f in factors]
        count += 1
        if not max(rates[:2]) < 1.0 < rates[2]:
            wrong, code = wrong + 1, as_code(system, beta=1.0, ratio=ratio)
    return Evidence(
        Grade.NUMERICAL,
        wrong == 0 and count > 0,
        f"{count} systems: r < 1 well below and {CROSSING:g} below the limit, r > 1 as far above it; not so on {wrong}",
        {"systems": count, "wrong": wrong},
        code,
    )


def _inspect_scalar(run: Run, power: float) -> Evidence:
    rng = run.rng("scalar")
    # At the best pair two eigenvalues coincide, and rounding moves them by its square root.
    allowance = 4.0 * float(np.sqrt(EPS)) + RATE_ERROR

    def evaluations() -> Iterator[tuple[TheoremCheck, str]]:
        for _ in range(run.size(25, 8)):
            a, b, beta = (
                float(rng.uniform(-4.0, 4.0)),
                float(rng.uniform(0.1, 3.0)),
                float(rng.uniform(0.1, 5.0)),
            )
            system = LinearSystem([[a]], [[b]])
            formula = (1.0 - beta / ((1.0 + beta) * (1.0 + abs(a)))) ** power
            pair = (0.5 / (1.0 + abs(a)), 0.5 / ((1.0 + beta) * b**2))
            code = as_code(system, beta=beta, step_size=pair)
            here = stop_gradient.uniform_rate(system, beta, pair)
            yield TheoremCheck(here, formula, "=", allowance, {"any": True}), code
            best = uniform_convergence.best_uniform_step_size(system, beta)
            found = stop_gradient.uniform_rate(system, beta, best)
            yield TheoremCheck(found, formula, ">=", allowance, {"any": True}), code

    return judged(
        evaluations(), "r at the closed-form pair equals the formula, and the search finds nothing smaller"
    )


def _inspect_single(run: Run, weight: float) -> Evidence:
    rng = run.rng("one step size")
    wrong, count, code = 0, 0, ""
    for _ in range(run.size(200, 60)):
        a, b, beta = float(rng.uniform(-9.0, 9.0)), float(rng.uniform(0.3, 1.5)), float(rng.uniform(0.1, 3.0))
        ratio = float(rng.choice([1.0, rng.uniform(0.3, 3.0)]))
        system = LinearSystem([[a]], [[b]])
        try:
            exists = uniform_convergence.uniform_step_size_limit(system, beta, ratio) > 0.0
        except StepSizeError:
            exists = False
        count += 1
        if exists != (abs(a) < 1.0 + weight * ratio * (1.0 + beta) * b**2):
            wrong, code = wrong + 1, as_code(system, beta=beta, ratio=ratio)
    return Evidence(
        Grade.NUMERICAL,
        wrong == 0,
        f"{count} scalar systems, ρ(K) = 0 in all: the condition and the search disagree on {wrong}",
        {"systems": count, "wrong": wrong},
        code or as_code(NOT_NEEDED, beta=1.0, ratio=1.0),
    )


def _inspect_best_for_radius(
    run: Run, choice: str, chosen: list[tuple[str, LinearSystem, StepSizes]]
) -> Evidence:
    cases = chosen
    if choice == "single":
        singles = [(n, s, stop_gradient.best_step_size(s, 1.0)) for n, s in small_systems(run.size(36, 9))]
        cases = [(name, system, (eta, eta)) for name, system, eta in singles]
    shown = [name for name, system, eta in cases if expands(system, 1.0, eta)]
    others = [(system, eta) for name, system, eta in cases if name not in shown]
    return Evidence(
        Grade.CERTIFIED,
        not others,
        f"β = 1: r > 1 is proved in ball arithmetic on {len(shown)} of {len(cases)} benchmarks",
        {"benchmarks": len(cases), "with r > 1": len(shown)},
        as_code(others[0][0], beta=1.0, step_size=others[0][1]) if others else "",
    )


def _region(name: str, points: int) -> Curve:
    """Return the boundaries of the step sizes with r < 1 and with ρ(J) < 1, one point for each ratio."""
    system = benchmark(name)
    unit = 2.0 * float(np.linalg.norm(system.B, 2)) ** 2
    best, single = _pair(system), stop_gradient.best_step_size(system, 1.0)
    uniform: list[tuple[float, float]] = []
    spectral: list[tuple[float, float]] = []
    for ratio in np.geomspace(1e-2, 1e2, points) / unit:
        limit = stop_gradient.step_size_limit(system, 1.0, float(ratio))
        spectral.append((limit, limit * ratio * unit))
        try:
            limit = uniform_convergence.uniform_step_size_limit(system, 1.0, float(ratio))
        except StepSizeError:
            continue
        uniform.append((limit, limit * ratio * unit))
    return Curve(
        f"Step sizes with T-free convergence, {name}, β = 1",
        "η_s",
        "η_a (1+β) ‖B‖²",
        {
            "limit of r < 1": _columns(uniform),
            "limit of ρ(J) < 1 (Theorem 6)": _columns(spectral),
            "best for r": ([best[0]], [best[1] * unit]),
            "best single η for ρ(J)": ([single], [single * unit]),
        },
        log_x=True,
        log_y=True,
        note="Each region holds everything on the ray between its boundary and the origin.",
    )


def _columns(points: list[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


CLAIMS = (
    Claim(
        id="thm6-uniform-steps",
        title="Which step sizes make Theorem 6 uniform in the horizon",
        source="our sharpening of Theorem 6 (docs/theory/uniform_convergence.md, U1, U3 and U4)",
        statement=(
            "For each ratio η_a/η_s the step sizes with r < 1 form an interval (0, 2 min Re 1/μ), μ the eigenvalues of "
            "(I − D − zE)/η_s over |z| = 1. The single step size that minimises ρ(J) is outside on every benchmark; with "
            "one step size for states and actions there may be none although ρ(K) = 0."
        ),
        latex=r"\hat\eta_s = 2 \min_{|z|=1} \min_{\mu} \mathrm{Re}\, \mu^{-1}",
        assumptions=("time-invariant linear dynamics", "constant β > 0", "B has full column rank"),
        check=check_step_sizes,
    ),
)
