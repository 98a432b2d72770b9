"""Two planners tried on the same problems: who solves more, and how sure that is.

A trial of one planner is paired with the other's on the same problem (and the same model and seed); its difference
is +1 where only the first succeeded, −1 where only the second did, and 0 where they agree.  Trials on one problem
depend on each other, whichever model they used, so problems are the units here: the models are taken as given, and
the statements are about further problems of the same kind.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, reduce
from math import floor, inf, sqrt

import numpy as np
from jaxtyping import Float, Int
from scipy import stats
from scipy.optimize import bisect, brentq

from grasp_theory.statistics.intervals import LEVEL
from linear_systems.checked import checked
from linear_systems.errors import ParameterError, ShapeError
from linear_systems.validation import fraction

POWER = 0.8
"""The power at which a difference counts as detectable."""
SMALLEST = 1e-300
"""Exact p-values below this are told by this bound: not far below it float64 has no number left but 0, and no p-value is 0."""


def shown_p(value: float) -> str:
    """Return a p-value for people: two significant digits, or that it is below `SMALLEST`.

    Arguments
        value: the p-value.
    """
    return f"{value:.2g}" if value >= SMALLEST else f"< {SMALLEST:g}"


def said_p(value: float) -> str:
    """Return a p-value in words: "p = 0.02", or "p < 1e-300".

    Arguments
        value: the p-value.
    """
    shown = shown_p(value)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


@checked
@dataclass(frozen=True)
class PairedTrials:
    """The differences of paired trials, gathered by problem; problems with equal figures are counted together.

    Arguments
        problems: (total, size, count): on `count` problems the differences of `size` paired trials sum to `total`.
        first_only, second_only: trials that only the first or only the second planner passed (discordant pairs).

    Raises
        ParameterError: no trial, or figures that contradict each other.
    """

    problems: tuple[tuple[int, int, int], ...]
    first_only: int
    second_only: int

    def __post_init__(self) -> None:
        lead = sum(total * count for total, _, count in self.problems)
        possible = all(size >= max(1, abs(total)) and count >= 1 for total, size, count in self.problems)
        if not self.problems or not possible or lead != self.first_only - self.second_only:
            raise ParameterError(
                "problems",
                "at least one, whose totals add up to first_only - second_only",
                f"{self.problems} with {self.first_only} and {self.second_only}",
                "use PairedTrials.of",
            )

    @classmethod
    def of(cls, difference: Int[np.ndarray, " N"], problem: Int[np.ndarray, " N"]) -> PairedTrials:
        """Return the record of N paired trials.

        Arguments
            difference: (N,) +1, 0 or −1: the first planner's success minus the second's.
            problem: (N,) the problem of each.

        Raises
            ShapeError: lengths that differ, or no trial.
            ParameterError: a difference other than −1, 0 and 1.
        """
        if len(difference) != len(problem) or not len(difference):
            found = f"{len(difference)} differences, {len(problem)} problems"
            raise ShapeError("difference, problem", "one positive length", found, "pair the trials first")
        if not np.isin(difference, (-1, 0, 1)).all():
            raise ParameterError(
                "difference", "-1, 0 or 1", f"{np.unique(difference)}", "success minus success"
            )
        labels, place = np.unique(problem, return_inverse=True)
        totals = np.bincount(place, weights=difference, minlength=len(labels)).astype(int)
        sizes = np.bincount(place)
        counts = Counter(zip(totals.tolist(), sizes.tolist(), strict=True))
        problems = tuple((total, size, counts[total, size]) for total, size in sorted(counts))
        return cls(problems, int((difference == 1).sum()), int((difference == -1).sum()))

    def __add__(self, other: PairedTrials) -> PairedTrials:
        """Return the record of both, whose problems are different ones."""
        counts = Counter({(total, size): count for total, size, count in self.problems})
        counts.update({(total, size): count for total, size, count in other.problems})
        return PairedTrials(
            tuple((total, size, counts[total, size]) for total, size in sorted(counts)),
            self.first_only + other.first_only,
            self.second_only + other.second_only,
        )

    def swapped(self) -> PairedTrials:
        """Return the record with the planners' names exchanged."""
        problems = tuple(sorted((-total, size, count) for total, size, count in self.problems))
        return PairedTrials(problems, self.second_only, self.first_only)

    def balanced(self) -> PairedTrials:
        """Return the record with the names exchanged on every other problem: as close to no lead as can be."""
        sizes = sorted(
            ((abs(total), size) for total, size, count in self.problems for _ in range(count)), reverse=True
        )
        lead, totals = 0, []
        for total, _ in sizes:
            totals.append(-total if lead > 0 else total)
            lead += totals[-1]
        counts = Counter((total, size) for total, (_, size) in zip(totals, sizes, strict=True))
        discordant = self.first_only + self.second_only
        return replace(
            self,
            problems=tuple((total, size, counts[total, size]) for total, size in sorted(counts)),
            first_only=(discordant + lead) // 2,
            second_only=(discordant - lead) // 2,
        )

    @property
    def trials(self) -> int:
        """How many paired trials there are."""
        return sum(size * count for _, size, count in self.problems)

    @property
    def difference(self) -> float:
        """The first planner's success rate minus the second's."""
        return (self.first_only - self.second_only) / self.trials

    @property
    def discordance(self) -> float:
        """The share of paired trials in which one planner succeeded and the other did not."""
        return (self.first_only + self.second_only) / self.trials

    @property
    def effective_trials(self) -> float:
        """Return how many independent paired trials would give the difference with the same variance.

        n over the design effect: the variance of the difference between problems over that of n independent
        pairs.  At most n, and at least what is left if all trials on a problem agree, (Σ size)² / Σ size².
        """
        total, size, count = np.array(self.problems, dtype=float).T
        n, problems = self.trials, count.sum()
        least = n**2 / float((count * size**2).sum())
        independent = (self.discordance - self.difference**2) / n
        if problems < 2 or independent <= 0:
            return least
        spread = float((count * (total - size * self.difference) ** 2).sum())
        between = spread * problems / (problems - 1) / n**2
        return float(np.clip(n * independent / between, least, n)) if between > 0 else float(n)

    @property
    def p_value(self) -> float:
        """Return the exact two-sided p-value of no difference, problems being the independent units.

        If the planners' names mean nothing, each problem's total had either sign with probability 1/2; the law of
        their sum is a convolution of binomials.  With one trial a problem this is McNemar's exact test.
        """
        law = np.ones(1)
        for step, number in sorted(self._steps().items()):
            binomial = np.zeros(2 * step * number + 1)
            binomial[:: 2 * step] = stats.binom.pmf(np.arange(number + 1), number, 0.5)
            law = np.convolve(law, binomial)
        sums = np.arange(len(law)) - (len(law) - 1) // 2
        return min(1.0, float(law[np.abs(sums) >= abs(self.first_only - self.second_only)].sum()))

    @property
    def mcnemar(self) -> float:
        """McNemar's exact two-sided p-value, which takes all paired trials as independent: for comparison only."""
        discordant = self.first_only + self.second_only
        return float(stats.binomtest(self.first_only, discordant).pvalue) if discordant else 1.0

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        """Return Tango's score interval of the difference, of confidence 1 − level, at `effective_trials`."""
        scale = self.effective_trials / self.trials
        first, second = self.first_only * scale, self.second_only * scale
        upper = _tango(first, second, self.effective_trials, level)
        return -_tango(second, first, self.effective_trials, level), upper

    def detectable(self, level: float = LEVEL, power: float = POWER) -> float:
        """Return the smallest true difference that McNemar's exact test finds with the given power.

        At `effective_trials`, rounded down, and the discordance found here (or the difference, if that is larger);
        infinity if these trials could find none at this level.
        """
        n = floor(self.effective_trials)

        def shortfall(difference: float) -> float:
            return _power(n, difference, max(self.discordance, difference), level) - power

        return inf if shortfall(1.0) < 0 else float(bisect(shortfall, 0.0, 1.0, xtol=1e-6))

    def _steps(self) -> Counter[int]:
        """Return on how many problems the planners lead by 1, 2, ... trials, whichever leads."""
        steps: Counter[int] = Counter()
        for total, _, count in self.problems:
            if total:
                steps[abs(total)] += count
        return steps


@checked
def pooled(records: Sequence[PairedTrials]) -> PairedTrials:
    """Return the record of several, whose problems are different ones.

    Raises
        ParameterError: no record.
    """
    if not records:
        raise ParameterError("records", "at least one", "none", "pool what has been tried")
    return reduce(operator.add, records)


@checked
def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's adjusted p-values: rejecting those below a level keeps the family-wise error there."""
    for p in p_values:
        fraction("p_values", p, ends=True)
    order = np.argsort(p_values)
    adjusted = np.empty(len(p_values))
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return [float(p) for p in adjusted]


def _tango(first: float, second: float, n: float, level: float) -> float:
    """Return the upper end of Tango's score interval of (first − second) / n.

    A difference d is kept while n (d − d̂)² <= z² (2q + d − d²), with q the probability that only the second planner
    succeeds that is most likely under d.  Source: Tango, Statistics in Medicine 17 (1998) 891-908.
    """
    found, z = (first - second) / n, float(stats.norm.isf(level / 2))

    def excess(difference: float) -> float:
        linear = (2 * n - first + second) * difference - first - second
        root = sqrt(max(0.0, linear**2 + 8 * n * second * difference * (1 - difference)))
        only_second = (root - linear) / (4 * n)
        return n * (difference - found) ** 2 - z**2 * (2 * only_second + difference - difference**2)

    inside = found + 1e-9
    return 1.0 if inside >= 1 else float(brentq(excess, inside, 1.0))


def _power(n: int, difference: float, discordance: float, level: float) -> float:
    """Return the exact power of McNemar's two-sided test with n independent pairs.

    The number of discordant pairs is binomial, and given it so is the number that the first planner leads in.
    """
    discordant, needed = _rejecting(n, level)
    leading = (discordance + difference) / (2 * discordance) if discordance else 0.5
    more = stats.binom.sf(needed - 1, discordant, leading)
    fewer = stats.binom.cdf(discordant - needed, discordant, leading)
    return float(stats.binom.pmf(discordant, n, discordance) @ (more + fewer))


@lru_cache(maxsize=64)
def _rejecting(n: int, level: float) -> tuple[Int[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Return every number of discordant pairs, and in how many of them one planner must lead for a rejection."""
    discordant = np.arange(n + 1)
    return discordant, stats.binom.isf(level / 2, discordant, 0.5) + 1
