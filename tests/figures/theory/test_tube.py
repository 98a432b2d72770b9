"""What the planner's virtual states do with the actions frozen, by χ² tests with their controls."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy import stats

from figures.theory import tube
from figures.theory.tube import LEVEL, PULL, SAMPLES, SETTLED, measure
from linear_systems import LinearSystem, noise, state_chain

mpl.use("Agg")
REJECT = 1e-6
"""Level of the tests; the seeds are fixed, so that they do not flicker."""
TUBE = noise.tube_variance(PULL, LEVEL)


def _p_value(measured: float, expected: float) -> float:
    """Return the two-sided p-value of a measured variance of Gaussian samples."""
    law, statistic = stats.chi2(SAMPLES), SAMPLES * measured / expected
    return 2 * min(law.cdf(statistic), law.sf(statistic))


def test_a_frozen_prediction_has_the_tube_of_theorem_7() -> None:
    measured = measure(0.0, 6, "sgd", LEVEL, SETTLED)[SETTLED]
    assert min(_p_value(variance, TUBE) for variance in measured) > REJECT
    # The control: a variance larger by a third, eight standard errors, would be noticed.
    assert max(_p_value(variance, 4 / 3 * TUBE) for variance in measured) < REJECT


def test_live_states_have_the_law_of_the_chain_and_not_the_tube() -> None:
    law = state_chain.stationary_law(LinearSystem([[1.1]], [[1.0]]), 6, PULL, LEVEL).states[:, 0, 0]
    measured = measure(1.1, 6, "sgd", LEVEL, SETTLED)[SETTLED]
    assert min(map(_p_value, measured, law)) > REJECT
    assert _p_value(measured[0], TUBE) > REJECT
    assert max(_p_value(variance, TUBE) for variance in measured[1:]) < REJECT


def test_plain_steps_approach_it_as_theorem_7_says() -> None:
    found = measure(0.0, 1, "sgd", LEVEL, 12, 3)
    exact = noise.tube_variances(PULL, LEVEL, 12)
    assert found[0][0] == 0.0
    assert min(_p_value(found[k][0], exact[k]) for k in (3, 6, 9, 12)) > REJECT
    assert _p_value(found[3][0], TUBE) < REJECT


def test_adam_does_not_have_it() -> None:
    """Its steps do not scale with the distance, so that its spread does not scale with σ."""
    ratios = [
        measure(0.0, 1, "adam", sigma, 600)[600][0] / noise.tube_variance(PULL, sigma) for sigma in (0.1, 1.0)
    ]
    assert max(_p_value(ratio, 1.0) for ratio in ratios) < REJECT
    assert ratios[1] > 2 * ratios[0]


def test_the_exact_lines_start_at_the_tube(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tube, "ROWS", 16)
    monkeypatch.setattr(tube, "ENOUGH", {"sgd": SETTLED, "adam": SETTLED})
    monkeypatch.setattr(tube, "HORIZON", 4)
    numbers = tube.spread()
    for gain, exact in numbers.along.exact.items():
        assert exact[0] == pytest.approx(1.0, rel=1e-12)
        assert (np.diff(exact) > 0).all() == (gain > 0)
    assert numbers.approach[-1] == pytest.approx(1.0, rel=1e-12)
    figure = tube.draw(numbers)
    assert len(figure.axes) == 3
    plt.close(figure)
