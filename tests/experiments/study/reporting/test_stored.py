"""What the repository shows of the study is what its stored trials say, and says so where they are of former code."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

from experiments.__main__ import app
from experiments.paths import RESULTS
from experiments.scripts import held_plans
from experiments.study.figure_data.files import shares
from experiments.study.reporting.counts import NUMBERS, PATH, condense
from experiments.study.reporting.present import former_code, with_present
from experiments.study.reporting.render import brief, markdown
from experiments.study.reporting.report import TableReport, table_report
from experiments.study.reporting.summary import current, outdated
from experiments.study.tables import FULL, TABLES, TITLES, cells
from experiments.study.targets import Tuned
from experiments.study.trials.store import existing
from experiments.study.trials.unit import model_hash, problem_hashes

PAGE = (Path(__file__).parents[4] / "docs/results.md").read_text(encoding="utf-8")
README = (Path(__file__).parents[4] / "README.md").read_text(encoding="utf-8")
SAID = re.compile(r"<!-- rows: [^\n]*-->\n(.*?)<!-- end of rows -->", re.DOTALL)


@pytest.fixture(scope="module")
def rows() -> pl.DataFrame:
    return existing(RESULTS).rows()


def report(number: str, rows: pl.DataFrame) -> TableReport:
    tuned = Tuned.load(RESULTS)
    others = cells("2", tuned, FULL) if number == "5" else ()
    return table_report(number, cells(number, tuned, FULL), current(rows), others)


def test_all_rows_are_of_the_present_weights_and_problems(rows: pl.DataFrame) -> None:
    weights = rows.select("model", "model_hash").unique()
    assert all(model_hash(model) == found for model, found in weights.iter_rows())
    place = ["task", "kind", "horizon", "purpose"]
    for where, part in rows.group_by(place):
        known = problem_hashes("-".join(map(str, where)))
        assert all(
            known[index] == found for index, found in part.select("problem", "problem_hash").iter_rows()
        )
    assert not outdated(rows)
    assert rows["commit"].str.contains("dirty").not_().all()


def test_the_page_tells_beside_table_3_what_doing_nothing_solves(rows: pl.DataFrame) -> None:
    idle = report("3", rows).idle
    said = re.search(r"Doing nothing solves ([^:]*):", PAGE)
    assert said is not None
    told = {
        f"PointMaze H={horizon}": int(share)
        for share, horizon in re.findall(r"(\d+)%[^%]*?H = (\d+)", said[1])
    }
    assert told == {column: round(100 * share) for column, share in idle.items() if round(100 * share)}


def test_readme_shows_the_stored_trials_and_the_papers_figures(rows: pl.DataFrame) -> None:
    lines = [
        line.strip("| \n").split(" | ")
        for line in README.splitlines()
        if " / " in line and line.startswith("| ")
    ]
    heading = next(line for line in README.splitlines() if line.startswith("| | CEM"))
    planners = [name.strip(" `()") for name in heading.split("|")[2:-1]]
    found = {
        (TITLES[one.cell.problem_set[0]], 5 * one.cell.problem_set[2], one.cell.row): one
        for one in report("1", rows).cells
    }
    held = held_plans.load()
    told = 0
    for label, *shown in lines:
        task, horizon = label.split(", H = ")
        for planner, text in zip(planners, shown, strict=True):
            figures = [int(each) for each in re.findall(r"\d+", text)]
            if planner == "HeldFirst":
                problems = found[task, int(horizon), "GRASP"].cell.problem_set
                models = held["-".join(map(str, problems))]["models"].values()
                expected = [
                    100 * float(np.mean([each == "1" for model in models for each in model[what]]))
                    for what in ("true", "believed")
                ]
            else:
                one = found[task, int(horizon), planner]
                believed = one.outcomes["final_model"]
                assert one.main is not None
                assert believed is not None
                expected = [100 * one.main.rate.value, 100 * believed.rate.value]
                if one.paper is not None and one.paper.success is not None:
                    expected.append(one.paper.success)
            # README rounds to whole percents.
            assert figures == pytest.approx(expected, abs=0.5 + 1e-9), (label, planner)
            told += 1
    assert told == 32


def claims_what_is_so(page: str, rows: pl.DataFrame) -> bool:
    """Return whether a page says of the rows that they are of former code exactly where they are."""
    said = SAID.search(page)
    old = former_code(current(rows))
    return said is not None and said[1] == (f"**{old}.**\n" if old else "")


def test_the_page_says_which_rows_are_of_former_code(rows: pl.DataFrame) -> None:
    assert claims_what_is_so(PAGE, rows)


def test_a_page_that_claims_too_much_or_too_little_is_caught(rows: pl.DataFrame) -> None:
    old = current(rows).with_columns(code=pl.lit("0123456789abcdef"))
    present = made_with_the_present_code(old)
    silent = "<!-- rows: as said -->\n<!-- end of rows -->"
    frank = silent.replace("-->\n", f"-->\n**{former_code(old)}.**\n", 1)
    assert claims_what_is_so(frank, old)
    assert claims_what_is_so(silent, present)
    assert not claims_what_is_so(silent, old)
    assert not claims_what_is_so(frank, present)
    # One planner of one task is enough, and the page must name it.
    grasp = (pl.col("planner") == "GRASP") & (pl.col("task") == "push_t")
    one = present.with_columns(code=pl.when(grasp).then(pl.lit("0")).otherwise("code"))
    assert former_code(one).startswith("The trials of GRASP on push_t are of former code")
    assert not claims_what_is_so(silent, one)
    assert not claims_what_is_so(frank, one)


def made_with_the_present_code(rows: pl.DataFrame) -> pl.DataFrame:
    from experiments.study.trials.unit import code_digest

    made_by = ["planner", "task", "mode"]
    parts = [
        part.with_columns(code=pl.lit(code_digest(*map(str, of)))) for of, part in rows.group_by(made_by)
    ]
    return pl.concat(parts)


def test_the_commands_say_it_too(rows: pl.DataFrame) -> None:
    old = former_code(current(rows))
    status = say("status")
    assert ("are of former code" in status) == bool(old)
    assert old in status
    assert (" former " in status) == (not with_present(rows)["present"].all())
    table = say("table", "1", "--stored")
    of_table = former_code(current(rows).filter(pl.col("mode").is_in(["batch", "single"])))
    assert (" of former code" in table) == bool(of_table)


def say(*arguments: str) -> str:
    result = CliRunner(env={"COLUMNS": "1000"}).invoke(app, list(arguments), terminal_width=1000)
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.mark.slow
@pytest.mark.parametrize("number", TABLES)
def test_the_tables_shown_are_those_of_the_rows(number: str, rows: pl.DataFrame) -> None:
    found, path = report(number, rows), RESULTS / "tables" / f"table_{number}.md"
    assert path.exists() == (len(found.missing) < len(found.cells))  # one without a trial is not shown
    assert not path.exists() or path.read_text(encoding="utf-8") == markdown(found)


@pytest.mark.parametrize("number", ["1", "3", "mpc"])
def test_the_page_s_tables_are_those_of_the_rows(number: str, rows: pl.DataFrame) -> None:
    assert brief(report(number, rows)) in PAGE


def test_the_counts_that_claims_are_judged_by_are_those_of_the_rows(rows: pl.DataFrame) -> None:
    tuned = Tuned.load(RESULTS)
    content = condense(
        {number: cells(number, tuned, FULL) for number in NUMBERS}, current(rows), shares(RESULTS), tuned
    )
    assert json.loads(PATH.read_text(encoding="utf-8")) == json.loads(json.dumps(content))
