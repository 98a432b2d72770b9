"""Jacobians along trajectories, formed and not formed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor
from trust_cases import curved, curved_backward_only, drawn, linear_problem, linearised

from grasp_theory import PlanningProblem
from grasp_theory.trust import linearisation
from grasp_theory.trust.linearisation import linearise, time_invariant
from linear_systems.errors import NonFiniteError, ParameterError
from linear_systems.examples.random_systems import random_time_varying_system
from linear_systems.system import LinearSystem

Model = Callable[[Tensor, Tensor], Tensor]


def _problem(model: object, horizon: int = 4) -> PlanningProblem:
    return PlanningProblem(model, drawn(0, 2, 3), drawn(1, 2, 3), horizon, 2)


def _trajectory(horizon: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    return drawn(2, 2, horizon + 1, 3), drawn(3, 2, horizon, 2)


def test_a_linear_system_is_its_own_linearisation() -> None:
    system = random_time_varying_system(np.random.default_rng(0), 4, 2, 5)
    linear = linearised(system, 5, plans=3)
    assert linear.by_states is not None
    for plan in range(3):
        assert (linear.system(plan).A == system.A).all()
        assert (linear.system(plan).B == system.B).all()
    assert not time_invariant(linear)


def test_a_time_invariant_system_is_recognised() -> None:
    assert time_invariant(linearised(LinearSystem([[1.0, 0.1], [0.0, 0.9]], [[0.0], [1.0]]), 4))


def test_a_curved_model_is_linearised_where_it_is() -> None:
    states, actions = _trajectory()
    linear = linearise(_problem(curved), states, actions)
    for plan, time in ((0, 0), (1, 3)):
        at = states[plan, time], actions[plan, time]
        A, B = torch.func.jacrev(curved, argnums=(0, 1))(*at)
        torch.testing.assert_close(linear.by_states[plan, time], A)  # type: ignore[index]
        torch.testing.assert_close(linear.by_actions[plan, time], B)


@pytest.mark.parametrize("model", [curved, curved_backward_only])
def test_products_are_those_with_the_matrices(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    states, actions = _trajectory()
    dense = linearise(_problem(curved), states, actions)
    monkeypatch.setattr(linearisation, "LARGEST_DENSE", 0)
    monkeypatch.setattr(linearisation, "CHUNK", 16)  # two vectors at a time
    products = linearise(_problem(model), states, actions)
    assert products.by_states is None
    torch.testing.assert_close(products.by_actions, dense.by_actions)
    vectors = drawn(4, 2, 4, 3, 5)
    torch.testing.assert_close(products.push(vectors), dense.push(vectors))
    torch.testing.assert_close(products.pull(vectors), dense.pull(vectors))
    torch.testing.assert_close(products.push_at(2, vectors[:, 2]), dense.push_at(2, vectors[:, 2]))
    torch.testing.assert_close(products.one(1).push(vectors[1:]), dense.push(vectors)[1:])


@pytest.mark.parametrize("dense", [True, False])
def test_a_model_with_fused_attention_is_linearised(dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fused attention, which torch takes by itself where shapes allow it, has no second derivative."""

    def attending(s: Tensor, a: Tensor) -> Tensor:
        tokens = (s + a.sum(-1, keepdim=True)).unsqueeze(-1) * torch.linspace(-1, 1, 8).to(s)
        heads = tokens.unsqueeze(-3)
        return s + torch.nn.functional.scaled_dot_product_attention(heads, heads, heads).mean(-1).squeeze(-2)

    if not dense:
        monkeypatch.setattr(linearisation, "LARGEST_DENSE", 0)
    states, actions = _trajectory()
    linear = linearise(_problem(attending), states, actions)
    expected = torch.autograd.functional.jacobian(lambda a: attending(states[1:2, 2], a)[0], actions[1:2, 2])
    torch.testing.assert_close(linear.by_actions[1, 2], expected[:, 0])


def test_products_of_a_time_varying_model_are_of_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    system = random_time_varying_system(np.random.default_rng(0), 3, 2, 4)
    monkeypatch.setattr(linearisation, "LARGEST_DENSE", 0)
    states, actions = _trajectory()
    products = linearise(linear_problem(system, 4), states, actions)
    vectors = drawn(4, 2, 3, 1)
    expected = torch.tensor(system.A[2]) @ vectors
    torch.testing.assert_close(products.push_at(2, vectors), expected)


def test_what_cannot_be_linearised_is_named() -> None:
    states, actions = _trajectory()
    with pytest.raises(ParameterError, match="differentiable"):
        linearise(_problem(lambda s, a: curved(s, a).detach()), states, actions)
    pole = _problem(lambda s, a: s + torch.sqrt(a.abs()).sum(-1, keepdim=True))
    with pytest.raises(NonFiniteError, match="finite derivatives"):
        linearise(pole, states, torch.zeros_like(actions))
