"""Gauss–Hermite quadrature: exactness, its error estimate, and what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_theory.smoothing import Absolute, Polynomial, Step, expected_gradient, smooth, smooth_gradient
from linear_systems.errors import NonFiniteError, ParameterError, PrecisionLossError, ShapeError


def runge(points: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.sum(points**2, axis=-1))


@given(st.integers(0, 2**32), st.floats(0.2, 1.0))
def test_polynomials_are_exact_to_rounding(seed: int, sigma: float) -> None:
    rng = np.random.default_rng(seed)
    loss, points = Polynomial(rng.standard_normal((6, 4))), rng.standard_normal((3, 2))
    found = smooth(loss.value, sigma, points, 2)
    assert np.max(np.abs(found.value - loss.smoothed(sigma).value(points))) <= found.error


def test_a_function_with_poles_nearby_takes_a_higher_order_and_keeps_its_error() -> None:
    found = smooth(runge, 1.0, np.array([0.5]), 1, tolerance=1e-8)
    # E[1/(1+(s+Z)²)] = √(π/2) Re w((s + i)/√2), the Faddeeva function.
    from scipy.special import wofz

    exact = math.sqrt(math.pi / 2.0) * wofz((0.5 + 1j) / math.sqrt(2.0)).real
    assert found.order > 100
    assert abs(float(found.value) - exact) <= found.error
    assert found.error <= 1e-8


def test_steins_identity_agrees_with_the_expected_gradient() -> None:
    def gradient(points: np.ndarray) -> np.ndarray:
        return -2.0 * points * runge(points)[..., None] ** 2

    points = np.array([[0.2, -0.3]])
    left = smooth_gradient(runge, 0.3, points, 2, tolerance=1e-7)
    right = expected_gradient(gradient, 0.3, points, 2, tolerance=1e-7)
    assert np.max(np.abs(left.value - right.value)) <= left.error + right.error


@pytest.mark.parametrize("point", [0.0, 0.01, 0.1, 1.0])
def test_a_jump_or_a_corner_is_refused_rather_than_smeared(point: float) -> None:
    at = np.array([point])
    if point:  # at the jump itself every symmetric rule is exact
        with pytest.raises(PrecisionLossError, match="not smooth"):
            smooth(Step(np.ones(1)).value, 1.0, at, 1)
    with pytest.raises(PrecisionLossError, match="not smooth"):
        smooth(Absolute(np.ones(1)).value, 1.0, at, 1)


def test_an_expectation_that_does_not_exist_is_refused() -> None:
    with np.errstate(over="ignore"), pytest.raises((PrecisionLossError, NonFiniteError)):
        smooth(lambda points: np.exp(points[..., 0] ** 2), 1.0, np.zeros(1), 1)


def test_refusals() -> None:
    with pytest.raises(ParameterError, match="dim"):
        smooth(runge, 1.0, np.zeros(3), 3)
    with pytest.raises(ParameterError, match="sigma"):
        smooth(runge, -1.0, np.zeros(1), 1)
    with pytest.raises(ParameterError, match="tolerance"):
        smooth(runge, 1.0, np.zeros(1), 1, tolerance=0.0)
    with pytest.raises(ShapeError, match="points"):
        smooth(runge, 1.0, np.zeros(2), 1)
    with pytest.raises(ShapeError, match="loss"):
        smooth(lambda points: points, 1.0, np.zeros(1), 1)
    with pytest.raises(ShapeError, match="gradient"):
        expected_gradient(runge, 1.0, np.zeros(1), 1)
    with pytest.raises(NonFiniteError, match="quadrature nodes"):
        smooth(lambda points: np.full(points.shape[:-1], np.nan), 1.0, np.zeros(1), 1)
