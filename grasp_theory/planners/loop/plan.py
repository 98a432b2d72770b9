"""What every planner returns: `Plan` with its `Status`, `FirstReached`, `History` and `Curve`.

Shapes: B problems, R restarts of each, T the horizon in model steps, m the action dimension, `*S` the axes of
one state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import IntEnum

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


class Status(IntEnum):
    """Why the planning of one problem stopped."""

    REACHED = 0
    """`reached` says yes on the model's own rollout of the plan that is returned."""
    STEP_LIMIT = 1
    """Every iteration was used."""
    TIME_LIMIT = 2
    """The time limit came first."""
    DIVERGED = 3
    """The planner could not go on in any restart: a NaN iterate, a gradient that was not finite, too few finite samples.
    The best finite plan that was seen is returned."""
    EVALUATION_LIMIT = 4
    """Another iteration would have taken more than `max_evaluations`."""


class _Shapes:
    """Prints its tensors by their shapes."""

    def __repr__(self) -> str:
        parts = []
        for each in fields(self):  # type: ignore[arg-type]  # dataclasses only
            value = getattr(self, each.name)
            parts.append(f"{each.name}={tuple(value.shape) if isinstance(value, Tensor) else value!r}")
        return f"{type(self).__name__}({', '.join(parts)})"


@dataclass(frozen=True, eq=False, repr=False)
class History(_Shapes):
    """What happened at the K observed iterations (those at which a plan was rolled out).

    Arguments
        iteration: (K,), iterations done; 0 is the start.
        loss: (K, B, R), the loss of the current plan's own rollout; NaN once a row has stopped.
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


@dataclass(frozen=True, eq=False, repr=False)
class FirstReached(_Shapes):
    """The first plan of each problem that reaches its goal region in the model.

    Arguments
        actions: (B, T, m), zero where none does.
        iterations: (B,), iterations done when it was seen; -1 where none was.
        seconds: (B,), float64, wall time from the start of planning to that; infinite where none was seen.
    """

    actions: Float[Tensor, "B T m"]
    iterations: Int[Tensor, " B"]
    seconds: Float[Tensor, " B"]

    @property
    def found(self) -> Bool[Tensor, " B"]:
        """Whether the model believed any plan that it was shown."""
        return self.iterations >= 0


@dataclass(frozen=True, eq=False, repr=False)
class Curve(_Shapes):
    """The anytime curve: what `plan` would return if `max_evaluations` were less.

    Arguments
        evaluations: (K,), the budgets, K equal parts of `max_evaluations`, the same for every planner.
        loss: (K, B), the loss of the plan; infinite where the budget does not pay for the first rollout.
        believed: (K, B), whether the model believes that it reaches the goal region.
        actions: (K, B, T, m), the plan; the initial actions where the budget does not pay for the first rollout.
    """

    evaluations: Int[Tensor, " K"]
    loss: Float[Tensor, "K B"]
    believed: Bool[Tensor, "K B"]
    actions: Float[Tensor, "K B T m"]


@dataclass(frozen=True, eq=False, repr=False)
class Plan:
    """One plan for each problem, judged by the model's own rollout of it, and what it took.

    Arguments
        actions: (B, T, m).
        states: (B, T+1, *S), the model's rollout of `actions` from s_0.
        loss: (B,), the loss of the problem (‖s_T − g‖², Eq. (3), unless it has costs of its own); infinite if no finite
            rollout was seen, or where it overflows the dtype (plans are compared in float64).
        status: (B,), values of `Status`.
        iterations: (B,), iterations done when the problem stopped; 0 if the initial actions reach the goal.
        evaluations: (B,), model steps evaluated for the problem, a gradient counting as 3 (one forward pass and a
            backward pass of about two), all restarts and all looks together.
        looks: (B,), how many plans were rolled out by the model and judged.
        believed_looks: (B,), how many of them it believed to reach the goal region.  The more looks, the more likely one
            of them is believed: what counts is `reached`, of the plan that is returned.
        first: the first plans that were believed; with `stop_when_reached` these are the plans above.
        history: a `History` if it was asked for.
        curve: a `Curve` if it was asked for.
        judged: whether the problem has a `reached`; without one no plan is believed.
    """

    actions: Float[Tensor, "B T m"]
    states: Tensor
    loss: Float[Tensor, " B"]
    status: Int[Tensor, " B"]
    iterations: Int[Tensor, " B"]
    evaluations: Int[Tensor, " B"]
    looks: Int[Tensor, " B"]
    believed_looks: Int[Tensor, " B"]
    first: FirstReached
    history: History | None = None
    curve: Curve | None = None
    judged: bool = True

    @property
    def reached(self) -> Bool[Tensor, " B"]:
        """Whether the model believes that the plan of each problem reaches its goal region."""
        return self.status == Status.REACHED

    def __repr__(self) -> str:
        batch, horizon, dimension = self.actions.shape
        tally = Counter(self.status.tolist())
        statuses = ", ".join(f"{tally[s]} {s.name}" for s in Status if tally[s])
        if tally[Status.DIVERGED]:
            statuses += ": NaN or infinity in the model's states or gradients"
        low, middle, high = _spread(self.loss)
        believed = f"{_median(self.believed_looks)} of them believed"
        if not self.judged:
            believed = "believed or not is not known: the problem has no `reached`"
        iterations = f"{_median(self.iterations)} iterations"
        if bool(((self.status == Status.EVALUATION_LIMIT) & (self.iterations == 0)).all()):
            iterations = "0 iterations: see planner.least_evaluations(problem)"
        return "\n".join(
            [
                f"Plan of {batch} problems: {horizon} steps of {dimension} components, {self.actions.dtype}",
                f"  status       {statuses}",
                f"  loss         {middle:.3g} (median), {low:.3g} to {high:.3g}",
                f"  looks        {_median(self.looks)} (median), {believed}",
                f"  evaluations  {_median(self.evaluations)} (median), in {iterations}",
            ]
        )


def _spread(values: Tensor) -> tuple[float, float, float]:
    return float(values.min()), float(values.median()), float(values.max())


def _median(values: Tensor) -> str:
    return f"{int(values.median()):,}"


def concatenate(plans: Sequence[Plan]) -> Plan:
    """Return the plans of all chunks as one."""
    if len(plans) == 1:
        return plans[0]

    def together(name: str) -> Tensor:
        return torch.cat([getattr(plan, name) for plan in plans])

    firsts = [plan.first for plan in plans]
    histories = [plan.history for plan in plans if plan.history is not None]
    curves = [plan.curve for plan in plans if plan.curve is not None]
    return Plan(
        together("actions"), together("states"), together("loss"), together("status"),
        iterations=together("iterations"), evaluations=together("evaluations"),
        looks=together("looks"), believed_looks=together("believed_looks"),
        first=FirstReached(
            torch.cat([first.actions for first in firsts]),
            torch.cat([first.iterations for first in firsts]),
            torch.cat([first.seconds for first in firsts]),
        ),
        history=_concatenate_histories(histories) if histories else None,
        curve=_concatenate_curves(curves) if curves else None,
        judged=plans[0].judged,
    )  # fmt: skip


def _concatenate_curves(curves: Sequence[Curve]) -> Curve:
    return Curve(
        curves[0].evaluations,
        torch.cat([curve.loss for curve in curves], dim=1),
        torch.cat([curve.believed for curve in curves], dim=1),
        torch.cat([curve.actions for curve in curves], dim=1),
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
