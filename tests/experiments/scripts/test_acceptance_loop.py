"""Closed loop with and without acceptance: which systems the evidence is of, and what is stored."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from experiments.scripts.acceptance_loop import APART, OUT, PROBLEM_SEED, Loop
from experiments.scripts.acceptance_plans import SEEDS, TRIALS, model_of
from grasp_theory import GradientDescent
from grasp_theory.control import SEED_STRIDE
from grasp_theory.tasks import by_name
from grasp_theory.tasks.problems import make_problems
from grasp_theory.trust.attempts import OTHER_NOISE

TASK = by_name("wall_single")
PLANNER = GradientDescent(iterations=2, lr=0.3, initial_action_noise=1.0)


@pytest.fixture(scope="module")
def loop() -> Loop:
    problems = make_problems(
        "wall_single", "random", horizon=3, count=4, purpose="reporting", seed=PROBLEM_SEED
    )
    return Loop(TASK, problems, problems.start_history.copy())


def test_evidence_is_of_the_systems_that_the_seeds_tell(loop: Loop) -> None:
    """Rows are some of the systems, at any step of `control` and any attempt of `CheckedPlanner`."""
    model, every = model_of("wall_single", SEEDS[0]), np.arange(4)
    problem = loop.problem(model, every, 3)
    plan = PLANNER.plan(problem)
    whole = loop.evidence(problem, plan)
    for rows in ([2, 0], [3]):
        part = loop.problem(model, np.array(rows), 3)
        some = PLANNER.plan(part)
        part.seeds.add_(5 * SEED_STRIDE + 2 * OTHER_NOISE)  # type: ignore[union-attr]
        found = loop.evidence(part, some)
        for name, values in whole.items():
            torch.testing.assert_close(found[name], values[rows], rtol=1e-4, atol=1e-4)


def test_a_run_moves_the_systems_and_ends_those_that_are_done(loop: Loop) -> None:
    run = loop.run(PLANNER, 3)
    assert run.actions.shape == (4, 3, 10)
    assert np.abs(loop.frames - loop.problems.start_history).max() > 1
    again = loop.run(PLANNER, 3)
    assert torch.equal(run.solved_at, again.solved_at)
    assert loop.problem(model_of("wall_single", 0), np.array([1, 3]), 2).seeds.tolist() == [APART, 3 * APART]  # type: ignore[union-attr]


def test_what_is_stored_is_a_comparison_of_the_same_problems() -> None:
    stored = json.loads(OUT.read_text(encoding="utf-8"))
    assert set(stored) == {"wall_single", "point_maze", "push_t_2"}
    for trial, found in stored.items():
        assert found["horizon"] == TRIALS[trial][2]
        for when in ("within_T", "within_2T"):
            gained = found[f"difference_{when}"]
            assert gained["value"] == pytest.approx(
                found["checked"][when]["value"] - found["plain"][when]["value"], abs=1e-5
            )
            assert gained["low"] <= gained["value"] <= gained["high"]
