"""The numbers behind the picture of a plan, and that it draws."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from experiments.scripts.planning_toys import BallAroundWall
from figures.planning import planner_example

mpl.use("Agg")


@pytest.fixture(scope="module")
def numbers() -> planner_example.Example:
    return planner_example.example()


def test_most_plans_go_around_the_wall_and_greed_does_not(numbers: planner_example.Example) -> None:
    assert numbers.reached.mean() >= 0.75
    over = np.abs(numbers.plans[numbers.reached][:, :, 1]).max(1)
    assert over.min() > BallAroundWall().half_height - 0.1
    assert (numbers.greedy[:, -1, 0] < 0).all()


def test_virtual_states_start_on_the_straight_line(numbers: planner_example.Example) -> None:
    first = numbers.virtual_states[0]
    np.testing.assert_allclose(np.diff(first, n=2, axis=0), 0.0, atol=1e-6)
    assert numbers.iterations[0] == 0
    assert np.abs(numbers.virtual_states[-1] - first).max() > 0.3


def test_it_draws(numbers: planner_example.Example) -> None:
    figure = planner_example.draw(numbers)
    assert len(figure.axes) == 2
    plt.close(figure)
