"""A window of frames as a Markov state: the model's own recursion, its gradients, packing, planning, errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from grasp_theory import GRASP, Balls, GradientDescent, PlanningProblem, rollout
from grasp_theory.adapters import GrowingHistory, HistoryDynamics, history_problem
from grasp_theory.dynamics import one_step_predictions
from linear_systems.errors import DTypeError, HorizonError, NonFiniteError, ParameterError, ShapeError

DOUBLE = torch.float64


@dataclass
class Averaging:
    """z_{t+1} depends on every frame and action of the window, and on its length.

    The largest batch and the windows seen are noted.
    """

    window: int = 3
    calls: int = 0

    def predict(self, frames: Tensor, actions: Tensor) -> Tensor:
        self.calls += 1
        length = frames.shape[1]
        weights = torch.arange(1, length + 1, dtype=frames.dtype) / length**2
        seen = torch.einsum("k,nk...->n...", weights, torch.sin(frames))
        push = torch.einsum("k,nkm->nm", weights, actions).sum(1)
        return 0.5 * frames[:, -1] + seen + push.view(-1, *[1] * (frames.ndim - 2))


def _draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE)


def _own_recursion(model: Averaging, frames: Tensor, past: Tensor, actions: Tensor) -> Tensor:
    """Frames (B, n+T, *F), one at a time, from the last `window` frames and actions."""
    known, executed = list(frames.unbind(1)), torch.cat([past, actions], 1)
    for _ in range(actions.shape[1]):
        first = max(0, len(known) - model.window)
        known.append(model.predict(torch.stack(known[first:], 1), executed[:, first : len(known)]))
    return torch.stack(known, 1)


@given(
    window=st.integers(1, 4), known=st.integers(1, 5), horizon=st.integers(1, 6),
    frame_shape=st.sampled_from([(2,), (3, 2)]), scale=st.sampled_from([1.0, 0.25]), batch=st.integers(1, 3),
)  # fmt: skip
def test_rollouts_are_the_models_own(
    window: int, known: int, horizon: int, frame_shape: tuple[int, ...], scale: float, batch: int
) -> None:
    model = Averaging(window)
    frames, past = _draw(0, batch, known, *frame_shape), _draw(1, batch, known - 1, 2)
    actions, goal = _draw(2, batch, horizon, 2), _draw(3, batch, *frame_shape)
    problem, history = history_problem(model, frames, goal, horizon, 2, past_actions=past, memory_scale=scale)
    states = rollout(problem.model, problem.initial_state, actions)
    kept = slice(-window, None)
    expected = _own_recursion(
        model, frames[:, kept], past[:, past.shape[1] - min(known, window) + 1 :], actions
    )
    torch.testing.assert_close(history.frame(states), expected[:, min(known, window) - 1 :])
    # The side-by-side step of all times gives the same states.
    torch.testing.assert_close(one_step_predictions(problem.model, states, actions), states[:, 1:])


def test_a_filling_window_costs_one_evaluation_for_each_length() -> None:
    model = Averaging(3)
    problem, _ = history_problem(model, _draw(0, 2, 1, 2), _draw(1, 2, 2), 20, 2)
    states, actions = problem.initial_state.unsqueeze(1).repeat(1, 20, 1), _draw(2, 2, 20, 2)
    model.calls = 0
    problem.parallel_step()(states, actions)
    assert model.calls == 3
    full, _ = history_problem(model, _draw(0, 2, 3, 2), _draw(1, 2, 2), 20, 2, past_actions=_draw(3, 2, 2, 2))
    model.calls = 0
    full.parallel_step()(states, actions)
    assert model.calls == 1


def test_places_before_the_first_frame_are_never_read() -> None:
    model = Averaging(3)
    problem, history = history_problem(model, _draw(0, 2, 1, 2), _draw(1, 2, 2), 5, 2)
    frames, past = history.unpack(problem.initial_state)
    garbled = history.pack(torch.cat([frames[:, :2] + 100.0, frames[:, 2:]], 1), past - 7.0)
    actions = _draw(2, 2, 5, 2)
    torch.testing.assert_close(
        history.frame(rollout(problem.model, garbled, actions)),
        history.frame(rollout(problem.model, problem.initial_state, actions)),
    )


def test_the_action_gradient_three_ways() -> None:
    model = Averaging(3)
    frames, past, actions = _draw(0, 2, 3, 2), _draw(1, 2, 2, 2), _draw(2, 2, 6, 2)
    problem, history = history_problem(model, frames, _draw(3, 2, 2), 6, 2, past_actions=past)

    def adapted(a: Tensor) -> Tensor:
        return history.frame(rollout(problem.model, problem.initial_state, a))[:, -1].square().sum()

    def own(a: Tensor) -> Tensor:
        return _own_recursion(model, frames, past, a)[:, -1].square().sum()

    (gradient,) = torch.autograd.grad(adapted(leaf := actions.clone().requires_grad_()), leaf)
    (expected,) = torch.autograd.grad(own(leaf := actions.clone().requires_grad_()), leaf)
    torch.testing.assert_close(gradient, expected)
    h = 1e-6
    for index in [(0, 0, 0), (1, 3, 1), (1, 5, 0)]:
        shift = torch.zeros_like(actions)
        shift[index] = h
        slope = float((adapted(actions + shift) - adapted(actions - shift)) / (2 * h))
        assert slope == pytest.approx(float(gradient[index]), rel=1e-6, abs=1e-8)


@given(
    window=st.integers(1, 4),
    axes=st.sampled_from([(), (2,), (2, 3)]),
    scale=st.sampled_from([1.0, 1e-3, 4.0]),
)
def test_packing_is_undone(window: int, axes: tuple[int, ...], scale: float) -> None:
    history = HistoryDynamics(Averaging(window), (2, 3), 2, scale)
    frames, past = _draw(0, *axes, window, 2, 3), _draw(1, *axes, window - 1, 2)
    state = history.pack(frames, past)
    assert state.shape == (*axes, window * 6 + (window - 1) * 2)
    unpacked_frames, unpacked_past = history.unpack(state)
    torch.testing.assert_close(unpacked_frames, frames)
    torch.testing.assert_close(unpacked_past, past)
    torch.testing.assert_close(history.frame(state), frames.select(len(axes), -1))
    still = history.at_rest(frames.select(len(axes), -1))
    rest, none = history.unpack(still)
    assert torch.equal(none, torch.zeros_like(none))
    for k in range(window):
        torch.testing.assert_close(rest.select(len(axes), k), frames.select(len(axes), -1))


def test_batch_axes_broadcast() -> None:
    history = HistoryDynamics(Averaging(2), (2,), 1)
    state, actions = history.at_rest(_draw(0, 1, 2)), _draw(1, 5, 1)
    expected = torch.stack([history.step(state[0], action) for action in actions])
    torch.testing.assert_close(history.step(state, actions), expected)


def test_a_small_memory_scale_asks_the_goal_of_the_last_frame() -> None:
    """The planner's loss tends to the squared distance of the last frame alone, with error c² × the memory's."""
    frames, goal, actions = _draw(0, 2, 3, 2), _draw(1, 2, 2), _draw(3, 2, 4, 2)
    past = _draw(2, 2, 2, 2)
    whole: list[Tensor] = []
    for scale in (1.0, 1e-3):
        problem, history = history_problem(
            Averaging(3), frames, goal, 4, 2, past_actions=past, memory_scale=scale
        )
        last = rollout(problem.model, problem.initial_state, actions)[:, -1]
        whole.append((last - problem.goal).square().sum(1))
    alone = (history.frame(last) - goal).square().sum(1)
    torch.testing.assert_close(whole[1], alone + 1e-6 * (whole[0] - alone))


PLANNERS = {
    "GRASP": GRASP(
        iterations=50,
        state_lr=0.1,
        action_lr=0.05,
        sync_lr=0.05,
        goal_weight=0.1,
        state_noise=0.05,
        cycle_decay=1.0,
    ),
    "GradientDescent": GradientDescent(iterations=50, lr=0.1),
}


@pytest.mark.parametrize("known", [1, 3])
@pytest.mark.parametrize("planner", PLANNERS.values(), ids=PLANNERS.keys())
def test_planners_see_a_plain_problem(planner: GRASP | GradientDescent, known: int) -> None:
    """The goal frame is one that a plan reaches; planning reduces the distance to it by nine tenths."""
    model, past = Averaging(3), _draw(1, 4, known - 1, 2)
    frames, truth = _draw(0, 4, known, 2), 0.5 * _draw(2, 4, 8, 2)
    goal = _own_recursion(model, frames, past, truth)[:, -1]
    problem, _ = history_problem(
        model, frames, goal, 8, 2, past_actions=past, memory_scale=0.1, seeds=torch.arange(4)
    )
    plan = planner.plan(problem)

    def distance(actions: Tensor) -> Tensor:
        return (_own_recursion(model, frames, past, actions)[:, -1] - goal).square().sum(1)

    assert (distance(plan.actions) < 0.1 * distance(torch.zeros_like(truth))).all()


def test_reached_is_asked_about_frames() -> None:
    seen: list[tuple[int, ...]] = []

    def reached(frames: Tensor, goals: Tensor) -> Tensor:
        seen.append(tuple(frames.shape))
        return (frames - goals).flatten(1).norm(dim=1) < 1e6

    problem, _ = history_problem(Averaging(3), _draw(0, 2, 1, 3, 2), _draw(1, 2, 3, 2), 4, 2, reached=reached)
    assert GRASP(iterations=2).plan(problem).reached.all()
    assert {shape[1:] for shape in seen} == {(3, 2)}


def test_bad_input_gets_its_error() -> None:
    model, frames, goal = Averaging(3), _draw(0, 2, 2, 2), _draw(1, 2, 2)
    with pytest.raises(ShapeError, match="past_actions"):
        history_problem(model, frames, goal, 4, 2)
    with pytest.raises(ShapeError, match="frames"):
        history_problem(model, frames[:, :0], goal, 4, 2)
    with pytest.raises(ShapeError, match="goal"):
        history_problem(model, frames[:, :1], goal[:1], 4, 2)
    with pytest.raises(HorizonError):
        history_problem(model, frames[:, :1], goal, 0, 2)
    history = HistoryDynamics(model, (2,), 2)
    with pytest.raises(ParameterError, match="memory_scale"):
        HistoryDynamics(model, (2,), 2, 0.0)
    with pytest.raises(ParameterError, match="context"):
        GrowingHistory(history, 4, 10)
    with pytest.raises(ShapeError, match="state"):
        history.step(_draw(0, 2, 9), _draw(1, 2, 2))
    with pytest.raises(ShapeError, match="frames"):
        history.pack(_draw(0, 2, 2, 2), _draw(1, 2, 2, 2))
    with pytest.raises(ShapeError, match="past_actions"):
        history.pack(_draw(0, 2, 3, 2), _draw(1, 2, 1, 2))
    with pytest.raises(HorizonError):
        PlanningProblem(GrowingHistory(history, 1, 3), history.at_rest(goal), history.at_rest(goal), 4, 2)

    class Wrong(Averaging):
        def predict(self, frames: Tensor, actions: Tensor) -> Tensor:
            return frames[:, -1, :1]

    with pytest.raises(ShapeError, match="next frames"):
        history_problem(Wrong(3), frames, goal, 4, 2, past_actions=_draw(2, 2, 1, 2))


def test_arrays_lists_and_numpy_integers_are_taken() -> None:
    model, frames, goal, past = Averaging(3), _draw(0, 2, 2, 2), _draw(1, 2, 2), _draw(2, 2, 1, 2)
    expected, _ = history_problem(model, frames, goal, 4, 2, past_actions=past)
    taken, _ = history_problem(
        model, frames.numpy(), goal.tolist(), np.int64(4), np.int64(2), past_actions=past.numpy()
    )
    assert torch.equal(taken.initial_state, expected.initial_state)
    assert torch.equal(taken.goal, expected.goal)
    assert taken.horizon == 4


@pytest.mark.parametrize(
    ("changed", "error", "named"),
    [
        ({"frames": None}, DTypeError, "frames"),
        ({"frames": "pictures"}, DTypeError, "frames"),
        ({"frames": torch.ones(2, 1, 2).half()}, DTypeError, "frames"),
        ({"frames": torch.ones(2, 1, 2, dtype=torch.int64)}, DTypeError, "frames"),
        ({"frames": torch.full((2, 1, 2), torch.nan)}, NonFiniteError, "frames"),
        ({"frames": torch.ones(0, 1, 2)}, ShapeError, "frames"),
        ({"goal": None}, DTypeError, "goal"),
        ({"goal": torch.ones(2, 1, 2)}, ShapeError, "goal"),
        ({"goal": torch.ones(2)}, ShapeError, "goal"),
        ({"past_actions": "none"}, DTypeError, "past_actions"),
        ({"past_actions": torch.ones(2, 2)}, ShapeError, "past_actions"),
        ({"horizon": "long"}, HorizonError, "horizon"),
        ({"horizon": True}, HorizonError, "horizon"),
        ({"action_dim": "many"}, ParameterError, "action_dim"),
        ({"initial_actions": torch.ones(2, 3, 2)}, ShapeError, "initial_actions"),
        ({"goal_distance": lambda frames, goals: frames}, ShapeError, "goal_distance"),
        ({"stage_cost": lambda frames, actions: 0.0}, ShapeError, "stage_cost"),
        ({"action_set": Balls(1.0, 3)}, ShapeError, "action_set"),
    ],
)
def test_what_does_not_fit_is_named(changed: dict[str, Any], error: type[Exception], named: str) -> None:
    given: dict[str, Any] = {"frames": torch.ones(2, 1, 2), "goal": torch.ones(2, 2), "horizon": 4}
    with pytest.raises(error, match=f"^{named}"):
        history_problem(**{"model": Averaging(3), "action_dim": 2, **given, **changed})


def test_a_length_is_not_counted_out() -> None:
    history = HistoryDynamics(Averaging(3), (2,), 2)
    endless, some = GrowingHistory(history, 1, 10**15), GrowingHistory(history, 1, 9)
    states, actions = _draw(0, 2, 4, history.at_rest(torch.ones(2)).shape[0]), _draw(1, 2, 4, 2)
    for time in (slice(0, 4), slice(1, 5)):
        assert torch.equal(endless.at(time).step(states, actions), some.at(time).step(states, actions))
    step = endless.at(10**15 - 1).step(states[:, 0], actions[:, 0])
    assert torch.equal(step, some.at(-1).step(states[:, 0], actions[:, 0]))


def test_what_is_no_window_model_is_named() -> None:
    for model in (None, torch.nn.Linear(2, 2)):
        with pytest.raises(ParameterError, match="model"):
            history_problem(model, torch.ones(2, 1, 2), torch.ones(2, 2), 4, 2)
    with pytest.raises(ParameterError, match="frame_shape"):
        HistoryDynamics(Averaging(3), (0,), 2)
    with pytest.raises(ShapeError, match="frames"):
        HistoryDynamics(Averaging(3), (2, 3), 2).at_rest(torch.ones(4, 3))
    with pytest.raises(ShapeError, match="frames"):
        HistoryDynamics(Averaging(3), (2, 3), 2).at_rest(torch.ones(3))


def test_costs_are_of_frames_and_actions() -> None:
    model, frames, goal, actions = Averaging(3), _draw(0, 2, 1, 3, 2), _draw(1, 2, 3, 2), _draw(2, 2, 4, 2)
    problem, history = history_problem(
        model, frames, goal, 4, 2,
        goal_distance=lambda frames, goals: (frames - goals).abs().sum((1, 2)),
        stage_cost=lambda frames, actions: frames[:, 0, 0] * actions[:, 1],
    )  # fmt: skip
    states = rollout(problem.model, problem.initial_state, actions)
    seen = history.frame(states)
    expected = (seen[:, -1] - goal).abs().sum((1, 2)) + (seen[:, 1:, 0, 0] * actions[..., 1]).sum(1)
    torch.testing.assert_close(problem.losses(states, actions, problem.goal), expected)
