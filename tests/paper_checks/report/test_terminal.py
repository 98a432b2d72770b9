"""The live progress on a terminal."""

from __future__ import annotations

import io
from dataclasses import replace

import sample_claims
from rich.console import Console

from paper_checks.engine.records import Result, Sharpness, Verdict
from paper_checks.report.terminal import (
    SHORT,
    LiveProgress,
    LogProgress,
    console,
    progress,
    sharpness_text,
    show_reasons,
    show_why,
)


def test_a_terminal_shows_a_bar_with_the_time_left_and_the_statement_in_work() -> None:
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, width=100)
    with progress(terminal, 2, {"squares": 3}) as live:
        assert isinstance(live, LiveProgress)
        live.examining("squares", "the square [is] bounded")
        terminal.print(live._render())
        live.finished(Result(sample_claims.CLAIMS[0], Verdict.HOLDS))
        terminal.print(live._render())
    shown = out.getvalue()
    for part in ("squares", "1/3", "the square [is] bounded", "0/2", "1/2", "left"):
        assert part in shown


def test_a_log_gets_one_line_a_claim() -> None:
    out = io.StringIO()
    with progress(Console(file=out, width=100), 12) as log:
        assert isinstance(log, LogProgress)
        log.examining("squares", "the square is bounded")
        log.finished(Result(sample_claims.CLAIMS[0], Verdict.HOLDS, seconds=1.25))
    assert out.getvalue() == "[ 1/12] squares: holds (1.2 s)\n"


def test_a_log_of_few_claims_tells_each_statement() -> None:
    out = io.StringIO()
    with progress(Console(file=out, width=100), 1, {"squares": 1}) as log:
        log.examining("squares", "the square [is] bounded")
        log.examining("squares", "one more than is on record")
    assert out.getvalue() == "squares 1/1: the square [is] bounded\nsquares 2: one more than is on record\n"


def test_the_reasons_are_printed_as_they_are() -> None:
    out = io.StringIO()
    claim = replace(sample_claims.CLAIMS[0], missing="a [model] within 1e-09")
    show_reasons(Console(file=out, width=100), [Result(claim, Verdict.NOT_CHECKABLE)])
    assert out.getvalue().splitlines()[0] == "squares: not checkable here, because"
    assert out.getvalue().splitlines()[1].strip() == "• a [model] within 10⁻⁹"


def test_a_whole_run_says_shortly_why_what_does_not_hold(sample_results: tuple[Result, ...]) -> None:
    out = io.StringIO()
    show_why(Console(file=out, width=100), sample_results)
    said = out.getvalue()
    assert "wrong: fails: does not stand: x² ≤ 1/2 on [0, 1]; stands instead: x² ≤ 1;" in said
    assert "unseen: not checkable here: the authors' checkpoints" in said
    for quiet in ("squares:", "loose:", "notation:"):
        assert quiet not in said
    told = [result for result in sample_results if result.claim.id == "wrong"]
    long = replace(told[0].examinations[0], title="word " * 200)
    out = io.StringIO()
    show_why(Console(file=out, width=1000), [replace(told[0], examinations=(long,))])
    assert max(len(line.rstrip()) for line in out.getvalue().splitlines()) < SHORT + 40
    out = io.StringIO()
    show_why(Console(file=out), [Result(sample_claims.CLAIMS[0], Verdict.HOLDS)])
    assert not out.getvalue()


def test_a_console_that_is_no_terminal_is_wide() -> None:
    assert console().width >= 80


def test_sharpness_is_a_range() -> None:
    assert sharpness_text([]) == ""
    assert sharpness_text([Sharpness("b", 0.5, "s", "i")]) == "0.5"
    assert sharpness_text([Sharpness("b", 0.99951, "s", "i"), Sharpness("c", 0.2, "s", "i")]) == "0.2–1.00"
