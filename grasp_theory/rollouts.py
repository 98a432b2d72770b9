"""The `rollout` that users call: that of `grasp_theory.dynamics`, which warns as the planners do."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from grasp_theory import dynamics as plain
from grasp_theory.boundary import warn_of_training
from linear_systems.checked import checked
from linear_systems.errors import ParameterError


@checked
def rollout(
    dynamics: plain.Model,
    initial_state: Tensor,
    actions: Tensor,
    *,
    noise: Tensor | None = None,
    checkpoint: bool = False,
) -> Float[Tensor, "*trajectory"]:
    """Return the states s_0, ..., s_T with s_{t+1} = F(s_t, a_t) + noise_t.  Source: Eq. (2), (14), (101).

    Arguments
        dynamics: anything that `as_dynamics` takes.
        initial_state: (..., *S), with as many batch axes as `actions`; their lengths broadcast.
        actions: (..., T, m).
        noise: (..., T, *S), added after every step; None for none.
        checkpoint: keep only the states for the backward pass and recompute each model evaluation in it,
            which divides the memory by about the number of activations in a model evaluation.

    Returns
        (..., T+1, *S), differentiable in all tensor arguments.

    Raises
        ShapeError, DTypeError, HorizonError.
        ParameterError: the model cannot be stepped, or writes into its inputs.

    Warns
        UserWarning: the model holds modules in training mode that behave otherwise in evaluation.  Within a training,
            `grasp_theory.dynamics.rollout` says nothing of it.
    """
    _warn(dynamics)
    try:
        return plain.rollout(dynamics, initial_state, actions, noise=noise, checkpoint=checkpoint)
    except ParameterError as error:
        if error.__cause__ is None or actions.ndim != 2 or initial_state.ndim == 1:
            raise
        hint = "actions (T, m) take all of initial_state for one state: pass actions (B, T, m) for a batch of B states"
        raise ParameterError("actions", error.expected, error.found, hint) from error.__cause__


def _warn(model: object) -> None:
    """Warn of training mode, one call below `rollout`: the warning then names the line that called that."""
    warn_of_training(model)
