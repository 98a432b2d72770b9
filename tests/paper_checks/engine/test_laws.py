"""The tests of a normal law have the level and the power that they state."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest
from scipy import stats

from paper_checks.engine.laws import POWER, NormalTest, detectable_variance, normal_test, variance_p_value


def test_normal_draws_pass_and_each_outcome_is_its_own_test() -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(20_000)
    assert dict(normal_test(values, 1e-6).outcomes) == {"variance": True, "shape": True}
    flat = rng.uniform(-np.sqrt(3.0), np.sqrt(3.0), 20_000)
    assert dict(normal_test(flat, 1e-6).outcomes) == {"variance": True, "shape": False}
    wide = 1.05 * values
    assert not normal_test(wide, 1e-6).outcomes["variance"]
    assert normal_test(wide, 1e-6).numbers["variance over the law's"] == pytest.approx(np.mean(wide**2))
    assert "20000 numbers" in normal_test(values, 1e-6).summary


def test_the_p_value_is_two_sided_and_uniform() -> None:
    assert variance_p_value(stats.chi2.ppf(0.025, 50), 50) == pytest.approx(0.05)
    assert variance_p_value(stats.chi2.ppf(0.975, 50), 50) == pytest.approx(0.05)
    assert variance_p_value(stats.chi2.median(50), 50) == pytest.approx(1.0)


def test_the_detectable_error_is_found_with_the_stated_power() -> None:
    count, level, rng = 20_000, 1e-4, np.random.default_rng(1)
    error = detectable_variance(count, level)
    found = [variance_p_value((1.0 + error) * rng.chisquare(count), count) < level for _ in range(4000)]
    # Four standard errors of 4000 runs, and what the normal approximation of χ² is off by.
    assert np.mean(found) == pytest.approx(POWER, abs=4 * np.sqrt(POWER * (1 - POWER) / 4000) + 2e-3)


def test_the_detectable_error_is_that_of_the_exact_law() -> None:
    # Found at 1 + e if the upper critical value over 1 + e is exceeded with probability POWER.  χ² with 1e8 degrees of
    # freedom is normal up to 1e-4.
    count, level = 10**8, 1e-4
    exact = stats.chi2.isf(level / 2, count) / stats.chi2.isf(POWER, count) - 1.0
    assert detectable_variance(count, level) == pytest.approx(exact, rel=1e-3)


def test_a_p_value_at_the_level_does_not_reject_and_a_result_cannot_be_changed() -> None:
    at_the_level = NormalTest(count=10, variance=1.0, p_variance=0.25, p_shape=0.25, level=0.25)
    assert dict(at_the_level.outcomes) == {"variance": True, "shape": True}
    with pytest.raises(FrozenInstanceError):
        at_the_level.level = 0.1  # type: ignore[misc]
