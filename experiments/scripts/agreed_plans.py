"""What the agreement of several models adds to plans, at equal evaluations: one attempt, or several and the one they agree on.

    python -m experiments.scripts.agreed_plans plan point_maze random 16
    python -m experiments.scripts.agreed_plans show

The first plans the reporting problems of a set with each offline model, by `CheckedPlanner` without a rule: six attempts share
the study's budget, and the plan whose end the three offline models place nearest to the goal, by their probes, is returned.
With `--alone` the planning model alone says which is nearest: what several attempts give without agreement.  What is true in
the environment is kept in `experiments/results/agreed_plans.json`, a set and a planner at a time.  The second compares it with
the stored trials on the same problems, where a planner has the whole budget for one attempt.  What the judges evaluate, two
times T for each attempt, is not counted.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
import torch
import typer
from jaxtyping import Bool

from experiments.paths import RESULTS
from experiments.study.reporting.summary import current, trials_of
from experiments.study.tables import FULL, PRESETS, ROWS, SETS, Cell, cells
from experiments.study.targets import AUTO, Tuned, offline_model
from experiments.study.trials.judge import Judge
from experiments.study.trials.settings import make_planner
from experiments.study.trials.store import Store
from experiments.study.trials.unit import BUDGET, code_digest, model_hash, problem_set, stored_model
from experiments.threads import one_thread
from grasp_theory import Plan, Planner, PlanningProblem
from grasp_theory.command_line import add, expect_writable, new_app
from grasp_theory.files import write_atomically
from grasp_theory.statistics.paired_trials import PairedTrials, pooled, said_p
from grasp_theory.tasks import by_name
from grasp_theory.trust.attempts import OTHER_NOISE
from grasp_theory.trust.checked import CheckedPlanner
from grasp_theory.trust.evidence import evidence
from linear_systems.errors import ParameterError

OUT = RESULTS / "agreed_plans.json"
ATTEMPTS = 6
ALONE = ", alone"

Entry = dict[str, Any]
"""`settings`, `code` and `budget` of a planner, and for each model `hash` and `true`: "1" or "0" for each problem."""
Stored = dict[str, dict[str, Entry]]
"""Set -> row of the tables, or that row with `ALONE` -> its entry."""


def agreed(planner: Planner, judges: Mapping[str, Judge], name: str) -> Bool[np.ndarray, " N"]:
    """Return which problems' plans are true in the environment.

    Arguments
        planner: makes the attempts.
        judges: the models, by name, with the same problems.
        name: of the model that is planned with.
    """
    views = {each: judge.problem(0) for each, judge in judges.items()}
    own = views[name]
    assert own.seeds is not None
    places = {int(seed): place for place, seed in enumerate(own.seeds)}

    def weigh(problem: PlanningProblem, plan: Plan) -> Mapping[str, torch.Tensor]:
        """The models' say on plans for some of the problems, which the seeds tell."""
        assert problem.seeds is not None
        tried = [[int(seed) - OTHER_NOISE * attempt for attempt in range(ATTEMPTS)] for seed in problem.seeds]
        rows = torch.tensor([next(places[seed] for seed in seeds if seed in places) for seeds in tried])
        return evidence(plan, {each: _seen(judges[each], view, rows) for each, view in views.items()})

    budget = BUDGET * own.horizon
    plan = CheckedPlanner(planner, None, weigh, ATTEMPTS, budget).plan(own)
    assert int(plan.evaluations.max()) <= budget
    return judges[name].replay(plan.actions)[0]


def _seen(judge: Judge, view: PlanningProblem, rows: torch.Tensor) -> PlanningProblem:
    def distance(states: torch.Tensor, goals: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(np.asarray(judge.model_distance(states, goals)))

    return replace(
        view, initial_state=view.initial_state[rows], goal=view.goal[rows], seeds=None, goal_distance=distance
    )


def plan(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    kind: Annotated[str, typer.Argument(help="Kind of the set.")],
    horizon: Annotated[int, typer.Argument(help="T, in model steps.")],
    row: Annotated[str, typer.Option(help=f"One of {', '.join(ROWS.values())}.")] = AUTO,
    problems: Annotated[int, typer.Option(min=2, help="The first of the set.")] = 100,
    alone: Annotated[bool, typer.Option(help="Let the planning model alone choose.")] = False,
) -> None:
    """Plan with each model, and keep which plans are true."""
    where = (task, kind, horizon)
    if where not in SETS["1"] or kind == "long":
        raise ParameterError(
            "task, kind, horizon", "a set of Table 1 that three models know", f"{where}", "see docs/study.md"
        )
    known = cells_of(where)
    if row not in known:
        raise ParameterError("row", f"one of {', '.join(known)}", repr(row), "check the spelling")
    expect_writable(OUT)
    planner = make_planner(known[row].planner, known[row].settings)
    names = [offline_model(task, seed) for seed in FULL.seeds]
    every = problem_set(f"{task}-{kind}-{horizon}-reporting")
    judges = {name: Judge(by_name(task), stored_model(name), every, range(problems)) for name in names}
    entry: Entry = {**made_with(known[row]), "models": {}}
    with one_thread():
        for name in names:
            true = agreed(planner, {name: judges[name]} if alone else judges, name)
            entry["models"][name] = {"hash": model_hash(name), "true": flags(true)}
            typer.echo(f"{name}: {true.mean():.1%} true")
    stored = load()
    stored.setdefault("-".join(map(str, where)), {})[row + ALONE * alone] = entry
    write_atomically(OUT, json.dumps(stored, indent=1) + "\n")


def show() -> None:
    """Print what is stored as a table, and over all sets the differences to one attempt of each planner."""
    typer.echo("\n".join(shown(load(), current(Store(RESULTS).rows()))))


def load() -> Stored:
    """Return what is stored."""
    return stored_in(OUT)


def stored_in(path: Path) -> dict[str, Any]:
    """Return what a file of stored plans holds; nothing where there is none."""
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def flags(values: Iterable[Any]) -> str:
    """Return booleans as they are stored: "1" or "0" each."""
    return "".join(str(int(each)) for each in values)


def cells_of(where: tuple[str, str, int], numbers: Sequence[str] = ("1",)) -> Mapping[str, Cell]:
    """Return row -> cell of a set of the tables of these numbers."""
    tuned = Tuned.load(RESULTS)
    every = (cell for number in numbers for cell in cells(number, tuned, FULL))
    return {cell.row: cell for cell in every if cell.problem_set == where}


def made_with(cell: Cell) -> Entry:
    """Return what of a planner determines its plans."""
    code = code_digest(cell.planner, cell.problem_set[0], "batch")
    return {"settings": dict(cell.settings), "code": code, "budget": BUDGET}


def shown(stored: Stored, rows: pl.DataFrame) -> Iterator[str]:
    """Yield the lines of `show`.

    Arguments
        stored: what agreement gave.
        rows: the study's `current` rows.
    """
    yield "| true, % | one attempt | six that share its budget | difference | the best tuned planner, one attempt |"
    yield "|---|---|---|---|---|"
    records: dict[tuple[str, str], list[PairedTrials]] = {}
    for name, entries in stored.items():
        task, kind, horizon = name.split("-")
        known = cells_of((task, kind, int(horizon)))
        for row, entry in entries.items():
            one = row.removesuffix(ALONE)
            single = {other: paired(entry, rows, cell) for other, cell in known.items()}
            if row + ALONE in entries:
                records.setdefault((row, "the planning model alone"), []).append(
                    between(entry, entries[row + ALONE])
                )
            share = np.mean([int(each) for model in entry["models"].values() for each in model["true"]])
            rates = {other: share - record.difference for other, record in single.items()}
            best = max((other for other in rates if other not in (AUTO, *PRESETS)), key=rates.__getitem__)
            yield (
                f"| {row}, {task} T = {horizon} | {100 * rates[one]:.1f} | {100 * share:.1f} | {told(single[one])} "
                f"| {best} {100 * rates[best]:.1f} |"
            )
            for other, record in single.items():
                records.setdefault((row, other), []).append(record)
    yield ""
    for (row, other), found in records.items():
        record = pooled(found)
        yield f"{row}, {len(found)} sets, less {other}: {told(record)}, {said_p(record.p_value)}"


def told(record: PairedTrials) -> str:
    """Return a difference with its interval, in points."""
    low, high = record.interval()
    return f"{100 * record.difference:.1f} [{100 * low:.1f}, {100 * high:.1f}]".replace("-", "−")


def paired(entry: Entry, rows: pl.DataFrame, cell: Cell, mode: str = "batch") -> PairedTrials:
    """Return what is true by an entry and not by one attempt of a cell, or the other way round, on the same problems.

    Arguments
        entry: what agreement gave, or anything with `models`.
        rows: the study's `current` rows.
        cell: of the same set.
        mode: of the rows.
    """
    models = entry["models"]
    pairs = [
        (int(models[model]["true"][problem]) - int(true), problem)
        for model, problem, true in trials_of(rows, cell, mode)
        .select("model", "problem", "final_true")
        .rows()
        if problem < len(models[model]["true"])
    ]
    return PairedTrials.of(*(np.array(each) for each in zip(*pairs, strict=True)))


def between(one: Entry, other: Entry) -> PairedTrials:
    """Return what is true by one way of choosing and not by another, or the other way round, on the problems of both."""
    pairs = [
        (int(first) - int(second), problem)
        for model, found in one["models"].items()
        for problem, (first, second) in enumerate(
            zip(found["true"], other["models"][model]["true"], strict=False)
        )
    ]
    return PairedTrials.of(*(np.array(each) for each in zip(*pairs, strict=True)))


app = new_app()
add(app, plan, "the sets that were done before.")
add(app, show, "nothing is written.")

if __name__ == "__main__":
    app()
