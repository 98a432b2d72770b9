"""Exact inference on success rates: two-sample tests, families of tests, pairing, intervals.

Throughout, two planners are tried `trials` times each and succeed `first` and `second` times.  Tests are
one-sided, against the alternative that the first planner's success probability is the greater one: the claims
examined are directional, and this is the reading under which most of them would be significant.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, sqrt

import numpy as np
from jaxtyping import Float, Int
from scipy import stats

from grasp_theory.statistics.paired_trials import holm as holm
from linear_systems.checked import checked
from linear_systems.errors import ParameterError
from linear_systems.validation import fraction, positive_float, positive_integer

CONFIDENCE = 0.95


def _check_counts(trials: int, **counts: int) -> None:
    positive_integer("trials", trials)
    for name, count in counts.items():
        if not 0 <= count <= trials:
            raise ParameterError(
                name, f"a count between 0 and {trials}", str(count), "counts, not percentages"
            )


@checked
def fisher(first: int, second: int, trials: int, second_trials: int | None = None) -> float:
    """Return Fisher's exact one-sided p-value: P(X >= first) for X hypergeometric given the total.

    Arguments
        first, second: the successes of the two planners.
        trials, second_trials: their trials; the same number if one is given.
    Raises
        ParameterError: if a count is not between 0 and its number of trials.
    """
    others = trials if second_trials is None else second_trials
    _check_counts(trials, first=first)
    positive_integer("second_trials", others)
    _check_counts(others, second=second)
    return float(stats.hypergeom.sf(first - 1, trials + others, first + second, trials))


@checked
@lru_cache(maxsize=256)
def barnard(first: int, second: int, trials: int) -> float:
    """Return the one-sided p-value of Barnard's unconditional test, usually smaller than Fisher's.

    The supremum over the common success probability is found by scipy's global search.

    Raises
        ParameterError: if a count is not between 0 and `trials`.
    """
    _check_counts(trials, first=first, second=second)
    # scipy takes the two samples as columns.
    table = [[first, second], [trials - first, trials - second]]
    return float(stats.barnard_exact(table, alternative="greater").pvalue)


@checked
def stratified(pairs: Sequence[tuple[int, int]], trials: int) -> float:
    """Return the exact one-sided p-value for a difference common to several settings.

    Given each setting's total, the sum of the first planner's successes is a sum of independent
    hypergeometrics (the exact form of the Cochran-Mantel-Haenszel test); its law is their convolution.

    Arguments
        pairs: (first, second) counts per setting, of independent trials.
        trials: the trials of each planner in each setting.
    Raises
        ParameterError: if a count is not between 0 and `trials`.
    """
    if not pairs:
        raise ParameterError("pairs", "at least one setting", "none", "pass (first, second) of each")
    law, offset = np.ones(1), 0
    for first, second in pairs:
        _check_counts(trials, first=first, second=second)
        support = _support(first + second, trials)
        law = np.convolve(law, stats.hypergeom.pmf(support, 2 * trials, first + second, trials))
        offset += int(support[0])
    observed = sum(first for first, _ in pairs) - offset
    return float(min(1.0, law[observed:].sum()))


@checked
def homogeneity(pair: tuple[int, int], other: tuple[int, int], trials: int) -> float:
    """Return the exact two-sided p-value for equal odds ratios in two settings (Zelen's test).

    Given both settings' totals and the first planner's total t, its count in the first setting has, when the
    odds ratios are equal, the law proportional to h_1(x) h_2(t - x) with h_i hypergeometric; the p-value sums
    the outcomes that are no more probable than the one observed.

    Raises
        ParameterError: if a count is not between 0 and `trials`.
    """
    for first, second in (pair, other):
        _check_counts(trials, first=first, second=second)
    total = pair[0] + other[0]
    x, y = _support(sum(pair), trials), _support(sum(other), trials)
    outcomes = np.arange(max(x[0], total - y[-1]), min(x[-1], total - y[0]) + 1)
    log_weight = stats.hypergeom.logpmf(outcomes, 2 * trials, sum(pair), trials)
    log_weight = log_weight + stats.hypergeom.logpmf(total - outcomes, 2 * trials, sum(other), trials)
    weight = np.exp(log_weight - log_weight.max())
    observed = log_weight[pair[0] - outcomes[0]]
    # Outcomes as probable as the observed one count; log-probabilities of ties agree to rounding only.
    tie = 1e-9
    return float(weight[log_weight <= observed + tie].sum() / weight.sum())


@checked
def equal_shares(pair: tuple[int, int], other: tuple[int, int], trials: int) -> float:
    """Return the two-sided p-value for equal shares kept: of each planner, its rate in the second setting over the first.

    The logarithm of the ratio of two such shares is taken as normal with the variance Σ (1 − p)/(trials p) over its four
    rates p (the delta method), so it asks for counts that are not small.

    Arguments
        pair: the successes of the two planners in the first setting.
        other: those in the second setting.
        trials: of each planner in each setting.

    Raises
        ParameterError: if a count is not between 1 and `trials`.
    """
    counts = (*pair, *other)
    for count in counts:
        _check_counts(trials, count=count)
        positive_integer("count", count)
    ratio = np.log(other[0] / pair[0]) - np.log(other[1] / pair[1])
    error = sqrt(sum(1 / count - 1 / trials for count in counts))
    return float(2.0 * stats.norm.sf(abs(ratio) / error)) if error else 1.0


def _support(total: int, trials: int) -> Int[np.ndarray, " counts"]:
    return np.arange(max(0, total - trials), min(total, trials) + 1)


@dataclass(frozen=True)
class Pairing:
    """What McNemar's exact one-sided test could say of two planners tried on the same tasks.

    The margins leave free how many tasks only the second planner solved; everything here ranges over it.

    Arguments
        lowest, highest: the smallest and largest p-value over all joint tables with these margins.
        most_lost: the largest number of tasks solved by the second planner only for which the test still
            rejects at the level asked for; -1 if it never does.
        most_possible: the largest number of tasks that the second planner alone can have solved.
    """

    lowest: float
    highest: float
    most_lost: int
    most_possible: int


@checked
def mcnemar(first: int, second: int, trials: int) -> Float[np.ndarray, " joint"]:
    """Return McNemar's exact one-sided p-value for every joint table with the given margins.

    Entry c is for c tasks solved by the second planner only; first - second + c are then solved by the first
    only, and the p-value P(Bin(first - second + 2c, 1/2) >= first - second + c) increases with c.

    Raises
        ParameterError: if a count is not between 0 and `trials`, or the first is not the larger.
    """
    _check_counts(trials, first=first, second=second)
    if first <= second:
        raise ParameterError(
            "first", f"more successes than second ({second})", str(first), "swap the planners"
        )
    lead = first - second
    lost = np.arange(min(second, trials - first) + 1)
    return np.asarray(stats.binom.sf(lead + lost - 1, lead + 2 * lost, 0.5))


@checked
def pairing(first: int, second: int, trials: int, level: float) -> Pairing:
    """Return the range of McNemar's one-sided p-value over all joint tables with the given margins.

    Raises
        ParameterError: as `mcnemar`.
    """
    fraction("level", level)
    p = mcnemar(first, second, trials)
    return Pairing(float(p[0]), float(p[-1]), int(np.count_nonzero(p <= level)) - 1, len(p) - 1)


Interval = Callable[[int, int], tuple[float, float]]
"""(successes, trials) -> (lower, upper) end of a 95% interval for the success probability."""

_Z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))


def _wald(successes: int, trials: int) -> tuple[float, float]:
    rate = successes / trials
    half = _Z * sqrt(rate * (1 - rate) / trials)
    return rate - half, rate + half


def _wald_student(successes: int, trials: int) -> tuple[float, float]:
    rate = successes / trials
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, trials - 1)) * sqrt(rate * (1 - rate) / (trials - 1))
    return rate - half, rate + half


def _agresti_coull(successes: int, trials: int) -> tuple[float, float]:
    centre = (successes + _Z**2 / 2) / (trials + _Z**2)
    half = _Z * sqrt(centre * (1 - centre) / (trials + _Z**2))
    return centre - half, centre + half


def _jeffreys(successes: int, trials: int) -> tuple[float, float]:
    tail = (1 - CONFIDENCE) / 2
    law = stats.beta(successes + 0.5, trials - successes + 0.5)
    return float(law.ppf(tail)), float(law.ppf(1 - tail))


def _from_scipy(method: str) -> Interval:
    def interval(successes: int, trials: int) -> tuple[float, float]:
        ends = stats.binomtest(successes, trials).proportion_ci(CONFIDENCE, method=method)
        return float(ends.low), float(ends.high)

    return interval


INTERVALS: Mapping[str, Interval] = {
    "Wald": _wald,
    "Student t of 0/1 outcomes": _wald_student,
    "Wilson": _from_scipy("wilson"),
    "Wilson with continuity correction": _from_scipy("wilsoncc"),
    "Agresti-Coull": _agresti_coull,
    "Clopper-Pearson": _from_scipy("exact"),
    "Jeffreys": _jeffreys,
}
"""The usual 95% intervals for a proportion."""


@checked
def half_width(interval: str, successes: int, trials: int) -> float:
    """Return half the length of a 95% interval of `INTERVALS`, in percentage points.

    Raises
        ParameterError: for an unknown interval, or a count that is not between 0 and `trials`.
    """
    if interval not in INTERVALS:
        raise ParameterError("interval", f"one of {list(INTERVALS)}", repr(interval), "'Wald'")
    _check_counts(trials, successes=successes)
    lower, upper = INTERVALS[interval](successes, trials)
    return 50 * (upper - lower)


@checked
def round_half_width(points: float, rounding: str) -> float:
    """Return a half-width to one decimal, "nearest" or "up" (outwards, which keeps the coverage)."""
    positive_float("points", points, allow_zero=True)
    if rounding not in ("nearest", "up"):
        raise ParameterError("rounding", "'nearest' or 'up'", repr(rounding), "'nearest'")
    return round(points, 1) if rounding == "nearest" else ceil(10 * points) / 10


@checked
def wald_coverage(probability: float, trials: int) -> float:
    """Return the exact coverage of the nominal 95% Wald interval at a success probability."""
    fraction("probability", probability, ends=True)
    counts = np.arange(positive_integer("trials", trials) + 1)
    ends = np.array([_wald(int(count), trials) for count in counts])
    covered = (ends[:, 0] <= probability) & (probability <= ends[:, 1])
    return float(stats.binom.pmf(counts[covered], trials, probability).sum())


@checked
def lattice_probability(step: int, trials: int) -> float:
    """Return the largest probability, over the success probability, of a count divisible by `step`.

    Counts of none and of all, which every step divides, are left out.  The maximum is over a grid of rates
    twenty times finer than the spacing of the counts.
    """
    positive_integer("trials", trials, minimum=2)
    if positive_integer("step", step) >= trials:
        raise ParameterError("step", f"a number below the {trials} trials", str(step), "pass a smaller one")
    counts = np.arange(step, trials, step)
    rates = np.linspace(0.0, 1.0, 20 * trials + 1)
    return float(stats.binom.pmf(counts[:, None], trials, rates).sum(axis=0).max())
