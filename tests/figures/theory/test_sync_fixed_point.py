"""The numbers behind the figure of the sync's fixed point, against what U19 says of them."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures.theory import sync_fixed_point
from figures.theory.sync_fixed_point import GOAL, HORIZON, START, STEPS, SYSTEM, Misses, misses
from linear_systems import shooting, stop_gradient

mpl.use("Agg")


@pytest.fixture(scope="module")
def numbers() -> Misses:
    return misses((1, 100), STEPS[::4])


def test_between_greedy_and_shooting_up_to_two(numbers: Misses) -> None:
    inside = numbers.scaled < 1.9
    for values in numbers.miss.values():
        assert (values[inside] > 0.0).all()
        assert (values[inside] < numbers.greedy).all()
        assert values[0] > 0.95 * numbers.greedy


def test_many_iterations_leave_greedy_and_one_sync(numbers: Misses) -> None:
    missing = GOAL - stop_gradient.greedy_rollout(SYSTEM, HORIZON, START, GOAL)[0][-1]
    W = shooting.gramian(SYSTEM, HORIZON)
    for step, found in zip(STEPS[::4], numbers.miss[100], strict=True):
        assert found == pytest.approx(float(np.linalg.norm(missing - 2.0 * step * W @ missing)), rel=1e-6)


def test_more_iterations_allow_longer_syncs(numbers: Misses) -> None:
    assert (numbers.radius[100] < 1.0).all()
    assert numbers.radius[1][-1] > 1.0
    assert np.isnan(numbers.miss[1][-1])


def test_it_draws(numbers: Misses) -> None:
    figure = sync_fixed_point.draw(numbers)
    np.testing.assert_array_equal(figure.axes[1].get_lines()[0].get_ydata(), numbers.radius[1])
    plt.close(figure)
