"""`GRASP.auto` sets the planner from the model alone, in the model's units."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from grasp_theory import GRASP, Balls, PlanningProblem, diagnose
from grasp_theory.trust import automatic
from grasp_theory.trust.automatic import LARGER, greedy_share, reached_by


def _open_field(scale: float = 1.0, horizon: int = 8) -> PlanningProblem:
    """A point that moves by its action, at most one unit of `scale` a step; goals are 3 to 5 units away."""
    generator = torch.Generator().manual_seed(0)
    angle = 6.28 * torch.rand(24, 1, generator=generator)
    far = 3.0 + 2.0 * torch.rand(24, 1, generator=generator)
    goal = scale * far * torch.cat([angle.cos(), angle.sin()], 1)
    return PlanningProblem(
        lambda s, a: s + a,
        torch.zeros_like(goal),
        goal,
        horizon,
        2,
        action_set=Balls(scale, 2),
        reached=lambda s, g: (s - g).norm(dim=1) < 0.3 * scale,
        seeds=torch.arange(24),
    )


def _walled(problem: PlanningProblem) -> PlanningProblem:
    """The same with a ring at 2 units that cannot be crossed, but through a gap on the far side."""

    def step(s: Tensor, a: Tensor) -> Tensor:
        after = s + a
        crosses = ((s.norm(dim=-1) < 2.0) != (after.norm(dim=-1) < 2.0)) & ~(
            (after[..., 0] > 0) & (after[..., 1].abs() < 0.4)
        )
        return torch.where(crosses.unsqueeze(-1), s + 0.0 * a, after)

    return replace(problem, dynamics=step)


def test_a_start_is_greedy_where_greedy_plans_reach() -> None:
    open_field = _open_field()
    assert greedy_share(open_field, 1.0) == 1.0
    auto = GRASP.auto(open_field)
    assert (auto.start, auto.sync_at_start, auto.initial_action_noise) == ("greedy", True, 0.0)
    walled = _walled(open_field)
    assert greedy_share(walled, 1.0) < 0.5
    assert GRASP.auto(walled).start == "line"


def test_two_thirds_of_the_goals_are_enough_for_a_greedy_start(monkeypatch: pytest.MonkeyPatch) -> None:
    walled = _walled(_open_field())
    for share, start in ((0.67, "greedy"), (0.66, "line")):
        monkeypatch.setattr(automatic, "greedy_share", lambda *_, share=share: share)
        assert GRASP.auto(walled).start == start


def test_without_a_goal_region_nothing_is_known_of_greedy_plans() -> None:
    assert GRASP.auto(replace(_open_field(), reached=None)).start == "line"


def test_settings_are_those_of_the_diagnosis() -> None:
    problem = _walled(_open_field())
    auto, settings = GRASP.auto(problem), diagnose(problem).settings
    assert {name: getattr(auto, name) for name in settings} == {
        name: one.value for name, one in settings.items()
    }
    assert GRASP.auto(problem) == auto


def _pendulum(problems: int = 6) -> PlanningProblem:
    """A pendulum with weak pushes that must come to rest upside down: no plain steps are of use, and no greedy plan arrives."""

    def step(s: Tensor, a: Tensor) -> Tensor:
        speed = s[..., 1:] + 0.1 * (-9.8 * s[..., :1].sin() + 3.0 * a)
        return torch.cat([s[..., :1] + 0.1 * speed, speed], -1)

    generator = torch.Generator().manual_seed(0)
    start = 0.1 * torch.randn(problems, 2, generator=generator)
    goal = torch.tensor([3.14, 0.0]).expand(problems, 2)
    return PlanningProblem(
        step, start, goal, 30, 1, action_bounds=(-1.0, 1.0), reached=lambda s, g: (s - g).norm(dim=1) < 0.3
    )


def test_larger_steps_are_taken_where_they_reach_more(monkeypatch: pytest.MonkeyPatch) -> None:
    problem, asked = _pendulum(), []
    diagnosis = diagnose(problem)
    assert diagnosis.settings["optimizer"].value == "adam"
    small = GRASP(**{name: setting.value for name, setting in diagnosis.settings.items()})
    found = {small.sync_lr: 0, LARGER * small.sync_lr: 4}

    def counted(problem: PlanningProblem, planner: GRASP) -> Tensor:
        asked.append(planner)
        return torch.arange(6) < found[planner.sync_lr]

    monkeypatch.setattr(automatic, "reached_by", counted)
    assert GRASP.auto(problem) == small  # 4 to 0 is within chance, p = 1/16
    found[LARGER * small.sync_lr] = 5
    larger = GRASP.auto(problem)
    assert larger == replace(
        small, state_lr=LARGER * small.state_lr, action_lr=LARGER * small.action_lr, sync_lr=LARGER * small.sync_lr,
        state_noise=diagnosis.tube.adam_sigma(LARGER * small.state_lr),
    )  # fmt: skip
    assert set(asked) == {small, larger}


def test_the_trial_of_steps_counts_goals_reached_in_the_model() -> None:
    field = _open_field()
    planner = replace(GRASP.auto(field), start="line", sync_at_start=False)
    assert bool(reached_by(field, planner).all())
    assert not bool(reached_by(replace(field, reached=None), planner).any())
    frozen = replace(planner, action_lr=0.0, sync_every=None, initial_action_noise=0.0)
    assert not bool(reached_by(field, frozen).any())  # nothing moves, and every goal is away from the start


def test_it_plans_in_any_unit_where_the_default_does_not() -> None:
    """Lengths in thousandths: the default's steps of 0.01 and noise of 0.2 are then far too large."""
    small = _open_field(scale=1e-3)
    auto = GRASP.auto(small)
    along_the_line = replace(auto, start="line", sync_at_start=False)
    for planner in (auto, along_the_line):
        assert bool(planner.plan(small).reached.all())
    assert not bool(GRASP().plan(small).reached.any())


def test_where_the_actions_tried_move_nothing_it_keeps_the_planner_s_step_size() -> None:
    def walled(state: Tensor, action: Tensor) -> Tensor:
        return state + 0.1 * torch.relu(action - 5.0)

    start = torch.zeros(2, 2, dtype=torch.float64)
    planner = GRASP.auto(PlanningProblem(walled, start, start + 1.0, 4, 2))
    assert planner.state_lr == GRASP().state_lr
