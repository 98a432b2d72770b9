"""The features of a plan are those of its parts."""

from __future__ import annotations

import pytest
import torch

from grasp_theory import GRASP, Ensemble, PlanningProblem
from grasp_theory.trust.agreement import agreement
from grasp_theory.trust.density import Transitions
from grasp_theory.trust.evidence import evidence
from linear_systems.errors import ParameterError

B, T = 4, 5
START, GOAL = torch.randn(2, B, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def view(gain: float) -> PlanningProblem:
    return PlanningProblem(lambda s, a: s + gain * a, START, GOAL, T, 2, seeds=range(B))


VIEWS = {"one": view(0.3), "two": view(0.4)}
S, A = torch.randn(2, 50, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
SEEN = {name: Transitions(each.model, S, A, S + 0.35 * A) for name, each in VIEWS.items()}


def test_parts_come_together() -> None:
    plan = GRASP(iterations=20, check_every=5, restarts=2).plan(VIEWS["one"], history=True)
    found = evidence(plan, VIEWS, transitions=SEEN)
    for name, values in agreement(VIEWS, plan.actions).items():
        assert torch.equal(found[name], values)
    near = [SEEN[name].features(VIEWS[name], plan.actions) for name in VIEWS]
    for name in ("far", "error", "corrected"):
        torch.testing.assert_close(found[name], (near[0][name] + near[1][name]) / 2)
    assert torch.equal(found["loss"], plan.loss)
    assert plan.history is not None
    last = torch.stack(
        [
            torch.stack([row[~row.isnan()][-1] for row in plan.history.defect[:, i].unbind(1)]).min()
            for i in range(B)
        ]
    )
    torch.testing.assert_close(found["defect"], last)
    assert all(values.shape == (B,) and values.dtype == torch.float64 for values in found.values())


def test_actions_alone_tell_no_loss() -> None:
    found = evidence(torch.zeros(B, T, 2, dtype=torch.float64), VIEWS)
    assert set(found) == {"distance one", "distance two", "worst", "mean", "spread"}


def test_transitions_of_no_view_are_refused() -> None:
    with pytest.raises(ParameterError, match="three"):
        evidence(torch.zeros(B, T, 2), VIEWS, transitions={"three": SEEN["one"]})


def test_views_of_other_problems_than_the_plan_s_are_refused() -> None:
    plan = GRASP(iterations=1).plan(VIEWS["one"])
    others = {
        name: PlanningProblem(each.dynamics, START.flip(0), GOAL, T, 2, seeds=range(B))
        for name, each in VIEWS.items()
    }
    with pytest.raises(ParameterError, match="views"):
        evidence(plan, others)
    evidence(plan, {"other": others["one"], **VIEWS})  # each model has states of its own


def test_a_plan_of_a_product_of_models_is_weighed_in_each() -> None:
    both = Ensemble([each.dynamics for each in VIEWS.values()])
    start, goal = both.stack([START, START]), both.stack([GOAL, GOAL])
    plan = GRASP(iterations=1).plan(PlanningProblem(both, start, goal, T, 2, seeds=range(B)))
    assert "worst" in evidence(plan, VIEWS)
