"""The paper's statements about large visual features, on small latents, ImageNet's features and a random network's.

    python -m experiments.scripts.frozen_features point_maze --out frozen_features.json

Each model is measured by itself on the same problems: Figure 3 (how small a δ on the state fakes the goal), Figure 1 (local
minima of the rollout loss on random lines through gradient descent's plans), the rank correlation of the distance, and
what GRASP's parts are worth there (its gradient stop, noise and sync), beside other planners.
Measures that a model has already in the file are kept, so that an interrupted run goes on.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from torch import Tensor

from experiments.evaluation.exploitability import as_given, make_plans, planners, successes
from experiments.evaluation.faithfulness import distance_ranks
from experiments.evaluation.observe import encode
from experiments.evaluation.open_loop import held_out_windows
from experiments.evaluation.sizes import LARGE, SEED, stream, trials
from experiments.evaluation.state_gradient import state_gradient
from experiments.pieces import begun
from experiments.study.figure_data.landscapes import along_lines, local_minima, total_variation
from experiments.threads import one_thread
from grasp_theory import GRASP
from grasp_theory.command_line import add, new_app
from grasp_theory.files import write_atomically
from grasp_theory.objectives import rollout_loss
from grasp_theory.statistics.bootstrap import Bootstrap, proportion
from grasp_theory.statistics.intervals import Json
from grasp_theory.statistics.paired_trials import PairedTrials
from grasp_theory.tasks import by_name
from grasp_theory.tasks.problems import make_problems
from grasp_theory.tasks.task import Task
from grasp_theory.world_models import WorldModel, load, load_file

LATENTS = ("flat", "frozen", "random")
PROBLEMS, LINES, POINTS = 6, 10, 81
"""Plans, random lines through each, and points on a line."""
COMPARED = 50
"""Problems that planners are compared on."""


def frozen_features(
    task: Annotated[str, typer.Argument(help="The task.")],
    out: Annotated[Path, typer.Option(help="The JSON file; what it has already is kept.")],
    folder: Annotated[
        Path | None, typer.Option(help="Folder of models in place of the shipped ones, where it has them.")
    ] = None,
) -> None:
    """Measure a task's models of small latents, frozen features and random features alike."""
    world = by_name(task)
    found = begun(out)
    for latent in LATENTS:
        own = None if folder is None else folder / f"{task}-offline-{latent}-0.safetensors"
        model = load_file(own) if own is not None and own.exists() else load(task, latent=latent)
        entry = found.setdefault(latent, {})
        with one_thread():
            for name, measure in MEASURES.items():
                if name not in entry:
                    entry[name] = measure(world, model)
                    write_atomically(out, json.dumps(found, indent=2) + "\n")
                    typer.echo(f"{latent}: {name}: {json.dumps(entry[name])}")


def _state_gradient(task: Task, model: WorldModel) -> Json:
    return state_gradient(task, model, held_out_windows(task, LARGE, SEED), LARGE, SEED)


def _ranks(task: Task, model: WorldModel) -> Json:
    return distance_ranks(task, model, LARGE, SEED)


def line_minima(task: Task, model: WorldModel) -> Json:
    """Return how rough Eq. (3) is on random lines through gradient descent's plans, as in Figure 1.

    minima: local minima inside a line, mean; several_minima: share of the lines with more than one; variation: total
    variation over the range.  Means over problems, with 95% bootstraps.
    """
    trial = trials(task)
    problems = make_problems(
        task.name, trial.plan_kind, horizon=trial.horizon, count=PROBLEMS, purpose="reporting", seed=SEED
    )
    planner = planners(task, LARGE.evaluations * trial.horizon)["GradientDescent"]
    plan = make_plans(task, model, problems, planner, SEED)
    start, goal = (encode(model, task, frames) for frames in (problems.start_history, problems.goal_history))

    def loss(actions: Tensor, which: Tensor) -> Tensor:
        return rollout_loss(model, start[which], actions, goal[which])

    values = along_lines(loss, plan.actions, task.action_high, LINES, POINTS)
    minima, variation = local_minima(values), total_variation(values)
    bootstrap = Bootstrap(np.arange(PROBLEMS), stream(task, SEED, "line bootstrap"), LARGE.resamples)
    return {
        "problems": PROBLEMS, "lines": LINES, "horizon": trial.horizon,
        "minima": bootstrap.mean(minima.mean(axis=1)).to_json(),
        "several_minima": bootstrap.mean((minima > 1).mean(axis=1)).to_json(),
        "variation": bootstrap.mean(variation.mean(axis=1)).to_json(),
    }  # fmt: skip


def planners_compared(task: Task, model: WorldModel) -> Json:
    """Return what planners find of the same problems: `GRASP.auto`, it with one thing changed, and others.

    All evaluate equally many model steps.  For each: believed, true (shares with Wilson's intervals); of what is believed,
    how many problems the first alone and it alone solve, and the exact p-value of that difference (not corrected).
    """
    trial = trials(task)
    problems = make_problems(
        task.name, trial.plan_kind, horizon=trial.horizon, count=COMPARED, purpose="reporting", seed=SEED
    )
    budget = LARGE.evaluations * trial.horizon
    full = replace(
        GRASP.auto(as_given(task, model, problems, SEED)), iterations=budget, max_evaluations=budget
    )
    others = planners(task, budget)
    chosen = {
        "GRASP": full,
        "gradient flows": replace(full, stop_state_gradient=False),
        "no noise": replace(full, state_noise=0.0),
        "no sync": replace(full, sync_every=None),
        **{name: others[name] for name in ("GradientDescent", "CEM", "MPPI")},
    }
    outcomes = {
        name: successes(task, model, problems, make_plans(task, model, problems, planner, SEED))
        for name, planner in chosen.items()
    }
    found: dict[str, Json] = {"problems": COMPARED, "horizon": trial.horizon, "evaluations": budget}
    ours = outcomes["GRASP"][0].astype(int)
    for name, (believed, true) in outcomes.items():
        record = PairedTrials.of(ours - believed.astype(int), np.arange(COMPARED))
        found[name] = {
            "believed": proportion(believed), "true": proportion(true),
            "only_grasp": record.first_only, "only_it": record.second_only, "p_value": record.p_value,
        }  # fmt: skip
    return found


MEASURES = {
    "state_gradient": _state_gradient,
    "lines": line_minima,
    "rank_correlation": _ranks,
    "planners": planners_compared,
}

app = new_app()
add(app, frozen_features, "what was measured stays in the file; the same command goes on with the rest.")


if __name__ == "__main__":
    app()
