"""Systems: what they accept, what they refuse and by which error, and how they step."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from system_strategies import systems, time_varying_systems

from linear_systems import AnySystem, LinearSystem, TimeVaryingLinearSystem
from linear_systems.errors import (
    DTypeError,
    EmptySystemError,
    HorizonError,
    InvalidInputError,
    NonFiniteError,
    ShapeError,
)
from linear_systems.rounding import rounding_allowance
from linear_systems.validation import horizon_of

A, B = np.array([[1.0, 0.1], [0.0, 1.0]]), np.array([[0.0], [0.1]])


def _with(array: np.ndarray, value: float) -> np.ndarray:
    changed = array.copy()
    changed.flat[0] = value
    return changed


BAD_MATRICES: list[tuple[Any, Any, type[InvalidInputError], str]] = [
    (A.astype(int), B, DTypeError, "A"),
    (A, B.astype(bool), DTypeError, "B"),
    (A.astype(complex), B, DTypeError, "A"),
    (A, B.astype(np.longdouble), DTypeError, "B"),
    (A.tolist(), [["x"], ["y"]], DTypeError, "B"),
    (_with(A, np.nan), B, NonFiniteError, "A"),
    (A, _with(B, np.inf), NonFiniteError, "B"),
    (A, _with(B, -np.inf), NonFiniteError, "B"),
    (A[0], B, ShapeError, "A"),
    (A, B[:, 0], ShapeError, "B"),
    (A[None], B, ShapeError, "A"),
    (A[:, :1], B, ShapeError, "A"),
    (A, B[:1], ShapeError, "B"),
    ([[1.0, 2.0], [3.0]], B, ShapeError, "A"),
    (np.zeros((0, 0)), np.zeros((0, 1)), EmptySystemError, "A and B"),
    (A, np.zeros((2, 0)), EmptySystemError, "A and B"),
]
BAD_SERIES: list[tuple[Any, Any, type[InvalidInputError], str]] = [
    (np.stack([A] * 3), np.stack([B] * 2), ShapeError, "B"),
    (A, B, ShapeError, "A"),
    (np.stack([A] * 2)[:, :, :1], np.stack([B] * 2), ShapeError, "A"),
    (np.stack([A] * 2), np.stack([B] * 2)[:, :1], ShapeError, "B"),
    (np.zeros((0, 2, 2)), np.zeros((0, 2, 1)), EmptySystemError, "A and B"),
    (np.stack([A, A * np.nan]), np.stack([B] * 2), NonFiniteError, "A"),
    (np.stack([A] * 2).astype(np.int64), np.stack([B] * 2), DTypeError, "A"),
]


@pytest.mark.parametrize(("a", "b", "error", "argument"), BAD_MATRICES)
def test_bad_matrices_have_their_own_error(
    a: Any, b: Any, error: type[InvalidInputError], argument: str
) -> None:
    with pytest.raises(error) as caught:
        LinearSystem(a, b)
    assert type(caught.value) is error
    assert caught.value.argument == argument


@pytest.mark.parametrize(("a", "b", "error", "argument"), BAD_SERIES)
def test_bad_series_have_their_own_error(
    a: Any, b: Any, error: type[InvalidInputError], argument: str
) -> None:
    with pytest.raises(error) as caught:
        TimeVaryingLinearSystem(a, b)
    assert type(caught.value) is error
    assert caught.value.argument == argument


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floating_types_widen_without_loss(dtype: Any) -> None:
    system = LinearSystem(A.astype(dtype), B.astype(dtype))
    assert system.A.dtype == system.B.dtype == np.float64
    np.testing.assert_array_equal(system.A, A.astype(dtype))


def test_a_system_is_a_frozen_copy() -> None:
    a = A.copy()
    system = LinearSystem(a, B)
    a[0, 0] = 7.0
    assert system.A[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        system.A[0, 0] = 7.0
    with pytest.raises(dataclasses.FrozenInstanceError):
        system.A = a  # type: ignore[misc]


@pytest.mark.parametrize("varying", [False, True])
def test_bad_horizons(varying: bool) -> None:
    system = TimeVaryingLinearSystem(A[None], B[None]) if varying else LinearSystem(A, B)
    for horizon in (0, -1, True):
        with pytest.raises(HorizonError):
            system.matrices(horizon)
    # What is not an int is refused by the run-time type check in the tests, and by this check without it.
    for value in (2.0, None, "3"):
        with pytest.raises(HorizonError):
            horizon_of(system, value)


def test_a_time_varying_system_ends() -> None:
    system = TimeVaryingLinearSystem(np.stack([A] * 3), np.stack([B] * 3))
    assert system.length == 3
    with pytest.raises(HorizonError, match="at most 3"):
        system.matrices(4)
    with pytest.raises(HorizonError):
        system.step(np.zeros(2), np.zeros(1), 3)
    with pytest.raises(HorizonError):
        system.rollout(np.zeros(2), np.zeros((4, 1)))


@pytest.mark.parametrize(
    ("state", "action", "argument"),
    [(np.zeros(3), np.zeros(1), "state"), (np.zeros(2), np.zeros(2), "action")],
)
def test_step_checks_its_last_axes(state: np.ndarray, action: np.ndarray, argument: str) -> None:
    with pytest.raises(ShapeError) as caught:
        LinearSystem(A, B).step(state, action)
    assert caught.value.argument == argument


def test_rollout_needs_a_time_axis() -> None:
    with pytest.raises(ShapeError):
        LinearSystem(A, B).rollout(np.zeros(2), np.zeros(1))


@given(st.one_of(systems(), time_varying_systems()), st.integers(0, 2**32 - 1))
def test_rollout_is_repeated_steps_and_rows_are_independent(system: AnySystem, seed: int) -> None:
    rng = np.random.default_rng(seed)
    horizon = min(system.length or 5, 5)
    start, actions = (
        rng.standard_normal((3, system.state_dim)),
        rng.standard_normal((3, horizon, system.action_dim)),
    )
    states = system.rollout(start, actions)
    assert states.shape == (3, horizon + 1, system.state_dim)
    np.testing.assert_array_equal(states[:, 0], start)
    a, b = system.matrices(horizon)
    for t in range(horizon):
        time = () if isinstance(system, LinearSystem) else (t,)
        stepped = system.step(states[:, t], actions[:, t], *time)
        direct = np.einsum("ij,kj->ki", a[t], states[:, t]) + np.einsum("ij,kj->ki", b[t], actions[:, t])
        size = system.state_dim + system.action_dim
        scale = (
            np.abs(a[t]).sum() * np.abs(states[:, t]).max() + np.abs(b[t]).sum() * np.abs(actions[:, t]).max()
        )
        allowance = rounding_allowance(float(scale), size)
        assert np.abs(states[:, t + 1] - direct).max() <= allowance
        assert np.abs(states[:, t + 1] - stepped).max() <= allowance
    alone = system.rollout(start[1], actions[1])
    scale = np.abs(states[1]).max(axis=-1, keepdims=True)
    growth = np.linalg.norm(a, 2, axis=(1, 2)).max() ** horizon + 1.0
    assert np.all(np.abs(alone - states[1]) <= rounding_allowance(float(scale.max() * growth), 20))


@given(time_varying_systems())
def test_a_constant_series_is_the_time_invariant_system(system: TimeVaryingLinearSystem) -> None:
    assert system.length is not None
    constant = LinearSystem(system.A[0], system.B[0])
    series = TimeVaryingLinearSystem(np.stack([system.A[0]] * 4), np.stack([system.B[0]] * 4))
    rng = np.random.default_rng(0)
    start, actions = rng.standard_normal(system.state_dim), rng.standard_normal((4, system.action_dim))
    np.testing.assert_array_equal(series.rollout(start, actions), constant.rollout(start, actions))
    for ours, theirs in zip(series.matrices(3), constant.matrices(3), strict=True):
        np.testing.assert_array_equal(ours, theirs)
