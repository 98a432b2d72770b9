"""The proof of Theorem 5 line by line: Eq. (62)–(73), in symbols and on the explicit models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import sympy as sp
import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.theorems import TheoremCheck
from grasp_theory.theorems.theorem_5 import (
    SurgeredModel,
    SwappedPair,
    jacobian_pair,
    separation,
    state_gradient,
)
from linear_systems.errors import ParameterError
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.theorem_5.losses import candidate_losses, pair_code, points, random_pairs
from paper_checks.engine.inspection import identity, judge
from paper_checks.engine.records import Evidence, Grade
from paper_checks.engine.run import Run

Point = tuple[Tensor, Tensor, Tensor]
"""(s, a, F(s, a))."""
Jacobians = tuple[Tensor, Tensor]
"""(J_F, J_G)."""


def examine_proof(run: Run) -> None:
    """Record the examinations of Eq. (62)–(73)."""
    _examine_first_half(run)
    _examine_second_half(run)


def _examine_first_half(run: Run) -> None:
    run.examine(
        "∇_{s_1} L_F = ∂Φ/∂s_1 + (∇_s F)ᵀ ∂Φ/∂y_1",
        _inspect_chain_rule,
        "transposed",
        false_variants={"∇_s F in place of its transpose": "not transposed", "without ∂Φ/∂s_1": "dropped"},
        equations=(62,),
    )
    run.examine(
        "F = H + ψ((y_1 − H_1) + (J_F − ∇_s H_1)(s − s_1)) has the value y_1 and state Jacobian J_F there",
        _inspect_surgery,
        0,
        false_variants={"a bump with a slope at its centre": 1},
        equations=(63, 64),
    )
    run.examine(
        "the bump is C^∞: derivatives of exp(−1/x) are polynomials in 1/x times exp(−1/x) and tend to 0",
        _inspect_flatness,
        1,
        false_variants={"the recursion without the factor 1/x²": 0},
    )
    run.examine(
        "for arbitrary arguments the models F, G exist, and ∇L_F − ∇L_G = (J_F − J_G)ᵀ ∂Φ/∂y_1",
        lambda variant: _inspect_jacobian_pairs(run, *variant),
        ("transposed", False),
        false_variants={
            "J_F − J_G in place of its transpose": ("not transposed", False),
            "arguments with (s_1, a_1) = (s_0, a_0) and y_0 ≠ y_1": ("transposed", True),
        },
        equations=(63, 64, 65),
    )
    run.examine(
        "if (J_F − J_G)ᵀ w = 0 for all Jacobians then w = 0",
        _inspect_all_differences,
        "every matrix",
        false_variants={"antisymmetric differences only, n odd": "antisymmetric"},
        equations=(66,),
    )


def _examine_second_half(run: Run) -> None:
    run.examine(
        "the loss's change between F and G is the line integral of ∂Φ/∂y_1, so without it L_F ≡ L_G",
        lambda factor: _inspect_separation(run, factor),
        1.0,
        false_variants={"1 − 10⁻⁶ of the integral": 1.0 - 1e-6},
        equations=(67, 68),
    )
    run.examine(
        "the constructed F, G agree on the whole first step and exchange which second step reaches g",
        lambda variant: _inspect_swapped_models(run, variant),
        "exchanged",
        false_variants={"G = F": "equal", "s_A = s_0": "coincident"},
        equations=(69, 70, 71, 72, 73),
    )


def _inspect_chain_rule(variant: str) -> Evidence:
    """Differentiate Φ(s, a_0, a_1, y_0, F(s, a_1)) for generic F and the generic quadratic Φ, n = 2."""
    s1, s2, a0, a1, u1, u2, v1, v2 = sp.symbols("s_1 s_2 a_0 a_1 u_1 u_2 v_1 v_2", real=True)
    arguments = sp.Matrix([s1, s2, a0, a1, u1, u2, v1, v2])
    quadratic, linear = sp.Matrix(8, 8, sp.symbols("q:64")), sp.Matrix(sp.symbols("c:8"))
    phi = (arguments.T * quadratic * arguments)[0] + linear.dot(arguments)
    f = sp.Matrix([sp.Function(name)(s1, s2, a1) for name in ("F_1", "F_2")])
    jacobian = f.jacobian([s1, s2])
    at_prediction = {v1: f[0], v2: f[1]}
    left = sp.Matrix([phi.subs(at_prediction).diff(s) for s in (s1, s2)])
    direct = sp.Matrix([phi.diff(s1), phi.diff(s2)]).subs(at_prediction)
    sensitivity = sp.Matrix([phi.diff(v1), phi.diff(v2)]).subs(at_prediction)
    matrix = jacobian if variant == "not transposed" else jacobian.T
    right = matrix * sensitivity + (sp.zeros(2, 1) if variant == "dropped" else direct)
    return identity(
        [left - right],
        "chain rule for generic F",
        "n = 2, m = 1; only first derivatives of Φ enter, and a quadratic takes every value of them",
    )


def _inspect_surgery(slope: int) -> Evidence:
    """Differentiate (64) at the centre for generic H and a bump with ψ = 1 and the given slope there."""
    x, y, a, b, c = sp.symbols("s_1 s_2 a c_1 c_2", real=True)
    h = sp.Matrix([sp.Function(name)(x, y, a) for name in ("H_1", "H_2")])
    psi = sp.Function("psi")(x, y, a)
    wanted, values = sp.Matrix(2, 2, sp.symbols("J:4")), sp.Matrix(sp.symbols("y:2"))
    center = {x: b, y: c}
    h_center = h.subs(center)
    jacobian_center = h.jacobian([x, y]).subs(center).doit()
    model = h + psi * ((values - h_center) + (wanted - jacobian_center) * sp.Matrix([x - b, y - c]))
    derivative = model.jacobian([x, y]).subs(center).doit()
    flat = {psi.diff(v).subs(center).doit(): slope for v in (x, y)}
    one = {psi.subs(center): 1}
    value = model.subs(center).subs(one) - values
    return identity(
        [value, derivative.subs(flat).subs(one) - wanted],
        "F(s_1, a_1) = y_1 and ∇_s F(s_1, a_1) = J_F for every H, given ψ = 1 and ∇ψ = 0 at the centre",
        "n = 2, m = 1; the entries do not interact, so for every n, m",
    )


def _inspect_flatness(power: int) -> Evidence:
    x, z = sp.symbols("x z", positive=True)
    k = sp.symbols("k", integer=True, positive=True)
    polynomial = sp.Function("p")
    following = (z ** (2 * power) * (polynomial(z) - polynomial(z).diff(z))).subs(z, 1 / x).doit()
    recursion = sp.diff(polynomial(1 / x) * sp.exp(-1 / x), x).doit() - following * sp.exp(-1 / x)
    return identity(
        [sp.simplify(recursion), sp.limit(z**k * sp.exp(-z), z, sp.oo)],
        "d/dx p(1/x)e^{−1/x} = q(1/x)e^{−1/x} with q(z) = z²(p(z) − p'(z)), and z^k e^{−z} → 0 for every k",
        "generic p: by induction every derivative has this form and vanishes at 0",
    )


def _inspect_all_differences(kind: str) -> Evidence:
    w = sp.Matrix(sp.symbols("w:3", real=True))
    if kind == "every matrix":
        basis = [sp.Matrix(3, 3, lambda i, j, e=e: int(3 * i + j == e)) for e in range(9)]
    else:
        basis = [sp.Matrix([[0, a, b], [-a, 0, c], [-b, -c, 0]]) for a, b, c in [(1, -2, 3)]]
    solutions = sp.linsolve([entry for matrix in basis for entry in matrix.T * w], *w)
    return identity(
        [entry for solution in solutions for entry in solution],
        f"the only w with Dᵀw = 0 for {kind} D is 0 (D = I alone suffices)",
        "n = 3; D = I works for every n.  Arguments with (s_1, a_1) = (s_0, a_0) and y_0 ≠ y_1 belong to no "
        "model; there ∂Φ/∂y_1 = 0 follows by continuity, as Φ is C¹",
    )


def _inspect_jacobian_pairs(run: Run, product: str, coincident: bool) -> Evidence:
    rng = run.rng("jacobian pairs")

    def evaluations() -> Iterator[tuple[TheoremCheck, Callable[[], str]]]:
        for _ in range(run.size(16, 6)):
            pair = next(random_pairs(rng, 1))
            n, m = len(pair.goal), len(pair.actions[0])
            s_0, a_0, y_0, s_1, a_1, y_1 = points(rng, n, m, n, n, m, n)
            if coincident:
                s_1, a_1 = s_0, a_0
            difference, other = (torch.tensor(rng.standard_normal((n, n))) for _ in range(2))
            first, second = (s_0, a_0, y_0), (s_1, a_1, y_1)
            jacobians = (other + difference, other)
            distance = float(torch.cat([s_1 - s_0, a_1 - a_0]).norm())
            models = jacobian_pair(first, second, jacobians, distance / 2.0 or 1.0)

            def code(first: Point = first, second: Point = second, jacobians: Jacobians = jacobians) -> str:
                values = ([vector.tolist() for vector in point] for point in (first, second, jacobians))
                return "first, second, jacobians = {}, {}, {}".format(*values)

            for check in _prescribed(models, first, second, jacobians):
                yield check, code
            for loss in candidate_losses(pair).values():
                slope: Tensor = torch.func.grad(loss, argnums=4)(s_1, a_0, a_1, y_0, y_1)
                own: Tensor = torch.func.grad(loss, argnums=0)(s_1, a_0, a_1, y_0, y_1)
                stated = (difference if product == "not transposed" else difference.T) @ slope
                of_f, of_g = (state_gradient(loss, model, s_0, (s_1, a_0, a_1)) for model in models)
                scale = float(own.norm() + (jacobians[0].norm() + jacobians[1].norm()) * slope.norm())
                error = float((of_f - of_g - stated).norm())
                yield TheoremCheck(error, 0.0, "<=", rounding_allowance(scale, n + m), {}), code

    try:
        return judge(evaluations(), "values, Jacobians and gradient differences by automatic differentiation")
    except ParameterError as error:
        return Evidence(Grade.NUMERICAL, False, f"no such models: {error}")


def _prescribed(
    models: tuple[SurgeredModel, SurgeredModel], first: Point, second: Point, jacobians: Jacobians
) -> Iterator[TheoremCheck]:
    """Yield the records of F(s_0, a_0) = y_0, F(s_1, a_1) = y_1 and ∇_s F(s_1, a_1) = J for both models."""
    for model, jacobian in zip(models, jacobians, strict=True):
        found: Tensor = torch.func.jacrev(model.step)(second[0], second[1])
        scale = float(first[2].norm() + second[2].norm() + jacobian.norm())
        for error in (
            model.step(first[0], first[1]) - first[2],
            model.step(second[0], second[1]) - second[2],
            found - jacobian,
        ):
            allowance = rounding_allowance(scale, len(first[2]))
            yield TheoremCheck(float(error.norm()), 0.0, "<=", allowance, {})


def _inspect_separation(run: Run, factor: float) -> Evidence:
    def evaluations() -> Iterator[tuple[TheoremCheck, Callable[[], str]]]:
        for pair in random_pairs(run.rng("separation"), run.size(8, 3)):
            for name, loss in candidate_losses(pair).items():
                found = separation(loss, pair)
                altered = replace(found, bound=factor * found.bound)
                yield altered, lambda name=name, pair=pair: f"# {name}\n{pair_code(pair)}"  # type: ignore[misc]

    return judge(evaluations(), "L_F(z_B) − L_F(z_A) + L_G(z_A) − L_G(z_B) against ∫∂Φ/∂y_1, Gauss–Legendre")


def _inspect_swapped_models(run: Run, variant: str) -> Evidence:
    rng = run.rng("first steps")
    failures, code, count = 0, "", 0
    for pair in random_pairs(run.rng("swapped"), run.size(12, 4)):
        try:
            states = (pair.initial_state if variant == "coincident" else pair.states[0], pair.states[1])
            f, g = replace(pair, states=states).models()
        except ParameterError as error:
            return Evidence(Grade.NUMERICAL, False, f"no such models: {error}")
        actions = torch.tensor(rng.standard_normal((200, len(pair.actions[0])))) * 3.0
        steps = _swapped_values(pair, f, f if variant == "equal" else g, actions)
        count += 1
        if not all(steps.values()):
            failures, code = failures + 1, pair_code(pair)
    summary = (
        f"(69) bitwise on 200 actions and (70)–(73) to rounding, on {count} pairs of models; {failures} fail"
    )
    return Evidence(Grade.NUMERICAL, failures == 0, summary, {"pairs": count, "failures": failures}, code)


def _swapped_values(
    pair: SwappedPair, f: SurgeredModel, g: SurgeredModel, actions: Float[Tensor, "count m"]
) -> dict[str, bool]:
    """Return which of (69)–(73) hold; a value is attained if it is met to rounding."""
    (s_a, u, then), (s_b, v, _) = pair.decisions()
    s_0, goal = pair.initial_state, pair.goal
    near = rounding_allowance(float(goal.norm() + s_a.norm() + s_b.norm() + pair.miss.norm()), len(goal))

    def attains(model: SurgeredModel, state: Tensor, action: Tensor, target: Tensor) -> bool:
        return float((model.step(state, action) - target).norm()) <= near

    return {
        "(69)": torch.equal(f.step(s_0, actions), g.step(s_0, actions)),
        "(70)": attains(f, s_0, u, s_a) and attains(g, s_0, u, s_a),
        "(71)": attains(f, s_0, v, s_b) and attains(g, s_0, v, s_b),
        "(72)": attains(f, s_a, then, goal) and not attains(f, s_b, then, goal),
        "(73)": attains(g, s_b, then, goal) and not attains(g, s_a, then, goal),
    }
