"""The sharpened Theorem 6 on generated systems: inside, outside, and wrong on purpose."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from system_strategies import systems

from grasp_theory.theorems.theorem_6_uniform import (
    constant_growth,
    greedy_necessity,
    minimised_contraction,
    uniform_contraction,
    uniform_powers,
)
from linear_systems import LinearSystem, stop_gradient, uniform_convergence
from linear_systems.errors import HorizonError, RankError, StepSizeError
from linear_systems.rounding import rounding_allowance

SCALAR = LinearSystem([[0.8]], [[1.0]])
UNIFORM = (0.05, 0.3)
AGGRESSIVE = 1.0 / 3.0
ITERATIONS = 10


@settings(max_examples=15)
@given(systems(max_n=3, max_m=3), st.integers(1, 12), st.floats(0.1, 0.95), st.floats(0.0, 2.0))
def test_powers_stay_below_the_symbol(system, horizon, share, beta):
    eta = share * stop_gradient.step_size_limit(system, 1.0)
    check = uniform_powers(system, horizon, beta, eta, ITERATIONS)
    assert check.assumptions_hold
    assert check.holds
    assert check.quantities["attained"] <= 1.02


def test_powers_attain_it_as_the_horizon_grows():
    attained = [
        uniform_powers(SCALAR, T, 1.0, UNIFORM, ITERATIONS).quantities["attained"] for T in (5, 20, 80)
    ]
    assert attained[0] < attained[1] < attained[2]
    # At a fixed k the gap falls like 1/T².
    assert 1.0 - attained[2] < (1.0 - attained[1]) / 8.0


def test_a_symbol_of_tamer_dynamics_is_exceeded():
    tamer = uniform_powers(LinearSystem([[0.4]], [[1.0]]), 20, 1.0, AGGRESSIVE, ITERATIONS)
    wilder = stop_gradient.transient_growth(SCALAR, 20, 1.0, AGGRESSIVE, ITERATIONS)
    calmer = stop_gradient.transient_growth(LinearSystem([[0.4]], [[1.0]]), 20, 1.0, AGGRESSIVE, ITERATIONS)
    assert tamer.holds
    assert not replace(tamer, computed=tamer.computed * float(wilder[-1] / calmer[-1])).holds


@pytest.mark.parametrize("horizon", [1, 6, 30])
def test_one_constant_serves_every_horizon(horizon):
    check = uniform_contraction(SCALAR, horizon, 1.0, UNIFORM, 80)
    assert check.assumptions_hold
    assert check.holds
    assert check.quantities["rate"] < 1.0
    assert check.quantities["peak"] < 1.8
    if horizon == 30:
        assert not replace(check, bound=0.98 * check.bound).holds


def test_beyond_the_assumption_there_is_no_constant():
    check = uniform_contraction(SCALAR, 10, 1.0, AGGRESSIVE, 40)
    assert not check.assumptions_hold
    assert check.bound == np.inf
    assert check.quantities["r"] > 1.3


@settings(max_examples=15)
@given(systems(max_n=4, max_m=3), st.floats(0.01, 0.95), st.floats(0.1, 3.0))
def test_without_a_stable_greedy_loop_no_step_size_is_uniform(system, share, ratio):
    limit = stop_gradient.step_size_limit(system, 1.0, ratio)
    check = greedy_necessity(system, 1.0, (share * limit, share * limit * ratio))
    assert check.assumptions_hold is (uniform_convergence.greedy_radius(system) >= 1.0)
    assert check.holds or not check.assumptions_hold


def test_an_unstable_system_with_a_stable_greedy_loop_is_outside():
    check = greedy_necessity(LinearSystem([[1.2]], [[1.0]]), 1.0, UNIFORM)
    assert not check.assumptions_hold
    assert not check.holds


@pytest.mark.parametrize("horizon", [8, 16, 32])
def test_the_constant_grows_as_fast_as_the_symbol_says(horizon):
    check = constant_growth(SCALAR, horizon, 1.0, AGGRESSIVE, 6 * horizon)
    assert check.assumptions_hold
    assert check.holds
    assert not replace(check, bound=1.5 * check.bound).holds
    growth = check.quantities["growth"]
    assert growth == pytest.approx(np.log(12.0 / 5.0), rel=1e-6)
    # What the norms are off by, and rounding.
    expected = 1e-10 + rounding_allowance(1.0 + check.bound, horizon)
    assert check.allowance == pytest.approx(expected, rel=1e-9, abs=0.0)
    # Within a term that does not grow with T.
    assert abs(check.computed - growth * horizon) < 4.0


@pytest.mark.parametrize(("step_size", "largest"), [(UNIFORM, 10.0), (0.28, 1.1)])
def test_where_the_rate_is_uniform_the_constant_does_not_grow(step_size, largest):
    check = constant_growth(SCALAR, 12, 1.0, step_size, 60)
    assert not check.assumptions_hold
    assert check.bound == -np.inf
    assert check.allowance == pytest.approx(1e-10 + rounding_allowance(1.0, 12), rel=1e-9, abs=0.0)
    assert 1.0 < check.quantities["radius"] < largest


@given(systems(), st.floats(0.0, 3.0), st.floats(0.05, 1.2))
def test_the_rate_with_minimised_actions_in_closed_form(system, beta, state_step):
    check = minimised_contraction(system, beta, state_step)
    assert check.holds
    assert not replace(check, bound=1.001 * check.bound + 1e-3 + check.allowance).holds


def test_bad_input_has_its_own_error():
    with pytest.raises(HorizonError):
        uniform_powers(SCALAR, 0, 1.0, UNIFORM, 3)
    with pytest.raises(StepSizeError):
        greedy_necessity(SCALAR, 1.0, -1.0)
    with pytest.raises(RankError):
        constant_growth(LinearSystem([[0.5]], [[1.0, 1.0]]), 4, 1.0, 0.1, 10)
    with pytest.raises(StepSizeError):
        constant_growth(SCALAR, 4, 1.0, 5.0, 10)
