"""`python -m experiments table`, `tune` and `status`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import polars as pl
import typer
from rich.console import Console
from rich.progress import track
from rich.text import Text

from experiments.devices import Device, device_of
from experiments.paths import RESULTS
from experiments.study.cluster import ClusterError
from experiments.study.execute import execute, runner
from experiments.study.reporting.present import former_code, with_present
from experiments.study.reporting.render import brief, terminal, write
from experiments.study.reporting.report import table_report
from experiments.study.reporting.summary import current, outdated
from experiments.study.tables import (
    FULL,
    OWN_TABLES,
    QUICK,
    ROWS,
    TABLES,
    Profile,
    cells,
    modes,
    not_tuned,
    targets,
    units,
)
from experiments.study.targets import AUTO, Target, Tuned
from experiments.study.trials.own import case_of, study_of
from experiments.study.trials.store import Store, existing
from experiments.study.trials.unit import BUDGET, unit_key
from experiments.study.tune import tune_all
from grasp_theory.command_line import expect_folder
from grasp_theory.tasks import TASKS
from grasp_theory.world_models import available
from linear_systems.errors import ParameterError

Results = Annotated[
    Path,
    typer.Option(
        help="Folder of the results; a killed run goes on there.", show_default="experiments/results"
    ),
]
Quick = Annotated[
    bool, typer.Option("--quick", help="Few problems, one model, first and last horizon: minutes.")
]
OwnStudy = Annotated[
    Path | None,
    typer.Option(
        "--study", help="Your own models, problems and world: a Python file, see docs/own_study.md."
    ),
]
MEANING = (
    "believed: the share of the returned plans that another training of the model believes (the model itself, where it is alone); of "
    "equals, settings count more of whose plans the model itself believes more."
)
LARGEST_SET = 1000
"""Problems of a set at most: far more than the tables use, and drawn within minutes."""
Workers = Annotated[int, typer.Option(min=1, max=256, help="Processes, of one thread each.")]
Ray = Annotated[
    str | None, typer.Option(help="Run on a Ray cluster: its address, auto, or local for one here.")
]
Gpus = Annotated[float, typer.Option(min=0, help="GPUs of each Ray task; above 0, trials run on CUDA.")]


def table(
    number: Annotated[
        str, typer.Argument(help=f"Which: {', '.join(TABLES)}; with --study {', '.join(OWN_TABLES)}.")
    ],
    study: OwnStudy = None,
    results: Results = RESULTS,
    quick: Quick = False,
    stored: Annotated[bool, typer.Option("--stored", help="Compute nothing: show what there is.")] = False,
    problems: Annotated[
        int | None, typer.Option(min=1, max=LARGEST_SET, help="Problems of each set.")
    ] = None,
    timed: Annotated[
        int | None,
        typer.Option(min=0, max=LARGEST_SET, help="Of these, planned one at a time for their times."),
    ] = None,
    workers: Workers = 1,
    ray: Ray = None,
    gpus: Gpus = 0.0,
    device: Device = "cpu",
    out: Annotated[Path | None, typer.Option(help="Write Markdown, CSV and JSON to this folder too.")] = None,
    short: Annotated[bool, typer.Option("--brief", help="Print the figures only, as Markdown.")] = False,
) -> None:
    """Compute what a table lacks and show it, beside the paper's figures where the paper has it."""
    expect_folder(out)
    where = str(device_of(device))
    if stored and (workers > 1 or ray is not None or gpus or where != "cpu"):
        raise ParameterError(
            "stored",
            "no --workers, --ray, --gpus or --device with it",
            "some of them",
            "leave out --stored to compute",
        )
    if gpus and ray is None:
        raise ParameterError("gpus", "--ray with it", "none", "--device cuda for one process on a GPU")
    try:
        profile = _profile(quick, problems, timed, study, results)
        store = existing(results) if stored else Store(results)
        tuned = _tuned(results)
        lacking = not_tuned(number, tuned, profile)
        if quick:
            tuned = tuned.with_defaults(lacking)
        found = cells(number, tuned, profile)
        if not stored:
            needed = units(found, modes(number), profile, _models())
            execute(needed, store, runner(workers=workers, device=where, ray=ray, gpus=gpus))
        others = cells("2", tuned, profile) if number == "5" else ()
        rows = store.rows()
        report = table_report(number, found, current(rows), others)
    except ClusterError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    if short:
        typer.echo(brief(report))
        for warning in report.warnings:
            typer.echo(f"warning: {warning}", err=True)
    else:
        Console().print(terminal(report))
        if old := outdated(rows):
            typer.echo(f"{old} stored trials of older code, models or problems are left out")
        if lacking:
            names = ", ".join(target.name for target in lacking)
            typer.echo(f"{'With default settings' if quick else 'Left out'}, for they are not tuned: {names}")
    for path in [] if out is None else write(report, out):
        typer.echo(path)


def tune(
    tasks: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Which of {', '.join(TASKS)}; default: all. With --study none: all its sets are tuned."
        ),
    ] = None,
    study: OwnStudy = None,
    results: Results = RESULTS,
    quick: Quick = False,
    trials: Annotated[
        int | None, typer.Option(min=1, max=10_000, help="Of every planner on every set.")
    ] = None,
    problems: Annotated[
        int | None, typer.Option(min=1, max=LARGEST_SET, help="Tuning problems of each set.")
    ] = None,
    planner: Annotated[str | None, typer.Option(help="Only this one.")] = None,
    workers: Workers = 1,
    device: Device = "cpu",
) -> None:
    """Tune every planner with the same budget on tuning problems, for every set of the tables or of your own study; goes on
    where it stopped.
    """
    profile = _profile(quick, None, None, study, results)
    if study is not None and tasks:
        raise ParameterError("tasks", "none with --study", ", ".join(tasks), "leave them out")
    chosen = tasks or ([*TASKS] if profile.study is None else [profile.study])
    number, count = trials or (2 if quick else 24), problems or (4 if quick else 32)
    if quick and results == RESULTS:
        raise ParameterError(
            "results",
            "a folder of your own with --quick",
            "that of the repository",
            "--results my_results",
        )
    unknown = set(chosen) - set(TASKS)
    if unknown and study is None:
        raise ParameterError("tasks", f"some of {', '.join(TASKS)}", ", ".join(unknown), "check the spelling")
    if planner is not None and planner not in ROWS:
        raise ParameterError("planner", f"one of {', '.join(ROWS)}", repr(planner), "check the spelling")
    wanted = [
        target
        for target in every_target(profile)
        if target.task in chosen and planner in (None, target.planner)
    ]
    if not wanted:
        raise ParameterError(
            "tasks", "some that the tables plan in", ", ".join(chosen), "leave out --quick, or name others"
        )
    Tuned.load(results)  # a file that cannot be added to is told before the work
    console = Console(stderr=True)
    entries = tune_all(
        wanted, results, trials=number, problems=count, budget=QUICK.budget if quick else BUDGET, workers=workers,
        device=str(device_of(device)),
    )  # fmt: skip
    for target, entry in track(entries, total=len(wanted), description="tuning", console=console):
        Tuned.add(results, target, entry)
        console.print(f"{target.name}: {_told(target, entry)}", markup=False)
    console.print(MEANING, markup=False)


def _told(target: Target, entry: Mapping[str, Any]) -> str:
    """Return what tuning found, as a person reads it: shares of plans, without what breaks ties."""
    if target.planner == AUTO:
        return "sets itself"
    shares = entry["believed_by_another"], entry["default_believed_by_another"]
    tuned, untuned = (f"{100 * share:.0f}%" for share in shares)
    return f"{tuned} believed (untuned {untuned})"


def every_target(profile: Profile) -> list[Target]:
    """Return what must be tuned for all tables, each once, the planners of one set after each other."""
    numbers = TABLES if profile.study is None else OWN_TABLES
    found = dict.fromkeys(target for number in numbers for target in targets(number, profile))
    return sorted(found, key=lambda target: (target.horizon, target.task, target.kind))


def status(
    study: OwnStudy = None,
    results: Results = RESULTS,
    compact: Annotated[bool, typer.Option("--compact", help="Put the parts into one file.")] = False,
) -> None:
    """Show what is stored, by problem set and mode, whether the present code made it, and what each table still lacks."""
    store = existing(results)
    if compact:
        typer.echo(f"{store.compact()} trials in {store.archive}")
    rows, tuned = store.rows(), _tuned(results)
    console = Console()
    console.print(Text(f"{len(rows)} trials in {results}"), soft_wrap=True)
    place = ["task", "kind", "horizon", "purpose", "mode", "present"]
    groups = (
        with_present(rows)
        .group_by(place, maintain_order=True)
        .agg(pl.col("planner").n_unique(), pl.col("model").n_unique(), pl.len(), pl.col("finished").max())
    )
    named = ""
    for task, kind, horizon, purpose, mode, present, planners, models, count, last in groups.iter_rows():
        # A name has a line of its own, which no width cuts.
        if (name := f"{task}-{kind}-{horizon}-{purpose}") != named:
            console.print(Text(name, "bold"), soft_wrap=True)
            named = name
        made = f"{'present' if present else 'former'} code, last {last[:10]}"
        line = (
            f"  {mode:6} {count:6} trials: {_count(planners, 'planner')}, {_count(models, 'model')}, {made}"
        )
        console.print(Text(line), soft_wrap=True)
    if old := former_code(current(rows)):
        console.print(f"{old}.", style="bold yellow")
    profile = _profile(False, None, None, study, results)
    for number in TABLES if study is None else OWN_TABLES:
        console.print(_lacking(number, tuned, store, profile), markup=False)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _tuned(results: Path) -> Tuned:
    """Return the settings tuned in a folder of results, or else those that come with the repository."""
    own = Tuned.load(results)
    return own if own.entries else Tuned.load(RESULTS)


def _models() -> list[str]:
    return [card.name for card in available()]


def _lacking(number: str, tuned: Tuned, store: Store, profile: Profile) -> str:
    missing = not_tuned(number, tuned, profile)
    try:
        needed = units(cells(number, tuned, profile), modes(number), profile, _models())
    except ParameterError:
        if not missing:
            raise
        # No set has all its planners tuned.
        return f"table {number}: {len(missing)} to tune (a planner on a set each), first {missing[0].name}"
    done = store.units()
    left = [unit for unit in needed if unit_key(unit) not in done]
    lacking = (
        f"; {len(missing)} to tune (a planner on a set each), first {missing[0].name}" if missing else ""
    )
    return f"table {number}: {len(needed) - len(left)} of {len(needed)} units computed with the present code{lacking}"


def _profile(
    quick: bool, problems: int | None, timed: int | None, study: Path | None, results: Path
) -> Profile:
    base = QUICK if quick else FULL
    if study is not None:
        if results == RESULTS:
            raise ParameterError(
                "results",
                "a folder of your own with --study",
                "that of the repository",
                "--results my_results",
            )
        # Of the modules beside a study's file; last, so that none of them hides another.  Workers inherit it.
        if (folder := str(study.resolve().parent)) not in sys.path:
            sys.path.append(folder)
        base = replace(base, study=str(study), problems=min(base.problems, _least(study)))
    count = problems or base.problems
    return replace(base, problems=count, timed=min(count, base.timed if timed is None else timed))


def _least(study: Path) -> int:
    """Return how many reporting problems the smallest set of a study has."""
    own = study_of(str(study))
    return min(
        case_of(str(study), f"{study}:{own.models[0]}", kind, steps, "reporting").problem.batch
        for kind, steps in own.sets
    )
