"""Theorem 4: Gaussian smoothing contracts gradients and controls their scale, Eq. (39)–(52)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import sympy as sp

from grasp_theory.smoothing import mean_norm
from grasp_theory.smoothing.constants import SUPREMUM_GAIN, WAVE_GAIN
from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_4 import gradient_contraction, scale_control
from paper_checks.claims.smoothing.instances import (
    DIMENSIONS,
    EXPONENTS,
    PATCH_LATENT,
    Instance,
    ball,
    instances,
    step,
)
from paper_checks.claims.smoothing.theorem_4_proof import examine_proof
from paper_checks.claims.smoothing.theorem_4_scope import examine_scope
from paper_checks.claims.smoothing.theorem_4_search import record_curves, record_sharpness
from paper_checks.engine.inspection import identity, judge
from paper_checks.engine.records import Claim, Evidence, Grade
from paper_checks.engine.run import Run


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
    examine_proof(run)
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
