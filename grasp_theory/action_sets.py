"""Sets of actions that a plan may use: `Box`, `Balls`, `Held`, and the protocol of any other.

Planners project every action that they try onto the set, so it should be the set of actions that the world executes
unchanged.
"""

from __future__ import annotations

import numbers
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from grasp_theory.boundary import as_tensor
from linear_systems.checked import checked
from linear_systems.errors import DTypeError, NonFiniteError, ParameterError, ShapeError
from linear_systems.validation import positive_float, positive_integer

_FLOAT64 = torch.empty((), dtype=torch.float64)
Bound = Tensor | ArrayLike
"""A number for all components of an action, or one for each, (m,)."""


@runtime_checkable
class ActionSet(Protocol):
    """A set of actions, of any shape."""

    def project(self, actions: Tensor) -> Tensor:
        """Return actions (..., m) moved into the set; those inside stay as they are, and NaN stays NaN."""


@checked
@dataclass(frozen=True, eq=False)
class Box:
    """{a : low <= a <= high} in each component; low = high holds a component still.

    Arguments
        low: a number or m numbers, in units of the actions; −inf for no bound.
        high: the same; inf for no bound.

    Raises
        ShapeError: a bound with more than one axis, or bounds of different lengths.
        NonFiniteError: a bound is NaN.
        ParameterError: low > high.
    """

    low: Bound
    high: Bound

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            bound = getattr(self, name)
            if isinstance(bound, numbers.Complex) and not isinstance(bound, numbers.Real):
                raise DTypeError(name, "real numbers", repr(bound), "pass floats")
            if isinstance(bound, int):
                positive_float(name, abs(bound), allow_zero=True)  # within the range of float64
            elif not isinstance(bound, float):
                object.__setattr__(self, name, as_tensor(name, bound, _FLOAT64))
        for name in ("low", "high"):
            if torch.as_tensor(getattr(self, name)).dtype in (torch.bool, torch.complex64, torch.complex128):
                raise DTypeError(name, "real numbers", repr(getattr(self, name)), "pass floats")
        low, high = (torch.as_tensor(bound, dtype=torch.float64).cpu() for bound in (self.low, self.high))
        if (
            low.ndim > 1
            or high.ndim > 1
            or 0 in (low.numel(), high.numel())
            or (low.ndim and high.ndim and low.shape != high.shape)
        ):
            raise ShapeError(
                "low, high", "numbers, or one number for each component of an action",
                f"shapes {tuple(low.shape)} and {tuple(high.shape)}", "pass bounds of shape () or (m,)",
            )  # fmt: skip
        if bool(low.isnan().any() or high.isnan().any()):
            raise NonFiniteError(
                "low, high", "numbers", f"{low.tolist()}, {high.tolist()}",
                "replace NaN; -inf and inf mean no bound",
            )  # fmt: skip
        if not bool((low <= high).all()):
            raise ParameterError(
                "low, high", "low <= high", f"{low.tolist()} and {high.tolist()}", "swap them"
            )

    def project(self, actions: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch m"]:
        """Return the actions clipped to the bounds.

        Raises
            ShapeError: the bounds have another number of components than the actions.
        """
        _check(actions)
        for bound in (self.low, self.high):
            if isinstance(bound, Tensor) and bound.ndim and len(bound) != actions.shape[-1]:
                raise ShapeError(
                    "actions", f"{len(bound)} components, as the bounds have", f"{actions.shape[-1]}",
                    "pass one bound for each component",
                )  # fmt: skip
        low: Any = self.low
        high: Any = self.high
        if not isinstance(low, Tensor) and not isinstance(high, Tensor):
            return torch.clamp(actions, low, high)
        return torch.clamp(actions, _as(low, actions), _as(high, actions))

    def to(self, like: Tensor) -> Box:
        """Return the box with its bounds in the dtype and on the device of `like`.

        Arguments
            like: a tensor of any shape.
        """
        return replace(self, low=_as(self.low, like), high=_as(self.high, like))


@checked
@dataclass(frozen=True)
class Balls:
    """Consecutive groups of `size` components, each of Euclidean length <= `radius`; longer ones are shortened.

    For example, an actuator moves a point by at most `radius`, and one action holds several of its steps.

    Arguments
        radius: >= 0, in units of the actions.
        size: components of a group; it divides m.

    Raises
        ParameterError: a value outside its domain.
    """

    radius: float
    size: int

    def __post_init__(self) -> None:
        positive_float("radius", self.radius, allow_zero=True)
        positive_integer("size", self.size)

    def project(self, actions: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch m"]:
        """Return the actions with every group shortened to the radius, up to rounding.

        Raises
            ShapeError: the number of components is not a multiple of `size`.
        """
        _check(actions)
        groups = _groups(actions, self.size)
        # In float64, where squares of float32 do not overflow.
        length = torch.linalg.vector_norm(groups, dim=-1, keepdim=True, dtype=torch.float64)
        shorter = torch.where(length > self.radius, self.radius / length, 1.0).to(actions.dtype)
        return (groups * shorter).reshape(actions.shape)


@checked
@dataclass(frozen=True)
class Held:
    """The actions of another set whose consecutive groups of `size` components are all the same.

    A model action often stacks several actions of the world; held, the world gets one of them repeated.  That is a prior:
    it leaves out the jagged plans that a learned model has never seen and believes most easily (docs/world_models.md).
    The projection onto {(x, …, x) : x ∈ C}, C the other set's groups, is P_C of the groups' mean.

    Arguments
        allowed: a set whose groups of `size` components are alike and independent, such as `Box` with numbers as bounds or
            `Balls` of this size.
        size: components of one of the world's actions; it divides m.

    Raises
        ParameterError: a value outside its domain, or `allowed` is no action set.
    """

    allowed: ActionSet
    size: int

    def __post_init__(self) -> None:
        positive_integer("size", self.size)
        if not isinstance(self.allowed, ActionSet):
            raise ParameterError(
                "allowed",
                "an object with `project(actions)`",
                type(self.allowed).__name__,
                "pass a Box or Balls",
            )

    def project(self, actions: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch m"]:
        """Return the nearest held actions of the set.

        Raises
            ShapeError: the number of components is not a multiple of `size`.
        """
        _check(actions)
        groups = _groups(actions, self.size)
        held = groups.mean(-2, keepdim=True).expand_as(groups)
        still = (groups == groups[..., :1, :]).all(-2, keepdim=True)
        return self.allowed.project(torch.where(still, groups, held).reshape(actions.shape))


def _check(actions: Tensor) -> None:
    """Refuse what is no tensor of actions, but not in a graph that is being captured: its inputs have been seen."""
    if not torch.compiler.is_compiling():
        _see(actions)


@checked
def _see(actions: Float[Tensor, "*batch m"]) -> None:
    pass


def _groups(actions: Float[Tensor, "*batch m"], size: int) -> Float[Tensor, "*batch k size"]:
    if actions.shape[-1] % size or not actions.numel():
        raise ShapeError(
            "actions", f"actions of a multiple of {size} components", f"shape {tuple(actions.shape)}",
            "let size divide the components of an action",
        )  # fmt: skip
    return actions.reshape(*actions.shape[:-1], -1, size)


def _as(bound: Bound, like: Tensor) -> Tensor:
    return torch.as_tensor(bound, dtype=like.dtype, device=like.device)
