"""What is watched while planning goes on, and changes nothing in it: history, callbacks and the anytime curve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grasp_theory.objectives import dynamics_loss
from grasp_theory.planners.loop.evaluations import roll_out
from grasp_theory.planners.loop.plan import Curve, History, _Shapes
from grasp_theory.planners.loop.search import Incumbents, Search

CURVE_POINTS = 30


@dataclass(frozen=True, eq=False, repr=False)
class Observation(_Shapes):
    """What a callback sees whenever plans were rolled out: the N rows still planning.

    Arguments
        iteration: iterations done.
        problem: (N,), which problem each row belongs to.
        restart: (N,), which restart of it.
        actions: (N, T, m), the current plans.
        states: (N, T+1, *S), their rollouts.
        loss: (N,), their losses.
        virtual_states: (N, T+1, *S), or None for planners without.
    """

    iteration: int
    problem: Int[Tensor, " N"]
    restart: Int[Tensor, " N"]
    actions: Float[Tensor, "N T m"]
    states: Tensor
    loss: Float[Tensor, " N"]
    virtual_states: Tensor | None


Callback = Callable[[Observation], object]


def report(callback: Callback, search: Search, incumbents: Incumbents, iteration: int, restarts: int) -> None:
    """Call back with copies of what was shown last: the planner goes on in place."""
    actions, states, loss = incumbents.latest
    virtual, index = search.virtual_states(), search.rows.index
    callback(
        Observation(
            iteration, index // restarts, index % restarts, actions.clone(), states.clone(), loss.clone(),
            None if virtual is None else virtual.clone(),
        )
    )  # fmt: skip


class Recorder:
    """Collects a `History`, with NaN where a row has already stopped."""

    def __init__(self, problems: int, restarts: int, *, with_states: bool) -> None:
        self._axes = (problems, restarts)
        self._with_states = with_states
        self._iterations: list[int] = []
        self._numbers: list[Tensor] = []
        self._states: list[Tensor] = []

    def record(self, search: Search, incumbents: Incumbents, iteration: int) -> None:
        """Record what was shown last."""
        _, states, loss = incumbents.latest
        virtual, rows = search.virtual_states(), search.rows
        defect = torch.zeros_like(loss)
        if virtual is not None:
            with torch.no_grad():
                defect = dynamics_loss(rows.problem.model, virtual, search.actions, stop_state_gradient=True)
        distance = (states - rows.goal.unsqueeze(1)).flatten(2).norm(dim=2).amin(1)
        self._iterations.append(iteration)
        numbers = torch.stack([loss, distance, defect], 1)
        self._numbers.append(self._scatter(rows.index, numbers))
        if self._with_states:
            self._states.append(self._scatter(rows.index, states if virtual is None else virtual))

    def history(self) -> History:
        """Return what was recorded."""
        loss, distance, defect = torch.stack(self._numbers).unbind(-1)
        iteration = torch.tensor(self._iterations, device=loss.device)
        states = torch.stack(self._states) if self._with_states else None
        return History(iteration, loss, distance, defect, states)

    def _scatter(self, index: Int[Tensor, " N"], values: Tensor) -> Tensor:
        problems, restarts = self._axes
        full = values.new_full((problems * restarts, *values.shape[1:]), torch.nan)
        full[index] = values.detach()
        return full.view(problems, restarts, *values.shape[1:])


class CurveRecorder:
    """Collects a `Curve`: at each budget, the plan that would be returned if it were all there is.

    Arguments
        max_evaluations: the whole budget of a problem.
        restarts: R, which share it.
        horizon: T, what a look costs.
    """

    def __init__(self, max_evaluations: int, restarts: int, horizon: int) -> None:
        parts = torch.arange(1, CURVE_POINTS + 1)
        self._budgets = torch.ceil(parts * (max_evaluations / CURVE_POINTS)).long()
        self._restarts, self._horizon = restarts, horizon
        self._loss: list[Tensor] = []
        self._believed: list[Tensor] = []
        self._actions: list[Tensor] = []

    def advance(self, until: int | None, search: Search, incumbents: Incumbents, *, started: bool) -> None:
        """Record the present answer for all budgets that do not pay for `until` evaluations a row (None: for all).

        The answer may be the plan that the search holds and has not shown: it is looked at aside, and neither counted
        nor considered.
        """
        budgets = self._budgets[len(self._loss) :] // self._restarts
        due = len(budgets) if until is None else int((budgets < until).sum())
        if not due:
            return
        if started and len(search.rows) and until is not None:
            incumbents = incumbents.copy()
            incumbents.consider(search.actions, roll_out(search.rows, search.actions, counted=False))
        best = incumbents.best(self._restarts)
        for budget in budgets[:due].tolist():
            paid = budget >= self._horizon
            loss, believed = incumbents.loss[best].to(incumbents.actions.dtype), incumbents.believed[best]
            self._loss.append(loss if paid else torch.full_like(loss, torch.inf))
            self._believed.append(believed if paid else torch.zeros_like(believed))
            self._actions.append(incumbents.actions[best])

    def curve(self) -> Curve:
        """Return what was recorded."""
        loss, believed = torch.stack(self._loss), torch.stack(self._believed)
        return Curve(self._budgets.to(loss.device), loss, believed, torch.stack(self._actions))
