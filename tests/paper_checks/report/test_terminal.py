"""The live progress on a terminal."""

from __future__ import annotations

import io

import sample_claims
from rich.console import Console

from paper_checks.engine.records import Result, Sharpness, Verdict
from paper_checks.report.terminal import LiveProgress, LogProgress, console, progress, sharpness_text


def test_a_terminal_shows_a_bar_with_the_time_left_and_the_statement_in_work() -> None:
    out = io.StringIO()
    terminal = Console(file=out, force_terminal=True, width=100)
    with progress(terminal, 2) as live:
        assert isinstance(live, LiveProgress)
        live.examining("squares", "the square [is] bounded")
        terminal.print(live._render())
        live.finished(Result(sample_claims.CLAIMS[0], Verdict.HOLDS))
        terminal.print(live._render())
    shown = out.getvalue()
    for part in ("squares", "the square [is] bounded", "0/2", "1/2", "left"):
        assert part in shown


def test_a_log_gets_one_line_a_claim() -> None:
    out = io.StringIO()
    with progress(Console(file=out, width=100), 12) as log:
        assert isinstance(log, LogProgress)
        log.examining("squares", "the square is bounded")
        log.finished(Result(sample_claims.CLAIMS[0], Verdict.HOLDS, seconds=1.25))
    assert out.getvalue() == "[ 1/12] squares: holds (1.2 s)\n"


def test_a_console_that_is_no_terminal_is_wide() -> None:
    assert console().width >= 80


def test_sharpness_is_a_range() -> None:
    assert sharpness_text([]) == ""
    assert sharpness_text([Sharpness("b", 0.5, "s", "i")]) == "0.5"
    assert sharpness_text([Sharpness("b", 0.99951, "s", "i"), Sharpness("c", 0.2, "s", "i")]) == "0.2–1"
