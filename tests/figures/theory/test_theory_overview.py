"""The overview shows the gist of the other figures of the theory."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from figures.theory import smoothness, theory_overview, transient_growth, tube
from figures.theory.theory_overview import Overview

mpl.use("Agg")


@pytest.fixture(scope="module")
def numbers() -> Overview:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(smoothness.growth, "__defaults__", (smoothness.HORIZONS[::9],))
        patch.setattr(transient_growth.powers_of, "__defaults__", ((5, 10), 60))
        patch.setattr(tube, "ROWS", 32)
        return theory_overview.overview()


def test_lifted_smoothness_is_flat_and_shooting_grows(numbers: Overview) -> None:
    unstable = numbers.growth["unstable, λ = 1.1"]
    assert unstable.log_shooting[-1] - unstable.log_shooting[0] > 4
    assert unstable.lifted.max() < 12


def test_conditioning_crosses_for_the_pendulum_only_late(numbers: Overview) -> None:
    ratios = dict(
        zip(theory_overview.BENCHMARK_HORIZONS, numbers.ratios["mujoco_inverted_pendulum"], strict=True)
    )
    assert ratios[10] > 0 > ratios[80]
    assert numbers.ratios["double_integrator"].min() > 0


def test_peaks_grow_and_the_tube_widens(numbers: Overview) -> None:
    assert numbers.powers.logs[10].max() > numbers.powers.logs[5].max() + 1
    assert numbers.along.exact[1.1][-1] > 30


def test_it_draws_four_panels(numbers: Overview) -> None:
    figure = theory_overview.draw(numbers)
    assert len(figure.axes) == 4
    plt.close(figure)
