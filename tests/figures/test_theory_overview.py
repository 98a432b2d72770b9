"""The numbers behind the overview figure, and that it draws."""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

from figures import theory_overview

mpl.use("Agg")


@pytest.fixture(scope="module")
def panels() -> dict[str, theory_overview.Panel]:
    return dict(
        zip(("smoothness", "conditioning", "transient", "spread"), theory_overview.panels(), strict=True)
    )


def test_lifted_smoothness_is_flat_and_shooting_grows(panels: dict[str, theory_overview.Panel]) -> None:
    series = panels["smoothness"].series
    shoot, lift = series["shooting, pendulum upright"][1], series["lifted, pendulum upright"][1]
    assert shoot[-1] - shoot[-2] > 3.0
    assert abs(lift[-1] - lift[-2]) < 0.01


def test_conditioning_crosses_for_the_pendulum_only_late(panels: dict[str, theory_overview.Panel]) -> None:
    horizons, ratios = panels["conditioning"].series["mujoco inverted pendulum"]
    assert ratios[list(horizons).index(10)] > 0 > ratios[list(horizons).index(80)]
    assert min(panels["conditioning"].series["double integrator"][1]) > 0


def test_transient_peaks_grow_with_the_horizon(panels: dict[str, theory_overview.Panel]) -> None:
    peaks = [max(values) for _, values in panels["transient"].series.values()]
    assert np.diff(peaks[:3]).min() > 3.0
    assert peaks[3] < 0.5


def test_first_state_has_the_tube_and_unstable_chains_leave_it(
    panels: dict[str, theory_overview.Panel],
) -> None:
    for _, values in panels["spread"].series.values():
        assert values[0] == pytest.approx(0.0, abs=1e-12)
    assert panels["spread"].series["s̄ live, A = 1.1"][1][-1] > 2.5


def test_it_draws_every_series(panels: dict[str, theory_overview.Panel]) -> None:
    figure = theory_overview.draw(tuple(panels.values()))
    drawn = [len(axis.get_lines()) for axis in figure.axes]
    assert drawn == [len(panel.series) for panel in panels.values()]
    plt.close(figure)
