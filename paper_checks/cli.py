"""The command line: `python -m paper_checks`."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

from grasp_theory.command_line import add, expect_folder, expect_writable, new_app
from grasp_theory.files import write_atomically
from linear_systems.errors import ParameterError
from paper_checks.engine.records import Claim
from paper_checks.engine.run import Settings
from paper_checks.engine.runner import REGISTRY, budget_problem, default_jobs, load_claims, run_claims
from paper_checks.report import terminal, verdicts
from paper_checks.report.accounting import account, grouped, unknown_items
from paper_checks.report.mathml import mathml
from paper_checks.report.page import render
from paper_checks.report.serialise import RunFacts, report_data
from paper_checks.report.verdicts import RECORD_PATH

CONFIRMED, NOT_CONFIRMED = 0, 1
"""Exit codes; 2 is for bad usage, 130 for Ctrl-C."""


def check(
    claim: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID", help="Check only this claim, on a page of its own; may be given several times."
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer instances: a minute instead of several.")
    ] = False,
    list_: Annotated[
        bool, typer.Option("--list", help="Account for everything the paper numbers, and check nothing.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is drawn.")] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=256, show_default="one a core", help="Worker processes; changes no result."),
    ] = None,
    output: Annotated[Path, typer.Option(file_okay=False, help="Where to put the report.")] = Path("report"),
    record: Annotated[
        bool, typer.Option("--record", help="Put the findings on record, and show what changed.")
    ] = False,
) -> None:
    """Check the paper's claims; write index.html and report.json, or with --claim ID claim-ID.html and claim-ID.json.

    Exit status: 0 if every check ran and every verdict and every finding is as recorded (with --list: if nothing is
    left unaccounted for), 1 if not, 2 for bad usage.
    """
    claims = load_claims(REGISTRY)
    if list_:
        raise typer.Exit(_list(claims))
    selected = _selected(claims, claim or [])
    raise typer.Exit(
        _run(
            claims, selected, Settings(quick=quick, seed=seed), jobs or default_jobs(), output,
            record=record, alone=bool(claim),
        )
    )  # fmt: skip


app = new_app()
add(app, check, "no report is written and nothing recorded; run it again, or one claim of it with --claim.")


def main() -> None:
    """Run the command line."""
    app()


def _run(
    claims: Sequence[Claim],
    selected: Sequence[str],
    settings: Settings,
    jobs: int,
    output: Path,
    *,
    record: bool,
    alone: bool,
) -> int:
    for claim in claims:
        if claim.latex:
            mathml(claim.latex)  # raises now rather than when the run is over
    recorded, all_ids = verdicts.load_recorded(RECORD_PATH), [claim.id for claim in claims]
    expect_folder(output)
    expect_writable(RECORD_PATH if record else None)
    started, clock = datetime.now(UTC), time.perf_counter()
    shown = terminal.progress(terminal.console(stderr=True), len(selected), verdicts.statements(recorded))
    with shown as progress:
        results = run_claims(selected, settings, jobs=jobs, registry=REGISTRY, progress=progress)
    facts = RunFacts(settings, jobs, started, time.perf_counter() - clock)
    standing = verdicts.updated(recorded, results, all_ids) if record else recorded
    deviations = verdicts.deviations(results, standing, all_ids)
    before = {claim_id: entry.verdict for claim_id, entry in recorded.items()}
    problems = [
        text for text in (budget_problem(results), "" if results else "there was no claim to check") if text
    ]
    reports = {"index": results} if not alone else {f"claim-{each.claim.id}": (each,) for each in results}
    for name, part in reports.items():
        data = report_data(part, claims, before, deviations, problems, facts)
        text = json.dumps(data, ensure_ascii=False, allow_nan=False) + "\n"
        write_atomically(output / f"{name.replace('index', 'report')}.json", text)
        write_atomically(output / f"{name}.html", render(data, output))
    out = terminal.console()
    out.print(terminal.result_table(results, before))
    if alone:
        terminal.show_reasons(out, results)
    else:
        terminal.show_why(out, results)
    if record:
        verdicts.save_recorded(RECORD_PATH, standing)
        changes = verdicts.deviations(results, recorded, all_ids)
        terminal.show_recorded(out, [change for change in changes if change not in deviations])
    pages = ", ".join(str(output / f"{name}.html") for name in reports)
    summary = f"{terminal.verdict_counts(results)} in {facts.seconds:.0f} s; report: {pages}"
    out.print(summary, markup=False)
    terminal.show_deviations(out, deviations, problems)
    return NOT_CONFIRMED if deviations or problems else CONFIRMED


def _list(claims: Sequence[Claim]) -> int:
    items, out = account(claims), terminal.console()
    recorded = verdicts.load_recorded(RECORD_PATH)
    out.print(terminal.claim_table(claims, {claim_id: entry.verdict for claim_id, entry in recorded.items()}))
    out.print(terminal.item_table(items))
    open_items, unknown = [item for item in items if not item.accounted], unknown_items(claims)
    if open_items:
        labels = ", ".join(label for label, _ in grouped(open_items))
        out.print(f"{len(open_items)} of {len(items)} numbered items are not accounted for: {labels}")
    if unknown:
        out.print(f"not in the paper: {', '.join(unknown)}")
    if not open_items and not unknown:
        out.print(f"all {len(items)} numbered items are accounted for")
    return NOT_CONFIRMED if open_items or unknown else CONFIRMED


def _selected(claims: Sequence[Claim], wanted: Sequence[str]) -> list[str]:
    """Return the ids to run in the paper's order; all, where none is asked for."""
    ids = [claim.id for claim in claims]
    for name in wanted:
        if name not in ids:
            close = get_close_matches(name, ids, n=3, cutoff=0.4)
            advice = " or ".join(close) if close else "--list, which shows them all"
            raise ParameterError("claim", "the id of a claim", repr(name), advice)
    return [claim_id for claim_id in ids if claim_id in wanted or not wanted]
