"""The numbers behind the figure of transient growth, against dense powers and what theory says of them."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures.theory import transient_growth
from figures.theory.transient_growth import BETA, LONGEST, SYSTEM, Powers, powers_of
from linear_systems import stop_gradient
from linear_systems.stop_gradient.uniform_convergence import best_uniform_step_size

mpl.use("Agg")
HORIZONS, POWERS = (5, 10, 20), 120


@pytest.fixture(scope="module")
def fast() -> Powers:
    eta = stop_gradient.best_step_size(SYSTEM, BETA)
    return powers_of((eta, eta), HORIZONS, POWERS)


@pytest.fixture(scope="module")
def uniform() -> Powers:
    return powers_of(best_uniform_step_size(SYSTEM, BETA), HORIZONS, POWERS)


def test_norms_are_those_of_dense_powers(fast: Powers, uniform: Powers) -> None:
    for numbers in (fast, uniform):
        matrix = stop_gradient.update_matrix(SYSTEM, 5, BETA, numbers.step_size).toarray()
        for k in (0, 1, 7, 20):
            norm = np.linalg.norm(np.linalg.matrix_power(matrix, k), 2)
            assert numbers.logs[5][k] == pytest.approx(np.log10(norm), abs=1e-9)


def test_one_rate_and_a_constant_that_grows_with_the_horizon(fast: Powers) -> None:
    assert fast.rate < 1 < fast.uniform_rate
    assert fast.envelope is None
    peaks = [logs.max() for logs in fast.logs.values()]
    assert np.diff(peaks).min() > 1
    # T doubles twice: log C_T grows by twice as much the second time where it is linear in T, as much where it is
    # logarithmic, and four times where it is quadratic.  What is not linear yet at the shortest T leaves less than half.
    assert (peaks[2] - peaks[1]) / (peaks[1] - peaks[0]) == pytest.approx(2, abs=0.5)


def test_the_other_pair_stays_below_one_envelope(uniform: Powers) -> None:
    assert uniform.uniform_rate < 1
    assert uniform.envelope is not None
    for logs in uniform.logs.values():
        assert (logs <= uniform.envelope + 1e-9).all()
    assert 10 ** uniform.envelope.max() == pytest.approx(1.30, abs=0.01)


def test_iterations_grow_with_the_horizon_for_one_choice_only(fast: Powers, uniform: Powers) -> None:
    doubled = fast.iterations[1:] / fast.iterations[:-1]
    assert LONGEST[-1] == 2 * LONGEST[-2]
    assert doubled[-1] == pytest.approx(2, rel=0.05)
    assert uniform.iterations.max() < fast.iterations.min()
    assert np.ptp(uniform.iterations) < 0.2 * uniform.iterations.max()


def test_it_draws(fast: Powers, uniform: Powers) -> None:
    figure = transient_growth.draw((fast, uniform))
    left, middle, right = figure.axes
    assert len(left.get_lines()) == 2 * len(HORIZONS) + 1
    assert len(middle.get_lines()) == len(HORIZONS) + 1
    np.testing.assert_array_equal(right.get_lines()[0].get_ydata(), fast.iterations)
    plt.close(figure)
