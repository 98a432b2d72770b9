"""Thresholds that hold a risk with stated confidence: Learn then Test with exact binomial p-values."""

from __future__ import annotations

from math import ceil, log, log1p

import numpy as np
from jaxtyping import Bool, Float
from scipy import stats

from grasp_theory.statistics.intervals import Estimate
from linear_systems.checked import checked
from linear_systems.errors import ParameterError, ShapeError
from linear_systems.validation import fraction, positive_integer


@checked
def clopper_pearson(count: int, trials: int, level: float) -> Estimate:
    """Return a share with Clopper and Pearson's exact interval: each end errs with probability at most level / 2.

    Arguments
        count, trials: 0 <= count <= trials, trials >= 1.
        level: in (0, 1); 2δ gives ends that each hold with confidence 1 − δ.

    Raises
        ParameterError: the count is out of range.

    Source: Clopper & Pearson, The use of confidence or fiducial limits (1934).
    """
    positive_integer("trials", trials), fraction("level", level)
    if not 0 <= count <= trials:
        raise ParameterError("count", f"from 0 to {trials}, the trials", f"{count}", "give counts")
    low = stats.beta.ppf(level / 2, count, trials - count + 1) if count else 0.0
    high = stats.beta.ppf(1 - level / 2, count + 1, trials - count) if count < trials else 1.0
    return Estimate(count / trials, float(low), float(high))


@checked
def fewest_trials(alpha: float, delta: float) -> int:
    """Return the fewest trials without an error that show an error rate of at most alpha with confidence 1 − delta."""
    return ceil(log(fraction("delta", delta)) / log1p(-fraction("alpha", alpha)))


@checked
def risk_p_values(
    scores: Float[np.ndarray, " n"],
    wrong: Bool[np.ndarray, " n"],
    thresholds: Float[np.ndarray, " J"],
    alpha: float,
) -> Float[np.ndarray, " J"]:
    """Return for each λ the p-value of "more than a share alpha of those with score >= λ are wrong".

    With N of the n scores at or above a λ that was fixed before, of which E are wrong, E is Bin(N, R(λ)) given N, so that
    p = P(Bin(N, α) <= E) is at most u with probability at most u if R(λ) > α.  Equivalently p <= δ where Clopper and
    Pearson's upper end for E / N, of confidence 1 − δ, is at most α.
    """
    alpha = fraction("alpha", alpha)
    if len(scores) != len(wrong):
        raise ShapeError(
            "scores, wrong", "equally many of both", f"{len(scores)} and {len(wrong)}", "pass pairs"
        )
    order = np.sort(scores)
    accepted = len(scores) - np.searchsorted(order, thresholds, side="left")
    right = np.sort(scores[~wrong])
    errors = accepted - (len(right) - np.searchsorted(right, thresholds, side="left"))
    return np.asarray(np.where(accepted > 0, stats.binom.cdf(errors, np.maximum(accepted, 1), alpha), 1.0))


@checked
def threshold_sequence(
    scores: Float[np.ndarray, " n"], wrong: Bool[np.ndarray, " n"], alpha: float
) -> Float[np.ndarray, " J"]:
    """Return the thresholds in the order in which they are tested on other pairs: from the one with most evidence down.

    Arguments
        scores: of a first sample.
        wrong: whether each of it is.
        alpha: the share of wrong ones that is allowed.
    """
    candidates = np.unique(scores)[::-1]
    return candidates[int(np.argmin(risk_p_values(scores, wrong, candidates, alpha))) :]


@checked
def most_errors(trials: int, alpha: float, delta: float) -> int:
    """Return the most errors among trials that show an error rate of at most alpha with confidence 1 − delta; -1 for none."""
    fraction("alpha", alpha)
    count = positive_integer("trials", trials, minimum=0)
    shown = stats.binom.cdf(np.arange(count + 1), count, alpha) <= fraction("delta", delta)
    return int(shown.sum()) - 1


@checked
def loosest_threshold(
    learned: tuple[Float[np.ndarray, " n"], Bool[np.ndarray, " n"]],
    tested: tuple[Float[np.ndarray, " m"], Bool[np.ndarray, " m"]],
    alpha: float,
    delta: float,
) -> float | None:
    """Return a λ such that of what scores at least λ at most a share alpha is wrong, with confidence 1 − delta.

    The first sample (scores, wrong) orders the thresholds: the scores that it holds, from the one that it has most
    evidence for down to the lowest.  The second tests them in that order, each at level delta, and stops at the first
    that is not rejected; the last one rejected is returned, None if that is none.  As the order was fixed before, the
    probability that any threshold with R(λ) > α is rejected is at most that of the first such one, delta.

    The pairs of the second sample must be independent draws of one law, given the first sample.

    Source: Angelopoulos, Bates, Candès, Jordan & Lei, Learn then Test: calibrating predictive algorithms to achieve risk
    control (2021), fixed-sequence testing.
    """
    fraction("delta", delta)
    for name, (scores, wrong) in (("learned", learned), ("tested", tested)):
        if not len(scores) or len(scores) != len(wrong):
            found = f"{len(scores)} and {len(wrong)}"
            raise ShapeError(name, "equally many scores and outcomes, at least one", found, "pass pairs")
    sequence = threshold_sequence(*learned, alpha)
    passed = risk_p_values(*tested, sequence, alpha) <= delta
    count = len(passed) if passed.all() else int(np.argmin(passed))
    return float(sequence[count - 1]) if count else None
