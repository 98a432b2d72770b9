"""What Corollary 1 needs and what it is not about: interchange, boundedness, the method's own update."""

from __future__ import annotations

import sympy as sp

from paper_checks.engine.records import Evidence, Grade
from paper_checks.engine.run import Run


def examine_scope(run: Run) -> None:
    """Record the caveats on the corollary's assumptions and on its use."""
    y = sp.Symbol("y", positive=True)
    run.caveat(
        "E‖∇L(s + ξ)‖ < ∞ at the point s alone is not enough for (54): with L'(y) = y² exp(y²/2)/(1+y²)² for y > 0 and 0 "
        "otherwise, σ = 1, it is finite at s = 0, yet L_σ = ∞ at every s > 0; it must hold near s",
        _inspect_single_point,
        y**2 * sp.exp(y**2 / 2) / (1 + y**2) ** 2,
        false_variants={"slower growth, exp(y²/4)": y**2 * sp.exp(y**2 / 4) / (1 + y**2) ** 2},
    )
    run.caveat(
        "a bounded smooth L need not have E‖∇L(s + ξ)‖ < ∞, so the second half of (55) needs the first assumption too: "
        "L(s) = cos(exp(s²)), σ² ≥ 1/2",
        _inspect_bounded_loss,
        sp.Rational(1, 2),
        false_variants={"σ² = 49/100": sp.Rational(49, 100)},
        true_variants={"σ² = 1": sp.Integer(1)},
    )
    run.caveat(
        "the corollary is not about the method's own state update (8), (11): with the state input detached it is the "
        "gradient of no loss, so there is no L whose L_σ it could follow",
        _inspect_update,
        "detached",
        false_variants={"the full gradient of (4)": "full"},
    )


def _inspect_single_point(slope: sp.Expr) -> Evidence:
    """Judge whether E|L'(ξ)| is finite at s = 0 while the integrand of L_σ(s) grows without bound for s > 0."""
    y = sp.Symbol("y", positive=True)
    density = sp.exp(-(y**2) / 2) / sp.sqrt(2 * sp.pi)
    at_zero = sp.integrate(sp.simplify(slope * density), (y, 0, sp.oo))
    # L(y)φ(y − s) → ∞ if L'(y)/(φ^{-1}(y − s))' does, by l'Hôpital; s = 1/10 stands for every s > 0 by monotonicity of
    # exp(ys), checked at a second point.
    limits = []
    for shift in (sp.Rational(1, 10), sp.Integer(1)):
        exponent = (y - shift) ** 2 / 2
        ratio = sp.simplify(slope / sp.diff(sp.exp(exponent), y))
        limits.append(sp.limit(ratio, y, sp.oo))
    passed = bool(at_zero.is_finite) and all(limit == sp.oo for limit in limits)
    return Evidence(
        Grade.SYMBOLIC,
        passed,
        f"E|L'(ξ)| = {at_zero} at s = 0; the integrand L(y)φ(y − s) of L_σ(s) tends to "
        f"{' and '.join(map(str, limits))} (up to a factor) at s = 1/10 and 1",
        {"E|L'| at s = 0": str(at_zero)},
        "import numpy as np\n"
        "gradient = lambda y: np.where(y > 0, y**2 * np.exp(y**2 / 2) / (1 + y**2) ** 2, 0.0)\nsigma, point = 1.0, 0.0",
    )


def _inspect_bounded_loss(variance: sp.Rational) -> Evidence:
    """Judge whether E|L'(ξ)| is infinite for L(s) = cos(exp(s²)).

    With y = exp(s²) it is (2/√(2πσ²)) ∫_1^∞ |sin y| y^{−a} dy, a = 1/(2σ²), and on [kπ, (k+1)π] the integral of |sin| is 2,
    so it lies between multiples of Σ ((k+1)π)^{−a} and Σ (kπ)^{−a}.
    """
    k = sp.Symbol("k", integer=True, positive=True)
    a = 1 / (2 * variance)
    below = sp.Sum(2 / ((k + 1) * sp.pi) ** a, (k, 1, sp.oo))
    diverges = not bool(below.is_convergent())
    u = sp.Symbol("u", positive=True)
    # d(cos y)/ds = −sin(y) · dy/ds with dy = 2 s e^{s²} ds, and φ_σ(s) = φ_σ(0) y^{−a}.
    substituted = sp.simplify(sp.exp(-(u**2) / (2 * variance)) - sp.exp(u**2) ** (-a)) == 0
    return Evidence(
        Grade.SYMBOLIC,
        diverges and substituted,
        f"σ² = {variance}: E|L'(ξ)| is at least a multiple of Σ ((k+1)π)^(−{a}), which "
        f"{'diverges' if diverges else 'converges'}; |L| ≤ 1",
        {"σ²": str(variance), "diverges": diverges},
        f"import numpy as np\nsigma = float({variance}) ** 0.5\nloss = lambda s: np.cos(np.exp(s**2))",
    )


def _inspect_update(kind: str) -> Evidence:
    """Judge whether the field of state updates has a Jacobian that is not symmetric (so it is no gradient), T = 3."""
    s = sp.symbols("s_0:4", real=True)
    copies = sp.symbols("c_0:4", real=True)
    model = sp.Function("F")
    loss = sum((model(copies[t]) - s[t + 1]) ** 2 for t in range(3))
    if kind == "full":
        loss = loss.subs(dict(zip(copies, s, strict=True)))
    field = [sp.diff(loss, s[t]).subs(dict(zip(copies, s, strict=True))) for t in (1, 2)]
    curl = sp.simplify((sp.diff(field[0], s[2]) - sp.diff(field[1], s[1])).doit())
    return Evidence(
        Grade.SYMBOLIC,
        bool(curl != 0),
        f"scalar states, T = 3, actions fixed, arbitrary F: ∂g_1/∂s_2 − ∂g_2/∂s_1 = {curl}",
        {"curl": str(curl)},
        "import numpy as np\nF = np.tanh\nupdate = lambda s0, s1, s2: (2 * (s1 - F(s0)), 2 * (s2 - F(s1)))",
    )
