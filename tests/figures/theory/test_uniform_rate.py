"""The numbers behind the figure of the uniform rate, against what U1 and U5 say of them."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures.theory import uniform_rate
from figures.theory.uniform_rate import BETA, SYSTEM, Around, around
from linear_systems import stop_gradient

mpl.use("Agg")
HORIZONS = (4, 8, 16)


@pytest.fixture(scope="module")
def numbers() -> tuple[Around, ...]:
    return tuple(around(rate, HORIZONS) for rate in (0.0, 1.0, 1.2))


def test_the_largest_radius_is_the_uniform_rate(numbers: tuple[Around, ...]) -> None:
    for each in numbers:
        assert each.radii.max() == pytest.approx(each.rate, rel=1e-3)
        assert each.block_rate < 1.0
    assert [each.rate for each in numbers[1:]] == pytest.approx([1.0, 1.2])


def test_the_constant_grows_beyond_one_only(numbers: tuple[Around, ...]) -> None:
    below, at, beyond = (each.peaks for each in numbers)
    assert below.max() < 1.31
    assert np.ptp(at) < 0.1
    assert beyond[-1] > 5.0 * at[-1]
    J = stop_gradient.update_matrix(SYSTEM, 4, BETA, numbers[2].step_size).toarray()
    powers = [np.linalg.norm(np.linalg.matrix_power(J, k), 2) for k in range(60)]
    assert beyond[0] == pytest.approx(max(powers), rel=1e-9)


def test_it_draws(numbers: tuple[Around, ...]) -> None:
    figure = uniform_rate.draw(numbers, HORIZONS)
    left, right = figure.axes
    np.testing.assert_array_equal(left.get_lines()[0].get_ydata(), numbers[0].radii)
    np.testing.assert_array_equal(right.get_lines()[2].get_ydata(), numbers[2].peaks)
    plt.close(figure)
