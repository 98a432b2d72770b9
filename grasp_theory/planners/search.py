"""The loop that every planner shares: who is still planning, the best plan of each row, limits, history, progress.

A planner is a frozen dataclass of hyper-parameters that makes a `Search`; the search advances all its rows by
one iteration at a time and shows the plans that it rolls out to an `Incumbents`, which keeps the best.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor

from grasp_theory.dynamics import rollout
from grasp_theory.objectives import dynamics_loss
from grasp_theory.planners.problem import FirstReached, History, Plan, PlanningProblem, Status
from grasp_theory.planners.records import Recorder, concatenate
from grasp_theory.planners.rows import Rows, Rowwise, squared_norm
from linear_systems.errors import ParameterError, ShapeError
from linear_systems.validation import positive_float, positive_integer


@dataclass(frozen=True, eq=False)
class Observation:
    """What a callback sees whenever plans were rolled out: the N rows still planning.

    Arguments
        iteration: iterations done.
        problem: (N,), which problem each row belongs to.
        restart: (N,), which restart of it.
        actions: (N, T, m), the current plans.
        states: (N, T+1, *S), their rollouts.
        loss: (N,), ‖s_T − g‖².
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


class Incumbents:
    """The best and the first reaching plan of every row so far, those of rows that have stopped included.

    Arguments
        rows: the rows still planning.
        stop_when_reached: whether a plan that reaches the goal region beats every other, or only its loss counts.
    """

    def __init__(self, rows: Rows, *, stop_when_reached: bool) -> None:
        self.rows = rows
        self.stop_when_reached = stop_when_reached
        self.began = time.monotonic()
        self.actions = rows.actions.clone()
        self.first_actions = torch.zeros_like(self.actions)
        horizon = rows.problem.horizon
        self.states = rows.initial_state.unsqueeze(1).repeat(
            1, horizon + 1, *[1] * (rows.initial_state.ndim - 1)
        )
        self.loss = torch.full_like(self.states.flatten(1)[:, 0], torch.inf)
        self.reached = torch.zeros_like(self.loss, dtype=torch.bool)
        self.first_iteration = torch.full_like(rows.index, -1)
        self.first_seconds = torch.full_like(self.loss, torch.inf, dtype=torch.float64)
        self.diverged = torch.zeros_like(self.reached)
        self.seen = False
        """Whether a plan was shown since this was last set to False."""
        self.latest: tuple[Tensor, Tensor, Tensor] = (self.actions, self.states, self.loss)
        """The plans shown last, their rollouts and losses, one for each row still planning."""

    def consider(self, actions: Float[Tensor, "rows T m"], states: Tensor) -> None:
        """Keep the plans that beat the incumbents; `states` (rows, T+1, *S) is the model's rollout of them.

        Where planning stops at the goal, a plan that reaches it beats every other, and the first such plan is kept.
        A row whose rollout is not finite has diverged.
        """
        problem, rows = self.rows.problem, self.rows.index
        loss = squared_norm(states[:, -1] - self.rows.goal)
        finite = torch.isfinite(loss)
        reached = _reached(problem, states, self.rows.goal) & finite
        first = reached & ~self.reached[rows]
        better = finite & (loss < self.loss[rows])
        if self.stop_when_reached:
            better = (better & ~self.reached[rows]) | first
        target, source = rows[better], better
        self.actions[target] = actions[source]
        self.states[target] = states[source]
        self.loss[target] = loss[source]
        self.first_actions[rows[first]] = actions[first]
        self.reached[rows] |= reached
        self.diverged[rows] |= ~finite
        self.latest, self.seen = (actions, states, loss), True

    def date(self, iteration: int) -> None:
        """Note when the rows that have reached since the last call did so."""
        new = self.reached & (self.first_iteration < 0)
        self.first_iteration[new] = iteration
        self.first_seconds[new] = time.monotonic() - self.began

    def finished(self, restarts: int) -> Bool[Tensor, " rows"]:
        """Return which of the rows still planning are done: diverged, or to stop as a restart of theirs has reached."""
        done = self.diverged
        if self.stop_when_reached:
            done = done | self.reached.view(-1, restarts).any(1).repeat_interleave(restarts)
        return done[self.rows.index]


class Search(Rowwise, ABC):
    """A planner at work on its rows.

    Arguments
        rows: the rows.
        actions: (rows, T, m), the current plans; the loop rolls them out at the end, and every `check_every`
            iterations.
    """

    def __init__(self, rows: Rows, actions: Float[Tensor, "rows T m"]) -> None:
        self.rows = rows
        self.actions = actions

    @abstractmethod
    def step(self, iteration: int, incumbents: Incumbents) -> None:
        """Advance all rows by one iteration."""

    def virtual_states(self) -> Tensor | None:
        """Return the virtual states (rows, T+1, *S), of planners that have them."""
        return None

    def broken(self) -> Bool[Tensor, " rows"]:
        """Return which rows hold NaN or infinity."""
        return ~torch.isfinite(self.actions.flatten(1).sum(1))

    def show(self, actions: Float[Tensor, "rows T m"], incumbents: Incumbents) -> None:
        """Roll plans out and show them; rows that are broken have diverged."""
        with torch.no_grad():
            states = rollout(self.rows.problem.model, self.rows.initial_state, actions)
        incumbents.consider(actions, states)
        incumbents.diverged[self.rows.index] |= self.broken()


@dataclass(frozen=True, kw_only=True)
class Planner(ABC):
    """Hyper-parameters that every planner has.

    Arguments
        iterations: step limit.
        restarts: R, independent attempts at each problem in the same batch; the first that reaches its goal
            region stops the others, and the best is returned.
        check_every: roll the current plans out every so many iterations, to see whether they reach the goal
            and to keep the best; None: only where the method rolls out anyway, and at the end.
        time_limit: seconds for a call of `plan`, or None.  It is read once an iteration.
        max_rows: plan at most so many rows (problems times restarts) at a time, to bound memory; None for
            all.  With a time limit, each chunk gets an equal share of what is left.

    Raises
        ParameterError: a value outside its domain, when the planner is made.
    """

    iterations: int = 300
    restarts: int = 1
    check_every: int | None = None
    time_limit: float | None = None
    max_rows: int | None = None

    def __post_init__(self) -> None:
        positive_integer("iterations", self.iterations)
        positive_integer("restarts", self.restarts)
        if self.check_every is not None:
            positive_integer("check_every", self.check_every)
        if self.time_limit is not None:
            positive_float("time_limit", self.time_limit)
        if self.max_rows is not None:
            positive_integer("max_rows", self.max_rows, minimum=self.restarts)

    def plan(
        self,
        problem: PlanningProblem,
        generator: torch.Generator | None = None,
        *,
        stop_when_reached: bool = True,
        history: bool = False,
        record_states: bool = False,
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
            callback: called with an `Observation` whenever plans are rolled out.
            progress: show a progress bar.

        Returns
            The best plan of each problem.  No limit and no NaN of the model raises: see `Plan.status`.

        Raises
            ParameterError: the model is not differentiable and the planner needs gradients.
        """
        seeds = problem.seeds
        if seeds is None:
            device = generator.device if generator is not None else None
            seeds = torch.randint(2**62, (problem.batch,), generator=generator, device=device)
        size = problem.batch if self.max_rows is None else self.max_rows // self.restarts
        chunks = [_chunk(problem, seeds, at, size) for at in range(0, problem.batch, size)]
        end = None if self.time_limit is None else time.monotonic() + self.time_limit
        plans: list[Plan] = []
        with _progress(progress) as bar:
            for chunk in chunks:
                left = len(chunks) - len(plans)
                now = time.monotonic()
                deadline = None if end is None else now + (end - now) / left
                recorder = Recorder(chunk, self.restarts, record_states) if history or record_states else None
                plans.append(self._plan(chunk, deadline, stop_when_reached, recorder, callback, bar))
        return concatenate(plans)

    @abstractmethod
    def _search(self, rows: Rows) -> Search: ...

    def _plan(
        self,
        problem: PlanningProblem,
        deadline: float | None,
        stop_when_reached: bool,
        recorder: Recorder | None,
        callback: Callback | None,
        bar: Progress | None,
    ) -> Plan:
        assert problem.seeds is not None  # set by _chunk
        rows = Rows(problem, self.restarts, problem.seeds)
        incumbents = Incumbents(rows, stop_when_reached=stop_when_reached)
        stopped_at = torch.zeros_like(rows.index)
        task = bar.add_task("planning", total=self.iterations, problems=problem.batch) if bar else None
        search = self._search(rows)

        def settle(iteration: int) -> None:
            """Report what was shown, then let the rows that are done go."""
            if not incumbents.seen:
                return
            incumbents.seen = False
            incumbents.date(iteration)
            if recorder is not None or callback is not None:
                _report(search, incumbents, iteration, self.restarts, recorder, callback)
            done = incumbents.finished(self.restarts)
            if bool(done.any()):
                stopped_at[rows.index[done]] = iteration
                search.keep(torch.nonzero(~done).flatten())

        with torch.no_grad():
            start = rollout(problem.model, rows.initial_state, rows.actions)
        incumbents.consider(rows.actions, start)
        settle(0)
        timed_out, iteration = False, 0
        while len(rows) and iteration < self.iterations and not timed_out:
            search.step(iteration, incumbents)
            iteration += 1
            timed_out = deadline is not None and time.monotonic() >= deadline
            due = self.check_every is not None and iteration % self.check_every == 0
            shown = incumbents.seen and incumbents.latest[0] is search.actions
            if (due or timed_out or iteration == self.iterations) and not shown:
                search.show(search.actions, incumbents)
            settle(iteration)
            if bar is not None and task is not None:
                bar.update(task, completed=iteration, problems=len(torch.unique(rows.index // self.restarts)))
        stopped_at[rows.index] = iteration
        limit = Status.TIME_LIMIT if timed_out and iteration < self.iterations else Status.STEP_LIMIT
        return _best_restart(incumbents, stopped_at, self.restarts, limit, recorder)


def require_differentiable(prediction: Tensor) -> None:
    """Raise a ParameterError unless gradients flow from the model's output to its inputs."""
    if not prediction.requires_grad:
        raise ParameterError(
            "dynamics", "a model that is differentiable in the actions", "an output without gradient",
            "remove no_grad or detach from the model, or plan with CEM or MPPI",
        )  # fmt: skip


def _reached(problem: PlanningProblem, states: Tensor, goal: Tensor) -> Bool[Tensor, " rows"]:
    if problem.reached is None:
        return torch.zeros(len(states), dtype=torch.bool, device=states.device)
    if problem.reached_when == "any":
        times = states.shape[1]
        answer = problem.reached(states.flatten(0, 1), goal.repeat_interleave(times, 0))
        expected = len(states) * times
    else:
        answer, expected = problem.reached(states[:, -1], goal), len(states)
    if answer.shape != (expected,) or answer.dtype != torch.bool:
        raise ShapeError(
            "reached", f"{expected} booleans, one a state", f"shape {tuple(answer.shape)} of {answer.dtype}",
            "return a boolean tensor (N,) for states (N, *S) and goals (N, *S)",
        )  # fmt: skip
    return answer.view(len(states), -1).any(1)


def _chunk(problem: PlanningProblem, seeds: Int[Tensor, " B"], start: int, size: int) -> PlanningProblem:
    assert problem.initial_actions is not None
    part = slice(start, start + size)
    return replace(
        problem, initial_state=problem.initial_state[part], goal=problem.goal[part], seeds=seeds[part],
        initial_actions=problem.initial_actions[part],
    )  # fmt: skip


def _report(
    search: Search,
    incumbents: Incumbents,
    iteration: int,
    restarts: int,
    recorder: Recorder | None,
    callback: Callback | None,
) -> None:
    actions, states, loss = incumbents.latest
    virtual, index = search.virtual_states(), search.rows.index
    if recorder is not None:
        defect = torch.zeros_like(loss)
        if virtual is not None:
            with torch.no_grad():
                defect = dynamics_loss(
                    search.rows.problem.model, virtual, search.actions, stop_state_gradient=True
                )
        gaps = (states - search.rows.goal.unsqueeze(1)).flatten(2).norm(dim=2).amin(1)
        recorder.record(iteration, index, loss, gaps, defect, states if virtual is None else virtual)
    if callback is not None:
        # Copies: the planner goes on in place.
        callback(
            Observation(
                iteration,
                index // restarts,
                index % restarts,
                actions.clone(),
                states.clone(),
                loss.clone(),
                None if virtual is None else virtual.clone(),
            )
        )


def _best_restart(
    incumbents: Incumbents,
    stopped_at: Int[Tensor, " rows"],
    restarts: int,
    limit: Status,
    recorder: Recorder | None,
) -> Plan:
    """Return each problem's best restart (one that reached, where that stops it, or else the one of least loss)."""
    loss, reached = incumbents.loss, incumbents.reached
    order = torch.where(reached, -1.0, loss) if incumbents.stop_when_reached else loss
    offset = torch.arange(0, len(loss), restarts, device=loss.device)
    best = offset + order.view(-1, restarts).argmin(1)
    earliest = offset + incumbents.first_seconds.view(-1, restarts).argmin(1)
    status = torch.full_like(best, int(limit))
    status[incumbents.diverged.view(-1, restarts).all(1)] = int(Status.DIVERGED)
    status[reached.view(-1, restarts).any(1)] = int(Status.REACHED)
    first = FirstReached(
        incumbents.first_actions[earliest],
        incumbents.first_iteration[earliest],
        incumbents.first_seconds[earliest],
    )
    history: History | None = None if recorder is None else recorder.history()
    return Plan(
        incumbents.actions[best], incumbents.states[best], incumbents.loss[best], status,
        stopped_at.view(-1, restarts).amax(1), first, history,
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
