"""A planner that sets itself: `GRASP.auto`."""

from __future__ import annotations

from dataclasses import replace

import torch

from grasp_theory.planners.grasp import GRASP
from grasp_theory.planners.loop.greedy import greedy_rollout
from grasp_theory.planners.loop.rows import Rows
from grasp_theory.planners.loop.search import reached
from grasp_theory.problem import PlanningProblem
from grasp_theory.trust.diagnosis import diagnose
from grasp_theory.trust.settings import action_range

ASKED = 64
"""How many problems are asked whether greedy plans reach their goals."""
ENOUGH = 0.8
"""Share of them from which a start is greedy."""


def automatic(problem: PlanningProblem) -> GRASP:
    """Return the planner of `GRASP.auto`, whose documentation this is."""
    diagnosis = diagnose(problem)
    found = GRASP(**{name: setting.value for name, setting in diagnosis.settings.items()})  # type: ignore[arg-type]
    spread = action_range(problem, diagnosis.linear.actions)
    if greedy_share(problem, spread) < ENOUGH:
        return found
    return replace(found, start="greedy", greedy_spread=spread, sync_at_start=True)


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


GRASP.automatic = staticmethod(automatic)
