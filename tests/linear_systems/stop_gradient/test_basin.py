"""Block growth against dense powers; the radius; refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linear_systems.errors import ParameterError, ShapeError, UndecidedError
from linear_systems.stop_gradient.basin import block_growth, contraction_basin, remainder_bound


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_growth_is_the_sum_of_the_blocks_norms(length: int, size: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    D, E = rng.standard_normal((2, length, size, size))
    J = np.zeros((length * size, length * size))
    for t in range(length):
        J[t * size : (t + 1) * size, t * size : (t + 1) * size] = D[t]
        if t:
            J[t * size : (t + 1) * size, (t - 1) * size : t * size] = E[t]
    found, power = block_growth(D, E, 5), np.eye(len(J))
    for k in range(6):
        blocks = power.reshape(length, size, length, size).transpose(0, 2, 1, 3)
        norms = np.linalg.norm(blocks, 2, axis=(2, 3)).sum(axis=1)
        assert found[k] == pytest.approx(norms.max(), rel=1e-10)
        power = J @ power


def test_a_longer_sequence_of_the_same_windows_has_the_same_growth() -> None:
    rng = np.random.default_rng(1)
    D, E = 0.3 * rng.standard_normal((2, 2, 2, 2))
    growths = [
        block_growth(np.tile(D, (repeats, 1, 1)), np.tile(E, (repeats, 1, 1)), 6) for repeats in (6, 40)
    ]
    assert growths[0] == pytest.approx(growths[1], rel=1e-12)


def test_the_radius_of_a_scalar_iteration_is_attained_up_to_the_constant() -> None:
    """e' = q e + M e² diverges from (1 − q)/M on, which is the radius: S = 1."""
    basin = contraction_basin(0.5 ** np.arange(4), 2.0, 0.5)
    assert (basin.radius, basin.amplification, basin.power) == (0.25, 1.0, 1)
    inside, outside = 0.999 * basin.radius, 1.001 * basin.radius
    for _ in range(200):
        inside = 0.5 * inside + 2.0 * inside**2
    assert inside < 1e-12
    assert 0.5 * outside + 2.0 * outside**2 > outside


def test_the_reach_of_the_remainder_limits_the_radius() -> None:
    assert contraction_basin([1.0, 1.5, 0.2], 1.0, 0.5, reach=0.03).radius == pytest.approx(0.03 / 3.0)


def test_what_does_not_contract_is_undecided() -> None:
    with pytest.raises(UndecidedError):
        contraction_basin([1.0, 1.2, 1.4], 1.0, 0.9)


def test_refusals() -> None:
    with pytest.raises(ParameterError):
        contraction_basin([1.0, 0.5], 1.0, 1.0)
    with pytest.raises(ShapeError):
        block_growth(np.ones((2, 2, 2)), np.ones((3, 2, 2)), 1)


def test_the_remainder_of_a_linear_model_is_zero() -> None:
    assert remainder_bound(2.0, 0.0, 0.0, 1.0, 1.0, (0.3, 0.1)) == 0.0


def test_the_remainder_bounds_the_second_derivative_of_a_block() -> None:
    """F(s, a) = 0.8 tanh(s + a), whose derivatives along (s, a) are those of 0.8 tanh, times √2 each."""
    eta_s, eta_a, beta, goal, h = 0.3, 0.1, 0.7, 0.4, 1e-3
    rng = np.random.default_rng(0)

    def block(y: np.ndarray) -> np.ndarray:
        before, state, action = y
        following = 0.8 * np.tanh(before + action)
        slope = 0.8 / np.cosh(before + action) ** 2
        residual = (1.0 + beta) * following - state - beta * goal
        return np.array([state - 2 * eta_s * (state - following), action - 2 * eta_a * slope * residual])

    points = rng.uniform(-2.0, 2.0, (20_000, 3))
    residual = (1.0 + beta) * 0.8 + 2.0 + beta * goal
    orders = (0.8 * 2**0.5, 0.8 * 2 * 4 / (3 * 3**0.5), 0.8 * 2**1.5 * 2.0)
    bound = remainder_bound(*orders, residual, beta, (eta_s, eta_a))
    directions = rng.standard_normal(points.shape)
    steps = (h * directions / np.linalg.norm(directions, axis=1, keepdims=True)).T
    second = (block(points.T + steps) - 2 * block(points.T) + block(points.T - steps)) / h**2
    largest = np.linalg.norm(second, axis=0).max()
    assert 0.1 * bound < largest <= bound
