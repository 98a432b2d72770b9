"""Evaluations are counted where they happen, budgets are kept, and the anytime curve is what a smaller budget returns."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from planner_cases import PLANNERS, Counting, pendulum_problem, rows_of

from grasp_theory import CEM, GRASP, GradientDescent, Planner, Status
from linear_systems.errors import ParameterError

every_planner = pytest.mark.parametrize("planner", PLANNERS.values(), ids=PLANNERS.keys())
SPENDING = {"iterations": 10**6}


@every_planner
@pytest.mark.parametrize("restarts", [1, 2])
def test_what_is_counted_is_what_the_model_was_asked(planner: Planner, restarts: int) -> None:
    """Forward rows and two for each row of a backward pass, in a model that counts both."""
    model = Counting()
    problem = pendulum_problem(1, reached=None, dynamics=model)
    if restarts > 1 and type(planner).__name__ in ("GradientDescent", "LatCo"):
        planner = replace(planner, initial_action_noise=0.5)  # type: ignore[call-arg]
    model.rows = 0
    plan = replace(planner, restarts=restarts).plan(problem)
    assert plan.evaluations.tolist() == [model.rows + 2 * model.backward_rows]


@pytest.mark.parametrize(
    "planner",
    [
        GradientDescent(iterations=5, checkpoint=True),
        GRASP(iterations=6, sync_every=3, sync_steps=2, checkpoint=True),
    ],
    ids=["GradientDescent", "GRASP"],
)
def test_what_is_evaluated_again_is_counted_again(planner: Planner) -> None:
    class Saturating(Counting):
        """Nonlinear at the end of a step: the backward pass computes a step again up to where it needs no more of it."""

        def step(self, state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
            return torch.tanh(super().step(state, action))

    model = Saturating()
    problem = pendulum_problem(1, reached=None, dynamics=model)
    model.rows = 0
    plan = planner.plan(problem)
    assert plan.evaluations.tolist() == [model.rows + 2 * model.backward_rows]
    enough = int(plan.evaluations[0]) + problem.horizon  # a last look is always kept in reserve
    assert torch.equal(replace(planner, max_evaluations=enough).plan(problem).actions, plan.actions)


@every_planner
def test_rows_that_stop_early_have_cost_less(planner: Planner) -> None:
    problem = pendulum_problem()
    together = planner.plan(problem)
    for i in range(problem.batch):
        model = Counting()
        alone = replace(rows_of(problem, slice(i, i + 1)), dynamics=model)
        model.rows = 0
        planner.plan(alone)
        assert int(together.evaluations[i]) == model.rows + 2 * model.backward_rows


@every_planner
@pytest.mark.parametrize("budget", [100, 1013, 4000])
def test_a_budget_is_kept_and_used(planner: Planner, budget: int) -> None:
    problem = pendulum_problem(3, reached=None)
    plan = replace(planner, **SPENDING, max_evaluations=budget).plan(problem)
    assert (plan.evaluations <= budget).all()
    assert (plan.status == Status.EVALUATION_LIMIT).all()
    more = replace(planner, iterations=int(plan.iterations[0]) + 1).plan(problem)
    if (
        type(planner).__name__ != "ICEM"
    ):  # the population shrinks, and the last iteration of all adds the mean
        assert (more.evaluations + problem.horizon > budget).all()


@every_planner
def test_restarts_share_a_budget(planner: Planner) -> None:
    if type(planner).__name__ in ("GradientDescent", "LatCo"):
        planner = replace(planner, initial_action_noise=0.5)  # type: ignore[call-arg]
    plan = replace(planner, **SPENDING, restarts=3, max_evaluations=4000).plan(
        pendulum_problem(2, reached=None)
    )
    assert (plan.evaluations <= 4000).all()
    assert (plan.evaluations > 1000).all()


@every_planner
@pytest.mark.parametrize("stop", [True, False])
def test_the_curve_is_what_smaller_budgets_return(planner: Planner, stop: bool) -> None:
    problem = pendulum_problem(4)
    planner = replace(planner, **SPENDING, max_evaluations=3000)
    silent = planner.plan(problem, stop_when_reached=stop)
    plan = planner.plan(problem, stop_when_reached=stop, curve=True)
    assert torch.equal(silent.actions, plan.actions)  # the curve changes nothing
    assert torch.equal(silent.evaluations, plan.evaluations)
    assert torch.equal(silent.looks, plan.looks)
    curve = plan.curve
    assert curve is not None
    assert curve.evaluations.tolist() == [100 * k for k in range(1, 31)]
    for k in (0, 4, 11, 18, 29):
        less = replace(planner, max_evaluations=int(curve.evaluations[k]))
        expected = less.plan(problem, stop_when_reached=stop)
        torch.testing.assert_close(curve.loss[k], expected.loss, rtol=1e-9, atol=1e-12)
        assert torch.equal(curve.believed[k], expected.reached)
        torch.testing.assert_close(curve.actions[k], expected.actions, rtol=1e-7, atol=1e-9)
    assert torch.equal(curve.actions[-1], plan.actions)


def test_a_curve_of_restarts_and_chunks() -> None:
    problem = pendulum_problem(5)
    planner = GRASP(restarts=2, max_evaluations=2000, **SPENDING)  # type: ignore[arg-type]
    whole = planner.plan(problem, curve=True).curve
    chunks = replace(planner, max_rows=4).plan(problem, curve=True).curve
    assert whole is not None
    assert chunks is not None
    torch.testing.assert_close(whole.loss, chunks.loss)
    torch.testing.assert_close(whole.actions, chunks.actions)
    assert torch.equal(whole.evaluations, chunks.evaluations)
    # Budgets that do not pay for the first rollouts of both restarts have no plan.
    short = replace(planner, max_evaluations=60).plan(problem, curve=True).curve
    assert short is not None
    assert torch.equal(short.loss[:, 0].isinf(), short.evaluations < 2 * problem.horizon)


def test_looks_are_counted_and_so_are_those_that_the_model_believed() -> None:
    problem = pendulum_problem(3)
    seen: list[torch.Tensor] = []

    def remembering(states: torch.Tensor, goals: torch.Tensor) -> torch.Tensor:
        assert problem.reached is not None
        answer = problem.reached(states, goals)
        seen.append(answer)
        return answer

    remembered = replace(problem, reached=remembering)
    seen.clear()  # the problem asked it when it was made
    plan = GradientDescent(iterations=20).plan(remembered, stop_when_reached=False)
    answers = torch.stack(seen)
    assert torch.equal(plan.looks, torch.full((3,), len(seen)))
    assert torch.equal(plan.believed_looks, answers.sum(0))
    assert torch.equal(plan.first.found, answers.any(0))
    assert plan.believed_looks.max() > 1


def test_a_plan_that_is_not_believed_is_not_reached_however_many_looks_were() -> None:
    """`reached` is of the plan of least loss, which may miss a goal region that earlier plans were in."""
    problem = pendulum_problem(4, reached=lambda s, g: ((s - g).norm(dim=1) - 0.3).abs() < 0.15)
    plan = GradientDescent(iterations=60).plan(problem, stop_when_reached=False)
    missed = plan.first.found & ~plan.reached
    assert missed.any()
    assert (plan.believed_looks[missed] > 0).all()
    assert (plan.status[missed] == Status.STEP_LIMIT).all()


def test_budgets_that_cannot_be_meant_are_refused() -> None:
    problem = pendulum_problem(2)
    with pytest.raises(ParameterError, match="max_evaluations: expected at least 16"):
        GRASP(restarts=2, max_evaluations=15).plan(problem)
    with pytest.raises(ParameterError, match="max_evaluations"):
        GRASP(max_evaluations=0)
    with pytest.raises(ParameterError, match="max_evaluations: expected a budget"):
        CEM().plan(problem, curve=True)
    with pytest.raises(ParameterError, match="returned"):
        CEM(returned="first")  # type: ignore[arg-type]


@every_planner
@pytest.mark.parametrize("restarts", [1, 2])
def test_the_least_budget_pays_for_one_iteration_and_no_smaller_one_does(
    planner: Planner, restarts: int
) -> None:
    if restarts > 1 and type(planner).__name__ in ("GradientDescent", "LatCo"):
        planner = replace(planner, initial_action_noise=0.5)  # type: ignore[call-arg]
    problem = pendulum_problem(2, reached=None)
    planner = replace(planner, restarts=restarts)
    least = planner.least_evaluations(problem)
    fed = replace(planner, max_evaluations=least).plan(problem)
    assert (fed.iterations >= 1).all()
    starved = replace(planner, max_evaluations=least - 1).plan(problem)
    assert (starved.iterations == 0).all()
    assert "in 0 iterations: see planner.least_evaluations(problem)" in str(starved)
    assert "least_evaluations" not in str(fed)


def test_the_plan_prints_in_five_lines_with_named_statuses() -> None:
    problem = pendulum_problem(4)
    plan = CEM(iterations=2, samples=20, elites=5).plan(problem, history=True)
    lines = str(plan).splitlines()
    assert len(lines) == 5
    assert max(map(len, lines)) < 100
    names = {status.name for status in Status if int(status) in plan.status.tolist()}
    assert all(name in lines[1] for name in names)
    assert "tensor" not in f"{plan}{plan.first}{plan.history}"


@pytest.mark.parametrize(
    "sync", [{}, {"checkpoint": True}, {"sync_method": "cem"}, {"sync_method": "shooting"}], ids=str
)
def test_a_sync_that_the_budget_lacks_one_evaluation_for_is_not_begun(sync: dict[str, object]) -> None:
    planner = GRASP(iterations=6, sync_every=3, sync_steps=2, check_every=None, **sync)  # type: ignore[arg-type]
    problem = pendulum_problem(1, reached=None)
    enough = (
        int(planner.plan(problem).evaluations[0]) + problem.horizon
    )  # a last look is always kept in reserve
    for budget, iterations in ((enough, 6), (enough - 1, 5)):
        assert replace(planner, max_evaluations=budget).plan(problem).iterations.tolist() == [iterations]
