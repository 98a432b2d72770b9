"""What every planner must do, whatever its method."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
import torch
from planner_cases import (
    GRADIENT_PLANNERS,
    PLANNERS,
    Counting,
    Patches,
    Pendulum,
    Poisoned,
    pendulum_problem,
    rows_of,
)
from torch import Tensor

from grasp_theory import MPPI, GradientDescent, Observation, Planner, PlanningProblem, Status, rollout
from grasp_theory.objectives import rollout_loss
from linear_systems.errors import ParameterError

every_planner = pytest.mark.parametrize("planner", PLANNERS.values(), ids=PLANNERS.keys())
gradient_planners = pytest.mark.parametrize(
    "planner", [PLANNERS[name] for name in GRADIENT_PLANNERS], ids=GRADIENT_PLANNERS
)


@every_planner
def test_the_plan_is_its_own_rollout(planner: Planner) -> None:
    problem = pendulum_problem()
    plan = planner.plan(problem)
    assert plan.actions.shape == (5, 8, 1)
    assert plan.actions.dtype == problem.initial_state.dtype
    torch.testing.assert_close(plan.states, rollout(Pendulum(), problem.initial_state, plan.actions))
    torch.testing.assert_close(
        plan.loss, rollout_loss(Pendulum(), problem.initial_state, plan.actions, problem.goal)
    )
    assert problem.reached is not None
    assert torch.equal(plan.reached, problem.reached(plan.states[:, -1], problem.goal))
    assert set(plan.status.tolist()) <= {Status.REACHED, Status.STEP_LIMIT}
    assert (plan.iterations[~plan.reached] == planner.iterations).all()
    assert not plan.actions.requires_grad
    assert not plan.states.requires_grad


@every_planner
def test_a_row_alone_gives_the_same_bits(planner: Planner) -> None:
    problem = pendulum_problem()
    together = planner.plan(problem)
    for i in range(problem.batch):
        alone = planner.plan(rows_of(problem, slice(i, i + 1)))
        assert torch.equal(alone.status[0], together.status[i])
        assert torch.equal(alone.iterations[0], together.iterations[i])
        if (
            getattr(planner, "noise_exponent", 0.0)
            or getattr(planner, "constraint", "") == "multipliers"
            or getattr(planner, "start", "") == "greedy"
        ):
            # Fourier transforms, powers and moments along an axis may round differently in a batch of another size.
            torch.testing.assert_close(alone.actions[0], together.actions[i], rtol=1e-9, atol=1e-9)
        else:
            assert torch.equal(alone.actions[0], together.actions[i])


@every_planner
def test_chunks_and_restarts_change_nothing_for_a_row(planner: Planner) -> None:
    problem = pendulum_problem()
    whole = planner.plan(problem, history=True, record_states=True)
    chunked = replace(planner, max_rows=2).plan(problem, history=True, record_states=True)
    torch.testing.assert_close(chunked.actions, whole.actions)
    assert torch.equal(chunked.status, whole.status)
    assert whole.history is not None
    assert chunked.history is not None
    assert torch.equal(chunked.history.iteration, whole.history.iteration)
    torch.testing.assert_close(chunked.history.loss, whole.history.loss, equal_nan=True)
    torch.testing.assert_close(chunked.history.states, whole.history.states, equal_nan=True)


@every_planner
def test_without_stopping_the_first_plan_that_reaches_is_the_one_to_stop_at(planner: Planner) -> None:
    problem = pendulum_problem(reached=None)
    best = planner.plan(problem).loss
    # A goal region that most of the problems reach, and not at the start.
    radius = 1.01 * float(best.median().sqrt())
    problem = replace(problem, reached=lambda states, goals: (states - goals).norm(dim=1) < radius)
    stopped = planner.plan(problem)
    spent = planner.plan(problem, stop_when_reached=False)
    reached = stopped.reached
    assert reached.sum() >= 3
    assert torch.equal(spent.reached, reached)
    torch.testing.assert_close(spent.first.actions[reached], stopped.actions[reached], rtol=1e-9, atol=1e-9)
    assert torch.equal(spent.first.iterations[reached], stopped.iterations[reached])
    assert (spent.first.iterations[~reached] == -1).all()
    assert torch.equal(spent.first.seconds.isfinite(), reached)
    assert torch.equal(stopped.first.actions[reached], stopped.actions[reached])
    # The budget is used up, and the least loss of all plans seen is not above that of the first that reached.
    assert (spent.iterations == planner.iterations).all()
    if planner.returned == "best":
        assert (spent.loss <= stopped.loss).all()


@every_planner
def test_the_generator_decides(planner: Planner) -> None:
    problem = replace(pendulum_problem(), seeds=None)
    first = planner.plan(problem, torch.Generator().manual_seed(7))
    again = planner.plan(problem, torch.Generator().manual_seed(7))
    assert torch.equal(first.actions, again.actions)


@every_planner
def test_actions_stay_within_bounds(planner: Planner) -> None:
    low, high = torch.tensor([-0.1], dtype=torch.float64), 0.2
    plan = planner.plan(pendulum_problem(action_bounds=(low, high)))
    assert plan.actions.min() >= -0.1
    assert plan.actions.max() <= 0.2
    assert plan.actions.abs().max() > 0


def test_rounding_takes_no_mean_of_plans_beyond_their_bounds() -> None:
    low, high = torch.tensor([-0.3]), torch.tensor([0.7])
    problem = pendulum_problem(batch=40, dtype=torch.float32, action_bounds=(low, high), reached=None)
    plan = MPPI(samples=30, iterations=6, noise=3.0).plan(replace(problem, goal=problem.initial_state + 1.0))
    assert (plan.actions == high).any()
    assert (plan.actions <= high).all()


@every_planner
def test_a_good_start_is_never_made_worse(planner: Planner) -> None:
    problem = pendulum_problem(reached=None)
    actions = torch.randn(
        problem.start().shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)
    )
    perfect = replace(
        problem, initial_actions=actions, goal=rollout(Pendulum(), problem.initial_state, actions)[:, -1]
    )
    plan = replace(planner, returned="best").plan(perfect)
    assert torch.equal(plan.actions, actions)
    assert plan.loss.max() == 0


@every_planner
def test_a_start_that_reaches_the_goal_costs_nothing(planner: Planner) -> None:
    problem = pendulum_problem()
    at_rest = replace(problem, goal=rollout(Pendulum(), problem.initial_state, problem.start())[:, -1])
    plan = planner.plan(at_rest)
    assert (plan.status == Status.REACHED).all()
    assert (plan.iterations == 0).all()


@every_planner
@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
@pytest.mark.parametrize("bounds", [None, (-3.0, 3.0)])
def test_a_row_that_diverges_leaves_the_others_alone(
    planner: Planner, poison: float, bounds: tuple[float, float] | None
) -> None:
    healthy = pendulum_problem(action_bounds=bounds, reached=None)
    start = healthy.initial_state.clone()
    start[2, 0] = 1000.0
    plan = planner.plan(replace(healthy, dynamics=Poisoned(poison), initial_state=start))
    expected = planner.plan(healthy)
    others = torch.tensor([0, 1, 3, 4])
    assert plan.status[2] == Status.DIVERGED
    assert (plan.status[others] == Status.STEP_LIMIT).all()
    assert plan.iterations[2] < planner.iterations or planner.check_every is None
    assert plan.actions.isfinite().all()
    assert plan.loss.isfinite().all()  # the zero actions of the start are finite here
    torch.testing.assert_close(plan.actions[others], expected.actions[others])


def test_a_problem_has_diverged_only_where_all_its_restarts_have() -> None:
    class Brittle(Pendulum):
        """NaN after an action beyond 0.6."""

        def step(self, state: Tensor, action: Tensor) -> Tensor:
            return super().step(state, action) * torch.where(action > 0.6, torch.nan, 1.0)

    planner = GradientDescent(iterations=3, initial_action_noise=0.5, action_noise=0.0)
    problem = pendulum_problem(12, reached=None, dynamics=Brittle())
    first, all_four = planner.plan(problem), replace(planner, restarts=4).plan(problem)
    diverged = first.status == Status.DIVERGED
    assert diverged.any()
    # The first of the four is the one above; where another goes on, so does the problem.
    assert (all_four.status[diverged] == Status.STEP_LIMIT).any()


@every_planner
def test_a_model_that_is_nan_everywhere_gives_finite_actions(planner: Planner) -> None:
    class Broken:
        def step(self, state: Tensor, action: Tensor) -> Tensor:
            return state * torch.nan + action.sum(-1, keepdim=True)

    plan = planner.plan(pendulum_problem(dynamics=Broken()))
    assert (plan.status == Status.DIVERGED).all()
    assert plan.actions.isfinite().all()
    assert (plan.loss == torch.inf).all()


@every_planner
def test_finished_rows_stop_costing(planner: Planner) -> None:
    def always(state: Tensor, goal: Tensor) -> Tensor:
        return goal[:, 0] > 50.0

    problem = pendulum_problem(4)
    goal = problem.goal.clone()
    goal[:3, 0] = 100.0  # three of four rows are in their goal region at once
    mostly_done, alone = Counting(), Counting()
    given = replace(problem, dynamics=mostly_done, goal=goal, reached=always)
    single = replace(rows_of(problem, slice(3, 4)), dynamics=alone, reached=always)
    mostly_done.rows = alone.rows = 0  # the model was tried when the problems were made
    planner.plan(given)
    planner.plan(single)
    assert mostly_done.rows - alone.rows == 3 * problem.horizon  # their first rollout


@every_planner
def test_the_time_limit_stops(planner: Planner) -> None:
    class Slow:
        def step(self, state: Tensor, action: Tensor) -> Tensor:
            time.sleep(0.002)
            return Pendulum().step(state, action)

    plan = replace(planner, iterations=100_000, time_limit=0.1).plan(
        pendulum_problem(dynamics=Slow(), reached=None)
    )
    assert (plan.status == Status.TIME_LIMIT).all()
    assert plan.iterations.max() < 1000
    assert plan.loss.isfinite().all()


@every_planner
def test_restarts_only_help(planner: Planner) -> None:
    problem = pendulum_problem(3)
    if type(planner).__name__ in ("GradientDescent", "LatCo"):
        planner = replace(planner, initial_action_noise=0.5)  # type: ignore[call-arg]
    one = planner.plan(problem)
    three = replace(planner, restarts=3).plan(problem)
    # A row of the first restart differs with R only in that another restart may stop it.
    assert three.reached[one.reached].all()
    both = ~one.reached & ~three.reached
    assert (three.loss[both] <= one.loss[both]).all()
    assert three.actions.shape == (3, 8, 1)


@every_planner
def test_history_and_callback_agree(planner: Planner) -> None:
    problem = pendulum_problem()
    seen: list[Observation] = []
    plan = planner.plan(problem, history=True, record_states=True, callback=seen.append)
    history = plan.history
    assert history is not None
    assert history.iteration.tolist() == [observation.iteration for observation in seen]
    assert history.iteration[0] == 0
    assert history.loss.shape == (len(seen), 5, 1)
    assert history.states is not None
    assert history.states.shape == (len(seen), 5, 1, 9, 2)
    for k, observation in enumerate(seen):
        assert torch.equal(history.loss[k, observation.problem, observation.restart], observation.loss)
        stopped = torch.ones(5, dtype=torch.bool).index_fill(0, observation.problem, False)
        assert history.loss[k, stopped].isnan().all()
    finite = torch.where(history.loss.isnan(), torch.inf, history.loss).amin(0)[:, 0]
    assert (plan.loss[~plan.reached] <= finite[~plan.reached]).all()
    assert (
        history.distance[~history.distance.isnan()] <= history.loss[~history.loss.isnan()].sqrt() + 1e-12
    ).all()
    lifted = type(planner).__name__ in ("GRASP", "LatCo")
    assert bool((history.defect[1:][~history.defect[1:].isnan()] > 0).any()) == lifted


@every_planner
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_states_of_any_shape_and_dtype(planner: Planner, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    start, goal = torch.randn(2, 3, 3, 4, generator=generator, dtype=dtype).unbind()
    plan = planner.plan(PlanningProblem(Patches(dtype), start, goal, horizon=4, action_dim=3))
    assert plan.states.shape == (3, 5, 3, 4)
    assert plan.states.dtype == plan.actions.dtype == plan.loss.dtype == dtype
    start_loss = (
        (rollout(Patches(dtype), start, torch.zeros_like(plan.actions))[:, -1] - goal).square().sum((1, 2))
    )
    assert (plan.loss < start_loss).all()


@every_planner
def test_one_step_and_one_problem(planner: Planner) -> None:
    goal = torch.tensor([[0.1, 0.2]])
    problem = PlanningProblem(Pendulum(), torch.zeros(1, 2), goal, horizon=1, action_dim=1)
    assert planner.plan(problem).actions.shape == (1, 1, 1)


@every_planner
def test_reached_anywhere_along_the_plan(planner: Planner) -> None:
    problem = pendulum_problem()
    through = replace(problem, goal=rollout(Pendulum(), problem.initial_state, problem.start())[:, 4])
    assert not bool(planner.plan(replace(through, reached_when="any")).iterations.any())


@every_planner
def test_the_progress_bar_is_an_option(planner: Planner, capsys: pytest.CaptureFixture[str]) -> None:
    problem = pendulum_problem(2)
    quiet = planner.plan(problem)
    assert capsys.readouterr().out == ""
    shown = planner.plan(problem, progress=True)
    assert "problems left" in capsys.readouterr().out
    assert torch.equal(quiet.actions, shown.actions)


@gradient_planners
def test_a_model_without_gradients_is_refused(planner: Planner) -> None:
    class Opaque:
        def step(self, state: Tensor, action: Tensor) -> Tensor:
            return Pendulum().step(state, action).detach()

    with pytest.raises(ParameterError, match="differentiable"):
        planner.plan(pendulum_problem(dynamics=Opaque()))


@every_planner
def test_planning_works_without_gradient_mode(planner: Planner) -> None:
    expected = planner.plan(pendulum_problem(2))
    with torch.no_grad():
        assert torch.equal(planner.plan(pendulum_problem(2)).actions, expected.actions)


def test_reached_must_answer_for_every_state() -> None:
    with pytest.raises(ValueError, match="booleans"):
        pendulum_problem(reached=lambda state, goal: state)
    few = pendulum_problem(
        5, reached=lambda state, goal: (state - goal)[:3].norm(dim=1) < 9
    )  # seen by more rows alone
    with pytest.raises(ValueError, match=r"booleans of shape \(5,\), found shape \(3,\)"):
        PLANNERS["CEM"].plan(few)
