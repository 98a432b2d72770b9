"""A planner that sets itself: `GRASP.auto`."""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Bool
from scipy.stats import binomtest
from torch import Tensor

from grasp_theory.planners.grasp import GRASP
from grasp_theory.planners.loop.greedy import greedy_rollout
from grasp_theory.planners.loop.planner import Planner
from grasp_theory.planners.loop.rows import Rows
from grasp_theory.planners.loop.search import reached
from grasp_theory.problem import PlanningProblem
from grasp_theory.statistics.intervals import LEVEL
from grasp_theory.trust.diagnosis import diagnose
from grasp_theory.trust.settings import action_range

ASKED = 64
"""How many problems the model is asked about: whether greedy plans reach their goals, and whether larger steps do."""
ENOUGH = 2 / 3
"""Share of them from which a start is greedy."""
LARGER = 10.0
"""How much larger the larger steps are."""
TRIED = 500
"""Evaluations a step of the horizon with which both step sizes are tried."""


def automatic(problem: PlanningProblem) -> GRASP:
    """Return the planner of `GRASP.auto`, which says how it is chosen.

    Arguments
        problem: B problems that the planner is for.
    """
    small, large, spread = by_diagnosis(problem)
    if greedy_share(problem, spread) >= ENOUGH:
        return from_greedy_plans(small, spread)
    return from_the_line(problem, small, large)[0]


def by_diagnosis(problem: PlanningProblem) -> tuple[GRASP, GRASP, float]:
    """Return GRASP as `diagnose` sets it, with steps ten times as large, and half the range of an action.

    Of the second the sync's steps alone are larger where plain steps have a rate.

    Arguments
        problem: B problems that the planner is for.
    """
    diagnosis = diagnose(problem)
    small = GRASP(**{name: setting.value for name, setting in diagnosis.settings.items()})  # type: ignore[arg-type]
    large = replace(small, sync_lr=LARGER * small.sync_lr)
    if small.optimizer == "adam":  # plain steps have those of the smallest rate
        state_lr = LARGER * small.state_lr
        sigma = diagnosis.tube.adam_sigma(state_lr)
        large = replace(large, state_lr=state_lr, action_lr=LARGER * small.action_lr, state_noise=sigma)
    return small, large, action_range(problem, diagnosis.linear.actions)


def from_the_line(problem: PlanningProblem, small: GRASP, large: GRASP) -> tuple[GRASP, Bool[Tensor, " N"]]:
    """Return which of two takes the steps that reach more goals from the line, and which it reaches, as `reached_by` says.

    Arguments
        problem: B problems.
        small: taken unless the other reaches more beyond chance.
        large: the other.
    """
    by_small, by_large = reached_by(problem, small), reached_by(problem, large)
    return (large, by_large) if reaches_more(by_large, by_small) else (small, by_small)


def from_greedy_plans(planner: GRASP, spread: float) -> GRASP:
    """Return a planner that starts from the greedy plan as it is: noise on first actions, which a straight line needs, spoils it.

    Arguments
        planner: what it is in all else.
        spread: standard deviation of the actions sampled first, in units of an action's entry.
    """
    return replace(
        planner, start="greedy", greedy_spread=spread, sync_at_start=True, initial_action_noise=0.0
    )


def greedy_share(problem: PlanningProblem, spread: float) -> float:
    """Return in which share of up to 64 problems a greedy plan reaches the goal region by the model's rollout.

    Arguments
        problem: B problems; without `reached` none is.
        spread: standard deviation of the actions sampled first, in units of an action's entry.
    """
    part = problem.part(slice(0, ASKED))
    rows = Rows(part, 1, torch.arange(part.batch))
    _, states = greedy_rollout(rows, spread)
    return float(reached(part, states, rows.goal).float().mean())


def reached_by(problem: PlanningProblem, planner: Planner) -> Bool[Tensor, " N"]:
    """Return which of up to 64 problems a planner reaches the goal region of, in the model, with 500 T evaluations.

    Arguments
        problem: B problems of T steps; without `reached` none is.
        planner: whose iterations and limit of evaluations are not those of this trial.
    """
    part = problem.part(slice(0, ASKED))
    if problem.reached is None:
        return torch.zeros(part.batch, dtype=torch.bool)
    budget = TRIED * problem.horizon
    return replace(planner, iterations=budget, max_evaluations=budget).plan(part).reached.cpu()


def reaches_more(one: Bool[Tensor, " N"], other: Bool[Tensor, " N"]) -> bool:
    """Return whether one reaches more than the other beyond chance: a one-sided sign test of the problems that one alone reaches."""
    ahead, behind = int((one & ~other).sum()), int((other & ~one).sum())
    if ahead <= behind:
        return False
    return bool(binomtest(ahead, ahead + behind, alternative="greater").pvalue <= LEVEL)


GRASP.automatic = staticmethod(automatic)
