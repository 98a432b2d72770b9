"""What an action set, a sync, a start or an early stop changes: believed and true success of plans, on shipped models.

    python -m experiments.scripts.planner_variants point_maze --seed 1

prints a Markdown row for each planner of the cards with the world's action set and with held actions, and for GRASP with a
sync that is parallel in time, with a greedy start, and as it sets itself (`GRASP.auto`), all within the cards' budget, on
tuning problems.  The last column is the true success of the plans that are believed first, at which `plan` stops unless it is
told not to.  `--only GRASP` makes the rows whose name begins so.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated

import torch
import typer

from experiments.evaluation.exploitability import as_given, judge, planners
from experiments.evaluation.observe import environment_actions
from experiments.evaluation.sizes import FULL, trials
from experiments.scripts.acceptance_plans import judged
from experiments.threads import one_thread
from grasp_theory import GRASP, Held, Planner, PlanningProblem
from grasp_theory.action_sets import ActionSet
from grasp_theory.command_line import add, new_app
from grasp_theory.statistics.bootstrap import proportion
from grasp_theory.statistics.intervals import Json
from grasp_theory.tasks import by_name
from grasp_theory.tasks.problems import make_problems
from grasp_theory.tasks.task import Task
from grasp_theory.world_models import load

PROBLEM_SEED = 11
COLUMNS = ("planner", "believed", "true", "true if stopped at the first believed", "evaluations")


def variants(task: Task, problem: PlanningProblem, budget: int) -> Iterator[tuple[str, Planner, ActionSet]]:
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
    auto = GRASP.auto(problem)
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
    given = as_given(world, model, problems, 0)
    given = replace(given, reached=judged(world, model, given).reached)
    typer.echo(
        f"{task}, seed {seed}, T = {steps}, {count} problems\n\n| {' | '.join(COLUMNS)} |\n{'|---' * len(COLUMNS)}|"
    )
    with one_thread():
        for name, planner, allowed in variants(world, given, FULL.evaluations * steps):
            if not name.startswith(only):
                continue
            plan = planner.plan(replace(given, action_set=allowed), stop_when_reached=False)
            found = judge(world, model, problems, plan, FULL, 0)
            # The plan that would have been returned: the first that was believed, and the best one where none was.
            early = plan.first.actions.where(plan.first.found[:, None, None], plan.actions)
            ends = world.simulate(problems.starts, environment_actions(world, early))[:, -1]
            first = proportion(world.success(ends, problems.goals))
            shares = " | ".join(_share(each) for each in (found["believed"], found["true"], first))
            typer.echo(f"| {name} | {shares} | {int(torch.median(plan.evaluations)):,} |")


def _share(estimate: Json) -> str:
    assert isinstance(estimate, dict)
    return f"{estimate['value']:.2f} [{estimate['low']:.2f}, {estimate['high']:.2f}]"


app = new_app()
add(app, main, "rows that were printed are all there is; run it again.")

if __name__ == "__main__":
    app()
