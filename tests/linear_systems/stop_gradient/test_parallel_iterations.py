"""Iterations that share the fixed point of Theorem 6: each by a second route, and the closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from system_strategies import systems, time_varying_systems

from linear_systems import (
    LinearSystem,
    TimeVaryingLinearSystem,
    parallel_iterations,
    stop_gradient,
    uniform_convergence,
)
from linear_systems.errors import ParameterError, StepSizeError, UnstableSystemError
from linear_systems.rounding import rounding_allowance
from linear_systems.stop_gradient.parallel_iterations import Iteration

TAME = ("stable", "unstable", "complex", "defective", "rank_deficient")
SCALAR = LinearSystem([[0.8]], [[1.0]])
UNIFORM = (0.05, 0.3)
HORIZON = 5


def _matrix(iteration: Iteration, horizon: int, size: int) -> NDArray[np.float64]:
    basis = np.eye(horizon * size).reshape(-1, horizon, size)
    return np.stack([iteration.advance(column.copy(), 0).ravel() for column in basis], axis=1)


def _allowance(system: LinearSystem) -> float:
    size = float(np.linalg.norm(system.A, 2)) + float(np.linalg.norm(system.B, 2))
    return rounding_allowance(
        (1.0 + size) ** 3, 10 * system.state_dim, float(np.linalg.norm(np.linalg.pinv(system.B))) + 1
    )


@given(systems(max_n=4, max_m=4, kinds=TAME), st.floats(0.1, 2.0))
def test_gradient_steps_are_the_update_matrix(system, beta):
    J = stop_gradient.update_matrix(system, HORIZON, beta, UNIFORM).toarray()
    found = _matrix(parallel_iterations.gradient_steps(system, beta, UNIFORM), HORIZON, sum(system.B.shape))
    assert np.abs(found - J).max() <= _allowance(system)


@given(time_varying_systems(max_n=3, max_m=3, max_length=6))
def test_gradient_steps_of_time_varying_systems_too(system):
    T = system.length
    J = stop_gradient.update_matrix(system, T, 1.0, UNIFORM).toarray()
    found = _matrix(
        parallel_iterations.gradient_steps(system, 1.0, UNIFORM), T, system.state_dim + system.action_dim
    )
    assert np.abs(found - J).max() <= 1e-12 * np.abs(J).max()


def test_a_cycle_repeats_its_step_sizes():
    cycle = parallel_iterations.gradient_steps(SCALAR, 1.0, UNIFORM, (0.1, 0.2))
    error = np.arange(6.0).reshape(3, 2)
    for k, eta in enumerate([UNIFORM, (0.1, 0.2), UNIFORM]):
        expected = parallel_iterations.gradient_steps(SCALAR, 1.0, eta).advance(error, 0)
        assert np.array_equal(cycle.advance(error, k), expected)


@given(systems(max_n=4, max_m=4, kinds=TAME))
def test_gradient_sweeps_have_the_symbol_of_gauss_seidel(system):
    size = sum(system.B.shape)
    D = stop_gradient.symbol(system, 1.0, UNIFORM, 0.0).real
    E = stop_gradient.symbol(system, 1.0, UNIFORM, 1.0).real - D
    lower = np.eye(HORIZON * size) - np.kron(np.eye(HORIZON, k=-1), E)
    expected = np.linalg.solve(lower, np.kron(np.eye(HORIZON), D))
    found = _matrix(parallel_iterations.gradient_sweeps(system, 1.0, UNIFORM), HORIZON, size)
    scale = float(np.linalg.norm(lower, 2) * np.abs(expected).max() * np.linalg.cond(lower))
    assert np.abs(found - expected).max() <= rounding_allowance(1.0 + scale, HORIZON * size)


@given(systems(max_n=4, max_m=4, kinds=TAME), st.floats(0.0, 2.0), st.floats(0.1, 1.0))
def test_minimised_actions_are_stationary_and_step_the_states(system, beta, eta):
    n = system.state_dim
    error = np.random.default_rng(0).standard_normal((HORIZON, sum(system.B.shape)))
    moved = parallel_iterations.minimised_actions(system, beta, eta).advance(error, 0)
    before = np.concatenate([np.zeros((1, n)), error[:-1, :n]])
    prediction = before @ system.A.T + moved[:, n:] @ system.B.T
    stationary = (prediction - error[:, :n] + beta * prediction) @ system.B
    assert np.abs(stationary).max() <= _allowance(system) * 10.0
    states = error[:, :n] - 2.0 * eta * (error[:, :n] - prediction)
    assert np.abs(moved[:, :n] - states).max() <= _allowance(system)
    J = parallel_iterations.minimised_update_matrix(system, HORIZON, beta, eta)
    assert (
        np.abs((J @ error[:, :n].ravel()).reshape(HORIZON, n) - moved[:, :n]).max()
        <= _allowance(system) * 10.0
    )


@given(time_varying_systems(max_n=3, max_m=3, max_length=6), st.floats(0.1, 1.0))
def test_the_minimised_matrix_of_a_time_varying_system_has_the_blocks_of_each_step(system, eta):
    T, n = system.length, system.state_dim
    weights = np.linspace(0.1, 2.0, T)
    J = parallel_iterations.minimised_update_matrix(system, T, weights, eta).toarray()
    K = uniform_convergence.greedy_closed_loop(system)
    scale = 1.0 + float(np.abs(system.A).max())
    for t in range(T):
        rows = slice(t * n, (t + 1) * n)
        alone = LinearSystem(system.A[t], system.B[t])
        own = parallel_iterations.minimised_update_matrix(alone, 1, weights[t], eta).toarray()
        assert np.abs(J[rows, rows] - own).max() <= 1e-12
        if t:
            assert np.abs(J[rows, (t - 1) * n : t * n] - 2.0 * eta * K[t]).max() <= 1e-9 * scale
    assert not np.triu(J, n).any()


@given(systems(max_n=4, max_m=4, kinds=TAME))
def test_parallel_greedy_is_exact_after_the_horizon(system):
    n = system.state_dim
    error = np.random.default_rng(0).standard_normal((HORIZON, sum(system.B.shape)))
    iteration = parallel_iterations.parallel_greedy(system)
    K = uniform_convergence.greedy_closed_loop(system)
    found = error
    for k in range(HORIZON):
        found = iteration.advance(found, k)
        power = np.linalg.matrix_power(K, k + 1)
        expected = np.concatenate([np.zeros((k + 1, n)), error[: HORIZON - k - 1, :n] @ power.T])
        scale = max(1.0, float(np.linalg.norm(system.A, 2))) ** (k + 1)
        assert np.abs(found[:, :n] - expected).max() <= _allowance(system) * scale
    assert not found.any()


def test_a_reset_puts_the_states_on_the_rollout_of_the_actions():
    system = LinearSystem([[1.0, 0.1], [0.0, 1.0]], [[0.005], [0.1]])
    plain = parallel_iterations.gradient_steps(system, 1.0, UNIFORM)
    synced = parallel_iterations.synchronised(plain, system, 3)
    error = np.random.default_rng(0).standard_normal((4, 3))
    moved = plain.advance(error, 0)
    assert np.array_equal(synced.advance(error, 0), moved)
    reset = synced.advance(error, 2)
    assert np.array_equal(reset[:, 2:], moved[:, 2:])
    assert np.array_equal(reset[:, :2], system.rollout(np.zeros(2), moved[:, 2:])[1:])
    assert synced.sequential_steps(30) == 11.0


def test_counting_agrees_with_exact_arithmetic():
    for eta in (UNIFORM, (1.0 / 3.0, 1.0 / 3.0)):
        error = np.ones((20, 2))
        found = parallel_iterations.iterations_to(
            parallel_iterations.gradient_steps(SCALAR, 1.0, eta), error, 1e-6
        )
        assert found.iterations == stop_gradient.iterations_to(SCALAR, 20, 1.0, eta, error.ravel(), 1e-6)
    assert found.peak > 10.0


def test_counting_says_when_it_gives_up():
    diverging = parallel_iterations.gradient_steps(SCALAR, 1.0, 5.0)
    assert parallel_iterations.iterations_to(diverging, np.ones((4, 2)), 1e-6).iterations is None
    assert parallel_iterations.iterations_to(diverging, np.ones((4, 2)), 1e-6).peak == np.inf
    slow = parallel_iterations.gradient_steps(SCALAR, 1.0, 1e-4)
    assert parallel_iterations.iterations_to(slow, np.ones((4, 2)), 1e-6, 10).iterations is None
    assert parallel_iterations.iterations_to(slow, np.zeros((4, 2)), 1e-6).iterations == 0


@settings(max_examples=20)
@given(systems(max_n=4, max_m=3, kinds=("stable", "complex", "defective")), st.floats(0.1, 5.0))
def test_the_closed_forms_of_minimised_actions(system, beta):
    radius = uniform_convergence.greedy_radius(system)
    if radius > 0.95:
        system = LinearSystem(system.A * 0.9 / radius, system.B)
        radius = uniform_convergence.greedy_radius(system)
    best = parallel_iterations.best_minimised_step_size(system, beta)
    limit = parallel_iterations.minimised_step_size_limit(system, beta)
    rate = parallel_iterations.minimised_action_rate(system, beta, best)
    grid = [
        parallel_iterations.minimised_action_rate(system, beta, x * limit)
        for x in np.linspace(0.01, 0.99, 99)
    ]
    assert rate <= min(grid) + 1e-12
    assert radius - 1e-12 <= rate < 1.0
    assert parallel_iterations.minimised_action_rate(system, beta, limit) == pytest.approx(1.0, abs=1e-12)


def test_extreme_ranks_of_the_input_matrix():
    full = LinearSystem(3.0 * np.eye(2), np.eye(2))
    best = parallel_iterations.best_minimised_step_size(full, 1.0)
    assert parallel_iterations.minimised_action_rate(full, 1.0, best) == 0.0
    assert parallel_iterations.minimised_step_size_limit(full, 1.0) == 2.0
    none = LinearSystem([[0.7]], [[0.0]])
    assert parallel_iterations.best_minimised_step_size(none, 1.0) == 0.5
    assert parallel_iterations.minimised_action_rate(none, 1.0, 0.5) == pytest.approx(0.7, abs=1e-15)


def test_two_steps_in_turn_are_never_worse_and_sometimes_better():
    beta = 1.0
    first, second = parallel_iterations.best_two_step_cycle(SCALAR, beta)
    one = uniform_convergence.best_uniform_step_size(SCALAR, beta)
    error = np.ones((60, 2))
    counts = [
        parallel_iterations.iterations_to(
            parallel_iterations.gradient_steps(SCALAR, beta, *cycle), error, 1e-9
        ).iterations
        for cycle in ((first, second), (one,))
    ]
    assert counts[0] < counts[1]


def test_bad_input_has_its_own_error():
    unstable = LinearSystem([[1.0, 0.0], [0.0, 1.5]], [[1.0], [0.0]])
    varying = TimeVaryingLinearSystem(np.ones((2, 1, 1)), np.ones((2, 1, 1)))
    for call in (parallel_iterations.best_minimised_step_size, parallel_iterations.minimised_step_size_limit):
        with pytest.raises(UnstableSystemError, match="greedy closed loop"):
            call(unstable, 1.0)
        with pytest.raises(ParameterError, match="beta"):
            call(SCALAR, 0.0)
    for call in (
        parallel_iterations.parallel_greedy,
        lambda s: parallel_iterations.minimised_actions(s, 1.0, 0.5),
    ):
        with pytest.raises(ParameterError, match="time-varying"):
            call(varying)
    with pytest.raises(ParameterError, match="state_step"):
        parallel_iterations.minimised_action_rate(SCALAR, 1.0, -0.5)
    with pytest.raises(ParameterError, match="cycle"):
        parallel_iterations.gradient_steps(SCALAR, 1.0)
    with pytest.raises(StepSizeError, match="cycle"):
        parallel_iterations.gradient_steps(SCALAR, 1.0, -0.1)
    with pytest.raises(ParameterError, match="every"):
        parallel_iterations.synchronised(parallel_iterations.parallel_greedy(SCALAR), SCALAR, 0)
    with pytest.raises(ParameterError, match="tolerance"):
        parallel_iterations.iterations_to(parallel_iterations.parallel_greedy(SCALAR), np.ones((2, 2)), 0.0)


def test_resets_can_make_a_step_size_usable_that_is_not_so_alone():
    """Where A is stable: the constant of η = 1/3 stops growing with T."""
    alone = parallel_iterations.gradient_steps(SCALAR, 1.0, 1.0 / 3.0)
    synced = parallel_iterations.synchronised(alone, SCALAR, 5)
    plain, reset = (
        [parallel_iterations.iterations_to(method, np.ones((T, 2)), 1e-6) for T in (20, 80)]
        for method in (alone, synced)
    )
    assert plain[1].peak > 1e6 * plain[0].peak
    assert reset[1].peak <= 1.5 * reset[0].peak
    assert plain[1].iterations > 3 * plain[0].iterations
    assert reset[1].iterations <= reset[0].iterations + 5
