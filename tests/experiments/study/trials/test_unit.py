"""Units: refusals, and keys that change with everything that determines a row and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from study_cases import small_unit

from experiments.study.trials import unit as unit_module
from experiments.study.trials.unit import PROBLEM_SETS, code_digest, trial_keys, unit_key
from linear_systems.errors import ParameterError


def test_a_key_is_of_the_trial_and_not_of_its_neighbours() -> None:
    whole = trial_keys(small_unit(count=4))
    assert len(set(whole)) == 4
    assert trial_keys(small_unit(first=2, count=2)) == whole[2:]


@pytest.mark.parametrize(
    "change",
    [
        {"horizon": 8},
        {"purpose": "tuning"},
        {"model": "wall_single-offline-flat-1"},
        {"planner": "LatCo", "settings": (("iterations", 3),)},
        {"settings": (("iterations", 4),)},
        {"seed": 1},
        {"mode": "first"},
    ],
    ids=str,
)
def test_whatever_determines_a_row_changes_its_key(change: dict[str, Any]) -> None:
    unit = small_unit()
    assert not set(trial_keys(unit)) & set(trial_keys(replace(unit, **change)))


def test_units_planned_side_by_side_differ_from_those_planned_apart() -> None:
    assert unit_key(small_unit(count=2)) != unit_key(small_unit(count=1))
    assert unit_key(small_unit()) == unit_key(small_unit())


def test_code_counts_and_words_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unit_module, "REPOSITORY", tmp_path)
    monkeypatch.setattr(unit_module, "_CODE", ("a.py",))
    monkeypatch.setattr(unit_module, "_TASK_CODE", {"wall_single": (), "push_t": ("b",)})
    (tmp_path / "grasp_theory" / "tasks").mkdir(parents=True)
    other = tmp_path / "grasp_theory" / "tasks" / "b.py"
    other.write_text("y = 1\n")

    def digest(text: str, task: str = "wall_single") -> str:
        (tmp_path / "a.py").write_text(text)
        code_digest.cache_clear()
        return code_digest(task)

    plain = digest("def f():\n    return 1\n")
    assert digest('def f():\n    """Say."""\n    # why\n    return 1\n') == plain
    assert digest("def f():\n    return 2\n") != plain
    # A task's own files count for it alone, and its long variant has the same.
    long = digest("def f():\n    return 1\n", "push_t_long")
    other.write_text("y = 2\n")
    assert digest("def f():\n    return 1\n", "push_t_long") != long
    assert digest("def f():\n    return 1\n") == plain
    code_digest.cache_clear()


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"mode": "later"}, "mode"),
        ({"count": 0}, "count"),
        ({"planner": "Oracle"}, "planner"),
        ({"settings": (("iteration", 3),)}, "settings"),
        ({"settings": (("iterations", 0),)}, "iterations"),
    ],
)
def test_a_unit_that_makes_no_sense_is_refused(change: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        replace(small_unit(), **change)


def test_problems_that_there_are_not_are_refused() -> None:
    with pytest.raises(ParameterError, match="below 200"):
        unit_key(small_unit(first=199, count=2))
    with pytest.raises(ParameterError, match="problem set"):
        unit_key(small_unit(horizon=7))


def test_every_file_that_a_key_names_is_there() -> None:
    for name in unit_module._CODE:
        assert (unit_module._ROOT / name).exists(), name
    assert PROBLEM_SETS.is_dir()
    for task in ("wall_single", "point_maze_long", "push_t"):
        assert len(code_digest(task)) == 16
