"""What the proof of Theorem 5 passes over, with repairs, and what the theorem does not exclude."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp
import torch
from torch import Tensor

from grasp_theory.dynamics import Dynamics
from grasp_theory.theorems.theorem_5 import SurgeredModel, Surgery, SwappedPair, bump, constant
from paper_checks.claims.theorem_5.losses import (
    ExactPlan,
    PaperLoss,
    candidate_losses,
    double_integrator,
    functional,
    functional_state_gradient,
    scalar_integrator,
)
from paper_checks.engine.records import Evidence, Grade
from paper_checks.engine.run import Run


def record_gaps(run: Run) -> None:
    """Record the caveats of Theorem 5."""
    run.caveat(
        "the stop-gradient losses (8) and (10) are outside the theorem: their update is the gradient "
        "of no Φ.  Where B is square and invertible the field of (8) is Jacobian-free and vanishes "
        "exactly on the feasible plans",
        _inspect_field_keeps_both,
        scalar_integrator(),
        false_variants={"the double integrator, B of rank 1 in dimension 2": double_integrator()},
    )
    run.caveat(
        "property 1 is asked of models that cannot reach g too, where the feasible set is empty: there "
        "Eq. (4) still has minimisers, so it lacks property 1 as stated.  Some losses have it: "
        "R/((1+R)(1+‖a_0‖²)) with R of (4) has infimum 0, attained exactly on the feasible plans.  The "
        "proof's F and G both reach g, so the theorem stays true if property 1 is asked of models with "
        "feasible plans only",
        _inspect_unreachable,
        "Eq. (4)",
        false_variants={"R/((1+R)(1+a_0²))": "bounded"},
    )
    run.caveat(
        "'two distinct states s_A, s_B' must also differ from s_0: with s_A = s_0, (69), (72) and (73) "
        "contradict each other",
        _inspect_coincidence,
        True,
        false_variants={"s_A, s_B and s_0 distinct": False},
    )
    run.caveat(
        "Eq. (64) with an arbitrary base map need not map into S.  For convex S a ball of radius below "
        "(distance of [H, y_1] to the boundary)/‖J_F‖ repairs it; for other S no radius does, and the "
        "value must be moved along a path in S: there the connectedness of S is used for the models to "
        "exist",
        _inspect_range,
        (_interval_model(0.2), _annulus_straight()),
        false_variants={
            "radius 1/128 in the interval, a path along the arc in the annulus": (
                _interval_model(1 / 128),
                _annulus_arc(),
            )
        },
    )
    run.caveat(
        "'for every model F' is needed: with one F in mind, ‖y_0 − s_1‖² + ‖F(s_1, a_1) − g‖² with F "
        "written into Φ has both properties, and y_1 is not used",
        lambda models: _inspect_one_model(run, models),
        "F only",
        false_variants={"for F and G": "F and G"},
    )


def _inspect_field_keeps_both(problem: ExactPlan) -> Evidence:
    loss = PaperLoss(8, stopped=True)
    rows, feasible = problem.stationary_plans(loss), problem.feasible_plans()
    plan, defect = problem.example(rows, free_value=2)
    return Evidence(
        Grade.CERTIFIED,
        rows == feasible,
        "the zeros of the stop-gradient field of (8) against the feasible plans, as reduced rows of "
        "rational equations",
        {"a zero of the field": str(plan), "its squared dynamics defect": str(defect)},
    )


def _inspect_unreachable(name: str) -> Evidence:
    """Decide whether the loss has a minimiser for F ≡ 0 and g = 1, where no plan is feasible."""
    s, a = sp.symbols("s_1 a_0", real=True)
    R = s**2 + 1
    value = R if name == "Eq. (4)" else R / ((1 + R) * (1 + a**2))
    excess = sp.simplify(value - value.subs({s: 0, a: 0}))
    attained = bool(excess.is_nonnegative)
    return Evidence(
        Grade.SYMBOLIC,
        attained,
        "F ≡ 0, g = 1, n = m = 1: whether L_F(s_1, a_0, a_1) − L_F(0, 0, 0) is nonnegative for all s_1, a_0",
        {"L_F − L_F(0)": str(excess), "limit of L_F as a_0 → ∞": str(sp.limit(value, a, sp.oo))},
        "def F(s, a): return torch.zeros_like(s)  # g = 1: no feasible plan, yet s_1 = 0 minimises Eq. (4)",
    )


def _inspect_coincidence(coincide: bool) -> Evidence:
    """Collect which model must reach g from which (state, a*), and compare with F(s_0, ·) = G(s_0, ·)."""
    must_reach = {("F", "s_A"): True, ("F", "s_B"): False, ("G", "s_A"): False, ("G", "s_B"): True}
    rename = {"s_A": "s_0"} if coincide else {}
    named = {(model, rename.get(state, state)): reach for (model, state), reach in must_reach.items()}
    contradiction = named.get(("F", "s_0")) != named.get(("G", "s_0"))
    return Evidence(
        Grade.ARGUED,
        contradiction,
        "(69) asks for F(s_0, a) = G(s_0, a) for every a.  (72)–(73) ask for F(s_A, a*) = g ≠ G(s_A, a*), and the other way "
        "round at s_B.  At s_A = s_0 this asks for F(s_0, a*) = g ≠ G(s_0, a*), which (69) excludes; with three distinct "
        "states no state is asked for both",
        {"required": str(named)},
        "s_A = s_0",
    )


@dataclass(frozen=True)
class _Ranged:
    """A model with the membership test of S and points of S × A to evaluate it at."""

    model: Dynamics
    inside: Callable[[Tensor], Tensor]
    states: Tensor
    actions: Tensor

    def leaves(self) -> bool:
        return bool((~self.inside(self.model.step(self.states, self.actions))).any())


def _interval_model(radius: float) -> _Ranged:
    """S = (0, 1): from H ≡ 1/2 to 9/10 with slope 10 at s = 1/2; clearance 1/10, so radius < 1/100."""
    middle, value, slope = (torch.tensor([number], dtype=torch.float64) for number in (0.5, 0.9, 10.0))
    surgery = Surgery(middle, torch.zeros_like(middle), value, radius, slope.unsqueeze(-1))
    grid = torch.linspace(0.0, 1.0, 2001, dtype=torch.float64)[1:-1, None]
    model = SurgeredModel(constant(middle), (surgery,))
    return _Ranged(model, lambda s: (s[:, 0] > 0) & (s[:, 0] < 1), grid, torch.zeros_like(grid))


def _annulus_points() -> tuple[Tensor, Tensor]:
    angle = torch.linspace(0.0, 2.0 * torch.pi, 721, dtype=torch.float64)
    radius = torch.linspace(1.01, 1.99, 50, dtype=torch.float64)
    states = torch.stack([torch.outer(radius, wave).flatten() for wave in (angle.cos(), angle.sin())], dim=1)
    return states, torch.zeros(len(states), 1, dtype=torch.float64)


def _in_annulus(states: Tensor) -> Tensor:
    norms: Tensor = torch.linalg.vector_norm(states, dim=1)
    return (norms > 1.0) & (norms < 2.0)


def _annulus_straight() -> _Ranged:
    """S = {1 < ‖s‖ < 2}: Eq. (64) from H ≡ (3/2, 0) to (−3/2, 0) passes through 0, whatever the radius."""
    start = torch.tensor([1.5, 0.0], dtype=torch.float64)
    surgery = Surgery(start, torch.zeros(1, dtype=torch.float64), -start, 0.25)
    return _Ranged(SurgeredModel(constant(start), (surgery,)), _in_annulus, *_annulus_points())


@dataclass(frozen=True)
class _ArcModel:
    """The value is moved along the half circle of radius 3/2: F = (3/2)(cos πψ, sin πψ), C^∞ and inside S."""

    center: Tensor

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        angle = torch.pi * bump(torch.cat([state, action], dim=-1), self.center, 0.25)
        return 1.5 * torch.stack([angle.cos(), angle.sin()], dim=-1)


def _annulus_arc() -> _Ranged:
    center = torch.tensor([1.5, 0.0, 0.0], dtype=torch.float64)
    return _Ranged(_ArcModel(center), _in_annulus, *_annulus_points())


def _inspect_range(models: tuple[_Ranged, ...]) -> Evidence:
    left = [ranged.leaves() for ranged in models]
    return Evidence(
        Grade.NUMERICAL,
        all(left),
        "whether F maps some point of S outside S: S = (0,1) with J_F = 10, and the annulus 1 < ‖s‖ < "
        "2; a point found outside is a proof, a grid without one is not",
        {"interval left": left[0], "annulus left": left[1]},
        "H, y_1 = (1.5, 0.0), (-1.5, 0.0)  # halfway, where psi = 1/2, F = 0 is not in {1 < |s| < 2}",
    )


def _inspect_one_model(run: Run, models: str) -> Evidence:
    rng = run.rng("one model")
    kept = []
    for _ in range(run.size(10, 4)):
        s_0, goal, s_a, s_b, miss, s_1 = (torch.tensor(rng.standard_normal(2)) for _ in range(6))
        u, v, then = (torch.tensor(rng.standard_normal(1)) for _ in range(3))
        pair = SwappedPair(s_0, goal, (u, v, then), (s_a, s_b), miss)
        value = functional(candidate_losses(pair)["F written into Φ"])
        (z_a, z_b), (f, g) = pair.decisions(), pair.models()
        separates = float(value(f, s_0, z_a)) < float(value(f, s_0, z_b))
        if models == "F and G":
            separates &= float(value(g, s_0, z_b)) < float(value(g, s_0, z_a))
        # Φ does not use y_1, so changing the model off (s_0, a_0) leaves the gradient bitwise the same.
        point = (s_1, u, then)
        free = torch.equal(*(functional_state_gradient(value, model, s_0, point) for model in (f, g)))
        kept.append(separates and free)
    return Evidence(
        Grade.NUMERICAL,
        all(kept),
        f"{len(kept)} explicit models: L_F(z_A) < L_F(z_B) and equal state gradients, for {models}",
        {"with both properties": sum(kept)},
    )
