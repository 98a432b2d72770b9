"""The fixed point with syncs: limits that are known, and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from linear_systems import LinearSystem, shooting, stop_gradient
from linear_systems.errors import UnstableSystemError
from linear_systems.stop_gradient.sync import sync_fixed_point, sync_matrix

SYSTEM, PAIR = LinearSystem([[0.9, 0.5], [0.0, 0.8]], [[0.0], [1.0]]), (0.3, 0.15)
START, GOAL, HORIZON = np.array([1.0, 0.0]), np.array([0.0, 0.5]), 8


def test_without_a_sync_step_the_plan_is_greedy() -> None:
    plan = sync_fixed_point(SYSTEM, HORIZON, 1.0, PAIR, 5, 0.0, START, GOAL)
    states, actions = stop_gradient.greedy_rollout(SYSTEM, HORIZON, START, GOAL)
    assert np.abs(plan.states - states[1:]).max() <= 1e-12
    assert np.abs(plan.actions - actions).max() <= 1e-12
    assert plan.miss == plan.greedy_miss > 0.1


def test_it_is_reproduced_by_one_period() -> None:
    plan = sync_fixed_point(SYSTEM, HORIZON, 1.0, PAIR, 3, 0.05, START, GOAL)
    z = stop_gradient.stack(plan.states, plan.actions)
    for _ in range(3):
        z = stop_gradient.update(SYSTEM, HORIZON, 1.0, PAIR, START, GOAL, z)
    states, actions = stop_gradient.split(SYSTEM, HORIZON, z)
    missing = GOAL - SYSTEM.rollout(START, actions)[-1]
    actions = actions + 0.1 * (shooting.controllability_matrix(SYSTEM, HORIZON).T @ missing).reshape(-1, 1)
    assert np.abs(states - plan.states).max() <= 1e-12
    assert np.abs(actions - plan.actions).max() <= 1e-12
    assert 0.0 < plan.miss < plan.greedy_miss


def test_a_sync_step_beyond_the_limit_is_refused() -> None:
    limit = 2.0 / shooting.lipschitz(SYSTEM, HORIZON)
    assert sync_matrix(SYSTEM, HORIZON, 1.0, PAIR, 1, 0.0).shape == (24, 24)
    with pytest.raises(UnstableSystemError):
        sync_fixed_point(SYSTEM, HORIZON, 1.0, PAIR, 1, 20.0 * limit, START, GOAL)
