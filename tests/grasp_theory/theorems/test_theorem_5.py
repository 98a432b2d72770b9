"""Theorem 5: the bump models have exactly the values and Jacobians that the proof claims."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from grasp_theory.theorems.theorem_5 import (
    PLATEAU,
    UNDERFLOW,
    SurgeredModel,
    Surgery,
    SwappedPair,
    bump,
    constant,
    jacobian_pair,
    separation,
    smooth_step,
    state_gradient,
)
from linear_systems.errors import ParameterError, ShapeError
from linear_systems.rounding import rounding_allowance

dimensions = st.integers(1, 4)
seeds = st.integers(0, 9999)


def _vectors(seed: int, *sizes: int) -> list[Tensor]:
    rng = np.random.default_rng(seed)
    return [torch.tensor(rng.standard_normal(size)) for size in sizes]


def _pair(seed: int, n: int, m: int) -> SwappedPair:
    s_0, goal, u, v, then, s_a, s_b, miss = _vectors(seed, n, n, m, m, m, n, n, n)
    return SwappedPair(s_0, goal, (u, v, then), (s_a, s_b), miss)


def test_the_step_is_flat_at_both_ends_to_every_order_tried() -> None:
    outside = torch.tensor([-1.0, 0.0, UNDERFLOW / 2, 1.0, 1.5], dtype=torch.float64)
    derivative = smooth_step
    for order in range(5):
        values = torch.func.vmap(derivative)(outside)
        expected = torch.tensor([0.0, 0.0, 0.0, 1.0, 1.0], dtype=torch.float64) * (order == 0)
        assert torch.equal(values, expected)
        derivative = torch.func.grad(derivative)


def test_the_step_rises_and_is_symmetric() -> None:
    x = torch.linspace(0.0, 1.0, 1001, dtype=torch.float64)
    values = smooth_step(x)
    assert (values.diff() >= 0).all()
    assert values.diff().max() > 0
    torch.testing.assert_close(values + smooth_step(1.0 - x), torch.ones_like(x))


@pytest.mark.filterwarnings("error")
def test_no_derivative_of_the_step_is_nan_where_the_exponential_underflows() -> None:
    x = torch.cat(
        [
            torch.logspace(-320, 0, 400, dtype=torch.float64),
            1.0 - torch.logspace(-17, 0, 100, dtype=torch.float64),
        ]
    )
    second = torch.func.vmap(torch.func.grad(torch.func.grad(smooth_step)))(x)
    assert torch.isfinite(second).all()


@given(n=dimensions, seed=seeds, radius=st.floats(0.01, 10.0))
def test_the_bump_is_one_inside_and_zero_outside(n: int, seed: int, radius: float) -> None:
    center, direction = _vectors(seed, n, n)
    direction = direction / direction.norm()
    inside, outside = center + 0.99 * PLATEAU * radius * direction, center + 1.01 * radius * direction
    assert float(bump(inside, center, radius)) == 1.0
    assert float(bump(outside, center, radius)) == 0.0
    between = float(bump(center + 0.8 * radius * direction, center, radius))
    assert 0.0 < between < 1.0


@given(n=dimensions, m=st.integers(1, 3), seed=seeds)
def test_jacobian_pairs_have_the_prescribed_values_and_jacobians(n: int, m: int, seed: int) -> None:
    s_0, a_0, y_0, s_1, a_1, y_1, j_f, j_g = _vectors(seed, n, m, n, n, m, n, n * n, n * n)
    jacobians = (j_f.reshape(n, n), j_g.reshape(n, n))
    radius = float(torch.cat([s_1 - s_0, a_1 - a_0]).norm()) / 2.0
    models = jacobian_pair((s_0, a_0, y_0), (s_1, a_1, y_1), jacobians, radius)
    for model, jacobian in zip(models, jacobians, strict=True):
        allowance = rounding_allowance(float(y_0.norm() + y_1.norm() + jacobian.norm()), n)
        assert float((model.step(s_0, a_0) - y_0).abs().max()) <= allowance
        assert float((model.step(s_1, a_1) - y_1).abs().max()) <= allowance
        assert float((torch.func.jacrev(model.step)(s_1, a_1) - jacobian).abs().max()) <= allowance


def test_a_surgery_keeps_the_base_elsewhere_and_its_jacobian_if_none_is_given() -> None:
    state, action, value = _vectors(0, 2, 1, 2)

    def base(s: Tensor, a: Tensor) -> Tensor:
        return torch.sin(s) + a

    model = SurgeredModel(base, (Surgery(state, action, value, 0.5),))
    torch.testing.assert_close(model.step(state, action), value)
    of_model, of_base = (torch.func.jacrev(f)(state, action) for f in (model.step, base))
    torch.testing.assert_close(of_model, of_base)
    assert torch.equal(model.step(state + 1.0, action), base(state + 1.0, action))


def test_states_and_actions_broadcast() -> None:
    f, _ = _pair(3, 2, 1).models()
    assert f.step(torch.zeros(5, 1, 2).double(), torch.zeros(7, 1).double()).shape == (5, 7, 2)


@given(seed=seeds, n=dimensions)
def test_a_constant_base_stays_within_the_excursion_of_the_segment(seed: int, n: int) -> None:
    """The bound that keeps a model inside a convex S: distance to the segment [base, value] ≤ radius ‖J‖."""
    start, value, state, action, entries = _vectors(seed, n, n, n, 1, n * n)
    surgery = Surgery(state, action, value, 0.7, entries.reshape(n, n))
    rng = np.random.default_rng(seed + 1)
    around = torch.tensor(0.4 * rng.standard_normal((200, n)))
    reached = SurgeredModel(constant(start), (surgery,)).step(state + around, action.expand(200, 1))
    direction = value - start
    fraction = ((reached - start) @ direction / direction.square().sum()).clamp(0.0, 1.0)
    distance = (reached - start - fraction.unsqueeze(-1) * direction).norm(dim=1)
    assert float(distance.max()) <= surgery.excursion() + rounding_allowance(float(reached.abs().max()), n)


@given(seed=seeds, n=dimensions, m=st.integers(1, 3))
def test_swapped_pairs_agree_on_first_steps_and_exchange_the_second(seed: int, n: int, m: int) -> None:
    pair = _pair(seed, n, m)
    f, g = pair.models()
    (s_a, u, then), (s_b, v, _) = pair.decisions()
    allowance = rounding_allowance(float(pair.goal.norm() + pair.miss.norm() + s_a.norm() + s_b.norm()), n)
    actions = torch.tensor(np.random.default_rng(seed).standard_normal((50, m)))
    assert torch.equal(f.step(pair.initial_state, actions), g.step(pair.initial_state, actions))
    for model, reached, other in ((f, s_a, s_b), (g, s_b, s_a)):
        assert float((model.step(pair.initial_state, u) - s_a).norm()) <= allowance
        assert float((model.step(pair.initial_state, v) - s_b).norm()) <= allowance
        assert float((model.step(reached, then) - pair.goal).norm()) <= allowance
        assert float((model.step(other, then) - pair.goal).norm()) > allowance


def _quadratic(pair: SwappedPair, weight: float) -> object:
    def loss(s: Tensor, a: Tensor, b: Tensor, y_0: Tensor, y_1: Tensor) -> Tensor:
        return (y_0 - s).square().sum() + weight * (y_1 - pair.goal).square().sum()

    return loss


@given(seed=seeds, n=dimensions, weight=st.just(0.0) | st.floats(1e-6, 10.0))
def test_separation_is_the_line_integral_of_the_sensitivity(seed: int, n: int, weight: float) -> None:
    pair = _pair(seed, n, 2)
    check = separation(_quadratic(pair, weight), pair)  # type: ignore[arg-type]
    assert check.holds
    # Eq. (4) with a weight: D = 2 w ‖miss − g‖², by hand.
    expected = 2.0 * weight * float((pair.miss - pair.goal).square().sum())
    assert check.computed == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert check.quantities["least sensitivity"] <= check.quantities["sensitivity"] * (1 + 1e-9) + 1e-12
    # ∂Φ/∂y_1 = 2 w (y_1 − g) is longest at `miss`, next to which the last node is.
    longest = 2.0 * weight * float((pair.miss - pair.goal).norm())
    assert 0.999 * longest <= check.quantities["sensitivity"] <= longest * (1 + 1e-9)


def test_the_error_of_the_integral_is_estimated_from_half_as_many_nodes() -> None:
    pair = _pair(5, 2, 1)
    along = (pair.miss - pair.goal) / (pair.miss - pair.goal).square().sum()

    def ringing(s: Tensor, a: Tensor, b: Tensor, y_0: Tensor, y_1: Tensor) -> Tensor:
        return torch.sin(45.0 * (along @ (y_1 - pair.goal)))

    # 32 nodes integrate cos(45 t) over [0, 1] to rounding; 21 are off by 7e-9.
    check = separation(ringing, pair)
    assert check.holds
    assert check.allowance <= 1e-10


def test_a_loss_without_y_1_separates_nothing() -> None:
    pair = _pair(5, 2, 1)
    check = separation(_quadratic(pair, 0.0), pair)  # type: ignore[arg-type]
    assert check.computed == check.bound == 0.0


def test_a_wrong_integral_is_noticed() -> None:
    pair = _pair(5, 2, 1)
    check = separation(_quadratic(pair, 1.0), pair)  # type: ignore[arg-type]
    assert not type(check)(check.computed, 1.001 * check.bound, "=", check.allowance, {}).holds


def test_the_state_gradient_obeys_the_chain_rule() -> None:
    s_0, a_0, y_0, s_1, a_1, y_1 = _vectors(8, 2, 1, 2, 2, 1, 2)
    jacobian = torch.tensor([[1.0, 2.0], [3.0, 4.0]], dtype=torch.float64)
    model, _ = jacobian_pair((s_0, a_0, y_0), (s_1, a_1, y_1), (jacobian, jacobian), 0.1)
    pair = _pair(5, 2, 1)
    found = state_gradient(_quadratic(pair, 1.0), model, s_0, (s_1, a_0, a_1))  # type: ignore[arg-type]
    torch.testing.assert_close(found, -2.0 * (y_0 - s_1) + jacobian.T @ (2.0 * (y_1 - pair.goal)))


@pytest.mark.parametrize(
    "coincident", ["u and v", "s_A and s_B", "s_A and s_0", "s_B and s_0", "miss and goal"]
)
def test_coincident_points_are_refused_by_name(coincident: str) -> None:
    s_0, goal, u, v, then, s_a, s_b, miss = _vectors(0, 2, 2, 1, 1, 1, 2, 2, 2)
    if coincident == "u and v":
        v = u
    elif coincident == "s_A and s_B":
        s_b = s_a
    elif coincident == "s_A and s_0":
        s_a = s_0
    elif coincident == "s_B and s_0":
        s_b = s_0
    else:
        miss = goal
    with pytest.raises(ParameterError, match=f"^{coincident}: expected two different vectors"):
        SwappedPair(s_0, goal, (u, v, then), (s_a, s_b), miss)


def test_overlapping_balls_and_misshapen_surgeries_are_refused() -> None:
    state, action, value = _vectors(0, 2, 1, 2)
    with pytest.raises(ParameterError, match=r"^surgeries: expected disjoint balls"):
        SurgeredModel(
            constant(value), (Surgery(state, action, value, 1.0), Surgery(state + 0.1, action, value, 1.0))
        )
    with pytest.raises(ShapeError, match=r"^value and jacobian: expected shapes"):
        Surgery(state, action, value, 1.0, torch.zeros(3, 3).double())
    with pytest.raises(ParameterError, match=r"^radius: expected"):
        Surgery(state, action, value, 0.0)
