"""What every planner is given: `PlanningProblem`."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp_theory.action_sets import ActionSet, Bound, Box
from grasp_theory.boundary import as_booleans, as_tensor, check_finite, check_states, try_model
from grasp_theory.dynamics import AnyDynamics, Model, TimeVaryingDynamics, adapted, asked, is_compiled
from grasp_theory.objectives import squared_distance
from linear_systems.annotations import shown, takes
from linear_systems.checked import checked
from linear_systems.errors import (
    DTypeError,
    HorizonError,
    InvalidInputError,
    NonFiniteError,
    ParameterError,
    ShapeError,
)
from linear_systems.system import LinearSystem, TimeVaryingLinearSystem
from linear_systems.validation import positive_horizon, positive_integer

Reached = Callable[[Tensor, Tensor], Tensor]
"""(states (N, *S), goals (N, *S)) -> (N,) booleans: whether each state is in its goal region."""
StageCost = Callable[[Tensor, Tensor], Tensor]
"""(states (N, *S), actions (N, m)) -> (N,): the cost of coming to a state by an action."""
GoalDistance = Callable[[Tensor, Tensor], Tensor]
"""(states (N, *S), goals (N, *S)) -> (N,): how far each state is from its goal."""


@checked
@dataclass(frozen=True, eq=False, repr=False, init=False)
class PlanningProblem:
    """B goal-reaching problems for one model: find a_0..a_{T-1} with s_T = g.  Source: Eq. (1)-(3).

    What planners minimise, and what a plan is judged by, is its loss

        J(a) = d(s_T, g) + Σ_{t<T} c(s_{t+1}, a_t),     s_{t+1} = F(s_t, a_t),

    with d(s, g) = ‖s − g‖² and c = 0 unless `goal_distance` and `stage_cost` say otherwise.

    The problems are independent of each other: problem i is planned the same, up to rounding in the model,
    in any batch (see `seeds`), provided that the model treats the rows of its batch independently.

    The defaults of the planners are for states and actions of unit scale.  Step sizes and noise are in the units of
    states and actions, and Adam hardly moves where gradients of ‖s_T − g‖² are below its ε = 1e-8: in states of scale
    1e-6, for example, gradient planners stay where they start.  Scale such problems first.

    Arguments
        dynamics: anything that `as_dynamics` takes; the matrices of a linear system are cast to the dtype and
            device of `initial_state`.  It is stepped here, and the functions below are asked, to see whether they fit.
        initial_state: (B, *S), float32 or float64; an array or nested numbers are taken too.  Plans have its
            dtype and device.
        goal: (B, *S), of the same dtype and device.
        horizon: T >= 1, model steps.
        action_dim: m >= 1.
        reached: says when a state is in the goal region; a problem stops as soon as its plan is.  None: never.
        reached_when: whether the "last" state of the plan must be in the goal region or "any" of s_0..s_T.
        initial_actions: (B, T, m), the actions that planning starts from (a warm start); None for zeros.
        action_bounds: (low, high), numbers or m numbers each: the short way to `action_set=Box(low, high)`.
        seeds: (B,) integers: the noise of problem i depends on seeds[i] alone.  None: drawn from the
            generator given to `plan`.
        action_set: `Box`, `Balls` or any object with `project`; every action that a planner tries is projected
            onto it, the warm start included.  None: all actions.
        stage_cost: c, on states (N, *S) and the actions (N, m) that led there, (N,): an obstacle, an effort, a dense
            goal.  Planners that use gradients follow it where it is differentiable.
        goal_distance: d, on states (N, *S) and goals (N, *S), (N,), differentiable for planners that use gradients.

    Raises
        ShapeError, DTypeError, NonFiniteError, HorizonError, ParameterError.

    Warns
        UserWarning: the model holds modules in training mode that behave otherwise in evaluation.
    """

    dynamics: Model
    initial_state: Tensor
    goal: Tensor
    horizon: int
    action_dim: int
    reached: Reached | None
    reached_when: Literal["last", "any"]
    initial_actions: Tensor | None
    action_bounds: tuple[Bound, Bound] | None
    seeds: Tensor | None
    action_set: ActionSet | None
    stage_cost: StageCost | None
    goal_distance: GoalDistance | None
    model: AnyDynamics = field(init=False)
    """The dynamics, adapted."""
    allowed: ActionSet | None = field(init=False)
    """The set of actions, from `action_set` or `action_bounds`."""

    def __init__(  # what comes in is converted and checked here, and nowhere later
        self,
        dynamics: Any,
        initial_state: Any,
        goal: Any,
        horizon: Any,
        action_dim: Any,
        reached: Any = None,
        reached_when: Any = "last",
        initial_actions: Any = None,
        action_bounds: Any = None,
        seeds: Any = None,
        action_set: Any = None,
        stage_cost: Any = None,
        goal_distance: Any = None,
    ) -> None:
        state = as_tensor("initial_state", initial_state)
        check_states("initial_state", state, state)
        goal = as_tensor("goal", goal, state)
        check_states("goal", goal, state)
        horizon = positive_horizon("horizon", horizon)
        if not isinstance(reached_when, str) or reached_when not in ("last", "any"):
            raise ParameterError(
                "reached_when", '"last" or "any"', repr(reached_when), "name when the goal counts"
            )
        self._set(
            dynamics=dynamics, initial_state=state, goal=goal, horizon=horizon,
            action_dim=positive_integer("action_dim", action_dim), reached=reached, reached_when=reached_when,
            action_bounds=action_bounds, action_set=action_set, stage_cost=stage_cost, goal_distance=goal_distance,
        )  # fmt: skip
        self._set(model=self._checked_model(), allowed=self._checked_set())
        self._check_functions()
        self._set(initial_actions=self._checked_actions(initial_actions), seeds=self._checked_seeds(seeds))

    def __repr__(self) -> str:
        reached = f"reached: {self.reached_when}" if self.reached is not None else "no goal region"
        return (
            f"PlanningProblem({self.batch} problems, states {tuple(self.goal.shape[1:])} of {self.goal.dtype} "
            f"on {self.goal.device}, horizon {self.horizon}, {self.action_dim} action components, {reached})"
        )

    @property
    def batch(self) -> int:
        """The number of problems B."""
        return int(self.initial_state.shape[0])

    def start(self) -> Float[Tensor, "B T m"]:
        """Return the actions that planning starts from, in the action set."""
        actions = self.initial_actions
        if actions is None:
            actions = self.initial_state.new_zeros(self.batch, self.horizon, self.action_dim)
        return self.project(actions)

    def project(self, actions: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch m"]:
        """Return the actions moved into the action set."""
        return actions if self.allowed is None else self.allowed.project(actions)

    def parallel_step(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the step on states (N, T, *S) and actions (N, T, m), all times side by side."""
        model = self.model
        return model.at(slice(0, self.horizon)).step if isinstance(model, TimeVaryingDynamics) else model.step

    def goal_losses(
        self, states: Float[Tensor, "N K *S"], goals: Float[Tensor, "#N #K *S"]
    ) -> Float[Tensor, "N K"]:
        """Return d(s, g) of K states a row.

        Arguments
            states: (N, K, *S), K states a row.
            goals: (N, K, *S), or with an axis of length 1.
        """
        if self.goal_distance is None:
            return squared_distance(states, goals, 2)
        wide = goals.expand_as(states)
        return self.goal_distance(states.flatten(0, 1), wide.flatten(0, 1)).view(states.shape[:2])

    def stage_costs(
        self, states: Float[Tensor, "N K *S"], actions: Float[Tensor, "N K m"]
    ) -> Float[Tensor, "N K"]:
        """Return c(s, a) of K states a row and the actions that led there; there must be a `stage_cost`."""
        assert self.stage_cost is not None
        return self.stage_cost(states.flatten(0, 1), actions.flatten(0, 1)).view(states.shape[:2])

    def final_losses(
        self, states: Float[Tensor, "N *S"], goals: Float[Tensor, "N *S"]
    ) -> Float[Tensor, " N"]:
        """Return d(s, g) for comparing plans: in float64, where squares of float32 do not overflow.

        Arguments
            states: (N, *S), where N plans end.
            goals: (N, *S).
        """
        if self.goal_distance is None:
            return (states - goals).double().square().flatten(1).sum(1)
        # A distance of one's own may hide what is not finite: 0 · ∞ is NaN.
        return self.goal_distance(states, goals).double() + 0.0 * states.double().flatten(1).sum(1)

    def losses(
        self, states: Tensor, actions: Float[Tensor, "N T m"], goals: Float[Tensor, "N *S"]
    ) -> Float[Tensor, " N"]:
        """Return J of plans from their rollouts (N, T+1, *S), float64; infinite or NaN where a rollout is not finite.

        Arguments
            states: (N, T+1, *S), rollouts.
            actions: (N, T, m).
            goals: (N, *S).
        """
        losses = self.final_losses(states[:, -1], goals)
        if self.stage_cost is not None:
            losses = losses + self.stage_costs(states[:, 1:], actions).double().sum(1)
        return losses

    def judge(self, states: Float[Tensor, "N *S"], goals: Float[Tensor, "N *S"]) -> Bool[Tensor, " N"]:
        """Return which states are in the goal region; there must be a `reached`.

        Arguments
            states: (N, *S).
            goals: (N, *S).

        Raises
            ShapeError: `reached` returns something other than N booleans.
            ParameterError: it cannot be asked.
        """
        assert self.reached is not None
        found = asked("reached", self.reached, states, goals)
        hint = "return a boolean for each state, such as (states - goals).flatten(1).norm(dim=1) < 0.1"
        return as_booleans("reached", found, len(states), hint).to(states.device)

    def part(self, rows: slice) -> PlanningProblem:
        """Return some of the problems, without checking them again.

        Arguments
            rows: which of the B problems.
        """
        chosen = copy.copy(self)
        chosen._set(initial_state=self.initial_state[rows], goal=self.goal[rows])
        if self.initial_actions is not None:
            chosen._set(initial_actions=self.initial_actions[rows])
        if self.seeds is not None:
            chosen._set(seeds=self.seeds[rows])
        return chosen

    def _set(self, **values: object) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _tried(self) -> tuple[slice, ...]:
        """Return the rows that are tried: one, and several, of which the number is not a state's first length."""
        several = 3 if self.initial_state.shape[1] == 2 else 2
        return (slice(0, 1), slice(0, several))[: self.batch]

    def _checked_model(self) -> AnyDynamics:
        state = self.initial_state
        model = adapted("dynamics", self.dynamics)
        if isinstance(self.dynamics, LinearSystem | TimeVaryingLinearSystem):
            assert isinstance(model, torch.nn.Module)
            model.to(state)
        if isinstance(model, TimeVaryingDynamics) and model.length < self.horizon:
            raise HorizonError(
                "horizon", f"at most {model.length} steps, as many as the dynamics has", str(self.horizon),
                "shorten the horizon",
            )  # fmt: skip
        # The compiler compiles for each number of rows anew, and a limited number of times.
        for rows in self._tried()[: 1 if is_compiled(self.dynamics) else None]:
            try_model(model, state[rows], self.action_dim)
        return model

    def _check_functions(self) -> None:
        """Ask each function of the user's of the first states: planning would ask the same, much later."""
        for argument, names in (
            ("reached", "states, goals"), ("stage_cost", "states, actions"), ("goal_distance", "states, goals")
        ):  # fmt: skip
            function = getattr(self, argument)
            if function is None:
                continue
            if not takes(function, 2):
                example = "(states - goals).flatten(1).norm(dim=1)" + " < 0.1" * (argument == "reached")
                raise ParameterError(
                    argument, f"a function of ({names}), or None", shown(function),
                    f"lambda {names}: {'actions.square().sum(1)' if argument == 'stage_cost' else example}",
                )  # fmt: skip
            for rows in self._tried():
                self._check_answer(argument, function, rows)

    @torch.no_grad()
    def _check_answer(self, argument: str, function: Callable[[Tensor, Tensor], Tensor], rows: slice) -> None:
        state, goal = self.initial_state[rows], self.goal[rows]
        if argument == "reached":
            self.judge(state, goal)
            return
        other = goal if argument == "goal_distance" else state.new_zeros(len(state), self.action_dim)
        found = asked(argument, function, state, other)
        if not isinstance(found, Tensor) or found.shape != state.shape[:1] or not found.is_floating_point():
            raise ShapeError(
                argument, "one floating-point number for each of N states, shape (N,)",
                f"shape {tuple(found.shape)} of {found.dtype}" if hasattr(found, "shape") else shown(found),
                "sum over the state and return a tensor (N,)",
            )  # fmt: skip
        if bool(found.isnan().any()):
            raise NonFiniteError(
                argument, "numbers for the first problems' initial states", "NaN",
                "divide by nothing that can be 0 there, such as clamp_min(1e-6), and take no root or logarithm below 0",
            )  # fmt: skip

    def _checked_actions(self, given: object) -> Tensor | None:
        if given is None:
            return None
        actions = as_tensor("initial_actions", given, self.initial_state)
        shape = (self.batch, self.horizon, self.action_dim)
        if actions.shape != shape:
            raise ShapeError(
                "initial_actions", f"shape {shape}", f"shape {tuple(actions.shape)}", "pass (B, T, m)"
            )
        check_finite("initial_actions", actions)
        return actions.detach().to(self.initial_state)

    def _checked_seeds(self, given: object) -> Tensor | None:
        if given is None:
            return None
        try:
            seeds = given if isinstance(given, Tensor) else torch.as_tensor(given)
        except (TypeError, ValueError, RuntimeError) as error:
            raise DTypeError("seeds", "integers", type(given).__name__, "pass integers (B,)") from error
        integers = not (seeds.is_floating_point() or seeds.is_complex() or seeds.dtype == torch.bool)
        if seeds.shape != (self.batch,) or not integers:
            raise ShapeError(
                "seeds", f"{self.batch} integers, one a problem",
                f"shape {tuple(seeds.shape)} of {seeds.dtype}", "pass integers (B,)",
            )  # fmt: skip
        return seeds

    def _checked_set(self) -> ActionSet | None:
        argument, chosen = "action_set", self.action_set
        if self.action_bounds is not None:
            if chosen is not None:
                raise ParameterError(
                    "action_bounds", "None beside an action set", repr(self.action_bounds), "give only one"
                )
            argument = "action_bounds"
        if self.action_bounds is None and chosen is None:
            return None
        zeros = self.initial_state.new_zeros(1, 1, self.action_dim)
        try:
            if self.action_bounds is not None:
                if not isinstance(self.action_bounds, tuple | list):
                    raise TypeError("no pair")
                low, high = self.action_bounds
                chosen = Box(low, high)
            if isinstance(chosen, Box):
                chosen = chosen.to(self.initial_state)
                if any(
                    torch.as_tensor(bound).shape not in ((), (self.action_dim,))
                    for bound in (chosen.low, chosen.high)
                ):
                    raise ShapeError(
                        argument, f"bounds of {self.action_dim} components, as many as action_dim, or numbers",
                        f"shapes {tuple(torch.as_tensor(chosen.low).shape)} and {tuple(torch.as_tensor(chosen.high).shape)}",
                        "pass one bound for each component of an action, or another action_dim",
                    )  # fmt: skip
            projected = chosen.project(zeros)  # type: ignore[union-attr]
        except InvalidInputError as error:
            raise type(error)(argument, error.expected, error.found, error.hint) from error
        except (TypeError, ValueError, AttributeError) as error:
            raise ParameterError(
                argument, "a pair (low, high)" if argument == "action_bounds" else "an object with project",
                repr(getattr(self, argument)), "pass Box(low, high), Balls(radius, size) or the like",
            ) from error  # fmt: skip
        if not isinstance(projected, Tensor) or (projected.shape, projected.dtype) != (
            zeros.shape,
            zeros.dtype,
        ):
            raise ShapeError(
                argument, f"projected actions of shape {tuple(zeros.shape)} and {zeros.dtype}",
                f"{getattr(projected, 'shape', projected)}", "return one action for each",
            )  # fmt: skip
        check_finite(argument, projected)
        return chosen
