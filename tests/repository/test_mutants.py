"""The faults of `make mutants` are those that it says, and are put to those who execute them."""

from __future__ import annotations

import json
import sys
from types import ModuleType

import pytest
from mutant_faults import ROOT, every_mutant, planted
from mutant_judges import Judge, reporting, statement
from mutants import SURVIVORS, benches, code

SOURCE = '''"""A module."""
from __future__ import annotations

LIMIT = 3


def larger(x: int, y: int = 2) -> int:
    """Return it."""
    if x > y:
        return x
    else:
        return max(
            y,
            LIMIT,
        )
'''


def test_a_statement_reports_itself_before_it_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    reporter, places = ModuleType("mutants_reporter"), list[str]()
    reporter.hit = places.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "mutants_reporter", reporter)
    names: dict[str, object] = {}
    exec(reporting("a.py", SOURCE), names)
    assert places == []
    assert names["larger"](5) == 5  # type: ignore[operator]
    assert names["larger"](1) == 3  # type: ignore[operator]
    assert places == ["a.py:9", "a.py:10", "a.py:9", "a.py:12"]


@pytest.mark.parametrize(("line", "first"), [(4, None), (7, None), (9, 9), (10, 10), (12, 12), (14, 12)])
def test_a_line_belongs_to_its_innermost_statement(line: int, first: int | None) -> None:
    assert statement(SOURCE, line) == first


def test_each_fault_changes_one_thing_where_it_says() -> None:
    faults = [mutant for mutant in every_mutant() if mutant.path == "paper_checks/engine/laws.py"]
    source = (ROOT / faults[0].path).read_text(encoding="utf-8")
    assert len({planted(mutant, source) for mutant in faults}) == len(faults) > 10


LAWS = next(mutant for mutant in every_mutant() if mutant.path == "paper_checks/engine/laws.py")


def test_the_tests_beside_a_file_the_claims_and_the_others_are_three_benches() -> None:
    names = ("tests/paper_checks/engine/test_run.py::a", "claim b", "tests/linear_systems/test_system.py::c")
    beside, claim, other = (Judge(name, 10.0) for name in names)
    assert benches(LAWS, [other, claim, beside]) == [[beside], [claim], [other]]


def test_every_test_is_asked_once_by_its_quickest_case_before_any_is_asked_again() -> None:
    cases = {"a[1]": 1.0, "a[2]": 2.0, "a[3]": 3.0, "b[1]": 4.0, "c": 6.0}
    judges = [
        Judge(f"tests/paper_checks/engine/test_run.py::{name}", seconds) for name, seconds in cases.items()
    ]
    asked = [judge.name.partition("::")[2] for judge in benches(LAWS, reversed(judges))[0]]
    assert asked == ["a[1]", "b[1]", "c", "a[2]", "a[3]"]


def test_a_bench_takes_half_a_minute_or_is_one_test() -> None:
    names = [f"tests/paper_checks/engine/test_run.py::{letter}" for letter in "abc"]
    assert [len(bench) for bench in benches(LAWS, [Judge(name, 14.0) for name in names])] == [2, 0, 0]
    assert [len(bench) for bench in benches(LAWS, [Judge(name, 40.0) for name in names])] == [1, 0, 0]


def test_every_survivor_told_of_is_a_fault_that_there_is() -> None:
    there = {(each.path, code(each), each.change) for each in every_mutant()}
    told = json.loads(SURVIVORS.read_text(encoding="utf-8"))
    assert {tuple(row[:3]) for row in told} <= there
    assert all(len(why) > 20 for *_, why in told)
