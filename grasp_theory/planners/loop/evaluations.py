"""All that planners ask of the model, counted where it happens: rollouts, their gradients, losses of samples.

Actions are (rows · N, T, m), N plans a row one after another.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.dynamics import rollout, trajectory
from grasp_theory.planners.loop.rows import Rows
from linear_systems.errors import ParameterError

Objective = Literal["last", "all"]

INDIFFERENT = (
    "a function that is differentiable in the actions",
    "an output without gradient",
    "remove no_grad or detach from it, or plan with CEM or MPPI",
)
"""What is refused for want of a gradient."""


def roll_out(rows: Rows, actions: Float[Tensor, "plans T m"], *, counted: bool = True) -> Tensor:
    """Return the rollouts (plans, T+1, *S), without gradients."""
    plans = len(actions) // len(rows)
    if counted:
        rows.count(plans * actions.shape[1])
    with torch.no_grad():
        return rollout(rows.problem.model, _repeated(rows.initial_state, plans), actions)


def sample_losses(rows: Rows, plans: Float[Tensor, "rows N T m"]) -> Float[Tensor, "rows N"]:
    """Return the losses of N plans a row, float64 and infinite where not finite, keeping no states but the last."""
    count, problem, actions = plans.shape[1], rows.problem, plans.flatten(0, 1)
    state, goal = _repeated(rows.initial_state, count), _repeated(rows.goal, count)
    rows.count(count * actions.shape[1])
    losses: Tensor | None = None
    with torch.no_grad():
        steps = trajectory(problem.model, state, actions)
        next(steps)
        for t, following in enumerate(steps):
            state = following
            if problem.stage_cost is not None:
                cost = problem.stage_cost(state, actions[:, t]).double()
                losses = cost if losses is None else losses + cost
        final = problem.final_losses(state, goal)
    losses = final if losses is None else losses + final
    losses = losses.view(-1, count)
    return losses.where(torch.isfinite(losses), torch.inf)


def rollout_gradient(
    rows: Rows,
    actions: Float[Tensor, "plans T m"],
    objective: Objective = "last",
    *,
    noise: Tensor | None = None,
    checkpoint: bool = False,
) -> tuple[Float[Tensor, "plans T m"], Tensor]:
    """Return the gradient of the loss (13) with respect to the actions, and the rollouts (plans, T+1, *S).

    Arguments
        rows: the rows.
        actions: (plans, T, m).
        objective: "last" takes the distance to the goal from s_T, Eq. (3); "all" sums it over s_1..s_T.
        noise: (plans, T, *S), added to the states along the rollout, Eq. (106).
        checkpoint: recompute the model in the backward pass, to save memory.

    Raises
        ParameterError: the model, or the distance to the goal, is not differentiable.
    """
    problem, plans = rows.problem, len(actions) // len(rows)
    start, goal = _repeated(rows.initial_state, plans), _repeated(rows.goal, plans)
    rows.count(plans * actions.shape[1], gradient=True)
    if checkpoint:  # every step is evaluated once more in the backward pass
        rows.count(plans * actions.shape[1])
    leaf = actions.detach().requires_grad_()
    with torch.enable_grad():
        states = list(trajectory(problem.model, start, leaf, noise=noise, checkpoint=checkpoint))
        require_differentiable(states[-1])
        judged = states[1:] if objective == "all" else states[-1:]
        # Only judged states are stacked under the gradient: the others would each send zeros back.
        loss = problem.goal_losses(torch.stack(judged, 1), goal.unsqueeze(1)).sum()
        if problem.goal_distance is not None:
            require_differentiable(loss, "goal_distance")
        if problem.stage_cost is not None:
            loss = loss + problem.stage_costs(torch.stack(states[1:], 1), leaf).sum()
    (gradient,) = gradients(loss, (leaf,))
    with torch.no_grad():
        return gradient, torch.stack(states, 1)


def gradients(
    outputs: Tensor | tuple[Tensor, ...],
    inputs: tuple[Tensor, ...],
    towards: Tensor | tuple[Tensor, ...] | None = None,
) -> tuple[Tensor, ...]:
    """Return `torch.autograd.grad`, the actions first among the inputs, which the outputs must depend on.

    Raises
        ParameterError: they do not.
    """
    found = torch.autograd.grad(outputs, inputs, towards, allow_unused=True)
    if found[0] is None:
        raise ParameterError(
            "dynamics", "a model whose next state depends on the action", "one that is deaf to it",
            "let the action enter the next state, or plan with CEM or MPPI",
        )  # fmt: skip
    return tuple(
        torch.zeros_like(given) if each is None else each for each, given in zip(found, inputs, strict=True)
    )


def require_differentiable(output: Tensor, argument: str = "dynamics") -> None:
    """Raise a ParameterError unless gradients flow from the output to the actions."""
    if output.requires_grad:
        return
    if torch.is_inference_mode_enabled():
        raise ParameterError(
            "torch.inference_mode", "a mode in which gradients can be taken", "inference mode",
            "leave torch.inference_mode() around plan (torch.no_grad() may stay), or plan with CEM or MPPI",
        )  # fmt: skip
    raise ParameterError(argument, *INDIFFERENT)


def _repeated(tensor: Tensor, times: int) -> Tensor:
    return tensor if times == 1 else tensor.repeat_interleave(times, 0)
