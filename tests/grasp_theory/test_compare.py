"""Comparison of planners on a model and a world of one's own."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from scipy import stats
from torch import Tensor

from grasp_theory import CEM, GRASP, GradientDescent, PlanningProblem, compare
from linear_systems.errors import InvalidInputError, ParameterError

B, T = 30, 4


def near(state: Tensor, goal: Tensor) -> Tensor:
    close: Tensor = (state - goal).norm(dim=1) < 0.2
    return close


def problem(**options: Any) -> PlanningProblem:
    start = torch.randn(B, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    chosen = {"reached": near, "seeds": range(B), **options}
    return PlanningProblem(lambda s, a: s + a, start, torch.zeros_like(start), T, 2, **chosen)


POSED = problem()


def replay(actions: Tensor) -> Tensor:
    """Return whether plans arrive in a world that takes only 0.8 of every action."""
    return near(POSED.initial_state + 0.8 * actions.sum(1), POSED.goal)


GD = GradientDescent(lr=0.1)
PLANNERS = {"GD": GD, "few": replace(GD, lr=1e-3), "CEM": CEM(samples=20, elites=4)}


def test_figures_are_those_of_plans_made_alone() -> None:
    found = compare(PLANNERS, POSED, replay=replay, max_evaluations=600)
    assert found.judged == "true"
    for result in found.results:
        alone = replace(PLANNERS[result.name], iterations=600, max_evaluations=600).plan(POSED)
        assert torch.equal(alone.actions, result.plan.actions)
        assert result.believed is not None
        assert result.true is not None
        assert result.believed.tolist() == alone.reached.tolist()
        assert result.true.tolist() == replay(alone.actions).tolist()
        assert result.evaluations.max() <= 600
    columns = found.columns()
    interval = stats.binomtest(int(found.results[0].true.sum()), B).proportion_ci(method="wilson")  # type: ignore[union-attr]
    assert columns["true_low"][0] == pytest.approx(interval.low, abs=1e-12)
    assert columns["true_high"][0] == pytest.approx(interval.high, abs=1e-12)
    assert columns["believed"][0] == 1.0 > columns["believed"][1]


def test_pairs_are_tested_exactly() -> None:
    found = compare(PLANNERS, POSED, max_evaluations=600)
    assert found.judged == "believed"
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        ("GD", "few"),
        ("GD", "CEM"),
        ("few", "CEM"),
    ]
    gd, few = found.results[0].believed, found.results[1].believed
    assert gd is not None
    assert few is not None
    ahead, behind = int((gd & ~few).sum()), int((few & ~gd).sum())
    assert ahead > 5
    assert found.pairs[0].p_value == pytest.approx(stats.binomtest(ahead, ahead + behind).pvalue)
    assert found.pairs[0].difference.value == pytest.approx((ahead - behind) / B)
    assert all(pair.adjusted >= pair.p_value for pair in found.pairs)


def test_a_budget_below_one_iteration_is_told() -> None:
    """An iteration of 20 samples takes 20 T steps, and a look T: with 60 CEM returns what it started from."""
    starved = compare(PLANNERS, POSED, replay=replay, max_evaluations=60)
    assert [each.planned for each in starved.results] == [True, True, False]
    assert "CEM: no plan was made, for the budget does not pay for one iteration" in str(starved).splitlines()
    fed = compare(PLANNERS, POSED, replay=replay, max_evaluations=600)
    assert all(each.planned for each in fed.results)
    assert "no plan was made" not in str(fed)


def test_table_frames_and_picture() -> None:
    found = compare([GRASP(), GD], POSED, replay=replay, max_evaluations=300)
    table = str(found)
    assert "GRASP − GradientDescent, true" in table
    assert len(table.splitlines()) == 5
    assert found.frame() == found.columns()
    polars = pytest.importorskip("polars")
    assert found.frame("polars").equals(polars.DataFrame(found.columns()))
    figure = found.figure()
    assert isinstance(figure, Figure)
    assert [each.get_text() for each in figure.axes[0].get_yticklabels()] == ["GRASP", "GradientDescent"]
    drawn = [
        np.asarray(line.get_xdata()).tolist()
        for line in figure.axes[0].lines
        if line.get_marker() in ("o", "s")
    ]
    assert drawn == [found.columns()["believed"], found.columns()["true"]]


def test_without_success_there_are_losses() -> None:
    found = compare([GD, GRASP(iterations=5)], problem(reached=None))
    assert found.pairs == ()
    assert "not known" in str(found)
    assert found.columns()["true"] == [None, None]
    assert "loss" in found.figure().axes[0].get_xlabel()


def test_all_planners_get_the_same_seeds() -> None:
    unseeded = problem(seeds=None)
    cem = PLANNERS["CEM"]
    one, two = compare(
        {"one": cem, "two": cem}, unseeded, max_evaluations=300, generator=torch.Generator().manual_seed(3)
    ).results
    assert torch.equal(one.plan.actions, two.plan.actions)


@pytest.mark.parametrize(
    ("planners", "options", "argument"),
    [
        ([], {}, "planners"),
        ([GD, GD], {}, "planners"),
        ({"GD": "no planner"}, {}, "planners"),
        ([GD], {"max_evaluations": 0}, "max_evaluations"),
        ([GD], {"max_evaluations": T - 1}, "max_evaluations"),
        ([GD], {"replay": lambda actions: np.ones(B)}, "replay"),
        ([GD], {"replay": lambda actions: [True]}, "replay"),
    ],
)
def test_errors(planners: Any, options: Any, argument: str) -> None:
    with pytest.raises(InvalidInputError, match=argument):
        compare(planners, POSED, **options)


def test_what_a_replay_raises_is_told_as_its_own() -> None:
    with pytest.raises(
        ParameterError, match=r"replay: expected a function that takes .* found IndexError"
    ) as caught:
        compare([GD], POSED, replay=lambda actions: actions[:, T + 1])
    assert isinstance(caught.value.__cause__, IndexError)


@pytest.mark.parametrize(
    ("planners", "words"),
    [
        (
            GD,
            r'expected a dict such as \{"name": an object with plan\(problem\)\} or a list, found a value of type GradientDescent',
        ),
        (
            [GradientDescent],
            r"each element to be an object with plan\(problem\), found the class GradientDescent",
        ),
        (
            {"GD": GradientDescent},
            r"each element to be an object with plan\(problem\), found the class GradientDescent",
        ),
    ],
)
def test_planners_of_another_kind_are_told_in_words(planners: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        compare(planners, POSED)


def test_a_library_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ParameterError, match="pip install pandas"):
        compare([GradientDescent(iterations=1)], POSED).frame("pandas")


def test_a_frame_of_an_unknown_library_is_refused() -> None:
    with pytest.raises(ParameterError, match="library"):
        compare([GradientDescent(iterations=1)], POSED).frame("excel")  # type: ignore[arg-type]
