"""Theorem 4 as a pair of checks: what they return, when the assumptions fail, and that they can fail."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grasp_theory.smoothing import Absolute, FourierMode, Gaussian, PeriodicLoss, Polynomial, Step, mean_norm
from grasp_theory.theorems.theorem_4 import gradient_contraction, scale_control
from linear_systems.errors import ParameterError

exponents = st.one_of(st.floats(1.0, 30.0), st.just(math.inf))


@given(st.integers(1, 200_000), st.floats(-10.0, 10.0), st.floats(0.1, 10.0), exponents)
def test_gaussians_obey_both_parts_in_every_dimension(
    dim: int, log_variance: float, sigma: float, p: float
) -> None:
    loss = Gaussian(np.zeros(dim), math.exp(log_variance))
    for check in (gradient_contraction(loss, sigma, p), scale_control(loss, sigma, p)):
        assert check.assumptions_hold
        assert check.holds
    control = scale_control(loss, sigma, p)
    assert control.computed <= control.quantities["better_bound"] + control.allowance
    assert control.quantities["attained"] <= control.quantities["better_bound"] * (1.0 + 1e-9)


@given(st.integers(0, 2**32), st.integers(1, 2), st.floats(0.1, 3.0), exponents)
def test_random_waves_obey_both_parts(seed: int, dim: int, sigma: float, p: float) -> None:
    loss = PeriodicLoss(np.random.default_rng(seed).standard_normal((8,) * dim), 7.0)
    assert gradient_contraction(loss, sigma, p).holds
    assert scale_control(loss, sigma, p).holds


@pytest.mark.parametrize("dim", [1, 2, 3, 75_264])
def test_part_2_is_tight_at_p_1_and_loose_at_p_infinity(dim: int) -> None:
    tight = scale_control(Gaussian(np.zeros(dim), 1e-8), 1.0, 1.0)
    assert tight.computed == pytest.approx(tight.bound, rel=1e-6)
    loose = scale_control(Step(np.eye(1, dim)[0], width=1e-4), 1.0, math.inf)
    assert loose.computed == pytest.approx(loose.quantities["better_bound"], rel=1e-6)
    assert loose.bound / loose.computed == pytest.approx(mean_norm(dim) * math.sqrt(math.pi / 2.0), rel=1e-6)


def test_part_1_is_tight_for_wide_losses() -> None:
    check = gradient_contraction(Gaussian(np.zeros(3), 1e10), 1.0, 3.0)
    assert 0.0 <= check.slack + check.allowance <= 1e-8


@given(st.floats(1e-3, 1e3), st.floats(0.1, 10.0), st.floats(1.0, 20.0))
def test_the_gain_does_not_depend_on_the_unit_of_s(unit: float, variance: float, p: float) -> None:
    first = scale_control(Gaussian(np.zeros(4), variance), 1.0, p)
    second = scale_control(Gaussian(np.zeros(4), variance * unit**2), unit, p)
    assert (
        abs(first.computed - second.computed) <= first.allowance + second.allowance + 1e-12 * first.computed
    )


def test_losses_outside_the_assumptions_say_so() -> None:
    u = np.array([1.0, 0.0])
    assert scale_control(Absolute(u, width=1.0), 1.0, math.inf).assumptions == {
        "L is C¹": True,
        "L ∈ L^p": False,
    }
    assert scale_control(Step(u), 1.0, math.inf).assumptions == {"L is C¹": False, "L ∈ L^p": True}
    assert gradient_contraction(Absolute(u), 1.0, math.inf).assumptions == {
        "L is C¹": False,
        "∇L ∈ L^p": True,
    }
    wave = scale_control(FourierMode(u), 1.0, 2.0)
    assert not wave.assumptions_hold
    assert math.isnan(wave.computed)
    assert not wave.holds
    # The planner's own kind of loss: a square is in no L^p, and neither is its gradient.
    square = Polynomial(np.array([0.0, 0.0, 1.0]))
    for p in (1.0, 2.0, math.inf):
        assert not scale_control(square, 1.0, p).assumptions_hold
        assert not gradient_contraction(square, 1.0, p).assumptions_hold


def test_lipschitz_losses_contract_without_being_bounded() -> None:
    check = gradient_contraction(Absolute(np.array([3.0, 4.0]), width=0.1), 2.0, math.inf)
    assert check.assumptions_hold
    assert check.computed == pytest.approx(1.0, abs=1e-12)
    assert check.holds


def test_a_smaller_constant_is_caught() -> None:
    check = scale_control(Gaussian(np.zeros(5), 1e-6), 1.0, 1.0)
    assert check.holds
    assert not replace(check, bound=0.999 * check.bound).holds


def test_refusals() -> None:
    loss = Gaussian(np.zeros(2), 1.0)
    for check in (scale_control, gradient_contraction):
        with pytest.raises(ParameterError, match="sigma"):
            check(loss, 0.0, 2.0)
        with pytest.raises(ParameterError, match=r"^p:"):
            check(loss, 1.0, 0.5)
