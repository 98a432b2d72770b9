"""What holding actions first is worth, at equal evaluations: `HeldFirst.auto` on the study's problems, beside its planners.

    python -m experiments.scripts.held_plans plan point_maze random 16
    python -m experiments.scripts.held_plans plan point_maze random 16 --loop
    python -m experiments.scripts.held_plans show
    python -m experiments.scripts.held_plans parts push_t trajectory 8

The first plans the reporting problems of a set with each offline model, in the study's budget, or with `--loop` in closed loop,
and keeps what is believed and true in `experiments/results/held_plans.json`, a set at a time.  The second compares it with the
stored trials on the same problems, and the third plans tuning problems with one part of it changed at a time (`--model` for another
model, with `--reporting` the reporting problems and nothing changed).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Annotated, Any, cast

import numpy as np
import polars as pl
import typer

from experiments.paths import RESULTS
from experiments.scripts.agreed_plans import cells_of, flags, paired, stored_in, told
from experiments.study.code.closure import Closure, Code
from experiments.study.code.modules import Definition
from experiments.study.reporting.summary import current
from experiments.study.tables import FULL, PRESETS
from experiments.study.targets import AUTO, offline_model
from experiments.study.trials.judge import Judge
from experiments.study.trials.loop import closed_loop
from experiments.study.trials.store import Store
from experiments.study.trials.unit import (
    BUDGET,
    code_digest,
    model_hash,
    problem_set,
    repository,
    stored_model,
)
from experiments.threads import one_thread
from grasp_theory import GRASP, Planner, PlanningProblem
from grasp_theory.command_line import add, expect_writable, new_app
from grasp_theory.files import write_atomically
from grasp_theory.statistics.paired_trials import PairedTrials, pooled, said_p
from grasp_theory.tasks import by_name
from grasp_theory.trust.automatic import by_diagnosis
from grasp_theory.trust.held_first import HeldFirst
from grasp_theory.world_models import available
from linear_systems.errors import ParameterError

OUT = RESULTS / "held_plans.json"
LOOP = ", closed loop"
TABLES = {False: ("1", "3"), True: ("mpc",)}
"""In closed loop or not -> the tables whose sets are planned for."""
_PLAN = Definition("grasp_theory.trust.held_first", "HeldFirst")

Entry = dict[str, Any]
"""`code`, `budget`, and for each model `hash`, how it was set (`share`, `jerk`, `start`), `held`, `believed` and `true`: "1" or
"0" a problem."""
Stored = dict[str, Entry]
"""Set, or that with `LOOP` -> its entry."""


def plan(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    kind: Annotated[str, typer.Argument(help="Kind of the set.")],
    horizon: Annotated[int, typer.Argument(help="T, in model steps.")],
    problems: Annotated[int | None, typer.Option(min=2, help="The first of the set; by default all.")] = None,
    loop: Annotated[bool, typer.Option(help="In closed loop, as the study's.")] = False,
) -> None:
    """Plan with each model, and keep which plans are held, believed and true."""
    where = (task, kind, horizon)
    expect_set(where, TABLES[loop])
    expect_writable(OUT)
    most = min(FULL.looped, FULL.problems) if loop else FULL.problems // (1 + (kind == "long"))
    models: dict[str, Entry] = {}
    for seed in FULL.seeds[: 1 if kind == "long" else None]:
        name = offline_model(task, seed)
        every = problem_set(f"{task}-{kind}-{horizon}-reporting")
        judge = Judge(by_name(task), stored_model(name), every, range(problems or most))
        with one_thread():
            models[name] = {"hash": model_hash(name), **judged(judge, loop=loop)}
        true = models[name]["true"]
        typer.echo(f"{name}: {true.count('1')} of {len(true)} true")
    stored = load()
    stored["-".join(map(str, where)) + LOOP * loop] = {**made_with(task, loop), "models": models}
    write_atomically(OUT, json.dumps(stored, indent=1) + "\n")


def expect_set(where: tuple[str, str, int], numbers: Sequence[str]) -> None:
    """Raise a `ParameterError` unless the tables of these numbers have a set."""
    if not cells_of(where, numbers):
        raise ParameterError(
            "task, kind, horizon", "a set that the tables have", f"{where}", "see docs/study.md"
        )


def judged(judge: Judge, *, loop: bool) -> Entry:
    """Return how it was set for a judge's problems, by the model alone, and what becomes of its plans.

    Arguments
        judge: the problems and the model.
        loop: whether they are planned in closed loop, in which nothing says whether they are held or believed.
    """
    problem, size = judge.problem(0), judge.task.action_dim
    budget = BUDGET * problem.horizon
    planner = HeldFirst.auto(problem, size, budget)
    assert isinstance(planner.planner, GRASP)
    chosen = {"share": planner.share, "jerk": planner.jerk, "start": planner.planner.start}
    if loop:
        run = closed_loop(judge, cast(Planner, planner), 0)
        return {**chosen, "true": flags(run.solved_at >= 0)}
    plan = planner.plan(problem)
    assert int(plan.evaluations.max()) <= budget
    groups = plan.actions.reshape(*plan.actions.shape[:-1], -1, size)
    held = (groups == groups[..., :1, :]).flatten(1).all(1)
    return {
        **chosen, "held": flags(held), "believed": flags(plan.reached), "true": flags(judge.replay(plan.actions)[0]),
    }  # fmt: skip


def show() -> None:
    """Print what is stored as a table, and the differences to the study's planners."""
    typer.echo("\n".join(shown(load(), current(Store(RESULTS).rows()))))


def parts(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    kind: Annotated[str, typer.Argument(help="Kind of the set.")],
    horizon: Annotated[int, typer.Argument(help="T, in model steps.")],
    problems: Annotated[int, typer.Option(min=2, help="The first of the tuning set.")] = 200,
    model: Annotated[
        str | None, typer.Option(help="Name of a shipped model of the task; by default its offline ones.")
    ] = None,
    reporting: Annotated[
        bool, typer.Option("--reporting", help="The reporting problems, and nothing changed.")
    ] = False,
) -> None:
    """Print what is believed and true of tuning problems, all models together, as it sets itself and with one part changed."""
    expect_set((task, kind, horizon), TABLES[False])
    known = [card.name for card in available() if card.task == task]
    if model is not None and model not in known:
        raise ParameterError(
            "model", f"one of {', '.join(known)}", repr(model), "python -m experiments models"
        )
    seeds = FULL.seeds[: 1 if kind == "long" else None]
    names = [offline_model(task, seed) for seed in seeds] if model is None else [model]
    found: dict[str, list[tuple[float, float]]] = {}
    every = problem_set(f"{task}-{kind}-{horizon}-{'reporting' if reporting else 'tuning'}")
    for used in names:
        judge = Judge(by_name(task), stored_model(used), every, range(problems))
        problem = judge.problem(0)
        with one_thread():
            for name, planner in islice(variants(problem, judge.task.action_dim), 1 if reporting else None):
                plan = planner.plan(problem)
                true = judge.replay(plan.actions)[0].mean()
                found.setdefault(name, []).append((float(plan.reached.double().mean()), float(true)))
                typer.echo(f"{used}, {name}: {true:.3f} true", err=True)
    models = len(next(iter(found.values())))
    typer.echo(f"| {task}, T = {horizon}, {models} × {problems} | believed, % | true, % |\n|---|---|---|")
    for name, shares in found.items():
        believed, true = np.mean(shares, axis=0)
        typer.echo(f"| {name} | {_percent(believed)} | {_percent(true)} |")


def variants(problem: PlanningProblem, size: int) -> Iterator[tuple[str, HeldFirst]]:
    """Yield it as it sets itself for a problem, and with one part changed, by name.

    Arguments
        problem: B problems.
        size: entries of one of the world's actions.
    """
    budget = BUDGET * problem.horizon
    whole = HeldFirst.auto(problem, size, budget)
    auto = replace(GRASP.auto(problem), iterations=budget)
    assert isinstance(whole.planner, GRASP)
    yield "as it sets itself", whole
    if whole.share:
        yield "nothing held first", replace(whole, share=0.0)
    if whole.jerk:
        yield "not softly held", replace(whole, jerk=0.0)
    if whole.planner.start == "greedy":
        noise = by_diagnosis(problem)[0].initial_action_noise  # for a start on the straight line
        noisy = replace(whole.planner, initial_action_noise=noise)
        yield "greedy start with noise", replace(whole, planner=noisy)
    if auto.start != whole.planner.start:
        yield "from the straight line", replace(whole, planner=auto)
    if auto != whole.planner or whole.share or whole.jerk:
        yield "`GRASP.auto` alone", replace(whole, planner=auto, share=0.0, jerk=0.0)


def load() -> Stored:
    """Return what is stored."""
    return stored_in(OUT)


def made_with(task: str, loop: bool) -> Entry:
    """Return what determines plans, the models apart: the budget, and the code of `GRASP` in the study and of `HeldFirst`."""
    return {
        "budget": BUDGET,
        "code": [
            code_digest("GRASP", task, "mpc" if loop else "batch"),
            planning_code(repository()).digest(),
        ],
    }  # fmt: skip


def planning_code(code: Code) -> Closure:
    """Return what `HeldFirst.auto` and `HeldFirst.plan` can execute of the given sources."""
    return code.closure(_PLAN, methods=("auto", "plan"))


def shown(stored: Stored, rows: pl.DataFrame) -> Iterator[str]:
    """Yield the lines of `show`.

    Arguments
        stored: what holding first gave.
        rows: the study's `current` rows.
    """
    yield (
        "| true, % | n | `GRASP.auto` | held first | difference | the best tuned planner | difference | believed held plans "
        "| believed free plans |"
    )
    yield "|---|---|---|---|---|---|---|---|---|"
    records: dict[tuple[str, str], list[PairedTrials]] = {}
    for name, entry in stored.items():
        task, kind, steps = name.removesuffix(LOOP).split("-")
        loop = name.endswith(LOOP)
        known = cells_of((task, kind, int(steps)), TABLES[loop])
        records_of = {
            row: paired(entry, rows, cell, "mpc" if loop else "batch") for row, cell in known.items()
        }
        models = list(entry["models"].values())
        share = _share(models, "true")
        rates = {row: share - record.difference for row, record in records_of.items()}
        best = max((row for row in rates if row not in (AUTO, *PRESETS)), key=rates.__getitem__)
        believed = ["", ""] if loop else [_true_of_believed(models, held) for held in ("1", "0")]
        yield (
            f"| {task}, T = {steps}{LOOP * loop} | {len(models)} × {len(models[0]['true'])} | {_percent(rates[AUTO])} "
            f"| {_percent(share)} | {told(records_of[AUTO])} | {best} {_percent(rates[best])} | {told(records_of[best])} "
            f"| {believed[0]} | {believed[1]} |"
        )
        for row, record in records_of.items():
            records.setdefault((LOOP if loop else ", plans", row), []).append(record)
    yield ""
    for (way, row), found in records.items():
        record = pooled(found)
        yield f"held first{way}, {len(found)} sets, less {row}: {told(record)}, {said_p(record.p_value)}"


def _share(models: list[Entry], what: str) -> float:
    return float(np.mean([int(each) for model in models for each in model[what]]))


def _true_of_believed(models: list[Entry], held: str) -> str:
    """Return how many of the believed plans that are held, or are not, are true."""
    true = [
        is_true == "1"
        for model in models
        for was_held, believed, is_true in zip(model["held"], model["believed"], model["true"], strict=True)
        if believed == "1" and was_held == held
    ]
    return f"{sum(true)} of {len(true)} true" if true else "none"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


app = new_app()
add(app, plan, "the sets that were done before.")
add(app, show, "nothing is written.")
add(app, parts, "rows that were printed are all there is; run it again.")

if __name__ == "__main__":
    app()
