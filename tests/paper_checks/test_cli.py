"""The command line: exit codes, the table, the list, the record."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import sample_claims
from click.testing import Result as Invocation
from typer.testing import CliRunner

from paper_checks import cli
from paper_checks.engine.records import Result, Verdict
from paper_checks.engine.run import Settings, run_claim
from paper_checks.engine.runner import Progress, load_claims
from paper_checks.report.verdicts import Entry, load_recorded, save_recorded

SUPPORT = Path(sample_claims.__file__).parent
ROOT = Path(cli.__file__).parents[1]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sample_record: dict[str, Entry]) -> Path:
    """Point the command line to the sample claims and to a record that confirms them."""
    path = tmp_path / "verdicts.json"
    save_recorded(path, sample_record)
    monkeypatch.setattr(cli, "REGISTRY", "sample_claims:CLAIMS")
    monkeypatch.setattr(cli, "RECORD_PATH", path)
    monkeypatch.setenv("COLUMNS", "200")
    return path


def run_here(
    ids: Sequence[str], settings: Settings, *, jobs: int, registry: str, progress: Progress
) -> tuple[Result, ...]:
    """Do what `run_claims` does without worker processes, each of which takes seconds to import what it needs."""
    claims = {claim.id: claim for claim in load_claims(registry)}
    results = tuple(run_claim(claims[claim_id], settings) for claim_id in ids)
    for result in results:
        progress.finished(result)
    return results


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Check claims in this process, where it matters only what the command makes of the results."""
    monkeypatch.setattr(cli, "run_claims", run_here)


def invoke(arguments: Sequence[str], folder: Path) -> Invocation:
    return CliRunner().invoke(cli.app, [*arguments, "--output", str(folder / "out"), "--jobs", "1"])


def change_record(path: Path, **verdicts: str | None) -> None:
    """Change the verdicts on record of some claims, with their findings as they are; None: drop the claim."""
    recorded = load_recorded(path)
    for claim_id, verdict in verdicts.items():
        before = recorded.pop(claim_id, Entry(Verdict.HOLDS))
        if verdict is not None:
            recorded[claim_id] = replace(before, verdict=Verdict(verdict))
    save_recorded(path, recorded)


def change_finding(path: Path, claim_id: str, name: str, line: str | None) -> None:
    """Change one finding on record; None: drop it."""
    recorded = load_recorded(path)
    findings = {**recorded[claim_id].findings, name: line}
    kept = {key: value for key, value in findings.items() if value is not None}
    save_recorded(path, {**recorded, claim_id: replace(recorded[claim_id], findings=kept)})


def test_a_run_that_confirms_the_record_exits_0_and_writes_the_report(record: Path, tmp_path: Path) -> None:
    result = invoke(["--quick", "--seed", "5"], tmp_path)
    assert result.exit_code == 0, result.output
    for claim in sample_claims.CLAIMS:
        assert claim.title in result.output
        assert claim.source in result.output
    assert "symbolic, numerical" in result.output
    assert "3 holds, 1 holds with caveat, 1 fails" in result.output
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert (report["run"]["seed"], report["run"]["quick"], report["deviations"]) == (5, True, [])
    assert (tmp_path / "out" / "index.html").read_text().startswith("<!doctype html>")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["index.html", "report.json"]


@pytest.mark.usefixtures("here")
def test_progress_off_a_terminal_is_one_line_a_claim(record: Path, tmp_path: Path) -> None:
    result = invoke(["--quick"], tmp_path)
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == len(sample_claims.CLAIMS)
    assert lines[0].startswith("[1/7] ")
    assert "\x1b" not in result.output


@pytest.mark.usefixtures("here")
def test_a_changed_verdict_exits_1_and_is_shown_old_to_new(record: Path, tmp_path: Path) -> None:
    change_record(record, squares="fails")
    result = invoke(["--claim", "squares"], tmp_path)
    assert result.exit_code == 1
    assert "squares: the verdict changed: fails → holds" in result.output
    assert "fails → holds" in result.output.split("squares: the verdict")[0]  # in the table too


@pytest.mark.usefixtures("here")
def test_a_claim_that_is_not_on_record_exits_1(record: Path, tmp_path: Path) -> None:
    change_record(record, squares=None)
    result = invoke(["--claim", "squares"], tmp_path)
    assert result.exit_code == 1
    assert "no verdict is on record" in result.output


@pytest.mark.usefixtures("here")
def test_a_record_of_a_claim_that_is_gone_exits_1(record: Path, tmp_path: Path) -> None:
    change_record(record, gone="holds")
    result = invoke(["--claim", "squares"], tmp_path)
    assert result.exit_code == 1
    assert "gone: on record as holds" in result.output


def test_broken_checks_and_an_exceeded_budget_exit_1(
    record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "REGISTRY", "sample_claims:FAULTY")
    result = invoke(["--record"], tmp_path)
    assert result.exit_code == 1
    assert "ZeroDivisionError: on purpose" in result.output
    assert "401 statistical tests" in result.output
    recorded = {claim_id: str(entry.verdict) for claim_id, entry in load_recorded(record).items()}
    assert recorded == {"squares": "holds", "greedy": "holds", "loose": "holds with caveat"}


def test_no_claims_at_all_exit_1(record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_claims, "CLAIMS", ())
    record.unlink()
    result = invoke([], tmp_path)
    assert result.exit_code == 1
    assert "no claim to check" in result.output


@pytest.mark.usefixtures("here")
def test_record_writes_what_was_found_and_the_next_run_confirms_it(
    record: Path, tmp_path: Path, sample_record: dict[str, Entry]
) -> None:
    record.unlink()
    assert invoke(["--quick", "--record"], tmp_path).exit_code == 0
    recorded = load_recorded(record)
    assert recorded == sample_record
    assert {claim_id: str(entry.verdict) for claim_id, entry in recorded.items()} == sample_claims.EXPECTED
    assert invoke(["--quick"], tmp_path).exit_code == 0


CAVEAT = "caveat · the bound is a hundred times too large"


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "does not stand · numerical · rejects half",
            "was “does not stand · numerical · rejects half”, is “stands ·",
        ),
        (
            "stands · certified · rejects half",
            "was “stands · certified · rejects half”, is “stands · numerical ·",
        ),
        (None, "not on record, is “stands · numerical · rejects half”"),
    ],
)
def test_a_changed_finding_under_the_same_verdict_exits_1_and_tells_what_was_and_what_is(
    line: str | None, told: str, record: Path, tmp_path: Path
) -> None:
    change_finding(record, "loose", CAVEAT, line)
    result = invoke(["--claim", "loose"], tmp_path)
    assert result.exit_code == 1
    assert f"loose: {CAVEAT}: {told}" in " ".join(result.output.split())


@pytest.mark.usefixtures("here")
def test_a_lost_caveat_exits_1(record: Path, tmp_path: Path) -> None:
    change_finding(record, "loose", "caveat · another", "stands · numerical · rejects half")
    result = invoke(["--claim", "loose"], tmp_path)
    assert result.exit_code == 1
    assert "loose: caveat · another: was “stands · numerical · rejects half”, is gone" in result.output


@pytest.mark.usefixtures("here")
def test_recording_shows_what_it_changes(record: Path, tmp_path: Path) -> None:
    change_finding(record, "loose", CAVEAT, "does not stand · numerical · rejects half")
    result = invoke(["--claim", "loose", "--record"], tmp_path)
    assert result.exit_code == 0
    assert f"recorded loose: {CAVEAT}: was “does not stand" in result.output
    assert "1 changes on record" in result.output


@pytest.mark.usefixtures("here")
def test_claims_may_be_selected_and_run_in_the_papers_order(record: Path, tmp_path: Path) -> None:
    result = invoke(["--claim", "wrong", "--claim", "squares", "--claim", "wrong"], tmp_path)
    assert result.exit_code == 0
    assert result.output.index("squares: holds, because") < result.output.index("wrong: fails, because")
    for claim_id in ("squares", "wrong"):
        report = json.loads((tmp_path / "out" / f"claim-{claim_id}.json").read_text())
        assert [claim["id"] for claim in report["claims"]] == [claim_id]
        assert report["run"]["claims_in_registry"] == 7


@pytest.mark.usefixtures("here")
def test_one_claim_is_told_beside_the_full_report_with_its_reasons(record: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert invoke(["--quick"], tmp_path).exit_code == 0
    full = {path.name: path.read_bytes() for path in out.iterdir()}
    result = invoke(["--claim", "loose"], tmp_path)
    assert "loose: holds with caveat, because" in result.stdout
    assert "• the bound is a hundred times too large" in result.stdout
    assert str(out / "claim-loose.html") in result.stdout.replace("\n", "")
    assert {path.name for path in out.iterdir()} == {*full, "claim-loose.html", "claim-loose.json"}
    assert {name: (out / name).read_bytes() for name in full} == full


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--claim", "sqares"], "squares"),
        (["--claim", "zzzzzz"], "--list"),
        (["--seed", "-1"], "--seed"),
        (["--jobs", "0"], "--jobs"),
        (["--nonsense"], "--nonsense"),
    ],
)
def test_bad_usage_exits_2_and_says_what_to_do(
    arguments: list[str], told: str, record: Path, tmp_path: Path
) -> None:
    result = (
        invoke(arguments, tmp_path) if "--jobs" not in arguments else CliRunner().invoke(cli.app, arguments)
    )
    assert result.exit_code == 2
    assert told in result.output
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_a_file_exits_2(record: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    assert invoke([], tmp_path).exit_code == 2
    assert invoke([], tmp_path / "out").exit_code == 2


def test_list_accounts_for_the_paper_and_exits_1_while_there_are_holes(record: Path, tmp_path: Path) -> None:
    result = invoke(["--list"], tmp_path)
    assert result.exit_code == 1
    assert "Eq. (1)–(3)" in result.output
    assert "squares: defines x" in result.output
    assert "118 of 130 numbered items are not accounted for: Eq. (9)–(107), Theorems 2–9" in result.output
    assert not (tmp_path / "out").exists()


def command(code: str) -> list[str]:
    """Return the command with `code` before it; it hears Ctrl-C, also where these tests run in the background."""
    heard = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)"
    return [sys.executable, "-c", f"{heard}\nimport paper_checks.cli as cli\n{code}\ncli.main()"]


def environment(**variables: str) -> dict[str, str]:
    path = os.pathsep.join([str(SUPPORT), str(ROOT), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path, **variables}


def test_the_module_runs_in_a_process_of_its_own(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "paper_checks", "--claim", "no-such-claim"],
        cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert found.returncode == 2, found.stderr
    assert "no-such-claim" in found.stderr


def test_ctrl_c_ends_every_worker_and_writes_nothing(tmp_path: Path) -> None:
    started = tmp_path / "started"
    started.mkdir()
    arguments = ["--jobs", "2", "--output", str(tmp_path / "out")]
    process = subprocess.Popen(
        [*command("cli.REGISTRY = 'sample_claims:SLEEPY'"), *arguments],
        env=environment(SAMPLE_CLAIMS_STARTED=str(started)), cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 600
        while len(list(started.iterdir())) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        workers = [int(path.name) for path in started.iterdir()]
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
        process.wait()
    assert len(workers) == 2
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "interrupted" in errors
    assert list((tmp_path / "out").iterdir()) == []
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            os.kill(worker, 0)
