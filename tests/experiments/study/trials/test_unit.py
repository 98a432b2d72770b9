"""Units: refusals, and keys that change with everything that determines a row and with nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from study_cases import small_unit

from experiments.study.trials.unit import trial_keys, unit_key
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
        {"mode": "single"},
        {"budget": 20},
    ],
    ids=str,
)
def test_whatever_determines_a_row_changes_its_key(change: dict[str, Any]) -> None:
    unit = small_unit()
    assert not set(trial_keys(unit)) & set(trial_keys(replace(unit, **change)))


def test_units_planned_side_by_side_differ_from_those_planned_apart() -> None:
    assert unit_key(small_unit(count=2)) != unit_key(small_unit(count=1))
    assert unit_key(small_unit()) == unit_key(small_unit())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"mode": "later"}, "mode"),
        ({"count": 0}, "count"),
        ({"budget": 0}, "budget"),
        ({"planner": "Oracle"}, "planner"),
        ({"settings": (("iteration", 3),)}, "settings"),
        ({"settings": (("iterations", 0),)}, "iterations"),
    ],
)
def test_a_unit_that_makes_no_sense_is_refused(change: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        replace(small_unit(), **change)


def test_problems_that_there_are_not_are_refused() -> None:
    with pytest.raises(ParameterError, match="at most 200"):
        unit_key(small_unit(first=199, count=2))
    with pytest.raises(ParameterError, match="problem set"):
        unit_key(small_unit(horizon=7))
