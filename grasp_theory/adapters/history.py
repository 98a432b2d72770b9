"""A model that predicts from a window of frames and actions, as Markov dynamics whose state holds the window.

Shapes: `...` are batch axes, K frames in a full window, `*F` the axes of one frame, m the action dimension,
T the horizon.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from math import prod
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp_theory.action_sets import ActionSet, Bound
from grasp_theory.boundary import as_tensor, check_states
from grasp_theory.dynamics import Dynamics, ModelDynamics
from grasp_theory.problem import PlanningProblem
from linear_systems.checked import checked
from linear_systems.errors import ParameterError, ShapeError
from linear_systems.validation import positive_float, positive_horizon, positive_integer


@runtime_checkable
class WindowModel(Protocol):
    """A model z_{t+1} = P(z_{t−k+1..t}, a_{t−k+1..t}) for windows of any length k in 1..K."""

    @property
    def window(self) -> int:
        """K, the longest window."""

    def predict(self, frames: Tensor, actions: Tensor) -> Tensor:
        """Return the next frames (N, *F) for frames (N, k, *F) and actions (N, k, m), differentiably."""


@checked
@dataclass(frozen=True, eq=False)
class HistoryDynamics:
    """Markov dynamics s_{t+1} = F(s_t, a_t) of a model with a window of K frames.

    The state is the flat vector s_t = (c z_{t−K+1}, ..., c z_{t−1}, c a_{t−K+1}, ..., c a_{t−1}, z_t) of size
    K |F| + (K − 1) m: a_t leaves frame z_t.  F drops the oldest frame and action, and appends P's prediction.

    Planners measure ‖s_T − g‖ over the whole state, and a goal is a state `at_rest`: the last K frames at the
    goal.  To ask it of the last frame alone, let c → 0: what is remembered then weighs c² in every squared
    distance, while a planner's state noise σ becomes σ/c there.

    Arguments
        model: P.
        frame_shape: F.
        action_dim: m.
        memory_scale: c > 0, dimensionless.

    Raises
        ParameterError: a number outside its domain.
    """

    model: WindowModel
    frame_shape: tuple[int, ...]
    action_dim: int
    memory_scale: float = 1.0

    def __post_init__(self) -> None:
        for size in self.frame_shape:
            positive_integer("frame_shape", size)
        positive_integer("model.window", self.model.window)
        positive_integer("action_dim", self.action_dim)
        object.__setattr__(self, "memory_scale", positive_float("memory_scale", self.memory_scale))

    def step(
        self, state: Float[Tensor, "*#batch size"], action: Float[Tensor, "*#batch m"]
    ) -> Float[Tensor, "*batch size"]:
        """Return F(state, action), with the full window.

        Raises
            ShapeError: the state, or what the model predicts, has another shape than it should.
        """
        return self.advance(state, action, self.model.window)

    def advance(
        self, state: Float[Tensor, "*#batch size"], action: Float[Tensor, "*#batch m"], length: int
    ) -> Float[Tensor, "*batch size"]:
        """Return the next state, with the model shown the last `length` frames and actions only.

        Arguments
            state: (..., size), as `pack` makes it.
            action: (..., m).
            length: how many of the last frames the model sees, from 1 to its window.

        Raises
            ShapeError: the state, or what the model predicts, has another shape than it should.
        """

        def flat(states: Float[Tensor, "N size"], actions: Float[Tensor, "N m"]) -> Float[Tensor, "N size"]:
            frames, past_actions = self.unpack(states)
            window = torch.cat([past_actions, actions.unsqueeze(1)], dim=1)
            following = self.model.predict(frames[:, -length:], window[:, -length:])
            if following.shape != frames[:, 0].shape:
                raise ShapeError(
                    "model", f"next frames of shape {tuple(frames[:, 0].shape)}",
                    f"shape {tuple(following.shape)}", "return one next frame for every window",
                )  # fmt: skip
            return self.pack(torch.cat([frames[:, 1:], following.unsqueeze(1)], dim=1), window[:, 1:])

        return ModelDynamics(flat).step(state, action)

    def pack(
        self, frames: Tensor, past_actions: Float[Tensor, "*batch past m"]
    ) -> Float[Tensor, "*batch size"]:
        """Return the state of frames (..., K, *F), the newest last, and the actions (..., K−1, m) between them.

        Arguments
            frames: (..., K, *F), the newest last.
            past_actions: (..., K−1, m), those between the frames.

        Raises
            ShapeError.
        """
        window, axes = self.model.window, past_actions.ndim - 2
        expected = (*past_actions.shape[:axes], window, *self.frame_shape)
        if frames.shape != expected:
            raise ShapeError(
                "frames", f"shape {expected}", f"shape {tuple(frames.shape)}", "pass a full window of frames"
            )
        if past_actions.shape[axes:] != (window - 1, self.action_dim):
            raise ShapeError(
                "past_actions", f"shape (..., {window - 1}, {self.action_dim})",
                f"shape {tuple(past_actions.shape)}", "pass one action between each two frames",
            )  # fmt: skip
        memory = torch.cat(
            [frames.narrow(axes, 0, window - 1).flatten(axes), past_actions.flatten(axes)], dim=-1
        )
        current = frames.select(axes, window - 1).flatten(axes)
        return torch.cat([memory if self.memory_scale == 1 else self.memory_scale * memory, current], dim=-1)

    def unpack(self, state: Float[Tensor, "*batch size"]) -> tuple[Tensor, Float[Tensor, "*batch past m"]]:
        """Return the frames (..., K, *F) and past actions (..., K−1, m) of states.

        Arguments
            state: (..., size), as `pack` makes it.

        Raises
            ShapeError.
        """
        window, frame_size = self.model.window, prod(self.frame_shape)
        past_frames, past_actions = (window - 1) * frame_size, (window - 1) * self.action_dim
        if state.shape[-1] != past_frames + past_actions + frame_size:
            raise ShapeError(
                "state", f"{past_frames + past_actions + frame_size} entries: a window of {window} frames of "
                f"shape {self.frame_shape} and {window - 1} actions", f"{state.shape[-1]} entries",
                "make states with pack or at_rest",
            )  # fmt: skip
        memory, current = state[..., :-frame_size], state[..., -frame_size:]
        if self.memory_scale != 1:
            memory = memory / self.memory_scale
        frames = torch.cat([memory[..., :past_frames], current], dim=-1)
        return (
            frames.reshape(*state.shape[:-1], window, *self.frame_shape),
            memory[..., past_frames:].reshape(*state.shape[:-1], window - 1, self.action_dim),
        )

    def frame(self, state: Float[Tensor, "*batch size"]) -> Tensor:
        """Return the current frames z_t, (..., *F), of states.

        Arguments
            state: (..., size), as `pack` makes it.
        """
        return state[..., -prod(self.frame_shape) :].reshape(*state.shape[:-1], *self.frame_shape)

    def at_rest(self, frames: Tensor) -> Float[Tensor, "*batch size"]:
        """Return the states that have been at the frames (..., *F) for the whole window, under zero actions.

        Raises
            ShapeError.
        """
        axes = frames.ndim - len(self.frame_shape)
        if axes < 0 or tuple(frames.shape[axes:]) != self.frame_shape:
            raise ShapeError(
                "frames", f"shape (..., *{self.frame_shape})", f"shape {tuple(frames.shape)}", "pass frames of the model"
            )  # fmt: skip
        batch = frames.shape[:axes]
        still = frames.new_zeros(*batch, self.model.window - 1, self.action_dim)
        repeated = frames.unsqueeze(len(batch)).expand(*batch, self.model.window, *self.frame_shape)
        return self.pack(repeated, still)


@checked
@dataclass(frozen=True, eq=False)
class GrowingHistory:
    """The same dynamics while the window still fills: at time t the model sees min(K, context + t) frames.

    It satisfies `TimeVaryingDynamics`.  The side-by-side step of all times takes one model evaluation for each
    length of the window, K − context + 1 in all.

    Arguments
        history: the dynamics.
        context: number of frames known at time 0, 1..K; the other places of s_0 are never read.
        length: the longest horizon.

    Raises
        ParameterError, HorizonError: a number outside its domain.
    """

    history: HistoryDynamics
    context: int
    length: int

    def __post_init__(self) -> None:
        positive_integer("context", self.context)
        positive_horizon("length", self.length)
        if self.context > self.history.model.window:
            raise ParameterError(
                "context", f"at most the window's {self.history.model.window} frames", str(self.context),
                "pass the last frames only",
            )  # fmt: skip

    def at(self, time: int | slice) -> Dynamics:
        """Return the dynamics of one time step or, for a slice, of those steps side by side."""
        times = range(self.length)[time]
        if isinstance(times, range):
            return _StepsSideBySide(self.history, tuple(self._window(t) for t in times))
        return _OneStep(self.history, self._window(times))

    def _window(self, time: int) -> int:
        return min(self.history.model.window, self.context + time)


@dataclass(frozen=True, eq=False)
class _OneStep:
    history: HistoryDynamics
    window: int

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return self.history.advance(state, action, self.window)


@dataclass(frozen=True, eq=False)
class _StepsSideBySide:
    history: HistoryDynamics
    windows: tuple[int, ...]

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return torch.cat(
            [
                self.history.advance(state[..., first:end, :], action[..., first:end, :], window)
                for window, first, end in self._runs()
            ],
            dim=-2,
        )

    def _runs(self) -> Iterator[tuple[int, int, int]]:
        """Yield each length of the window with the first time and the end of its run."""
        end = 0
        for window, run in groupby(self.windows):
            first, end = end, end + len(list(run))
            yield window, first, end


@checked
def history_problem(
    model: Any,
    frames: Any,
    goal: Any,
    horizon: Any,
    action_dim: Any,
    *,
    past_actions: Any = None,
    memory_scale: float = 1.0,
    reached: Callable[[Tensor, Tensor], Bool[Tensor, " N"]] | None = None,
    initial_actions: Any = None,
    action_bounds: tuple[Bound, Bound] | None = None,
    seeds: Any = None,
    action_set: ActionSet | None = None,
    stage_cost: Callable[[Tensor, Tensor], Float[Tensor, " N"]] | None = None,
    goal_distance: Callable[[Tensor, Tensor], Float[Tensor, " N"]] | None = None,
) -> tuple[PlanningProblem, HistoryDynamics]:
    """Return the planning problem of a model with a window, and the dynamics that reads its states.

    Arguments
        model: a `WindowModel`: predicts from a window of at most K frames.
        frames: (B, n, *F), the last frames seen, the newest last.  With n < K the window grows as the plan
            goes on, and the unread places of s_0 repeat the oldest frame; of n > K frames the last K count.
        goal: (B, *F), the goal frame.
        horizon: T, model steps.
        action_dim: m.
        past_actions: (B, n−1, m), executed between the frames; needed if n > 1.
        memory_scale: c, see `HistoryDynamics`.
        reached: (frames (N, *F), goal frames (N, *F)) -> (N,) booleans; None: never.
        initial_actions, action_bounds, seeds, action_set: see `PlanningProblem`.
        stage_cost: (frames (N, *F), the actions (N, m) that led there) -> (N,); None: 0.
        goal_distance: (frames (N, *F), goal frames (N, *F)) -> (N,), instead of ‖s_T − g‖² over the whole window.

    Raises
        ParameterError, HorizonError: no window model, or a number outside its domain.
        ShapeError, DTypeError: frames, goal or past actions do not fit each other; and whatever `PlanningProblem` raises.
    """
    if not isinstance(model, WindowModel):
        raise ParameterError(
            "model", "an object with window and predict", type(model).__name__,
            "adapt the model to WindowModel",
        )  # fmt: skip
    horizon, action_dim = positive_horizon("horizon", horizon), positive_integer("action_dim", action_dim)
    frames = as_tensor("frames", frames)
    if frames.ndim < 2 or frames.shape[1] == 0:
        raise ShapeError(
            "frames", "shape (B, n, *F), n >= 1", f"shape {tuple(frames.shape)}", "add a time axis"
        )
    check_states("frames", frames, frames)
    history = HistoryDynamics(model, tuple(frames.shape[2:]), action_dim, memory_scale)
    batch, count = frames.shape[:2]
    goal = as_tensor("goal", goal, frames)
    if goal.shape != frames[:, 0].shape:
        raise ShapeError(
            "goal", f"shape {tuple(frames[:, 0].shape)}, one frame for each problem",
            f"shape {tuple(goal.shape)}", "pass the goal frames (B, *F)",
        )  # fmt: skip
    if past_actions is None:
        past_actions = frames.new_zeros(batch, 0, action_dim)
    past_actions = as_tensor("past_actions", past_actions, frames)
    if past_actions.shape != (batch, count - 1, action_dim):
        raise ShapeError(
            "past_actions", f"shape {(batch, count - 1, action_dim)}: one action between each two frames",
            f"shape {tuple(past_actions.shape)}", "pass the executed actions with the frames",
        )  # fmt: skip
    missing = model.window - count
    frames = torch.cat([frames[:, :1].expand(-1, max(0, missing), *frames.shape[2:]), frames], dim=1)
    padding = past_actions.new_zeros(batch, max(0, missing), action_dim)
    past_actions = torch.cat([padding, past_actions], dim=1).to(frames)

    def on_frames(compare: Callable[[Tensor, Tensor], Tensor] | None) -> Any:
        if compare is None:
            return None
        return lambda states, goals: compare(history.frame(states), history.frame(goals))

    problem = PlanningProblem(
        GrowingHistory(history, count, horizon) if missing > 0 else history,
        history.pack(frames[:, -model.window :], past_actions[:, past_actions.shape[1] - model.window + 1 :]),
        history.at_rest(goal),
        horizon,
        action_dim,
        reached=on_frames(reached),
        initial_actions=initial_actions,
        action_bounds=action_bounds,
        seeds=seeds,
        action_set=action_set,
        stage_cost=None
        if stage_cost is None
        else lambda states, actions: stage_cost(history.frame(states), actions),
        goal_distance=on_frames(goal_distance),
    )
    return problem, history
