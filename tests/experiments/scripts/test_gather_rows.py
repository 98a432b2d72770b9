"""Rows of a run elsewhere: those of a table's cells are taken, others are not, and nothing twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from study_cases import small_unit

from experiments.paths import RESULTS
from experiments.scripts.gather_rows import gather, shown
from experiments.study.targets import Tuned
from experiments.study.trials.store import Store
from experiments.study.trials.trial import run_unit


@pytest.fixture(scope="module")
def shipped() -> pl.DataFrame:
    rows = Store(RESULTS).rows().filter(pl.col("task") == "push_t")
    return rows.filter(rows["unit"].is_in(rows["unit"].unique().sort().head(2).implode()))


def test_what_is_shipped_is_shown() -> None:
    rows = Store(RESULTS).rows()
    assert len(shown(rows, Tuned.load(RESULTS))) == len(rows)


def test_rows_of_no_cell_and_of_later_problems_are_dropped(shipped: pl.DataFrame, tmp_path: Path) -> None:
    other = run_unit(
        replace(small_unit(planner="CEM", settings=(("iterations", 2),), count=2), purpose="reporting")
    )
    into, run = Store(tmp_path / "into"), Store(tmp_path / "run")
    for rows in (other, *shipped.partition_by("unit")):
        run.write(rows["unit"][0], rows)
    (tmp_path / "into").mkdir()
    (tmp_path / "into" / "tuned.json").write_bytes((RESULTS / "tuned.json").read_bytes())
    least = min(shipped["problem"].to_list())
    gather(run.folder, task="push_u", problems=least + 2, results=into.folder)
    assert into.rows().is_empty()
    gather(run.folder, task=shipped["task"][0], problems=least + 2, results=into.folder)
    assert into.rows().equals(shipped.filter(pl.col("problem") < least + 2).sort(*into.layout.order))
    gather(run.folder, problems=least + 5, results=into.folder)
    assert into.rows().equals(shipped.filter(pl.col("problem") < least + 5).sort(*into.layout.order))
