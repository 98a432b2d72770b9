"""Plans that several models agree on: the budget is shared, the judges are heard, and the comparison is with the same problems."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from experiments.paths import RESULTS
from experiments.scripts import agreed_plans
from experiments.scripts.agreed_plans import ALONE, agreed, cells_of, load, made_with, paired, shown
from experiments.study.reporting.summary import current, trials_of
from experiments.study.tables import FULL
from experiments.study.targets import offline_model
from experiments.study.trials.judge import Judge
from experiments.study.trials.store import Store
from experiments.study.trials.unit import model_hash, problem_set, stored_model
from grasp_theory import GradientDescent
from grasp_theory.tasks import by_name

WHERE = ("wall_single", "random", 8)
KNOWN = cells_of(WHERE)


ROWS = current(Store(RESULTS).rows())


def test_a_row_does_not_differ_from_itself_and_from_its_contrary_by_all() -> None:
    cell = KNOWN["GD"]
    trials = trials_of(ROWS, cell, "batch").sort("model", "problem")
    true = {part["model"][0]: part["final_true"].to_list()[:20] for part in trials.partition_by("model")}

    def entry(same: int) -> dict[str, Any]:
        told = {name: "".join(str(int(one == same)) for one in found) for name, found in true.items()}
        return {"models": {name: {"true": found} for name, found in told.items()}}

    same, contrary = (paired(entry(value), ROWS, cell) for value in (True, False))
    assert same.trials == 60
    assert same.first_only == same.second_only == 0
    assert contrary.first_only + contrary.second_only == 60
    assert contrary.second_only == sum(map(sum, true.values()))


def test_what_is_stored_was_made_with_what_there_is() -> None:
    """Settings, code and weights; another planner or model asks for new plans."""
    for name, entries in load().items():
        task, kind, horizon = name.split("-")
        known = cells_of((task, kind, int(horizon)))
        for row, entry in entries.items():
            assert entry.items() >= made_with(known[row.removesuffix(ALONE)]).items()
            assert {model: found["hash"] for model, found in entry["models"].items()} == {
                model: model_hash(model) for model in entry["models"]
            }


def test_the_page_shows_what_is_stored() -> None:
    page = (RESULTS.parents[1] / "docs" / "trust.md").read_text(encoding="utf-8")
    said = re.search(r"<!-- agreed plans: [^\n]*-->\n(.*?)\n *<!-- end of agreed plans -->", page, re.DOTALL)
    assert said is not None
    lines = list(shown(load(), ROWS))
    table = lines[: lines.index("")]
    assert [line.strip() for line in said[1].splitlines() if line.strip()] == table
    # The sentences under it have the differences over all sets.
    for other in ("GRASP.auto", "GRASP", "CEM-GD", "the planning model alone"):
        (line,) = (
            line for line in lines if line.startswith("GRASP.auto, 4 sets") and f" less {other}:" in line
        )
        assert line.partition(": ")[2] in page, line


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
