"""What is on record of every claim, finding by finding: one file, changed only together with the evidence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grasp_theory.files import write_atomically
from linear_systems.errors import ParameterError
from paper_checks.engine.records import Examination, Result, Verdict

RECORD_PATH = Path(__file__).with_name("verdicts.json")
SCHEMA_VERSION = 2


@dataclass(frozen=True)
class Entry:
    """What is on record of one claim.

    Arguments
        verdict: of the claim.
        findings: "examination · statement" (or caveat, or sharpness) -> its outcome, its grade, its tests and its
            controls, as one line of text.  Nothing measured is in it, so that every machine finds the same.
    """

    verdict: Verdict
    findings: Mapping[str, str] = field(default_factory=dict)


Record = Mapping[str, Entry]
"""What is on record, by the id of the claim."""


@dataclass(frozen=True)
class Deviation:
    """Why a run does not confirm the record: one line, and for a broken check all that is known of it."""

    claim_id: str
    text: str
    detail: str = ""


def entry(result: Result) -> Entry:
    """Return what a result would put on record."""
    findings = {f"examination · {each.title}": _line(each) for each in result.examinations}
    findings |= {f"caveat · {each.text}": _line(each.examination) for each in result.caveats}
    findings |= {f"sharpness · {each.title}": "measured" for each in result.sharpness}
    return Entry(result.verdict, findings)


def statements(recorded: Record) -> dict[str, int]:
    """Return how many statements each claim on record has: its examinations and caveats."""
    examined = ("examination · ", "caveat · ")
    return {
        claim_id: sum(name.startswith(examined) for name in each.findings)
        for claim_id, each in recorded.items()
    }


def _line(examination: Examination) -> str:
    evidence = examination.evidence
    parts = ["stands" if evidence.passed else "does not stand", str(evidence.grade)]
    parts += [f"{name}: {'yes' if outcome else 'no'}" for name, outcome in evidence.outcomes.items()]
    for expected, word in ((False, "rejects"), (True, "accepts")):
        named = [control.description for control in examination.controls if control.expected is expected]
        parts += [f"{word} {'; '.join(named)}"] if named else []
    return " · ".join(parts)


def load_recorded(path: Path) -> dict[str, Entry]:
    """Return what is on record of each claim, by id; nothing is on record where there is no file.

    Raises
        ParameterError: the file is not a record of verdicts.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {content['schema_version']!r}")
        return {
            str(claim_id): Entry(Verdict(each["verdict"]), dict(each["findings"]))
            for claim_id, each in content["claims"].items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParameterError(
            path.name,
            f"verdicts in schema version {SCHEMA_VERSION}",
            repr(error),
            "restore it, or delete it and use --record",
        ) from error


def save_recorded(path: Path, recorded: Record) -> None:
    """Write the record, one finding a line."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "claims": {
            claim_id: {"verdict": str(each.verdict), "findings": dict(each.findings)}
            for claim_id, each in recorded.items()
        },
    }
    write_atomically(path, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def updated(recorded: Record, results: Sequence[Result], all_ids: Iterable[str]) -> dict[str, Entry]:
    """Return the record with what was just found, in the order of `all_ids`, without claims that are gone.

    A broken check says nothing about the paper, so it leaves its claim's entry as it is.
    """
    found = {result.claim.id: entry(result) for result in results if result.verdict is not Verdict.BROKEN}
    merged = {**recorded, **found}
    return {claim_id: merged[claim_id] for claim_id in all_ids if claim_id in merged}


def deviations(results: Sequence[Result], recorded: Record, all_ids: Iterable[str]) -> tuple[Deviation, ...]:
    """Return every way in which a run does not confirm the record: verdicts, findings, and what is missing."""
    found: list[Deviation] = []
    for result in results:
        claim_id, before = result.claim.id, recorded.get(result.claim.id)
        if result.verdict is Verdict.BROKEN:
            problem = result.problem.strip()
            last_line = problem.splitlines()[-1] if problem else "no reason given"
            found.append(Deviation(claim_id, f"the check is broken: {last_line}", problem))
            if before is not None:
                found.extend(Deviation(claim_id, text) for text in _flips(before, entry(result)))
        elif before is None:
            found.append(Deviation(claim_id, f"{result.verdict}, and no verdict is on record"))
        else:
            found.extend(Deviation(claim_id, text) for text in _changes(before, entry(result)))
    found.extend(
        Deviation(claim_id, f"on record as {recorded[claim_id].verdict}, and there is no such claim")
        for claim_id in sorted(set(recorded) - set(all_ids))
    )
    return tuple(found)


def _changes(before: Entry, after: Entry) -> list[str]:
    """Return what differs between an entry on record and what was found, one line each."""
    changes = []
    if before.verdict is not after.verdict:
        changes.append(f"the verdict changed: {before.verdict} → {after.verdict}")
    changes += _flips(before, after)
    changes += [
        f"{name}: was “{was}”, is gone" for name, was in before.findings.items() if name not in after.findings
    ]
    changes += [
        f"{name}: not on record, is “{found}”"
        for name, found in after.findings.items()
        if name not in before.findings
    ]
    return changes


def _flips(before: Entry, after: Entry) -> list[str]:
    """Return the findings on record that were found otherwise; a broken check may not have come to all of them."""
    return [
        f"{name}: was “{was}”, is “{after.findings[name]}”"
        for name, was in before.findings.items()
        if name in after.findings and after.findings[name] != was
    ]
