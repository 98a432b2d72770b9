"""The nonlinear iteration and its derivative; the basin's guarantee."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from grasp_theory.theorems import local_contraction
from grasp_theory.theorems.local_basin import START as SHARE
from grasp_theory.theorems.local_basin import block_derivatives, stop_gradient_step
from linear_systems import LinearSystem, stop_gradient
from linear_systems.rounding import rounding_allowance
from paper_checks.claims.beyond.nonlinear import GOAL, GOOD, START, curvature, greedy_plan, model


def test_on_a_linear_model_it_is_the_linear_iteration() -> None:
    rng = np.random.default_rng(0)
    A, B = rng.standard_normal((2, 2)), rng.standard_normal((2, 1))
    system, plan = LinearSystem(A, B), rng.standard_normal((5, 3))
    start, goal = rng.standard_normal((2, 2))
    tensors = [torch.from_numpy(array) for array in (A, B, start, goal, plan)]

    def linear(state: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        return tensors[0] @ state + tensors[1] @ action

    moved = stop_gradient_step(linear, tensors[2], tensors[3], 0.7, (0.2, 0.1), tensors[4])
    expected = stop_gradient.update(system, 5, 0.7, (0.2, 0.1), start, goal, plan.ravel())
    assert np.abs(moved.numpy().ravel() - expected).max() <= rounding_allowance(10.0, 16)
    D, E = block_derivatives(linear, tensors[2], tensors[3], 0.7, (0.2, 0.1), tensors[4])
    J = stop_gradient.update_matrix(system, 5, 0.7, (0.2, 0.1)).toarray()
    assert np.abs(J[3:6, 3:6] - D[1]).max() <= rounding_allowance(10.0, 16)
    assert np.abs(J[3:6, :3] - E[1]).max() <= rounding_allowance(10.0, 16)


def test_starts_inside_converge_at_two_horizons_with_one_radius() -> None:
    checks = [
        local_contraction(model, START, GOAL, greedy_plan(T), 1.0, GOOD, curvature(GOOD), 0.95, 150)
        for T in (20, 60)
    ]
    for check in checks:
        assert check.assumptions_hold
        assert check.holds
        assert check.quantities["reached"] < 1e-8
    radii = [check.quantities["radius"] for check in checks]
    assert abs(radii[0] - radii[1]) <= 1e-3 * radii[0]


def test_a_plan_that_is_no_fixed_point_is_outside() -> None:
    moved = greedy_plan(5) + 0.1
    check = local_contraction(model, START, GOAL, moved, 1.0, GOOD, curvature(GOOD), 0.95, 60)
    assert not check.assumptions_hold


def test_the_ratio_is_that_of_the_statement() -> None:
    system, plan = LinearSystem([[0.5]], [[1.0]]), np.zeros((3, 2))
    A, B = torch.tensor([[0.5]]).double(), torch.tensor([[1.0]]).double()
    zero, curved, rate, count = torch.zeros(1).double(), 0.3, 0.97, 150
    check = local_contraction(
        lambda s, a: A @ s + B @ a, zero, zero, torch.from_numpy(plan), 1.0, (0.05, 0.3), curved, rate, count
    )
    assert check.holds
    # The same start; the iteration is the linear one, whose fixed point is 0.
    S, radius = check.quantities["amplification"], check.quantities["radius"]
    directions = torch.randn(3, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    error = (SHARE * radius * directions / directions.norm(dim=1, keepdim=True)).numpy()
    first = np.linalg.norm(error, axis=1).max()
    J = stop_gradient.update_matrix(system, 3, 1.0, (0.05, 0.3)).toarray()
    ratios = [
        np.linalg.norm((np.linalg.matrix_power(J, k) @ error.ravel()).reshape(3, 2), axis=1).max()
        / (S * (rate + S**2 * curved * first) ** k * first)
        for k in range(1, count + 1)
    ]
    assert int(np.argmax(ratios)) == 0
    assert check.computed == pytest.approx(ratios[0], rel=1e-9)
    assert check.quantities["radius"] == pytest.approx((1.0 - rate) / (S**2 * curved), rel=1e-9)
    assert check.allowance <= 1e-9
