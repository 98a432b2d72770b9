"""What bounds closed loop: the study's planners with another model in place of its offline ones, up to the true physics.

    python -m experiments.scripts.loop_models loop push_t MPPI physics
    python -m experiments.scripts.loop_models show

The first plans again and again on the reporting problems, as the study does, with a shipped model (`push_t-robust-colours-0`),
with the study's models as one (`ensemble`), or with the environment itself as the model (`physics`: sampling planners only,
which minimise the square of the task's distance, and see the true state).  What is solved is kept in
`experiments/results/loop_models.json`.  The second compares it with the study's trials on the same problems.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np
import polars as pl
import torch
import typer
from jaxtyping import Float
from torch import Tensor

from experiments.evaluation.observe import after_model_step, encode, environment_actions
from experiments.paths import RESULTS
from experiments.scripts.agreed_plans import cells_of, flags, paired, stored_in, told
from experiments.study.reporting.summary import current, trials_of
from experiments.study.tables import FULL, SETS
from experiments.study.targets import offline_model
from experiments.study.trials.judge import Judge, noise_seeds
from experiments.study.trials.loop import LATER_SHARE
from experiments.study.trials.settings import make_planner
from experiments.study.trials.store import Store
from experiments.study.trials.unit import BUDGET, code_digest, model_hash, problem_set, stored_model
from experiments.threads import one_thread
from grasp_theory import Ensemble, PlanningProblem, control
from grasp_theory.command_line import add, expect_writable, new_app
from grasp_theory.files import write_atomically
from grasp_theory.statistics.intervals import wilson
from grasp_theory.statistics.paired_trials import said_p
from grasp_theory.tasks import by_name
from grasp_theory.tasks.task import Task
from linear_systems.errors import ParameterError

OUT = RESULTS / "loop_models.json"
ENSEMBLE, PHYSICS = "ensemble", "physics"
WHOLE = ", whole budget for every plan"

Stored = dict[str, dict[str, dict[str, Any]]]
"""Task -> "planner with model" -> its settings, code, hashes of models, and `true`: "1" or "0" for each problem."""


@dataclass(frozen=True)
class Physics:
    """A task's environment as a model of its states, (N, S), and a model's actions, (N, m); nothing to differentiate."""

    task: Task

    def step(self, state: Float[Tensor, "*N S"], action: Float[Tensor, "*N m"]) -> Float[Tensor, "*N S"]:
        """Return the true states after a model's action each."""
        states = state.reshape(-1, state.shape[-1]).double().numpy()
        actions = environment_actions(self.task, action.reshape(len(states), 1, -1))
        return torch.from_numpy(self.task.simulate(states, actions)[:, -1]).to(state).reshape(state.shape)

    def distance(self, states: Float[Tensor, "N S"], goals: Float[Tensor, "N S"]) -> Float[Tensor, " N"]:
        """Return the square of the task's distance."""
        return torch.from_numpy(self.task.distance(states.double().numpy(), goals.double().numpy())).square()

    def reached(self, states: Float[Tensor, "N S"], goals: Float[Tensor, "N S"]) -> Tensor:
        """Return the task's success."""
        return torch.from_numpy(self.task.success(states.double().numpy(), goals.double().numpy()))


def loop(
    task: Annotated[str, typer.Argument(help="Name of the task.")],
    row: Annotated[str, typer.Argument(help="A planner of the closed-loop table.")],
    model: Annotated[str, typer.Argument(help=f"Name of a shipped model, {ENSEMBLE} or {PHYSICS}.")],
    problems: Annotated[int, typer.Option(min=2, help="The first of the set.")] = FULL.looped,
    whole: Annotated[bool, typer.Option("--whole", help="Every plan gets the budget of the first.")] = False,
) -> None:
    """Plan in closed loop, and keep which problems are solved within 2 T steps."""
    where = next((each for each in SETS["mpc"] if each[0] == task), None)
    known = {} if where is None else cells_of(where, ("mpc",))
    if where is None or row not in known:
        raise ParameterError(
            "task, row",
            "a task and a planner of the closed-loop table",
            f"{task}, {row}",
            "see docs/results.md",
        )
    expect_writable(OUT)
    cell, budget = known[row], BUDGET * where[2]
    planner = replace(make_planner(cell.planner, cell.settings), max_evaluations=budget)
    names = {PHYSICS: [], ENSEMBLE: [offline_model(task, seed) for seed in FULL.seeds]}.get(model, [model])
    given = Judge(
        by_name(task), stored_model((names or [offline_model(task, 0)])[0]),
        problem_set("-".join(map(str, where)) + "-reporting"), range(problems),
    )  # fmt: skip
    with one_thread():
        run = control(
            planner,
            known_as(given, names),
            lambda frames, actions: _stepped(given.task, frames, actions),
            world=given.starts[:, None],
            observe=lambda frames: seen(given.task, names, frames),
            success=lambda frames, rows: given.task.success(frames[:, 0], given.goals[rows.numpy()]),
            replanner=replace(planner, max_evaluations=budget // (1 if whole else LATER_SHARE)),
            progress=True,
        )  # fmt: skip
    name = f"{row} with {model}{WHOLE if whole else ''}"
    typer.echo(f"{name}: {int(run.reached.sum())} of {problems} solved")
    stored = load()
    stored.setdefault(task, {})[name] = {
        "settings": dict(cell.settings), "code": code_digest(cell.planner, task, "mpc"),
        "hashes": {name: model_hash(name) for name in names}, "true": flags(run.reached),
    }  # fmt: skip
    write_atomically(OUT, json.dumps(stored, indent=1) + "\n")


def known_as(given: Judge, names: list[str]) -> PlanningProblem:
    """Return the problems as a shipped model, several as one, or (without names) the true physics have them.

    Arguments
        given: the problems.
        names: of models.
    """
    if not names:
        physics = Physics(given.task)
        return PlanningProblem(
            physics, torch.from_numpy(given.starts).float(), torch.from_numpy(given.goals).float(),
            int(given.problems.horizon[0]), given.model.architecture.action_dim, reached=physics.reached,
            action_set=given.task.action_set, goal_distance=physics.distance, seeds=noise_seeds(0, given.indices),
        )  # fmt: skip
    judges = [replace(given, model=stored_model(name)) for name in names]
    alone = [judge.problem(0) for judge in judges]
    if len(alone) == 1:
        return alone[0]
    joint = Ensemble([judge.model for judge in judges], [tuple(each.goal.shape[1:]) for each in alone])
    return replace(
        alone[0], dynamics=joint, initial_state=joint.stack([each.initial_state for each in alone]),
        goal=joint.stack([each.goal for each in alone]), reached=joint.reached(*[judge.reached for judge in judges]),
    )  # fmt: skip


def seen(task: Task, names: list[str], frames: Float[np.ndarray, "N K S"]) -> Tensor:
    """Return frames as the model, the models or the true physics see them."""
    if not names:
        return torch.from_numpy(frames[:, 0]).float()
    latents = [encode(stored_model(name), task, frames).flatten(1) for name in names]
    return torch.cat(latents, dim=1)


def _stepped(task: Task, frames: Float[np.ndarray, "N K S"], actions: Tensor) -> Float[np.ndarray, "N K S"]:
    return after_model_step(task, task.simulate(frames[:, 0], environment_actions(task, actions[:, None])))


def show() -> None:
    """Print what is stored beside the study's trials on the same problems."""
    typer.echo("\n".join(shown(load(), current(Store(RESULTS).rows()))))


def load() -> Stored:
    """Return what is stored."""
    return stored_in(OUT)


def shown(stored: Stored, rows: pl.DataFrame) -> Iterator[str]:
    """Yield the lines of `show`.

    Arguments
        stored: what other models gave.
        rows: the study's `current` rows.
    """
    yield "| solved within 2 T, % | n | with this model | with the study's models | difference |"
    yield "|---|---|---|---|---|"
    for task, entries in stored.items():
        (where,) = (each for each in SETS["mpc"] if each[0] == task)
        known = cells_of(where, ("mpc",))
        for name, entry in entries.items():
            row = name.partition(" with ")[0]
            same = {"models": {offline_model(task, seed): {"true": entry["true"]} for seed in FULL.seeds}}
            record = paired(same, rows, known[row], "mpc")
            own = wilson(entry["true"].count("1") / len(entry["true"]), len(entry["true"]))
            # The study has fewer problems than may have been planned for here.
            asked = trials_of(rows, known[row], "mpc")["problem"].n_unique()
            theirs = np.mean([int(each) for each in entry["true"][:asked]]) - record.difference
            yield (
                f"| {task}, {name} | {len(entry['true'])} | {100 * own.value:.1f} [{100 * own.low:.0f}, {100 * own.high:.0f}] "
                f"| {100 * theirs:.1f} "
                f"| {told(record)}, {said_p(record.p_value)} |"
            )


app = new_app()
add(app, loop, "the runs that were done before.")
add(app, show, "nothing is written.")

if __name__ == "__main__":
    app()
