"""Planners on one problem at equal budgets: what the model believes of their plans, and what is true."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from importlib import import_module
from itertools import combinations
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure
from rich.progress import Progress
from torch import Tensor

from grasp_theory.boundary import as_booleans
from grasp_theory.control import MakesPlans
from grasp_theory.dynamics import asked
from grasp_theory.planners import Plan, Planner, Status
from grasp_theory.problem import PlanningProblem
from grasp_theory.statistics.intervals import Estimate, wilson
from grasp_theory.statistics.paired_trials import PairedTrials, holm, said_p, shown_p
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import positive_integer

Success = Literal["believed", "true"]
SUCCESSES: tuple[Success, ...] = ("believed", "true")


@dataclass(frozen=True, eq=False, repr=False)
class Result:
    """One planner on the B problems.

    Arguments
        name: of the planner.
        plan: what it returned.
        believed: (B,), whether the model believes that the plan reaches the goal region; None: there is none.
        true: (B,), whether it does in the world; None: it was not replayed.
        seconds: wall time of planning all problems.
    """

    name: str
    plan: Plan
    believed: Bool[np.ndarray, " B"] | None
    true: Bool[np.ndarray, " B"] | None
    seconds: float

    @property
    def evaluations(self) -> Int[np.ndarray, " B"]:
        """Model steps evaluated for each problem, a gradient counting as 3."""
        return self.plan.evaluations.cpu().numpy()

    @property
    def loss(self) -> Float[np.ndarray, " B"]:
        """The loss of each plan."""
        return self.plan.loss.double().cpu().numpy()

    @property
    def planned(self) -> bool:
        """Whether the budget paid for an iteration; if not, `plan` is what planning would have started from."""
        spent = (self.plan.status == Status.EVALUATION_LIMIT) & (self.plan.iterations == 0)
        return not bool(spent.any())

    def share(self, what: Success) -> Estimate | None:
        """Return the share of problems with believed or true success, with Wilson's 95% interval."""
        values = getattr(self, what)
        return None if values is None else wilson(float(values.mean()), len(values))


@dataclass(frozen=True)
class Pair:
    """Two planners on the same problems.

    Arguments
        first, second: their names.
        difference: the first's success rate minus the second's, with Tango's 95% score interval.
        p_value: McNemar's exact two-sided p-value of no difference.
        adjusted: the same after Holm's adjustment for all pairs.
    """

    first: str
    second: str
    difference: Estimate
    p_value: float
    adjusted: float


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """What `compare` found; it prints as a table.

    Arguments
        results: one a planner, in the order given.
        pairs: every two planners, of true success where it is known, else of believed; empty where neither is.
        judged: of which success the pairs are.
    """

    results: tuple[Result, ...]
    pairs: tuple[Pair, ...]
    judged: Success | None

    def columns(self) -> dict[str, list[Any]]:
        """Return one row a planner as plain columns; None where something is not known."""
        table: dict[str, list[Any]] = {"planner": [each.name for each in self.results]}
        for what in SUCCESSES:
            shares = [each.share(what) for each in self.results]
            for end, name in (("value", what), ("low", f"{what}_low"), ("high", f"{what}_high")):
                table[name] = [None if share is None else getattr(share, end) for share in shares]
        table["loss"] = [float(np.median(each.loss)) for each in self.results]
        table["evaluations"] = [float(np.mean(each.evaluations)) for each in self.results]
        table["seconds"] = [each.seconds for each in self.results]
        return table

    def frame(self, library: Literal["dict", "polars", "pandas"] = "dict") -> Any:
        """Return `columns` as a frame of a library, which must be installed.

        Raises
            ParameterError: it is not installed, or is none of these.
        """
        if library == "dict":
            return self.columns()
        if library not in ("polars", "pandas"):
            raise ParameterError(
                "library", '"dict", "polars" or "pandas"', repr(library), "name one of these"
            )
        try:
            return import_module(library).DataFrame(self.columns())
        except ImportError as error:
            raise ParameterError(
                "library", "one that is installed", library, f"pip install {library}, or take the columns"
            ) from error

    def figure(self) -> Figure:
        """Return a picture: success of each planner with its interval, or the median loss where none is known."""
        figure = Figure(figsize=(5.0, 0.6 + 0.5 * len(self.results)), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(self.results))
        for what, offset, marker in zip(SUCCESSES, (-0.12, 0.12), "os", strict=True):
            shares = [each.share(what) for each in self.results]
            known = [share for share in shares if share is not None]
            if known:
                middle = np.array([share.value for share in known])
                ends = np.array([(s.value - s.low, s.high - s.value) for s in known]).T
                axes.errorbar(middle, places + offset, xerr=ends, fmt=marker, capsize=3, label=what)
        if self.judged is None:
            axes.plot([float(np.median(each.loss)) for each in self.results], places, "o")
            axes.set_xlabel("median loss of the plan")
        else:
            axes.set_xlim(-0.02, 1.02)
            axes.set_xlabel("share of problems solved, 95% intervals")
            axes.legend(loc="best", fontsize="small")
        axes.set_yticks(places, [each.name for each in self.results])
        axes.invert_yaxis()
        return figure

    def __repr__(self) -> str:
        width = max(7, *(len(each.name) for each in self.results))
        lines = [
            f"{len(self.results[0].loss)} problems; shares with 95% intervals",
            f"{'planner':{width}}  {'believed':18}  {'true':18}  {'loss':>9}  {'evaluations':>11}  {'seconds':>8}",
        ]
        lines += [
            f"{each.name:{width}}  {_share(each.share('believed')):18}  {_share(each.share('true')):18}  "
            f"{np.median(each.loss):9.3g}  {np.mean(each.evaluations):11,.0f}  {each.seconds:8.3g}"
            for each in self.results
        ]
        idle = [each.name for each in self.results if not each.planned]
        if idle:
            lines.append(
                f"{', '.join(idle)}: no plan was made, for the budget does not pay for one iteration"
            )
        for pair in self.pairs:
            gap = pair.difference
            lines.append(
                f"{pair.first} − {pair.second}, {self.judged}: {gap.value:+.2f} [{gap.low:+.2f}, {gap.high:+.2f}], "
                f"{said_p(pair.p_value)} (Holm: {shown_p(pair.adjusted)})"
            )
        return "\n".join(lines)


@checked
def compare(
    planners: Mapping[str, MakesPlans] | Sequence[MakesPlans],
    problem: PlanningProblem,
    *,
    replay: Callable[[Tensor], Any] | None = None,
    max_evaluations: int | None = None,
    stop_when_reached: bool = True,
    generator: torch.Generator | None = None,
    progress: bool = False,
) -> Comparison:
    """Let several planners plan the same B problems with the same seeds, and compare the plans that they return.

    Success is a share p̂ of the B problems, with Wilson's interval; two planners are compared on the problems that only one
    of them solves (McNemar's exact test), which are to be independent draws of the problems that matter.

    Arguments
        planners: by name, or a sequence, which are named after their classes; a `HeldFirst` or a `CheckedPlanner` too.
        problem: B problems for any model.
        replay: actions (B, T, m) -> (B,) booleans: whether each plan succeeds in the world.  None: what is true is not known.
        max_evaluations: the budget of every planner and problem in model steps, a gradient counting as 3; iterations
            are then no limit.  None: each planner's own limits.
        stop_when_reached: whether a problem stops at the first plan that the model believes, or uses the whole budget.
        generator: where the seeds are drawn, unless `problem.seeds` gives them.
        progress: show a progress bar.

    Returns
        A `Comparison`.

    Raises
        ParameterError: no planner, two of one name, a budget that does not pay for a first look, or a `replay` that
            raises an error.
        ShapeError: `replay` does not return booleans.

    Source: Wilson (1927); McNemar (1947), exact; Tango (1998); Holm (1979).
    """
    named = _named(planners)
    if max_evaluations is not None:
        budget = positive_integer("max_evaluations", max_evaluations)
        named = {name: _within(each, budget) for name, each in named.items()}
    if problem.seeds is None:
        problem = replace(problem, seeds=torch.randint(2**62, (problem.batch,), generator=generator))
    results = []
    with Progress(disable=not progress) as bar:
        task = bar.add_task("comparing", total=len(named))
        for name, planner in named.items():
            bar.update(task, description=name)
            began = time.perf_counter()
            plan = planner.plan(problem, stop_when_reached=stop_when_reached)
            seconds = time.perf_counter() - began
            believed = None if problem.reached is None else plan.reached.cpu().numpy()
            true = None if replay is None else _replayed(replay, plan.actions)
            results.append(Result(name, plan, believed, true, seconds))
            bar.advance(task)
    judged: Success | None
    judged = "true" if replay is not None else "believed" if problem.reached is not None else None
    return Comparison(tuple(results), () if judged is None else _pairs(results, judged), judged)


def _pairs(results: Sequence[Result], judged: str) -> tuple[Pair, ...]:
    chosen = list(combinations(results, 2))
    trials = [
        PairedTrials.of(
            getattr(a, judged).astype(int) - getattr(b, judged).astype(int), np.arange(len(a.loss))
        )
        for a, b in chosen
    ]
    adjusted = holm([each.p_value for each in trials])
    return tuple(
        Pair(a.name, b.name, Estimate(each.difference, *each.interval()), each.p_value, p)
        for (a, b), each, p in zip(chosen, trials, adjusted, strict=True)
    )


def _within(planner: MakesPlans, budget: int) -> MakesPlans:
    """Return a planner with a budget in place of its own limits."""
    if isinstance(planner, Planner):
        return replace(planner, iterations=budget, max_evaluations=budget)
    own: Any = planner
    if not is_dataclass(own) or not hasattr(own, "max_evaluations"):
        raise ParameterError(
            "planners", "planners with a budget, `max_evaluations`", type(own).__name__, "leave max_evaluations out here"
        )  # fmt: skip
    limited: Any = replace(own, max_evaluations=budget)  # type: ignore[type-var]  # an instance, as it has `plan`
    return limited  # type: ignore[no-any-return]


def _named(planners: Mapping[str, MakesPlans] | Sequence[MakesPlans]) -> dict[str, MakesPlans]:
    pairs = (
        list(planners.items())
        if isinstance(planners, Mapping)
        else [(type(each).__name__, each) for each in planners]
    )
    names = [name for name, _ in pairs]
    if (
        not pairs
        or len(set(names)) < len(names)
        or not all(isinstance(each, MakesPlans) for _, each in pairs)
    ):
        raise ParameterError(
            "planners",
            "at least one planner, with names that differ",
            f"{names}",
            'name them: {"my GRASP": GRASP()}',
        )
    return dict(pairs)


def _replayed(replay: Callable[[Tensor], Any], actions: Float[Tensor, "B T m"]) -> Bool[np.ndarray, " B"]:
    answer = asked("replay", replay, actions)
    return as_booleans("replay", answer, len(actions), "return booleans (B,)").cpu().numpy()


def _share(share: Estimate | None) -> str:
    return "not known" if share is None else f"{share.value:.2f} [{share.low:.2f}, {share.high:.2f}]"
