"""Why a claim has its verdict."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sample_claims

from paper_checks.engine.records import Result, Verdict
from paper_checks.report.reasons import LENGTH, reasons


@pytest.mark.parametrize(
    ("claim_id", "said"),
    [
        ("squares", ["2 statements examined, and all stand; 2 false variants tried, and all rejected"]),
        ("loose", ["the bound is a hundred times too large"]),
        (
            "wrong",
            [
                "does not stand: x² ≤ 1/2 on [0, 1]; stands instead: x² ≤ 1; "
                "found: x² on 11 points is at most 1, against 0.5"
            ],
        ),
        ("unseen", ["the authors' checkpoints"]),
        ("notation", ["defines y"]),
    ],
)
def test_the_reason_is_what_the_verdict_rests_on(
    claim_id: str, said: list[str], sample_results: tuple[Result, ...]
) -> None:
    (result,) = [each for each in sample_results if each.claim.id == claim_id]
    assert reasons(result) == said


def test_a_broken_check_says_what_broke_and_no_reason_is_long() -> None:
    broken = Result(
        sample_claims.CLAIMS[0], Verdict.BROKEN, problem="Traceback\nZeroDivisionError: on purpose\n"
    )
    assert reasons(broken) == ["ZeroDivisionError: on purpose"]
    assert len(reasons(replace(broken, problem="word " * 1000))[0]) <= LENGTH
