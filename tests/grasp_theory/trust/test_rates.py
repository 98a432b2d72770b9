"""Rates are those of `linear_systems` where it has them, and certificates bound what the iteration does."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from system_strategies import systems, time_varying_systems
from trust_cases import close, linearised

from grasp_theory.trust import linearisation
from grasp_theory.trust.rates import block_powers, certificate, measured_rates, rates, without_idle_actions
from linear_systems import stop_gradient
from linear_systems.errors import UndecidedError, UnstableSystemError
from linear_systems.examples.random_systems import random_time_varying_system
from linear_systems.rounding import EPS
from linear_systems.stop_gradient import uniform_convergence, uniform_rate
from linear_systems.stop_gradient.basin import block_growth
from linear_systems.stop_gradient.blocks import steps_of, update_blocks
from linear_systems.stop_gradient.map import update_matrix
from linear_systems.system import LinearSystem, TimeVaryingLinearSystem

TOLERANCE = 8 * EPS
SLOW = LinearSystem([[0.9, 0.2], [0.0, 0.8]], [[0.0], [1.0]])


@settings(max_examples=12)
@given(system=systems(max_n=4, max_m=3, full_column_rank=True))
def test_time_invariant_systems_have_the_rates_of_linear_systems(system: LinearSystem) -> None:
    found = rates(linearised(system, 4, plans=2), 1.0, TOLERANCE)
    # Where B has rank n, K = 0, and what is computed is its rounding, which grows with A.
    zero = 1e-12 * max(1.0, float(np.linalg.norm(system.A, 2)))
    assert close(found.greedy[1], uniform_convergence.greedy_radius(system)) or found.greedy[1] < zero
    windows, expected = found.greedy_windows[0], uniform_convergence.greedy_decay(system, 2)
    assert close(windows, expected) or max(windows, expected) < zero
    try:
        pair = uniform_convergence.best_uniform_step_size(system, 1.0)
    except (UnstableSystemError, UndecidedError):
        assert not found.exact or found.scale > 1.0
        return
    assert found.exact
    assert found.step_sizes == pair
    assert close(found.rate[0], uniform_rate(system, 1.0, pair))
    assert found.exists


@settings(max_examples=12)
@given(system=time_varying_systems(max_n=4, max_m=3, max_length=8, full_column_rank=True))
def test_windows_of_time_varying_systems(system: TimeVaryingLinearSystem) -> None:
    assert system.length is not None
    found = rates(linearised(system, system.length), 1.0, TOLERANCE)
    window = max(1, system.length // 2)
    assert found.window == window
    expected = uniform_convergence.greedy_decay(system, window)
    zero = 1e-12 * max(1.0, *(float(np.linalg.norm(A, 2)) for A in system.A))
    assert close(found.greedy_windows[0], expected) or max(found.greedy_windows[0], expected) < zero
    K = np.linalg.multi_dot([*uniform_convergence.greedy_closed_loop(system)[::-1], np.eye(system.state_dim)])
    radius = np.abs(np.linalg.eigvals(K)).max() ** (1.0 / system.length)
    assert (
        close(found.greedy[0], radius, 1e-6) or radius < 1e-3
    )  # a defective zero eigenvalue is no better known


def test_what_is_measured_on_the_ring_is_the_uniform_rate_of_a_constant_system() -> None:
    loop = without_idle_actions(linearised(SLOW, 16), TOLERANCE)
    pairs = np.array([0.05, 0.2, 0.3]), np.array([0.1, 0.2, 0.05])
    measured = measured_rates(loop, 1.0, *pairs, 2000)[:, 0]
    exact = [uniform_rate(SLOW, 1.0, (float(s), float(a))) for s, a in zip(*pairs, strict=True)]
    np.testing.assert_allclose(measured, exact, rtol=2e-3)
    assert (measured <= np.array(exact) * (1.0 + 1e-3)).all()


def test_a_search_comes_close_to_the_best_pair() -> None:
    exact = rates(linearised(SLOW, 12), 1.0, TOLERANCE)
    barely = TimeVaryingLinearSystem(
        *(np.array(x) * (1.0 + 1e-6 * np.arange(12)[:, None, None]) for x in SLOW.matrices(12))
    )
    searched = rates(linearised(barely, 12), 1.0, TOLERANCE)
    assert exact.exact
    assert not searched.exact
    assert searched.rate[0] <= exact.rate[0] + 0.01
    assert searched.own_rate[0] <= searched.rate[0]


@settings(max_examples=10)
@given(system=time_varying_systems(max_n=3, max_m=2, max_length=6, full_column_rank=True))
def test_powers_by_squaring_are_those_of_the_basin(system: TimeVaryingLinearSystem) -> None:
    assert system.length is not None
    D, E = update_blocks(steps_of(system, system.length, 1.0), (0.2, 0.02))
    powers = block_powers(torch.tensor(D), torch.tensor(E), 4)
    expected = block_growth(D, E, 16)
    for k, norm in powers:
        assert norm >= expected[k] * (1.0 - 1e-9)
        assert close(norm, expected[k], 1e-8) or norm < 1e-6
    if len(powers) < 5:  # it ends early where a power is small enough, or beyond all use
        assert not 0.5 <= powers[-1][1] <= 1e100


def test_a_certificate_bounds_what_the_iteration_does() -> None:
    rng = np.random.default_rng(3)
    system = random_time_varying_system(rng, 3, 2, 6, full_column_rank=True)
    system = TimeVaryingLinearSystem(
        0.5 * system.A / np.linalg.norm(system.A, 2, axis=(1, 2))[:, None, None], system.B
    )
    linear = linearised(system, 6)
    pair = (0.1, 0.02)
    proved = certificate(without_idle_actions(linear, TOLERANCE), 0, 1.0, pair)
    assert proved is not None
    assert proved.rate < 1.0
    # The same in the certificate's coordinates: actions by what the strongest of them moves.
    unit = float(np.linalg.norm(system.B, 2, axis=(1, 2)).max())
    J = update_matrix(
        TimeVaryingLinearSystem(system.A, system.B / unit), 6, 1.0, (pair[0], pair[1] * unit**2)
    ).toarray()
    power = np.eye(len(J))
    for k in range(1, 400):
        power = J @ power
        blocks = np.linalg.norm(power.reshape(6, 5, 6, 5).transpose(0, 2, 1, 3), 2, axis=(2, 3)).sum(1).max()
        assert np.linalg.norm(power, 2) / math.sqrt(6) <= blocks
        # The largest error of a block, from errors of size 1 in all blocks, is at most this.
        row = max(
            np.linalg.norm(power[5 * t : 5 * t + 5, 5 * j : 5 * j + 5], 2) for t in range(6) for j in range(6)
        )
        assert row <= proved.amplification * proved.rate**k * (1.0 + 1e-9)
    assert proved.rate**proved.power < 1.0


def test_step_sizes_that_are_too_long_are_not_certified() -> None:
    loop = without_idle_actions(linearised(SLOW, 6), TOLERANCE)
    assert certificate(loop, 0, 1.0, (1.5, 0.1)) is None
    assert certificate(loop, 0, 1.0, (0.1, 0.1)) is not None


def test_idle_actions_are_left_out() -> None:
    B = np.array([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]])  # of three actions one direction does something
    found, alone = (
        rates(linearised(LinearSystem(SLOW.A, b), 6), 1.0, TOLERANCE) for b in (B, B[:, :1] * math.sqrt(2))
    )
    assert (found.directions == 1).all()
    assert close(found.rate[0], alone.rate[0])
    assert found.step_sizes is not None
    assert alone.step_sizes is not None
    assert np.allclose(found.step_sizes, alone.step_sizes)
    # A direction at a thousandth of the other counts, or not, as the tolerance says.
    weak = linearised(LinearSystem(SLOW.A, np.array([[1e-3, 0.0], [0.0, 1.0]])), 6)
    assert (rates(weak, 1.0, TOLERANCE).directions == 2).all()
    assert (rates(weak, 1.0, 0.1).directions == 1).all()


def test_where_greedy_is_unstable_errors_are_measured_in_growing_units() -> None:
    found = rates(linearised(LinearSystem([[1.3, 0.0], [0.0, 0.5]], [[0.0], [1.0]]), 6), 1.0, TOLERANCE)
    assert close(found.greedy[0], 1.3)
    assert not found.exists
    assert found.scale > 1.3
    assert found.rate[0] < 1.0


def test_actions_that_move_nothing() -> None:
    found = rates(linearised(LinearSystem([[0.5]], [[0.0]]), 3), 1.0, TOLERANCE)
    assert found.step_sizes is None
    assert not found.exists
    assert np.isnan(found.rate).all()
    assert close(found.greedy[0], 0.5)


def test_products_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    linear = linearised(SLOW, 8)
    dense = rates(linear, 1.0, TOLERANCE)
    pairs = np.array([0.1, 0.3]), np.array([0.1, 0.05])
    measured = measured_rates(without_idle_actions(linear, TOLERANCE), 1.0, *pairs)
    monkeypatch.setattr(linearisation, "LARGEST_DENSE", 0)
    linear = linearised(SLOW, 8)
    products = rates(linear, 1.0, TOLERANCE)
    assert not products.exact
    assert np.isnan(products.greedy_windows).all()
    assert products.certificates == (None,)
    assert products.tried == 0
    assert close(products.greedy[0], dense.greedy[0], 1e-2)
    assert dense.rate[0] - 0.01 <= products.rate[0] < 1.0
    np.testing.assert_allclose(measured_rates(without_idle_actions(linear, TOLERANCE), 1.0, *pairs), measured)


def test_a_short_plan_has_no_rate_below_that_of_the_plan_itself() -> None:
    """A ring of two steps shows two frequencies: at this pair it contracts, and the plan from its fixed start diverges."""
    rng = np.random.default_rng(2)
    rng.integers([4, 4, 10])
    system = TimeVaryingLinearSystem(
        0.8 * rng.standard_normal((2, 3, 3)) / 3**0.5, rng.standard_normal((2, 3, 1))
    )
    loop = without_idle_actions(linearised(system, 2), TOLERANCE)
    pairs = np.geomspace(0.02, 0.45, 6), np.geomspace(0.02, 0.45, 6)
    measured = measured_rates(loop, 0.3, *pairs, 600)[:, 0]
    repeated = TimeVaryingLinearSystem(np.tile(system.A, (6, 1, 1)), np.tile(system.B, (6, 1, 1)))
    for rate, pair in zip(measured, zip(*map(np.ndarray.tolist, pairs), strict=True), strict=True):
        alone = stop_gradient.spectral_radius(system, 2, 0.3, pair)
        assert rate >= alone * (1.0 - 1e-12)
        J = update_matrix(repeated, 12, 0.3, pair).toarray()
        _, E = update_blocks(steps_of(repeated, 12, 0.3), pair)
        J[:4, -4:] += E[0]  # the ring of six repetitions
        expected = max(alone, float(np.abs(np.linalg.eigvals(J)).max()))
        assert close(rate, expected, 5e-3)


def test_step_sizes_that_are_found_for_short_plans_converge_on_them() -> None:
    for seed in range(6):
        system = random_time_varying_system(np.random.default_rng(seed), 2, 1, 2, full_column_rank=True)
        found = rates(linearised(system, 2), 0.3, TOLERANCE)
        assert found.step_sizes is not None
        scaled = TimeVaryingLinearSystem(system.A / found.scale, system.B)
        alone = stop_gradient.spectral_radius(scaled, 2, 0.3, found.step_sizes)
        assert found.rate[0] >= alone * (1.0 - 1e-12)
