"""Orders as printed, orders beyond chance, and what lies between."""

from __future__ import annotations

from fractions import Fraction

import pytest

from grasp_theory.paper_tables import SUCCESS, TIME, TRIALS, Cell, Quantity
from grasp_theory.statistics.proportions import fisher
from paper_checks.claims.printed.comparisons import (
    LEVEL,
    LONG,
    OURS,
    SHORT,
    Comparison,
    figure,
    none_significant,
    ordered,
    over,
    separated,
    unseparated,
)
from paper_checks.engine.inspection import refuted
from paper_checks.engine.records import Evidence


def cell(printed: str, quantity: Quantity = SUCCESS) -> Cell:
    return Cell(1, "", "row", "setting", quantity, printed)


def comparison(better: str, worse: str, quantity: Quantity = SUCCESS) -> Comparison:
    return Comparison(cell(better, quantity), cell(worse, quantity))


CLEAR = comparison("60.0", "40.0")
CLOSE = comparison("50.2", "50.0")
WRONG = comparison("40.0", "60.0")
TIED = comparison("50.0", "50.0")


def test_success_is_better_if_larger_and_time_if_smaller() -> None:
    assert CLEAR.lead == 20
    assert comparison("8.4", "8.5", TIME).lead == Fraction(1, 10)


def test_the_p_value_is_fishers_at_the_papers_number_of_trials() -> None:
    assert CLEAR.p_value == fisher(300, 200, TRIALS)


@pytest.mark.parametrize(
    ("case", "as_printed", "beyond_chance", "within_chance", "no_difference"),
    [
        ((CLEAR,), True, True, False, False),
        ((CLOSE,), True, False, True, True),
        ((TIED,), False, False, False, True),
        ((WRONG,), False, False, False, True),
        ((CLEAR, CLOSE), True, False, True, False),
        ((CLEAR, WRONG), False, False, False, False),
    ],
    ids=["clear", "close", "tied", "wrong", "clear and close", "clear and wrong"],
)
def test_what_is_said_of_an_order(
    case: tuple[Comparison, ...],
    as_printed: bool,
    beyond_chance: bool,
    within_chance: bool,
    no_difference: bool,
) -> None:
    assert ordered(case).passed is as_printed
    assert separated(case).passed is beyond_chance
    assert unseparated(case).passed is within_chance
    assert none_significant(case).passed is no_difference


def test_holm_counts_the_whole_family() -> None:
    borderline = comparison("56.0", "49.2")
    assert LEVEL / 3 < borderline.p_value < LEVEL / 2
    assert separated((borderline,)).passed
    assert not separated((borderline, CLOSE, TIED)).passed


def test_what_pairing_could_change_is_told() -> None:
    assert "never below" in unseparated((comparison("100.0", "99.2"),)).summary
    assert "iff at most" in unseparated((comparison("55.0", "50.0"),)).summary


def test_a_refuted_statement_is_the_opposite_of_it() -> None:
    def positive(number: int) -> Evidence:
        return ordered((CLEAR,) if number > 0 else (WRONG,))

    assert refuted(positive)(-1).passed
    assert not refuted(positive)(1).passed
    assert refuted(positive)(1).summary == positive(1).summary


def test_the_code_of_a_comparison_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (found,) = over(("CEM",), LONG[:1], SUCCESS)
    exec(found.code, {})
    assert capsys.readouterr().out.splitlines()[0] == "59.0 61.4"


def test_planners_are_compared_where_both_have_a_figure() -> None:
    assert len(over(("LatCo",), LONG, TIME)) == 3
    assert len(over(("CEM", "GD"), SHORT, TIME)) == 18
    assert all(c.better.row == "GD" for c in over((OURS,), SHORT, SUCCESS, planner="GD"))


@pytest.mark.parametrize(
    ("setting", "quantity", "table"), [(LONG[0], TIME, 1), (SHORT[0], SUCCESS, 3), (SHORT[0], TIME, 4)]
)
def test_figures_come_from_the_table_of_their_setting(setting: str, quantity: Quantity, table: int) -> None:
    assert figure("CEM", setting, quantity).table == table
