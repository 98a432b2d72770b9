"""What the user hands over, checked where it comes in: tensors, and a model tried once."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor, nn

from grasp_theory.dynamics import AnyDynamics, TimeVaryingDynamics, next_states, untouched
from linear_systems.annotations import shown
from linear_systems.errors import (
    DTypeError,
    InvalidInputError,
    NonFiniteError,
    ParameterError,
    ShapeError,
)

PLANNING_TYPES = (torch.float32, torch.float64)
"""In half precision the squares of the losses overflow and Adam's ε is zero."""
MOST_ACTIONS = 64
"""Action dimensions that are tried to find the one that a model takes."""
_DEPTH = 3
"""How deep a model's modules are searched for: in a function, in what it calls, and in what that calls."""


def as_tensor(argument: str, value: object, like: Tensor | None = None) -> Tensor:
    """Return a tensor as it is, an array as a copy, and nested numbers in the type of `like`.

    Raises
        DTypeError: it is none of these, or is sparse.
    """
    hint = (
        "stack the parts into one dense tensor" if isinstance(value, list | tuple | dict) else "give numbers"
    )
    if isinstance(value, Tensor):
        if value.layout != torch.strided:
            raise DTypeError(argument, "a dense tensor", f"layout {value.layout}", "call .to_dense()")
        if value.is_meta:
            raise ParameterError(argument, "a tensor with entries", "one on meta", "move it to a real device")
        if value.dtype in (torch.float16, torch.bfloat16):
            raise DTypeError(argument, "float32 or float64", f"{value.dtype}", "convert it: .float()")
        return value.clone() if value.is_inference() and not torch.is_inference_mode_enabled() else value
    if isinstance(value, np.ma.MaskedArray):
        raise DTypeError(argument, "an array without a mask", "a masked array", "fill or drop what is masked")
    device = None if like is None else like.device
    try:
        if isinstance(value, np.ndarray):
            return torch.tensor(value, device=device)
        dtype = torch.get_default_dtype() if like is None else like.dtype
        if dtype != torch.bool and torch.tensor(value).dtype == torch.bool:
            raise TypeError("truth values")
        return torch.tensor(value, dtype=dtype, device=device)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise DTypeError(
            argument, "a tensor, an array or nested numbers", type(value).__name__, hint
        ) from error


def as_device(argument: str, value: torch.device | str) -> torch.device:
    """Return a device of this machine that holds numbers.

    Raises
        ParameterError: there is none of that name, or it is `meta`.
    """

    def refuse(found: str) -> ParameterError:
        return ParameterError(
            argument, "cpu, cuda or cuda:<index> of this machine", found, "leave it out for the CPU"
        )

    try:
        device = torch.device(value)
    except RuntimeError as error:
        raise refuse(shown(value)) from error
    if device.type == "meta" or (device.type == "cpu" and device.index):
        raise refuse(shown(str(value)))
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise refuse(f"{shown(str(value))} of {torch.cuda.device_count()} CUDA devices")
    return device


def check_states(argument: str, tensor: Tensor, like: Tensor) -> None:
    """Refuse states that are not (B, *S) like `like`, of a type that planning works in, and finite."""
    if tensor.ndim < 2 or tensor.shape[0] == 0:
        raise ShapeError(
            argument, "shape (B, *S) with B >= 1", f"shape {tuple(tensor.shape)}", "add a batch axis"
        )
    if tensor.shape != like.shape:
        raise ShapeError(
            argument, f"shape {tuple(like.shape)}, that of initial_state", f"shape {tuple(tensor.shape)}",
            "pass one goal for each problem, shaped as a state",
        )  # fmt: skip
    if tensor.dtype not in PLANNING_TYPES or tensor.dtype != like.dtype:
        if like is tensor:
            raise DTypeError(argument, "float32 or float64", f"{tensor.dtype}", "convert it: .float()")
        raise DTypeError(
            argument, f"{like.dtype}, as initial_state", f"{tensor.dtype}", "convert it: .to(initial_state)"
        )
    if tensor.device != like.device:
        raise ParameterError(
            argument, f"a tensor on {like.device}", f"one on {tensor.device}", "move it: .to(initial_state)"
        )
    check_finite(argument, tensor)


def check_finite(argument: str, tensor: Tensor) -> None:
    """Refuse NaN and infinity."""
    if not bool(torch.isfinite(tensor).all()):
        raise NonFiniteError(argument, "finite entries", "NaN or infinity", "remove such rows")


def as_booleans(argument: str, found: object, count: int, hint: str) -> Tensor:
    """Return the answer of a function of the user's as booleans (count,).

    Raises
        ShapeError: it is something else.
    """
    try:
        answer = found if isinstance(found, Tensor) else np.asarray(found)
    except (TypeError, ValueError, RuntimeError):
        answer = np.asarray(None)
    if answer.shape != (count,) or answer.dtype not in (torch.bool, np.bool_):
        told = hasattr(found, "shape") or isinstance(found, list)
        raise ShapeError(
            argument, f"booleans of shape ({count},)",
            f"shape {tuple(answer.shape)} of {answer.dtype}" if told else shown(found),
            hint + f"; it was given {count} rows, and should use its arguments alone" * (told and answer.shape != (count,)),
        )  # fmt: skip
    return torch.as_tensor(answer)


def try_model(model: AnyDynamics, state: Tensor, action_dim: int) -> None:
    """Step the model once from states (N, *S) with zero actions, and warn of modules in training mode.

    Raises
        DTypeError, ShapeError, ParameterError: it cannot be stepped, writes into its inputs, or returns something
            other than a next state for each like the states.
    """
    warn_of_training(model)
    step = model.at(0).step if isinstance(model, TimeVaryingDynamics) else model.step

    def attempt(dtype: torch.dtype, dimension: int) -> object:
        with torch.no_grad():
            start = state.to(dtype, copy=True)
            return untouched(step, start, start.new_zeros(len(start), dimension))

    try:
        following = next_states(attempt(state.dtype, action_dim), state)
    except ParameterError as error:
        if error.__cause__ is None:  # a refusal of ours, not what the model raised
            raise
        raise _explained(attempt, state, action_dim, error) from error.__cause__
    if following.dtype != state.dtype:
        raise DTypeError(
            "dynamics", f"next states of {state.dtype}, that of the states", f"{following.dtype}",
            f"convert what the model computes with, such as torch.tensor(..., dtype={state.dtype}), or what it returns",
        )  # fmt: skip


def _explained(
    attempt: Callable[[torch.dtype, int], object], state: Tensor, action_dim: int, error: InvalidInputError
) -> InvalidInputError:
    """Return the error that says what the model takes instead, if that is a matter of type or of length."""

    def works(dtype: torch.dtype, dimension: int) -> bool:
        try:
            attempt(dtype, dimension)
        except Exception:
            return False
        return True

    for dtype in PLANNING_TYPES:
        if dtype != state.dtype and works(dtype, action_dim):
            return DTypeError(
                "initial_state", f"{dtype}, which the model takes", f"{state.dtype}",
                f"convert states and goals with .to({dtype}), or the model with .to({state.dtype})",
            )  # fmt: skip
    for dimension in range(1, MOST_ACTIONS + 1):
        if dimension != action_dim and works(state.dtype, dimension):
            return ShapeError(
                "action_dim", f"{dimension}, which the model takes", f"{action_dim}",
                "pass the length of a model action",
            )  # fmt: skip
    return error


def warn_of_training(model: object) -> None:
    """Warn of modules that behave differently in training mode: dropout, and normalisation by batch statistics."""
    names = dict.fromkeys(
        f"{name or 'the model'} ({type(module).__name__})"
        for name, module in _modules(model, _DEPTH)
        if module.training and _differs_in_training(module)
    )
    if names:
        warnings.warn(
            f"dynamics: in training mode: {', '.join(names)}.  Plans are then judged by another model than the one "
            "that is used in evaluation: call .eval() on it.",
            stacklevel=5,
        )


def _differs_in_training(module: nn.Module) -> bool:
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0
    if isinstance(module, nn.RNNBase | nn.MultiheadAttention):
        return module.dropout > 0
    return isinstance(module, nn.modules.batchnorm._BatchNorm | nn.RReLU)


def _modules(model: object, depth: int) -> Iterator[tuple[str, nn.Module]]:
    """Yield the modules of a module, or of those that a function or an object holds."""
    if isinstance(model, nn.Module):
        yield from model.named_modules()
        return
    if depth == 0 or inspect.isclass(model) or inspect.ismodule(model):
        return
    held: dict[str, object] = {}
    if isinstance(model, functools.partial):
        held = {"func": model.func, **{str(i): each for i, each in enumerate(model.args)}, **model.keywords}
    elif inspect.ismethod(model):
        held = {"self": model.__self__}
    elif inspect.isfunction(model):
        variables = inspect.getclosurevars(model)
        held = {**variables.globals, **variables.nonlocals}
    elif hasattr(model, "__dict__"):
        held = vars(model)
    for name, value in held.items():
        for inner, module in _modules(value, depth - 1):
            yield (f"{name}.{inner}" if inner else name), module
