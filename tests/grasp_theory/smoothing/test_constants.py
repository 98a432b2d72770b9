"""The constants: values known exactly, order relations, and attainment by closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import arb, ctx
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from grasp_theory.smoothing import (
    SUPREMUM_GAIN,
    WAVE_GAIN,
    Gaussian,
    angular_bound,
    gain_lower_bound,
    gain_upper_bound,
    gaussian_gain,
    gradient_gain,
    interpolated_bound,
    mean_norm,
    nonnegative_bound,
)
from linear_systems.errors import ParameterError
from linear_systems.rounding import rounding_allowance

PATCH_LATENT = 75_264
dims = st.one_of(st.integers(1, 40), st.sampled_from([1000, PATCH_LATENT, 10**7]))
exponents = st.one_of(st.floats(1.0, 40.0), st.sampled_from([1.0, 2.0, math.inf]))


class TestMeanNorm:
    @given(st.integers(1, 10**12))
    def test_lies_in_the_ball_of_exact_arithmetic(self, dim: int) -> None:
        with ctx.workprec(256):
            exact = arb(2).sqrt() * ((arb(dim + 1) / 2).lgamma() - (arb(dim) / 2).lgamma()).exp()
            error = float((arb(mean_norm(dim)) / exact - 1).abs_upper())
        assert error <= rounding_allowance(1.0, 1)

    @given(st.integers(1, 10**9))
    def test_consecutive_values_multiply_to_the_dimension(self, dim: int) -> None:
        assert mean_norm(dim) * mean_norm(dim + 1) == pytest.approx(
            dim, rel=rounding_allowance(1.0, 2), abs=0.0
        )

    @given(st.integers(1, 10**9))
    def test_lies_between_its_elementary_bounds(self, dim: int) -> None:
        slack = 1.0 + rounding_allowance(1.0, 1)
        assert math.sqrt(dim - 0.5) <= slack * mean_norm(dim)
        assert mean_norm(dim) <= slack * math.sqrt(dim)

    def test_is_the_mean_of_the_norm_by_quadrature(self) -> None:
        for dim in (1, 2, 3, 8):
            top, bottom = (
                quad(lambda r, k=k: r**k * math.exp(-(r**2) / 2), 0.0, math.inf, epsrel=1e-12)[0]
                for k in (dim, dim - 1)
            )
            assert mean_norm(dim) == pytest.approx(top / bottom, rel=1e-10)

    def test_the_numbers_of_a_patch_latent(self) -> None:
        assert mean_norm(PATCH_LATENT) == pytest.approx(274.342, abs=1e-3)
        assert gain_upper_bound(math.inf, PATCH_LATENT) == pytest.approx(0.79788, abs=1e-5)


class TestBounds:
    @given(exponents, dims)
    def test_attained_is_below_proved_is_below_the_papers(self, p: float, dim: int) -> None:
        slack = 1.0 + rounding_allowance(1.0, 100)
        assert gain_lower_bound(p, dim) <= slack * gain_upper_bound(p, dim)
        assert angular_bound(p, dim) <= slack * mean_norm(dim)

    @pytest.mark.parametrize("dim", [1, 2, 3, 50, PATCH_LATENT])
    def test_the_sharp_constants_are_met_from_both_sides(self, dim: int) -> None:
        for p, sharp in ((1.0, mean_norm(dim)), (2.0, WAVE_GAIN), (math.inf, SUPREMUM_GAIN)):
            assert gain_lower_bound(p, dim) == pytest.approx(sharp, rel=1e-12)
            assert gain_upper_bound(p, dim) == pytest.approx(sharp, rel=1e-12)

    def test_the_angular_bound_by_direct_integration_over_the_sphere(self) -> None:
        # In two dimensions U_1 = cos θ; in three it is uniform on [−1, 1].
        for p in (1.2, 2.0, 5.0):
            q = p / (p - 1.0)
            plane, _ = quad(lambda t, q=q: math.cos(t) ** q / (math.pi / 2.0), 0.0, math.pi / 2.0)
            assert angular_bound(p, 2) == pytest.approx(mean_norm(2) * plane ** (1.0 / q), rel=1e-8)
            assert angular_bound(p, 3) == pytest.approx(
                mean_norm(3) * (1.0 / (q + 1.0)) ** (1.0 / q), rel=1e-12
            )

    @given(st.floats(1.01, 40.0), dims)
    def test_the_angular_bound_does_not_grow_with_the_dimension(self, p: float, dim: int) -> None:
        q = p / (p - 1.0)
        limit = math.sqrt(2.0) * math.exp((math.lgamma((q + 1.0) / 2.0) - math.lgamma(0.5)) / q)
        assert angular_bound(p, dim) <= limit * (1.0 + 1e-10)

    @given(st.floats(1.001, 2.0))
    def test_gaussians_reach_the_bound_for_nonnegative_losses_in_many_dimensions(self, p: float) -> None:
        assert gaussian_gain(p, 10**7) <= nonnegative_bound(p) * (1.0 + 1e-9)
        assert gaussian_gain(p, 10**9) >= nonnegative_bound(p) * (1.0 - 1e-5)

    @given(st.floats(1.05, 30.0), st.integers(1, 2000), st.floats(-3.0, 3.0))
    def test_no_gaussian_beats_the_gaussian_of_the_best_width(self, p: float, dim: int, shift: float) -> None:
        best = dim * (1.0 - 1.0 / p)
        at_best, elsewhere = (
            gradient_gain(Gaussian(np.zeros(dim), best * math.exp(s)), 1.0, p) for s in (0.0, shift)
        )
        assert at_best.value == pytest.approx(gaussian_gain(p, dim), rel=1e-9)
        assert elsewhere.value <= at_best.value + at_best.error + elsewhere.error

    def test_the_interpolated_bound_is_continuous_at_two(self) -> None:
        for dim in (1, 5, PATCH_LATENT):
            assert interpolated_bound(2.0 - 1e-9, dim) == pytest.approx(
                interpolated_bound(2.0, dim), rel=1e-6
            )
            assert interpolated_bound(2.0 + 1e-9, dim) == pytest.approx(
                interpolated_bound(2.0, dim), rel=1e-6
            )

    @pytest.mark.parametrize("dim", [2, 7])
    def test_between_two_and_infinity_the_end_is_that_of_complex_losses(self, dim: int) -> None:
        # sup_v E|v · Z| over unit v in C^d: real and imaginary parts orthogonal, E√(Z_1² + Z_2²)/√2 by quadrature.
        plane, _ = quad(lambda r: r**2 * math.exp(-(r**2) / 2), 0.0, math.inf)
        assert interpolated_bound(math.inf, dim) == pytest.approx(plane / math.sqrt(2.0), rel=1e-10)
        middle = math.exp(-1.0 / 4.0) * (plane / math.sqrt(2.0)) ** 0.5
        assert interpolated_bound(4.0, dim) == pytest.approx(middle, rel=1e-10)
        line, _ = quad(lambda x: 2.0 * x * math.exp(-(x**2) / 2) / math.sqrt(2.0 * math.pi), 0.0, math.inf)
        assert interpolated_bound(math.inf, 1) == pytest.approx(line, rel=1e-10)

    @pytest.mark.parametrize("dim", [1, 2, 3, 8])
    @pytest.mark.parametrize("p", [1.0, 1.5, 3.0])
    def test_the_gain_of_a_gaussian_by_radial_quadrature(self, p: float, dim: int) -> None:
        variance = max(dim * (1.0 - 1.0 / p), 1e-9)

        def norm(power: float, width: float) -> float:
            """(∫ (|s|^power e^{−|s|²/(2 width)})^p ds)^{1/p} but for the area of the sphere."""
            scale = math.sqrt(width)
            value, _ = quad(
                lambda r: r ** (power * p + dim - 1) * math.exp(-p * r**2 / 2), 0.0, math.inf, epsrel=1e-12
            )
            return float((value * scale ** (power * p + dim)) ** (1.0 / p))

        smoothed = variance + 1.0
        gain = (variance / smoothed) ** (dim / 2) / smoothed * norm(1.0, smoothed) / norm(0.0, variance)
        assert gaussian_gain(p, dim) == pytest.approx(gain, rel=1e-6)

    def test_in_one_dimension_dual_exponents_have_the_same_bound(self) -> None:
        for p in (1.1, 1.5, 1.9):
            assert interpolated_bound(p, 1) == pytest.approx(interpolated_bound(p / (p - 1.0), 1), rel=1e-6)

    def test_nonnegative_losses_gain_half_at_infinity(self) -> None:
        assert gain_upper_bound(math.inf, 7, nonnegative=True) == pytest.approx(
            SUPREMUM_GAIN / 2.0, rel=1e-15
        )
        assert gain_upper_bound(1.0, 7, nonnegative=True) == mean_norm(7)

    def test_beyond_two_nonnegative_losses_have_no_bound_of_their_own(self) -> None:
        assert nonnegative_bound(2.0) == WAVE_GAIN
        assert nonnegative_bound(np.nextafter(2.0, 3.0)) == math.inf

    @pytest.mark.parametrize("p", [0.5, 0.0, -1.0, math.nan])
    def test_an_exponent_below_one_is_refused(self, p: float) -> None:
        for function in (
            angular_bound,
            interpolated_bound,
            gain_upper_bound,
            gain_lower_bound,
            gaussian_gain,
        ):
            with pytest.raises(ParameterError, match=r"^p:"):
                function(p, 3)

    @pytest.mark.parametrize("dim", [0, -1])
    def test_a_dimension_that_is_no_positive_integer_is_refused(self, dim: int) -> None:
        for call in (lambda: mean_norm(dim), lambda: gain_upper_bound(2.0, dim)):
            with pytest.raises(ParameterError, match=r"^dim:"):
                call()
