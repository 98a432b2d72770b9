"""Linear dynamics s_{t+1} = A_t s_t + B_t a_t, time-invariant or time-varying."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike, NDArray

from linear_systems.checked import checked
from linear_systems.errors import EmptySystemError, ShapeError
from linear_systems.validation import horizon_of, real_array


@checked
@dataclass(frozen=True, eq=False)
class LinearSystem:
    """Time-invariant dynamics s_{t+1} = A s_t + B a_t.  Source: Eq. (16).

    Arguments
        A: (n, n) state matrix, real floating point, finite.
        B: (n, m) input matrix, real floating point, finite.
    Both are copied, widened to float64 and made read-only.

    Raises
        ShapeError, DTypeError, NonFiniteError, EmptySystemError.
    """

    A: NDArray[np.float64]
    B: NDArray[np.float64]

    def __init__(self, A: ArrayLike, B: ArrayLike) -> None:
        a, b = real_array("A", A, ndim=2), real_array("B", B, ndim=2)
        _check_shapes(a, b)
        _freeze(self, a, b)

    @property
    def state_dim(self) -> int:
        """The state dimension n."""
        return int(self.B.shape[-2])

    @property
    def action_dim(self) -> int:
        """The action dimension m."""
        return int(self.B.shape[-1])

    @property
    def length(self) -> int | None:
        """None: a time-invariant system has every horizon."""
        return None

    @checked
    def matrices(self, horizon: int) -> tuple[Float[np.ndarray, "T n n"], Float[np.ndarray, "T n m"]]:
        """Return A_t and B_t for t = 0..T-1 as read-only views (no copy is made).

        Arguments
            horizon: T >= 1, in steps.
        """
        steps = horizon_of(self, horizon)
        return np.broadcast_to(self.A, (steps, *self.A.shape)), np.broadcast_to(
            self.B, (steps, *self.B.shape)
        )

    @checked
    def step(self, state: ArrayLike, action: ArrayLike) -> Float[np.ndarray, "*batch n"]:
        """Return A s + B a for states (..., n) and actions (..., m); the leading axes broadcast.

        Arguments
            state: (..., n).
            action: (..., m).
        """
        s, a = _states(self, state), _actions(self, action)
        return s @ self.A.T + a @ self.B.T

    @checked
    def rollout(self, initial_state: ArrayLike, actions: ArrayLike) -> Float[np.ndarray, "*batch steps n"]:
        """Return the states (..., T+1, n) visited from `initial_state` (..., n) under `actions` (..., T, m)."""
        return _rollout(self, initial_state, actions)


@checked
@dataclass(frozen=True, eq=False)
class TimeVaryingLinearSystem:
    """Time-varying dynamics s_{t+1} = A_t s_t + B_t a_t for t = 0..length-1.

    This is what the linearisation of a learned model along a plan gives.

    Arguments
        A: (length, n, n), B: (length, n, m); real floating point, finite.  Copied, float64, read-only.

    Raises
        ShapeError, DTypeError, NonFiniteError, EmptySystemError.
    """

    A: NDArray[np.float64]
    B: NDArray[np.float64]

    def __init__(self, A: ArrayLike, B: ArrayLike) -> None:
        a, b = real_array("A", A, ndim=3), real_array("B", B, ndim=3)
        if a.shape[0] != b.shape[0]:
            raise ShapeError(
                "B", f"{a.shape[0]} time steps like A", f"shape {b.shape}", "give A and B the same first axis"
            )
        _check_shapes(a, b)
        _freeze(self, a, b)

    @property
    def state_dim(self) -> int:
        """The state dimension n."""
        return int(self.B.shape[-2])

    @property
    def action_dim(self) -> int:
        """The action dimension m."""
        return int(self.B.shape[-1])

    @property
    def length(self) -> int | None:
        """The number of time steps, which no horizon may exceed."""
        return int(self.A.shape[0])

    @checked
    def matrices(self, horizon: int) -> tuple[Float[np.ndarray, "T n n"], Float[np.ndarray, "T n m"]]:
        """Return A_t and B_t for t = 0..T-1 as read-only views.

        Arguments
            horizon: T >= 1, in steps.
        """
        steps = horizon_of(self, horizon)
        return self.A[:steps], self.B[:steps]

    @checked
    def step(self, state: ArrayLike, action: ArrayLike, time: int) -> Float[np.ndarray, "*batch n"]:
        """Return A_t s + B_t a at t = `time` for states (..., n) and actions (..., m).

        Arguments
            state: (..., n).
            action: (..., m).
            time: t, from 0 to its length − 1.
        """
        horizon_of(self, time + 1)
        s, a = _states(self, state), _actions(self, action)
        return np.asarray(s @ self.A[time].T + a @ self.B[time].T)

    @checked
    def rollout(self, initial_state: ArrayLike, actions: ArrayLike) -> Float[np.ndarray, "*batch steps n"]:
        """Return the states (..., T+1, n) visited from `initial_state` (..., n) under `actions` (..., T, m)."""
        return _rollout(self, initial_state, actions)


AnySystem = LinearSystem | TimeVaryingLinearSystem


def _check_shapes(a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    if 0 in a.shape or 0 in b.shape:
        raise EmptySystemError(
            "A and B", "at least one state, one action and one time step", f"shapes {a.shape} and {b.shape}",
            "pass matrices with no axis of length 0",
        )  # fmt: skip
    if a.shape[-1] != a.shape[-2]:
        raise ShapeError("A", "square matrices", f"shape {a.shape}", "pass A with shape (n, n)")
    if b.shape[-2] != a.shape[-1]:
        raise ShapeError(
            "B",
            f"{a.shape[-1]} rows, as A has",
            f"shape {b.shape}",
            "pass B with shape (n, m), one row a state",
        )


def _freeze(system: AnySystem, a: NDArray[np.float64], b: NDArray[np.float64]) -> None:
    for name, array in (("A", a), ("B", b)):
        array.setflags(write=False)
        object.__setattr__(system, name, array)


def _states(system: AnySystem, state: ArrayLike, argument: str = "state") -> NDArray[np.float64]:
    s = real_array(argument, state)
    if s.ndim < 1 or s.shape[-1] != system.state_dim:
        raise ShapeError(
            argument, f"a last axis of length {system.state_dim}", f"shape {s.shape}", "put the state last"
        )
    return s


def _actions(system: AnySystem, action: ArrayLike, argument: str = "action") -> NDArray[np.float64]:
    a = real_array(argument, action)
    if a.ndim < 1 or a.shape[-1] != system.action_dim:
        raise ShapeError(
            argument, f"a last axis of length {system.action_dim}", f"shape {a.shape}", "put the action last"
        )
    return a


def _rollout(system: AnySystem, initial_state: ArrayLike, actions: ArrayLike) -> NDArray[np.float64]:
    state, acts = _states(system, initial_state, "initial_state"), _actions(system, actions, "actions")
    if acts.ndim < 2:
        raise ShapeError("actions", "shape (..., T, m)", f"shape {acts.shape}", "add a time axis")
    A, B = system.matrices(acts.shape[-2])
    states = [
        np.broadcast_to(state, (*np.broadcast_shapes(state.shape[:-1], acts.shape[:-2]), state.shape[-1]))
    ]
    for t in range(acts.shape[-2]):
        states.append(states[-1] @ A[t].T + acts[..., t, :] @ B[t].T)
    return np.stack(states, axis=-2)
