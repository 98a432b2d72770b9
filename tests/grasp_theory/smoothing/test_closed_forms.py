"""Closed forms against quadrature, and each family's semigroup law, gradients and norms."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from grasp_theory.smoothing import (
    Absolute,
    FourierMode,
    Gaussian,
    Hinge,
    Polynomial,
    Step,
    expected_gradient,
    smooth,
    smooth_gradient,
)
from linear_systems.errors import DTypeError, NonFiniteError, ParameterError, ShapeError

Family = Callable[[np.random.Generator, int], object]

SMOOTH: dict[str, Family] = {
    "Gaussian": lambda rng, d: Gaussian(rng.standard_normal(d), rng.uniform(0.5, 3.0), rng.standard_normal()),
    "FourierMode": lambda rng, d: FourierMode(rng.standard_normal(d), rng.standard_normal(), 2.0),
    "Step": lambda rng, d: Step(rng.standard_normal(d), rng.standard_normal(), rng.uniform(1.0, 2.0)),
    "Absolute": lambda rng, d: Absolute(rng.standard_normal(d), rng.standard_normal(), rng.uniform(1.0, 2.0)),
    "Hinge": lambda rng, d: Hinge(rng.standard_normal(d), rng.standard_normal(), rng.uniform(1.0, 2.0)),
    "Polynomial": lambda rng, d: Polynomial(rng.standard_normal(tuple(rng.integers(1, 6, d)))),
}
families = pytest.mark.parametrize("family", SMOOTH.values(), ids=SMOOTH.keys())


@families
@pytest.mark.parametrize("dim", [1, 2])
def test_smoothing_agrees_with_quadrature(family: Family, dim: int) -> None:
    rng = np.random.default_rng(dim)
    for _ in range(5):
        loss, sigma, points = family(rng, dim), float(rng.uniform(0.2, 1.0)), rng.standard_normal((3, 2, dim))
        smoothed = loss.smoothed(sigma)
        value = smooth(loss.value, sigma, points, dim)
        assert np.max(np.abs(smoothed.value(points) - value.value)) <= 2.0 * value.error + 1e-13
        for found in (
            smooth_gradient(loss.value, sigma, points, dim),
            expected_gradient(loss.gradient, sigma, points, dim),
        ):
            assert np.max(np.abs(smoothed.gradient(points) - found.value)) <= 2.0 * found.error + 1e-13


@families
@given(st.integers(0, 2**32), st.floats(0.1, 2.0), st.floats(0.1, 2.0))
def test_smoothing_twice_adds_variances(family: Family, seed: int, first: float, second: float) -> None:
    rng = np.random.default_rng(seed)
    loss = family(rng, 2)
    points = rng.standard_normal((4, 2))
    twice = loss.smoothed(first).smoothed(second)
    once = loss.smoothed(math.hypot(first, second))
    scale = 1.0 + np.max(np.abs(once.value(points))) + np.max(np.abs(loss.value(points)))
    assert np.max(np.abs(twice.value(points) - once.value(points))) <= 1e-10 * scale
    assert np.max(np.abs(twice.gradient(points) - once.gradient(points))) <= 1e-10 * scale


@families
@given(st.integers(0, 2**32), st.integers(1, 3))
def test_gradients_agree_with_central_differences(family: Family, seed: int, dim: int) -> None:
    rng = np.random.default_rng(seed)
    loss, point = family(rng, dim), rng.uniform(-1.0, 1.0, dim)
    step = 1e-5
    moves = step * np.eye(dim)
    differences = (loss.value(point + moves) - loss.value(point - moves)) / (2.0 * step)
    # Truncation step²/6 times a third derivative, rounding eps/step times a value.
    assert np.max(np.abs(differences - loss.gradient(point))) <= 1e-6 * (1.0 + np.max(np.abs(differences)))


@pytest.mark.parametrize("family", [Step, Absolute, Hinge])
def test_a_profile_without_width_is_the_kink_itself(family: type[Step]) -> None:
    loss = family(np.array([2.0, 0.0]), 1.0)
    points = np.array([[3.0, 1.0], [0.0, 5.0]])
    expected = {Step: [1.0, -1.0], Absolute: [5.0, 1.0], Hinge: [5.0, 0.0]}[family]
    assert loss.value(points).tolist() == expected
    assert not loss.differentiable
    assert loss.smoothed(0.1).differentiable


def test_a_step_without_width_has_no_slope_away_from_the_jump() -> None:
    assert Step(np.ones(1)).gradient(np.array([0.5])).tolist() == [0.0]
    assert math.isinf(Step(np.ones(1)).log_gradient_norm(math.inf).value)


class TestNorms:
    @pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 7.0])
    def test_gaussian_norms_by_quadrature(self, p: float) -> None:
        loss = Gaussian(np.array([0.3]), 0.7, 0.2)

        def integral(function: Callable[[np.ndarray], np.ndarray]) -> float:
            value, _ = quad(
                lambda s: float(np.linalg.norm(function(np.array([s])))) ** p, -12.0, 12.0, points=[0.3]
            )
            return float(value)

        assert math.exp(loss.log_norm(p).value) ** p == pytest.approx(integral(loss.value), rel=1e-8)
        assert math.exp(loss.log_gradient_norm(p).value) ** p == pytest.approx(
            integral(loss.gradient), rel=1e-8
        )

    def test_gaussian_gradient_norm_in_two_dimensions(self) -> None:
        loss = Gaussian(np.zeros(2), 0.5)
        axis = np.linspace(-6.0, 6.0, 601)
        grid = np.stack(np.meshgrid(axis, axis), axis=-1)
        total = float(np.sum(np.linalg.norm(loss.gradient(grid), axis=-1))) * 0.02**2
        assert math.exp(loss.log_gradient_norm(1.0).value) == pytest.approx(total, rel=1e-5)

    @pytest.mark.parametrize("p", [1.0, 2.0, 3.5, math.inf])
    def test_step_gradient_norms_on_the_line(self, p: float) -> None:
        loss = Step(np.array([3.0]), width=0.4)
        grid = np.linspace(-2.0, 2.0, 40_001)[:, None]
        slope = np.abs(loss.gradient(grid)[:, 0])
        found = slope.max() if math.isinf(p) else np.trapezoid(slope**p, grid[:, 0]) ** (1.0 / p)
        assert math.exp(loss.log_gradient_norm(p).value) == pytest.approx(found, rel=1e-9)

    @pytest.mark.parametrize("p", [1.0, 2.0, math.inf])
    def test_infinite_norms_are_infinite(self, p: float) -> None:
        u = np.array([1.0, 1.0])
        infinite = [
            Absolute(u).log_norm(p),
            Hinge(u, width=1.0).log_norm(p),
            Polynomial(np.eye(3)).log_norm(p),
        ]
        if not math.isinf(p):
            infinite += [FourierMode(u).log_norm(p), FourierMode(u).log_gradient_norm(p), Step(u).log_norm(p)]
            infinite += [Step(u, width=1.0).log_gradient_norm(p), Absolute(u, width=1.0).log_gradient_norm(p)]
        assert {norm.value for norm in infinite} == {math.inf}

    def test_lipschitz_constants(self) -> None:
        u = np.array([3.0, 4.0])
        for loss in (Absolute(u), Hinge(u, width=2.0)):
            assert math.exp(loss.log_gradient_norm(math.inf).value) == pytest.approx(5.0, rel=1e-14)
        assert math.exp(FourierMode(u, amplitude=-2.0).log_gradient_norm(math.inf).value) == pytest.approx(
            10.0
        )
        affine = np.zeros((2, 2))
        affine[1, 0], affine[0, 1] = 3.0, -4.0
        assert math.exp(Polynomial(affine).log_gradient_norm(math.inf).value) == pytest.approx(5.0)
        assert math.isinf(Polynomial(affine).log_gradient_norm(2.0).value)

    def test_zero_and_constant_polynomials(self) -> None:
        zero, constant = Polynomial(np.zeros((2, 2))), Polynomial(np.array([[-3.0]]))
        assert zero.log_norm(1.0).value == -math.inf
        assert math.exp(constant.log_norm(math.inf).value) == pytest.approx(3.0)
        assert math.isinf(constant.log_norm(2.0).value)
        assert constant.log_gradient_norm(1.0).value == -math.inf

    def test_a_hundred_thousand_dimensions_do_not_overflow(self) -> None:
        loss = Gaussian(np.zeros(100_000), 2.0)
        assert loss.log_norm(1.0).value == pytest.approx(50_000 * math.log(4.0 * math.pi), rel=1e-12)
        assert math.isfinite(loss.smoothed(3.0).log_gradient_norm(1.0).value)


class TestRefusals:
    def test_bad_parameters(self) -> None:
        with pytest.raises(ParameterError, match="variance"):
            Gaussian(np.zeros(2), 0.0)
        with pytest.raises(ParameterError, match="wave_vector"):
            FourierMode(np.zeros(2))
        with pytest.raises(ParameterError, match="width"):
            Step(np.ones(2), width=-1.0)
        with pytest.raises(ParameterError, match="sigma"):
            Step(np.ones(2)).smoothed(0.0)
        with pytest.raises(DTypeError, match="direction"):
            Hinge([1, 2])
        with pytest.raises(NonFiniteError, match="center"):
            Gaussian(np.array([np.nan]), 1.0)
        with pytest.raises(NonFiniteError, match="log_amplitude"):
            Gaussian(np.zeros(1), 1.0, math.inf)
        with pytest.raises(ParameterError, match="phase"):
            FourierMode(np.ones(1), math.nan)
        with pytest.raises(NonFiniteError, match="offset"):
            Absolute(np.ones(1), math.inf)
        with pytest.raises(ShapeError, match="coefficients"):
            Polynomial(np.zeros(()))
        with pytest.raises(ShapeError, match="center"):
            Gaussian(np.zeros((2, 2)), 1.0)
        with pytest.raises(ShapeError, match="center"):
            Gaussian(np.zeros(0), 1.0)

    def test_points_of_another_dimension(self) -> None:
        for loss in (
            Gaussian(np.zeros(2), 1.0),
            FourierMode(np.ones(2)),
            Step(np.ones(2)),
            Polynomial(np.eye(2)),
        ):
            with pytest.raises(ShapeError, match="points"):
                loss.value(np.zeros((5, 3)))
            with pytest.raises(ShapeError, match="points"):
                loss.gradient(np.float64(1.0))

    def test_inputs_are_copied(self) -> None:
        center = np.zeros(2)
        loss = Gaussian(center, 1.0)
        center[0] = 5.0
        assert loss.center.tolist() == [0.0, 0.0]
        with pytest.raises(ValueError, match="read-only"):
            loss.center[0] = 1.0
