"""The noisy chain of states: against a Lyapunov solve, closed forms and the rollout covariance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.linalg import solve_discrete_lyapunov
from system_strategies import horizons, systems, time_varying_systems

from linear_systems import AnySystem, LinearSystem, noise, state_chain
from linear_systems.errors import FloatOverflowError, HorizonError, ParameterError, StepSizeError
from linear_systems.rounding import rounding_allowance

TAME = ("stable", "unstable", "complex", "rank_deficient")


def _dense(system: AnySystem, horizon: int, step_size: float, sigma: float) -> np.ndarray:
    """Return Cov(s_1..s_T) from the whole chain's Lyapunov equation."""
    n = system.state_dim
    A, _ = system.matrices(horizon)
    J = np.kron(np.eye(horizon), (1.0 - 2.0 * step_size) * np.eye(n))
    for t in range(1, horizon):
        J[t * n : (t + 1) * n, (t - 1) * n : t * n] = 2.0 * step_size * A[t]
    return np.asarray(solve_discrete_lyapunov(J, sigma**2 * np.eye(n * horizon)))


@given(systems(max_n=3, kinds=TAME), st.integers(1, 8), st.floats(0.05, 0.5))
def test_blocks_agree_with_the_dense_lyapunov_solution(
    system: LinearSystem, horizon: int, step_size: float
) -> None:
    law = state_chain.stationary_law(system, horizon, step_size, 0.7)
    dense = _dense(system, horizon, step_size, 0.7)
    n = system.state_dim
    scale = float(np.abs(dense).max())
    condition = scale / (0.7**2) * max(1.0, float(np.linalg.norm(system.A, 2)) ** 2)
    for t in range(horizon):
        block = dense[t * n : (t + 1) * n, t * n : (t + 1) * n]
        assert np.abs(law.states[t] - block).max() <= rounding_allowance(scale, (n * horizon) ** 2, condition)


@given(time_varying_systems(max_n=3, max_length=8), st.floats(0.05, 0.5))
def test_first_state_has_the_tube_and_no_state_less(system: AnySystem, step_size: float) -> None:
    horizon = system.length or 1
    law = state_chain.stationary_law(system, horizon, step_size, 1.3)
    tube = noise.tube_variance(step_size, 1.3)
    n = system.state_dim
    np.testing.assert_allclose(law.states[0], tube * np.eye(n), rtol=rounding_allowance(1.0, n), atol=0.0)
    smallest = np.linalg.eigvalsh(law.states)[:, 0]
    largest = np.linalg.eigvalsh(law.states)[:, -1]
    assert (smallest >= tube - rounding_allowance(1.0, n * horizon) * largest).all()


@given(systems(kinds=TAME), horizons(12))
def test_half_steps_give_the_covariance_of_noisy_rollouts(system: LinearSystem, horizon: int) -> None:
    law = state_chain.stationary_law(system, horizon, 0.5, 0.4)
    rollouts = noise.rollout_covariances(system, horizon, 0.4)[1:]
    powers = [np.linalg.norm(np.linalg.matrix_power(system.A, k), 2) for k in range(horizon + 1)]
    condition = (max(powers) * max(1.0, np.linalg.norm(system.A, 2))) ** 2
    for found, expected in zip(law.states, rollouts, strict=True):
        allowed = rounding_allowance(
            float(np.abs(expected).max()), system.state_dim * horizon, float(condition)
        )
        assert np.abs(found - expected).max() <= allowed


def test_scalar_closed_form_of_the_second_state() -> None:
    # Two AR(1) filters in a row: Var s_2 = v (1 + c²a² (1 + κ²)/(1 − κ²)²), v the tube's variance.
    a, eta, sigma = 0.7, 0.2, 1.1
    keep, pull = 1 - 2 * eta, 2 * eta
    law = state_chain.stationary_law(LinearSystem([[a]], [[1.0]]), 2, eta, sigma)
    expected = noise.tube_variance(eta, sigma) * (1 + (pull * a) ** 2 * (1 + keep**2) / (1 - keep**2) ** 2)
    assert law.states[1, 0, 0] == pytest.approx(expected, rel=1e-14)


def test_residuals_are_those_of_the_joint_law() -> None:
    system, eta, sigma, horizon = LinearSystem([[0.9, 0.3], [0.0, 0.8]], [[0.0], [1.0]]), 0.15, 0.5, 5
    law = state_chain.stationary_law(system, horizon, eta, sigma)
    dense = _dense(system, horizon, eta, sigma)
    picker = np.zeros((2, 10))
    picker[:, 8:], picker[:, 6:8] = np.eye(2), -system.A
    np.testing.assert_allclose(law.residuals[-1], picker @ dense @ picker.T, rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((0, 0.1, 1.0), HorizonError),
        ((3, 1.0, 1.0), StepSizeError),
        ((3, 0.0, 1.0), StepSizeError),
        ((3, 0.1, -1.0), ParameterError),
    ],
)
def test_bad_input_is_refused(arguments: tuple[int, float, float], error: type[Exception]) -> None:
    with pytest.raises(error):
        state_chain.stationary_law(LinearSystem([[0.5]], [[1.0]]), *arguments)


def test_overflow_is_reported() -> None:
    with pytest.raises(FloatOverflowError, match="shorter horizon"):
        state_chain.stationary_law(LinearSystem([[1e30]], [[1.0]]), 12, 0.5, 1.0)
