"""What every planner is given and what it returns: `PlanningProblem`, `Plan`, `Status`, `History`.

Shapes: B problems, R restarts of each, T the horizon in model steps, m the action dimension, `*S` the axes of
one state.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from grasp_theory.dynamics import AnyDynamics, Model, TimeVaryingDynamics, as_dynamics
from linear_systems.errors import DTypeError, HorizonError, NonFiniteError, ParameterError, ShapeError
from linear_systems.system import LinearSystem, TimeVaryingLinearSystem
from linear_systems.validation import positive_integer

Reached = Callable[[Tensor, Tensor], Tensor]
"""(states (N, *S), goals (N, *S)) -> (N,) booleans: whether each state is in its goal region."""


class Status(IntEnum):
    """Why the planning of one problem stopped."""

    REACHED = 0
    """`reached` said yes on the model's own rollout of the plan, or of an earlier one where that does not stop."""
    STEP_LIMIT = 1
    """Every iteration was used."""
    TIME_LIMIT = 2
    """The time limit came first."""
    DIVERGED = 3
    """The model or the iterate became NaN or infinite (in every restart)."""


@dataclass(frozen=True, eq=False)
class PlanningProblem:
    """B goal-reaching problems for one model: find a_0..a_{T-1} with s_T = g.  Source: Eq. (1)-(3).

    The problems are independent of each other: problem i is planned the same, up to rounding in the model,
    in any batch (see `seeds`), provided that the model treats the rows of its batch independently.

    Arguments
        dynamics: anything that `as_dynamics` takes; the matrices of a linear system are cast to the dtype and
            device of `initial_state`.
        initial_state: (B, *S), floating point.  Plans have its dtype and device.
        goal: (B, *S), of the same dtype and device.
        horizon: T >= 1, model steps.
        action_dim: m >= 1.
        reached: says when a state is in the goal region; a problem stops as soon as its plan is.  None: never.
        reached_when: whether the "last" state of the plan must be in the goal region or "any" of s_0..s_T.
        initial_actions: (B, T, m), the actions that planning starts from (a warm start); None for zeros.
        action_bounds: (low, high), numbers or tensors that broadcast to (m,); None for no bounds.  Every
            action that is tried is clipped to them.
        seeds: (B,) integers: the noise of problem i depends on seeds[i] alone.  None: drawn from the
            generator given to `plan`.

    Raises
        ShapeError, DTypeError, NonFiniteError, HorizonError, ParameterError.
    """

    dynamics: Model
    initial_state: Tensor
    goal: Tensor
    horizon: int
    action_dim: int
    reached: Reached | None = None
    reached_when: Literal["last", "any"] = "last"
    initial_actions: Tensor | None = None
    action_bounds: tuple[float | Tensor, float | Tensor] | None = None
    seeds: Tensor | None = None

    def __post_init__(self) -> None:
        state = self.initial_state
        _check_states("initial_state", state, state)
        _check_states("goal", self.goal, state)
        horizon = self.horizon
        if isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 1:
            raise HorizonError("horizon", "an integer >= 1", repr(horizon), "pass the model steps T")
        positive_integer("action_dim", self.action_dim)
        if self.reached_when not in ("last", "any"):
            raise ParameterError(
                "reached_when", '"last" or "any"', repr(self.reached_when), "name when the goal counts"
            )
        object.__setattr__(self, "dynamics", self._checked_dynamics())
        object.__setattr__(self, "initial_actions", self._checked_actions())
        object.__setattr__(self, "action_bounds", self._checked_bounds())
        if self.seeds is not None and (self.seeds.shape != (self.batch,) or self.seeds.is_floating_point()):
            raise ShapeError(
                "seeds", f"{self.batch} integers, one a problem",
                f"shape {tuple(self.seeds.shape)} of {self.seeds.dtype}", "pass an integer tensor (B,)",
            )  # fmt: skip

    @property
    def batch(self) -> int:
        """The number of problems B."""
        return int(self.initial_state.shape[0])

    @property
    def model(self) -> AnyDynamics:
        """The dynamics, adapted."""
        return self.dynamics  # type: ignore[return-value]  # adapted in __post_init__

    def parallel_step(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the step on states (N, T, *S) and actions (N, T, m), all times side by side."""
        model = self.model
        return model.at(slice(0, self.horizon)).step if isinstance(model, TimeVaryingDynamics) else model.step

    def clip(self, actions: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch m"]:
        """Return the actions clipped to the bounds."""
        if self.action_bounds is None:
            return actions
        low, high = self.action_bounds
        return torch.clamp(actions, torch.as_tensor(low), torch.as_tensor(high))

    def _checked_dynamics(self) -> AnyDynamics:
        state = self.initial_state
        model = as_dynamics(self.dynamics)
        if isinstance(self.dynamics, LinearSystem | TimeVaryingLinearSystem):
            assert isinstance(model, torch.nn.Module)
            model.to(state)
        if isinstance(model, TimeVaryingDynamics) and model.length < self.horizon:
            raise HorizonError(
                "horizon", f"at most {model.length} steps, as many as the dynamics has", str(self.horizon),
                "shorten the horizon",
            )  # fmt: skip
        with torch.no_grad():
            step = model.at(0).step if isinstance(model, TimeVaryingDynamics) else model.step
            following = step(state[:1], state.new_zeros(1, self.action_dim))
        if following.shape != state[:1].shape or following.dtype != state.dtype:
            raise ShapeError(
                "dynamics", f"a next state of shape {tuple(state[:1].shape)} and {state.dtype}",
                f"shape {tuple(following.shape)} and {following.dtype}", "return next states like the states",
            )  # fmt: skip
        return model

    def _checked_actions(self) -> Tensor:
        shape = (self.batch, self.horizon, self.action_dim)
        if self.initial_actions is None:
            return self.initial_state.new_zeros(shape)
        actions = self.initial_actions
        if actions.shape != shape:
            raise ShapeError(
                "initial_actions", f"shape {shape}", f"shape {tuple(actions.shape)}", "pass (B, T, m)"
            )
        _check_finite("initial_actions", actions)
        return actions.detach().to(self.initial_state)

    def _checked_bounds(self) -> tuple[Tensor, Tensor] | None:
        if self.action_bounds is None:
            return None
        state = self.initial_state
        bounds = tuple(
            torch.as_tensor(bound, dtype=state.dtype, device=state.device) for bound in self.action_bounds
        )
        if len(bounds) != 2 or any(b.ndim > 1 or b.shape not in ((), (self.action_dim,)) for b in bounds):
            raise ShapeError(
                "action_bounds", f"(low, high), numbers or {self.action_dim} numbers each",
                f"shapes {[tuple(b.shape) for b in bounds]}", "pass a pair that fits the actions",
            )  # fmt: skip
        if not bool((bounds[0] < bounds[1]).all()):
            raise ParameterError("action_bounds", "low < high", repr(self.action_bounds), "swap them")
        low, high = bounds
        return low.expand(self.action_dim), high.expand(self.action_dim)


@dataclass(frozen=True, eq=False)
class History:
    """What happened at the K observed iterations (those at which a plan was rolled out).

    Arguments
        iteration: (K,), iterations done; 0 is the start.
        loss: (K, B, R), ‖s_T − g‖² of the current plan's own rollout, Eq. (3); NaN once a row has stopped.
        distance: (K, B, R), min_t ‖s_t − g‖ along that rollout.
        defect: (K, B, R), Σ_t ‖F(s_t, a_t) − s_{t+1}‖² of the virtual states, Eq. (4); 0 for planners
            without virtual states.
        states: (K, B, R, T+1, *S), the virtual states (or the rollout), if they were asked for.
    """

    iteration: Int[Tensor, " K"]
    loss: Float[Tensor, "K B R"]
    distance: Float[Tensor, "K B R"]
    defect: Float[Tensor, "K B R"]
    states: Tensor | None


@dataclass(frozen=True, eq=False)
class FirstReached:
    """The first plan of each problem that reaches its goal region in the model.

    Arguments
        actions: (B, T, m), zero where none does.
        iterations: (B,), iterations done when it was seen; -1 where none was.
        seconds: (B,), float64, wall time from the start of planning to that; infinite where none was seen.
    """

    actions: Float[Tensor, "B T m"]
    iterations: Int[Tensor, " B"]
    seconds: Float[Tensor, " B"]


@dataclass(frozen=True, eq=False)
class Plan:
    """The best plan found for each problem, judged by the model's own rollout of it.

    Arguments
        actions: (B, T, m).
        states: (B, T+1, *S), the model's rollout of `actions` from s_0.
        loss: (B,), ‖s_T − g‖², Eq. (3); infinite if no finite rollout was seen.
        status: (B,), values of `Status`.
        iterations: (B,), iterations done when the problem stopped; 0 if the initial actions reach the goal.
        first: the first plans that reach; with `stop_when_reached` these are the plans above.
        history: a `History` if it was asked for.
    """

    actions: Float[Tensor, "B T m"]
    states: Tensor
    loss: Float[Tensor, " B"]
    status: Int[Tensor, " B"]
    iterations: Int[Tensor, " B"]
    first: FirstReached
    history: History | None = None

    @property
    def reached(self) -> Bool[Tensor, " B"]:
        """Whether a plan of each problem reached its goal region in the model (see `first`)."""
        return self.status == Status.REACHED


def _check_states(argument: str, tensor: Tensor, like: Tensor) -> None:
    if tensor.ndim < 2 or tensor.shape[0] == 0:
        raise ShapeError(
            argument, "shape (B, *S) with B >= 1", f"shape {tuple(tensor.shape)}", "add a batch axis"
        )
    if tensor.shape != like.shape:
        raise ShapeError(
            argument, f"shape {tuple(like.shape)}, that of initial_state", f"shape {tuple(tensor.shape)}",
            "pass one goal for each problem, shaped as a state",
        )  # fmt: skip
    if not tensor.is_floating_point() or tensor.dtype != like.dtype:
        expected = f"{like.dtype}" if like.is_floating_point() else "a floating-point tensor"
        raise DTypeError(argument, expected, f"{tensor.dtype}", "convert it, for example .to(initial_state)")
    if tensor.device != like.device:
        raise ParameterError(
            argument, f"a tensor on {like.device}", f"one on {tensor.device}", "move it: .to(initial_state)"
        )
    _check_finite(argument, tensor)


def _check_finite(argument: str, tensor: Tensor) -> None:
    if not bool(torch.isfinite(tensor).all()):
        raise NonFiniteError(argument, "finite entries", "NaN or infinity", "remove such problems")
