"""Holding actions first: what is planned in which set, which of two plans is kept, what is counted, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from grasp_theory import (
    CEM,
    GRASP,
    MPPI,
    Balls,
    Box,
    GradientDescent,
    Held,
    PlanningProblem,
    compare,
    control,
    rollout,
)
from grasp_theory.dynamics import TimeVaryingLinearDynamics
from grasp_theory.planners.loop.plan import Status
from grasp_theory.trust import automatic, held_first
from grasp_theory.trust.held_first import JERK, SHARE, HeldFirst, held_problem, softly_held
from linear_systems.errors import ParameterError

B, T, COPIES = 8, 4, 3
GENERATOR = torch.Generator().manual_seed(0)
START = torch.zeros(B, 2, dtype=torch.float64)
STEADY = torch.arange(B) < B // 2


def model(state: Tensor, action: Tensor) -> Tensor:
    """Move along by the mean of three actions, and aside by how much the first differs from the last."""
    groups = action.reshape(-1, COPIES, 2)
    turn = (groups[:, 0, 1] - groups[:, -1, 1]).square()
    return state + 0.5 * torch.stack([groups[..., 0].mean(1), turn], 1)


# The first half of the goals lie on the way of held actions; the others ask for turns within a step of the model.
GOALS = torch.stack([torch.linspace(-1, 1, B), (~STEADY).float()], dim=1).double()
PROBLEM = PlanningProblem(
    model, START, GOALS, T, 2 * COPIES, seeds=range(B), action_set=Box(-1.0, 1.0),
    reached=lambda s, g: (s - g).norm(dim=1) < 0.1,
)  # fmt: skip
FREE = GradientDescent(iterations=200, lr=0.1, initial_action_noise=0.5)
HELD = MPPI(samples=50, iterations=20)
PLANNER = HeldFirst(planner=FREE, first=HELD, size=2, share=1 / 3, max_evaluations=6_000)


def is_held(actions: Tensor) -> Tensor:
    groups = actions.reshape(*actions.shape[:-1], COPIES, 2)
    return (groups == groups[..., :1, :]).flatten(1).all(1)


def test_a_believed_held_plan_stays_and_the_other_problems_are_planned_freely() -> None:
    plan = PLANNER.plan(PROBLEM)
    assert torch.equal(is_held(plan.actions), STEADY)
    assert bool(plan.reached.all())
    assert torch.equal(plan.states, rollout(model, START, plan.actions))
    held = replace(HELD, max_evaluations=2_000).plan(held_problem(PROBLEM, 2), stop_when_reached=False)
    assert torch.equal(held.reached, STEADY)
    assert torch.equal(plan.actions[STEADY], held.actions[STEADY].repeat(1, 1, COPIES))
    assert torch.equal(plan.evaluations[STEADY], held.evaluations[STEADY])
    assert bool((plan.evaluations[~STEADY] > 2_000).all())
    assert bool((plan.evaluations <= 6_000).all())
    assert bool((plan.looks[~STEADY] > held.looks[~STEADY]).all())


def test_the_better_of_two_that_are_not_believed_is_returned() -> None:
    far = replace(PROBLEM, goal=GOALS + 20.0)
    poor = GradientDescent(iterations=1, lr=1e-6)
    plan = replace(PLANNER, planner=poor).plan(far)
    assert bool(is_held(plan.actions).all())
    assert not plan.reached.any()
    plan = replace(PLANNER, first=MPPI(samples=20, iterations=1, noise=1e-6)).plan(far)
    assert not is_held(plan.actions).any()


def test_a_row_is_planned_the_same_alone() -> None:
    whole = PLANNER.plan(PROBLEM)
    for row in (1, B - 1):
        part = PLANNER.plan(PROBLEM.part(slice(row, row + 1)))
        torch.testing.assert_close(part.actions, whole.actions[row : row + 1])


def test_without_a_share_the_planner_plans_alone() -> None:
    plan = replace(PLANNER, share=0.0).plan(PROBLEM)
    alone = replace(FREE, max_evaluations=6_000).plan(PROBLEM, stop_when_reached=False)
    assert torch.equal(plan.actions, alone.actions)
    assert torch.equal(plan.evaluations, alone.evaluations)


@pytest.mark.parametrize("allowed", [Box(-0.3, 0.7), Balls(0.4, 2), None])
def test_held_plans_are_those_of_the_whole_action(allowed: Box | Balls | None) -> None:
    """The same states, costs and set: what is planned held is what the whole model does with copies."""
    whole = replace(
        PROBLEM, action_set=allowed, stage_cost=lambda s, a: a.square().sum(1),
        initial_actions=torch.randn(B, T, 2 * COPIES, generator=GENERATOR, dtype=torch.float64),
    )  # fmt: skip
    part = held_problem(whole, 2)
    actions = torch.randn(5, T, 2, generator=GENERATOR, dtype=torch.float64)
    copied = actions.repeat(1, 1, COPIES)
    assert torch.equal(
        rollout(part.model, START[:5], actions),
        rollout(model, START[:5], copied),
    )
    assert torch.equal(part.project(actions).repeat(1, 1, COPIES), whole.project(copied))
    assert part.stage_cost is not None
    torch.testing.assert_close(
        part.stage_cost(START[:5], actions[:, 0]), copied[:, 0].square().sum(1), rtol=1e-12, atol=0
    )
    if allowed is not None:
        held = Held(allowed, 2).project(whole.initial_actions)
        torch.testing.assert_close(part.start().repeat(1, 1, COPIES), held)


def test_time_varying_dynamics_are_held_too() -> None:
    A, B_ = torch.eye(2).expand(T, 2, 2).double(), torch.randn(T, 2, 6, generator=GENERATOR).double()
    part = held_problem(PlanningProblem(TimeVaryingLinearDynamics(A, B_), START, GOALS, T, 6), 2)
    actions = torch.randn(B, T, 2, generator=GENERATOR, dtype=torch.float64)
    whole = rollout(TimeVaryingLinearDynamics(A, B_), START, actions.repeat(1, 1, 3))
    torch.testing.assert_close(rollout(part.model, START, actions), whole)


def test_it_sets_itself_and_holds_nothing_where_greedy_plans_arrive() -> None:
    greedy = PlanningProblem(
        lambda s, a: s + 0.5 * a, START, GOALS, T, 2, action_set=Box(-2.0, 2.0),
        reached=lambda s, g: (s - g).norm(dim=1) < 0.1,
    )  # fmt: skip
    chosen = HeldFirst.auto(greedy, 1, 5_000)
    assert (chosen.share, chosen.jerk) == (0.0, 0.0)
    assert isinstance(chosen.planner, GRASP)
    assert (chosen.planner.start, chosen.planner.initial_action_noise) == ("greedy", 0.0)
    # A mass that is pushed: what comes nearest in one step does not arrive.
    mass = PlanningProblem(
        lambda s, a: torch.stack([s[:, 0] + s[:, 1], s[:, 1] + 0.2 * a.mean(1)], 1),
        START, torch.stack([torch.linspace(1, 3, B), torch.zeros(B)], 1).double(), 8, 3, action_set=Box(-2.0, 2.0),
        reached=lambda s, g: (s - g).norm(dim=1) < 0.1,
    )  # fmt: skip
    chosen = HeldFirst.auto(mass, 1, 20_000)
    assert chosen.share == SHARE
    # Half of the goals are 2 away or less and half more: their squares' median, over 8 steps, for a jump by 4.
    assert chosen.jerk == pytest.approx(JERK * float(mass.goal[:, 0].square().median()) / 8 / 4.0**2)
    assert isinstance(chosen.planner, GRASP)
    assert (chosen.planner.start, chosen.planner.initial_action_noise) == ("greedy", 0.0)
    assert isinstance(chosen.first, MPPI)
    assert chosen.first.noise == 2.0
    plan = chosen.plan(mass)
    assert bool((plan.evaluations <= 20_000).all())
    assert int((plan.reached & (plan.actions == plan.actions[..., :1]).flatten(1).all(1)).sum()) >= B - 1


def test_free_plans_start_from_the_line_only_where_the_model_reaches_more_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {"line": 4, "greedy": 0}

    def counted(problem: PlanningProblem, planner: MPPI | GRASP) -> Tensor:
        return torch.arange(B) < (found[planner.start] if isinstance(planner, GRASP) else 1)

    for module in (automatic, held_first):
        monkeypatch.setattr(module, "greedy_share", lambda *_: 0.5)
        monkeypatch.setattr(module, "reached_by", counted)
    assert GRASP.auto(PROBLEM).start == "line"
    chosen = HeldFirst.auto(PROBLEM, 2, 5_000)  # 4 to 0 is within chance, p = 1/16
    assert isinstance(chosen.planner, GRASP)
    assert (chosen.planner.start, chosen.planner.initial_action_noise, chosen.share) == ("greedy", 0.0, SHARE)
    found["line"] = 5
    chosen = HeldFirst.auto(PROBLEM, 2, 5_000)
    assert replace(GRASP.auto(PROBLEM), iterations=5_000) == chosen.planner
    assert chosen.share == 0.0  # held plans reach 1, free ones 5


def test_jumps_within_an_action_cost_what_they_are_worth() -> None:
    soft = softly_held(PROBLEM, 2, 0.5)
    assert soft.stage_cost is not None
    action = torch.tensor([[1.0, 0.0, 3.0, 0.0, 3.0, -1.0]]).double()
    assert soft.stage_cost(START[:1], action).item() == 0.5 * (4.0 + 1.0)
    own = replace(PROBLEM, stage_cost=lambda s, a: 2.0 * a[:, 2])
    both = softly_held(own, 2, 0.5).stage_cost
    assert both is not None
    assert both(START[:1], action).item() == 2.5 + 6.0


def test_softly_held_plans_jump_less_and_tell_the_problem_s_own_loss() -> None:
    free, soft = (replace(PLANNER, share=0.0, jerk=jerk).plan(PROBLEM) for jerk in (0.0, 0.1))
    jumps = [
        softly_held(PROBLEM, 2, 1.0).stage_costs(p.states[:, 1:], p.actions).sum(1) for p in (free, soft)
    ]
    assert bool((jumps[1] < jumps[0]).all())
    torch.testing.assert_close(soft.loss, (soft.states[:, -1] - GOALS).square().sum(1))


def test_a_plan_that_was_believed_comes_before_one_of_less_loss_that_is_not() -> None:
    ring = replace(PROBLEM, reached=lambda s, g: ((s - g).norm(dim=1) < 0.5) & ((s - g).norm(dim=1) > 0.1))
    alone = replace(FREE, max_evaluations=6_000).plan(ring, stop_when_reached=False)
    taken = ~alone.reached & alone.first.found
    assert taken.any()
    plan = replace(PLANNER, share=0.0).plan(ring)
    assert bool(plan.reached[taken].all())
    assert torch.equal(plan.actions[taken], alone.first.actions[taken])
    assert torch.equal(plan.states, rollout(model, START, plan.actions))
    assert bool(ring.judge(plan.states[:, -1], GOALS)[taken].all())


def test_nothing_is_held_where_the_model_asks_for_single_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Held plans must reach half as many goals in the model as free ones."""
    found = {MPPI: 3, GRASP: 6}

    def counted(problem: PlanningProblem, planner: MPPI | GRASP) -> Tensor:
        assert problem.action_dim == (2 if isinstance(planner, MPPI) else 2 * COPIES)
        return torch.arange(B) < found[type(planner)]

    monkeypatch.setattr(held_first, "greedy_share", lambda *_: 0.5)
    monkeypatch.setattr(held_first, "reached_by", counted)
    assert HeldFirst.auto(PROBLEM, 2, 5_000).share == SHARE
    found[MPPI] = 2
    chosen = HeldFirst.auto(PROBLEM, 2, 5_000)
    assert (chosen.share, chosen.jerk > 0) == (0.0, True)


def test_in_closed_loop() -> None:
    run = control(
        PLANNER, PROBLEM, model, replanner=replace(PLANNER, max_evaluations=1_500), steps=T,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    assert int(run.reached.sum()) >= B - 1


@pytest.mark.parametrize(
    ("call", "argument"),
    [
        (lambda: replace(PLANNER, size=0), "size"),
        (lambda: replace(PLANNER, share=1.0), "share"),
        (lambda: replace(PLANNER, share=-0.1), "share"),
        (lambda: replace(PLANNER, jerk=-0.1), "jerk"),
        (lambda: softly_held(PROBLEM, 4, 0.1), "size"),
        (lambda: replace(PLANNER, max_evaluations=1), "max_evaluations"),
        (lambda: replace(PLANNER, size=4).plan(PROBLEM), "size"),
        (lambda: PLANNER.plan(replace(PROBLEM, reached=None)), "problem"),
        (
            lambda: PLANNER.plan(replace(PROBLEM, action_set=Box([-1.0] * 4 + [-0.5] * 2, [1.0] * 6))),
            "action_set",
        ),
    ],
)
def test_what_does_not_fit_is_refused(call: Callable[[], object], argument: str) -> None:
    with pytest.raises(ParameterError) as refused:
        call()
    assert refused.value.argument == argument


def test_other_samplers_hold_too() -> None:
    plan = replace(PLANNER, first=CEM(samples=50, elites=5, iterations=20)).plan(PROBLEM)
    assert torch.equal(is_held(plan.actions), STEADY)


def test_it_is_compared_with_others_in_one_budget() -> None:
    found = compare({"held first": PLANNER, "free": FREE}, PROBLEM, max_evaluations=3_000)
    assert [each.name for each in found.results] == ["held first", "free"]
    assert all(bool((each.evaluations <= 3_000).all()) for each in found.results)
    assert found.results[0].believed is not None
    assert found.results[0].believed[STEADY.numpy()].all()

    class Own:
        plan = PLANNER.plan

    assert compare([Own()], PROBLEM).results[0].believed is not None
    with pytest.raises(ParameterError, match="planners: expected planners with a budget"):
        compare([Own()], PROBLEM, max_evaluations=100)


def test_a_problem_whose_rollouts_diverge_is_told_so_and_spoils_no_other() -> None:
    def fragile(state: Tensor, action: Tensor) -> Tensor:
        return torch.where(state[:, :1] < -5.0, torch.nan, state + action.reshape(-1, COPIES, 2).sum(1))

    there = START.clone()
    there[0] = -9.0
    problem = replace(PROBLEM, dynamics=fragile, initial_state=there)
    plan = replace(PLANNER, share=0.0, jerk=0.1).plan(problem)
    assert plan.status[0] == Status.DIVERGED
    assert plan.loss[0] == torch.inf
    assert bool(torch.isfinite(plan.loss[1:]).all())
