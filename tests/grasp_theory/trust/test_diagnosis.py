"""`diagnose` end to end: linear systems, adapted models of others, any callable; words, page, and refusals."""

from __future__ import annotations

import re
import time
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from trust_cases import curved, drawn, linear_problem, patches
from world_model_doubles import DINOWMDouble, LeWMDouble, images

from grasp_theory import GRASP, Diagnosis, PlanningProblem, diagnose, rollout
from grasp_theory.adapters import DINOWMModel, LeWMModel, history_problem
from grasp_theory.trust.noise import ErrorLaw
from linear_systems import lifted, noise, shooting
from linear_systems.errors import (
    DTypeError,
    InvalidInputError,
    NonFiniteError,
    ParameterError,
    PathError,
    ShapeError,
)
from linear_systems.stop_gradient import uniform_convergence, uniform_rate
from linear_systems.system import LinearSystem, TimeVaryingLinearSystem

SYSTEM = LinearSystem([[0.9, 0.2], [0.0, 0.8]], [[0.0], [1.0]])


def near(states: Tensor, goals: Tensor) -> Tensor:
    return (states - goals).flatten(1).norm(dim=1) < 0.5


def _curved(**changes: Any) -> PlanningProblem:
    return PlanningProblem(curved, drawn(0, 4, 3), drawn(1, 4, 3), 5, 2, reached=near, **changes)


def test_every_number_of_a_linear_system_is_that_of_linear_systems() -> None:
    found = diagnose(linear_problem(SYSTEM, 6, batch=3), errors=0.1, radius=1.0, goal_weight=1.0)
    along = TimeVaryingLinearSystem(*(np.array(x) for x in SYSTEM.matrices(6)))
    smooth, rates = found.smoothness, found.rates
    for values, expected in (
        (smooth.shooting_lipschitz, shooting.lipschitz(SYSTEM, 6)),
        (smooth.lifted_lipschitz, lifted.lipschitz(along, 6)),
        (smooth.lifted_lipschitz, lifted.lipschitz(SYSTEM, 6)),
        (smooth.shooting_condition, shooting.condition_number(SYSTEM, 6)),
        (smooth.lifted_condition, lifted.condition_number(SYSTEM, 6)),
        (rates.greedy, uniform_convergence.greedy_radius(SYSTEM)),
        (rates.greedy_windows, uniform_convergence.greedy_decay(SYSTEM, 3)),
        (rates.rate, uniform_rate(SYSTEM, 1.0, uniform_convergence.best_uniform_step_size(SYSTEM, 1.0))),
    ):
        np.testing.assert_allclose(values, expected, rtol=1e-8)
    assert rates.step_sizes == uniform_convergence.best_uniform_step_size(SYSTEM, 1.0)
    assert rates.step_sizes is not None
    assert found.drift is not None
    np.testing.assert_allclose(
        found.drift.spread[0, -1] ** 2, np.trace(noise.rollout_covariance(SYSTEM, 6, 0.1)), rtol=1e-8
    )
    width = found.tube.entry_step
    np.testing.assert_allclose(
        noise.tube_variance(rates.step_sizes[0], found.tube.frozen_sigma), width**2, rtol=1e-8
    )
    assert all(each is not None for each in rates.certificates)


def _lewm() -> PlanningProblem:
    info = {"pixels": images(2, 3, 0), "goal": images(2, 1, 1), "action_history": drawn(2, 2, 2, 2)}
    model = LeWMModel(LeWMDouble())
    history = info["action_history"]
    return history_problem(model, model.encode(info), model.encode_goal(info), 4, 2, past_actions=history)[0]


def _dino_wm() -> PlanningProblem:
    model = DINOWMModel(DINOWMDouble(1))
    seen = {"visual": images(2, 3, 0), "proprio": drawn(3, 2, 3, 5)}
    goal = model.encode({"visual": images(2, 1, 1), "proprio": drawn(4, 2, 1, 5)})[:, -1]
    return history_problem(model, model.encode(seen), goal, 4, 2, past_actions=drawn(2, 2, 2, 2))[0]


def _attention() -> PlanningProblem:
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0).eval()
    model = lambda s, a: s + 0.1 * layer(torch.cat([s, a[:, None].expand(-1, 1, -1)], 1))[:, :3]  # noqa: E731
    return PlanningProblem(model, torch.randn(2, 3, 8), torch.randn(2, 3, 8), 3, 8)


def _large() -> PlanningProblem:
    return PlanningProblem(patches, drawn(0, 1, 20, 30), drawn(1, 1, 20, 30), 3, 2, reached=near)


@pytest.mark.parametrize("make", [_lewm, _dino_wm, _attention, _large, _curved])
def test_any_model(make: Any) -> None:
    problem = make()
    states = rollout(problem.model, problem.initial_state, torch.zeros_like(problem.start()))
    steps = (states[:, :-1].flatten(0, 1), torch.zeros_like(problem.start()).flatten(0, 1))
    errors = (*steps, states[:, 1:].flatten(0, 1) + 0.01)
    found = diagnose(problem, errors=errors, radius=0.3, metric=lambda s, g: (s - g).flatten(1).norm(dim=1))
    assert found.drift is not None
    assert found.drift.sigma == pytest.approx(0.01, rel=1e-4)
    assert found.drift.bias_share == pytest.approx(1.0, rel=1e-4)
    for values in (
        found.smoothness.shooting_lipschitz,
        found.smoothness.lifted_lipschitz,
        found.rates.greedy,
    ):
        assert np.isfinite(values).all()
    assert found.rates.step_sizes is not None
    _words(found)


def _words(found: Diagnosis) -> None:
    text = str(found)
    lines = text.splitlines()
    assert len(lines) <= 70
    assert max(map(len, lines)) <= 100
    assert "nan" not in text
    for section in found.findings:
        for each in section.findings:
            assert each.value
            assert each.meaning
            assert each.source
            assert each.name in text
            assert f"[{each.source}]" in text
    planner = GRASP(**{name: setting.value for name, setting in found.settings.items()})
    assert planner.optimizer in ("sgd", "adam")
    assert all(setting.reason for setting in found.settings.values())
    assert found.recommendation


def test_a_page_is_whole(tmp_path: Any) -> None:
    found = diagnose(_curved(), errors=0.05)
    page = found.to_html(tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert not re.findall(r"<script|<link[^>]*href=\"(?!data:)|@import", page)
    assert not [link for link in re.findall(r"(?:src|href)=\"([^\"]*)\"", page) if link.startswith("http")]
    for section in found.findings:
        assert section.title in page
        for each in section.findings:
            assert each.source in page
    for name in found.settings:
        assert f"<code>{name}</code>" in page
    assert page.count("<svg") == 5
    assert found.to_html(tmp_path / "again.html").read_text() == page
    for path in (tmp_path, tmp_path / "missing" / "page.html", tmp_path / "page.html" / "page.html"):
        with pytest.raises(PathError, match=r"^path: expected a file that can be written, found .* Try: "):
            found.to_html(path)
    with pytest.raises(ParameterError, match="a path that the system can hold"):
        found.to_html("a\0b")


def test_a_range_goes_from_low_to_high() -> None:
    """The action directions of this system move the state by 0.31 and 0.81."""
    system = LinearSystem([[0.9, 0.2], [0.0, 0.8]], [[0.81, 0.0], [0.0, 0.31]])
    found = diagnose(linear_problem(system, 4, batch=2))
    (shown,) = (each for section in found.findings for each in section.findings if each.name == "‖∂F/∂a‖")
    assert (shown.value, shown.meaning) == ("0.31 to 0.81", "weakest and strongest direction of actions")


def test_the_same_problem_has_the_same_diagnosis() -> None:
    torch.manual_seed(1)
    first = str(diagnose(_curved()))
    torch.manual_seed(2)
    assert str(diagnose(_curved())) == first


def test_given_trajectories_are_those_that_are_looked_at() -> None:
    problem = _curved()
    actions = drawn(5, 4, 5, 2)
    rolled = diagnose(problem, actions=actions, plans=3)
    assert not rolled.planned
    assert rolled.linear.plans == 3
    torch.testing.assert_close(rolled.linear.actions, actions[:3])
    expected = rollout(problem.model, problem.initial_state, actions)
    torch.testing.assert_close(rolled.linear.states, expected[:3])
    virtual = diagnose(problem, states=drawn(6, 4, 6, 3), actions=actions)
    torch.testing.assert_close(virtual.linear.states, drawn(6, 4, 6, 3))
    assert virtual.reach.idle == diagnose(problem, actions=actions).reach.idle


def test_plain_steps_are_recommended_where_they_are_fast() -> None:
    fast = diagnose(linear_problem(LinearSystem([[0.3]], [[1.0]]), 8, reached=near), goal_weight=1.0)
    assert fast.settings["optimizer"].value == "sgd"
    pair = fast.rates.step_sizes
    assert pair is not None
    assert (fast.settings["state_lr"].value, fast.settings["action_lr"].value) == pair
    slow = diagnose(linear_problem(LinearSystem([[0.999, 0.0], [0.1, 0.5]], [[0.0], [1.0]]), 8))
    assert slow.settings["optimizer"].value == "adam"
    unstable = diagnose(linear_problem(LinearSystem([[1.3, 0.0], [0.1, 0.5]], [[0.0], [1.0]]), 8))
    assert "No plain step sizes" in unstable.recommendation[0]


@pytest.mark.parametrize(
    ("system", "optimizer"),
    [
        (LinearSystem([[0.9, 0.3], [0.1, 0.8]], [[0.2], [1.0]]), "sgd"),
        (LinearSystem([[0.999, 0.0], [0.1, 0.5]], [[0.0], [1.0]]), "adam"),
    ],
)
def test_settings_are_in_the_units_of_the_problem(system: LinearSystem, optimizer: str) -> None:
    """States and actions measured in other units: learning rates, noise and step sizes follow."""
    unit, push = 1000.0, 10.0
    start, goal, actions = drawn(0, 2, 2), drawn(1, 2, 2), drawn(2, 2, 6, 1)
    one = diagnose(PlanningProblem(system, start, goal, 6, 1, action_bounds=(-2.0, 2.0)), actions=actions)
    other = LinearSystem(system.A, system.B * unit / push)
    bounds = (-2.0 * push, 2.0 * push)
    scaled = PlanningProblem(other, start * unit, goal * unit, 6, 1, action_bounds=bounds)
    two = diagnose(scaled, actions=actions * push)

    def ratio(name: str) -> float:
        return float(two.settings[name].value) / float(one.settings[name].value)

    assert one.settings["optimizer"].value == two.settings["optimizer"].value == optimizer
    assert ratio("state_noise") == pytest.approx(unit, rel=1e-4)
    # Plain steps on states have no unit, and those on actions that of actions² per loss; Adam's are those of an entry.
    assert ratio("state_lr") == pytest.approx(1.0 if optimizer == "sgd" else unit, rel=1e-4)
    assert ratio("action_lr") == pytest.approx((push / unit) ** 2 if optimizer == "sgd" else push, rel=1e-4)
    assert ratio("sync_lr") == pytest.approx(push)
    np.testing.assert_allclose(two.reach.faking, one.reach.faking, rtol=1e-6)
    np.testing.assert_allclose(two.rates.greedy, one.rates.greedy)


def test_what_does_not_fit_is_named() -> None:
    problem = _curved()
    good, states = drawn(5, 4, 5, 2), drawn(6, 4, 6, 3)
    cases: list[tuple[dict[str, Any], type[InvalidInputError], str]] = [
        ({"states": states}, ParameterError, "actions"),
        ({"actions": good[:, :3]}, ShapeError, "actions"),
        ({"actions": good[:2]}, ShapeError, "one trajectory a problem"),
        ({"actions": good, "states": states[:, :5]}, ShapeError, "states"),
        ({"actions": good.long()}, DTypeError, "actions"),
        ({"actions": good * torch.nan}, NonFiniteError, "actions"),
        ({"actions": good * torch.inf}, NonFiniteError, "actions"),
        ({"errors": drawn(0, 7, 2)}, ShapeError, "errors"),
        ({"errors": (drawn(0, 7, 3), drawn(1, 7, 2))}, ShapeError, "three tensors"),
        ({"errors": (drawn(0, 7, 3), drawn(1, 7, 2), drawn(0, 6, 3))}, ShapeError, "same length"),
        ({"errors": -1.0}, ParameterError, "errors"),
        ({"errors": drawn(0, 7, 3) * torch.nan}, NonFiniteError, "errors"),
        ({"errors": float("nan")}, ParameterError, "errors"),
        ({"errors": np.float32(-1.0)}, ParameterError, "errors: expected a finite number >= 0"),
        ({"errors": drawn(0, 7, 3).numpy() * np.inf}, NonFiniteError, "remove such rows"),
        (
            {"errors": drawn(0, 7, 3)[:, 0].numpy()},
            ShapeError,
            r"one-step errors \(N, 3\), N >= 1, found shape \(7,\)",
        ),
        (
            {"errors": (drawn(0, 7, 3), drawn(1, 7, 2) * torch.inf, drawn(2, 7, 3))},
            NonFiniteError,
            "infinity in a. ",
        ),
        ({"errors": (drawn(0, 7, 3), drawn(1, 7, 2), drawn(2, 7, 3) + 1j)}, DTypeError, "complex128 for s'"),
        (
            {"errors": (1.0, 2.0, 3.0)},
            ShapeError,
            r"\(N, 3\), \(N, 2\) and \(N, 3\), found \(\), \(\) and \(\)",
        ),
        (
            {"errors": [drawn(0, 7, 3), drawn(1, 7, 2), drawn(2, 7, 3)]},
            DTypeError,
            r"found list. Try: .*a tuple \(s, a, s'\)",
        ),
        ({"errors": ErrorLaw(drawn(0, 3) * torch.nan, torch.eye(3).double())}, NonFiniteError, "errors"),
        ({"metric": lambda s, g: (s - g)[:, 9]}, ParameterError, "metric: .*IndexError"),
        ({"radius": 0.0}, ParameterError, "radius"),
        ({"metric": lambda s, g: s - g}, ShapeError, "metric"),
        ({"metric": [1.0, 2.0]}, ShapeError, "lower bounds"),
        ({"goal_weight": 0.0}, ParameterError, "goal_weight"),
        ({"width": -1.0}, ParameterError, "width"),
        ({"plans": 0}, ParameterError, "plans"),
        ({"rank_tolerance": 1.0}, ParameterError, "rank_tolerance"),
    ]
    for keywords, kind, words in cases:
        with pytest.raises(kind, match=words):
            diagnose(problem, **keywords)


@pytest.mark.parametrize("sigma", [np.float32(0.5), np.array(0.5), torch.tensor(0.5)])
def test_one_number_is_sigma_whatever_holds_it(sigma: Any) -> None:
    actions = drawn(5, 4, 5, 2)
    assert str(diagnose(_curved(), actions=actions, errors=sigma)) == str(
        diagnose(_curved(), actions=actions, errors=0.5)
    )


def test_a_rollout_that_is_not_finite_is_named() -> None:
    exploding = PlanningProblem(lambda s, a: 1e200 * s + a, drawn(0, 1, 2), drawn(1, 1, 2), 4, 2)
    with pytest.raises(NonFiniteError, match="finite rollout"):
        diagnose(exploding, actions=torch.ones(1, 4, 2).double())


@pytest.mark.slow
def test_a_plan_of_thirty_steps_in_forty_dimensions_takes_seconds() -> None:
    """CPU time, which a busy machine does not lengthen: at most 30 s."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(44, 256), nn.GELU(), nn.Linear(256, 40)).eval()
    model = lambda s, a: s + 0.3 * net(torch.cat([s, a], -1))  # noqa: E731
    problem = PlanningProblem(
        model, torch.randn(16, 40), torch.randn(16, 40), 30, 4, action_bounds=(-1.0, 1.0)
    )
    started = time.process_time()
    diagnose(problem, errors=0.01)
    assert time.process_time() - started < 30.0


def _said(system: Any, horizon: int, **keywords: Any) -> str:
    problem = linear_problem(system, horizon)
    actions = drawn(3, problem.batch, horizon, problem.action_dim)
    return " ".join(str(diagnose(problem, actions=actions, **keywords)).split())


def test_gradients_that_end_before_the_first_action_and_actions_that_do_nothing_are_told() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert "fade ∞-fold" in _said(LinearSystem([[0.0, 1.0], [0.0, 0.0]], [[0.0], [1.0]]), 5)
        assert "The actions move nothing here" in _said(LinearSystem([[0.5]], [[0.0]]), 3)


def test_it_says_no_more_than_it_computed() -> None:
    still = _said(LinearSystem([[0.5]], [[1.0]]), 6, goal_weight=1.0)
    assert "at every horizon: use them" in still
    varying = TimeVaryingLinearSystem(0.5 + 0.02 * np.arange(6.0)[:, None, None], np.ones((6, 1, 1)))
    assert "at every horizon, of the model linearised along these plans: use them" in _said(
        varying, 6, goal_weight=1.0
    )
    assert "smooth is not well conditioned" in still
    assert "better conditioned here" in _said(LinearSystem([[2.0, 0.0], [0.0, 0.1]], np.eye(2)), 6)
