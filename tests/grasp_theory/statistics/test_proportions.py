"""Exact inference on rates against brute force, scipy and published values."""

from __future__ import annotations

from itertools import product
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.integrate import quad

from grasp_theory.statistics.proportions import (
    INTERVALS,
    barnard,
    equal_shares,
    fisher,
    half_width,
    holm,
    homogeneity,
    lattice_probability,
    mcnemar,
    pairing,
    round_half_width,
    stratified,
    wald_coverage,
)
from linear_systems.errors import ParameterError

RELATIVE = 1e-9
"""Sums of up to a few hundred probabilities in float64, whose logarithms scipy gets to about 1e-13."""

N = 7
counts = st.integers(0, N)


@st.composite
def any_counts(draw: st.DrawFn) -> tuple[int, int, int, int]:
    trials, others = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    return draw(st.integers(0, trials)), draw(st.integers(0, others)), trials, others


def hypergeometric(first: int, total: int, trials: int) -> float:
    return comb(trials, first) * comb(trials, total - first) / comb(2 * trials, total)


def support(total: int, trials: int) -> range:
    return range(max(0, total - trials), min(total, trials) + 1)


@given(any_counts())
def test_fisher_is_scipys(case: tuple[int, int, int, int]) -> None:
    first, second, trials, others = case
    table = [[first, trials - first], [second, others - second]]
    expected = stats.fisher_exact(table, alternative="greater").pvalue
    assert fisher(first, second, trials, others) == pytest.approx(expected, rel=RELATIVE)


@given(counts, counts)
def test_one_stratum_is_fishers_test(first: int, second: int) -> None:
    assert stratified([(first, second)], N) == pytest.approx(fisher(first, second, N), rel=RELATIVE)


@given(st.lists(st.tuples(counts, counts), min_size=2, max_size=3))
def test_stratified_sums_the_joint_hypergeometric(pairs: list[tuple[int, int]]) -> None:
    observed = sum(first for first, _ in pairs)
    totals = [sum(pair) for pair in pairs]
    expected = sum(
        np.prod([hypergeometric(x, total, N) for x, total in zip(outcome, totals, strict=True)])
        for outcome in product(*(support(total, N) for total in totals))
        if sum(outcome) >= observed
    )
    assert stratified(pairs, N) == pytest.approx(expected, rel=RELATIVE)


@given(st.tuples(counts, counts), st.tuples(counts, counts))
def test_homogeneity_sums_the_conditional_law(pair: tuple[int, int], other: tuple[int, int]) -> None:
    weights = {
        x: hypergeometric(x, sum(pair), N) * hypergeometric(y, sum(other), N)
        for x in support(sum(pair), N)
        for y in support(sum(other), N)
        if x + y == pair[0] + other[0]
    }
    observed = weights[pair[0]]
    extreme = sum(weight for weight in weights.values() if weight <= observed * (1 + RELATIVE))
    p = homogeneity(pair, other, N)
    assert p == pytest.approx(extreme / sum(weights.values()), rel=RELATIVE)
    assert p == pytest.approx(homogeneity(other, pair, N), rel=RELATIVE)


def test_homogeneity_finds_what_differs_and_accepts_what_does_not() -> None:
    assert homogeneity((90, 10), (10, 90), 100) < 1e-12
    assert homogeneity((50, 50), (50, 50), 100) == pytest.approx(1.0)


def test_equal_shares_is_the_normal_test_of_the_log_ratio() -> None:
    # Table 1: 59.0 to 10.4% of 500 trials against 51.0 to 6.4%.
    error = np.sqrt(sum(1 / count - 1 / 500 for count in (295, 255, 52, 32)))
    z = np.log((52 / 295) / (32 / 255)) / error
    found = equal_shares((295, 255), (52, 32), 500)
    assert found == pytest.approx(2 * stats.norm.sf(z), rel=RELATIVE)
    assert found == pytest.approx(equal_shares((255, 295), (32, 52), 500), rel=RELATIVE)
    assert equal_shares((500, 500), (500, 500), 500) == 1.0


def test_equal_shares_keeps_its_level() -> None:
    rng = np.random.default_rng(0)
    draws = rng.binomial(500, [0.6, 0.5, 0.12, 0.1], (4000, 4)).tolist()
    rejected = sum(equal_shares((a, b), (c, d), 500) <= 0.05 for a, b, c, d in draws)
    # Six standard deviations of a share of 5% of 4000 are 2 points.
    assert abs(rejected / 4000 - 0.05) < 0.021


def test_barnard_keeps_its_level_and_its_direction() -> None:
    first, second, trials = 7, 2, 10
    p = barnard(first, second, trials)
    assert p < fisher(first, second, trials)
    assert barnard(second, first, trials) > 0.5
    rates = np.linspace(0.01, 0.99, 99)
    pmf = stats.binom.pmf(np.arange(trials + 1)[:, None], trials, rates)
    rejected = np.array(
        [[a > b and barnard(a, b, trials) <= p for b in range(trials + 1)] for a in range(trials + 1)]
    )
    # scipy's supremum is a numerical search, so the level is met to that search's accuracy.
    assert np.einsum("ar,ab,br->r", pmf, rejected, pmf).max() <= p * (1 + 1e-3)


def test_holm_on_a_worked_example() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_lies_between_the_raw_values_and_bonferroni(p_values: list[float]) -> None:
    adjusted, raw = np.array(holm(p_values)), np.array(p_values)
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(1.0, len(raw) * raw.max())).all()
    assert adjusted[raw.argmin()] == min(1.0, len(raw) * raw.min())
    assert (np.diff(adjusted[np.argsort(raw)]) >= 0).all()


@st.composite
def leads(draw: st.DrawFn) -> tuple[int, int, int]:
    trials = draw(st.integers(2, 40))
    second = draw(st.integers(0, trials - 1))
    return draw(st.integers(second + 1, trials)), second, trials


@given(leads())
def test_pairing_ranges_over_every_joint_table(case: tuple[int, int, int]) -> None:
    first, second, trials = case
    expected = []
    for both in range(trials + 1):
        cells = both, first - both, second - both, trials - first - second + both
        if min(cells) >= 0:
            won, lost = cells[1], cells[2]
            p = stats.binomtest(won, won + lost, 0.5, alternative="greater").pvalue
            expected.append((lost, p))
    expected.sort()
    assert mcnemar(first, second, trials) == pytest.approx([p for _, p in expected], rel=RELATIVE)
    found = pairing(first, second, trials, 0.05)
    assert found.most_possible == expected[-1][0]
    assert found.most_lost == max((lost for lost, p in expected if p <= 0.05), default=-1)
    assert (found.lowest, found.highest) == pytest.approx((expected[0][1], expected[-1][1]), rel=RELATIVE)


@pytest.mark.parametrize(
    ("interval", "lower", "upper"),
    [
        # 81 of 263: Newcombe, Statistics in Medicine 17 (1998) 857-872, Table I.
        ("Wald", 0.2522, 0.3638),
        ("Wilson", 0.2553, 0.3662),
        ("Wilson with continuity correction", 0.2535, 0.3682),
        ("Clopper-Pearson", 0.2527, 0.3676),
    ],
)
def test_intervals_on_a_published_case(interval: str, lower: float, upper: float) -> None:
    assert INTERVALS[interval](81, 263) == pytest.approx((lower, upper), abs=5e-5)


@pytest.mark.parametrize("interval", INTERVALS)
def test_intervals_of_many_trials_agree(interval: str) -> None:
    assert half_width(interval, 5_000, 10_000) == pytest.approx(half_width("Wald", 5_000, 10_000), rel=0.02)


def test_half_widths_round_as_asked() -> None:
    assert round_half_width(4.134, "nearest") == 4.1
    assert round_half_width(4.134, "up") == 4.2


def test_wald_coverage_against_simulation_free_sums() -> None:
    expected = sum(
        comb(20, k) * 0.3**k * 0.7 ** (20 - k) for k in range(21) if abs(k / 20 - 0.3) <= _wald_half(k, 20)
    )
    assert wald_coverage(0.3, 20) == pytest.approx(expected, rel=RELATIVE)
    assert wald_coverage(0.001, 20) < 0.05


def _wald_half(k: int, n: int) -> float:
    return float(stats.norm.ppf(0.975) * np.sqrt(k / n * (1 - k / n) / n))


def test_lattice_probability_on_a_case_by_hand() -> None:
    # One trial of two at rate p: 2 p (1 - p), at most 1/2.
    assert lattice_probability(1, 2) == pytest.approx(0.5)
    # Counts 2 of 4: 6 p² (1 - p)², at most 3/8.
    assert lattice_probability(2, 4) == pytest.approx(0.375)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: fisher(-1, 0, 5),
        lambda: fisher(0, 6, 5),
        lambda: barnard(6, 0, 5),
        lambda: stratified([(1, 1), (9, 0)], 5),
        lambda: homogeneity((1, 1), (0, 9), 5),
        lambda: equal_shares((1, 1), (0, 1), 5),
        lambda: equal_shares((1, 1), (1, 6), 5),
        lambda: mcnemar(3, 3, 5),
        lambda: pairing(2, 6, 5, 0.05),
        lambda: half_width("Bayes", 1, 5),
        lambda: half_width("Wald", 6, 5),
    ],
)
def test_impossible_counts_are_typed_errors(ask: object) -> None:
    assert callable(ask)
    with pytest.raises(ParameterError):
        ask()


def test_jeffreys_leaves_out_a_fortieth_of_the_posterior_at_either_end() -> None:
    def density(p: float) -> float:
        return float(p**2.5 * (1 - p) ** 6.5)

    low, high = INTERVALS["Jeffreys"](3, 10)
    below, inside, above = (quad(density, *ends)[0] for ends in ((0.0, low), (low, high), (high, 1.0)))
    whole = below + inside + above
    assert (below / whole, above / whole) == pytest.approx((0.025, 0.025), rel=1e-6)
