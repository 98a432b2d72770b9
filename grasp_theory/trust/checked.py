"""A planner that looks at the evidence for its plans, and plans again where it is not accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace

import torch
from jaxtyping import Int
from torch import Tensor

from grasp_theory.control import SEED_STRIDE
from grasp_theory.planners import FirstReached, Plan, Planner
from grasp_theory.planners.loop.plan import concatenate
from grasp_theory.problem import PlanningProblem
from grasp_theory.trust.acceptance import Acceptance, Plans
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import positive_integer

OTHER_NOISE = 7 * SEED_STRIDE + 1
"""How far apart the seeds of one problem are from an attempt to the next; no step of `control` uses them too."""


@checked
@dataclass(frozen=True)
class CheckedPlanner:
    """Plans, and plans again with other noise where the plan is not accepted; the most probable of all attempts is returned.

    With p(x) the probability of `Acceptance` and λ its threshold, attempt i + 1 is made for the problems whose attempts so far all
    have p(x) < λ.  `control` takes it in place of a planner; further attempts start from no plan in hand.

    What `accept` guarantees holds for the plan of one attempt.  The best of several that is accepted has been chosen: where each
    attempt at a false plan is accepted with probability q, one of k is with up to k q.  Calibrate on what this planner returns
    to have the guarantee for it.

    Arguments
        planner: makes each attempt; its noise, or that of its start, must make them differ.
        acceptance: judges them; None, where nothing is calibrated: every attempt is made, and the plan whose end the models
            agree is nearest to the goal is returned, the one of least `mean` distance.
        evidence: (problem of N rows, its plans) -> the features (N,) that `acceptance` was calibrated on, or `mean`.
        attempts: most plans a problem, >= 1.

    Raises
        ParameterError: attempts out of range.
    """

    planner: Planner
    acceptance: Acceptance | None
    evidence: Callable[[PlanningProblem, Plan], Plans]
    attempts: int = 3

    def __post_init__(self) -> None:
        positive_integer("attempts", self.attempts)

    def plan(
        self,
        problem: PlanningProblem,
        generator: torch.Generator | None = None,
        *,
        stop_when_reached: bool = False,
    ) -> Plan:
        """Return the plans; `evaluations` and `looks` are those of all attempts together, evidence not counted.

        Arguments
            problem: B problems.
            generator: where seeds are drawn, unless `problem.seeds` gives them.
            stop_when_reached: of each attempt: a plan that goes on to the least loss ends well inside the goal region.

        Raises
            ParameterError, ShapeError, NonFiniteError: as the planner and the evidence.
        """
        seeds = problem.seeds
        if seeds is None:
            seeds = torch.randint(2**61, (problem.batch,), generator=generator)
        best = self.planner.plan(replace(problem, seeds=seeds), stop_when_reached=stop_when_reached)
        probability = self._score(problem, best)
        enough = torch.inf if self.acceptance is None else self.acceptance.threshold
        for attempt in range(1, self.attempts):
            open_ = torch.nonzero(probability < enough).flatten()
            if not len(open_):
                break
            rows = open_.to(problem.initial_state.device)
            part = replace(
                problem, initial_state=problem.initial_state[rows], goal=problem.goal[rows], initial_actions=None,
                seeds=seeds[open_.to(seeds.device)] + OTHER_NOISE * attempt,
            )  # fmt: skip
            other = self.planner.plan(part, stop_when_reached=stop_when_reached)
            found = self._score(part, other)
            better = found > probability[open_]
            taken = torch.arange(problem.batch)
            taken[open_[better]] = problem.batch + torch.nonzero(better).flatten()
            spent = {
                name: getattr(best, name).index_add(0, rows, getattr(other, name))
                for name in ("evaluations", "looks", "believed_looks")
            }
            best = replace(_rows(concatenate([best, other]), taken), **spent)
            probability[open_] = torch.maximum(probability[open_], found)
        return best

    def _score(self, problem: PlanningProblem, plan: Plan) -> Tensor:
        facts = self.evidence(problem, plan)
        if self.acceptance is None and "mean" not in facts:
            raise ParameterError(
                "evidence", "features with `mean`, as `evidence` gives them, or an acceptance", f"{sorted(facts)}",
                "return evidence(plan, views)",
            )  # fmt: skip
        found = (
            -torch.as_tensor(facts["mean"]).double()
            if self.acceptance is None
            else self.acceptance.probability(facts)
        )
        if found.shape != (problem.batch,):
            raise ParameterError(
                "evidence",
                f"features of {problem.batch} plans",
                f"{tuple(found.shape)}",
                "judge the rows that are given",
            )
        return found


def _rows(plan: Plan, rows: Int[Tensor, " N"]) -> Plan:
    """Return some of the plans, without history and curve."""
    first = FirstReached(**{each.name: getattr(plan.first, each.name)[rows] for each in fields(FirstReached)})
    names = [each.name for each in fields(Plan) if each.name not in ("first", "history", "curve", "judged")]
    return Plan(**{name: getattr(plan, name)[rows] for name in names}, first=first, judged=plan.judged)
