"""The history of a run, and plans of several chunks put together."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from grasp_theory.planners.problem import FirstReached, History, Plan, PlanningProblem


class Recorder:
    """Collects a `History`, with NaN where a row has already stopped."""

    def __init__(self, problem: PlanningProblem, restarts: int, with_states: bool) -> None:
        self._like = problem.initial_state
        self._restarts = restarts
        self._with_states = with_states
        self._iterations: list[int] = []
        self._numbers: list[Tensor] = []
        self._states: list[Tensor] = []

    def record(
        self,
        iteration: int,
        index: Int[Tensor, " N"],
        loss: Float[Tensor, " N"],
        distance: Float[Tensor, " N"],
        defect: Float[Tensor, " N"],
        states: Tensor,
    ) -> None:
        """Record one observation of the rows `index`."""
        self._iterations.append(iteration)
        self._numbers.append(self._scatter(index, torch.stack([loss, distance, defect], 1)))
        if self._with_states:
            self._states.append(self._scatter(index, states))

    def history(self) -> History:
        """Return what was recorded."""
        loss, distance, defect = torch.stack(self._numbers).unbind(-1)
        iteration = torch.tensor(self._iterations, device=self._like.device)
        states = torch.stack(self._states) if self._with_states else None
        return History(iteration, loss, distance, defect, states)

    def _scatter(self, index: Int[Tensor, " N"], values: Tensor) -> Tensor:
        full = values.new_full((len(self._like) * self._restarts, *values.shape[1:]), torch.nan)
        full[index] = values.detach()
        return full.view(len(self._like), self._restarts, *values.shape[1:])


def concatenate(plans: list[Plan]) -> Plan:
    """Return the plans of all chunks as one."""
    if len(plans) == 1:
        return plans[0]
    histories = [plan.history for plan in plans if plan.history is not None]
    return Plan(
        actions=torch.cat([plan.actions for plan in plans]),
        states=torch.cat([plan.states for plan in plans]),
        loss=torch.cat([plan.loss for plan in plans]),
        status=torch.cat([plan.status for plan in plans]),
        iterations=torch.cat([plan.iterations for plan in plans]),
        first=FirstReached(
            torch.cat([plan.first.actions for plan in plans]),
            torch.cat([plan.first.iterations for plan in plans]),
            torch.cat([plan.first.seconds for plan in plans]),
        ),
        history=_concatenate_histories(histories) if histories else None,
    )


def _concatenate_histories(histories: list[History]) -> History:
    """Align the chunks on the union of their iterations, with NaN where one has nothing."""
    iteration = torch.unique(torch.cat([history.iteration for history in histories]))

    def align(values: list[Tensor]) -> Tensor:
        aligned = []
        for history, value in zip(histories, values, strict=True):
            full = value.new_full((len(iteration), *value.shape[1:]), torch.nan)
            full[torch.searchsorted(iteration, history.iteration)] = value
            aligned.append(full)
        return torch.cat(aligned, dim=1)

    states = [history.states for history in histories if history.states is not None]
    return History(
        iteration,
        align([history.loss for history in histories]),
        align([history.distance for history in histories]),
        align([history.defect for history in histories]),
        align(states) if states else None,
    )
