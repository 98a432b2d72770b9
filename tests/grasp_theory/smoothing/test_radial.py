"""Radial losses in 1 to 100,000 dimensions: Bessel functions, norms, and the extremal losses of Theorem 4."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import erf

from grasp_theory.smoothing import (
    SUPREMUM_GAIN,
    Gaussian,
    RadialLoss,
    gradient_contraction_ratio,
    gradient_gain,
    mean_norm,
)
from grasp_theory.smoothing.noncentral_chi import _log_bessel, log_bessel_ratio, log_noncentral_chi
from linear_systems.errors import ParameterError, PrecisionLossError
from linear_systems.rounding import rounding_allowance

HIGHEST = 100_000
EXPONENTS = [1.0, 1.5, 2.0, 7.0, math.inf]


def gaussian(dim: int, variance: float) -> RadialLoss:
    return RadialLoss(
        dim,
        lambda r: -(r**2) / (2.0 * variance),
        log_slope=lambda r: np.log(r / variance) - r**2 / (2.0 * variance),
    )


def ball(dim: int, radius: float) -> RadialLoss:
    return RadialLoss(dim, np.zeros_like, support=(0.0, radius))


class TestBesselFunctions:
    @pytest.mark.parametrize("order", [-0.5, 0.0, 0.5, 3.0, 39.5, 40.0, 41.0, 1000.0, 49_999.0])
    def test_logarithms_against_ball_arithmetic(self, order: float) -> None:
        for x in (1e-6, 1e-2, 0.5, 3.0, 40.0, 500.0, 1e5, 3e7):
            with ctx.workprec(600):
                lower, upper = (arb(x).bessel_i(arb(order) + k) for k in (0, 1))
                exact = float((lower.log() - arb(x)).mid())
                ratio = float((upper / lower).log().mid())
            found = float(_log_bessel(order, np.array([x]))[0])
            # Terms of size ν log(x/ν) cancel in it.
            assert abs(found - exact) <= rounding_allowance(1.0 + abs(exact) + abs(order), 4)
            quotient = float(log_bessel_ratio(order, np.array([x]))[0])
            # Below the Debye range the ratio is a difference of two logarithms of size |exact|.
            assert abs(quotient - ratio) <= rounding_allowance(1.0 + abs(ratio) + abs(exact), 4)

    @pytest.mark.parametrize("dim", [1, 2, 5, 80, 1000])
    def test_the_density_integrates_to_one(self, dim: int) -> None:
        radius, sigma = 1.7, 0.6
        centre = math.hypot(radius, math.sqrt(dim) * sigma)
        rho = np.linspace(max(centre - 8.0, 1e-9), centre + 8.0, 20_001)
        density = np.exp(log_noncentral_chi(dim / 2 - 1, np.array([radius]), rho, sigma))
        assert np.trapezoid(density, rho) == pytest.approx(1.0, abs=1e-6)

    def test_the_density_by_sampling(self) -> None:
        rng, dim, radius, sigma = np.random.default_rng(0), 5, 1.5, 0.8
        points = sigma * rng.standard_normal((200_000, dim))
        points[:, 0] += radius
        lengths = np.linalg.norm(points, axis=1)
        rho = np.linspace(1e-6, 8.0, 8001)
        density = np.exp(log_noncentral_chi(dim / 2 - 1, np.array([radius]), rho, sigma))
        mean = np.trapezoid(rho * density, rho)
        # Six standard errors: a false alarm has probability 2e-9.
        assert abs(lengths.mean() - mean) <= 6.0 * lengths.std() / math.sqrt(lengths.size)


class TestNorms:
    @pytest.mark.parametrize("dim", [1, 2, 3, 10, 1000, HIGHEST])
    @pytest.mark.parametrize("p", EXPONENTS)
    def test_a_gaussian_has_the_norms_of_its_closed_form(self, dim: int, p: float) -> None:
        variance, sigma = dim / 3.0, 0.7
        exact, loss = Gaussian(np.zeros(dim), variance), gaussian(dim, variance)
        pairs = [
            (loss.log_norm(p), exact.log_norm(p)),
            (loss.log_gradient_norm(p), exact.log_gradient_norm(p)),
            (loss.smoothed(sigma).log_gradient_norm(p), exact.smoothed(sigma).log_gradient_norm(p)),
        ]
        for found, expected in pairs:
            assert abs(found.value - expected.value) <= found.error + expected.error
            assert found.error <= 1e-7

    @pytest.mark.parametrize("dim", [1, 4, HIGHEST])
    def test_the_value_and_slope_of_a_smoothed_gaussian(self, dim: int) -> None:
        variance, sigma = 2.0, 1.3
        total = variance + sigma**2
        smoothed = gaussian(dim, variance).smoothed(sigma)
        for radius in (0.1, 1.0, math.sqrt(dim) * 1.5):
            value, slope = smoothed.log_value(radius), smoothed.radial_slope(radius)
            exact = 0.5 * dim * math.log(variance / total) - radius**2 / (2.0 * total)
            assert abs(value.value - exact) <= value.error
            assert abs(slope.value + radius / total) <= slope.error

    def test_smoothing_twice_adds_variances(self) -> None:
        loss = gaussian(3, 1.0)
        once, twice = loss.smoothed(5.0), loss.smoothed(3.0).smoothed(4.0)
        assert once.log_norm(2.0) == twice.log_norm(2.0)

    def test_a_ball_in_one_dimension_is_an_interval(self) -> None:
        smoothed = ball(1, 2.0).smoothed(0.5)
        for s in (0.3, 1.9, 2.5):
            exact = 0.5 * (erf((2.0 - s) / (0.5 * math.sqrt(2.0))) + erf((2.0 + s) / (0.5 * math.sqrt(2.0))))
            found = smoothed.log_value(s)
            assert abs(found.value - math.log(exact)) <= found.error

    @pytest.mark.parametrize("dim", [1, 2, 30])
    def test_smoothing_keeps_the_integral(self, dim: int) -> None:
        loss = ball(dim, 1.5)
        before, after = loss.log_norm(1.0), loss.smoothed(0.8).log_norm(1.0)
        exact = 0.5 * dim * math.log(math.pi) - math.lgamma(dim / 2 + 1) + dim * math.log(1.5)
        assert abs(before.value - exact) <= before.error
        assert abs(after.value - exact) <= after.error


class TestExtremalLosses:
    @pytest.mark.parametrize("dim", [1, 2, 3, 30, 75_264, HIGHEST])
    def test_a_small_ball_attains_the_papers_constant_at_p_1(self, dim: int) -> None:
        gain = gradient_gain(ball(dim, 1e-3 * math.sqrt(dim)), 1.0, 1.0)
        assert gain.value <= mean_norm(dim) + gain.error
        assert gain.value >= mean_norm(dim) * (1.0 - 1e-5)

    @pytest.mark.parametrize("dim", [1, 2, 3, 30, 75_264, HIGHEST])
    def test_a_wide_ball_attains_the_dimension_free_constant_at_p_infinity(self, dim: int) -> None:
        # Twice the indicator less 1 has ‖L‖_∞ = 1 and looks like a half-space step near the sphere.
        gain = gradient_gain(ball(dim, 300.0 * math.sqrt(dim)), 1.0, math.inf)
        assert 2.0 * gain.value <= SUPREMUM_GAIN + 2.0 * gain.error
        assert 2.0 * gain.value >= SUPREMUM_GAIN * (1.0 - 1e-5)

    @given(st.integers(1, 5000), st.floats(0.3, 3.0), st.sampled_from(EXPONENTS))
    @settings(max_examples=10)
    def test_a_quartic_obeys_both_parts(self, dim: int, scale: float, p: float) -> None:
        width = scale * math.sqrt(dim)
        loss = RadialLoss(
            dim,
            lambda r: -((r / width) ** 4),
            log_slope=lambda r: np.log(4.0 / width) + 3.0 * np.log(r / width) - (r / width) ** 4,
        )
        gain, ratio = gradient_gain(loss, 1.0, p), gradient_contraction_ratio(loss, 1.0, p)
        assert gain.value <= mean_norm(dim) + gain.error
        assert ratio.value <= 1.0 + ratio.error


class TestRefusals:
    def test_bad_parameters(self) -> None:
        with pytest.raises(ParameterError, match="dim"):
            ball(0, 1.0)
        for support in ((-1.0, 1.0), (2.0, 1.0), (1.0, 1.0)):
            with pytest.raises(ParameterError, match="support"):
                RadialLoss(2, np.zeros_like, support=support)
        with pytest.raises(ParameterError, match="radius"):
            ball(2, 1.0).smoothed(1.0).log_value(0.0)
        with pytest.raises(ParameterError, match="log_slope"):
            ball(2, 1.0).log_gradient_norm(1.0)

    def test_a_norm_that_does_not_exist(self) -> None:
        with pytest.raises(PrecisionLossError, match="decays too slowly"):
            RadialLoss(3, lambda r: -np.log1p(r)).log_norm(1.0)

    def test_a_jump_inside_the_support(self) -> None:
        with pytest.raises(PrecisionLossError, match="jump inside"):
            RadialLoss(2, lambda r: np.where(r < 1.0, 0.0, -1.0), support=(0.0, 2.0)).log_norm(1.0)

    def test_a_profile_that_is_not_a_number(self) -> None:
        with pytest.raises(PrecisionLossError, match="undefined"):
            RadialLoss(2, lambda r: np.full_like(r, np.nan)).log_norm(1.0)
