"""Plans that several models agree on: the budget is shared, the judges are heard, and the comparison is with the same problems."""

from __future__ import annotations

import json

import numpy as np
import polars as pl
import pytest

from experiments.paths import RESULTS
from experiments.scripts import agreed_plans
from experiments.scripts.agreed_plans import agreed, differences
from experiments.study.reporting.summary import current
from experiments.study.tables import FULL, cells
from experiments.study.targets import Tuned, offline_model
from experiments.study.trials.judge import Judge
from experiments.study.trials.store import Store
from experiments.study.trials.unit import problem_set, stored_model
from grasp_theory import GradientDescent
from grasp_theory.tasks import by_name

WHERE = ("wall_single", "random", 8)
KNOWN = {cell.row: cell for cell in cells("1", Tuned.load(RESULTS), FULL) if cell.problem_set == WHERE}


def test_a_row_does_not_differ_from_itself_and_from_its_contrary_by_all() -> None:
    cell = KNOWN["GD"]
    rows = current(Store(RESULTS).rows()).filter(
        pl.col("task") == WHERE[0], pl.col("horizon") == WHERE[2], pl.col("planner") == cell.planner,
        pl.col("mode") == "batch", pl.col("settings") == json.dumps(dict(sorted(cell.settings)), sort_keys=True),
    ).sort("model_seed", "problem")  # fmt: skip
    true = [
        part["final_true"].to_list()[:20] for part in rows.partition_by("model_seed", maintain_order=True)
    ]
    same = differences(["".join(str(int(one)) for one in each) for each in true], KNOWN, RESULTS)
    assert same["GD"].first_only == same["GD"].second_only == 0
    contrary = differences(["".join(str(1 - one) for one in each) for each in true], KNOWN, RESULTS)["GD"]
    assert contrary.trials == contrary.first_only + contrary.second_only == 60
    assert contrary.second_only == sum(map(sum, true))


def test_the_models_choose_among_the_attempts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agreed_plans, "BUDGET", 600)
    names = [offline_model(WHERE[0], seed) for seed in FULL.seeds]
    problems = problem_set("wall_single-random-8-tuning")
    judges = {name: Judge(by_name(WHERE[0]), stored_model(name), problems, range(20)) for name in names}
    planner = GradientDescent(iterations=10_000, lr=0.1, initial_action_noise=0.5)
    found = agreed(planner, judges, names[1])
    assert found.dtype == np.bool_
    assert found.shape == (20,)
    assert found.sum() >= 10
