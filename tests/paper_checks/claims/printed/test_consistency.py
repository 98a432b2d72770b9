"""The claims on tables, text and figures: no broken check, controls that bite, findings that are there."""

from __future__ import annotations

from functools import cache

import pytest

from grasp_theory.paper_tables import SUCCESS, TABLE_5, TIME
from paper_checks.claims.method import description
from paper_checks.claims.printed import (
    ablations,
    consistency,
    figures,
    headline,
    open_text,
    table_5,
    table_5_rows,
    text_long,
    text_short,
)
from paper_checks.claims.printed.comparisons import H40
from paper_checks.engine.records import Claim, Result, Verdict
from paper_checks.engine.run import Settings, run_claim

MODULES = (
    consistency,
    table_5,
    table_5_rows,
    ablations,
    headline,
    text_long,
    text_short,
    figures,
    description,
    open_text,
)
CLAIMS = {claim.id: claim for module in MODULES for claim in module.CLAIMS}
CHECKED = [claim for claim in CLAIMS.values() if claim.check is not None]


@cache
def outcome(claim_id: str) -> Result:
    return run_claim(CLAIMS[claim_id], Settings(quick=True))


def each_checked() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("claim", CHECKED, ids=lambda claim: claim.id)


def test_ids_are_unique() -> None:
    assert len(CLAIMS) == sum(len(module.CLAIMS) for module in MODULES)


def test_every_table_figure_and_state_noise_equation_is_accounted_for() -> None:
    assert {number for claim in CLAIMS.values() for number in claim.tables} == {1, 2, 3, 4, 5}
    assert {number for claim in CLAIMS.values() for number in claim.figures} == set(range(1, 8))
    assert {number for claim in CLAIMS.values() for number in claim.equations} == {106, 107}


@each_checked()
def test_the_check_is_sound_and_draws_nothing_random_from_print(claim: Claim) -> None:
    result = outcome(claim.id)
    assert result.verdict is not Verdict.BROKEN, result.problem
    # The one that runs the planner tests what it draws; the others judge printed figures.
    assert (result.statistical_tests == 0) == (claim.id != "text-initial-states")


@each_checked()
def test_broken_on_purpose_everything_fails(claim: Claim) -> None:
    result = run_claim(claim, Settings(quick=True, sabotage=True))
    examined = (*result.examinations, *(caveat.examination for caveat in result.caveats))
    assert [found.title for found in examined if found.evidence.passed] == []


@each_checked()
def test_every_caveat_stands_and_every_instance_runs(claim: Claim) -> None:
    result = outcome(claim.id)
    assert [caveat.text for caveat in result.caveats if not caveat.examination.evidence.passed] == []
    for found in (*result.examinations, *(caveat.examination for caveat in result.caveats)):
        exec(found.evidence.instance, {})


@each_checked()
def test_every_failing_examination_names_its_counterexample(claim: Claim) -> None:
    for found in outcome(claim.id).examinations:
        if not found.evidence.passed:
            assert found.evidence.instance
            assert any(control.expected for control in found.controls)


@pytest.mark.parametrize("claim", open_text.CLAIMS, ids=lambda claim: claim.id)
def test_an_open_claim_says_what_would_judge_it(claim: Claim) -> None:
    assert run_claim(claim).verdict is Verdict.NOT_CHECKABLE
    assert "experiment" in claim.missing.lower()


@pytest.mark.parametrize(
    ("claim_id", "fragment"),
    [
        ("text-comparable", "WallSingle H=30 (100.0)"),
        ("text-low-time", "WallSingle H=10 3"),
        ("text-robust", "17.6%"),
        ("table5-noise", "1 and 1/2"),
        ("text-suites", "of DeepMind control suite: none"),
    ],
)
def test_the_counterexample_is_the_one_in_the_tables(claim_id: str, fragment: str) -> None:
    result = outcome(claim_id)
    assert result.verdict is Verdict.FAILS
    assert any(fragment in found.evidence.summary for found in result.examinations)


@pytest.mark.parametrize(
    ("claim_id", "fragment"),
    [
        ("text-outperforms", "Push-T H=40 (59.0) against Table 1, CEM, Push-T H=40 (61.4)"),
        ("text-solves-more", "Push-T H=40 (59.0) against Table 1, CEM, Push-T H=40 (61.4)"),
        ("text-sacrifice", "WallSingle H=20 (91.8)"),
        ("table5-rows", "'σ_s = 0.5' and 'σ_s = 0.5, σ_a = 0.5'"),
    ],
)
def test_one_cell_within_chance_is_a_caveat_and_no_failure(claim_id: str, fragment: str) -> None:
    result = outcome(claim_id)
    assert result.verdict is Verdict.CAVEAT
    assert any(fragment in caveat.examination.evidence.summary for caveat in result.caveats)


def test_the_time_limit_follows_from_table_5_alone() -> None:
    numbers = outcome("table5-times").examinations[0].evidence.numbers
    lowest, highest = numbers["lower bound on the limit (s)"], numbers["upper bound on the limit (s)"]
    assert isinstance(lowest, float)
    assert isinstance(highest, float)
    assert lowest < 1800 < highest
    assert highest - lowest < 50


@pytest.mark.parametrize("defaults", [("0.0", "0.0"), ("0.5", "0.0"), ("1.0", "0.5")])
def test_equal_settings_must_have_equal_figures(defaults: tuple[str, str]) -> None:
    for same_run in (False, True):
        assert table_5_rows._labels_explain_rows(
            table_5_rows._Rows(table_5_rows._relabelled(defaults), same_run)
        ).passed


def test_different_settings_must_have_different_figures() -> None:
    table = table_5_rows._relabelled(("0.0", "0.0"))
    block = TABLE_5.rows[0][0]
    for quantity in (SUCCESS, TIME):
        copied = table.cell("σ_a = 1.0", H40, quantity, block=block).printed
        table = table.with_cell(table.cell("σ_s = 1.0", H40, quantity, block=block), printed=copied)
    assert not table_5_rows._labels_explain_rows(table_5_rows._Rows(table)).passed
