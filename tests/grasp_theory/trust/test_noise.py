"""Tubes and accumulated errors are those of `linear_systems.noise`."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from system_strategies import time_varying_systems
from torch import Tensor
from trust_cases import close, drawn, linearised

from grasp_theory.trust import linearisation
from grasp_theory.trust.noise import SAMPLES, ErrorLaw, drift, region_radius, tube
from linear_systems import noise, state_chain
from linear_systems.examples.random_systems import random_time_varying_system
from linear_systems.noise.live import adam_tube_variance
from linear_systems.system import LinearSystem, TimeVaryingLinearSystem


def within(radius: float):  # type: ignore[no-untyped-def]
    return lambda states, goals: (states - goals).flatten(1).norm(dim=1) <= radius


@settings(max_examples=15)
@given(system=time_varying_systems(max_n=4, max_m=2, max_length=8))
def test_errors_add_up_as_theorem_9_says(system: TimeVaryingLinearSystem) -> None:
    assert system.length is not None
    found = drift(linearised(system, system.length), 0.3, drawn(0, 1, system.state_dim), None, None, "")
    covariances = noise.rollout_covariances(system, system.length, 0.3)
    for t in range(system.length):
        assert close(found.spread[0, t], math.sqrt(np.trace(covariances[t + 1])))
    assert np.isnan(found.inside).all()
    assert np.isnan(found.blind_after).all()


@settings(max_examples=15)
@given(system=time_varying_systems(max_n=4, max_m=2, max_length=8))
def test_tubes(system: TimeVaryingLinearSystem) -> None:
    assert system.length is not None
    linear = linearised(system, system.length)
    found = tube(linear, 0.2, 0.5)
    wanted = 0.5 * found.step / math.sqrt(system.state_dim)
    assert close(noise.tube_variance(0.2, found.frozen_sigma), wanted**2)
    law = state_chain.stationary_law(system, system.length, 0.2, found.live_sigma)
    width = math.sqrt(np.trace(law.states, axis1=1, axis2=2).mean() / system.state_dim)
    assert close(width, wanted)
    rate = wanted / 3.0
    assert close(adam_tube_variance(rate, found.adam_sigma(rate)), wanted**2)
    assert found.adam_sigma(4.0 * wanted) == 0.0


def test_without_step_sizes_no_tube() -> None:
    found = tube(linearised(LinearSystem([[0.5]], [[1.0]]), 3), None, 1.0)
    assert math.isnan(found.frozen_sigma)
    assert math.isnan(tube(linearised(LinearSystem([[0.5]], [[1.0]]), 3), 1.2, 1.0).live_sigma)


def test_errors_that_are_all_alike_are_bias() -> None:
    linear = linearised(LinearSystem([[0.5]], [[1.0]]), 4)
    alike = torch.full((9, 1), 0.2, dtype=torch.float64)
    found = drift(linear, alike, drawn(0, 1, 1), None, None, "")
    assert close(found.bias_share, 1.0)
    np.testing.assert_allclose(found.spread[0], 0.2 * (1 - 0.5 ** np.arange(1, 5)) / 0.5)


def test_samples_have_their_own_covariance() -> None:
    A = np.array([[0.9, 0.3], [0.0, 0.8]])
    errors = drawn(5, 400, 2) @ torch.tensor([[1.0, 0.5], [0.0, 0.2]], dtype=torch.float64)
    linear = linearised(LinearSystem(A, np.ones((2, 1))), 6)
    found = drift(linear, errors, drawn(0, 1, 2), None, None, "")
    second = (errors - errors.mean(0)).T @ (errors - errors.mean(0)) / 400
    covariance, mean = np.zeros((2, 2)), np.zeros(2)
    for t in range(6):
        covariance = A @ covariance @ A.T + second.numpy()
        mean = A @ mean + errors.mean(0).numpy()
        assert close(found.spread[0, t], math.sqrt(np.trace(covariance) + mean @ mean))
    law = drift(linear, ErrorLaw(errors.mean(0), second), drawn(0, 1, 2), None, 2.0, "")
    np.testing.assert_allclose(law.spread, found.spread)
    assert close(law.sigma, found.sigma)
    assert close(law.bias_share, found.bias_share)
    drawn_from = drift(linear, errors, drawn(0, 1, 2), None, 2.0, "")
    np.testing.assert_allclose(
        law.inside, drawn_from.inside, atol=3 * math.sqrt(0.5 / SAMPLES)
    )  # two shares of as many samples


def test_the_horizon_beyond_which_open_loop_is_blind() -> None:
    """A random walk in one dimension: inside with probability 2Φ(r/σ√t) − 1, 1/2 at √t = r/0.6745σ."""
    linear = linearised(LinearSystem([[1.0]], [[1.0]]), 40, plans=8)
    radius, sigma = 1.0, 0.3
    true = (radius / 0.6745 / sigma) ** 2  # 24.4
    for reached, given_radius in ((None, radius), (within(radius), None)):
        found = drift(linear, sigma, drawn(0, 8, 1), reached, given_radius, "")
        assert abs(np.median(found.blind_after) - true) < 6
        assert close(found.radius, radius, 1e-6)
        assert (found.inside[:, 0] > 0.99).all()
    assert (drift(linear, sigma, drawn(0, 8, 1), None, 100.0, "").blind_after == 40).all()
    assert (drift(linear, sigma, drawn(0, 8, 1), None, 1e-6, "").blind_after == 0).all()


@pytest.mark.parametrize("radius", [1e-3, 2.5, 40.0])
def test_the_radius_of_a_region(radius: float) -> None:
    assert close(region_radius(within(radius), drawn(0, 3, 2), drawn(1, 3, 2, 7), 0.1), radius, 1e-6)


def test_a_region_without_end_and_one_without_extent() -> None:
    everywhere = lambda s, g: torch.ones(len(s), dtype=torch.bool)  # noqa: E731
    assert region_radius(everywhere, drawn(0, 3, 2), drawn(1, 3, 2, 7), 0.1) > 1e4
    assert region_radius(within(-1.0), drawn(0, 3, 2), drawn(1, 3, 2, 7), 0.1) == 0.0


def test_sample_paths_agree_where_no_matrices_are_formed(monkeypatch: pytest.MonkeyPatch) -> None:
    system = random_time_varying_system(np.random.default_rng(1), 4, 2, 5)
    dense = drift(linearised(system, 5), 0.1, drawn(0, 1, 4), None, None, "")
    monkeypatch.setattr(linearisation, "LARGEST_DENSE", 0)
    monkeypatch.setattr("grasp_theory.trust.noise.FEW_SAMPLES", 4000)
    paths = drift(linearised(system, 5), 0.1, drawn(0, 1, 4), None, None, "")
    np.testing.assert_allclose(paths.spread, dense.spread, rtol=0.05)


def test_states_of_several_axes_are_moved_in_their_shape() -> None:
    goals = drawn(0, 2, 1, 3)

    def reached(states: Tensor, goals: Tensor) -> Tensor:
        assert states.shape == goals.shape
        assert states.shape[1:] == (1, 3)
        return (states - goals).flatten(1).norm(dim=1) < 2.0

    assert close(region_radius(reached, goals, drawn(1, 2, 3, 5), 0.1), 2.0, 1e-6)
