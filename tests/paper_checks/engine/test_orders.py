"""Orders of convergence, finite differences and random networks that the checks measure with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from linear_systems.errors import ParameterError
from paper_checks.engine.orders import central_gradient, observed_order, pooled_order
from paper_checks.engine.smooth_networks import random_network

STEPS = [0.1 * 0.5**k for k in range(5)]


@given(order=st.integers(1, 6), constant=st.floats(1e-3, 1e3), next_term=st.floats(-3.0, 3.0))
def test_the_order_of_a_power_law_with_a_next_term_is_found(
    order: int, constant: float, next_term: float
) -> None:
    errors = [constant * h**order * (1.0 + next_term * h) for h in STEPS]
    assert observed_order(STEPS, errors) == pytest.approx(order, abs=0.01)


def test_the_extrapolation_is_better_than_the_last_slope() -> None:
    errors = [h**2 * (1.0 + 3.0 * h) for h in STEPS]
    slope = float(np.log2(errors[-2] / errors[-1]))
    assert abs(observed_order(STEPS, errors) - 2.0) < 0.2 * abs(slope - 2.0)


def test_pooling_finds_the_smallest_order_and_is_not_disturbed_by_a_vanishing_coefficient() -> None:
    second, fourth = [h**2 for h in STEPS], [h**4 for h in STEPS]
    assert pooled_order(STEPS, [second, fourth]) == pytest.approx(2.0, abs=0.01)
    # h² (1e-4 − h) changes sign on the way: alone its slopes are no order at all.
    crossing = [abs(h**2 * (1e-2 - h)) for h in STEPS]
    assert abs(observed_order(STEPS, crossing) - 2.0) > 0.3
    assert pooled_order(STEPS, [second, crossing]) == pytest.approx(2.0, abs=0.02)


@pytest.mark.parametrize(
    ("steps", "errors"),
    [([0.2, 0.1], [1.0, 0.5]), (STEPS, [0.0] * 5), ([0.3, 0.2, 0.1], [3.0, 2.0, 1.0]), (STEPS, [1.0] * 4)],
    ids=["two steps", "zero errors", "not halvings", "unequal lengths"],
)
def test_an_order_that_cannot_be_measured_is_refused(steps: list[float], errors: list[float]) -> None:
    with pytest.raises(ParameterError, match="at least three halvings"):
        observed_order(steps, errors)


@given(seed=st.integers(0, 9999), d=st.integers(1, 6))
def test_central_differences_are_within_their_bound_and_the_bound_is_small(seed: int, d: int) -> None:
    rng = np.random.default_rng(seed)
    direction, point = rng.standard_normal(d), rng.standard_normal(d)
    gradient, bound = central_gradient(lambda x: float(np.sin(direction @ x) + x @ x), point)
    exact = np.cos(direction @ point) * direction + 2.0 * point
    assert (np.abs(gradient - exact) <= bound).all()
    assert bound.max() < 1e-5


@given(seed=st.integers(0, 9999), n=st.integers(1, 4), m=st.integers(1, 3), gain=st.floats(0.1, 3.0))
def test_the_bounds_of_a_network_bound_its_derivatives(seed: int, n: int, m: int, gain: float) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, n, m, gain=gain)
    state, action = torch.tensor(rng.standard_normal(n)), torch.tensor(rng.standard_normal(m))
    direction = torch.tensor(rng.standard_normal(m))
    direction = direction / direction.norm()
    of_state = torch.func.jacrev(network.step)(state, action)
    assert float(torch.linalg.matrix_norm(of_state, 2)) <= network.state_lipschitz * (1 + 1e-12)
    second = torch.func.jacrev(torch.func.jacrev(lambda h: network.step(state, action + h * direction)))
    curvature = second(torch.zeros((), dtype=torch.float64)).norm()
    assert float(curvature) <= network.action_curvature * (1 + 1e-12)
    assert network.state_lipschitz == pytest.approx(0.5 + gain)


@given(seed=st.integers(0, 9999), n=st.integers(1, 4), m=st.integers(1, 3))
def test_the_derivatives_by_hand_are_those_of_automatic_differentiation(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    network = random_network(rng, n, m, gain=2.0)
    states, actions = torch.tensor(rng.standard_normal((3, n))), torch.tensor(rng.standard_normal((3, m)))
    of_state, of_action = network.jacobians(states, actions)
    for row in range(3):
        expected = torch.func.jacrev(network.step, argnums=(0, 1))(states[row], actions[row])
        torch.testing.assert_close((of_state[row], of_action[row]), expected)
        hessian = torch.func.jacrev(torch.func.jacrev(network.step))(states[row], actions[row])
        torch.testing.assert_close(network.state_hessian(states[row], actions[row]), hessian)


def test_a_network_is_rebuilt_from_its_code() -> None:
    network = random_network(np.random.default_rng(0), 2, 1)
    scope: dict[str, object] = {}
    exec(
        f"import torch\nfrom paper_checks.engine.smooth_networks import SmoothNetwork\n{network.as_code()}",
        scope,
    )
    rebuilt = scope["F"]
    state, action = torch.ones(2, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    assert torch.equal(rebuilt.step(state, action), network.step(state, action))  # type: ignore[attr-defined]


def test_three_halvings_are_enough() -> None:
    assert observed_order([4.0, 2.0, 1.0], [16.0, 4.0, 1.0]) == pytest.approx(2.0, rel=1e-14)
