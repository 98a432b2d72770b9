"""The report as plain data: everything that the page shows, and that `report.json` keeps."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from paper_checks.engine.records import (
    Claim,
    Control,
    Curve,
    Evidence,
    Examination,
    Number,
    Result,
    Sharpness,
    Verdict,
)
from paper_checks.engine.run import FALSE_ALARM_TOTAL, STATISTICAL_TEST_LIMIT, Settings
from paper_checks.report.accounting import Item, about, account
from paper_checks.report.environment import ROOT, environment
from paper_checks.report.reasons import reasons
from paper_checks.report.verdicts import Deviation

SCHEMA_VERSION = 2
"""Version of the layout of `report.json`; a change that readers of the file would notice raises it."""

Json = dict[str, Any]


@dataclass(frozen=True)
class RunFacts:
    """How a run was made.

    Arguments
        settings, jobs: what was asked for.
        started: when it began, with its time zone.
        seconds: how long it took, wall clock.
    """

    settings: Settings
    jobs: int
    started: datetime
    seconds: float


def report_data(
    results: Sequence[Result],
    claims: Sequence[Claim],
    recorded: Mapping[str, Verdict],
    deviations: Sequence[Deviation],
    problems: Sequence[str],
    facts: RunFacts,
) -> Json:
    """Return the report of a run as data that JSON can hold.

    Arguments
        results: of the claims that were run.
        claims: every claim there is, run or not: for the account of the paper's numbered items.
        recorded: the verdicts on record when the run began.
        deviations, problems: why the run does not confirm the record; problems concern the run as a whole.
        facts: how the run was made.
    Floats that JSON lacks become the texts "nan", "inf" and "-inf".
    """
    return {
        "schema_version": SCHEMA_VERSION,
        "run": {
            "started": facts.started.isoformat(timespec="seconds"),
            "seconds": facts.seconds,
            "seed": facts.settings.seed,
            "quick": facts.settings.quick,
            "jobs": facts.jobs,
            "claims_in_registry": len(claims),
            "statistical_tests": sum(result.statistical_tests for result in results),
            "statistical_test_limit": STATISTICAL_TEST_LIMIT,
            "false_alarm_total": FALSE_ALARM_TOTAL,
        },
        "environment": environment(),
        "problems": list(problems),
        "deviations": [{"claim": deviation.claim_id, "text": deviation.text} for deviation in deviations],
        "claims": [_result(result, recorded.get(result.claim.id)) for result in results],
        "items": [_item(item, results) for item in account(claims)],
    }


def _result(result: Result, recorded: Verdict | None) -> Json:
    claim = result.claim
    return {
        "id": claim.id,
        "title": claim.title,
        "source": claim.source,
        "statement": claim.statement,
        "latex": claim.latex,
        "assumptions": list(claim.assumptions),
        "equations": sorted(claim.equations),
        "about": list(about(claim)),
        "definitions": [{"number": number, "why": why} for number, why in sorted(claim.definitions.items())],
        "missing": claim.missing,
        "check": _location(claim),
        "verdict": str(result.verdict),
        "reasons": reasons(result),
        "recorded": None if recorded is None else str(recorded),
        "grades": [str(grade) for grade in result.grades],
        "examinations": [_examination(examination) for examination in result.examinations],
        "caveats": [_examination(caveat.examination) for caveat in result.caveats],
        "sharpness": [_sharpness(sharpness) for sharpness in result.sharpness],
        "curves": [_curve(curve) for curve in result.curves],
        "statistical_tests": result.statistical_tests,
        "seconds": result.seconds,
        "problem": result.problem,
    }


def _examination(examination: Examination) -> Json:
    return {
        "title": examination.title,
        "equations": sorted(examination.equations),
        "evidence": _evidence(examination.evidence),
        "controls": [_control(control) for control in examination.controls],
    }


def _control(control: Control) -> Json:
    return {
        "description": control.description,
        "expected": bool(control.expected),
        "caught": bool(control.caught),
        "distance": control.distance,
        "why": control.why,
        "evidence": _evidence(control.evidence),
    }


def _evidence(evidence: Evidence) -> Json:
    return {
        "grade": str(evidence.grade),
        "passed": bool(evidence.passed),
        "summary": evidence.summary,
        "numbers": [{"name": name, "value": _plain(value)} for name, value in evidence.numbers.items()],
        "instance": evidence.instance,
        "outside": int(evidence.outside),
        "outcomes": {name: bool(outcome) for name, outcome in evidence.outcomes.items()},
    }


def _sharpness(sharpness: Sharpness) -> Json:
    return {
        "title": sharpness.title,
        "ratio": _plain(sharpness.ratio),
        "search": sharpness.search,
        "instance": sharpness.instance,
        "better_bound": sharpness.better_bound,
    }


def _curve(curve: Curve) -> Json:
    return {
        "title": curve.title,
        "x_label": curve.x_label,
        "y_label": curve.y_label,
        "log_x": curve.log_x,
        "log_y": curve.log_y,
        "note": curve.note,
        "series": [
            {"name": name, "x": [float(x) for x in xs], "y": [float(y) for y in ys]}
            for name, (xs, ys) in curve.series.items()
        ],
    }


def _item(item: Item, results: Sequence[Result]) -> Json:
    """Return an item's account, with what the examinations that cover an equation found of it."""
    status, explanation = item.outcome
    return {
        "kind": item.kind,
        "number": item.number,
        "label": item.label,
        "status": status,
        "explanation": explanation,
        "claims": [
            {"id": result.claim.id, "verdict": str(result.verdict), "stood": _stood(item, result)}
            for result in results
            if result.claim.id in item.checked
        ],
    }


def _stood(item: Item, result: Result) -> bool | None:
    """Return whether every examination that covers the equation `item` passed; None for other items."""
    if item.kind != "Equation":
        return None
    covering = [e.evidence.passed for e in result.examinations if item.number in e.equations]
    return all(bool(passed) for passed in covering) if covering else None


def _location(claim: Claim) -> Json | None:
    """Return the file (relative to the folder of the packages) and line of the claim's check."""
    if claim.check is None:
        return None
    function: Any = claim.check
    while isinstance(function, partial):
        function = function.func
    function = inspect.unwrap(function)
    path = Path(inspect.getsourcefile(function) or "")
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(path.name)
    return {"file": shown.as_posix(), "line": inspect.getsourcelines(function)[1]}


def _plain(value: Number) -> Number:
    """Return a measured figure, which may be one of numpy's, as a value that JSON can hold."""
    if isinstance(value, np.generic):
        value = value.item()
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
