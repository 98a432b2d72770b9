"""The engine derives verdicts from evidence, and distrusts checks that cannot fail."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linear_systems.errors import DTypeError, NonFiniteError, ParameterError, ShapeError
from paper_checks.engine.records import (
    Caveat,
    Claim,
    Control,
    Curve,
    Evidence,
    Examination,
    Grade,
    Result,
    Sharpness,
    Verdict,
)
from paper_checks.engine.run import FALSE_ALARM_TOTAL, STATISTICAL_TEST_LIMIT, Run, Settings, run_claim


def evidence(passed: bool, grade: Grade = Grade.NUMERICAL) -> Evidence:
    return Evidence(grade, passed, "accepted" if passed else "rejected")


def result_of(check: Callable[[Run], None], *, equations: tuple[int, ...] = (), **settings: object) -> Result:
    claim = Claim("sample", "A sample", "Section 0", "it is so", check=check, equations=equations)
    return run_claim(claim, Settings(**settings))  # type: ignore[arg-type]


def good(run: Run) -> None:
    run.examine("stands", evidence, True, false_variants={"not so": False})


def test_a_claim_whose_examinations_pass_holds() -> None:
    result = result_of(good)
    assert (result.verdict, result.problem) == (Verdict.HOLDS, "")


def test_an_established_caveat_makes_it_holds_with_caveat() -> None:
    def check(run: Run) -> None:
        good(run)
        run.caveat("loose", evidence, True, false_variants={"not so": False})

    assert result_of(check).verdict is Verdict.CAVEAT


def test_two_findings_of_one_name_are_refused() -> None:
    def check(run: Run) -> None:
        good(run)
        run.caveat("stands", evidence, True, false_variants={"not so": False})

    result = result_of(check)
    assert result.verdict is Verdict.BROKEN
    assert "two findings are called 'stands'" in result.problem


def test_a_caveat_that_does_not_stand_is_dropped() -> None:
    def check(run: Run) -> None:
        good(run)
        run.caveat("loose", evidence, False, false_variants={"also false": False})

    assert result_of(check).verdict is Verdict.HOLDS


def test_a_failed_examination_with_a_true_variant_makes_it_fail() -> None:
    def check(run: Run) -> None:
        good(run)
        run.examine("false", evidence, False, false_variants={"no": False}, true_variants={"corrected": True})
        run.caveat("loose", evidence, True, false_variants={"not so": False})

    assert result_of(check).verdict is Verdict.FAILS


def test_a_failed_examination_that_was_never_seen_to_pass_is_broken() -> None:
    def check(run: Run) -> None:
        run.examine("false", evidence, False, false_variants={"no": False})

    result = result_of(check)
    assert result.verdict is Verdict.BROKEN
    assert "no true variant" in result.problem


@pytest.mark.parametrize("record", ["examine", "caveat"])
def test_a_control_that_is_not_caught_is_broken(record: str) -> None:
    def accepts_a_false_variant(run: Run) -> None:
        good(run)
        getattr(run, record)("lax", lambda _: evidence(True), 1, false_variants={"lax variant": 2})

    def rejects_a_true_variant(run: Run) -> None:
        good(run)
        getattr(run, record)(
            "strict", evidence, True, false_variants={"no": False}, true_variants={"strict variant": False}
        )

    for check, told in (
        (accepts_a_false_variant, "the false variant 'lax variant' was accepted"),
        (rejects_a_true_variant, "the true variant 'strict variant' was rejected"),
    ):
        result = result_of(check)
        assert result.verdict is Verdict.BROKEN
        assert told in result.problem


def test_an_examination_without_a_negative_control_is_broken() -> None:
    def check(run: Run) -> None:
        run.examine("uncontrolled", evidence, True, false_variants={})

    result = result_of(check)
    assert result.verdict is Verdict.BROKEN
    assert "no negative control" in result.problem


def test_a_check_that_examines_nothing_is_broken() -> None:
    assert result_of(lambda run: None).verdict is Verdict.BROKEN


def test_a_check_that_raises_is_broken_and_keeps_the_traceback() -> None:
    def check(run: Run) -> None:
        good(run)
        raise ZeroDivisionError("on purpose")

    result = result_of(check)
    assert result.verdict is Verdict.BROKEN
    assert "ZeroDivisionError: on purpose" in result.problem
    assert len(result.examinations) == 1


def test_an_interrupt_is_not_swallowed() -> None:
    def check(run: Run) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        result_of(check)


@pytest.mark.parametrize(("declared", "examined"), [((1, 2), (1,)), ((1,), (1, 2)), ((), (3,))])
def test_equations_must_be_those_declared(declared: tuple[int, ...], examined: tuple[int, ...]) -> None:
    def check(run: Run) -> None:
        run.examine("stands", evidence, True, false_variants={"no": False}, equations=examined)

    assert result_of(check, equations=declared).verdict is Verdict.BROKEN
    assert result_of(check, equations=examined).verdict is Verdict.HOLDS


def test_without_a_check_it_is_a_definition_or_not_checkable() -> None:
    assert run_claim(Claim("d", "t", "s", "x := 1")).verdict is Verdict.DEFINITION
    assert run_claim(Claim("m", "t", "s", "it works", missing="the data")).verdict is Verdict.NOT_CHECKABLE


def test_sabotage_replaces_every_statement_by_its_first_false_variant() -> None:
    inspected: list[int] = []

    def inspect(variant: int) -> Evidence:
        inspected.append(variant)
        return evidence(variant == 0)

    def check(run: Run) -> None:
        run.examine("stands", inspect, 0, false_variants={"first": 1, "second": 2}, true_variants={"same": 0})
        run.caveat("loose", inspect, 0, false_variants={"third": 3})

    result = result_of(check, sabotage=True)
    assert inspected == [1, 3]
    assert result.verdict is Verdict.FAILS
    assert result.problem == ""
    assert "first" in result.examinations[0].title
    assert not result.caveats[0].examination.evidence.passed


def test_sabotage_shows_a_check_that_cannot_fail() -> None:
    def check(run: Run) -> None:
        run.examine("lax", lambda _: evidence(True), 0, false_variants={"first": 1})

    assert result_of(check, sabotage=True).verdict is Verdict.HOLDS


def test_streams_are_told_apart_by_claim_and_name_and_do_not_depend_on_order() -> None:
    def draw(claim_id: str, names: str, seed: int = 0) -> dict[str, float]:
        run = Run(Claim(claim_id, "t", "s", "x"), Settings(seed=seed))
        return {name: float(run.rng(name).random()) for name in names}

    assert draw("a", "pq") == draw("a", "qp")
    values = [*draw("a", "pq").values(), *draw("b", "p").values(), *draw("a", "p", seed=1).values()]
    assert len(set(values)) == len(values)


def test_size_follows_quick() -> None:
    claim = Claim("a", "t", "s", "x")
    assert Run(claim, Settings()).size(100, 10) == 100
    assert Run(claim, Settings(quick=True)).size(100, 10) == 10
    assert Run(claim, Settings(quick=True)).quick


@given(st.lists(st.integers(1, 50), max_size=20))
def test_a_run_within_the_limit_keeps_the_total_false_alarm_probability(reserved: list[int]) -> None:
    run = Run(Claim("a", "t", "s", "x"), Settings())
    levels = [count * run.level(count) for count in reserved]
    assert run.statistical_tests == sum(reserved)
    if run.statistical_tests <= STATISTICAL_TEST_LIMIT:
        # A sum of at most 21 products, each rounded once: relative error below 21 units in the last place.
        assert sum(levels) <= FALSE_ALARM_TOTAL * (1.0 + 21 * np.finfo(float).eps)


def test_announce_is_told_every_statement_before_it_is_inspected() -> None:
    told: list[str] = []

    def inspect(variant: bool) -> Evidence:
        assert told[-1] == "stands"
        return evidence(variant)

    def check(run: Run) -> None:
        run.examine("stands", inspect, True, false_variants={"no": False})

    run_claim(Claim("a", "t", "s", "x", check=check), Settings(), told.append)
    assert told == ["stands"]


def test_grades_are_distinct_and_strongest_first() -> None:
    def check(run: Run) -> None:
        for grade in (Grade.STATISTICAL, Grade.SYMBOLIC, Grade.STATISTICAL):
            run.examine(str(grade), lambda v, g=grade: evidence(v, g), True, false_variants={"no": False})

    assert result_of(check).grades == (Grade.SYMBOLIC, Grade.STATISTICAL)


def test_numbers_must_be_figures_or_texts() -> None:
    Evidence(Grade.NUMERICAL, True, "fine", {"a": np.int64(1), "b": np.bool_(True), "c": 1.5, "d": "text"})  # type: ignore[dict-item]
    with pytest.raises(DTypeError, match="number 'a'"):
        Evidence(Grade.NUMERICAL, True, "not fine", {"a": [1.0]})  # type: ignore[dict-item]


def test_a_curve_must_be_drawable() -> None:
    Curve("c", "x", "y", {"s": (np.arange(3), np.zeros(3))})  # type: ignore[dict-item]
    with pytest.raises(ParameterError, match="series"):
        Curve("c", "x", "y", {})
    with pytest.raises(ShapeError, match="1 and 2"):
        Curve("c", "x", "y", {"s": ([1.0], [1.0, 2.0])})
    with pytest.raises(NonFiniteError, match="finite values"):
        Curve("c", "x", "y", {"s": ([1.0], [float("nan")])})
    with pytest.raises(NonFiniteError, match="positive"):
        Curve("c", "x", "y", {"s": ([0.0], [1.0])}, log_x=True)


@pytest.mark.parametrize(
    ("outcomes", "verdict"),
    [
        ({"first": True, "second": False}, Verdict.MIXED),
        ({"first": False, "second": False}, Verdict.DOES_NOT_REPLICATE),
        ({}, Verdict.DOES_NOT_REPLICATE),
    ],
)
def test_what_fails_as_a_whole_is_mixed_where_a_single_test_stands(
    outcomes: dict[str, bool], verdict: Verdict
) -> None:
    def check(run: Run) -> None:
        found = Evidence(Grade.STATISTICAL, False, "no", outcomes=outcomes)
        run.examine(
            "as a whole", lambda v: evidence(True) if v else found, False,
            false_variants={"no": False}, true_variants={"yes": True},
        )  # fmt: skip

    claim = Claim("sample", "A sample", "Section 0", "it is so", check=check, ours=True)
    assert run_claim(claim, Settings()).verdict is verdict


def test_no_record_can_be_changed() -> None:
    accepted, claim = evidence(True), Claim("a", "t", "s", "x")
    examination = Examination("stands", accepted, ())
    for record in (
        claim, accepted, examination, Control("no", False, accepted), Caveat("loose", examination),
        Sharpness("bound", 1.0, "search", "x = 1"), Curve("c", "x", "y", {"s": ([1.0], [1.0])}),
        Result(claim, Verdict.HOLDS),
    ):  # fmt: skip
        with pytest.raises(FrozenInstanceError):
            record.title = "another"  # type: ignore[misc, union-attr]


def test_a_result_without_evidence_claims_none() -> None:
    result = Result(Claim("a", "t", "s", "x"), Verdict.DEFINITION)
    assert (result.grades, result.examinations, result.statistical_tests, result.problem) == ((), (), 0, "")
