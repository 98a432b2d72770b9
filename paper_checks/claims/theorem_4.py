"""Theorem 4: Gaussian smoothing contracts gradients and controls their scale, Eq. (39)–(52)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
from flint import arb
from scipy.integrate import quad

from grasp_theory.smoothing import PeriodicLoss, mean_norm
from grasp_theory.smoothing.constants import SUPREMUM_GAIN, WAVE_GAIN
from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_4 import gradient_contraction, scale_control
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.theorem_4_scope import examine_scope
from paper_checks.claims.theorem_4_search import record_curves, record_sharpness
from paper_checks.engine import Run
from paper_checks.inspection import identity, judge
from paper_checks.records import Claim, Evidence, Grade
from paper_checks.smoothing_instances import (
    DIMENSIONS,
    EXPONENTS,
    IMPORTS,
    PATCH_LATENT,
    Instance,
    ball,
    gaussian,
    instances,
    step,
)


@dataclass(frozen=True)
class Evaluated:
    """One instance with its two checks."""

    instance: Instance
    sigma: float
    p: float
    contraction: TheoremCheck
    control: TheoremCheck

    def code(self) -> str:
        """Return Python code that rebuilds the instance."""
        return self.instance.code(sigma=self.sigma, p=self.p)


def evaluate(run: Run) -> list[Evaluated]:
    """Return both parts of the theorem on every instance and exponent."""
    return [
        Evaluated(
            instance,
            sigma,
            p,
            gradient_contraction(instance.loss, sigma, p),
            scale_control(instance.loss, sigma, p),
        )
        for p in EXPONENTS
        for instance, sigma in instances(run, p)
    ]


def check_theorem_4(run: Run) -> None:
    """Examine the proof step by step, then both parts on losses in 1 to 100,000 dimensions."""
    _examine_proof(run)
    evaluated = evaluate(run)
    run.examine(
        "‖∇L_σ‖_p ≤ ‖∇L‖_p (part 1), p = 1 to ∞, d = 1 to 100,000",
        lambda factor: judge(
            ((replace(e.contraction, bound=factor), e.code) for e in evaluated),
            "‖∇L_σ‖_p/‖∇L‖_p",
            Grade.NUMERICAL,
        ),
        1.0,
        false_variants={"a strict contraction by 1 − 10⁻³": 0.999},
        equations=(41, 47),
    )
    run.examine(
        "‖∇L_σ‖_p ≤ (c_d/σ)‖L‖_p (part 2), p = 1 to ∞, d = 1 to 100,000",
        lambda bound: _inspect_control(evaluated, bound),
        lambda sigma, dim: mean_norm(dim),
        false_variants={
            "0.999 c_d/σ": lambda sigma, dim: 0.999 * mean_norm(dim),
            "√(2/π)/σ for every p": lambda sigma, dim: SUPREMUM_GAIN,
            "c_d/σ²": lambda sigma, dim: mean_norm(dim) / sigma,
            "√(d−1)/σ": lambda sigma, dim: math.sqrt(dim - 1.0),
        },
        equations=(42,),
    )
    _examine_supremum(run)
    examine_scope(run)
    record_sharpness(run)
    record_curves(run)


Kernel = Callable[[sp.Expr, sp.Expr, sp.Expr], sp.Expr]
"""(ε_i, σ², φ_σ(ε)) ↦ the i-th component of what is taken for ∇φ_σ."""


def _examine_proof(run: Run) -> None:
    def gradient_of_density(e: sp.Expr, variance: sp.Expr, density: sp.Expr) -> sp.Expr:
        return -e / variance * density

    wrong: dict[str, Kernel] = {
        "∇φ_σ = +(ε/σ²)φ_σ": lambda e, variance, density: e / variance * density,
        "∇φ_σ = −(ε/σ)φ_σ": lambda e, variance, density: -e / sp.sqrt(variance) * density,
    }
    run.examine(
        "∇_s(φ_σ * L) = (∇φ_σ) * L = φ_σ * (∇_s L), up to the integral of a divergence",
        _inspect_commutation,
        gradient_of_density,
        false_variants=wrong,
        equations=(43, 44, 45),
    )
    run.examine(
        "∇_s(φ_σ * L) = (∇φ_σ) * L = φ_σ * (∇_s L), integrals done, for polynomials, Gaussians and waves",
        _inspect_integrals,
        gradient_of_density,
        false_variants=wrong,
        equations=(43, 44, 45),
    )
    run.examine(
        "‖φ_σ * g‖_p ≤ ‖g‖_p for vector-valued g, ‖g‖_p the norm of the Euclidean length (Young, Minkowski)",
        lambda young: _inspect_young(run, young),
        Young(),
        false_variants={
            "a kernel of mass 1.02": Young(mass=1.02),
            "p = 1/2, where Young's inequality fails": Young(exponents=(0.5,)),
            "a strict contraction by 1 − 10⁻²": Young(bound=0.99),
        },
        equations=(46,),
    )
    run.examine(
        "‖(∇φ_σ) * L‖_p ≤ ‖∇φ_σ‖_1 ‖L‖_p, the kernel's norm integrated numerically",
        lambda norm: _inspect_kernel_bound(run, norm),
        _kernel_norm,
        false_variants={
            "‖φ_σ‖_1 = 1 in place of ‖∇φ_σ‖_1": lambda sigma, dim: 1.0,
            "0.99 ‖∇φ_σ‖_1": lambda sigma, dim: 0.99 * _kernel_norm(sigma, dim),
        },
        equations=(48,),
    )
    run.examine(
        "‖∇φ_σ‖_1 = ∫‖ε‖φ_σ/σ² = E‖X‖/σ² = E‖Z‖/σ = c_d/σ, with c_d = √2 Γ((d+1)/2)/Γ(d/2)",
        _inspect_constant,
        lambda d: sp.sqrt(2) * sp.gamma((d + 1) / 2) / sp.gamma(d / 2),
        false_variants={
            "√2 dropped": lambda d: sp.gamma((d + 1) / 2) / sp.gamma(d / 2),
            "Gamma functions of (d+2)/2 and (d+1)/2": lambda d: (
                sp.sqrt(2) * sp.gamma((d + 2) / 2) / sp.gamma((d + 1) / 2)
            ),
            "√d": sp.sqrt,
        },
        equations=(42, 49, 50, 51, 52),
    )
    run.examine(
        "the library's c_d lies in the ball that exact arithmetic encloses it in, up to d = 10¹²",
        _inspect_certified_constant,
        mean_norm,
        false_variants={
            "√d": lambda d: math.sqrt(d),
            "√(d − 1/2)": lambda d: math.sqrt(d - 0.5),
        },
        equations=(52,),
    )


def _inspect_commutation(kernel: Kernel) -> Evidence:
    """Check, for an arbitrary L, that the three integrands differ by total derivatives only."""
    differences = []
    sigma = sp.Symbol("sigma", positive=True)
    for d in (1, 2, 3):
        s, x, e = (sp.symbols(f"{name}_1:{d + 1}", real=True) for name in ("s", "x", "e"))
        loss = sp.Function("L")

        def density(at: Iterable[sp.Expr], d: int = d) -> sp.Expr:
            return (2 * sp.pi * sigma**2) ** (-sp.Rational(d, 2)) * sp.exp(
                -sum(c**2 for c in at) / (2 * sigma**2)
            )

        shifted = [si - ei for si, ei in zip(s, e, strict=True)]
        for i in range(d):
            # (43) to (44): the derivative of φ_σ(s − x) L(x) in s_i is the kernel at s − x times L(x).
            offset = [si - xi for si, xi in zip(s, x, strict=True)]
            under_integral = sp.diff(density(offset) * loss(*x), s[i])
            differences.append(under_integral - kernel(offset[i], sigma**2, density(offset)) * loss(*x))
            # (44) to (45): the integrands differ by ∂_{ε_i}[φ_σ(ε) L(s − ε)].
            divergence = sp.diff(density(e) * loss(*shifted), e[i])
            moved = density(e) * sp.diff(loss(*shifted), s[i])
            differences.append(kernel(e[i], sigma**2, density(e)) * loss(*shifted) - moved - divergence)
    return identity(
        differences,
        "integrands of (43), (44), (45) for an arbitrary C¹ loss L(s_1, ..., s_d)",
        "d = 1, 2, 3; each coordinate is treated alone, the others being parameters, so for every d.  The divergence "
        "integrates to 0 where φ_σ L vanishes at infinity along a sequence of spheres",
    )


def _inspect_integrals(kernel: Kernel) -> Evidence:
    """Compute all three sides of (43)–(45) for concrete families with symbolic parameters."""
    s, e = sp.symbols("s e", real=True)
    sigma, v, k = sp.symbols("sigma v k", positive=True)
    density = sp.exp(-(e**2) / (2 * sigma**2)) / sp.sqrt(2 * sp.pi * sigma**2)
    losses = [s**n for n in range(6)] + [sp.exp(-(s**2) / (2 * v)), sp.cos(k * s)]
    differences = []
    for loss in losses:
        shifted = loss.subs(s, s - e)
        smoothed = sp.integrate(sp.expand(density * shifted), (e, -sp.oo, sp.oo), conds="none")
        first = sp.diff(smoothed, s)
        second, third = (
            sp.integrate(sp.expand(integrand), (e, -sp.oo, sp.oo), conds="none")
            for integrand in (kernel(e, sigma**2, density) * shifted, density * sp.diff(shifted, s))
        )
        differences += [first - second, second - third]
    return identity(
        differences,
        "d/ds ∫φ_σ(ε)L(s−ε)dε = ∫φ_σ'(ε)L(s−ε)dε = ∫φ_σ(ε)L'(s−ε)dε",
        "powers s⁰..s⁵ (by linearity all polynomials of that degree), exp(−s²/2v) and cos(ks), all parameters symbolic",
    )


@dataclass(frozen=True)
class Young:
    """A variant of (46): the kernel's mass, the exponents, and the bound on the ratio."""

    mass: float = 1.0
    exponents: tuple[float, ...] = EXPONENTS
    bound: float = 1.0


def _inspect_young(run: Run, young: Young) -> Evidence:
    """Compare ‖φ_σ * g‖_p with ‖g‖_p for smooth vector fields on the torus, of 1 to 3 components."""
    rng = run.rng("young")
    worst, code, margin, count = -math.inf, "", math.inf, 0
    for index in range(run.size(12, 6)):
        components, dim = int(rng.integers(1, 4)), int(rng.integers(1, 3))
        period, sigma = float(rng.uniform(5.0, 15.0)), float(rng.uniform(0.2, 2.0))
        # Bumps of random width and place, every other time above a large constant: there equality is approached.
        centre, width = rng.uniform(0.0, period, (components, dim)), float(rng.uniform(0.5, 1.5))
        bump = rng.standard_normal(components)
        constant = 30.0 * (index % 2) * rng.standard_normal(components)

        def lengths(size: int, smoothing: float | None) -> np.ndarray:
            axis = period * np.arange(size) / size
            grid = np.stack(np.meshgrid(*[axis] * dim, indexing="ij"), axis=-1)
            fields = []
            for c in range(components):
                distance = np.sum(1.0 - np.cos(2.0 * np.pi * (grid - centre[c]) / period), axis=-1)
                loss = PeriodicLoss(constant[c] + bump[c] * np.exp(-distance / width**2), period)
                fields.append(loss.smoothed(smoothing).values * young.mass if smoothing else loss.values)
            return np.asarray(np.linalg.norm(fields, axis=0))

        for p in young.exponents:
            ratios = [_norm(lengths(n, sigma), p) / _norm(lengths(n, None), p) for n in (64, 128)]
            # The second grid's error is at most its change from the first, for the integrals of p < ∞; at p = ∞ the
            # largest value between grid points exceeds the grid's by less than the change as well.
            allowance = abs(ratios[1] - ratios[0]) + rounding_allowance(1.0, 128)
            worst, count = max(worst, ratios[1]), count + 1
            if young.bound + allowance - ratios[1] < margin:
                margin = young.bound + allowance - ratios[1]
                code = (
                    f"centre = {centre.tolist()}\nwidth, sigma, period, p = {width}, {sigma}, {period}, {p!r}"
                )
                code = code.replace("inf", "float('inf')")
    return Evidence(
        Grade.NUMERICAL,
        margin >= 0.0,
        f"{count} norms of vector fields with 1 to 3 components in 1 and 2 dimensions; largest ratio {worst:.6f}",
        {"largest ratio": worst, "smallest margin": margin},
        code,
    )


def _norm(lengths: np.ndarray, p: float) -> float:
    return float(lengths.max() if math.isinf(p) else np.mean(lengths**p) ** (1.0 / p))


def _kernel_norm(sigma: float, dim: int) -> float:
    """Return ∫‖∇φ_σ‖ by quadrature over the radius, without Gamma functions: the ratio of two integrals."""

    def moment(power: int) -> float:
        value, _ = quad(lambda r: r**power * math.exp(-(r**2) / 2.0), 0.0, math.inf, epsabs=0.0, epsrel=1e-12)
        return float(value)

    return moment(dim) / moment(dim - 1) / sigma


def _inspect_kernel_bound(run: Run, norm: Callable[[float, int], float]) -> Evidence:
    """Compare ‖(∇φ_σ) * L‖_p with a kernel norm times ‖L‖_p, in 1 to 30 dimensions."""

    def evaluations() -> Iterable[tuple[TheoremCheck, Callable[[], str]]]:
        rng = run.rng("kernel")
        for dim in (1, 2, 3, 30):
            for p in EXPONENTS:
                sigma = float(rng.uniform(0.5, 3.0))
                cases = [gaussian(dim, 1e-6), gaussian(dim, float(rng.uniform(0.1, 10.0)))]
                for instance in [*cases, *([step(dim, 1e-3)] if math.isinf(p) else [])]:
                    check = scale_control(instance.loss, sigma, p)
                    yield (
                        replace(check, bound=sigma * norm(sigma, dim), allowance=check.allowance + 1e-10),
                        lambda i=instance, sigma=sigma, p=p: i.code(sigma=sigma, p=p),
                    )

    return judge(evaluations(), "σ‖(∇φ_σ) * L‖_p/‖L‖_p against σ‖∇φ_σ‖_1, adaptive quadrature to 10⁻¹²")


def _inspect_constant(constant: Callable[[sp.Expr], sp.Expr]) -> Evidence:
    """Compute (49)–(52) with a symbolic dimension, in polar coordinates."""
    d, sigma, r = sp.symbols("d sigma r", positive=True)
    sphere = 2 * sp.pi ** (d / 2) / sp.gamma(d / 2)
    density = (2 * sp.pi * sigma**2) ** (-d / 2) * sp.exp(-(r**2) / (2 * sigma**2))

    def integral(integrand: sp.Expr) -> sp.Expr:
        return sphere * sp.integrate(integrand * r ** (d - 1), (r, 0, sp.oo), conds="none")

    norm = integral(r / sigma**2 * density)
    mean_x = integral(r * density)
    mean_z = mean_x.subs(sigma, 1)
    differences = [
        integral(density) - 1,
        norm - mean_x / sigma**2,
        norm - mean_z / sigma,
        norm - constant(d) / sigma,
    ]
    return identity(
        [sp.gammasimp(sp.powsimp(sp.expand(difference), force=True)) for difference in differences],
        "∫φ_σ = 1, and (49) = (50) = (51) = (52) in polar coordinates",
        "the dimension d is a symbol",
    )


def _inspect_certified_constant(constant: Callable[[int], float]) -> Evidence:
    """Enclose c_d by ball arithmetic and measure the distance of the float from the ball."""
    worst, value = 0.0, 0.0
    for dim in (1, 2, 3, 7, 20, 100, 1000, PATCH_LATENT, 10**7, 10**12):
        exact = arb(2).sqrt() * ((arb(dim + 1) / 2).lgamma() - (arb(dim) / 2).lgamma()).exp()
        error = (arb(constant(dim)) / exact - 1).abs_upper()
        worst = max(worst, float(error))
        value = constant(dim) if dim == PATCH_LATENT else value
    allowance = rounding_allowance(1.0, 1)
    return Evidence(
        Grade.CERTIFIED,
        worst <= allowance,
        f"10 dimensions up to 10¹²: relative error at most {worst:.1e}, allowed {allowance:.1e}; "
        f"c_d = {value:.3f} at d = {PATCH_LATENT:,}",
        {"largest relative error": worst, f"c_d at d = {PATCH_LATENT}": value},
    )


def _inspect_control(evaluated: list[Evaluated], bound: Callable[[float, int], float]) -> Evidence:
    return judge(
        ((replace(e.control, bound=bound(e.sigma, e.instance.loss.dim)), e.code) for e in evaluated),
        "σ‖∇L_σ‖_p/‖L‖_p against c_d",
    )


def _examine_supremum(run: Run) -> None:
    run.caveat(
        "at p = ∞ the sharp constant is √(2/π)/σ in every dimension, not c_d/σ, which grows like √d",
        _inspect_supremum,
        lambda dim: SUPREMUM_GAIN,
        false_variants={
            "c_d": mean_norm,
            "e^{−1/2}": lambda dim: WAVE_GAIN,
            "0.999 √(2/π)": lambda dim: 0.999 * SUPREMUM_GAIN,
        },
    )
    run.caveat(
        "c_d E|U_1| = √(2/π), U uniform on the sphere: (48) loses the angle between ε and the gradient",
        _inspect_angle,
        sp.sqrt(2 / sp.pi),
        false_variants={"1": sp.Integer(1)},
    )


def _inspect_supremum(constant: Callable[[int], float]) -> Evidence:
    """See whether half-space steps and balls stay below a constant at p = ∞ and come close to it, in each dimension."""
    reached, exceeded, code = math.inf, -math.inf, ""
    sigma = 1.5
    for dim in DIMENSIONS:
        # The indicator of a wide ball, less 1/2, is a half-space step near its surface; twice its gain has ‖L‖_∞ = 1.
        round_step = ball(dim, 100.0 * sigma * math.sqrt(dim))
        gains = [
            (factor * check.computed, factor * check.allowance)
            for factor, check in (
                (1.0, scale_control(step(dim, 1e-2).loss, sigma, math.inf)),
                (2.0, scale_control(round_step.loss, sigma, math.inf)),
            )
        ]
        for gain, allowance in gains:
            exceeded = max(exceeded, gain / constant(dim) - allowance)
            if gain / constant(dim) < reached:
                reached, code = gain / constant(dim), step(dim, 1e-2).code(sigma=sigma, p=math.inf)
    loose = mean_norm(PATCH_LATENT) / SUPREMUM_GAIN
    return Evidence(
        Grade.NUMERICAL,
        exceeded <= 1.0 and reached >= 0.9995,
        f"half-space steps and balls in d = {', '.join(f'{d:,}' for d in DIMENSIONS)}: gain over the constant between "
        f"{reached:.6f} and {exceeded:.6f}; at d = {PATCH_LATENT:,}, c_d = {mean_norm(PATCH_LATENT):.1f} against "
        f"{SUPREMUM_GAIN:.3f}, a factor {loose:.0f}",
        {
            "lowest gain/constant": reached,
            "highest gain/constant": exceeded,
            "c_d/√(2/π) at d = 75,264": loose,
        },
        code,
    )


def _inspect_angle(product: sp.Expr) -> Evidence:
    d = sp.Symbol("d", positive=True)
    mean = sp.sqrt(2) * sp.gamma((d + 1) / 2) / sp.gamma(d / 2)
    # |U_1|² is Beta(1/2, (d−1)/2), so E|U_1| = B(1, (d−1)/2)/B(1/2, (d−1)/2).
    ratio = sp.gamma(1) * sp.gamma(d / 2) / (sp.gamma(sp.Rational(1, 2)) * sp.gamma((d + 1) / 2))
    return identity(
        [sp.gammasimp(mean * ratio - product)], f"c_d E|U_1| = {product}", "the dimension d is a symbol"
    )


CLAIMS = (
    Claim(
        id="thm4",
        title="Gaussian smoothing contracts gradients",
        source="Appendix A.2, Theorem 4",
        statement=(
            "For 1 ≤ p ≤ ∞: ‖∇L_σ‖_p ≤ ‖∇L‖_p if ∇L ∈ L^p, and ‖∇L_σ‖_p ≤ (c_d/σ)‖L‖_p if L ∈ L^p, "
            "c_d = √2 Γ((d+1)/2)/Γ(d/2)."
        ),
        latex=r"\|\nabla L_\sigma\|_{L^p} \le \min\bigl(\|\nabla L\|_{L^p}, \tfrac{c_d}{\sigma}\|L\|_{L^p}\bigr)",
        assumptions=("L ∈ C¹(R^d)", "∇L ∈ L^p (part 1)", "L ∈ L^p (part 2)"),
        equations=tuple(range(41, 53)),
        definitions={
            39: "defines the density φ_σ of N(0, σ² I_d)",
            40: "defines L_σ as the convolution φ_σ * L",
        },
        others=("Theorem 4",),
        check=check_theorem_4,
    ),
)
