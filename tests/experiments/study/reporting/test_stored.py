"""What the repository shows of the study is what its stored trials say."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from experiments.study.figure_data.files import shares
from experiments.study.reporting.counts import NUMBERS, PATH, condense
from experiments.study.reporting.render import brief, markdown
from experiments.study.reporting.report import TableReport, table_report
from experiments.study.reporting.summary import current, outdated
from experiments.study.study_commands import RESULTS
from experiments.study.tables import FULL, TABLES, cells
from experiments.study.trials.store import existing
from experiments.study.tune import Tuned

README = (Path(__file__).parents[4] / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return existing(RESULTS).rows()


def report(number: str, rows: pl.DataFrame) -> TableReport:
    tuned = Tuned.load(RESULTS)
    others = cells("2", tuned, FULL) if number == "5" else ()
    return table_report(number, cells(number, tuned, FULL), current(rows), others)


def test_all_rows_are_of_the_present_code_weights_and_problems(rows: pl.DataFrame) -> None:
    assert not outdated(rows)
    assert rows["commit"].str.contains("dirty").not_().all()


@pytest.mark.slow
@pytest.mark.parametrize("number", TABLES)
def test_the_tables_shown_are_those_of_the_rows(number: str, rows: pl.DataFrame) -> None:
    found = report(number, rows)
    assert not found.missing
    assert (RESULTS / "tables" / f"table_{number}.md").read_text(encoding="utf-8") == markdown(found)


def test_the_readme_s_table_is_that_of_the_rows(rows: pl.DataFrame) -> None:
    assert brief(report("1", rows)) in README


def test_the_counts_that_claims_are_judged_by_are_those_of_the_rows(rows: pl.DataFrame) -> None:
    tuned = Tuned.load(RESULTS)
    content = condense(
        {number: cells(number, tuned, FULL) for number in NUMBERS}, current(rows), shares(RESULTS)
    )
    assert json.loads(PATH.read_text(encoding="utf-8")) == json.loads(json.dumps(content))
