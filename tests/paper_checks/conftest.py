"""One run of the sample claims, with a deviation, as data and as a page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sample_claims

from paper_checks.engine.records import Result, Verdict
from paper_checks.engine.run import Settings
from paper_checks.engine.runner import run_claims
from paper_checks.report.page import render
from paper_checks.report.serialise import Json, RunFacts, report_data
from paper_checks.report.verdicts import Entry, deviations, entry

SETTINGS = Settings(quick=True, seed=1)


@pytest.fixture(scope="session")
def sample_results() -> tuple[Result, ...]:
    ids = [claim.id for claim in sample_claims.CLAIMS]
    return run_claims(ids, SETTINGS, jobs=1, registry="sample_claims:CLAIMS")


@pytest.fixture(scope="session")
def sample_record(sample_results: tuple[Result, ...]) -> dict[str, Entry]:
    """What a run of the sample claims puts on record."""
    return {result.claim.id: entry(result) for result in sample_results}


@pytest.fixture(scope="session")
def report(sample_results: tuple[Result, ...], sample_record: dict[str, Entry]) -> Json:
    recorded = {**sample_record, "loose": Entry(Verdict.HOLDS, sample_record["loose"].findings)}
    facts = RunFacts(SETTINGS, jobs=1, started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), seconds=61.0)
    found = deviations(sample_results, recorded, list(sample_record))
    before = {claim_id: each.verdict for claim_id, each in recorded.items()}
    return report_data(sample_results, sample_claims.CLAIMS, before, found, ["too many tests"], facts)


@pytest.fixture(scope="session")
def page(report: Json, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "index.html"
    path.write_text(render(report, path.parent), encoding="utf-8")
    return path
