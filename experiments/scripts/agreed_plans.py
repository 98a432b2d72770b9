"""What the agreement of several models adds to plans, at equal evaluations: one attempt, or several and the one they agree on.

    python -m experiments.scripts.agreed_plans point_maze random 16

plans the reporting problems of a set with each offline model, by `CheckedPlanner` without a rule: six attempts share the
study's budget, and the plan whose end the three offline models place nearest to the goal, by their probes, is returned.
What is true in the environment is kept in `experiments/results/agreed_plans.json`, a set and a planner at a time, and compared
with the stored trials on the same problems, where a planner has the whole budget for one attempt.  What the judges evaluate,
two times T for each attempt, is not counted.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl
import torch
import typer
from jaxtyping import Bool

from experiments.paths import RESULTS
from experiments.study.reporting.summary import current
from experiments.study.tables import FULL, ROWS, SETS, Cell, cells
from experiments.study.targets import AUTO, Tuned, offline_model
from experiments.study.trials.judge import Judge
from experiments.study.trials.settings import make_planner
from experiments.study.trials.store import Store
from experiments.study.trials.unit import BUDGET, problem_set, stored_model
from experiments.threads import one_thread
from grasp_theory import Plan, Planner, PlanningProblem
from grasp_theory.command_line import add, expect_writable, new_app
from grasp_theory.files import write_atomically
from grasp_theory.statistics.paired_trials import PairedTrials, said_p
from grasp_theory.tasks import by_name
from grasp_theory.trust.checked import OTHER_NOISE, CheckedPlanner
from grasp_theory.trust.evidence import evidence
from linear_systems.errors import ParameterError

OUT = RESULTS / "agreed_plans.json"
ATTEMPTS = 6

Stored = dict[str, dict[str, list[str]]]
"""Set -> row of the tables -> for each model, "1" or "0" for each problem: whether its plan is true."""


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


def main(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    kind: Annotated[str, typer.Argument(help="Kind of the set.")],
    horizon: Annotated[int, typer.Argument(help="T, in model steps.")],
    row: Annotated[str, typer.Option(help=f"One of {', '.join(ROWS.values())}.")] = AUTO,
    problems: Annotated[int, typer.Option(min=2, help="The first of the set.")] = 100,
    seeds: Annotated[int, typer.Option(min=1, max=3, help="Models planned with.")] = 3,
) -> None:
    """Plan with each model, keep what is true, and print the differences to the stored trials."""
    where = (task, kind, horizon)
    if where not in SETS["1"] or kind == "long":
        raise ParameterError(
            "task, kind, horizon", "a set of Table 1 that three models know", f"{where}", "see docs/study.md"
        )
    known = {cell.row: cell for cell in cells("1", Tuned.load(RESULTS), FULL) if cell.problem_set == where}
    if row not in known:
        raise ParameterError("row", f"one of {', '.join(known)}", repr(row), "check the spelling")
    expect_writable(OUT)
    stored: Stored = json.loads(OUT.read_text(encoding="utf-8")) if OUT.exists() else {}
    of_set = stored.setdefault("-".join(map(str, where)), {})
    planner = make_planner(known[row].planner, known[row].settings)
    names = [offline_model(task, seed) for seed in FULL.seeds]
    every = problem_set(f"{task}-{kind}-{horizon}-reporting")
    judges = {name: Judge(by_name(task), stored_model(name), every, range(problems)) for name in names}
    found = []
    with one_thread():
        for name in names[:seeds]:
            true = agreed(planner, judges, name)
            found.append("".join(str(int(each)) for each in true))
            typer.echo(f"{name}: {true.mean():.1%} true")
    of_set[row] = found
    write_atomically(OUT, json.dumps(stored, indent=1) + "\n")
    for other, difference in differences(found, known, RESULTS).items():
        low, high = difference.interval()
        typer.echo(
            f"{row}, agreed on, less {other}: {100 * difference.difference:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}] points, "
            f"{said_p(difference.p_value)}"
        )


def differences(found: list[str], known: Mapping[str, Cell], results: Path) -> dict[str, PairedTrials]:
    """Return row -> the paired trials of what is true by agreement and by one attempt of that row.

    Arguments
        found: for each model, "1" or "0" for each problem.
        known: row -> its cell of one set.
        results: folder of the stored rows.
    """
    rows = current(Store(results).rows()).filter(mode="batch")
    compared = {}
    for row, cell in known.items():
        task, kind, horizon = cell.problem_set
        settings = json.dumps(dict(sorted(cell.settings)), sort_keys=True)
        single = rows.filter(
            (pl.col("task") == task) & (pl.col("kind") == kind) & (pl.col("horizon") == horizon)
            & (pl.col("planner") == cell.planner) & (pl.col("settings") == settings)
        )  # fmt: skip
        pairs = [
            (int(found[seed][problem]) - int(true), problem)
            for seed, problem, true in single.select("model_seed", "problem", "final_true").rows()
            if seed < len(found) and problem < len(found[seed])
        ]
        if pairs:
            compared[row] = PairedTrials.of(*(np.array(each) for each in zip(*pairs, strict=True)))
    return compared


app = new_app()
add(app, main, "the sets that were done before.")

if __name__ == "__main__":
    app()
