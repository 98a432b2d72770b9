"""Theorem 8: the drift of the tube centre, and what the theorem leaves out, against simulation."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from grasp_theory.dynamics import LinearDynamics
from grasp_theory.objectives import lifted_loss
from grasp_theory.theorems.theorem_8 import (
    action_step,
    drift_rate,
    goal_drift,
    joint_mode,
    omitted_covariance,
    stable_gain_limit,
)
from linear_systems.errors import ParameterError, ShapeError, StepSizeError
from linear_systems.noise.tubes import tube_variance

seeds = st.integers(0, 9999)


class _Network:
    """F(s, a) = s/2 + V tanh(W s + U a)."""

    def __init__(self, rng: np.random.Generator, n: int, m: int) -> None:
        self.V, self.W, self.U = (
            torch.tensor(rng.standard_normal(shape)) for shape in ((n, 5), (5, n), (5, m))
        )

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return 0.5 * state + torch.tanh(state @ self.W.T + action @ self.U.T) @ self.V.T

    @property
    def curvature(self) -> float:
        norms = (float(torch.linalg.matrix_norm(self.V, 2)), float(torch.linalg.matrix_norm(self.U, 2)))
        return norms[0] * 4.0 / (3.0 * np.sqrt(3.0)) * norms[1] ** 2


def _vectors(rng: np.random.Generator, n: int, m: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    state, action, following, goal = (torch.tensor(rng.standard_normal(size)) for size in (n, m, n, n))
    return state, action, following, goal


@given(seed=seeds, n=st.integers(1, 5), m=st.integers(1, 6), gamma=st.floats(0.0, 3.0))
def test_the_centre_is_exact_for_linear_dynamics(seed: int, n: int, m: int, gamma: float) -> None:
    rng = np.random.default_rng(seed)
    model = LinearDynamics(
        torch.tensor(rng.standard_normal((n, n))), torch.tensor(rng.standard_normal((n, m)))
    )
    check = goal_drift(model, *_vectors(rng, n, m), 0.1, gamma, curvature=0.0)
    assert check.holds
    assert check.bound == 0.0
    assert check.quantities["rank"] == min(n, m)
    assert check.quantities["frozen"] == n - min(n, m)


@given(seed=seeds, n=st.integers(1, 4), m=st.integers(1, 4), step=st.floats(1e-4, 1.0))
def test_the_error_is_within_the_taylor_bound(seed: int, n: int, m: int, step: float) -> None:
    rng = np.random.default_rng(seed)
    network = _Network(rng, n, m)
    check = goal_drift(network, *_vectors(rng, n, m), step, 0.5, network.curvature)
    assert check.holds


@pytest.mark.parametrize("seed", range(10))
def test_a_curved_model_puts_the_taylor_bound_to_work(seed: int) -> None:
    rng = np.random.default_rng(seed)
    network = _Network(rng, 3, 3)
    check = goal_drift(network, *_vectors(rng, 3, 3), 0.1, 0.5, network.curvature)
    assert check.allowance < check.computed <= check.bound


class _Parabola:
    """F(s, a) = s + M a²/2 in one dimension, whose Taylor remainder is exactly ½ M |a⁺ − a|²."""

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return state + 1.5 * action.square()


def test_the_taylor_bound_is_attained_by_a_parabola() -> None:
    vectors = [torch.tensor([value], dtype=torch.float64) for value in (0.3, 0.7, -0.2, 1.1)]
    check = goal_drift(_Parabola(), *vectors, 0.05, 0.5, curvature=3.0)
    assert check.bound > 1e-3
    assert check.computed == pytest.approx(check.bound, rel=1e-9)


def test_without_curvature_a_curved_model_violates_the_bound() -> None:
    rng = np.random.default_rng(0)
    assert not goal_drift(_Network(rng, 2, 2), *_vectors(rng, 2, 2), 0.1, 0.5, curvature=0.0).holds


def test_the_action_step_is_a_gradient_step_on_the_objective() -> None:
    rng = np.random.default_rng(1)
    network, (state, action, following, goal) = _Network(rng, 3, 2), _vectors(rng, 3, 2)
    free = action.clone().requires_grad_()
    loss = lifted_loss(
        network, torch.stack([state, following]), free[None], goal, 0.7, stop_state_gradient=True
    )
    expected = action - 0.05 * torch.autograd.grad(loss, free)[0]
    torch.testing.assert_close(
        action_step(network, state, action, following, goal, 0.05, 0.7).action, expected
    )


def test_an_action_step_cannot_be_changed() -> None:
    rng = np.random.default_rng(0)
    taken = action_step(_Network(rng, 2, 1), *_vectors(rng, 2, 1), 0.1, 1.0)
    with pytest.raises(FrozenInstanceError):
        taken.displacement = 0.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("size", "contraction", "rank"), [(2.0, 0.2, 1.0), (1e-5, 1.0, 1.0), (0.0, 0.0, 0.0)]
)
def test_contraction_and_rank_of_actions_of_any_size(size: float, contraction: float, rank: float) -> None:
    # P has the eigenvalues size² and 0, and α = γ η_a 2 = 0.2.
    model = LinearDynamics(torch.eye(2).double(), torch.tensor([[size], [0.0]]).double())
    check = goal_drift(model, *_vectors(np.random.default_rng(2), 2, 1), 0.1, 1.0, curvature=0.0)
    assert check.quantities["contraction"] == pytest.approx(contraction)
    assert (check.quantities["rank"], check.quantities["frozen"]) == (rank, 2.0 - rank)


def test_contraction_is_reported_on_the_range_only() -> None:
    rng = np.random.default_rng(2)
    model = LinearDynamics(torch.eye(3).double(), torch.tensor([[1.0], [0.0], [0.0]]).double())
    check = goal_drift(model, *_vectors(rng, 3, 1), 0.1, 2.0, curvature=0.0)
    assert check.assumptions_hold
    assert check.quantities["contraction"] == pytest.approx(0.6)
    assert check.quantities["frozen"] == 2.0
    beyond = goal_drift(model, *_vectors(rng, 3, 1), 0.3, 2.0, curvature=0.0)
    assert not beyond.assumptions_hold
    assert beyond.quantities["gain"] == pytest.approx(1.2)


def test_the_joint_mode_is_the_mean_iteration() -> None:
    """Two routes: the matrix, and the action and state steps on a scalar system."""
    p, eta, eta_a, gamma = 4.0, 0.1, 0.02, 0.5
    model = LinearDynamics(torch.zeros(1, 1).double(), torch.tensor([[np.sqrt(p)]]))
    goal, action, s = torch.tensor([3.0]).double(), torch.tensor([0.2]).double(), torch.tensor([1.0]).double()
    taken = action_step(model, torch.zeros(1).double(), action, s, goal, eta_a, gamma)
    following = s - 2.0 * eta * (s - taken.center)
    found = joint_mode(p, (eta, eta_a), gamma) @ np.array([float(taken.center - goal), float(s - goal)])
    np.testing.assert_allclose(found, [float(taken.next_center - goal), float(following - goal)], rtol=1e-13)


@given(
    p=st.floats(0.0, 5.0), eta=st.floats(0.01, 0.99), eta_a=st.floats(0.001, 1.0), gamma=st.floats(0.0, 5.0)
)
def test_the_drift_rate_is_the_larger_eigenvalue(p: float, eta: float, eta_a: float, gamma: float) -> None:
    eigenvalues = np.linalg.eigvals(joint_mode(p, (eta, eta_a), gamma))
    assert np.abs(eigenvalues.imag).max() <= 1e-7
    assert drift_rate(p, (eta, eta_a), gamma) == pytest.approx(eigenvalues.real.max(), rel=1e-9, abs=1e-7)


@given(p=st.floats(0.1, 5.0), eta=st.floats(0.05, 0.95), eta_a=st.floats(0.001, 0.05))
def test_the_drift_slows_by_the_lag(p: float, eta: float, eta_a: float) -> None:
    gamma = 1e-6
    slowed = (1.0 - drift_rate(p, (eta, eta_a), gamma)) / (2.0 * eta_a * gamma * p)
    assert slowed == pytest.approx(1.0 / (1.0 + eta_a * p / eta), rel=1e-4)


@given(eta=st.floats(0.01, 0.99), gamma=st.floats(0.01, 20.0))
def test_the_stable_limit_is_where_the_spectral_radius_is_one(eta: float, gamma: float) -> None:
    edge = stable_gain_limit(eta, gamma) / 2.0
    radii = [np.abs(np.linalg.eigvals(joint_mode(f * edge, (eta, 1.0), gamma))).max() for f in (0.999, 1.001)]
    assert radii[0] < 1.0 < radii[1]


def test_the_omitted_covariance_is_that_of_the_stationary_change() -> None:
    """Var(s⁺ − s) = (2η)² Σ_tube + σ², by the AR(1) recursion itself."""
    G = np.array([[1.0, 2.0], [0.0, 1.0]])
    change = (2.0 * 0.2) ** 2 * tube_variance(0.2, 0.5) + 0.5**2
    np.testing.assert_allclose(omitted_covariance(G, 0.2, 0.5), change * G @ G.T, rtol=1e-14)


def test_bad_input_gets_its_own_error() -> None:
    rng = np.random.default_rng(0)
    model, (state, action, following, goal) = _Network(rng, 2, 1), _vectors(rng, 2, 1)
    with pytest.raises(ShapeError, match=r"^state, action, next_state and goal"):
        goal_drift(model, state, action, following, goal[:1].repeat(3), 0.1, 1.0, 0.0)
    with pytest.raises(ParameterError, match=r"^action_step_size"):
        goal_drift(model, state, action, following, goal, 0.0, 1.0, 0.0)
    with pytest.raises(ParameterError, match=r"^goal_weight"):
        goal_drift(model, state, action, following, goal, 0.1, -1.0, 0.0)
    with pytest.raises(ParameterError, match=r"^curvature"):
        goal_drift(model, state, action, following, goal, 0.1, 1.0, -1.0)
    with pytest.raises(StepSizeError, match="0 < η_s < 1"):
        stable_gain_limit(1.0, 1.0)
    with pytest.raises(ParameterError, match=r"^goal_weight"):
        stable_gain_limit(0.5, 0.0)
