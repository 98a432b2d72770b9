"""Losses on the torus: FFT smoothing against closed forms and quadrature, norms, and both inequalities."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft

from grasp_theory.smoothing import (
    Absolute,
    Gaussian,
    PeriodicLoss,
    gain_upper_bound,
    gradient_contraction_ratio,
    gradient_gain,
    mean_norm,
    nonnegative_bound,
    smooth_gradient,
)
from linear_systems.errors import ParameterError, PrecisionLossError, ShapeError

EXPONENTS = [1.0, 1.5, 2.0, 3.0, math.inf]


def random_loss(seed: int, dim: int = 1) -> PeriodicLoss:
    rng = np.random.default_rng(seed)
    return PeriodicLoss(rng.standard_normal((8,) * dim), float(rng.uniform(2.0, 20.0)))


@pytest.mark.parametrize("dim", [1, 2])
@pytest.mark.parametrize("p", EXPONENTS)
def test_a_sampled_gaussian_has_the_norms_of_its_closed_form(p: float, dim: int) -> None:
    exact = Gaussian(np.zeros(dim), 0.5)
    loss = PeriodicLoss.sample(exact.value, dim, 14.0)
    for found, expected in (
        (loss.log_norm(p), exact.log_norm(p)),
        (loss.log_gradient_norm(p), exact.log_gradient_norm(p)),
        (loss.smoothed(0.7).log_norm(p), exact.smoothed(0.7).log_norm(p)),
        (loss.smoothed(0.7).log_gradient_norm(p), exact.smoothed(0.7).log_gradient_norm(p)),
    ):
        # The sampling tolerance adds 1e-9 of the largest value, spread over the cell.
        assert abs(found.value - expected.value) <= found.error + 1e-9 * 14.0**dim


def test_smoothing_multiplies_a_mode_by_its_decay() -> None:
    x = 2.0 * np.pi * np.arange(16) / 16
    loss = PeriodicLoss(np.cos(3.0 * x), 2.0 * np.pi).smoothed(0.4)
    assert np.allclose(loss.values, math.exp(-0.5 * 9.0 * 0.16) * np.cos(3.0 * x), rtol=0.0, atol=1e-15)
    assert np.allclose(loss.gradient()[0], -3.0 * math.exp(-0.72) * np.sin(3.0 * x), rtol=0.0, atol=1e-14)


@pytest.mark.parametrize("dim", [1, 2])
def test_the_gradient_of_the_smoothed_loss_agrees_with_steins_identity(dim: int) -> None:
    def loss(points: np.ndarray) -> np.ndarray:
        return np.exp(np.sum(np.sin(points), axis=-1))

    sampled = PeriodicLoss.sample(loss, dim, 2.0 * np.pi, tolerance=1e-12).smoothed(0.5)
    n = sampled.values.shape[0]
    index = (n // 8,) * dim
    point = 2.0 * np.pi * (np.array(index) / n - 0.5)
    expected = smooth_gradient(loss, 0.5, point, dim)
    assert (
        np.max(np.abs(sampled.gradient()[(slice(None), *index)] - expected.value)) <= expected.error + 1e-11
    )


@given(st.integers(0, 2**32), st.integers(1, 2), st.floats(0.1, 3.0), st.sampled_from(EXPONENTS))
def test_both_parts_of_theorem_4_and_the_better_bounds_hold(
    seed: int, dim: int, sigma: float, p: float
) -> None:
    loss = random_loss(seed, dim)
    gain, ratio = gradient_gain(loss, sigma, p), gradient_contraction_ratio(loss, sigma, p)
    assert ratio.value <= 1.0 + ratio.error
    assert gain.value <= gain_upper_bound(p, dim) + gain.error
    assert gain_upper_bound(p, dim) <= mean_norm(dim) * (1.0 + 1e-12)


@given(st.integers(0, 2**32), st.floats(0.1, 3.0), st.floats(1.05, 2.0))
def test_nonnegative_losses_obey_their_bound(seed: int, sigma: float, p: float) -> None:
    rng = np.random.default_rng(seed)
    spectrum = fft.fft(rng.standard_normal(16))
    spectrum[4:13] = 0.0
    # The square of a trigonometric polynomial of degree 3 is one of degree 6, so the grid of 16 holds it.
    loss = PeriodicLoss(fft.ifft(spectrum).real ** 2, float(rng.uniform(2.0, 20.0)))
    gain = gradient_gain(loss, sigma, p)
    assert gain.value <= nonnegative_bound(p) + gain.error


@given(st.integers(0, 2**32), st.integers(1, 2))
def test_parseval(seed: int, dim: int) -> None:
    loss = random_loss(seed, dim)
    exact = 0.5 * math.log(float(np.mean(loss.values**2)) * loss.period**dim)
    assert loss.log_norm(2.0).value == pytest.approx(exact, abs=1e-12)


@given(st.integers(0, 2**32), st.sampled_from(EXPONENTS))
def test_the_stated_error_of_a_norm_covers_a_much_finer_grid(seed: int, p: float) -> None:
    loss = random_loss(seed)
    fine = np.abs(loss._refined(2**14))
    exact = fine.max() if math.isinf(p) else np.mean(fine**p) ** (1.0 / p) * loss.period ** (1.0 / p)
    found = loss.log_norm(p)
    assert abs(found.value - math.log(exact)) <= found.error


def test_a_wide_gaussian_on_the_line_carries_a_wave_with_its_gain() -> None:
    # The transference behind gains on the torus: cos(s) exp(−s²/2v) on the line, v large.
    wave = PeriodicLoss.sample(lambda s: np.cos(s[..., 0]) * np.exp(-(s[..., 0] ** 2) / 800.0), 1, 400.0)
    for p in (1.0, 2.0, 3.0):
        assert gradient_gain(wave, 1.0, p).value == pytest.approx(math.exp(-0.5), rel=5e-3)


def test_refusals() -> None:
    for shape in ((3,), (5,), (4, 6), (4, 4, 4), ()):
        with pytest.raises(ShapeError, match="values"):
            PeriodicLoss(np.zeros(shape), 1.0)
    with pytest.raises(ParameterError, match="period"):
        PeriodicLoss(np.zeros(8), 0.0)
    with pytest.raises(ParameterError, match="dim"):
        PeriodicLoss.sample(lambda s: s[..., 0], 3, 1.0)
    with pytest.raises(ShapeError, match="function"):
        PeriodicLoss.sample(lambda s: s, 1, 1.0)
    with pytest.raises(PrecisionLossError, match="corner or a jump"):
        PeriodicLoss.sample(Absolute(np.ones(1)).value, 1, 2.0)
    with pytest.raises(PrecisionLossError, match="decayed"):
        PeriodicLoss.sample(lambda s: np.exp(s[..., 0]), 1, 2.0)


def test_the_zero_loss_has_norm_zero_and_no_gain() -> None:
    zero = PeriodicLoss(np.zeros(8), 1.0)
    assert zero.log_norm(2.0).value == -math.inf
    assert math.isnan(gradient_gain(zero, 1.0, 2.0).value)
