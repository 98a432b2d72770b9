"""Claims judged in analytic worlds: the verdict is that of the rules, whatever the trials say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from grasp_theory.statistics.pooled_claims import Verdict as Rule
from linear_systems.errors import ParameterError
from paper_checks.claims.ours.worlds import CLAIMS, QUESTIONS, Calls, InWorlds, Known, Question, claim, load
from paper_checks.engine.records import Verdict
from paper_checks.engine.run import Settings, run_claim

PAIRS = (("GRASP", "GD"), ("GRASP", "CEM"))
JAGGED = next(question for question in QUESTIONS if question.trial == "jagged")
PARALLEL = next(question for question in QUESTIONS if question.trial is None)


def trials(*leads: int) -> InWorlds:
    """Return trials of two pairs in as many worlds as there are leads, of 200 problems."""
    none = InWorlds(3000, PAIRS, {f"world {i}": () for i, _ in enumerate(leads)})
    made = {}
    for (world, _), lead in zip(none.records.items(), leads, strict=True):
        records = replace(none, records={world: (0, 0)}).leading(lead).records  # type: ignore[dict-item]
        made[world] = records[world]
    return replace(none, records=made)


def known(question: Question, decided: InWorlds | Calls) -> Known:
    if isinstance(decided, Calls):
        return Known(calls=decided, provenance={"machine": "m"})
    assert question.trial is not None
    return Known({question.trial: decided}, provenance={"machine": "m"})


@pytest.mark.parametrize(
    ("leads", "rule", "verdict"),
    [
        ((40, 40, 40), Rule.REPLICATES, Verdict.REPLICATES),
        ((0, 0, 0), Rule.DOES_NOT, Verdict.DOES_NOT_REPLICATE),
        ((-30, -30, -30), Rule.DOES_NOT, Verdict.DOES_NOT_REPLICATE),
        ((80, 80, -40), Rule.MIXED, Verdict.MIXED),
        ((-60, -60, 60), Rule.MIXED, Verdict.MIXED),
    ],
)
def test_the_verdict_is_the_rule_s(leads: tuple[int, ...], rule: Rule, verdict: Verdict) -> None:
    decided = trials(*leads)
    assert decided.found.verdict is rule
    found = run_claim(claim(JAGGED, known(JAGGED, decided)))
    assert found.verdict is verdict, found.problem
    (examination,) = found.examinations
    assert "n = 600" in examination.evidence.summary
    exec(examination.evidence.instance, {})


def test_broken_on_purpose_nothing_stands() -> None:
    found = run_claim(claim(JAGGED, known(JAGGED, trials(40, 40))), Settings(sabotage=True))
    assert not any(examination.evidence.passed for examination in found.examinations)


def test_the_least_lead_is_least() -> None:
    decided = trials(0, 0, 0)
    assert decided.leading(decided.least_lead).found.verdict is Rule.REPLICATES
    assert decided.leading(decided.least_lead - 1).found.verdict is not Rule.REPLICATES
    assert 0 < decided.least_lead < 20


def test_few_trials_are_inconclusive() -> None:
    small = trials(5)
    assert small.found.verdict is Rule.INCONCLUSIVE
    found = run_claim(claim(JAGGED, known(JAGGED, small)))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "80% power" in found.claim.missing


def test_calls_are_counted() -> None:
    fewer = Calls({"wall": {"GRASP": 1.0, "GD": 2.0, "CEM": 3.0}})
    more = Calls({"wall": {"GRASP": 2.5, "GD": 2.0, "CEM": 3.0}})
    most = Calls({"wall": {"GRASP": 4.0, "GD": 2.0, "CEM": 3.0}})
    verdicts = [run_claim(claim(PARALLEL, known(PARALLEL, each))).verdict for each in (fewer, more, most)]
    assert verdicts == [Verdict.REPLICATES, Verdict.MIXED, Verdict.DOES_NOT_REPLICATE]


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_without_trials_it_is_said_which_command_makes_them(question: Question) -> None:
    found = run_claim(claim(question, Known()))
    assert found.verdict is Verdict.NOT_CHECKABLE
    assert "python -m experiments worlds" in found.claim.missing
    assert question.id in {each.id for each in CLAIMS}


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{",
        '{"schema_version": 9, "claims": {}, "calls": null, "provenance": {}}',
        '{"schema_version": 1, "claims": {"sync": {"level": 1, "pairs": [["a", "b"]], "worlds": {}}},'
        ' "calls": null, "provenance": {}}',
        '{"schema_version": 1, "claims": {"sync": {"level": 1, "pairs": [["a", "b"]], "worlds": {"w": [[[[1, 1, 2]], 1, 0]]}}},'
        ' "calls": null, "provenance": {}}',
    ],
)
def test_a_damaged_file_is_a_typed_error(text: str, tmp_path: Path) -> None:
    path = tmp_path / "worlds.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ParameterError, match=r"worlds\.json"):
        load(path)


def test_nothing_is_known_without_a_file(tmp_path: Path) -> None:
    assert load(tmp_path / "none.json") == Known()
    path = tmp_path / "worlds.json"
    path.write_text(json.dumps({"schema_version": 1, "claims": {}, "calls": None, "provenance": {}}))
    assert load(path) == Known()
