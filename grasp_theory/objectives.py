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

from grasp_theory.dynamics import Model, known_not_finite, one_step_predictions, rollout
from linear_systems.checked import checked
from linear_systems.errors import DTypeError, NonFiniteError, ShapeError
from linear_systems.validation import goal_weights


@checked
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
        ShapeError, DTypeError, NonFiniteError, HorizonError.
    """
    axes = actions.ndim - 2
    final = rollout(dynamics, initial_state, actions, checkpoint=checkpoint).select(axes, -1)
    return squared_distance(final, _goal(goal, final, axes), axes)


@checked
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
    return step_defects(predictions, states, axes).sum(-1)


@checked
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
    return _goal_terms(predictions, goal, axes).sum(-1)


@checked
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
    consistency = step_defects(predictions, states, axes).sum(-1)
    errors = _goal_terms(predictions, goal, axes)
    weights = torch.as_tensor(
        goal_weights(goal_weight, errors.shape[-1], "goal_weight"), dtype=errors.dtype, device=errors.device
    )
    return consistency + errors @ weights


def squared_distance(states: Tensor, others: Tensor, axes: int) -> Tensor:
    """Return ‖s − s'‖², the sum of squares over all axes from `axes` on: the square of Eq. (3)-(4), (8)-(10), (13)."""
    return (states - others).square().flatten(axes).sum(-1)


def step_defects(
    predictions: Float[Tensor, "*predictions"], states: Float[Tensor, "*trajectory"], axes: int
) -> Tensor:
    """Return the terms ‖F_t − s_{t+1}‖² of Eq. (4) and (8), (..., T), from predictions F_t that were already made.

    Arguments
        predictions: (..., T, *S), F(s_t, a_t).
        states: (..., T+1, *S).
        axes: how many axes stand before time.
    """
    return squared_distance(predictions, _next_states(states, axes), axes + 1)


def lifted_pulls(
    predictions: Float[Tensor, "*predictions"],
    states: Float[Tensor, "*trajectory"],
    goal: Tensor | None,
    goal_weight: float,
    axes: int,
) -> tuple[Tensor, Tensor]:
    """Return half the gradient of Eq. (10), from predictions F_t that were already made: −½ ∂/∂s_{t+1}, ½ ∂/∂F_t.

    They are the residual F_t − s_{t+1}, and F_t − s_{t+1} + γ (F_t − g).  The factor 2 goes into the step size.

    Arguments
        predictions: (..., T, *S), F(s_t, a_t).
        states: (..., T+1, *S).
        goal: (..., *S); None: without the term of Eq. (9).
        goal_weight: γ >= 0.
        axes: how many axes stand before time.
    """
    residual = predictions - _next_states(states, axes)
    if goal is None or not goal_weight:
        return residual, residual
    return residual, torch.add(residual, predictions - goal.unsqueeze(axes), alpha=goal_weight)


def _predictions(dynamics: Model, states: Tensor, actions: Tensor, stop_state_gradient: bool) -> Tensor:
    return one_step_predictions(dynamics, states.detach() if stop_state_gradient else states, actions)


def _next_states(states: Tensor, axes: int) -> Tensor:
    return states.narrow(axes, 1, states.shape[axes] - 1)


def _goal_terms(predictions: Tensor, goal: Tensor, axes: int) -> Tensor:
    """Return the terms ‖F_t − g‖² of Eq. (9), (..., T)."""
    fitted = _goal(goal, predictions.select(axes, 0), axes)
    return squared_distance(predictions, fitted.unsqueeze(axes), axes + 1)


def _goal(goal: Tensor, like: Tensor, axes: int) -> Tensor:
    """Return the goal (..., *S) expanded to the shape of `like`; batch axes may have length 1, state axes may not."""
    shape = like.shape
    if goal.dtype != like.dtype:
        raise DTypeError("goal", f"{like.dtype}, as the states have", f"{goal.dtype}", "call .to(states)")
    fits = goal.ndim == len(shape) and goal.shape[axes:] == shape[axes:]
    if not fits or any(have not in (1, need) for have, need in zip(goal.shape, shape, strict=True)):
        raise ShapeError(
            "goal", f"shape {tuple(shape)} (batch axes may be 1)", f"shape {tuple(goal.shape)}",
            "pass one goal for each batch entry, shaped as a state",
        )  # fmt: skip
    if known_not_finite(goal):
        raise NonFiniteError("goal", "finite entries", "NaN or infinity", "remove such problems")
    return goal.expand(shape)
