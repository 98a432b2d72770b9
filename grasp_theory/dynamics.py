"""Differentiable dynamics s' = F(s, a): the protocol that is stepped, adapters to it, and rollouts.

Shapes: `...` are leading batch axes, `*S` the axes of one state, m the action dimension, T the horizon.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Protocol, cast, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils.checkpoint import checkpoint as recompute_in_backward

from linear_systems.annotations import shown, takes
from linear_systems.checked import checked
from linear_systems.errors import (
    DTypeError,
    HorizonError,
    InvalidInputError,
    NonFiniteError,
    ParameterError,
    ShapeError,
)
from linear_systems.system import LinearSystem, TimeVaryingLinearSystem


@runtime_checkable
class Dynamics(Protocol):
    """A world model F: one step from states and actions to next states.  Source: Section 2."""

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        """Return F(state, action), (..., *S), for states (..., *S) and actions (..., m), differentiably."""


@runtime_checkable
class TimeVaryingDynamics(Protocol):
    """World models F_0, ..., F_{length-1}, one a time step: a linearisation along a plan, for example."""

    @property
    def length(self) -> int:
        """The number of time steps, which no horizon may exceed."""

    def at(self, time: int | slice) -> Dynamics:
        """Return the dynamics of one time step or, for a slice, of those steps side by side.

        With a slice, the last batch axis of the states (..., T, *S) and actions (..., T, m) is time.
        """


AnyDynamics = Dynamics | TimeVaryingDynamics
Model = Annotated[
    AnyDynamics | LinearSystem | TimeVaryingLinearSystem | Callable[[Tensor, Tensor], Tensor], "see `adapted`"
]
"""Whatever `as_dynamics` turns into dynamics."""


@checked
class LinearDynamics(torch.nn.Module):
    """F(s, a) = A s + B a.  Source: Eq. (16).

    Arguments
        A: (..., n, n) and B: (..., n, m) finite tensors of one floating-point type; leading axes broadcast against
            the batch axes of the states.  They are buffers, so `.to(device, dtype)` moves them.

    Raises
        ShapeError, DTypeError, NonFiniteError.
    """

    A: Tensor
    B: Tensor

    def __init__(self, A: Tensor, B: Tensor) -> None:
        super().__init__()
        _check_matrices(A, B)
        self.register_buffer("A", A)
        self.register_buffer("B", B)

    def step(
        self, state: Float[Tensor, "*#batch n"], action: Float[Tensor, "*#batch m"]
    ) -> Float[Tensor, "*batch n"]:
        """Return A s + B a for states (..., n) and actions (..., m).

        Arguments
            state: (..., n).
            action: (..., m).
        """
        return _apply(self.A, state) + _apply(self.B, action)


@checked
class TimeVaryingLinearDynamics(torch.nn.Module):
    """F_t(s, a) = A_t s + B_t a for t = 0..length-1.

    Arguments
        A: (length, n, n) and B: (length, n, m) finite tensors of one floating-point type, kept as buffers.

    Raises
        ShapeError, DTypeError, NonFiniteError.
    """

    A: Tensor
    B: Tensor

    def __init__(self, A: Tensor, B: Tensor) -> None:
        super().__init__()
        _check_matrices(A, B)
        self.register_buffer("A", A)
        self.register_buffer("B", B)

    @property
    def length(self) -> int:
        """The number of time steps, which no horizon may exceed."""
        return int(self.A.shape[0])

    def at(self, time: int | slice) -> LinearDynamics:
        """Return the linear dynamics of one time step, or of a slice of them side by side."""
        dynamics = LinearDynamics.__new__(LinearDynamics)  # its matrices were checked here
        torch.nn.Module.__init__(dynamics)
        dynamics.register_buffer("A", self.A[time])
        dynamics.register_buffer("B", self.B[time])
        return dynamics


@dataclass(frozen=True)
class ModelDynamics:
    """Dynamics from any callable or `torch.nn.Module` that maps (N, *S), (N, m) to (N, *S).

    The model sees exactly one batch axis, whatever the batch axes of the states.

    Raises
        ShapeError: if the model returns another shape than that of the states.
    """

    model: Callable[[Tensor, Tensor], Tensor]

    def step(self, state: Tensor, action: Float[Tensor, "*batch m"]) -> Tensor:
        """Return the model's next states (..., *S) for states (..., *S) and actions (..., m)."""
        axes = action.ndim - 1
        batch = broadcast("state", state.shape[:axes], action.shape[:-1])
        states = state.expand(*batch, *state.shape[axes:]).reshape(-1, *state.shape[axes:])
        actions = action.expand(*batch, action.shape[-1]).reshape(-1, action.shape[-1])
        following = next_states(self.model(states, actions), states)
        return following.reshape(*batch, *state.shape[axes:])


def next_states(following: object, states: Tensor) -> Tensor:
    """Return what a model returned for states, if it is a next state for each.

    Raises
        ShapeError: it is something else.
    """
    if isinstance(following, Tensor):
        if following.shape == states.shape:
            return following
        raise ShapeError(
            "dynamics", f"next states of shape {tuple(states.shape)}, that of the states",
            f"shape {tuple(following.shape)}", "take states (N, *S) and actions (N, m), and return next states (N, *S)",
        )  # fmt: skip
    found, hint = shown(following), "return next states (N, *S)"
    alone = "return the next states alone, such as lambda state, action: model(state, action)"
    if isinstance(following, Mapping):
        found, hint = (
            f"a dict with {', '.join(map(repr, following))}",
            f"{alone}[{next(iter(following), 'name')!r}]",
        )
    elif isinstance(following, tuple | list):
        found, hint = f"a {type(following).__name__} of {len(following)}", f"{alone}[0]"
    elif isinstance(following, np.ndarray):
        found, hint = (
            "a numpy array",
            "compute with torch; for CEM, ICEM and MPPI alone torch.from_numpy will do",
        )
    raise ShapeError("dynamics", "a tensor of next states", found, hint)


def as_dynamics(model: Model) -> AnyDynamics:
    """Return `model` as dynamics: linear systems and callables are adapted, dynamics come back as they are.

    Arguments
        model: dynamics, a `LinearSystem` or `TimeVaryingLinearSystem` (their matrices stay float64 on the
            CPU: see `LinearDynamics` to move them), or a callable such as a `torch.nn.Module`.

    Raises
        ParameterError: if it is none of these.
    """
    return adapted("model", model)


def adapted(argument: str, model: object) -> AnyDynamics:
    """Return `as_dynamics` of a model that the caller knows by another name.

    Raises
        ParameterError: it is none.
    """
    if isinstance(model, LinearSystem):
        return LinearDynamics(torch.tensor(model.A), torch.tensor(model.B))
    if isinstance(model, TimeVaryingLinearSystem):
        return TimeVaryingLinearDynamics(torch.tensor(model.A), torch.tensor(model.B))
    if inspect.isclass(model):
        raise ParameterError(argument, "a model", shown(model), f"make one: {model.__name__}(...)")
    stepped = "at" if isinstance(model, TimeVaryingDynamics) else "step"
    if isinstance(model, Dynamics | TimeVaryingDynamics) and callable(getattr(model, stepped)):
        return model
    if takes(model, 2):
        return ModelDynamics(cast(Callable[[Tensor, Tensor], Tensor], model))
    raise ParameterError(
        argument, "a function or module of (state, action), an object with step(state, action) or a linear system",
        shown(model), "wrap it: lambda state, action: ..., which returns the next states as a tensor",
    )  # fmt: skip


@checked
def rollout(
    dynamics: Model,
    initial_state: Tensor,
    actions: Tensor,
    *,
    noise: Tensor | None = None,
    checkpoint: bool = False,
) -> Float[Tensor, "*trajectory"]:
    """Return the states (..., T+1, *S) of `grasp_theory.rollout`, whose arguments and errors these are, without its warning.

    Source: Eq. (2), (14), (101).
    """
    states = list(trajectory(dynamics, initial_state, actions, noise=noise, checkpoint=checkpoint))
    return torch.stack(states, dim=actions.ndim - 2)


def trajectory(
    dynamics: Model,
    initial_state: Tensor,
    actions: Tensor,
    *,
    noise: Tensor | None = None,
    checkpoint: bool = False,
) -> Iterator[Tensor]:
    """Yield the states s_0, ..., s_T of `rollout`, each (..., *S), one by one, for callers that do not need all of them at
    once.

    Arguments and errors are those of `rollout`.
    """
    _check_trajectory("initial_state", initial_state, actions)
    axes = actions.ndim - 2
    batch = broadcast("initial_state", initial_state.shape[:axes], actions.shape[:axes])
    state = initial_state.expand(*batch, *initial_state.shape[axes:])
    horizon = actions.shape[-2]
    if noise is not None:
        expected = (*batch, horizon, *initial_state.shape[axes:])
        if noise.shape != expected:
            raise ShapeError(
                "noise", f"shape {expected}", f"shape {tuple(noise.shape)}", "draw one noise a step"
            )
    model = _within_horizon(adapted("dynamics", dynamics), horizon)
    steps = (
        [model.at(t).step for t in range(horizon)]
        if isinstance(model, TimeVaryingDynamics)
        else [model.step] * horizon
    )
    # Unbound at once: T separate indexings would each have a gradient as large as all actions.
    each = actions.expand(*batch, *actions.shape[-2:]).unbind(-2)
    yield state
    for t, (step, action) in enumerate(zip(steps, each, strict=True)):
        state = (
            asked("dynamics", partial(recompute_in_backward, step, use_reentrant=False), state, action)
            if checkpoint
            else untouched(step, state, action)
        )
        if noise is not None:
            state = state + noise.select(axes, t)
        yield state


def one_step_predictions(dynamics: Model, states: Tensor, actions: Tensor) -> Float[Tensor, "*predictions"]:
    """Return F(s_t, a_t) for t = 0..T-1, all in one batched model evaluation.  Source: Section 3.1.

    Arguments
        dynamics: anything that `as_dynamics` takes.
        states: (..., T+1, *S), the trajectory s_0, ..., s_T; the last state is not stepped.
        actions: (..., T, m).

    Returns
        (..., T, *S).

    Raises
        ShapeError, DTypeError, HorizonError.
    """
    _check_trajectory("states", states, actions)
    axes, horizon = actions.ndim - 2, actions.shape[-2]
    if states.shape[: axes + 1] != (*actions.shape[:axes], horizon + 1):
        raise ShapeError(
            "states", f"leading axes {(*actions.shape[:axes], horizon + 1)}: the actions' and T+1 states",
            f"shape {tuple(states.shape)}", "pass s_0, ..., s_T for actions a_0, ..., a_{T-1}",
        )  # fmt: skip
    model = _within_horizon(adapted("dynamics", dynamics), horizon)
    return untouched(_steps(model, slice(0, horizon)), states.narrow(axes, 0, horizon), actions)


def untouched(step: Callable[[Tensor, Tensor], Tensor], state: Tensor, action: Tensor) -> Tensor:
    """Return step(state, action), and refuse a model that writes into either of them or cannot be stepped.

    Raises
        ParameterError: it does, or cannot.
    """
    if state.is_inference() or action.is_inference():  # torch keeps no count of writes into these
        return cast(Tensor, asked("dynamics", step, state, action))
    before = state._version, action._version
    following = cast(Tensor, asked("dynamics", step, state, action))
    if (state._version, action._version) != before:
        raise ParameterError(
            "dynamics", "a model that leaves its inputs as they are", "one that writes into them",
            "return a new tensor: s + a, not s.add_(a)",
        )  # fmt: skip
    return following


def is_compiled(dynamics: object) -> bool:
    """Return whether `torch.compile` made this model, or a module in it: its backward pass can be taken once only."""
    parts = list(dynamics.modules()) if isinstance(dynamics, torch.nn.Module) else [dynamics]
    # What the compiler wraps names what it wrapped; `Module.compile` keeps the compiled call beside the module's own.
    marks = ("_torchdynamo_orig_callable", "_compiled_call_impl", "_orig_mod")
    return any(getattr(part, mark, None) is not None for part in parts for mark in marks)


def asked(argument: str, function: Callable[..., Any], *inputs: Any) -> Any:
    """Return what a function of the user's makes of its inputs.

    Raises
        ParameterError: it raises an error of Python's or torch's, which this one follows.  One of its own passes, and so
            do the end of the memory and a refusal of ours.
    """
    try:
        return function(*inputs)
    except (InvalidInputError, torch.OutOfMemoryError):
        raise
    except (
        ArithmeticError, AssertionError, AttributeError, LookupError, NameError, RuntimeError, TypeError, ValueError
    ) as error:  # fmt: skip
        text, dtypes = str(error), {each.dtype: None for each in inputs if isinstance(each, Tensor)}
        given = " and ".join(
            str(tuple(each.shape)) if isinstance(each, Tensor) else shown(each) for each in inputs
        )
        hint = "call it yourself with such inputs"
        if "Long" in text:
            hint = "states and actions are real numbers: convert them inside it, such as action.long()"
        elif len(dtypes) > 1 and all(each.is_floating_point for each in dtypes):
            hint = "give all inputs one type, such as actions.to(states)"
        elif "dtype" in text or "scalar type" in text:
            hint = f"convert the model, .to({next(iter(dtypes))}), or what it is given"
        elif "'Tensor' object has no attribute" in text or "numpy" in text:
            hint = "compute with torch: it is given tensors"
        raise ParameterError(
            argument, f"a function that takes {given} of {' and '.join(map(str, dtypes))}".removesuffix(" of "),
            f"{type(error).__name__}: {text}", hint,
        ) from error  # fmt: skip


def _check_matrices(A: Tensor, B: Tensor) -> None:
    for name, matrix in (("A", A), ("B", B)):
        if not isinstance(matrix, Tensor) or not matrix.is_floating_point():
            found = str(matrix.dtype) if isinstance(matrix, Tensor) else type(matrix).__name__
            raise DTypeError(name, "a floating-point tensor", found, "convert it, for example .double()")
    if A.dtype != B.dtype:
        raise DTypeError("B", f"{A.dtype}, as A has", f"{B.dtype}", "convert one of them")
    if A.ndim < 2 or B.ndim < 2 or A.shape[-2] != A.shape[-1] or A.shape[-2] != B.shape[-2]:
        raise ShapeError(
            "A, B", "shapes (..., n, n) and (..., n, m)", f"{tuple(A.shape)} and {tuple(B.shape)}",
            "let both have a row for each component of the state",
        )  # fmt: skip
    for name, matrix in (("A", A), ("B", B)):
        if known_not_finite(matrix):
            raise NonFiniteError(name, "finite entries", "NaN or infinity", "remove them")


def known_not_finite(tensor: Tensor) -> bool:
    """Return whether a tensor has NaN or infinite entries; False where its entries cannot be looked at now."""
    try:
        return not bool(torch.isfinite(tensor).all())
    except RuntimeError:  # being traced, mapped over, or without entries (meta)
        return False


def _apply(
    matrix: Float[Tensor, "*steps rows columns"], vectors: Float[Tensor, "*batch columns"]
) -> Float[Tensor, "*broadcast rows"]:
    return torch.einsum("...ij,...j->...i", matrix, vectors)


def _steps(model: AnyDynamics, time: int | slice) -> Callable[[Tensor, Tensor], Tensor]:
    return model.at(time).step if isinstance(model, TimeVaryingDynamics) else model.step


def _within_horizon(model: AnyDynamics, horizon: int) -> AnyDynamics:
    if isinstance(model, TimeVaryingDynamics) and horizon > model.length:
        raise HorizonError(
            "actions", f"at most {model.length} steps, as many as the dynamics has", f"{horizon} steps",
            "shorten the plan or extend the dynamics",
        )  # fmt: skip
    return model


def _check_trajectory(argument: str, states: Tensor, actions: Tensor) -> None:
    """Refuse what cannot be a trajectory: only shapes and types are read, so no device waits."""
    for name, tensor in ((argument, states), ("actions", actions)):
        if not isinstance(tensor, Tensor):
            raise DTypeError(name, "a tensor", type(tensor).__name__, "convert it with torch.as_tensor")
        if not tensor.is_floating_point():
            raise DTypeError(
                name,
                "a floating-point tensor",
                str(tensor.dtype),
                "convert it: .float(), or .double() where all else is",
            )
    if actions.ndim < 2 or actions.shape[-2] < 1:
        raise ShapeError(
            "actions", "shape (..., T, m) with T >= 1", f"shape {tuple(actions.shape)}", "add a time axis"
        )
    needed = actions.ndim - 2 + (argument == "states")
    if states.ndim <= needed:
        raise ShapeError(
            argument, f"{needed} leading axes and at least one state axis", f"shape {tuple(states.shape)}",
            "give the state as many batch axes as the actions",
        )  # fmt: skip


def broadcast(argument: str, first: torch.Size, second: torch.Size) -> tuple[int, ...]:
    """Return the batch axes that two shapes have together.

    Raises
        ShapeError: they do not broadcast.
    """
    try:
        return np.broadcast_shapes(first, second)
    except ValueError as error:
        raise ShapeError(
            argument,
            f"batch axes that broadcast with {tuple(second)}",
            f"{tuple(first)}",
            "align the batch axes",
        ) from error
