"""Plans of a model's own, replayed in the environment: the data in which a planner exploits the model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float
from rich.console import Console

from experiments.episodes import Arrays, Episodes, stored
from experiments.evaluation.exploitability import as_given, gradient_planners
from experiments.evaluation.observe import environment_actions
from experiments.evaluation.sizes import trials
from experiments.training.recipe import Replays
from grasp_theory import MPPI, Held, Planner
from grasp_theory.tasks.problems import Problems, make_problems
from grasp_theory.tasks.task import FRAMESKIP, Task
from grasp_theory.world_models import WorldModel, fingerprint

FORMAT = 1


def replayed_plans(
    task: Task,
    model: WorldModel,
    *,
    seed: int,
    wanted: Replays,
    folder: Path,
    iterations: int = 150,
    shortest: int = 1,
) -> Episodes:
    """Return episodes that execute, in the true environment, plans made with `model` on training problems.

    They are made now or read from `folder`, a file for each planner.

    The problems are for the purpose "training": no evaluation or tuning sees them.  Gradient planners are GRASP and gradient descent
    with noise, on a half of the plans each.

    Arguments
        task: the task.
        model: the model that plans, on any device.
        seed: of problems and planners.
        wanted: planners, problems for each of them, their kind and horizon.
        folder: where the files lie.
        iterations: of gradient planners; MPPI has a tenth.
        shortest: model steps that the plans have at least, so that a window of training fits in.

    Raises
        ParameterError: if a stored file is damaged or was made with other settings.
    """
    trial, problems = trials(task), wanted.problems
    horizon, kind = max(wanted.horizon or trial.horizon, shortest), wanted.kind or trial.plan_kind
    parts = []
    for k, (name, planner) in enumerate(_planners(task, wanted, iterations).items()):
        settings = {
            "format": FORMAT, "task": task.name, "replays of": fingerprint(model), "planner": repr(planner),
            "kind": kind, "horizon": horizon, "problems": problems, "seed": seed,
        }  # fmt: skip

        def make(k: int = k, name: str = name, planner: Planner = planner) -> Arrays:
            Console(stderr=True).print(f"replaying {problems} plans of {name}")
            given = make_problems(
                task.name, kind, horizon=horizon, count=problems, purpose="training", seed=2 * seed + k
            )  # fmt: skip
            latents = as_given(task, model, given, seed)
            if wanted.planners == "held":
                latents = replace(latents, action_set=Held(task.action_set, task.action_dim))
            actions = environment_actions(task, planner.plan(latents).actions)
            return _episodes(task, given, task.simulate(given.starts, actions), actions)

        parts.append(stored(folder, settings, k, make))
    return Episodes(task, *(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))


def _planners(task: Task, wanted: Replays, iterations: int) -> Mapping[str, Planner]:
    """Return the planners of replays; noise on held actions is as large as on single ones, whose mean they are."""
    if wanted.planners == "gradient":
        return gradient_planners(task, iterations)
    noise = FRAMESKIP**0.5 * task.action_high
    return {
        "MPPI, held": MPPI(samples=100, noise=noise, noise_decay=0.8, iterations=max(iterations // 10, 1))
    }


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
