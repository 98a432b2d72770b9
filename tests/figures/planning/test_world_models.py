"""The figure of the world models' predictions: the numbers that it shows."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures.planning import world_models

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:pymunk")


@pytest.fixture(scope="module")
def numbers():
    return {name: world_models.predict(name) for name in world_models.TASKS}


def test_the_pictures_are_the_episode_and_its_prediction(numbers):
    for prediction in numbers.values():
        assert prediction.true.shape == prediction.predicted.shape == (len(world_models.STEPS), 64, 64, 3)
        assert prediction.true.min() >= 0
        assert prediction.true.max() <= 1
        assert np.abs(prediction.true[0] - prediction.true[-1]).mean() > 0


@pytest.mark.parametrize("task", ["wall_single", "point_maze"])
def test_the_state_moves_and_the_model_says_so(numbers, task):
    """The last predicted picture is nearer to what happened than the first true one is."""
    prediction = numbers[task]
    before = np.abs(prediction.true[0] - prediction.true[-1]).mean()
    assert np.abs(prediction.predicted[-1] - prediction.true[-1]).mean() < before


def test_push_t_follows_pusher_and_block(numbers):
    """In the episode shown the block is hit hard and turned by more than a right angle."""
    errors = numbers["push_t"].errors
    assert max(errors["pusher"]) < 20
    assert max(errors["block"]) < 40
    assert errors["angle"][-1] < 0.2


def test_errors_start_small(numbers):
    assert numbers["wall_single"].errors["position"][0] < 2
    assert numbers["point_maze"].errors["position"][0] < 0.1
    assert numbers["push_t"].errors["block"][0] < 30


def test_it_draws_two_rows_a_task(numbers):
    figure = world_models.draw(list(numbers.values()))
    assert len(figure.axes) == 2 * len(numbers) * len(world_models.STEPS)
    plt.close(figure)
