"""Action sets: projections are the nearest points of the set, and what cannot be a set is refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from grasp_theory import Balls, Box, Held
from grasp_theory.action_sets import ActionSet
from linear_systems.errors import InvalidInputError, NonFiniteError, ParameterError, ShapeError

DOUBLE = torch.float64


def _draw(seed: int, *shape: int, dtype: torch.dtype = DOUBLE) -> Tensor:
    return 3 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@given(
    st.integers(0, 99),
    st.sampled_from(
        [
            Balls(1.8, 2),
            Balls(0.5, 3),
            Box(-1.0, torch.tensor([0.5] * 6)),
            Held(Balls(1.8, 2), 2),
            Held(Box(-1.0, 0.5), 3),
        ]
    ),
)
def test_a_projection_is_the_nearest_point(seed: int, chosen: Box | Balls | Held) -> None:
    """Variational inequality: (a − P a)·(b − P a) <= 0 for all b of the set; and P(P a) = P a."""
    actions, others = _draw(seed, 4, 5, 6), chosen.project(_draw(seed + 100, 4, 5, 6))
    projected = chosen.project(actions)
    assert ((actions - projected) * (others - projected)).sum(-1).max() <= 1e-12
    torch.testing.assert_close(chosen.project(projected), projected)
    inside = 1e-3 * (projected if isinstance(chosen, Held) else actions)
    assert torch.equal(chosen.project(inside), inside)


def test_held_actions_are_the_mean_of_the_world_s_actions() -> None:
    actions = torch.tensor([[0.0, 1.0, 2.0, 3.0, 1.0, 8.0]])
    assert Held(Box(-9.0, 9.0), 2).project(actions).tolist() == [[1.0, 4.0] * 3]
    assert Held(Box(-9.0, 2.0), 2).project(actions).tolist() == [[1.0, 2.0] * 3]
    for problem in (lambda: Held(Box(-1.0, 1.0), 4).project(actions), lambda: Held(Box(-1.0, 1.0), 0)):
        with pytest.raises(InvalidInputError):
            problem()
    with pytest.raises(ParameterError, match="allowed"):
        Held(1.0, 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("dtype", [torch.float32, DOUBLE])
def test_balls_shorten_each_group(dtype: torch.dtype) -> None:
    actions = torch.tensor([[3.0, 4.0, 0.3, 0.4], [1e20, 0.0, 0.0, 0.0]], dtype=dtype)
    found = Balls(1.0, 2).project(actions)
    expected = torch.tensor([[0.6, 0.8, 0.3, 0.4], [1.0, 0.0, 0.0, 0.0]], dtype=dtype)
    torch.testing.assert_close(found, expected)
    assert found.dtype == dtype


def test_a_set_may_hold_actions_still() -> None:
    actions = _draw(0, 3, 2)
    assert (Box([0.5, -9.0], [0.5, 9.0]).project(actions)[:, 0] == 0.5).all()
    assert (Balls(0.0, 2).project(actions) == 0).all()
    assert (Balls(0.0, 2).project(torch.zeros(1, 2)) == 0).all()


@pytest.mark.parametrize("chosen", [Box(-1.0, 1.0), Box(-1.0, torch.ones(2)), Balls(1.0, 2)])
def test_nan_stays_nan(chosen: ActionSet) -> None:
    assert isinstance(chosen, ActionSet)
    assert chosen.project(torch.full((1, 2), torch.nan)).isnan().all()


@pytest.mark.parametrize(
    ("make", "error", "hint"),
    [
        (lambda: Box(1.0, -1.0), ParameterError, "swap"),
        (lambda: Box(torch.nan, 1.0), NonFiniteError, "inf mean no bound"),
        (lambda: Box(torch.zeros(2), torch.ones(3)), ShapeError, r"\(m,\)"),
        (lambda: Box(torch.zeros(2), 1.0).project(torch.zeros(1, 3)), ShapeError, "2 components"),
        (lambda: Balls(-1.0, 2), ParameterError, ">= 0"),
        (lambda: Balls(1.0, 0), ParameterError, "integer"),
        (lambda: Balls(1.0, 2).project(torch.zeros(1, 3)), ShapeError, "multiple of 2"),
    ],
)
def test_what_cannot_be_a_set_is_refused(make: object, error: type[InvalidInputError], hint: str) -> None:
    with pytest.raises(error, match=hint):
        make()  # type: ignore[operator]
