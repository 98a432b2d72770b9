"""What a planner does to its rows (`Search`), and the best plan of each row so far (`Incumbents`)."""

from __future__ import annotations

import copy
import time
from abc import ABC, abstractmethod
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from grasp_theory.dynamics import rollout
from grasp_theory.planners.loop.evaluations import roll_out
from grasp_theory.planners.loop.optimizers import SGD, Adam
from grasp_theory.planners.loop.plan import Curve, FirstReached, History, Plan, Status
from grasp_theory.planners.loop.rows import Rows, Rowwise
from grasp_theory.problem import PlanningProblem

Returned = Literal["best", "last"]


class Incumbents:
    """The plan of every row that would be returned now, and the first that reached, of rows that have stopped too.

    Arguments
        rows: the rows still planning.
        stop_when_reached: whether a plan that reaches the goal region beats every other, or only its loss counts.
        returned: whether the plan of least loss is kept, or the one shown last.
    """

    def __init__(self, rows: Rows, *, stop_when_reached: bool, returned: Returned = "best") -> None:
        self.rows = rows
        self.goal = rows.goal
        """Of all rows, those that have stopped too."""
        self.stop_when_reached = stop_when_reached
        self.returned = returned
        self.began = time.monotonic()
        self.actions = rows.actions.clone()
        self.first_actions = torch.zeros_like(self.actions)
        self.states = rows.initial_state.unsqueeze(1).repeat(
            1, rows.problem.horizon + 1, *[1] * (rows.initial_state.ndim - 1)
        )
        self.loss = torch.full_like(self.actions[:, 0, 0], torch.inf, dtype=torch.float64)
        self.believed = torch.zeros_like(self.loss, dtype=torch.bool)
        self.approximate = torch.zeros_like(self.believed)
        self.looks = torch.zeros_like(rows.index)
        self.believed_looks = torch.zeros_like(rows.index)
        self.first_iteration = torch.full_like(rows.index, -1)
        self.first_seconds = torch.full_like(self.loss, torch.inf)
        self.diverged = torch.zeros_like(self.believed)
        self.seen = False
        """Whether a plan was shown since this was last set to False."""
        self.latest: tuple[Tensor, Tensor, Tensor] = (self.actions, self.states, self.loss)
        """The plans shown last, their rollouts and losses, one for each row still planning."""

    def consider(
        self, actions: Float[Tensor, "rows T m"], states: Tensor, *, approximate: bool = False
    ) -> None:
        """Keep the plans that beat the incumbents; `states` (rows, T+1, *S) is the model's rollout of them.

        Approximate states are the rollout to a tolerance only: see `judge`.

        Where planning stops at the goal, a plan that reaches it beats every other, and the first such plan is kept.
        A plan whose rollout is not finite beats none, and changes nothing else.
        """
        problem, rows = self.rows.problem, self.rows.index
        with torch.no_grad():
            loss = problem.losses(states, actions, self.rows.goal)
            finite = torch.isfinite(loss)
            believed = reached(problem, states, self.rows.goal) & finite
        before = self.believed_looks[rows] > 0
        first = believed & ~before
        better = finite if self.returned == "last" else finite & (loss < self.loss[rows])
        if self.stop_when_reached:
            better = (better & ~before) | first
        target = rows[better]
        self.actions[target] = actions[better]
        self.states[target] = states[better]
        self.loss[target] = loss[better]
        self.believed[target] = believed[better]
        self.approximate[target] = approximate
        self.first_actions[rows[first]] = actions[first]
        self.looks[rows] += 1
        self.believed_looks[rows] += believed
        self.latest, self.seen = (actions, states, loss.to(actions.dtype)), True

    def judge(self) -> Bool[Tensor, " all_rows"]:
        """Judge by the serial rollout what was shown with approximate states, and return of which rows."""
        rows, problem = torch.nonzero(self.approximate).flatten(), self.rows.problem
        if len(rows):
            actions, goal = self.actions[rows], self.goal[rows]
            with torch.no_grad():
                states = rollout(problem.model, self.states[rows, 0], actions)
                loss = problem.losses(states, actions, goal)
                finite = torch.isfinite(loss)
                self.believed[rows] = reached(problem, states, goal) & finite
            self.states[rows], self.loss[rows] = states, loss.where(finite, torch.inf)
        return self.approximate

    def date(self, iteration: int) -> None:
        """Note when the rows that have reached since the last call did so."""
        new = (self.believed_looks > 0) & (self.first_iteration < 0)
        self.first_iteration[new] = iteration
        self.first_seconds[new] = time.monotonic() - self.began

    def finished(self, broken: Bool[Tensor, " rows"], restarts: int) -> Bool[Tensor, " rows"]:
        """Return which of the rows still planning are done: broken, or to stop as a restart of theirs has reached."""
        self.diverged[self.rows.index] |= broken
        if not self.stop_when_reached:
            return broken
        reached = (self.believed_looks > 0).view(-1, restarts).any(1).repeat_interleave(restarts)
        return broken | reached[self.rows.index]

    def best(self, restarts: int) -> Tensor:
        """Return the row of each problem's best restart (one that reached, where that stops it, or the least loss)."""
        order = torch.where(self.believed, -torch.inf, self.loss) if self.stop_when_reached else self.loss
        return _first_row(self.loss, restarts) + order.view(-1, restarts).argmin(1)

    def copy(self) -> Incumbents:
        """Return incumbents that change by themselves."""
        twin = copy.copy(self)
        for name, value in vars(self).items():
            if isinstance(value, Tensor):
                setattr(twin, name, value.clone())
        return twin

    def plan(
        self,
        restarts: int,
        limit: Status,
        stopped_at: Tensor,
        evaluations: Tensor,
        history: History | None,
        curve: Curve | None,
    ) -> Plan:
        """Return the best restarts as a plan; `stopped_at` and `evaluations` are those of the rows."""
        best = self.best(restarts)
        earliest = _first_row(self.loss, restarts) + self.first_seconds.view(-1, restarts).argmin(1)
        status = torch.full_like(best, int(limit))
        status[self.diverged.view(-1, restarts).all(1)] = int(Status.DIVERGED)
        status[self.believed[best]] = int(Status.REACHED)

        def total(values: Tensor) -> Tensor:
            return values.view(-1, restarts).sum(1)

        return Plan(
            self.actions[best], self.states[best], self.loss[best].to(self.actions.dtype), status,
            iterations=stopped_at.view(-1, restarts).amax(1), evaluations=total(evaluations),
            looks=total(self.looks), believed_looks=total(self.believed_looks),
            first=FirstReached(
                self.first_actions[earliest], self.first_iteration[earliest], self.first_seconds[earliest]
            ),
            history=history, curve=curve, judged=self.rows.problem.reached is not None,
        )  # fmt: skip


class Search(Rowwise, ABC):
    """A planner at work on its rows.

    `approximate`: whether it shows plans with approximate states, which are judged once more before they are returned.

    Arguments
        rows: the rows.
        actions: (rows, T, m), the current plans; the loop rolls them out at the end, and every `check_every`
            iterations.
    """

    approximate = False

    def __init__(self, rows: Rows, actions: Float[Tensor, "rows T m"]) -> None:
        self.rows = rows
        self.actions = actions
        self.poison = torch.zeros_like(actions[:, 0, 0])
        """0, or NaN once the row had a gradient or losses that it cannot go on from: a projection must not hide it."""

    @abstractmethod
    def step(self, iteration: int, incumbents: Incumbents) -> None:
        """Advance all rows by one iteration."""

    @abstractmethod
    def cost(self, iteration: int) -> int:
        """Return how many evaluations `step` will take for each row, at most."""

    def virtual_states(self) -> Tensor | None:
        """Return the virtual states (rows, T+1, *S), of planners that have them."""
        return None

    def broken(self) -> Bool[Tensor, " rows"]:
        """Return which rows cannot go on: they hold NaN or infinity, or have met it where it matters."""
        return ~torch.isfinite(self.poison + self.actions.flatten(1).sum(1))

    def show(self, actions: Float[Tensor, "rows T m"], incumbents: Incumbents) -> None:
        """Roll plans out and show them.  What is shown changes nothing in what is planned."""
        incumbents.consider(actions, roll_out(self.rows, actions))

    def look(self, incumbents: Incumbents) -> None:
        """Show the current plans, unless they were shown last."""
        if not incumbents.seen or incumbents.latest[0] is not self.actions:
            self.show(self.actions, incumbents)

    def descend(
        self,
        optimizer: SGD | Adam,
        actions: Float[Tensor, "rows T m"],
        gradient: Float[Tensor, "rows T m"],
        scale: float = 1.0,
    ) -> Float[Tensor, "rows T m"]:
        """Step the actions in place along −scale · gradient, and return them projected onto the action set."""
        self.poison.add_(gradient.flatten(1).sum(1), alpha=0.0)
        optimizer.step(actions, gradient, scale)
        return self.rows.problem.project(actions)


def _first_row(values: Tensor, restarts: int) -> Tensor:
    return torch.arange(0, len(values), restarts, device=values.device)


def reached(problem: PlanningProblem, states: Tensor, goal: Tensor) -> Bool[Tensor, " rows"]:
    """Return which rollouts (rows, T+1, *S) reach the goal region; none where the problem has none."""
    if problem.reached is None:
        return torch.zeros(len(states), dtype=torch.bool, device=states.device)
    if problem.reached_when == "any":
        times = states.shape[1]
        every = problem.judge(states.flatten(0, 1), goal.repeat_interleave(times, 0))
        return every.view(len(states), times).any(1)
    return problem.judge(states[:, -1], goal)
