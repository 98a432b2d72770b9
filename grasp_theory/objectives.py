"""The planning objectives: the rollout loss and the lifted losses, with and without stop-gradient.

Shapes: `...` are batch axes, `*S` the axes of one state, m the action dimension, T the horizon.  Every loss
sums squares over the state axes and over time and returns one value for each batch entry.

Which states are free is the caller's choice: the trajectory s_0, ..., s_T is passed whole, and s_0 (fixed)
and s_T (fixed to the goal in Algorithm 1, free in Theorem 6) need not require gradients.

With `stop_state_gradient=True` the state inputs of the model are the stop-gradient copies s̄_t.  The value of
the loss is unchanged, but what `backward` returns is then the gradient of no function of (s, a): it is the
gradient of the surrogate in which s̄ is a constant, taken at s̄ = s.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from grasp_theory.dynamics import Model, one_step_predictions, rollout
from linear_systems.errors import ShapeError
from linear_systems.validation import goal_weights


def rollout_loss(
    dynamics: Model,
    initial_state: Tensor,
    actions: Tensor,
    goal: Tensor,
    *,
    checkpoint: bool = False,
) -> Float[Tensor, "*batch"]:
    """Return ‖s_T(a, s_0) − g‖², s_{t+1} = F(s_t, a_t).  Source: Eq. (3), (13).

    Arguments
        dynamics: anything that `as_dynamics` takes.
        initial_state: (..., *S), s_0.
        actions: (..., T, m).
        goal: (..., *S), g.
        checkpoint: recompute the model evaluations in the backward pass instead of storing them.

    Returns
        (...).

    Raises
        ShapeError, DTypeError, HorizonError.
    """
    axes = actions.ndim - 2
    final = rollout(dynamics, initial_state, actions, checkpoint=checkpoint).select(axes, -1)
    return _squared_norm(final - _goal(goal, final.shape, axes), axes)


def dynamics_loss(
    dynamics: Model, states: Tensor, actions: Tensor, *, stop_state_gradient: bool
) -> Float[Tensor, "*batch"]:
    """Return Σ_t ‖F(s_t, a_t) − s_{t+1}‖².  Source: Eq. (4); with the stop-gradient Eq. (8).

    Arguments
        dynamics: anything that `as_dynamics` takes.
        states: (..., T+1, *S), the trajectory s_0, ..., s_T.
        actions: (..., T, m).
        stop_state_gradient: whether the model's state inputs are treated as constants.

    Returns
        (...).

    Raises
        ShapeError, DTypeError, HorizonError.
    """
    axes = actions.ndim - 2
    predictions = _predictions(dynamics, states, actions, stop_state_gradient)
    return _squared_norm(predictions - _next_states(states, axes), axes)


def goal_loss(
    dynamics: Model,
    states: Tensor,
    actions: Tensor,
    goal: Tensor,
    *,
    stop_state_gradient: bool,
) -> Float[Tensor, "*batch"]:
    """Return Σ_t ‖F(s_t, a_t) − g‖², the dense one-step goal loss.  Source: Eq. (9).

    Arguments
        dynamics: anything that `as_dynamics` takes.
        states: (..., T+1, *S), the trajectory s_0, ..., s_T; s_T does not enter.
        actions: (..., T, m).
        goal: (..., *S), g.
        stop_state_gradient: whether the model's state inputs are treated as constants, as in the paper.

    Returns
        (...).

    Raises
        ShapeError, DTypeError, HorizonError.
    """
    axes = actions.ndim - 2
    predictions = _predictions(dynamics, states, actions, stop_state_gradient)
    return _squared_norm(predictions - _goal_at_every_step(goal, predictions, axes), axes)


def lifted_loss(
    dynamics: Model,
    states: Tensor,
    actions: Tensor,
    goal: Tensor,
    goal_weight: ArrayLike,
    *,
    stop_state_gradient: bool,
) -> Float[Tensor, "*batch"]:
    """Return Σ_t ‖F(s_t, a_t) − s_{t+1}‖² + Σ_t β_t ‖F(s_t, a_t) − g‖².  Source: Eq. (10), (75), (92).

    The model is evaluated once.  Eq. (10) and (92) have one weight β_t = γ; Eq. (75) has one for each step.

    Arguments
        dynamics: anything that `as_dynamics` takes.
        states: (..., T+1, *S), the trajectory s_0, ..., s_T.
        actions: (..., T, m).
        goal: (..., *S), g.
        goal_weight: γ >= 0, or the T weights β_t >= 0.
        stop_state_gradient: whether the model's state inputs are treated as constants, as in the paper.

    Returns
        (...).

    Raises
        ShapeError, DTypeError, HorizonError, ParameterError.
    """
    axes = actions.ndim - 2
    predictions = _predictions(dynamics, states, actions, stop_state_gradient)
    consistency = _squared_norm(predictions - _next_states(states, axes), axes)
    errors = (predictions - _goal_at_every_step(goal, predictions, axes)).square()
    errors = errors.flatten(axes + 1).sum(-1)
    weights = torch.as_tensor(
        goal_weights(goal_weight, errors.shape[-1]), dtype=errors.dtype, device=errors.device
    )
    return consistency + errors @ weights


def _predictions(dynamics: Model, states: Tensor, actions: Tensor, stop_state_gradient: bool) -> Tensor:
    return one_step_predictions(dynamics, states.detach() if stop_state_gradient else states, actions)


def _next_states(states: Tensor, axes: int) -> Tensor:
    return states.narrow(axes, 1, states.shape[axes] - 1)


def _squared_norm(differences: Tensor, axes: int) -> Tensor:
    return differences.square().flatten(axes).sum(-1)


def _goal_at_every_step(goal: Tensor, predictions: Tensor, axes: int) -> Tensor:
    """Return the goal with a time axis of length 1 that broadcasts against the predictions (..., T, *S)."""
    shape = torch.Size((*predictions.shape[:axes], *predictions.shape[axes + 1 :]))
    return _goal(goal, shape, axes).unsqueeze(axes)


def _goal(goal: Tensor, shape: torch.Size, axes: int) -> Tensor:
    """Return the goal (..., *S) expanded to `shape`; batch axes may have length 1, state axes may not."""
    fits = goal.ndim == len(shape) and goal.shape[axes:] == shape[axes:]
    if not fits or any(have not in (1, need) for have, need in zip(goal.shape, shape, strict=True)):
        raise ShapeError(
            "goal", f"shape {tuple(shape)} (batch axes may be 1)", f"shape {tuple(goal.shape)}",
            "pass one goal for each batch entry, shaped as a state",
        )  # fmt: skip
    return goal.expand(shape)
