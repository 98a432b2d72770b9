"""Closed loop with other models: the physics as a model, what is stored, and the page that shows it."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from experiments.paths import RESULTS
from experiments.scripts.agreed_plans import cells_of
from experiments.scripts.loop_models import Physics, known_as, load, seen, shown
from experiments.study.reporting.summary import current
from experiments.study.tables import SETS
from experiments.study.targets import offline_model
from experiments.study.trials.judge import Judge
from experiments.study.trials.store import Store
from experiments.study.trials.unit import code_digest, model_hash, problem_set, stored_model
from grasp_theory import rollout
from grasp_theory.tasks import by_name

STORED = load()
TASK = by_name("push_t")
MODELS = [offline_model("push_t", seed) for seed in (0, 1)]
GIVEN = Judge(TASK, stored_model(MODELS[0]), problem_set("push_t-trajectory-8-tuning"), range(3))


def test_what_is_stored_was_made_with_what_there_is() -> None:
    for task, entries in STORED.items():
        (where,) = (each for each in SETS["mpc"] if each[0] == task)
        for name, entry in entries.items():
            cell = cells_of(where, ("mpc",))[name.partition(" with ")[0]]
            assert entry["settings"] == dict(cell.settings)
            assert entry["code"] == code_digest(cell.planner, task, "mpc")
            assert entry["hashes"] == {model: model_hash(model) for model in entry["hashes"]}


def test_the_page_shows_what_is_stored() -> None:
    page = (RESULTS.parents[1] / "docs" / "world_models.md").read_text(encoding="utf-8")
    said = re.search(r"<!-- loop models: [^\n]*-->\n(.*?)\n<!-- end of loop models -->", page, re.DOTALL)
    assert said is not None
    assert said[1].splitlines() == list(shown(STORED, current(Store(RESULTS).rows())))


def test_the_physics_as_a_model_do_what_the_task_does() -> None:
    problem = known_as(GIVEN, [])
    actions = 0.5 * torch.randn(3, 8, 10, generator=torch.Generator().manual_seed(0)).clamp(-1, 1)
    path = rollout(problem.model, problem.initial_state, actions)
    true = TASK.simulate(GIVEN.starts, actions.reshape(3, 40, 2).double().numpy())[:, ::5]
    np.testing.assert_allclose(path[:, :, :4].numpy(), true[:, :, :4], atol=1.0)
    physics = Physics(TASK)
    ends = torch.from_numpy(true[:, -1])
    goals = torch.from_numpy(GIVEN.goals)
    assert physics.reached(goals, goals).all()
    np.testing.assert_allclose(
        physics.distance(ends, goals).numpy(), TASK.distance(true[:, -1], GIVEN.goals) ** 2
    )


@pytest.mark.parametrize("names", [[], MODELS[:1], MODELS])
def test_what_is_seen_at_the_start_is_the_problem_s_state(names: list[str]) -> None:
    problem = known_as(GIVEN, names)
    found = seen(TASK, names, GIVEN.problems.start_history[:3])
    torch.testing.assert_close(found, problem.initial_state)
