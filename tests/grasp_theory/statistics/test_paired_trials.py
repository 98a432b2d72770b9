"""Paired trials against brute force, scipy, published values, and simulated coverage and power."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from itertools import product
from math import comb, inf, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from grasp_theory.statistics.paired_trials import PairedTrials, holm, pooled, said_p, shown_p
from linear_systems.errors import ParameterError, ShapeError

RELATIVE = 1e-9
"""Sums of up to a few hundred probabilities in float64, which scipy gets to about 1e-13."""


@st.composite
def outcomes(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    problem = draw(st.lists(st.integers(0, 6), min_size=1, max_size=20))
    difference = draw(st.lists(st.integers(-1, 1), min_size=len(problem), max_size=len(problem)))
    return np.array(difference), np.array(problem)


@given(outcomes())
def test_the_p_value_counts_every_choice_of_signs(case: tuple[np.ndarray, np.ndarray]) -> None:
    difference, problem = case
    totals = [int(difference[problem == label].sum()) for label in np.unique(problem)]
    observed = abs(sum(totals))
    as_far = sum(
        abs(sum(s * t for s, t in zip(signs, totals, strict=True))) >= observed
        for signs in product((-1, 1), repeat=len(totals))
    )
    found = PairedTrials.of(difference, problem)
    assert found.p_value == pytest.approx(as_far / 2 ** len(totals), rel=RELATIVE)
    assert found.trials == len(difference)
    assert found.difference == pytest.approx(difference.mean(), abs=RELATIVE)
    assert found.swapped().p_value == pytest.approx(found.p_value, rel=RELATIVE)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (1, 0), (3, 12), (40, 21)])
def test_one_trial_a_problem_is_mcnemars_exact_test(first: int, second: int) -> None:
    difference = np.repeat([1, -1, 0], [first, second, 50])
    found = PairedTrials.of(difference, np.arange(len(difference)))
    exact = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert found.p_value == pytest.approx(exact, rel=RELATIVE)
    assert found.mcnemar == pytest.approx(exact, rel=RELATIVE)
    assert found.effective_trials == len(difference)


def test_copies_on_a_problem_add_nothing() -> None:
    difference = np.repeat([1, -1, 0], [14, 3, 40])
    once = PairedTrials.of(difference, np.arange(57))
    thrice = PairedTrials.of(np.repeat(difference, 3), np.repeat(np.arange(57), 3))
    assert thrice.effective_trials == pytest.approx(once.effective_trials)
    assert thrice.p_value == pytest.approx(once.p_value)
    assert thrice.interval() == pytest.approx(once.interval())
    assert thrice.detectable() == once.detectable()
    assert thrice.mcnemar < 1e-4 < once.mcnemar  # what taking them as independent would claim


def test_where_all_agree_the_trials_of_a_problem_count_once() -> None:
    assert PairedTrials.of(np.zeros(30, int), np.repeat(np.arange(10), 3)).effective_trials == 10
    assert PairedTrials.of(np.ones(5, int), np.array([0, 0, 0, 1, 1])).effective_trials == pytest.approx(
        25 / 13
    )


def test_effective_trials_on_a_case_by_hand() -> None:
    # Problems with differences (1, 1), (1, 0), (0, 0), n = 6, mean 1/2: the deviations of the totals from 1 are
    # 1, 0 and −1, so the variance of the mean between k = 3 problems is 2 · k/(k − 1)/n² = 1/12; that of independent
    # trials is (1/2 − 1/4)/6 = 1/24: half of the trials.
    record = PairedTrials.of(np.array([1, 1, 1, 0, 0, 0]), np.array([0, 0, 1, 1, 2, 2]))
    assert record.effective_trials == pytest.approx(3.0, rel=1e-12)
    # (1, 1), (0, 0), (−1, 0), (1, 0), n = 8, mean 1/4: deviations of 3/2, −1/2, −3/2, 1/2 give 5 · 4/3/64 = 5/48 between
    # problems, and independent trials (1/2 − 1/16)/8 = 7/128: 8 · (7/128)/(5/48) = 4.2, between the limits 4 and 8.
    record = PairedTrials.of(np.array([1, 1, 0, 0, -1, 0, 1, 0]), np.repeat(np.arange(4), 2))
    assert record.effective_trials == pytest.approx(4.2, rel=1e-12)


@pytest.mark.parametrize(
    ("first", "second", "rest"), [(1, 7, 36), (12, 2, 30), (0, 0, 44), (44, 0, 0), (9, 0, 5)]
)
def test_the_interval_holds_the_differences_that_the_score_test_keeps(
    first: int, second: int, rest: int
) -> None:
    n = first + second + rest
    record = PairedTrials.of(np.repeat([1, -1, 0], [first, second, rest]), np.arange(n))
    low, high = record.interval()
    z = stats.norm.isf(0.025)
    grid = np.linspace(-0.9995, 0.9995, 4001)
    only_second = np.linspace(1e-7, 1, 4001)

    def score(difference: float) -> float:
        """Tango's statistic with the likelihood maximised by search, not by the closed form."""
        q = only_second[(only_second + difference >= 1e-12) & (2 * only_second + difference <= 1)]
        with np.errstate(divide="ignore"):
            logs = [
                stats_xlogy(first, q + difference), stats_xlogy(second, q),
                stats_xlogy(rest, np.maximum(1 - 2 * q - difference, 0)),
            ]  # fmt: skip
        best = q[np.argmax(sum(logs))]
        variance = n * (2 * best + difference - difference**2)
        return abs(first - second - n * difference) / sqrt(max(variance, 1e-12))

    kept = [difference for difference in grid if score(float(difference)) <= z]
    # The grid's spacing, and what the search for q, of the same spacing, moves the ends by.
    assert low == pytest.approx(kept[0], abs=3e-3)
    assert high == pytest.approx(kept[-1], abs=3e-3)


def stats_xlogy(count: int, probability: np.ndarray) -> np.ndarray:
    return np.zeros_like(probability) if count == 0 else count * np.log(probability)


def test_intervals_and_tests_keep_their_level_when_models_share_problems() -> None:
    rng = np.random.default_rng(0)
    covered = rejected = naive = 0
    runs, problems, models, truth = 400, 80, 3, 0.0
    for _ in range(runs):
        # Planners differ on some problems for all models alike.
        common = rng.choice([-1, 0, 1], p=[0.2, 0.6, 0.2], size=(problems, 1))
        own = rng.choice([-1, 0, 1], p=[0.1, 0.8, 0.1], size=(problems, models))
        difference = np.where(common != 0, common, own).ravel()
        record = PairedTrials.of(difference, np.repeat(np.arange(problems), models))
        low, high = record.interval()
        covered += low <= truth <= high
        rejected += record.p_value <= 0.05
        naive += record.mcnemar <= 0.05
    # Four standard errors of 400 runs: 0.044.
    assert covered / runs > 0.95 - 0.044
    assert rejected / runs < 0.05 + 0.044
    assert naive / runs > 0.1  # the negative control: pairs taken as independent


@pytest.mark.parametrize("discordance", [0.1, 0.4])
def test_the_detectable_difference_is_found_four_times_in_five(discordance: float) -> None:
    n, rng = 200, np.random.default_rng(1)
    first = round(n * discordance / 2)
    record = PairedTrials.of(np.repeat([1, -1, 0], [first, first, n - 2 * first]), np.arange(n))
    least = record.detectable()
    law = [(discordance + least) / 2, (discordance - least) / 2, 1 - discordance]
    found = [
        PairedTrials.of(rng.choice([1, -1, 0], p=law, size=n), np.arange(n)).p_value <= 0.05
        for _ in range(600)
    ]
    # Four standard errors of 600 runs at 0.8.
    assert np.mean(found) == pytest.approx(0.8, abs=4 * sqrt(0.16 / 600))
    assert record.detectable(level=0.01) > least
    assert record.detectable(power=0.9) > least


def test_too_few_problems_find_nothing() -> None:
    assert PairedTrials.of(np.ones(5, int), np.arange(5)).detectable() == inf
    assert comb(6, 6) / 2**5 < 0.05
    assert PairedTrials.of(np.ones(6, int), np.arange(6)).detectable() < 1


@given(outcomes())
def test_names_exchanged_on_every_other_problem_leave_no_lead(case: tuple[np.ndarray, np.ndarray]) -> None:
    record = PairedTrials.of(*case)
    balanced = record.balanced()
    largest = max(abs(total) for total, _, _ in record.problems)
    assert abs(balanced.first_only - balanced.second_only) <= largest
    assert (balanced.trials, balanced.discordance) == (record.trials, record.discordance)
    assert balanced.p_value > 0.05


@given(outcomes(), outcomes())
def test_pooling_is_trying_both_sets_of_problems(
    one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]
) -> None:
    both = PairedTrials.of(np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1] + 100]))
    assert pooled([PairedTrials.of(*one), PairedTrials.of(*other)]) == both


def test_holm_on_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_what_is_no_paired_trial_is_a_typed_error() -> None:
    with pytest.raises(ShapeError, match="difference"):
        PairedTrials.of(np.zeros(0, int), np.zeros(0, int))
    with pytest.raises(ParameterError, match="-1, 0 or 1"):
        PairedTrials.of(np.array([2]), np.array([0]))
    with pytest.raises(ParameterError, match="add up"):
        PairedTrials(((1, 1, 3),), 2, 0)
    with pytest.raises(ParameterError, match="at least one"):
        pooled([])


def test_a_record_cannot_be_changed() -> None:
    record = PairedTrials.of(np.array([1, 0]), np.array([0, 1]))
    with pytest.raises(FrozenInstanceError):
        record.first_only = 2  # type: ignore[misc]


def test_no_p_value_is_told_as_zero() -> None:
    assert [shown_p(p) for p in (0.0, 1e-310, 2.5e-261, 0.0204, 1.0)] == [
        "< 1e-300", "< 1e-300", "2.5e-261", "0.02", "1"
    ]  # fmt: skip
    assert (said_p(0.0), said_p(0.0204)) == ("p < 1e-300", "p = 0.02")
