"""What every claim of the paper must offer, whichever claim it is.

A new claim inherits these tests by being in `ALL_CLAIMS`.
"""

from __future__ import annotations

import re
from functools import cache

import pytest

from paper_checks.claims import ALL_CLAIMS
from paper_checks.engine.records import NEAR, Claim, Grade, Result, Verdict
from paper_checks.engine.run import Settings, run_claim
from paper_checks.engine.runner import load_claims
from paper_checks.report.accounting import account, unknown_items
from paper_checks.report.mathml import mathml
from paper_checks.report.verdicts import RECORD_PATH, deviations, load_recorded

CHECKED = [claim for claim in ALL_CLAIMS if claim.check is not None]


LONG = {
    "thm2",
    "thm4",
    "thm4-sharper",
    "thm6",
    "thm6-remedies",
    "thm6-uniform",
    "thm6-uniform-necessity",
    "thm6-uniform-steps",
}
"""Claims whose two tests take more than about 8 s of a core, in quick mode too."""


def each(claims: list[Claim] | tuple[Claim, ...]) -> pytest.MarkDecorator:
    marked = [pytest.param(claim, marks=[pytest.mark.slow] if claim.id in LONG else []) for claim in claims]
    return pytest.mark.parametrize("claim", marked, ids=[claim.id for claim in claims])


@cache
def outcome(claim_id: str, *, sabotage: bool = False) -> Result:
    claim = next(claim for claim in ALL_CLAIMS if claim.id == claim_id)
    return run_claim(claim, Settings(quick=True, sabotage=sabotage))


def test_ids_are_unique_and_well_formed() -> None:
    assert load_claims() == ALL_CLAIMS


@each(ALL_CLAIMS)
def test_the_claim_is_told_in_full(claim: Claim) -> None:
    for text in (claim.title, claim.source, claim.statement):
        assert text.strip()
    if claim.latex:
        mathml(claim.latex)
    assert all(why.strip() for why in claim.definitions.values())
    assert not (claim.check and claim.missing), "a claim with a check is checkable"


@each(ALL_CLAIMS)
def test_everything_found_is_as_recorded(claim: Claim) -> None:
    result = outcome(claim.id)
    assert result.verdict is not Verdict.BROKEN, result.problem
    assert [caveat.text for caveat in result.caveats if not caveat.examination.evidence.passed] == []
    recorded = load_recorded(RECORD_PATH)
    found = deviations([result], recorded, recorded)
    assert [deviation.text for deviation in found] == [], "run `python -m paper_checks --record`"


@each(CHECKED)
def test_broken_on_purpose_every_examination_and_caveat_fails(claim: Claim) -> None:
    sabotaged, honest = outcome(claim.id, sabotage=True), outcome(claim.id)
    assert sabotaged.problem == ""
    assert len(sabotaged.examinations) == len(honest.examinations) > 0
    assert len(sabotaged.caveats) == len(honest.caveats)
    examined = (*sabotaged.examinations, *(caveat.examination for caveat in sabotaged.caveats))
    assert [examination.title for examination in examined if examination.evidence.passed] == []


@each(CHECKED)
def test_evidence_says_what_was_inspected_and_sharpness_gives_its_instance(claim: Claim) -> None:
    result = outcome(claim.id)
    for examination in (*result.examinations, *(caveat.examination for caveat in result.caveats)):
        assert examination.title.strip()
        assert examination.evidence.summary.strip()
    for found in result.sharpness:
        assert found.instance.strip()
        assert found.search.strip()
    for text in (e.evidence.instance for e in result.examinations if e.evidence.instance):
        compile(text, "instance", "exec")


@each(CHECKED)
def test_a_false_variant_that_is_no_near_miss_says_why(claim: Claim) -> None:
    result = outcome(claim.id)
    for examination in (*result.examinations, *(caveat.examination for caveat in result.caveats)):
        for control in examination.controls:
            far = control.distance is not None and control.distance > NEAR * (1.0 + 1e-9)
            assert not far or control.why, (
                f"{examination.title!r}: {control.description!r} is {control.distance:.0%} off"
            )


@each(CHECKED)
def test_a_statistical_test_states_its_level_and_its_power(claim: Claim) -> None:
    result = outcome(claim.id)
    for examination in (*result.examinations, *(caveat.examination for caveat in result.caveats)):
        if examination.evidence.grade is Grade.STATISTICAL:
            assert "level" in examination.evidence.summary, examination.title
            assert re.search("power|with probability|detect", examination.evidence.summary), examination.title


def test_the_record_holds_no_claim_that_is_gone() -> None:
    assert set(load_recorded(RECORD_PATH)) <= {claim.id for claim in ALL_CLAIMS}


def test_everything_the_paper_numbers_is_accounted_for() -> None:
    assert [item.label for item in account(ALL_CLAIMS) if not item.accounted] == []
    assert unknown_items(ALL_CLAIMS) == ()
