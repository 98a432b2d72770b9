"""The loop that every planner shares.

A planner is a frozen dataclass of hyper-parameters that makes a `Search`.  The search advances all its rows by one
iteration at a time and shows the plans that it rolls out to an `Incumbents`, which keeps what will be returned.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from grasp_theory.planners.loop.evaluations import roll_out
from grasp_theory.planners.loop.plan import Plan, Status, concatenate
from grasp_theory.planners.loop.rows import Rows
from grasp_theory.planners.loop.search import Incumbents, Returned, Search
from grasp_theory.planners.loop.settings import check_choices
from grasp_theory.planners.loop.watch import Callback, CurveRecorder, Recorder, report
from grasp_theory.problem import PlanningProblem
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import positive_float, positive_integer


@dataclass(frozen=True, kw_only=True)
class Planner(ABC):
    """Hyper-parameters that every planner has.

    Arguments
        iterations: step limit.
        restarts: R, independent attempts at each problem in the same batch; the first that reaches its goal
            region stops the others, and the best is returned.
        check_every: roll the current plans out every so many iterations, to see whether they reach the goal
            and to keep the best; None: only where the method rolls out anyway, and at the end.
        max_evaluations: model steps that may be evaluated for a problem, a gradient counting as 3, all restarts and the
            planner's own looks included; planning stops before the iteration that, with a look at its plan, might take
            more (`least_evaluations` says what the first one takes).  Every iteration takes at least one, so that
            `iterations=max_evaluations` leaves the limit to the budget.  None: no limit.
        returned: "best", the plan of least loss that was seen, or "last", the iterate at the end (the best finite one
            seen last, where that is not finite).
        time_limit: seconds for a call of `plan`, or None.  It is read once an iteration.
        max_rows: plan at most so many rows (problems times restarts) at a time, to bound memory; None for
            all.  With a time limit, each chunk gets an equal share of what is left.

    Raises
        ParameterError: a value outside its domain, when the planner is made.
    """

    iterations: int = 300
    restarts: int = 1
    check_every: int | None = None
    max_evaluations: int | None = None
    returned: Returned = "best"
    time_limit: float | None = None
    max_rows: int | None = None

    def __post_init__(self) -> None:
        positive_integer("iterations", self.iterations)
        positive_integer("restarts", self.restarts)
        if self.check_every is not None:
            positive_integer("check_every", self.check_every)
        if self.max_evaluations is not None:
            positive_integer("max_evaluations", self.max_evaluations)
        check_choices(self, returned=("best", "last"))
        if self.time_limit is not None:
            positive_float("time_limit", self.time_limit)
        if self.max_rows is not None:
            positive_integer("max_rows", self.max_rows, minimum=self.restarts)

    @checked
    def plan(
        self,
        problem: PlanningProblem,
        generator: torch.Generator | None = None,
        *,
        stop_when_reached: bool = True,
        history: bool = False,
        record_states: bool = False,
        curve: bool = False,
        callback: Callback | None = None,
        progress: bool = False,
    ) -> Plan:
        """Plan all problems at once.

        Arguments
            problem: B problems.
            generator: where the problems' seeds are drawn, unless `problem.seeds` gives them; None: torch's
                global generator.
            stop_when_reached: whether a problem stops at the first plan that reaches its goal region in the model,
                or uses the whole budget; the plan of least loss is returned then, and the first that reached beside it.
            history: record loss, distance and defect whenever plans are rolled out.
            record_states: record the virtual states too.
            curve: record the anytime curve over `max_evaluations`, by looks that are not counted and change nothing.
            callback: called with an `Observation` whenever plans are rolled out.
            progress: show a progress bar.

        Returns
            One plan for each problem.  No limit and no NaN of the model raises: see `Plan.status`.

        Raises
            ParameterError: the model is not differentiable and the planner needs gradients; `max_evaluations` does not
                pay for a first look, or is missing where a curve is asked for.
        """
        self._check_budget(problem, curve)
        seeds = problem.seeds
        if seeds is None:
            device = generator.device if generator is not None else None
            seeds = torch.randint(2**62, (problem.batch,), generator=generator, device=device)
        size = problem.batch if self.max_rows is None else self.max_rows // self.restarts
        starts = range(0, problem.batch, size)
        end = None if self.time_limit is None else time.monotonic() + self.time_limit
        plans: list[Plan] = []
        with _progress(progress) as bar:
            for start in starts:
                chunk = slice(start, start + size)
                rows = Rows(problem.part(chunk), self.restarts, seeds[chunk])
                best = Incumbents(rows, stop_when_reached=stop_when_reached, returned=self.returned)
                now = time.monotonic()
                deadline = None if end is None else now + (end - now) / (len(starts) - len(plans))
                recorder = (
                    Recorder(rows.problem.batch, self.restarts, with_states=record_states)
                    if history or record_states
                    else None
                )
                curves = (
                    CurveRecorder(self.max_evaluations, self.restarts, problem.horizon)
                    if curve and self.max_evaluations is not None
                    else None
                )
                plans.append(self._plan_rows(rows, best, deadline, recorder, curves, callback, bar))
        return concatenate(plans)

    @checked
    def least_evaluations(self, problem: PlanningProblem) -> int:
        """Return the smallest `max_evaluations` that pays for an iteration, with the looks before and after it.

        With less, `plan` returns what it starts from, if that can be looked at.

        Arguments
            problem: B problems, of which any needs as many.
        """
        rows = Rows(problem.part(slice(0, 1)), self.restarts, torch.zeros(1, dtype=torch.long))
        return self.restarts * (problem.horizon + self._needed(0, self._search(rows)))

    def _plan_rows(
        self,
        rows: Rows,
        best: Incumbents,
        deadline: float | None,
        recorder: Recorder | None,
        curves: CurveRecorder | None,
        callback: Callback | None,
        bar: Progress | None,
    ) -> Plan:
        stopped_at, evaluations = torch.zeros_like(rows.index), torch.zeros_like(rows.index)
        search, iteration = self._search(rows), 0
        task = bar.add_task("planning", total=self.iterations, problems=rows.problem.batch) if bar else None

        def settle() -> None:
            """Report what was shown, let the rows that are done go, and see how far the budgets go."""
            if best.seen:
                best.seen = False
                best.date(iteration)
                if recorder is not None:
                    recorder.record(search, best, iteration)
                if callback is not None:
                    report(callback, search, best, iteration, self.restarts)
                done = best.finished(search.broken(), self.restarts)
                if bool(done.any()):
                    stopped_at[rows.index[done]] = iteration
                    evaluations[rows.index[done]] = rows.evaluations
                    search.keep(torch.nonzero(~done).flatten())
            if bar is not None and task is not None:
                bar.update(task, completed=iteration, problems=len(torch.unique(rows.index // self.restarts)))

        best.consider(rows.actions, roll_out(rows, rows.actions))
        settle()
        limit = self._limit(iteration, search, deadline)
        while len(rows) and limit is None:
            if curves is not None:
                curves.advance(self._needed(iteration, search), search, best, started=iteration > 0)
            search.step(iteration, best)
            iteration += 1
            if self.check_every is not None and iteration % self.check_every == 0:
                search.look(best)
            limit = self._limit(iteration, search, deadline)
            if limit is not None:
                search.look(best)
            settle()
        stopped_at[rows.index], evaluations[rows.index] = iteration, rows.evaluations
        evaluations += rows.problem.horizon * best.judge()
        if curves is not None:
            curves.advance(None, search, best, started=True)
        return best.plan(
            self.restarts, limit or Status.STEP_LIMIT, stopped_at, evaluations,
            recorder.history() if recorder else None, curves.curve() if curves else None,
        )  # fmt: skip

    @abstractmethod
    def _search(self, rows: Rows) -> Search: ...

    def _needed(self, iteration: int, search: Search) -> int:
        """Return the evaluations of a row after another iteration, a look at its plan and one at what is returned."""
        looks = 2 if search.approximate else 1
        return search.rows.evaluations + search.cost(iteration) + looks * search.rows.problem.horizon

    def _limit(self, iteration: int, search: Search, deadline: float | None) -> Status | None:
        """Return the limit at which planning stops now, if there is one."""
        if iteration >= self.iterations:
            return Status.STEP_LIMIT
        budget = self.max_evaluations
        if budget is not None and self._needed(iteration, search) > budget // self.restarts:
            return Status.EVALUATION_LIMIT
        timed_out = deadline is not None and time.monotonic() >= deadline
        return Status.TIME_LIMIT if timed_out else None

    def _check_budget(self, problem: PlanningProblem, curve: bool) -> None:
        budget, least = self.max_evaluations, self.restarts * problem.horizon
        if budget is None and curve:
            raise ParameterError(
                "max_evaluations", "a budget, whose parts the curve shows", "None", "set max_evaluations"
            )
        if budget is not None and budget < least:
            raise ParameterError(
                "max_evaluations", f"at least {least}, one rollout of each restart", str(budget),
                "allow more, or fewer restarts",
            )  # fmt: skip


def _progress(wanted: bool) -> Progress | nullcontext[None]:
    if not wanted:
        return nullcontext()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[problems]} problems left"),
    )
