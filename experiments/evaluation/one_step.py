"""How wrong one model step is, from true states: on the behaviour's data, and where planners go."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from experiments.evaluation.observe import probe
from grasp_theory.statistics.bootstrap import Bootstrap
from grasp_theory.statistics.intervals import Json, plain
from grasp_theory.tasks.task import Task
from grasp_theory.world_models import WorldModel

LARGEST_COVARIANCE = 64
"""Latents of more entries have no covariance in a card: it would be longer than the rest."""


@torch.no_grad()
def one_step(
    task: Task,
    model: WorldModel,
    before: Float[Tensor, " N *S"],
    actions: Float[Tensor, "N m"],
    after: Float[Tensor, " N *S"],
    states: Float[np.ndarray, "N K"],
    bootstrap: Bootstrap,
) -> dict[str, Json]:
    """Return the errors of single steps F(z, a) against z' = encode(o').

    Arguments
        task, model: the world and its model.
        before, actions, after: z, a and z' of N true steps, in latents and model actions.
        states: the true states after the steps, which the decoded predictions are compared with.
        bootstrap: over what the steps are clustered by.

    Returns
        steps: N.
        errors: {name: mean of the decoded state's error, by `Task.state_errors`}.
        bias, covariance: mean and covariance of z' − F(z, a), (d,) and (d, d) in units of latents; None for d > 64.
    """
    predicted = model.step(before, actions)
    decoded = task.state_errors(probe(model, predicted), states)
    found: dict[str, Json] = {
        "steps": len(states),
        "errors": {name: bootstrap.mean(values).to_json() for name, values in decoded.items()},
        "bias": None,
        "covariance": None,
    }
    missed = (after - predicted).flatten(1).double().cpu().numpy()
    if missed.shape[1] <= LARGEST_COVARIANCE and len(missed) > 1:
        found["bias"] = [plain(value) for value in missed.mean(0)]
        found["covariance"] = [[plain(value) for value in row] for row in np.atleast_2d(np.cov(missed.T))]
    return found
