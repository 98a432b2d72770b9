"""The record of verdicts, and in which ways a run fails to confirm it."""

from __future__ import annotations

from pathlib import Path

import pytest
import sample_claims

from grasp_theory.files import write_atomically
from linear_systems.errors import ParameterError
from paper_checks.engine.records import Claim, Evidence, Grade, Result, Sharpness, Verdict
from paper_checks.engine.run import Run, run_claim
from paper_checks.report.verdicts import Entry, deviations, entry, load_recorded, save_recorded, updated

SQUARES, LOOSE, WRONG = sample_claims.CLAIMS[:3]
IDS = ["squares", "loose", "wrong"]


HOLDS, CAVEAT, FAILS = (Entry(verdict) for verdict in (Verdict.HOLDS, Verdict.CAVEAT, Verdict.FAILS))


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    recorded = {
        "b": Entry(Verdict.HOLDS, {"examination · σ ≤ 1": "stands · symbolic · rejects 2"}),
        "a": CAVEAT,
    }
    save_recorded(tmp_path / "v.json", recorded)
    assert load_recorded(tmp_path / "v.json") == recorded
    assert list(load_recorded(tmp_path / "v.json")) == ["b", "a"]
    assert [path.name for path in tmp_path.iterdir()] == ["v.json"]


def test_nothing_is_on_record_without_a_file(tmp_path: Path) -> None:
    assert load_recorded(tmp_path / "none.json") == {}


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        "{}",
        '{"schema_version": 99, "claims": {}}',
        '{"schema_version": 2, "claims": {"a": {"verdict": "perhaps", "findings": {}}}}',
        '{"schema_version": 2, "claims": {"a": "holds"}}',
    ],
)
def test_a_damaged_record_is_refused(content: str, tmp_path: Path) -> None:
    path = tmp_path / "v.json"
    path.write_text(content)
    with pytest.raises(ParameterError, match=r"v\.json"):
        load_recorded(path)


def test_an_entry_holds_outcomes_grades_tests_and_controls_and_no_measured_number() -> None:
    def evidence(passed: bool) -> Evidence:
        return Evidence(
            Grade.STATISTICAL, passed, "p = 0.5", {"p": 0.5}, outcomes={"mean": passed, "shape": True}
        )

    def check(run: Run) -> None:
        run.examine("first", evidence, True, false_variants={"not so": False}, true_variants={"so": True})
        run.caveat("second", evidence, False, false_variants={"no": False, "never": False})
        run.sharpness(Sharpness("a bound", 0.5, "search", "x = 1"))

    found = entry(run_claim(Claim("c", "c", "c", "c", check=check)))
    assert found == Entry(
        Verdict.HOLDS,
        {
            "examination · first": "stands · statistical · mean: yes · shape: yes · rejects not so · accepts so",
            "caveat · second": "does not stand · statistical · mean: no · shape: yes · rejects no; never",
            "sharpness · a bound": "measured",
        },
    )


def test_a_run_that_confirms_the_record_deviates_in_nothing() -> None:
    results = [Result(SQUARES, Verdict.HOLDS), Result(LOOSE, Verdict.CAVEAT)]
    recorded = {"squares": HOLDS, "loose": CAVEAT, "wrong": FAILS}
    assert deviations(results, recorded, IDS) == ()


def test_every_kind_of_deviation_is_told() -> None:
    results = [
        Result(SQUARES, Verdict.FAILS),
        Result(LOOSE, Verdict.BROKEN, problem="Traceback:\n  line 1\na control was not caught\n"),
        Result(WRONG, Verdict.FAILS),
    ]
    recorded = {"squares": HOLDS, "loose": CAVEAT, "gone": HOLDS}
    found = {deviation.claim_id: deviation for deviation in deviations(results, recorded, IDS)}
    told = {claim_id: deviation.text for claim_id, deviation in found.items()}
    assert "holds → fails" in told["squares"]
    assert told["loose"] == "the check is broken: a control was not caught"
    assert "line 1" in found["loose"].detail
    assert "no verdict is on record" in told["wrong"]
    assert "no such claim" in told["gone"]


def test_recording_keeps_what_was_not_run_and_drops_what_is_gone() -> None:
    recorded = {"wrong": FAILS, "gone": HOLDS, "loose": CAVEAT}
    results = [Result(LOOSE, Verdict.BROKEN), Result(SQUARES, Verdict.HOLDS)]
    merged = updated(recorded, results, IDS)
    assert list(merged.items()) == [
        ("squares", HOLDS),
        ("loose", CAVEAT),  # a broken check says nothing about the paper
        ("wrong", FAILS),
    ]


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "v.json"
    write_atomically(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "half \ud800")
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["v.json"]
