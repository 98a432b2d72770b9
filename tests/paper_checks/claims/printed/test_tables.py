"""The tables as data: every cell readable, every label unique, every alteration contained."""

from __future__ import annotations

from fractions import Fraction

import pytest

from linear_systems.errors import ParameterError
from paper_checks.claims.printed.tables import (
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
