"""The claims on the method, Theorems 5 and 8: their reference pieces, and findings re-derived by hand."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import sympy as sp
import torch

from grasp_theory.objectives import lifted_loss, rollout_loss
from paper_checks.claims.method import algorithm_1, convergence, lifting, stop_gradient
from paper_checks.claims.method.algorithm_1_reference import StepSizes, joint_step, sync_step
from paper_checks.claims.method.gradients import Objective, Trajectory, random_trajectory
from paper_checks.claims.noise import moving_center, rollouts, theorem_8
from paper_checks.claims.theorem_5 import statement as theorem_5
from paper_checks.claims.theorem_5.losses import PAPER_LOSSES, PaperLoss, double_integrator, scalar_integrator
from paper_checks.engine.records import Result, Verdict
from paper_checks.engine.run import Settings, run_claim
from paper_checks.engine.smooth_networks import SmoothNetwork, random_network

MODULES = (algorithm_1, lifting, convergence, stop_gradient, moving_center, rollouts, theorem_5, theorem_8)
CLAIMS = {claim.id: claim for module in MODULES for claim in module.CLAIMS}


@cache
def _result(claim_id: str) -> Result:
    return run_claim(CLAIMS[claim_id], Settings(quick=True))


@pytest.fixture
def network() -> SmoothNetwork:
    return random_network(np.random.default_rng(0), 2, 1)


@pytest.fixture
def trajectory() -> Trajectory:
    drawn = random_trajectory(np.random.default_rng(1), 2, 1, 4)
    drawn.states[-1] = drawn.goal
    return drawn


def test_together_they_account_for_their_equations() -> None:
    numbers = {number for claim in CLAIMS.values() for number in (*claim.equations, *claim.definitions)}
    # Eq. (7) is a claim about learned models, and stands with Figure 3.
    assert numbers >= {*range(1, 7), *range(8, 16), *range(58, 75), *range(97, 101), 104}


def test_the_lifted_problem_has_other_minimisers_where_the_goal_is_out_of_reach() -> None:
    """A = [1 1; 0 1], B = e_1, g = e_2, T = 2: Eq. (3) depends on a_0 + a_1 = x as x² + 1; eliminating s_1 from
    Eq. (4) leaves (x, −1) in the metric (I + AAᵀ)⁻¹ = [2 −1; −1 3]/5, least at x = −1/2."""
    result = _result("lifting")
    assert result.verdict is Verdict.CAVEAT
    assert (
        result.caveats[0].examination.evidence.numbers["example"] == "(3): [[1, 1, 0]]; (4): [[1, 1, -1/2]]"
    )
    x = sp.symbols("x")
    residual = sp.Matrix([x, -1])
    value = (residual.T * (sp.eye(2) + sp.Matrix([[2, 1], [1, 1]])).inv() * residual)[0]
    assert sp.solve(sp.diff(value, x), x) == [sp.Rational(-1, 2)]


def test_greedy_fixed_points_can_move_away_from_a_reachable_goal() -> None:
    result = _result("goal-tendency")
    assert result.verdict is Verdict.CAVEAT
    # A = [1.2 1; 0 1.2], B = e_2, g = 0, s_0 = e_1: each greedy action zeroes the second coordinate only.
    assert result.caveats[0].examination.evidence.numbers["largest ratio"] >= 1.2**20 * (1 - 1e-12)


def test_the_papers_losses_on_the_double_integrator() -> None:
    problem = double_integrator()
    feasible = problem.feasible_plans()
    exact = {
        (loss.equation, loss.stopped): problem.stationary_plans(loss) == feasible for loss in PAPER_LOSSES
    }
    assert exact == {
        (4, False): True,
        (8, False): True,
        (8, True): False,
        (10, False): False,
        (10, True): False,
    }
    # The stop-gradient zeros of (8): a_0 free, s_1 = (0, a_0), a_1 = −a_0; only a_0 = 1 reaches g = (1, 0).
    plan, defect = problem.example(problem.stationary_plans(PaperLoss(8, stopped=True)), free_value=2)
    assert defect == (plan[sp.Symbol("a0", real=True)] - 1) ** 2 > 0


def test_the_exact_stationary_plans_are_zeros_of_the_librarys_gradients() -> None:
    problem = double_integrator()
    A, B, start, goal = (
        torch.tensor(np.array(matrix, dtype=float))
        for matrix in (problem.A, problem.B, problem.initial_state, problem.goal)
    )

    def model(state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return state @ A.T + action @ B.T

    for stopped in (False, True):
        plan, _ = problem.example(problem.stationary_plans(PaperLoss(10, stopped=stopped)), free_value=0)
        values = torch.tensor([float(value) for value in plan.values()], dtype=torch.float64).requires_grad_()
        states = torch.stack([start.flatten(), values[:2], goal.flatten()])
        loss = lifted_loss(model, states, values[2:, None], goal.flatten(), 1.0, stop_state_gradient=stopped)
        assert torch.autograd.grad(loss, values)[0].abs().max() <= 1e-14


def test_the_stop_gradient_field_of_eq_8_is_exact_where_every_state_is_one_step_away() -> None:
    problem = scalar_integrator()
    assert problem.stationary_plans(PaperLoss(8, stopped=True)) == problem.feasible_plans()


def test_the_joint_step_keeps_the_ends_and_noises_the_rest(
    network: SmoothNetwork, trajectory: Trajectory
) -> None:
    steps, noise = StepSizes(0.1, 0.2), torch.ones_like(trajectory.states)
    plain = joint_step(network, trajectory, 0.5, steps, 0.0 * noise)
    noised = joint_step(network, trajectory, 0.5, steps, noise)
    assert torch.equal(noised.states[[0, -1]], trajectory.states[[0, -1]])
    assert torch.equal(noised.states[1:-1], plain.states[1:-1] + 1.0)
    assert torch.equal(noised.actions, plain.actions)
    freed = joint_step(network, trajectory, 0.5, steps, noise, end_free=True)
    prediction = network.step(trajectory.states[-2], trajectory.actions[-1])
    torch.testing.assert_close(freed.states[-1], trajectory.goal - 0.2 * (trajectory.goal - prediction))


def test_the_sync_step_descends(network: SmoothNetwork, trajectory: Trajectory) -> None:
    def distance(at: Trajectory) -> float:
        return float(rollout_loss(network, at.states[0], at.actions, at.goal))

    after = sync_step(network, trajectory, 0.01, assign_states=False)
    assert distance(after) < distance(trajectory)
    assert after.states is trajectory.states
    assigned = sync_step(network, trajectory, 0.01, assign_states=True)
    assert torch.equal(assigned.actions, after.actions)
    assert torch.equal(assigned.states[0], trajectory.states[0])
    torch.testing.assert_close(assigned.states[1], network.step(trajectory.states[0], trajectory.actions[0]))


@pytest.mark.parametrize("equation", [4, 8, 9, 10])
def test_closed_form_gradients_are_those_of_the_surrogate(
    equation: int, network: SmoothNetwork, trajectory: Trajectory
) -> None:
    """A fourth route: functional differentiation of the written-out surrogate."""
    objective = Objective(equation)

    def surrogate(states: torch.Tensor, actions: torch.Tensor) -> torch.Tensor:
        frozen = trajectory.states if objective.stopped else states
        return objective.surrogate(network, states, actions, trajectory.goal, frozen)

    expected = torch.func.grad(surrogate, argnums=(0, 1))(trajectory.states, trajectory.actions)
    for found, wanted in zip(objective.closed_form(network, trajectory), expected, strict=True):
        torch.testing.assert_close(found, wanted)


def test_most_sequential_evaluations_are_those_of_the_syncs() -> None:
    caveat = next(caveat for caveat in _result("algorithm-1").caveats if "Table 2" in caveat.text)
    # 25 gradient steps through T = 8 steps one after the other, against 100 batched joint steps.
    share = caveat.examination.evidence.numbers["share of the syncs"]
    assert share == pytest.approx(25 * 8 / (25 * 8 + 100))
