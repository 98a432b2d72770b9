"""Our planners behind the `Solver` protocol of the stable-worldmodel project."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool
from torch import Tensor

from grasp_theory.adapters.history import history_problem
from grasp_theory.adapters.world_models import GoalEncodingModel, LeWMModel, Observations, PreJEPAModel
from grasp_theory.planners import Planner
from linear_systems.errors import ParameterError, ShapeError


@runtime_checkable
class ActionSpace(Protocol):
    """What is read of a vectorised `gymnasium` action space: its shape (n_envs, *action)."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(n_envs, *action)."""

    @property
    def dtype(self) -> Any:
        """A floating-point type."""


@runtime_checkable
class PlanConfiguration(Protocol):
    """What is read of stable-worldmodel's `PlanConfig`."""

    @property
    def horizon(self) -> int:
        """T, in model steps."""

    @property
    def action_block(self) -> int:
        """Environment actions in a model action."""


class StableWorldModelSolver:
    """A planner and a world model as a stable-worldmodel `Solver`; made by `as_stable_worldmodel_solver`."""

    def __init__(
        self,
        planner: Planner,
        model: GoalEncodingModel,
        *,
        memory_scale: float,
        reached: Callable[[Tensor, Tensor], Bool[Tensor, " N"]] | None,
        action_bounds: tuple[float | Tensor, float | Tensor] | None,
        generator: torch.Generator | None,
    ) -> None:
        self.planner = planner
        self.model = model
        self._memory_scale = memory_scale
        self._reached = reached
        self._action_bounds = action_bounds
        self._generator = generator
        self._sizes: tuple[int, int, int] | None = None

    def configure(self, *, action_space: ActionSpace, n_envs: int, config: PlanConfiguration) -> None:
        """Take the sizes of the problem.

        Arguments
            action_space: continuous, of shape (n_envs, *action), as vectorised environments have it.
            n_envs: number of environments.
            config: its `horizon` T and `action_block`.

        Raises
            ParameterError: the actions are not continuous.
            ShapeError: the action space is not one of several environments.
        """
        kind = getattr(getattr(action_space, "dtype", None), "kind", None)
        if kind != "f":
            raise ParameterError(
                "action_space", "a continuous space (Box of floats)", repr(action_space),
                "plan discrete actions with a solver made for them",
            )  # fmt: skip
        if len(action_space.shape) < 2:
            raise ShapeError(
                "action_space", "shape (n_envs, *action)", f"shape {action_space.shape}",
                "pass the action space of the vectorised environment",
            )  # fmt: skip
        self._sizes = (prod(action_space.shape[1:]) * config.action_block, n_envs, config.horizon)

    @property
    def action_dim(self) -> int:
        """m: the entries of one action times the actions in a block."""
        return self._configured()[0]

    @property
    def n_envs(self) -> int:
        """Number of environments; a call of `solve` may concern fewer."""
        return self._configured()[1]

    @property
    def horizon(self) -> int:
        """T, in model steps."""
        return self._configured()[2]

    def solve(self, info_dict: Observations, init_action: Tensor | None = None) -> dict[str, Any]:
        """Plan for B environments at once.

        Arguments
            info_dict: observations and goals as the model's `encode` and `encode_goal` read them, and
                "action_history" (B, n−1, m) where there are n > 1 frames.
            init_action: (B, t, m), t <= T, the actions to start from; zeros follow them.

        Returns
            "actions": (B, T, m) on the CPU; "costs": B numbers, ‖s_T − g‖²; "plan": the `Plan`.

        Raises
            ParameterError: not configured, or an entry of `info_dict` is missing.
            ShapeError: `init_action` or "action_history" does not fit.
        """
        frames = self.model.encode(info_dict)
        past_actions = info_dict.get("action_history")
        problem, _ = history_problem(
            self.model,
            frames,
            self.model.encode_goal(info_dict),
            self.horizon,
            self.action_dim,
            past_actions=None if past_actions is None else torch.as_tensor(past_actions).to(frames),
            memory_scale=self._memory_scale,
            reached=self._reached,
            initial_actions=self._initial_actions(init_action, frames),
            action_bounds=self._action_bounds,
        )
        plan = self.planner.plan(problem, self._generator)
        return {"actions": plan.actions.cpu(), "costs": plan.loss.tolist(), "plan": plan}

    def __call__(self, info_dict: Observations, init_action: Tensor | None = None) -> dict[str, Any]:
        """Do what `solve` does: the project's policy calls its solver."""
        return self.solve(info_dict, init_action)

    def _initial_actions(self, given: Tensor | None, frames: Tensor) -> Tensor | None:
        if given is None:
            return None
        batch = len(frames)
        if given.ndim != 3 or (len(given), given.shape[2]) != (batch, self.action_dim):
            raise ShapeError(
                "init_action", f"shape ({batch}, t, {self.action_dim})", f"shape {tuple(given.shape)}",
                "pass one action sequence for each environment",
            )  # fmt: skip
        if given.shape[1] > self.horizon:
            raise ShapeError(
                "init_action", f"at most {self.horizon} steps, the horizon", f"{given.shape[1]} steps",
                "cut the actions to the horizon",
            )  # fmt: skip
        actions = frames.new_zeros(batch, self.horizon, self.action_dim)
        actions[:, : given.shape[1]] = given
        return actions

    def _configured(self) -> tuple[int, int, int]:
        if self._sizes is None:
            raise ParameterError("solver", "a configured solver", "none", "call configure first")
        return self._sizes


def as_stable_worldmodel_solver(
    planner: Planner,
    model: Any,
    *,
    memory_scale: float = 1.0,
    reached: Callable[[Tensor, Tensor], Bool[Tensor, " N"]] | None = None,
    action_bounds: tuple[float | Tensor, float | Tensor] | None = None,
    generator: torch.Generator | None = None,
) -> StableWorldModelSolver:
    """Return the planner as a solver for the policies of the stable-worldmodel project.

    The project's solvers hold their cost, and ours its model: nothing that `solve` is given contains one.  What
    is minimised is the planner's own ‖s_T − g‖², not a cost of that project.

    Arguments
        planner: any of ours.
        model: a LeWM or PreJEPA (told apart by `extra_encoders`, as the project does), or any
            `GoalEncodingModel`.
        memory_scale: weighs the window's older frames in distances, see `HistoryDynamics`.
        reached: (frames (N, *F), goal frames (N, *F)) -> (N,) booleans: stops an environment's planning.
        action_bounds: (low, high) in the units of the model's actions, which that project usually
            normalises: its action space's own bounds are in the environment's units and are not used.
        generator: of the planner's noise; None: torch's global one.

    Raises
        ParameterError: the model has none of these interfaces.
    """
    return StableWorldModelSolver(
        planner,
        _adapted(model),
        memory_scale=memory_scale,
        reached=reached,
        action_bounds=action_bounds,
        generator=generator,
    )


def _adapted(model: Any) -> GoalEncodingModel:
    if isinstance(model, GoalEncodingModel):
        return model
    if getattr(model, "extra_encoders", None):
        return PreJEPAModel(model)
    if all(hasattr(model, name) for name in ("encode", "predict", "action_encoder")):
        return LeWMModel(model)
    raise ParameterError(
        "model", "a LeWM, a PreJEPA or an object with window, encode, encode_goal and predict",
        type(model).__name__, "adapt it to GoalEncodingModel",
    )  # fmt: skip
