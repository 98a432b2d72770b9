"""Plans of the figures: whole budgets, looks between syncs, and the settings that were tuned nearest."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from experiments.study.figure_data.cases import SETTINGS, Setting, judge_of, plan_with, settings_of
from experiments.study.figure_data.virtual_states import residuals
from experiments.study.targets import Tuned
from experiments.study.trials.settings import untuned
from grasp_theory import GRASP, GradientDescent
from grasp_theory.tasks import by_name

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pymunk")


def test_settings_are_those_tuned_at_the_nearest_horizon() -> None:
    entries = {
        f"GRASP wall_single-random-{horizon}": {"settings": {"state_noise": noise}}
        for horizon, noise in ((4, 0.1), (8, 0.3), (16, 0.5))
    }
    entries["LatCo wall_single-random-10"] = {"settings": {"state_lr": 0.7}}
    entries["GRASP wall_single_long-long-10"] = {"settings": {"state_noise": 0.9}}
    tuned = Tuned(entries)
    for horizon, noise in ((2, 0.1), (9, 0.3), (40, 0.5)):
        found = settings_of("GRASP", Setting("wall_single", "random", horizon), tuned)
        assert found == (("state_noise", noise),)
    # Neither another planner's nor another task's.
    maze = Setting("point_maze", "random", 8)
    assert settings_of("GRASP", maze, tuned) == untuned("GRASP", by_name("point_maze"))


def test_plans_use_the_whole_budget_and_looks_miss_the_syncs() -> None:
    judge = judge_of(SETTINGS[0], 3)
    planner = GRASP(iterations=16, sync_every=8, sync_steps=1)
    seen = plan_with(judge, replace(planner, sync_every=5))
    assert seen.seen.iteration == 16
    assert (seen.plan.iterations == 16).all()
    # Every multiple of 8 is a sync here: what is left is the start.
    assert plan_with(judge, planner).seen.iteration == 0
    assert seen.path.shape == (3, 51, 2)


def test_planners_without_virtual_states_have_rollouts_without_residual() -> None:
    judge = judge_of(SETTINGS[0], 3)
    along = plan_with(judge, GradientDescent(iterations=4))
    rolled = residuals(judge.model, along.virtual_states, along.seen.actions)
    size = float(along.virtual_states.abs().max())
    # The batch is another, and so may be the rounding: some tens of operations in float32.
    assert rolled.max() < 100 * size * torch.finfo(torch.float32).eps
    lifted = plan_with(judge, GRASP(iterations=4, sync_every=None))
    assert residuals(judge.model, lifted.virtual_states, lifted.seen.actions).max() > 0.1
