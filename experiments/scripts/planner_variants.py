"""What an action set, a sync or a start changes: believed and true success of returned plans, on shipped models.

    python -m experiments.scripts.planner_variants point_maze --seed 1

prints a Markdown row for each planner of the cards with the world's action set and with held actions, and for GRASP with a
sync that is parallel in time, with a greedy start, and as it sets itself (`GRASP.auto`), all within the cards' budget, on
tuning problems.  `--only GRASP` makes the rows whose name begins so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import torch
import typer

from experiments.evaluation.exploitability import as_given, judge, make_plans, planners
from experiments.evaluation.sizes import FULL, trials
from experiments.scripts.acceptance_evidence import judged
from experiments.threads import one_thread
from grasp_theory import GRASP, Held, Planner
from grasp_theory.action_sets import ActionSet
from grasp_theory.command_line import add, new_app
from grasp_theory.statistics.intervals import Json
from grasp_theory.tasks import by_name
from grasp_theory.tasks.problems import Problems, make_problems
from grasp_theory.tasks.task import Task
from grasp_theory.world_models import WorldModel, load

PROBLEM_SEED = 11


def variants(
    task: Task, model: WorldModel, problems: Problems, budget: int
) -> Iterator[tuple[str, Planner, ActionSet]]:
    """Yield names, planners and the sets that they plan in."""
    known = planners(task, budget)
    for name, planner in known.items():
        yield name, planner, task.action_set
        yield f"{name}, held", planner, Held(task.action_set, task.action_dim)
    grasp = known["GRASP"]
    assert isinstance(grasp, GRASP)
    parallel = GRASP.parallel()
    yield (
        "GRASP.parallel",
        replace(grasp, sync_method=parallel.sync_method, check_every=parallel.check_every),
        task.action_set,
    )
    yield (
        "GRASP, greedy start",
        replace(grasp, start="greedy", greedy_spread=task.action_high, sync_at_start=True),
        task.action_set,
    )
    given = as_given(task, model, problems, 0)
    auto = GRASP.auto(replace(given, reached=judged(task, model, given).reached))
    yield (
        f"GRASP.auto ({auto.start} start)",
        replace(auto, iterations=grasp.iterations, max_evaluations=budget),
        task.action_set,
    )


def main(
    task: Annotated[str, typer.Argument(help="Name of a task with a shipped model.")],
    seed: Annotated[int, typer.Option(min=0, help="Of the model.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="Problems.")] = 100,
    horizon: Annotated[int | None, typer.Option(min=1, help="Model steps; by default the cards'.")] = None,
    only: Annotated[str, typer.Option(help="What a row's name begins with.")] = "",
) -> None:
    """Print believed and true success of each variant."""
    world, model, trial = by_name(task), load(task, seed=seed), trials(by_name(task))
    steps = horizon or trial.horizon
    problems = make_problems(
        task, trial.plan_kind, horizon=steps, count=count, purpose="tuning", seed=PROBLEM_SEED
    )
    typer.echo(
        f"{task}, seed {seed}, T = {steps}, {count} problems\n\n| planner | believed | true | evaluations |\n|---|---|---|---|"
    )
    with one_thread():
        for name, planner, allowed in variants(world, model, problems, FULL.evaluations * steps):
            if not name.startswith(only):
                continue
            plan = make_plans(world, model, problems, planner, 0, allowed)
            found = judge(world, model, problems, plan, FULL, 0)
            shares = " | ".join(_share(found[key]) for key in ("believed", "true"))
            typer.echo(f"| {name} | {shares} | {int(torch.median(plan.evaluations)):,} |")


def _share(estimate: Json) -> str:
    assert isinstance(estimate, dict)
    return f"{estimate['value']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"


app = new_app()
add(app, main, "rows that were printed are all there is; run it again.")

if __name__ == "__main__":
    app()
