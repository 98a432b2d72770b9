"""Several attempts at the same problems: which are planned again, with which noise, and which plan of each is kept."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from grasp_theory.control import SEED_STRIDE
from grasp_theory.planners import FirstReached, Plan
from grasp_theory.planners.loop.plan import concatenate
from grasp_theory.problem import PlanningProblem

OTHER_NOISE = 7 * SEED_STRIDE + 1
"""How far apart the seeds of one problem are from an attempt to the next; no step of `control` uses them too."""


def seeded(problem: PlanningProblem, generator: torch.Generator | None) -> PlanningProblem:
    """Return the problems with seeds, drawn where they have none."""
    if problem.seeds is not None:
        return problem
    return replace(problem, seeds=torch.randint(2**61, (problem.batch,), generator=generator))


def again(problem: PlanningProblem, rows: Int[Tensor, " N"], attempt: int = 1) -> PlanningProblem:
    """Return some of the problems, for one more attempt with other noise.

    Arguments
        problem: B problems with seeds.
        rows: which.
        attempt: number of the attempt, from 1.
    """
    seeds, start = problem.seeds, problem.initial_actions
    assert seeds is not None
    return replace(
        problem, initial_state=problem.initial_state[rows], goal=problem.goal[rows],
        initial_actions=None if start is None else start[rows],
        seeds=seeds[rows.to(seeds.device)] + OTHER_NOISE * attempt,
    )  # fmt: skip


def better(best: Plan, other: Plan, rows: Int[Tensor, " N"], taken: Bool[Tensor, " N"]) -> Plan:
    """Return the plans of B problems with N others in their place where they are better, and with the evaluations of both.

    Arguments
        best: of B problems.
        other: of N of them.
        rows: which.
        taken: where the other is better.
    """
    chosen = torch.arange(len(best.actions))
    chosen[rows[taken].cpu()] = len(chosen) + torch.nonzero(taken).flatten().cpu()
    spent = {
        name: getattr(best, name).index_add(0, rows, getattr(other, name))
        for name in ("evaluations", "looks", "believed_looks")
    }
    return replace(_rows(concatenate([best, other]), chosen), **spent)


def _rows(plan: Plan, rows: Int[Tensor, " N"]) -> Plan:
    """Return some of the plans, without history and curve."""
    first = FirstReached(**{each.name: getattr(plan.first, each.name)[rows] for each in fields(FirstReached)})
    names = [each.name for each in fields(Plan) if each.name not in ("first", "history", "curve", "judged")]
    return Plan(**{name: getattr(plan, name)[rows] for name in names}, first=first, judged=plan.judged)
