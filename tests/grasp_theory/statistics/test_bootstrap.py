"""Intervals: closed forms, brute force on the same resamples, and dependence within clusters."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import norm, spearmanr

from grasp_theory.statistics.bootstrap import Bootstrap, proportion, rank_correlation
from grasp_theory.statistics.intervals import plain
from linear_systems.errors import NonFiniteError, ParameterError


@pytest.mark.parametrize(("successes", "count"), [(0, 10), (3, 10), (10, 10), (37, 200)])
def test_proportion_is_wilsons_closed_form(successes: int, count: int) -> None:
    z, share = norm.ppf(0.975), successes / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    found = proportion(np.arange(count) < successes)
    assert found["count"] == count
    assert found["value"] == pytest.approx(share, rel=1e-5)
    assert found["low"] == pytest.approx(centre - half, rel=1e-5, abs=1e-6)
    assert found["high"] == pytest.approx(centre + half, rel=1e-5)


def test_mean_and_median_are_those_of_whole_clusters_drawn_again() -> None:
    rng = np.random.default_rng(0)
    clusters = rng.integers(7, size=40)
    values = rng.exponential(size=40)
    bootstrap = Bootstrap(clusters, np.random.default_rng(1), resamples=201)
    labels = np.unique(clusters)
    times = np.random.default_rng(1).multinomial(len(labels), np.full(len(labels), 1 / len(labels)), size=201)
    again = [
        np.concatenate([np.tile(values[clusters == label], n) for label, n in zip(labels, row, strict=True)])
        for row in times
    ]
    assert bootstrap.clusters == len(labels)
    for statistic, estimate in ((np.mean, bootstrap.mean(values)), (np.median, bootstrap.median(values))):
        resampled = [statistic(row) for row in again]
        low, high = np.quantile(resampled, [0.025, 0.975], method="inverted_cdf")
        np.testing.assert_allclose(
            [estimate.value, estimate.low, estimate.high], [statistic(values), low, high], rtol=1e-12
        )


def test_copies_within_a_cluster_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(0).normal(size=30)
    single = Bootstrap(np.arange(30), np.random.default_rng(1), 500)
    copied = Bootstrap(np.repeat(np.arange(30), 9), np.random.default_rng(1), 500)
    naive = Bootstrap(np.arange(270), np.random.default_rng(1), 500)
    once, many = single.mean(values), copied.mean(np.repeat(values, 9))
    assert (many.low, many.high) == pytest.approx((once.low, once.high), rel=1e-12)
    wrong = naive.mean(np.repeat(values, 9))
    assert wrong.high - wrong.low < 0.5 * (once.high - once.low)


def test_intervals_of_the_mean_cover_it_about_as_often_as_they_say() -> None:
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        values = np.repeat(rng.normal(size=60), 3) + rng.normal(size=180)
        estimate = Bootstrap(np.repeat(np.arange(60), 3), rng, 300).mean(values)
        covered += estimate.low <= 0 <= estimate.high
    # 6 standard errors below 0.95 · 200, plus the percentile bootstrap's own shortfall at 60 clusters (about 1%).
    assert 170 <= covered <= 200


def test_medians_may_be_infinite_and_become_none_in_json() -> None:
    bootstrap = Bootstrap(np.arange(9), np.random.default_rng(0), 100)
    assert bootstrap.median(np.full(9, np.inf)).to_json() == {"value": None, "low": None, "high": None}
    mixed = bootstrap.median(np.array([1.0] * 5 + [np.inf] * 4)).to_json()
    assert json.loads(json.dumps(mixed, allow_nan=False)) == {"value": 1.0, "low": 1.0, "high": None}
    assert plain(1.23456789) == 1.23457


def test_rank_correlation_is_spearmans_with_ties() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(5, size=100).astype(float)
    y = x + rng.integers(4, size=100)
    found = rank_correlation(x, y, rng, 200)
    assert found.value == pytest.approx(spearmanr(x, y).statistic, rel=1e-12)
    assert found.low < found.value < found.high
    rising = rank_correlation(y, np.exp(y), rng, 50)
    assert (rising.value, rising.low, rising.high) == pytest.approx((1, 1, 1))
    falling = rank_correlation(y, -y, rng, 50)
    assert (falling.value, falling.low, falling.high) == pytest.approx((-1, -1, -1))
    nothing = rank_correlation(rng.normal(size=300), rng.normal(size=300), rng, 200)
    assert nothing.low < 0 < nothing.high


def test_what_cannot_be_estimated_is_refused() -> None:
    rng = np.random.default_rng(0)
    bootstrap = Bootstrap(np.arange(3), rng, 10)
    with pytest.raises(NonFiniteError, match="diverges"):
        bootstrap.mean(np.array([0.0, 1.0, np.inf]))
    with pytest.raises(NonFiniteError, match="NaN"):
        bootstrap.median(np.array([0.0, 1.0, np.nan]))
    with pytest.raises(ParameterError, match="at least one value"):
        Bootstrap(np.arange(0), rng, 10)
    with pytest.raises(ParameterError, match="collapsed"):
        rank_correlation(np.ones(5), np.arange(5.0), rng, 10)
    with pytest.raises(NonFiniteError, match="x, y"):
        rank_correlation(np.array([0.0, np.nan]), np.arange(2.0), rng, 10)
