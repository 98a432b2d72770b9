"""Step sizes with a T-free rate: closed loop, limits, best pairs, radius."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.linalg import orth, solve_discrete_lyapunov
from system_strategies import systems, time_varying_systems

from linear_systems import LinearSystem, TimeVaryingLinearSystem, stop_gradient, uniform_convergence
from linear_systems.errors import (
    ParameterError,
    RankError,
    StepSizeError,
    UndecidedError,
    UnstableSystemError,
)
from linear_systems.rounding import rounding_allowance

TAME = ("stable", "unstable", "complex", "defective")
SCALAR = LinearSystem([[0.8]], [[1.0]])
CROSSING = 1e-5
"""Relative distance from a limit at which r must be on its side of 1."""


def _stable_loops(max_n: int = 4, max_m: int = 3) -> st.SearchStrategy[LinearSystem]:
    """Draw systems and scale A until ρ(K) <= 0.9."""

    def scaled(system: LinearSystem) -> LinearSystem:
        radius = uniform_convergence.greedy_radius(system)
        return LinearSystem(system.A * min(1.0, 0.9 / max(radius, 1e-9)), system.B)

    return systems(max_n=max_n, max_m=max_m, kinds=TAME, full_column_rank=True).map(scaled)


@given(systems())
def test_greedy_closed_loop_is_the_projected_dynamics(system):
    projection = system.B @ np.linalg.pinv(system.B)
    expected = system.A - projection @ system.A
    scale = float(np.linalg.norm(system.A, 2))
    found = uniform_convergence.greedy_closed_loop(system)
    assert np.abs(found - expected).max() <= rounding_allowance(
        scale, system.state_dim + system.action_dim, 1e3
    )


@given(systems(kinds=TAME, full_column_rank=True))
def test_greedy_closed_loop_carries_deviations_of_the_greedy_rollout(system):
    rng = np.random.default_rng(0)
    start, moved, goal = rng.standard_normal((3, system.state_dim))
    one, _ = stop_gradient.greedy_rollout(system, 3, start, goal)
    other, _ = stop_gradient.greedy_rollout(system, 3, moved, goal)
    K = uniform_convergence.greedy_closed_loop(system)
    expected = np.linalg.matrix_power(K, 3) @ (moved - start)
    size = max(1.0, float(np.linalg.norm(system.A, 2))) ** 3
    condition = float(np.linalg.cond(system.B)) * (1.0 + np.abs(one).max() + np.abs(other).max())
    assert np.abs(other[-1] - one[-1] - expected).max() <= rounding_allowance(
        size, 10 * system.state_dim, condition
    )


@given(time_varying_systems())
def test_greedy_closed_loop_of_a_time_varying_system_is_taken_step_by_step(system):
    found = uniform_convergence.greedy_closed_loop(system)
    for k, a, b in zip(found, system.A, system.B, strict=True):
        assert np.array_equal(k, uniform_convergence.greedy_closed_loop(LinearSystem(a, b)))


@given(systems(kinds=TAME, full_column_rank=True))
def test_greedy_radius_is_that_of_the_closed_loop(system):
    K = uniform_convergence.greedy_closed_loop(system)
    # Gelfand: ρ(K)^k <= ‖K^k‖, and ‖K^k‖ is not far above it after many steps.
    radius = uniform_convergence.greedy_radius(system)
    norms = [float(np.linalg.norm(np.linalg.matrix_power(K, k), 2)) for k in (1, 8, 64)]
    growth = max(1.0, float(np.linalg.norm(system.A, 2)))
    for k, norm in zip((1, 8, 64), norms, strict=True):
        allowance = rounding_allowance(growth, 10 * system.state_dim, 1e3)
        assert (radius - allowance) ** k <= norm * (1.0 + 1e-9) + 1e-12
    assert norms[-1] <= 1e6 * (radius + 1e-2) ** 64 or radius > 0.9


def test_a_fully_actuated_system_forgets_at_once():
    assert uniform_convergence.greedy_radius(LinearSystem(5.0 * np.eye(2), np.eye(2))) == 0.0
    assert uniform_convergence.greedy_radius(LinearSystem([[0.7]], [[0.0]])) == pytest.approx(0.7, abs=1e-15)


@given(time_varying_systems(max_length=12), st.integers(1, 12))
def test_greedy_decay_is_the_largest_window(system, window):
    assume(window <= system.length)
    K = uniform_convergence.greedy_closed_loop(system)
    largest = 0.0
    for start in range(system.length - window + 1):
        product = np.eye(system.state_dim)
        for step in K[start : start + window]:
            product = step @ product
        largest = max(largest, float(np.linalg.norm(product, 2)))
    assert uniform_convergence.greedy_decay(system, window) == pytest.approx(
        largest ** (1.0 / window), rel=1e-9
    )


def test_greedy_decay_of_a_time_invariant_system_tends_to_the_radius():
    system = LinearSystem([[0.3, 4.0, 0.0], [0.0, 0.5, 1.0], [0.2, 0.0, 0.9]], [[0.0], [0.0], [1.0]])
    radius = uniform_convergence.greedy_radius(system)
    decays = [uniform_convergence.greedy_decay(system, window) for window in (1, 8, 64)]
    assert decays[0] > decays[1] > decays[2] >= radius
    assert decays[2] < 1.1 * radius


def test_greedy_decay_refuses_windows_longer_than_the_system():
    system = TimeVaryingLinearSystem(np.ones((3, 1, 1)), np.ones((3, 1, 1)))
    with pytest.raises(ParameterError, match="window"):
        uniform_convergence.greedy_decay(system, 4)
    with pytest.raises(ParameterError, match="window"):
        uniform_convergence.greedy_decay(system, 0)


@settings(max_examples=10)
@given(_stable_loops(), st.floats(0.2, 3.0))
def test_the_best_pair_has_a_rate_below_one_and_beats_a_grid(system, beta):
    pair = uniform_convergence.best_uniform_step_size(system, beta)
    rate = stop_gradient.uniform_rate(system, beta, pair)
    assert rate < 1.0
    unit = (1.0 + beta) * float(np.linalg.norm(system.B, 2)) ** 2
    grid = np.geomspace(1e-2, 1.0, 6)
    region = uniform_convergence.uniform_region(system, beta, grid, grid / unit)
    # Both are sampled over the same circle; the search is over a finer set than the grid.
    assert rate <= region.min() + 1e-3 * (1.0 - rate)


@settings(max_examples=10)
@given(_stable_loops(), st.floats(0.7, 1.4), st.floats(0.05, 0.95))
def test_the_rate_crosses_one_at_the_limit(system, factor, inside):
    states, actions = uniform_convergence.best_uniform_step_size(system, 1.0)
    ratio = factor * actions / states
    try:
        limit = uniform_convergence.uniform_step_size_limit(system, 1.0, ratio)
    except StepSizeError:
        assert stop_gradient.uniform_rate(system, 1.0, (1e-3 * states, 1e-3 * states * ratio)) >= 1.0 - 1e-9
        return
    assert limit <= stop_gradient.step_size_limit(system, 1.0, ratio) * (1.0 + 1e-9)
    for scale, below in ((inside, True), (1.0 - CROSSING, True), (1.0 + CROSSING, False)):
        rate = stop_gradient.uniform_rate(system, 1.0, (scale * limit, scale * limit * ratio))
        assert (rate < 1.0) is below


@settings(max_examples=20)
@given(st.floats(-4.0, 4.0), st.floats(0.2, 3.0), st.floats(0.1, 5.0))
def test_scalar_systems_have_the_best_rate_in_closed_form(a, b, beta):
    system = LinearSystem([[a]], [[b]])
    expected = np.sqrt(1.0 - beta / ((1.0 + beta) * (1.0 + abs(a))))
    states, actions = uniform_convergence.best_uniform_step_size(system, beta)
    # Two eigenvalues coincide there, so that rounding moves them by its square root.
    assert stop_gradient.uniform_rate(system, beta, (states, actions)) == pytest.approx(expected, abs=1e-6)
    assert states == pytest.approx(0.5 / (1.0 + abs(a)), rel=1e-3)
    assert actions == pytest.approx(0.5 / ((1.0 + beta) * b**2), rel=1e-3)


@settings(max_examples=15)
@given(_stable_loops(), st.floats(0.2, 3.0), st.floats(0.1, 0.9))
def test_short_steps_on_the_states_are_enough_as_the_proof_says(system, beta, position):
    """The explicit ε₀ of Theorem 5(c), with the norms of its proof bounded from above."""
    n, m = system.B.shape
    unit = (1.0 + beta) * float(np.linalg.norm(system.B, 2)) ** 2
    actions = position / unit
    u = np.linalg.svd(system.B)[0]
    along, across = u[:, :m], u[:, m:]
    radius = uniform_convergence.greedy_radius(system)
    kappa = 0.5 * (1.0 + radius)
    K22, K21 = across.T @ system.A @ across, across.T @ system.A @ along
    Q = solve_discrete_lyapunov((K22 / kappa).T, np.eye(n - m)) if m < n else np.zeros((0, 0))
    root = np.linalg.cholesky((Q + Q.T) / 2.0).T if m < n else Q
    v = float(np.linalg.norm(root @ K21, 2)) if m < n else 0.0
    theta = 2.0 * max(v, 1e-3) / (1.0 - kappa)
    spread = 1.0 / theta + (1.0 / np.sqrt(np.linalg.eigvalsh(Q)[0]) if m < n else 0.0)
    inverse = np.linalg.pinv(system.B)
    b = beta / (1.0 + beta)
    alpha, gain = min(2.0 * b, 1.0 - kappa), theta * float(np.linalg.norm(system.B, 2))
    reach = float(np.linalg.norm(inverse, 2)) / ((1.0 + beta) * theta) + spread * float(
        np.linalg.norm(inverse @ system.A, 2)
    )
    size = max(b, 1.0 + kappa + v / theta)
    gamma = float(
        np.abs(1.0 - 2.0 * actions * (1.0 + beta) * np.linalg.svd(system.B, compute_uv=False) ** 2).max()
    )
    limit = min(0.5, alpha * (1.0 - gamma) / (2.0 * gain * reach * (alpha + 2.0 * size)))
    for factor in (0.99, 0.3):
        # r is 1 − O(ε); where that is not resolved from 1, nothing can be asserted.
        if factor * limit * alpha > 1e-6:
            assert stop_gradient.uniform_rate(system, beta, (factor * limit, actions)) < 1.0


def test_the_region_agrees_with_the_certified_rate():
    system = LinearSystem([[1.0, 0.1], [0.0, 1.0]], [[0.005], [0.1]])
    states, actions = np.array([0.05, 0.3, 0.45]), np.array([0.2, 1.0, 20.0])
    region = uniform_convergence.uniform_region(system, 1.0, states, actions)
    for i, eta_s in enumerate(states):
        for j, eta_a in enumerate(actions):
            rate = stop_gradient.uniform_rate(system, 1.0, (float(eta_s), float(eta_a)))
            assert rate * (1.0 - 1e-3) <= region[i, j] <= rate * (1.0 + 1e-9)


@settings(max_examples=10)
@given(_stable_loops(max_n=3, max_m=2), st.floats(0.1, 0.9), st.floats(0.3, 3.0))
def test_the_radius_tells_uniform_step_sizes_and_scales_with_the_dynamics(system, share, factor):
    eta = share * stop_gradient.step_size_limit(system, 1.0)
    radius = uniform_convergence.convergence_radius(system, 1.0, eta)
    rate = stop_gradient.uniform_rate(system, 1.0, eta)
    if abs(rate - 1.0) > 1e-6:
        assert (radius > 1.0) is (rate < 1.0)
    assert radius * uniform_convergence.greedy_radius(system) <= 1.0 + 1e-6
    if np.isfinite(radius):
        scaled = LinearSystem(factor * system.A, system.B)
        found = uniform_convergence.convergence_radius(scaled, 1.0, eta)
        assert found == pytest.approx(radius / factor, rel=1e-6)


def test_a_still_system_has_no_radius():
    assert uniform_convergence.convergence_radius(LinearSystem([[0.0]], [[1.0]]), 1.0, 0.1) == np.inf


def test_the_known_example():
    assert stop_gradient.uniform_rate(SCALAR, 1.0, 1.0 / 3.0) > 1.3
    assert uniform_convergence.convergence_radius(SCALAR, 1.0, 1.0 / 3.0) == pytest.approx(
        5.0 / 12.0, rel=1e-8
    )


def test_one_step_size_for_both_may_not_exist():
    system = LinearSystem([[5.0]], [[1.0]])
    with pytest.raises(StepSizeError, match="larger ratio"):
        uniform_convergence.uniform_step_size_limit(system, 1.0)
    assert uniform_convergence.uniform_step_size_limit(system, 1.0, 4.0) > 0.0


def test_idle_actions_are_refused_and_can_be_removed():
    system = LinearSystem([[0.5, 0.1], [0.0, 0.3]], [[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    with pytest.raises(RankError, match="orthonormal basis"):
        uniform_convergence.best_uniform_step_size(system, 1.0)
    reduced = LinearSystem(system.A, system.B @ orth(system.B.T))
    assert (
        stop_gradient.uniform_rate(reduced, 1.0, uniform_convergence.best_uniform_step_size(reduced, 1.0))
        < 1.0
    )


def test_an_unstable_greedy_loop_is_refused_and_can_be_discounted():
    system = LinearSystem([[1.0, 0.0], [0.3, 1.2]], [[1.0], [0.0]])
    for call in (uniform_convergence.best_uniform_step_size, uniform_convergence.uniform_step_size_limit):
        with pytest.raises(UnstableSystemError, match="units of"):
            call(system, 1.0)
    discounted = LinearSystem(system.A / 1.3, system.B)
    pair = uniform_convergence.best_uniform_step_size(discounted, 1.0)
    assert uniform_convergence.convergence_radius(system, 1.0, pair) > 1.0 / 1.3


def test_a_marginal_greedy_loop_is_not_called_stable():
    system = LinearSystem([[0.5, 0.0], [0.0, 1.0]], [[1.0], [0.0]])
    with pytest.raises((UnstableSystemError, UndecidedError)):
        uniform_convergence.best_uniform_step_size(system, 1.0)


def test_bad_input_has_its_own_error():
    varying = TimeVaryingLinearSystem(np.ones((2, 1, 1)), np.ones((2, 1, 1)))
    with pytest.raises(ParameterError, match="system"):
        uniform_convergence.best_uniform_step_size(varying, 1.0)
    with pytest.raises(ParameterError, match="system"):
        uniform_convergence.greedy_radius(varying)
    with pytest.raises(ParameterError, match="beta"):
        uniform_convergence.best_uniform_step_size(SCALAR, 0.0)
    with pytest.raises(ParameterError, match="ratio"):
        uniform_convergence.uniform_step_size_limit(SCALAR, 1.0, -1.0)
    with pytest.raises(StepSizeError, match="state_steps"):
        uniform_convergence.uniform_region(SCALAR, 1.0, [0.1, -0.1], [0.1])
    with pytest.raises(StepSizeError, match="step_size_limit"):
        uniform_convergence.convergence_radius(SCALAR, 1.0, 5.0)
