"""Wilson's interval, and numbers as JSON holds them."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from grasp_theory.statistics.intervals import Estimate, wilson
from linear_systems.errors import ParameterError


@pytest.mark.parametrize(("successes", "count"), [(0, 10), (3, 10), (10, 10), (37, 200)])
def test_the_interval_of_a_share_is_wilsons(successes: int, count: int) -> None:
    expected = binomtest(successes, count).proportion_ci(method="wilson")
    found = wilson(successes / count, count)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-12)


def test_the_level_is_that_of_the_error() -> None:
    expected = binomtest(3, 10).proportion_ci(0.99, method="wilson")
    found = wilson(0.3, 10, 0.01)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high))


def test_infinity_becomes_none() -> None:
    assert Estimate(1.0, 0.0, float("inf")).to_json() == {"value": 1.0, "low": 0.0, "high": None}


def test_next_to_no_trials_say_next_to_nothing() -> None:
    assert (wilson(0.5, 1e-100).low, wilson(0.5, 1e-100).high) == pytest.approx((0.0, 1.0))
    with pytest.raises(ParameterError, match=r"^n:"):
        wilson(0.5, 0.99e-100)
