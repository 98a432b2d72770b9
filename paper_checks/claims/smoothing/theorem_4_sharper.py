"""Better constants than Theorem 4's: valid for every p, exact at p = 1, 2 and ∞, bounded in the dimension for p > 1."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from grasp_theory.smoothing import (
    Polynomial,
    angular_bound,
    gain_lower_bound,
    gain_upper_bound,
    gaussian_gain,
    interpolated_bound,
    nonnegative_bound,
    smooth,
    smooth_gradient,
)
from grasp_theory.smoothing.constants import WAVE_GAIN
from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_4 import scale_control
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.smoothing.instances import (
    DIMENSIONS,
    EXPONENTS,
    IMPORTS,
    PATCH_LATENT,
    Instance,
    drawn_waves,
    gaussian,
    instances,
    periodic,
)
from paper_checks.claims.smoothing.theorem_4_search import search_waves
from paper_checks.engine.inspection import identity, judge
from paper_checks.engine.records import Claim, Evidence, Far, Grade, Sharpness
from paper_checks.engine.run import Run

Bound = Callable[[float, int], float]
"""(p, d) ↦ an upper bound on σ‖∇L_σ‖_p/‖L‖_p."""


def check_sharper(run: Run) -> None:
    """Examine the bounds on losses of both signs and on nonnegative ones, and the steps of their proofs."""
    checks = [
        (instance, sigma, p, scale_control(instance.loss, sigma, p)) for instance, sigma, p in _all(run)
    ]

    def compared(bound: Bound, what: str) -> Evidence:
        return judge(
            (
                (replace(check, bound=bound(p, instance.loss.dim)), partial(instance.code, sigma=sigma, p=p))
                for instance, sigma, p, check in checks
            ),
            f"σ‖∇L_σ‖_p/‖L‖_p against {what}",
        )

    run.examine(
        "σ‖∇L_σ‖_p ≤ c_d (E|U_1|^{p'})^{1/p'} ‖L‖_p, U uniform on the sphere, 1/p + 1/p' = 1",
        lambda bound: compared(bound, "the angular bound"),
        angular_bound,
        false_variants={
            "p in place of p'": lambda p, d: angular_bound(_conjugate(p), d),
            "0.999 of it": lambda p, d: 0.999 * angular_bound(p, d),
        },
    )
    run.examine(
        "Riesz–Thorin through e^{−1/2} at p = 2, with the constant of complex losses at p = ∞",
        lambda bound: compared(bound, "the interpolated bound"),
        interpolated_bound,
        false_variants={"e^{−1/2} for every p": lambda p, d: WAVE_GAIN},
    )
    _examine_extremals(run)
    _examine_nonnegative(run)
    _examine_local(run)


def _conjugate(p: float) -> float:
    return 1.0 if math.isinf(p) else (math.inf if p == 1.0 else p / (p - 1.0))


def _all(run: Run) -> Iterator[tuple[Instance, float, float]]:
    for p in EXPONENTS:
        for instance, sigma in instances(run, p):
            yield instance, sigma, p


def _examine_extremals(run: Run) -> None:
    """Search the torus for losses that break the bound, and record how close they come."""
    exponents = (1.25, 2.0, 4.0) if run.quick else (1.1, 1.25, 1.5, 2.0, 3.0, 4.0, 10.0)
    found = {(p, dim): search_waves(run, p, dim) for dim in (1, 2) for p in exponents}

    def inspect(bound: Bound) -> Evidence:
        def evaluations() -> Iterable[tuple[TheoremCheck, Callable[[], str]]]:
            for (p, dim), extremal in found.items():
                gain = extremal.gain
                check = TheoremCheck(gain.value, bound(p, dim), "<=", gain.error, {"L ∈ L^p": True})
                yield (
                    check,
                    partial(periodic(extremal.loss.values, extremal.loss.period).code, sigma=1.0, p=p),
                )

        return judge(
            evaluations(), "gain of losses that the power method for p-norms climbed to, d = 1 and 2"
        )

    closest = max(each.gain.value / gain_upper_bound(p, dim) for (p, dim), each in found.items() if p != 2.0)

    def lowered(p: float, dim: int) -> float:
        return gain_upper_bound(p, dim) * (1.0 if p == 2.0 else 0.99 * closest)

    false_variants: dict[str, Bound | Far[Bound]] = {
        "lowered between 1, 2 and ∞ alone, 1% below the largest gain found there": Far(
            lowered, f"no loss found comes nearer than {1.0 - closest:.1%}: the sharp constant is not known"
        ),
        "0.99 of it": lambda p, d: 0.99 * gain_upper_bound(p, d),
        "the best closed form": lambda p, d: 0.99 * gain_lower_bound(p, d),
    }
    run.examine(
        "no loss found by a directed search exceeds the smaller of the two bounds",
        inspect,
        gain_upper_bound,
        false_variants=false_variants,
    )
    for dim in (1, 2):
        p, best = max(
            ((p, e) for (p, d), e in found.items() if d == dim and p != 2.0),
            key=lambda item: item[1].gain.value / gain_upper_bound(item[0], dim),
        )
        run.sharpness(
            Sharpness(
                f"gain over the best bound proved, 1 < p < ∞, p ≠ 2, d = {dim}",
                (best.gain.value - best.gain.error) / gain_upper_bound(p, dim),
                f"power method for p-norms over all losses on the torus, best at p = {p:g}",
                periodic(best.loss.values, best.loss.period).code(sigma=1.0, p=p),
                "the sharp constant is not known for these p; it lies between the gain found and the bound",
            )
        )
    for p in (1.01, 1.5):
        run.sharpness(
            Sharpness(
                f"gain of Gaussians over the best bound proved, p = {p:g}, d = {PATCH_LATENT:,}",
                gaussian_gain(p, PATCH_LATENT) / gain_upper_bound(p, PATCH_LATENT),
                "closed form of the best width, v = d σ²/p'",
                gaussian(PATCH_LATENT, PATCH_LATENT * (1.0 - 1.0 / p)).code(sigma=1.0, p=p),
                f"for L ≥ 0: e^(−1/2)/√(p−1) = {nonnegative_bound(p):.4f}, sharp as d → ∞",
            )
        )


def _examine_nonnegative(run: Run) -> None:
    rng = run.rng("nonnegative")
    exponents = (1.05, 1.25, 1.5, 1.75, 2.0)
    losses = list(drawn_waves(rng, run.size(8, 2), nonnegative=True))
    cases = [(loss, float(rng.uniform(0.3, 2.0)), p) for loss in losses for p in exponents]
    cases += [(gaussian(dim, dim * (1.0 - 1.0 / p)), 1.0, p) for dim in DIMENSIONS for p in exponents]
    checks = [(instance, sigma, p, scale_control(instance.loss, sigma, p)) for instance, sigma, p in cases]

    def compared(bound: Callable[[float], float]) -> Evidence:
        return judge(
            (
                (replace(check, bound=bound(p)), partial(instance.code, sigma=sigma, p=p))
                for instance, sigma, p, check in checks
            ),
            "nonnegative trigonometric polynomials and Gaussians of the best width, d up to 100,000",
        )

    run.examine(
        "σ‖∇L_σ‖_p ≤ e^{−1/2}/√(p−1) ‖L‖_p for L ≥ 0, 1 < p ≤ 2, in every dimension",
        compared,
        nonnegative_bound,
        false_variants={
            "0.999 of it": lambda p: 0.999 * nonnegative_bound(p),
            "e^{−1/2}": lambda p: WAVE_GAIN,
        },
    )
    run.examine(
        "d²/dt² ∫u^p = ∫u^p[(p−1)²(Δw + (p/2)|∇w|²)² + (p−1)(2−p)/2 ‖∇²w‖²], u = e^w on the heat flow",
        _inspect_convexity_identity,
        sp.Rational(1, 2),
        false_variants={"(p−1)(2−p) in place of (p−1)(2−p)/2": sp.Integer(1)},
    )
    run.examine(
        "t ↦ log ∫ L_{√t}^p is convex for L ≥ 0 and 1 < p ≤ 2",
        _inspect_log_convexity,
        [*losses, periodic(1.0 + np.cos(2.0 * np.pi * np.arange(32) / 32), 2.0 * math.pi)],
        false_variants={"a loss of both signs": [_signed_wave()]},
    )


def _inspect_convexity_identity(factor: sp.Expr) -> Evidence:
    """Check the two derivatives of ∫u^p up to divergences, for an arbitrary w in 1, 2 and 3 dimensions.

    Everything is divided by u^p = e^{pw}, so that div(u^p V) becomes div V + p ∇w · V.
    """
    differences: list[sp.Expr] = []
    for d in (1, 2, 3):
        differences += _convexity_differences(d, factor)
    return identity(
        differences,
        "∂_t and ∂_t² of u^p against the stated integrands, up to divergences of u^p V with V built from w",
        "arbitrary w in d = 1, 2, 3; the expressions are invariants of the same form in every d",
    )


def _convexity_differences(d: int, factor: sp.Expr) -> list[sp.Expr]:
    p = sp.Symbol("p", positive=True)
    x = sp.symbols(f"x_1:{d + 1}", real=True)
    w = sp.Function("w")(*x)
    slope = [sp.diff(w, c) for c in x]
    hessian = [[sp.diff(w, a, b) for b in x] for a in x]
    squared = sum(g**2 for g in slope)
    laplacian = sum(hessian[i][i] for i in range(d))
    size = sum(entry**2 for row in hessian for entry in row)

    def divergence(field: list[sp.Expr]) -> sp.Expr:
        return sum(sp.diff(f, c) + p * g * f for f, c, g in zip(field, x, slope, strict=True))

    # First derivative: with ∂_t u = Δu/2, ∂_t w = (Δw + |∇w|²)/2, and ∂_t u^p = p u^p ∂_t w.
    rate = (laplacian + squared) / 2
    first = (p - 1) * (laplacian + p / 2 * squared)
    differences = [p * rate - first - divergence([(1 - p / 2) * g for g in slope])]
    differences.append(first + p * (p - 1) / 2 * squared - divergence([(p - 1) * g for g in slope]))
    # Second derivative: that of −(p(p−1)/2) u^p |∇w|².
    change = p * rate * squared + 2 * sum(g * sp.diff(rate, c) for g, c in zip(slope, x, strict=True))
    claimed = (p - 1) ** 2 * (laplacian + p / 2 * squared) ** 2 + factor * (p - 1) * (2 - p) * size
    along = [sum(entry * g for entry, g in zip(row, slope, strict=True)) for row in hessian]
    fields = (
        [squared * g for g in slope],
        [laplacian * g - h for g, h in zip(slope, along, strict=True)],
        along,
        [rate * g for g in slope],
    )
    weights = sp.symbols("m_1:5")
    combination = sum(m * divergence(f) for m, f in zip(weights, fields, strict=True))
    return [*differences, _least(-p * (p - 1) / 2 * change - claimed - combination, weights)]


def _least(expression: sp.Expr, weights: tuple[sp.Symbol, ...]) -> sp.Expr:
    """Return the expression with the weights that make it vanish, or with what is left if none do."""
    expanded = sp.expand(expression.doit())
    atoms = sorted(expanded.atoms(sp.Derivative), key=str)
    symbols = sp.symbols(f"z_1:{len(atoms) + 1}")
    polynomial = sp.Poly(expanded.subs(dict(zip(atoms, symbols, strict=True))), *symbols)
    found = sp.solve(polynomial.coeffs(), weights, dict=True)
    return expanded.subs(found[0]) if found else sp.Integer(1)


def _signed_wave() -> Instance:
    """Return cos(x) + cos(3x)/10: for p < 2 its two modes interfere destructively in ∫|u|^p."""
    x = 2.0 * np.pi * np.arange(32) / 32
    return periodic(np.cos(x) + 0.1 * np.cos(3.0 * x), 2.0 * math.pi)


def _inspect_log_convexity(losses: list[Instance]) -> Evidence:
    """Take second differences of log ∫|u|^p over t on each loss's torus."""
    worst, code, count = math.inf, "", 0
    times = np.linspace(0.05, 0.55, 6)
    for instance in losses:
        for p in (1.1, 1.5, 1.9):
            found = [instance.loss.smoothed(math.sqrt(t)).log_norm(p) for t in times]
            powers = np.array([p * norm.value for norm in found])
            errors = np.array([p * norm.error for norm in found])
            bends = powers[:-2] - 2.0 * powers[1:-1] + powers[2:]
            allowances = errors[:-2] + 2.0 * errors[1:-1] + errors[2:] + rounding_allowance(1.0, 4)
            margin = float(np.min(bends + allowances))
            count += bends.size
            if margin < worst:
                worst, code = margin, instance.code(p=p)
    return Evidence(
        Grade.NUMERICAL,
        worst >= 0.0,
        f"{count} second differences over t in [0.05, 0.55]; the smallest plus its error is {worst:.2e}",
        {"smallest second difference": worst},
        code,
    )


def _examine_local(run: Run) -> None:
    run.examine(
        "σ|∇L_σ(s)| ≤ sd(L(s + σZ)) at every point, for every L of finite variance, bounded or not",
        lambda factor: _inspect_local(run, factor),
        1.0,
        false_variants={"0.99 of the standard deviation": 0.99},
    )


def _inspect_local(run: Run, factor: float) -> Evidence:
    """Compare at random points; affine losses attain equality.

    |∇L_σ| = |E[Z (L − E L)]|/σ = max over unit u of E[(u·Z)(L − E L)]/σ ≤ sd(L)/σ by Cauchy–Schwarz.
    """

    def evaluations() -> Iterable[tuple[TheoremCheck, Callable[[], str]]]:
        rng = run.rng("local")
        for index in range(run.size(40, 10)):
            shape = (2,) if index == 0 else (int(rng.integers(2, 6)),) * int(rng.integers(1, 3))
            coefficients, sigma = rng.standard_normal(shape), float(rng.uniform(0.2, 2.0))
            point = rng.standard_normal(len(shape))
            check = _local_check(Polynomial(coefficients), sigma, point, factor)
            lines = [
                f"loss = Polynomial(np.array({coefficients.tolist()}))",
                f"sigma, point = {sigma}, {point.tolist()}",
            ]
            yield check, partial("\n".join, [IMPORTS.strip(), *lines])

    return judge(evaluations(), "random polynomials in one and two variables, by Gauss–Hermite quadrature")


def _local_check(loss: Polynomial, sigma: float, point: NDArray[np.float64], factor: float) -> TheoremCheck:
    mean = float(smooth(loss.value, sigma, point, loss.dim).value)

    def squared_deviation(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return (loss.value(points) - mean) ** 2

    variance = smooth(squared_deviation, sigma, point, loss.dim)
    slope = smooth_gradient(loss.value, sigma, point, loss.dim)
    deviation = math.sqrt(float(variance.value))
    error = sigma * slope.error * math.sqrt(loss.dim) + variance.error / deviation
    length = sigma * float(np.linalg.norm(slope.value))
    return TheoremCheck(length, factor * deviation, "<=", error, {"Var L(s + σZ) < ∞": True})


CLAIMS = (
    Claim(
        id="thm4-sharper",
        title="Sharper bounds for Gaussian smoothing, best possible at p = 1, 2 and ∞",
        source="our sharpening of Appendix A.2, Theorem 4",
        statement=(
            "σ‖∇L_σ‖_p ≤ C‖L‖_p with C = c_d (E|U_1|^{p'})^{1/p'}, which is c_d at p = 1, √(2/π) at p = ∞ and bounded in d "
            "for every p > 1; C = e^{−1/2} at p = 2; C = e^{−1/2}/√(p−1) for L ≥ 0 and 1 < p ≤ 2.  Best possible at p = 1, 2 and ∞; "
            "elsewhere these are bounds."
        ),
        latex=(
            r"\|\nabla L_\sigma\|_{L^p} \le \frac{c_d}{\sigma}\bigl(\mathbb{E}|U_1|^{p'}\bigr)^{1/p'}\|L\|_{L^p}"
        ),
        check=check_sharper,
    ),
)
