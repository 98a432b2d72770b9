"""The nonlinear iteration and its derivative; the basin's guarantee."""

from __future__ import annotations

import numpy as np
import torch

from grasp_theory.theorems import local_contraction
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
