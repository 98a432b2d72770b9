"""The gradient of a rollout's loss with respect to the actions, by backpropagation through time."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.dynamics import AnyDynamics, trajectory
from grasp_theory.planners.search import require_differentiable

Objective = Literal["last", "all"]


def rollout_gradient(
    model: AnyDynamics,
    initial_state: Tensor,
    goal: Tensor,
    actions: Float[Tensor, "rows T m"],
    objective: Objective = "last",
    *,
    noise: Tensor | None = None,
    checkpoint: bool = False,
) -> tuple[Float[Tensor, "rows T m"], Tensor]:
    """Return the gradient of ‖s_T − g‖² (or Σ_{t>=1} ‖s_t − g‖²) and the rollout (rows, T+1, *S).

    Arguments
        model: the dynamics.
        initial_state: (rows, *S).
        goal: (rows, *S).
        actions: (rows, T, m).
        objective: "last" is Eq. (3); "all" sums over s_1..s_T.
        noise: (rows, T, *S), added to the states along the rollout, Eq. (106).
        checkpoint: recompute the model in the backward pass, to save memory.

    Raises
        ParameterError: the model is not differentiable.
    """
    leaf = actions.detach().requires_grad_()
    with torch.enable_grad():
        states = list(trajectory(model, initial_state, leaf, noise=noise, checkpoint=checkpoint))
        require_differentiable(states[-1])
        # Only judged states are stacked under the gradient: the others would each send zeros back.
        judged = torch.stack(states[1:], 1) if objective == "all" else states[-1].unsqueeze(1)
        loss = (judged - goal.unsqueeze(1)).square().sum()
    (gradient,) = torch.autograd.grad(loss, leaf)
    with torch.no_grad():
        return gradient, torch.stack(states, 1)
