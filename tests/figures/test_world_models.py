"""The figure of the world models' predictions: the numbers that it shows."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures import world_models

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pymunk")


@pytest.fixture(scope="module")
def numbers():
    return {name: world_models.predict(name) for name in world_models.TASKS}


def test_the_pictures_are_the_episode_and_its_prediction(numbers):
    for prediction in numbers.values():
        assert prediction.true.shape == prediction.predicted.shape == (len(world_models.STEPS), 64, 64, 3)
        assert prediction.true.min() >= 0
        assert prediction.true.max() <= 1
        # The state moves, and the model says so: its picture is nearer to what happened than the first one is.
        before = np.abs(prediction.true[0] - prediction.true[-1]).mean()
        assert before > 0
        assert np.abs(prediction.predicted[-1] - prediction.true[-1]).mean() < before


def test_errors_start_small(numbers):
    assert numbers["wall_single"].errors["position"][0] < 2
    assert numbers["point_maze"].errors["position"][0] < 0.1
    assert numbers["push_t"].errors["block"][0] < 30


def test_it_draws_two_rows_a_task(numbers):
    figure = world_models.draw(list(numbers.values()))
    assert len(figure.axes) == 2 * len(numbers) * len(world_models.STEPS)
    plt.close(figure)
