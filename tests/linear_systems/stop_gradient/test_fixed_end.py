"""Algorithm 1's fixed s_T: the matrix against autodiff-free differences of the map, the bound, the interlacing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linear_systems import LinearSystem, stop_gradient, uniform_bounds
from linear_systems.errors import StepSizeError
from linear_systems.rounding import rounding_allowance
from linear_systems.stop_gradient.fixed_end import fixed_end_bound, fixed_end_matrix, last_action_block
from tests.support.system_strategies import systems

SCALAR, PAIR = LinearSystem([[0.8]], [[1.0]]), (0.2778, 0.25)


@settings(deadline=None, max_examples=25)
@given(systems(max_n=3, max_m=3), st.integers(1, 5), st.floats(0.01, 0.3), st.floats(0.01, 0.3))
def test_the_matrix_is_the_linear_part_of_the_iteration_with_the_goal_put_back(
    system: LinearSystem, horizon: int, eta_s: float, eta_a: float
) -> None:
    n, m, beta = system.state_dim, system.action_dim, 0.7
    start, goal, pair = np.zeros(n), np.zeros(n), (eta_s, eta_a)

    def advance(z: np.ndarray) -> np.ndarray:
        states, actions = stop_gradient.split(system, horizon, z)
        states = states.copy()
        states[-1] = goal
        full = stop_gradient.stack(states, actions)
        moved = stop_gradient.update(system, horizon, beta, pair, start, goal, full)
        return np.delete(moved, np.s_[len(moved) - n - m : len(moved) - m])

    size = horizon * (n + m)
    kept = np.delete(np.arange(size), np.s_[size - n - m : size - m])
    dense = np.stack([advance(np.eye(size)[k]) for k in kept], axis=1)
    scale = 1.0 + float(np.linalg.norm(system.A) + np.linalg.norm(system.B)) ** 2
    found = fixed_end_matrix(system, horizon, beta, pair).toarray()
    assert np.abs(found - dense).max() <= rounding_allowance(scale, n + m)


@settings(deadline=None, max_examples=40)
@given(systems(max_n=4, max_m=4), st.floats(0.0, 5.0), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_the_last_block_is_between_the_others(
    system: LinearSystem, beta: float, eta_s: float, eta_a: float
) -> None:
    found = float(np.linalg.norm(last_action_block(system, beta, (eta_s, eta_a)), 2))
    bound = stop_gradient.spectral_radius(system, 1, beta, (eta_s, eta_a))
    assert found <= bound + rounding_allowance(max(1.0, found), 8)


def test_the_bound_holds_at_every_horizon() -> None:
    bound = fixed_end_bound(SCALAR, 1.0, PAIR, uniform_bounds.uniform_bound(SCALAR, 1.0, PAIR))
    for horizon in (1, 2, 30):
        J = fixed_end_matrix(SCALAR, horizon, 1.0, PAIR).toarray()
        power = np.eye(len(J))
        for k in range(80):
            assert np.linalg.norm(power, 2) <= bound.constant * bound.rate**k * (1.0 + 1e-12)
            power = J @ power


def test_a_rate_below_the_last_blocks_is_refused() -> None:
    free = uniform_bounds.uniform_bound(SCALAR, 1.0, PAIR)
    slow = (PAIR[0], 0.001)
    with pytest.raises(StepSizeError):
        fixed_end_bound(SCALAR, 1.0, slow, free)
