"""The search for extremal losses: it climbs, stays below the bounds, and finds what is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_theory.smoothing import PeriodicLoss, gain_upper_bound, gradient_gain, maximise_gain
from linear_systems.errors import ParameterError, ShapeError


@given(st.integers(0, 2**32), st.floats(1.1, 20.0), st.integers(1, 2))
@settings(max_examples=15)
def test_it_never_falls_and_never_exceeds_the_bound(seed: int, p: float, dim: int) -> None:
    start = np.random.default_rng(seed).standard_normal((16,) * dim)
    first = gradient_gain(PeriodicLoss(start, 8.0), 1.0, p)
    found = maximise_gain(start, 8.0, p, iterations=30)
    # On 16 points per axis the norms of the ascent are sums over the grid; a percent covers the difference.
    assert found.gain.value >= 0.99 * first.value
    assert found.gain.value <= gain_upper_bound(p, dim) + found.gain.error


def test_at_p_2_it_finds_the_wave_of_unit_wave_number() -> None:
    start = np.random.default_rng(0).standard_normal(64)
    found = maximise_gain(start, 2.0 * math.pi * 3.0, 2.0, iterations=2000)
    assert found.gain.value == pytest.approx(math.exp(-0.5), rel=1e-6)
    assert int(np.argmax(np.abs(np.fft.rfft(found.loss.values)))) == 3


def test_dual_exponents_have_the_same_gain_in_one_dimension() -> None:
    gains = [
        max(maximise_gain(np.random.default_rng(s).standard_normal(128), 6.0, p).gain.value for s in range(3))
        for p in (1.5, 3.0)
    ]
    assert gains[0] == pytest.approx(gains[1], rel=1e-3)


def test_it_beats_sine_waves_away_from_p_2() -> None:
    found = maximise_gain(np.random.default_rng(1).standard_normal(128), 6.0, 8.0)
    assert found.gain.value - found.gain.error > 1.05 * math.exp(-0.5)


@pytest.mark.parametrize("p", [1.0, math.inf, 0.5])
def test_known_or_impossible_exponents_are_refused(p: float) -> None:
    with pytest.raises(ParameterError, match=r"^p:"):
        maximise_gain(np.ones(8), 1.0, p)


def test_refusals() -> None:
    with pytest.raises(ParameterError, match="start"):
        maximise_gain(np.zeros(8), 1.0, 2.0)
    with pytest.raises(ParameterError, match="iterations"):
        maximise_gain(np.ones(8), 1.0, 2.0, iterations=0)
    with pytest.raises(ShapeError, match="values"):
        maximise_gain(np.ones(7), 1.0, 2.0)
