"""Holding first on the study's problems: what is stored was made with what there is, and the page shows it."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from experiments.paths import RESULTS
from experiments.scripts import held_plans
from experiments.scripts.agreed_plans import cells_of
from experiments.scripts.held_plans import (
    LOOP,
    TABLES,
    judged,
    load,
    made_with,
    parts,
    planning_code,
    shown,
    variants,
)
from experiments.study.code.closure import Code
from experiments.study.code.modules import Sources
from experiments.study.reporting.summary import current
from experiments.study.tables import SETS
from experiments.study.targets import offline_model
from experiments.study.trials.judge import Judge
from experiments.study.trials.store import Store
from experiments.study.trials.unit import model_hash, problem_set, stored_model
from grasp_theory import GRASP
from grasp_theory.tasks import by_name
from linear_systems.errors import ParameterError

STORED = load()


@pytest.mark.parametrize("name", STORED)
def test_what_is_stored_was_made_with_what_there_is(name: str) -> None:
    """Settings, code and weights; another planner or model asks for new plans."""
    task, kind, steps = name.removesuffix(LOOP).split("-")
    loop = name.endswith(LOOP)
    assert cells_of((task, kind, int(steps)), TABLES[loop])
    assert STORED[name].items() >= made_with(task, loop).items()
    for model, entry in STORED[name]["models"].items():
        assert entry["hash"] == model_hash(model)
        if not loop:
            held, believed = (np.array(list(entry[what])) == "1" for what in ("held", "believed"))
            assert len(held) == len(believed) == len(entry["true"])
            assert held.any() == (entry["share"] > 0)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("held_first.py", "JERK = 0.15", "JERK = 0.16"),
        ("held_first.py", "reaches_more(straight, believed)", "reaches_more(believed, straight)"),
        ("held_first.py", "free.reached | (free.loss", "free.reached & (free.loss"),
        ("held_first.py", "~plan.reached & plan.first.found", "plan.reached & plan.first.found"),
        ("automatic.py", "LARGER * small.sync_lr", "small.sync_lr"),
        ("attempts.py", "OTHER_NOISE * attempt", "OTHER_NOISE + attempt"),
    ],
)
def test_other_code_asks_for_new_plans(tmp_path: Path, file: str, old: str, new: str) -> None:
    packages = {name: RESULTS.parents[1] / name for name in ("linear_systems", "grasp_theory", "experiments")}
    before = planning_code(Code(Sources(packages))).digest()
    shutil.copytree(
        packages["grasp_theory"], tmp_path / "grasp_theory", ignore=shutil.ignore_patterns("*.n*", "*.s*")
    )
    path = tmp_path / "grasp_theory" / "trust" / file
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")
    after = planning_code(Code(Sources({**packages, "grasp_theory": tmp_path / "grasp_theory"}))).digest()
    assert after != before


def test_the_page_shows_what_is_stored() -> None:
    page = (RESULTS.parents[1] / "docs" / "trust.md").read_text(encoding="utf-8")
    said = re.search(r"<!-- held plans: [^\n]*-->\n(.*?)\n<!-- end of held plans -->", page, re.DOTALL)
    assert said is not None
    lines = list(shown(STORED, current(Store(RESULTS).rows())))
    assert said[1].splitlines() == lines[: lines.index("")]
    # The sentences under it have these differences over all sets.
    assert {"-".join(map(str, where)) for where in SETS["1"]} <= STORED.keys()
    for other in ("CEM-GD", "GRASP"):
        (line,) = (line for line in lines if line.startswith(f"held first, plans, 10 sets, less {other}:"))
        assert line.partition(": ")[2].partition(", p")[0] in page, line


@pytest.mark.parametrize("loop", [False, True])
def test_problems_are_planned_within_the_budget_and_judged_by_the_world(
    loop: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_plans, "BUDGET", 300)
    name = offline_model("point_maze", 0)
    problems = problem_set("point_maze-random-16-tuning")
    judge = Judge(by_name("point_maze"), stored_model(name), problems, range(6))
    entry = judged(judge, loop=loop)
    assert entry["share"] == 0.5
    assert len(entry["true"]) == 6
    assert entry["true"].count("1") >= 2
    if not loop:
        assert entry["held"].count("1") >= 3
        assert entry["believed"].count("1") >= entry["true"].count("1") - 1


def test_parts_are_changed_one_at_a_time() -> None:
    judge = Judge(
        by_name("wall_single"), stored_model(offline_model("wall_single", 0)),
        problem_set("wall_single-random-8-tuning"), range(6),
    )  # fmt: skip
    found = dict(variants(judge.problem(0), 2))
    # Greedy plans arrive: nothing is held, neither way, and `GRASP.auto` is the same.
    assert list(found) == ["as it sets itself", "greedy start with noise"]
    noisy, whole = found["greedy start with noise"].planner, found["as it sets itself"].planner
    assert isinstance(noisy, GRASP)
    assert isinstance(whole, GRASP)
    assert noisy.initial_action_noise > whole.initial_action_noise == 0.0


@pytest.mark.slow
def test_another_model_s_plans_of_the_reporting_problems(capsys: pytest.CaptureFixture[str]) -> None:
    parts("wall_single", "random", 8, 2, "wall_single-offline-bodies-0", reporting=True)
    rows = capsys.readouterr().out.splitlines()
    assert rows[0].startswith("| wall_single, T = 8, 1 × 2 |")
    assert [row.split("|")[1].strip() for row in rows[2:]] == ["as it sets itself"]


def test_parts_of_a_model_that_there_is_not_are_refused() -> None:
    with pytest.raises(ParameterError, match="point_maze_long-robust-flat-0, found 'nope'"):
        parts("point_maze_long", "long", 40, 2, "nope")
