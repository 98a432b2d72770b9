"""What Theorem 4 is about, and what it is not: the printed variable, existence, and the paper's own losses."""

from __future__ import annotations

import sympy as sp

from paper_checks.engine.records import Evidence, Grade
from paper_checks.engine.run import Run


def examine_scope(run: Run) -> None:
    """Record the caveats on the theorem's statement."""
    s, a = sp.symbols("s a", real=True)
    run.caveat(
        "(42), (48) and the line before (47) print ∇_a where ∇_s is meant: L has no argument a, and (48) is then false",
        _inspect_printed_variable,
        a,
        false_variants={"∇_s": s},
    )
    next_state, prediction = sp.symbols("s_next F", real=True)
    run.caveat(
        "neither part ever applies to the planner's own loss (4): for every continuous F neither L_dyn nor ∇L_dyn is in "
        "any L^p, 1 ≤ p ≤ ∞, because s_{t+1} is free and enters quadratically",
        _inspect_own_loss,
        (next_state - prediction) ** 2,
        false_variants={
            "the square saturated, r²/(1 + r²): bounded": (next_state - prediction) ** 2
            / (1 + (next_state - prediction) ** 2),
            "√(1 + r²): its gradient is bounded": sp.sqrt(1 + (next_state - prediction) ** 2),
        },
    )
    run.caveat(
        "L ∈ C¹ alone, as in (40), does not define L_σ: for L(s) = exp(s²) and σ² ≥ 1/2 the integral is infinite "
        "everywhere (the hypotheses of the two parts do imply that it exists)",
        _inspect_existence,
        sp.Rational(1, 2),
        false_variants={"σ² = 49/100": sp.Rational(49, 100)},
        true_variants={"σ² = 1": sp.Integer(1)},
    )


def _inspect_printed_variable(variable: sp.Symbol) -> Evidence:
    """Judge whether ∇L_σ = (∇φ_σ) * L, the equality in (48), is false with the gradient in `variable`."""
    s = sp.Symbol("s", real=True)
    e = sp.Symbol("e", real=True)
    k, sigma = sp.symbols("k sigma", positive=True)
    density = sp.exp(-(e**2) / (2 * sigma**2)) / sp.sqrt(2 * sp.pi * sigma**2)
    integrals = [
        sp.integrate(sp.expand(kernel * sp.cos(k * (s - e)), trig=True), (e, -sp.oo, sp.oo), conds="none")
        for kernel in (density, sp.diff(density, e))
    ]
    difference = sp.simplify(sp.diff(integrals[0], variable) - integrals[1])
    return Evidence(
        Grade.SYMBOLIC,
        difference != 0,
        f"L(s) = cos(ks): ∂L_σ/∂{variable} − (∂φ_σ) * L = {difference}",
        {"difference is zero": bool(difference == 0)},
        "import sympy as sp\ns, a, k, sigma = sp.symbols('s a k sigma', positive=True)\n"
        "L_sigma = sp.exp(-k**2 * sigma**2 / 2) * sp.cos(k * s)\n"
        "print(sp.diff(L_sigma, a), sp.diff(L_sigma, s))",
    )


def _inspect_own_loss(residual_loss: sp.Expr) -> Evidence:
    """Judge whether, as s_{t+1} → ±∞ with the prediction fixed, both the loss of one transition and its slope are unbounded.

    Then L_dyn is in no L^p, whatever F: the other transitions add only squares, so L_dyn is at least this one, on the product
    of a neighbourhood of the other variables with a half line.  Nor is ∇L_dyn, although the next transition depends on
    s_{t+1} too and may bend the slope: L_dyn still rises by at least of the order of R² over a length R, so that by Hölder's
    inequality ∫|∂L_dyn|^p is at least of the order of R^{p+1}, and the slope is unbounded.
    """
    z, f = sp.symbols("s_next F", real=True)
    limits = {
        name: [sp.limit(sp.Abs(expression).subs(f, 0), z, end) for end in (sp.oo, -sp.oo)]
        for name, expression in (("L", residual_loss), ("∂L", sp.diff(residual_loss, z)))
    }
    # The expression depends on s_{t+1} − F alone, so the limits at F = 0 are those at every F.
    shift = sp.Symbol("shift", real=True)
    invariant = (
        sp.simplify(residual_loss.subs({z: z + shift, f: f + shift}, simultaneous=True) - residual_loss) == 0
    )
    outside = invariant and all(limit == sp.oo for found in limits.values() for limit in found)
    return Evidence(
        Grade.SYMBOLIC,
        bool(outside),
        f"as s_(t+1) → ±∞: |L| → {limits['L'][0]}, |∂L/∂s_(t+1)| → {limits['∂L'][0]}; depends on s_(t+1) − F only: "
        f"{invariant}.  The other transitions add squares: over a length R the whole loss rises by the order of R² at least, so "
        "that ∫|∂L|^p, by Hölder's inequality, is of the order of R^(p+1) at least",
        {"|L| at infinity": str(limits["L"][0]), "|∂L| at infinity": str(limits["∂L"][0])},
        "import numpy as np\nresidual_loss = lambda s_next, F: (s_next - F) ** 2\n"
        "print([residual_loss(10.0**k, 0.0) for k in range(6)])",
    )


def _inspect_existence(variance: sp.Rational) -> Evidence:
    """Judge whether ∫ φ_σ(ε) exp((s − ε)²) dε is infinite for every s: whether the integrand does not decay."""
    e = sp.Symbol("e", real=True)
    values = []
    for s in (sp.Integer(-1), sp.Integer(0), sp.Integer(1)):
        exponent = sp.expand((s - e) ** 2 - e**2 / (2 * variance))
        values.append(max(sp.limit(sp.exp(exponent), e, end) for end in (sp.oo, -sp.oo)))
    infinite = all(value > 0 for value in values)
    return Evidence(
        Grade.SYMBOLIC,
        bool(infinite),
        f"σ² = {variance}: at s = −1, 0, 1 the integrand's larger limit at ±∞ is {', '.join(map(str, values))}; "
        "the integral is finite only if it is 0",
        {"σ²": str(variance), "infinite": bool(infinite)},
        f"import numpy as np\nsigma = float({variance}) ** 0.5\nloss = lambda s: np.exp(s**2)",
    )
