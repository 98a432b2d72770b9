"""Limits of the live noisy iteration against finite horizons; Adam's tube against a simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linear_systems import LinearSystem, noise
from linear_systems.errors import ParameterError, StepSizeError
from linear_systems.noise.live import adam_least_variance, adam_tube_variance, live_limits

SCALAR, PAIR = LinearSystem([[0.8]], [[1.0]]), (0.2778, 0.25)


def test_finite_horizons_increase_to_the_limits() -> None:
    limits = live_limits(SCALAR, 1.0, PAIR, 0.3)
    norms = []
    for horizon in (4, 16, 64):
        joint = noise.joint_stationary_covariance(SCALAR, horizon, 1.0, PAIR, 0.3)
        assert np.linalg.eigvalsh(limits.covariance - joint[-2:, -2:])[0] >= -1e-10
        norms.append(float(np.linalg.norm(joint, 2)))
    assert joint[-2:, -2:] == pytest.approx(limits.covariance, rel=1e-6, abs=1e-9)
    assert norms == sorted(norms)
    assert 0.99 * limits.largest <= norms[-1] <= limits.largest


def test_without_coupling_the_limit_is_at_every_time() -> None:
    """A = 0 makes the blocks independent, and X does not depend on z."""
    system = LinearSystem([[0.0]], [[1.0]])
    limits = live_limits(system, 1.0, (0.2, 0.2), 1.0)
    joint = noise.joint_stationary_covariance(system, 1, 1.0, (0.2, 0.2), 1.0)
    assert limits.covariance == pytest.approx(joint, rel=1e-10)
    assert limits.largest == pytest.approx(float(np.linalg.norm(joint, 2)), rel=1e-10)


def test_step_sizes_that_are_not_uniform_are_refused() -> None:
    with pytest.raises(StepSizeError):
        live_limits(SCALAR, 1.0, 1.0 / 3.0, 0.3)


@given(st.floats(1e-3, 1.0), st.floats(1e-3, 1.0))
def test_adams_tube_is_the_fixed_tube_at_its_own_step_size(rate: float, sigma: float) -> None:
    variance = adam_tube_variance(rate, sigma)
    step = rate / (2.0 * np.sqrt(variance))
    if step < 1.0 - 1e-6:
        assert noise.tube_variance(step, sigma) == pytest.approx(variance, rel=1e-6)
    assert variance >= sigma**2 * (1.0 - 1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.5, 0.9])
def test_adams_tube_is_what_a_simulation_finds(momentum: float) -> None:
    """20,000 chains that share the second moment: a standard error of 1% of the variance."""
    rate, sigma, decay = 0.1, 0.3, 0.9999
    rng = np.random.default_rng(0)
    states, average = np.zeros(20_000), np.zeros(20_000)
    second = 4.0 * adam_tube_variance(rate, sigma, momentum)
    for _ in range(400):
        gradient = 2.0 * states
        average = momentum * average + (1.0 - momentum) * gradient
        second = decay * second + (1.0 - decay) * float(np.mean(gradient**2))
        states = states - rate * average / np.sqrt(second) + sigma * rng.standard_normal(states.size)
    assert states.var() == pytest.approx(adam_tube_variance(rate, sigma, momentum), rel=0.05)


@given(st.floats(1e-2, 1.0), st.floats(0.0, 1.0), st.floats(0.0, 0.99))
def test_a_tube_is_never_narrower_than_the_least_variance(rate: float, sigma: float, momentum: float) -> None:
    tube = adam_tube_variance(rate, sigma, momentum)
    assert tube >= adam_least_variance(rate, sigma) * (1.0 - 1e-9)
    if sigma >= rate:
        assert adam_least_variance(rate, sigma) == adam_tube_variance(rate, sigma)


def test_without_noise_adam_jumps_over_the_minimum_for_ever() -> None:
    """u' = u − ℓ sign(u) has the cycle ±ℓ/2."""
    assert adam_tube_variance(0.2, 0.0) == pytest.approx(0.1**2)


@pytest.mark.parametrize("momentum", [1.0, 1.5, -0.1])
def test_a_momentum_that_forgets_nothing_is_refused(momentum: float) -> None:
    with pytest.raises(ParameterError):
        adam_tube_variance(0.1, 0.1, momentum)
