"""One run of the sample claims, with a deviation, as data and as a page."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sample_claims

from paper_checks.engine.records import Verdict
from paper_checks.engine.run import Settings
from paper_checks.engine.runner import run_claims
from paper_checks.report.page import render
from paper_checks.report.serialise import Json, RunFacts, report_data
from paper_checks.report.verdicts import deviations


@pytest.fixture(scope="session")
def report() -> Json:
    ids = [claim.id for claim in sample_claims.CLAIMS]
    settings = Settings(quick=True, seed=1)
    results = run_claims(ids, settings, jobs=1, registry="sample_claims:CLAIMS")
    recorded = {name: Verdict(verdict) for name, verdict in sample_claims.EXPECTED.items()}
    recorded["loose"] = Verdict.HOLDS
    facts = RunFacts(settings, jobs=1, started=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), seconds=61.0)
    return report_data(
        results, sample_claims.CLAIMS, recorded, deviations(results, recorded, ids), ["too many tests"], facts
    )


@pytest.fixture(scope="session")
def page(report: Json, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "index.html"
    path.write_text(render(report, path.parent), encoding="utf-8")
    return path
