"""A unit's rows: their meaning checked on models that are right or wrong in one known way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from evaluation_doubles import StateModel, TellingWall
from polars.testing import assert_frame_equal
from study_cases import small_unit
from torch import Tensor

from experiments.evaluation.observe import environment_actions
from experiments.study.targets import offline_model
from experiments.study.trials.judge import Judge, believed, noise_seeds
from experiments.study.trials.loop import closed_loop
from experiments.study.trials.trial import SCHEMA, run_unit
from experiments.study.trials.unit import (
    planner_of,
    problem_set,
    stored_model,
    trial_keys,
    unit_key,
    witness,
)
from grasp_theory import GradientDescent
from grasp_theory.tasks import by_name
from grasp_theory.tasks.problems import make_problems
from grasp_theory.tasks.task import FRAMESKIP

TIMES = ("first_seconds", "seconds", "load", "finished")


def results(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.drop(*TIMES)


def test_rows_have_every_column_and_say_where_they_come_from() -> None:
    unit = small_unit(first=3)
    rows = run_unit(unit)
    assert rows.schema == pl.Schema(SCHEMA)
    assert rows["key"].to_list() == trial_keys(unit)
    assert rows["unit"].unique().to_list() == [unit_key(unit)]
    assert rows["problem"].to_list() == [3, 4]
    steps = problem_set(unit.set_name).shortest_steps
    assert rows["shortest_steps"].to_list() == pytest.approx(steps[3:5].tolist())
    for column in (
        "model_hash",
        "problem_hash",
        "load",
        "code",
        "version",
        "machine",
        "device",
        "torch",
        "finished",
    ):
        assert rows[column].null_count() == 0, column


def test_the_same_unit_gives_the_same_results() -> None:
    unit = small_unit()
    assert_frame_equal(results(run_unit(unit)), results(run_unit(unit)))


def test_modes_agree_where_they_must() -> None:
    """The first success does not depend on what happens afterwards, nor (here) on who is planned beside."""
    settings = (("check_every", 5), ("iterations", 40), ("lr", 0.5))
    batch, single = (
        run_unit(small_unit(count=6, settings=settings, mode=mode)) for mode in ("batch", "single")
    )
    assert batch["first_model"].sum() > 0
    same = ["problem", "first_step", "first_model", "first_true"]
    assert_frame_equal(batch.select(same), single.select(same))
    assert (batch["iterations"] == 40).all()
    solved = single.filter("first_model")
    assert (solved["iterations"] == solved["first_step"]).all()
    for column in ("final_model", "final_true", "agreed", "believed_curve", "true_curve"):
        assert single[column].null_count() == 6, column
    assert batch["final_true"].null_count() == 0
    assert (single["batch"] == 1).all()
    # One at a time every problem has its own time; side by side they share it.
    assert single["seconds"].n_unique() == 6
    assert batch["seconds"].n_unique() == 1
    assert (batch.filter("first_model")["first_seconds"] <= batch["seconds"][0]).all()
    assert batch.filter(~pl.col("first_model"))["first_seconds"].is_null().all()


def test_smaller_budgets_are_read_off_the_curve_of_one_run() -> None:
    """What the curves say of a tenth, a third and all of the budget is what runs with those budgets return."""
    whole = run_unit(small_unit(count=8, settings=(("lr", 0.5),), budget=300))
    assert (whole["evaluations"] <= 300 * 4).all()
    assert (whole["evaluations"] > 250 * 4).all()
    for tenths in (1, 3, 10):
        less = run_unit(small_unit(count=8, settings=(("lr", 0.5),), budget=30 * tenths))
        assert [curve[tenths - 1] == "1" for curve in whole["true_curve"]] == less["final_true"].to_list()
        assert [curve[3 * tenths - 1] == "1" for curve in whole["believed_curve"]] == less[
            "final_model"
        ].to_list()
    assert 0 < whole["final_true"].sum() < 8
    assert {len(curve) for curve in whole["true_curve"]} == {10}


def test_the_witness_is_another_training_and_judges_the_same_plans() -> None:
    unit = small_unit(count=24, settings=(("lr", 0.5),), budget=90)
    assert witness(unit.model) == "wall_single-offline-flat-1"
    assert witness("wall_single-offline-flat-2") == "wall_single-offline-flat-0"
    assert witness("wall_single_long-offline-flat-0") is None
    assert witness("my/own/model") is None
    rows = run_unit(unit)
    judge = Judge(by_name(unit.task), stored_model(unit.model), problem_set(unit.set_name), unit.indices)
    plan = planner_of(unit).plan(judge.problem(unit.seed), stop_when_reached=False)
    assert believed(judge.problem(0), plan.actions).tolist() == rows["final_model"].to_list()
    other = replace(judge, model=stored_model("wall_single-offline-flat-1"))
    assert believed(other.problem(0), plan.actions).tolist() == rows["agreed"].to_list()
    assert rows["agreed"].to_list() != rows["final_model"].to_list()


class Moving(StateModel):
    """The latent is the true state and moves as an empty world would."""

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        moves = action.unflatten(-1, (FRAMESKIP, self.task.action_dim)).sum(-2)
        return state + 2 * moves.to(state.dtype)


def _judge(model: Any, horizon: int = 6, count: int = 12) -> Judge:
    task = TellingWall()
    problems = make_problems(
        "wall_single", "random", horizon=horizon, count=count, purpose="reporting", seed=5
    )
    return Judge(task, model, problems, range(count))


def test_belief_is_judged_in_the_model_and_truth_in_the_environment() -> None:
    """A model without walls believes every plan straight at the goal; the walls stop all of them that cross."""
    task = TellingWall()
    judge = _judge(Moving(task))
    problem = judge.problem(0)
    plan = GradientDescent(iterations=60, lr=0.5).plan(problem)
    assert plan.reached.all()
    true, distance = judge.replay(plan.actions)
    # Random problems lie on opposite sides of the wall, and only those behind the door are reached straight.
    assert not true.all()
    assert (distance[~true] > 4.5).all()
    path = task.simulate(judge.starts, environment_actions(task, plan.actions))
    assert np.array_equal(task.success(path[:, -1], judge.goals), true)


def test_a_model_in_which_nothing_moves_reaches_nothing() -> None:
    judge = _judge(StateModel(TellingWall()))
    assert not judge.reached(judge.problem(0).initial_state, judge.problem(0).goal).any()
    assert judge.reached(judge.problem(0).goal, judge.problem(0).goal).all()
    lost = torch.full_like(judge.problem(0).goal, torch.nan)
    assert not judge.reached(lost, judge.problem(0).goal).any()


def test_noise_belongs_to_the_problem() -> None:
    assert noise_seeds(1, range(3, 5)).tolist() == noise_seeds(1, range(0, 5)).tolist()[3:]
    assert not set(noise_seeds(1, range(1000)).tolist()) & set(noise_seeds(2, range(1000)).tolist())


def test_looking_again_finds_what_one_plan_does_not() -> None:
    """In closed loop a model that overshoots by half still arrives; in one go it does not."""

    class Timid(Moving):
        def step(self, state: Tensor, action: Tensor) -> Tensor:
            return state + 1.5 * (super().step(state, action) - state)

    judge = _judge(Timid(TellingWall()))
    # Without the wall in the way: goals on the start's side.
    judge.problems.goal_history[:] = judge.problems.start_history + np.array([8.0, 0.0])
    planner = GradientDescent(iterations=60, lr=0.5, max_evaluations=100_000)
    inside = judge.task.distance(judge.starts, judge.goals)
    once, _ = judge.replay(planner.plan(judge.problem(0)).actions)
    again = closed_loop(judge, planner, 0)
    assert inside.min() > 4.5
    assert (again.solved_at >= 0).sum() >= once.sum()
    assert (again.solved_at >= 0).mean() > 0.8
    assert (again.distance[again.solved_at >= 0] < 4.5).all()
    assert again.solved_at.max() <= 12


def test_the_loop_ends_with_its_steps() -> None:
    judge = _judge(StateModel(TellingWall()), horizon=2, count=3)
    ended = closed_loop(judge, GradientDescent(iterations=2, max_evaluations=100), 0)
    assert (ended.solved_at == -1).all()
    assert np.isfinite(ended.distance).all()


def test_closed_loop_rows() -> None:
    rows = run_unit(small_unit(mode="mpc", settings=(("iterations", 20), ("lr", 0.5)), count=4))
    solved = rows["final_true"].to_list()
    assert [replans is not None for replans in rows["replans"]] == solved
    assert rows["first_model"].null_count() == 4
    assert rows["true_distance"].null_count() == 0


@pytest.mark.slow
@pytest.mark.parametrize("task", ["point_maze", "push_t"])
def test_every_task_can_be_studied(task: str) -> None:
    kind = "trajectory"
    for mode in ("batch", "single", "mpc"):
        rows = run_unit(small_unit(task=task, kind=kind, model=offline_model(task, 0), mode=mode))
        assert len(rows) == 2
        assert rows["true_distance"].is_finite().all()
    model = stored_model(offline_model(task, 0))
    assert not model.training
    assert by_name(task).name == task
