"""Stored figures of acceptance follow from the stored rows and are of the shipped models; plans are made once."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from experiments.scripts import acceptance_plans
from experiments.scripts.acceptance import CALIBRATION, FRESH, ROWS, SUMMARY, design, summarise, weights
from experiments.scripts.acceptance_evidence import KEYS
from experiments.scripts.acceptance_plans import PIECE, TRIALS, Unit, plans_of, problem_set
from grasp_theory import GradientDescent
from linear_systems.errors import ParameterError

STORED = json.loads(SUMMARY.read_text(encoding="utf-8"))
TABLE = pl.read_parquet(ROWS)


def same(one: object, other: object) -> bool:
    """Compare nested values, numbers up to what another machine's rounding does to a regression."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, rel=1e-3, abs=1e-4)
    return one == other


def test_the_summary_follows_from_the_rows() -> None:
    found = json.loads(json.dumps(summarise(TABLE)))
    assert same(found, {name: STORED[name] for name in TRIALS})
    changed = TABLE.with_columns(true=~pl.col("true"))
    assert not same(json.loads(json.dumps(summarise(changed))), found)


def test_the_weights_are_those_that_are_shipped() -> None:
    assert STORED["weights"] == weights()


def test_rows_are_of_the_design_and_none_is_there_twice() -> None:
    keys = [name for name in KEYS if name != "true"]
    assert TABLE.select(keys).n_unique() == len(TABLE)
    planned = {
        (u.trial, u.split, u.planner, u.model, u.restart, PIECE * u.piece) for u in design(CALIBRATION)
    }
    stored = TABLE.with_columns(pl.col("problem") // PIECE * PIECE).select(keys).unique().rows()
    assert set(stored) <= planned
    fresh = TABLE.filter((pl.col("split") == "fresh") & (pl.col("model") == 0) & (pl.col("restart") == 0))
    for trial in ("wall_single", "point_maze"):
        assert len(fresh.filter((pl.col("trial") == trial) & (pl.col("planner") == "GRASP"))) >= FRESH


def test_splits_share_no_problem() -> None:
    for trial in ("wall_single", "point_maze"):
        starts = [problem_set(trial, split, 20).starts for split in ("calibration", "fresh")]
        assert np.abs(starts[0][:, None] - starts[1][None]).max(-1).min() > 0


def test_plans_are_made_once_and_damage_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acceptance_plans, "PIECE", 3)
    quick = GradientDescent(iterations=2)
    monkeypatch.setattr(acceptance_plans, "planners", lambda task: {"GD": quick})
    unit = Unit("wall_single", "fresh", 1, "GD", 1)
    made = plans_of(unit, tmp_path)
    assert made.actions.shape == (3, 8, 10)
    assert made.true.shape == made.loss.shape == (3,)
    monkeypatch.delattr(acceptance_plans, "_made")  # nothing can be made now
    assert np.array_equal(plans_of(unit, tmp_path).actions, made.actions)
    with monkeypatch.context() as patch:
        patch.setattr(acceptance_plans, "planners", lambda task: {"GD": replace(quick, iterations=3)})
        with pytest.raises(ParameterError, match="iterations=3"):
            plans_of(unit, tmp_path)
    path = tmp_path / unit.name
    other = tmp_path / replace(unit, restart=1).name
    other.write_bytes(path.read_bytes())
    with pytest.raises(ParameterError, match="to hold"):
        plans_of(replace(unit, restart=1), tmp_path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ParameterError, match="readable"):
        plans_of(unit, tmp_path)
