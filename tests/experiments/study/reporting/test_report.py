"""Tables as data and as text: figures in their places, the paper's beside them, gaps and mixtures told."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import polars as pl
import pytest
from rich.console import Console
from study_rows import MadeUpCell, rows_of

from experiments.study.reporting.paper_tables import _plain, printed
from experiments.study.reporting.render import brief, markdown, terminal, write
from experiments.study.reporting.report import TableReport, flat, table_report, to_json

GRASP, GD = MadeUpCell("GRASP"), MadeUpCell("GD", planner="GradientDescent")
CEM = MadeUpCell("CEM", planner="CEM")
SHORT = MadeUpCell("GRASP", "H = 40", ("push_t", "trajectory", 8))


def table() -> TableReport:
    rows = pl.concat([
        rows_of(GRASP, [True] * 30 + [False] * 10, models=3),
        rows_of(GRASP, [True] * 30 + [False] * 10, mode="single", seconds=[2.0] * 30 + [None] * 10),
        rows_of(GD, [True] * 12 + [False] * 28, models=3),
        rows_of(GD, [True] * 12 + [False] * 28, mode="single", seconds=[5.0] * 12 + [None] * 28, machine="other"),
    ])  # fmt: skip
    return table_report("1", [GRASP, GD, CEM, SHORT], rows)


def shown(report: TableReport) -> str:
    out = StringIO()
    Console(file=out, width=200).print(terminal(report))
    return out.getvalue()


def test_a_cell_finds_its_place_in_the_paper() -> None:
    found = printed("1", MadeUpCell("GRASP", problem_set=("push_t", "trajectory", 10)))
    assert found is not None
    assert (found.success, found.time) == (43.4, 15.2)
    assert _plain("σ = 0.5 (ours)") == _plain("σ=0.5")
    nowhere = [("push_t", "trajectory", 9), ("push_t", "long", 10), ("wall_single_long", "long", 24)]
    assert [printed("1", MadeUpCell("GRASP", problem_set=place)) for place in nowhere] == [None] * 3
    assert printed("1", MadeUpCell("MPPI")) is None


def test_times_of_open_loop_plans_are_no_part_of_the_closed_loop_table() -> None:
    rows = pl.concat([
        rows_of(GRASP, [True] * 3 + [False], mode="mpc").with_columns(final_true=pl.Series([True, True, True, False])),
        rows_of(GRASP, [True] * 4, mode="single", seconds=[2.0] * 4),
    ])  # fmt: skip
    report = table_report("mpc", [GRASP], rows)
    assert report.cells[0].times is None
    assert "75.0 [" in brief(report)


def test_every_text_has_our_figures_the_papers_and_the_gaps() -> None:
    report = table()
    for text in (markdown(report), shown(report)):
        assert "75.0 [" in text
        assert "2 s" in text
        assert "43.4 / 15.2 s" in text
        assert "120 on 40 problems" in text
        assert "more than one machine: m, other" in text
        assert "+45.0" in text
        assert "CEM, H = 50 (push_t-trajectory-10)" in text
    assert "75.0 [" in brief(report)
    assert "/ 75 / 75<br>*paper 43*" in brief(report)
    assert len(report.missing) == 2
    assert "| CEM | —" in markdown(report)


def test_a_table_without_rows_is_all_gaps() -> None:
    report = table_report("1", [GRASP, GD], rows_of(GRASP, []))
    assert list(report.missing) == [GRASP, GD]
    assert report.comparisons == () or not report.comparisons
    assert "Missing: GRASP" in markdown(report)
    assert "missing: GRASP" in shown(report)


def test_one_machine_gives_no_warning_and_unequal_counts_do() -> None:
    equal = pl.concat([rows_of(GRASP, [True] * 3), rows_of(GD, [True] * 3)])
    assert table_report("1", [GRASP, GD], equal).warnings == []
    unequal = pl.concat([rows_of(GRASP, [True] * 3), rows_of(GD, [True] * 2)])
    assert "have 2, 3 trials" in table_report("1", [GRASP, GD], unequal).warnings[0]


def test_rows_of_former_code_are_shown_as_such() -> None:
    gd = rows_of(GD, [True] * 4)
    report = table_report("1", [GRASP, GD], pl.concat([rows_of(GRASP, [True] * 4, code="a former one"), gd]))
    assert report.warnings == [
        "The trials of GRASP on push_t are of former code: the study is to be run again before they say anything of the "
        "present code"
    ]
    assert "of former code" in markdown(report)
    assert "of former code" in shown(report)
    assert table_report("1", [GD], gd).warnings == []


def test_what_is_solved_by_doing_nothing_is_counted() -> None:
    rows = rows_of(GRASP, [True] * 8 + [False] * 2)
    steps = pl.Series([0] * 6 + [5, 5, None, None], dtype=pl.Int64)
    report = table_report("1", [GRASP], rows.with_columns(first_step=steps))
    assert report.idle == {GRASP.column: 0.6}
    assert "doing nothing: H = 50 60%" in shown(report)


def test_the_restricted_means_of_one_problem_set_share_their_limit() -> None:
    limits = {cell.times.limit for cell in table().cells if cell.times is not None}
    assert limits == {9.0}


def test_files_are_what_is_shown(tmp_path: Path) -> None:
    report = table()
    paths = write(report, tmp_path)
    assert [path.name for path in paths] == ["table_1.md", "table_1.csv", "table_1.json"]
    assert paths[0].read_text(encoding="utf-8") == markdown(report)
    assert json.loads(paths[2].read_text(encoding="utf-8")) == json.loads(json.dumps(to_json(report)))
    frame = pl.read_csv(paths[1])
    assert frame["final_true.rate.value"].to_list()[:2] == [0.75, 0.3]
    assert frame.height == flat(report).height == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in paths)


@pytest.mark.parametrize("label", ["σ_s = 0.5", "a | b"])
def test_labels_do_not_break_markdown(label: str) -> None:
    cell = MadeUpCell(label)
    text = markdown(table_report("1", [cell], rows_of(cell, [True, False])))
    row = next(line for line in text.splitlines() if line.startswith("| ") and "50.0" in line)
    assert row.replace("\\|", "").count("|") == 3


def test_closed_loop_shows_success_in_the_environment_only() -> None:
    rows = pl.concat(
        rows_of(
            cell, solved, mode="mpc", first_model=None, first_true=None, first_seconds=None, final_true=done
        )
        for cell, solved, done in ((GRASP, [True] * 9, True), (GD, [True] * 9, False))
    )
    report = table_report("mpc", [GRASP, GD], rows)
    assert [tested.pairing.record.first_only for tested in report.comparisons] == [9]
    assert "| GRASP | 100.0 [70, 100] / — / — |" in markdown(report)
    assert "100.0 [70, 100]" in shown(report)
    assert "9 on 9 problems" in shown(report)


def test_table_5_is_compared_with_the_full_method_of_another_table() -> None:
    noisy = MadeUpCell(
        "default: σ_s = 0.5", planner="GradientDescent", problem_set=("push_t", "trajectory", 8)
    )
    full = MadeUpCell("25 (ours)", problem_set=("push_t", "trajectory", 8))
    rows = pl.concat([rows_of(noisy, [False] * 9), rows_of(full, [True] * 9)])
    assert not table_report("5", [noisy], rows).comparisons
    report = table_report("5", [noisy], rows, [full])
    assert [tested.pairing.outcome for tested in report.comparisons] == [
        "final_true",
        "final_model",
        "any_model",
    ]
    assert "50.6 / 913.97 s" in markdown(report)
    assert "25 (ours) − default: σ\\_s = 0.5" in markdown(report)


def test_the_times_of_table_4_are_shown() -> None:
    rows = rows_of(GRASP, [True, True, False], mode="single", seconds=[1.0, 3.0, None])
    text = shown(table_report("4", [GRASP], rows))
    assert "2 of 3" in text
    assert "2 s" in text
