"""Corollary 1: unbiasedness by quadrature and sampling, the bound (55), and what each must refuse."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from grasp_theory.smoothing import SUPREMUM_GAIN, Absolute, FourierMode, Gaussian, Polynomial, Step
from grasp_theory.theorems.corollary_1 import smoothed_gradient_bound, unbiasedness, unbiasedness_by_sampling
from linear_systems.errors import NonFiniteError, ParameterError, PrecisionLossError, ShapeError

LEVEL = 1e-9


class TestQuadrature:
    @given(st.integers(0, 2**32), st.integers(1, 2), st.floats(0.2, 1.5))
    def test_polynomials_and_gaussians(self, seed: int, dim: int, sigma: float) -> None:
        rng = np.random.default_rng(seed)
        point = rng.standard_normal(dim)
        for loss in (Polynomial(rng.standard_normal((4,) * dim)), Gaussian(np.zeros(dim), 2.0)):
            check = unbiasedness(loss.value, loss.gradient, sigma, point)
            assert check.assumptions_hold
            assert check.holds
            exact = float(np.linalg.norm(loss.smoothed(sigma).gradient(point)))
            assert check.quantities["smoothed_gradient"] == pytest.approx(exact, rel=1e-7, abs=1e-9)
            assert check.quantities["gradient_rms"] >= exact * (1.0 - 1e-9)

    def test_a_gradient_by_automatic_differentiation(self) -> None:
        def value(points: np.ndarray) -> np.ndarray:
            return np.tanh(points[..., 0] * points[..., 1])

        def gradient(points: np.ndarray) -> np.ndarray:
            s = torch.tensor(points, requires_grad=True)
            torch.tanh(s[..., 0] * s[..., 1]).sum().backward()
            return s.grad.numpy()

        assert unbiasedness(value, gradient, 0.4, np.array([0.3, -0.8]), tolerance=1e-6).holds

    def test_a_stop_gradient_is_found_out(self) -> None:
        def value(points: np.ndarray) -> np.ndarray:
            return (np.sin(points[..., 0]) - points[..., 1]) ** 2

        def detached(points: np.ndarray) -> np.ndarray:
            residual = np.sin(points[..., 0]) - points[..., 1]
            return np.stack([np.zeros_like(residual), -2.0 * residual], axis=-1)

        assert not unbiasedness(value, detached, 0.5, np.array([0.4, 0.1])).holds

    def test_a_small_relative_error_is_found_out(self) -> None:
        loss = Polynomial(np.array([0.0, 1.0, 1.0, 1.0]))
        check = unbiasedness(loss.value, lambda s: (1.0 + 1e-8) * loss.gradient(s), 1.0, np.array([0.3]))
        assert not check.holds

    def test_an_infinite_expectation_is_refused(self) -> None:
        # L = cos(exp(s²)) is bounded, but E|L'(s + ξ)| is infinite for σ² ≥ 1/2.
        def value(points: np.ndarray) -> np.ndarray:
            return np.cos(np.exp(np.minimum(points[..., 0] ** 2, 700.0)))

        def gradient(points: np.ndarray) -> np.ndarray:
            power = np.exp(np.minimum(points**2, 700.0))
            return -2.0 * points * power * np.sin(power)

        with np.errstate(over="ignore"), pytest.raises((PrecisionLossError, NonFiniteError)):
            unbiasedness(value, gradient, 1.0, np.array([0.5]))

    def test_refusals(self) -> None:
        loss = Gaussian(np.zeros(3), 1.0)
        with pytest.raises(ParameterError, match="dim"):
            unbiasedness(loss.value, loss.gradient, 1.0, np.zeros(3))
        with pytest.raises(ShapeError, match="point"):
            unbiasedness(loss.value, loss.gradient, 1.0, np.zeros((1, 3)))


class TestSampling:
    @given(st.integers(0, 2**32), st.integers(1, 300))
    @settings(max_examples=20)
    def test_a_true_identity_passes_and_a_biased_one_does_not(self, seed: int, dim: int) -> None:
        rng = np.random.default_rng(seed)
        direction = rng.standard_normal(dim)
        loss, sigma = FourierMode(direction / np.linalg.norm(direction), 0.3), 1.0
        point, largest = 0.1 * rng.standard_normal(dim), 1.0
        exact = loss.smoothed(sigma).gradient(point)

        def check(expected: np.ndarray) -> bool:
            return unbiasedness_by_sampling(
                loss.gradient, expected, sigma, point, largest, rng, 4000, LEVEL
            ).holds

        assert check(exact)
        radius = 2.0 * math.sqrt(2.0 * math.log(2.0 / LEVEL) / 4000)
        assert not check(exact + 2.0 * radius * loss.wave_vector)

    def test_the_level_is_conservative(self) -> None:
        # At level 1/2 the radius holds far more often than half the time, the inequality not being tight.
        loss, rng = Step(np.ones(1), width=1.0), np.random.default_rng(1)
        exact = loss.smoothed(1.0).gradient(np.array([0.2]))
        largest = math.exp(loss.log_gradient_norm(math.inf).value)
        passed = sum(
            unbiasedness_by_sampling(loss.gradient, exact, 1.0, np.array([0.2]), largest, rng, 50, 0.5).holds
            for _ in range(200)
        )
        assert passed >= 190

    def test_the_radius_and_the_detectable_bias_are_those_of_the_inequality(self) -> None:
        loss, count, level = FourierMode(np.array([1.0])), 50, 1e-3
        check = unbiasedness_by_sampling(
            loss.gradient, np.zeros(1), 1.0, np.zeros(1), 3.0, np.random.default_rng(0), count, level
        )
        # P(‖mean − expectation‖ ≥ r) ≤ 2 exp(−n r²/(2 (2G)²)) for vectors of length at most G, at r where it is the level.
        assert 2.0 * math.exp(-count * check.bound**2 / (2.0 * 6.0**2)) == pytest.approx(level, rel=1e-12)
        assert check.quantities["detectable_bias"] == pytest.approx(2.0 * check.bound, rel=1e-15)

    def test_a_gradient_at_its_stated_bound_is_inside(self) -> None:
        slope, rng = np.array([3.0, 4.0]), np.random.default_rng(0)
        check = unbiasedness_by_sampling(
            lambda s: np.broadcast_to(slope, s.shape), slope, 1.0, np.zeros(2), 5.0, rng, 10, LEVEL
        )
        assert check.assumptions_hold

    def test_a_gradient_beyond_its_stated_bound_is_outside(self) -> None:
        loss = FourierMode(np.array([2.0]))
        check = unbiasedness_by_sampling(
            loss.gradient, np.zeros(1), 1.0, np.zeros(1), 1.0, np.random.default_rng(0), 100, LEVEL
        )
        assert not check.assumptions_hold

    def test_refusals(self) -> None:
        loss, rng = FourierMode(np.ones(2)), np.random.default_rng(0)
        for level in (0.0, 1.0):
            with pytest.raises(ParameterError, match="level"):
                unbiasedness_by_sampling(loss.gradient, np.zeros(2), 1.0, np.zeros(2), 2.0, rng, 10, level)
        with pytest.raises(ParameterError, match="samples"):
            unbiasedness_by_sampling(loss.gradient, np.zeros(2), 1.0, np.zeros(2), 2.0, rng, 0, 0.1)
        with pytest.raises(ShapeError, match="smoothed_gradient"):
            unbiasedness_by_sampling(loss.gradient, np.zeros(3), 1.0, np.zeros(2), 2.0, rng, 10, 0.1)
        with pytest.raises(ShapeError, match="points"):
            unbiasedness_by_sampling(lambda s: s[:, :1], np.zeros(2), 1.0, np.zeros(2), 2.0, rng, 10, 0.1)


class TestBound:
    @given(st.integers(1, 100_000), st.floats(0.1, 5.0))
    def test_bounded_losses_stay_below_the_sharp_constant(self, dim: int, sigma: float) -> None:
        first = np.eye(1, dim)[0]
        for loss in (Step(first, width=0.01), FourierMode(first / sigma, 1.0), Gaussian(first, sigma**2)):
            check = smoothed_gradient_bound(loss, sigma, np.zeros(dim))
            assert check.assumptions_hold
            assert check.holds
            assert replace(check, bound=SUPREMUM_GAIN).holds

    @pytest.mark.parametrize("dim", [1, 2, 75_264])
    def test_a_step_attains_the_sharp_constant(self, dim: int) -> None:
        check = smoothed_gradient_bound(Step(np.eye(1, dim)[0], width=1e-5), 1.0, np.zeros(dim))
        assert check.computed == pytest.approx(check.quantities["sharp_bound"], rel=1e-9)
        assert not replace(check, bound=0.999 * SUPREMUM_GAIN).holds

    def test_an_unbounded_loss_is_outside(self) -> None:
        check = smoothed_gradient_bound(Absolute(np.ones(2), width=1.0), 1.0, np.ones(2))
        assert not check.assumptions["L ∈ L^∞"]
        assert check.computed == 0.0
