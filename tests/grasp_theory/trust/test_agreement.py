"""Distances against plain rollouts, belief and departure against their formulas, and what diverges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from grasp_theory import PlanningProblem, rollout
from grasp_theory.trust.agreement import agreement
from linear_systems.errors import NonFiniteError, ParameterError, ShapeError

B, T = 5, 4
GENERATOR = torch.Generator().manual_seed(0)
START, GOAL = torch.randn(2, B, 2, generator=GENERATOR, dtype=torch.float64)
ACTIONS = 0.5 * torch.randn(B, T, 2, generator=GENERATOR, dtype=torch.float64)


def near(state: Tensor, goal: Tensor) -> Tensor:
    close: Tensor = (state - goal).norm(dim=1) < 1.2
    return close


def distance(state: Tensor, goal: Tensor) -> Tensor:
    return (state - goal).norm(dim=1)


def view(gain: float, **options: object) -> PlanningProblem:
    return PlanningProblem(
        lambda s, a: 0.9 * s + gain * a, START, GOAL, T, 2, **{"reached": near, "goal_distance": distance, **options}
    )  # fmt: skip


VIEWS = {"one": view(0.5), "two": view(0.6), "three": view(0.9)}
PATHS = [rollout(each.model, START, ACTIONS) for each in VIEWS.values()]


def test_distances_belief_and_departure_are_their_formulas() -> None:
    found = agreement(VIEWS, ACTIONS, read=dict.fromkeys(VIEWS, lambda s: s))
    each = torch.stack([distance(path[:, -1], GOAL) for path in PATHS])
    for name, expected in zip(VIEWS, each, strict=True):
        torch.testing.assert_close(found[f"distance {name}"], expected)
    torch.testing.assert_close(found["worst"], each.max(0).values)
    torch.testing.assert_close(found["mean"], each.mean(0))
    torch.testing.assert_close(found["spread"], each.max(0).values - each.min(0).values)
    assert torch.equal(found["believers"], (each < 1.2).double().mean(0))
    assert 0 < found["believers"].mean() < 1
    told = np.stack([path.numpy() for path in PATHS])
    z = told / told[0].reshape(-1, 2).std(0)
    expected = np.sqrt(((z - z.mean(0)) ** 2).mean(axis=(0, 3))).max(1)
    np.testing.assert_allclose(found["departure"], expected)


def test_one_model_agrees_with_itself_and_a_unit_of_what_is_read_does_not_matter() -> None:
    same = agreement(
        {"a": VIEWS["one"], "b": VIEWS["one"]}, ACTIONS, read={"a": lambda s: s, "b": lambda s: s}
    )
    assert not same["spread"].any()
    assert not same["departure"].any()
    first = agreement(VIEWS, ACTIONS, read=dict.fromkeys(VIEWS, lambda s: s))["departure"]
    second = agreement(VIEWS, ACTIONS, read=dict.fromkeys(VIEWS, lambda s: 1e3 * s + 7))["departure"]
    torch.testing.assert_close(first, second)


def test_any_time_counts_where_it_does_for_the_problem() -> None:
    last = agreement({"a": VIEWS["one"]}, ACTIONS)["believers"]
    any_ = agreement({"a": replace(VIEWS["one"], reached_when="any")}, ACTIONS)["believers"]
    path = PATHS[0]
    expected = torch.stack([near(state, GOAL) for state in path.unbind(1)]).any(0).double()
    assert torch.equal(any_, expected)
    assert bool((any_ >= last).all())
    assert "believers" not in agreement({**VIEWS, "none": view(0.5, reached=None)}, ACTIONS)


def test_what_diverges_is_infinitely_doubtful_and_not_believed() -> None:
    broken = PlanningProblem(
        lambda s, a: torch.where(a[:, :1] > 0.9, torch.nan, 1.0) * s + 0.5 * a, START, GOAL, T, 2,
        reached=lambda s, g: torch.ones(len(s), dtype=torch.bool), goal_distance=distance,
    )  # fmt: skip
    actions = ACTIONS.clamp(-0.5, 0.5)
    actions[2, 1, 0] = 1.0
    found = agreement({"a": VIEWS["one"], "b": broken}, actions, read=dict.fromkeys("ab", lambda s: s))
    for name in ("distance b", "worst", "mean", "spread", "departure"):
        assert found[name].isinf().tolist() == [False, False, True, False, False], name
    alone = agreement({"b": broken}, actions)
    assert alone["believers"].tolist() == [1, 1, 0, 1, 1]
    assert alone["spread"].isinf().tolist() == [False, False, True, False, False]


def test_rows_are_independent() -> None:
    whole = agreement(VIEWS, ACTIONS)
    part = agreement({name: each.part(slice(1, 2)) for name, each in VIEWS.items()}, ACTIONS[1:2])
    for name, values in part.items():
        torch.testing.assert_close(values, whole[name][1:2])


def test_errors() -> None:
    with pytest.raises(ParameterError, match="views"):
        agreement({}, ACTIONS)
    with pytest.raises(ParameterError, match="read"):
        agreement(VIEWS, ACTIONS, read={"one": lambda s: s})
    with pytest.raises(ShapeError, match="'b'"):
        agreement({"a": VIEWS["one"], "b": VIEWS["one"].part(slice(0, 2))}, ACTIONS)
    with pytest.raises(ShapeError, match="actions"):
        agreement(VIEWS, ACTIONS[:, :2])
    with pytest.raises(NonFiniteError, match="actions"):
        agreement(VIEWS, ACTIONS * torch.nan)
