"""Our planners behind the `Solver` protocol of the stable-worldmodel project, release 0.1.1 and later."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp_theory.action_sets import ActionSet, Bound, Box
from grasp_theory.adapters.history import history_problem
from grasp_theory.adapters.world_models import GoalEncodingModel, LeWMModel, PreJEPAModel
from grasp_theory.boundary import as_tensor
from grasp_theory.planners import Planner
from linear_systems.checked import checked
from linear_systems.errors import InvalidInputError, ParameterError, ShapeError
from linear_systems.validation import positive_float, positive_horizon, positive_integer


class NotConfiguredError(ParameterError, AttributeError):
    """A solver was asked for what `configure` tells it; `hasattr` and `isinstance` take it for an attribute it lacks."""


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


@dataclass(eq=False, kw_only=True, repr=False)
class StableWorldModelSolver:
    """A planner and a world model as a stable-worldmodel `Solver`; made by `as_stable_worldmodel_solver`.

    Arguments
        planner, model, memory_scale, reached, action_bounds, action_set, stage_cost, goal_distance, generator: as there,
            the model with its goals encoded.
    """

    planner: Planner
    model: GoalEncodingModel
    memory_scale: float
    reached: Callable[[Tensor, Tensor], Bool[Tensor, " N"]] | None
    action_bounds: tuple[Bound, Bound] | None
    action_set: ActionSet | None
    stage_cost: Callable[[Tensor, Tensor], Float[Tensor, " N"]] | None
    goal_distance: Callable[[Tensor, Tensor], Float[Tensor, " N"]] | None
    generator: torch.Generator | None
    _sizes: tuple[int, int, int] | None = field(default=None, init=False)

    def configure(self, *, action_space: Any, n_envs: Any, config: Any) -> None:
        """Take the sizes of the problem.

        Arguments
            action_space: a continuous `ActionSpace` of shape (n_envs, *action), as vectorised environments have it.
            n_envs: number of environments.
            config: a `PlanConfiguration`: the horizon T and the block of actions.

        Raises
            ParameterError: the actions are not continuous, or a number is outside its domain.
            HorizonError: the horizon is no positive integer.
            ShapeError: the action space is not one of `n_envs` environments.
        """
        kind = getattr(getattr(action_space, "dtype", None), "kind", None)
        if kind != "f" or not isinstance(action_space, ActionSpace):
            raise ParameterError(
                "action_space", "a continuous space (Box of floats)", repr(action_space),
                "plan discrete actions with a solver made for them",
            )  # fmt: skip
        count = positive_integer("n_envs", n_envs)
        if len(action_space.shape) < 2 or action_space.shape[0] != count:
            raise ShapeError(
                "action_space", f"shape (n_envs, *action), n_envs = {count}", f"shape {action_space.shape}",
                "pass the action space of the vectorised environment",
            )  # fmt: skip
        if not isinstance(config, PlanConfiguration):
            raise ParameterError(
                "config", "an object with horizon and action_block", repr(config), "pass a PlanConfig"
            )
        block = positive_integer("config.action_block", config.action_block)
        horizon = positive_horizon("config.horizon", config.horizon)
        self._sizes = (prod(action_space.shape[1:]) * block, count, horizon)

    @property
    def action_dim(self) -> int:
        """m: the entries of one action times the actions in a block.  `NotConfiguredError` before `configure`."""
        return self._configured()[0]

    @property
    def n_envs(self) -> int:
        """Number of environments; a call of `solve` may concern fewer.  `NotConfiguredError` before `configure`."""
        return self._configured()[1]

    @property
    def horizon(self) -> int:
        """T, in model steps.  `NotConfiguredError` before `configure`."""
        return self._configured()[2]

    def solve(self, info_dict: Any, init_action: Any = None) -> dict[str, Any]:
        """Plan for B environments at once, on the model's device.

        Arguments
            info_dict: observations and goals as the model's `encode` and `encode_goal` read them, and
                "action_history" (B, n−1, m), the model actions executed between them, where there are n > 1 frames.
            init_action: (B, t, m), t <= T, the actions to start from; zeros follow them.

        Returns
            "actions": (B, T, m) on the CPU; "costs": B numbers, the losses of these plans; "plan": the `Plan`.

        Raises
            NotConfiguredError: not configured.
            ParameterError: an entry of `info_dict` is missing.
            ShapeError, DTypeError: `init_action` or an entry does not fit; and whatever `PlanningProblem` raises.
        """
        action_dim, _, horizon = self._configured()
        frames = self.model.encode(info_dict)
        past_actions = info_dict.get("action_history")
        if past_actions is None and frames.shape[1] > 1:
            raise ParameterError(
                "info_dict", f'an entry "action_history" for {frames.shape[1]} frames',
                f"entries {sorted(map(str, info_dict))}",
                "pass the model actions executed between the frames (B, n-1, m), or the last frame alone",
            )  # fmt: skip
        problem, _ = history_problem(
            self.model,
            frames,
            self.model.encode_goal(info_dict),
            horizon,
            action_dim,
            past_actions=past_actions,
            memory_scale=self.memory_scale,
            reached=self.reached,
            initial_actions=None if init_action is None else self._start(init_action, frames),
            action_bounds=self.action_bounds,
            action_set=self.action_set,
            stage_cost=self.stage_cost,
            goal_distance=self.goal_distance,
        )
        plan = self.planner.plan(problem, self.generator)
        return {"actions": plan.actions.cpu(), "costs": plan.loss.tolist(), "plan": plan}

    def __call__(self, info_dict: Any, init_action: Any = None) -> dict[str, Any]:
        """Do what `solve` does: the project's policy calls its solver."""
        return self.solve(info_dict, init_action)

    def _start(self, init_action: Any, frames: Tensor) -> Tensor:
        given = as_tensor("init_action", init_action, frames)
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
            raise NotConfiguredError("solver", "a configured solver", "none", "call configure first")
        return self._sizes


@checked
def as_stable_worldmodel_solver(
    planner: Planner,
    model: Any,
    *,
    memory_scale: float = 1.0,
    reached: Callable[[Tensor, Tensor], Bool[Tensor, " N"]] | None = None,
    action_bounds: tuple[Bound, Bound] | None = None,
    action_set: ActionSet | None = None,
    stage_cost: Callable[[Tensor, Tensor], Float[Tensor, " N"]] | None = None,
    goal_distance: Callable[[Tensor, Tensor], Float[Tensor, " N"]] | None = None,
    generator: torch.Generator | None = None,
) -> StableWorldModelSolver:
    """Return the planner as a solver for the policies of the stable-worldmodel project.

    The project's solvers hold their cost, and ours its model: nothing that `solve` is given contains one.  What
    is minimised is the planner's own ‖s_T − g‖² over the model's whole window, unless `goal_distance` says otherwise:
    `lambda frames, goals: (frames - goals).square().sum(-1)` is LeWM's cost in that project.

    Arguments
        planner: any of ours.
        model: a LeWM, PLDM or PreJEPA (told apart by `extra_encoders`, as the project does), or any
            `GoalEncodingModel`.
        memory_scale: weighs the window's older frames in distances, see `HistoryDynamics`.
        reached: (frames (N, *F), goal frames (N, *F)) -> (N,) booleans: stops an environment's planning.
        action_bounds: (low, high), the short way to a `Box`.
        action_set: the actions that planners may try, in the units of the model's actions, which that project usually
            normalises: its action space's own bounds are in the environment's units and are not used.
        stage_cost, goal_distance: costs of one's own on frames, see `history_problem`.
        generator: of the planner's noise; None: torch's global one.

    Raises
        ParameterError: no planner, or the model has none of these interfaces.
    """
    if not isinstance(planner, Planner):
        raise ParameterError("planner", "a planner", repr(planner), "pass GRASP(), CEM() or the like")
    if action_bounds is not None:
        try:
            Box(*action_bounds)
        except InvalidInputError as error:
            raise type(error)("action_bounds", error.expected, error.found, error.hint) from error
    return StableWorldModelSolver(
        planner=planner,
        model=_adapted(model),
        memory_scale=positive_float("memory_scale", memory_scale),
        reached=reached,
        action_bounds=action_bounds,
        action_set=action_set,
        stage_cost=stage_cost,
        goal_distance=goal_distance,
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
        "model", "a LeWM, a PLDM, a PreJEPA or an object with window, encode, encode_goal and predict",
        type(model).__name__, "pass the model itself rather than a cost made of it, or adapt it to GoalEncodingModel",
    )  # fmt: skip
