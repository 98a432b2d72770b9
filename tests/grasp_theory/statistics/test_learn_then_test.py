"""The exact bound against scipy's and by exact enumeration; the sequence against rates that are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from grasp_theory.statistics.learn_then_test import (
    clopper_pearson,
    fewest_trials,
    loosest_threshold,
    most_errors,
    risk_p_values,
    threshold_sequence,
)
from linear_systems.errors import ParameterError

ALPHA, DELTA = 0.2, 0.1


@pytest.mark.parametrize(("count", "trials"), [(0, 5), (3, 9), (9, 9)])
def test_the_interval_is_scipy_s(count: int, trials: int) -> None:
    ours, theirs = clopper_pearson(count, trials, 0.05), stats.binomtest(count, trials).proportion_ci(0.95)
    assert ours.low == pytest.approx(theirs.low, abs=1e-12)
    assert ours.high == pytest.approx(theirs.high, abs=1e-12)
    with pytest.raises(ParameterError, match="count"):
        clopper_pearson(6, 5, 0.05)


@pytest.mark.parametrize("trials", [11, 40])
def test_a_p_value_is_small_as_seldom_as_it_says_at_the_largest_rate_that_is_wrong(trials: int) -> None:
    """Exact: the law of the errors is binomial, so the level of the test is a finite sum."""
    counts = np.arange(trials + 1)
    p = np.array(
        [risk_p_values(np.ones(trials), np.arange(trials) < e, np.array([0.5]), ALPHA)[0] for e in counts]
    )
    law = stats.binom.pmf(counts, trials, ALPHA)
    for level in (0.01, 0.1, 0.5):
        assert law[p <= level].sum() <= level + 1e-12
    assert law[p <= p[1]].sum() == pytest.approx(p[1])  # and it is exact where it can be
    naive = counts / trials  # the near miss: the share of errors itself, held against alpha
    assert law[naive <= ALPHA].sum() > 0.5


def test_a_p_value_agrees_with_the_end_of_the_interval() -> None:
    for errors, trials in ((0, 10), (0, 11), (1, 20), (4, 40), (30, 40)):
        wrong = np.arange(trials) < errors
        [p] = risk_p_values(np.ones(trials), wrong, np.array([1.0]), ALPHA)
        assert (p <= DELTA) == (clopper_pearson(errors, trials, 2 * DELTA).high <= ALPHA)


def test_only_scores_at_or_above_a_threshold_count() -> None:
    scores, wrong = np.array([0.9, 0.7, 0.7, 0.1]), np.array([False, False, True, True])
    found = risk_p_values(scores, wrong, np.array([0.95, 0.9, 0.7, 0.0]), ALPHA)
    expected = [1.0, *(stats.binom.cdf(e, n, ALPHA) for e, n in ((0, 1), (1, 3), (2, 4)))]
    assert found == pytest.approx(expected)


def test_the_fewest_trials() -> None:
    assert [fewest_trials(0.1, 0.1), fewest_trials(0.1, 0.05)] == [22, 29]
    for alpha, delta in ((0.1, 0.1), (0.2, 0.05)):
        n = fewest_trials(alpha, delta)
        assert (1 - alpha) ** n <= delta < (1 - alpha) ** (n - 1)


def draw(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores, uniform, and whether each is wrong, with probability (1 − score)/2."""
    scores = rng.random(n)
    return scores, rng.random(n) < (1 - scores) / 2


def risk(threshold: float) -> float:
    """Return the share of wrong ones among scores above a threshold λ: ∫_λ^1 (1 − u)/2 du / (1 − λ)."""
    return (1 - threshold) / 4


def test_the_threshold_holds_the_risk_as_often_as_it_says_and_the_naive_one_does_not() -> None:
    rng, missed, naive, certified, repeats = np.random.default_rng(0), 0, 0, 0, 600
    for _ in range(repeats):
        learned, tested = draw(rng, 200), draw(rng, 200)
        found = loosest_threshold(learned, tested, 0.15, DELTA)
        if found is not None:
            certified += 1
            missed += risk(found) > 0.15
        scores, wrong = tested
        order = np.argsort(-scores)
        share = np.cumsum(wrong[order]) / np.arange(1, 201)
        fine = np.flatnonzero(share <= 0.15)
        naive += bool(len(fine)) and risk(float(scores[order][fine[-1]])) > 0.15
    allowed = DELTA + 3 * np.sqrt(DELTA * (1 - DELTA) / repeats)
    assert missed / repeats <= allowed
    assert certified > 0.3 * repeats  # it is not kept by never certifying
    assert naive / repeats > allowed


def test_nothing_is_certified_where_all_are_wrong_too_often() -> None:
    rng = np.random.default_rng(1)
    found = [
        loosest_threshold(*((rng.random(80), rng.random(80) < 0.25) for _ in range(2)), 0.2, DELTA)
        for _ in range(300)
    ]
    assert sum(each is not None for each in found) / 300 <= DELTA


@pytest.mark.parametrize("trials", [0, 21, 22, 38, 92, 600])
def test_the_most_errors_pass_and_one_more_does_not(trials: int) -> None:
    most = most_errors(trials, 0.1, 0.1)
    assert (most < 0) == (trials < fewest_trials(0.1, 0.1))
    scores, wrong = np.ones(trials + 1), np.zeros(trials + 1, dtype=bool)
    for errors, passes in ((most, True), (most + 1, False)):
        if trials and 0 <= errors <= trials:
            wrong[: trials + 1] = np.arange(trials + 1) < errors
            (p,) = risk_p_values(scores[:trials], wrong[:trials], np.array([0.5]), 0.1)
            assert (p <= 0.1) == passes


def test_thresholds_are_tested_from_the_one_with_most_evidence_down() -> None:
    scores = np.repeat([0.9, 0.7, 0.4], [10, 30, 60])
    wrong = np.repeat([False, False, True], [10, 30, 60])
    assert threshold_sequence(scores, wrong, 0.1).tolist() == [0.7, 0.4]
