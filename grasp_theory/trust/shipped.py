"""A shipped world model with problems of its task, ready to be diagnosed."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp_theory.problem import PlanningProblem
from grasp_theory.tasks import by_name
from grasp_theory.tasks.problems import make_problems
from grasp_theory.tasks.task import Task, stacked_frames
from grasp_theory.world_models import Card, WorldModel, available, load
from grasp_theory.world_models.architecture import BACKBONES
from grasp_theory.world_models.checkpoint import best_latent
from linear_systems.checked import checked
from linear_systems.errors import ParameterError


@checked
def shipped_problem(
    name: str, horizon: int | None = None, count: int = 32
) -> tuple[PlanningProblem, dict[str, Any]]:
    """Return problems of a shipped model's task, and what else `diagnose` is to know of them: lower bounds on steps.

    The goal region is the task's own success, of the states that the model's probe reads.  Problems are from the training
    stream of problem sets, so that none is used for tuning or reporting.

    Arguments
        name: of a shipped model, such as "push_t-offline-flat-0", or of a task, such as "push_t", for the one that `load` gives.
        horizon: T; None: that of the card's own evaluation.
        count: how many problems.

    Raises
        ParameterError: there is no such model; the message lists what there is.
    """
    cards = available()
    known = [each for each in cards if each.architecture.encoder not in BACKBONES]
    card = next(
        (
            each
            for each in known
            if name == each.name or (name, best_latent(name)) == (each.task, each.architecture.label)
        ),
        None,
    )
    if card is None:
        raise ParameterError(
            "target", f"module:factory, or one of {', '.join(sorted({each.task for each in known}))}", repr(name),
            f"mymodel:problem for a problem of your own in mymodel.py, or a model: {', '.join(each.name for each in known)}",
        )  # fmt: skip
    model = load(card.task, kind=card.kind, seed=card.seed, latent=card.architecture.label)
    task, evaluated = by_name(card.task), card.evaluation["exploitability"]
    steps = int(evaluated["horizon"]) if horizon is None else horizon
    problems = make_problems(card.task, evaluated["kind"], horizon=steps, count=count, purpose="training")
    problem = PlanningProblem(
        model, _encoded(model, task, problems.start_history), _encoded(model, task, problems.goal_history), steps,
        card.architecture.action_dim, reached=lambda states, goals: _reached(model, card, task, states, goals),
        action_set=task.action_set, seeds=torch.arange(count),
    )  # fmt: skip
    return problem, {"metric": torch.from_numpy(problems.shortest_steps).to(problem.goal)}


@torch.no_grad()
def _encoded(model: WorldModel, task: Task, frames: Float[np.ndarray, "N K S"]) -> Tensor:
    return model.encode(torch.from_numpy(stacked_frames(task, frames, model.architecture.image_size)))


@torch.no_grad()
def _reached(model: WorldModel, card: Card, task: Task, states: Tensor, goals: Tensor) -> Bool[Tensor, " N"]:
    """Return who is at the goal, as the probe reads; a latent that is not finite is not."""
    probed, wanted = (model.probe(each).double().cpu().numpy() for each in (states, goals))
    fine = np.isfinite(probed).all(axis=1)
    answer = np.zeros(len(probed), dtype=bool)
    answer[fine] = task.success(_decoded(card, probed[fine]), _decoded(card, wanted[fine]))
    return torch.from_numpy(answer).to(states.device)


def _decoded(card: Card, probed: Float[np.ndarray, "N Q"]) -> Float[np.ndarray, "N S"]:
    """Return the states that probed quantities tell: themselves, but the angle for its cosine and sine."""
    columns, names = [], card.probe_names
    for at, name in enumerate(names):
        if name.startswith("cosine"):
            columns.append(np.arctan2(probed[:, at + 1], probed[:, at]))
        elif not name.startswith("sine"):
            columns.append(probed[:, at])
    return np.stack(columns, axis=1)
