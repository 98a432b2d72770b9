"""Metrics in which greedy is stable: the Riccati equation put back, coordinates, what cannot be had."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from linear_systems import LinearSystem, benchmarks, stop_gradient, uniform_convergence
from linear_systems.errors import ParameterError, ShapeError, UndecidedError
from linear_systems.rounding import rounding_allowance
from linear_systems.stop_gradient.metrics import (
    in_metric,
    metric_closed_loop,
    metric_radius,
    stabilising_metric,
)
from tests.support.system_strategies import systems

CART_POLE = benchmarks.load("cart_pole_upright").system


@settings(deadline=None, max_examples=30)
@given(systems(max_n=4, max_m=3, kinds=("stable", "unstable", "complex"), full_column_rank=True))
def test_the_solution_satisfies_its_equation_and_contracts(system: LinearSystem) -> None:
    try:
        P = stabilising_metric(system)
    except UndecidedError:
        # B may hardly reach an unstable mode; what is found is then not trusted.
        return
    K, n = metric_closed_loop(system, P), system.state_dim
    scale = float(np.linalg.norm(P, 2))
    assert np.abs(P - np.eye(n) - K.T @ P @ K).max() <= 1e-6 * scale
    for x in np.eye(n):
        assert x @ K.T @ P @ K @ x <= x @ P @ x - 0.999 + 1e-6 * scale
    assert metric_radius(system, P) < 1.0


def test_the_euclidean_metric_gives_the_greedy_loop() -> None:
    found = metric_closed_loop(CART_POLE, np.eye(4))
    assert np.abs(found - uniform_convergence.greedy_closed_loop(CART_POLE)).max() <= rounding_allowance(
        2.0, 16
    )


def test_in_its_coordinates_it_is_the_greedy_loop_and_step_sizes_exist() -> None:
    P = stabilising_metric(CART_POLE, None, 0.9)
    changed = in_metric(CART_POLE, P)
    assert uniform_convergence.greedy_radius(changed) == pytest.approx(metric_radius(CART_POLE, P), rel=1e-6)
    assert uniform_convergence.greedy_radius(CART_POLE) > 1.0
    pair = uniform_convergence.best_uniform_step_size(changed, 1.0)
    assert stop_gradient.uniform_rate(changed, 1.0, pair) < 1.0


def test_preconditioned_actions_depend_on_the_range_of_b_only() -> None:
    """U13: with w = (BᵀB)^{1/2} a the columns are orthonormal, and K is the same."""
    rng = np.random.default_rng(0)
    A, B = 0.4 * rng.standard_normal((3, 3)), rng.standard_normal((3, 2)) @ np.diag([1.0, 1e-3])
    q, _ = np.linalg.qr(B)
    plain, conditioned = LinearSystem(A, B), LinearSystem(A, q)
    loops = [uniform_convergence.greedy_closed_loop(system) for system in (plain, conditioned)]
    assert np.abs(loops[0] - loops[1]).max() <= rounding_allowance(1.0, 9, 1e3)
    pair = (0.05, 0.2)
    values, vectors = np.linalg.eigh(B.T @ B)
    root = (vectors / np.sqrt(values)) @ vectors.T
    rates = [
        stop_gradient.uniform_rate(system, 1.0, pair) for system in (LinearSystem(A, B @ root), conditioned)
    ]
    assert rates[0] == pytest.approx(rates[1], rel=1e-8)
    assert rates[1] < stop_gradient.uniform_rate(plain, 1.0, pair)


def test_what_is_not_stabilisable_has_none() -> None:
    with pytest.raises(UndecidedError, match="larger decay"):
        stabilising_metric(LinearSystem([[1.05, 0.0], [0.3, 0.5]], [[0.0], [1.0]]))


@pytest.mark.parametrize(
    ("metric", "error"),
    [(np.eye(3), ShapeError), (-np.eye(4), ParameterError), (np.triu(np.ones((4, 4))), ParameterError)],
)
def test_what_is_no_metric_is_refused(metric: np.ndarray, error: type[Exception]) -> None:
    with pytest.raises(error):
        metric_closed_loop(CART_POLE, metric)


def test_actions_that_do_nothing_are_refused() -> None:
    with pytest.raises(ParameterError):
        stabilising_metric(LinearSystem([[0.5]], [[0.0]]))
