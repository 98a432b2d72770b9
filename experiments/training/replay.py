"""Plans of a model's own, replayed in the environment: the data in which a planner exploits the model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float
from rich.console import Console

from experiments.episodes import Arrays, Episodes, stored
from experiments.evaluation.exploitability import gradient_planners, make_plans
from experiments.evaluation.observe import environment_actions
from experiments.evaluation.sizes import trials
from grasp_theory import Planner
from grasp_theory.tasks.problems import Problems, make_problems
from grasp_theory.tasks.task import Task
from grasp_theory.world_models import WorldModel, fingerprint

FORMAT = 1


def replayed_plans(
    task: Task,
    model: WorldModel,
    *,
    seed: int,
    problems: int,
    folder: Path,
    iterations: int = 150,
    horizon: int | None = None,
    shortest: int = 1,
) -> Episodes:
    """Return episodes that execute, in the true environment, plans made with `model` on training problems.

    They are made now or read from `folder`, a file for each planner.

    The problems are of the kind that an evaluation plans for, but for the purpose "training": no evaluation or tuning
    sees them.  Half of the plans are GRASP's and half those of gradient descent with noise.

    Arguments
        task: the task.
        model: the model that plans, on any device.
        seed: of problems and planners.
        problems: how many, for each planner; twice as many episodes are returned.
        folder: where the files lie.
        iterations: of each planner.
        horizon: model steps of the plans; None for those of the evaluation.
        shortest: model steps that the plans have at least, so that a window of training fits in.

    Raises
        ParameterError: if a stored file is damaged or was made with other settings.
    """
    trial = trials(task)
    horizon = max(horizon or trial.horizon, shortest)
    parts = []
    for k, (name, planner) in enumerate(gradient_planners(task, iterations).items()):
        settings = {
            "format": FORMAT, "task": task.name, "replays of": fingerprint(model), "planner": repr(planner),
            "kind": trial.plan_kind, "horizon": horizon, "problems": problems, "seed": seed,
        }  # fmt: skip

        def make(k: int = k, name: str = name, planner: Planner = planner) -> Arrays:
            Console(stderr=True).print(f"replaying {problems} plans of {name}")
            given = make_problems(
                task.name, trial.plan_kind, horizon=horizon, count=problems, purpose="training",
                seed=2 * seed + k,
            )  # fmt: skip
            actions = environment_actions(task, make_plans(task, model, given, planner, seed).actions)
            return _episodes(task, given, task.simulate(given.starts, actions), actions)

        parts.append(stored(folder, settings, k, make))
    return Episodes(task, *(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _episodes(
    task: Task,
    problems: Problems,
    states: Float[np.ndarray, "N L1 S"],
    actions: Float[np.ndarray, "N L A"],
) -> Arrays:
    """Return the states and actions of replays, with what came before their starts.

    A problem has its past at the frame offsets only; the other steps before the start are NaN, and no frame uses them.
    """
    first = Episodes(task, states, actions).first
    past = np.full((len(states), first, states.shape[2]), np.nan)
    for k, offset in enumerate(task.frame_offsets):
        if offset:
            past[:, first - offset] = problems.start_history[:, k]
    unknown = np.full((len(states), first, actions.shape[2]), np.nan)
    return np.concatenate([past, states], axis=1), np.concatenate([unknown, actions], axis=1)
