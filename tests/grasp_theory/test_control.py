"""Closed loop on systems of one's own, and in Gymnasium."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor

from grasp_theory import (
    CEM,
    GRASP,
    MPPI,
    ControlRun,
    GradientDescent,
    GymnasiumWorld,
    PlanningProblem,
    control,
)
from grasp_theory.control import rounds
from grasp_theory.dynamics import TimeVaryingLinearDynamics
from grasp_theory.planners import Plan, Planner
from linear_systems.errors import DTypeError, HorizonError, NonFiniteError, ParameterError, ShapeError

B, T = 5, 4


def model(state: Tensor, action: Tensor) -> Tensor:
    return state + action


def drifting(state: Tensor, action: Tensor) -> Tensor:
    """Return where the real system goes: the model knows nothing of its drift and of how it shrinks actions."""
    return state + 0.6 * action + 0.02


def near(state: Tensor, goal: Tensor) -> Tensor:
    close: Tensor = (state - goal).norm(dim=1) < 0.1
    return close


def problem(**options: Any) -> PlanningProblem:
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(B, 2, generator=generator, dtype=torch.float64)
    return PlanningProblem(
        model, start, torch.zeros_like(start), T, 2, **{"reached": near, "seeds": torch.arange(B), **options}
    )


def arrives(planner: Planner, posed: PlanningProblem, step: Any = None, **options: Any) -> ControlRun:
    """Control with a horizon that ends after T steps, to the plans of least loss."""
    return control(
        planner, posed, step or drifting, steps=20, stop_when_reached=False,
        **{"look_ahead": lambda k: max(1, T - k), **options},
    )  # fmt: skip


GD = GradientDescent(iterations=40, lr=0.1)
PLANNERS = [GD, GRASP(iterations=30), CEM(iterations=8, samples=40, elites=6)]


def test_plans_look_ahead_in_rounds_that_end() -> None:
    look_ahead = rounds(6)
    assert [look_ahead(k) for k in range(14)] == [6, 5, 4, 3, 2, 1, 3, 2, 1, 1, 1, 1, 1, 1]
    with pytest.raises(HorizonError, match="horizon"):
        rounds(0)


def test_always_looking_as_far_puts_the_arrival_off_and_rounds_do_not() -> None:
    """The end alone costs, noise keeps plans from being the same: only plans that run out of steps arrive."""
    for planner in (MPPI(iterations=6, samples=40, noise=1.0, noise_decay=0.8), GRASP(iterations=30)):
        late = control(planner, problem(), drifting, stop_when_reached=False, look_ahead=lambda k: T)
        on_time = control(planner, problem(), drifting, stop_when_reached=False)
        assert int(on_time.reached.sum()) >= B - 1
        assert int(late.reached.sum()) <= B // 2


def test_with_a_cost_at_every_step_plans_always_look_as_far() -> None:
    horizons: list[int] = []

    class Spy(GradientDescent):
        def plan(self, problem: PlanningProblem, *given: Any, **options: Any) -> Plan:
            horizons.append(problem.horizon)
            return super().plan(problem, *given, **options)

    posed = problem(stage_cost=lambda state, action: state.square().sum(1), reached=None)
    control(Spy(iterations=1), posed, drifting, steps=3)
    control(Spy(iterations=1), problem(reached=None), drifting, steps=3)
    assert horizons == [T, T, T, T, T - 1, T - 2]


@pytest.mark.parametrize("planner", PLANNERS, ids=lambda each: type(each).__name__)
def test_the_loop_arrives_where_one_plan_does_not(planner: Planner) -> None:
    posed = problem()
    plan = planner.plan(posed)
    state = posed.initial_state
    for t in range(T):
        state = drifting(state, plan.actions[:, t])
    assert not near(state, posed.goal).any()
    run = arrives(planner, posed)
    assert run.reached.all()
    ends = run.states[torch.arange(B), run.solved_at]
    assert near(ends, posed.goal).all()


def test_what_is_recorded_is_what_happened() -> None:
    posed = problem()
    run = arrives(GD, posed)
    for i, last in enumerate(run.solved_at.tolist()):
        for k in range(last):
            assert torch.equal(run.states[i, k + 1], drifting(run.states[i, k], run.actions[i, k]))
        assert run.actions[i, last:].isnan().all(), run
        assert run.states[i, last + 1 :].isnan().all()
        assert not near(run.states[i, :last], posed.goal[:1]).any()
    assert run.plans == run.solved_at.max() == run.actions.shape[1]
    assert len(repr(run).splitlines()) == 5
    assert "success      5 of 5" in repr(run)


@pytest.mark.parametrize("planner", PLANNERS, ids=lambda each: type(each).__name__)
def test_a_system_alone_goes_as_among_others(planner: Planner) -> None:
    posed = problem()
    together = control(planner, posed, drifting, steps=6)
    alone = control(planner, posed.part(slice(2, 3)), drifting, steps=6)
    steps = alone.actions.shape[1]
    torch.testing.assert_close(alone.actions[0], together.actions[2, :steps], equal_nan=True)
    assert alone.solved_at[0] == together.solved_at[2]
    assert alone.evaluations[0] == together.evaluations[2]


def test_done_systems_are_neither_planned_for_nor_stepped() -> None:
    sizes: list[int] = []

    def step(state: Tensor, action: Tensor) -> Tensor:
        sizes.append(len(state))
        return drifting(state, action)

    posed = problem()
    done = torch.cat([posed.goal[:1], posed.initial_state[1:]])
    run = arrives(GD, replace(posed, initial_state=done), step)
    assert run.solved_at[0] == 0
    assert run.evaluations[0] == 0
    assert sizes == [int((run.solved_at > k).sum()) for k in range(len(sizes))]


def test_plans_start_from_the_shifted_plan_with_new_seeds() -> None:
    posed: list[PlanningProblem] = []

    class Spy(GradientDescent):
        def plan(self, problem: PlanningProblem, *args: Any, **options: Any) -> Any:
            posed.append(problem)
            return super().plan(problem, *args, **options)

    spy = Spy(iterations=3, lr=0.1)
    control(spy, problem(), drifting, steps=2, look_ahead=lambda k: T)
    first = GradientDescent(iterations=3, lr=0.1).plan(posed[0])
    warm = posed[1].initial_actions
    assert warm is not None
    assert torch.equal(warm[:, :-1], first.actions[:, 1:])
    assert not warm[:, -1].any()
    seeds = [set(each.seeds.tolist()) for each in posed if each.seeds is not None]
    assert len(seeds) == 2
    assert not seeds[0] & seeds[1]


def test_horizons_and_budgets_of_later_plans() -> None:
    seen: list[tuple[int, int]] = []

    class Spy(GradientDescent):
        def plan(self, problem: PlanningProblem, *args: Any, **options: Any) -> Any:
            seen.append((problem.horizon, self.iterations))
            return super().plan(problem, *args, **options)

    run = control(
        Spy(iterations=4), problem(reached=None), drifting, steps=3,
        look_ahead=lambda k: T - k, replanner=Spy(iterations=2),
    )  # fmt: skip
    assert seen == [(4, 4), (3, 2), (2, 2)]
    assert (run.solved_at == -1).all()
    assert "not known: no `reached`, and no `success`" in repr(run)


def test_a_world_of_other_states_is_observed() -> None:
    """The world is an array of positions in mm; the model knows m."""
    posed = problem()
    run = arrives(
        GD, posed, lambda world, action: world + 1000 * action.numpy(), world=1000 * posed.initial_state.numpy(),
        observe=lambda world: world / 1000, success=lambda world, rows: np.abs(world).max(1) < 50,
    )  # fmt: skip
    direct = arrives(GD, posed, model, success=lambda state, rows: state.abs().amax(1) < 0.05)
    assert run.reached.all()
    assert torch.equal(run.solved_at, direct.solved_at)


@pytest.mark.parametrize(
    ("step", "options", "error", "argument"),
    [
        (lambda s, a: s[:, :1], {}, ShapeError, "step"),
        (lambda s, a: s * torch.nan, {}, NonFiniteError, "step"),
        (drifting, {"success": lambda world, rows: world[:, 0]}, ShapeError, "success"),
        (drifting, {"success": lambda world, rows: world[:, 9]}, ParameterError, "success"),
        (lambda s, a: s[:, 9], {}, ParameterError, "step"),
        (drifting, {"observe": lambda world: world[:, :1]}, ShapeError, "observe"),
        (drifting, {"observe": lambda world: world.foo}, ParameterError, "observe"),
        (drifting, {"steps": 0}, ParameterError, "steps"),
    ],
)
def test_errors(step: Any, options: Any, error: type[Exception], argument: str) -> None:
    with pytest.raises(error, match=argument):
        control(GD, problem(), step, **options)


@pytest.mark.parametrize(
    ("step", "error", "words"),
    [
        (
            lambda s, a: (s, s[:, 0], {}),
            DTypeError,
            r"next states alone.* found a tuple of 3: .*GymnasiumWorld",
        ),
        (lambda s, a: {"state": s}, DTypeError, r"next states alone.* found a dict of 1: Tensor"),
        # What returns arrays is given arrays: a tensor that is added to them fails at the second step.
        (lambda s, a: (s + a).numpy(), ParameterError, r"Try: it was given an array.*torch\.as_tensor"),
        (
            lambda s, a: s.numpy() + np.asarray(a).numpy(),
            ParameterError,
            r"Try: it is given tensors: call \.numpy\(\)",
        ),
    ],
)
def test_a_step_that_mixes_arrays_and_tensors_is_told_what_to_do(
    step: Any, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=rf"^step: .*{words}"):
        control(GD, problem(), step)


def test_time_varying_models_are_refused() -> None:
    eye = torch.eye(2, dtype=torch.float64).expand(T, 2, 2).clone()
    with pytest.raises(ParameterError, match="same at all times"):
        control(GD, replace(problem(), dynamics=TimeVaryingLinearDynamics(eye, eye)), drifting)


class Line(gymnasium.Env[Any, Any]):
    """A point on a line that should come to 0."""

    action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), np.float64)
    observation_space = gymnasium.spaces.Box(-9.0, 9.0, (1,), np.float64)

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.at = self.np_random.uniform(1.0, 2.0, 1)
        self.count = 0
        return self.at, {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        assert self.action_space.contains(action)
        self.at, self.count = self.at + 0.5 * action, self.count + 1
        return self.at, 0.0, False, self.count >= 30, {"is_success": abs(self.at[0]) < 0.1}


def _line(world: GymnasiumWorld, block: int) -> PlanningProblem:
    start = world.observe(world.world)
    return PlanningProblem(
        lambda s, a: s + 0.5 * a.sum(1, keepdim=True), start, torch.zeros_like(start), T, block,
        action_bounds=(-1.0, 1.0), seeds=range(len(start)),
    )  # fmt: skip


@pytest.mark.parametrize("block", [1, 2])
def test_gymnasium(block: int) -> None:
    world = GymnasiumWorld([Line() for _ in range(3)], seed=0, action_block=block)
    run = control(GD, _line(world, block), world.step, world=world.world, observe=world.observe,
                  success=world.success)  # fmt: skip
    assert run.reached.all()
    assert (run.solved_at >= 1).all()


class Silent(Line):
    """A line whose info says nothing of success, as those of Gymnasium's own environments."""

    def step(self, action: Any) -> Any:
        *rest, _ = super().step(action)
        return *rest, {}


def test_where_the_environment_does_not_say_the_problem_judges() -> None:
    world = GymnasiumWorld([Silent() for _ in range(3)], seed=0)
    posed = replace(_line(world, 1), reached=near)
    run = control(GD, posed, world.step, world=world.world, observe=world.observe)
    assert run.reached.all()
    with pytest.raises(ParameterError, match=r"solved=\.\.\., or leave success out"):
        control(GD, posed, world.step, world=world.world, observe=world.observe, success=world.success)


def test_gymnasium_boundary() -> None:
    with pytest.raises(ParameterError, match=r"found neither.*seed=0"):
        GymnasiumWorld([Line()])
    with pytest.raises(ParameterError, match="found both"):
        GymnasiumWorld([Line()], seed=0, observations=[0.0])
    with pytest.raises(ShapeError, match="observations"):
        GymnasiumWorld([Line()], observations=[])
    world = GymnasiumWorld([Line()], seed=0, solved=lambda info: "nothing" in info)
    run = control(GD, _line(world, 1), world.step, world=world.world, observe=world.observe,
                  success=world.success, steps=2)  # fmt: skip
    assert not run.reached.any()
