"""The tables as data: every cell readable, every label unique, every alteration contained."""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from itertools import groupby
from pathlib import Path

import pytest

from grasp_theory.paper_tables import (
    SUCCESS,
    TABLE_1,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_5,
    TABLES,
    TIME,
    TRIALS,
    Cell,
    Table,
)
from linear_systems.errors import ParameterError

CELLS = {1: 40, 2: 18, 3: 36, 4: 36, 5: 28}
"""Figures per table: planners or rows, times horizons or settings, times quantities."""
RATES = [cell for table in TABLES for cell in table.select(SUCCESS)]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"table {table.number}")
def test_every_cell_is_found_by_its_labels_and_its_code_shows_it(table: Table) -> None:
    assert len(table.cells) == CELLS[table.number]
    assert table.caption.strip()
    for cell in table.cells:
        assert table.cell(cell.row, cell.setting, cell.quantity, block=cell.block) is cell
        namespace: dict[str, object] = {f"TABLE_{table.number}": table, "SUCCESS": SUCCESS, "TIME": TIME}
        assert eval(cell.expression, namespace) is cell
        compile(cell.code, "cell", "exec")
        assert cell.name.startswith(f"Table {table.number}, ")


@pytest.mark.parametrize(
    ("cell", "value", "bold"),
    [
        (TABLE_1.cell("CEM", "Push-T H=40", SUCCESS), "61.4", True),
        (TABLE_1.cell("GRASP (Ours)", "Push-T H=60", TIME), "49.1", True),
        (TABLE_2.cell("σ = 1.0", "Push-T H=40", TIME), "8.4", False),
        (TABLE_3.cell("GRASP (Ours)", "WallSingle H=20", SUCCESS), "91.8", False),
        (TABLE_4.cell("GRASP (Ours)", "Push-T H=30", TIME), "9.1", True),
        (TABLE_5.cell("σ_a = 1.0", "Push-T H=40", TIME, block=TABLE_5.rows[-1][0]), "878", False),
    ],
)
def test_values_are_exact(cell: Cell, value: str, bold: bool) -> None:
    assert (cell.value, cell.bold) == (Fraction(value), bold)


def test_intervals_are_read_apart_from_the_value() -> None:
    cell = TABLE_5.cell("σ_s = 0.5", "Push-T H=40", TIME, block=TABLE_5.rows[0][0])
    assert (cell.value, cell.half_width) == (Fraction("913.97"), 78)


@pytest.mark.parametrize("cell", RATES, ids=lambda cell: cell.name)
def test_rates_are_whole_numbers_of_trials(cell: Cell) -> None:
    assert Fraction(100 * cell.successes(), TRIALS) == cell.value
    assert cell.fits(TRIALS)


def test_a_rate_fits_a_number_of_trials_only_to_its_printed_decimal() -> None:
    third = Cell(0, "", "row", "setting", SUCCESS, "33.3")
    assert third.fits(3)
    assert not third.fits(4)
    assert not Cell(0, "", "row", "setting", SUCCESS, "33.4").fits(3)


def test_an_altered_cell_leaves_the_others_and_the_table_alone() -> None:
    cell = TABLE_1.cell("CEM", "Push-T H=40", SUCCESS)
    altered = TABLE_1.with_cell(cell, printed="61.5", bold=False)
    changed = [(a, b) for a, b in zip(TABLE_1.cells, altered.cells, strict=True) if a != b]
    assert [(a.printed, b.printed, b.bold) for a, b in changed] == [("61.4", "61.5", False)]
    assert TABLE_1.cell("CEM", "Push-T H=40", SUCCESS) is cell


def test_keep_reduces_a_table() -> None:
    kept = TABLE_3.keep(lambda cell: cell.row == "CEM")
    assert kept.rows == (("", "CEM"),)
    assert kept.settings == TABLE_3.settings


@pytest.mark.parametrize(
    "ask",
    [
        lambda: TABLE_1.cell("MPPI", "Push-T H=40", SUCCESS),
        lambda: TABLE_1.cell("CEM", "Push-T H=30", SUCCESS),
        lambda: TABLE_3.cell("CEM", "Push-T H=10", TIME),
        lambda: TABLE_5.cell("σ_s = 0.0", "Push-T H=40", SUCCESS),
        lambda: TABLE_1.with_cell(TABLE_3.cells[0], bold=True),
        lambda: TABLE_1.cell("LatCo", "Push-T H=80", TIME).value,
        lambda: TABLE_1.cell("CEM", "Push-T H=40", SUCCESS).half_width,
        lambda: TABLE_1.cell("CEM", "Push-T H=40", TIME).successes(),
        lambda: TABLE_1.cell("CEM", "Push-T H=40", SUCCESS).successes(499),
    ],
    ids=[
        "unknown row",
        "unknown setting",
        "quantity of another table",
        "row in two blocks",
        "cell of another table",
        "value of a dash",
        "interval of a plain cell",
        "successes of a time",
        "successes of other trials",
    ],
)
def test_what_is_not_printed_is_a_typed_error(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(ParameterError):
        ask()


# Against the text of the paper, where it lies beside the repository

PAPER = next(
    (
        path
        for folder in Path(__file__).resolve().parents[2:]
        if (path := folder / "shared/paper/grasp_paper.md").exists()
    ),
    None,
)
LATEX = {r"\sigma": "σ", r"\pm": "±", r"\nabla": "∇", "$": ""}


def plain(text: str) -> str:
    """Return a text of the paper without markup, as the tables hold it."""
    for latex, letter in LATEX.items():
        text = text.replace(latex, letter)
    return re.sub(r"</?(i|math)>", "", text).strip()


def read_rows(lines: Sequence[str], table: Table) -> list[tuple[str, str, list[tuple[str, bool]]]]:
    """Return (block, row, figures with their bold marks) of the lines that have as many figures as the table."""
    width, block, rows = len(table.cells) // len(table.rows), "", []
    for line in lines:
        label, *entries = (plain(entry) for entry in line.split("\t"))
        figures = [figure.strip() for entry in entries if entry for figure in entry.split(" / ")]
        if not figures:
            block = label
        elif len(figures) == width:
            marked = [("<b>" in figure, re.sub("</?b>", "", figure).removesuffix("s")) for figure in figures]
            rows.append((block, label, [(printed, bold) for bold, printed in marked]))
    return rows


@pytest.mark.skipif(PAPER is None, reason="the text of the paper is not beside the repository")
@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"table {table.number}")
def test_every_cell_is_that_of_the_papers_text(table: Table) -> None:
    assert PAPER is not None
    groups = [
        list(lines)
        for tabbed, lines in groupby(PAPER.read_text("utf-8").splitlines(), lambda line: "\t" in line)
        if tabbed
    ]
    stated = [
        (
            block,
            row,
            [(cell.printed, cell.bold) for cell in table.cells if (cell.block, cell.row) == (block, row)],
        )
        for block, row in table.rows
    ]
    read = [[row for row in read_rows(lines, table) if row[2][0][0][:1].isdigit()] for lines in groups]
    assert stated in read, [rows for rows in read if rows]
