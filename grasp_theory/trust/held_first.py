"""A planner that holds actions first, and plans freely where the model does not believe the held plan."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from grasp_theory.action_sets import ActionSet
from grasp_theory.dynamics import AnyDynamics, Dynamics, TimeVaryingDynamics, rollout
from grasp_theory.planners import MPPI, Plan, Planner
from grasp_theory.planners.loop.plan import Status
from grasp_theory.problem import PlanningProblem
from grasp_theory.trust.attempts import again, better, seeded
from grasp_theory.trust.automatic import (
    by_diagnosis,
    from_greedy_plans,
    from_the_line,
    greedy_share,
    reached_by,
    reaches_more,
)
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import positive_float, positive_integer

SHARE = 0.5
"""Of the budget, for held plans; chosen on tuning problems of PointMaze and of the long mazes, among 1/3, 1/2 and 2/3."""
ENOUGH = 0.5
"""Held plans reach at least this part of the goals that free ones reach in the model, or none is made."""
JERK = 0.15
"""What a jump by an action's whole range costs, in parts of the loss that a step has to remove; chosen on Push-T's tuning
problems, where 0.05 to 0.3 do about as well."""
ARRIVE = 0.8
"""Nothing is held where greedy plans reach at least this part of the goals in the model."""
FAR = 1e3
"""How far the action set is asked whether it treats all groups of an action alike, relative to unit actions."""


@checked
@dataclass(frozen=True, kw_only=True)
class HeldFirst:
    """Plans with held actions, and freely where the model does not believe that the held plan reaches its goal region.

    A model action that stacks k actions of the world, a = (x_1, …, x_k), is held where x_1 = … = x_k = x.  First
    `first` plans x_0, …, x_{T−1} in the model F(s, (x, …, x)), with a share of the evaluations; problems whose plan the
    model believes keep it, and for the others `planner` plans with all actions and the rest of the evaluations.  Of these two
    plans the free one is returned if the model believes it or its loss is less.  Free plans are held softly: they minimise

    J + λ Σ_t Σ_i ‖x_{t,i+1} − x_{t,i}‖²,

    with J the problem's loss, and of a problem whose best free plan is not believed the first one that was is taken.

    Why: plans that exploit a learned model are jagged, as its data hardly ever are, and held plans cannot be.  Where bodies have
    inertia, held plans are as good; what it is worth is measured in docs/trust.md.  `control` takes it in place of a planner.

    Arguments
        planner: plans freely.
        first: plans held actions; a sampling planner, as gradients get caught more easily with so few actions.
        size: entries of one of the world's actions, m / k; it divides m.
        share: of `max_evaluations`, for held plans, in [0, 1); 0: none is made.
        jerk: λ >= 0, in units of the loss per squared action of the world.
        max_evaluations: M, model steps that both together may evaluate for a problem, a gradient counting as 3, whatever the
            planners' own is; None: each has its own.

    Raises
        ParameterError: a value outside its domain.
    """

    planner: Planner
    first: Planner
    size: int
    share: float = SHARE
    jerk: float = 0.0
    max_evaluations: int | None = None

    def __post_init__(self) -> None:
        positive_integer("size", self.size)
        if positive_float("share", self.share, allow_zero=True) >= 1.0:
            raise ParameterError(
                "share", "a number in [0, 1)", f"{self.share}", "leave some to the free plans"
            )
        positive_float("jerk", self.jerk, allow_zero=True)
        if self.max_evaluations is not None:
            positive_integer("max_evaluations", self.max_evaluations, minimum=2)

    @classmethod
    @checked
    def auto(cls, problem: PlanningProblem, size: int, max_evaluations: int) -> HeldFirst:
        """Return it with settings for these problems that come from the model alone: no trial, no outcome.

        Free plans are GRASP's with the settings of `diagnose` and a greedy start, unless from the line, with the steps that
        `GRASP.auto` would take, more of them reach their goals in the model (a sign test of plans within 500 T evaluations).
        Held ones are MPPI's: 100 samples, noise as large as half the range of an action, and four fifths of it in the next
        iteration.

        Nothing is held where greedy plans arrive by themselves, in four fifths of the problems or more, for single steps suffice
        there and may have to be precise.  Elsewhere free plans are held softly, with λ such that a jump by an action's whole
        range costs 0.15 of the loss at the start, by step (medians); and held plans are made first unless they reach less than
        half as many goals in the model as free ones, for then single steps matter.

        Arguments
            problem: B problems, as `GRASP.auto` takes them; up to 64 are asked, with some 2100 T evaluations of each that M does
                not count.
            size: entries of one of the world's actions.
            max_evaluations: M, of each problem.

        Raises
            ShapeError, DTypeError, NonFiniteError, ParameterError: as `GRASP.auto`.
        """
        positive_integer("size", size), positive_integer("max_evaluations", max_evaluations, minimum=2)
        small, large, noise = by_diagnosis(problem)
        free = from_greedy_plans(small, noise)
        first = MPPI(samples=100, noise=noise, noise_decay=0.8, iterations=max_evaluations)
        share, jerk = 0.0, 0.0
        if greedy_share(problem, noise) < ARRIVE:
            believed = reached_by(problem, free)
            line, straight = from_the_line(problem, small, large)
            if reaches_more(straight, believed):
                free, believed = line, straight
            jerk = JERK * _loss_a_step(problem) / (2 * noise) ** 2
            held = reached_by(held_problem(problem, size), first)
            share = SHARE if held.sum() >= ENOUGH * believed.sum() else 0.0
        free = replace(free, iterations=max_evaluations)
        return cls(
            planner=free, first=first, size=size, share=share, jerk=jerk, max_evaluations=max_evaluations
        )

    @checked
    def plan(
        self,
        problem: PlanningProblem,
        generator: torch.Generator | None = None,
        *,
        stop_when_reached: bool = False,
    ) -> Plan:
        """Return the plans; `evaluations` and `looks` are those of both stages, without the last rollout of plans believed earlier.

        Arguments
            problem: B problems, with `reached`.
            generator: where seeds are drawn, unless `problem.seeds` gives them.
            stop_when_reached: of each stage: a plan that goes on to the least loss ends well inside the goal region.

        Raises
            ParameterError: the problem has no `reached`, `size` does not divide its actions, or the action set does not treat
                the world's actions in one of the model's alike.
        """
        if problem.reached is None:
            raise ParameterError(
                "problem", "problems with `reached`, which says whether a held plan will do", "none",
                "pass reached=lambda states, goals: ... to PlanningProblem",
            )  # fmt: skip
        problem = seeded(problem, generator)
        first, planner, most = self.first, self.planner, self.max_evaluations
        if most is not None:
            held_most = int(self.share * most)
            first, planner = (
                replace(first, max_evaluations=max(held_most, 1)),
                replace(planner, max_evaluations=most - held_most),
            )
        if self.share == 0.0:
            return self._free(planner, problem, stop_when_reached)
        held = _released(
            first.plan(held_problem(problem, self.size), stop_when_reached=stop_when_reached), problem
        )
        open_ = torch.nonzero(~held.reached).flatten()
        if not len(open_):
            return held
        free = self._free(planner, again(problem, open_), stop_when_reached)
        return better(held, free, open_, free.reached | (free.loss < held.loss[open_]))

    def _free(self, planner: Planner, problem: PlanningProblem, stop_when_reached: bool) -> Plan:
        """Return softly held plans with the loss of the problem itself, the first one believed where the best is not."""
        plan = planner.plan(
            softly_held(problem, self.size, self.jerk) if self.jerk else problem,
            stop_when_reached=stop_when_reached,
        )
        earlier = ~plan.reached & plan.first.found
        actions, states, losses = plan.actions.clone(), plan.states.clone(), plan.loss
        with torch.no_grad():
            if earlier.any():
                actions[earlier] = plan.first.actions[earlier]
                states[earlier] = rollout(problem.model, problem.initial_state[earlier], actions[earlier])
            if self.jerk or earlier.any():
                losses = problem.losses(states, actions, problem.goal).to(plan.loss)
        return replace(
            plan, actions=actions, states=states, loss=losses.where(torch.isfinite(plan.loss), torch.inf),
            status=plan.status.masked_fill(earlier, int(Status.REACHED)), history=None, curve=None,
        )  # fmt: skip


@checked
def softly_held(problem: PlanningProblem, size: int, jerk: float) -> PlanningProblem:
    """Return the same problems with the cost λ Σ_i ‖x_{i+1} − x_i‖² of an action a = (x_1, …, x_k), beside the costs that they have.

    Arguments
        problem: B problems, with actions of m entries.
        size: entries of one of the world's actions; it divides m.
        jerk: λ >= 0, in units of the loss per squared action of the world.

    Raises
        ParameterError: it does not divide m, or λ < 0.
    """
    copies, cost = _copies(problem, size), problem.stage_cost
    weight = positive_float("jerk", jerk, allow_zero=True)

    def jumps(states: Tensor, actions: Float[Tensor, "N m"]) -> Float[Tensor, " N"]:
        apart = weight * actions.reshape(-1, copies, size).diff(dim=1).square().sum((1, 2))
        return apart if cost is None else apart + cost(states, actions)

    return replace(problem, stage_cost=jumps)


def _loss_a_step(problem: PlanningProblem) -> float:
    """Return how much of its loss a plan has to remove in each step, the median over problems."""
    return float(problem.final_losses(problem.initial_state, problem.goal).median()) / problem.horizon


def _copies(problem: PlanningProblem, size: int) -> int:
    """Return how many of the world's actions one of the model's stacks."""
    copies, rest = divmod(problem.action_dim, positive_integer("size", size))
    if rest:
        raise ParameterError(
            "size", f"a divisor of the {problem.action_dim} entries of an action", f"{size}",
            "pass the entries of one of the world's actions",
        )  # fmt: skip
    return copies


@checked
def held_problem(problem: PlanningProblem, size: int) -> PlanningProblem:
    """Return the same problems with one of the world's actions for each step of the model, which is held.

    Arguments
        problem: B problems, with actions of m entries.
        size: entries of one of the world's actions; it divides m.

    Raises
        ParameterError: it does not, or the action set does not treat the m / size actions alike.
    """
    copies = _copies(problem, size)
    cost, start = problem.stage_cost, problem.initial_actions
    return replace(
        problem, dynamics=_held(problem.model, copies), action_dim=size, action_bounds=None,
        action_set=None if problem.allowed is None else _OneOfEach(problem, size),
        stage_cost=None if cost is None else lambda states, actions: cost(states, _copied(actions, copies)),
        initial_actions=None if start is None else start.reshape(*start.shape[:-1], copies, size).mean(-2),
    )  # fmt: skip


def _copied(actions: Float[Tensor, "*batch k"], copies: int) -> Float[Tensor, "*batch m"]:
    return actions.repeat(*[1] * (actions.ndim - 1), copies)


def _released(plan: Plan, problem: PlanningProblem) -> Plan:
    """Return a plan of held actions as one of all actions."""
    copies = problem.action_dim // plan.actions.shape[-1]
    first = replace(plan.first, actions=_copied(plan.first.actions, copies))
    return replace(plan, actions=_copied(plan.actions, copies), first=first, history=None, curve=None)


def _held(model: AnyDynamics, copies: int) -> AnyDynamics:
    return _TimeVarying(model, copies) if isinstance(model, TimeVaryingDynamics) else _Constant(model, copies)


@dataclass(frozen=True)
class _Constant:
    model: Dynamics
    copies: int

    def step(self, state: Tensor, action: Tensor) -> Tensor:
        return self.model.step(state, _copied(action, self.copies))


@dataclass(frozen=True)
class _TimeVarying:
    model: TimeVaryingDynamics
    copies: int

    @property
    def length(self) -> int:
        return self.model.length

    def at(self, time: int | slice) -> Dynamics:
        return _Constant(self.model.at(time), self.copies)


class _OneOfEach(ActionSet):
    """The actions x for which (x, …, x) is in a problem's set, if that treats its groups alike."""

    def __init__(self, problem: PlanningProblem, size: int) -> None:
        self._project: Callable[[Tensor], Tensor] = problem.project
        self._size, self._copies = size, problem.action_dim // size
        generator = torch.Generator().manual_seed(0)
        asked = FAR * torch.randn(64, 1, size, generator=generator, dtype=torch.float64)
        groups = self._project(_copied(asked.to(problem.initial_state), self._copies))
        groups = groups.reshape(*groups.shape[:-1], self._copies, size)
        if not torch.allclose(groups, groups[..., :1, :].expand_as(groups)):
            raise ParameterError(
                "action_set", f"one that treats the {self._copies} actions of the world in one of the model's alike",
                "one that does not", "pass a Box with numbers as bounds, or Balls(radius, size)",
            )  # fmt: skip

    def project(self, actions: Float[Tensor, "*batch m"]) -> Float[Tensor, "*batch m"]:
        return self._project(_copied(actions, self._copies))[..., : self._size]
