"""Planning again where a plan is not accepted: which plan is kept, what is counted, and in closed loop."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from grasp_theory import Acceptance, GradientDescent, Plan, PlanningProblem, control, rollout
from grasp_theory.trust.acceptance import Trial
from grasp_theory.trust.attempts import OTHER_NOISE
from grasp_theory.trust.checked import CheckedPlanner
from grasp_theory.trust.evidence import evidence
from linear_systems.errors import ParameterError

B, T = 6, 4
START, GOAL = torch.randn(2, B, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
PLANNER = GradientDescent(iterations=3, initial_action_noise=0.5)


def model(state: Tensor, action: Tensor) -> Tensor:
    return state + 0.5 * action


PROBLEM = PlanningProblem(
    model, START, GOAL, T, 2, seeds=range(B), reached=lambda s, g: (s - g).norm(dim=1) < 0.2
)


def rule(threshold: float) -> Acceptance:
    """Return a rule whose probability is σ(−loss)."""
    return Acceptance(("loss",), (0.0,), (1.0,), (-1.0,), 0.0, threshold, 0.1, 0.9, Trial(1, 1, 1, 1))


def losses(problem: PlanningProblem, plan: Plan) -> Mapping[str, Tensor]:
    assert plan.loss.shape == (problem.batch,)
    return {"loss": plan.loss}


def test_the_best_of_all_attempts_is_kept_and_every_attempt_counted() -> None:
    plan = CheckedPlanner(PLANNER, rule(0.999), losses, attempts=3).plan(PROBLEM)
    once = PLANNER.plan(PROBLEM, stop_when_reached=False)
    assert bool((plan.loss <= once.loss).all())
    assert bool((plan.loss < once.loss).any())
    assert torch.equal(plan.evaluations, 3 * once.evaluations)
    assert torch.equal(plan.states, rollout(model, START, plan.actions))
    torch.testing.assert_close((plan.states[:, -1] - GOAL).square().sum(1), plan.loss)


def test_accepted_plans_stay_and_only_the_others_are_made_again() -> None:
    once = PLANNER.plan(PROBLEM, stop_when_reached=False)
    middle = float(torch.sigmoid(-once.loss.clamp(max=3)).median())
    accepted = rule(middle).accept({"loss": once.loss})
    plan = CheckedPlanner(PLANNER, rule(middle), losses, attempts=2).plan(PROBLEM)
    assert 0 < accepted.sum() < B
    assert torch.equal(plan.actions[accepted], once.actions[accepted])
    assert torch.equal(plan.evaluations[accepted], once.evaluations[accepted])
    assert bool((plan.evaluations[~accepted] > once.evaluations[~accepted]).all())
    alone = CheckedPlanner(PLANNER, rule(0.0), losses).plan(PROBLEM)
    assert torch.equal(alone.actions, once.actions)


def test_a_row_is_planned_the_same_alone() -> None:
    checked = CheckedPlanner(PLANNER, rule(0.999), losses)
    whole, part = checked.plan(PROBLEM), checked.plan(PROBLEM.part(slice(2, 3)))
    torch.testing.assert_close(part.actions, whole.actions[2:3])


def test_without_a_rule_the_plan_that_the_models_agree_on_is_taken() -> None:
    """Another model doubts what the planner's own prefers: its word decides among the attempts."""

    def other(state: Tensor, action: Tensor) -> Tensor:
        return state + 0.4 * action

    def views(problem: PlanningProblem, plan: Plan) -> Mapping[str, Tensor]:
        seen = {name: replace(problem, dynamics=each) for name, each in (("own", model), ("other", other))}
        return evidence(plan, {
            name: replace(each, goal_distance=lambda s, g: (s - g).norm(dim=1)) for name, each in seen.items()
        })  # fmt: skip

    checked = CheckedPlanner(PLANNER, None, views, attempts=3)
    attempts = [
        PLANNER.plan(replace(PROBLEM, seeds=torch.arange(B) + OTHER_NOISE * k), stop_when_reached=False)
        for k in range(3)
    ]
    doubts = torch.stack([views(PROBLEM, each)["mean"] for each in attempts])
    plan = checked.plan(PROBLEM)
    torch.testing.assert_close(views(PROBLEM, plan)["mean"], doubts.min(0).values)
    assert len(set(doubts.argmin(0).tolist())) > 1
    with pytest.raises(ParameterError, match="mean"):
        CheckedPlanner(PLANNER, None, losses).plan(PROBLEM)


def test_attempts_share_a_budget_and_a_doubted_plan_gets_what_is_left_of_it_at_once() -> None:
    planner, most, attempts = replace(PLANNER, iterations=100, lr=0.15), 240, 3

    def attempt(rows: slice, share: int, number: int) -> Plan:
        part = replace(PROBLEM.part(rows), seeds=torch.arange(B)[rows] + OTHER_NOISE * number)
        return replace(planner, max_evaluations=share).plan(part, stop_when_reached=False)

    whole = slice(0, B)
    first = attempt(whole, most // attempts, 0)
    assert 0 < first.reached.sum() < B
    again = [attempt(whole, most // attempts, number) for number in (1, 2)]
    long = attempt(whole, most - most // attempts, 1)
    several = torch.stack([each.loss for each in (first, *again)]).min(0).values
    plan = CheckedPlanner(planner, rule(1.0), losses, attempts, most).plan(PROBLEM)
    torch.testing.assert_close(
        plan.loss, torch.where(first.reached, several, torch.minimum(first.loss, long.loss))
    )
    spent = torch.where(
        first.reached, sum(each.evaluations for each in (first, *again)), first.evaluations + long.evaluations
    )
    assert torch.equal(plan.evaluations, spent)
    assert bool((plan.evaluations <= most).all())
    once = CheckedPlanner(planner, rule(1.0), losses, 1, most).plan(PROBLEM)
    assert torch.equal(once.actions, attempt(whole, most, 0).actions)


def test_control_takes_it() -> None:
    run = control(CheckedPlanner(PLANNER, rule(0.9), losses), PROBLEM, model, steps=8)
    assert bool(run.reached.all())
    assert bool((run.evaluations > control(PLANNER, PROBLEM, model, steps=1).evaluations).any())


def test_errors() -> None:
    with pytest.raises(ParameterError, match="attempts"):
        CheckedPlanner(PLANNER, rule(0.5), losses, attempts=0)
    with pytest.raises(ParameterError, match="max_evaluations"):
        CheckedPlanner(PLANNER, rule(0.5), losses, attempts=3, max_evaluations=2)
    with pytest.raises(ParameterError, match="evidence"):
        CheckedPlanner(PLANNER, rule(0.5), lambda problem, plan: {"loss": plan.loss[:1]}).plan(PROBLEM)
