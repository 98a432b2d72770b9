"""Balls: conversions lose nothing, precision grows until a result resolves, signs are never guessed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import arb, arb_mat, ctx
from hypothesis import given
from hypothesis import strategies as st

from linear_systems.errors import FloatOverflowError, PrecisionLossError
from linear_systems.exact.balls import (
    PRECISIONS,
    Scaled,
    Unresolved,
    ball_matrix,
    largest_eigenvalue,
    negative_eigenvalues,
    resolved,
    to_floats,
    to_scaled_floats,
)
from linear_systems.rounding import rounding_allowance


def _symmetric(seed: int, size: int) -> np.ndarray:
    matrix = np.random.default_rng(seed).standard_normal((size, size))
    return matrix + matrix.T


@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(0, 5), st.integers(-1000, 900))
def test_floats_survive_the_round_trip(seed: int, rows: int, columns: int, power: int) -> None:
    matrix = np.ldexp(np.random.default_rng(seed).standard_normal((rows, columns)), power)
    np.testing.assert_array_equal(to_floats(ball_matrix(matrix)), matrix)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(-5000, 5000))
def test_largest_eigenvalue_at_any_scale(seed: int, size: int, power: int) -> None:
    root = np.random.default_rng(seed).standard_normal((size, size))
    expected = float(np.linalg.eigvalsh(root @ root.T)[-1])
    with ctx.workprec(PRECISIONS[0]):
        found = largest_eigenvalue(ball_matrix(root) * ball_matrix(root).transpose() * arb((1, power)))
    assert math.ldexp(found.mantissa, found.exponent - power) == pytest.approx(
        expected, rel=rounding_allowance(1, size)
    )
    assert found.log2() == pytest.approx(math.log2(expected) + power, abs=1e-12)


def test_zero() -> None:
    assert largest_eigenvalue(ball_matrix(np.zeros((2, 2)))) == Scaled(0.0, 0)
    assert Scaled(0.0, 0).log() == -math.inf
    assert Scaled(0.0, 0).to_float("x", "y") == 0.0


def test_wide_balls_are_refused() -> None:
    wide = arb_mat([[arb(1.0, 1e-3)]])
    for convert in (to_floats, to_scaled_floats, largest_eigenvalue):
        with pytest.raises(Unresolved):
            convert(wide)
    with pytest.raises(Unresolved):
        negative_eigenvalues(arb_mat([[arb(0.0, 1e-30)]]))


@given(st.integers(0, 2**32 - 1), st.integers(1, 7), st.floats(-3, 3))
def test_negative_eigenvalues_are_counted(seed: int, size: int, shift: float) -> None:
    matrix = _symmetric(seed, size) - shift * np.eye(size)
    assert negative_eigenvalues(ball_matrix(matrix)) == np.sum(np.linalg.eigvalsh(matrix) < 0)


def test_precision_grows_and_is_restored() -> None:
    before, tried = ctx.prec, []

    def compute() -> int:
        tried.append(ctx.prec)
        if ctx.prec < 1000:
            raise Unresolved
        return ctx.prec

    assert resolved(compute, "x") == 1024
    assert tried == [128, 256, 512, 1024]
    assert ctx.prec == before


def test_precision_ends() -> None:
    def compute() -> None:
        raise ZeroDivisionError

    with pytest.raises(PrecisionLossError, match=f"Widgets cancels to less than 2\\^-{PRECISIONS[-1]}"):
        resolved(compute, "Widgets")


def test_scaled_numbers_leave_float64_loudly() -> None:
    assert Scaled(0.75, 3).to_float("x", "y") == 6.0
    with pytest.raises(FloatOverflowError, match="log_x"):
        Scaled(0.75, 2000).to_float("x", "log_x")
    with pytest.raises(PrecisionLossError, match="log_x"):
        Scaled(0.75, -2000).to_float("x", "log_x")
    assert Scaled(0.75, -2000).log() == pytest.approx(math.log(0.75) - 2000 * math.log(2))
