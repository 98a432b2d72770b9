"""`python -m experiments worlds`: try the algorithmic claims in the analytic worlds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from experiments.paths import RESULTS
from experiments.study.execute import execute
from experiments.study.trials.store import Store, existing
from experiments.worlds.counts import PATH, condense, save
from experiments.worlds.protocol import BUDGET, CLAIMS, PROBLEMS, WORLDS, cells
from experiments.worlds.trial import LAYOUT, WorldUnit, here, of_one_code, unit_key, work
from experiments.worlds.verdicts import judged, report
from linear_systems.errors import ParameterError

QUICK_PROBLEMS, QUICK_BUDGET = 20, 400


def worlds(
    world: Annotated[list[str] | None, typer.Option(help="Only these worlds.")] = None,
    claim: Annotated[list[str] | None, typer.Option(help="Only these claims.")] = None,
    quick: Annotated[
        bool, typer.Option(help=f"{QUICK_PROBLEMS} problems, {QUICK_BUDGET} T evaluations: a minute a claim.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of problems and noise.", min=0, max=2**31 - 1)] = 0,
    results: Annotated[Path, typer.Option(help="Folder of the rows.")] = RESULTS / "worlds",
    stored: Annotated[bool, typer.Option("--stored", help="Compute nothing.")] = False,
    compact: Annotated[bool, typer.Option("--compact", help="Put the rows into one file.")] = False,
    record: Annotated[
        bool,
        typer.Option(
            "--record", help="Condense them for `python -m paper_checks`, which judges the paper's claims."
        ),
    ] = False,
) -> None:
    """Compute what is missing of the trials in analytic worlds, and print the verdicts.

    Model and world are one there, so that a plan which is believed is true.  The rules: docs/study.md.
    """
    claims = tuple(claim or CLAIMS)
    for name, chosen, known in (("claim", claims, CLAIMS), ("world", world or (), WORLDS)):
        if unknown := set(chosen) - set(known):
            raise ParameterError(
                name, f"some of {'; '.join(known)}", ", ".join(sorted(unknown)), "check the spelling"
            )
    if record and (quick or claim or world):
        raise ParameterError(
            "record", "all claims in all worlds", "some of them", "leave out --claim, --world and --quick"
        )
    count, budget = (QUICK_PROBLEMS, QUICK_BUDGET) if quick else (PROBLEMS, BUDGET)
    units = [WorldUnit(*cell, count, budget, seed) for cell in cells(claims, tuple(world or ()))]
    store = existing(results, LAYOUT) if stored else Store(results, LAYOUT)
    if not stored:
        execute(units, store, here, key=unit_key, work=work)
    if compact:
        store.compact()
    rows, present = of_one_code(store.rows(), units)
    if not present:
        typer.echo(
            "These trials are of former code: run them again before they say anything of the present code.\n"
        )
    if record:
        if missing := [name for name in CLAIMS if judged(rows, name) is None]:
            raise ParameterError(
                "record", "the trials of all claims", f"none for {', '.join(missing)}", "leave out --stored"
            )
        save(condense(rows, present=present))
        typer.echo(f"{PATH}; now: python -m paper_checks --quick --record, and look at what changed\n")
    typer.echo(report(rows, claims))
