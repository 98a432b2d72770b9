"""The verdicts on record: one file, changed only together with the evidence."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from grasp_theory.files import write_atomically
from linear_systems.errors import ParameterError
from paper_checks.engine.records import Result, Verdict

RECORD_PATH = Path(__file__).with_name("verdicts.json")
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Deviation:
    """Why a run does not confirm the record: one line, and for a broken check all that is known of it."""

    claim_id: str
    text: str
    detail: str = ""


def load_recorded(path: Path) -> dict[str, Verdict]:
    """Return the verdict on record of each claim, by id; nothing is on record where there is no file.

    Raises
        ParameterError: the file is not a record of verdicts.
    """
    if not path.exists():
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {content['schema_version']!r}")
        return {str(claim_id): Verdict(verdict) for claim_id, verdict in content["verdicts"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ParameterError(
            path.name,
            f"verdicts in schema version {SCHEMA_VERSION}",
            repr(error),
            "restore it, or use --record",
        ) from error


def save_recorded(path: Path, verdicts: Mapping[str, Verdict]) -> None:
    """Write the record, one claim a line."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "verdicts": {key: str(value) for key, value in verdicts.items()},
    }
    write_atomically(path, json.dumps(content, indent=2) + "\n")


def updated(
    recorded: Mapping[str, Verdict], results: Sequence[Result], all_ids: Iterable[str]
) -> dict[str, Verdict]:
    """Return the record with the verdicts just found, in the order of `all_ids`, without those that are gone.

    A broken check says nothing about the paper, so it leaves its claim's entry as it is.
    """
    found = {result.claim.id: result.verdict for result in results if result.verdict is not Verdict.BROKEN}
    merged = {**recorded, **found}
    return {claim_id: merged[claim_id] for claim_id in all_ids if claim_id in merged}


def deviations(
    results: Sequence[Result], recorded: Mapping[str, Verdict], all_ids: Iterable[str]
) -> tuple[Deviation, ...]:
    """Return every way in which a run does not confirm the record."""
    found: list[Deviation] = []
    for result in results:
        claim_id, verdict, before = result.claim.id, result.verdict, recorded.get(result.claim.id)
        if verdict is Verdict.BROKEN:
            problem = result.problem.strip()
            last_line = problem.splitlines()[-1] if problem else "no reason given"
            found.append(Deviation(claim_id, f"the check is broken: {last_line}", problem))
        elif before is None:
            found.append(Deviation(claim_id, f"{verdict}, and no verdict is on record"))
        elif before is not verdict:
            found.append(Deviation(claim_id, f"the verdict changed: {before} → {verdict}"))
    found.extend(
        Deviation(claim_id, f"on record as {recorded[claim_id]}, and there is no such claim")
        for claim_id in sorted(set(recorded) - set(all_ids))
    )
    return tuple(found)
