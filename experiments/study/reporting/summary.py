"""What the rows of one cell of a table say: success rates, times, and the curve of success over time.

Trials on one problem depend on each other: three models that plan the same problem are not three problems.  The
interval of a rate is Wilson's at the number of independent trials that would give the rate with the same variance (`effective_trials`
of `PairedTrials`: the models are taken as given, problems are the sample); other intervals are bootstraps over
problems.  What differs between models is shown apart, model by model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from jaxtyping import Bool, Float, Int

from experiments.study.targets import offline_model
from experiments.study.trials.own import ENDING
from grasp_theory.statistics.bootstrap import Bootstrap
from grasp_theory.statistics.intervals import Estimate, wilson
from grasp_theory.statistics.paired_trials import PairedTrials
from linear_systems.errors import ParameterError

if TYPE_CHECKING:
    from experiments.study.tables import Cell
    from experiments.study.trials.settings import Settings

OUTCOMES = ("final_true", "final_model", "any_model", "first_true")
"""Success of the plan that is returned after the whole budget, in the environment and in the model; whether the model believes
a plan at any of thirty points of the budget, which is nearest to what the paper counts; and success in the environment of the
first plan that the model believes, at which a planner may stop."""
TRIAL = ["model", "problem", "seed"]
"""What makes a trial of one cell unique: planners are paired on it."""
RESAMPLES = 1000


@dataclass(frozen=True)
class Success:
    """How often something succeeded.

    Arguments
        successes, trials, problems: counts; a problem is tried once with each model.
        rate: the share with its 95% interval, problems being the independent units.
        wilson: the same with Wilson's interval for independent trials, which is too narrow for several models.
        by_model: the share of each model.
    """

    successes: int
    trials: int
    problems: int
    rate: Estimate
    wilson: Estimate
    by_model: Mapping[str, float]


@dataclass(frozen=True)
class Times:
    """How long trials planned one after the other took, in wall seconds.

    Arguments
        trials, solved: counts; solved means a success in the model within the budget.
        median_solved: median over the solved ones, as the paper prints it; None if there is none.
        median: median over all, never solved counting as infinite.
        limit: τ, the seconds to which the restricted mean is restricted.
        restricted_mean: mean of min(time to success, τ).
        spent: mean seconds spent, failures included.
    """

    trials: int
    solved: int
    median_solved: Estimate | None
    median: Estimate
    limit: float
    restricted_mean: Estimate
    spent: Estimate


@dataclass(frozen=True)
class TimeCurve:
    """Share of all trials solved by each time: a step function, no trial left out.

    Arguments
        seconds: (K,) times, increasing.
        share, low, high: (K,) the share solved by then and its pointwise 95% interval.
        trials, solved: counts.
    """

    seconds: Float[np.ndarray, " K"]
    share: Float[np.ndarray, " K"]
    low: Float[np.ndarray, " K"]
    high: Float[np.ndarray, " K"]
    trials: int
    solved: int


def current(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows that count: of one kind of model, computed with the latest of everything, each trial once.

    The latest is what the row that was finished last has: of a model its weights, of a planner on a task its code, of a
    place in a problem set the problem.  Rows with anything older are left out, so that no comparison mixes the two.  Of a trial that
    was computed in several units the one of the largest budget counts, then the one planned beside most others, then the latest.
    """
    kept = _latest(_reported(rows))
    trial = ["task", "kind", "horizon", "planner", "settings", "mode", *TRIAL]
    return (
        kept.sort("budget", "batch", "finished").unique(trial, keep="last", maintain_order=True).sort(trial)
    )


def outdated(rows: pl.DataFrame) -> int:
    """Return how many rows `current` leaves out because there are newer weights, code or problems."""
    reported = _reported(rows)
    return len(reported) - len(_latest(reported))


def _reported(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of reporting problems and of the models that the study plans with, or of one's own."""
    stems = [offline_model(task, 0).removesuffix("0") for task in rows["task"].unique()]
    studied = pl.col("model").str.strip_chars_end("0123456789").is_in(stems)
    return rows.filter(pl.col("purpose") == "reporting", studied | pl.col("task").str.ends_with(ENDING))


def _latest(rows: pl.DataFrame) -> pl.DataFrame:
    problem = ["task", "kind", "horizon", "problem"]
    for what, where in {
        "model_hash": ["model"],
        "code": ["task", "planner", "mode"],
        "problem_hash": problem,
    }.items():
        latest = pl.col(what).sort_by("finished").last().over(where)
        rows = rows.filter(pl.col(what).eq_missing(latest))
    return rows


def trials_of(rows: pl.DataFrame, cell: Cell, mode: str) -> pl.DataFrame:
    """Return a cell's trials in a mode, with every outcome."""
    task, kind, horizon = cell.problem_set
    return rows.filter(
        pl.col("task") == task, pl.col("kind") == kind, pl.col("horizon") == horizon,
        pl.col("planner") == cell.planner, pl.col("settings") == canonical(cell.settings), pl.col("mode") == mode,
    ).with_columns(any_model=pl.col("believed_curve").str.contains("1", literal=True))  # fmt: skip


def canonical(settings: Settings) -> str:
    """Return settings as the rows hold them."""
    return json.dumps(dict(settings), sort_keys=True)


def success(trials: pl.DataFrame, outcome: str) -> Success | None:
    """Return how often an outcome came about; None without trials, or in a mode that does not have this outcome."""
    known = trials.drop_nulls(outcome)
    if known.is_empty():
        return None
    happened, problem = known[outcome].to_numpy(), known["problem"].to_numpy()
    count, n = int(happened.sum()), len(happened)
    by_model = known.group_by("model").agg(pl.col(outcome).mean()).sort("model").iter_rows()
    return Success(
        successes=count,
        trials=n,
        problems=known["problem"].n_unique(),
        rate=clustered_share(happened, problem),
        wilson=wilson(count / n, n),
        by_model=dict(by_model),
    )


def clustered_share(happened: Bool[np.ndarray, " N"], problem: Int[np.ndarray, " N"]) -> Estimate:
    """Return a share with Wilson's interval at the effective number of trials, problems being independent."""
    # A share is the difference to a planner that never succeeds.
    record = PairedTrials.of(happened.astype(int), problem)
    return wilson(record.difference, record.effective_trials)


def times(single: pl.DataFrame, *, limit: float | None = None) -> Times | None:
    """Return how long the trials of mode "single" took; None without trials.

    Arguments
        single: trials planned one after the other, each until its first success in the model.
        limit: τ of the restricted mean; the longest time spent on a trial if None.  Pass the same limit for planners that
        are compared.

    Raises
        ParameterError: trials planned side by side.
    """
    if single.is_empty():
        return None
    if set(single["mode"].unique()) != {"single"}:
        raise ParameterError(
            "single", "trials of mode 'single'", f"{single['mode'].unique().to_list()}", "select them by mode"
        )
    seconds, problem = _seconds(single), single["problem"].to_numpy()
    solved = np.isfinite(seconds)
    limit = float(single["seconds"].to_numpy().max()) if limit is None else limit
    sample = _bootstrap(problem)
    return Times(
        trials=len(seconds),
        solved=int(solved.sum()),
        median_solved=_bootstrap(problem[solved]).median(seconds[solved]) if solved.any() else None,
        median=sample.median(seconds),
        limit=limit,
        restricted_mean=sample.mean(np.minimum(seconds, limit)),
        spent=sample.mean(single["seconds"].to_numpy()),
    )


def seconds_in_batch(trials: pl.DataFrame) -> Estimate | None:
    """Return the mean seconds per problem of whole runs side by side; None without trials of mode "batch"."""
    batch = trials.filter(pl.col("mode") == "batch")
    if batch.is_empty():
        return None
    # A unit's problems share one measurement, and so are no sample of their own.  Units in the order of their trials, not of
    # their names, which say the code's digest: the resamples stay what they are when only that is renamed.
    by_unit = batch.sort(TRIAL).group_by("unit", maintain_order=True)
    units = by_unit.agg(pl.col("seconds").first() / pl.col("batch").first(), pl.len())
    unit, size = np.arange(len(units)), units["len"].to_numpy()
    return _bootstrap(np.repeat(unit, size)).mean(np.repeat(units["seconds"].to_numpy(), size))


def time_to_success(single: pl.DataFrame, at: Float[np.ndarray, " K"] | None = None) -> TimeCurve:
    """Return the share of all trials that had a success in the model by each time, with a pointwise 95% band.

    This is the cumulative incidence of success.  A trial whose budget ran out never succeeds: it stays in the
    denominator for good, where the Kaplan-Meier estimate would take it as about to succeed like the others.

    Arguments
        single: trials of mode "single"; at least one.
        at: the times, in seconds; None: 0 and every time at which a trial succeeded.

    Raises
        ParameterError: no trial.
    """
    if single.is_empty():
        raise ParameterError("single", "at least one trial", "none", "run the cell in mode 'single'")
    seconds, problem = _seconds(single), single["problem"].to_numpy()
    finite = seconds[np.isfinite(seconds)]
    moments = np.unique(np.append(finite, 0.0)) if at is None else np.asarray(at, dtype=float)
    band = [clustered_share(seconds <= moment, problem) for moment in moments]
    share, low, high = np.array([[point.value, point.low, point.high] for point in band]).T
    return TimeCurve(moments, share, low, high, len(seconds), len(finite))


def _seconds(single: pl.DataFrame) -> Float[np.ndarray, " N"]:
    return single["first_seconds"].fill_null(np.inf).to_numpy()


def _bootstrap(clusters: Int[np.ndarray, " N"]) -> Bootstrap:
    return Bootstrap(clusters, np.random.default_rng(0), RESAMPLES)
