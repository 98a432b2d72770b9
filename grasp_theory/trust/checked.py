"""A planner that looks at the evidence for its plans, and plans again where it is not accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool
from torch import Tensor

from grasp_theory.planners import Plan, Planner
from grasp_theory.problem import PlanningProblem
from grasp_theory.trust.acceptance import Acceptance, Plans
from grasp_theory.trust.attempts import again, better, seeded
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import positive_integer


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
        attempts: most plans a problem, k >= 1.
        max_evaluations: M, model steps that all attempts at a problem may evaluate together, a gradient counting as 3, whatever
            `planner.max_evaluations` is; None: each attempt has the planner's own.  An attempt gets M/k; but where the model
            itself does not believe the first, one further attempt gets all that is left, for a hard problem needs length.

    Raises
        ParameterError: attempts or evaluations out of range.
    """

    planner: Planner
    acceptance: Acceptance | None
    evidence: Callable[[PlanningProblem, Plan], Plans]
    attempts: int = 3
    max_evaluations: int | None = None

    def __post_init__(self) -> None:
        positive_integer("attempts", self.attempts)
        if self.max_evaluations is not None:
            positive_integer("max_evaluations", self.max_evaluations, minimum=self.attempts)

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
        problem = seeded(problem, generator)
        planner, most = self.planner, self.max_evaluations
        share = None if most is None else most // self.attempts
        if share is not None:
            planner = replace(planner, max_evaluations=share)
        best = planner.plan(problem, stop_when_reached=stop_when_reached)
        probability = self._score(problem, best)
        enough = torch.inf if self.acceptance is None else self.acceptance.threshold
        several = torch.ones(problem.batch, dtype=torch.bool)
        if most is not None and share is not None and share < most and problem.reached is not None:
            several = best.reached.cpu()
            rest = replace(planner, max_evaluations=most - share)
            open_ = ~several & (probability < enough)
            best = self._again(problem, best, probability, open_, rest, 1, stop_when_reached)
        for attempt in range(1, self.attempts):
            open_ = several & (probability < enough)
            best = self._again(problem, best, probability, open_, planner, attempt, stop_when_reached)
        return best

    def _again(
        self, problem: PlanningProblem, best: Plan, probability: Tensor, open_: Bool[Tensor, " B"], planner: Planner,
        attempt: int, stop_when_reached: bool,
    ) -> Plan:  # fmt: skip
        """Return the better of two plans for the open problems, with the evaluations of both; `probability` becomes theirs."""
        open_ = torch.nonzero(open_).flatten()
        if not len(open_):
            return best
        rows = open_.to(problem.initial_state.device)
        part = replace(again(problem, rows, attempt), initial_actions=None)
        other = planner.plan(part, stop_when_reached=stop_when_reached)
        found = self._score(part, other)
        taken = found > probability[open_]
        probability[open_] = torch.maximum(probability[open_], found)
        return better(best, other, rows, taken)

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
