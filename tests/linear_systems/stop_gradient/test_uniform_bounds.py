"""Bounds of ‖J_T^k‖ that hold at every horizon."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from system_strategies import systems

from linear_systems import LinearSystem, TimeVaryingLinearSystem, stop_gradient, uniform_bounds
from linear_systems.errors import ParameterError, StepSizeError, UndecidedError

SCALAR = LinearSystem([[0.8]], [[1.0]])
UNIFORM = (0.05, 0.3)
PAIRS = st.tuples(st.floats(0.05, 0.9), st.floats(0.05, 0.9))
"""Step sizes as shares of the largest stable ones."""


def _step_sizes(system: LinearSystem, shares: tuple[float, float]) -> tuple[float, float]:
    limit = stop_gradient.step_size_limit(system, 1.0)
    return shares[0] * limit, shares[1] * limit


@settings(max_examples=20)
@given(systems(max_n=4, max_m=4), PAIRS)
def test_the_bounds_enclose_what_a_finer_sampling_finds(system, shares):
    eta = _step_sizes(system, shares)
    lower, upper = uniform_bounds.uniform_power_norms(system, 1.0, eta, 6)
    angles = 2.0 * np.pi * np.arange(1009) / 1009
    D = stop_gradient.symbol(system, 1.0, eta, 0.0)
    E = stop_gradient.symbol(system, 1.0, eta, 1.0) - D
    symbols = D + np.exp(1j * angles)[:, None, None] * E
    for k in range(7):
        sampled = float(np.linalg.norm(np.linalg.matrix_power(symbols, k), 2, axis=(1, 2)).max())
        assert sampled <= upper[k] * (1.0 + 1e-9)
        assert lower[k] <= sampled / np.cos(np.pi * k / (2 * 1009)) * (1.0 + 1e-9)
        # Neither is far off where rounding is not amplified.
        assert upper[k] <= sampled / np.cos(np.pi / 16) * (1.0 + 1e-4)


@pytest.mark.parametrize("oversampling", [2, 4, 8])
def test_the_factor_between_samples_and_the_circle_is_that_of_riesz(monkeypatch, oversampling):
    monkeypatch.setattr(uniform_bounds, "OVERSAMPLING", oversampling)
    count = 6
    lower, upper = uniform_bounds.uniform_power_norms(SCALAR, 1.0, UNIFORM, count)
    stated = 1.0 / np.cos(np.pi * np.arange(count + 1) / (2 * oversampling * count))
    # Rounding, on both sides of the samples, is all that parts the two besides.
    np.testing.assert_allclose(upper / lower, stated, rtol=1e-10)


def test_the_highest_power_is_known_to_two_per_cent():
    lower, upper = uniform_bounds.uniform_power_norms(SCALAR, 1.0, UNIFORM, 6)
    assert upper[6] / lower[6] == pytest.approx(1.0 / np.cos(np.pi / 16), rel=1e-10)


@settings(max_examples=15)
@given(systems(max_n=3, max_m=3), PAIRS)
def test_no_horizon_exceeds_the_bound_and_long_ones_come_close(system, shares):
    eta = _step_sizes(system, shares)
    lower, upper = uniform_bounds.uniform_power_norms(system, 1.0, eta, 4)
    norms = [stop_gradient.transient_growth(system, T, 1.0, eta, 4) for T in (1, 5, 40)]
    for norm in norms:
        assert (norm <= upper * (1.0 + 1e-9)).all()
    assert (norms[0] <= norms[1] * (1.0 + 1e-9)).all()
    assert (norms[1] <= norms[2] * (1.0 + 1e-9)).all()
    # The gap falls like (k/T)²: a tenth is generous at k = 4, T = 40.
    assert (norms[2] >= 0.9 * lower).all()


@pytest.mark.parametrize(("a", "pair"), [(0.8, UNIFORM), (1.2, UNIFORM), (5.0, (1.0 / 12.0, 0.25))])
def test_the_certificate_holds_at_every_horizon(a, pair):
    system = LinearSystem([[a]], [[1.0]])
    bound = uniform_bounds.uniform_bound(system, 1.0, pair)
    for T in (1, 8, 40):
        norms = stop_gradient.transient_growth(system, T, 1.0, pair, 120)
        assert (norms <= bound.constant * bound.rate ** np.arange(121) * (1.0 + 1e-9)).all()
        assert norms.max() <= bound.peak * (1.0 + 1e-9)
    # It is not loose either: the constant is attained within a few per cent.
    ratio = (norms / bound.rate ** np.arange(121)).max()
    assert ratio >= 0.95 * bound.constant


def test_the_constant_is_the_largest_ratio_before_the_first_power_that_contracts():
    bound = uniform_bounds.uniform_bound(SCALAR, 1.0, UNIFORM)
    ratios = uniform_bounds.uniform_power_norms(SCALAR, 1.0, UNIFORM, 64)[1] / bound.rate ** np.arange(65)
    first = 1 + int(np.argmax(ratios[1:] <= 1.0))
    assert bound.power == first > 1
    # Rounding is added, never taken off.
    assert ratios[:first].max() < bound.constant < ratios[:first].max() * (1.0 + 1e-10)


def test_iterations_of_the_bound_reach_the_tolerance():
    bound = uniform_bounds.uniform_bound(SCALAR, 1.0, UNIFORM)
    k = bound.iterations_to(1e-6)
    assert bound.constant * bound.rate**k <= 1e-6 < bound.constant * bound.rate ** (k - 1)
    error = np.ones(80)
    assert stop_gradient.iterations_to(SCALAR, 40, 1.0, UNIFORM, error, 1e-6) <= k
    assert bound.iterations_to(1e6) == 0


def test_a_faster_rate_costs_a_larger_constant():
    slow = uniform_bounds.uniform_bound(SCALAR, 1.0, UNIFORM, 0.99)
    fast = uniform_bounds.uniform_bound(SCALAR, 1.0, UNIFORM, 0.96)
    assert slow.rate == 0.99
    assert fast.constant > slow.constant


@pytest.mark.parametrize(
    ("a", "beta", "step_size", "rate"),
    [(0.8, 1.0, 1.0 / 3.0, 1.344), (0.8, 1.0, 0.29, 1.04), (0.5, 0.0, 0.1, 1.0)],
)
def test_there_is_no_bound_where_the_rate_is_not_below_one(a, beta, step_size, rate):
    system = LinearSystem([[a]], [[1.0]])
    assert stop_gradient.uniform_rate(system, beta, step_size) == pytest.approx(
        rate, abs=0.0 if rate == 1.0 else 0.01
    )
    with pytest.raises(StepSizeError, match="best_uniform_step_size"):
        uniform_bounds.uniform_bound(system, beta, step_size)


def test_a_rate_too_close_to_one_is_not_guessed(monkeypatch):
    monkeypatch.setattr(uniform_bounds, "LAST_POWER", 64)
    with pytest.raises(UndecidedError, match="power"):
        uniform_bounds.uniform_bound(SCALAR, 1.0, (1e-4, 1e-4))


def test_bad_input_has_its_own_error():
    varying = TimeVaryingLinearSystem(np.ones((2, 1, 1)), np.ones((2, 1, 1)))
    with pytest.raises(ParameterError, match="rate"):
        uniform_bounds.uniform_bound(SCALAR, 1.0, UNIFORM, 0.5)
    with pytest.raises(ParameterError, match="rate"):
        uniform_bounds.uniform_bound(SCALAR, 1.0, UNIFORM, 1.0)
    with pytest.raises(ParameterError, match="iterations"):
        uniform_bounds.uniform_power_norms(SCALAR, 1.0, UNIFORM, -1)
    with pytest.raises(ParameterError, match="system"):
        uniform_bounds.uniform_power_norms(varying, 1.0, UNIFORM, 1)
    with pytest.raises(ParameterError, match="tolerance"):
        uniform_bounds.uniform_bound(SCALAR, 1.0, UNIFORM).iterations_to(0.0)
