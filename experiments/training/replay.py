"""Plans of a model's own, replayed in the environment: the data in which a planner exploits the model."""

from __future__ import annotations

import numpy as np
import torch
from rich.console import Console

from experiments.data import Episodes, stacked_frames
from experiments.environments.task import FRAMESKIP, Task
from grasp_theory import GRASP, GradientDescent, Planner, PlanningProblem
from grasp_theory.world_models.model import WorldModel

HORIZON = 10
"""Model steps of a replayed plan."""
STREAM = 0x7EA1
"""Keeps training problems apart from those that tune or report (see `problems`)."""


def replayed_plans(
    task: Task, model: WorldModel, *, seed: int, problems: int, iterations: int = 150
) -> Episodes:
    """Return episodes that execute, in the true environment, plans made with `model` on training problems.

    A problem starts where a short behaviour episode ends and has a random state as its goal.  Half of the plans are
    GRASP's and half those of gradient descent with noise.

    Arguments
        task: the task.
        model: the model that plans, on any device.
        seed: of problems and planners.
        problems: training problems planned by each planner; twice as many episodes are returned.
        iterations: of each planner; a fifth of GRASP's default will do, for the model is exploited early.
    """
    rng = np.random.default_rng([STREAM, seed])
    device = model.latent_mean.device
    planners: tuple[Planner, ...] = (GRASP(iterations=iterations), GradientDescent(iterations=iterations))
    episodes = []
    before = -(-max(task.frame_offsets) // FRAMESKIP) * FRAMESKIP
    for planner in planners:
        Console(stderr=True).print(f"replaying {problems} plans of {type(planner).__name__}")
        starts = task.sample_states(rng, problems)
        states, actions = starts[:, None], np.zeros((problems, 0, task.action_dim))
        if before:
            states, actions = task.behaviour(rng, starts, before, mixture=task.mixtures["offline"])
        history = states[:, before - np.array(task.frame_offsets)]
        goals = np.repeat(task.sample_states(rng, problems)[:, None], len(task.frame_offsets), axis=1)
        size = model.architecture.image_size
        with torch.no_grad():
            start, goal = (
                model.encode(torch.from_numpy(stacked_frames(task, rows, size)).to(device))
                for rows in (history, goals)
            )
        problem = PlanningProblem(
            model, start, goal, HORIZON, FRAMESKIP * task.action_dim,
            action_bounds=(task.action_low, task.action_high),
        )  # fmt: skip
        plan = planner.plan(problem, generator=torch.Generator(device=device).manual_seed(seed))
        planned = plan.actions.double().cpu().numpy().reshape(problems, HORIZON * FRAMESKIP, task.action_dim)
        replayed = task.simulate(states[:, -1], planned)
        episodes.append(
            (np.concatenate([states, replayed[:, 1:]], axis=1), np.concatenate([actions, planned], axis=1))
        )
    return Episodes(task, *(np.concatenate(parts) for parts in zip(*episodes, strict=True)))
