"""Theorem 5 and its informal form, Theorem 1: Eq. (58)–(74)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from grasp_theory.theorems.theorem_5 import Loss, SwappedPair, jacobian_pair, separation
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.theorem_5.gaps import record_gaps
from paper_checks.claims.theorem_5.losses import (
    PAPER_LOSSES,
    Functional,
    candidate_losses,
    double_integrator,
    functional,
    functional_state_gradient,
    pair_code,
    points,
    random_pairs,
    rollout_functional,
)
from paper_checks.claims.theorem_5.proof import examine_proof
from paper_checks.engine.records import Claim, Evidence, Grade, Sharpness
from paper_checks.engine.run import Run

Family = Callable[[SwappedPair], Mapping[str, Functional]]
"""The losses to try on a pair of models."""

PAPER_TABLE = {
    (4, False): (True, False),
    (8, False): (True, False),
    (8, True): (False, True),
    (10, False): (False, False),
    (10, True): (False, True),
}
"""(equation, stop-gradient) -> (minimisers are exactly the feasible plans, gradient is Jacobian-free)."""


def check_theorem_1(run: Run) -> None:
    """Execute the contradiction on a family of losses, and without the form (58)."""
    run.examine(
        "no loss of the family has exactly the feasible plans as minimisers and a Jacobian-free gradient",
        lambda family: _inspect_contradiction(run, family),
        _phi_family,
        false_variants={
            "the family and one loss that also evaluates F at (F(s_0, a_0), a_1)": _family_with_rollout
        },
    )
    run.caveat(
        "Theorem 1 leaves out the form (58) of the loss.  Without it ‖F(s_0,a_0) − s_1‖² + "
        "‖F(F(s_0,a_0),a_1) − g‖² has exactly the feasible plans as minimisers and the state gradient "
        "2(s_1 − F(s_0,a_0)): both properties, as Theorem 5 states them for ∇_{s_1} only; the state "
        "Jacobian then enters the action gradient",
        lambda family: _inspect_escape(run, family),
        _family_with_rollout,
        false_variants={"the family of the form (58)": _phi_family},
    )


def check_theorem_5(run: Run) -> None:
    """Examine the proof line by line, the constructed models, the contradiction and the paper's losses."""
    examine_proof(run)
    run.examine(
        "z_A is feasible for F only and z_B for G only, so no loss of the family has both properties",
        lambda family: _inspect_contradiction(run, family),
        _phi_family,
        false_variants={"the family and one loss that is not of the form (58)": _family_with_rollout},
        equations=(74,),
    )
    run.examine(
        "each loss of the paper gives up one of the two properties, or both",
        lambda table: _inspect_paper_losses(run, table),
        PAPER_TABLE,
        false_variants={
            "Eq. (8) with stop-gradient gives up nothing": {**PAPER_TABLE, (8, True): (True, True)},
            "Eq. (4) is Jacobian-free": {**PAPER_TABLE, (4, False): (True, True)},
        },
    )
    record_gaps(run)
    _record_sharpness(run)


def _phi_family(pair: SwappedPair) -> Mapping[str, Functional]:
    return {name: functional(loss) for name, loss in candidate_losses(pair).items()}


def _family_with_rollout(pair: SwappedPair) -> Mapping[str, Functional]:
    return {**_phi_family(pair), "rollout loss and ‖F(s_0,a_0) − s_1‖²": rollout_functional(pair.goal)}


def _properties(run: Run, family: Family) -> Iterator[tuple[str, bool, bool, SwappedPair]]:
    """Yield, for each loss and pair, whether it can have property 1 on F and G, and whether it has 2."""
    rng = run.rng("properties")
    for pair in random_pairs(run.rng("contradiction"), run.size(6, 3)):
        (z_a, z_b), (f, g) = pair.decisions(), pair.models()
        n, s_0 = len(pair.goal), pair.initial_state
        s_1, a_1, y_0, y_1 = points(rng, n, len(z_a[1]), n, n)
        radius, a_0 = float((s_1 - s_0).norm()) / 2.0, z_a[1]
        agreeing = jacobian_pair((s_0, a_0, y_0), (s_1, a_1, y_1), _opposite_jacobians(n), radius)
        for name, value in family(pair).items():
            first = float(value(f, s_0, z_b) - value(f, s_0, z_a))
            second = float(value(g, s_0, z_a) - value(g, s_0, z_b))
            gradients = [functional_state_gradient(value, model, s_0, (s_1, a_0, a_1)) for model in agreeing]
            noise = rounding_allowance(float(gradients[0].norm() + gradients[1].norm()), n)
            yield name, first > 0.0 < second, float((gradients[0] - gradients[1]).norm()) <= noise, pair


def _opposite_jacobians(n: int) -> tuple[Tensor, Tensor]:
    return torch.eye(n, dtype=torch.float64), -torch.eye(n, dtype=torch.float64)


def _inspect_contradiction(run: Run, family: Family) -> Evidence:
    verdicts: dict[str, set[str]] = {}
    code = ""
    for name, separates, jacobian_free, pair in _properties(run, family):
        lost = {(True, True): "neither", (True, False): "2", (False, True): "1", (False, False): "1 and 2"}
        verdicts.setdefault(name, set()).add(lost[separates, jacobian_free])
        if separates and jacobian_free:
            code = f"# {name}\n{pair_code(pair)}"
    escaped = [name for name, lost in verdicts.items() if "neither" in lost]
    return Evidence(
        Grade.NUMERICAL,
        not escaped,
        f"{len(verdicts)} losses on explicit models F, G: whether L_F(z_A) < L_F(z_B) and L_G(z_B) < "
        "L_G(z_A), as property 1 needs, and equal state gradients, property 2; with both: "
        f"{escaped or 'none'}",
        {f"property lost by {name}": " or ".join(sorted(lost)) for name, lost in verdicts.items()},
        code,
    )


def _inspect_escape(run: Run, family: Family) -> Evidence:
    found = _inspect_contradiction(run, family)
    return Evidence(found.grade, not found.passed, found.summary, found.numbers, found.instance)


def _inspect_paper_losses(run: Run, table: Mapping[tuple[int, bool], tuple[bool, bool]]) -> Evidence:
    """Solve each loss exactly on the double integrator; compare its state gradients on a Jacobian pair."""
    rng = run.rng("paper losses")
    problem = double_integrator()
    s_0, a_0, y_0, s_1, a_1, y_1, goal = points(rng, 2, 1, 2, 2, 1, 2, 2)
    radius = float((s_1 - s_0).norm()) / 2.0
    models = jacobian_pair((s_0, a_0, y_0), (s_1, a_1, y_1), _opposite_jacobians(2), radius)
    numbers: dict[str, str] = {}
    passed = True
    for loss in PAPER_LOSSES:
        rows = problem.stationary_plans(loss)
        exact = rows == problem.feasible_plans()
        f, g = (loss.state_gradient(model, s_0, goal, (s_1, a_0, a_1)) for model in models)
        # The models' values agree up to rounding only, so bitwise equality would ask too much.
        free = float((f - g).norm()) <= rounding_allowance(float(s_1.norm() + y_0.norm() + y_1.norm()), 2)
        passed &= table[loss.equation, loss.stopped] == (exact, free)
        plan, defect = problem.example(rows, free_value=2)
        lost = [side for side, kept in (("property 1", exact), ("property 2", free)) if not kept]
        example = "" if exact else f"; infeasible: {plan}, squared defect {defect}"
        numbers[loss.name] = f"gives up {' and '.join(lost) or 'nothing'}{example}"
    return Evidence(
        Grade.CERTIFIED,
        passed,
        "double integrator, T = 2, from (0,0) to (1,0), γ = 1, in rational arithmetic; s0, s1 the "
        "state, a0, b0 the actions.  A stop-gradient loss is no function, so its stationary plans are "
        "meant; as a value (8) is (4).  Property 2 by the objectives' own gradients on models with "
        "opposite Jacobians",
        numbers,
        "A, B, s_0, g = [[1, 1], [0, 1]], [[0], [1]], [0, 0], [1, 0]  # feasible: s_1 = (0, 1), a = (1, −1)",
    )


def _record_sharpness(run: Run) -> None:
    pair = next(random_pairs(run.rng("sharpness"), 1))

    def nearly_norm(s: Tensor, a: Tensor, b: Tensor, y0: Tensor, y1: Tensor) -> Tensor:
        return (y0 - s).square().sum() + ((y1 - pair.goal).square().sum() + 1e-6).sqrt()

    def ratio(loss: Loss) -> float:
        found = separation(loss, pair).quantities
        return found["least sensitivity"] / found["sensitivity"]

    run.sharpness(
        Sharpness(
            "quantitative form: a loss that separates z_A from z_B by D in all has ‖∂Φ/∂y_1‖ ≥ D/Δ somewhere",
            ratio(nearly_norm),
            f"Φ with √(‖y_1 − g‖² + 10⁻⁶); Eq. (4) has ratio {ratio(candidate_losses(pair)['Eq. (4)']):.3f}",
            pair_code(pair),
        )
    )


CLAIMS = (
    Claim(
        id="thm1",
        title="No loss both enforces the dynamics and ignores the state gradient (informal)",
        source="Section 3.3, Theorem 1",
        statement=(
            "A differentiable loss over state and action trajectories cannot both have the dynamically "
            "feasible trajectories as minimisers and be insensitive to the model's state gradient.  "
            "The informal form of Theorem 5."
        ),
        assumptions=(
            "differentiable loss",
            "(Theorem 5) the loss sees only the values F(s_t, a_t)",
        ),
        others=("Theorem 1",),
        check=check_theorem_1,
    ),
    Claim(
        id="thm5",
        title="No exact dynamics-enforcing loss has Jacobian-free state gradients",
        source="Appendix A.4, Theorem 5",
        statement=(
            "T = 2, s_2 = g.  For no C¹ Φ does L_F(s_1, a_0, a_1) = Φ(s_1, a_0, a_1, F(s_0, a_0), "
            "F(s_1, a_1)) have, for every C¹ model F, both argmin L_F = M(F) and a gradient ∇_{s_1} "
            "L_F that is the same for all models with equal values at (s_0, a_0) and (s_1, a_1)."
        ),
        latex=r"\nexists\,\Phi\in C^1\ \forall F:\ \operatorname{arg\,min} L_F = \mathcal{M}(F)\ \text{and}\ "
        r"\nabla_{s_1} L_F \text{ independent of } \nabla_s F",
        assumptions=("S, A open and connected", "Φ is C¹", "L_F has the form (58)", "for every C¹ model F"),
        equations=tuple(range(62, 75)),
        definitions={
            58: "the form of the losses that the theorem is about",
            59: "notation: y_0 is the first one-step prediction",
            60: "notation: y_1 is the second one-step prediction",
            61: "definition of the feasible set M(F)",
        },
        others=("Theorem 5",),
        check=check_theorem_5,
    ),
)
