"""Why a claim has its verdict, in a few lines of text."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from paper_checks.engine.records import Control, Examination, Result, Verdict

LENGTH = 500
"""Most characters of one reason; the claim's page has the rest."""


def reasons(result: Result) -> list[str]:
    """Return what the verdict rests on: the established caveats, what did not stand, or what is missing.

    Where everything stood, one line says how much that is.  Each is one line of at most `LENGTH` characters.
    """
    return [textwrap.shorten(reason, LENGTH, placeholder=" …") for reason in _reasons(result)]


def _reasons(result: Result) -> list[str]:
    if result.verdict is Verdict.BROKEN:
        return [(result.problem.strip().splitlines() or ["no reason given"])[-1]]
    if not result.examinations:
        claim = result.claim
        return [claim.missing] if claim.missing else [*claim.definitions.values()] or [claim.statement]
    fallen = [_fallen(each) for each in result.examinations if not each.evidence.passed]
    caveats = [each.text for each in result.caveats if each.examination.evidence.passed]
    return [*fallen, *caveats] or [_all_stood(result.examinations)]


def _fallen(examination: Examination) -> str:
    evidence = examination.evidence
    lines = [f"does not stand: {examination.title}"]
    if evidence.outcomes:
        shown = sum(map(bool, evidence.outcomes.values()))
        lines.append(f"{shown} of its {len(evidence.outcomes)} tests stand")
    instead = [each.description for each in examination.controls if each.expected and each.caught]
    lines += [f"stands instead: {'; '.join(instead)}"] if instead else []
    return "; ".join([*lines, f"found: {evidence.summary}"])


def _all_stood(examinations: Sequence[Examination]) -> str:
    false: list[Control] = [c for each in examinations for c in each.controls if not c.expected]
    statements, variants = _count(len(examinations), "statement"), _count(len(false), "false variant")
    return f"{statements} examined, and all stand; {variants} tried, and all rejected"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
