"""The presets' iterates against the formulas, computed here in numpy with derivatives by hand.

Only the standard normal numbers come from the planner, as they come from its generators.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory import GRASP, Observation, PlanningProblem
from grasp_theory.planners.loop.rows import Rows

Array = Float[np.ndarray, "*axes"]
HORIZON, SEEDS = 4, [11, 12]
W = np.array([[0.6, -0.3], [0.2, 0.5]])
U = np.array([[0.9], [-0.4]])
START = np.array([[0.2, -0.1], [-0.6, 0.4]])
GOAL = np.array([[0.9, 0.5], [0.5, -0.8]])
ROUNDING = 1e-10
"""Absolute, on entries of order 1 after 60 iterations."""


class _Model:
    """F(s, a) = s + tanh(W s + U a) / 2."""

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return state + torch.tanh(state @ torch.tensor(W).T + action @ torch.tensor(U).T) / 2


def _step(state: Array, action: Array) -> Array:
    following: Array = state + np.tanh(W @ state + U @ action) / 2
    return following


def _jacobians(state: Array, action: Array) -> tuple[Array, Array]:
    slope = (1 - np.tanh(W @ state + U @ action) ** 2) / 2
    return np.eye(2) + slope[:, None] * W, slope[:, None] * U


def _rollout(start: Array, actions: Array) -> Array:
    states = [start]
    for action in actions:
        states.append(_step(states[-1], action))
    return np.array(states)


def _rollout_gradient(start: Array, actions: Array, goal: Array) -> Array:
    """∇_a ‖s_T − g‖² by the adjoint recursion."""
    states = _rollout(start, actions)
    adjoint, gradient = 2 * (states[-1] - goal), np.zeros_like(actions)
    for t in reversed(range(len(actions))):
        along_state, along_action = _jacobians(states[t], actions[t])
        gradient[t] = along_action.T @ adjoint
        adjoint = along_state.T @ adjoint
    return gradient


def _action_gradient(states: Array, actions: Array, goal: Array, gamma: float) -> Array:
    """∇_a of Eq. (10): every term sees a_t through F(s̄_t, a_t) alone."""
    gradient = np.zeros_like(actions)
    for t, action in enumerate(actions):
        predicted, (_, along_action) = _step(states[t], action), _jacobians(states[t], action)
        pull = 2 * (predicted - states[t + 1]) + 2 * gamma * (predicted - goal)
        gradient[t] = along_action.T @ pull
    return gradient


class _Adam:
    def __init__(self, lr: float) -> None:
        self.lr, self.k = lr, 0
        self.m: Array = np.zeros(())
        self.v: Array = np.zeros(())

    def __call__(self, x: Array, gradient: Array) -> Array:
        self.k += 1
        self.m = 0.9 * self.m + 0.1 * gradient
        self.v = 0.999 * self.v + 0.001 * gradient**2
        mean, square = self.m / (1 - 0.9**self.k), self.v / (1 - 0.999**self.k)
        moved: Array = x - self.lr * mean / (np.sqrt(square) + 1e-8)
        return moved


def _problem() -> PlanningProblem:
    return PlanningProblem(
        _Model(), torch.tensor(START), torch.tensor(GOAL), HORIZON, 1, seeds=torch.tensor(SEEDS)
    )


def _trace(planner: GRASP) -> list[tuple[Array, Array]]:
    """Virtual states and actions at the start and after every iteration, of both problems."""
    seen: list[Observation] = []
    replace(planner, check_every=1).plan(_problem(), callback=seen.append)
    return [(o.virtual_states.numpy(), o.actions.numpy()) for o in seen]  # type: ignore[union-attr]


def _noise(count: int) -> Array:
    """(count, problems, T−1, n), in the order in which the planner draws them."""
    stream = Rows(_problem(), 1, torch.tensor(SEEDS)).noise(HORIZON - 1, 2)
    return np.array([stream.draw().clone().numpy() for _ in range(count)])


def _line(i: int) -> Array:
    line: Array = START[i] + (GOAL[i] - START[i]) * np.linspace(0, 1, HORIZON + 1)[:, None]
    return line


def test_the_released_iterates() -> None:
    """Adam (0.1, 0.01) on the loss averaged over the 2 state entries, γ = 1, noise 0.01; every 50 iterations 10 Adam
    steps (0.05) on the rollout loss that leave the virtual states, after which both optimisers start afresh."""
    trace, noise = _trace(replace(GRASP.released(), iterations=60)), _noise(60)
    for i in range(2):
        states, actions = _line(i), np.zeros((HORIZON, 1))
        of_states, of_actions = _Adam(0.1), _Adam(0.01)
        for k in range(60):
            predicted = np.array([_step(s, a) for s, a in zip(states[:-1], actions, strict=True)])
            gradient = _action_gradient(states, actions, GOAL[i], 1.0) / 2
            along_states = -2 * (predicted[:-1] - states[1:-1]) / 2
            states[1:-1] = of_states(states[1:-1], along_states) + 0.01 * noise[k, i]
            actions = of_actions(actions, gradient)
            if (k + 1) % 50 == 0:
                of_sync = _Adam(0.05)
                for _ in range(10):
                    actions = of_sync(actions, _rollout_gradient(START[i], actions, GOAL[i]) / 2)
                of_states, of_actions = _Adam(0.1), _Adam(0.01)
            assert np.abs(trace[k + 1][0][i] - states).max() <= ROUNDING
            assert np.abs(trace[k + 1][1][i] - actions).max() <= ROUNDING
    assert len(trace) == 61


def test_the_papers_iterates() -> None:
    """Algorithm 1 with plain gradient steps: (11)-(12), and at k mod 25 = 0 rollout, states replaced, one step of (13)."""
    trace, noise = _trace(replace(GRASP.paper(), iterations=60)), _noise(61)
    state_lr, action_lr, sync_lr, gamma, spread = 0.25, 0.1, 0.1, 0.1, 0.1  # ours: the paper gives none
    for i in range(2):
        states, actions = _line(i), np.zeros((HORIZON, 1))
        states[1:-1] += spread * noise[0, i]
        assert np.abs(trace[0][0][i] - states).max() <= ROUNDING
        for k in range(60):
            predicted = np.array([_step(s, a) for s, a in zip(states[:-1], actions, strict=True)])
            gradient = _action_gradient(states, actions, GOAL[i], gamma)
            states[1:-1] = (
                states[1:-1] - 2 * state_lr * (states[1:-1] - predicted[:-1]) + 0.5 * noise[k + 1, i]
            )
            actions = actions - action_lr * gradient
            if k % 25 == 0:
                states[1:-1] = _rollout(START[i], actions)[1:-1]
                actions = actions - sync_lr * _rollout_gradient(START[i], actions, GOAL[i])
            assert np.abs(trace[k + 1][0][i] - states).max() <= ROUNDING
            assert np.abs(trace[k + 1][1][i] - actions).max() <= ROUNDING


def test_the_comparison_can_fail() -> None:
    """Negative control: γ off by a part in a million is seen."""
    trace = _trace(replace(GRASP.released(), iterations=3))
    other = _trace(replace(GRASP.released(), iterations=3, goal_weight=1.000001))
    assert np.abs(trace[-1][1] - other[-1][1]).max() > ROUNDING


def test_the_released_planner_returns_its_last_iterate() -> None:
    planner = replace(GRASP.released(), iterations=60, action_lr=0.3)  # so that the last is not the best
    plan = planner.plan(_problem())
    np.testing.assert_array_equal(plan.actions.numpy(), _trace(planner)[-1][1])
    for i in range(2):
        final = _rollout(START[i], plan.actions[i].numpy())[-1]
        assert float(plan.loss[i]) == pytest.approx(float(np.square(final - GOAL[i]).sum()), rel=1e-12)
    best = replace(planner, returned="best", check_every=1).plan(_problem())
    assert (best.loss <= plan.loss).all()
    assert (best.loss < plan.loss).any()


def test_a_mean_over_the_states_entries_is_that_of_a_problem_alone_too() -> None:
    planner = replace(GRASP.released(), iterations=3)
    together, alone = planner.plan(_problem()), planner.plan(_problem().part(slice(0, 1)))
    torch.testing.assert_close(alone.actions[0], together.actions[0], rtol=0.0, atol=ROUNDING)
