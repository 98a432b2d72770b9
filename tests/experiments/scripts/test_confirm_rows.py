"""Rows of former code are taken over when their units come out the same again, and only then."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest
from study_cases import small_unit

from experiments.scripts.confirm_rows import CONFIRMED, confirm
from experiments.study.trials.store import Store
from experiments.study.trials.trial import run_unit
from experiments.worlds import trial as worlds

UNITS = [small_unit(planner="CEM", settings=(("iterations", 2),), first=first, count=2) for first in (0, 2)]


@pytest.fixture(scope="module")
def rows() -> list[pl.DataFrame]:
    return [run_unit(unit) for unit in UNITS]


def former(rows: pl.DataFrame) -> pl.DataFrame:
    unit = "former " + rows["unit"][0]
    return rows.with_columns(
        pl.lit("0" * 16).alias("code"), pl.format("former {}", "key").alias("key"), pl.lit(unit).alias("unit")
    )


def stored(folder: Path, rows: list[pl.DataFrame]) -> Store:
    store = Store(folder)
    for each in rows:
        store.write(each["unit"][0], each)
    return store


def test_rows_that_come_out_the_same_are_taken(rows: list[pl.DataFrame], tmp_path: Path) -> None:
    store = stored(tmp_path, [former(each) for each in rows])
    plans = tmp_path / "held_plans.json"
    plans.write_text(json.dumps({"code": "0" * 16, "true": "0" * 17}))
    confirm(units=1, seed=0, results=tmp_path, task="wall_single")
    assert store.rows().equals(pl.concat(rows).sort(*store.layout.order))
    assert json.loads(plans.read_text()) == {"code": rows[0]["code"][0], "true": "0" * 17}
    (entry,) = json.loads((tmp_path / CONFIRMED).read_text())
    assert (entry["former"], entry["present"]) == ("0" * 16, rows[0]["code"][0])
    assert (entry["rows"], entry["computed_again"]) == (4, 2)


@pytest.mark.parametrize("elsewhere", [True, False])
def test_units_of_this_kind_of_processor_decide(
    rows: list[pl.DataFrame], elsewhere: bool, tmp_path: Path
) -> None:
    other = former(rows[1].with_columns(pl.col("loss") * (1 + 1e-6)))
    if elsewhere:
        other = other.with_columns(pl.lit("another processor").alias("machine"))
    store = stored(tmp_path, [former(rows[0]), other])
    confirm(units=2, seed=0, results=tmp_path, task="wall_single")
    assert (set(store.rows()["code"]) == {rows[0]["code"][0]}) is elsewhere


@pytest.mark.parametrize("column", ["loss", "final_true", "believed_curve"])
def test_one_outcome_that_differs_keeps_them_former(
    rows: list[pl.DataFrame], column: str, tmp_path: Path
) -> None:
    other = {
        "loss": pl.col("loss") * (1 + 1e-6),
        "final_true": ~pl.col("final_true"),
        "believed_curve": pl.lit("1" * 30),
    }
    changed = [former(each.with_columns(other[column].alias(column))) for each in rows]
    store = stored(tmp_path, changed)
    confirm(units=1, seed=0, results=tmp_path, task="")
    assert store.rows().equals(pl.concat(changed).sort(*store.layout.order))
    assert not (tmp_path / CONFIRMED).exists()


def test_rows_of_other_weights_or_another_task_stay(rows: list[pl.DataFrame], tmp_path: Path) -> None:
    old = former(rows[0]).with_columns(pl.lit("other").alias("model_hash"))
    store = stored(tmp_path, [old, former(rows[1])])
    before = store.rows()
    confirm(units=1, seed=0, results=tmp_path, task="push_t")
    assert store.rows().equals(before)
    confirm(units=1, seed=0, results=tmp_path, task="wall_single")
    assert set(store.rows()["code"]) == {"0" * 16, rows[1]["code"][0]}
    assert len(store.rows().filter(pl.col("model_hash") == "other")) == 2


def test_the_worlds_are_confirmed_too(tmp_path: Path) -> None:
    rows = worlds.run_unit(worlds.WorldUnit("unicycle", "CEM", 4, 400, 0))
    store = Store(tmp_path / "worlds", worlds.LAYOUT)
    store.write("former", rows.with_columns(pl.lit("0" * 16).alias("code"), pl.lit("former").alias("unit")))
    confirm(units=1, seed=0, results=tmp_path, task="worlds")
    assert store.rows().equals(rows.sort(*worlds.LAYOUT.order))
